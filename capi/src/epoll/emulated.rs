//! The crate's epoll under Linux's signatures: what epoll_ctl(2) and
//! epoll_wait(2) check before the crate is asked, in the kernel's order.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use libc::{c_int, timespec};
use readiness::{Epoll, EpollEvent, EpollFlags};

use super::MAX_EVENTS;
use crate::errno::{Answer, Errno, of_watching};
use crate::memory::{optional, write};
use crate::sets::{self, Kind, Set};
use crate::signals::{self, Mask, sigset_t};
use crate::source::CSource;
use crate::timeout;

// Linux's numbers.
const CLOEXEC: c_int = 0o2000000;
const ADD: c_int = 1;
const DEL: c_int = 2;
const MOD: c_int = 3;

/// A wait gives at most this many events at once: what is written to the caller's
/// array is what there is, however many it is said to have room for.
const AT_ONCE: usize = 1 << 16;

pub(super) fn create(flags: c_int) -> Answer {
    if flags & !CLOEXEC != 0 {
        return Err(Errno(libc::EINVAL));
    }
    sets::insert(Kind::Epoll(Epoll::new()?), flags & CLOEXEC != 0)
}

/// The epoll that a number stands for; `None` for another kind of set.
fn epoll(set: &Set) -> Option<&Epoll> {
    match &set.kind {
        Kind::Epoll(epoll) => Some(epoll),
        #[allow(unreachable_patterns, reason = "there are kqueues where the kernel has none")]
        _ => None,
    }
}

pub(super) unsafe fn control(
    epfd: c_int,
    operation: c_int,
    fd: c_int,
    event: *mut EpollEvent,
) -> Answer {
    let invalid = Errno(libc::EINVAL);
    // SAFETY: NULL or an event of the caller's.
    let event = match unsafe { optional(event.cast_const()) } {
        None if operation != DEL => return Err(Errno(libc::EFAULT)),
        event => event.unwrap_or_default(),
    };
    let set = sets::find(epfd);
    if set.is_none() && sets::no_set(epfd, invalid) != invalid {
        return Err(Errno(libc::EBADF));
    }
    let source = CSource::of(fd).ok_or(Errno(libc::EBADF))?;
    let known = [ADD, DEL, MOD].contains(&operation);
    match set.as_deref().and_then(epoll) {
        Some(epoll) if known && !is(&source, set.as_ref()) => {
            let done = match operation {
                ADD => epoll.register_with_data(&source, event.flags(), event.data()),
                MOD => epoll.modify_with_data(&source, event.flags(), event.data()),
                _ => epoll.unregister(&source),
            };
            done.map(|()| 0).map_err(of_watching)
        }
        // Every other mistake is EINVAL, but what is wrong with the descriptor
        // comes first. An epoll that has none says that of it.
        _ => {
            let empty = Epoll::new().map_err(of_watching)?;
            match empty.modify(&source, EpollFlags::empty()).map_err(Errno::from) {
                Err(error @ Errno(libc::EBADF | libc::EPERM)) => Err(error),
                _ => Err(invalid),
            }
        }
    }
}

/// Whether a source is the set itself.
fn is(source: &CSource, set: Option<&Arc<Set>>) -> bool {
    matches!((source, set), (CSource::Set(one), Some(other)) if Arc::ptr_eq(one, other))
}

pub(super) unsafe fn wait(
    epfd: c_int,
    events: *mut EpollEvent,
    max_events: c_int,
    timeout: c_int,
) -> Answer {
    // SAFETY: the caller's array.
    unsafe { fill(epfd, events, max_events, timeout::milliseconds(timeout), None) }
}

pub(super) unsafe fn pwait(
    epfd: c_int,
    events: *mut EpollEvent,
    max_events: c_int,
    timeout: c_int,
    mask: *const sigset_t,
) -> Answer {
    // SAFETY: the caller's array and mask.
    unsafe {
        let mask = signals::mask(mask);
        fill(epfd, events, max_events, timeout::milliseconds(timeout), mask)
    }
}

pub(super) unsafe fn pwait2(
    epfd: c_int,
    events: *mut EpollEvent,
    max_events: c_int,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> Answer {
    // SAFETY: the caller's array, time and mask.
    unsafe {
        let timeout = timeout::of_timespec(timeout)?;
        fill(epfd, events, max_events, timeout, signals::mask(mask))
    }
}

thread_local! {
    /// What the last wait of this thread was given.
    static EVENTS: Cell<Vec<EpollEvent>> = const { Cell::new(Vec::new()) };
}

/// # Safety
/// `events` is NULL or the caller's array of `max_events`.
unsafe fn fill(
    epfd: c_int,
    events: *mut EpollEvent,
    max_events: c_int,
    timeout: Option<Duration>,
    mask: Mask,
) -> Answer {
    let invalid = Errno(libc::EINVAL);
    let set = sets::find(epfd);
    if set.is_none() && sets::no_set(epfd, invalid) != invalid {
        return Err(Errno(libc::EBADF));
    }
    if max_events <= 0 || max_events > MAX_EVENTS {
        return Err(invalid);
    }
    if events.is_null() {
        return Err(Errno(libc::EFAULT));
    }
    let epoll = set.as_deref().and_then(epoll).ok_or(invalid)?;

    // Taken out, so that a signal handler may wait too. (There is none when the thread ends.)
    let mut buffer = EVENTS.try_with(Cell::take).unwrap_or_default();
    let most = (max_events as usize).min(AT_ONCE);
    if buffer.len() < most {
        buffer.resize(most, EpollEvent::default());
    }
    let found = await_events(epoll, &mut buffer[..most], timeout, mask).and_then(|found| {
        // SAFETY: the caller's array has room for `max_events`.
        unsafe { write(events, &buffer[..found]) }?;
        Ok(found as c_int)
    });
    let _ = EVENTS.try_with(|events| events.set(buffer));
    found
}

fn await_events(
    epoll: &Epoll,
    events: &mut [EpollEvent],
    timeout: Option<Duration>,
    mask: Mask,
) -> Answer<usize> {
    #[cfg(unix)]
    if let Some(mask) = mask {
        return epoll.pwait(events, timeout, &mask).map_err(of_watching);
    }
    let _ = mask;
    epoll.wait_interruptible(events, timeout).map_err(of_watching)
}
