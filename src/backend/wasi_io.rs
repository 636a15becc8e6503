//! `wasi:io/poll` and `wasi:clocks/monotonic-clock`: WASI 0.2.
//!
//! - [poll](https://github.com/WebAssembly/wasi-io/blob/main/wit/poll.wit),
//!   [monotonic-clock](https://github.com/WebAssembly/wasi-clocks/blob/main/wit/monotonic-clock.wit)
//!
//! A wait is one call of the host, which gets the whole list and a pollable of the
//! clock for the timeout. It answers with at least one index, in any order. It
//! traps on an empty list and on a pollable that was dropped: the first never
//! gets there, and what is in a list is owned by it.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use std::{fmt, io};

use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::Pollable as HostPollable;

use super::List;
use crate::error::endless;
use crate::flags::PollFlags;
use crate::source::{Held, RawSource};
use crate::timeout::{Deadline, Until};

mod descriptor;
mod host;
#[cfg(all(feature = "net", target_env = "p1"))]
mod socket;

pub(crate) use descriptor::{check_descriptor, is_file_descriptor};
#[cfg(all(feature = "net", target_env = "p1"))]
pub(crate) use socket::{tcp, udp};

#[cfg(target_feature = "atomics")]
compile_error!("a WASI 0.2 component has one thread: build without the feature `wasi-io`");

/// The error of a call on a descriptor that is not open.
pub(crate) const NOT_OPEN: i32 = libc::EBADF;

#[derive(Clone, Copy)]
pub(crate) struct SignalSet;

/// Nobody else can wake a thread that waits: it is the only one.
pub(crate) struct Wake;

impl Wake {
    pub(crate) fn new() -> io::Result<Wake> {
        Ok(Wake)
    }

    pub(crate) fn source(&self) -> Option<Held> {
        None
    }

    #[expect(clippy::unused_self, reason = "elsewhere it does something")]
    pub(crate) fn wake(&self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn drain(&self) {}
}

/// Whether a source is open and can be waited on.
pub(crate) fn check_source(source: &Held) -> io::Result<()> {
    match source {
        Held::Fd(fd) => check_descriptor(*fd),
        Held::Pollable(_) => Ok(()),
        Held::NetSocket(socket) if socket.known() == PollFlags::NVAL => {
            Err(io::Error::from_raw_os_error(NOT_OPEN))
        }
        Held::NetSocket(_) => Ok(()),
    }
}

/// Whether a source is a file or a directory, which is always ready.
pub(crate) fn is_file(source: &Held) -> io::Result<bool> {
    match source {
        Held::Fd(fd) => is_file_descriptor(*fd),
        Held::Pollable(_) | Held::NetSocket(_) => check_source(source).map(|()| false),
    }
}

/// What a pollable can mean: it is ready, and knows no directions.
const EITHER: PollFlags = PollFlags::IN.union(PollFlags::OUT);

/// For how long what gives false alarms is not asked: it doubles from the first to
/// the last.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(16)];

/// The slot of what is asked for ourselves: connections that were closed while the
/// host still sends.
#[cfg(all(feature = "net", target_env = "p1"))]
const NOBODY: u32 = u32::MAX;

/// Which of the pollables of a socket or a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Its own: a connection that is made or comes in.
    State,
    Input,
    Output,
}

/// A socket, which has several pollables and knows better than the host what it is
/// ready for. A registration shares it and does not keep it open: when its last
/// owner is gone it is not open, whoever still knows it.
pub(crate) type Socket = Arc<dyn NetSocket>;

pub(crate) trait NetSocket: fmt::Debug + Send + Sync {
    /// Its number.
    fn name(&self) -> u32;

    /// What is known without asking the host; `NVAL` once it is closed.
    fn known(&self) -> PollFlags;

    /// How much there is to read, as far as it was read ahead: bytes of a stream, or
    /// of the first datagram.
    fn bytes(&self) -> Option<u64>;

    /// What the host has to be asked for the rest of what is wanted.
    fn ask(&self, want: PollFlags, ask: &mut dyn FnMut(&HostPollable, Side));

