//! Registrations that take no lock but their own.
//!
//! A host that tells a source from another one with its number needs nothing to be
//! remembered of a source but the number, and its cell is found by that. The cell's gate
//! lets one thread at a time register, modify and unregister. Whatever is not that
//! simple happens under the lock, with the gate shut: a number that the table has (of a
//! file, or registered anew while the old registration was there), a set that is
//! made anew, two threads at one source.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::cells::{Cell, Standing};
use super::table::Table;
use super::{Inner, Interest, Mode, gone};
use crate::backend::alone;
use crate::backend::{Added, Backend, HostBackend, Key};
use crate::error::{named, not_registered};
use crate::source::{Member, RawSource};

/// In the slot of a key: the rest is a number.
const NUMBERED: u32 = 1 << 31;

/// The number that a key's cell is found by; `None` if it is the table's.
#[inline]
pub(super) fn number(key: Key) -> Option<u32> {
    let slot = key.slot() as u32;
    (HostBackend::CAPS.numbers != 0 && slot & NUMBERED != 0).then_some(slot & !NUMBERED)
}

/// The number of a source that may have such a cell.
#[inline(always)]
pub(super) fn number_of(source: RawSource) -> Option<u32> {
    if HostBackend::CAPS.numbers == 0 || matches!(source, RawSource::Set(_)) {
        return None;
    }
    let number = source.number();
    (number < HostBackend::CAPS.numbers.into()).then_some(number as u32)
}

/// Their cells, in chunks that never move.
pub(super) struct Numbers([OnceLock<Box<[Cell; CHUNK]>>; CHUNKS]);

const CHUNK: usize = 512;
const CHUNKS: usize = HostBackend::CAPS.numbers as usize / CHUNK;

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers([const { OnceLock::new() }; CHUNKS])
    }
}

impl Numbers {
    #[inline(always)]
    pub(super) fn get(&self, number: u32) -> Option<&Cell> {
        let cells = self.0.get(number as usize / CHUNK)?.get()?;
        Some(&cells[number as usize % CHUNK])
    }

    /// The same where there need not be one yet.
    fn make(&self, number: u32) -> Option<&Cell> {
        let cells = self.0.get(number as usize / CHUNK)?;
        let cells = cells.get_or_init(|| Box::new([const { Cell::new() }; CHUNK]));
        Some(&cells[number as usize % CHUNK])
    }

    /// All there are, with their numbers.
    fn iter(&self) -> impl Iterator<Item = (u32, &Cell)> {
        let chunks = (0..).step_by(CHUNK).zip(&self.0);
        chunks
            .filter_map(|(first, chunk)| Some((first, chunk.get()?)))
            .flat_map(|(first, cells)| (first..).zip(cells.iter()))
    }
}

/// Who may write a cell.
pub(super) struct Gate(AtomicU32);

const OPEN: u32 = 0;
/// One thread is in it, for a moment.
const BUSY: u32 = 1;
/// Only for who has the lock.
const SHUT: u32 = 2;

/// Leave to write a cell.
pub(super) struct Turn<'a>(&'a Cell);

impl Drop for Turn<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.gate.0.store(OPEN, Ordering::Release);
    }
}

impl Gate {
    pub(super) const fn new() -> Gate {
        Gate(AtomicU32::new(OPEN))
    }

    #[inline]
    fn enter(&self) -> bool {
        alone::exchange(&self.0, OPEN, BUSY)
    }

    /// Under the lock.
    fn shut(&self) {
        let mut tries = 0;
        while let Err(BUSY) =
            self.0.compare_exchange(OPEN, SHUT, Ordering::Acquire, Ordering::Acquire)
        {
            // Whoever is in it makes one system call. (A thread that is never preempted
            // must let it run.)
            tries += 1;
            if tries < 100 { thread::yield_now() } else { thread::sleep(Duration::from_micros(50)) }
        }
    }

    /// Under the lock, if it was shut.
    fn open(&self) {
        let _ = self.0.compare_exchange(SHUT, OPEN, Ordering::Release, Ordering::Relaxed);
    }
}

impl Cell {
    /// How it stands, if it has a registration, and this one if it is told which.
    #[inline(always)]
    fn standing_of(&self, key: Option<Key>) -> Option<Standing> {
        let now = self.standing();
        let is_own = |key| number(key).is_some() && key.generation() == now.generation();
        (now.is_live() && key.is_none_or(is_own)).then_some(now)
    }
}

/// Each of these answers `None` if it is not that simple.
impl Inner {
    #[inline(always)]
    fn enter(&self, number: u32) -> Option<Turn<'_>> {
        let cell = self.cells.numbers.get(number)?;
        if cell.gate.enter() { Some(Turn(cell)) } else { None }
    }

    #[inline(always)]
    pub(super) fn register_at_once(
        &self,
        source: RawSource,
        token: u64,
        interest: Interest,
        mode: Mode,
    ) -> Option<io::Result<Key>> {
        let number = number_of(source)?;
        let turn = self.enter(number)?;
        let now = turn.0.standing();
        if now.is_live() {
            return None;
        }
        self.add_number((number, turn.0, now), token, interest, mode).transpose()
    }

    #[inline(always)]
    pub(super) fn modify_at_once(
        &self,
        source: RawSource,
        key: Option<Key>,
        token: u64,
        interest: Interest,
        mode: Mode,
    ) -> Option<io::Result<()>> {
        let number = number_of(source)?;
        let turn = self.enter(number)?;
        self.modify_own((number, turn.0), key, token, interest, mode)
    }

    /// Whether it was registered.
    #[inline(always)]
    pub(super) fn unregister_at_once(&self, source: RawSource, key: Option<Key>) -> Option<()> {
        let number = number_of(source)?;
        let turn = self.enter(number)?;
        self.unregister_own((number, turn.0), key)
    }
}

