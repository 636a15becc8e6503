//! kqueue as the [`Backend`] of macOS and the BSDs.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{KqueueFd, nest};
use crate::backend::unix::{Wake, check};
use crate::backend::{Added, Backend, Caps, Key, Mode, call, more_room};
use crate::flags::PollFlags;
use crate::index::Index;
use crate::kevent::{Filter, Kevent, KeventFlags, NoteFlags};
use crate::source::{Member, RawSource, Source};
use crate::timeout::{Signals, Until};

const IN: PollFlags = PollFlags::IN.union(PollFlags::RDNORM).union(PollFlags::RDBAND);
const OUT: PollFlags = PollFlags::OUT.union(PollFlags::WRNORM).union(PollFlags::WRBAND);

/// Whether a thread is woken by EVFILT_USER, which older NetBSD and OpenBSD lack.
const USER: bool = !cfg!(any(target_os = "netbsd", target_os = "openbsd"));

/// The filter of out-of-band data, where there is one.
const EXCEPT: Option<(Filter, NoteFlags)> = {
    cfg_if::cfg_if! {
        if #[cfg(any(target_vendor = "apple", target_os = "openbsd", target_os = "dragonfly"))] {
            Some((
                Filter::from_number(libc::EVFILT_EXCEPT as i32),
                NoteFlags::from_bits_retain(libc::NOTE_OOB),
            ))
        } else {
            None
        }
    }
};

pub(crate) struct KqueueSet {
    pub(super) queue: KqueueFd,
    /// Without EVFILT_USER.
    wake: Option<Wake>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By the key's slot.
    registered: Vec<Option<Registered>>,
    index: Index,
}

/// A source. kqueue knows two things of it, its READ and its WRITE; here they are
/// one.
struct Registered {
    key: Key,
    source: Member,
    want: PollFlags,
    mode: Mode,
    filters: Filters,
    /// One-shot, and reported.
    spent: bool,
    /// It has ended, which is wanted at each wait.
    ended: bool,
}

#[derive(Clone, Copy, Default)]
struct Filters {
    read: bool,
    write: bool,
    except: bool,
    /// A pipe whose reader was gone when it was added is writable, with an error,
    /// and the kernel does not watch it (`EPIPE`): an event of ours stands for it.
    broken: bool,
}

impl Filters {
    /// Those that tell what is wanted. Where no data is, one that tells the end,
    /// and that the descriptor is still the one that was added.
    fn of(want: PollFlags) -> Filters {
        let write = want.intersects(OUT);
        let except = want.contains(PollFlags::PRI) && EXCEPT.is_some();
        let read = want.intersects(IN | PollFlags::RDHUP) || !(write || except);
        Filters { read, write, except, broken: false }
    }

    fn iter(self) -> impl Iterator<Item = (Filter, NoteFlags)> {
        let read = self.read.then_some((Filter::Read, NoteFlags::empty()));
        let write = self.write.then_some((Filter::Write, NoteFlags::empty()));
        let except = if self.except { EXCEPT } else { None };
        let broken = self.broken.then_some((Filter::User, NoteFlags::TRIGGER));
        [read, write, except, broken].into_iter().flatten()
    }
}

/// At most one change for each filter of a source.
const MOST: usize = 4;

/// A set without a descriptor is none that the kernel knows.
fn number(source: &Member) -> RawFd {
    match source.raw() {
        RawSource::Fd(fd) => fd,
        RawSource::Set(_) => -1,
    }
}

/// A key in the pointer that the kernel keeps for us. Where that has 32 bits it is
/// the slot alone.
fn udata(key: Key) -> usize {
    match key {
        Key::WAKE => usize::MAX,
        key => (u64::from(key.generation()) << 32 | key.slot() as u64) as usize,
    }
}

impl Registered {
    fn change(&self, (filter, fflags): (Filter, NoteFlags), flags: KeventFlags) -> Kevent {
        let ident = match filter {
            Filter::User => udata(self.key),
            _ => number(&self.source) as usize,
        };
        Kevent::from_ident(ident, filter)
            .with_flags(flags)
            .with_fflags(fflags)
            .with_udata(udata(self.key))
    }

    /// What poll(2) is to be asked of a source that one of its filters told this of: what the
    /// other would tell. (An edge of that is told by the next wait.)
    fn beside(&self, told: PollFlags) -> libc::pollfd {
        let Filters { read, write, .. } = self.filters;
        let rest = (self.want & (IN | OUT) & PollFlags::supported()) - told;
        let asked = read && write && !self.mode.is_edge() && !rest.is_empty();
        let fd = if asked { number(&self.source) } else { -1 };
        libc::pollfd { fd, events: rest.bits() as libc::c_short, revents: 0 }
    }

