//! epoll(7): Linux and Android.
//!
//! - [epoll_create1](https://man7.org/linux/man-pages/man2/epoll_create.2.html),
//!   [epoll_ctl](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html),
//!   [epoll_wait](https://man7.org/linux/man-pages/man2/epoll_wait.2.html)

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::call::{epoll_ctl, epoll_wait};
use super::unix::{check, timespec};
use crate::event::EpollEvent;
use crate::flags::EpollFlags;
use crate::source::{RawSource, Source};
use crate::timeout::{Signals, Until, milliseconds, whole_milliseconds};

/// The system calls on one epoll.
#[derive(Debug)]
pub(crate) struct EpollFd(pub(crate) OwnedFd);

#[cfg_attr(readiness_emulated_epoll, allow(dead_code, reason = "Epoll is on EpollSet"))]
impl EpollFd {
    pub(crate) fn new(flags: u32) -> io::Result<EpollFd> {
        // SAFETY: no pointers.
        let fd = check(unsafe { libc::epoll_create1(flags as libc::c_int) })?;
        // SAFETY: the kernel just gave us this descriptor.
        Ok(EpollFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    #[inline]
    pub(crate) fn control(
        &self,
        operation: libc::c_int,
        fd: RawFd,
        events: u32,
        data: u64,
    ) -> io::Result<()> {
        let mut event = EpollEvent::new(EpollFlags::from_bits_retain(events), data);
        epoll_ctl(self.0.as_raw_fd(), operation, fd, &mut event)
    }

    pub(crate) fn add(&self, source: Source<'_>, flags: EpollFlags, data: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, number(source.raw()), flags.bits(), data)
    }

    pub(crate) fn modify(
        &self,
        source: Source<'_>,
        flags: EpollFlags,
        data: u64,
    ) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, number(source.raw()), flags.bits(), data)
    }

    pub(crate) fn delete(&self, source: Source<'_>) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, number(source.raw()), 0, 0)
    }

    /// The kernel sees each read and write.
    pub(crate) fn rearm(&self, _source: Source<'_>) -> io::Result<()> {
        Ok(())
    }

    /// The kernel sees each close.
    pub(crate) fn closed(&self, _source: RawSource) {}

    pub(crate) fn close(self) -> io::Result<()> {
        // SAFETY: the descriptor is ours, and nobody closes it a second time.
        check(unsafe { libc::close(self.0.into_raw_fd()) }).map(drop)
    }

    /// Fills the front of `events`.
    #[inline(always)]
    pub(crate) fn wait(&self, events: &mut [EpollEvent], until: &Until<'_>) -> io::Result<usize> {
        let whole = whole_milliseconds(until.deadline.left());
        match (whole, until.signals) {
            // The ordinary case, apart from the others, which would make it slower.
            (Some(timeout), Signals::Resume | Signals::Report) => {
                match epoll_wait(self.0.as_raw_fd(), events, timeout) {
                    Err(error) => self.wait_again(events, error, *until),
                    told => told,
                }
            }
            _ => self.wait_anyhow(events, *until),
        }
    }

    /// After an error.
    #[cold]
    fn wait_again(
        &self,
        events: &mut [EpollEvent],
        error: io::Error,
        mut until: Until<'_>,
    ) -> io::Result<usize> {
        match (error.kind(), until.signals) {
            (io::ErrorKind::Interrupted, Signals::Resume) => {
                until.deadline.refresh();
                self.wait_anyhow(events, until)
            }
            _ => Err(error),
        }
    }

    #[cold]
    fn wait_anyhow(&self, events: &mut [EpollEvent], until: Until<'_>) -> io::Result<usize> {
        until.run(|left| self.wait_precise(events, left, until.signals))
    }

    fn wait_precise(
        &self,
        events: &mut [EpollEvent],
        left: Option<Duration>,
        signals: Signals<'_>,
    ) -> io::Result<usize> {
        /// Linux before 5.11, and some sandboxes.
        static NO_PWAIT2: AtomicBool = AtomicBool::new(false);
        /// The kernel's sigset is 64 signals, at the front of libc's.
        const SET_SIZE: libc::size_t = 8;

        let most = i32::try_from(events.len()).unwrap_or(i32::MAX);
        let mask = match signals {
            Signals::Masked(mask) => mask.0.as_ptr(),
            _ => std::ptr::null(),
        };
        if !NO_PWAIT2.load(Ordering::Relaxed) {
            let time = left.map(timespec);
            let time = time.as_ref().map_or(std::ptr::null(), |time| time as *const _);
            // SAFETY: there is room for `most` events; the time and the mask are
            // valid or null.
            let ready = unsafe {
                libc::syscall(
                    libc::SYS_epoll_pwait2,
                    self.0.as_raw_fd(),
                    events.as_mut_ptr().cast::<libc::epoll_event>(),
                    most,
                    time,
                    mask,
                    SET_SIZE,
                )
            };
            match check(ready as libc::c_int) {
                Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
                    NO_PWAIT2.store(true, Ordering::Relaxed);
                }
                other => return Ok(other? as usize),
            }
        }
        let timeout = milliseconds(left);
        // By its number: libc has no name for it on Android.
        // SAFETY: there is room for `most` events; the mask is valid or null.
        let ready = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait,
                self.0.as_raw_fd(),
                events.as_mut_ptr().cast::<libc::epoll_event>(),
                most,
                timeout,
                mask,
                SET_SIZE,
            )
        } as libc::c_int;
        Ok(check(ready)? as usize)
    }
}

/// Sets all have descriptors here: another one's name is that of nothing open.
/// Whether `fd` is an epoll that holds `member` with these events; if it does, the
/// member is armed again. An error: it is no epoll.
pub(crate) fn holds(fd: RawFd, member: RawFd, events: u32, data: u64) -> io::Result<bool> {
    let mut event = libc::epoll_event { events, u64: data };
    // SAFETY: the event is valid; any numbers may be given as descriptors.
    let done = check(unsafe { libc::epoll_ctl(fd, libc::EPOLL_CTL_MOD, member, &mut event) });
    match done {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether it is an epoll, which the kernel that is emulated would see.
#[cfg(readiness_emulated_epoll)]
#[cfg_attr(test, allow(dead_code, reason = "the kqueue of the tests has one"))]
pub(crate) fn is_set(source: &crate::source::Held) -> bool {
    let name = std::fs::read_link(format!("/proc/self/fd/{}", number(source.raw())));
    name.is_ok_and(|name| name.as_os_str() == "anon_inode:[eventpoll]")
}

#[inline]
fn number(source: RawSource) -> RawFd {
    source.fd().unwrap_or(-1)
}

impl AsFd for EpollFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

mod set;
pub(crate) use set::EpollSet;
