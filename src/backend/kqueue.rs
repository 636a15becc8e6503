//! kqueue(2): macOS, FreeBSD, NetBSD, OpenBSD, DragonFly.
//!
//! - [FreeBSD](https://man.freebsd.org/kqueue/2), [NetBSD](https://man.netbsd.org/kqueue.2),
//!   [OpenBSD](https://man.openbsd.org/kqueue.2),
//!   [macOS](https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man2/kqueue.2.html)

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use super::List;
use super::poll::PollList;
use super::unix::{check, process, timespec};
use crate::flags::PollFlags;
use crate::kevent::Kevent;
use crate::source::{Held, RawSource, Source};
use crate::timeout::{Signals, Until};

cfg_if::cfg_if! {
    if #[cfg(target_os = "linux")] {
        // No kqueue here: this is compiled for the tests alone.
        #[cfg_attr(not(test), allow(dead_code))]
        mod fake;
        use fake as sys;
    } else {
        use libc as sys;
    }
}

mod nest;
mod set;
#[cfg_attr(readiness_backend = "poll", allow(unused_imports))]
pub(crate) use set::KqueueSet;

/// Whether a source is a [`KqueueSet`].
#[allow(dead_code, reason = "where the kernel has epoll")]
pub(crate) fn is_set(source: &Held) -> bool {
    let Held::Fd(fd) = *source;
    nest::is_set(fd)
}

#[cfg(all(test, target_os = "linux"))]
mod tests;

/// The system calls on one kqueue.
#[derive(Debug)]
pub(crate) struct KqueueFd {
    fd: ManuallyDrop<OwnedFd>,
    /// "The queue is not inherited by a child created with fork(2)": there the
    /// number is another descriptor's.
    process: u32,
}

/// macOS refuses more than three years with `EINVAL`.
const LONGEST: Duration = Duration::from_secs(100_000_000);

impl KqueueFd {
    pub(crate) fn new() -> io::Result<KqueueFd> {
        // SAFETY: no pointers.
        let fd = check(unsafe { sys::kqueue() })?;
        // SAFETY: the kernel just gave us this descriptor.
        let queue = KqueueFd::from(unsafe { OwnedFd::from_raw_fd(fd) });
        // Not every system has a kqueue1(2) that does both.
        // SAFETY: flags of a descriptor of our own.
        check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
        Ok(queue)
    }

    /// Makes changes without waiting, up to the first that fails.
    pub(crate) fn change(&self, changes: &[Kevent]) -> io::Result<()> {
        self.kevent(changes, &mut [], Some(Duration::ZERO)).map(drop)
    }

    /// Applies the changes, then waits for events, fills the front of `events`
    /// and says how many there are. With an empty `events` it does not wait.
    pub(crate) fn control(
        &self,
        mut changes: &[Kevent],
        events: &mut [Kevent],
        until: Until<'_>,
    ) -> io::Result<usize> {
        let mut deadline = until.deadline;
        if matches!(until.signals, Signals::Masked(_)) && !events.is_empty() {
            return self.control_masked(changes, events, until);
        }
        loop {
            let found = match self.kevent(changes, events, deadline.left()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    if !matches!(until.signals, Signals::Resume) {
                        return Err(error);
                    }
                    0
                }
                other => other?,
            };
            if found > 0 || events.is_empty() || deadline.passed() {
                return Ok(found);
            }
            // Interrupted too, it has applied all of them.
            changes = &[];
        }
    }

    /// kevent(2) takes no mask, but its descriptor can be polled with one.
    #[cold]
    fn control_masked(
        &self,
        changes: &[Kevent],
        events: &mut [Kevent],
        mut until: Until<'_>,
    ) -> io::Result<usize> {
        let mut found = self.kevent(changes, events, Some(Duration::ZERO))?;
        let mut list = PollList::default();
        list.put(0, &Held::Fd(self.fd.as_raw_fd()), PollFlags::IN);
        // Once by all means: a signal that is pending is to be let through.
        while found == 0 && list.wait(&until)? > 0 {
            found = self.kevent(&[], events, Some(Duration::ZERO))?;
            until.deadline.refresh();
        }
        Ok(found)
    }

    fn kevent(
        &self,
        changes: &[Kevent],
        events: &mut [Kevent],
        left: Option<Duration>,
    ) -> io::Result<usize> {
        let timeout = left.map(|left| timespec(left.min(LONGEST)));
        let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the arrays are as long as is said; the time is valid or null.
        // (`as _`: the counts are `int`, on NetBSD `size_t`.)
        let found = unsafe {
            sys::kevent(
                self.fd.as_raw_fd(),
                changes.as_ptr().cast(),
                changes.len() as _,
                events.as_mut_ptr().cast(),
                events.len() as _,
                timeout,
            )
        };
        Ok(check(found)? as usize)
    }

    /// The kernel tells changes, and sees what is closed.
    #[cfg_attr(target_os = "linux", allow(dead_code, reason = "for `Kqueue`"))]
    pub(crate) fn rearm(&self, _source: Source<'_>) -> io::Result<()> {
        Ok(())
    }

    #[cfg_attr(target_os = "linux", allow(dead_code, reason = "for `Kqueue`"))]
    pub(crate) fn closed(&self, _source: RawSource) {}

    #[cfg_attr(target_os = "linux", allow(dead_code, reason = "for `Kqueue`"))]
    pub(crate) fn close(self) -> io::Result<()> {
        let fd = OwnedFd::from(self).into_raw_fd();
        // SAFETY: the descriptor is ours, and nobody closes it a second time.
        check(unsafe { libc::close(fd) }).map(drop)
    }
}

impl Drop for KqueueFd {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        sys::closing(self.fd.as_raw_fd());
        if self.process == process() {
            // SAFETY: it is dropped nowhere else.
            unsafe { ManuallyDrop::drop(&mut self.fd) };
        }
    }
}

impl AsFd for KqueueFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<OwnedFd> for KqueueFd {
    fn from(fd: OwnedFd) -> KqueueFd {
        KqueueFd { fd: ManuallyDrop::new(fd), process: process() }
    }
}

impl From<KqueueFd> for OwnedFd {
    fn from(queue: KqueueFd) -> OwnedFd {
        let mut queue = ManuallyDrop::new(queue);
        // SAFETY: it is taken once, and the rest of the queue is not dropped.
        unsafe { ManuallyDrop::take(&mut queue.fd) }
    }
}

/// A `Kevent` is the system's own structure.
#[cfg(not(target_os = "linux"))]
const _: () = {
    use std::mem::offset_of;

    type Host = libc::kevent;
    assert!(size_of::<Kevent>() == size_of::<Host>());
    // 4 on macOS, where the structure is packed to no effect.
    assert!(align_of::<Kevent>() >= align_of::<Host>());
    assert!(offset_of!(Kevent, ident) == offset_of!(Host, ident));
    assert!(offset_of!(Kevent, filter) == offset_of!(Host, filter));
    assert!(offset_of!(Kevent, flags) == offset_of!(Host, flags));
    assert!(offset_of!(Kevent, fflags) == offset_of!(Host, fflags));
    assert!(offset_of!(Kevent, data) == offset_of!(Host, data));
    assert!(offset_of!(Kevent, udata) == offset_of!(Host, udata));
};
