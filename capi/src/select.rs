//! select and pselect.

use std::time::{Duration, Instant};

use libc::{c_int, fd_set, timespec, timeval};
use readiness::{AsSource, Selected, Source};

use crate::errno::{Answer, Errno, call, of_watching};
use crate::memory;
use crate::signals::{self, Mask, sigset_t};
use crate::source::CSource;
use crate::timeout;

#[cfg(unix)]
#[path = "select/bitmap.rs"]
mod fds;
#[cfg(not(unix))]
#[path = "select/array.rs"]
mod fds;

/// select(2). On Linux the time that is left is written back, as Linux does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn readiness_select(
    nfds: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *mut timeval,
) -> c_int {
    let started = Instant::now();
    // SAFETY: the caller's memory.
    call(|| unsafe {
        let limit = timeout::of_timeval(timeout)?;
        let ready = select(nfds, [read, write, except], limit, None);
        if let (Some(limit), true) = (limit, cfg!(any(target_os = "linux", target_os = "android")))
        {
            let left = limit.saturating_sub(started.elapsed());
            write_back(timeout, left);
        }
        ready
    })
}

/// Tells the time that is left, if the caller's memory takes it: it may be a
/// constant, which Linux forgives too.
///
/// # Safety
/// `timeout` points to a timeval.
unsafe fn write_back(timeout: *mut timeval, left: Duration) {
    // SAFETY: it is a timeval, as the caller of this function says.
    let mut time = unsafe { timeout.read_unaligned() };
    let before = (time.tv_sec, time.tv_usec);
    time.tv_sec = left.as_secs() as _;
    time.tv_usec = left.subsec_micros() as _;
    if before != (time.tv_sec, time.tv_usec) {
        // SAFETY: as above.
        unsafe { memory::write_if_writable(timeout, time) };
    }
}

/// pselect(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn readiness_pselect(
    nfds: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    // SAFETY: the caller's memory.
    call(|| unsafe {
        timeout::of_timespec(timeout)
            .and_then(|timeout| select(nfds, [read, write, except], timeout, signals::mask(mask)))
    })
}

/// A descriptor of a set, under the number that it has there.
struct Item {
    number: c_int,
    source: CSource,
}

impl AsSource for Item {
    fn as_source(&self) -> Source<'_> {
        self.source.as_source()
    }
}

/// # Safety
/// Each set is NULL or the caller's.
unsafe fn select(
    nfds: c_int,
    sets: [*mut fd_set; 3],
    timeout: Option<Duration>,
    mask: Mask,
) -> Answer {
    let nfds = fds::limit(nfds)?;
    let mut items: [Vec<Item>; 3] = Default::default();
    for (items, set) in items.iter_mut().zip(sets) {
        if !set.is_null() {
            // SAFETY: the caller's set.
            for number in unsafe { fds::numbers(set, nfds) }? {
                let source = CSource::of(number).ok_or(Errno(libc::EBADF))?;
                items.push(Item { number, source });
            }
        }
    }
    let ready = wait(&items, timeout, mask)?;
    let mut count = 0;
    for (set, ready) in sets.into_iter().zip([&ready.read, &ready.write, &ready.except]) {
        count += ready.len();
        if !set.is_null() {
            // SAFETY: the caller's set.
            unsafe { fds::replace(set, nfds, ready.iter().map(|item| item.number)) };
        }
    }
    Ok(count as c_int)
}

fn wait<'a>(
    items: &'a [Vec<Item>; 3],
    timeout: Option<Duration>,
    mask: Mask,
) -> Answer<Selected<'a, Item>> {
    let [read, write, except] = items;
    #[cfg(unix)]
    if let Some(mask) = mask {
        return readiness::pselect(read, write, except, timeout, &mask).map_err(of_watching);
    }
    let _ = mask;
    readiness::select_interruptible(read, write, except, timeout).map_err(of_watching)
}
