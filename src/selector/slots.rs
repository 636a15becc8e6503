//! The cells of the table's slots.

use super::cells::{Cell, Words};

cfg_if::cfg_if! {
    if #[cfg(all(target_family = "wasm", not(target_feature = "atomics")))] {
        use crate::backend::lock::Lock;

        /// As there is nobody else, what a cell has can be moved.
        #[derive(Default)]
        pub(super) struct Slots(Lock<Vec<Words>>);

        impl Slots {
            /// What a slot's cell has.
            #[inline]
            pub(super) fn read(&self, slot: usize) -> Option<Words> {
                self.0.copied(slot)
            }

            /// Does something with a slot's cell.
            pub(super) fn with<R>(&self, slot: usize, act: impl FnOnce(&Cell) -> R) -> Option<R> {
                let mut all = self.0.lock();
                let words = all.get_mut(slot)?;
                let cell = Cell::of(*words);
                let done = act(&cell);
                *words = cell.read();
                Some(done)
            }

            /// Sees to it that a slot has a cell.
            pub(super) fn make(&self, slot: usize) {
                let mut all = self.0.lock();
                while all.len() <= slot {
                    all.push(Words::default());
                }
            }
        }
    } else {
        use std::sync::OnceLock;

        /// Cells in chunks that never move: the first has 64 cells, each next one twice as
        /// many as the one before.
        #[derive(Default)]
        pub(super) struct Slots([OnceLock<Box<[Cell]>>; 26]);

        const FIRST: usize = 64;

        impl Slots {
            #[inline]
            fn place(slot: usize) -> (usize, usize) {
                let place = slot.saturating_add(FIRST);
                let chunk = place.ilog2() - FIRST.ilog2();
                (chunk as usize, place - (FIRST << chunk))
            }

            #[inline]
            fn get(&self, slot: usize) -> Option<&Cell> {
                let (chunk, at) = Slots::place(slot);
                self.0.get(chunk)?.get()?.get(at)
            }

            /// What a slot's cell has.
            #[inline]
            pub(super) fn read(&self, slot: usize) -> Option<Words> {
                self.get(slot).map(Cell::read)
            }

            /// Does something with a slot's cell.
            pub(super) fn with<R>(&self, slot: usize, act: impl FnOnce(&Cell) -> R) -> Option<R> {
                self.get(slot).map(act)
            }

            /// Sees to it that a slot has a cell.
            pub(super) fn make(&self, slot: usize) {
                let (chunk, _) = Slots::place(slot);
                if let Some(cells) = self.0.get(chunk) {
                    cells.get_or_init(|| {
                        (0..FIRST << chunk).map(|_| Cell::of(Words::default())).collect()
                    });
                }
            }
        }

        #[cfg(test)]
        mod tests {
            use super::*;

            #[test]
            fn slots_have_cells_of_their_own() {
                let mut before = None;
                for slot in 0..10_000 {
                    let place = Slots::place(slot);
                    assert!(place.1 < FIRST << place.0);
                    assert!(before < Some(place));
                    before = Some(place);
                }
            }
        }
    }
}
