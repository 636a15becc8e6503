//! What epoll refuses: files.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use super::check;
use crate::source::Held;

/// Whether epoll_ctl(2) would answer `EPERM`: the source is always ready, because
/// it is a file, a directory, or a device that cannot be polled. An error if it
/// is not open.
pub(crate) fn is_file(source: &Held) -> io::Result<bool> {
    let Held::Fd(fd) = *source;
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: there is room for a stat; fstat only looks.
    check(unsafe { libc::fstat(fd, stat.as_mut_ptr()) })?;
    // SAFETY: fstat filled it.
    let mode = unsafe { stat.assume_init() }.st_mode & libc::S_IFMT;
    Ok(match mode {
        libc::S_IFREG | libc::S_IFDIR | libc::S_IFLNK | libc::S_IFBLK => is_always_ready(fd)?,
        libc::S_IFCHR => is_always_ready(fd)? && !is_terminal(fd),
        _ => false,
    })
}

/// Linux: what has no poll operation answers just this, and of what has one next
/// to nothing but a terminal does.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_always_ready(fd: RawFd) -> io::Result<bool> {
    const ALWAYS: libc::c_short =
        libc::POLLIN | libc::POLLOUT | libc::POLLRDNORM | libc::POLLWRNORM;

    let mut entry = libc::pollfd { fd, events: libc::c_short::MAX, revents: 0 };
    // SAFETY: one valid entry; it does not wait.
    check(unsafe { libc::poll(&mut entry, 1, 0) })?;
    if entry.revents & libc::POLLNVAL != 0 {
        // Opened with O_PATH.
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    Ok(entry.revents == ALWAYS)
}

/// Elsewhere poll(2) takes every device.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_always_ready(_fd: RawFd) -> io::Result<bool> {
    Ok(true)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_terminal(fd: RawFd) -> bool {
    // SAFETY: it only asks.
    unsafe { libc::isatty(fd) == 1 }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_terminal(_fd: RawFd) -> bool {
    true
}
