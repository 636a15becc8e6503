//! The C library's functions, found at run time: in a static archive a call by name
//! would be wrapped too. In a program without a dynamic linker it is the system call.
//!
//! Every call is the caller's: its memory is the caller's, and the kernel checks it.

use std::ffi::CStr;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};

use libc::{c_int, c_long, c_void, iovec, msghdr, size_t, socklen_t, ssize_t};

use crate::errno::{Answer, Errno};

/// A function of the C library.
struct Real {
    name: &'static CStr,
    found: AtomicPtr<c_void>,
}

/// It was sought, and there is none.
const NONE: *mut c_void = std::ptr::dangling_mut();

impl Real {
    const fn new(name: &'static CStr) -> Real {
        Real { name, found: AtomicPtr::new(null_mut()) }
    }

    fn get(&self) -> Option<*mut c_void> {
        let mut found = self.found.load(Ordering::Relaxed);
        if found.is_null() {
            // SAFETY: the name ends with a zero.
            found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, self.name.as_ptr()) };
            if found.is_null() {
                found = NONE;
            }
            self.found.store(found, Ordering::Relaxed);
        }
        (found != NONE).then_some(found)
    }
}

fn check(returned: ssize_t) -> Answer<usize> {
    usize::try_from(returned).map_err(|_| Errno::last())
}

/// Functions that make the C library's call of a name, or the system call.
macro_rules! real {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $returned:ty, or $number:ident;)*) => {$(
        pub(super) unsafe fn $name($($arg: $type),*) -> Answer<usize> {
            const NAME: &CStr = match CStr::from_bytes_with_nul(
                concat!(stringify!($name), "\0").as_bytes(),
            ) {
                Ok(name) => name,
                Err(_) => c"",
            };
            static REAL: Real = Real::new(NAME);
            type Call = unsafe extern "C" fn($($type),*) -> $returned;
            // SAFETY: the C library's function of this name has this signature, and
            // the system call has its arguments.
            check(unsafe {
                match REAL.get() {
                    Some(call) => std::mem::transmute::<*mut c_void, Call>(call)($($arg),*) as ssize_t,
                    None => libc::syscall(libc::$number, $($arg as c_long),*) as ssize_t,
                }
            })
        }
    )*};
}

real! {
    fn close(fd: c_int) -> c_int, or SYS_close;
    fn read(fd: c_int, to: *mut c_void, count: size_t) -> ssize_t, or SYS_read;
    fn write(fd: c_int, from: *const c_void, count: size_t) -> ssize_t, or SYS_write;
    fn readv(fd: c_int, to: *const iovec, count: c_int) -> ssize_t, or SYS_readv;
    fn writev(fd: c_int, from: *const iovec, count: c_int) -> ssize_t, or SYS_writev;
    fn accept4(
        fd: c_int, address: *mut c_void, size: *mut socklen_t, flags: c_int
    ) -> c_int, or SYS_accept4;
    fn recvfrom(
        fd: c_int, to: *mut c_void, count: size_t, flags: c_int, address: *mut c_void,
        size: *mut socklen_t
    ) -> ssize_t, or SYS_recvfrom;
    fn sendto(
        fd: c_int, from: *const c_void, count: size_t, flags: c_int, address: *const c_void,
        size: socklen_t
    ) -> ssize_t, or SYS_sendto;
    fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t, or SYS_recvmsg;
    fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t, or SYS_sendmsg;
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