    /// Whether a filter is to tell the end alone: data that nobody asked for must
    /// not end every wait.
    fn is_quiet(&self, filter: Filter) -> bool {
        filter == Filter::Read && !self.want.intersects(IN) && !self.ended
    }

    fn addition(&self, filter: (Filter, NoteFlags)) -> Kevent {
        let quiet = self.is_quiet(filter.0);
        let mut flags = KeventFlags::ADD | KeventFlags::RECEIPT;
        flags.set(KeventFlags::CLEAR, self.mode.is_edge() || quiet);
        // Disabled and not deleted, so that it stays known.
        flags.set(KeventFlags::DISPATCH, self.mode.is_oneshot() && !quiet);
        self.change(filter, flags)
    }

    /// What poll(2) says of it now, unasked: EV_EOF does not tell an end of the
    /// peer's from one of our own (shutdown).
    fn end(&self) -> PollFlags {
        let events = self.want.intersection(PollFlags::supported()).bits() as libc::c_short;
        let mut entry = libc::pollfd { fd: number(&self.source), events, revents: 0 };
        // SAFETY: the entry is valid. It only looks.
        unsafe { libc::poll(&mut entry, 1, 0) };
        PollFlags::from_bits_truncate(entry.revents as u16).intersection(PollFlags::UNASKED)
    }

    /// What an event says, in poll's words.
    fn flags(&self, event: &Kevent) -> PollFlags {
        let ended = event.flags.contains(KeventFlags::EOF);
        let mut flags = match event.filter {
            Filter::Read => self.want & IN,
            Filter::Write => self.want & OUT,
            Filter::User => (self.want & OUT) | PollFlags::ERR | self.end(),
            _ => self.want & PollFlags::PRI,
        };
        if ended {
            if event.filter == Filter::Read {
                flags |= self.want & PollFlags::RDHUP;
            }
            flags |= self.end();
            // The socket's error.
            flags.set(PollFlags::ERR, flags.contains(PollFlags::ERR) || !event.fflags.is_empty());
        }
        flags
    }
}

impl State {
    fn get(&mut self, key: Key) -> Option<&mut Registered> {
        self.registered.get_mut(key.slot())?.as_mut().filter(|entry| entry.key == key)
    }

    fn insert(&mut self, entry: Registered) {
        let slot = entry.key.slot();
        if slot >= self.registered.len() {
            self.registered.resize_with(slot + 1, || None);
        }
        self.index.insert(entry.source.code(), slot as u32);
        self.registered[slot] = Some(entry);
    }

    fn remove(&mut self, key: Key) -> Option<Registered> {
        self.get(key)?;
        let entry = self.registered[key.slot()].take()?;
        let code = entry.source.code();
        if self.index.get(code) == Some(key.slot() as u32) {
            self.index.remove(code);
        }
        Some(entry)
    }

    fn of_event(&mut self, udata: usize) -> Option<&mut Registered> {
        let data = udata as u64;
        let entry = self.registered.get_mut(data as u32 as usize)?.as_mut()?;
        let current = usize::BITS == 32 || (data >> 32) as u32 == entry.key.generation();
        current.then_some(entry)
    }
}

impl Drop for KqueueSet {
    fn drop(&mut self) {
        nest::dropped(self.number());
    }
}

