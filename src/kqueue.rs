//! `Kqueue`: Python's `select.kqueue()` object.

use std::io;
use std::time::Duration;

use crate::kevent::Kevent;
#[cfg(unix)]
use crate::signals::SignalSet;
use crate::source::{AsSource, RawSource};
use crate::timeout::{Signals, Until};

cfg_if::cfg_if! {
    if #[cfg(any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "dragonfly",
    ))] {
        use crate::backend::kqueue::KqueueFd as Set;
    } else {
        use crate::emulate::kqueue::EmulatedKqueue as Set;
    }
}

/// A kqueue: Python's `select.kqueue()`, on every target.
///
/// On macOS and the BSDs each method is the system call: changes and events are
/// the kernel's own structures, nothing is copied, allocated or locked. Elsewhere
/// it is emulated, and behaves as FreeBSD's. On Linux it is one descriptor then,
/// which poll(2), epoll(7) and other kqueues take (one inside another, and that
/// inside an epoll; the kernel refuses more with `ELOOP`). Where it has no
/// descriptor it is a source of every front end all the same. No thread is started
/// for it. What each filter tells on each target is with its name:
/// [`Filter`](crate::Filter).
///
/// - **Registrations** are by ident and filter. Closing a descriptor ends them; a
///   number that was given to another source since never answers under the old
///   registration, as far as the host can tell. On Linux it is looked up at the
///   first 15 reports, at each 16th from then on (it costs a system call), and
///   whenever the count contradicts the kernel. After so many reports an old
///   registration may answer up to 16 times more, if the new source has something to
///   read as well, and either a duplicate keeps the old one alive, or nobody read the
///   old one lately and both have as many bytes. Among more than 1,024 sources an
///   eventfd and its like are looked up at each 16th report only. WASI and Windows
///   cannot tell, unless [`closed`](Kqueue::closed) does.
/// - **Looking takes nothing away**: no filter reads, and none asks for
///   `SO_ERROR`, which would forget the error. That is why numbers can be
///   registered safely.
/// - **Changes, not states** ([`CLEAR`](crate::KeventFlags::CLEAR)): where the host
///   has levels only (WASI, Windows, poll(2)) a change is never lost, but may be
///   reported again after 1 ms, 2, and so on to 256; [`rearm`](Kqueue::rearm) waits
///   for nothing. On Linux one may be reported again when another source, closed
///   while a duplicate of it lives, has made its presence felt.
/// - **Whoever waits for its descriptor** on Linux may be woken with nothing to
///   report: by data below a mark ([`LOWAT`](crate::NoteFlags::LOWAT)), or by a
///   source that was closed while a duplicate of it lives.
/// - **Fork.** The child has no kqueue: `control` answers `EBADF` there, and
///   dropping it harms nobody.
///
/// ```
/// # #[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))] {
/// use std::{io::Write, os::unix::net::UnixStream, time::Duration};
/// use readiness::{Filter, Kevent, Kqueue};
///
/// let (mut tx, rx) = UnixStream::pair()?;
/// let kqueue = Kqueue::new()?;
/// let change = Kevent::new(&rx, Filter::Read).with_udata(7);
/// tx.write_all(b"hello")?;
/// let mut events = [Kevent::default(); 8];
/// let n = kqueue.control(&[change], &mut events, Some(Duration::from_secs(1)))?;
/// assert_eq!(n, 1);
/// assert_eq!((events[0].udata, events[0].data), (7, 5));
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Follows kqueue(2) of [FreeBSD](https://man.freebsd.org/kqueue/2).
#[doc(alias = "fromfd")]
pub struct Kqueue(Set);

impl Kqueue {
    /// A new kqueue, closed on exec.
    ///
    /// # Errors
    /// Those of kqueue(2): no descriptors or no memory left.
    #[doc(alias = "kqueue")]
    #[doc(alias = "kqueue1")]
    pub fn new() -> io::Result<Kqueue> {
        Set::new().map(Kqueue)
    }

    /// Applies changes in order, then waits until something has happened or the
    /// time is up, fills the front of `events`, and says how many there are.
    ///
    /// A change that fails, or that asks for a receipt, is answered by an entry of
    /// its own with [`KeventFlags::ERROR`](crate::KeventFlags::ERROR). If there are
    /// such entries they are returned at once, without waiting and without other
    /// events. With no room for events it never waits. `None` waits for ever, zero
    /// does not wait. A signal does not end it.
    ///
    /// # Errors
    /// The error of a change for which there was no room in `events`; the changes
    /// after it were not applied then. `EBADF` in a forked child.
    #[doc(alias = "kevent")]
    #[inline]
    pub fn control(
        &self,
        changes: &[Kevent],
        events: &mut [Kevent],
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        self.0.control(changes, events, Until::new(timeout, Signals::Resume))
    }

    /// [`control`](Kqueue::control) that answers
    /// [`Interrupted`](io::ErrorKind::Interrupted) when a signal comes. The changes
    /// were applied then, and must not be given again.
    ///
    /// # Errors
    /// Those of `control`, and `Interrupted`.
    pub fn control_interruptible(
        &self,
        changes: &[Kevent],
        events: &mut [Kevent],
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        self.0.control(changes, events, Until::new(timeout, Signals::Report))
    }

    /// [`control`](Kqueue::control) with these signals blocked while it waits. It
    /// answers [`Interrupted`](io::ErrorKind::Interrupted) when another one comes.
    ///
    /// # Errors
    /// Those of `control`, and `Interrupted`.
    #[cfg(unix)]
    pub fn control_masked(
        &self,
        changes: &[Kevent],
        events: &mut [Kevent],
        timeout: Option<Duration>,
        mask: &SignalSet,
    ) -> io::Result<usize> {
        self.0.control(changes, events, Until::new(timeout, Signals::Masked(mask)))
    }

    /// Says that reading or writing a source met `WouldBlock`: where changes are
    /// emulated ([`CLEAR`](crate::KeventFlags::CLEAR)), the next one is reported at
    /// once. A kernel saw it itself; there, and for a source that is not registered,
    /// nothing happens.
    ///
    /// # Errors
    /// The host's own.
    pub fn rearm(&self, source: &(impl AsSource + ?Sized)) -> io::Result<()> {
        self.0.rearm(source.as_source())
    }

    /// Says that a source was closed, by its name, so that its registrations end at
    /// once and nothing else that gets its number is taken for it. A kernel saw it
    /// itself; there nothing happens.
    pub fn closed(&self, source: RawSource) {
        self.0.closed(source);
    }

    /// Closes it, and tells the error that dropping it would swallow.
    ///
    /// # Errors
    /// Those of close(2).
    pub fn close(self) -> io::Result<()> {
        self.0.close()
    }
}

impl std::fmt::Debug for Kqueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Kqueue").finish_non_exhaustive()
    }
}

