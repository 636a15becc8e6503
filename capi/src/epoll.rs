//! epoll: the kernel's where it has it, elsewhere the crate's.

use libc::{c_int, timespec};
use readiness::EpollEvent;

use crate::errno::{Errno, call};
use crate::signals::sigset_t;

#[cfg(kernel_epoll)]
#[path = "epoll/kernel.rs"]
mod host;
#[cfg(not(kernel_epoll))]
#[path = "epoll/emulated.rs"]
mod host;

/// The most events that epoll_wait takes.
const MAX_EVENTS: c_int = c_int::MAX / size_of::<EpollEvent>() as c_int;

/// epoll_create(2). The size is a hint that has to be positive.
#[unsafe(no_mangle)]
pub extern "C" fn readiness_epoll_create(size: c_int) -> c_int {
    call(|| if size <= 0 { Err(Errno(libc::EINVAL)) } else { host::create(0) })
}

/// epoll_create1(2).
#[unsafe(no_mangle)]
pub extern "C" fn readiness_epoll_create1(flags: c_int) -> c_int {
    call(|| host::create(flags))
}

/// epoll_ctl(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn readiness_epoll_ctl(
    epfd: c_int,
    operation: c_int,
    fd: c_int,
    event: *mut EpollEvent,
) -> c_int {
    // SAFETY: the caller's memory.
    call(|| unsafe { host::control(epfd, operation, fd, event) })
}

/// epoll_wait(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn readiness_epoll_wait(
    epfd: c_int,
    events: *mut EpollEvent,
    max_events: c_int,
    timeout: c_int,
) -> c_int {
    // SAFETY: the caller's memory.
    call(|| unsafe { host::wait(epfd, events, max_events, timeout) })
}

/// epoll_pwait(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn readiness_epoll_pwait(
    epfd: c_int,
    events: *mut EpollEvent,
    max_events: c_int,
    timeout: c_int,
    mask: *const sigset_t,
) -> c_int {
    // SAFETY: the caller's memory.
    call(|| unsafe { host::pwait(epfd, events, max_events, timeout, mask) })
}

/// epoll_pwait2(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn readiness_epoll_pwait2(
    epfd: c_int,
    events: *mut EpollEvent,
    max_events: c_int,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    // SAFETY: the caller's memory.
    call(|| unsafe { host::pwait2(epfd, events, max_events, timeout, mask) })
}
