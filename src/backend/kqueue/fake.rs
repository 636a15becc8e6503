//! A kqueue for tests on Linux, written from FreeBSD's
//! [kqueue(2)](https://man.freebsd.org/kqueue/2), of which each rule here quotes the
//! sentence that it follows. It shares nothing with this crate's own emulation: the
//! kernel's epolls tell it that something happened (in edges), poll(2) and ioctl(2)
//! what holds.
//!
//! It is slow, and never part of a build that is no test.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libc::{c_int, timespec};

use crate::kevent::{Filter, Kevent, KeventFlags, NoteFlags};

/// The events and calls of one kqueue.
struct Queue {
    /// Counts those that ever were: numbers are given again.
    serial: u64,
    /// Its number: readable while something is pending.
    outer: c_int,
    read: c_int,
    write: c_int,
    /// In `outer`: an event that no descriptor brought.
    pending: c_int,
    /// In `outer`: the next timer.
    timer: c_int,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// "A kevent is identified by the (ident, filter) pair; there may only be one
    /// unique kevent per kqueue."
    knotes: BTreeMap<Id, Knote>,
    /// Those placed on the queue, in order.
    active: VecDeque<Id>,
    log: Vec<Call>,
    interrupt: bool,
}

type Id = (usize, Filter);

struct Knote {
    change: Kevent,
    /// Which file its descriptor was when it was added: device and inode.
    file: Option<(u64, u64)>,
    disabled: bool,
    active: bool,
    /// READ of a kqueue: something was pending on it when it was looked at last.
    was_pending: bool,
    /// USER.
    triggered: bool,
    /// TIMER: when it expires next, and then every so often.
    timer: Option<(Instant, Option<Duration>)>,
    expirations: i64,
}

/// What a call was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) changes: usize,
    pub(super) room: usize,
}

static SERIAL: AtomicU64 = AtomicU64::new(0);
static QUEUES: Mutex<BTreeMap<c_int, Arc<Queue>>> = Mutex::new(BTreeMap::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The calls that a kqueue got since this was asked last.
pub(super) fn calls(kq: c_int) -> Vec<Call> {
    queue(kq).map(|queue| std::mem::take(&mut lock(&queue.state).log)).unwrap_or_default()
}

/// Makes the next call that would wait fail with `EINTR`.
pub(super) fn interrupt(kq: c_int) {
    if let Some(queue) = queue(kq) {
        lock(&queue.state).interrupt = true;
    }
}

fn queue(kq: c_int) -> Option<Arc<Queue>> {
    let queue = lock(&QUEUES).get(&kq).cloned()?;
    // One that was closed is still in the list, until its number is a kqueue's anew.
    let link = std::fs::read_link(format!("/proc/self/fd/{kq}")).ok()?;
    (link == std::path::Path::new("anon_inode:[eventpoll]")).then_some(queue)
}

impl Drop for Queue {
    fn drop(&mut self) {
        for part in [self.read, self.write, self.pending, self.timer] {
            // SAFETY: each is ours, and closed here alone. `outer` is the caller's.
            unsafe { libc::close(part) };
        }
    }
}

/// A kqueue is about to be closed: the kernel would notice.
pub(super) fn closing(kq: c_int) {
    let queue = lock(&QUEUES).remove(&kq);
    drop(queue);
}

fn fail(error: c_int) -> c_int {
    // SAFETY: the thread's own errno.
    unsafe { *libc::__errno_location() = error };
    -1
}

/// # Safety
/// None is needed; it stands for a system call.
pub(super) unsafe fn kqueue() -> c_int {
    // SAFETY: no pointers but that of the event.
    unsafe {
        let outer = libc::epoll_create1(libc::EPOLL_CLOEXEC);
        let read = libc::epoll_create1(libc::EPOLL_CLOEXEC);
        let write = libc::epoll_create1(libc::EPOLL_CLOEXEC);
        let pending = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
        let timer =
            libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK);
        for part in [read, write, pending, timer] {
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
            libc::epoll_ctl(outer, libc::EPOLL_CTL_ADD, part, &mut event);
        }
        let state = Mutex::default();
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let queue = Queue { serial, outer, read, write, pending, timer, state };
        lock(&QUEUES).insert(outer, Arc::new(queue));
        outer
    }
}