impl KqueueSet {
    fn number(&self) -> RawFd {
        self.queue.as_fd().as_raw_fd()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes changes in one call and gives each its answer. With EV_RECEIPT and
    /// room for all answers none stops the others, and no event is taken.
    fn receipts(
        &self,
        changes: impl Iterator<Item = Kevent>,
        mut answer: impl FnMut(Filter, i32),
    ) -> io::Result<()> {
        let mut list = [Kevent::default(); MOST];
        let mut count = 0;
        for (change, to) in changes.zip(&mut list) {
            *to = change;
            count += 1;
        }
        let mut answers = [Kevent::default(); MOST];
        let until = Until::new(Some(Duration::ZERO), Signals::Resume);
        let answered = self.queue.control(&list[..count], &mut answers[..count], until)?;
        for event in &answers[..answered] {
            if event.flags.contains(KeventFlags::ERROR) {
                answer(event.filter, event.data as i32);
            }
        }
        Ok(())
    }

    /// Adds what is wanted of a source. All of it or nothing.
    fn watch(&self, entry: &mut Registered) -> io::Result<()> {
        let mut added = Filters::default();
        let mut failed = None;
        let (mut unwritable, mut unreadable, mut unexceptional) = (false, false, false);
        let changes = entry.filters.iter().map(|filter| entry.addition(filter));
        let called = self.receipts(changes, |filter, error| match error {
            0 => match filter {
                Filter::Read => added.read = true,
                Filter::Write => added.write = true,
                _ => added.except = true,
            },
            error if filter == Filter::Write && is_broken(&entry.source, error) => {
                added.broken = true;
            }
            libc::EINVAL if filter == Filter::Write => unwritable = true,
            // The end of a pipe that is written to, on NetBSD: it is never readable.
            libc::EINVAL if filter == Filter::Read && is_pipe(&entry.source) => unreadable = true,
            // A pipe or a terminal, on macOS and OpenBSD: nothing there is exceptional.
            libc::EINVAL if EXCEPT.is_some_and(|(except, _)| except == filter) => {
                unexceptional = true;
            }
            error => failed = Some(error),
        });
        entry.filters = Filters { broken: false, ..added };
        let mut failed = called.err().or(failed.map(io::Error::from_raw_os_error));
        if unreadable && !(added.write || added.broken) && failed.is_none() {
            failed = Some(io::Error::from_raw_os_error(libc::EINVAL));
        }
        unwritable |= unexceptional && !(added.read || added.write || added.broken);
        if unwritable && failed.is_none() {
            failed = self.watch_unwritable(entry).err();
        }
        if added.broken && failed.is_none() {
            let flags = entry.addition((Filter::User, NoteFlags::TRIGGER));
            failed =
                self.queue.change(&[flags.with_flags(flags.flags - KeventFlags::RECEIPT)]).err();
            entry.filters.broken = true;
        }
        match failed {
            None => Ok(()),
            Some(error) => {
                self.unwatch(entry);
                Err(error)
            }
        }
    }

    /// What the kernel has no WRITE for is never writable: a kqueue. It is watched
    /// all the same. (A device is its own affair.)
    fn watch_unwritable(&self, entry: &mut Registered) -> io::Result<()> {
        let mut failed = kind(&entry.source)? == libc::S_IFCHR;
        if !entry.filters.read && !failed {
            let read = entry.addition((Filter::Read, NoteFlags::empty()));
            self.receipts([read].into_iter(), |_, error| failed = error != 0)?;
            entry.filters.read = !failed;
        }
        if failed { Err(io::Error::from_raw_os_error(libc::EINVAL)) } else { Ok(()) }
    }

    /// Deletes the filters of a source, each by itself: a batch would stop at the
    /// first that the kernel does not have. Whether it had all of them.
    fn unwatch(&self, entry: &mut Registered) -> bool {
        let mut had = true;
        for filter in entry.filters.iter() {
            had &= self.queue.change(&[entry.change(filter, KeventFlags::DELETE)]).is_ok();
        }
        entry.filters = Filters::default();
        had
    }

    /// Whether the kernel still watches a source: closing a descriptor ends that.
    fn is_watched(&self, entry: &Registered) -> bool {
        let Some(filter) = entry.filters.iter().next() else { return false };
        let broken = filter.0 == Filter::User;
        let look = if broken {
            entry.change((Filter::Write, NoteFlags::empty()), KeventFlags::ADD)
        } else {
            // A change that is none, and does not add.
            let same = if entry.spent { KeventFlags::DISABLE } else { KeventFlags::ENABLE };
            entry.change(filter, same)
        };
        let mut watched = false;
        let look = look.with_flags(look.flags | KeventFlags::RECEIPT);
        let _ = self.receipts([look].into_iter(), |_, error| {
            // A pipe that is still broken, or a change that went well.
            watched = if broken { is_broken(&entry.source, error) } else { error == 0 };
        });
        if !watched && broken {
            let _ = self.queue.change(&[look.with_flags(KeventFlags::DELETE)]);
        }
        watched
    }

    /// A one-shot source was reported: nothing more of it until it is modified.
    fn silence(&self, entry: &mut Registered) {
        entry.spent = true;
        let flags = KeventFlags::DISABLE | KeventFlags::RECEIPT;
        let changes = entry.filters.iter().map(|(filter, _)| (filter, NoteFlags::empty()));
        // One that was closed meanwhile is silent, too.
        let _ = self.receipts(changes.map(|filter| entry.change(filter, flags)), |_, _| ());
    }

    /// A source has ended, and its end is wanted at each wait: adds READ anew,
    /// without the EV_CLEAR that kept its data quiet.
    fn tell_end(&self, entry: &mut Registered) {
        entry.ended = true;
        let read = (Filter::Read, NoteFlags::empty());
        let _ = self.queue.change(&[entry.change(read, KeventFlags::DELETE)]);
        let _ = self.receipts([entry.addition(read)].into_iter(), |_, _| ());
    }

    /// `full`: there was no room for more, perhaps for the other filter of a source.
    fn take(&self, out: &mut Buffer, full: bool) {
        let mut state = self.lock();
        let Buffer { events, found, ready, place, beside } = out;
        for event in &events[..*found] {
            if event.udata == udata(Key::WAKE) {
                if let Some(wake) = &self.wake {
                    wake.drain();
                }
                ready.push((Key::WAKE, PollFlags::empty()));
                continue;
            }
            let Some(entry) = state.of_event(event.udata) else { continue };
            let slot = entry.key.slot();
            let merged = place.get(slot).copied().filter(|&at| at != NOWHERE);
            // The other filter of a one-shot source comes with the first or not
            // at all.
            if entry.spent && merged.is_none() {
                continue;
            }
            let flags = entry.flags(event);
            if flags.is_empty() || entry.want.is_empty() {
                continue;
            }
            if let Some(at) = merged {
                ready[at as usize].1 |= flags;
                continue;
            }
            if slot >= place.len() {
                place.resize(slot + 1, NOWHERE);
            }
            place[slot] = ready.len() as u32;
            ready.push((entry.key, flags));
            if entry.mode.is_oneshot() {
                self.silence(entry);
            } else if entry.is_quiet(event.filter) && entry.mode == Mode::Level {
                self.tell_end(entry);
            }
        }
        if full {
            // One call for all of them.
            let nothing = libc::pollfd { fd: -1, events: 0, revents: 0 };
            let look = |(key, flags): &(Key, PollFlags)| {
                state.get(*key).map_or(nothing, |entry| entry.beside(*flags))
            };
            beside.clear();
            beside.extend(ready.iter().map(look));
            let some = beside.iter().any(|one| one.fd >= 0);
            if some && call::poll(beside, 0).is_ok() {
                for ((_, flags), one) in ready.iter_mut().zip(beside) {
                    *flags |= PollFlags::from_bits_retain((one.revents & one.events) as u16);
                }
            }
        }
        drop(state);
        for (key, _) in ready.iter() {
            if let Some(place) = place.get_mut(key.slot()) {
                *place = NOWHERE;
            }
        }
    }
}

fn kind(source: &Member) -> io::Result<libc::mode_t> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: there is room for a stat; fstat only looks.
    check(unsafe { libc::fstat(number(source), stat.as_mut_ptr()) })?;
    // SAFETY: fstat filled it.
    Ok(unsafe { stat.assume_init() }.st_mode & libc::S_IFMT)
}

