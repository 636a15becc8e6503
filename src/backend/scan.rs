//! A [`Backend`] made of any [`List`].
//!
//! While one thread waits, the list is out of the lock and in its hands. What
//! others change meanwhile is queued, the waiter is woken, and takes it in.

#![cfg_attr(
    all(target_os = "linux", not(readiness_backend = "poll")),
    allow(dead_code, reason = "Selector is on epoll")
)]

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{Added, Backend, Caps, HostList, Key, List, Mode, Wake, check_source};
use crate::flags::PollFlags;
use crate::source::Held;
use crate::timeout::{Deadline, Until};

pub(crate) struct Scan {
    state: Mutex<State>,
    /// The thread that waited has given the list back.
    turn: Condvar,
    wake: Wake,
    /// The slot of the first registration: the waker's is before it, if it has one.
    first: usize,
}

#[derive(Default)]
struct State {
    list: HostList,
    /// By slot: what its registration is.
    registered: Vec<Registered>,
    /// The list is with a thread that waits.
    busy: bool,
    changes: Vec<Change>,
    woken: bool,
    /// Where the next wait begins to tell, so that a small buffer starves nobody.
    cursor: usize,
}

struct Registered {
    generation: u32,
    mode: Mode,
}

enum Change {
    Put { key: Key, source: Held, want: PollFlags, mode: Mode },
    Vacate { key: Key },
}

impl State {
    fn apply(&mut self, change: Change, first: usize) {
        match change {
            Change::Put { key, source, want, mode } => {
                let registered = Registered { generation: key.generation(), mode };
                match self.registered.get_mut(key.slot()) {
                    Some(old) => *old = registered,
                    None => self.registered.push(registered),
                }
                let slot = first + key.slot();
                self.list.put(slot, &source, want);
                if want.is_empty() {
                    self.list.vacate(slot);
                }
            }
            Change::Vacate { key } => {
                if self.registered[key.slot()].generation == key.generation() {
                    self.list.vacate(first + key.slot());
                }
            }
        }
    }

    /// Moves what the wait found to `out`, and says whether the waker was there.
    fn collect(
        &mut self,
        out: &mut Vec<(Key, PollFlags)>,
        ready: usize,
        most: usize,
        first: usize,
    ) -> bool {
        let State { list, registered, cursor, .. } = self;
        // Too much for the buffer: begin after what was told last.
        let begin = if ready > most { *cursor } else { 0 };
        let mut kicked = false;
        let mut take = |slot: usize, flags: PollFlags| match slot.checked_sub(first) {
            None => kicked = true,
            Some(of) if out.len() < most => {
                out.push((Key::new(of as u32, registered[of].generation), flags));
                *cursor = slot + 1;
            }
            Some(_) => {}
        };
        list.ready().filter(|(slot, _)| *slot >= begin).for_each(|(slot, flags)| take(slot, flags));
        if begin > 0 {
            let wrapped = list.ready().take_while(|(slot, _)| *slot < begin);
            wrapped.for_each(|(slot, flags)| take(slot, flags));
        }
        for &(key, flags) in out.iter() {
            if registered[key.slot()].mode.is_oneshot() || flags.contains(PollFlags::NVAL) {
                list.vacate(first + key.slot());
            }
        }
        kicked
    }
}

impl Scan {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.lock();
        if state.busy {
            state.changes.push(change);
            return self.wake.wake();
        }
        state.apply(change, self.first);
        Ok(())
    }

    /// The lock, when no other thread has the list. `None`: the time was up first.
    fn turn(&self, deadline: &mut Deadline) -> Option<MutexGuard<'_, State>> {
        let mut state = self.lock();
        while state.busy {
            state = match deadline.left() {
                None => self.turn.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    if deadline.passed() {
                        return None;
                    }
                    let waited = self.turn.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        Some(state)
    }
}

impl Backend for Scan {
    const NAME: &'static str = HostList::NAME;
    const CAPS: Caps = Caps { edge: false, identity: false };
    type Buffer = Vec<(Key, PollFlags)>;

    fn new() -> io::Result<Scan> {
        let wake = Wake::new()?;
        let mut state = State::default();
        let mut first = 0;
        if let Some(source) = wake.source() {
            state.list.put(0, &source, PollFlags::IN);
            first = 1;
        }
        Ok(Scan { state: Mutex::new(state), turn: Condvar::new(), wake, first })
    }

    fn add(&self, key: Key, source: &Held, want: PollFlags, mode: Mode) -> io::Result<Added> {
        check_source(source)?;
        self.change(Change::Put { key, source: source.clone(), want, mode })?;
        Ok(Added::Watched)
    }

    fn modify(&self, key: Key, source: &Held, want: PollFlags, mode: Mode) -> io::Result<()> {
        check_source(source)?;
        self.change(Change::Put { key, source: source.clone(), want, mode })
    }

    fn delete(&self, key: Key, _source: &Held) -> io::Result<()> {
        self.change(Change::Vacate { key })
    }

    fn wait(
        &self,
        out: &mut Vec<(Key, PollFlags)>,
        most: usize,
        until: Until<'_>,
    ) -> io::Result<()> {
        out.clear();
        let mut deadline = until.deadline;
        loop {
            let Some(mut state) = self.turn(&mut deadline) else { return Ok(()) };
            let woken = std::mem::take(&mut state.woken);
            state.busy = true;
            let mut list = std::mem::take(&mut state.list);
            drop(state);

            let this = if woken { Deadline::NOW } else { deadline };
            let waited = list.wait(Until { deadline: this, signals: until.signals });

            let mut state = self.lock();
            state.list = list;
            if let Ok(ready @ 1..) = waited {
                if state.collect(out, ready, most, self.first) {
                    self.wake.drain();
                }
            }
            let changes = std::mem::take(&mut state.changes);
            let changed = !changes.is_empty();
            for change in changes {
                state.apply(change, self.first);
            }
            state.woken |= woken;
            if waited.is_ok() && std::mem::take(&mut state.woken) {
                out.push((Key::WAKE, PollFlags::empty()));
            }
            state.busy = false;
            drop(state);
            self.turn.notify_one();

            let ready = waited?;
            // A wait that only took in changes goes on.
            if !out.is_empty() || (ready == 0 && !changed) || deadline.passed() {
                return Ok(());
            }
        }
    }

    fn events(out: &Self::Buffer) -> impl Iterator<Item = (Key, PollFlags)> {
        out.iter().copied()
    }

    fn wake(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.woken = true;
        if state.busy { self.wake.wake() } else { Ok(()) }
    }

    /// Nothing is left behind in a host that keeps nothing.
    fn rebuild<'a>(
        &self,
        _live: impl Iterator<Item = (Key, &'a Held, PollFlags, Mode)>,
    ) -> io::Result<()> {
        Ok(())
    }
}