    /// The host says that one side is ready: sees whether it is, and what is known
    /// then. It drops no pollable.
    fn look(&self, want: PollFlags, side: Side) -> PollFlags;
}

/// How much there is to read, where that is known. Looks only.
pub(crate) fn bytes(source: &Held) -> Option<u64> {
    match source {
        Held::NetSocket(socket) => socket.bytes(),
        _ => None,
    }
}

/// The array that `poll` takes, and what its entries belong to.
#[derive(Default)]
pub(crate) struct PollableList {
    slots: Vec<Slot>,
    /// The slots whose source is looked at anew at each wait: not bare pollables.
    others: Vec<u32>,
    /// What the host is given: the handles of the bare pollables, kept from wait to
    /// wait, then of those that this wait alone is about.
    asked: Vec<u32>,
    /// By the same index, where an answer goes.
    answers: Vec<(u32, Side)>,
    /// How many are kept.
    kept: usize,
    /// The slots have changed since: `others` and what is kept are to be made anew.
    stale: bool,
    timer: Option<(Instant, HostPollable)>,
    /// What the host answers: indices of the array, in any order.
    told: Vec<u32>,
    ready: Bits,
    descriptors: descriptor::Descriptors,
    /// What was ready in this wait, and nothing came of it; and what that happened to
    /// again: a false alarm that some hosts never end.
    alarms: Vec<(u32, Side)>,
    liars: Vec<(u32, Side)>,
    /// Standard input's index, if this wait asks for it and it was not ready yet.
    stdin: Option<usize>,
}

struct Slot {
    /// There is none where the slot is vacant, or a set's.
    source: Option<Held>,
    /// Its name, which is two calls to ask for.
    raw: Option<RawSource>,
    want: PollFlags,
    got: PollFlags,
}

/// A set of slots that is read in their order.
#[derive(Default)]
struct Bits {
    words: Vec<u32>,
    count: usize,
}

impl Bits {
    /// Makes room for slots below `len`, and leaves none in it.
    fn resize(&mut self, len: usize) {
        self.words.resize(len.div_ceil(32), 0);
        self.clear();
    }

    #[inline]
    fn clear(&mut self) {
        match &mut self.words[..] {
            // To fill memory is a call of the host's.
            [word] => *word = 0,
            words => words.fill(0),
        }
        self.count = 0;
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[inline]
    fn insert(&mut self, slots: impl Iterator<Item = u32>) {
        // Not in memory meanwhile.
        let mut count = self.count;
        for slot in slots {
            let Some(word) = self.words.get_mut(slot as usize / 32) else { continue };
            let before = *word;
            *word = before | 1 << (slot % 32);
            count += usize::from(*word != before);
        }
        self.count = count;
    }

    #[inline]
    fn iter(&self) -> BitsIter<'_> {
        BitsIter { words: self.words.iter(), word: 0, next: 0 }
    }
}

struct BitsIter<'a> {
    words: std::slice::Iter<'a, u32>,
    /// What is left of the word before the next ones.
    word: u32,
    /// Where those begin.
    next: usize,
}

impl Iterator for BitsIter<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.word == 0 {
            self.word = *self.words.next()?;
            self.next += 32;
        }
        let bit = self.word.trailing_zeros() as usize;
        self.word &= self.word - 1;
        Some(self.next - 32 + bit)
    }
}

impl List for PollableList {
    const NAME: &'static str = "wasi_io";

    fn put(&mut self, slot: usize, source: &Held, want: PollFlags) {
        let (raw, got) = (Some(source.raw()), PollFlags::empty());
        self.put_slot(slot, Slot { source: Some(source.clone()), raw, want, got });
    }

    fn put_set(&mut self, slot: usize, id: u64) {
        let (raw, nothing) = (Some(RawSource::Set(id)), PollFlags::empty());
        self.put_slot(slot, Slot { source: None, raw, want: nothing, got: nothing });
    }

    fn tell(&mut self, slot: usize, flags: PollFlags) {
        self.slots[slot].got = flags;
        self.ready.insert(std::iter::once(slot as u32));
    }

    fn set(&mut self, slot: usize, want: PollFlags) {
        if self.slots[slot].want != want {
            self.change();
            self.slots[slot].want = want;
        }
    }

