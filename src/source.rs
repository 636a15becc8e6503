//! What can be waited on.

use std::fmt;
use std::io;

#[cfg(any(unix, target_os = "wasi"))]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket, AsSocket, BorrowedSocket, RawSocket};

use crate::backend::{self, Count, HeldSet, Identity, SetHandle};
#[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
use crate::{backend::Socket, pollable::Pollable};

/// Anything that can be waited on: Python's `fileno()`.
///
/// Whatever has a descriptor has this trait already: on Unix and WASI every
/// `AsFd` (standard streams, files, pipes, sockets, and a bare number through
/// the caller's own `unsafe`: `BorrowedFd::borrow_raw`), on Windows every
/// `AsSocket`. A type of your own implements `AsFd`, or this:
///
/// ```
/// # #[cfg(unix)] {
/// use std::os::{fd::AsFd, unix::net::UnixStream};
/// use readiness::{AsSource, Source};
///
/// struct Connection { socket: UnixStream, name: String }
///
/// impl AsSource for Connection {
///     fn as_source(&self) -> Source<'_> {
///         self.socket.as_source()
///     }
/// }
/// # }
/// ```
///
/// Sources of different types share a list as `&dyn AsSource` or `Box<dyn AsSource>`.
#[doc(alias = "fileno")]
pub trait AsSource {
    /// The source to wait on.
    fn as_source(&self) -> Source<'_>;

    /// The source's name in results and error messages.
    fn raw_source(&self) -> RawSource {
        self.as_source().raw()
    }
}

#[cfg(any(unix, target_os = "wasi"))]
impl<T: AsFd> AsSource for T {
    fn as_source(&self) -> Source<'_> {
        Source(Repr::Fd(self.as_fd()))
    }
}

#[cfg(windows)]
impl<T: AsSocket> AsSource for T {
    fn as_source(&self) -> Source<'_> {
        Source(Repr::Socket(self.as_socket()))
    }
}

impl AsSource for Source<'_> {
    fn as_source(&self) -> Source<'_> {
        *self
    }
}

impl AsSource for &dyn AsSource {
    fn as_source(&self) -> Source<'_> {
        (**self).as_source()
    }
}

impl AsSource for Box<dyn AsSource> {
    fn as_source(&self) -> Source<'_> {
        (**self).as_source()
    }
}

/// A source on loan: a descriptor, or on Windows a socket; or an emulated
/// [`Epoll`](crate::Epoll), which has no descriptor.
///
/// It cannot outlive what it was borrowed from. A registration made through it
/// can, and is weak: it keeps the number and not the source (see each front end
/// for what becomes of it when the source is closed).
#[derive(Clone, Copy)]
pub struct Source<'a>(Repr<'a>);

