//! The host of a kqueue where it has no descriptor: a set of the backend.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Weak};

use super::Shared;
use super::error::{self, EINVAL, ENOENT, system};
use super::state::State;
use crate::backend::lock::Lock;
use crate::backend::probe::Kind;
use crate::backend::{self, Added, Backend, Key, Scan, Set};
use crate::flags::PollFlags;
use crate::kevent::Filter;
#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::source::Held;
use crate::source::Member;
use crate::timeout::{Instant, Until};

/// The set, by which others wait for the kqueue.
pub(super) type Own = Arc<Scan>;

/// How many events of its own come beside those of knotes.
pub(super) const OWN: usize = 1;

/// How the host is to tell of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Level,
    Edge,
    /// Its end and its errors.
    End,
    /// Not at all.
    Off,
}

pub(super) struct Host {
    set: Arc<Scan>,
    /// By slot of the set, which has only what is waited on: whose it is.
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_key: HashMap<u64, Key>,
    woken: bool,
    /// What was said to those who wait for it.
    published: (bool, Option<Instant>),
    buffers: Vec<Buffer>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    key: Option<Key>,
}

/// Where a wait puts what it found.
#[derive(Default)]
pub(super) struct Buffer(<Scan as Backend>::Buffer);

impl Buffer {
    pub(super) fn events(&self) -> impl Iterator<Item = (Key, PollFlags)> {
        Scan::events(&self.0)
    }

    /// Waits for at most `most` events, with the lock or without.
    pub(super) fn wait(
        &mut self,
        own: &Own,
        most: usize,
        _write_first: bool,
        until: Until<'_>,
    ) -> io::Result<()> {
        own.wait(&mut self.0, most, &until)
    }

    pub(super) fn generation(&self) -> u64 {
        0
    }
}

/// A kqueue's number as a set.
pub(super) struct Mark(u64);

fn wanted(filter: Filter, mode: Mode) -> (PollFlags, backend::Mode) {
    let want = super::read_write::want(filter);
    match mode {
        Mode::Level => (want, backend::Mode::Level),
        Mode::Edge => (want, backend::Mode::Edge),
        Mode::End => (PollFlags::RDHUP, backend::Mode::Edge),
        Mode::Off => (PollFlags::empty(), backend::Mode::Level),
    }
}

/// The kqueues of this process, by their numbers as sets.
static ALL: Lock<BTreeMap<u64, Weak<Shared>>> = Lock::new(BTreeMap::new());

pub(super) fn enter(shared: &Arc<Shared>) {
    let mut all = ALL.lock();
    all.insert(shared.mark.0, Arc::downgrade(shared));
}

impl Drop for Mark {
    fn drop(&mut self) {
        ALL.lock().remove(&self.0);
    }
}

pub(super) fn close(_own: Own) -> io::Result<()> {
    Ok(())
}

impl Host {
    /// A number that is another source's is told apart by us, if at all.
    pub(super) const TELLS_APART: bool = false;
    /// Changes are found by looking at levels.
    pub(super) const EDGES: bool = false;

