//! The host of a kqueue on Linux: epolls behind one descriptor.
//!
//! The descriptor is an epoll that holds one or two others. The first has all that
//! is read and the kqueue's own descriptors, the second all that is written: one
//! descriptor may be level for reading and edge for writing, and an epoll takes it
//! once. They can be built anew behind the descriptor, which is how to get rid of
//! a closed source that a duplicate keeps alive: epoll goes on reporting it, and
//! nobody can delete it.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Weak};

use super::Shared;
use super::error::{EINVAL, ENOENT, system};
use super::knote::{Knote, What};
use super::read_write::{self, Look};
use super::state::State;
use crate::backend::epoll::{self, EpollFd};
use crate::backend::linux::{Kind, TimerFd};
use crate::backend::{Added, Key, Wake};
use crate::event::EpollEvent;
use crate::flags::{EpollFlags, PollFlags};
use crate::kevent::Filter;
use crate::source::{Held, Member};
use crate::timeout::{Deadline, Instant, Until};

mod registry;

pub(super) use registry::{enter, find, park};

/// The descriptor that the program has.
pub(super) type Own = EpollFd;

/// How the host is to tell of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Level,
    Edge,
    /// Its end and its errors.
    End,
    /// Not at all, but remembering which file it is.
    Off,
}

pub(super) struct Host {
    mark: Mark,
    read: Arc<EpollFd>,
    /// The descriptor holds `read`: from when somebody asks for it, or there is
    /// `write`. Until then events have a shorter way.
    linked: bool,
    write: Option<Arc<EpollFd>>,
    /// How many sources there are, and how many of them in `write`.
    watched: usize,
    writers: usize,
    wake: Arc<Wake>,
    woken: bool,
    timer: Option<TimerFd>,
    armed: Option<Instant>,
    /// Registrations that may have stayed behind when their knotes ended.
    ghosts: usize,
    /// Counts the changes of what there is to wait on.
    generation: u64,
    buffers: Vec<Buffer>,
}

const TIMER: u64 = u64::MAX - 1;

/// The first epoll's number, by which the descriptor before it is known.
pub(super) struct Mark(Arc<AtomicI32>);

impl Mark {
    /// Whether a descriptor is an epoll, and then whether it is the one. Asking
    /// changes nothing.
    pub(super) fn is_behind(&self, fd: RawFd) -> Option<bool> {
        let member = self.0.load(Ordering::Relaxed);
        epoll::holds(fd, member, EpollFlags::IN.bits(), 0).ok()
    }
}

/// Where a wait puts what it found, and what it waits on.
#[derive(Default)]
pub(super) struct Buffer {
    events: Vec<EpollEvent>,
    found: usize,
    read: Option<Arc<EpollFd>>,
    write: Option<Arc<EpollFd>>,
    generation: u64,
}

impl Buffer {
    pub(super) fn events(&self) -> impl Iterator<Item = (Key, PollFlags)> {
        self.events[..self.found]
            .iter()
            .map(|event| (Key::from_bits(event.data()), PollFlags::from_epoll(event.flags())))
    }

    /// Waits for at most `most` events, with the lock or without.
    pub(super) fn wait(
        &mut self,
        own: &Own,
        most: usize,
        write_first: bool,
        until: Until<'_>,
    ) -> io::Result<()> {
        self.found = 0;
        if self.events.len() < most {
            self.events.resize(most, EpollEvent::default());
        }
        let Some(read) = &self.read else { return Ok(()) };
        let Some(write) = &self.write else {
            self.found = read.wait(&mut self.events[..most], &until)?;
            return Ok(());
        };
        let mut which = [EpollEvent::default(); 2];
        let found = own.wait(&mut which, &until)?;
        let now = Until { deadline: Deadline::NOW, signals: until.signals };
        for turn in [write_first, !write_first] {
            let ready = which[..found].iter().any(|event| (event.data() == 1) == turn);
            if ready && self.found < most {
                let set = if turn { write } else { read };
                self.found += set.wait(&mut self.events[self.found..most], &now)?;
            }
        }
        Ok(())
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Closes what was to be waited on, if nobody else has it.
    fn forget(&mut self) {
        (self.read, self.write) = (None, None);
    }
}

fn flags(filter: Filter, mode: Mode) -> EpollFlags {
    let want = super::read_write::want(filter).to_epoll();
    match mode {
        Mode::Level => want,
        Mode::Edge => want | EpollFlags::ET,
        Mode::End => EpollFlags::RDHUP | EpollFlags::ET,
        Mode::Off => EpollFlags::ET,
    }
}

fn number(source: &Member) -> RawFd {
    match source {
        Member::Host(Held::Fd(fd)) => *fd,
        // All sets have descriptors.
        Member::Set(..) => -1,
    }
}

/// The error of a number that was registered: it is a file's by now, which is not.
fn of_number(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::EPERM) => system(ENOENT),
        _ => error,
    }
}