    fn vacate(&mut self, slot: usize) {
        self.change();
        let slot = &mut self.slots[slot];
        (slot.source, slot.raw) = (None, None);
        (slot.want, slot.got) = (PollFlags::empty(), PollFlags::empty());
    }

    fn owns_some(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot.source, Some(Held::Pollable(_))))
    }

    fn source(&self, slot: usize) -> Option<RawSource> {
        self.slots.get(slot)?.raw
    }

    fn len(&self) -> usize {
        self.slots.len()
    }

    fn truncate(&mut self, slots: usize) {
        if slots < self.slots.len() {
            self.change();
            self.slots.truncate(slots);
        }
    }

    fn compact(&mut self, mut moved: impl FnMut(usize, usize)) {
        self.change();
        let (mut from, mut to) = (0, 0);
        self.slots.retain(|slot| {
            let stays = slot.raw.is_some();
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
        if self.stale {
            self.keep();
        }
        self.ready.clear();
        let mut deadline = until.deadline;
        // The ordinary case, apart from the others, which would make it slower.
        if self.kept > 0 && self.is_plain() {
            self.ask(deadline.left(), deadline.at());
            self.take_in();
            if !self.ready.is_empty() || deadline.left().is_some() && deadline.passed() {
                return Ok(self.ready.count);
            }
        }
        self.wait_for_all(deadline)
    }

    #[inline]
    fn ready(&self) -> impl Iterator<Item = (usize, PollFlags)> {
        self.ready.iter().filter_map(|slot| Some((slot, self.slots.get(slot)?.got)))
    }

    #[inline]
    fn ready_sources(&self) -> impl Iterator<Item = (RawSource, PollFlags)> {
        self.ready.iter().filter_map(|slot| {
            let Slot { raw, got, .. } = self.slots.get(slot)?;
            Some(((*raw)?, *got))
        })
    }
}

impl PollableList {
    fn put_slot(&mut self, slot: usize, new: Slot) {
        self.change();
        match self.slots.get_mut(slot) {
            Some(vacant) => *vacant = new,
            None => self.slots.push(new),
        }
    }

    /// Whether all that is asked is kept: there are bare pollables alone.
    #[inline]
    fn is_plain(&self) -> bool {
        #[cfg(all(feature = "net", target_env = "p1"))]
        if socket::lingers() {
            return false;
        }
        self.others.is_empty()
    }

    /// Takes in what the host told of what is kept.
    #[inline]
    fn take_in(&mut self) {
        let kept = &self.answers[..self.kept];
        let slot = |&index: &u32| Some(kept.get(index as usize)?.0);
        match &self.told[..] {
            // Mostly it is one.
            [one] => self.ready.insert(slot(one).into_iter()),
            told => self.ready.insert(told.iter().filter_map(slot)),
        }
    }

    /// Any wait.
    #[inline(never)] // or the ordinary one has its prologue
    fn wait_for_all(&mut self, mut deadline: Deadline) -> io::Result<usize> {
        let short = deadline.left().is_some_and(|left| left < descriptor::STARTING);
        self.alarms.clear();
        for &slot in &self.others {
            self.slots[slot as usize].got = PollFlags::empty();
        }
        let mut pause = PAUSES[0];
        loop {
            self.look_at_others();
            let most = self.pass_over_liars().then_some(pause);
            #[cfg(all(feature = "net", target_env = "p1"))]
            socket::sweep(&mut |pollable| self.ask_for(pollable, NOBODY, Side::Output));
            let done = self.wait_once(&mut deadline, most);
            if most.is_some() {
                pause = (pause * 2).min(PAUSES[1]);
            }
            // The clock is read only if it matters.
            let over = self.ready.is_empty() && deadline.left().is_some() && deadline.passed();
            if !self.ready.is_empty() || short && over {
                self.ask_stdin();
            }
            self.forget(self.kept);
            if done? || over || !self.ready.is_empty() {
                return Ok(self.ready.count);
            }
        }
    }

    /// Before anything is dropped: no entry of the array outlives its pollable.
    fn change(&mut self) {
        self.forget(0);
        self.kept = 0;
        self.stale = true;
    }

    fn forget(&mut self, from: usize) {
        self.asked.truncate(from);
        self.answers.truncate(from);
    }

    /// A slot owns the pollable, or the socket that has it. `change` takes the entry
    /// out before a slot lets go of one, and what a socket has is taken out at the end
    /// of the wait: in between nothing else runs.
    fn ask_for(&mut self, pollable: &HostPollable, slot: u32, side: Side) {
        self.asked.push(pollable.handle());
        self.answers.push((slot, side));
    }

    /// Makes the part of the array that stays.
    #[cold]
    fn keep(&mut self) {
        self.others.clear();
        self.descriptors.clear();
        let mut slots = std::mem::take(&mut self.slots);
        for (at, slot) in slots.iter_mut().enumerate() {
            match &slot.source {
                None => {}
                Some(Held::Pollable(_)) if !slot.want.intersects(EITHER) => {}
                Some(Held::Pollable(pollable)) => {
                    // What it is told with, whenever it is ready.
                    slot.got = slot.want & EITHER;
                    self.asked.push(pollable.handle());
                    self.answers.push((at as u32, Side::State));
                }
                Some(_) => self.others.push(at as u32),
            }
        }
        self.slots = slots;
        self.ready.resize(self.slots.len());
        self.kept = self.asked.len();
        self.stale = false;
    }

    fn found(&mut self, slot: u32, flags: PollFlags) {
        let found = &mut self.slots[slot as usize];
        let flags = flags & (found.want | PollFlags::UNASKED);
        if flags.is_empty() {
            return;
        }
        if found.got.is_empty() {
            self.ready.insert([slot].into_iter());
        }
        found.got |= flags;
    }

    /// What is known of descriptors and sockets already, and what has to be asked.
    fn look_at_others(&mut self) {
        self.stdin = None;
        if self.others.is_empty() {
            return;
        }
        self.descriptors.clear();
        let others = std::mem::take(&mut self.others);
        for &slot in &others {
            let Slot { source, want, .. } = &self.slots[slot as usize];
            let want = *want;
            match source {
                Some(Held::Fd(fd)) => {
                    let fd = *fd;
                    match descriptor::look(fd, want) {
                        descriptor::Look::Known(flags) => self.found(slot, flags),
                        descriptor::Look::Ask(pollable, side) => {
                            if fd == 0 {
                                self.stdin = Some(self.asked.len());
                            }
                            self.ask_for(pollable, slot, side);
                        }
                        descriptor::Look::Libc => self.descriptors.push(fd, want, slot),
                        descriptor::Look::Never => {}
                    }
                }
                Some(Held::NetSocket(socket)) => {
                    let socket = socket.clone();
                    self.found(slot, socket.known());
                    socket.ask(want, &mut |pollable, side| self.ask_for(pollable, slot, side));
                }
                Some(Held::Pollable(_)) | None => {}
            }
        }
        self.others = others;
    }

    /// One call of the host. `true`: there was nothing to wait for.
    fn wait_once(&mut self, deadline: &mut Deadline, most: Option<Duration>) -> io::Result<bool> {
        if !self.descriptors.is_empty() {
            return self.wait_for_descriptors(deadline);
        }
        if self.asked.is_empty() && !self.ready.is_empty() {
            return Ok(true);
        }
        let left = if self.ready.is_empty() { deadline.left() } else { Some(Duration::ZERO) };
        match (left, most) {
            (Some(Duration::ZERO), _) if self.asked.is_empty() => return Ok(true),
            (left, Some(most)) if left.is_none_or(|left| left > most) => {
                self.call(Some(most), None)
            }
            (None, _) if self.asked.is_empty() => return Err(endless()),
            _ => self.call(left, deadline.at()),
        }
        Ok(false)
    }

    /// Calls the host with the array and a timeout.
    #[inline]
    fn ask(&mut self, left: Option<Duration>, at: Option<Instant>) {
        match left {
            None => self.ask_host(),
            Some(Duration::ZERO) => self.ask_host_with(now()),
            Some(left) => self.ask_host_in_time(left, at),
        }
    }

    fn ask_host_in_time(&mut self, left: Duration, at: Option<Instant>) {
        let timer = match (self.timer.take(), at) {
            // The timer of the wait before, for the same moment.
            (Some((then, timer)), Some(at)) if then == at => timer,
            _ => after(left),
        };
        self.ask_host_with(&timer);
        // One that the host fired too early is of no more use.
        if !self.told.contains(&(self.asked.len() as u32)) {
            self.timer = at.map(|at| (at, timer));
        }
    }

    /// The same, and takes in what it answers.
    fn call(&mut self, left: Option<Duration>, at: Option<Instant>) {
        self.ask(left, at);
        self.take_in();
        if self.answers.len() > self.kept {
            let told = std::mem::take(&mut self.told);
            for index in told.iter().map(|&index| index as usize) {
                match self.answers.get(index) {
                    Some(&(slot, side)) if index >= self.kept => self.told(slot, side),
                    _ => {} // taken in, or the clock
                }
            }
            self.told = told;
        }
    }

    /// The host says that one side of a socket or a descriptor is ready.
    fn told(&mut self, slot: u32, side: Side) {
        let Some(Slot { source, want, .. }) = self.slots.get(slot as usize) else { return };
        let flags = match source {
            Some(Held::NetSocket(socket)) => socket.look(*want, side),
            _ => match side {
                Side::State => EITHER,
                Side::Input => {
                    descriptor::stdin_was_ready();
                    self.stdin = None;
                    PollFlags::IN
                }
                Side::Output => PollFlags::OUT,
            },
        };
        if flags.is_empty() {
            let alarm = (slot, side);
            let list =
                if self.alarms.contains(&alarm) { &mut self.liars } else { &mut self.alarms };
            list.push(alarm);
        }
        self.found(slot, flags);
    }

    /// Leaves out of the next call what has given false alarms: whether there was any.
    fn pass_over_liars(&mut self) -> bool {
        if self.liars.is_empty() {
            return false;
        }
        for index in (self.kept..self.asked.len()).rev() {
            if self.liars.contains(&self.answers[index]) {
                self.asked.remove(index);
                self.answers.remove(index);
                self.stdin = self.stdin.map(|at| at - usize::from(at > index));
            }
        }
        self.liars.clear();
        true
    }

    /// A wait ends in which standard input had no time to become ready. Some hosts
    /// begin to read when it is asked for.
    fn ask_stdin(&mut self) {
        let Some(at) = self.stdin else { return };
        let Some(time) = descriptor::take_time_for_stdin() else { return };
        let clock = after(time);
        host::poll(&[self.asked[at], clock.handle()], &mut self.told);
        if !self.told.contains(&0) {
            return;
        }
        for index in self.kept..self.answers.len() {
            let (slot, side) = self.answers[index];
            let source = self.slots.get(slot as usize).and_then(|slot| slot.source.as_ref());
            if side == Side::Input && matches!(source, Some(Held::Fd(0))) {
                self.told(slot, side);
            }
        }
    }

    #[inline]
    fn ask_host(&mut self) {
        host::poll(&self.asked, &mut self.told);
    }

    /// With one more pollable, which is taken out again.
    fn ask_host_with(&mut self, clock: &HostPollable) {
        self.asked.push(clock.handle());
        self.ask_host();
        self.asked.pop();
    }
}

/// A pollable of the clock.
pub(crate) fn after(left: Duration) -> HostPollable {
    monotonic_clock::subscribe_duration(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX))
}

