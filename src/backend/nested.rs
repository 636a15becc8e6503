//! The list of a wait: what the host waits on, and emulated sets, which have no
//! descriptor and are waited on through their members.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use super::{HostList, List, Wake};
use crate::flags::PollFlags;
use crate::source::{Held, Member, RawSource, Source};
use crate::timeout::{Deadline, Until};

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

/// Its owner's handle.
pub(crate) trait SetHandle {
    fn downgrade(&self) -> Weak<dyn Set>;
    fn id(&self) -> u64;
}

impl<S: Set + 'static> SetHandle for Arc<S> {
    fn downgrade(&self) -> Weak<dyn Set> {
        // Not `Arc::downgrade(self)` alone: that is a weak one of the type itself.
        let weak: Weak<S> = Arc::downgrade(self);
        weak
    }

    fn id(&self) -> u64 {
        Set::id(&**self)
    }
}

/// A [`List`] that takes sets too. Without any it is the host's.
#[derive(Default)]
pub(crate) struct SourceList {
    host: HostList,
    nested: Option<Box<Nested>>,
}

#[derive(Default)]
struct Nested {
    /// In order of slots. The host's slots of these are vacant.
    sets: Vec<Entry>,
    /// What ends the wait when a set is changed by another thread.
    wake: Option<Arc<Wake>>,
    /// The slots of the list; the host has more while it waits.
    len: usize,
    /// The sets that wake us now.
    observed: Vec<Arc<dyn Set>>,
    /// What the last wait found ready, by slots.
    told: Vec<(usize, RawSource, PollFlags)>,
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
    fn nested(&mut self) -> &mut Nested {
        let len = self.host.len();
        self.nested.get_or_insert_with(|| Box::new(Nested { len, ..Nested::default() }))
    }

    /// The host's list, without what the last wait added.
    fn own(&mut self) -> &mut HostList {
        if let Some(nested) = &self.nested {
            self.host.truncate(nested.len);
        }
        &mut self.host
    }

    fn settle(&mut self) {
        if let Some(nested) = &mut self.nested {
            nested.len = self.host.len();
        }
    }

    /// As [`List::put`].
    pub(crate) fn put(&mut self, slot: usize, source: &Member, want: PollFlags) {
        match source {
            Member::Host(held) => self.own().put(slot, held, want),
            Member::Set(set, _) => {
                // Its place among the others, which the host passes over.
                let own = self.own();
                if let Some(placeholder) = Held::placeholder() {
                    own.put(slot, &placeholder, PollFlags::empty());
                    own.vacate(slot);
                }
                let set = Weak::clone(set);
                let entry = Entry { slot, raw: source.raw(), set, want, found: PollFlags::empty() };
                let sets = &mut self.nested().sets;
                let at = sets.partition_point(|other| other.slot < slot);
                sets.insert(at, entry);
            }
        }
        self.settle();
    }

