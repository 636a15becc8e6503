//! The registrations of a `Selector`, under its lock.

use super::{Interest, Mode};
use crate::backend::{Backend, HostBackend, Identity, Key};
use crate::index::Index;
use crate::source::{Member, RawSource};

pub(super) struct Entry {
    pub(super) source: Member,
    pub(super) interest: Interest,
    pub(super) mode: Mode,
    /// What tells the source from another one with its number, if the host does not.
    pub(super) identity: Option<Identity>,
    /// The host does not watch it: it is always ready.
    pub(super) always: bool,
}

impl Entry {
    /// Whether the host tells the source from another one that got its number.
    pub(super) fn known_to_host(&self) -> bool {
        HostBackend::CAPS.identity && !self.always
    }

    /// Whether the number is still this source's, as far as `identity` can tell.
    pub(super) fn is_same_source(&self) -> bool {
        self.source.identity() == self.identity
    }
}

#[derive(Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    index: Index,
    always: Vec<Key>,
    /// Where among these to go on.
    next: usize,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    entry: Option<Entry>,
}

impl Table {
    pub(super) fn find(&self, source: RawSource) -> Option<Key> {
        self.index.get(source.code()).map(|slot| self.key(slot))
    }

    fn key(&self, slot: u32) -> Key {
        Key::new(slot, self.slots[slot as usize].generation)
    }

    /// A key for a new registration: to be inserted or released.
    pub(super) fn reserve(&mut self) -> Key {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        self.key(slot)
    }

    pub(super) fn release(&mut self, key: Key) {
        self.free.push(key.slot() as u32);
    }

    pub(super) fn insert(&mut self, key: Key, entry: Entry) {
        self.index.insert(entry.source.code(), key.slot() as u32);
        if entry.always {
            self.always.push(key);
        }
        self.slots[key.slot()].entry = Some(entry);
    }

    pub(super) fn get(&self, key: Key) -> Option<&Entry> {
        let slot = self.slots.get(key.slot())?;
        if slot.generation == key.generation() { slot.entry.as_ref() } else { None }
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Entry> {
        let slot = self.slots.get_mut(key.slot())?;
        if slot.generation == key.generation() { slot.entry.as_mut() } else { None }
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Entry> {
        let slot = self.slots.get_mut(key.slot())?;
        if slot.generation != key.generation() {
            return None;
        }
        let entry = slot.entry.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.slot() as u32);
        let code = entry.source.code();
        if self.index.get(code) == Some(key.slot() as u32) {
            self.index.remove(code);
        }
        if entry.always {
            if let Some(at) = self.always.iter().position(|other| *other == key) {
                self.always.remove(at);
                self.next -= usize::from(at < self.next);
            }
        }
        Some(entry)
    }

    /// What is always ready.
    pub(super) fn always(&self) -> &[Key] {
        &self.always
    }

    /// The next of these, in turn.
    pub(super) fn next_always(&mut self) -> Option<Key> {
        let at = if self.next < self.always.len() { self.next } else { 0 };
        self.next = at + 1;
        self.always.get(at).copied()
    }

    pub(super) fn live(&self) -> impl Iterator<Item = (Key, &Entry)> {
        (0..self.slots.len() as u32)
            .map(|slot| self.key(slot))
            .filter_map(|key| Some((key, self.get(key)?)))
    }
}
