//! Errors that say which source and which operation.

use std::error::Error;
use std::{fmt, io};

use crate::backend::{NOT_OPEN, errno};
use crate::kevent::Filter;
use crate::source::{Member, RawSource};

cfg_if::cfg_if! {
    if #[cfg(any(unix, target_os = "wasi"))] {
        #[allow(unused_imports, reason = "where the kernel has kqueue")]
        pub(crate) use libc::EINVAL;
        pub(crate) use libc::{EBADF, ENOENT, ENOTSUP};
    } else {
        // errno.h of Windows.
        pub(crate) const ENOENT: i32 = 2;
        pub(crate) const EBADF: i32 = 9;
        pub(crate) const EINVAL: i32 = 22;
        pub(crate) const ENOTSUP: i32 = 129;
    }
}

/// Which operation failed on which source, and the system's own error.
///
/// It comes inside an [`io::Error`]: `error.get_ref()` and `downcast_ref` reach
/// it, and [`os_error`] reads the system's number wherever it is.
pub struct SourceError {
    operation: &'static str,
    source: RawSource,
    why: Why,
}

/// (An `io::Error` for both is a kilobyte and a half of words, which every program has that
/// prints an error.)
enum Why {
    /// The system's number.
    Number(i32),
    /// It has none.
    Other(Box<dyn Error + Send + Sync>),
}

impl SourceError {
    /// The operation, by its name in this crate.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The source that it failed on.
    #[must_use]
    pub fn raw_source(&self) -> RawSource {
        self.source
    }

    /// The system's number for the error: `errno` on Unix and WASI,
    /// `WSAGetLastError` on Windows.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match self.why {
            Why::Number(number) => Some(number),
            Why::Other(_) => None,
        }
    }
}

/// With the system's words.
impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SourceError { operation, source, why } = self;
        // By parts: it is less code than with arguments.
        f.write_str(operation)?;
        f.write_str(": ")?;
        fmt::Display::fmt(source, f)?;
        f.write_str(": ")?;
        match why {
            // Windows may have no words for it, and they name no console, pipe or file.
            Why::Number(NOT_OPEN) if cfg!(windows) => {
                write!(f, "{NO_SOCKET} (os error {NOT_OPEN})")
            }
            Why::Number(number) => errno::describe(*number, f),
            Why::Other(error) => error.fmt(f),
        }
    }
}

/// The same: what a derived one names is a kilobyte of code.
impl fmt::Debug for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for SourceError {}

const NO_SOCKET: &str = "not an open socket; a console, a pipe or a file cannot be waited on";

/// Which filter of a [`Kqueue`](crate::Kqueue) was refused, and why.
///
/// It comes inside an [`io::Error`], as [`SourceError`] does.
#[derive(Debug)]
pub struct FilterError {
    filter: Filter,
    number: i32,
    why: &'static str,
}

impl FilterError {
    /// The filter.
    #[must_use]
    pub fn filter(&self) -> Filter {
        self.filter
    }

    /// The system's number for the error: `errno`.
    #[must_use]
    pub fn raw_os_error(&self) -> i32 {
        self.number
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (error {})", self.filter, self.why, self.number)
    }
}

impl Error for FilterError {}

/// The system's number for an error of this crate, whether the error names its
/// source or not.
#[must_use]
#[doc(alias = "errno")]
pub fn os_error(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| {
        let inner = error.get_ref()?;
        match inner.downcast_ref::<SourceError>() {
            Some(error) => error.raw_os_error(),
            None => inner.downcast_ref::<FilterError>().map(FilterError::raw_os_error),
        }
    })
}

/// Nothing could ever end a wait. (A type of its own: half a kilobyte less than its words.)
struct Endless;

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing can end this wait: no source that can become ready, and no timeout")
    }
}

/// The same, as of a [`SourceError`].
impl fmt::Debug for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Endless {}

