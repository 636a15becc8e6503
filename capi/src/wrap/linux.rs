//! Linux's system calls. Each is the caller's: its memory is the caller's, and
//! the kernel checks it.

use std::ptr::{null, null_mut};

use libc::{c_int, c_long, c_void, iovec, msghdr, size_t, socklen_t};

use crate::errno::{Answer, Errno};

fn check(returned: c_long) -> Answer<usize> {
    usize::try_from(returned).map_err(|_| Errno::last())
}

pub(super) unsafe fn read(fd: c_int, to: *mut c_void, count: size_t) -> Answer<usize> {
    // SAFETY: see above.
    check(unsafe { libc::syscall(libc::SYS_read, fd, to, count) })
}

pub(super) unsafe fn write(fd: c_int, from: *const c_void, count: size_t) -> Answer<usize> {
    // SAFETY: see above.
    check(unsafe { libc::syscall(libc::SYS_write, fd, from, count) })
}

pub(super) unsafe fn readv(fd: c_int, to: *const iovec, count: c_int) -> Answer<usize> {
    // SAFETY: see above.
    check(unsafe { libc::syscall(libc::SYS_readv, fd, to, count) })
}

pub(super) unsafe fn writev(fd: c_int, from: *const iovec, count: c_int) -> Answer<usize> {
    // SAFETY: see above.
    check(unsafe { libc::syscall(libc::SYS_writev, fd, from, count) })
}

pub(super) unsafe fn recv(
    fd: c_int,
    to: *mut c_void,
    count: size_t,
    flags: c_int,
) -> Answer<usize> {
    // SAFETY: see above.
    unsafe { recvfrom(fd, to, count, flags, null_mut(), null_mut()) }
}

pub(super) unsafe fn send(
    fd: c_int,
    from: *const c_void,
    count: size_t,
    flags: c_int,
) -> Answer<usize> {
    // SAFETY: see above.
    unsafe { sendto(fd, from, count, flags, null(), 0) }
}

pub(super) unsafe fn accept(
    fd: c_int,
    address: *mut c_void,
    size: *mut socklen_t,
    flags: c_int,
) -> Answer<usize> {
    // SAFETY: see above.
    check(unsafe { libc::syscall(libc::SYS_accept4, fd, address, size, flags) })
}

pub(super) unsafe fn recvfrom(
    fd: c_int,
    to: *mut c_void,
    count: size_t,
    flags: c_int,
    address: *mut c_void,
    size: *mut socklen_t,
) -> Answer<usize> {
    // SAFETY: see above.
    check(unsafe { libc::syscall(libc::SYS_recvfrom, fd, to, count, flags, address, size) })
}

pub(super) unsafe fn sendto(
    fd: c_int,
    from: *const c_void,
    count: size_t,
    flags: c_int,
    address: *const c_void,
    size: socklen_t,
) -> Answer<usize> {
    // SAFETY: see above.
    check(unsafe { libc::syscall(libc::SYS_sendto, fd, from, count, flags, address, size) })
}

pub(super) unsafe fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> Answer<usize> {
    // SAFETY: see above.
    check(unsafe { libc::syscall(libc::SYS_recvmsg, fd, message, flags) })
}

pub(super) unsafe fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> Answer<usize> {
    // SAFETY: see above.
    check(unsafe { libc::syscall(libc::SYS_sendmsg, fd, message, flags) })
}
