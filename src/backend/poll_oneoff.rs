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

use super::List;
use crate::flags::PollFlags;
use crate::index::Index;
use crate::source::{Held, RawSource};
use crate::timeout::Until;

mod asked;
mod clock;
mod host;
mod known;
mod odd;

use asked::Asked;
pub(crate) use clock::{Deadline, Instant};
use host::{Errno, Event, Events, FOR_EVER, READ};
use odd::Trust;

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
    host::filetype(fd as u32).map(host::is_file).map_err(host::error)
}

/// How much there is to read of a descriptor that is ready, where the host says. Hosts
/// that do not know say 0 or 1. Looks only.
pub(crate) fn bytes(source: &Held) -> Option<u64> {
    let Held::Fd(fd) = *source;
    let (error, bytes) = host::look(fd as u32, READ).ok()??;
    (error == wasi::ERRNO_SUCCESS && bytes > 1).then_some(bytes)
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

const EITHER: PollFlags = PollFlags::IN.union(PollFlags::OUT);
const NOWHERE: u32 = u32::MAX;
/// The descriptor and the direction of standard input in a name.
const STDIN: u32 = 0;

/// The array that `poll_oneoff` takes, and what it is made from.
#[derive(Default)]
pub(crate) struct OneoffList {
    slots: Vec<Slot>,
    /// The slots' descriptors. Several slots may share one.
    descriptors: Vec<Descriptor>,
    vacant: Vec<u32>,
    index: Index,
    /// What is asked of the host: one subscription a direction.
    asked: Asked,
    /// How many descriptors are to be looked at before each wait, because the host is
    /// not asked all that is wanted of them.
    looked: usize,
    /// The number of descriptors that are asked in both directions.
    doubled: u32,
    /// Standard input is asked for something to read.
    stdin: bool,
    /// What the host is trusted with, with nothing to be looked at before.
    trust: Trust,
    /// What the host said to all that is asked, where a plain wait came to nothing.
    said: Option<Result<(), Errno>>,
    /// What is asked of a host that needs to be asked twice.
    scratch: Asked,
    /// What the host told last. Once a wait is over: what is ready, in order of slots.
    events: Events,
    /// How much a wait with several calls has found, and whether it is of standard input.
    found: usize,
    found_stdin: bool,
}

#[derive(Clone, Copy)]
struct Slot {
    /// `NOWHERE`: the slot is vacant.
    descriptor: u32,
    /// The next slot of the same descriptor.
    next: u32,
    want: PollFlags,
    /// What a wait with several calls has found so far.
    found: PollFlags,
}

impl Slot {
    const VACANT: Slot = Slot {
        descriptor: NOWHERE,
        next: NOWHERE,
        want: PollFlags::empty(),
        found: PollFlags::empty(),
    };
}

struct Descriptor {
    fd: u32,
    /// What it is asked for by: see [`host::name`].
    name: u64,
    /// Its first slot. `NOWHERE`: this place is vacant.
    first: u32,
    /// Where its subscriptions are in `asked`.
    at: [u32; 2],
    /// What its slots want together.
    want: PollFlags,
    /// Directions that the host is not asked about: it cannot wait for them, and they
    /// are always ready; or there is no such direction.
    always: PollFlags,
    never: PollFlags,
    filetype: Option<host::Filetype>,
    /// It is to be looked at.
    looked: bool,
}

impl Descriptor {
    const VACANT: Descriptor = Descriptor {
        fd: 0,
        name: 0,
        first: NOWHERE,
        at: [NOWHERE; 2],
        want: PollFlags::empty(),
        always: PollFlags::empty(),
        never: PollFlags::empty(),
        filetype: None,
        looked: false,
    };
}

impl List for OneoffList {
    const NAME: &'static str = "poll_oneoff";

    fn put(&mut self, slot: usize, source: &Held, want: PollFlags) {
        let Held::Fd(fd) = *source;
        if slot < self.slots.len() {
            self.vacate(slot);
        } else {
            self.slots.push(Slot::VACANT);
        }
        let at = match self.index.get(source.raw().code()) {
            Some(at) => at,
            None => self.new_descriptor(fd),
        };
        let first = std::mem::replace(&mut self.descriptor(at).first, slot as u32);
        self.slots[slot] =
            Slot { descriptor: at, next: first, want: want & EITHER, ..Slot::VACANT };
        self.set_looked(at, true);
        self.update(at);
    }

    fn source(&self, slot: usize) -> Option<RawSource> {
        let descriptor = self.descriptors.get(self.slots.get(slot)?.descriptor as usize)?;
        Some(RawSource::Fd(descriptor.fd as i32))
    }

    fn set(&mut self, slot: usize, want: PollFlags) {
        let slot = &mut self.slots[slot];
        slot.want = want & EITHER;
        let at = slot.descriptor;
        self.update(at);
    }

    fn vacate(&mut self, slot: usize) {
        let Slot { descriptor: at, next, .. } = self.slots[slot];
        let Some(descriptor) = self.descriptors.get_mut(at as usize) else { return };
        if descriptor.first == slot as u32 {
            descriptor.first = next;
        } else {
            let mut before = descriptor.first as usize;
            while self.slots[before].next != slot as u32 {
                before = self.slots[before].next as usize;
            }
            self.slots[before].next = next;
        }
        self.update(at);
        // Not before: it was asked for by the name of this slot.
        self.slots[slot].descriptor = NOWHERE;
    }

    fn len(&self) -> usize {
        self.slots.len()
    }

    fn truncate(&mut self, slots: usize) {
        while slots < self.slots.len() {
            self.vacate(self.slots.len() - 1);
            self.slots.pop();
        }
    }

    fn compact(&mut self, mut moved: impl FnMut(usize, usize)) {
        for descriptor in &mut self.descriptors {
            descriptor.first = NOWHERE;
        }
        let mut to = 0;
        for from in 0..self.slots.len() {
            let slot = self.slots[from];
            if slot.descriptor == NOWHERE {
                continue;
            }
            let first = &mut self.descriptors[slot.descriptor as usize].first;
            self.slots[to] = Slot { next: *first, ..slot };
            *first = to as u32;
            moved(from, to);
            to += 1;
        }
        self.slots.truncate(to);
        for at in 0..self.descriptors.len() as u32 {
            if self.descriptor(at).first != NOWHERE {
                self.update(at);
            }
        }
    }

    fn wait(&mut self, until: &Until<'_>) -> io::Result<usize> {
        if self.said.is_none() {
            let ready = self.wait_for(until.deadline.nanos());
            if ready > 0 {
                return Ok(ready);
            }
        }
        self.wait_warily(*until)
    }

    const PLAIN: bool = true;

    #[inline]
    fn wait_plainly(&mut self, most: usize, until: &Until<'_>) -> usize {
        let ready = self.wait_for(until.deadline.nanos());
        if ready > most {
            self.said = Some(Ok(()));
            return 0;
        }
        ready
    }

    #[inline]
    fn ready_plainly(&self) -> impl Iterator<Item = (usize, PollFlags)> {
        Plainly(self.events.iter())
    }

    #[inline]
    fn slots_plainly(&self) -> impl Iterator<Item = usize> {
        self.events.iter().map(|event| host::slot(event.userdata))
    }

    #[inline]
    fn ready(&self) -> impl Iterator<Item = (usize, PollFlags)> {
        self.events.iter().map(|event| (host::slot(event.userdata), flags(event)))
    }

    #[inline]
    fn ready_sources(&self) -> impl Iterator<Item = (RawSource, PollFlags)> {
        let source = |event: &Event| RawSource::Fd(host::fd(event.userdata) as i32);
        self.events.iter().map(move |event| (source(event), flags(event)))
    }
}

/// What is ready by the names alone. (Not a `Map`, of which `fold` is not inlined without LTO.)
struct Plainly<'a>(std::slice::Iter<'a, Event>);

