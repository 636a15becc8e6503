//! The errors of epoll_ctl(2) and kevent(2), by the platform's numbers; and its words.

#![allow(dead_code, reason = "some kernels answer themselves")]

use std::fmt;

/// Writes the system's words for an error and its number, as `std` does.
pub(crate) fn describe(number: i32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    cfg_if::cfg_if! {
        if #[cfg(target_os = "wasi")] {
            // SAFETY: it gives a text that lasts, and there is one thread.
            let words = unsafe { std::ffi::CStr::from_ptr(libc::strerror(number)) };
            f.write_str(words.to_str().unwrap_or_default())?;
            f.write_str(" (os error ")?;
            fmt::Display::fmt(&number, f)?;
            f.write_str(")")
        } else {
            fmt::Display::fmt(&std::io::Error::from_raw_os_error(number), f)
        }
    }
}

cfg_if::cfg_if! {
    if #[cfg(any(unix, target_os = "wasi"))] {
        /// It is registered already.
        pub(crate) const EXISTS: i32 = libc::EEXIST;
        /// It is not registered.
        pub(crate) const NOT_FOUND: i32 = libc::ENOENT;
        /// It cannot be waited on: a file.
        pub(crate) const NOT_PERMITTED: i32 = libc::EPERM;
        pub(crate) const INVALID: i32 = libc::EINVAL;
        /// Sets that hold each other, or too many one in the other.
        pub(crate) const LOOP: i32 = libc::ELOOP;
    } else {
        // Windows' own: ERROR_ALREADY_EXISTS, ERROR_FILE_NOT_FOUND,
        // ERROR_ACCESS_DENIED, WSAEINVAL, WSAELOOP. Where there is no host,
        // nothing gets that far.
        pub(crate) const EXISTS: i32 = 183;
        pub(crate) const NOT_FOUND: i32 = 2;
        pub(crate) const NOT_PERMITTED: i32 = 5;
        pub(crate) const INVALID: i32 = 10022;
        pub(crate) const LOOP: i32 = 10062;
    }
}
