//! poll and ppoll.

use std::collections::HashMap;
use std::time::Duration;

use libc::{c_int, c_short, nfds_t, pollfd, timespec};
use readiness::{AsSource, Poll, PollEvent, PollFlags, RawSource};

use crate::errno::{Answer, Errno, call, of_watching};
use crate::memory::{read, write};
#[cfg(unix)]
use crate::sets;
use crate::signals::{self, Mask, sigset_t};
use crate::source::CSource;
use crate::timeout;

/// poll(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn readiness_poll(fds: *mut pollfd, nfds: nfds_t, timeout: c_int) -> c_int {
    #[cfg(unix)]
    if !sets::any_without_descriptor() {
        let timeout = timeout::milliseconds(timeout);
        // SAFETY: the caller's array; the kernel checks it.
        return call(|| unsafe { host::poll(fds, nfds, timeout, std::ptr::null()) });
    }
    let timeout = timeout::milliseconds(timeout);
    // SAFETY: the caller's array.
    call(|| unsafe { poll(fds, nfds as usize, timeout, None) })
}

/// ppoll(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn readiness_ppoll(
    fds: *mut pollfd,
    nfds: nfds_t,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    #[cfg(unix)]
    if !sets::any_without_descriptor() {
        // SAFETY: the caller's memory; the kernel checks it.
        return call(|| unsafe { host::poll(fds, nfds, timeout::of_timespec(timeout)?, mask) });
    }
    // SAFETY: the caller's memory.
    call(|| unsafe {
        timeout::of_timespec(timeout)
            .and_then(|timeout| poll(fds, nfds as usize, timeout, signals::mask(mask)))
    })
}

/// The system call itself: a sanitizer's poll(2) believes every count.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod host {
    use super::*;
    use crate::errno::check;

    pub(super) unsafe fn poll(
        fds: *mut pollfd,
        nfds: nfds_t,
        timeout: Option<Duration>,
        mask: *const sigset_t,
    ) -> Answer {
        // The kernel writes the time that is left into its timespec.
        let time = timeout.map(timeout::to_timespec);
        let time = time.as_ref().map_or(std::ptr::null(), |time| time as *const timespec);
        // The kernel's set of 64 signals is the front of the C library's.
        let set_size: libc::size_t = 8;
        // SAFETY: the caller's memory, which the kernel checks, and a time of our own.
        check(unsafe { libc::syscall(libc::SYS_ppoll, fds, nfds, time, mask, set_size) } as c_int)
    }
}

#[cfg(all(
    unix,
    not(any(
        target_os = "linux",
        target_os = "android",
        target_vendor = "apple",
        target_os = "illumos",
        target_os = "solaris"
    ))
))]
mod host {
    use super::*;
    use crate::errno::check;

    pub(super) unsafe fn poll(
        fds: *mut pollfd,
        nfds: nfds_t,
        timeout: Option<Duration>,
        mask: *const sigset_t,
    ) -> Answer {
        let time = timeout.map(timeout::to_timespec);
        let time = time.as_ref().map_or(std::ptr::null(), |time| time as *const timespec);
        // SAFETY: the caller's memory, which the kernel checks, and a time of our own.
        check(unsafe { libc::ppoll(fds, nfds, time, mask) })
    }
}

/// There is no ppoll(2), or libc lacks it; the crate's exchanges the mask around the call.
#[cfg(any(target_vendor = "apple", target_os = "illumos", target_os = "solaris"))]
mod host {
    use super::*;

    pub(super) unsafe fn poll(
        fds: *mut pollfd,
        nfds: nfds_t,
        timeout: Option<Duration>,
        mask: *const sigset_t,
    ) -> Answer {
        // SAFETY: the caller's memory.
        unsafe { super::poll(fds, nfds as usize, timeout, signals::mask(mask)) }
    }
}

/// Waits, with a mask if it is ppoll that was called.
pub(crate) fn wait(
    poll: &mut Poll,
    timeout: Option<Duration>,
    mask: Mask,
) -> Answer<Vec<PollEvent>> {
    #[cfg(unix)]
    if let Some(mask) = mask {
        return Ok(poll.ppoll(timeout, &mask).map_err(of_watching)?.collect());
    }
    let _ = mask;
    Ok(poll.poll_interruptible(timeout).map_err(of_watching)?.collect())
}

/// poll(2) by way of the crate: sets that have no descriptor among the rest.
///
/// # Safety
/// `fds` is the caller's array of `nfds`.
unsafe fn poll(fds: *mut pollfd, nfds: usize, timeout: Option<Duration>, mask: Mask) -> Answer {
    if nfds > limit() {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: the caller's array.
    let mut entries: Vec<pollfd> = unsafe { read(fds.cast_const(), nfds) }?;

    // One registration a source, wanting what any entry of it wants.
    let mut poll = Poll::new();
    let mut wants: HashMap<RawSource, PollFlags> = HashMap::new();
    let mut sources = Vec::with_capacity(nfds);
    for entry in &entries {
        let Some(source) = CSource::of(entry.fd) else {
            sources.push(None);
            continue;
        };
        let raw = source.raw_source();
        let want = wants.entry(raw).or_insert(PollFlags::empty());
        *want |= PollFlags::from_bits_truncate(entry.events as u16);
        poll.register(&source, *want)?;
        sources.push(Some(raw));
    }
    let found = wait(&mut poll, timeout, mask)?;

    let found: HashMap<RawSource, PollFlags> =
        found.iter().map(|event| (event.source, event.flags)).collect();
    let unasked = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
    let mut ready = 0;
    for (entry, source) in entries.iter_mut().zip(sources) {
        let asked = PollFlags::from_bits_truncate(entry.events as u16) | unasked;
        let flags = source.and_then(|source| found.get(&source).copied());
        entry.revents = (flags.unwrap_or(PollFlags::empty()) & asked).bits() as c_short;
        ready += c_int::from(entry.revents != 0);
    }
    // SAFETY: the caller's array.
    unsafe { write(fds, &entries) }?;
    Ok(ready)
}

/// The most entries that poll(2) takes.
#[cfg(unix)]
pub(crate) fn limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: there is room for the limit.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == -1 {
        return usize::MAX;
    }
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

/// WASI has no such limit; one that no program means, so that a wrong count is told.
#[cfg(not(unix))]
fn limit() -> usize {
    1 << 16
}
