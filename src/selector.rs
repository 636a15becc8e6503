//! `Selector`: the portable interface.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bitflags::bitflags;

pub use crate::backend::Mode;
use crate::backend::alone;
use crate::backend::lock::THREADS;
use crate::backend::{Added, AtOnce, Backend, HostBackend, Key, NOT_OPEN, Taker, process};
use crate::error::{named, not_registered, registered};
use crate::flags::PollFlags;
#[cfg(unix)]
use crate::signals::SignalSet;
use crate::source::{AsSource, Member, RawSource, Source};
use crate::timeout::{Deadline, FOR_EVER, Instant, Signals, Until};
use crate::timers::{TimerKey, Timers};

mod cells;
mod event;
mod numbers;
mod slots;
mod table;

use cells::{Cells, Told};
pub use event::{Event, Events};
use numbers::Shut;
use table::{Entry, Table};

bitflags! {
    /// What to wait for.
    ///
    /// With none, a source stays registered and says nothing, whatever happens to
    /// it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Interest: u8 {
        /// A read would not block.
        const READ = 1;
        /// A write would not block.
        const WRITE = 2;
        /// Something exceptional: out-of-band data. Never on WASI, FreeBSD and NetBSD
        /// (where [`Poll`](crate::Poll) tells it).
        const PRIORITY = 4;
    }
}

impl Interest {
    fn wants(self) -> PollFlags {
        let mut wants = PollFlags::empty();
        wants.set(PollFlags::IN | PollFlags::RDHUP, self.contains(Interest::READ));
        wants.set(PollFlags::OUT, self.contains(Interest::WRITE));
        wants.set(PollFlags::PRI, self.contains(Interest::PRIORITY));
        wants
    }
}

/// Waits on sources, timers and wakers, the same way on every target, with the
/// best that the target has.
///
/// | target | backend | modes | wakers |
/// |---|---|---|---|
/// | Linux, Android | epoll | all | from any thread |
/// | macOS, FreeBSD, NetBSD, OpenBSD, DragonFly | kqueue | all | from any thread |
/// | other Unix | poll(2) | all | from any thread |
/// | Windows | WinSock's select | all | from any thread |
/// | WASI 0.1 | `poll_oneoff` | all | from the one thread there is |
///
/// [`supports`](Selector::supports) tells the modes and
/// [`backend`](Selector::backend) the backend. Every event carries the token that
/// was given with the source, the timer or the waker; tokens need not differ.
///
/// # What an event says
///
/// | event | flags of poll(2) or epoll(7) |
/// |---|---|
/// | [`is_readable`](Event::is_readable) | `IN`, `HUP`, `ERR` or `RDHUP`, if reading was asked for |
/// | [`is_writable`](Event::is_writable) | `OUT`, `HUP` or `ERR`, if writing was asked for |
/// | [`is_priority`](Event::is_priority) | `PRI`, if priority was asked for |
/// | [`is_error`](Event::is_error) | `ERR` |
/// | [`is_read_closed`](Event::is_read_closed) | `HUP` or `RDHUP` |
/// | [`is_write_closed`](Event::is_write_closed) | `HUP`; `ERR` with `OUT` or alone |
///
/// WinSock's select tells `ERR` and `HUP` of a connection that could not be made,
/// and of nothing else: the end of a stream and a reset are readable.
/// WASI 0.1 tells `IN` and `OUT`, and `HUP` on some hosts only (Node, not
/// wasmtime): the end of a stream is readable, and a read of nothing tells it.
/// Readable and writable may be spurious: use non-blocking sources, and take
/// `WouldBlock` for an answer.
///
/// # Sources that go away
/// A registration is weak: it keeps the source's number, never the source.
/// - A source that was closed says nothing more. Its registration ends when its
///   number is registered anew, on a poll(2) backend at the next wait.
/// - epoll(7) goes on reporting a closed source while a duplicate of it is open.
///   Until it is unregistered by
///   [`unregister_raw`](Selector::unregister_raw), or its number is registered
///   anew, its events come under its own token; after that they are dropped.
/// - Only epoll and kqueue tell a source from another one that got its number. With poll(2)
///   a number that was closed and given anew between two waits reports under the
///   old token; registering it replaces the old registration where fstat(2) can
///   tell the two apart (not among eventfds, timerfds and epolls, which share an
///   inode), and is `AlreadyExists` otherwise. In WASI and on Windows nothing can tell. A file is
///   known by its inode on every Unix, so not from a deleted one that had the same.
///
/// [`Registered`] owns its source and ends its registration in time.
///
/// # Threads and processes
/// It is `Send` and `Sync`: any thread may register, modify, unregister, start
/// timers and wait while another waits, and it takes effect at once. Several
/// threads that wait share the events. After fork(2) dropping it in the child
/// does no harm to the parent; to use it there, make a new one.
///
/// ```
/// # #[cfg(unix)] {
/// use std::{io::Write, os::unix::net::UnixStream, time::Duration};
/// use readiness::{Events, Interest, Mode, Selector};
///
/// let (mut tx, rx) = UnixStream::pair()?;
/// let selector = Selector::new()?;
/// selector.register(&rx, 1, Interest::READ, Mode::Level)?;
/// selector.add_timer(2, Duration::from_millis(5));
///
/// let mut events = Events::with_capacity(64);
/// selector.wait(&mut events, None)?;
/// assert!(events.iter().all(|event| event.is_timer() && event.token() == 2));
///
/// tx.write_all(b"x")?;
/// selector.wait(&mut events, None)?;
/// assert!(events.iter().all(|event| event.is_readable() && event.token() == 1));
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "DefaultSelector")]
pub struct Selector(Arc<Inner>);

