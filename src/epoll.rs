//! `Epoll`: Python's `select.epoll()` object.

use std::io;
use std::time::Duration;

use crate::backend::errno;
use crate::event::EpollEvent;
use crate::flags::{EpollCreate, EpollFlags};
#[cfg(unix)]
use crate::signals::SignalSet;
use crate::source::{AsSource, RawSource};
use crate::timeout::{Signals, Until};

cfg_if::cfg_if! {
    if #[cfg(all(
        any(target_os = "linux", target_os = "android"),
        not(any(readiness_backend = "poll", readiness_emulated_epoll)),
    ))] {
        mod descriptor;
        use crate::backend::epoll::EpollFd as Set;
    } else {
        mod source;
        use crate::emulate::epoll::EmulatedEpoll as Set;
    }
}

/// Linux's epoll on every target: Python's `select.epoll()`.
///
/// On Linux each method is the system call: the events are the kernel's own
/// structures, nothing is copied, allocated or locked. Elsewhere epoll is made of
/// what the target has: kqueue on macOS and the BSDs, else poll(2), WinSock's
/// select, `poll_oneoff`. A wait costs then what that call costs, and beside it
/// what is ready.
///
/// - **Weak registrations.** A source that was closed is dropped quietly. The
///   kernel forgets it when its last duplicate is closed; while one lives it goes
///   on reporting under the closed number and nobody can delete it (epoll(7),
///   questions and answers). Emulated, a registration is of the number, and ends
///   when that number is closed, whatever duplicates there are.
/// - **A number that was closed and given anew.** The kernel is never mistaken.
///   Emulated on Unix, fstat(2) tells the new source from the old one, but not
///   among eventfds, timerfds and signalfds, which share an inode, nor where a
///   named file was opened twice. (kqueue knows by itself.) It is asked at each
///   register, modify and unregister, and at each event; of a source that was
///   reported alike by 32 waits in a row, at each 256th until that changes. In WASI
///   and on Windows nothing tells. What cannot be told answers under the old name,
///   and registering it is `EEXIST`, until the registration is removed or
///   [`closed`](Epoll::closed) told of it.
/// - **Edges.** The kernel reports each arrival, and so does kqueue (`EV_CLEAR`).
///   Emulated over anything else, an edge is never lost;
///   at worst it is reported more than once, or late by at most 256 ms. It fires
///   on register, on modify, when the source becomes ready, and on Unix when the
///   number of bytes to read changes. As long as a source was reported and is
///   still ready it is reported again after 1 ms, doubling to 256 ms. A program
///   that reads and writes until `WouldBlock` and says so by
///   [`rearm`](Epoll::rearm) waits for nothing.
/// - **Files.** A regular file or directory is refused with `EPERM`
///   (`PermissionDenied`); [`Poll`](crate::Poll) and
///   [`Selector`](crate::Selector) call it always ready. (The kernel takes
///   some files of /proc, though they are always ready; with a forced backend they are
///   refused.)
/// - **An epoll as a source.** It is readable when it has something to report, and
///   [`select`](crate::select()), [`Poll`](crate::Poll), `Epoll` and
///   [`Selector`](crate::Selector) take it. Epolls nest five deep. Emulated it has
///   no descriptor (on macOS and the BSDs none to be had): it is itself the source.
///   It leaves the set that it is in when it is dropped.
/// - **Out-of-band data.** kqueue of FreeBSD and NetBSD does not tell it: `PRI` is
///   never reported there. [`Poll`](crate::Poll) reports it.
/// - **`EXCLUSIVE`.** The kernel wakes at least one of the epolls that wait
///   exclusively for a source; the emulation wakes all.
/// - **`sizehint`.** Python's first argument is not offered: the kernel has
///   ignored it since 2.6.8, Python refuses only negative ones, and a hint that
///   does nothing misleads.
/// - **`closed`.** An `Epoll` that was closed does not exist: `close` takes it.
/// - **Threads.** It is `Send` and `Sync`: any thread may register, modify, unregister and
///   wait while another waits, and it takes effect at once.
/// - **Fork.** The child shares the parent's set: what it adds and deletes, the
///   parent sees. Dropping it in the child is harmless. An emulated one is copied
///   and can only be dropped.
///
/// ```
/// # #[cfg(unix)] {
/// use std::{io::Write, os::unix::net::UnixStream, time::Duration};
/// use readiness::{AsSource, Epoll, EpollEvent, EpollFlags};
///
/// let (mut tx, rx) = UnixStream::pair()?;
/// let epoll = Epoll::new()?;
/// epoll.register(&rx, EpollFlags::IN | EpollFlags::ET)?;
/// tx.write_all(b"x")?;
/// let mut events = [EpollEvent::default(); 8];
/// let n = epoll.wait(&mut events, Some(Duration::from_secs(1)))?;
/// assert_eq!(events[..n].len(), 1);
/// assert_eq!(events[0].data(), rx.raw_source().number());
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Follows [epoll(7)](https://man7.org/linux/man-pages/man7/epoll.7.html).
#[derive(Debug)]
#[doc(alias = "fromfd")]
pub struct Epoll(Set);

/// What epoll_pwait(2) does: it lets signals in where it sleeps.
#[cfg(unix)]
fn masked(timeout: Option<Duration>, mask: &SignalSet) -> Until<'_> {
    let sleeps = timeout != Some(Duration::ZERO);
    Until::new(timeout, if sleeps { Signals::Masked(mask) } else { Signals::Resume })
}