#[derive(Clone, Copy)]
enum Repr<'a> {
    #[cfg(any(unix, target_os = "wasi"))]
    Fd(BorrowedFd<'a>),
    #[cfg(windows)]
    Socket(BorrowedSocket<'a>),
    #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
    Pollable(&'a Pollable),
    #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
    #[allow(dead_code, reason = "as below")]
    NetSocket(&'a Socket),
    Set(&'a dyn SetHandle),
}

impl<'a> Source<'a> {
    /// The source's name in results and error messages.
    #[must_use]
    #[inline]
    pub fn raw(self) -> RawSource {
        match self.0 {
            #[cfg(any(unix, target_os = "wasi"))]
            Repr::Fd(fd) => RawSource::Fd(fd.as_raw_fd()),
            #[cfg(windows)]
            Repr::Socket(socket) => RawSource::Socket(socket.as_raw_socket()),
            #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
            Repr::Pollable(pollable) => RawSource::Pollable(pollable.handle()),
            #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
            Repr::NetSocket(socket) => RawSource::Socket(socket.name()),
            Repr::Set(set) => RawSource::Set(set.id()),
        }
    }

    /// What a host is given of it; or the set that it is.
    #[inline]
    pub(crate) fn held(self) -> Result<Held, &'a dyn SetHandle> {
        match self.0 {
            #[cfg(any(unix, target_os = "wasi"))]
            Repr::Fd(fd) => Ok(Held::Fd(fd.as_raw_fd())),
            #[cfg(windows)]
            Repr::Socket(socket) => Ok(Held::Socket(socket.as_raw_socket())),
            #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
            Repr::Pollable(pollable) => Ok(Held::Pollable(pollable.clone())),
            #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
            Repr::NetSocket(socket) => Ok(Held::NetSocket(socket.clone())),
            Repr::Set(set) => Err(set),
        }
    }

    /// What a registration keeps.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn hold(self) -> Member {
        match self.held() {
            Ok(held) => Member::Host(held),
            Err(set) => Member::Set(set.hold()),
        }
    }

    /// A socket of `readiness::net`.
    #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
    #[allow(dead_code, reason = "there are some with the feature `net` on wasm32-wasip1")]
    pub(crate) fn of_socket(socket: &'a Socket) -> Source<'a> {
        Source(Repr::NetSocket(socket))
    }

    /// A set that has no descriptor.
    #[allow(dead_code, reason = "where the kernel has sets, they have descriptors")]
    pub(crate) fn of_set(set: &'a dyn SetHandle) -> Source<'a> {
        Source(Repr::Set(set))
    }
}

#[cfg(any(unix, target_os = "wasi"))]
impl<'a> From<BorrowedFd<'a>> for Source<'a> {
    fn from(fd: BorrowedFd<'a>) -> Source<'a> {
        Source(Repr::Fd(fd))
    }
}

#[cfg(windows)]
impl<'a> From<BorrowedSocket<'a>> for Source<'a> {
    fn from(socket: BorrowedSocket<'a>) -> Source<'a> {
        Source(Repr::Socket(socket))
    }
}

#[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
impl<'a> From<&'a Pollable> for Source<'a> {
    fn from(pollable: &'a Pollable) -> Source<'a> {
        Source(Repr::Pollable(pollable))
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw().fmt(f)
    }
}

/// A source's name: what results and error messages call it by. It is a number
/// and owns nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RawSource {
    /// A file descriptor (Unix, WASI).
    #[cfg(any(unix, target_os = "wasi"))]
    Fd(RawFd),
    /// A socket (Windows).
    #[cfg(windows)]
    Socket(RawSocket),
    /// A pollable, by its handle (WASI 0.2).
    #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
    Pollable(u32),
    /// A socket of `readiness::net`, by a number of ours that no other source has
    /// (wasm32-wasip1 with the feature `wasi-io`).
    #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
    Socket(u32),
    /// An emulated [`Epoll`](crate::Epoll), which has no descriptor: a number that
    /// no other source of the process has or will have.
    Set(u64),
}

impl RawSource {
    /// Its number, whatever it is a number of: Python's `fileno()`.
    #[must_use]
    #[inline]
    pub fn number(self) -> u64 {
        match self {
            #[cfg(any(unix, target_os = "wasi"))]
            RawSource::Fd(fd) => fd as u64,
            // 32 bits where Windows has 32.
            #[cfg(windows)]
            #[allow(clippy::unnecessary_cast)]
            RawSource::Socket(socket) => socket as u64,
            #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
            RawSource::Pollable(number) | RawSource::Socket(number) => number.into(),
            RawSource::Set(id) => id,
        }
    }

    /// A number that no other name has, small where there are many: see
    /// [`Index`](crate::index::Index). Bits 61 and 62 tell nothing.
    #[inline]
    pub(crate) fn code(self) -> u64 {
        cfg_if::cfg_if! {
            if #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))] {
                // Descriptors and handles in turns.
                match self {
                    RawSource::Fd(fd) => u64::from(fd as u32) << 1,
                    RawSource::Pollable(handle) => u64::from(handle) << 1 | 1,
                    RawSource::Socket(number) => 1 << 40 | u64::from(number),
                    RawSource::Set(id) => 2 << 40 | id,
                }
            } else if #[cfg(windows)] {
                // Handles are multiples of four.
                match self {
                    RawSource::Socket(_) if self.number().is_multiple_of(4) => self.number() >> 2,
                    RawSource::Socket(_) => 1 << 59 | (self.number() & u64::from(u32::MAX)),
                    RawSource::Set(id) => 1 << 60 | id,
                }
            } else {
                // Sets are numbered from where descriptors end.
                self.number()
            }
        }
    }

    /// The descriptor's number, if the source is a descriptor.
    #[cfg(any(unix, target_os = "wasi"))]
    #[must_use]
    pub fn fd(self) -> Option<RawFd> {
        match self {
            RawSource::Fd(fd) => Some(fd),
            #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
            RawSource::Pollable(_) | RawSource::Socket(_) => None,
            RawSource::Set(_) => None,
        }
    }
}

impl fmt::Display for RawSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            #[cfg(any(unix, target_os = "wasi"))]
            RawSource::Fd(_) => "descriptor ",
            #[cfg(windows)]
            RawSource::Socket(_) => "socket ",
            #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
            RawSource::Pollable(_) => "pollable ",
            #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
            RawSource::Socket(_) => "socket ",
            RawSource::Set(_) => "set ",
        })?;
        match *self {
            // It may be none, and less than zero.
            #[cfg(any(unix, target_os = "wasi"))]
            RawSource::Fd(fd) => fmt::Display::fmt(&fd, f),
            other => fmt::Display::fmt(&other.number(), f),
        }
    }
}

