//! The caller's memory: looked at before it is used, and never as a Rust
//! reference, for C may have laid it anywhere and may write to it meanwhile.

use crate::errno::{Answer, Errno};

/// Below this no count is suspicious: 64 KiB.
const MODEST: usize = 1 << 16;

/// An array of the caller's to read from.
pub(crate) struct Input<T> {
    at: *const T,
    len: usize,
}

impl<T: Copy> Input<T> {
    /// `EFAULT` for NULL, unless there is nothing to read; and for a length that
    /// runs out of the memory there is, which is how a wrong count shows.
    ///
    /// # Safety
    /// `at` is NULL, or the caller's array.
    pub(crate) unsafe fn new(at: *const T, len: usize) -> Answer<Input<T>> {
        if len > 0 {
            let bytes = len.checked_mul(size_of::<T>()).ok_or(Errno(libc::EFAULT))?;
            if at.is_null() || (bytes > MODEST && !mapped(at as usize, bytes)) {
                return Err(Errno(libc::EFAULT));
            }
        }
        Ok(Input { at, len })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = T> + '_ {
        // SAFETY: the caller's array is this long.
        (0..self.len).map(|at| unsafe { self.at.add(at).read_unaligned() })
    }
}

/// Writes to the caller's array.
///
/// # Safety
/// `to` has room for `from` at `first`.
pub(crate) unsafe fn write<T: Copy>(to: *mut T, first: usize, from: impl Iterator<Item = T>) {
    for (at, value) in from.enumerate() {
        // SAFETY: there is room, as the caller of this function says.
        unsafe { to.add(first + at).write_unaligned(value) }
    }
}

/// A structure of the caller's. `None` for NULL.
///
/// # Safety
/// `at` is NULL or points to a `T`.
pub(crate) unsafe fn optional<T: Copy>(at: *const T) -> Option<T> {
    // SAFETY: it is a T, as the caller of this function says.
    (!at.is_null()).then(|| unsafe { at.read_unaligned() })
}

/// Whether all of this memory is there.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn mapped(at: usize, bytes: usize) -> bool {
    // SAFETY: no pointers.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.max(1) as usize;
    let Some(end) = at.checked_add(bytes) else { return false };
    let mut seen = [0u8; 1024];
    let mut from = at & !(page - 1);
    while from < end {
        let part = (end - from).min(page * seen.len());
        // SAFETY: mincore only looks; there is room for a byte a page.
        if unsafe { libc::mincore(from as *mut libc::c_void, part, seen.as_mut_ptr()) } == -1 {
            return false;
        }
        from += part;
    }
    true
}

#[cfg(target_arch = "wasm32")]
fn mapped(at: usize, bytes: usize) -> bool {
    let size = core::arch::wasm32::memory_size::<0>() * 65536;
    at.checked_add(bytes).is_some_and(|end| end <= size)
}

/// The kernel's own calls look for themselves; what is left is small.
#[cfg(not(any(target_os = "linux", target_os = "android", target_arch = "wasm32")))]
fn mapped(_at: usize, bytes: usize) -> bool {
    bytes < 1 << 24
}