struct Inner {
    backend: HostBackend,
    /// The thread that waits, if it is always the same.
    waiter: AtomicUsize,
    /// There are timers, or sources that are always ready.
    more_than_backend: AtomicBool,
    cells: Cells,
    /// The first waker, which a wait finds without the lock; mostly the only one.
    waker: OnceLock<Arc<WakerState>>,
    more_wakers: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    table: Table,
    timers: Timers,
    wakers: Vec<Arc<WakerState>>,
    /// Registrations that reported although they had ended.
    suspects: Vec<Key>,
    /// Counts the times that waiting threads had to look at timers and ready files
    /// again.
    epoch: u64,
    /// How many threads wait that have looked since.
    aware: usize,
    /// Whose turn it is where there is room for one event: a file's.
    files_turn: bool,
}

/// A wake was found.
const WAKE: u8 = 1;
/// News of what is not registered, or not open.
const ODD: u8 = 2;

/// What the backend found.
#[derive(Clone, Copy)]
struct Found {
    /// Something, were it late news.
    any: bool,
    /// A wake.
    wake: bool,
    /// News of what is not registered, or not open.
    odd: bool,
}

impl Found {
    fn of(events: &Events, late: u8) -> Found {
        let any = HostBackend::events(&events.found).next().is_some();
        Found { any, wake: late & WAKE != 0, odd: late & ODD != 0 }
    }
}

/// Makes events of what the backend tells.
struct Telling<'a> {
    cells: &'a Cells,
    list: &'a mut Vec<Event>,
}

impl Taker for Telling<'_> {
    #[inline]
    fn take(
        &mut self,
        found: impl Iterator<Item = (usize, PollFlags)>,
        key: impl Fn(usize) -> Option<Key>,
    ) -> bool {
        let Telling { cells, list } = self;
        let mut all = true;
        found.for_each(|(slot, flags)| {
            let key = || key(slot);
            all &= cells.tell_plain(slot, key, flags, list) || cells.tell_level(key(), flags, list);
        });
        all
    }
}

/// With more late news than this, all of it is suspect.
const SUSPECTS: usize = 64;

/// No thread has waited yet.
const NOBODY: usize = 0;
/// More than one thread has waited.
const SEVERAL: usize = 1;

/// The calling thread: a number that no other live thread has.
#[allow(clippy::missing_const_for_thread_local, reason = "what the macro makes of it on some")]
fn this_thread() -> usize {
    thread_local!(static PLACE: u64 = const { 0 });
    PLACE.with(|place| std::ptr::from_ref(place).addr())
}

/// A timer of a [`Selector`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId(TimerKey);

impl Selector {
    /// An empty selector.
    ///
    /// # Errors
    /// The host's own, such as too many open descriptors; `Unsupported` where
    /// there is no host.
    pub fn new() -> io::Result<Selector> {
        Ok(Selector(Arc::new(Inner {
            backend: HostBackend::new()?,
            waiter: AtomicUsize::new(NOBODY),
            more_than_backend: AtomicBool::new(false),
            cells: Cells::default(),
            waker: OnceLock::new(),
            more_wakers: AtomicBool::new(false),
            state: Mutex::default(),
        })))
    }

