//! WASI 0.1's calls, as wasi-libc makes them.

use libc::{c_int, c_void, iovec, size_t};
use wasi::{Ciovec, Errno as Code, Iovec};

#[cfg(feature = "wasi-io")]
use crate::sockets;

use super::socklen_t;
use crate::errno::{Answer, Errno};

/// The size of wasi-libc's `struct sockaddr`.
#[cfg(not(feature = "wasi-io"))]
const SOCKADDR: usize = 16;

fn check(returned: Result<usize, Code>) -> Answer<usize> {
    returned.map_err(|error| match error {
        // What wasi-libc says when a call is not among a descriptor's rights.
        wasi::ERRNO_NOTCAPABLE => Errno(libc::EBADF),
        error => Errno(error.raw().into()),
    })
}

pub(super) unsafe fn close(fd: c_int) -> Answer<usize> {
    // SAFETY: the caller's own descriptor, or no descriptor.
    check(unsafe { wasi::fd_close(fd as wasi::Fd) }.map(|()| 0))
}

/// Answers for a socket of ours, if the number is one's.
macro_rules! sockets_first {
    ($call:expr) => {
        #[cfg(feature = "wasi-io")]
        // SAFETY: the caller's memory.
        if let Some(answer) = unsafe { $call } {
            return answer;
        }
    };
}

/// The same of a call that is for sockets alone. The adapter of a component ends the program
/// that makes the host's.
macro_rules! sockets_alone {
    ($fd:expr, $call:expr, $host:block) => {{
        #[cfg(feature = "wasi-io")]
        // SAFETY: the caller's memory.
        return unsafe { $call }.unwrap_or_else(|| Err(sockets::no_socket($fd)));
        #[cfg(not(feature = "wasi-io"))]
        $host
    }};
}

pub(super) unsafe fn read(fd: c_int, to: *mut c_void, count: size_t) -> Answer<usize> {
    sockets_first!(received(fd, to, count, 0));
    let to = [Iovec { buf: to.cast(), buf_len: count }];
    // SAFETY: the caller's memory.
    check(unsafe { wasi::fd_read(fd as wasi::Fd, &to) })
}

pub(super) unsafe fn write(fd: c_int, from: *const c_void, count: size_t) -> Answer<usize> {
    sockets_first!(sockets::send(fd, from, count, 0, None));
    let from = [Ciovec { buf: from.cast(), buf_len: count }];
    // SAFETY: the caller's memory.
    check(unsafe { wasi::fd_write(fd as wasi::Fd, &from) })
}

pub(super) unsafe fn readv(fd: c_int, to: *const iovec, count: c_int) -> Answer<usize> {
    sockets_first!({
        let (to, room) = first(to, count)?;
        received(fd, to, room, 0)
    });
    // SAFETY: the caller's array; Iovec is laid out as iovec.
    check(unsafe { wasi::fd_read(fd as wasi::Fd, array(to.cast(), count)?) })
}

pub(super) unsafe fn writev(fd: c_int, from: *const iovec, count: c_int) -> Answer<usize> {
    sockets_first!({
        let (from, size) = first(from, count)?;
        sockets::send(fd, from, size, 0, None)
    });
    // SAFETY: the caller's array; Ciovec is laid out as iovec.
    check(unsafe { wasi::fd_write(fd as wasi::Fd, array(from.cast(), count)?) })
}

/// # Safety
/// `at` is NULL or the caller's array of `count`.
unsafe fn array<'a, T>(at: *const T, count: c_int) -> Answer<&'a [T]> {
    match usize::try_from(count) {
        Err(_) => Err(Errno(libc::EINVAL)),
        Ok(0) => Ok(&[]),
        Ok(_) if at.is_null() => Err(Errno(libc::EFAULT)),
        // SAFETY: as the caller of this function says.
        Ok(count) => Ok(unsafe { std::slice::from_raw_parts(at, count) }),
    }
}

pub(super) unsafe fn recv(
    fd: c_int,
    to: *mut c_void,
    count: size_t,
    flags: c_int,
) -> Answer<usize> {
    sockets_alone!(fd, received(fd, to, count, flags), {
        // wasi-libc's MSG_PEEK and MSG_WAITALL are the host's own bits.
        if flags & !3 != 0 {
            return Err(Errno(libc::EOPNOTSUPP));
        }
        let to = [Iovec { buf: to.cast(), buf_len: count }];
        // SAFETY: the caller's memory.
        let received = unsafe { wasi::sock_recv(fd as wasi::Fd, &to, flags as wasi::Riflags) };
        check(received.map(|(count, _)| count))
    })
}

pub(super) unsafe fn send(
    fd: c_int,
    from: *const c_void,
    count: size_t,
    flags: c_int,
) -> Answer<usize> {
    sockets_alone!(fd, sockets::send(fd, from, count, flags, None), {
        if flags != 0 {
            return Err(Errno(libc::EOPNOTSUPP));
        }
        let from = [Ciovec { buf: from.cast(), buf_len: count }];
        // SAFETY: the caller's memory.
        check(unsafe { wasi::sock_send(fd as wasi::Fd, &from, 0) })
    })
}

/// The host does not say who connected: an address that says nothing.
pub(super) unsafe fn accept4(
    fd: c_int,
    address: *mut c_void,
    size: *mut socklen_t,
    flags: c_int,
) -> Answer<usize> {
    sockets_alone!(fd, sockets::accept(fd, address, size, flags), {
        const NONBLOCK: c_int = 0x4000;
        const CLOEXEC: c_int = 0x2000;
        if flags & !(NONBLOCK | CLOEXEC) != 0 {
            return Err(Errno(libc::EINVAL));
        }
        let flags = if flags & NONBLOCK != 0 { wasi::FDFLAGS_NONBLOCK } else { 0 };
        // SAFETY: no pointers.
        let accepted =
            check(unsafe { wasi::sock_accept(fd as wasi::Fd, flags) }.map(|fd| fd as usize))?;
        if !address.is_null() && !size.is_null() {
            // SAFETY: the caller's address, of the size that it says.
            unsafe {
                let room = size.read_unaligned() as usize;
                address.cast::<u8>().write_bytes(0, room.min(SOCKADDR));
                size.write_unaligned(SOCKADDR as socklen_t);
            }
        }
        Ok(accepted)
    })
}

#[cfg(feature = "wasi-io")]
unsafe fn received(
    fd: c_int,
    to: *mut c_void,
    count: size_t,
    flags: c_int,
) -> Option<Answer<usize>> {
    // SAFETY: the caller's memory.
    unsafe { sockets::receive(fd, to, count, flags) }.map(|answer| answer.map(|(count, _)| count))
}

/// The first of the buffers that is not empty; the others have to wait.
#[cfg(feature = "wasi-io")]
unsafe fn first(at: *const iovec, count: c_int) -> Answer<(*mut c_void, size_t)> {
    // SAFETY: the caller's array.
    let buffers = unsafe { array(at, count) }?;
    let buffer = buffers.iter().find(|buffer| buffer.iov_len > 0);
    Ok(buffer.map_or((std::ptr::null_mut(), 0), |buffer| (buffer.iov_base, buffer.iov_len)))
}
