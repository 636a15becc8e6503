//! The call of `wasi:io/poll` in the canonical ABI. The bindings make a list of the
//! handles for each call, and the host has a list made for each answer: here both
//! are kept.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// A `list<u32>` that the host returns.
#[repr(C)]
struct Answer {
    indices: *mut u32,
    count: usize,
}

// The version is that of the bindings. A linker that has them in another one takes
// that: 0.2 is compatible.
#[link(wasm_import_module = "wasi:io/poll@0.2.12")]
unsafe extern "C" {
    /// `poll: func(in: list<borrow<pollable>>) -> list<u32>`
    #[link_name = "poll"]
    fn call(handles: *const u32, count: usize, answer: *mut Answer);
}

unsafe extern "C" {
    /// What has memory for all that the host returns: std's on wasm32-wasip2,
    /// the bindings' on wasm32-wasip1.
    fn cabi_realloc(old: *mut u8, old_len: usize, align: usize, new_len: usize) -> *mut u8;
}

/// Where the answer of the call that is under way goes, and how much there is room
/// for in bytes. There is one thread.
static ROOM: AtomicPtr<u32> = AtomicPtr::new(ptr::null_mut());
static LEFT: AtomicUsize = AtomicUsize::new(0);

/// What the host calls for memory for what an import returns, if a component exports
/// it; else it calls `cabi_realloc`, and so it does if the linker does not know this
/// name: then answers are allocated. A program can have one such function.
///
/// # Safety
/// As `cabi_realloc`: the host calls it while an import is called.
#[unsafe(export_name = "cabi_import_realloc")]
unsafe extern "C" fn import_realloc(
    old: *mut u8,
    old_len: usize,
    align: usize,
    new_len: usize,
) -> *mut u8 {
    // The first to ask gets it: the one list of the answer.
    let left = LEFT.swap(0, Ordering::Relaxed);
    if old.is_null() && (1..=left).contains(&new_len) && align <= align_of::<u32>() {
        return ROOM.load(Ordering::Relaxed).cast();
    }
    // SAFETY: as the caller's.
    unsafe { cabi_realloc(old, old_len, align, new_len) }
}

/// Waits until one of the pollables with these handles is ready, and says which: by
/// their indices. The host traps if there is none, and on a handle that was dropped.
pub(super) fn poll(handles: &[u32], ready: &mut Vec<u32>) {
    #[cfg(test)]
    super::tests::CALLS.fetch_add(1, Ordering::Relaxed);
    ready.clear();
    ready.reserve(handles.len());
    let room = ready.as_mut_ptr();
    ROOM.store(room, Ordering::Relaxed);
    LEFT.store(size_of_val(handles), Ordering::Relaxed);
    let mut answer = Answer { indices: ptr::null_mut(), count: 0 };
    // SAFETY: the array and the place of the answer are valid, and the room for as many
    // indices as there are handles is nobody else's until the call is over.
    unsafe { call(handles.as_ptr(), handles.len(), &raw mut answer) };
    LEFT.store(0, Ordering::Relaxed);
    if answer.indices == room {
        // SAFETY: the host has filled it, and asked for no more than there was.
        unsafe { ready.set_len(answer.count) };
    } else if answer.count > 0 {
        // SAFETY: it is from `cabi_realloc`, and ours: the Rust allocator's, with as
        // much as it holds.
        let own = unsafe { Vec::from_raw_parts(answer.indices, answer.count, answer.count) };
        ready.extend_from_slice(&own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_imports_return_has_memory_of_its_own() {
        let mut ready = Vec::new();
        poll(&[super::super::now().handle()], &mut ready);
        let room = ready.as_mut_ptr();
        assert_eq!(ready, [0]);
        for len in [0, 4] {
            // SAFETY: as a host's.
            let got = unsafe { import_realloc(ptr::null_mut(), 0, 4, len) };
            assert!(!got.is_null() && got != room.cast());
        }
        poll(&[super::super::now().handle()], &mut ready);
        assert_eq!(ready.as_mut_ptr(), room);
    }
}
