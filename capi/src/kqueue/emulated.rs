//! The crate's kqueue under FreeBSD's signatures and in FreeBSD's structure.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use libc::{c_int, timespec};
pub(super) use readiness::Kevent;
use readiness::{Filter, Kqueue};

use crate::errno::{Answer, Errno, of_watching};
use crate::memory::{read, write};
use crate::sets::{self, Kind};
use crate::source::CSource;
use crate::timeout;

// The crate's Kevent is FreeBSD's structure, `ext` and all.
const _: () = assert!(size_of::<Kevent>() == 64);

/// What a wait gives at once, at most.
const AT_ONCE: usize = 1 << 16;

/// A kqueue, and what C calls its sources.
pub(crate) struct Queue {
    pub(crate) set: Kqueue,
    /// Sets that have no descriptor, by the number that the crate has for them: C's
    /// own number for them.
    names: Mutex<HashMap<usize, usize>>,
}

pub(super) fn create() -> Answer {
    let queue = Queue { set: Kqueue::new()?, names: Mutex::default() };
    // A kqueue is not inherited, so it is of no use after exec either.
    sets::insert(Kind::Kqueue(queue), true)
}

pub(super) unsafe fn kevent(
    kq: c_int,
    changes: *const Kevent,
    changes_len: c_int,
    events: *mut Kevent,
    events_len: c_int,
    timeout: *const timespec,
) -> Answer {
    let invalid = Errno(libc::EINVAL);
    let set = sets::find(kq).ok_or(Errno(libc::EBADF))?;
    let Some(queue) = queue(&set.kind) else { return Err(Errno(libc::EBADF)) };
    let changes_len = usize::try_from(changes_len).map_err(|_| invalid)?;
    let events_len = usize::try_from(events_len).map_err(|_| invalid)?;
    // SAFETY: the caller's array.
    let mut changes = unsafe { read(changes, changes_len) }?;
    if events.is_null() && events_len > 0 {
        return Err(Errno(libc::EFAULT));
    }
    // SAFETY: NULL or the caller's time.
    let timeout = unsafe { timeout::of_timespec(timeout) };

    changes.iter_mut().for_each(|change| queue.rename(change));
    let timeout = match timeout {
        Ok(timeout) => timeout,
        // FreeBSD looks at the time when the changes are made, and only if it
        // may have to wait.
        Err(_) if events_len == 0 => None,
        Err(error) => {
            queue.set.control_interruptible(&changes, &mut [], None).map_err(of_watching)?;
            return Err(error);
        }
    };
    queue.control(&changes, events, events_len, timeout)
}

fn queue(kind: &Kind) -> Option<&Queue> {
    match kind {
        Kind::Kqueue(queue) => Some(queue),
        #[allow(unreachable_patterns, reason = "there are epolls where the kernel has none")]
        _ => None,
    }
}

impl Queue {
    #[cfg(unix)]
    pub(crate) fn descriptor(&self) -> Option<std::os::fd::RawFd> {
        #[cfg(kernel_epoll)]
        return Some(std::os::fd::AsRawFd::as_raw_fd(&self.set));
        #[cfg(not(kernel_epoll))]
        None
    }

    fn control(
        &self,
        changes: &[Kevent],
        events: *mut Kevent,
        events_len: usize,
        timeout: Option<Duration>,
    ) -> Answer {
        let mut buffer = vec![Kevent::default(); events_len.min(AT_ONCE)];
        let found = self.set.control_interruptible(changes, &mut buffer, timeout);
        let found = found.map_err(of_watching)?;
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if !names.is_empty() {
            for event in &mut buffer[..found] {
                event.ident = names.get(&event.ident).copied().unwrap_or(event.ident);
            }
        }
        // SAFETY: the caller's array has room for `events_len`.
        unsafe { write(events, &buffer[..found]) }?;
        Ok(found as c_int)
    }

    /// Gives a change the crate's own number of its source, if that is a set that has
    /// no descriptor.
    fn rename(&self, change: &mut Kevent) {
        if ![Filter::Read, Filter::Write].contains(&change.filter) {
            return;
        }
        let source = c_int::try_from(change.ident).ok().and_then(CSource::of);
        if let Some(CSource::Set(set)) = source {
            let ident = Kevent::new(&*set, change.filter).ident;
            let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            names.insert(ident, change.ident);
            change.ident = ident;
        }
    }
}