/// A pollable that is always ready, made once. A timer of zero, because at one of
/// those wasmtime lets its sockets have their turn.
fn now() -> &'static HostPollable {
    static NOW: OnceLock<HostPollable> = OnceLock::new();
    NOW.get_or_init(|| monotonic_clock::subscribe_duration(0))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::pollable::Pollable;
    use crate::timeout::Signals;

    pub(super) static CALLS: AtomicU32 = AtomicU32::new(0);

    fn wait(list: &mut PollableList, deadline: Deadline) -> (usize, u32) {
        let before = CALLS.load(Ordering::Relaxed);
        let ready = list.wait(&Until { deadline, signals: Signals::Resume }).unwrap();
        (ready, CALLS.load(Ordering::Relaxed) - before)
    }

    fn list(times: impl Iterator<Item = Duration>) -> PollableList {
        let mut list = PollableList::default();
        for (slot, time) in times.enumerate() {
            list.put(slot, &Held::Pollable(Pollable::from(after(time))), PollFlags::IN);
        }
        list
    }

    #[test]
    fn ten_idle_seconds_over_a_thousand_pollables_are_one_call() {
        let mut list = list((0..1000).map(|_| Duration::from_secs(1000)));
        let begin = Instant::now();
        let ten = Duration::from_secs(10);
        assert_eq!(wait(&mut list, Deadline::after(Some(ten))), (0, 1));
        assert!(begin.elapsed() >= ten);
    }

    #[test]
    fn a_wait_that_finds_something_is_one_call() {
        let mut list = list((0..1000).map(|_| Duration::ZERO));
        for deadline in [Deadline::NEVER, Deadline::NOW] {
            assert_eq!(wait(&mut list, deadline), (1000, 1));
        }
        assert!(list.ready().map(|(slot, _)| slot).eq(0..1000));
    }

    /// Ready, says the host, and nothing comes of it.
    #[derive(Debug)]
    struct Liar(HostPollable);

    impl NetSocket for Liar {
        fn name(&self) -> u32 {
            1 << 31
        }

        fn known(&self) -> PollFlags {
            PollFlags::empty()
        }

        fn bytes(&self) -> Option<u64> {
            None
        }

        fn ask(&self, _: PollFlags, ask: &mut dyn FnMut(&HostPollable, Side)) {
            ask(&self.0, Side::Input);
        }

        fn look(&self, _: PollFlags, _: Side) -> PollFlags {
            PollFlags::empty()
        }
    }

    #[test]
    fn a_false_alarm_that_never_ends_is_no_spin() {
        let mut list = list([Duration::from_millis(200)].into_iter());
        let liar = Arc::new(Liar(after(Duration::ZERO)));
        list.put(1, &Held::NetSocket(liar), PollFlags::IN);
        let begin = Instant::now();
        let (ready, calls) = wait(&mut list, Deadline::NEVER);
        assert!(ready == 1 && begin.elapsed() >= Duration::from_millis(190));
        assert!(calls <= 2 * 20, "{calls} calls");
        list.vacate(0);
        let (ready, calls) = wait(&mut list, Deadline::after(Some(Duration::from_millis(100))));
        assert!(ready == 0 && calls <= 2 * 14, "{calls} calls");
    }

    #[test]
    fn an_empty_list_is_no_call() {
        let mut list = PollableList::default();
        assert_eq!(wait(&mut list, Deadline::NOW), (0, 0));
        let never = Until { deadline: Deadline::NEVER, signals: Signals::Resume };
        assert_eq!(list.wait(&never).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_deadline_that_stays_keeps_its_timer() {
        let mut list = list([Duration::ZERO].into_iter());
        let deadline = Deadline::after(Some(Duration::from_secs(100)));
        assert_eq!(wait(&mut list, deadline), (1, 1));
        let timer = list.timer.as_ref().unwrap().1.handle();
        assert_eq!(wait(&mut list, deadline), (1, 1));
        assert_eq!(list.timer.as_ref().unwrap().1.handle(), timer);
        wait(&mut list, Deadline::after(Some(Duration::from_secs(200))));
        assert_ne!(list.timer.as_ref().unwrap().1.handle(), timer);
    }

    #[test]
    fn slots_are_told_in_their_order_and_vacant_ones_never() {
        let mut list = list((0..300).map(|_| Duration::ZERO));
        for slot in (0..300).step_by(2) {
            list.vacate(slot);
        }
        assert_eq!(wait(&mut list, Deadline::NEVER), (150, 1));
        assert!(list.ready().map(|(slot, _)| slot).eq((1..300).step_by(2)));
        let mut moves = Vec::new();
        list.compact(|from, to| moves.push((from, to)));
        assert!(moves.iter().copied().eq((0..150).map(|to| (2 * to + 1, to))));
        assert_eq!(wait(&mut list, Deadline::NEVER), (150, 1));
        assert!(list.ready().map(|(slot, _)| slot).eq(0..150));
    }
}