    /// The name of the backend: `"epoll"`, `"kqueue"`, `"poll"`, `"poll_oneoff"`, `"winsock"`.
    #[must_use]
    pub fn backend() -> &'static str {
        HostBackend::NAME
    }

    /// Whether the backend has a mode. [`Level`](Mode::Level) and
    /// [`OneShot`](Mode::OneShot) every one has.
    #[must_use]
    pub fn supports(mode: Mode) -> bool {
        HostBackend::CAPS.edge || !mode.is_edge()
    }

    /// Adds a source.
    ///
    /// # Errors
    /// `AlreadyExists` if it is registered, `Unsupported` if the backend lacks the
    /// mode, and the host's own, by an error that names the source: not open, or
    /// on Windows no socket.
    #[inline(always)]
    pub fn register(
        &self,
        source: &(impl AsSource + ?Sized),
        token: u64,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        self.0.register(source.as_source(), token, interest, mode).map(drop)
    }

    /// Adds a source and owns it: the registration ends before the source does.
    ///
    /// # Errors
    /// As [`register`](Selector::register); the source is dropped then.
    #[inline]
    pub fn register_owned<S: AsSource>(
        &self,
        source: S,
        token: u64,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<Registered<S>> {
        let held = source.as_source();
        let raw = held.raw();
        let key = self.0.register(held, token, interest, mode)?;
        let inner = Arc::clone(&self.0);
        Ok(Registered {
            registration: Registration { inner, raw, key, process: process() },
            source,
        })
    }

    /// Replaces the token, the interest and the mode of a source, and arms it
    /// again: what is ready now is reported, in every mode.
    ///
    /// # Errors
    /// `NotFound` if it is not registered, or its number is another source's now;
    /// `Unsupported` if the backend lacks the mode.
    #[inline(always)]
    pub fn modify(
        &self,
        source: &(impl AsSource + ?Sized),
        token: u64,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        self.0.modify(source.raw_source(), None, token, interest, mode)
    }

    /// Removes a source. None of its events is reported after that.
    ///
    /// # Errors
    /// `NotFound` if it is not registered.
    #[inline(always)]
    pub fn unregister(&self, source: &(impl AsSource + ?Sized)) -> io::Result<()> {
        self.unregister_raw(source.raw_source())
    }

    /// Removes a source by its name, as when it was closed meanwhile.
    ///
    /// # Errors
    /// `NotFound` if it is not registered.
    #[inline(always)]
    pub fn unregister_raw(&self, source: RawSource) -> io::Result<()> {
        self.0.unregister(source, None)
    }

    /// Starts a timer that expires once, `after` from now. Its event has this token.
    ///
    /// There may be any number of timers: starting and stopping one takes no
    /// system call unless it becomes the earliest while a thread waits.
    pub fn add_timer(&self, token: u64, after: Duration) -> TimerId {
        self.0.start(token, after, None)
    }

    /// Starts a timer that expires `first` from now and then every `period`. It
    /// keeps its beat; what nobody looked at in time is counted in
    /// [`Event::expirations`].
    ///
    /// # Errors
    /// `InvalidInput` if the period is zero.
    pub fn add_periodic(
        &self,
        token: u64,
        first: Duration,
        period: Duration,
    ) -> io::Result<TimerId> {
        if period.is_zero() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a timer's period is zero"));
        }
        Ok(self.0.start(token, first, Some(period.min(FOR_EVER))))
    }

    /// Stops a timer; `false` if it has expired or was stopped before. It is not
    /// reported after that.
    pub fn cancel_timer(&self, timer: TimerId) -> bool {
        self.0.lock().timers.stop(timer.0)
    }

    /// A handle that makes a wait return, from any thread, with an event that has
    /// this token. There may be several.
    ///
    /// In WASI there are no threads: a wake makes the next wait return.
    pub fn waker(&self, token: u64) -> Waker {
        let mut state = self.0.lock();
        let new = || Arc::new(WakerState { token, woken: AtomicBool::new(false) });
        let own = self.0.waker.get_or_init(new);
        // Nobody has it; or somebody who is gone had the same.
        if own.is_last() && own.token == token {
            return Waker { inner: Arc::clone(&self.0), state: Arc::clone(own) };
        }
        let another = new();
        let wakers = &mut state.wakers;
        if wakers.len() == wakers.capacity() {
            // Those that were dropped without a wake.
            wakers.retain(|waker| !waker.is_last() || waker.woken.load(Ordering::Relaxed));
        }
        wakers.push(Arc::clone(&another));
        self.0.more_wakers.store(true, Ordering::SeqCst);
        Waker { inner: Arc::clone(&self.0), state: another }
    }

    /// Waits until there is an event or the time is up, and says how many events
    /// there are; what `events` held before is gone.
    ///
    /// `None` waits for ever, zero does not wait. It never returns early with
    /// nothing, and a signal does not end it. A small buffer delays events and
    /// starves none; timers and wakers come on top of its capacity.
    ///
    /// Where waits with a timeout have mostly found something at once, on epoll and
    /// kqueue, one begins with a call that does not sleep and takes no clock; in vain
    /// that is one wait in 256.
    ///
    /// # Errors
    /// The host's own. On WASI, `InvalidInput` if nothing could ever end the wait.
    #[doc(alias = "select")]
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    #[cfg_attr(target_family = "wasm", inline)]
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<usize> {
        if HostBackend::CAPS.side_by_side && timeout.is_some_and(|timeout| !timeout.is_zero()) {
            return self.wait_in_time(events, timeout);
        }
        self.0.wait(events, &Until::new(timeout, Signals::Resume))
    }

    /// Apart, so that a wait without a clock is nothing but a wait.
    #[inline(never)]
    fn wait_in_time(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<usize> {
        if events.glances.is_due() {
            let told = self.0.wait(events, &Until::NOW)?;
            events.glances.learn(told > 0);
            if told > 0 {
                return Ok(told);
            }
        }
        self.0.wait(events, &Until::new(timeout, Signals::Resume))
    }

    /// [`wait`](Selector::wait) that answers
    /// [`Interrupted`](io::ErrorKind::Interrupted) when a signal comes.
    ///
    /// Not while it only waits for another thread's wait to end: where there is a
    /// list and no set (see the backends above) one thread at a time is in the host.
    ///
    /// # Errors
    /// Those of `wait`, and `Interrupted`.
    pub fn wait_interruptible(
        &self,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        self.0.wait(events, &Until::new(timeout, Signals::Report))
    }

    /// [`wait`](Selector::wait) with these signals blocked meanwhile. It answers
    /// [`Interrupted`](io::ErrorKind::Interrupted) when another one comes.
    ///
    /// # Errors
    /// Those of `wait`, and `Interrupted`.
    #[cfg(unix)]
    pub fn pwait(
        &self,
        events: &mut Events,
        timeout: Option<Duration>,
        mask: &SignalSet,
    ) -> io::Result<usize> {
        self.0.wait(events, &Until::new(timeout, Signals::Masked(mask)))
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline(always)]
    fn register(
        &self,
        source: Source<'_>,
        token: u64,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<Key> {
        match self.register_at_once(source.raw(), token, interest, mode) {
            Some(done) => done,
            None => self.register_locked(source.hold(), token, interest, mode),
        }
    }

    #[cold]
    #[inline(never)]
    fn register_locked(
        &self,
        source: Member,
        token: u64,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<Key> {
        let raw = source.raw();
        check_mode("register", raw, mode)?;
        let mut state = self.lock();
        let shut = self.shut(raw);
        let added = self.add(&mut state, shut, source, token, interest, mode);
        self.open(&state.table, raw);
        let (key, always) = added?;
        if always {
            self.tell_waiters(state)?;
        }
        Ok(key)
    }

    /// Whether it is always ready, too.
    fn add(
        &self,
        state: &mut State,
        shut: Shut<'_>,
        source: Member,
        token: u64,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<(Key, bool)> {
        let raw = source.raw();
        let old = state.table.find(raw);
        let old_entry = old.and_then(|key| state.table.get(key));
        // What the host knows by itself, it refuses itself.
        if old_entry.is_some_and(|old| !old.known_to_host() && old.is_same_source()) {
            return Err(registered("register", raw));
        }
        let free = shut.map(|(number, cell)| (number, cell, cell.standing()));
        if let Some(numbered) = free.filter(|(.., now)| !now.is_live()) {
            if let Some(key) = self.add_number(numbered, token, interest, mode)? {
                self.forget(state, old);
                return Ok((key, false));
            }
        }

        let key = state.table.reserve();
        self.cells.publish(key, token, interest, mode);
        let always = match self.backend.add(key, &source, interest.wants(), mode) {
            Ok(added) => added == Added::AlwaysReady,
            Err(error) => {
                self.cells.revoke(key);
                state.table.release(key);
                return Err(named("register", raw, error));
            }
        };
        let known_to_host = HostBackend::CAPS.identity && !always;
        let identity = if known_to_host { None } else { source.identity() };
        self.forget(state, old);
        if let Some((_, cell)) = shut.filter(|(_, cell)| cell.is_live()) {
            cell.revoke(cell.generation());
        }
        let entry = Entry { source, interest, mode, identity, always };
        state.table.insert(key, entry);
        Ok((key, always))
    }

    /// Ends a registration whose number is another source's now: it was closed.
    fn forget(&self, state: &mut State, old: Option<Key>) {
        let Some(old) = old else { return };
        self.cells.revoke(old);
        let stale = state.table.remove(old);
        // A host that knows one source from another has forgotten it, and would now
        // delete the new one.
        if let (Some(stale), false) = (stale, HostBackend::CAPS.identity) {
            let _ = self.backend.delete(old, &stale.source);
        }
    }

    /// `key`: of which registration, if the source may have another one by now.
    #[inline(always)]
    fn modify(
        &self,
        source: RawSource,
        key: Option<Key>,
        token: u64,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        match self.modify_at_once(source, key, token, interest, mode) {
            Some(done) => done,
            None => self.modify_locked(source, key, token, interest, mode),
        }
    }

    #[cold]
    #[inline(never)]
    fn modify_locked(
        &self,
        raw: RawSource,
        key: Option<Key>,
        token: u64,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        let mut state = self.lock();
        let shut = self.shut(raw);
        let modified = match shut.and_then(|shut| self.modify_own(shut, key, token, interest, mode))
        {
            Some(done) => done.map(|()| false),
            None => self.change(&mut state, key, raw, token, interest, mode),
        };
        self.open(&state.table, raw);
        if modified? { self.tell_waiters(state) } else { Ok(()) }
    }

    /// Whether it is always ready.
    fn change(
        &self,
        state: &mut State,
        key: Option<Key>,
        raw: RawSource,
        token: u64,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<bool> {
        let gone_by = || not_registered("modify", raw);
        let key = key.or_else(|| state.table.find(raw)).ok_or_else(gone_by)?;
        check_mode("modify", raw, mode)?;
        let entry = state.table.get_mut(key).ok_or_else(gone_by)?;
        if !entry.known_to_host() && !entry.is_same_source() {
            self.remove(state, key);
            return Err(gone_by());
        }
        (entry.interest, entry.mode) = (interest, mode);
        self.cells.publish(key, token, interest, mode);
        if entry.always {
            return Ok(true);
        }
        match self.backend.modify(key, &entry.source, interest.wants(), mode) {
            Err(error) if gone(&error) => {
                self.remove(state, key);
                Err(gone_by())
            }
            modified => modified.map(|()| false).map_err(|error| named("modify", raw, error)),
        }
    }

    #[inline(always)]
    fn unregister(&self, source: RawSource, key: Option<Key>) -> io::Result<()> {
        match self.unregister_at_once(source, key) {
            Some(()) => Ok(()),
            None => self.unregister_locked(source, key),
        }
    }

    #[cold]
    #[inline(never)]
    fn unregister_locked(&self, source: RawSource, key: Option<Key>) -> io::Result<()> {
        let mut state = self.lock();
        let done =
            self.shut(source).and_then(|shut| self.unregister_own(shut, key)).or_else(|| {
                let key = key.or_else(|| state.table.find(source))?;
                self.remove(&mut state, key)
            });
        self.open(&state.table, source);
        done.ok_or_else(|| not_registered("unregister", source))
    }

    /// Ends a registration of the table.
    fn remove(&self, state: &mut State, key: Key) -> Option<()> {
        let entry = state.table.remove(key)?;
        self.cells.revoke(key);
        if !entry.always {
            // It may be closed, or its number another source's: gone either way.
            let _ = self.backend.delete(key, &entry.source);
        }
        self.open(&state.table, entry.source.raw());
        Some(())
    }

    fn start(&self, token: u64, after: Duration, period: Option<Duration>) -> TimerId {
        let at = Instant::now() + after.min(FOR_EVER);
        let mut state = self.lock();
        let earlier = state.timers.earliest().is_none_or(|earliest| at < earliest);
        let key = state.timers.start(token, at, period);
        if earlier {
            // A wait that cannot be woken now will look at the timers next time.
            let _ = self.tell_waiters(state);
        }
        TimerId(key)
    }

    /// Makes threads that wait look at the timers and the ready files again.
    fn tell_waiters(&self, mut state: MutexGuard<'_, State>) -> io::Result<()> {
        state.epoch += 1;
        state.aware = 0;
        drop(state);
        self.more_than_backend.store(true, Ordering::SeqCst);
        let waiter = self.waiter.load(Ordering::SeqCst);
        // Where the caller is the only one that waits, nobody waits now.
        if waiter == NOBODY || waiter == this_thread() { Ok(()) } else { self.backend.wake() }
    }

    /// Before a wait, and before it looks at `more_than_backend`: whoever sets
    /// that either is seen, or sees that somebody waits.
    fn note_waiter(&self) {
        let this = this_thread();
        let waiter = self.waiter.load(Ordering::Relaxed);
        if waiter == this || waiter == SEVERAL {
            return;
        }
        let exchanged =
            self.waiter.compare_exchange(NOBODY, this, Ordering::SeqCst, Ordering::SeqCst);
        if exchanged.is_err() {
            self.waiter.store(SEVERAL, Ordering::SeqCst);
        }
    }

    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    #[cfg_attr(target_family = "wasm", inline)]
    fn wait(&self, events: &mut Events, until: &Until<'_>) -> io::Result<usize> {
        events.list.clear();
        let alone = !THREADS || self.waiter.load(Ordering::Relaxed) == this_thread();
        if !alone || self.more_than_backend.load(Ordering::SeqCst) {
            return self.wait_beside(events, *until, None);
        }
        // The ordinary case, apart from the others, which would make it slower.
        let Events { list, capacity, .. } = &mut *events;
        let cells = &self.cells;
        if HostBackend::PLAIN {
            return match self.backend.wait_plainly(*capacity, until, Telling { cells, list }) {
                told if told > 0 && !events.list.is_empty() => Ok(events.list.len()),
                _ => self.wait_again(events, *until, AtOnce::Failed),
            };
        }
        let waited =
            self.backend.wait_at_once(*capacity, until, move || Some(Telling { cells, list }))?;
        match waited {
            AtOnce::Told(_) if !events.list.is_empty() => return Ok(events.list.len()),
            AtOnce::NotTried => {}
            other => return self.wait_again(events, *until, other),
        }
        self.backend.wait(&mut events.found, events.capacity, until)?;
        let late = self.tell(events);
        if late != 0 || events.list.is_empty() {
            return self.wait_told(events, *until, late);
        }
        Ok(events.list.len())
    }

    /// After a wait that found more than events of sources, or none.
    fn wait_told(&self, events: &mut Events, until: Until<'_>, late: u8) -> io::Result<usize> {
        if late & WAKE != 0 {
            self.take_wakes(&mut events.list);
        }
        if events.list.is_empty() || late & ODD != 0 {
            let found = Found { wake: false, ..Found::of(events, late) };
            return self.wait_beside(events, until, Some(found));
        }
        Ok(events.list.len())
    }

    /// After a wait without a buffer that made no event.
    #[cold]
    fn wait_again(
        &self,
        events: &mut Events,
        mut until: Until<'_>,
        before: AtOnce,
    ) -> io::Result<usize> {
        let found = match before {
            AtOnce::Told(told) => Some(Found { any: told > 0, wake: false, odd: false }),
            _ => None,
        };
        events.list.clear();
        until.deadline.refresh();
        self.wait_beside(events, until, found)
    }

    /// A wait that may have to look beside the backend. `found`: by a first wait.
    #[cold]
    fn wait_beside(
        &self,
        events: &mut Events,
        until: Until<'_>,
        found: Option<Found>,
    ) -> io::Result<usize> {
        self.note_waiter();
        let mut seen = None;
        let waited = self.wait_aware(events, until, found, &mut seen);
        if seen.is_some() || self.more_than_backend.load(Ordering::SeqCst) {
            self.leave(seen);
        }
        waited
    }

    /// `seen`: the epoch that it knows of, once it has looked beside the backend.
    fn wait_aware(
        &self,
        events: &mut Events,
        mut until: Until<'_>,
        mut found: Option<Found>,
        seen: &mut Option<u64>,
    ) -> io::Result<usize> {
        loop {
            let found = match found.take() {
                Some(found) => Some(found),
                None => {
                    let mut this = until;
                    let mut most = events.capacity;
                    if self.more_than_backend.load(Ordering::SeqCst) {
                        (this.deadline, most) = self.look_beside(until, most, seen);
                    }
                    if most > 0 {
                        self.backend.wait(&mut events.found, most, &this)?;
                        let late = self.tell(events);
                        Some(Found::of(events, late))
                    } else {
                        None
                    }
                }
            };
            self.take(events, found);
            if !events.list.is_empty() {
                return Ok(events.list.len());
            }
            // Late news and wakes may have taken the place of an event.
            if until.deadline.passed() && found.is_some_and(|found| !found.any) {
                return Ok(0);
            }
        }
    }

    /// How long to wait, in view of timers and of sources that are always ready,
    /// and for how many of the others.
    fn look_beside(
        &self,
        until: Until<'_>,
        capacity: usize,
        seen: &mut Option<u64>,
    ) -> (Deadline, usize) {
        let mut state = self.lock();
        if *seen != Some(state.epoch) {
            *seen = Some(state.epoch);
            state.aware += 1;
        }
        let files = self.ready_files(&state).count();
        if files > 0 {
            // Half of the room is theirs if they need it; a single place every
            // other time.
            state.files_turn = !state.files_turn;
            let theirs = match capacity {
                1 => usize::from(state.files_turn),
                _ => files.min(capacity / 2),
            };
            return (Deadline::NOW, capacity - theirs);
        }
        let earliest = state.timers.earliest();
        if earliest.is_none() && state.table.always().is_empty() {
            self.more_than_backend.store(false, Ordering::SeqCst);
        }
        (until.deadline.or_at(earliest, Instant::now()), capacity)
    }

    /// What is always ready and has something to report.
    fn ready_files<'a>(&'a self, state: &'a State) -> impl Iterator<Item = Key> + 'a {
        let always = state.table.always().iter().copied();
        always.filter(|key| self.cells.wants(*key, Interest::READ | Interest::WRITE))
    }

    /// A thread does not wait any more. If none is left that has looked beside the
    /// backend, one that has not must.
    fn leave(&self, seen: Option<u64>) {
        let mut state = self.lock();
        if seen == Some(state.epoch) {
            state.aware = state.aware.saturating_sub(1);
        }
        if state.aware == 0
            && self.waiter.load(Ordering::SeqCst) == SEVERAL
            && (state.timers.earliest().is_some() || self.ready_files(&state).next().is_some())
        {
            drop(state);
            let _ = self.backend.wake();
        }
    }

    /// Makes events of what the backend found: what else there is, [`WAKE`] and [`ODD`].
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    #[cfg_attr(target_family = "wasm", inline)]
    fn tell(&self, events: &mut Events) -> u8 {
        let Events { found, list, .. } = events;
        let mut late = 0;
        for (key, flags) in HostBackend::events(found) {
            if !self.cells.tell(key, flags, list) {
                late |= self.tell_anyhow(key, flags, list);
            }
        }
        late
    }

    fn tell_anyhow(&self, key: Key, flags: PollFlags, list: &mut Vec<Event>) -> u8 {
        match key {
            Key::WAKE => WAKE,
            key if self.cells.tell_anyhow(true, key, flags, list) == Told::Stale => ODD,
            _ => 0,
        }
    }

    /// Makes events of wakers, of timers and of files, beside what the backend found
    /// if it was asked.
    fn take(&self, events: &mut Events, found: Option<Found>) {
        let Events { found: buffer, list, capacity, .. } = events;
        let room = capacity.saturating_sub(list.len());
        if found.is_some_and(|found| found.wake) {
            self.take_wakes(list);
        }
        if found.is_some_and(|found| found.odd) {
            self.take_odd(buffer);
        }
        if self.more_than_backend.load(Ordering::SeqCst) {
            self.take_beside(room, list);
        }
    }

    #[inline]
    fn take_wakes(&self, list: &mut Vec<Event>) {
        if let Some(waker) = self.waker.get() {
            waker.take(list);
        }
        if self.more_wakers.load(Ordering::SeqCst) {
            self.take_more_wakes(list);
        }
    }

    #[cold]
    fn take_more_wakes(&self, list: &mut Vec<Event>) {
        self.lock().wakers.retain(|waker| waker.take(list));
    }

    /// Sources that were closed.
    #[cold]
    fn take_odd(&self, found: &mut <HostBackend as Backend>::Buffer) {
        let mut state = self.lock();
        let mut ghost = false;
        for (key, flags) in HostBackend::events(found) {
            if key == Key::WAKE {
                continue;
            }
            if !self.cells.is_live(key) {
                // Late news, or a closed source whose duplicate lives: that one
                // comes again.
                if state.suspects.contains(&key) || state.suspects.len() == SUSPECTS {
                    ghost = true;
                } else {
                    state.suspects.push(key);
                }
            } else if flags.contains(PollFlags::NVAL) {
                self.remove(&mut state, key);
            }
        }
        if ghost {
            state.suspects.clear();
            self.rebuild(&state);
        }
    }

    /// Starts the backend anew with what is registered.
    fn rebuild(&self, state: &State) {
        self.shut_all();
        let table = state.table.live().filter(|(_, entry)| !entry.always).map(|(key, entry)| {
            let armed = self.cells.wants(key, Interest::all());
            let interest = if armed { entry.interest } else { Interest::empty() };
            (key, entry.source.clone(), interest, entry.mode)
        });
        let live = table.chain(self.numbered());
        let _ = self.backend.rebuild(
            live.map(|(key, source, interest, mode)| (key, source, interest.wants(), mode)),
        );
        self.open_all(&state.table);
    }

    /// Timers, and at most `room` files.
    fn take_beside(&self, mut room: usize, list: &mut Vec<Event>) {
        let mut state = self.lock();
        let State { table, timers, .. } = &mut *state;
        if timers.earliest().is_some() {
            let now = Instant::now();
            while let Some(expired) = timers.expire(now) {
                list.push(Event::timer(expired.token, expired.count));
            }
        }
        for _ in 0..table.always().len() {
            if room == 0 {
                break;
            }
            let Some(key) = table.next_always() else { break };
            let Some(entry) = table.get(key) else { continue };
            if !self.cells.wants(key, Interest::READ | Interest::WRITE) {
                continue;
            }
            if !entry.is_same_source() {
                self.cells.revoke(key);
                if let Some(entry) = table.remove(key) {
                    self.open(table, entry.source.raw());
                }
                continue;
            }
            self.cells.tell_anyhow(true, key, PollFlags::IN | PollFlags::OUT, list);
            if entry.mode != Mode::Level {
                self.cells.disarm(key);
            }
            room -= 1;
        }
    }
}

fn check_mode(operation: &'static str, source: RawSource, mode: Mode) -> io::Result<()> {
    if Selector::supports(mode) {
        return Ok(());
    }
    let error = io::Error::new(
        io::ErrorKind::Unsupported,
        format!("the backend {} has no edges", HostBackend::NAME),
    );
    Err(named(operation, source, error))
}

/// Whether the host says that it does not have the source, or that it is closed.
fn gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(NOT_OPEN)
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        let numbered = self.0.numbered().map(|(_, source, ..)| source.raw());
        let sources = state.table.live().map(|(_, entry)| entry.source.raw()).chain(numbered);
        f.debug_struct("Selector")
            .field("backend", &HostBackend::NAME)
            .field("sources", &sources.collect::<Vec<_>>())
            .finish()
    }
}

/// Makes a wait of its [`Selector`] return. A clone is the same waker.
///
/// A wake is never lost: it ends the wait that is going on, or else the next one,
/// also when the waker is dropped right after it. Several wakes before a wait
/// returns are one event, and all but the first cost next to nothing.
///
/// It is `Send` and `Sync`: any thread may wake.
#[derive(Clone)]
pub struct Waker {
    inner: Arc<Inner>,
    state: Arc<WakerState>,
}

struct WakerState {
    token: u64,
    /// Woken, and not seen yet.
    woken: AtomicBool,
}

impl WakerState {
    /// Whether nobody can wake any more.
    fn is_last(self: &Arc<WakerState>) -> bool {
        let last = Arc::strong_count(self) == 1;
        // With the drop of the waker that was the last one.
        fence(Ordering::Acquire);
        last
    }

    /// Tells a wake if there is one; whether anybody can wake again.
    fn take(self: &Arc<WakerState>, list: &mut Vec<Event>) -> bool {
        // Before the flag: whoever wakes and drops does it in that order.
        let last = self.is_last();
        if alone::swap(&self.woken, false) {
            list.push(Event::wake(self.token));
        }
        !last
    }
}

impl Waker {
    /// Makes a wait return.
    ///
    /// # Errors
    /// The host's own.
    #[inline]
    pub fn wake(&self) -> io::Result<()> {
        if alone::swap(&self.state.woken, true) {
            return Ok(());
        }
        self.inner.backend.wake().map_err(|error| self.not_woken(error))
    }

    #[cold]
    fn not_woken(&self, error: io::Error) -> io::Error {
        self.state.woken.store(false, Ordering::Release);
        error
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").field("token", &self.state.token).finish()
    }
}

/// A source and its registration, by [`Selector::register_owned`]. Dropping it
/// ends the registration and then drops the source, so that no registration is
/// ever stale.
///
/// The source can be used by reference only: a `&mut` could exchange it behind
/// the registration's back. (`&TcpStream` and the like read and write.) It is `Send` and
/// `Sync` where the source is.
#[derive(Debug)]
#[must_use = "dropping it ends the registration"]
pub struct Registered<S> {
    // Dropped first.
    registration: Registration,
    source: S,
}

struct Registration {
    inner: Arc<Inner>,
    raw: RawSource,
    key: Key,
    process: u32,
}

impl<S> Registered<S> {
    /// As [`Selector::modify`].
    ///
    /// # Errors
    /// As [`Selector::modify`].
    pub fn modify(&self, token: u64, interest: Interest, mode: Mode) -> io::Result<()> {
        let Registration { inner, raw, key, .. } = &self.registration;
        inner.modify(*raw, Some(*key), token, interest, mode)
    }

    /// Ends the registration and gives the source back.
    pub fn into_inner(self) -> S {
        self.source
    }
}

impl<S> Deref for Registered<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.source
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // In a forked child the set is the parent's too.
        if self.process == process() {
            let _ = self.inner.unregister(self.raw, Some(self.key));
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("key", &self.key).finish()
    }
}

// What the documentation says of threads.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Selector>();
    shared::<Waker>();
    shared::<Events>();
    shared::<Registered<()>>();
};
