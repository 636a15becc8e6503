//! `libreadiness`: select, poll, epoll and kqueue for C, on every target.
//!
//! Each `readiness_NAME` has the signature and the `errno` contract of the system
//! call NAME. Where the kernel has the call it is the kernel's; elsewhere it is
//! the crate `readiness` behind a table from numbers to sets (`sets`).
//! `include/readiness.h` declares what is here, `README.md` says how to use it.
//!
//! Pointers are the caller's promise: NULL is answered with `EFAULT`, another one
//! has to be good for what the system call would do with it. Every other argument
//! may be anything.

#![cfg(any(unix, target_os = "wasi"))]
#![allow(clippy::missing_const_for_thread_local, reason = "what the macro makes of it on some")]

mod close;
mod epoll;
mod errno;
mod kqueue;
mod memory;
mod poll;
mod select;
mod sets;
mod signals;
#[cfg(all(feature = "wasi-io", target_os = "wasi"))]
mod sockets;
mod source;
mod timeout;
#[cfg(any(target_os = "linux", target_os = "android", target_os = "wasi"))]
mod wrap;