/// # Safety
/// The arrays are as long as is said, and the time is valid or null.
pub(super) unsafe fn kevent(
    kq: c_int,
    changes: *const Kevent,
    nchanges: c_int,
    events: *mut Kevent,
    nevents: c_int,
    timeout: *const timespec,
) -> c_int {
    // "EBADF: The specified descriptor is invalid."
    let Some(queue) = queue(kq) else { return fail(libc::EBADF) };
    // SAFETY: the caller's. An empty array may be dangling, which a slice may be, too.
    let (changes, events, timeout) = unsafe {
        // "The same array may be used for the changelist and eventlist."
        let changes = std::slice::from_raw_parts(changes, nchanges as usize).to_vec();
        let events = std::slice::from_raw_parts_mut(events, nevents as usize);
        (changes, events, timeout.as_ref())
    };
    let until = match timeout {
        // "If timeout is a NULL pointer, kevent() waits indefinitely."
        None => None,
        // "EINVAL: The specified time limit or filter is invalid."
        Some(time) if time.tv_sec < 0 || !(0..1_000_000_000).contains(&time.tv_nsec) => {
            return fail(libc::EINVAL);
        }
        Some(time) => {
            let left = Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
            Instant::now().checked_add(left)
        }
    };
    let call = Call { changes: changes.len(), room: events.len() };
    lock(&queue.state).log.push(call);
    queue.kevent(&changes, events, until).unwrap_or_else(fail)
}