fn is_pipe(source: &Member) -> bool {
    kind(source).is_ok_and(|kind| kind == libc::S_IFIFO)
}

/// Whether this error of adding WRITE says that nobody reads the pipe any more. NetBSD
/// says so with the error of what is not open.
fn is_broken(source: &Member, error: i32) -> bool {
    let netbsd = cfg!(target_os = "netbsd") && error == libc::EBADF;
    error == libc::EPIPE || (netbsd && is_pipe(source))
}

/// A device that kqueue refuses: always ready, unless it is a terminal (macOS).
fn is_ready_device(source: &Member, error: &io::Error) -> bool {
    // SAFETY: it only looks.
    let terminal = || unsafe { libc::isatty(number(source)) == 1 };
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENODEV))
        && kind(source).is_ok_and(|kind| kind == libc::S_IFCHR)
        && !terminal()
}

impl Backend for KqueueSet {
    const NAME: &'static str = "kqueue";
    const CAPS: Caps = Caps { edge: true, identity: true, numbers: 0, side_by_side: true };
    type Buffer = Buffer;

    fn new() -> io::Result<KqueueSet> {
        let queue = KqueueFd::new()?;
        let wake = if USER { None } else { Some(Wake::new()?) };
        let (ident, filter) = match &wake {
            None => (udata(Key::WAKE), Filter::User),
            Some(wake) => (wake.fd() as usize, Filter::Read),
        };
        let flags = KeventFlags::ADD | KeventFlags::CLEAR;
        queue.change(&[Kevent::from_ident(ident, filter)
            .with_flags(flags)
            .with_udata(udata(Key::WAKE))])?;
        let set = KqueueSet { queue, wake, state: Mutex::default() };
        nest::made(set.number());
        Ok(set)
    }

