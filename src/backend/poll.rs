//! poll(2): every Unix.
//!
//! - [Linux](https://man7.org/linux/man-pages/man2/poll.2.html),
//!   [FreeBSD](https://man.freebsd.org/poll/2),
//!   [macOS](https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man2/poll.2.html)

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use super::glance::Glances;
use super::unix::check_source;
use super::{FIRST_SET, List, call};
use crate::flags::PollFlags;
use crate::source::{Held, RawSource};
use crate::timeout::{Deadline, Signals, Until, whole_milliseconds};

/// poll(2) passes over a negative number.
const VACANT: RawFd = -1;
/// A table of so many descriptors is more than any system makes for a process.
const TOO_LARGE: RawFd = 1 << 30;
/// So many entries are looked at together.
const AT_A_TIME: usize = 8;

/// Whether a descriptor may have this number; of some numbers' bits together,
/// whether each of them may.
#[inline]
fn is_ordinary(fd: RawFd) -> bool {
    (0..TOO_LARGE).contains(&fd)
}

/// The array that poll(2) takes.
#[derive(Default)]
pub(crate) struct PollList {
    fds: Vec<libc::pollfd>,
    ready: usize,
    /// The sources' numbers that no descriptor can have.
    odd: Vec<RawFd>,
    /// The slots that are passed over, and their descriptors.
    passed_over: Vec<(usize, RawFd)>,
    glances: Glances,
}

/// Where it is known to be cheaper.
const GLANCES: bool = cfg!(any(target_os = "linux", target_os = "android"));

fn events(want: PollFlags) -> libc::c_short {
    want.intersection(PollFlags::supported()).bits() as libc::c_short
}

impl List for PollList {
    const NAME: &'static str = "poll";
    const REFILLS: bool = true;

    fn put(&mut self, slot: usize, source: &Held, want: PollFlags) {
        let fd = self.number(source);
        self.put_number(slot, fd, events(want));
    }

    fn put_set(&mut self, slot: usize, id: u64) {
        // Below `VACANT`, which poll(2) passes over.
        let fd = VACANT - 1 - (id - FIRST_SET) as RawFd;
        self.put_number(slot, fd, 0);
    }

    fn tell(&mut self, slot: usize, flags: PollFlags) {
        self.fds[slot].revents = flags.bits() as libc::c_short;
        self.ready += 1;
    }

    #[inline]
    fn refill(&mut self, sources: impl Iterator<Item = Held>, want: PollFlags) {
        self.fds.clear();
        let events = events(want);
        let mut bits = 0;
        // A slice of descriptors is taken in several at a time: one question for all.
        self.fds.extend(sources.map(|Held::Fd(fd)| {
            bits |= fd;
            libc::pollfd { fd, events, revents: 0 }
        }));
        if !is_ordinary(bits) {
            self.number_all();
        }
    }

    #[inline]
    fn source(&self, slot: usize) -> Option<RawSource> {
        let fd = self.fds.get(slot)?.fd;
        (fd != VACANT).then(|| self.name(fd))
    }

    fn set(&mut self, slot: usize, want: PollFlags) {
        self.fds[slot].events = events(want);
    }

    fn vacate(&mut self, slot: usize) {
        self.fds[slot] = libc::pollfd { fd: VACANT, events: 0, revents: 0 };
    }

    const TAKES_BACK: bool = true;

    fn pass_over(&mut self, slot: usize) {
        let fd = std::mem::replace(&mut self.fds[slot].fd, VACANT);
        self.passed_over.push((slot, fd));
    }

    fn take_back(&mut self) {
        for (slot, fd) in self.passed_over.drain(..) {
            self.fds[slot].fd = fd;
        }
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

    #[inline]
    fn wait(&mut self, until: &Until<'_>) -> io::Result<usize> {
        self.ready = 0;
        let whole = whole_milliseconds(until.deadline.left());
        self.ready = match (whole, until.signals) {
            // The ordinary case, apart from the others, which would make it slower.
            (Some(timeout), Signals::Resume | Signals::Report) => {
                let glances = GLANCES && timeout != 0 && self.glances.is_due();
                match call::poll(&mut self.fds, if glances { 0 } else { timeout }) {
                    Ok(ready) if !glances => ready,
                    Ok(ready) => self.wait_after_glance(ready, *until)?,
                    Err(error) => self.wait_again(error, *until)?,
                }
            }
            _ => self.wait_anyhow(*until)?,
        };
        Ok(self.ready)
    }

    #[inline]
    fn ready(&self) -> impl Iterator<Item = (usize, PollFlags)> {
        // Looks no further than the last one.
        let told = self.fds.iter().enumerate().filter(|(_, entry)| entry.revents != 0);
        told.take(self.ready).map(|(slot, entry)| (slot, flags(entry)))
    }

    #[inline]
    fn collect(&self, ready: usize, take: PollFlags, found: &mut Vec<usize>) -> PollFlags {
        found.clear();
        found.reserve(ready);
        let room = &mut found.spare_capacity_mut()[..ready];
        let take = take.bits() as libc::c_short;
        let (mut len, mut seen) = (0, 0);
        for (nth, some) in self.fds.chunks(AT_A_TIME).enumerate() {
            if len == ready {
                break;
            }
            let slots = nth * AT_A_TIME..;
            // Mostly none of them is ready, or each.
            if let Some(some) = some.first_chunk::<AT_A_TIME>() {
                let either =
                    |(any, all), entry: &libc::pollfd| (any | entry.revents, all & entry.revents);
                let (any, all) = some.iter().fold((0, take), either);
                seen |= any;
                if any == 0 {
                    continue;
                }
                if let (true, Some(places)) = (all != 0, room.get_mut(len..len + AT_A_TIME)) {
                    places.iter_mut().zip(slots).for_each(|(place, slot)| {
                        place.write(slot);
                    });
                    len += AT_A_TIME;
                    continue;
                }
            }
            // Each is written, and the next one over what does not count: no branch.
            for (entry, slot) in some.iter().zip(slots) {
                if let Some(place) = room.get_mut(len) {
                    place.write(slot);
                }
                len += usize::from(entry.revents & take != 0);
                seen |= entry.revents;
            }
        }
        // SAFETY: as many as there is room for, each of which was written.
        unsafe { found.set_len(len.min(ready)) };
        PollFlags::from_bits_truncate(seen as u16)
    }

    #[inline]
    fn ready_sources(&self) -> impl Iterator<Item = (RawSource, PollFlags)> {
        self.told().map(|entry| (self.name(entry.fd), flags(entry)))
    }
}

impl PollList {
    fn put_number(&mut self, slot: usize, fd: RawFd, events: libc::c_short) {
        let entry = libc::pollfd { fd, events, revents: 0 };
        match self.fds.get_mut(slot) {
            Some(vacant) => *vacant = entry,
            None => self.fds.push(entry),
        }
    }