impl Queue {
    fn kevent(
        &self,
        changes: &[Kevent],
        events: &mut [Kevent],
        until: Option<Instant>,
    ) -> Result<c_int, c_int> {
        let mut state = lock(&self.state);
        // "All changes contained in the changelist are applied before any pending
        // events are read from the queue."
        let mut answers = 0;
        for change in changes {
            let answer = self.change(&mut state, change);
            let receipt = change.flags.contains(KeventFlags::RECEIPT);
            if answer.is_ok() && !receipt {
                continue;
            }
            let error = answer.err().unwrap_or(0);
            // "If an error occurs while processing an element of the changelist and
            // there is enough room in the eventlist, then the event will be placed
            // in the eventlist with EV_ERROR set in flags and the system error in
            // data. Otherwise, -1 will be returned, and errno will be set to
            // indicate the error condition."
            let Some(room) = events.get_mut(answers) else {
                // "Note that if this flag is encountered and there is no remaining
                // space in eventlist to hold the EV_ERROR event, then subsequent
                // changes will not get processed."
                self.signal(&state);
                return if error == 0 { Ok(answers as c_int) } else { Err(error) };
            };
            *room = change.with_flags(KeventFlags::ERROR).with_data(error.into());
            answers += 1;
        }
        self.signal(&state);
        // "When nevents is zero, kevent() will return immediately even if there is a
        // timeout specified unlike select(2)."
        if answers > 0 || events.is_empty() {
            return Ok(answers as c_int);
        }
        loop {
            let found = self.scan(&mut state, events);
            self.signal(&state);
            if found > 0 {
                return Ok(found as c_int);
            }
            let left = until.map(|at| at.saturating_duration_since(Instant::now()));
            // "If the time limit expires, then kevent() returns 0."
            if left == Some(Duration::ZERO) {
                return Ok(0);
            }
            // "EINTR: A signal was delivered before the timeout expired and before
            // any events were placed on the kqueue for return."
            if std::mem::take(&mut state.interrupt) {
                return Err(libc::EINTR);
            }
            let nested = state.knotes.keys().any(|id| queue(id.0 as c_int).is_some());
            drop(state);
            let milliseconds = match crate::timeout::milliseconds(left) {
                _ if nested => 1,
                milliseconds => milliseconds,
            };
            let mut event = libc::epoll_event { events: 0, u64: 0 };
            // SAFETY: there is room for one event.
            if unsafe { libc::epoll_wait(self.outer, &mut event, 1, milliseconds) } == -1 {
                return Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0));
            }
            state = lock(&self.state);
        }
    }

    fn change(&self, state: &mut State, change: &Kevent) -> Result<(), c_int> {
        let id = (change.ident, change.filter);
        let flags = change.flags;
        let is_fd = matches!(change.filter, Filter::Read | Filter::Write);
        if !is_fd && !matches!(change.filter, Filter::User | Filter::Timer) {
            return Err(libc::EINVAL);
        }
        let fd = change.ident as c_int;
        // As the kernel has it, without a sentence for it.
        if is_fd && fd == self.outer {
            return Err(libc::EINVAL);
        }
        let file = if is_fd { file(fd) } else { None };
        // "Calling close() on a file descriptor will remove any kevents that
        // reference the descriptor."
        if state.knotes.get(&id).is_some_and(|knote| knote.file != file) {
            self.remove(state, id);
        }
        if is_fd && file.is_none() {
            return Err(libc::EBADF);
        }
        if flags.contains(KeventFlags::DELETE) {
            // "ENOENT: The event could not be found to be modified or deleted."
            state.knotes.contains_key(&id).then_some(()).ok_or(libc::ENOENT)?;
            // "Removes the event from the kqueue."
            self.remove(state, id);
            return Ok(());
        }
        match state.knotes.get_mut(&id) {
            None if !flags.contains(KeventFlags::ADD) => return Err(libc::ENOENT),
            // "Re-adding an existing event will modify the parameters of the
            // original event, and not result in a duplicate entry."
            Some(knote) => knote.modify(change)?,
            // "Adds the event to the kqueue."
            None => {
                self.attach(id)?;
                let mut knote = Knote {
                    change: *change,
                    file,
                    disabled: false,
                    active: false,
                    was_pending: false,
                    triggered: change.fflags.contains(NoteFlags::TRIGGER),
                    timer: None,
                    expirations: 0,
                };
                if change.filter == Filter::User {
                    let user = NoteFlags::FFLAGSMASK;
                    knote.change.fflags = change.fflags & user;
                }
                if change.filter == Filter::Timer {
                    // "For non-monotonic timers, this filter automatically sets the
                    // EV_CLEAR flag internally."
                    knote.change.flags |= KeventFlags::CLEAR;
                    knote.start()?;
                }
                state.knotes.insert(id, knote);
            }
        }
        let Some(knote) = state.knotes.get_mut(&id) else { return Ok(()) };
        // "Adding an event automatically enables it, unless overridden by the
        // EV_DISABLE flag."
        if flags.contains(KeventFlags::DISABLE) {
            knote.disabled = true;
        } else if flags.intersects(KeventFlags::ENABLE | KeventFlags::ADD) {
            knote.disabled = false;
        }
        // "The filter is executed upon the initial registration of a kevent in order
        // to detect whether a preexisting condition is present".
        if !knote.disabled && knote.holds().is_some() {
            activate(state, id);
        }
        self.set_timer(state);
        Ok(())
    }

    /// Lets the kernel tell of a descriptor.
    fn attach(&self, (ident, filter): Id) -> Result<(), c_int> {
        let fd = ident as c_int;
        let (epoll, events) = match filter {
            Filter::Read => (self.read, libc::EPOLLIN | libc::EPOLLRDHUP),
            Filter::Write => (self.write, libc::EPOLLOUT),
            _ => return Ok(()),
        };
        if filter == Filter::Write {
            // "Note that this filter is not supported for vnodes." Nor, without a
            // sentence for it, for kqueues.
            if kind(fd) == libc::S_IFREG || queue(fd).is_some() {
                return Err(libc::EINVAL);
            }
            // As the kernel has it, without a sentence for it.
            if kind(fd) == libc::S_IFIFO && poll(fd, libc::POLLOUT) & libc::POLLERR != 0 {
                return Err(libc::EPIPE);
            }
        }
        if queue(fd).is_some() {
            // Looked at time and again: Linux has not enough levels.
            return Ok(());
        }
        let mut event =
            libc::epoll_event { events: (events | libc::EPOLLET) as u32, u64: ident as u64 };
        // SAFETY: the event is valid. A file is refused, and always looked at.
        unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event) };
        Ok(())
    }

    fn remove(&self, state: &mut State, id: Id) {
        let epoll = if id.1 == Filter::Read { self.read } else { self.write };
        if matches!(id.1, Filter::Read | Filter::Write) {
            // SAFETY: no event is needed; one that is not there is an error alone.
            unsafe {
                libc::epoll_ctl(epoll, libc::EPOLL_CTL_DEL, id.0 as c_int, std::ptr::null_mut())
            };
        }
        state.knotes.remove(&id);
        state.active.retain(|other| *other != id);
    }

    /// Activates the kqueues on which something is pending that was not.
    fn look_at_queues(&self, state: &mut State) {
        let mut found = Vec::new();
        for (id, knote) in &mut state.knotes {
            let inner = if id.1 == Filter::Read { queue(id.0 as c_int) } else { None };
            let pending = inner.is_some_and(|inner| inner.pending() > 0);
            if pending && !std::mem::replace(&mut knote.was_pending, pending) {
                found.push(*id);
            }
            knote.was_pending = pending;
        }
        found.into_iter().for_each(|id| activate(state, id));
    }

    /// "data contains the number of events available."
    fn pending(&self) -> i64 {
        let mut state = lock(&self.state);
        self.take_in(&mut state);
        let State { knotes, active, .. } = &*state;
        let holds = |id: &&Id| {
            knotes.get(id).is_some_and(|knote| !knote.disabled && knote.holds().is_some())
        };
        active.iter().filter(holds).count() as i64
    }

    /// Takes what happened, and fills `events` with what still holds.
    fn scan(&self, state: &mut State, events: &mut [Kevent]) -> usize {
        self.take_in(state);
        let mut found = 0;
        // Each at most once: what goes back to the tail waits for the next call.
        for _ in 0..state.active.len() {
            if found == events.len() {
                break;
            }
            let Some(id) = state.active.pop_front() else { break };
            let Some(knote) = state.knotes.get_mut(&id) else { continue };
            if knote.file.is_some() && knote.file != file(id.0 as c_int) {
                self.remove(state, id);
                continue;
            }
            // "Disable the event so kevent() will not return it. The filter itself is
            // not disabled."
            if knote.disabled {
                state.active.push_back(id);
                continue;
            }
            // "The filter is also run when the user attempts to retrieve the kevent
            // from the kqueue. If the filter indicates that the condition that
            // triggered the event no longer holds, the kevent is removed from the
            // kqueue and is not returned."
            let Some(event) = knote.holds() else {
                knote.active = false;
                continue;
            };
            events[found] = event;
            found += 1;
            let flags = knote.change.flags;
            if flags.contains(KeventFlags::ONESHOT) {
                // "After the user retrieves the event from the kqueue, it is deleted."
                self.remove(state, id);
            } else if flags.intersects(KeventFlags::CLEAR | KeventFlags::DISPATCH) {
                if flags.contains(KeventFlags::CLEAR) {
                    // "Reset the state of the event after it is retrieved by the user."
                    knote.triggered = false;
                    knote.expirations = 0;
                }
                // "Disable the event source immediately after delivery of an event."
                knote.disabled |= flags.contains(KeventFlags::DISPATCH);
                knote.active = false;
            } else {
                state.active.push_back(id);
            }
        }
        found
    }

    /// Activates what something has happened to.
    fn take_in(&self, state: &mut State) {
        for (epoll, filter) in [(self.read, Filter::Read), (self.write, Filter::Write)] {
            let mut list = [libc::epoll_event { events: 0, u64: 0 }; 64];
            loop {
                // SAFETY: there is room for 64 events.
                let found = unsafe { libc::epoll_wait(epoll, list.as_mut_ptr(), 64, 0) };
                for event in &list[..found.max(0) as usize] {
                    activate(state, (event.u64 as usize, filter));
                }
                if found < 64 {
                    break;
                }
            }
        }
        self.look_at_queues(state);
        let now = Instant::now();
        let due: Vec<Id> = state
            .knotes
            .iter_mut()
            .filter_map(|(id, knote)| knote.expire(now).then_some(*id))
            .collect();
        due.into_iter().for_each(|id| activate(state, id));
        self.set_timer(state);
    }

    /// Makes the kqueue's own descriptor readable while there is something on it.
    fn signal(&self, state: &State) {
        let pending =
            state.active.iter().any(|id| state.knotes.get(id).is_some_and(|knote| !knote.disabled));
        let mut count = [0u8; 8];
        // SAFETY: eight bytes each way, of a descriptor of our own.
        unsafe {
            libc::read(self.pending, count.as_mut_ptr().cast(), 8);
            if pending {
                count = 1u64.to_ne_bytes();
                libc::write(self.pending, count.as_ptr().cast(), 8);
            }
        }
    }

    fn set_timer(&self, state: &State) {
        let next = state.knotes.values().filter_map(|knote| knote.timer).map(|(at, _)| at).min();
        let left = next.map_or(Duration::ZERO, |at| {
            at.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1))
        });
        let time = libc::itimerspec {
            it_interval: timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: crate::backend::unix::timespec(left),
        };
        // SAFETY: the time is valid.
        unsafe { libc::timerfd_settime(self.timer, 0, &time, std::ptr::null_mut()) };
    }
}

