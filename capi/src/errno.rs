//! Errors on their way to C.

use std::cell::Cell;
use std::io;

use libc::c_int;

/// What `errno` is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) c_int);

pub(crate) type Answer<T = c_int> = Result<T, Errno>;

impl Errno {
    #[cfg(unix)]
    pub(crate) fn last() -> Errno {
        Errno(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    }
}

/// The error of a call that makes no descriptor for the program. Watching sets that
/// have none takes one, and these calls have no error for there being none but this.
pub(crate) fn of_watching(error: io::Error) -> Errno {
    match Errno::from(error) {
        Errno(libc::EMFILE | libc::ENFILE) => Errno(libc::ENOMEM),
        error => error,
    }
}

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Errno {
        if let Some(code) = readiness::os_error(&error) {
            return Errno(code);
        }
        // The crate's own errors have no number of the host's.
        Errno(match error.kind() {
            io::ErrorKind::Interrupted => libc::EINTR,
            io::ErrorKind::InvalidInput => libc::EINVAL,
            io::ErrorKind::NotFound => libc::ENOENT,
            io::ErrorKind::AlreadyExists => libc::EEXIST,
            io::ErrorKind::PermissionDenied => libc::EPERM,
            io::ErrorKind::Unsupported => libc::ENOTSUP,
            io::ErrorKind::OutOfMemory => libc::ENOMEM,
            io::ErrorKind::WouldBlock => libc::EAGAIN,
            _ => libc::EIO,
        })
    }
}

/// wasi-libc's. It is thread-local where there are threads, which is not here; the
/// function that tells its place is missing from older releases.
#[cfg(target_os = "wasi")]
fn location() -> *mut c_int {
    unsafe extern "C" {
        static mut errno: c_int;
    }
    &raw mut errno
}

#[cfg(not(target_os = "wasi"))]
fn location() -> *mut c_int {
    // SAFETY: no arguments. The C library gives each thread its own.
    unsafe {
        #[cfg(any(target_os = "linux", target_os = "dragonfly"))]
        return libc::__errno_location();
        #[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
        return libc::__errno();
        #[cfg(any(target_os = "macos", target_os = "ios", target_os = "freebsd"))]
        return libc::__error();
        #[cfg(any(target_os = "illumos", target_os = "solaris"))]
        return libc::___errno();
    }
}

pub(crate) fn set(code: c_int) {
    // SAFETY: the calling thread's own errno.
    unsafe { *location() = code }
}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is in a call of the library: then a wrapped call comes from
/// the library itself, or from a signal handler that interrupted it.
pub(crate) fn inside() -> bool {
    INSIDE.get()
}

/// Makes a call and answers as C has it: -1 and `errno`, or else with `errno` as it
/// was, whatever the calls on the way did to it.
pub(crate) fn call(call: impl FnOnce() -> Answer) -> c_int {
    // SAFETY: the calling thread's own errno.
    let before = unsafe { *location() };
    let was_inside = INSIDE.replace(true);
    let answer = call();
    INSIDE.set(was_inside);
    let (errno, value) = match answer {
        Ok(value) => (before, value),
        Err(Errno(code)) => (code, -1),
    };
    set(errno);
    value
}

/// The answer of a call of the C library.
#[cfg(unix)]
pub(crate) fn check(returned: c_int) -> Answer {
    if returned == -1 { Err(Errno::last()) } else { Ok(returned) }
}