#[cfg(any(unix, target_os = "wasi"))]
impl PartialEq<RawFd> for RawSource {
    fn eq(&self, fd: &RawFd) -> bool {
        self.fd() == Some(*fd)
    }
}

/// What a registration keeps of its source.
#[derive(Debug)]
pub(crate) enum Member {
    /// What the host can wait on.
    Host(Held),
    /// An emulated set.
    Set(Box<dyn HeldSet>),
}

impl Clone for Member {
    #[allow(unreachable_code, reason = "where there is no host, nothing is held")]
    fn clone(&self) -> Member {
        match self {
            Member::Host(held) => Member::Host(held.clone()),
            Member::Set(set) => Member::Set(set.hold()),
        }
    }
}

impl Member {
    pub(crate) fn raw(&self) -> RawSource {
        match self {
            Member::Host(held) => held.raw(),
            Member::Set(set) => RawSource::Set(set.id()),
        }
    }

    /// See [`RawSource::code`].
    #[cfg_attr(target_family = "wasm", inline(never))]
    #[cfg_attr(not(target_family = "wasm"), inline)]
    pub(crate) fn code(&self) -> u64 {
        self.raw().code()
    }

    /// Whether it is a set itself, and not the kernel's.
    #[allow(dead_code, reason = "where the kernel has epoll")]
    pub(crate) fn is_set(&self) -> bool {
        match self {
            Member::Host(held) => backend::is_set(held),
            Member::Set(..) => true,
        }
    }

    /// Whether it is open and can be waited on.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self {
            Member::Host(held) => backend::check_source(held),
            Member::Set(set) => set.check(),
        }
    }

    /// Whether it is a file, which is always ready, and which epoll refuses.
    #[allow(dead_code, reason = "the kernel knows where it has epoll")]
    #[inline]
    pub(crate) fn is_file(&self) -> io::Result<bool> {
        match self {
            Member::Host(held) => backend::is_file(held),
            Member::Set(..) => self.check().map(|()| false),
        }
    }

    /// How much there is to read, where the host counts.
    #[allow(dead_code, reason = "for edges that the host does not tell")]
    pub(crate) fn count(&self) -> Option<Count> {
        match self {
            Member::Host(held) => backend::count(held),
            Member::Set(..) => None,
        }
    }

    /// What tells it from another one that got its number, where the host can tell.
    pub(crate) fn identity(&self) -> Option<Identity> {
        match self {
            Member::Host(held) => backend::identity(held),
            // No other set ever has its number.
            Member::Set(..) => None,
        }
    }
}

/// What a host is given.
#[derive(Clone, Debug)]
pub(crate) enum Held {
    #[cfg(any(unix, target_os = "wasi"))]
    Fd(RawFd),
    #[cfg(windows)]
    Socket(RawSocket),
    #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
    Pollable(Pollable),
    #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
    NetSocket(Socket),
}

impl Held {
    /// Something to put into a slot that is vacated at once.
    pub(crate) fn placeholder() -> Option<Held> {
        cfg_if::cfg_if! {
            if #[cfg(any(unix, target_os = "wasi"))] {
                Some(Held::Fd(0))
            } else if #[cfg(windows)] {
                Some(Held::Socket(0))
            } else {
                None
            }
        }
    }

    /// Nothing that is open.
    pub(crate) fn closed() -> Option<Held> {
        cfg_if::cfg_if! {
            if #[cfg(any(unix, target_os = "wasi"))] {
                Some(Held::Fd(-1))
            } else if #[cfg(windows)] {
                Some(Held::Socket(RawSocket::MAX))
            } else {
                None
            }
        }
    }

    pub(crate) fn raw(&self) -> RawSource {
        match *self {
            #[cfg(any(unix, target_os = "wasi"))]
            Held::Fd(fd) => RawSource::Fd(fd),
            #[cfg(windows)]
            Held::Socket(socket) => RawSource::Socket(socket),
            #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
            Held::Pollable(ref pollable) => RawSource::Pollable(pollable.handle()),
            #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
            Held::NetSocket(ref socket) => RawSource::Socket(socket.name()),
        }
    }
}