/// More sources than this are many.
const MANY: usize = 1024;

/// How many events of its own come beside those of knotes.
pub(super) const OWN: usize = 4;

pub(super) fn close(own: Own) -> io::Result<()> {
    own.close()
}

impl Host {
    /// It knows when a number is another source's.
    pub(super) const TELLS_APART: bool = true;
    /// It tells changes by itself.
    pub(super) const EDGES: bool = true;

    pub(super) fn new() -> io::Result<(Own, Host)> {
        let own = EpollFd::new(libc::EPOLL_CLOEXEC as u32)?;
        let read = EpollFd::new(libc::EPOLL_CLOEXEC as u32)?;
        let wake = Arc::new(Wake::new()?);
        let mut host = Host {
            mark: Mark(Arc::new(AtomicI32::new(read.0.as_raw_fd()))),
            read: Arc::new(read),
            linked: false,
            write: None,
            watched: 0,
            writers: 0,
            wake,
            woken: false,
            timer: None,
            armed: None,
            ghosts: 0,
            generation: 0,
            buffers: Vec::new(),
        };
        let wake = host.wake.fd();
        host.watch_own(Key::WAKE, wake)?;
        Ok((own, host))
    }

    /// Whose event it is.
    pub(super) fn key(&self, event: Key) -> Option<Key> {
        Some(event)
    }

    /// Watches a descriptor of the kqueue's own.
    pub(super) fn watch_own(&mut self, key: Key, fd: RawFd) -> io::Result<()> {
        self.read.control(libc::EPOLL_CTL_ADD, fd, EpollFlags::IN.bits(), key.bits())
    }

    pub(super) fn forget_own(&mut self, _key: Key, fd: RawFd) {
        let _ = self.read.control(libc::EPOLL_CTL_DEL, fd, 0, 0);
    }

