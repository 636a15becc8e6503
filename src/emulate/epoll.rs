//! epoll(7) over any backend.
//!
//! The backend keeps the sources, tells levels, edges and one-shots, and tells a
//! source that was closed. Here is the rest: what may be registered and with
//! which error it is refused, the caller's data, and the registrations that ended
//! behind our back.
//!
//! Order of errors and everything else: epoll_ctl(2), and what Linux does where
//! the manual is silent (fs/eventpoll.c).

use std::io;
use std::sync::Arc;

use crate::backend::lock::{Guard, Lock, Pool, THREADS};
use crate::backend::{
    Added, AtOnce, Backend, HostBackend, Identity, Key, Mode, TELLS_IDENTITY, Taker, errno,
};
use crate::error::of_source;
use crate::event::EpollEvent;
use crate::flags::{EpollCreate, EpollFlags, PollFlags};
use crate::index::Index;
use crate::source::{Member, RawSource, Source};
use crate::timeout::Until;

pub(crate) struct EmulatedEpoll {
    set: Arc<HostBackend>,
    table: Lock<Table>,
    buffers: Pool<Buffer>,
}

type Buffer = <HostBackend as Backend>::Buffer;

/// Told whether asked for or not.
const UNASKED: EpollFlags = EpollFlags::ERR.union(EpollFlags::HUP);

/// What may stand beside `EXCLUSIVE`.
const WITH_EXCLUSIVE: EpollFlags = EpollFlags::EXCLUSIVE
    .union(EpollFlags::IN)
    .union(EpollFlags::OUT)
    .union(EpollFlags::WAKEUP)
    .union(EpollFlags::ET)
    .union(UNASKED);

