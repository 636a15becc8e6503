//! `poll_oneoff`: WASI 0.1.
//!
//! One call takes an array of subscriptions, one a direction of a descriptor and
//! one for the clock, and answers with an event for each that has happened. The
//! array is kept between waits, and a wait costs what is ready in it.
//!
//! What hosts get wrong is in `odd`; this file is the ordinary case.
//!
//! [poll_oneoff](https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#-poll_oneoffin-constpointersubscription-out-pointerevent-nsubscriptions-size---resultsize-errno)

use std::io;
use std::time::Duration;

use super::List;
use crate::flags::PollFlags;
use crate::source::{Held, Index, RawSource};
use crate::timeout::{Deadline, Until};

mod host;
mod known;
mod odd;

use host::{Errno, Event, READ, Subscription, WRITE};
use odd::OFTEN;

/// The error of a call on a descriptor that is not open: `EBADF`.
pub(crate) const NOT_OPEN: i32 = wasi::ERRNO_BADF.raw() as i32;

/// Whether a source is open and can be waited on.
pub(crate) fn check_source(source: &Held) -> io::Result<()> {
    let Held::Fd(fd) = *source;
    host::filetype(fd as u32).map(drop).map_err(host::error)
}

/// Whether a source is always ready, because it is a file or a directory.
pub(crate) fn is_file(source: &Held) -> io::Result<bool> {
    let Held::Fd(fd) = *source;
    let filetype = host::filetype(fd as u32).map_err(host::error)?;
    Ok(matches!(filetype, wasi::FILETYPE_REGULAR_FILE | wasi::FILETYPE_DIRECTORY))
}

/// How much there is to read of a descriptor that is ready, where the host says. Hosts
/// that do not know say 0 or 1. Looks only.
pub(crate) fn bytes(source: &Held) -> Option<u64> {
    let Held::Fd(fd) = *source;
    host::bytes(fd as u32).filter(|bytes| *bytes > 1)
}

/// There are no signals.
#[derive(Clone, Copy)]
pub(crate) enum SignalSet {}

/// There is nothing that one thread could end another's wait with.
pub(crate) struct Wake;

impl Wake {
    pub(crate) fn new() -> io::Result<Wake> {
        Ok(Wake)
    }

    pub(crate) fn source(&self) -> Option<Held> {
        None
    }

    pub(crate) fn wake(&self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn drain(&self) {}
}

/// The flags of the two directions, by index.
const FLAGS: [PollFlags; 2] = [PollFlags::IN, PollFlags::OUT];
const NOWHERE: u32 = u32::MAX;
/// Hosts that count whole milliseconds take less for nothing.
const MILLISECOND: Duration = Duration::from_millis(1);

/// The array that `poll_oneoff` takes, and what it is made from.
#[derive(Default)]
pub(crate) struct OneoffList {
    slots: Vec<Slot>,
    /// The slots' numbers. `NOWHERE`: the slot is vacant.
    fds: Vec<u32>,
    /// If no slot is vacant and all want the same: what.
    all_want: Option<PollFlags>,
    /// The slots' descriptors. Several slots may share one.
    descriptors: Vec<Descriptor>,
    vacant: Vec<u32>,
    index: Index,
    /// What is asked of the host: one subscription a direction.
    asked: Vec<Subscription>,
    /// Descriptors to look at before each wait, because the host is not asked
    /// all that is wanted of them.
    looked: Vec<u32>,
    /// The number of descriptors that are asked in both directions.
    doubled: u32,
    /// Some source was not asked yet, or not since it was last readable.
    fresh: bool,
    /// What the slots watched before they were all taken away.
    before: Vec<u32>,
    /// What is asked of a host that needs to be asked twice.
    scratch: Vec<Subscription>,
    events: Vec<Event>,
    /// By slot once the wait is over.
    ready: Vec<Ready>,
    /// To put them into that order.
    by_slot: Vec<PollFlags>,
}

struct Slot {
    /// `NOWHERE`: the slot is vacant.
    descriptor: u32,
    want: PollFlags,
    /// The next slot of the same descriptor.
    next: u32,
}

#[derive(Clone, Copy)]
struct Ready {
    slot: u32,
    fd: u32,
    flags: PollFlags,
}

struct Descriptor {
    fd: u32,
    /// Its first slot. `NOWHERE`: this place is vacant.
    first: u32,
    /// What its slots want together.
    want: PollFlags,
    /// Where its subscriptions are in `asked`.
    at: [u32; 2],
    /// Who answers for it.
    answer: [Answer; 2],
    filetype: Option<host::Filetype>,
    looked: bool,
    /// It has one slot, and is not standard input.
    plain: bool,
}

/// Who answers for a direction of an open descriptor that is no file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Host,
    /// Always ready, for the host cannot wait for it.
    Ready,
    /// Never ready: it has no such direction.
    Never,
}