/// "Multiple events which trigger the filter do not result in multiple kevents being
/// placed on the kqueue; instead, the filter will aggregate the events into a single
/// struct kevent."
fn activate(state: &mut State, id: Id) {
    if let Some(knote) = state.knotes.get_mut(&id) {
        if !std::mem::replace(&mut knote.active, true) {
            state.active.push_back(id);
        }
    }
}

impl Knote {
    fn modify(&mut self, change: &Kevent) -> Result<(), c_int> {
        if !change.flags.contains(KeventFlags::KEEPUDATA) {
            self.change.udata = change.udata;
        }
        match change.filter {
            Filter::User => {
                let user = NoteFlags::FFLAGSMASK;
                let input = change.fflags & user;
                let old = self.change.fflags;
                // "NOTE_FFAND: Bitwise AND fflags. NOTE_FFOR: Bitwise OR fflags.
                // NOTE_FFCOPY: Copy fflags." and otherwise "Ignore the input fflags."
                self.change.fflags = match change.fflags & NoteFlags::FFCTRLMASK {
                    NoteFlags::FFAND => old & input,
                    NoteFlags::FFOR => old | input,
                    NoteFlags::FFCOPY => input,
                    _ => old,
                };
                self.change.data = change.data;
                // "NOTE_TRIGGER: Cause the event to be triggered."
                self.triggered |= change.fflags.contains(NoteFlags::TRIGGER);
                // As the kernel has it, without a sentence for it.
                if change.flags.contains(KeventFlags::CLEAR) {
                    self.triggered = false;
                }
                Ok(())
            }
            // "If an existing timer is re-added, the existing timer will be
            // effectively canceled (throwing away any undelivered record of previous
            // timer expiration) and re-started using the new parameters".
            Filter::Timer if change.flags.contains(KeventFlags::ADD) => {
                (self.change.data, self.change.fflags) = (change.data, change.fflags);
                self.expirations = 0;
                self.start()
            }
            _ => {
                (self.change.data, self.change.fflags) = (change.data, change.fflags);
                Ok(())
            }
        }
    }