cfg_if::cfg_if! {
    if #[cfg(any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "dragonfly",
        all(any(target_os = "linux", target_os = "android"), not(readiness_backend = "poll")),
    ))] {
        use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

        impl AsFd for Kqueue {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl AsRawFd for Kqueue {
            fn as_raw_fd(&self) -> RawFd {
                self.as_fd().as_raw_fd()
            }
        }

        /// Python's `fromfd`. A descriptor that is no kqueue is answered with `EBADF`
        /// when it is used; so is, on Linux, one that another process made.
        impl From<OwnedFd> for Kqueue {
            fn from(fd: OwnedFd) -> Kqueue {
                Kqueue(Set::from(fd))
            }
        }

        /// What is registered stays with the descriptor, until it is closed.
        impl From<Kqueue> for OwnedFd {
            fn from(kqueue: Kqueue) -> OwnedFd {
                kqueue.0.into()
            }
        }

        impl IntoRawFd for Kqueue {
            fn into_raw_fd(self) -> RawFd {
                OwnedFd::from(self).into_raw_fd()
            }
        }
    } else {
        use crate::source::Source;

        /// A kqueue without a descriptor is a source all the same.
        impl AsSource for Kqueue {
            fn as_source(&self) -> Source<'_> {
                Source::of_set(self.0.own())
            }
        }
    }
}
