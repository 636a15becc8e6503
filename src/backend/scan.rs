//! A [`Backend`] made of any [`List`](super::List), edges included.
//!
//! While one thread waits, the list is out of the lock and in its hands. What
//! others change meanwhile is queued, the waiter is woken, and takes it in.

#![cfg_attr(
    all(any(target_os = "linux", target_os = "android"), not(readiness_backend = "poll")),
    allow(dead_code, reason = "Selector is on epoll")
)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::alone;
use super::edge::Edge;
use super::glance::Glances;
use super::lock::{Between, Guard, Lent, Lock, THREADS, Turn};
use super::nested::{self, Set, SourceList, Watch};
use super::{
    Added, AtOnce, Backend, Caps, FIRST_SET, HostList, Identity, Key, List, Mode, Taker, Wake,
};
use crate::flags::PollFlags;
use crate::source::{Held, Member, RawSource, Source};
use crate::timeout::{Deadline, Instant, Signals, Until, earlier};

pub(crate) struct Scan {
    /// Its name as a source: no descriptor is that large.
    id: u64,
    state: Lock<State>,
    /// The thread that waited has given the list back.
    turn: Turn,
    /// In the list while a thread waits.
    wake: Wake,
}

#[derive(Default)]
struct State {
    list: Lent<SourceList>,
    /// The waker is in the list, behind the slots, where it stays from wait to wait.
    wakes: bool,
    /// By slot; and what each wait needs of it, apart, to be near.
    slots: Vec<Slot>,
    heads: Vec<Head>,
    /// How many registrations are not told as a level.
    beyond_level: usize,
    /// The slots whose edge is not armed in full.
    quiet: Vec<u32>,
    /// How many other sets are in the list.
    sets: usize,
    /// To be told by the next wait: what a look found closed, and [`Key::WAKE`].
    owed: Vec<(Key, PollFlags)>,
    /// The list is with a thread that waits.
    busy: bool,
    /// That thread was told to come back.
    kicked: bool,
    /// How many threads want to look and go.
    visitors: u32,
    /// How many threads wait for the list, to wait with it.
    queued: u32,
    changes: Between<Change>,
    /// What the set's owner has to tell beside its sources: now, and from when.
    pending: bool,
    pending_at: Option<Instant>,
    /// Those who wait for this set as a source.
    observers: Between<Arc<Wake>>,
    /// Where the next wait begins to tell, so that a small buffer starves nobody.
    cursor: usize,
    /// Counts looks at edges.
    look: u32,
    glances: Glances,
}

/// A look at a set so small is over before another thread could miss the lock.
const SMALL: usize = 64;

/// Of a registration what every wait needs that finds it ready.
#[derive(Clone, Copy)]
struct Head {
    generation: u32,
    mode: Mode,
}

impl Head {
    fn key(self, slot: usize) -> Key {
        Key::new(slot as u32, self.generation)
    }
}

/// The rest of it.
struct Slot {
    source: Member,
    /// What tells the source from another one with its number. Front ends look at
    /// that themselves; here it is for those who ask about the set.
    identity: Option<Identity>,
    want: PollFlags,
    /// It is in the list.
    listed: bool,
    edge: Edge,
    /// It is among the quiet ones.
    quiet: bool,
    /// What the last look that found it ready found, and which one it was.
    found: (u32, PollFlags),
    /// Its edge is to be told.
    fires: bool,
}

struct Put {
    key: Key,
    source: Member,
    identity: Option<Identity>,
    want: PollFlags,
    mode: Mode,
}

enum Change {
    Put(Put),
    End { key: Key },
    Rearm { key: Key },
}

/// In place of a source. Not a set where anything else will do: that needs the code for
/// sets in sets.
fn nothing() -> Member {
    let placeholder = Held::placeholder();
    placeholder.map_or_else(|| Member::Set(nested::ended::<Scan>()), Member::Host)
}

impl Slot {
    /// One that nobody has used yet.
    fn vacant() -> Slot {
        Slot {
            source: nothing(),
            identity: None,
            want: PollFlags::empty(),
            listed: false,
            edge: Edge::default(),
            quiet: false,
            found: (0, PollFlags::empty()),
            fires: false,
        }
    }

