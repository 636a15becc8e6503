//! The list of a wait: what the host waits on, and emulated sets, which have no
//! descriptor and are waited on through their members.

use std::io;
use std::sync::{Arc, Weak};

use super::lock::Lock;
use super::{HostList, List, Wake, errno};
use crate::flags::PollFlags;
use crate::source::{Held, Member, RawSource, Source};
use crate::timeout::{Deadline, Instant, Until};

/// A set that has no descriptor, as a source. By a table of its methods, so that a
/// program without such sets has none of their code.
pub(crate) trait Set: Send + Sync + std::fmt::Debug {
    /// A number that no other source has.
    fn id(&self) -> u64;

    /// Whether a wait would find something. Takes nothing away.
    fn peek(&self) -> io::Result<bool>;

    /// From now on a change of this set, or of one in it, wakes the watcher.
    fn observe(self: Arc<Self>, watch: &mut Watch<'_>);

    /// Undoes it for this set alone.
    fn let_go(&self, wake: &Arc<Wake>);

    /// What can make this set ready: its members, those of the sets in it, and
    /// the time.
    fn members(&self, put: &mut dyn FnMut(&Held, PollFlags), again: &mut Option<Instant>);
}

/// A set as its owner has it.
pub(crate) trait SetHandle {
    fn id(&self) -> u64;
    fn hold(&self) -> Box<dyn HeldSet>;
}

impl<S: Set + 'static> SetHandle for Arc<S> {
    fn id(&self) -> u64 {
        Set::id(&**self)
    }

    fn hold(&self) -> Box<dyn HeldSet> {
        // Not `Arc::downgrade(self)` alone: that is a weak one of the type itself.
        let set: Weak<S> = Arc::downgrade(self);
        Box::new(WeakSet { set, id: Set::id(&**self) })
    }
}

/// A set as a registration has it: it ends with its owner. By a table, too.
pub(crate) trait HeldSet: Send + Sync + std::fmt::Debug {
    fn id(&self) -> u64;
    fn hold(&self) -> Box<dyn HeldSet>;

    /// Whether it is there still.
    fn check(&self) -> io::Result<()>;

    /// The set, if it is.
    fn get(&self) -> Option<Arc<dyn Set>>;

    /// As [`List::put`]: the sets of a list are made when the first one comes.
    fn put_into(&self, list: &mut SourceList, slot: usize, want: PollFlags);

    /// Takes note that it is in another set now, if it may be.
    fn enter(&self, outer: u64) -> io::Result<()>;

    /// And that it is not any more.
    fn leave(&self, outer: u64);
}

#[derive(Debug)]
struct WeakSet {
    set: Weak<dyn Set>,
    id: u64,
}

impl HeldSet for WeakSet {
    fn id(&self) -> u64 {
        self.id
    }

    fn hold(&self) -> Box<dyn HeldSet> {
        Box::new(WeakSet { set: Weak::clone(&self.set), id: self.id })
    }

    fn check(&self) -> io::Result<()> {
        match self.set.strong_count() {
            0 => Err(io::Error::from_raw_os_error(super::NOT_OPEN)),
            _ => Ok(()),
        }
    }

    fn get(&self) -> Option<Arc<dyn Set>> {
        self.set.upgrade()
    }

    fn put_into(&self, list: &mut SourceList, slot: usize, want: PollFlags) {
        if self.check().is_ok() {
            list.put_set(slot, Weak::clone(&self.set), self.id, want);
        } else if let Some(closed) = Held::closed() {
            list.put_held(slot, &closed, want);
        }
    }

    fn enter(&self, outer: u64) -> io::Result<()> {
        self.check()?;
        let number = match self.id {
            id if id == outer => errno::INVALID,
            id if nest(outer, id) => return Ok(()),
            _ => errno::LOOP,
        };
        Err(io::Error::from_raw_os_error(number))
    }

    fn leave(&self, outer: u64) {
        part(outer, self.id);
    }
}

/// One that has ended.
pub(crate) fn ended<S: Set + 'static>() -> Box<dyn HeldSet> {
    Box::new(WeakSet { set: Weak::<S>::new(), id: 0 })
}

/// A [`List`] that takes sets too. Without any it is the host's.
pub(crate) struct SourceList {
    host: HostList,
    /// The sets; while there are none, mostly nothing.
    sets: Option<Box<dyn Beside>>,
}