    fn start(&mut self) -> Result<(), c_int> {
        let amount = u64::try_from(self.change.data).map_err(|_| libc::EINVAL)?;
        let unit = self.change.fflags - NoteFlags::ABSTIME;
        // "If fflags is not set, the default is milliseconds."
        let one = match unit {
            NoteFlags::SECONDS => Duration::from_secs(1),
            NoteFlags::USECONDS => Duration::from_micros(1),
            NoteFlags::NSECONDS => Duration::from_nanos(1),
            unit if unit.is_empty() || unit == NoteFlags::MSECONDS => Duration::from_millis(1),
            _ => return Err(libc::EINVAL),
        };
        // "Periodic timers with a specified timeout of 0 will be silently adjusted to
        // timeout after 1 of the time units specified".
        let once = self.change.flags.contains(KeventFlags::ONESHOT);
        let amount = if once { amount } else { amount.max(1) };
        let period = one.saturating_mul(u32::try_from(amount).map_err(|_| libc::EINVAL)?);
        // "The timer will be periodic unless EV_ONESHOT or NOTE_ABSTIME is specified."
        self.timer = Some((Instant::now() + period, (!once).then_some(period)));
        Ok(())
    }

    fn expire(&mut self, now: Instant) -> bool {
        let mut expired = false;
        while let Some((at, period)) = self.timer.filter(|(at, _)| *at <= now) {
            self.timer = period.map(|period| (at + period, Some(period)));
            self.expirations += 1;
            expired = true;
        }
        expired
    }