    /// What can make it tell something before its edge is due again; `None` if
    /// the host would tell nothing but what is known.
    // Inlined, it has no Option to give.
    #[cfg_attr(target_family = "wasm", inline(always))]
    fn rest(&self) -> Option<PollFlags> {
        let told = self.edge.quiet();
        if told.intersects(PollFlags::UNASKED) { None } else { Some(self.want - told) }
    }
}

impl State {
    // Inlined where there are no threads: whoever changes something knows what it is.
    #[cfg_attr(target_family = "wasm", inline(always))]
    fn apply(&mut self, change: Change) {
        match change {
            Change::Put(put) => self.put(put),
            Change::End { key } => self.end(key),
            Change::Rearm { key } => self.rearm(key),
        }
    }

    fn end(&mut self, key: Key) {
        if self.is_live(key) {
            self.vacate(key.slot());
            self.set_mode(key.slot(), Mode::Level);
            // A source that is owned is let go of.
            self.slots[key.slot()].source = nothing();
        }
    }

    fn rearm(&mut self, key: Key) {
        if self.is_live(key) {
            self.slots[key.slot()].edge.arm();
        }
    }

    fn is_live(&self, key: Key) -> bool {
        self.heads.get(key.slot()).is_some_and(|head| head.generation == key.generation())
    }

    /// Whether all is told as a level, and nobody else wants anything.
    fn is_ordinary(&self) -> bool {
        let plain = self.beyond_level == 0 && self.owed.is_empty();
        let alone = !THREADS || (!self.busy && self.visitors == 0 && self.changes.is_empty());
        plain && alone
    }

    /// Whether to look first, without the waker, and mostly without letting go of the lock.
    #[inline]
    fn glances(&mut self, until: &Until<'_>) -> bool {
        let may = THREADS && self.sets == 0 && !matches!(until.signals, Signals::Masked(_));
        may && self.glances.is_due()
    }

    /// Takes the waker out of the list, if it is there.
    #[inline]
    fn leave_out_wake(&mut self) {
        if THREADS && std::mem::take(&mut self.wakes) {
            self.list.truncate(self.slots.len());
        }
    }

    /// Moves what is owed to `out`. What was closed is no event and takes nobody's place.
    fn pay(&mut self, out: &mut Vec<(Key, PollFlags)>) {
        out.append(&mut self.owed);
    }

    fn tell_observers(&self) -> io::Result<()> {
        self.observers.iter().try_for_each(|observer| observer.wake())
    }

    fn set_mode(&mut self, at: usize, mode: Mode) {
        let old = std::mem::replace(&mut self.heads[at].mode, mode);
        self.beyond_level -= usize::from(old != Mode::Level);
        self.beyond_level += usize::from(mode != Mode::Level);
    }

    // Inlined where it has one caller.
    #[cfg_attr(target_family = "wasm", inline(always))]
    fn put(&mut self, put: Put) {
        let Put { key, source, identity, want, mode } = put;
        let at = key.slot();
        let listed = !want.is_empty();
        self.leave_out_wake();
        if self.slots.get(at).is_some_and(|slot| slot.listed) {
            self.vacate(at);
        }
        // A slot of its own even if it is vacant.
        self.list.put(at, &source, want);
        if !listed {
            self.list.vacate(at);
        }
        if at == self.slots.len() {
            self.slots.push(Slot::vacant());
            self.heads.push(Head { generation: 0, mode: Mode::Level });
        }
        self.heads[at].generation = key.generation();
        self.set_mode(at, mode);
        let slot = &mut self.slots[at];
        self.sets += usize::from(listed && matches!(source, Member::Set(..)));
        (slot.source, slot.identity, slot.want) = (source, identity, want);
        slot.listed = listed;
        slot.edge.arm();
        slot.found = (self.look, PollFlags::empty());
        slot.fires = false;
    }