impl Default for SourceList {
    // Much code, for each front end.
    #[inline(never)]
    fn default() -> SourceList {
        SourceList { host: Default::default(), sets: None }
    }
}

/// The sets of a list, in slots that are vacant in the host's. As [`Set`], by a table.
pub(crate) trait Beside: Send + Sync {
    /// The slots of the list; the host has more while it waits.
    fn len(&self) -> usize;
    fn set_len(&mut self, len: usize);
    /// Whether there is no set.
    fn is_empty(&self) -> bool;

    fn put(&mut self, slot: usize, set: Weak<dyn Set>, id: u64, want: PollFlags);
    /// Whether the slot is a set's.
    fn set(&mut self, slot: usize, want: PollFlags) -> bool;
    /// Takes the sets away whose slots are from `slot` on and before `end`.
    fn remove(&mut self, slot: usize, end: usize);
    fn source(&self, slot: usize) -> Option<RawSource>;
    fn compact(&mut self, host: &mut HostList, moved: &mut dyn FnMut(usize, usize));

    fn wait(&mut self, host: &mut HostList, until: &Until<'_>) -> io::Result<usize>;
    /// What the last wait found ready, by slots.
    fn told(&self) -> &[(usize, RawSource, PollFlags)];
    /// Is read instead of the host's list, of which `told` has all.
    fn nothing(&self) -> &HostList;
}

#[derive(Default)]
struct Nested {
    /// In order of slots. The host's slots of these are vacant.
    sets: Vec<Entry>,
    /// What ends the wait when a set is changed by another thread.
    wake: Option<Arc<Wake>>,
    len: usize,
    /// The sets that wake us now.
    observed: Vec<Arc<dyn Set>>,
    told: Vec<(usize, RawSource, PollFlags)>,
    nothing: HostList,
}

struct Entry {
    slot: usize,
    raw: RawSource,
    set: Weak<dyn Set>,
    want: PollFlags,
    found: PollFlags,
}

impl Entry {
    /// The set, if what it can say was asked for: the readiness of its members
    /// would end the wait otherwise, again and again.
    fn asked(&self) -> Option<Arc<dyn Set>> {
        self.set.upgrade().filter(|_| self.want.intersects(READY))
    }
}

/// What a set is ready for, if it has something.
pub(crate) const READY: PollFlags = PollFlags::IN.union(PollFlags::RDNORM);

impl SourceList {
    /// The host's list, without what the last wait added.
    fn own(&mut self) -> &mut HostList {
        if let Some(sets) = &self.sets {
            self.host.truncate(sets.len());
        }
        &mut self.host
    }

    fn settle(&mut self) {
        if let Some(sets) = &mut self.sets {
            sets.set_len(self.host.len());
        }
    }

    /// As [`List::put`].
    pub(crate) fn put(&mut self, slot: usize, source: &Member, want: PollFlags) {
        match source {
            Member::Host(held) => self.put_held(slot, held, want),
            Member::Set(set) => set.put_into(self, slot, want),
        }
    }

    /// As [`put`](SourceList::put), of what is there for certain.
    pub(crate) fn put_source(&mut self, slot: usize, source: Source<'_>, want: PollFlags) {
        self.put(slot, &source.hold(), want);
    }

    // Inlined: it is three calls, and mostly one of them.
    #[cfg_attr(target_family = "wasm", inline(always))]
    fn put_held(&mut self, slot: usize, held: &Held, want: PollFlags) {
        self.own().put(slot, held, want);
        self.settle();
    }

    fn put_set(&mut self, slot: usize, set: Weak<dyn Set>, id: u64, want: PollFlags) {
        // Its place among the others, which the host passes over.
        let own = self.own();
        if let Some(placeholder) = Held::placeholder() {
            own.put(slot, &placeholder, PollFlags::empty());
            own.vacate(slot);
        }
        self.sets.get_or_insert_with(|| Box::<Nested>::default()).put(slot, set, id, want);
        self.settle();
    }

    /// As [`List::refill`].
    #[inline]
    pub(crate) fn refill<'a>(
        &mut self,
        sources: impl Iterator<Item = Source<'a>>,
        want: PollFlags,
    ) {
        if let Some(sets) = &mut self.sets {
            sets.remove(0, usize::MAX);
            self.own();
        }
        let Some(placeholder) = Held::placeholder() else { return };
        let mut found = Vec::new();
        // Each gives one, so that the host may know how many there are.
        let held = sources.enumerate().map(|(slot, source)| {
            source.held().unwrap_or_else(|_| {
                found.push((slot, source));
                placeholder.clone()
            })
        });
        self.host.refill(held, want);
        self.settle();
        for (slot, source) in found {
            self.host.vacate(slot);
            self.put_source(slot, source, want);
        }
    }