    /// Runs the filter: what it returns if the condition holds.
    fn holds(&self) -> Option<Kevent> {
        let fd = self.change.ident as c_int;
        let mut event = self.change.with_data(0);
        // What is returned of the flags, as FreeBSD has it.
        event.flags -= KeventFlags::ADD
            | KeventFlags::DELETE
            | KeventFlags::ENABLE
            | KeventFlags::DISABLE
            | KeventFlags::RECEIPT;
        let lowat = self.change.fflags.contains(NoteFlags::LOWAT);
        // "This may be overridden with a per-filter low water mark at the time the
        // filter is added by setting the NOTE_LOWAT flag in fflags, and specifying the
        // new low water mark in data."
        let least = if lowat { self.change.data } else { 1 };
        match self.change.filter {
            // "A user event [...] is triggered by user level code." "On return, fflags
            // contains the users defined flags in the lower 24 bits."
            Filter::User => {
                event.data = self.change.data;
                self.triggered.then_some(event)
            }
            // "On return, data contains the number of times the timeout has expired
            // since the last call to kevent()."
            Filter::Timer => {
                event.data = self.expirations;
                (self.expirations > 0).then_some(event)
            }
            Filter::Read => {
                let ready = poll(fd, libc::POLLIN | libc::POLLRDHUP);
                event.fflags = NoteFlags::empty();
                if kind(fd) == libc::S_IFREG {
                    // "Returns when the file pointer is not at the end of file. data
                    // contains the offset from current position to end of file, and
                    // may be negative." "This event can be triggered unconditionally
                    // by setting the NOTE_FILE_POLL flag in fflags."
                    event.data = to_end(fd);
                    let always = self.change.fflags.contains(NoteFlags::FILE_POLL);
                    return (event.data != 0 || always).then_some(event);
                }
                if is_listener(fd) {
                    // "Sockets which have previously been passed to listen(2) return
                    // when there is an incoming connection pending."
                    event.data = i64::from(ready & libc::POLLIN != 0);
                    return (event.data > 0).then_some(event);
                }
                // "Kqueues: Returns when pending events are present on the queue; data
                // contains the number of events available." "Eventfds: Returns when the
                // counter is greater than 0". (That there is one is all that can be
                // known.)
                let uncounted = i64::from(ready & libc::POLLIN != 0);
                if let Some(inner) = queue(fd) {
                    event.data = inner.pending();
                    return (event.data > 0).then_some(event);
                }
                event.data = request(fd, libc::FIONREAD).unwrap_or(uncounted);
                // "If the read direction of the socket has shutdown, then the filter
                // also sets EV_EOF in flags, and returns the socket error (if any) in
                // fflags." "When the last writer disconnects, the filter will set
                // EV_EOF in flags."
                if ready & (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) != 0 {
                    event.flags |= KeventFlags::EOF;
                    event.fflags = socket_error(ready);
                    return Some(event);
                }
                (ready & libc::POLLIN != 0 && event.data >= least).then_some(event)
            }
            // "returns whenever it is possible to write to the descriptor."
            _ => {
                let ready = poll(fd, libc::POLLOUT);
                event.fflags = NoteFlags::empty();
                // "For sockets, pipes and fifos, data will contain the amount of space
                // remaining in the write buffer."
                event.data = space(fd);
                // "The filter will set EV_EOF when the reader disconnects".
                if ready & (libc::POLLHUP | libc::POLLERR) != 0 || is_shut(fd) {
                    event.flags |= KeventFlags::EOF;
                    event.fflags = socket_error(ready);
                    return Some(event);
                }
                (ready & libc::POLLOUT != 0 && event.data >= least).then_some(event)
            }
        }
    }
}