    /// Takes a slot out of the list; its registration may stay.
    fn vacate(&mut self, at: usize) {
        self.list.vacate(at);
        let slot = &mut self.slots[at];
        self.sets -= usize::from(slot.listed && matches!(slot.source, Member::Set(..)));
        slot.listed = false;
        slot.edge.arm();
    }

    /// Takes notice of the edges, after a look at all that is wanted.
    fn see(&mut self) {
        let State { list, slots, quiet, look, .. } = self;
        if quiet.is_empty() {
            return;
        }
        *look = look.wrapping_add(1);
        for (at, flags) in list.ready() {
            if let Some(slot) = slots.get_mut(at) {
                slot.found = (*look, flags);
            }
        }
        let now = Instant::now();
        let mut next = 0;
        while let Some(&at) = quiet.get(next) {
            let slot = &mut slots[at as usize];
            let (seen, flags) = slot.found;
            let flags = if seen == *look { flags } else { PollFlags::empty() };
            slot.fires = slot.listed && slot.edge.see(flags, || slot.source.count(), now);
            slot.quiet = slot.listed && !slot.edge.quiet().is_empty();
            if slot.quiet {
                next += 1;
            } else if let (Some(last), Some(place)) = (quiet.pop(), quiet.get_mut(next)) {
                *place = last;
            }
        }
    }

    /// What is ready, and to be told.
    fn told(&self) -> impl Iterator<Item = (usize, PollFlags)> {
        self.list
            .ready()
            .filter(|(at, _)| self.slots.get(*at).is_some_and(|slot| !slot.quiet || slot.fires))
    }

    /// Tells what an ordinary wait found. `false`: not all was taken.
    /// Apart where there are registers, so that the loop has them.
    #[cfg_attr(target_family = "wasm", inline)]
    #[cfg_attr(not(target_family = "wasm"), inline(never))]
    fn tell(&mut self, ready: usize, most: usize, to: &mut impl Taker) -> bool {
        let State { list, heads, cursor, .. } = self;
        let key = |at: usize| heads.get(at).map(|head| head.key(at));
        if ready <= most {
            // The ordinary case.
            return to.take(list.ready(), key);
        }
        tell_some(list, cursor, most, key, to)
    }

    /// Moves what the wait found to `out`.
    fn collect(&mut self, out: &mut Vec<(Key, PollFlags)>, ready: usize, most: usize) {
        // What a look found closed is there already, and takes nobody's place.
        let begin = out.len();
        let mut room = most;
        // Too much for the buffer: begin after what was told last.
        let cursor = if ready > room { self.cursor } else { 0 };
        let mut changes = false;
        let mut next = self.cursor;
        for round in 0..2 {
            for (at, flags) in self.told().filter(|(at, _)| (*at < cursor) == (round > 0)) {
                // What was closed is no event.
                if flags.contains(PollFlags::NVAL) {
                    changes = true;
                } else if room == 0 {
                    break;
                } else {
                    room -= 1;
                }
                let head = self.heads[at];
                changes |= head.mode != Mode::Level;
                out.push((head.key(at), flags));
                next = at + 1;
            }
            if cursor == 0 || room == 0 {
                break;
            }
        }
        self.cursor = next;
        if !changes {
            return;
        }
        let mut now = None;
        let mut place = begin;
        while let Some(&(key, flags)) = out.get(place) {
            place += 1;
            let at = key.slot();
            let slot = &mut self.slots[at];
            let mode = self.heads[at].mode;
            if mode.is_oneshot() || flags.contains(PollFlags::NVAL) {
                self.vacate(at);
            } else if mode.is_edge() {
                let now = *now.get_or_insert_with(Instant::now);
                slot.edge.tell(flags, || slot.source.count(), now);
                if !slot.quiet {
                    slot.quiet = true;
                    self.quiet.push(at as u32);
                }
            }
        }
    }

    /// Leaves in the list what is not quiet; or undoes it.
    fn narrow(&mut self, narrow: bool) {
        for &at in &self.quiet {
            let slot = &self.slots[at as usize];
            match slot.rest() {
                Some(rest) => self.list.set(at as usize, if narrow { rest } else { slot.want }),
                None if narrow => self.list.vacate(at as usize),
                None => self.list.put(at as usize, &slot.source, slot.want),
            }
        }
    }

