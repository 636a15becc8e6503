//! The caller's memory, copied in and out as a kernel does: never a Rust reference
//! to it, for C may have laid it anywhere and may write to it meanwhile, and never
//! a crash for a count that runs out of it.

use crate::errno::{Answer, Errno};

const FAULT: Errno = Errno(libc::EFAULT);

/// What the caller's array holds. `EFAULT` for NULL, unless the array is empty, and
/// for a length that runs out of the memory there is.
///
/// # Safety
/// `at` is NULL, or points to an array of the caller's, of a type that may hold any
/// bits.
pub(crate) unsafe fn read<T: Copy>(at: *const T, len: usize) -> Answer<Vec<T>> {
    if len == 0 {
        return Ok(Vec::new());
    }
    let bytes = len.checked_mul(size_of::<T>()).ok_or(FAULT)?;
    if at.is_null() {
        return Err(FAULT);
    }
    let mut array: Vec<T> = Vec::new();
    if host::is_surely_there(at as usize, bytes) {
        array.reserve_exact(len);
        // An array that is said to be longer than it is may reach into what was just
        // allocated: they may overlap.
        // SAFETY: the memory is there, and there is room for it.
        unsafe {
            at.cast::<u8>().copy_to(array.as_mut_ptr().cast(), bytes);
            array.set_len(len);
        }
        return Ok(array);
    }
    // Bit by bit, so that a wild length is found out before it is allocated.
    while array.len() < len {
        let part = (len - array.len()).min(1024);
        array.reserve(part);
        // SAFETY: there is room for the part, which the host checks before it copies.
        unsafe {
            let from = at.wrapping_add(array.len());
            let to = array.as_mut_ptr().add(array.len());
            host::copy_in(to.cast(), from as usize, part * size_of::<T>())?;
            array.set_len(array.len() + part);
        }
    }
    Ok(array)
}

/// Fills the front of the caller's array. `EFAULT` as for [`read`].
///
/// # Safety
/// As for [`read`].
pub(crate) unsafe fn write<T: Copy>(to: *mut T, from: &[T]) -> Answer<()> {
    let bytes = size_of_val(from);
    if bytes == 0 {
        return Ok(());
    }
    if to.is_null() {
        return Err(FAULT);
    }
    // SAFETY: the memory is there, or the host checks that it is.
    unsafe {
        if host::is_surely_there(to as usize, bytes) {
            from.as_ptr().cast::<u8>().copy_to(to.cast(), bytes);
            return Ok(());
        }
        host::copy_out(to as usize, from.as_ptr().cast(), bytes)
    }
}

/// Writes a structure of the caller's, unless it is where nobody may write.
///
/// # Safety
/// `to` points to a `T`.
pub(crate) unsafe fn write_if_writable<T: Copy>(to: *mut T, value: T) {
    // SAFETY: the memory is there; the host checks that it may be written to.
    let _ = unsafe { host::copy_out(to as usize, (&raw const value).cast(), size_of::<T>()) };
}

/// A structure of the caller's. `None` for NULL.
///
/// # Safety
/// `at` is NULL or points to a `T`.
pub(crate) unsafe fn optional<T: Copy>(at: *const T) -> Option<T> {
    // SAFETY: it is a T, as the caller of this function says.
    (!at.is_null()).then(|| unsafe { at.read_unaligned() })
}

