//! kqueue where the kernel has none: FreeBSD's semantics over the host.
//!
//! What the host watches (descriptors) is active in the host, and found by
//! waiting. Everything else (timers, user events, files) is active in a queue of
//! our own. A scan takes from both in turn.

mod error;
mod knote;
mod one_descriptor;
mod read_write;
mod timer;
mod user;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use self::error::{EBADF, EINVAL, ENOENT, system};
use self::host::{Buffer, Host, Mode, Own};
use self::knote::{Knote, Knotes, What};
use self::read_write::{How, Look};
use self::timer::Timer;
use crate::backend::{Key, check_source, process};
use crate::kevent::{Filter, Kevent, KeventFlags, NoteFlags};
use crate::source::Held;
use crate::timeout::{Deadline, Signals, Until};
use crate::timers::Timers;

use one_descriptor as host;

pub(crate) struct EmulatedKqueue {
    own: Own,
    shared: Arc<Shared>,
}

struct Shared {
    /// A forked child has no kqueue.
    process: u32,
    /// Somebody else may wait for it too.
    exposed: AtomicBool,
    state: Mutex<State>,
}

struct State {
    host: Host,
    knotes: Knotes,
    timers: Timers,
    waiters: Waiters,
    /// Somebody who waits has to look again.
    kicked: bool,
    /// Whose turn it is.
    host_first: bool,
    write_first: bool,
}

/// Threads in a wait.
#[derive(Default)]
struct Waiters {
    now: usize,
    /// Those that wait on what has been replaced since.
    stale: usize,
    generation: u64,
}