    pub(super) fn watch(
        &mut self,
        own: &Own,
        key: Key,
        source: &Member,
        filter: Filter,
        mode: Mode,
    ) -> io::Result<Added> {
        let set = if filter == Filter::Write { self.writing(own)? } else { Arc::clone(&self.read) };
        let (fd, flags) = (number(source), flags(filter, mode).bits());
        match set.control(libc::EPOLL_CTL_ADD, fd, flags, key.bits()) {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                return Ok(Added::AlwaysReady);
            }
            // One that was closed behind our back and stayed: the file and the
            // number are the same again.
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
                set.control(libc::EPOLL_CTL_MOD, fd, flags, key.bits())?;
            }
            other => other?,
        }
        self.watched += 1;
        if filter == Filter::Write {
            self.writers += 1;
            if self.writers == 1 {
                self.generation += 1;
            }
        }
        Ok(Added::Watched)
    }

    /// The descriptor is readable from now on when there is something.
    pub(super) fn expose(&mut self, own: &Own) -> io::Result<()> {
        if !self.linked {
            let read = self.read.0.as_raw_fd();
            own.control(libc::EPOLL_CTL_ADD, read, EpollFlags::IN.bits(), 0)?;
            self.linked = true;
        }
        Ok(())
    }

    /// The epoll of what is written.
    fn writing(&mut self, own: &Own) -> io::Result<Arc<EpollFd>> {
        if let Some(write) = &self.write {
            return Ok(Arc::clone(write));
        }
        self.expose(own)?;
        let write = Arc::new(EpollFd::new(libc::EPOLL_CLOEXEC as u32)?);
        own.control(libc::EPOLL_CTL_ADD, write.0.as_raw_fd(), EpollFlags::IN.bits(), 1)?;
        self.write = Some(Arc::clone(&write));
        Ok(write)
    }

    fn set(&self, filter: Filter) -> &EpollFd {
        match &self.write {
            Some(write) if filter == Filter::Write => write,
            _ => &self.read,
        }
    }

    /// Tells of a source in another mode, and arms it again. `NotFound` and
    /// `EBADF`: it is not what was registered any more.
    pub(super) fn change(
        &mut self,
        key: Key,
        source: &Member,
        filter: Filter,
        mode: Mode,
    ) -> io::Result<()> {
        let flags = flags(filter, mode).bits();
        let set = self.set(filter);
        set.control(libc::EPOLL_CTL_MOD, number(source), flags, key.bits()).map_err(of_number)
    }

    /// The kernel tells changes.
    pub(super) fn rearm(&mut self, _key: Key) -> io::Result<()> {
        Ok(())
    }

    /// Stops watching. An error: it was not what was registered any more.
    pub(super) fn forget(&mut self, _key: Key, source: &Member, filter: Filter) -> io::Result<()> {
        self.watched -= 1;
        if filter == Filter::Write {
            self.writers -= 1;
        }
        let set = self.set(filter);
        let deleted = set.control(libc::EPOLL_CTL_DEL, number(source), 0, 0).map_err(of_number);
        if deleted.is_err() {
            self.ghosts += 1;
        }
        deleted
    }

    /// Whether to look for one of them takes the kernel long.
    pub(super) fn has_many(&self) -> bool {
        self.watched > MANY
    }

    /// Whether a number still is what was registered: an add is refused then, and
    /// changes nothing. The kernel looks for it among all that is registered.
    pub(super) fn is_same(&self, source: &Member, filter: Filter) -> bool {
        let set = self.set(filter);
        let flags = flags(filter, Mode::Off).bits();
        match set.control(libc::EPOLL_CTL_ADD, number(source), flags, u64::MAX) {
            Ok(()) => {
                let _ = set.control(libc::EPOLL_CTL_DEL, number(source), 0, 0);
                false
            }
            Err(error) => !matches!(
                error.raw_os_error(),
                Some(libc::EBADF | libc::EPERM | libc::ELOOP | libc::EINVAL)
            ),
        }
    }

    /// Tells its descriptor from others, without the lock.
    pub(super) fn mark(&self) -> Mark {
        Mark(Arc::clone(&self.mark.0))
    }

    /// A source that is a kqueue itself.
    pub(super) fn nested(
        &mut self,
        own: &Own,
        source: &Member,
        kind: Option<Kind>,
        filter: Filter,
    ) -> io::Result<Option<Weak<Shared>>> {
        if kind != Some(Kind::Other) {
            return Ok(None);
        }
        match self.mark.is_behind(number(source)) {
            None => Ok(None),
            Some(itself) if itself || filter == Filter::Write => Err(system(EINVAL)),
            Some(_) => {
                // The kernel has to see how deep they are, before it is asked to add one.
                self.expose(own)?;
                Ok(registry::find_number(number(source)).map(|set| Arc::downgrade(&set)))
            }
        }
    }

    /// What there is now, for somebody who takes nothing.
    fn look(&self, out: &mut Buffer, most: usize) -> io::Result<()> {
        let sets = [Some(&self.read), self.write.as_ref()];
        out.found = 0;
        out.events.resize(sets.len() * most, EpollEvent::default());
        for set in sets.into_iter().flatten() {
            out.found += set.wait(&mut out.events[out.found..][..most], &Until::NOW)?;
        }
        Ok(())
    }

    /// Whether events of nobody mean that there are ghosts.
    pub(super) fn is_haunted(&self) -> bool {
        self.ghosts > 0
    }

    /// Builds the epolls anew with what is live.
    pub(super) fn rebuild<'a>(
        &mut self,
        own: &Own,
        live: impl Iterator<Item = (Key, &'a Member, Filter, Mode)>,
        descriptors: &[(Key, RawFd)],
    ) -> io::Result<()> {
        let read = EpollFd::new(libc::EPOLL_CLOEXEC as u32)?;
        let write = match self.write {
            Some(_) => Some(EpollFd::new(libc::EPOLL_CLOEXEC as u32)?),
            None => None,
        };
        for (key, source, filter, mode) in live {
            let set = match &write {
                Some(write) if filter == Filter::Write => write,
                _ => &read,
            };
            let flags = flags(filter, mode).bits();
            set.control(libc::EPOLL_CTL_ADD, number(source), flags, key.bits())?;
        }
        for (key, fd) in descriptors {
            read.control(libc::EPOLL_CTL_ADD, *fd, EpollFlags::IN.bits(), key.bits())?;
        }
        read.control(libc::EPOLL_CTL_ADD, self.wake.fd(), EpollFlags::IN.bits(), Key::WAKE.bits())?;
        if let Some(timer) = &self.timer {
            read.control(libc::EPOLL_CTL_ADD, timer.fd(), EpollFlags::IN.bits(), TIMER)?;
        }
        let fd = |set: &EpollFd| set.0.as_raw_fd();
        if self.linked {
            own.control(libc::EPOLL_CTL_ADD, fd(&read), EpollFlags::IN.bits(), 0)?;
            own.control(libc::EPOLL_CTL_DEL, fd(&self.read), 0, 0)?;
        }
        if let (Some(new), Some(old)) = (&write, &self.write) {
            own.control(libc::EPOLL_CTL_ADD, fd(new), EpollFlags::IN.bits(), 1)?;
            own.control(libc::EPOLL_CTL_DEL, fd(old), 0, 0)?;
        }
        self.mark.0.store(fd(&read), Ordering::Relaxed);
        self.read = Arc::new(read);
        self.write = write.map(Arc::new);
        self.buffers.iter_mut().for_each(Buffer::forget);
        self.ghosts = 0;
        self.generation += 1;
        Ok(())
    }

    /// What there is to wait on now. A buffer keeps it for the next time.
    pub(super) fn prepare(&self, buffer: &mut Buffer) {
        let writers = self.writers > 0;
        let known = buffer.read.is_some() && buffer.write.is_some() == writers;
        if !known || buffer.generation != self.generation {
            buffer.read = Some(Arc::clone(&self.read));
            buffer.write = self.write.clone().filter(|_| writers);
            buffer.generation = self.generation;
        }
    }

    pub(super) fn is_woken(&self) -> bool {
        self.woken
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn buffer(&mut self) -> Buffer {
        self.buffers.pop().unwrap_or_default()
    }

    pub(super) fn keep(&mut self, mut buffer: Buffer) {
        if buffer.generation != self.generation {
            buffer.forget();
        }
        self.buffers.push(buffer);
    }

    /// Whether an event is the kqueue's own. (Not whether it is woken: another thread may
    /// have settled that since the host told it.)
    pub(super) fn take_own(&mut self, key: Key) -> bool {
        key == Key::WAKE || key.bits() == TIMER
    }

    /// Ends a wait, if somebody was kicked; and if others wait on the descriptor,
    /// keeps it readable while something is queued, and when a timer expires.
    pub(super) fn settle(
        &mut self,
        kicked: bool,
        exposed: bool,
        queued: bool,
        at: Option<Instant>,
    ) {
        if exposed {
            // Without a descriptor for it, only whoever waits outside is late.
            let _ = self.arm(at);
        }
        let want = kicked || (exposed && queued);
        if want && !self.woken {
            self.woken = self.wake.wake().is_ok();
        } else if !want && self.woken {
            self.wake.drain();
            self.woken = false;
        }
    }

    /// Is readable at a time.
    fn arm(&mut self, at: Option<Instant>) -> io::Result<()> {
        if at == self.armed {
            return Ok(());
        }
        if self.timer.is_none() {
            let timer = TimerFd::new()?;
            self.watch_own(Key::from_bits(TIMER), timer.fd())?;
            self.timer = Some(timer);
        }
        if let Some(timer) = &self.timer {
            timer.set(at.map(|at| at.saturating_duration_since(Instant::now())))?;
        }
        self.armed = at;
        Ok(())
    }
}

