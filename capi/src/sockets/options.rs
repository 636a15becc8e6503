//! getsockopt, setsockopt, and fcntl for what is no file.

use libc::{c_int, c_void};

use super::{Made, Socket, only, with};
use crate::errno::{Answer, Errno, call};
use crate::memory;

// wasi-libc's numbers; names that older releases lack are in compat/sys/socket.h.
const SOL_SOCKET: c_int = 0x7fff_ffff;
const SO_REUSEADDR: c_int = 2;
const SO_TYPE: c_int = 3;
const SO_ERROR: c_int = 4;
const SO_KEEPALIVE: c_int = 9;
const SO_REUSEPORT: c_int = 15;
const SO_ACCEPTCONN: c_int = 30;
const IPPROTO_TCP: c_int = 6;
const TCP_NODELAY: c_int = 1;
const IPPROTO_IPV6: c_int = 41;
const IPV6_V6ONLY: c_int = 26;

fn get(socket: &Socket, level: c_int, name: c_int) -> Answer {
    match (level, name) {
        (SOL_SOCKET, SO_ERROR) => socket.take_error(),
        (SOL_SOCKET, SO_TYPE) => {
            Ok(if socket.stream { super::SOCK_STREAM } else { super::SOCK_DGRAM })
        }
        (SOL_SOCKET, SO_ACCEPTCONN) => {
            Ok(matches!(socket.made.get(), Some(Made::Listener(_))).into())
        }
        (SOL_SOCKET, SO_REUSEADDR | SO_KEEPALIVE | SO_REUSEPORT) => Ok(0),
        (IPPROTO_TCP, TCP_NODELAY) => Ok(match socket.made.get() {
            Some(Made::Stream(stream)) => stream.nodelay()?.into(),
            _ => 0,
        }),
        _ => Err(Errno(libc::ENOPROTOOPT)),
    }
}

fn set(socket: &Socket, level: c_int, name: c_int, value: c_int) -> Answer {
    match (level, name) {
        // What the host does anyway, or does without being asked.
        (SOL_SOCKET, SO_REUSEADDR | SO_KEEPALIVE | SO_REUSEPORT) | (IPPROTO_IPV6, IPV6_V6ONLY) => {
            Ok(0)
        }
        (IPPROTO_TCP, TCP_NODELAY) => {
            if let Some(Made::Stream(stream)) = socket.made.get() {
                stream.set_nodelay(value != 0)?;
            }
            Ok(0)
        }
        _ => Err(Errno(libc::ENOPROTOOPT)),
    }
}

/// getsockopt(2): `SO_ERROR`, `SO_TYPE`, `SO_ACCEPTCONN`, `TCP_NODELAY`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn readiness_getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    size: *mut u32,
) -> c_int {
    call(|| {
        only(fd, |socket| {
            let fault = Errno(libc::EFAULT);
            // SAFETY: NULL or the caller's size.
            let room = unsafe { memory::optional(size.cast_const()) }.ok_or(fault)? as usize;
            if value.is_null() {
                return Err(fault);
            }
            let bytes = get(socket, level, name)?.to_ne_bytes();
            let len = bytes.len().min(room);
            // SAFETY: the caller's value and its size.
            unsafe {
                memory::write(value.cast(), &bytes[..len])?;
                memory::write(size, &[len as u32])?;
            }
            Ok(0)
        })
    })
}

/// setsockopt(2): `TCP_NODELAY`; `SO_REUSEADDR` and its like change nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn readiness_setsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    size: u32,
) -> c_int {
    call(|| {
        only(fd, |socket| {
            if (size as usize) < size_of::<c_int>() {
                return Err(Errno(libc::EINVAL));
            }
            // SAFETY: NULL or the caller's value.
            let value = unsafe { memory::optional(value.cast()) }.ok_or(Errno(libc::EFAULT))?;
            set(socket, level, name, value)
        })
    })
}

// wasi-libc's numbers of fcntl.h.
const F_GETFD: c_int = 1;
const F_SETFD: c_int = 2;
const F_GETFL: c_int = 3;
const F_SETFL: c_int = 4;
const FD_CLOEXEC: c_int = 1;
const O_RDONLY: c_int = 0x0400_0000;
const O_WRONLY: c_int = 0x1000_0000;
const O_NONBLOCK: c_int = 4;
/// What of them the host keeps.
const STATUS: c_int = 0xfff;

/// fcntl(2). `rest` is the address of what follows the first two arguments: the C
/// calling convention of WebAssembly.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_fcntl(fd: c_int, command: c_int, rest: *const c_int) -> c_int {
    call(|| {
        // SAFETY: NULL or where the third argument is.
        let argument = unsafe { memory::optional(rest) }.unwrap_or(0);
        let socket = with(fd, |socket| {
            Ok(match command {
                F_GETFD => FD_CLOEXEC,
                F_SETFD => 0,
                F_GETFL => {
                    let nonblocking = if socket.is_nonblocking() { O_NONBLOCK } else { 0 };
                    O_RDONLY | O_WRONLY | nonblocking
                }
                F_SETFL => {
                    socket.set_nonblocking(argument & O_NONBLOCK != 0)?;
                    0
                }
                _ => return Err(Errno(libc::EINVAL)),
            })
        });
        socket.unwrap_or_else(|| file(fd, command, argument))
    })
}

/// fcntl of a descriptor of the host's, as wasi-libc has it.
fn file(fd: c_int, command: c_int, argument: c_int) -> Answer {
    let host = |error: wasi::Errno| Errno(error.raw().into());
    match command {
        F_GETFD => Ok(FD_CLOEXEC),
        F_SETFD => Ok(0),
        F_GETFL => {
            // SAFETY: it only looks; any number may be asked about.
            let stat = unsafe { wasi::fd_fdstat_get(fd as wasi::Fd) }.map_err(host)?;
            let rights = stat.fs_rights_base;
            let read = if rights & wasi::RIGHTS_FD_READ != 0 { O_RDONLY } else { 0 };
            let write = if rights & wasi::RIGHTS_FD_WRITE != 0 { O_WRONLY } else { 0 };
            Ok(c_int::from(stat.fs_flags) | read | write)
        }
        F_SETFL => {
            let flags = (argument & STATUS) as wasi::Fdflags;
            // SAFETY: flags of the caller's own descriptor, or no descriptor.
            unsafe { wasi::fd_fdstat_set_flags(fd as wasi::Fd, flags) }.map_err(host)?;
            Ok(0)
        }
        _ => Err(Errno(libc::EINVAL)),
    }
}