fn error(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

fn wants(flags: EpollFlags) -> PollFlags {
    PollFlags::from_epoll(flags | UNASKED)
}

fn mode(flags: EpollFlags) -> Mode {
    match (flags.contains(EpollFlags::ET), flags.contains(EpollFlags::ONESHOT)) {
        (false, false) => Mode::Level,
        (true, false) => Mode::Edge,
        (false, true) => Mode::OneShot,
        (true, true) => Mode::EdgeOneShot,
    }
}

impl EmulatedEpoll {
    pub(crate) fn new(flags: u32) -> io::Result<EmulatedEpoll> {
        if flags & !EpollCreate::CLOEXEC.bits() != 0 {
            return Err(error(errno::INVALID));
        }
        let set = Arc::new(HostBackend::new()?);
        Ok(EmulatedEpoll { set, table: Lock::default(), buffers: Pool::default() })
    }

    pub(crate) fn as_source(&self) -> Source<'_> {
        HostBackend::as_source(&self.set)
    }

    fn table(&self) -> Guard<'_, Table> {
        self.table.lock()
    }

    /// What every operation begins with: whether the source is one for epoll, and where it
    /// is registered. A registration under its number that is not its own ends.
    fn look_up(&self, source: Source<'_>) -> io::Result<(Member, Guard<'_, Table>, Option<usize>)> {
        let member = source.hold();
        match member.is_file() {
            Ok(true) => return Err(error(errno::NOT_PERMITTED)),
            Ok(false) if member.code() == HostBackend::raw(&self.set).code() => {
                return Err(error(errno::INVALID));
            }
            Ok(false) => {}
            Err(error) => return Err(of_source("epoll", &member, error)),
        }
        let mut table = self.table();
        let mut slot = table.find(member.code());
        if let Some(at) = slot {
            let entry = table.entries[at].as_ref();
            if entry.is_none_or(|entry| entry.identity != member.identity()) {
                self.end(&mut table, at);
                slot = None;
            }
        }
        Ok((member, table, slot))
    }

    /// Whether it was there: a host that has sets of its own has forgotten a source
    /// that was closed.
    fn end(&self, table: &mut Table, slot: usize) -> bool {
        let key = table.key(slot);
        let Some(entry) = &table.entries[slot] else { return false };
        let known = self.set.delete(key, &entry.source).is_ok();
        table.remove(slot);
        known
    }

    pub(crate) fn add(&self, source: Source<'_>, flags: EpollFlags, data: u64) -> io::Result<()> {
        let (member, mut table, old) = self.look_up(source)?;
        if flags.contains(EpollFlags::EXCLUSIVE)
            && (member.is_set() || !WITH_EXCLUSIVE.contains(flags))
        {
            return Err(error(errno::INVALID));
        }
        if old.is_some() && !HostBackend::CAPS.identity {
            return Err(error(errno::EXISTS));
        }
        let slot = table.reserve();
        match self.set.add(table.key(slot), &member, wants(flags), mode(flags)) {
            Ok(Added::Watched) => {}
            refused => {
                table.release(slot);
                return Err(refused.err().unwrap_or_else(|| error(errno::NOT_PERMITTED)));
            }
        }
        // The host knew that it was closed.
        if let Some(old) = old {
            table.remove(old);
        }
        let identity = member.identity();
        table.insert(slot, Entry { source: member, identity }, flags, data);
        Ok(())
    }

    pub(crate) fn modify(
        &self,
        source: Source<'_>,
        flags: EpollFlags,
        data: u64,
    ) -> io::Result<()> {
        let (member, mut table, slot) = self.look_up(source)?;
        if flags.contains(EpollFlags::EXCLUSIVE) {
            return Err(error(errno::INVALID));
        }
        let Some(slot) = slot else { return Err(error(errno::NOT_FOUND)) };
        if table.heads[slot].flags.contains(EpollFlags::EXCLUSIVE) {
            return Err(error(errno::INVALID));
        }
        match self.set.modify(table.key(slot), &member, wants(flags), mode(flags)) {
            // The host has forgotten it: it was closed.
            Err(gone) if HostBackend::CAPS.identity && gone.kind() == io::ErrorKind::NotFound => {
                table.remove(slot);
                return Err(error(errno::NOT_FOUND));
            }
            modified => modified?,
        }
        table.set(slot, flags, data);
        Ok(())
    }

    pub(crate) fn delete(&self, source: Source<'_>) -> io::Result<()> {
        let (_, mut table, slot) = self.look_up(source)?;
        let ended = slot.is_some_and(|slot| self.end(&mut table, slot));
        if ended { Ok(()) } else { Err(error(errno::NOT_FOUND)) }
    }

    /// The program met `WouldBlock`.
    pub(crate) fn rearm(&self, source: Source<'_>) -> io::Result<()> {
        let table = self.table();
        let key = table.find(source.raw().code()).map(|slot| table.key(slot));
        drop(table);
        key.map_or(Ok(()), |key| self.set.rearm(key))
    }

    /// The program closed a source.
    pub(crate) fn closed(&self, source: RawSource) {
        let mut table = self.table();
        if let Some(slot) = table.find(source.code()) {
            self.end(&mut table, slot);
        }
    }

    pub(crate) fn close(self) -> io::Result<()> {
        Ok(())
    }

    /// Fills the front of `events`.
    #[inline]
    pub(crate) fn wait(&self, events: &mut [EpollEvent], until: &Until<'_>) -> io::Result<usize> {
        if events.is_empty() {
            return Err(error(errno::INVALID));
        }
        // The ordinary case, apart from the others, which would make it slower.
        let (most, room) = (events.len(), events.iter_mut());
        if HostBackend::PLAIN {
            let to = Taking { table: self.table(), room };
            return match self.set.wait_plainly(most, until, to) {
                0 => self.wait_with_buffer(events, *until),
                told => Ok(told),
            };
        }
        let waited = self.set.wait_at_once(most, until, || {
            // Who has the table may wait for the set: not the other way round.
            let mut table = self.table.try_lock()?;
            table.next_round();
            Some(Taking { table, room })
        })?;
        match waited {
            AtOnce::Told(told) if told > 0 => Ok(told),
            other => self.wait_again(events, *until, other),
        }
    }

    /// `before`: what has been tried.
    #[cold]
    fn wait_again(
        &self,
        events: &mut [EpollEvent],
        mut until: Until<'_>,
        before: AtOnce,
    ) -> io::Result<usize> {
        let passed = before != AtOnce::NotTried && until.deadline.passed();
        if passed && before != AtOnce::Failed {
            // Of what was told before, nothing is ready now.
            self.table().next_round();
            return Ok(0);
        }
        self.wait_with_buffer(events, until)
    }

    #[cold]
    fn wait_with_buffer(
        &self,
        events: &mut [EpollEvent],
        mut until: Until<'_>,
    ) -> io::Result<usize> {
        let mut found = self.buffers.take();
        let waited = loop {
            let mut waited = self.set.wait_with_buffer(&mut found, events.len(), &until);
            let mut taken = 0;
            if waited.is_ok() {
                let passed_over = self.take(&found, events, &mut taken, &[]);
                if THREADS && passed_over && taken < events.len() {
                    // It took the place of something else.
                    waited = self.fill_up(&mut found, events, &mut taken);
                }
            }
            if taken > 0 {
                break Ok(taken);
            }
            if waited.is_err() || until.deadline.passed() {
                break waited.map(|()| 0);
            }
        };
        self.buffers.give(found);
        waited
    }

    /// Looks for more.
    #[cold]
    fn fill_up(
        &self,
        found: &mut Buffer,
        events: &mut [EpollEvent],
        taken: &mut usize,
    ) -> io::Result<()> {
        let mut before: Vec<Key> = HostBackend::events(found).map(|(key, _)| key).collect();
        loop {
            // No more than there is room for: what the backend tells may be told once.
            self.set.wait_with_buffer(found, events.len() - *taken, &Until::NOW)?;
            if !self.take(found, events, taken, &before) || *taken == events.len() {
                return Ok(());
            }
            before.extend(HostBackend::events(found).map(|(key, _)| key));
        }
    }

    /// Makes events of what the backend found, but for those of `before`. Whether
    /// something was not worth one.
    fn take(
        &self,
        found: &Buffer,
        events: &mut [EpollEvent],
        taken: &mut usize,
        before: &[Key],
    ) -> bool {
        let mut table = self.table();
        table.next_round();
        let mut passed_over = false;
        for (key, flags) in HostBackend::events(found) {
            if THREADS && before.contains(&key) {
                continue;
            }
            let Table { heads, entries, round, .. } = &mut *table;
            let slot = key.slot();
            let head = heads.get_mut(slot);
            let Some(head) = head.filter(|head| head.generation == key.generation()) else {
                // Late news.
                passed_over = true;
                continue;
            };
            if flags.contains(PollFlags::NVAL) {
                self.end(&mut table, slot);
                continue;
            }
            let Some(event) = events.get_mut(*taken) else { break };
            match head.tell(entries, slot, *round, flags, event) {
                News::Event => *taken += 1,
                News::Nothing => passed_over = true,
                News::Ended => {
                    self.end(&mut table, slot);
                    passed_over = true;
                }
            }
        }
        passed_over
    }
}

