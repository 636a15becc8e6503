//! kqueue where the kernel has none: FreeBSD's semantics over the host.
//!
//! What the host watches (descriptors) is active in the host, and found by
//! waiting. Everything else (timers, user events, files) is active in a queue of
//! our own. A scan takes from both in turn.

mod error;
mod knote;
mod read_write;
mod state;
mod timer;
mod user;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::error::{EBADF, system};
use self::host::{Buffer, Host, Mark, Own};
use self::knote::Knotes;
use self::state::State;
use crate::backend::process;
use crate::idents;
use crate::kevent::Kevent;
use crate::source::{RawSource, Source};
use crate::timeout::{Deadline, Instant, Signals, Until};
use crate::timers::Timers;

cfg_if::cfg_if! {
    if #[cfg(all(any(target_os = "linux", target_os = "android"), not(readiness_backend = "poll")))] {
        mod one_descriptor;
        use one_descriptor as host;
    } else {
        mod portable;
        use portable as host;
    }
}

cfg_if::cfg_if! {
    if #[cfg(any(target_os = "linux", target_os = "android"))] {
        mod system;
    } else {
        #[path = "no_system.rs"]
        mod system;
    }
}

pub(crate) struct EmulatedKqueue {
    own: Own,
    /// `None`: the descriptor is no kqueue.
    shared: Option<Arc<Shared>>,
}

/// What all descriptors of a kqueue share.
struct Shared {
    /// A forked child has no kqueue.
    process: u32,
    mark: Mark,
    /// Somebody else may wait for it too.
    exposed: AtomicBool,
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
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
        let mark = host.mark();
        let state = State {
            host,
            knotes: Knotes::default(),
            timers: Timers::default(),
            systems: system::Systems::default(),
            standing: Vec::new(),
        };
        let inner = Inner {
            state,
            waiters: Waiters::default(),
            kicked: false,
            host_first: false,
            write_first: false,
        };
        let shared = Arc::new(Shared {
            process: process(),
            mark,
            exposed: AtomicBool::new(false),
            inner: Mutex::new(inner),
        });
        host::enter(&shared);
        Ok(EmulatedKqueue { own, shared: Some(shared) })
    }

    /// The shared part, if this is a kqueue of this process.
    fn shared(&self) -> io::Result<&Shared> {
        match &self.shared {
            Some(shared) if shared.process == process() => Ok(shared),
            _ => Err(system(EBADF)),
        }
    }

    pub(crate) fn control(
        &self,
        changes: &[Kevent],
        events: &mut [Kevent],
        until: Until<'_>,
    ) -> io::Result<usize> {
        let shared = self.shared()?;
        if !changes.is_empty() {
            let mut inner = shared.lock();
            let earliest = inner.state.timers.earliest();
            let entries = inner.state.apply(&self.own, changes, events);
            if inner.waiters.now > 0
                && (inner.state.knotes.queued() > 0 || inner.state.timers.earliest() != earliest)
            {
                inner.kicked = true;
            }
            inner.settle(shared);
            match entries {
                Ok(0) => {}
                entries => return entries,
            }
        }
        if events.is_empty() {
            return Ok(0);
        }
        self.scan(shared, events, until)
    }

    fn scan(&self, shared: &Shared, events: &mut [Kevent], until: Until<'_>) -> io::Result<usize> {
        let Until { mut deadline, signals } = until;
        let mut guard = shared.lock();
        let mut buffer = guard.state.host.buffer();
        let result = loop {
            let inner = &mut *guard;
            inner.state.harvest();
            let queued = inner.state.knotes.queued() > 0;
            let host_first = queued && inner.host_first;
            inner.host_first = queued && !inner.host_first;
            // Whoever waits with others, or with little room, has it from the host.
            let masked = matches!(signals, Signals::Masked(_));
            let most = if inner.waiters.now > 0 || masked { 0 } else { events.len() / 2 };
            let mut taken = inner.state.take_standing(events, most);
            if queued && !host_first {
                taken += inner.state.take_queued(&mut events[taken..]);
            }
            if taken < events.len() {
                let mut stop = deadline;
                if queued || taken > 0 {
                    stop = Deadline::NOW;
                } else if let Some(earliest) = inner.state.timers.earliest() {
                    stop = deadline.or_at(Some(earliest), Instant::now());
                }
                let until = Until { deadline: stop, signals };
                let waited;
                (guard, waited) =
                    self.wait(shared, guard, &mut buffer, events.len() - taken, until);
                let waiting = guard.waiters.now;
                let state = &mut guard.state;
                if let Err(error) = waited {
                    // What happened before the signal, or by it, counts.
                    state.harvest();
                    taken += state.take_queued(&mut events[taken..]);
                    break if taken > 0 { Ok(taken) } else { Err(error) };
                }
                let alone = waiting == 0 && !masked && !shared.exposed.load(Ordering::Relaxed);
                let may_stand = if alone { most } else { 0 };
                taken = state.take_watched(&self.own, &buffer, events, taken, may_stand);
            }
            let state = &mut guard.state;
            if host_first && taken < events.len() {
                taken += state.take_queued(&mut events[taken..]);
            }
            if taken > 0 {
                break Ok(taken);
            }
            if deadline.passed() {
                state.harvest();
                if state.knotes.queued() == 0 {
                    break Ok(0);
                }
            }
        };
        let inner = &mut *guard;
        inner.state.host.keep(buffer);
        // Whoever goes on waiting knows neither what was left nor the next timer.
        if inner.waiters.now > 0
            && (inner.state.knotes.queued() > 0 || inner.state.timers.earliest().is_some())
        {
            inner.kicked = true;
        }
        inner.settle(shared);
        result
    }

    /// Waits in the host, without the lock unless the time is up already.
    fn wait<'a>(
        &self,
        shared: &'a Shared,
        mut inner: MutexGuard<'a, Inner>,
        buffer: &mut Buffer,
        room: usize,
        until: Until<'_>,
    ) -> (MutexGuard<'a, Inner>, io::Result<()>) {
        let most = room.min(inner.state.knotes.len() + host::OWN);
        let write_first = inner.write_first;
        inner.write_first = !write_first;
        inner.state.host.prepare(buffer);
        if until.deadline.is_now() && !matches!(until.signals, Signals::Masked(_)) {
            let waited = buffer.wait(&self.own, most, write_first, until);
            return (inner, waited);
        }
        inner.enter(buffer.generation());
        inner.settle(shared);
        drop(inner);
        let waited = buffer.wait(&self.own, most, write_first, until);
        let mut inner = shared.lock();
        inner.leave(buffer.generation());
        (inner, waited)
    }

    pub(crate) fn rearm(&self, source: Source<'_>) -> io::Result<()> {
        self.shared()?.lock().state.rearm(idents::of(source.raw()))
    }

    pub(crate) fn closed(&self, source: RawSource) {
        if !Host::TELLS_APART {
            if let Ok(shared) = self.shared() {
                shared.lock().state.closed(idents::of(source));
            }
        }
    }

    pub(crate) fn close(self) -> io::Result<()> {
        host::close(self.own)
    }

    /// Its descriptor. From now on it is kept in line with what is in the queue.
    pub(crate) fn own(&self) -> &Own {
        if let Ok(shared) = self.shared() {
            shared.expose(&self.own);
        }
        &self.own
    }
}

