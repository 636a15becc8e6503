//! What every Unix has: signal masks, wakers, a look at a descriptor.

use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::call;
use crate::source::Held;

#[cfg_attr(
    all(target_os = "linux", not(readiness_backend = "poll")),
    allow(dead_code, reason = "the kernel knows")
)]
mod file;
pub(crate) use file::is_file;

/// The error of a call on a descriptor that is not open.
pub(crate) const NOT_OPEN: i32 = libc::EBADF;

/// `Err` with `errno` if a call returned -1.
#[inline]
pub(crate) fn check(returned: libc::c_int) -> io::Result<libc::c_int> {
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

/// A timespec never shorter than `left`.
#[cfg_attr(any(target_os = "illumos", target_os = "solaris"), allow(dead_code))]
pub(crate) fn timespec(left: Duration) -> libc::timespec {
    // Not a struct literal: some targets pad it.
    // SAFETY: all zeros is a timespec.
    let mut time: libc::timespec = unsafe { MaybeUninit::zeroed().assume_init() };
    time.tv_sec = libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX);
    time.tv_nsec = left.subsec_nanos() as _;
    time
}

#[derive(Clone, Copy)]
pub(crate) struct SignalSet(libc::sigset_t);

impl SignalSet {
    fn made_by(fill: impl FnOnce(*mut libc::sigset_t)) -> SignalSet {
        let mut set = MaybeUninit::zeroed();
        fill(set.as_mut_ptr());
        // SAFETY: `fill` wrote it, and all zeros is a sigset_t too.
        SignalSet(unsafe { set.assume_init() })
    }

    pub(crate) fn empty() -> SignalSet {
        // SAFETY: the pointer is to a sigset_t of our own.
        SignalSet::made_by(|set| unsafe {
            libc::sigemptyset(set);
        })
    }

    pub(crate) fn all() -> SignalSet {
        // SAFETY: the pointer is to a sigset_t of our own.
        SignalSet::made_by(|set| unsafe {
            libc::sigfillset(set);
        })
    }

    pub(crate) fn current() -> io::Result<SignalSet> {
        let mut error = 0;
        let set = SignalSet::made_by(|set| {
            // SAFETY: no new mask is given, the old one goes to a set of our own.
            error = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), set) };
        });
        if error == 0 { Ok(set) } else { Err(io::Error::from_raw_os_error(error)) }
    }

    pub(crate) fn add(&mut self, signal: i32) -> io::Result<()> {
        // SAFETY: the set is initialised.
        check(unsafe { libc::sigaddset(&mut self.0, signal) }).map(drop)
    }

    pub(crate) fn remove(&mut self, signal: i32) -> io::Result<()> {
        // SAFETY: the set is initialised.
        check(unsafe { libc::sigdelset(&mut self.0, signal) }).map(drop)
    }

    pub(crate) fn contains(&self, signal: i32) -> bool {
        // SAFETY: the set is initialised.
        unsafe { libc::sigismember(&self.0, signal) == 1 }
    }

    pub(crate) fn as_ptr(&self) -> *const libc::sigset_t {
        &self.0
    }
}

/// Whether a source is open and can be waited on.
pub(crate) fn check_source(source: &Held) -> io::Result<()> {
    let Held::Fd(fd) = *source;
    // SAFETY: F_GETFD only looks; any number may be asked about.
    check(unsafe { libc::fcntl(fd, libc::F_GETFD) }).map(drop)
}

/// Whether there is anything that tells one source from another with its number.
#[cfg_attr(
    all(any(target_os = "linux", target_os = "android"), not(readiness_backend = "poll")),
    allow(dead_code, reason = "the kernel knows")
)]
pub(crate) const TELLS_IDENTITY: bool = true;

/// Device and inode.
pub(crate) type Identity = (u64, u64);

/// What tells an open source from another one. Eventfds,
/// timerfds and epolls share theirs.
pub(crate) fn identity(source: &Held) -> Option<Identity> {
    let Held::Fd(fd) = *source;
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: there is room for a stat; fstat only looks.
    check(unsafe { libc::fstat(fd, stat.as_mut_ptr()) }).ok()?;
    // SAFETY: fstat filled it.
    let stat = unsafe { stat.assume_init() };
    #[allow(clippy::unnecessary_cast, reason = "narrower on some systems")]
    Some((stat.st_dev as u64, stat.st_ino as u64))
}

pub(crate) type Count = u64;

/// How many bytes there are to read, where the host counts them. Looks only.
#[cfg_attr(
    all(target_os = "linux", not(readiness_backend = "poll")),
    allow(dead_code, reason = "the kernel has edges")
)]
pub(crate) fn count(source: &Held) -> Option<Count> {
    let Held::Fd(fd) = *source;
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes an int, or fails.
    check(unsafe { libc::ioctl(fd, libc::FIONREAD, &mut count) }).ok()?;
    u64::try_from(count).ok()
}

/// Which process this is: another one after fork(2).
pub(crate) fn process() -> u32 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return super::linux::process();
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    std::process::id()
}

/// What ends a poll(2) from another thread: an eventfd, elsewhere a pipe.
pub(crate) struct Wake {
    read: File,
    write: Option<File>,
}

impl Wake {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn new() -> io::Result<Wake> {
        // SAFETY: no pointers.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: the kernel just gave us this descriptor.
        let read = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        Ok(Wake { read, write: None })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn new() -> io::Result<Wake> {
        let mut fds = [0; 2];
        // SAFETY: there is room for two descriptors.
        check(unsafe { libc::pipe(fds.as_mut_ptr()) })?;
        // SAFETY: the kernel just gave us these descriptors.
        let [read, write] = fds.map(|fd| File::from(unsafe { OwnedFd::from_raw_fd(fd) }));
        for end in [&read, &write] {
            let fd = end.as_raw_fd();
            // SAFETY: flags of a descriptor of our own.
            unsafe {
                check(libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC))?;
                check(libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK))?;
            }
        }
        Ok(Wake { read, write: Some(write) })
    }

    /// What the list has to watch.
    pub(crate) fn source(&self) -> Option<Held> {
        Some(Held::Fd(self.fd()))
    }

    /// What becomes readable when somebody wakes.
    pub(crate) fn fd(&self) -> RawFd {
        self.read.as_raw_fd()
    }

    #[inline(always)]
    pub(crate) fn wake(&self) -> io::Result<()> {
        let end = self.write.as_ref().unwrap_or(&self.read).as_raw_fd();
        match call::write(end, &1u64.to_ne_bytes()) {
            Ok(_) => Ok(()),
            Err(error) => self.wake_full(error),
        }
    }

    #[cold]
    fn wake_full(&self, error: io::Error) -> io::Result<()> {
        match (error.kind(), &self.write) {
            // Full: a wake is under way already.
            (io::ErrorKind::WouldBlock, Some(_)) => Ok(()),
            // An eventfd that nobody drains gets here after 2^64 wakes and needs room for
            // the next edge.
            (io::ErrorKind::WouldBlock, None) => {
                self.drain();
                self.wake()
            }
            _ => Err(error),
        }
    }

    /// Makes it not readable.
    pub(crate) fn drain(&self) {
        let mut bytes = [0; 64];
        while let Ok(64) = (&self.read).read(&mut bytes) {}
    }
}
