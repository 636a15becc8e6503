//! What a wait needs of each registration, to be read without a lock.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::event::{Event, Ready};
use super::numbers::{self, Gate, Numbers};
use super::slots::Slots;
use super::{Interest, Mode};
use crate::backend::Key;
use crate::backend::lock::THREADS;
use crate::flags::PollFlags;

/// One cell a registration, in two kinds: by the slot of the table, and by the number
/// of the source itself (see `numbers`).
#[derive(Default)]
pub(super) struct Cells {
    slots: Slots,
    pub(super) numbers: Numbers,
}

/// Written by one at a time, read by every wait. A reader that finds the state the
/// same before and after has what belongs together; while a registration is modified
/// it may see the new token with the old state.
pub(super) struct Cell {
    /// Above, the generation.
    state: AtomicU64,
    token: AtomicU64,
    /// Who may write: whoever has the lock, unless it is a number's.
    pub(super) gate: Gate,
}

/// What a cell has at a time: its state, and the token that belongs to it.
#[derive(Clone, Copy, Default)]
pub(super) struct Words {
    state: u64,
    token: u64,
}

/// Below these bits the interest; above them a count of the changes, so that no
/// state is taken for an earlier one, and the generation.
const EDGE: u64 = 1 << 7;
const LIVE: u64 = 1 << 8;
/// It reports: not one-shot and reported already.
const ARMED: u64 = 1 << 9;
const ONESHOT: u64 = 1 << 10;
const CHANGE: u64 = 1 << 11;

impl Cell {
    pub(super) const fn new() -> Cell {
        Cell::of(Words { state: 0, token: 0 })
    }

    pub(super) const fn of(Words { state, token }: Words) -> Cell {
        Cell { state: AtomicU64::new(state), token: AtomicU64::new(token), gate: Gate::new() }
    }

    #[inline(always)]
    pub(super) fn read(&self) -> Words {
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            let token = self.token.load(Ordering::Relaxed);
            if !THREADS {
                return Words { state, token };
            }
            fence(Ordering::Acquire);
            let after = self.state.load(Ordering::Acquire);
            if after == state {
                return Words { state, token };
            }
            state = after;
        }
    }

    #[inline]
    pub(super) fn standing(&self) -> Standing {
        Standing(self.state.load(Ordering::Relaxed))
    }

    /// The generation that is published, or will be next.
    #[inline]
    pub(super) fn generation(&self) -> u32 {
        self.standing().generation()
    }

    #[inline]
    pub(super) fn is_live(&self) -> bool {
        self.standing().is_live()
    }

    /// What it reports, and how.
    pub(super) fn wants(&self) -> (Interest, Mode) {
        let state = self.state.load(Ordering::Relaxed);
        let mode = match (state & EDGE != 0, state & ONESHOT != 0) {
            (false, false) => Mode::Level,
            (true, false) => Mode::Edge,
            (false, true) => Mode::OneShot,
            (true, true) => Mode::EdgeOneShot,
        };
        let reports = if state & ARMED != 0 { state as u8 } else { 0 };
        (Interest::from_bits_truncate(reports), mode)
    }

    /// Makes a registration known. Before the backend has it: what it tells may come
    /// at once.
    #[inline]
    pub(super) fn publish(&self, generation: u32, token: u64, interest: Interest, mode: Mode) {
        self.publish_after(self.standing(), generation, token, interest, mode);
    }

    /// The same by who has seen how it stands.
    #[inline]
    pub(super) fn publish_after(
        &self,
        before: Standing,
        generation: u32,
        token: u64,
        interest: Interest,
        mode: Mode,
    ) {
        let edge = if mode.is_edge() { EDGE } else { 0 };
        let oneshot = if mode.is_oneshot() { ONESHOT } else { 0 };
        self.token.store(token, Ordering::Relaxed);
        let state = before.changed(generation) | LIVE | ARMED | edge | oneshot;
        self.state.store(state | u64::from(interest.bits()), Ordering::Release);
    }

    /// Ends a registration.
    #[inline]
    pub(super) fn revoke(&self, generation: u32) {
        let next = generation.wrapping_add(1);
        self.state.store(self.standing().changed(next), Ordering::Release);
        // What is published in this cell next is seen after that.
        fence(Ordering::Release);
    }
}

/// The state of a cell as it was seen.
#[derive(Clone, Copy)]
pub(super) struct Standing(u64);

impl Standing {
    #[inline]
    pub(super) fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    pub(super) fn is_live(self) -> bool {
        self.0 & LIVE != 0
    }

    /// One change later, of a generation, with all else unset.
    #[inline]
    fn changed(self, generation: u32) -> u64 {
        let count = (self.0 as u32 & !(CHANGE as u32 - 1)).wrapping_add(CHANGE as u32);
        u64::from(generation) << 32 | u64::from(count)
    }
}

impl Words {
    /// The event that news make which are nothing but plain, of a registration that was
    /// `meant`.
    #[inline(always)]
    fn plain_event(self, flags: PollFlags, meant: impl Fn(u32) -> bool) -> Option<Event> {
        if !Ready::is_plain(flags) {
            return None;
        }
        let Words { state, token } = self;
        let ready = Ready::of(flags, Interest::from_bits_truncate(state as u8));
        let plain = state & (LIVE | ARMED | ONESHOT) == LIVE | ARMED && !ready.is_empty();
        (plain && meant((state >> 32) as u32)).then(|| Event::source(token, ready))
    }
}