impl Plainly<'_> {
    #[inline]
    fn told(event: &Event) -> (usize, PollFlags) {
        (host::slot(event.userdata), host::flag(host::direction(event.userdata)))
    }
}

impl Iterator for Plainly<'_> {
    type Item = (usize, PollFlags);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(Plainly::told)
    }

    #[inline]
    fn fold<R, F: FnMut(R, Self::Item) -> R>(self, begin: R, mut fold: F) -> R {
        self.0.fold(begin, |before, event| fold(before, Plainly::told(event)))
    }
}

/// What an event of those that are ready tells: more than its direction, if there is more.
#[inline]
fn flags(event: &Event) -> PollFlags {
    match event.fd_readwrite.flags {
        0 => host::flag(host::direction(event.userdata)),
        flags => PollFlags::from_bits_retain(flags),
    }
}

/// Keeping the array.
impl OneoffList {
    fn descriptor(&mut self, at: u32) -> &mut Descriptor {
        &mut self.descriptors[at as usize]
    }

    fn new_descriptor(&mut self, fd: i32) -> u32 {
        let at = self.vacant.pop().unwrap_or_else(|| {
            self.descriptors.push(Descriptor::VACANT);
            self.descriptors.len() as u32 - 1
        });
        self.index.insert(RawSource::Fd(fd).code(), at);
        let place = self.descriptor(at);
        *place = Descriptor { fd: fd as u32, looked: place.looked, ..Descriptor::VACANT };
        at
    }

