//! Linux's own epoll: the system calls. The kernel looks at the arguments; we
//! only see to it that NULL is always an error, and not just when there is
//! something to write there.

use libc::{c_int, epoll_event, sigset_t, timespec};
use readiness::EpollEvent;

use super::MAX_EVENTS;
use crate::errno::{Answer, Errno, check};
use crate::timeout;

const _: () = assert!(size_of::<EpollEvent>() == size_of::<epoll_event>());

/// The kernel's set of 64 signals, which is the front of the C library's.
const SET_SIZE: libc::size_t = 8;

pub(super) fn create(flags: c_int) -> Answer {
    // SAFETY: no pointers.
    check(unsafe { libc::epoll_create1(flags) })
}

pub(super) unsafe fn control(
    epfd: c_int,
    operation: c_int,
    fd: c_int,
    event: *mut EpollEvent,
) -> Answer {
    // SAFETY: the caller's memory; the kernel checks it.
    check(unsafe { libc::epoll_ctl(epfd, operation, fd, event.cast()) })
}

/// The errors that come before that of the array, in the kernel's order.
fn check_array(epfd: c_int, events: *mut EpollEvent, max_events: c_int) -> Answer<()> {
    if !events.is_null() {
        return Ok(());
    }
    // SAFETY: F_GETFD only looks.
    check(unsafe { libc::fcntl(epfd, libc::F_GETFD) })?;
    let counted = max_events > 0 && max_events <= MAX_EVENTS;
    Err(Errno(if counted { libc::EFAULT } else { libc::EINVAL }))
}

pub(super) unsafe fn wait(
    epfd: c_int,
    events: *mut EpollEvent,
    max_events: c_int,
    timeout: c_int,
) -> Answer {
    check_array(epfd, events, max_events)?;
    // SAFETY: the caller's memory; the kernel checks it.
    check(unsafe { libc::epoll_wait(epfd, events.cast(), max_events, timeout) })
}

pub(super) unsafe fn pwait(
    epfd: c_int,
    events: *mut EpollEvent,
    max_events: c_int,
    timeout: c_int,
    mask: *const sigset_t,
) -> Answer {
    check_array(epfd, events, max_events)?;
    // SAFETY: the caller's memory; the kernel checks it.
    check(unsafe {
        let call = libc::SYS_epoll_pwait;
        libc::syscall(call, epfd, events, max_events, timeout, mask, SET_SIZE) as c_int
    })
}

pub(super) unsafe fn pwait2(
    epfd: c_int,
    events: *mut EpollEvent,
    max_events: c_int,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> Answer {
    // SAFETY: NULL or a timespec of the caller's.
    let time = unsafe { timeout::of_timespec(timeout) }?;
    check_array(epfd, events, max_events)?;
    // The kernel's own timespec, which is this on every architecture.
    let spec = time.map(|time| [time.as_secs().min(i64::MAX as u64), time.subsec_nanos().into()]);
    let spec = spec.as_ref().map_or(std::ptr::null(), |spec| spec.as_ptr());
    // SAFETY: the caller's memory, which the kernel checks, and a time of our own.
    let waited = check(unsafe {
        let call = libc::SYS_epoll_pwait2;
        libc::syscall(call, epfd, events, max_events, spec, mask, SET_SIZE) as c_int
    });
    match waited {
        // Linux before 5.11, and some sandboxes: to the millisecond, rounded up.
        Err(Errno(libc::ENOSYS)) => {
            let whole = |time: std::time::Duration| time.as_nanos().div_ceil(1_000_000);
            let whole = time.map_or(-1, |time| c_int::try_from(whole(time)).unwrap_or(c_int::MAX));
            // SAFETY: as above.
            unsafe { pwait(epfd, events, max_events, whole, mask) }
        }
        other => other,
    }
}