/// What Python takes where `maxevents` is not given: `FD_SETSIZE - 1`.
const MAX_EVENTS: usize = 1023;

impl Epoll {
    /// A new epoll, closed on exec.
    ///
    /// # Errors
    /// Those of epoll_create1(2). `Unsupported` where there is no host to wait with.
    #[doc(alias = "epoll_create")]
    #[doc(alias = "epoll_create1")]
    pub fn new() -> io::Result<Epoll> {
        Epoll::with_flags(EpollCreate::CLOEXEC)
    }

    /// A new epoll. Like Python's it is closed on exec with every flags; to hand
    /// it to another program, clear `FD_CLOEXEC`.
    ///
    /// # Errors
    /// `EINVAL` for flags other than none and [`EpollCreate::CLOEXEC`], and the
    /// others of epoll_create1(2). `Unsupported` where there is no host to wait
    /// with.
    pub fn with_flags(flags: EpollCreate) -> io::Result<Epoll> {
        Set::new((flags | EpollCreate::CLOEXEC).bits()).map(Epoll)
    }

    /// Adds a source, with its own number as data. Python's default is
    /// [`EpollFlags::default()`].
    ///
    /// # Errors
    /// Those of epoll_ctl(2): `EEXIST`, `EPERM` for a file, `ELOOP`, `EINVAL` for
    /// the epoll itself or a wrong use of [`EpollFlags::EXCLUSIVE`].
    #[doc(alias = "epoll_ctl")]
    #[doc(alias = "EPOLL_CTL_ADD")]
    pub fn register(&self, source: &(impl AsSource + ?Sized), flags: EpollFlags) -> io::Result<()> {
        let source = source.as_source();
        self.0.add(source, flags, source.raw().number())
    }

    /// Adds a source with data of the caller's.
    ///
    /// # Errors
    /// As [`register`](Epoll::register).
    pub fn register_with_data(
        &self,
        source: &(impl AsSource + ?Sized),
        flags: EpollFlags,
        data: u64,
    ) -> io::Result<()> {
        self.0.add(source.as_source(), flags, data)
    }

    /// Replaces the flags of a source, its data by its own number, and arms it again.
    ///
    /// # Errors
    /// Those of epoll_ctl(2): `ENOENT` (`NotFound`) if it is not registered.
    #[doc(alias = "EPOLL_CTL_MOD")]
    pub fn modify(&self, source: &(impl AsSource + ?Sized), flags: EpollFlags) -> io::Result<()> {
        let source = source.as_source();
        self.0.modify(source, flags, source.raw().number())
    }

    /// Replaces the flags and the data of a source, and arms it again.
    ///
    /// # Errors
    /// As [`modify`](Epoll::modify).
    pub fn modify_with_data(
        &self,
        source: &(impl AsSource + ?Sized),
        flags: EpollFlags,
        data: u64,
    ) -> io::Result<()> {
        self.0.modify(source.as_source(), flags, data)
    }

    /// Removes a source.
    ///
    /// # Errors
    /// Those of epoll_ctl(2): `ENOENT` (`NotFound`) if it is not registered,
    /// `EBADF` if it was closed.
    #[doc(alias = "EPOLL_CTL_DEL")]
    pub fn unregister(&self, source: &(impl AsSource + ?Sized)) -> io::Result<()> {
        self.0.delete(source.as_source())
    }