/// Makes events of what the backend tells while nobody changes the table: of no news
/// that is late.
struct Taking<'a> {
    table: Guard<'a, Table>,
    room: std::slice::IterMut<'a, EpollEvent>,
}

impl Taker for Taking<'_> {
    #[inline]
    fn take(
        &mut self,
        found: impl Iterator<Item = (usize, PollFlags)>,
        _key: impl Fn(usize) -> Option<Key>,
    ) -> bool {
        let Taking { table, room } = self;
        let Table { heads, entries, round, .. } = &mut **table;
        let (heads, entries, round) = (&mut heads[..], &entries[..], *round);
        let mut all = true;
        found.for_each(|(slot, flags)| {
            let told = match (heads.get_mut(slot), room.next()) {
                (Some(head), Some(event)) => head.tell(entries, slot, round, flags, event),
                _ => News::Nothing,
            };
            all &= told == News::Event;
        });
        all
    }
}

impl std::fmt::Debug for EmulatedEpoll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let table = self.table();
        let sources = table.entries.iter().flatten();
        f.debug_set().entries(sources.map(|entry| entry.source.raw())).finish()
    }
}

/// The registrations.
#[derive(Default)]
struct Table {
    /// By slot; and what a wait needs of it, apart, to be near.
    entries: Vec<Option<Entry>>,
    heads: Vec<Head>,
    free: Vec<u32>,
    index: Index,
    /// Counts what was found.
    round: u32,
}

#[derive(Clone, Copy, Default)]
struct Head {
    generation: u32,
    flags: EpollFlags,
    data: u64,
    looks: [Looks; TELLS_IDENTITY as usize],
}

/// When to look whether a source is still itself, where that can be told.
#[derive(Clone, Copy, Default)]
struct Looks {
    told: Told,
    /// In which round that began, and in which one to look next.
    first: u32,
    look: u32,
}

