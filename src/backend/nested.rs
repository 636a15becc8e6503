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

    /// As [`List::put`].
    fn put_into(&self, list: &mut SourceList, slot: usize, want: PollFlags);
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

    fn put_into(&self, list: &mut SourceList, slot: usize, want: PollFlags) {
        self.hold().put_into(list, slot, want);
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
            list.host.put(slot, &closed, want);
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
#[derive(Default)]
pub(crate) struct SourceList {
    host: HostList,
    /// The sets; while there are none, mostly nothing.
    sets: Option<Box<dyn Beside>>,
}

/// The sets of a list, which have slots in the host's. As [`Set`], by a table.
pub(crate) trait Beside: Send + Sync {
    /// Whether there is no set.
    fn is_empty(&self) -> bool;

    fn put(&mut self, slot: usize, set: Weak<dyn Set>, want: PollFlags);
    /// Whether the slot is a set's.
    fn set(&mut self, slot: usize, want: PollFlags) -> bool;
    /// Takes the sets away whose slots are from `slot` on and before `end`.
    fn remove(&mut self, slot: usize, end: usize);
    fn moved(&mut self, from: usize, to: usize);

    fn wait(&mut self, host: &mut HostList, until: &Until<'_>) -> io::Result<usize>;
}

#[derive(Default)]
struct Nested {
    sets: Vec<Entry>,
    /// What ends the wait when a set is changed by another thread.
    wake: Option<Arc<Wake>>,
    /// The sets that wake us now.
    observed: Vec<Arc<dyn Set>>,
}

struct Entry {
    slot: usize,
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
    /// As [`List::put`].
    pub(crate) fn put(&mut self, slot: usize, source: &Member, want: PollFlags) {
        match source {
            Member::Host(held) => self.host.put(slot, held, want),
            Member::Set(set) => set.put_into(self, slot, want),
        }
    }

    /// As [`put`](SourceList::put), of what is there for certain.
    pub(crate) fn put_source(&mut self, slot: usize, source: Source<'_>, want: PollFlags) {
        match source.held() {
            Ok(held) => self.host.put(slot, &held, want),
            Err(set) => set.put_into(self, slot, want),
        }
    }

    fn put_set(&mut self, slot: usize, set: Weak<dyn Set>, id: u64, want: PollFlags) {
        self.host.put_set(slot, id);
        // It waits for what is in the sets.
        self.share();
        self.sets.get_or_insert_with(|| Box::<Nested>::default()).put(slot, set, want);
    }

    /// As [`List::share`].
    pub(crate) fn share(&mut self) {
        self.host.share();
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
        for (slot, source) in found {
            self.host.vacate(slot);
            self.put_source(slot, source, want);
        }
    }

    /// As [`List::source`].
    #[inline]
    pub(crate) fn source(&self, slot: usize) -> Option<RawSource> {
        self.host.source(slot)
    }

    /// As [`List::set`].
    pub(crate) fn set(&mut self, slot: usize, want: PollFlags) {
        if !self.sets.as_mut().is_some_and(|sets| sets.set(slot, want)) {
            self.host.set(slot, want);
        }
    }

    /// As [`List::vacate`].
    pub(crate) fn vacate(&mut self, slot: usize) {
        if let Some(sets) = &mut self.sets {
            sets.remove(slot, slot + 1);
        }
        self.host.vacate(slot);
    }

    /// As [`List::pass_over`], of no set: what one says is always asked for.
    pub(crate) fn pass_over(&mut self, slot: usize) {
        self.host.pass_over(slot);
    }

    /// As [`List::take_back`].
    pub(crate) fn take_back(&mut self) {
        self.host.take_back();
    }

    /// As [`List::owns_some`].
    #[inline]
    pub(crate) fn owns_some(&self) -> bool {
        self.host.owns_some()
    }

    /// As [`List::len`].
    pub(crate) fn len(&self) -> usize {
        self.host.len()
    }

    /// As [`List::truncate`].
    pub(crate) fn truncate(&mut self, slots: usize) {
        if let Some(sets) = &mut self.sets {
            sets.remove(slots, usize::MAX);
        }
        self.host.truncate(slots);
    }

    /// As [`List::compact`].
    pub(crate) fn compact(&mut self, mut moved: impl FnMut(usize, usize)) {
        let SourceList { host, sets } = self;
        host.compact(|from, to| {
            if let Some(sets) = sets {
                sets.moved(from, to);
            }
            moved(from, to);
        });
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
                self.sets = None;
                self.host.wait(until)
            }
        }
    }

    /// As [`List::ready`].
    #[inline]
    pub(crate) fn ready(&self) -> impl Iterator<Item = (usize, PollFlags)> {
        self.host.ready()
    }

    /// As [`List::collect`].
    #[inline]
    pub(crate) fn collect(
        &self,
        ready: usize,
        take: PollFlags,
        found: &mut Vec<usize>,
    ) -> PollFlags {
        self.host.collect(ready, take, found)
    }

    /// As [`List::ready_sources`].
    #[inline]
    pub(crate) fn ready_sources(&self) -> impl Iterator<Item = (RawSource, PollFlags)> {
        self.host.ready_sources()
    }
}

impl Beside for Nested {
    fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    fn put(&mut self, slot: usize, set: Weak<dyn Set>, want: PollFlags) {
        self.sets.push(Entry { slot, set, want, found: PollFlags::empty() });
    }

    fn set(&mut self, slot: usize, want: PollFlags) -> bool {
        let entry = self.sets.iter_mut().find(|entry| entry.slot == slot);
        entry.map(|entry| entry.want = want).is_some()
    }

    fn remove(&mut self, slot: usize, end: usize) {
        self.sets.retain(|entry| !(slot..end).contains(&entry.slot));
    }

    fn moved(&mut self, from: usize, to: usize) {
        if let Some(entry) = self.sets.iter_mut().find(|entry| entry.slot == from) {
            entry.slot = to;
        }
    }

    fn wait(&mut self, host: &mut HostList, until: &Until<'_>) -> io::Result<usize> {
        let len = host.len();
        let waited = self.wait_for_both(host, len, until);
        self.let_go();
        host.truncate(len);
        if waited.is_ok() {
            for entry in self.sets.iter().filter(|entry| !entry.found.is_empty()) {
                host.tell(entry.slot, entry.found);
            }
        }
        waited
    }
}

impl Nested {
    /// `len`: the slots of the list; the host has more while it waits.
    fn wait_for_both(
        &mut self,
        host: &mut HostList,
        len: usize,
        until: &Until<'_>,
    ) -> io::Result<usize> {
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

            host.truncate(len);
            let mut deadline = if ready == 0 { until.deadline } else { Deadline::NOW };
            if ready == 0 && !until.deadline.is_now() {
                let mut slot = len;
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
                if slot < len {
                    ready += 1;
                } else {
                    woken = true;
                }
            }
            if woken {
                // A set may be ready, beside what is.
                wake.drain();
                until.deadline.refresh();
            } else if ready > 0 || until.deadline.passed() {
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