    /// poll(2) passes over negative numbers, and these are to be told as not open.
    /// So are those that are too large for a descriptor: instead of either it gets
    /// the largest ones, from the top down.
    #[inline]
    fn number(&mut self, source: &Held) -> RawFd {
        let Held::Fd(fd) = *source;
        if is_ordinary(fd) { fd } else { self.number_instead(fd) }
    }

    /// As [`number`](PollList::number), of all.
    #[cold]
    fn number_all(&mut self) {
        for slot in 0..self.fds.len() {
            self.fds[slot].fd = self.number(&Held::Fd(self.fds[slot].fd));
        }
    }

    /// After a glance that found so much.
    #[inline(never)]
    fn wait_after_glance(&mut self, ready: usize, until: Until<'_>) -> io::Result<usize> {
        self.glances.learn(ready > 0);
        if ready > 0 { Ok(ready) } else { self.wait_anyhow(until) }
    }

    /// After an error.
    #[cold]
    fn wait_again(&mut self, error: io::Error, mut until: Until<'_>) -> io::Result<usize> {
        match (error.kind(), until.signals) {
            (io::ErrorKind::Interrupted, Signals::Resume) => until.deadline.refresh(),
            (io::ErrorKind::InvalidInput, _) => {}
            _ => return Err(error),
        }
        self.wait_anyhow(until)
    }

    #[cold]
    fn wait_anyhow(&mut self, until: Until<'_>) -> io::Result<usize> {
        match poll(&mut self.fds, until) {
            // More entries than there may be open descriptors: there are vacant
            // ones among them, or one descriptor several times.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                poll_merged(&mut self.fds, until)
            }
            waited => waited,
        }
    }

    #[cold]
    fn number_instead(&mut self, fd: RawFd) -> RawFd {
        let known = self.odd.iter().position(|other| *other == fd);
        let at = known.unwrap_or_else(|| {
            self.odd.push(fd);
            self.odd.len() - 1
        });
        RawFd::MAX - at as RawFd
    }

    /// The source that an entry's number stands for.
    #[inline]
    fn name(&self, fd: RawFd) -> RawSource {
        if is_ordinary(fd) { RawSource::Fd(fd) } else { self.odd_name(fd) }
    }

    #[cold]
    fn odd_name(&self, fd: RawFd) -> RawSource {
        if fd < VACANT {
            return RawSource::Set(FIRST_SET + (VACANT - 1 - fd) as u64);
        }
        let at = RawFd::MAX.wrapping_sub(fd) as usize;
        RawSource::Fd(self.odd.get(at).copied().unwrap_or(fd))
    }

    #[inline]
    fn told(&self) -> Told<'_> {
        Told { rest: self.fds.iter(), left: self.ready }
    }
}

/// The entries that the last wait found ready: looks no further than the last one.
struct Told<'a> {
    rest: std::slice::Iter<'a, libc::pollfd>,
    left: usize,
}

impl<'a> Iterator for Told<'a> {
    type Item = &'a libc::pollfd;

    #[inline]
    fn next(&mut self) -> Option<&'a libc::pollfd> {
        if self.left == 0 {
            return None;
        }
        let entry = self.rest.find(|entry| entry.revents != 0)?;
        self.left -= 1;
        Some(entry)
    }
}

#[inline]
fn flags(entry: &libc::pollfd) -> PollFlags {
    // No others than were asked for, and those that come unasked.
    PollFlags::from_bits_retain(entry.revents as u16)
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
    let timeout = left.map(super::unix::timespec);
    let timeout = timeout.as_ref().map_or(std::ptr::null(), |time| time as *const _);
    let mask = match signals {
        Signals::Masked(mask) => mask.0.as_ptr(),
        _ => std::ptr::null(),
    };
    // SAFETY: the array, the time and the mask are valid or null as ppoll allows.
    super::unix::check(unsafe {
        libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout, mask)
    })
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
    let answer = call::poll(fds, timeout).map(|ready| ready as libc::c_int);
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
