//! The system calls of a loop, made in place where we know how.
//!
//! libc's functions return to their caller, and the first return after a system call is one that
//! the processor does not foresee where the kernel, or the host of a virtual machine, has used up
//! what it remembers of calls. That takes up to 100 ns, a third of an epoll_ctl or of a small poll.
//! What is made in place, in functions that are inlined, does not return.

#![cfg_attr(readiness_backend = "poll", allow(dead_code, reason = "there is no epoll"))]

use std::io;
use std::os::fd::RawFd;

#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::event::EpollEvent;

/// Fills in what each entry is ready for, and says how many are ready.
#[inline(always)]
pub(super) fn poll(fds: &mut [libc::pollfd], milliseconds: libc::c_int) -> io::Result<usize> {
    cfg_if::cfg_if! {
        if #[cfg(all(target_os = "linux", target_arch = "x86_64", target_pointer_width = "64"))] {
            let args = [fds.as_mut_ptr() as usize, fds.len(), milliseconds as usize, 0];
            // SAFETY: the array is valid.
            unsafe { call(libc::SYS_poll, args) }
        } else {
            let count = fds.len() as libc::nfds_t;
            // SAFETY: the array is valid.
            let ready = unsafe { libc::poll(fds.as_mut_ptr(), count, milliseconds) };
            Ok(super::unix::check(ready)? as usize)
        }
    }
}

/// How many bytes were taken.
#[inline(always)]
pub(super) fn write(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    cfg_if::cfg_if! {
        if #[cfg(all(target_os = "linux", target_arch = "x86_64", target_pointer_width = "64"))] {
            let args = [fd as usize, bytes.as_ptr() as usize, bytes.len(), 0];
            // SAFETY: the bytes are valid.
            unsafe { call(libc::SYS_write, args) }
        } else {
            // SAFETY: the bytes are valid.
            match unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) } {
                -1 => Err(io::Error::last_os_error()),
                written => Ok(written as usize),
            }
        }
    }
}

/// The numbers are looked at by the kernel; any will do.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline(always)]
pub(super) fn epoll_ctl(
    epoll: RawFd,
    operation: libc::c_int,
    fd: RawFd,
    event: &mut EpollEvent,
) -> io::Result<()> {
    cfg_if::cfg_if! {
        if #[cfg(all(target_os = "linux", target_arch = "x86_64", target_pointer_width = "64"))] {
            let event = &raw mut *event as usize;
            let args = [epoll as usize, operation as usize, fd as usize, event];
            // SAFETY: the event is valid.
            unsafe { call(libc::SYS_epoll_ctl, args) }.map(drop)
        } else {
            let event = (&raw mut *event).cast();
            // SAFETY: the event is valid.
            super::unix::check(unsafe { libc::epoll_ctl(epoll, operation, fd, event) }).map(drop)
        }
    }
}

/// Fills the front of `events`.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline(always)]
pub(super) fn epoll_wait(
    epoll: RawFd,
    events: &mut [EpollEvent],
    milliseconds: libc::c_int,
) -> io::Result<usize> {
    let most = libc::c_int::try_from(events.len()).unwrap_or(libc::c_int::MAX);
    cfg_if::cfg_if! {
        if #[cfg(all(target_os = "linux", target_arch = "x86_64", target_pointer_width = "64"))] {
            let events = events.as_mut_ptr() as usize;
            let args = [epoll as usize, events, most as usize, milliseconds as usize];
            // SAFETY: there is room for `most` events.
            unsafe { call(libc::SYS_epoll_wait, args) }
        } else {
            let events = events.as_mut_ptr().cast();
            // SAFETY: there is room for `most` events.
            let ready = unsafe { libc::epoll_wait(epoll, events, most, milliseconds) };
            Ok(super::unix::check(ready)? as usize)
        }
    }
}

/// # Safety
/// As the system call.
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_pointer_width = "64"))]
#[inline(always)]
unsafe fn call(number: libc::c_long, args: [usize; 4]) -> io::Result<usize> {
    #[cold]
    fn error(answer: isize) -> io::Error {
        io::Error::from_raw_os_error(-answer as i32)
    }

    let answer: isize;
    // SAFETY: the kernel's convention. It changes no other register, and of memory what the
    // caller knows.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => answer,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack, preserves_flags),
        );
    }
    if answer < 0 { Err(error(answer)) } else { Ok(answer as usize) }
}