impl List for OneoffList {
    const NAME: &'static str = "poll_oneoff";

    fn put(&mut self, slot: usize, source: &Held, want: PollFlags) {
        let Held::Fd(fd) = *source;
        let want = want & (PollFlags::IN | PollFlags::OUT);
        if slot < self.slots.len() {
            self.vacate(slot);
        } else {
            self.slots.push(Slot { descriptor: NOWHERE, want, next: NOWHERE });
            self.fds.push(NOWHERE);
        }
        self.all_want = None;
        let at = match self.index.get(source.raw()) {
            Some(at) => at,
            None => self.new_descriptor(fd),
        };
        self.fresh |= self.before.get(slot) != Some(&(fd as u32));
        let descriptor = &mut self.descriptors[at as usize];
        self.slots[slot] = Slot { descriptor: at, want, next: descriptor.first };
        self.fds[slot] = fd as u32;
        descriptor.first = slot as u32;
        descriptor.want |= want;
        self.settle(at);
        self.look_at(at);
    }

    fn refill(&mut self, mut sources: impl Iterator<Item = Held>, want: PollFlags) {
        let want = want & (PollFlags::IN | PollFlags::OUT);
        let mut same = 0;
        let mut next = None;
        if self.all_want == Some(want) {
            for known in &self.fds {
                let Some(Held::Fd(fd)) = sources.next() else { break };
                if fd as u32 != *known {
                    next = Some(Held::Fd(fd));
                    break;
                }
                same += 1;
            }
        }
        if same < self.slots.len() {
            self.truncate(same);
        }
        for source in next.into_iter().chain(sources) {
            self.put(self.slots.len(), &source, want);
        }
        self.all_want = Some(want);
    }

    fn source(&self, slot: usize) -> Option<RawSource> {
        let fd = *self.fds.get(slot)?;
        (fd != NOWHERE).then_some(RawSource::Fd(fd as i32))
    }

    fn set(&mut self, slot: usize, want: PollFlags) {
        let want = want & (PollFlags::IN | PollFlags::OUT);
        let slot = &mut self.slots[slot];
        if slot.descriptor != NOWHERE && slot.want != want {
            slot.want = want;
            self.all_want = None;
            let at = slot.descriptor;
            self.wants_changed(at);
        }
    }

    fn vacate(&mut self, slot: usize) {
        let Slot { descriptor: at, next, .. } = self.slots[slot];
        if at == NOWHERE {
            return;
        }
        self.slots[slot].descriptor = NOWHERE;
        self.fds[slot] = NOWHERE;
        self.all_want = None;
        let descriptor = &mut self.descriptors[at as usize];
        if descriptor.first == slot as u32 {
            descriptor.first = next;
        } else {
            let mut before = descriptor.first as usize;
            while self.slots[before].next != slot as u32 {
                before = self.slots[before].next as usize;
            }
            self.slots[before].next = next;
        }
        self.settle(at);
        self.wants_changed(at);
        let descriptor = &self.descriptors[at as usize];
        if descriptor.first == NOWHERE {
            self.index.remove(RawSource::Fd(descriptor.fd as i32));
            self.vacant.push(at);
        }
    }

    fn len(&self) -> usize {
        self.slots.len()
    }

    fn truncate(&mut self, slots: usize) {
        if slots > 0 {
            for slot in slots..self.slots.len() {
                self.vacate(slot);
            }
            self.slots.truncate(slots);
            self.fds.truncate(slots);
            return;
        }
        std::mem::swap(&mut self.before, &mut self.fds);
        self.fds.clear();
        self.all_want = None;
        for descriptor in self.descriptors.drain(..) {
            self.index.remove(RawSource::Fd(descriptor.fd as i32));
        }
        self.slots.clear();
        self.vacant.clear();
        self.asked.clear();
        self.looked.clear();
        self.doubled = 0;
    }