/// The kernel copies, and tells when there is nothing to copy.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod host {
    use libc::{c_ulong, c_void, iovec};

    use super::FAULT;
    use crate::errno::{Answer, Errno, check};

    /// The least that a page has. The array's first item is there, and so is the
    /// rest of its page.
    const PAGE: usize = 4096;

    pub(super) fn is_surely_there(at: usize, bytes: usize) -> bool {
        at % PAGE + bytes <= PAGE
    }

    type Copy = unsafe extern "C" fn(
        libc::pid_t,
        *const iovec,
        c_ulong,
        *const iovec,
        c_ulong,
        c_ulong,
    ) -> libc::ssize_t;

    unsafe fn copy(call: Copy, own: *mut c_void, theirs: usize, bytes: usize) -> Answer<bool> {
        let own = iovec { iov_base: own, iov_len: bytes };
        let theirs = iovec { iov_base: theirs as *mut c_void, iov_len: bytes };
        // SAFETY: `own` is ours, and the kernel checks `theirs`.
        let copied = unsafe { call(libc::getpid(), &own, 1, &theirs, 1, 0) };
        match usize::try_from(copied) {
            Ok(copied) if copied == bytes => Ok(true),
            Ok(_) => Err(FAULT),
            Err(_) => match Errno::last() {
                // A sandbox that does not allow it.
                Errno(libc::ENOSYS | libc::EPERM) => Ok(false),
                _ => Err(FAULT),
            },
        }
    }

    /// # Safety
    /// There is room for `bytes` at `to`.
    pub(super) unsafe fn copy_in(to: *mut c_void, from: usize, bytes: usize) -> Answer<()> {
        // SAFETY: there is room; without the kernel's check, the page table's.
        unsafe {
            if !copy(libc::process_vm_readv, to, from, bytes)? {
                mapped(from, bytes)?;
                (from as *const u8).copy_to(to.cast(), bytes);
            }
        }
        Ok(())
    }

    /// # Safety
    /// There are `bytes` at `from`.
    pub(super) unsafe fn copy_out(to: usize, from: *const c_void, bytes: usize) -> Answer<()> {
        // SAFETY: they are there; without the kernel's check, the page table's.
        unsafe {
            if !copy(libc::process_vm_writev, from.cast_mut(), to, bytes)? {
                mapped(to, bytes)?;
                from.cast::<u8>().copy_to(to as *mut u8, bytes);
            }
        }
        Ok(())
    }

    fn mapped(at: usize, bytes: usize) -> Answer<()> {
        let end = at.checked_add(bytes).ok_or(FAULT)?;
        let mut page = at & !(PAGE - 1);
        while page < end {
            let mut seen = 0u8;
            // SAFETY: mincore only looks; there is room for its byte.
            check(unsafe { libc::mincore(page as *mut c_void, PAGE, (&raw mut seen).cast()) })
                .map_err(|_| FAULT)?;
            page += PAGE;
        }
        Ok(())
    }
}

/// The memory ends where it ends.
#[cfg(target_arch = "wasm32")]
mod host {
    use std::ffi::c_void;

    use super::FAULT;
    use crate::errno::Answer;

    pub(super) fn is_surely_there(at: usize, bytes: usize) -> bool {
        let size = core::arch::wasm32::memory_size::<0>() * 65536;
        at.checked_add(bytes).is_some_and(|end| end <= size)
    }

    pub(super) unsafe fn copy_in(_: *mut c_void, _: usize, _: usize) -> Answer<()> {
        Err(FAULT)
    }

    pub(super) unsafe fn copy_out(_: usize, _: *const c_void, _: usize) -> Answer<()> {
        Err(FAULT)
    }
}

/// Here the kernel has kqueue and poll, and looks for itself; what is left is what
/// Linux's signatures bring, an event or two.
#[cfg(not(any(target_os = "linux", target_os = "android", target_arch = "wasm32")))]
mod host {
    use std::ffi::c_void;

    use super::FAULT;
    use crate::errno::Answer;

    pub(super) fn is_surely_there(at: usize, bytes: usize) -> bool {
        bytes < 1 << 24 && at.checked_add(bytes).is_some()
    }

    pub(super) unsafe fn copy_in(_: *mut c_void, _: usize, _: usize) -> Answer<()> {
        Err(FAULT)
    }

    pub(super) unsafe fn copy_out(_: usize, _: *const c_void, _: usize) -> Answer<()> {
        Err(FAULT)
    }
}
