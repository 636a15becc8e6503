//! The errors of kevent(2).

use std::io;

use crate::error::filter_error;
use crate::kevent::Filter;

cfg_if::cfg_if! {
    if #[cfg(any(unix, target_os = "wasi"))] {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        pub(super) use libc::ESRCH;
        pub(super) use libc::{EBADF, EINVAL, ENOENT, ENOTSUP};
    } else {
        // errno.h of Windows.
        pub(super) const ENOENT: i32 = 2;
        pub(super) const EBADF: i32 = 9;
        pub(super) const EINVAL: i32 = 22;
        pub(super) const ENOTSUP: i32 = 129;
    }
}

/// The system's error with this number.
pub(super) fn system(number: i32) -> io::Error {
    if cfg!(any(unix, target_os = "wasi")) {
        return io::Error::from_raw_os_error(number);
    }
    crate::error::of_errno(Filter::default(), number)
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