    /// Whether it has to be looked at before the next wait.
    fn set_looked(&mut self, at: u32, looked: bool) {
        let before = std::mem::replace(&mut self.descriptor(at).looked, looked);
        self.looked = self.looked + usize::from(looked) - usize::from(before);
    }

    /// Its slots are others, or want something else.
    fn update(&mut self, at: u32) {
        let Some(descriptor) = self.descriptors.get_mut(at as usize) else { return };
        let (mut want, mut count) = (PollFlags::empty(), 0);
        let mut next = descriptor.first;
        while let Some(slot) = self.slots.get(next as usize) {
            want |= slot.want;
            count += 1;
            next = slot.next;
        }
        descriptor.want = want;
        let Descriptor { fd, first, at: places, looked, .. } = *descriptor;
        let known = descriptor.always | descriptor.never;
        if count > 0 {
            descriptor.name = host::name(first, fd, count > 1);
            for direction in host::DIRECTIONS {
                if let Some(asked) = self.asked.get_mut(places[direction] as usize) {
                    asked.userdata = descriptor.name | direction as u64;
                }
            }
        }
        // What has to be looked at is asked for then.
        self.ask_for(at, want - known, !looked);
        if count == 0 {
            self.index.remove(RawSource::Fd(fd as i32).code());
            self.vacant.push(at);
        } else if want.is_empty() || want.intersects(known) {
            self.set_looked(at, true);
        }
        self.weigh();
    }

    /// Asks the host about these directions, and about no other: of new ones if `more`.
    fn ask_for(&mut self, at: u32, want: PollFlags, more: bool) {
        for direction in host::DIRECTIONS {
            let descriptor = self.descriptor(at);
            let (name, fd) = (descriptor.name, descriptor.fd);
            let place = descriptor.at[direction];
            let other = descriptor.at[1 - direction] != NOWHERE;
            if want.contains(host::flag(direction)) {
                if place == NOWHERE && more {
                    self.descriptor(at).at[direction] = self.asked.len() as u32;
                    self.asked.push(host::subscription(fd, name, direction));
                    self.doubled += u32::from(other);
                    self.stdin |= fd == 0 && direction == READ;
                }
            } else if place != NOWHERE {
                self.descriptor(at).at[direction] = NOWHERE;
                self.doubled -= u32::from(other);
                self.stdin &= fd != 0 || direction != READ;
                self.asked.swap_remove(place as usize);
                if let Some(moved) = self.asked.get(place as usize) {
                    let name = moved.userdata;
                    let moved = self.named(name);
                    self.descriptor(moved).at[host::direction(name)] = place;
                }
            }
        }
    }

    /// The descriptor behind a name; of another name, one that does not have it, or none.
    fn named(&self, name: u64) -> u32 {
        let slot = self.slots.get(host::slot(name & !host::SHARED));
        slot.map_or(NOWHERE, |slot| slot.descriptor)
    }
}

/// Waiting.
impl OneoffList {
    /// Answers what the host is not asked: regular files and directories, which
    /// are always ready, and descriptors that are not open. `all`: at what the host is
    /// asked, too.
    fn look(&mut self, all: bool) {
        if !all && self.looked == 0 {
            return;
        }
        // In order: so they are asked, and so most hosts tell of them.
        for at in 0..self.descriptors.len() as u32 {
            let descriptor = self.descriptor(at);
            if descriptor.looked || (all && descriptor.at != [NOWHERE; 2]) {
                let again = self.look_once(at);
                self.set_looked(at, again);
            }
        }
    }