    /// When the next quiet edge is due.
    // Inlined, it has no Option to give.
    #[cfg_attr(target_family = "wasm", inline(always))]
    fn again(&self) -> Option<Instant> {
        let mut first = None;
        for &at in &self.quiet {
            first = earlier(first, self.slots[at as usize].edge.again());
        }
        first
    }
}

/// Tells what may be too much for the buffer: begins after what was told last.
#[cold]
fn tell_some(
    list: &SourceList,
    cursor: &mut usize,
    most: usize,
    key: impl Fn(usize) -> Option<Key>,
    to: &mut impl Taker,
) -> bool {
    let from = *cursor;
    let (mut next, mut room, mut again) = (from, most, false);
    let mut ready = list.ready();
    let told = std::iter::from_fn(|| {
        loop {
            match ready.next() {
                Some((at, flags)) if (at < from) == again => {
                    room = room.checked_sub(1)?;
                    next = at + 1;
                    return Some((at, flags));
                }
                Some(_) => {}
                None if again => return None,
                None => (ready, again) = (list.ready(), true),
            }
        }
    });
    let all = to.take(told, key);
    if all {
        *cursor = next;
    }
    all
}

/// Takes what is found into a buffer.
struct Keeping<'a> {
    out: &'a mut Vec<(Key, PollFlags)>,
}

impl Taker for Keeping<'_> {
    #[inline]
    fn take(
        &mut self,
        found: impl Iterator<Item = (usize, PollFlags)>,
        key: impl Fn(usize) -> Option<Key>,
    ) -> bool {
        let mut all = true;
        found.for_each(|(slot, flags)| match key(slot) {
            Some(key) if !flags.contains(PollFlags::NVAL) => self.out.push((key, flags)),
            _ => all = false,
        });
        all
    }
}

impl Scan {
    /// From now on one source may have several registrations.
    #[allow(dead_code, reason = "where the kernel has kqueue")]
    pub(crate) fn share(&self) {
        self.lock().list.share();
    }

