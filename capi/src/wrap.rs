//! What the linker puts in the place of the C library's calls when it is told to:
//! `-Wl,--wrap=close` makes every `close` of the program a `__wrap_close`.
//!
//! close lets emulated sets go; the others tell them that a descriptor said
//! `EAGAIN`, so that emulated edges are on time.

use libc::{c_int, c_void, iovec, size_t, ssize_t};

use crate::close::{readiness_close, rearm};
use crate::errno::{self, Answer};

#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "wrap/linux.rs"]
mod host;
#[cfg(target_os = "wasi")]
#[path = "wrap/wasi.rs"]
mod host;

/// close(2), whatever the linker has made of `close`.
pub(crate) fn close(fd: c_int) -> Answer {
    // SAFETY: the caller's own descriptor, or no descriptor.
    unsafe { host::close(fd) }.map(|_| 0)
}

/// The same everywhere; the libc crate does not have it for WASI.
#[allow(non_camel_case_types)]
type socklen_t = u32;

/// A call's answer, after `EAGAIN` was passed on.
pub(crate) fn told(fd: c_int, answer: Answer<usize>) -> ssize_t {
    match answer {
        Ok(count) => count as ssize_t,
        Err(error) => {
            if error.0 == libc::EAGAIN {
                rearm(fd);
            }
            errno::set(error.0);
            -1
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn __wrap_close(fd: c_int) -> c_int {
    readiness_close(fd)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_read(fd: c_int, to: *mut c_void, count: size_t) -> ssize_t {
    // SAFETY: the caller's memory.
    told(fd, unsafe { host::read(fd, to, count) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_write(fd: c_int, from: *const c_void, count: size_t) -> ssize_t {
    // SAFETY: the caller's memory.
    told(fd, unsafe { host::write(fd, from, count) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_readv(fd: c_int, to: *const iovec, count: c_int) -> ssize_t {
    // SAFETY: the caller's memory.
    told(fd, unsafe { host::readv(fd, to, count) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_writev(fd: c_int, from: *const iovec, count: c_int) -> ssize_t {
    // SAFETY: the caller's memory.
    told(fd, unsafe { host::writev(fd, from, count) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_recv(
    fd: c_int,
    to: *mut c_void,
    count: size_t,
    flags: c_int,
) -> ssize_t {
    // SAFETY: the caller's memory.
    told(fd, unsafe { host::recv(fd, to, count, flags) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_send(
    fd: c_int,
    from: *const c_void,
    count: size_t,
    flags: c_int,
) -> ssize_t {
    // SAFETY: the caller's memory.
    told(fd, unsafe { host::send(fd, from, count, flags) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_accept(
    fd: c_int,
    address: *mut c_void,
    size: *mut socklen_t,
) -> c_int {
    // SAFETY: the caller's memory.
    told(fd, unsafe { host::accept4(fd, address, size, 0) }) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_accept4(
    fd: c_int,
    address: *mut c_void,
    size: *mut socklen_t,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's memory.
    told(fd, unsafe { host::accept4(fd, address, size, flags) }) as c_int
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use libc::msghdr;

    use super::*;

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn __wrap_recvfrom(
        fd: c_int,
        to: *mut c_void,
        count: size_t,
        flags: c_int,
        address: *mut c_void,
        size: *mut socklen_t,
    ) -> ssize_t {
        // SAFETY: the caller's memory.
        told(fd, unsafe { host::recvfrom(fd, to, count, flags, address, size) })
    }

    /// What `_FORTIFY_SOURCE` makes of read, recv and recvfrom, which know how much room
    /// there is.
    fn fortify(count: size_t, room: size_t) {
        if count > room {
            // SAFETY: no arguments. It is what the C library's own do in the end.
            unsafe { libc::abort() }
        }
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn __wrap___read_chk(
        fd: c_int,
        to: *mut c_void,
        count: size_t,
        room: size_t,
    ) -> ssize_t {
        fortify(count, room);
        // SAFETY: the caller's memory.
        told(fd, unsafe { host::read(fd, to, count) })
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn __wrap___recv_chk(
        fd: c_int,
        to: *mut c_void,
        count: size_t,
        room: size_t,
        flags: c_int,
    ) -> ssize_t {
        fortify(count, room);
        // SAFETY: the caller's memory.
        told(fd, unsafe { host::recv(fd, to, count, flags) })
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn __wrap___recvfrom_chk(
        fd: c_int,
        to: *mut c_void,
        count: size_t,
        room: size_t,
        flags: c_int,
        address: *mut c_void,
        size: *mut socklen_t,
    ) -> ssize_t {
        fortify(count, room);
        // SAFETY: the caller's memory.
        told(fd, unsafe { host::recvfrom(fd, to, count, flags, address, size) })
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn __wrap_sendto(
        fd: c_int,
        from: *const c_void,
        count: size_t,
        flags: c_int,
        address: *const c_void,
        size: socklen_t,
    ) -> ssize_t {
        // SAFETY: the caller's memory.
        told(fd, unsafe { host::sendto(fd, from, count, flags, address, size) })
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn __wrap_recvmsg(
        fd: c_int,
        message: *mut msghdr,
        flags: c_int,
    ) -> ssize_t {
        // SAFETY: the caller's memory.
        told(fd, unsafe { host::recvmsg(fd, message, flags) })
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn __wrap_sendmsg(
        fd: c_int,
        message: *const msghdr,
        flags: c_int,
    ) -> ssize_t {
        // SAFETY: the caller's memory.
        told(fd, unsafe { host::sendmsg(fd, message, flags) })
    }
}