    /// Whether it has to be looked at before the next wait, too.
    fn look_once(&mut self, at: u32) -> bool {
        let descriptor = &mut self.descriptors[at as usize];
        if descriptor.first == NOWHERE {
            return false;
        }
        let want = descriptor.want;
        let filetype = host::filetype(descriptor.fd);
        if filetype == Err(wasi::ERRNO_BADF) {
            self.ask_for(at, PollFlags::empty(), false);
            self.tell(at, PollFlags::NVAL);
            return true;
        }
        let filetype = filetype.unwrap_or(wasi::FILETYPE_UNKNOWN);
        if descriptor.filetype != Some(filetype) {
            descriptor.filetype = Some(filetype);
            descriptor.never = PollFlags::empty();
            descriptor.always = if host::is_file(filetype) { EITHER } else { PollFlags::empty() };
        }
        let always = want & descriptor.always;
        let known = always | (want & descriptor.never);
        self.ask_for(at, want - known, true);
        self.tell(at, always);
        want.is_empty() || !known.is_empty()
    }

    /// A wait with a host that does all as it should: how many slots are ready. 0: it takes
    /// more than that.
    // Not to be copied into other crates.
    fn wait_for(&mut self, left: u64) -> usize {
        let Some(time) = self.trust.with(left) else { return 0 };
        let answer = self.ask(time);
        if answer.is_ok() && self.is_in_order() {
            return self.events.len();
        }
        self.said = Some(answer);
        0
    }

    /// One call with all that is asked and the clock.
    #[inline]
    fn ask(&mut self, left: u64) -> Result<(), Errno> {
        let asked = if left == FOR_EVER { &self.asked } else { self.asked.in_time(left) };
        self.events.ask(asked)
    }

    /// Whether what the host told of all that was asked is what is ready, and there is
    /// something: one event a slot, in order, and nothing odd.
    #[inline]
    fn is_in_order(&mut self) -> bool {
        let OneoffList { events, trust, .. } = self;
        // No error and no hang-up; and not both directions of one, nor out of order, nor of
        // several slots.
        let is_plain = |event: &Event, last: u64| {
            let odd = event.error.raw() | event.fd_readwrite.flags;
            odd == 0 && host::is_next(event.userdata, last)
        };
        // Mostly it is one.
        let Some((first, others)) = events.split_first() else { return false };
        if !is_plain(first, 0) {
            return false;
        }
        let mut last = first.userdata;
        for event in others {
            if !is_plain(event, last) {
                return false;
            }
            last = event.userdata;
        }
        if last == host::CLOCK {
            events.pop();
            if events.is_empty() {
                return false;
            }
        }
        events.len() < trust.doubt || self.is_beyond_doubt()
    }

    /// Whether it is what is ready although it is all that was asked, and whether all is
    /// known of standard input: it is ready, or had its time.
    fn is_beyond_doubt(&self) -> bool {
        let OneoffList { events, asked, .. } = self;
        if events.len() >= asked.len()
            && !known::tells_some(asked.len())
            && events.iter().any(|event| event.fd_readwrite.nbytes == 0)
        {
            return false;
        }
        if !self.stdin {
            return true;
        }
        if events.iter().any(|event| event.userdata as u32 == STDIN) {
            known::forget(known::STDIN_ASKED);
            return true;
        }
        known::all(known::STDIN_ASKED)
    }

    /// The slots of a descriptor that want these flags, or any if they come unasked,
    /// are ready.
    fn tell(&mut self, at: u32, flags: PollFlags) {
        let Descriptor { fd, first, .. } = self.descriptors[at as usize];
        let mut next = first;
        while let Some(slot) = self.slots.get_mut(next as usize) {
            let flags = flags & (slot.want | PollFlags::UNASKED);
            if !flags.is_empty() {
                slot.found |= flags;
                self.found += 1;
                self.found_stdin |= fd == 0;
            }
            next = slot.next;
        }
    }

    /// Makes events of what was found, in the order of slots, one each.
    fn sum_up(&mut self) {
        self.events.clear();
        (self.found, self.found_stdin) = (0, false);
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let found = std::mem::replace(&mut slot.found, PollFlags::empty());
            if !found.is_empty() {
                let fd = self.descriptors[slot.descriptor as usize].fd;
                let name = host::name(at as u32, fd, false);
                self.events.push(host::event(name, found.bits()));
            }
        }
    }
}