/// How many of the sources of a kqueue are ready. Takes none.
pub(super) fn pending(state: &mut State) -> usize {
    let mut pending = 0;
    let mut buffer = state.host.buffer();
    let most = state.knotes.len() + OWN;
    if state.host.look(&mut buffer, most).is_ok() {
        for (key, said) in buffer.events() {
            if state.host.take_own(key) {
                continue;
            }
            let State { host, knotes, systems, .. } = state;
            let Some(Knote { what: What::Io(io), .. }) = knotes.get(key) else {
                // It is in the queue now.
                systems.take(host, knotes, key);
                continue;
            };
            let Some(knote) = knotes.get(key) else { continue };
            let (filter, asked, least) = (knote.kevent.filter, knote.asked, knote.argument);
            let look = read_write::look(host, io, filter, asked, least, said);
            if knote.disabled || !matches!(look, Look::Ready { .. }) {
                continue;
            }
            pending += 1;
            if let Some(knote) = knotes.get_mut(key).filter(|knote| knote.clears()) {
                // The look has taken it.
                let _ = read_write::arm(host, key, knote);
            }
        }
    }
    state.host.keep(buffer);
    pending
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of two threads that were woken one has settled it before the other takes in what it
    /// was told: a kick by that one, or by any other after it, reaches those who wait.
    #[test]
    fn late_news_of_a_kick_does_not_take_the_next_one() -> io::Result<()> {
        let (own, mut host) = Host::new()?;
        let wait = |host: &Host| -> io::Result<Vec<Key>> {
            let mut buffer = Buffer::default();
            host.prepare(&mut buffer);
            buffer.wait(&own, OWN, false, Until::NOW)?;
            Ok(buffer.events().map(|(key, _)| key).collect())
        };
        host.settle(true, false, false, None);
        let told = wait(&host)?;
        assert_eq!(told, [Key::WAKE]);
        host.settle(false, false, false, None);
        assert_eq!(wait(&host)?, []);
        assert!(told.into_iter().all(|key| host.take_own(key)));
        host.settle(true, false, false, None);
        assert_eq!(wait(&host)?, [Key::WAKE]);
        Ok(())
    }
}
