//! The errors of kevent(2).

use std::io;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use libc::ESRCH;

pub(super) use crate::error::{EBADF, EINVAL, ENOENT, ENOTSUP};
use crate::error::{filter_error, of_errno};
use crate::kevent::Filter;

/// The system's error with this number.
pub(super) fn system(number: i32) -> io::Error {
    of_errno(Filter::default(), number)
}

/// What a filter cannot do with this ident or these flags, though a kernel's may.
pub(super) fn refused(filter: Filter, why: &'static str) -> io::Error {
    filter_error(filter, EINVAL, io::ErrorKind::InvalidInput, why)
}

/// A filter, or a part of it, that the target lacks.
pub(super) fn unsupported(filter: Filter, why: &'static str) -> io::Error {
    filter_error(filter, ENOTSUP, io::ErrorKind::Unsupported, why)
}

/// The number of an error, for an entry's `data`.
pub(super) fn number(error: &io::Error) -> i64 {
    crate::error::os_error(error).unwrap_or(EINVAL).into()
}