    #[inline]
    fn lock(&self) -> Guard<'_, State> {
        self.state.lock()
    }

    /// Makes the thread that has the list come back.
    fn kick(&self, state: &mut State) -> io::Result<()> {
        if !state.kicked {
            self.wake.wake()?;
            state.kicked = true;
        }
        Ok(())
    }

    // As `State::apply`.
    #[cfg_attr(target_family = "wasm", inline(always))]
    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.lock();
        if THREADS && state.busy {
            state.changes.push(change);
            self.kick(&mut state)?;
        } else {
            state.apply(change);
        }
        state.tell_observers()
    }

    fn put(&self, key: Key, source: &Member, want: PollFlags, mode: Mode) -> io::Result<()> {
        source.check()?;
        let identity = source.identity();
        self.change(Change::Put(Put { key, source: source.clone(), identity, want, mode }))
    }

    /// The lock, when no other thread has the list. `None`: the time was up first.
    /// Whoever does not want to wait gets it from one who does.
    fn turn(&self, deadline: &mut Deadline) -> io::Result<Option<Guard<'_, State>>> {
        let mut state = self.lock();
        if !THREADS {
            return Ok(Some(state));
        }
        if deadline.is_now() {
            if state.busy {
                state.visitors += 1;
                let kicked = self.kick(&mut state);
                while state.busy && kicked.is_ok() {
                    state = self.turn.wait(state, None);
                }
                state.visitors -= 1;
                kicked?;
            }
            return Ok(Some(state));
        }
        while state.busy || state.visitors > 0 {
            if deadline.passed() {
                return Ok(None);
            }
            state.queued += 1;
            state = self.turn.wait(state, deadline.left());
            state.queued -= 1;
        }
        Ok(Some(state))
    }

    /// One wait of the host. The lock is not held meanwhile, if another thread might
    /// miss it. And whether another thread wanted something meanwhile.
    #[cfg_attr(target_family = "wasm", inline(always))]
    #[cfg_attr(not(target_family = "wasm"), inline)]
    fn wait_host<'a>(
        &'a self,
        mut state: Guard<'a, State>,
        until: &Until<'_>,
    ) -> (Guard<'a, State>, io::Result<usize>, bool) {
        let sleeps = !until.deadline.is_now();
        if !THREADS || (!sleeps && state.slots.len() <= SMALL && state.sets == 0) {
            state.leave_out_wake();
            let waited = state.list.wait(until);
            return (state, waited, false);
        }
        state.busy = true;
        let mut list = state.list.take();
        let (slots, mut wakes) = (state.slots.len(), state.wakes);
        drop(state);

        if sleeps && !wakes {
            if let Some(source) = self.wake.source() {
                // Behind the rest: the host stops to prepare for sleep at the first
                // one that is ready.
                list.put(slots, &Member::Host(source), PollFlags::IN);
                wakes = true;
            }
        } else if wakes && !sleeps {
            list.truncate(slots);
            wakes = false;
        }
        let waited = list.wait(until);

        let mut state = self.lock();
        state.list.give(list);
        state.wakes = wakes;
        state.busy = false;
        let kicked = std::mem::take(&mut state.kicked);
        if kicked {
            self.wake.drain();
        }
        let disturbed = kicked || !state.changes.is_empty();
        (state, waited, disturbed)
    }

    /// Takes in what others changed meanwhile, and lets them go on. Whether there
    /// was something.
    #[inline]
    fn go_on(&self, state: Guard<'_, State>) -> bool {
        let alone = state.changes.is_empty() && state.visitors == 0 && state.queued == 0;
        if !THREADS || alone { false } else { self.let_others(state) }
    }

    #[cold]
    fn let_others(&self, mut state: Guard<'_, State>) -> bool {
        let changed = !state.changes.is_empty();
        let mut changes = std::mem::take(&mut state.changes);
        for change in changes.drain(..) {
            state.apply(change);
        }
        state.changes = changes;
        let (visitors, queued) = (state.visitors, state.queued);
        drop(state);
        // A notification is a system call.
        if visitors > 0 {
            self.turn.notify_all();
        } else if queued > 0 {
            self.turn.notify_one();
        }
        changed
    }

    /// Wakes those who wait for this set as a source to look again.
    ///
    /// `pending`: the set's owner has something to tell that is not in the set;
    /// `at`: it will have.
    #[allow(dead_code, reason = "for sets with timers")]
    pub(crate) fn publish(&self, pending: bool, at: Option<Instant>) -> io::Result<()> {
        let mut state = self.lock();
        (state.pending, state.pending_at) = (pending, at);
        state.tell_observers()
    }

    /// How much a wait would find; takes nothing away. What the owner has to tell beside counts as one.
    pub(crate) fn peek_count(&self) -> io::Result<usize> {
        let until = Until::NOW;
        let Some(state) = self.turn(&mut { until.deadline })? else { return Ok(0) };
        let (mut state, waited, _) = self.wait_host(state, &until);
        state.see();
        let mut found = 0;
        let mut closed = Vec::new();
        for (at, flags) in state.told() {
            let slot = &state.slots[at];
            if flags.contains(PollFlags::NVAL) || slot.source.identity() != slot.identity {
                closed.push(at);
            } else {
                found += 1;
            }
        }
        for at in closed {
            let key = state.heads[at].key(at);
            state.vacate(at);
            state.owed.push((key, PollFlags::NVAL));
        }
        let due = state.pending_at.is_some_and(|at| at <= Instant::now());
        found += usize::from(state.pending || due);
        self.go_on(state);
        waited.map(|_| found)
    }
}

impl Set for Scan {
    fn id(&self) -> u64 {
        self.id
    }

    fn peek(&self) -> io::Result<bool> {
        Ok(self.peek_count()? > 0)
    }

    fn observe(self: Arc<Scan>, watch: &mut Watch<'_>) {
        let mut state = self.lock();
        if let Some(wake) = watch.take(Arc::clone(&self) as Arc<dyn Set>) {
            state.observers.push(wake);
        }
        if state.sets == 0 {
            return;
        }
        for slot in state.slots.iter().filter(|slot| slot.listed) {
            if let Member::Set(set) = &slot.source {
                if let Some(set) = set.get() {
                    set.observe(watch);
                }
            }
        }
    }