impl EmulatedKqueue {
    pub(crate) fn new() -> io::Result<EmulatedKqueue> {
        let (own, host) = Host::new()?;
        let state = State {
            host,
            knotes: Knotes::default(),
            timers: Timers::default(),
            waiters: Waiters::default(),
            kicked: false,
            host_first: false,
            write_first: false,
        };
        let shared = Shared {
            process: process(),
            exposed: AtomicBool::new(false),
            state: Mutex::new(state),
        };
        Ok(EmulatedKqueue { own, shared: Arc::new(shared) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn control(
        &self,
        changes: &[Kevent],
        events: &mut [Kevent],
        until: Until<'_>,
    ) -> io::Result<usize> {
        if self.shared.process != process() {
            return Err(system(EBADF));
        }
        if !changes.is_empty() {
            let mut state = self.lock();
            let entries = state.apply(&self.own, changes, events);
            self.settle(&mut state);
            match entries {
                Ok(0) => {}
                entries => return entries,
            }
        }
        if events.is_empty() {
            return Ok(0);
        }
        self.scan(events, until)
    }

    fn scan(&self, events: &mut [Kevent], until: Until<'_>) -> io::Result<usize> {
        let Until { mut deadline, signals } = until;
        let mut guard = self.lock();
        let mut buffer = guard.host.buffer();
        let result = loop {
            let state = &mut *guard;
            timer::harvest(&mut state.timers, &mut state.knotes);
            let queued = state.knotes.queued() > 0;
            let host_first = queued && state.host_first;
            state.host_first = queued && !state.host_first;
            let mut taken = 0;
            if queued && !host_first {
                taken = state.take_queued(&self.own, events);
            }
            if taken < events.len() {
                let mut stop = deadline;
                if queued {
                    stop = Deadline::NOW;
                } else if let Some(earliest) = state.timers.earliest() {
                    stop = deadline.or_at(Some(earliest), Instant::now());
                }
                let until = Until { deadline: stop, signals };
                let room = events.len() - taken;
                let waited;
                (guard, waited) = self.wait(guard, &mut buffer, room, until);
                let state = &mut *guard;
                if let Err(error) = waited {
                    // What happened before the signal, or with it, counts.
                    timer::harvest(&mut state.timers, &mut state.knotes);
                    taken += state.take_queued(&self.own, &mut events[taken..]);
                    break if taken > 0 { Ok(taken) } else { Err(error) };
                }
                taken += state.take_watched(&self.own, &buffer, &mut events[taken..]);
            }
            let state = &mut *guard;
            if queued && host_first && taken < events.len() {
                taken += state.take_queued(&self.own, &mut events[taken..]);
            }
            if taken > 0 {
                break Ok(taken);
            }
            if deadline.passed() && state.knotes.queued() == 0 {
                timer::harvest(&mut state.timers, &mut state.knotes);
                if state.knotes.queued() == 0 {
                    break Ok(0);
                }
            }
        };
        guard.host.keep(buffer);
        let state = &mut *guard;
        // Whoever goes on waiting knows neither what was left nor the next timer.
        if state.waiters.now > 0
            && (state.knotes.queued() > 0 || state.timers.earliest().is_some())
        {
            state.kicked = true;
        }
        self.settle(state);
        result
    }

    /// Waits in the host, without the lock unless the time is up already.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        buffer: &mut Buffer,
        room: usize,
        until: Until<'_>,
    ) -> (MutexGuard<'a, State>, io::Result<()>) {
        let most = room.min(state.knotes.len() + Host::OWN);
        let write_first = state.write_first;
        state.write_first = !write_first;
        let waiter = state.host.waiter();
        if until.deadline.left() == Some(std::time::Duration::ZERO)
            && !matches!(until.signals, Signals::Masked(_))
        {
            let waited = waiter.wait(&self.own, buffer, most, write_first, until);
            return (state, waited);
        }
        state.enter(waiter.generation);
        self.settle(&mut state);
        drop(state);
        let waited = waiter.wait(&self.own, buffer, most, write_first, until);
        let mut state = self.lock();
        state.leave(waiter.generation);
        (state, waited)
    }

    /// Brings what others see of the kqueue in line with what is in it.
    fn settle(&self, state: &mut State) {
        let exposed = self.shared.exposed.load(Ordering::Relaxed);
        state.settle(exposed);
    }

    pub(crate) fn close(self) -> io::Result<()> {
        self.own.close()
    }

    /// Its descriptor. From now on it is kept in line with what is in the queue.
    pub(crate) fn own(&self) -> &Own {
        if !self.shared.exposed.swap(true, Ordering::Relaxed) {
            self.settle(&mut self.lock());
        }
        &self.own
    }
}

impl State {
    fn enter(&mut self, generation: u64) {
        if self.waiters.generation != generation {
            self.waiters.stale = self.waiters.now;
            self.waiters.generation = generation;
        }
        self.waiters.now += 1;
    }

    fn leave(&mut self, generation: u64) {
        self.waiters.now -= 1;
        if self.waiters.generation != generation {
            self.waiters.stale = self.waiters.stale.saturating_sub(1);
        }
        self.kicked = false;
    }

    fn settle(&mut self, exposed: bool) {
        if self.waiters.generation != self.host.generation() {
            self.waiters.stale = self.waiters.now;
            self.waiters.generation = self.host.generation();
        }
        if self.waiters.stale > 0 {
            self.kicked = true;
        }
        let want = self.kicked || (exposed && self.knotes.queued() > 0);
        self.host.signal(want);
        if exposed {
            // Without a descriptor for it, only whoever waits outside is late.
            let _ = self.host.arm(self.timers.earliest());
        }
    }

    /// Applies changes in order. The entries that they made: errors and receipts.
    fn apply(
        &mut self,
        own: &Own,
        changes: &[Kevent],
        events: &mut [Kevent],
    ) -> io::Result<usize> {
        let mut entries = 0;
        let earliest = self.timers.earliest();
        for change in changes {
            if change.filter.number() == 0 {
                continue;
            }
            let flags = change.flags.difference(KeventFlags::SYSFLAGS);
            let change = change.with_flags(flags);
            let outcome = self.register(own, &change);
            if outcome.is_ok() && !flags.contains(KeventFlags::RECEIPT) {
                continue;
            }
            match events.get_mut(entries) {
                Some(entry) => {
                    let error = outcome.as_ref().map_or_else(error::number, |()| 0);
                    *entry = change.with_flags(flags | KeventFlags::ERROR).with_data(error);
                    entries += 1;
                }
                None => return outcome.map(|()| entries),
            }
        }
        if self.waiters.now > 0
            && (self.knotes.queued() > 0 || self.timers.earliest() != earliest)
        {
            self.kicked = true;
        }
        Ok(entries)
    }

    fn register(&mut self, own: &Own, change: &Kevent) -> io::Result<()> {
        let Kevent { ident, filter, flags, .. } = *change;
        let source = match filter {
            Filter::Read | Filter::Write => Some(read_write::source(change)?),
            Filter::Timer | Filter::User => None,
            _ if filter.name().is_some() => {
                return Err(error::unsupported(filter, "this target has no such filter"));
            }
            _ => return Err(system(EINVAL)),
        };
        let found = self.knotes.find(ident, filter);
        match found {
            None if flags.contains(KeventFlags::ADD) => self.attach(own, change, source),
            None => {
                if let Some(source) = &source {
                    check_source(source)?;
                }
                Err(system(ENOENT))
            }
            Some(key) if flags.contains(KeventFlags::DELETE) => self.end(own, key),
            Some(key) => match self.modify(own, key, change) {
                // The number is another source's by now: the knote ended with the
                // one that it was made for.
                Err(error) if is_gone(&error) && source.is_some() => {
                    let _ = self.end(own, key);
                    if error.raw_os_error() != Some(EBADF) && flags.contains(KeventFlags::ADD) {
                        self.attach(own, change, source)
                    } else {
                        Err(error)
                    }
                }
                other => other,
            },
        }
    }

    fn attach(&mut self, own: &Own, change: &Kevent, source: Option<Held>) -> io::Result<()> {
        let key = self.knotes.reserve();
        match self.make(own, key, change, source) {
            Ok(knote) => {
                let active = knote.active;
                self.knotes.insert(key, knote);
                if active {
                    self.knotes.activate(key);
                }
                Ok(())
            }
            Err(error) => {
                self.knotes.release(key);
                Err(error)
            }
        }
    }

    fn make(
        &mut self,
        own: &Own,
        key: Key,
        change: &Kevent,
        source: Option<Held>,
    ) -> io::Result<Knote> {
        if let Some(source) = source {
            let mut knote = Knote::new(change, What::User { triggered: false });
            let io = read_write::attach(&mut self.host, own, key, source, &knote)?;
            knote.active = matches!(io.how, How::File { .. });
            knote.what = What::Io(io);
            return Ok(knote);
        }
        if change.filter == Filter::User {
            let mut knote = user::attach(change);
            knote.active = matches!(knote.what, What::User { triggered: true });
            return Ok(knote);
        }
        let mut timer = Timer::new(change, Instant::now())?;
        if !change.flags.contains(KeventFlags::DISABLE) {
            timer.start(&mut self.timers, key);
        }
        let mut knote = Knote::new(change, What::Timer(timer));
        knote.kevent.flags |= KeventFlags::CLEAR;
        Ok(knote)
    }

    fn modify(&mut self, own: &Own, key: Key, change: &Kevent) -> io::Result<()> {
        let State { host, knotes, timers, .. } = self;
        let Some(knote) = knotes.get_mut(key) else { return Err(system(ENOENT)) };
        let flags = change.flags;
        let again = match &knote.what {
            What::Timer(_) if flags.contains(KeventFlags::ADD) => {
                Some(Timer::new(change, Instant::now())?)
            }
            _ => None,
        };
        if flags.contains(KeventFlags::FORCEONESHOT) {
            knote.kevent.flags |= KeventFlags::ONESHOT;
            knote.active = true;
        }
        // "Adding an event automatically enables it, unless overridden by the
        // EV_DISABLE flag."
        if flags.contains(KeventFlags::ENABLE) {
            knote.disabled = false;
        } else if flags.contains(KeventFlags::DISABLE) {
            knote.disabled = true;
        } else if flags.contains(KeventFlags::ADD) {
            knote.disabled = false;
        }
        if !flags.contains(KeventFlags::KEEPUDATA) {
            knote.kevent = knote.kevent.with_udata(change.udata);
        }
        match &mut knote.what {
            What::Io(io) => {
                knote.asked = change.fflags;
                knote.argument = change.data;
                knote.active |= matches!(io.how, How::File { .. });
                read_write::arm(host, own, key, knote)?;
            }
            What::User { .. } => {
                user::touch(knote, change);
                knote.active |= matches!(knote.what, What::User { triggered: true });
            }
            What::Timer(timer) => {
                if let Some(again) = again {
                    timer.stop(timers);
                    *timer = again;
                    knote.asked = change.fflags;
                    knote.kevent.data = 0;
                    knote.active = false;
                }
                if knote.disabled {
                    timer.stop(timers);
                } else {
                    timer.start(timers, key);
                }
            }
        }
        let (disabled, active) = (knote.disabled, knote.active);
        if disabled || !active {
            knotes.withdraw(key);
        } else {
            knotes.enqueue(key);
        }
        Ok(())
    }

    /// Ends a knote. An error: its descriptor was closed before.
    fn end(&mut self, _own: &Own, key: Key) -> io::Result<()> {
        let Some(knote) = self.knotes.remove(key) else { return Err(system(ENOENT)) };
        match knote.what {
            What::Io(io) => match io.how {
                How::Watched { .. } => self.host.forget(&io.source, knote.kevent.filter),
                How::File { identity } => {
                    check_source(&io.source)?;
                    let same = crate::backend::identity(&io.source) == identity;
                    if same { Ok(()) } else { Err(system(ENOENT)) }
                }
            },
            What::Timer(mut timer) => {
                timer.stop(&mut self.timers);
                Ok(())
            }
            What::User { .. } => Ok(()),
        }
    }

    /// Reports what is queued, each knote once.
    fn take_queued(&mut self, own: &Own, events: &mut [Kevent]) -> usize {
        let marker = self.knotes.marker();
        let mut taken = 0;
        while taken < events.len() {
            let Some(key) = self.knotes.next(marker) else { break };
            let Some(knote) = self.knotes.get_mut(key) else { continue };
            match run(knote) {
                Look::Ready { flags, fflags, data } => {
                    let kevent = knote.kevent;
                    events[taken] =
                        kevent.with_flags(kevent.flags | flags).with_fflags(fflags).with_data(data);
                    taken += 1;
                    self.reported(own, key);
                }
                Look::NotReady => knote.active = false,
                Look::Gone => {
                    let _ = self.end(own, key);
                }
            }
        }
        taken
    }

    /// After a report: deletes, disables, clears or queues again.
    fn reported(&mut self, own: &Own, key: Key) {
        let Some(knote) = self.knotes.get_mut(key) else { return };
        if knote.is_oneshot() {
            let _ = self.end(own, key);
            return;
        }
        if knote.clears() {
            knote.active = false;
            knote.kevent.data = 0;
            knote.kevent.fflags = NoteFlags::empty();
            if let What::User { triggered } = &mut knote.what {
                *triggered = false;
            }
        }
        if knote.dispatches() {
            knote.disabled = true;
            knote.active = false;
            match &mut knote.what {
                What::Timer(timer) => timer.stop(&mut self.timers),
                What::Io(_) => {
                    // If it was closed meanwhile, it is gone anyway.
                    let _ = read_write::arm(&mut self.host, own, key, knote);
                }
                What::User { .. } => {}
            }
        }
        self.knotes.enqueue(key);
    }

    /// Reports what the host found.
    fn take_watched(&mut self, own: &Own, buffer: &Buffer, events: &mut [Kevent]) -> usize {
        let mut taken = 0;
        let mut strangers = false;
        for (key, said) in buffer.events() {
            if self.host.take_own(key) {
                continue;
            }
            let Some(knote) = self.knotes.get(key) else {
                strangers = true;
                continue;
            };
            if knote.disabled {
                continue;
            }
            let Kevent { filter, .. } = knote.kevent;
            let What::Io(io) = &knote.what else { continue };
            let look =
                read_write::look(&self.host, io, filter, knote.asked, knote.argument, said);
            match look {
                Look::Ready { flags, fflags, data } => {
                    let kevent = knote.kevent;
                    events[taken] =
                        kevent.with_flags(kevent.flags | flags).with_fflags(fflags).with_data(data);
                    taken += 1;
                    self.hush(own, key, false);
                    if kevent.flags.intersects(KeventFlags::ONESHOT | KeventFlags::DISPATCH) {
                        self.reported(own, key);
                    }
                }
                Look::NotReady => self.hush(own, key, true),
                Look::Gone => {
                    let _ = self.end(own, key);
                }
            }
        }
        if strangers && self.host.is_haunted() {
            self.exorcise(own);
        }
        taken
    }

    /// A level knote that is not ready though the host says so: only changes are
    /// wanted until it is.
    fn hush(&mut self, own: &Own, key: Key, hush: bool) {
        let Some(knote) = self.knotes.get_mut(key) else { return };
        if knote.clears() {
            return;
        }
        let filter = knote.kevent.filter;
        let What::Io(io) = &mut knote.what else { return };
        let How::Watched { quiet } = &mut io.how else { return };
        if *quiet != hush {
            *quiet = hush;
            let mode = if hush { Mode::Edge } else { Mode::Level };
            // If it was closed meanwhile, it is gone anyway.
            let _ = self.host.change(own, key, &io.source, filter, mode);
        }
    }

    /// Gets rid of registrations that nobody can delete.
    fn exorcise(&mut self, own: &Own) {
        let gone: Vec<Key> = self
            .knotes
            .iter()
            .filter(|(_, knote)| match &knote.what {
                What::Io(io) if matches!(io.how, How::Watched { .. }) => {
                    !self.host.is_same(&io.source, knote.kevent.filter)
                }
                _ => false,
            })
            .map(|(key, _)| key)
            .collect();
        for key in gone {
            let _ = self.end(own, key);
        }
        let live = self.knotes.iter().filter_map(|(key, knote)| {
            let What::Io(io) = &knote.what else { return None };
            let How::Watched { quiet } = io.how else { return None };
            let Held::Fd(fd) = io.source;
            let mode = match knote.disabled {
                true => Mode::Off,
                false if quiet || knote.clears() => Mode::Edge,
                false => Mode::Level,
            };
            Some((key, fd, Some((knote.kevent.filter, mode))))
        });
        // Without descriptors or memory for it the ghosts stay, and are tried again.
        let _ = self.host.rebuild(own, live);
    }
}

/// Runs the filter of a knote that is active in the queue.
fn run(knote: &mut Knote) -> Look {
    let report = |fflags, data| Look::Ready { flags: KeventFlags::empty(), fflags, data };
    let Kevent { data, fflags, .. } = knote.kevent;
    match &knote.what {
        What::Io(io) => match io.how {
            How::File { .. } => read_write::look_at_file(io, knote.asked),
            // Forced.
            How::Watched { .. } => report(fflags, data),
        },
        What::User { triggered } if *triggered || knote.is_oneshot() => {
            report(knote.asked, knote.argument)
        }
        What::User { .. } => Look::NotReady,
        What::Timer(_) if data > 0 || knote.is_oneshot() => report(NoteFlags::empty(), data),
        What::Timer(_) => Look::NotReady,
    }
}

/// The error of a descriptor that is not what was registered any more.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(EBADF | ENOENT))
}