impl Cell {
    /// What becomes of news, and the event that they make. `once`: the backend tells of
    /// one-shots.
    fn tell(&self, once: bool, key: Key, flags: PollFlags) -> (Told, Option<Event>) {
        let Words { state, token } = self.read();
        if (state >> 32) as u32 != key.generation() || state & LIVE == 0 {
            return (Told::Stale, None);
        }
        let interest = Interest::from_bits_truncate(state as u8);
        let ready = Ready::of(flags, interest);
        if state & ARMED == 0 || interest.is_empty() || ready.is_empty() {
            return (Told::Done, None);
        }
        if state & ONESHOT != 0 {
            if !once {
                return (Told::Stale, None);
            }
            // It changed: told by another thread; or modified, and then the host
            // tells it anew; or the cell is another registration's.
            let told = state & !ARMED;
            let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            if self.state.compare_exchange(state, told, success, failure).is_err() {
                return (Told::Done, None);
            }
        }
        (Told::Done, Some(Event::source(token, ready)))
    }
}

/// What became of news for a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It was an event, or is not wanted.
    Done,
    /// There is no such registration any more.
    Stale,
}

impl Cells {
    #[inline]
    fn with<R>(&self, key: Key, act: impl FnOnce(&Cell) -> R) -> Option<R> {
        match numbers::number(key) {
            Some(number) => self.numbers.get(number).map(act),
            None => self.slots.with(key.slot(), act),
        }
    }

    #[inline(always)]
    fn read(&self, key: Key) -> Option<Words> {
        match numbers::number(key) {
            Some(number) => self.numbers.get(number).map(Cell::read),
            None => self.slots.read(key.slot()),
        }
    }

    /// As a cell's. Under the lock, as all that is not told otherwise.
    pub(super) fn publish(&self, key: Key, token: u64, interest: Interest, mode: Mode) {
        self.slots.make(key.slot());
        self.slots.with(key.slot(), |cell| cell.publish(key.generation(), token, interest, mode));
    }

    pub(super) fn revoke(&self, key: Key) {
        self.with(key, |cell| cell.revoke(key.generation()));
    }

    /// Whether there is this registration.
    pub(super) fn is_live(&self, key: Key) -> bool {
        let is_live = |cell: &Cell| cell.is_live() && cell.generation() == key.generation();
        self.with(key, is_live) == Some(true)
    }

    /// Whether a registration reports, and one of these.
    pub(super) fn wants(&self, key: Key, interest: Interest) -> bool {
        self.with(key, |cell| cell.wants().0.intersects(interest)) == Some(true)
    }

    /// Makes a registration silent until it is published again.
    pub(super) fn disarm(&self, key: Key) {
        self.with(key, |cell| cell.state.fetch_and(!ARMED, Ordering::Relaxed));
    }

    /// Makes an event of what the backend found, if it is plain. Without a lock.
    #[must_use]
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    #[cfg_attr(target_family = "wasm", inline)]
    pub(super) fn tell(&self, key: Key, flags: PollFlags, list: &mut Vec<Event>) -> bool {
        let meant = |generation| generation == key.generation();
        let event = self.read(key).and_then(|words| words.plain_event(flags, meant));
        event.map(|event| list.push(event)).is_some()
    }

    /// Makes an event of news of a registration that is told as often as one looks.
    /// Whether it is no more than that. `key`: the registration that the backend meant; with
    /// one thread only it is the one in this slot.
    #[inline]
    pub(super) fn tell_plain(
        &self,
        slot: usize,
        key: impl Fn() -> Option<Key>,
        flags: PollFlags,
        list: &mut Vec<Event>,
    ) -> bool {
        let meant =
            |generation| !THREADS || key().is_some_and(|key| key.generation() == generation);
        let event = self.slots.read(slot).and_then(|words| words.plain_event(flags, meant));
        event.map(|event| list.push(event)).is_some()
    }

    /// The same of other news. `false`: there is more to it.
    #[cold]
    pub(super) fn tell_level(
        &self,
        key: Option<Key>,
        flags: PollFlags,
        list: &mut Vec<Event>,
    ) -> bool {
        key.is_some_and(|key| self.tell_anyhow(false, key, flags, list) == Told::Done)
    }

    /// `once`: the backend tells of one-shots.
    #[inline(never)]
    pub(super) fn tell_anyhow(
        &self,
        once: bool,
        key: Key,
        flags: PollFlags,
        list: &mut Vec<Event>,
    ) -> Told {
        if flags.contains(PollFlags::NVAL) {
            return Told::Stale;
        }
        let told = self.with(key, |cell| cell.tell(once, key, flags));
        let (told, event) = told.unwrap_or((Told::Stale, None));
        list.extend(event);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_of_an_ended_registration_is_stale() {
        let cells = Cells::default();
        let mut list = Vec::new();
        let tell = |key, list: &mut Vec<Event>| {
            let plain = cells.tell(key, PollFlags::IN, list);
            if plain { Told::Done } else { cells.tell_anyhow(true, key, PollFlags::IN, list) }
        };
        let key = Key::new(70, 0);
        assert_eq!(tell(key, &mut list), Told::Stale);
        cells.publish(key, 5, Interest::READ, Mode::Level);
        assert_eq!(tell(key, &mut list), Told::Done);
        assert_eq!(list.len(), 1);
        cells.revoke(key);
        assert_eq!(tell(key, &mut list), Told::Stale);
        cells.publish(Key::new(70, 1), 6, Interest::READ, Mode::OneShot);
        assert_eq!(tell(key, &mut list), Told::Stale);
        for _ in 0..2 {
            assert_eq!(tell(Key::new(70, 1), &mut list), Told::Done);
        }
        assert_eq!(list.iter().map(Event::token).collect::<Vec<_>>(), [5, 6]);
    }
}