    /// As [`List::source`].
    #[inline]
    pub(crate) fn source(&self, slot: usize) -> Option<RawSource> {
        let set = self.sets.as_ref().and_then(|sets| sets.source(slot));
        set.or_else(|| self.host.source(slot))
    }

    /// As [`List::set`].
    pub(crate) fn set(&mut self, slot: usize, want: PollFlags) {
        if !self.sets.as_mut().is_some_and(|sets| sets.set(slot, want)) {
            self.own().set(slot, want);
        }
    }

    /// As [`List::vacate`].
    pub(crate) fn vacate(&mut self, slot: usize) {
        if let Some(sets) = &mut self.sets {
            sets.remove(slot, slot + 1);
        }
        self.own().vacate(slot);
    }

    /// As [`List::len`].
    pub(crate) fn len(&self) -> usize {
        self.sets.as_ref().map_or_else(|| self.host.len(), |sets| sets.len())
    }

    /// As [`List::truncate`].
    pub(crate) fn truncate(&mut self, slots: usize) {
        if let Some(sets) = &mut self.sets {
            sets.remove(slots, usize::MAX);
        }
        self.own().truncate(slots);
        self.settle();
    }

    /// As [`List::compact`].
    pub(crate) fn compact(&mut self, mut moved: impl FnMut(usize, usize)) {
        self.own();
        match &mut self.sets {
            Some(sets) => sets.compact(&mut self.host, &mut moved),
            None => self.host.compact(moved),
        }
        self.settle();
    }

    /// As [`List::wait_plainly`].
    #[inline]
    pub(crate) fn wait_plainly(&mut self, most: usize, until: &Until<'_>) -> usize {
        let plain = HostList::PLAIN && self.sets.is_none();
        if plain { self.host.wait_plainly(most, until) } else { 0 }
    }

    /// As [`List::ready_plainly`].
    #[inline]
    pub(crate) fn ready_plainly(&self) -> impl Iterator<Item = (usize, PollFlags)> {
        self.host.ready_plainly()
    }

    /// As [`List::slots_plainly`].
    #[inline]
    pub(crate) fn slots_plainly(&self) -> impl Iterator<Item = usize> {
        self.host.slots_plainly()
    }

    /// As [`List::wait`].
    #[inline]
    pub(crate) fn wait(&mut self, until: &Until<'_>) -> io::Result<usize> {
        if self.sets.is_none() { self.host.wait(until) } else { self.wait_with_sets(until) }
    }

    #[cold]
    fn wait_with_sets(&mut self, until: &Until<'_>) -> io::Result<usize> {
        match &mut self.sets {
            Some(sets) if !sets.is_empty() => sets.wait(&mut self.host, until),
            _ => {
                // The last one was taken away: a plain list again.
                self.own();
                self.sets = None;
                self.host.wait(until)
            }
        }
    }

    /// As [`List::ready`].
    #[inline]
    pub(crate) fn ready(&self) -> impl Iterator<Item = (usize, PollFlags)> {
        let told = self.sets.as_ref().map(|sets| sets.told().iter());
        let merged = told.map(|told| told.map(|&(slot, _, flags)| (slot, flags)));
        Ready { host: self.unmerged().ready(), merged }
    }

    /// The host's list, if it is all that there is.
    #[inline]
    pub(crate) fn plain(&self) -> Option<&HostList> {
        self.sets.is_none().then_some(&self.host)
    }

    /// As [`List::collect`].
    #[inline]
    pub(crate) fn collect(
        &self,
        ready: usize,
        take: PollFlags,
        found: &mut Vec<usize>,
    ) -> PollFlags {
        match self.plain() {
            Some(host) => host.collect(ready, take, found),
            None => super::collect(self.ready(), ready, take, found),
        }
    }

    /// As [`List::ready_sources`].
    #[inline]
    pub(crate) fn ready_sources(&self) -> impl Iterator<Item = (RawSource, PollFlags)> {
        let told = self.sets.as_ref().map(|sets| sets.told().iter());
        let merged = told.map(|told| told.map(|&(_, source, flags)| (source, flags)));
        Ready { host: self.unmerged().ready_sources(), merged }
    }