    /// As [`List::refill`].
    #[inline]
    pub(crate) fn refill<'a>(
        &mut self,
        mut sources: impl Iterator<Item = Source<'a>>,
        want: PollFlags,
    ) {
        if let Some(nested) = &mut self.nested {
            nested.sets.clear();
            self.own();
        }
        let mut set = None;
        let held = sources.by_ref().map_while(|source| {
            let held = source.held();
            if held.is_err() {
                set = Some(source);
            }
            held.ok()
        });
        self.host.refill(held, want);
        self.settle();
        for source in set.into_iter().chain(sources) {
            self.put(self.len(), &source.hold(), want);
        }
    }

    /// As [`List::source`].
    #[inline]
    pub(crate) fn source(&self, slot: usize) -> Option<RawSource> {
        let sets = self.nested.as_ref().map_or(&[][..], |nested| &nested.sets);
        let set = sets.iter().find(|entry| entry.slot == slot);
        set.map_or_else(|| self.host.source(slot), |set| Some(set.raw))
    }

    /// As [`List::set`].
    pub(crate) fn set(&mut self, slot: usize, want: PollFlags) {
        if let Some(nested) = &mut self.nested {
            if let Some(entry) = nested.sets.iter_mut().find(|entry| entry.slot == slot) {
                entry.want = want;
                return;
            }
        }
        self.own().set(slot, want);
    }

    /// As [`List::vacate`].
    pub(crate) fn vacate(&mut self, slot: usize) {
        if let Some(nested) = &mut self.nested {
            nested.sets.retain(|entry| entry.slot != slot);
        }
        self.own().vacate(slot);
    }

    /// As [`List::len`].
    pub(crate) fn len(&self) -> usize {
        self.nested.as_ref().map_or_else(|| self.host.len(), |nested| nested.len)
    }

    /// As [`List::truncate`].
    pub(crate) fn truncate(&mut self, slots: usize) {
        if let Some(nested) = &mut self.nested {
            nested.sets.retain(|entry| entry.slot < slots);
        }
        self.own().truncate(slots);
        self.settle();
    }

    /// As [`List::compact`].
    pub(crate) fn compact(&mut self, mut moved: impl FnMut(usize, usize)) {
        let mut none = Vec::new();
        self.own();
        let SourceList { host, nested } = self;
        let sets = nested.as_mut().map_or(&mut none, |nested| &mut nested.sets);
        if let Some(placeholder) = Held::placeholder() {
            for entry in sets.iter() {
                host.put(entry.slot, &placeholder, PollFlags::empty());
            }
        }
        host.compact(|from, to| {
            if let Some(entry) = sets.iter_mut().find(|entry| entry.slot == from) {
                entry.slot = to;
            }
            moved(from, to);
        });
        for entry in sets.iter() {
            host.vacate(entry.slot);
        }
        self.settle();
    }

    /// As [`List::wait`].
    #[inline]
    pub(crate) fn wait(&mut self, until: Until<'_>) -> io::Result<usize> {
        if self.nested.is_none() { self.host.wait(until) } else { self.wait_nested(until) }
    }

    #[cold]
    fn wait_nested(&mut self, until: Until<'_>) -> io::Result<usize> {
        self.own();
        match &mut self.nested {
            Some(nested) if !nested.sets.is_empty() => {
                nested.told.clear();
                let waited = nested.wait(&mut self.host, until);
                nested.let_go();
                nested.merge(&self.host);
                waited
            }
            _ => {
                self.nested = None;
                self.host.wait(until)
            }
        }
    }

    /// As [`List::ready`].
    #[inline]
    pub(crate) fn ready(&self) -> impl Iterator<Item = (usize, PollFlags)> {
        let told = self.nested.as_ref().map(|nested| nested.told.iter());
        let merged = told.map(|told| told.map(|&(slot, _, flags)| (slot, flags)));
        Ready { host: self.host.ready(), merged }
    }

    /// As [`List::ready_sources`].
    #[inline]
    pub(crate) fn ready_sources(&self) -> impl Iterator<Item = (RawSource, PollFlags)> {
        let told = self.nested.as_ref().map(|nested| nested.told.iter());
        let merged = told.map(|told| told.map(|&(_, source, flags)| (source, flags)));
        Ready { host: self.host.ready_sources(), merged }
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
        match &mut self.merged {
            None => self.host.next(),
            Some(merged) => merged.next(),
        }
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

    fn wait(&mut self, host: &mut HostList, until: Until<'_>) -> io::Result<usize> {
        let wake = match &self.wake {
            Some(wake) => Arc::clone(wake),
            None => Arc::clone(self.wake.insert(Arc::new(Wake::new()?))),
        };
        let mut until = until;
        loop {
            // From here on a change of a set wakes us.
            let mut watch = Watch { wake: &wake, observed: &mut self.observed, new: false };
            for set in self.sets.iter().filter_map(Entry::asked) {
                set.observe(&mut watch);
            }
            let mut ready = self.look()?;

            host.truncate(self.len);
            let mut deadline = if ready == 0 { until.deadline } else { Deadline::NOW };
            if ready == 0 && until.deadline.left() != Some(std::time::Duration::ZERO) {
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

            host.wait(Until { deadline, signals: until.signals })?;
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
static NESTING: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());

/// How many sets there may be one above the other, the lowest not counted: Linux's
/// `EP_MAX_NESTS`.
const NESTS: usize = 4;

/// Takes note that `outer` holds `inner`. `false` if that would make a loop, or
/// go more than five deep.
pub(crate) fn nest(outer: u64, inner: u64) -> bool {
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
    let mut edges = NESTING.lock().unwrap_or_else(PoisonError::into_inner);
    // With it in place a loop is a way without end.
    edges.push((outer, inner));
    let fits = way(&edges, outer, true, 0) + 1 + way(&edges, inner, false, 0) <= NESTS;
    if !fits {
        edges.pop();
    }
    fits
}

/// Takes note that `outer` does not hold `inner` any more.
pub(crate) fn part(outer: u64, inner: u64) {
    let mut edges = NESTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(at) = edges.iter().position(|edge| *edge == (outer, inner)) {
        edges.swap_remove(at);
    }
}

/// Takes note that a set is gone.
pub(crate) fn forget(id: u64) {
    let mut edges = NESTING.lock().unwrap_or_else(PoisonError::into_inner);
    edges.retain(|(outer, inner)| *outer != id && *inner != id);
}