struct Entry {
    source: Member,
    /// What tells the source from another one with its number.
    identity: Option<Identity>,
}

/// What a source was told with last.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    round: u32,
    flags: EpollFlags,
}

/// A look at a source costs more than a small poll(2). One that is told in each round,
/// and always the same, is looked at so often in a row, and then now and then.
const LOOKS: u32 = 32;
const NOW_AND_THEN: u32 = 256;

/// What there is to say of a source.
#[derive(PartialEq, Eq)]
enum News {
    Event,
    Nothing,
    /// The number is another source's: the registration ended.
    Ended,
}

impl Head {
    /// Whether it is time to look at the source, where the host does not tell.
    #[inline]
    fn is_to_be_looked_at(&mut self, round: u32, flags: EpollFlags) -> bool {
        let looks = self.looks.first_mut().filter(|_| !HostBackend::CAPS.identity);
        let Some(looks) = looks else { return false };
        let before = std::mem::replace(&mut looks.told, Told { round, flags });
        let alike = before == Told { round: round.wrapping_sub(1), flags };
        if alike && looks.look != round {
            return false;
        }
        looks.next(round, alike);
        true
    }

    /// Makes an event of what the backend found of a slot in use.
    #[inline(always)]
    fn tell(
        &mut self,
        entries: &[Option<Entry>],
        slot: usize,
        round: u32,
        flags: PollFlags,
        event: &mut EpollEvent,
    ) -> News {
        // What was closed has no name here.
        let flags = flags.to_epoll() & (self.flags | UNASKED);
        if self.is_to_be_looked_at(round, flags) && is_another(entries, slot) {
            // Whoever wants to be sure looks again.
            if let Some(looks) = self.looks.first_mut() {
                looks.look = round.wrapping_add(1);
            }
            return News::Ended;
        }
        if flags.is_empty() {
            return News::Nothing;
        }
        *event = EpollEvent::new(flags, self.data);
        News::Event
    }
}

impl Looks {
    #[cold]
    fn next(&mut self, round: u32, alike: bool) {
        if !alike {
            self.first = round;
        }
        let next = round.wrapping_add(1).wrapping_sub(self.first);
        let then = (next | (NOW_AND_THEN - 1)).wrapping_add(1);
        let next = if next < LOOKS { next } else { then };
        self.look = self.first.wrapping_add(next);
    }
}

/// Whether the number of a slot's source is another one's, where that can be told.
#[cold]
fn is_another(entries: &[Option<Entry>], slot: usize) -> bool {
    let entry = entries.get(slot).and_then(Option::as_ref);
    entry.is_some_and(|entry| entry.source.identity() != entry.identity)
}

impl Table {
    fn next_round(&mut self) {
        if TELLS_IDENTITY {
            self.round = self.round.wrapping_add(1);
        }
    }

    fn key(&self, slot: usize) -> Key {
        Key::new(slot as u32, self.heads[slot].generation)
    }

    #[cfg_attr(target_family = "wasm", inline(always))]
    fn find(&self, code: u64) -> Option<usize> {
        self.index.get(code).map(|slot| slot as usize)
    }

    /// A slot for a new registration: to be inserted or released.
    fn reserve(&mut self) -> usize {
        if let Some(slot) = self.free.pop() {
            return slot as usize;
        }
        self.heads.push(Head::default());
        self.entries.push(None);
        self.heads.len() - 1
    }

    fn release(&mut self, slot: usize) {
        self.free.push(slot as u32);
    }

    fn insert(&mut self, slot: usize, entry: Entry, flags: EpollFlags, data: u64) {
        self.index.insert(entry.source.code(), slot as u32);
        self.entries[slot] = Some(entry);
        self.set(slot, flags, data);
    }

    fn set(&mut self, slot: usize, flags: EpollFlags, data: u64) {
        let head = &mut self.heads[slot];
        *head = Head { generation: head.generation, flags, data, ..Head::default() };
    }

    #[cfg_attr(target_family = "wasm", inline(always))]
    fn remove(&mut self, slot: usize) {
        if let Some(entry) = self.entries[slot].take() {
            let head = &mut self.heads[slot];
            head.generation = head.generation.wrapping_add(1);
            self.index.remove(entry.source.code());
            self.release(slot);
        }
    }
}
