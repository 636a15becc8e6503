//! Longer lists for less code.
//!
//! `Vec` has a function for each type that it grows by, and some for all of them: together they
//! are a quarter of what a small WebAssembly program with a `Poll` has more than without it.

cfg_if::cfg_if! {
    if #[cfg(target_family = "wasm")] {
        use std::alloc::{Layout, alloc, handle_alloc_error, realloc};
        use std::mem::{ManuallyDrop, take};

        /// As [`Vec::push`].
        #[inline]
        pub(crate) fn push<T>(list: &mut Vec<T>, item: T) {
            make_room(list, 1);
            let len = list.len();
            // SAFETY: there is room for one more, and it is written before it is the list's.
            unsafe {
                list.as_mut_ptr().add(len).write(item);
                list.set_len(len + 1);
            }
        }

        /// As [`Vec::reserve`].
        #[inline]
        pub(crate) fn make_room<T>(list: &mut Vec<T>, more: usize) {
            if list.capacity() - list.len() < more {
                grow(list, more);
            }
        }

        #[cold]
        #[inline(never)]
        fn grow<T>(list: &mut Vec<T>, more: usize) {
            const { assert!(size_of::<T>() > 1, "what there is room for could be too many") };
            let mut old = ManuallyDrop::new(take(list));
            let (place, len, had) = (old.as_mut_ptr(), old.len(), old.capacity());
            let place = moved(place.cast(), had, more, Layout::new::<T>());
            // SAFETY: the allocator gave it, for so many; the first ones were moved there.
            let new = unsafe { Vec::from_raw_parts(place.cast(), len, room(had, more)) };
            // An empty one, which has nothing to drop.
            let _ = ManuallyDrop::new(std::mem::replace(list, new));
        }

        /// For how many there is room then.
        fn room(had: usize, more: usize) -> usize {
            had.wrapping_mul(2).wrapping_add(more)
        }

        /// Where what was at `place`, with room for so many of these, has room for more.
        fn moved(place: *mut u8, had: usize, more: usize, one: Layout) -> *mut u8 {
            let bytes = room(had, more).checked_mul(one.size()).filter(|_| more < 1 << 28);
            let new = bytes.and_then(|bytes| Layout::from_size_align(bytes, one.align()).ok());
            let Some(new) = new else { handle_alloc_error(one) };
            // SAFETY: neither is of nothing; and there is something at the place if it had room.
            let place = unsafe {
                if had == 0 {
                    alloc(new)
                } else {
                    let old = Layout::from_size_align_unchecked(had * one.size(), one.align());
                    realloc(place, old, new.size())
                }
            };
            if place.is_null() { handle_alloc_error(new) } else { place }
        }
    } else {
        #[inline]
        pub(crate) fn push<T>(list: &mut Vec<T>, item: T) {
            list.push(item);
        }

        #[inline]
        pub(crate) fn make_room<T>(list: &mut Vec<T>, more: usize) {
            list.reserve(more);
        }
    }
}
