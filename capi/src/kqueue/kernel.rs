//! The BSDs' and macOS's own kqueue: the system calls.

use libc::{c_int, kevent as Event, timespec};

use crate::errno::{Answer, check};

pub(crate) type Kevent = Event;

pub(super) fn create() -> Answer {
    // SAFETY: no arguments.
    check(unsafe { libc::kqueue() })
}

pub(super) unsafe fn kevent(
    kq: c_int,
    changes: *const Kevent,
    changes_len: c_int,
    events: *mut Kevent,
    events_len: c_int,
    timeout: *const timespec,
) -> Answer {
    // SAFETY: the caller's memory; the kernel checks it. (NetBSD counts in size_t.)
    check(unsafe { libc::kevent(kq, changes, changes_len as _, events, events_len as _, timeout) })
}
