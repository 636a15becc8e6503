//! The C library's socket calls by their own names, for a WASI 0.1 program with
//! WASI 0.2 imports: each goes to libreadiness. An archive of its own, so that a
//! program that wants none of it links none of it, and without std, which is in the
//! other archive already.
//!
//! wasi-libc has some of these names (read, close, accept, ...). A linker takes the
//! first one that it is given, so this archive comes before the C library.
#![no_std]
#![cfg(target_os = "wasi")]

use core::ffi::{c_int, c_void};

macro_rules! names {
    ($(fn $name:ident = $ours:ident($($arg:ident: $type:ty),*) -> $returned:ty;)*) => {$(
        #[doc = concat!(stringify!($name), "(2)")]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> $returned {
            unsafe extern "C" {
                fn $ours($($arg: $type),*) -> $returned;
            }
            // SAFETY: the caller's arguments, handed on.
            unsafe { $ours($($arg),*) }
        }
    )*};
}

names! {
    fn socket = readiness_socket(family: c_int, kind: c_int, protocol: c_int) -> c_int;
    fn bind = readiness_bind(fd: c_int, address: *const c_void, size: u32) -> c_int;
    fn listen = readiness_listen(fd: c_int, backlog: c_int) -> c_int;
    fn connect = readiness_connect(fd: c_int, address: *const c_void, size: u32) -> c_int;
    fn accept = __wrap_accept(fd: c_int, address: *mut c_void, size: *mut u32) -> c_int;
    fn accept4 = __wrap_accept4(
        fd: c_int, address: *mut c_void, size: *mut u32, flags: c_int) -> c_int;
    fn shutdown = readiness_shutdown(fd: c_int, how: c_int) -> c_int;
    fn getsockopt = readiness_getsockopt(
        fd: c_int, level: c_int, name: c_int, value: *mut c_void, size: *mut u32) -> c_int;
    fn setsockopt = readiness_setsockopt(
        fd: c_int, level: c_int, name: c_int, value: *const c_void, size: u32) -> c_int;
    fn getsockname = readiness_getsockname(
        fd: c_int, address: *mut c_void, size: *mut u32) -> c_int;
    fn getpeername = readiness_getpeername(
        fd: c_int, address: *mut c_void, size: *mut u32) -> c_int;
    fn recv = __wrap_recv(fd: c_int, to: *mut c_void, count: usize, flags: c_int) -> isize;
    fn send = __wrap_send(fd: c_int, from: *const c_void, count: usize, flags: c_int) -> isize;
    fn recvfrom = __wrap_recvfrom(
        fd: c_int, to: *mut c_void, count: usize, flags: c_int, address: *mut c_void,
        size: *mut u32) -> isize;
    fn sendto = __wrap_sendto(
        fd: c_int, from: *const c_void, count: usize, flags: c_int, address: *const c_void,
        size: u32) -> isize;
    fn read = __wrap_read(fd: c_int, to: *mut c_void, count: usize) -> isize;
    fn write = __wrap_write(fd: c_int, from: *const c_void, count: usize) -> isize;
    fn readv = __wrap_readv(fd: c_int, to: *const c_void, count: c_int) -> isize;
    fn writev = __wrap_writev(fd: c_int, from: *const c_void, count: c_int) -> isize;
    fn close = __wrap_close(fd: c_int) -> c_int;
    // What follows the fixed arguments is in memory, and they are followed by its
    // address: the C calling convention of WebAssembly.
    fn fcntl = __wrap_fcntl(fd: c_int, command: c_int, rest: *const c_int) -> c_int;
}