cfg_if::cfg_if! {
    if #[cfg(all(any(target_os = "linux", target_os = "android"), not(readiness_backend = "poll")))] {
        use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

        impl AsFd for EmulatedKqueue {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.own().as_fd()
            }
        }

        /// Its descriptor alone; a `From` finds the rest again.
        impl From<EmulatedKqueue> for OwnedFd {
            fn from(kqueue: EmulatedKqueue) -> OwnedFd {
                kqueue.own();
                let EmulatedKqueue { own, shared } = kqueue;
                if let Some(shared) = shared {
                    host::park(&own, shared);
                }
                own.0
            }
        }

        impl From<OwnedFd> for EmulatedKqueue {
            fn from(fd: OwnedFd) -> EmulatedKqueue {
                let own = crate::backend::epoll::EpollFd(fd);
                let shared = host::find(&own);
                if let Some(shared) = &shared {
                    shared.expose(&own);
                }
                EmulatedKqueue { own, shared }
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expose(&self, own: &Own) {
        if !self.exposed.load(Ordering::Relaxed) {
            let mut inner = self.lock();
            // Where it fails for lack of memory, it is tried again next time.
            if inner.state.host.expose(own).is_ok() {
                inner.state.take_standing(&mut [], 0);
                self.exposed.store(true, Ordering::Relaxed);
                inner.settle(self);
            }
        }
    }

    /// How many events wait to be taken.
    fn pending(&self) -> usize {
        let mut inner = self.lock();
        let pending = inner.state.pending();
        inner.settle(self);
        pending
    }
}

impl Inner {
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

    /// Brings what others see of the kqueue in line with what is in it.
    #[inline]
    fn settle(&mut self, shared: &Shared) {
        let exposed = shared.exposed.load(Ordering::Relaxed);
        let Waiters { now, stale, generation } = self.waiters;
        let stale = stale > 0 || (now > 0 && generation != self.state.host.generation());
        if exposed || self.kicked || stale || self.state.host.is_woken() {
            self.tell_others(exposed);
        }
    }

    fn tell_others(&mut self, exposed: bool) {
        let state = &mut self.state;
        let generation = state.host.generation();
        if self.waiters.generation != generation {
            self.waiters.stale = self.waiters.now;
            self.waiters.generation = generation;
        }
        if self.waiters.stale > 0 {
            self.kicked = true;
        }
        let queued = state.knotes.queued() > 0;
        state.host.settle(self.kicked, exposed, queued, state.timers.earliest());
    }
}