/// The error of a wait with neither a timeout nor a source that can become ready.
#[allow(dead_code, reason = "elsewhere a signal ends it")]
pub(crate) fn endless() -> io::Error {
    boxed(io::ErrorKind::InvalidInput, Box::new(Endless))
}

/// An error of a filter.
#[allow(dead_code, reason = "where the kernel has kqueue")]
pub(crate) fn filter_error(
    filter: Filter,
    number: i32,
    kind: io::ErrorKind,
    why: &'static str,
) -> io::Error {
    boxed(kind, Box::new(FilterError { filter, number, why }))
}

/// Whether the system's errors have the numbers of errno.h.
const HAS_ERRNO: bool = cfg!(any(unix, target_os = "wasi"));

/// The error of a number of errno.h: the system's, or else in words of ours.
pub(crate) fn of_errno(filter: Filter, number: i32) -> io::Error {
    if HAS_ERRNO {
        return io::Error::from_raw_os_error(number);
    }
    let (kind, why) = match number {
        ENOENT => (io::ErrorKind::NotFound, "it is not registered"),
        EBADF => (io::ErrorKind::InvalidInput, "it is not open"),
        ENOTSUP => {
            (io::ErrorKind::Unsupported, "this target has no such filter, or not this of it")
        }
        number if number == NOT_OPEN => (io::ErrorKind::InvalidInput, NO_SOCKET),
        _ => (io::ErrorKind::InvalidInput, "the filter cannot do this"),
    };
    filter_error(filter, number, kind, why)
}

/// The error of a change, by its filter: where the system has no `errno`, its words
/// do not say what is wrong.
#[allow(dead_code, reason = "where the kernel has kqueue")]
pub(crate) fn of_filter(filter: Filter, error: io::Error) -> io::Error {
    if HAS_ERRNO {
        return error;
    }
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<FilterError>());
    match (inner, error.raw_os_error()) {
        (Some(inner), _) => filter_error(filter, inner.number, error.kind(), inner.why),
        (None, Some(NOT_OPEN)) => filter_error(filter, NOT_OPEN, error.kind(), NO_SOCKET),
        _ => error,
    }
}

/// The error of an operation that answers as the system call does, with its bare
/// number; but for Windows, whose words do not say what is wrong.
#[allow(dead_code, reason = "where the kernel has epoll")]
pub(crate) fn of_source(operation: &'static str, source: &Member, system: io::Error) -> io::Error {
    if cfg!(windows) { named(operation, source.raw(), system) } else { system }
}

/// The error for a source that is not open.
pub(crate) fn not_open(operation: &'static str, source: RawSource) -> io::Error {
    numbered(operation, source, NOT_OPEN)
}

/// The error for a source that is not registered.
pub(crate) fn not_registered(operation: &'static str, source: RawSource) -> io::Error {
    numbered(operation, source, errno::NOT_FOUND)
}

/// The error for one that is registered already.
pub(crate) fn registered(operation: &'static str, source: RawSource) -> io::Error {
    numbered(operation, source, errno::EXISTS)
}

/// `system`, named; its kind stays.
pub(crate) fn named(operation: &'static str, source: RawSource, system: io::Error) -> io::Error {
    match system.raw_os_error() {
        Some(number) => numbered(operation, source, number),
        None => {
            let kind = system.kind();
            let why = Why::Other(Box::new(system));
            boxed(kind, Box::new(SourceError { operation, source, why }))
        }
    }
}

/// The system's error of this number, named.
fn numbered(operation: &'static str, source: RawSource, number: i32) -> io::Error {
    let kind = io::Error::from_raw_os_error(number).kind();
    boxed(kind, Box::new(SourceError { operation, source, why: Why::Number(number) }))
}

/// Once for all types.
fn boxed(kind: io::ErrorKind, error: Box<dyn Error + Send + Sync>) -> io::Error {
    io::Error::new(kind, error)
}
