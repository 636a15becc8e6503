//! close, and what a program may tell us of its descriptors.

use libc::c_int;

use crate::errno::{self, Answer, Errno, call};
use crate::sets::{self, Set};
use crate::source::CSource;

/// close(2), of what the create functions and kqueue returned, and of any other
/// descriptor: emulated sets hear of it, and end its registrations.
#[unsafe(no_mangle)]
pub extern "C" fn readiness_close(fd: c_int) -> c_int {
    let inside = errno::inside();
    call(|| close(fd, inside))
}

/// In a static archive the library's own closes come here too, with locks held.
fn close(fd: c_int, inside: bool) -> Answer {
    if sets::any() && !inside {
        tell(fd, |set, source| set.closed(source));
        let set = sets::remove(fd);
        // On WASI that was all there is to close.
        if set.is_some() && cfg!(not(unix)) {
            return Ok(0);
        }
        drop(set);
    }
    host_close(fd)
}

/// The program met `EAGAIN` on a descriptor: where edges are emulated, the next
/// one is told at once and not up to 256 ms late.
#[unsafe(no_mangle)]
pub extern "C" fn readiness_rearm(fd: c_int) -> c_int {
    if fd < 0 { call(|| Err(Errno(libc::EBADF))) } else { rearm(fd) }
}

pub(crate) fn rearm(fd: c_int) -> c_int {
    if !sets::any() || errno::inside() {
        return 0;
    }
    call(|| {
        tell(fd, |set, source| set.rearm(source));
        Ok(0)
    })
}

fn tell(fd: c_int, say: impl Fn(&Set, &CSource)) {
    if let Some(source) = CSource::of(fd) {
        sets::each(|set| say(set, &source));
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "wasi"))]
use crate::wrap::close as host_close;

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "wasi")))]
fn host_close(fd: c_int) -> Answer {
    // SAFETY: the caller's own descriptor, or no descriptor.
    crate::errno::check(unsafe { libc::close(fd) })
}