    fn compact(&mut self, mut moved: impl FnMut(usize, usize)) {
        for descriptor in &mut self.descriptors {
            descriptor.first = NOWHERE;
        }
        let mut to = 0;
        for from in 0..self.slots.len() {
            let Slot { descriptor: at, want, .. } = self.slots[from];
            if at == NOWHERE {
                continue;
            }
            let first = &mut self.descriptors[at as usize].first;
            self.slots[to] = Slot { descriptor: at, want, next: *first };
            *first = to as u32;
            self.fds[to] = self.fds[from];
            moved(from, to);
            to += 1;
        }
        self.slots.truncate(to);
        self.fds.truncate(to);
        for at in 0..self.descriptors.len() {
            self.settle(at as u32);
        }
    }

    fn wait(&mut self, until: Until<'_>) -> io::Result<usize> {
        self.ready.clear();
        self.look();
        if !self.asked.is_empty() {
            self.beware();
        }
        let mut deadline = until.deadline;
        let mut turn = None;
        while !self.asked.is_empty() {
            let asked = self.asked.len();
            let left = if self.ready.is_empty() { deadline.left() } else { Some(Duration::ZERO) };
            let told = match self.trusts_host(left) {
                true => self.ask(left).map(|told| self.gather(told)),
                false => self.ask_warily(left, &mut turn),
            };
            let told = match told {
                Ok(told) => told,
                Err(errno) => {
                    self.refused(errno, until.signals)?;
                    0
                }
            };
            if self.asked.len() < asked {
                // The host would not wait for all of it: the rest was not asked.
                deadline.refresh();
                continue;
            }
            let short = OneoffList::is_short(left);
            if short && told == 0 && (left == Some(Duration::ZERO) || deadline.passed()) {
                self.ask_again();
            }
            self.ask_second(if short { OFTEN } else { 1 });
            if !self.ready.is_empty() {
                self.ask_stdin();
                break;
            }
            if deadline.passed() {
                break;
            }
            deadline.not_less_than(MILLISECOND);
        }
        if self.ready.is_empty() {
            self.sleep(deadline)?;
        }
        Ok(self.sum_up())
    }

    fn ready(&self) -> impl Iterator<Item = (usize, PollFlags)> {
        self.ready.iter().map(|one| (one.slot as usize, one.flags))
    }

    #[inline]
    fn ready_sources(&self) -> impl Iterator<Item = (RawSource, PollFlags)> {
        self.ready.iter().map(|one| (RawSource::Fd(one.fd as i32), one.flags))
    }
}

/// Keeping the array.
impl OneoffList {
    /// Its slots are others.
    fn settle(&mut self, at: u32) {
        let Descriptor { fd, first, .. } = self.descriptors[at as usize];
        let next = self.slots.get(first as usize).map(|slot| slot.next);
        self.descriptors[at as usize].plain = next == Some(NOWHERE) && fd != 0;
    }

    fn new_descriptor(&mut self, fd: i32) -> u32 {
        let new = Descriptor {
            fd: fd as u32,
            first: NOWHERE,
            want: PollFlags::empty(),
            at: [NOWHERE; 2],
            answer: [Answer::Host; 2],
            filetype: None,
            looked: false,
            plain: false,
        };
        let at = match self.vacant.pop() {
            Some(at) => {
                let looked = self.descriptors[at as usize].looked;
                self.descriptors[at as usize] = Descriptor { looked, ..new };
                at
            }
            None => {
                self.descriptors.push(new);
                self.descriptors.len() as u32 - 1
            }
        };
        self.index.insert(RawSource::Fd(fd), at);
        at
    }

    fn look_at(&mut self, at: u32) {
        let descriptor = &mut self.descriptors[at as usize];
        if !descriptor.looked {
            descriptor.looked = true;
            self.looked.push(at);
        }
    }

    /// Its slots want something else than before, or are others.
    fn wants_changed(&mut self, at: u32) {
        let mut want = PollFlags::empty();
        let mut slot = self.descriptors[at as usize].first;
        while slot != NOWHERE {
            want |= self.slots[slot as usize].want;
            slot = self.slots[slot as usize].next;
        }
        let descriptor = &mut self.descriptors[at as usize];
        descriptor.want = want;
        let known = !descriptor.looked;
        for direction in [READ, WRITE] {
            if !want.contains(FLAGS[direction]) {
                self.unask(at, direction);
            } else if known {
                self.ask_for(at, direction);
            }
        }
        if want.is_empty() {
            self.look_at(at);
        }
    }