    fn as_source(set: &Arc<KqueueSet>) -> Source<'_> {
        set.queue.as_fd().into()
    }

    fn add(&self, key: Key, source: &Member, want: PollFlags, mode: Mode) -> io::Result<Added> {
        let mut state = self.lock();
        if let Some(slot) = state.index.get(source.raw().code()) {
            let old = state.registered[slot as usize].as_ref();
            if old.is_some_and(|old| self.is_watched(old)) {
                return Err(io::Error::from_raw_os_error(libc::EEXIST));
            }
            // It was closed, and its number is another's.
            if let Some(mut old) = old.map(|old| old.key).and_then(|key| state.remove(key)) {
                old.filters = Filters { broken: old.filters.broken, ..Filters::default() };
                self.unwatch(&mut old);
            }
        }
        // A file: poll(2) would say that it is always ready. (kqueue says not at its
        // end.)
        if source.is_file()? {
            return Ok(Added::AlwaysReady);
        }
        nest::enter(self.number(), number(source))?;
        let filters = Filters::of(want);
        let source = source.clone();
        let mut entry = Registered { key, source, want, mode, filters, spent: false, ended: false };
        match self.watch(&mut entry) {
            Err(error) if is_ready_device(&entry.source, &error) => return Ok(Added::AlwaysReady),
            Err(error) => {
                nest::leave(self.number(), number(&entry.source));
                return Err(error);
            }
            Ok(()) => {}
        }
        state.insert(entry);
        Ok(Added::Watched)
    }

    fn modify(&self, key: Key, _source: &Member, want: PollFlags, mode: Mode) -> io::Result<()> {
        let mut state = self.lock();
        let mut entry = state.remove(key).ok_or(io::ErrorKind::NotFound)?;
        // Deleted and added anew: not every system changes EV_CLEAR or looks at
        // the present state for a filter that it has.
        if !self.unwatch(&mut entry) {
            return Err(io::ErrorKind::NotFound.into());
        }
        entry.filters = Filters::of(want);
        (entry.want, entry.mode, entry.spent, entry.ended) = (want, mode, false, false);
        self.watch(&mut entry)?;
        state.insert(entry);
        Ok(())
    }

    fn delete(&self, key: Key, _source: &Member) -> io::Result<()> {
        let mut state = self.lock();
        let mut entry = state.remove(key).ok_or(io::ErrorKind::NotFound)?;
        let had = self.unwatch(&mut entry);
        // Not before: in between another thread could make a loop in the kernel.
        nest::leave(self.number(), number(&entry.source));
        if had { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn wait(&self, out: &mut Buffer, most: usize, until: &Until<'_>) -> io::Result<()> {
        out.ready.clear();
        if let Some(room) = more_room(out.events.len(), out.found, most) {
            out.events.resize(room, Kevent::default());
        }
        out.found = 0;
        let room = out.events.len().min(most);
        out.found = self.queue.control(&[], &mut out.events[..room], *until)?;
        self.take(out, out.found == room);
        Ok(())
    }

    fn events(out: &Buffer) -> impl Iterator<Item = (Key, PollFlags)> {
        out.ready.iter().copied()
    }

    fn wake(&self) -> io::Result<()> {
        match &self.wake {
            Some(wake) => wake.wake(),
            // Without EV_ADD, which would make one without EV_CLEAR; and without
            // EV_CLEAR, which on FreeBSD takes the trigger back.
            None => self.queue.change(&[Kevent::from_ident(udata(Key::WAKE), Filter::User)
                .with_flags(KeventFlags::empty())
                .with_fflags(NoteFlags::TRIGGER)
                .with_udata(udata(Key::WAKE))]),
        }
    }

    /// A descriptor that is closed is out of the queue: nothing is left behind.
    fn rebuild(
        &self,
        _live: impl Iterator<Item = (Key, Member, PollFlags, Mode)>,
    ) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Default)]
pub(crate) struct Buffer {
    events: Vec<Kevent>,
    /// How many the last wait put there.
    found: usize,
    ready: Vec<(Key, PollFlags)>,
    /// By slot: where its events of this wait are.
    place: Vec<u32>,
    /// What is asked beside them.
    beside: Vec<libc::pollfd>,
}

const NOWHERE: u32 = u32::MAX;
