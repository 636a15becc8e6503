//! Knotes: what is registered, by (ident, filter), and those that have happened,
//! in the order in which they did.

use std::collections::{HashMap, VecDeque};

use super::read_write::Io;
use super::system::System;
use super::timer::Timer;
use crate::backend::Key;
use crate::kevent::{Filter, Kevent, KeventFlags, NoteFlags};

pub(super) struct Knote {
    /// What is reported.
    pub(super) kevent: Kevent,
    /// The flags and the data that were asked for.
    pub(super) asked: NoteFlags,
    pub(super) argument: i64,
    pub(super) disabled: bool,
    /// It happened and was not reported yet. Knotes that the host watches are
    /// active in the host.
    pub(super) active: bool,
    /// Its place in the queue, if it has one.
    ticket: Option<u64>,
    pub(super) what: What,
}

pub(super) enum What {
    Io(Io),
    Timer(Timer),
    User {
        triggered: bool,
    },
    #[cfg_attr(
        not(any(target_os = "linux", target_os = "android")),
        allow(dead_code, reason = "there is none")
    )]
    System(System),
}

/// What becomes of a knote's flags in a report.
const CHANGES: KeventFlags = KeventFlags::ADD
    .union(KeventFlags::DELETE)
    .union(KeventFlags::ENABLE)
    .union(KeventFlags::DISABLE)
    .union(KeventFlags::FORCEONESHOT)
    .union(KeventFlags::KEEPUDATA)
    .union(KeventFlags::SYSFLAGS);

impl Knote {
    pub(super) fn new(change: &Kevent, what: What) -> Knote {
        let flags = change.flags.difference(CHANGES);
        Knote {
            kevent: change.with_flags(flags).with_fflags(NoteFlags::empty()).with_data(0),
            asked: change.fflags,
            argument: change.data,
            disabled: change.flags.contains(KeventFlags::DISABLE),
            active: false,
            ticket: None,
            what,
        }
    }

    pub(super) fn clears(&self) -> bool {
        self.kevent.flags.contains(KeventFlags::CLEAR)
    }

    pub(super) fn is_oneshot(&self) -> bool {
        self.kevent.flags.contains(KeventFlags::ONESHOT)
    }

    pub(super) fn dispatches(&self) -> bool {
        self.kevent.flags.contains(KeventFlags::DISPATCH)
    }
}

#[derive(Default)]
pub(super) struct Knotes {
    slots: Vec<Slot>,
    free: Vec<u32>,
    index: HashMap<(Filter, usize), u32>,
    queue: VecDeque<(Key, u64)>,
    /// Entries of the queue that count: neither deleted nor disabled since.
    queued: usize,
    tickets: u64,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    knote: Option<Box<Knote>>,
}

impl Knotes {
    pub(super) fn find(&self, ident: usize, filter: Filter) -> Option<Key> {
        self.index.get(&(filter, ident)).map(|&slot| self.key(slot))
    }

    fn key(&self, slot: u32) -> Key {
        Key::new(slot, self.slots[slot as usize].generation)
    }

    pub(super) fn get(&self, key: Key) -> Option<&Knote> {
        let slot = self.slots.get(key.slot())?;
        slot.knote.as_deref().filter(|_| slot.generation == key.generation())
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Knote> {
        let slot = self.slots.get_mut(key.slot())?;
        slot.knote.as_deref_mut().filter(|_| slot.generation == key.generation())
    }

    /// A key for a new knote: to be inserted or released.
    pub(super) fn reserve(&mut self) -> Key {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        self.key(slot)
    }

    pub(super) fn release(&mut self, key: Key) {
        let slot = &mut self.slots[key.slot()];
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.slot() as u32);
    }

    pub(super) fn insert(&mut self, key: Key, knote: Knote) {
        let Kevent { ident, filter, .. } = knote.kevent;
        self.index.insert((filter, ident), key.slot() as u32);
        self.slots[key.slot()].knote = Some(Box::new(knote));
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Knote> {
        self.withdraw(key);
        let slot = self.slots.get_mut(key.slot())?;
        let knote = *slot.knote.take_if(|_| slot.generation == key.generation())?;
        self.index.remove(&(knote.kevent.filter, knote.kevent.ident));
        self.release(key);
        Some(knote)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &Knote)> {
        self.slots.iter().enumerate().filter_map(|(at, slot)| {
            Some((Key::new(at as u32, slot.generation), slot.knote.as_deref()?))
        })
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut Knote)> {
        self.slots.iter_mut().enumerate().filter_map(|(at, slot)| {
            Some((Key::new(at as u32, slot.generation), slot.knote.as_deref_mut()?))
        })
    }

    /// The number of knotes, about.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many knotes wait to be reported.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// It happened: queues it unless it is disabled or queued already.
    pub(super) fn activate(&mut self, key: Key) {
        if let Some(knote) = self.get_mut(key) {
            knote.active = true;
            self.enqueue(key);
        }
    }

    /// Queues it if it is active, enabled and not queued.
    pub(super) fn enqueue(&mut self, key: Key) {
        let ticket = self.tickets;
        let Some(knote) = self.get_mut(key) else { return };
        if knote.active && !knote.disabled && knote.ticket.is_none() {
            knote.ticket = Some(ticket);
            self.tickets += 1;
            self.queued += 1;
            self.queue.push_back((key, ticket));
        }
    }

    /// Takes it out of the queue; it stays active.
    pub(super) fn withdraw(&mut self, key: Key) {
        let taken = self.get_mut(key).and_then(|knote| knote.ticket.take());
        if taken.is_some() {
            self.queued -= 1;
        }
        if self.queued == 0 {
            self.queue.clear();
        }
    }

    /// The marker of a scan: what is queued from now on has a later ticket.
    pub(super) fn marker(&self) -> u64 {
        self.tickets
    }

    /// Takes the next knote that was queued before the marker.
    pub(super) fn next(&mut self, marker: u64) -> Option<Key> {
        while let Some(&(key, ticket)) = self.queue.front() {
            if ticket >= marker {
                return None;
            }
            self.queue.pop_front();
            if let Some(knote) = self.get_mut(key) {
                if knote.ticket == Some(ticket) {
                    knote.ticket = None;
                    self.queued -= 1;
                    return Some(key);
                }
            }
        }
        None
    }
}