    pub(super) fn new() -> io::Result<(Own, Host)> {
        let set = Arc::new(Scan::new()?);
        set.share();
        let own = Arc::clone(&set);
        let host = Host {
            set,
            slots: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::new(),
            woken: false,
            published: (false, None),
            buffers: Vec::new(),
        };
        Ok((own, host))
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.set.id())
    }

    fn add(
        &mut self,
        key: Key,
        source: &Member,
        want: PollFlags,
        mode: backend::Mode,
    ) -> io::Result<Added> {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        let place = &mut self.slots[slot as usize];
        place.generation = place.generation.wrapping_add(1);
        let generation = place.generation;
        let own = Key::new(slot, generation);
        match self.set.add(own, source, want, mode) {
            Ok(added) => {
                place.key = Some(key);
                self.by_key.insert(key.bits(), own);
                Ok(added)
            }
            Err(error) => {
                // The set has slots without gaps: a new one must come again next.
                if generation == 1 {
                    self.slots.pop();
                } else {
                    self.free.push(slot);
                }
                Err(error)
            }
        }
    }

    fn remove(&mut self, key: Key, source: &Member) -> io::Result<()> {
        let Some(own) = self.by_key.remove(&key.bits()) else { return Ok(()) };
        self.slots[own.slot()].key = None;
        self.free.push(own.slot() as u32);
        self.set.delete(own, source)
    }

    /// Whoever waits for it is told from now on what is in its queue.
    pub(super) fn expose(&mut self, _own: &Own) -> io::Result<()> {
        Ok(())
    }

    /// Whose event it is.
    pub(super) fn key(&self, event: Key) -> Option<Key> {
        if event == Key::WAKE {
            return Some(event);
        }
        let slot = self.slots.get(event.slot())?;
        slot.key.filter(|_| slot.generation == event.generation())
    }

    /// Watches a descriptor of the kqueue's own.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn watch_own(&mut self, key: Key, fd: i32) -> io::Result<()> {
        let source = Member::Host(Held::Fd(fd));
        self.add(key, &source, PollFlags::IN, backend::Mode::Level).map(drop)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn forget_own(&mut self, key: Key, fd: i32) {
        let _ = self.remove(key, &Member::Host(Held::Fd(fd)));
    }

    pub(super) fn watch(
        &mut self,
        _own: &Own,
        key: Key,
        source: &Member,
        filter: Filter,
        mode: Mode,
    ) -> io::Result<Added> {
        let (want, mode) = wanted(filter, mode);
        self.add(key, source, want, mode)
    }

    pub(super) fn change(
        &mut self,
        key: Key,
        source: &Member,
        filter: Filter,
        mode: Mode,
    ) -> io::Result<()> {
        let (want, mode) = wanted(filter, mode);
        let own = self.by_key.get(&key.bits()).copied().ok_or_else(|| system(ENOENT))?;
        self.set.modify(own, source, want, mode)
    }

    /// The next change is told at once.
    pub(super) fn rearm(&mut self, key: Key) -> io::Result<()> {
        self.by_key.get(&key.bits()).map_or(Ok(()), |own| self.set.rearm(*own))
    }

    pub(super) fn forget(&mut self, key: Key, source: &Member, _filter: Filter) -> io::Result<()> {
        self.remove(key, source)
    }

    pub(super) fn has_many(&self) -> bool {
        false
    }

    pub(super) fn is_same(&self, _source: &Member, _filter: Filter) -> bool {
        true
    }

    /// A source that is a kqueue itself.
    pub(super) fn nested(
        &mut self,
        _own: &Own,
        source: &Member,
        _kind: Option<Kind>,
        filter: Filter,
    ) -> io::Result<Option<Weak<Shared>>> {
        let Member::Set(set) = source else { return Ok(None) };
        if set.id() == self.set.id() {
            return Err(system(EINVAL));
        }
        if filter == Filter::Write {
            return Err(error::refused(filter, "a set is not written to"));
        }
        let all = ALL.lock();
        Ok(all.get(&set.id()).map(Weak::clone))
    }

    /// Nothing stays behind in a host that keeps nothing.
    pub(super) fn is_haunted(&self) -> bool {
        false
    }

    pub(super) fn rebuild<'a>(
        &mut self,
        _own: &Own,
        _live: impl Iterator<Item = (Key, &'a Member, Filter, Mode)>,
        _descriptors: &[(Key, i32)],
    ) -> io::Result<()> {
        Ok(())
    }

    /// There is nothing to wait on but the set.
    pub(super) fn prepare(&self, _buffer: &mut Buffer) {}

    pub(super) fn is_woken(&self) -> bool {
        self.woken
    }

    pub(super) fn generation(&self) -> u64 {
        0
    }

    pub(super) fn buffer(&mut self) -> Buffer {
        self.buffers.pop().unwrap_or_default()
    }

    pub(super) fn keep(&mut self, buffer: Buffer) {
        self.buffers.push(buffer);
    }

    /// Takes note of an event of the kqueue's own; false if it is none.
    pub(super) fn take_own(&mut self, key: Key) -> bool {
        if key == Key::WAKE {
            // Whoever it was meant for may not have seen it.
            self.woken = false;
        }
        key == Key::WAKE
    }

    /// Ends a wait, if somebody was kicked, and tells those who wait for this kqueue
    /// what is in its queue, and from when on there will be something.
    pub(super) fn settle(
        &mut self,
        kicked: bool,
        exposed: bool,
        queued: bool,
        at: Option<Instant>,
    ) {
        if kicked && !self.woken {
            self.woken = self.set.wake().is_ok();
        }
        self.woken &= kicked;
        let published = (queued, at);
        if exposed && self.published != published && self.set.publish(queued, at).is_ok() {
            self.published = published;
        }
    }
}

/// How many of the sources of a kqueue are ready. Takes none.
pub(super) fn pending(state: &mut State) -> usize {
    let host = &state.host;
    let queued = usize::from(host.published.0);
    host.set.peek_count().map_or(0, |count| count.saturating_sub(queued))
}
