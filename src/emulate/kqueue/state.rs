//! What a kqueue has: changes are applied to it, events are taken from it.

use std::io;

use super::error::{self, EBADF, EINVAL, ENOENT, system};
use super::host::{self, Buffer, Host, Mode, Own};
use super::knote::{Knote, Knotes, What};
use super::read_write::{self, How, Look, Tells};
use super::system::{self, Systems};
use super::timer::{self, Timer};
use super::user;
use crate::backend::{Key, NOT_OPEN};
use crate::error::of_filter;
use crate::kevent::{Filter, Kevent, KeventFlags, NoteFlags};
use crate::source::Member;
use crate::timeout::Instant;
use crate::timers::Timers;

pub(super) struct State {
    pub(super) host: Host,
    pub(super) knotes: Knotes,
    pub(super) timers: Timers,
    pub(super) systems: Systems,
    /// Levels that stand: nobody waits in the host while there are any. One that was
    /// modified or deleted since does not count.
    pub(super) standing: Vec<Key>,
}

impl State {
    /// Applies changes in order. The entries that they made: errors and receipts.
    pub(super) fn apply(
        &mut self,
        own: &Own,
        changes: &[Kevent],
        events: &mut [Kevent],
    ) -> io::Result<usize> {
        let mut entries = 0;
        for change in changes {
            if change.filter.number() == 0 {
                continue;
            }
            let flags = change.flags.difference(KeventFlags::SYSFLAGS);
            let change = change.with_flags(flags);
            let outcome = self.register(own, &change);
            let outcome = outcome.map_err(|error| of_filter(change.filter, error));
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
        Ok(entries)
    }

    fn register(&mut self, own: &Own, change: &Kevent) -> io::Result<()> {
        let Kevent { ident, filter, flags, .. } = *change;
        let source = match filter {
            Filter::Read | Filter::Write => Some(read_write::source(change)?),
            Filter::Timer | Filter::User => None,
            _ if system::has(filter) => None,
            _ if filter.name().is_some() => {
                return Err(error::unsupported(filter, "this target has no such filter"));
            }
            _ => return Err(system(EINVAL)),
        };
        let found = self.knotes.find(ident, filter);
        match found {
            None if flags.contains(KeventFlags::ADD) => self.attach(own, change, source),
            None => {
                if matches!(filter, Filter::Read | Filter::Write | Filter::Vnode) {
                    read_write::source(change)?.check()?;
                }
                Err(system(ENOENT))
            }
            Some(key) if flags.contains(KeventFlags::DELETE) => self.end(key),
            Some(key) => match self.modify(key, change) {
                // The number is another source's by now: the knote ended with the
                // one that it was made for.
                Err(error) if is_gone(&error) => {
                    let _ = self.end(key);
                    if !is_closed(&error) && flags.contains(KeventFlags::ADD) {
                        self.attach(own, change, source)
                    } else {
                        Err(error)
                    }
                }
                other => other,
            },
        }
    }

    fn attach(&mut self, own: &Own, change: &Kevent, source: Option<Member>) -> io::Result<()> {
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
        source: Option<Member>,
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
        if system::has(change.filter) {
            let State { host, knotes, systems, .. } = self;
            return systems.attach(host, knotes, key, change);
        }
        let oneshot = change.flags.contains(KeventFlags::ONESHOT);
        let mut timer = Timer::new(change, oneshot, Instant::now())?;
        if !change.flags.contains(KeventFlags::DISABLE) {
            timer.start(&mut self.timers, key);
        }
        let mut knote = Knote::new(change, What::Timer(timer));
        knote.kevent.flags |= KeventFlags::CLEAR;
        Ok(knote)
    }

    fn modify(&mut self, key: Key, change: &Kevent) -> io::Result<()> {
        let State { host, knotes, timers, systems, .. } = self;
        let Some(knote) = knotes.get_mut(key) else { return Err(system(ENOENT)) };
        let flags = change.flags;
        let again = match &knote.what {
            What::Timer(_) if flags.contains(KeventFlags::ADD) => {
                Some(Timer::new(change, knote.is_oneshot(), Instant::now())?)
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
                io.again.stop(timers);
                knote.asked = change.fflags;
                knote.argument = change.data;
                knote.active |= matches!(io.how, How::File { .. });
                read_write::arm(host, key, knote)?;
            }
            What::System(system) => {
                systems.modify(system, key, change)?;
                knote.asked = change.fflags;
                knote.argument = change.data;
                // What does not clear is there still.
                knote.active |= !knote.kevent.fflags.is_empty();
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

    fn of_source(&self, ident: usize) -> Vec<Key> {
        let filters = [Filter::Read, Filter::Write];
        filters.iter().filter_map(|filter| self.knotes.find(ident, *filter)).collect()
    }

    /// The program met `WouldBlock` at a source.
    pub(super) fn rearm(&mut self, ident: usize) -> io::Result<()> {
        self.of_source(ident).into_iter().try_for_each(|key| self.host.rearm(key))
    }

    /// A source was closed.
    pub(super) fn closed(&mut self, ident: usize) {
        for key in self.of_source(ident) {
            let _ = self.end(key);
        }
    }

    /// Ends a knote. An error: its descriptor was closed before.
    fn end(&mut self, key: Key) -> io::Result<()> {
        let Some(knote) = self.knotes.remove(key) else { return Err(system(ENOENT)) };
        match knote.what {
            What::Io(mut io) => {
                io.again.stop(&mut self.timers);
                if matches!(io.how, How::File { .. }) {
                    self.systems.forget_file(key);
                }
                read_write::detach(&mut self.host, key, &io, knote.kevent.filter)
            }
            What::Timer(mut timer) => {
                timer.stop(&mut self.timers);
                Ok(())
            }
            What::System(system) => self.systems.detach(&mut self.host, key, &system),
            What::User { .. } => Ok(()),
        }
    }

    /// Reports what is queued, each knote once.
    pub(super) fn take_queued(&mut self, events: &mut [Kevent]) -> usize {
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
                    self.reported(key);
                }
                Look::NotReady | Look::TooLittle => {
                    knote.active = false;
                    self.watch_file(key);
                }
                Look::Gone => {
                    let _ = self.end(key);
                }
            }
        }
        taken
    }

    /// After a report: deletes, disables, clears or queues again.
    fn reported(&mut self, key: Key) {
        let Some(knote) = self.knotes.get_mut(key) else { return };
        if knote.is_oneshot() {
            let _ = self.end(key);
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
                    let _ = read_write::arm(&mut self.host, key, knote);
                }
                What::User { .. } | What::System(_) => {}
            }
        }
        self.knotes.enqueue(key);
        if self.knotes.get(key).is_some_and(|knote| !knote.active && !knote.disabled) {
            self.watch_file(key);
        }
    }

    /// Reports what the host found, after those that were taken, and says how many there
    /// are now. So many sources may stand.
    pub(super) fn take_watched(
        &mut self,
        own: &Own,
        buffer: &Buffer,
        events: &mut [Kevent],
        mut taken: usize,
        may_stand: usize,
    ) -> usize {
        let mut strangers = false;
        for (event, said) in buffer.events() {
            let Some(key) = self.host.key(event) else { continue };
            if self.host.take_own(key) {
                continue;
            }
            let State { host, knotes, timers, systems, standing } = self;
            if !matches!(knotes.get(key), Some(Knote { what: What::Io(_), .. })) {
                strangers |= !systems.take(host, knotes, key);
                continue;
            }
            let Some(knote) = knotes.get_mut(key) else { continue };
            let What::Io(io) = &mut knote.what else { continue };
            if knote.disabled {
                continue;
            }
            let Kevent { ident, filter, flags: own, .. } = knote.kevent;
            let look = read_write::look(host, io, filter, knote.asked, knote.argument, said);
            if io.stands() {
                // It was reported just now, and ends.
                let told = |event: &&mut Kevent| event.ident == ident && event.filter == filter;
                let event = events[..taken].iter_mut().find(told);
                if let (Some(event), Look::Ready { flags, fflags, data }) = (event, look) {
                    *event = event.with_flags(own | flags).with_fflags(fflags).with_data(data);
                }
                self.fall(key);
                continue;
            }
            match look {
                Look::Ready { flags, fflags, data } => {
                    let event = knote.kevent.with_flags(own | flags);
                    events[taken] = event.with_fflags(fflags).with_data(data);
                    taken += 1;
                    io.again.stop(timers);
                    if own.intersects(KeventFlags::ONESHOT | KeventFlags::DISPATCH) {
                        self.reported(key);
                    } else if io.is_quiet() {
                        self.hush(key, false);
                    } else if standing.len() < may_stand
                        && read_write::is_plain(said)
                        && read_write::begin_to_stand(host, key, knote, data)
                    {
                        standing.push(key);
                    }
                }
                Look::NotReady => self.hush(key, true),
                Look::TooLittle => {
                    io.again.later(timers, key);
                    self.hush(key, true);
                }
                Look::Gone => {
                    let _ = self.end(key);
                }
            }
        }
        if strangers && self.host.is_haunted() {
            self.exorcise(own);
        }
        taken
    }

    /// Reports the levels that stand, and gives the others back to the host.
    /// `most`: how many may stand.
    #[inline]
    pub(super) fn take_standing(&mut self, events: &mut [Kevent], most: usize) -> usize {
        if self.standing.is_empty() {
            return 0;
        }
        if self.standing.len() > most {
            std::mem::take(&mut self.standing).into_iter().for_each(|key| self.fall(key));
            return 0;
        }
        let mut taken = 0;
        while let Some(&key) = self.standing.get(taken) {
            let State { host, knotes, .. } = self;
            let knote = knotes.get_mut(key);
            if let Some(event) = knote.and_then(|knote| read_write::stands(host, knote)) {
                events[taken] = event;
                taken += 1;
            } else {
                self.standing.swap_remove(taken);
                self.fall(key);
            }
        }
        taken
    }

    /// The host tells of it again, and first of all whether it is there.
    #[cold]
    fn fall(&mut self, key: Key) {
        let Some(knote) = self.knotes.get_mut(key) else { return };
        let stands = matches!(&knote.what, What::Io(io) if io.stands());
        if stands && read_write::arm(&mut self.host, key, knote).is_err() {
            let _ = self.end(key);
        }
    }

    /// A file at its end, or one that was reported and clears: where nobody tells
    /// when it grows, somebody has to look.
    fn watch_file(&mut self, key: Key) {
        let State { host, knotes, timers, systems, .. } = self;
        let Some(Knote { what: What::Io(io), .. }) = knotes.get(key) else { return };
        let fd = match (&io.how, io.number()) {
            (How::File { .. }, Some(fd)) => fd,
            _ => return,
        };
        if systems.watch_file(host, knotes, key, fd) {
            return;
        }
        if let Some(Knote { what: What::Io(io), .. }) = knotes.get_mut(key) {
            io.again.later(timers, key);
        }
    }

    /// A level knote that is not ready though the host says so: only changes are
    /// wanted until it is.
    fn hush(&mut self, key: Key, hush: bool) {
        let Some(knote) = self.knotes.get_mut(key) else { return };
        if knote.clears() {
            return;
        }
        let filter = knote.kevent.filter;
        let What::Io(io) = &mut knote.what else { return };
        let How::Watched { tells } = &mut io.how else { return };
        let wanted = if hush { Tells::Quiet } else { Tells::All };
        if *tells != wanted {
            *tells = wanted;
            let mode = if hush { Mode::Edge } else { Mode::Level };
            // If it was closed meanwhile, it is gone anyway.
            let _ = self.host.change(key, &io.source, filter, mode);
        }
    }

    /// Gets rid of registrations that nobody can delete.
    fn exorcise(&mut self, own: &Own) {
        let gone: Vec<Key> = self
            .knotes
            .iter()
            .filter(|(_, knote)| match &knote.what {
                What::Io(io) => !io.is_same(&self.host, knote.kevent.filter),
                _ => false,
            })
            .map(|(key, _)| key)
            .collect();
        for key in gone {
            let _ = self.end(key);
        }
        let live = self.knotes.iter().filter_map(|(key, knote)| {
            let What::Io(io) = &knote.what else { return None };
            let watched = matches!(io.how, How::Watched { .. });
            let mode = read_write::present_mode(knote);
            watched.then_some((key, &io.source, knote.kevent.filter, mode))
        });
        // Without descriptors or memory for it the ghosts stay, and are tried again.
        let descriptors = self.systems.descriptors(&self.knotes);
        let _ = self.host.rebuild(own, live, &descriptors);
    }
}

