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

cfg_if::cfg_if! {
    if #[cfg(all(target_os = "linux", target_arch = "x86_64", target_pointer_width = "64"))] {
        /// A call of libc's, made in place by its number; to be used as that.
        macro_rules! call {
            ($number:ident = $name:ident($($arg:expr),*)) => {
                in_place(libc::$number, [$($arg as usize),*])
            };
        }

        /// # Safety
        /// As the system call.
        #[inline(always)]
        unsafe fn in_place<const ARGS: usize>(
            number: libc::c_long,
            args: [usize; ARGS],
        ) -> io::Result<usize> {
            #[cold]
            fn error(answer: isize) -> io::Error {
                io::Error::from_raw_os_error(-answer as i32)
            }

            let arg = |nth: usize| args.get(nth).copied().unwrap_or(0);
            let answer: isize;
            // SAFETY: the kernel's convention. It changes no other register, and of memory what
            // the caller knows.
            unsafe {
                std::arch::asm!(
                    "syscall",
                    inlateout("rax") number as isize => answer,
                    in("rdi") arg(0),
                    in("rsi") arg(1),
                    in("rdx") arg(2),
                    in("r10") arg(3),
                    lateout("rcx") _,
                    lateout("r11") _,
                    options(nostack, preserves_flags),
                );
            }
            if answer < 0 { Err(error(answer)) } else { Ok(answer as usize) }
        }
    } else {
        /// A call of libc's. The number is for where it is made in place.
        macro_rules! call {
            ($number:ident = $name:ident($($arg:expr),*)) => {
                match libc::$name($($arg as _),*) {
                    -1 => Err(io::Error::last_os_error()),
                    answer => Ok(answer as usize),
                }
            };
        }
    }
}

/// Fills in what each entry is ready for, and says how many are ready.
#[inline(always)]
pub(super) fn poll(fds: &mut [libc::pollfd], milliseconds: libc::c_int) -> io::Result<usize> {
    // SAFETY: the array is valid.
    unsafe { call!(SYS_poll = poll(fds.as_mut_ptr(), fds.len(), milliseconds)) }
}

/// How many bytes were taken.
#[inline(always)]
pub(super) fn write(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the bytes are valid.
    unsafe { call!(SYS_write = write(fd, bytes.as_ptr(), bytes.len())) }
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
    // SAFETY: the event is valid.
    unsafe { call!(SYS_epoll_ctl = epoll_ctl(epoll, operation, fd, &raw mut *event)) }.map(drop)
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
    // SAFETY: there is room for `most` events.
    unsafe { call!(SYS_epoll_wait = epoll_wait(epoll, events.as_mut_ptr(), most, milliseconds)) }
}