    /// Waits until a source is ready or the time is up, fills the front of
    /// `events`, and says how many there are.
    ///
    /// `None` waits for ever, zero does not wait. The precision is a nanosecond
    /// from Linux 5.11 on (epoll_pwait2), before that a millisecond, rounded up. A
    /// signal does not end it.
    ///
    /// # Errors
    /// Those of epoll_wait(2): `EINVAL` if `events` is empty.
    #[doc(alias = "epoll_wait")]
    #[doc(alias = "epoll_pwait2")]
    #[inline]
    pub fn wait(&self, events: &mut [EpollEvent], timeout: Option<Duration>) -> io::Result<usize> {
        self.0.wait(events, &Until::new(timeout, Signals::Resume))
    }

    /// [`wait`](Epoll::wait) that answers
    /// [`Interrupted`](io::ErrorKind::Interrupted) when a signal comes.
    ///
    /// # Errors
    /// Those of `wait`, and `Interrupted`.
    pub fn wait_interruptible(
        &self,
        events: &mut [EpollEvent],
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        self.0.wait(events, &Until::new(timeout, Signals::Report))
    }

    /// [`wait`](Epoll::wait) with these signals blocked meanwhile. It answers
    /// [`Interrupted`](io::ErrorKind::Interrupted) when another one comes; with a timeout of
    /// zero, which does not wait, none does.
    ///
    /// # Errors
    /// Those of `wait`, and `Interrupted`.
    #[cfg(unix)]
    #[doc(alias = "epoll_pwait")]
    pub fn pwait(
        &self,
        events: &mut [EpollEvent],
        timeout: Option<Duration>,
        mask: &SignalSet,
    ) -> io::Result<usize> {
        self.0.wait(events, &masked(timeout, mask))
    }

    /// Python's `poll`: [`wait`](Epoll::wait) that makes its own list, of at most
    /// `max_events`, or 1,023 if that is `None`.
    ///
    /// # Errors
    /// Those of `wait`: `EINVAL` if `max_events` is zero, or more than
    /// epoll_wait(2) takes; `OutOfMemory`.
    pub fn poll(
        &self,
        timeout: Option<Duration>,
        max_events: Option<usize>,
    ) -> io::Result<Vec<EpollEvent>> {
        self.wait_for_list(max_events, || Until::new(timeout, Signals::Resume))
    }

    /// [`poll`](Epoll::poll) that answers
    /// [`Interrupted`](io::ErrorKind::Interrupted) when a signal comes.
    ///
    /// # Errors
    /// Those of `poll`, and `Interrupted`.
    pub fn poll_interruptible(
        &self,
        timeout: Option<Duration>,
        max_events: Option<usize>,
    ) -> io::Result<Vec<EpollEvent>> {
        self.wait_for_list(max_events, || Until::new(timeout, Signals::Report))
    }

    /// [`poll`](Epoll::poll) with these signals blocked meanwhile, as
    /// [`pwait`](Epoll::pwait).
    ///
    /// # Errors
    /// Those of `poll`, and `Interrupted`.
    #[cfg(unix)]
    pub fn ppoll(
        &self,
        timeout: Option<Duration>,
        max_events: Option<usize>,
        mask: &SignalSet,
    ) -> io::Result<Vec<EpollEvent>> {
        self.wait_for_list(max_events, || masked(timeout, mask))
    }

    /// The time begins when there is room.
    fn wait_for_list<'a>(
        &self,
        max_events: Option<usize>,
        until: impl FnOnce() -> Until<'a>,
    ) -> io::Result<Vec<EpollEvent>> {
        let most = max_events.unwrap_or(MAX_EVENTS);
        if most > i32::MAX as usize / size_of::<EpollEvent>() {
            return Err(io::Error::from_raw_os_error(errno::INVALID));
        }
        let mut events = Vec::new();
        events.try_reserve_exact(most).map_err(|_| io::ErrorKind::OutOfMemory)?;
        events.resize(most, EpollEvent::default());
        let ready = self.0.wait(&mut events, &until())?;
        events.truncate(ready);
        Ok(events)
    }

    /// Says that reading or writing a source met `WouldBlock`: an emulated edge is
    /// armed again. The kernel saw it itself; there, and for a source that is not
    /// registered, nothing happens.
    ///
    /// # Errors
    /// The host's own.
    pub fn rearm(&self, source: &(impl AsSource + ?Sized)) -> io::Result<()> {
        self.0.rearm(source.as_source())
    }

    /// Says that a source was closed, by its name, so that its registration ends
    /// at once and nothing else that gets its number is taken for it. The kernel
    /// saw it itself; there nothing happens.
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