/// A number, and its cell as it was seen.
pub(super) type Numbered<'a> = (u32, &'a Cell, Standing);

/// With the gate of the cell shut, or in it.
impl Inner {
    /// `None`: it has no registration, or another one.
    #[inline(always)]
    pub(super) fn modify_own(
        &self,
        (number, cell): (u32, &Cell),
        key: Option<Key>,
        token: u64,
        interest: Interest,
        mode: Mode,
    ) -> Option<io::Result<()>> {
        let now = cell.standing_of(key)?;
        Some(self.modify_number((number, cell, now), token, interest, mode))
    }

    /// As [`modify_own`](Inner::modify_own).
    #[inline(always)]
    pub(super) fn unregister_own(
        &self,
        (number, cell): (u32, &Cell),
        key: Option<Key>,
    ) -> Option<()> {
        let now = cell.standing_of(key)?;
        self.delete_number((number, cell, now));
        Some(())
    }

    /// `None`: it is a file. There must be no registration in the cell.
    #[inline(always)]
    pub(super) fn add_number(
        &self,
        (number, cell, now): Numbered<'_>,
        token: u64,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<Option<Key>> {
        let Some(source) = HostBackend::numbered(number) else { return Ok(None) };
        let key = Key::new(number | NUMBERED, now.generation());
        cell.publish_after(now, now.generation(), token, interest, mode);
        match self.backend.add(key, &source, interest.wants(), mode) {
            Ok(Added::Watched) => Ok(Some(key)),
            Ok(Added::AlwaysReady) => {
                cell.revoke(key.generation());
                Ok(None)
            }
            Err(error) => Err(self.not_added(cell, source.raw(), error)),
        }
    }

    #[cold]
    fn not_added(&self, cell: &Cell, source: RawSource, error: io::Error) -> io::Error {
        cell.revoke(cell.generation());
        named("register", source, error)
    }

    #[inline(always)]
    fn modify_number(
        &self,
        (number, cell, now): Numbered<'_>,
        token: u64,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        let Some(source) = HostBackend::numbered(number) else { return Ok(()) };
        let key = Key::new(number | NUMBERED, now.generation());
        cell.publish_after(now, now.generation(), token, interest, mode);
        match self.backend.modify(key, &source, interest.wants(), mode) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.not_modified(number, cell, source.raw(), error)),
        }
    }

    #[cold]
    fn not_modified(
        &self,
        number: u32,
        cell: &Cell,
        source: RawSource,
        error: io::Error,
    ) -> io::Error {
        if !gone(&error) {
            return named("modify", source, error);
        }
        self.delete_number((number, cell, cell.standing()));
        not_registered("modify", source)
    }

    #[inline(always)]
    fn delete_number(&self, (number, cell, now): Numbered<'_>) {
        let Some(source) = HostBackend::numbered(number) else { return };
        let key = Key::new(number | NUMBERED, now.generation());
        // It may be closed, or its number another source's: gone either way.
        let _ = self.backend.delete(key, &source);
        cell.revoke(key.generation());
    }
}

/// A number, and its cell with the gate shut.
pub(super) type Shut<'a> = Option<(u32, &'a Cell)>;

/// Under the lock.
impl Inner {
    /// Lets nobody but the caller at the cell of a source, if it may have one.
    #[inline]
    pub(super) fn shut(&self, source: RawSource) -> Shut<'_> {
        let number = number_of(source)?;
        let cell = self.cells.numbers.make(number)?;
        cell.gate.shut();
        Some((number, cell))
    }

    /// Undoes it, unless the table has the number.
    #[inline]
    pub(super) fn open(&self, table: &Table, source: RawSource) {
        if let Some(number) = number_of(source) {
            if let (Some(cell), None) = (self.cells.numbers.get(number), table.find(source)) {
                cell.gate.open();
            }
        }
    }

    /// Shuts all there are.
    pub(super) fn shut_all(&self) {
        if CHUNKS != 0 {
            self.cells.numbers.iter().for_each(|(_, cell)| cell.gate.shut());
        }
    }

    /// Undoes it.
    pub(super) fn open_all(&self, table: &Table) {
        if CHUNKS == 0 {
            return;
        }
        for (number, _) in self.cells.numbers.iter() {
            if let Some(source) = HostBackend::numbered(number) {
                self.open(table, source.raw());
            }
        }
    }

    /// What is registered by number, and what it reports.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (Key, Member, Interest, Mode)> {
        self.cells.numbers.iter().filter(|(_, cell)| cell.is_live()).filter_map(|(number, cell)| {
            let key = Key::new(number | NUMBERED, cell.generation());
            let (interest, mode) = cell.wants();
            Some((key, HostBackend::numbered(number)?, interest, mode))
        })
    }
}