    fn ask_for(&mut self, at: u32, direction: usize) {
        let descriptor = &mut self.descriptors[at as usize];
        if descriptor.at[direction] == NOWHERE {
            descriptor.at[direction] = self.asked.len() as u32;
            self.asked.push(host::subscription(descriptor.fd, at, direction));
            self.doubled += u32::from(descriptor.at[1 - direction] != NOWHERE);
        }
    }

    fn unask(&mut self, at: u32, direction: usize) {
        let descriptor = &mut self.descriptors[at as usize];
        let hole = std::mem::replace(&mut descriptor.at[direction], NOWHERE);
        if hole == NOWHERE {
            return;
        }
        self.doubled -= u32::from(descriptor.at[1 - direction] != NOWHERE);
        self.asked.swap_remove(hole as usize);
        let moved = self.asked.get(hole as usize).and_then(|last| host::named(last.userdata));
        if let Some((at, direction)) = moved {
            self.descriptors[at].at[direction] = hole;
        }
    }
}

/// An event that says more than that there is something to read or room to write,
/// or says it of several slots or of standard input.
fn is_odd(event: &Event, descriptor: &Descriptor) -> bool {
    let hangup = event.fd_readwrite.flags & wasi::EVENTRWFLAGS_FD_READWRITE_HANGUP;
    event.error != wasi::ERRNO_SUCCESS || hangup != 0 || !descriptor.plain
}

/// Waiting.
impl OneoffList {
    /// Answers what the host is not asked: regular files and directories, which
    /// are always ready, and descriptors that are not open.
    fn look(&mut self) {
        if self.looked.is_empty() {
            return;
        }
        // In order: so they are asked, and so most hosts tell of them.
        let mut looked = std::mem::take(&mut self.looked);
        looked.retain(|&at| {
            let again = self.look_once(at);
            self.descriptors[at as usize].looked = again;
            again
        });
        self.looked = looked;
    }

    /// Whether it has to be looked at before the next wait, too.
    fn look_once(&mut self, at: u32) -> bool {
        let Descriptor { fd, first, want, answer, filetype, .. } = self.descriptors[at as usize];
        if first == NOWHERE {
            return false;
        }
        let now = match host::filetype(fd) {
            Ok(now) => now,
            Err(wasi::ERRNO_BADF) => {
                self.unask(at, READ);
                self.unask(at, WRITE);
                self.tell(at, PollFlags::NVAL, None);
                return true;
            }
            Err(_) => wasi::FILETYPE_UNKNOWN,
        };
        let answer = match now {
            wasi::FILETYPE_REGULAR_FILE | wasi::FILETYPE_DIRECTORY => [Answer::Ready; 2],
            _ if filetype == Some(now) => answer,
            _ => [Answer::Host; 2],
        };
        let descriptor = &mut self.descriptors[at as usize];
        descriptor.filetype = Some(now);
        descriptor.answer = answer;
        let mut again = want.is_empty();
        for direction in [READ, WRITE] {
            if !want.contains(FLAGS[direction]) {
                continue;
            }
            if answer[direction] == Answer::Host {
                self.ask_for(at, direction);
                continue;
            }
            again = true;
            self.unask(at, direction);
            if answer[direction] == Answer::Ready {
                self.tell(at, FLAGS[direction], Some(direction));
            }
        }
        again
    }

    /// One call with all that is asked and the clock: the number of events.
    fn ask(&mut self, left: Option<Duration>) -> Result<usize, Errno> {
        let Some(left) = left else { return host::poll(&self.asked, &mut self.events) };
        self.asked.push(host::clock(left));
        let told = host::poll(&self.asked, &mut self.events);
        self.asked.pop();
        told
    }

