//! poll(2): every Unix.
//!
//! - [Linux](https://man7.org/linux/man-pages/man2/poll.2.html),
//!   [FreeBSD](https://man.freebsd.org/poll/2),
//!   [macOS](https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man2/poll.2.html)

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use super::List;
use super::unix::{check, check_source};
use crate::flags::PollFlags;
use crate::source::{Held, RawSource};
#[cfg(not(any(target_vendor = "apple", target_os = "illumos", target_os = "solaris")))]
use crate::timeout::whole_milliseconds;
use crate::timeout::{Deadline, Signals, Until};

/// poll(2) passes over a negative number.
const VACANT: RawFd = -1;

/// The array that poll(2) takes.
#[derive(Default)]
pub(crate) struct PollList {
    fds: Vec<libc::pollfd>,
    ready: usize,
}

/// Any negative number poll(2) passes over. It is not open, and this one says so.
fn number(source: &Held) -> RawFd {
    let Held::Fd(fd) = *source;
    if fd < 0 { RawFd::MAX } else { fd }
}

fn events(want: PollFlags) -> libc::c_short {
    want.intersection(PollFlags::supported()).bits() as libc::c_short
}

impl List for PollList {
    const NAME: &'static str = "poll";

    fn put(&mut self, slot: usize, source: &Held, want: PollFlags) {
        let entry = libc::pollfd { fd: number(source), events: events(want), revents: 0 };
        match self.fds.get_mut(slot) {
            Some(vacant) => *vacant = entry,
            None => self.fds.push(entry),
        }
    }

    fn extend(&mut self, sources: impl Iterator<Item = Held>, want: PollFlags) {
        let events = events(want);
        self.fds.extend(sources.map(|source| libc::pollfd {
            fd: number(&source),
            events,
            revents: 0,
        }));
    }

    fn source(&self, slot: usize) -> Option<RawSource> {
        let fd = self.fds.get(slot)?.fd;
        (fd != VACANT).then_some(RawSource::Fd(fd))
    }

    fn set(&mut self, slot: usize, want: PollFlags) {
        self.fds[slot].events = events(want);
    }

    fn vacate(&mut self, slot: usize) {
        self.fds[slot] = libc::pollfd { fd: VACANT, events: 0, revents: 0 };
    }

    fn len(&self) -> usize {
        self.fds.len()
    }

    fn truncate(&mut self, slots: usize) {
        self.fds.truncate(slots);
    }

    fn compact(&mut self, mut moved: impl FnMut(usize, usize)) {
        let (mut from, mut to) = (0, 0);
        self.fds.retain(|entry| {
            let stays = entry.fd != VACANT;
            if stays {
                moved(from, to);
                to += 1;
            }
            from += 1;
            stays
        });
    }

    fn wait(&mut self, until: Until<'_>) -> io::Result<usize> {
        self.ready = 0;
        self.ready = match poll(&mut self.fds, until) {
            // More entries than there may be open descriptors: there are vacant
            // ones among them, or one descriptor several times.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                poll_merged(&mut self.fds, until)?
            }
            other => other?,
        };
        Ok(self.ready)
    }

    fn ready(&self) -> impl Iterator<Item = (usize, PollFlags)> {
        self.fds
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.revents != 0)
            .map(|(slot, entry)| (slot, PollFlags::from_bits_truncate(entry.revents as u16)))
            .take(self.ready)
    }
}

fn poll(fds: &mut [libc::pollfd], mut until: Until<'_>) -> io::Result<usize> {
    loop {
        let ready = until.run(|left| poll_once(fds, left, until.signals))? as usize;
        // An int of milliseconds is 24 days.
        if ready > 0 || cfg!(target_os = "linux") || until.deadline.passed() {
            return Ok(ready);
        }
    }
}

#[cfg(not(any(target_vendor = "apple", target_os = "illumos", target_os = "solaris")))]
fn poll_once(
    fds: &mut [libc::pollfd],
    left: Option<Duration>,
    signals: Signals<'_>,
) -> io::Result<libc::c_int> {
    if let (Some(timeout), Signals::Resume | Signals::Report) = (whole_milliseconds(left), signals)
    {
        // SAFETY: the array is valid.
        return check(unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout) });
    }
    let timeout = left.map(super::unix::timespec);
    let timeout = timeout.as_ref().map_or(std::ptr::null(), |time| time as *const _);
    let mask = match signals {
        Signals::Masked(mask) => mask.0.as_ptr(),
        _ => std::ptr::null(),
    };
    // SAFETY: the array, the time and the mask are valid or null as ppoll allows.
    check(unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout, mask) })
}

/// There is no ppoll(2): the mask is exchanged around the call, and a signal that
/// comes between the two is handled without interrupting the wait.
#[cfg(any(target_vendor = "apple", target_os = "illumos", target_os = "solaris"))]
fn poll_once(
    fds: &mut [libc::pollfd],
    left: Option<Duration>,
    signals: Signals<'_>,
) -> io::Result<libc::c_int> {
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    if let Signals::Masked(mask) = signals {
        // SAFETY: the mask is valid; the one before goes to a set of our own.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, mask.0.as_ptr(), before.as_mut_ptr());
        }
    }
    let timeout = crate::timeout::milliseconds(left);
    // SAFETY: the array is valid.
    let answer = check(unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout) });
    if let Signals::Masked(_) = signals {
        // SAFETY: the first call filled it.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
        }
    }
    answer
}

/// Waits with one entry a descriptor, and tells every entry of it.
#[cold]
fn poll_merged(fds: &mut [libc::pollfd], until: Until<'_>) -> io::Result<usize> {
    let mut order: Vec<usize> = (0..fds.len()).filter(|&slot| fds[slot].fd >= 0).collect();
    order.sort_unstable_by_key(|&slot| fds[slot].fd);
    let mut merged: Vec<libc::pollfd> = Vec::new();
    for &slot in &order {
        match merged.last_mut() {
            Some(last) if last.fd == fds[slot].fd => last.events |= fds[slot].events,
            _ => merged.push(libc::pollfd { revents: 0, ..fds[slot] }),
        }
    }
    match poll(&mut merged, until) {
        // Still more than may be open: some are not.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            let is_open = |entry: &libc::pollfd| check_source(&Held::Fd(entry.fd)).is_ok();
            let (mut open, mut closed): (Vec<_>, Vec<_>) = merged.into_iter().partition(is_open);
            if closed.is_empty() {
                return Err(error);
            }
            closed.iter_mut().for_each(|entry| entry.revents = libc::POLLNVAL);
            poll(&mut open, Until { deadline: Deadline::NOW, ..until })?;
            open.append(&mut closed);
            open.sort_unstable_by_key(|entry| entry.fd);
            merged = open;
        }
        waited => drop(waited?),
    }

    let mut ready = 0;
    let mut told = merged.iter().peekable();
    for entry in fds.iter_mut() {
        entry.revents = 0;
    }
    for &slot in &order {
        let entry = &mut fds[slot];
        while told.peek().is_some_and(|one| one.fd != entry.fd) {
            told.next();
        }
        let asked = entry.events | PollFlags::UNASKED.bits() as libc::c_short;
        entry.revents = told.peek().map_or(0, |one| one.revents & asked);
        ready += usize::from(entry.revents != 0);
    }
    Ok(ready)
}
