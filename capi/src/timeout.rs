//! Timeouts of C. NULL and a negative number of milliseconds wait for ever.

use std::time::Duration;

use libc::{c_int, timespec, timeval};

use crate::errno::{Answer, Errno};
use crate::memory::optional;

pub(crate) fn milliseconds(timeout: c_int) -> Option<Duration> {
    u64::try_from(timeout).ok().map(Duration::from_millis)
}

/// `EINVAL` for what is not a time.
///
/// # Safety
/// `time` is NULL or points to a timespec.
pub(crate) unsafe fn of_timespec(time: *const timespec) -> Answer<Option<Duration>> {
    // SAFETY: as the caller of this function says.
    let Some(time) = (unsafe { optional(time) }) else { return Ok(None) };
    let invalid = Errno(libc::EINVAL);
    let seconds = u64::try_from(time.tv_sec).map_err(|_| invalid)?;
    match u32::try_from(time.tv_nsec) {
        Ok(nanos) if nanos < 1_000_000_000 => Ok(Some(Duration::new(seconds, nanos))),
        _ => Err(invalid),
    }
}

/// `EINVAL` for what is not a time. Linux takes a million microseconds and more
/// as seconds; POSIX does not.
///
/// # Safety
/// `time` is NULL or points to a timeval.
pub(crate) unsafe fn of_timeval(time: *const timeval) -> Answer<Option<Duration>> {
    // SAFETY: as the caller of this function says.
    let Some(time) = (unsafe { optional(time) }) else { return Ok(None) };
    let invalid = Errno(libc::EINVAL);
    let seconds = u64::try_from(time.tv_sec).map_err(|_| invalid)?;
    let micros = u64::try_from(time.tv_usec).map_err(|_| invalid)?;
    if micros >= 1_000_000 && !cfg!(any(target_os = "linux", target_os = "android")) {
        return Err(invalid);
    }
    Ok(Some(Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros))))
}

/// A time that is never shorter.
#[cfg(all(unix, not(any(target_vendor = "apple", target_os = "illumos", target_os = "solaris"))))]
pub(crate) fn to_timespec(time: Duration) -> timespec {
    // Not a struct literal: some targets pad it.
    // SAFETY: all zeros is a timespec.
    let mut spec: timespec = unsafe { std::mem::zeroed() };
    spec.tv_sec = libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX);
    spec.tv_nsec = time.subsec_nanos() as _;
    spec
}