impl State {
    /// Activates what has happened by itself.
    #[inline]
    pub(super) fn harvest(&mut self) {
        self.systems.harvest(&mut self.knotes);
        if self.timers.earliest().is_some() {
            self.harvest_timers();
        }
    }

    fn harvest_timers(&mut self) {
        let now = Instant::now();
        while let Some(one) = self.timers.expire(now) {
            let key = Key::from_bits(one.token);
            let Some(knote) = self.knotes.get_mut(key) else { continue };
            match &mut knote.what {
                What::Io(io) => {
                    io.again.now();
                    if matches!(io.how, How::Watched { .. }) {
                        // If it was closed meanwhile, it is gone anyway.
                        let _ = read_write::arm(&mut self.host, key, knote);
                    } else if read_write::has_grown(io, knote.asked) {
                        self.knotes.activate(key);
                    } else {
                        io.again.later(&mut self.timers, key);
                    }
                }
                _ => {
                    if timer::expired(knote, now) {
                        self.knotes.activate(key);
                    }
                }
            }
        }
    }

    /// How many events wait to be taken. Takes none.
    pub(super) fn pending(&mut self) -> usize {
        self.harvest();
        let watched = host::pending(self);
        watched + self.knotes.queued()
    }
}

/// Runs the filter of a knote that is active in the queue.
fn run(knote: &mut Knote) -> Look {
    let report = |fflags, data| Look::Ready { flags: KeventFlags::empty(), fflags, data };
    let Kevent { data, fflags, .. } = knote.kevent;
    let oneshot = knote.is_oneshot();
    if matches!(knote.what, What::System(_)) {
        return system::run(knote);
    }
    match &mut knote.what {
        What::Io(io) => match io.how {
            How::File { .. } => read_write::look_at_file(io, knote.asked),
            // Forced.
            How::Watched { .. } => report(fflags, data),
        },
        What::User { triggered } if *triggered || oneshot => report(knote.asked, knote.argument),
        What::User { .. } | What::System(_) => Look::NotReady,
        What::Timer(_) if data > 0 || oneshot => report(NoteFlags::empty(), data),
        What::Timer(_) => Look::NotReady,
    }
}

/// The error of a number that is not what was registered any more.
fn is_gone(error: &io::Error) -> bool {
    let number = crate::error::os_error(error);
    number == Some(ENOENT) || is_closed(error)
}

fn is_closed(error: &io::Error) -> bool {
    let number = crate::error::os_error(error);
    number == Some(EBADF) || number == Some(NOT_OPEN)
}
