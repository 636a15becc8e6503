//! timerfd_create(2).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use crate::backend::unix::{check, timespec};

/// A descriptor that becomes readable at a time.
pub(crate) struct TimerFd(OwnedFd);

impl TimerFd {
    pub(crate) fn new() -> io::Result<TimerFd> {
        // SAFETY: no pointers.
        let fd = check(unsafe {
            libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK)
        })?;
        // SAFETY: the kernel just gave us this descriptor.
        Ok(TimerFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Becomes readable after this time, and is not until then. `None`: never.
    pub(crate) fn set(&self, after: Option<Duration>) -> io::Result<()> {
        let zero = timespec(Duration::ZERO);
        // All zeros would stop it.
        let value = after.map_or(zero, |after| timespec(after.max(Duration::from_nanos(1))));
        let time = libc::itimerspec { it_interval: zero, it_value: value };
        // SAFETY: the time is valid, the old one is not asked for.
        check(unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &time, std::ptr::null_mut()) })
            .map(drop)
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