/// Which file a descriptor is. Linux has one inode for all epolls.
fn file(fd: c_int) -> Option<(u64, u64)> {
    if let Some(queue) = queue(fd) {
        return Some((u64::MAX, queue.serial));
    }
    crate::backend::identity(&crate::source::Held::Fd(fd))
}

fn poll(fd: c_int, events: i16) -> i16 {
    let mut entry = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: the entry is valid.
    unsafe { libc::poll(&mut entry, 1, 0) };
    entry.revents
}

fn kind(fd: c_int) -> libc::mode_t {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: there is room for a stat, and all zeros is one.
    unsafe {
        libc::fstat(fd, stat.as_mut_ptr());
        stat.assume_init().st_mode & libc::S_IFMT
    }
}

fn to_end(fd: c_int) -> i64 {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: there is room for a stat, and all zeros is one; the place stays.
    unsafe {
        libc::fstat(fd, stat.as_mut_ptr());
        stat.assume_init().st_size - libc::lseek(fd, 0, libc::SEEK_CUR)
    }
}

fn request(fd: c_int, request: libc::c_ulong) -> Option<i64> {
    let mut answer: c_int = 0;
    // SAFETY: there is room for the answer.
    let got = unsafe { libc::ioctl(fd, request, &mut answer) };
    (got == 0).then(|| answer.into())
}

fn option(fd: c_int, option: c_int) -> Option<c_int> {
    let mut answer: c_int = 0;
    let mut size = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: there is room for the answer.
    let got = unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, option, (&raw mut answer).cast(), &mut size)
    };
    (got == 0).then_some(answer)
}

fn is_listener(fd: c_int) -> bool {
    option(fd, libc::SO_ACCEPTCONN) == Some(1)
}

/// Whether the writing half was shut down by ourselves. Linux does not tell: a
/// write of nothing does, for a stream.
fn is_shut(fd: c_int) -> bool {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    let stream = option(fd, libc::SO_TYPE) == Some(libc::SOCK_STREAM);
    // SAFETY: nothing is sent.
    stream
        && unsafe { libc::send(fd, std::ptr::null(), 0, flags) } == -1
        && std::io::Error::last_os_error().raw_os_error() == Some(libc::EPIPE)
}

fn space(fd: c_int) -> i64 {
    if kind(fd) == libc::S_IFIFO {
        // SAFETY: it only looks.
        let size = unsafe { libc::fcntl(fd, libc::F_GETPIPE_SZ) };
        return i64::from(size) - request(fd, libc::FIONREAD).unwrap_or(0);
    }
    let size = option(fd, libc::SO_SNDBUF).map_or(i64::MAX, i64::from);
    size - request(fd, libc::TIOCOUTQ).unwrap_or(0)
}

/// Some error where there is one: to ask for it would take it away.
fn socket_error(ready: i16) -> NoteFlags {
    let error = if ready & libc::POLLERR != 0 { libc::ECONNRESET } else { 0 };
    NoteFlags::from_bits_retain(error as u32)
}
