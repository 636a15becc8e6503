//! Sources: eventfds, the cheapest that the kernel has, and socket pairs.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Lets this process open as many descriptors as it may.
pub fn raise_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is ours.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        // Both sides of a comparison have 10,000. Root may raise the hard limit.
        limit.rlim_cur = limit.rlim_max.max(40_000);
        limit.rlim_max = limit.rlim_cur;
        if libc::setrlimit(libc::RLIMIT_NOFILE, &limit) != 0 {
            libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

pub fn eventfds(count: usize) -> Vec<OwnedFd> {
    (0..count)
        .map(|_| {
            // SAFETY: no pointers; the kernel gives us the descriptor.
            unsafe {
                let fd = libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC);
                assert!(fd >= 0, "{}", std::io::Error::last_os_error());
                OwnedFd::from_raw_fd(fd)
            }
        })
        .collect()
}

/// What becomes ready a while after it was [started](start).
pub fn timerfd() -> OwnedFd {
    // SAFETY: no pointers; the kernel gives us the descriptor.
    unsafe {
        let fd =
            libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC);
        assert!(fd >= 0, "{}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(fd)
    }
}

/// So that whoever waits then sleeps first.
pub fn start(timer: &OwnedFd) {
    let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let soon = libc::timespec { tv_nsec: 30_000, ..none };
    let time = libc::itimerspec { it_interval: none, it_value: soon };
    // SAFETY: the time is ours.
    unsafe { libc::timerfd_settime(timer.as_raw_fd(), 0, &time, std::ptr::null_mut()) };
}

/// `ready` of `count` positions, spread evenly.
pub fn chosen(count: usize, ready: usize) -> Vec<usize> {
    (0..ready).map(|nth| (nth * 2 + 1) * count / (ready * 2)).collect()
}

pub fn fire(fd: &OwnedFd) {
    let one = 1u64;
    // SAFETY: eight bytes of ours.
    unsafe { libc::write(fd.as_raw_fd(), (&raw const one).cast(), 8) };
}

pub fn drain(fd: RawFd) -> u64 {
    let mut count = 0u64;
    // SAFETY: eight bytes of ours.
    unsafe { libc::read(fd, (&raw mut count).cast(), 8) };
    count
}
