//! kqueue: FreeBSD's, emulated by the crate. (Where the kernel has it: `kernel`.)

use libc::{c_int, timespec};

use crate::errno::call;

#[cfg(kernel_kqueue)]
#[path = "kqueue/kernel.rs"]
mod host;
#[cfg(not(kernel_kqueue))]
#[path = "kqueue/emulated.rs"]
mod host;

#[cfg(not(kernel_kqueue))]
pub(crate) use host::Queue;

/// kqueue(2).
#[unsafe(no_mangle)]
pub extern "C" fn readiness_kqueue() -> c_int {
    call(host::create)
}

/// kevent(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn readiness_kevent(
    kq: c_int,
    changes: *const host::Kevent,
    changes_len: c_int,
    events: *mut host::Kevent,
    events_len: c_int,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: the caller's memory.
    call(|| unsafe { host::kevent(kq, changes, changes_len, events, events_len, timeout) })
}