    fn let_go(&self, wake: &Arc<Wake>) {
        self.lock().observers.retain(|other| !Arc::ptr_eq(other, wake));
    }

    fn members(&self, put: &mut dyn FnMut(&Held, PollFlags), again: &mut Option<Instant>) {
        let state = self.lock();
        for slot in state.slots.iter().filter(|slot| slot.listed) {
            match &slot.source {
                Member::Host(held) => slot.rest().into_iter().for_each(|rest| put(held, rest)),
                Member::Set(set) => {
                    let asked = slot.rest().is_some_and(|rest| rest.intersects(nested::READY));
                    if let (Some(set), true) = (set.get(), asked) {
                        set.members(put, again);
                    }
                }
            }
        }
        *again = earlier(earlier(*again, state.again()), state.pending_at);
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        nested::forget(self.id);
    }
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Scan").field(&self.id).finish()
    }
}

impl Backend for Scan {
    const NAME: &'static str = HostList::NAME;
    const CAPS: Caps = Caps { edge: true, identity: false, numbers: 0, side_by_side: false };
    type Buffer = Vec<(Key, PollFlags)>;

    #[inline]
    fn new() -> io::Result<Scan> {
        static IDS: AtomicU64 = AtomicU64::new(FIRST_SET);

        alone::find_out();
        let wake = Wake::new()?;
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        Ok(Scan { id, state: Lock::default(), turn: Turn::new(), wake })
    }