    #[inline]
    fn unmerged(&self) -> &HostList {
        self.sets.as_ref().map_or(&self.host, |sets| sets.nothing())
    }
}

/// What is ready in the host's list, or there and among the sets. (Not an enum: its
/// variants would not stay in registers.)
struct Ready<A, B> {
    host: A,
    merged: Option<B>,
}

impl<T, A: Iterator<Item = T>, B: Iterator<Item = T>> Iterator for Ready<A, B> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        // One of them is empty.
        self.host.next().or_else(|| self.merged.as_mut()?.next())
    }

    /// Which of the two it is need not be asked each time.
    #[inline]
    fn fold<R, F: FnMut(R, T) -> R>(self, begin: R, fold: F) -> R {
        match self.merged {
            None => self.host.fold(begin, fold),
            Some(merged) => merged.fold(begin, fold),
        }
    }
}

impl Beside for Nested {
    fn len(&self) -> usize {
        self.len
    }

    fn set_len(&mut self, len: usize) {
        self.len = len;
    }

    fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    fn put(&mut self, slot: usize, set: Weak<dyn Set>, id: u64, want: PollFlags) {
        let raw = RawSource::Set(id);
        let entry = Entry { slot, raw, set, want, found: PollFlags::empty() };
        let at = self.sets.partition_point(|other| other.slot < slot);
        self.sets.insert(at, entry);
    }

    fn set(&mut self, slot: usize, want: PollFlags) -> bool {
        let entry = self.sets.iter_mut().find(|entry| entry.slot == slot);
        entry.map(|entry| entry.want = want).is_some()
    }

    fn remove(&mut self, slot: usize, end: usize) {
        self.sets.retain(|entry| !(slot..end).contains(&entry.slot));
    }

    fn source(&self, slot: usize) -> Option<RawSource> {
        self.sets.iter().find(|entry| entry.slot == slot).map(|entry| entry.raw)
    }

    fn compact(&mut self, host: &mut HostList, moved: &mut dyn FnMut(usize, usize)) {
        if let Some(placeholder) = Held::placeholder() {
            for entry in &self.sets {
                host.put(entry.slot, &placeholder, PollFlags::empty());
            }
        }
        host.compact(|from, to| {
            if let Some(entry) = self.sets.iter_mut().find(|entry| entry.slot == from) {
                entry.slot = to;
            }
            moved(from, to);
        });
        for entry in &self.sets {
            host.vacate(entry.slot);
        }
    }

    fn wait(&mut self, host: &mut HostList, until: &Until<'_>) -> io::Result<usize> {
        host.truncate(self.len);
        self.told.clear();
        let waited = self.wait_for_both(host, until);
        self.let_go();
        self.merge(host);
        waited
    }

    fn told(&self) -> &[(usize, RawSource, PollFlags)] {
        &self.told
    }

    fn nothing(&self) -> &HostList {
        &self.nothing
    }
}

impl Nested {
    /// Takes down what is ready in the host's list and among the sets, by slots.
    fn merge(&mut self, host: &HostList) {
        let Nested { sets, len, told, .. } = self;
        told.clear();
        let mut sets = sets.iter().filter(|entry| !entry.found.is_empty()).peekable();
        for (slot, flags) in host.ready().filter(|(slot, _)| slot < len) {
            while let Some(set) = sets.next_if(|set| set.slot < slot) {
                told.push((set.slot, set.raw, set.found));
            }
            told.extend(host.source(slot).map(|source| (slot, source, flags)));
        }
        told.extend(sets.map(|set| (set.slot, set.raw, set.found)));
    }