    /// Takes in the events of a call, and counts those about sources. The clock's
    /// is of no interest: the time is.
    fn gather(&mut self, told: usize) -> usize {
        let OneoffList { events, descriptors, ready, .. } = self;
        let (events, descriptors) = (&events[..told.min(events.len())], &descriptors[..]);
        let (mut about_sources, mut odd, mut read) = (0, 0, false);
        for event in events {
            let Some((at, direction)) = host::named(event.userdata) else { continue };
            let Some(descriptor) = descriptors.get(at) else { continue };
            // Hosts tell of what nobody asked.
            if descriptor.at[direction] == NOWHERE {
                continue;
            }
            about_sources += 1;
            if is_odd(event, descriptor) {
                odd += 1;
                continue;
            }
            read |= direction == READ;
            let flags = if direction == READ { PollFlags::IN } else { PollFlags::OUT };
            ready.push(Ready { slot: descriptor.first, fd: descriptor.fd, flags });
        }
        self.fresh |= read;
        if odd > 0 {
            self.gather_odd(told);
        }
        about_sources
    }

    #[cold]
    fn gather_odd(&mut self, told: usize) {
        for event in 0..told {
            let event = self.events[event];
            if let Some((at, direction)) = self.is_about(&event) {
                if is_odd(&event, &self.descriptors[at]) {
                    self.take_in_odd(&event, at, direction);
                }
            }
        }
    }

    /// Whether it is about a source.
    fn take_in(&mut self, event: &Event) -> bool {
        let Some((at, direction)) = self.is_about(event) else { return false };
        if is_odd(event, &self.descriptors[at]) {
            self.take_in_odd(event, at, direction);
        } else {
            self.fresh |= direction == READ;
            self.tell(at as u32, FLAGS[direction], Some(direction));
        }
        true
    }

    /// An error, a hang-up, several slots, or standard input.
    #[cold]
    fn take_in_odd(&mut self, event: &Event, at: usize, direction: usize) {
        if event.error != wasi::ERRNO_SUCCESS {
            self.refuse(at, direction, event.error);
            return;
        }
        let fd = self.descriptors[at].fd;
        let mut flags = FLAGS[direction];
        if event.fd_readwrite.flags & wasi::EVENTRWFLAGS_FD_READWRITE_HANGUP != 0 {
            flags |= PollFlags::HUP;
            if fd == 0 && direction == WRITE {
                // Nobody writes to standard input: the other end did, and is gone.
                flags = PollFlags::HUP;
            }
        }
        if direction == READ {
            self.fresh = true;
            if fd == 0 {
                known::forget(known::STDIN_ASKED);
            }
        }
        self.tell(at as u32, flags, Some(direction));
    }

    /// The descriptor and the direction that an event is about. Hosts tell of
    /// what nobody asked.
    fn is_about(&self, event: &Event) -> Option<(usize, usize)> {
        let (at, direction) = host::named(event.userdata)?;
        let asked = self.descriptors.get(at)?.at[direction] != NOWHERE;
        asked.then_some((at, direction))
    }

    /// The slots of a descriptor that want a direction, or all, are ready.
    fn tell(&mut self, at: u32, flags: PollFlags, direction: Option<usize>) {
        let Descriptor { fd, first, .. } = self.descriptors[at as usize];
        let mut slot = first;
        while let Some(&Slot { want, next, .. }) = self.slots.get(slot as usize) {
            if direction.is_none_or(|direction| want.contains(FLAGS[direction])) {
                self.ready.push(Ready { slot, fd, flags });
            }
            slot = next;
        }
    }

    /// Puts what is ready into order, one entry a slot.
    fn sum_up(&mut self) -> usize {
        // As in the order of slots they were asked, mostly.
        if !self.ready.is_sorted_by(|one, next| one.slot < next.slot) {
            self.put_into_order();
        }
        self.ready.len()
    }

    #[cold]
    fn put_into_order(&mut self) {
        let OneoffList { ready, fds, by_slot, .. } = self;
        by_slot.clear();
        by_slot.resize(fds.len(), PollFlags::empty());
        for one in ready.drain(..) {
            by_slot[one.slot as usize] |= one.flags;
        }
        let told = by_slot.iter().enumerate().filter(|(_, flags)| !flags.is_empty());
        ready.extend(told.map(|(slot, &flags)| Ready { slot: slot as u32, fd: fds[slot], flags }));
    }

    /// Waits for the clock alone.
    fn sleep(&mut self, mut deadline: Deadline) -> io::Result<()> {
        while let Some(left) = deadline.left() {
            if left.is_zero() {
                return Ok(());
            }
            host::poll(&[host::clock(left)], &mut self.events).map_err(host::error)?;
            if deadline.passed() {
                return Ok(());
            }
            deadline.not_less_than(MILLISECOND);
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "nothing can end this wait: no source that could become ready, and no timeout",
        ))
    }
}