    fn as_source(set: &Arc<Scan>) -> Source<'_> {
        Source::of_set(set)
    }

    /// Without what it takes to be a source, which most programs do not need.
    fn raw(set: &Arc<Scan>) -> RawSource {
        RawSource::Set(set.id)
    }

    fn add(&self, key: Key, source: &Member, want: PollFlags, mode: Mode) -> io::Result<Added> {
        if let Member::Set(set) = source {
            set.enter(self.id)?;
        }
        self.put(key, source, want, mode).map(|()| Added::Watched)
    }

    fn modify(&self, key: Key, source: &Member, want: PollFlags, mode: Mode) -> io::Result<()> {
        self.put(key, source, want, mode)
    }

    fn delete(&self, key: Key, source: &Member) -> io::Result<()> {
        let change = Change::End { key };
        let Member::Set(set) = source else { return self.change(change) };
        // Another thread may have the list and look into the set. Not before it is out
        // of the list may the set hold this one: they would wait for each other.
        let Some(mut state) = self.turn(&mut { Deadline::NOW })? else { return Ok(()) };
        state.apply(change);
        set.leave(self.id);
        let woken = state.tell_observers();
        self.go_on(state);
        woken
    }

    fn rearm(&self, key: Key) -> io::Result<()> {
        self.change(Change::Rearm { key })
    }

    fn wait(
        &self,
        out: &mut Vec<(Key, PollFlags)>,
        most: usize,
        until: &Until<'_>,
    ) -> io::Result<()> {
        out.clear();
        match self.wait_at_once(most, until, || Some(Keeping { out }))? {
            AtOnce::Told(_) => Ok(()),
            AtOnce::Failed => {
                let mut until = *until;
                until.deadline.refresh();
                self.wait_with_buffer(out, most, &until)
            }
            AtOnce::NotTried => self.wait_with_buffer(out, most, until),
        }
    }

    #[cold]
    fn wait_with_buffer(
        &self,
        out: &mut Vec<(Key, PollFlags)>,
        most: usize,
        until: &Until<'_>,
    ) -> io::Result<()> {
        out.clear();
        let mut deadline = until.deadline;
        // Whether to wait for what is not quiet alone, after a look at all that is wanted.
        let mut narrow = false;
        loop {
            let Some(mut state) = self.turn(&mut deadline)? else { return Ok(()) };
            let quiet = !state.quiet.is_empty();
            state.pay(out);
            let mut this = deadline;
            if !out.is_empty() || (quiet && !narrow) {
                // What is quiet may be so no longer.
                this = Deadline::NOW;
            } else if let Some(again) = state.again() {
                this = deadline.or_at(Some(again), Instant::now());
            }
            if narrow {
                state.narrow(true);
            }
            let until = Until { deadline: this, signals: until.signals };
            let (mut state, waited, _) = self.wait_host(state, &until);
            if narrow {
                state.narrow(false);
            }
            let ready = match waited {
                Ok(ready) => ready,
                Err(error) => {
                    // To be told by the next one.
                    state.owed.append(out);
                    self.go_on(state);
                    return Err(error);
                }
            };
            let is_quiet = |at: usize| state.slots.get(at).is_some_and(|slot| slot.quiet);
            if narrow && state.list.ready().any(|(at, _)| is_quiet(at)) {
                // An edge tells all that its source is ready for: look.
                self.go_on(state);
                narrow = false;
                continue;
            }
            if quiet && !narrow {
                state.see();
            }
            if ready > 0 {
                state.collect(out, ready, most);
            }
            // Somebody may have called `wake` meanwhile.
            state.pay(out);
            let changed = self.go_on(state);

            // A wait that only took in changes goes on, and so does one for edges.
            let over = ready == 0 && !changed && !quiet;
            if !out.is_empty() || over || deadline.passed() {
                return Ok(());
            }
            narrow = quiet && !narrow && !changed;
        }
    }

    #[inline]
    fn wait_at_once<T: Taker>(
        &self,
        most: usize,
        until: &Until<'_>,
        begin: impl FnOnce() -> Option<T>,
    ) -> io::Result<AtOnce> {
        let mut state = self.lock();
        if !state.is_ordinary() {
            return Ok(AtOnce::NotTried);
        }
        let sleeps = !until.deadline.is_now();
        let (mut waited, mut disturbed) = (Ok(0), false);
        if sleeps && state.glances(until) {
            let now = Until { deadline: Deadline::NOW, ..*until };
            (state, waited, disturbed) = self.wait_host(state, &now);
            state.glances.learn(!matches!(waited, Ok(0)));
        }
        if matches!(waited, Ok(0)) && !disturbed {
            (state, waited, disturbed) = self.wait_host(state, until);
        }
        let told = match waited {
            Ok(0) if !(disturbed && sleeps) => Ok(AtOnce::Told(0)),
            Ok(ready) if !disturbed => {
                let told = begin().is_some_and(|mut to| state.tell(ready, most, &mut to));
                Ok(if told { AtOnce::Told(ready.min(most)) } else { AtOnce::Failed })
            }
            Ok(_) => Ok(AtOnce::Failed),
            Err(error) => Err(error),
        };
        self.go_on(state);
        told
    }

    const PLAIN: bool = HostList::PLAIN && !THREADS;

    #[inline]
    fn wait_plainly(&self, most: usize, until: &Until<'_>, mut to: impl Taker) -> usize {
        let mut state = self.lock();
        if !state.is_ordinary() {
            return 0;
        }
        let ready = state.list.wait_plainly(most, until);
        if ready == 0 {
            return 0;
        }
        let State { list, heads, .. } = &mut *state;
        let key = |at: usize| heads.get(at).map(|head| head.key(at));
        if to.take(list.ready_plainly(), key) { ready } else { 0 }
    }

    fn events(out: &Self::Buffer) -> impl Iterator<Item = (Key, PollFlags)> {
        out.iter().copied()
    }

    fn wake(&self) -> io::Result<()> {
        let mut state = self.lock();
        let wake = (Key::WAKE, PollFlags::empty());
        if !state.owed.contains(&wake) {
            state.owed.push(wake);
        }
        if state.busy { self.kick(&mut state) } else { Ok(()) }
    }

    /// Nothing is left behind in a host that keeps nothing.
    fn rebuild(
        &self,
        _live: impl Iterator<Item = (Key, Member, PollFlags, Mode)>,
    ) -> io::Result<()> {
        Ok(())
    }
}