    fn wait_for_both(&mut self, host: &mut HostList, until: &Until<'_>) -> io::Result<usize> {
        let wake = match &self.wake {
            Some(wake) => Arc::clone(wake),
            None => Arc::clone(self.wake.insert(Arc::new(Wake::new()?))),
        };
        let mut until = *until;
        loop {
            // From here on a change of a set wakes us.
            let mut watch = Watch { wake: &wake, observed: &mut self.observed, new: false };
            for set in self.sets.iter().filter_map(Entry::asked) {
                set.observe(&mut watch);
            }
            let mut ready = self.look()?;

            host.truncate(self.len);
            let mut deadline = if ready == 0 { until.deadline } else { Deadline::NOW };
            if ready == 0 && !until.deadline.is_now() {
                let mut slot = self.len;
                let mut put = |held: &Held, want| {
                    host.put(slot, held, want);
                    slot += 1;
                };
                if let Some(source) = wake.source() {
                    put(&source, PollFlags::IN);
                }
                let mut watch = Watch { wake: &wake, observed: &mut self.observed, new: false };
                let mut again: Option<Instant> = None;
                for set in self.sets.iter().filter_map(Entry::asked) {
                    Arc::clone(&set).observe(&mut watch);
                    set.members(&mut put, &mut again);
                }
                // One that came in meanwhile has not been looked at.
                if watch.new {
                    continue;
                }
                if again.is_some() {
                    deadline = deadline.or_at(again, Instant::now());
                }
            }

            host.wait(&Until { deadline, signals: until.signals })?;
            let mut woken = false;
            for (slot, _) in host.ready() {
                if slot < self.len {
                    ready += 1;
                } else {
                    woken = true;
                }
            }
            if woken {
                wake.drain();
            }
            if ready > 0 || until.deadline.passed() {
                return Ok(ready);
            }
        }
    }

    /// Asks each set whether it has something.
    fn look(&mut self) -> io::Result<usize> {
        let mut ready = 0;
        for entry in &mut self.sets {
            entry.found = match entry.set.upgrade() {
                None => PollFlags::NVAL,
                Some(set) if entry.want.intersects(READY) && set.peek()? => entry.want & READY,
                Some(_) => PollFlags::empty(),
            };
            ready += usize::from(!entry.found.is_empty());
        }
        Ok(ready)
    }

    fn let_go(&mut self) {
        if let Some(wake) = &self.wake {
            for set in self.observed.drain(..) {
                set.let_go(wake);
            }
        }
    }
}

/// Who is to be woken by changes of a set, and what is known to do so.
pub(crate) struct Watch<'a> {
    wake: &'a Arc<Wake>,
    observed: &'a mut Vec<Arc<dyn Set>>,
    /// One was added.
    new: bool,
}

impl Watch<'_> {
    /// The waker, if the set does not know it yet.
    pub(crate) fn take(&mut self, set: Arc<dyn Set>) -> Option<Arc<Wake>> {
        if self.observed.iter().any(|other| other.id() == set.id()) {
            return None;
        }
        self.observed.push(set);
        self.new = true;
        Some(Arc::clone(self.wake))
    }
}

/// Which set holds which: by their numbers. Few sets hold others.
static NESTING: Lock<Vec<(u64, u64)>> = Lock::new(Vec::new());

/// How many sets there may be one above the other, the lowest not counted: Linux's
/// `EP_MAX_NESTS`.
const NESTS: usize = 4;

/// Takes note that `outer` holds `inner`. `false` if that would make a loop, or
/// go more than five deep.
fn nest(outer: u64, inner: u64) -> bool {
    /// The longest way from `id`, along `step`; more than `NESTS` if too long.
    fn way(edges: &[(u64, u64)], id: u64, up: bool, steps: usize) -> usize {
        if steps > NESTS {
            return steps;
        }
        let next = |&(outer, inner): &(u64, u64)| match up {
            true if inner == id => Some(outer),
            false if outer == id => Some(inner),
            _ => None,
        };
        edges.iter().filter_map(next).map(|id| way(edges, id, up, steps + 1)).max().unwrap_or(steps)
    }
    *FORGET.lock() = Some(forget_nested);
    let mut edges = NESTING.lock();
    // With it in place a loop is a way without end.
    edges.push((outer, inner));
    let fits = way(&edges, outer, true, 0) + 1 + way(&edges, inner, false, 0) <= NESTS;
    if !fits {
        edges.pop();
    }
    fits
}

/// Takes note that `outer` does not hold `inner` any more.
fn part(outer: u64, inner: u64) {
    let mut edges = NESTING.lock();
    if let Some(at) = edges.iter().position(|edge| *edge == (outer, inner)) {
        edges.swap_remove(at);
    }
}

/// Takes note that a set is gone.
#[inline]
pub(crate) fn forget(id: u64) {
    let known = *FORGET.lock();
    if let Some(forget) = known {
        forget(id);
    }
}

/// Known where a set was put into another: other programs do not have its code.
static FORGET: Lock<Option<fn(u64)>> = Lock::new(None);

fn forget_nested(id: u64) {
    let mut edges = NESTING.lock();
    while let Some(at) = edges.iter().position(|&(outer, inner)| outer == id || inner == id) {
        edges.swap_remove(at);
    }
}
