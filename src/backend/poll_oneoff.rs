//! `poll_oneoff`: WASI 0.1.
//!
//! One call takes an array of subscriptions, one a direction of a descriptor and
//! one for the clock, and answers with an event for each that has happened. The
//! array is made when what is wanted has changed, and kept between waits: such a wait costs
//! what is ready in it.
//!
//! What hosts get wrong is in `odd`; this file is the ordinary case.
//!
//! [poll_oneoff](https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#-poll_oneoffin-constpointersubscription-out-pointerevent-nsubscriptions-size---resultsize-errno)

use std::io;

use super::{List, grow};
use crate::flags::PollFlags;
use crate::source::{Held, RawSource};
use crate::timeout::Until;

mod clock;
mod host;
mod known;
mod odd;

pub(crate) use clock::{Deadline, Instant};
use host::{Errno, Event, Events, FOR_EVER, Place, Subscription};
use odd::Trust;

/// The error of a call on a descriptor that is not open: `EBADF`.
pub(crate) const NOT_OPEN: i32 = wasi::ERRNO_BADF.raw() as i32;

/// Whether a source is open and can be waited on.
pub(crate) fn check_source(source: &Held) -> io::Result<()> {
    is_file(source).map(drop)
}

/// Whether a source is always ready, because it is a file or a directory.
pub(crate) fn is_file(source: &Held) -> io::Result<bool> {
    let Held::Fd(fd) = *source;
    match host::filetype(fd as u32) {
        host::CLOSED => Err(io::Error::from_raw_os_error(NOT_OPEN)),
        filetype => Ok(host::is_file(filetype)),
    }
}

/// How much there is to read of a descriptor that is ready, where the host says. Hosts
/// that do not know say 0 or 1. Looks only.
pub(crate) fn bytes(source: &Held) -> Option<u64> {
    let Held::Fd(fd) = *source;
    host::bytes(fd as u32).filter(|&bytes| bytes > 1)
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
/// The descriptor of standard input.
const STDIN: u32 = 0;

/// What is wanted, and the array that `poll_oneoff` takes.
#[derive(Default)]
pub(crate) struct OneoffList {
    slots: Vec<Slot>,
    /// What is asked of the host: one subscription a direction, in order of slots, and the
    /// clock behind them.
    asked: Vec<Subscription>,
    /// What the host told last. Once a wait is over: what is ready, in order of slots.
    events: Events,
    /// The array is to be made anew: other things are wanted; or before each wait: there are
    /// slots to be looked at.
    stale: bool,
    beside: bool,
    /// Where standard input is asked for something to read, if it is.
    stdin: Place,
    /// Descriptors are asked in both directions, and the host may keep silent about the second.
    doubled: bool,
    /// Several slots may have one descriptor, and some want the same of it: it is asked once.
    shared: bool,
    merged: bool,
    /// The last bit of each time (which is cheaper than a comparison): 1 where a time of zero
    /// may be for ever.
    least: u64,
    trust: Trust,
    /// What the host said to all that is asked, where a plain wait came to nothing.
    said: Option<Result<(), Errno>>,
    /// Something was found by a wait with several calls.
    found: bool,
}

#[derive(Clone, Copy)]
struct Slot {
    /// The number of a descriptor, or of a set.
    fd: u32,
    want: PollFlags,
    /// The directions that the host is not asked about: it cannot wait for them, or there are
    /// none; and what they are always ready for.
    refused: PollFlags,
    always: PollFlags,
    /// What a wait with several calls has found so far.
    found: PollFlags,
    /// Or that there is none.
    filetype: host::Filetype,
    /// It is to be looked at before the next wait.
    looked: bool,
}

impl Slot {
    const NONE: Slot = Slot {
        fd: u32::MAX,
        want: PollFlags::empty(),
        refused: PollFlags::empty(),
        always: PollFlags::empty(),
        found: PollFlags::empty(),
        filetype: host::VACANT,
        looked: true,
    };

    /// Whether the host is not asked all that is wanted of it, or nothing is wanted: it has to
    /// be looked at before each wait.
    fn is_beside(&self) -> bool {
        self.want.is_empty() || self.want.intersects(self.refused)
    }

    /// It is ready for these, if it wants them, or they come unasked. Whether that is something.
    fn tell(&mut self, flags: PollFlags) -> bool {
        self.found |= flags & (self.want | PollFlags::UNASKED);
        !self.found.is_empty()
    }
}

impl List for OneoffList {
    const NAME: &'static str = "poll_oneoff";

    fn put(&mut self, slot: usize, source: &Held, want: PollFlags) {
        let Held::Fd(fd) = *source;
        self.put_number(slot, fd as u32, want, host::UNSEEN);
    }

    fn put_set(&mut self, slot: usize, id: u64) {
        self.put_number(slot, id as u32, PollFlags::empty(), host::SET);
    }

    fn share(&mut self) {
        self.shared = true;
    }

    fn tell(&mut self, slot: usize, flags: PollFlags) {
        let event = Event::new(slot, flags);
        let place = self.events.partition_point(|other| other.place < event.place);
        grow::push(&mut self.events, event);
        self.events[place..].rotate_right(1);
    }

    fn source(&self, slot: usize) -> Option<RawSource> {
        let Slot { fd, filetype, .. } = *self.slots.get(slot)?;
        match filetype {
            host::VACANT => None,
            host::SET => Some(RawSource::Set(fd.into())),
            _ => Some(RawSource::Fd(fd as i32)),
        }
    }

    fn set(&mut self, slot: usize, want: PollFlags) {
        let Some(slot) = self.slots.get_mut(slot) else { return };
        if slot.want != want & EITHER {
            self.stale = true;
            slot.want = want & EITHER;
            slot.looked |= slot.is_beside();
        }
    }

    fn vacate(&mut self, slot: usize) {
        self.stale = true;
        if let Some(slot) = self.slots.get_mut(slot) {
            *slot = Slot::NONE;
        }
    }

    fn len(&self) -> usize {
        self.slots.len()
    }

    fn truncate(&mut self, slots: usize) {
        self.stale = true;
        self.slots.truncate(slots);
        while self.events.last().is_some_and(|event| event.slot() >= slots) {
            self.events.pop();
        }
    }

    fn compact(&mut self, mut moved: impl FnMut(usize, usize)) {
        self.stale = true;
        let mut to = 0;
        for from in 0..self.slots.len() {
            let slot = self.slots[from];
            if slot.filetype != host::VACANT {
                self.slots[to] = slot;
                moved(from, to);
                to += 1;
            }
        }
        self.slots.truncate(to);
    }

    fn wait(&mut self, until: &Until<'_>) -> io::Result<usize> {
        let left = until.deadline.nanos();
        let new = self.stale || self.beside;
        if new {
            self.prepare();
        }
        // Of a host that is not trusted with it there is something to be learnt.
        if self.said.is_none() && (!new || self.trust.with(left) == Some(left)) {
            let ready = self.wait_for(left);
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
        self.events.iter().map(|event| event.slot())
    }

    #[inline]
    fn ready(&self) -> impl Iterator<Item = (usize, PollFlags)> {
        Ready(self.events.iter())
    }
}

/// What is ready. (Not a `Map`, of which `next` and `fold` are not inlined without LTO.)
struct Ready<'a>(std::slice::Iter<'a, Event>);

impl Iterator for Ready<'_> {
    type Item = (usize, PollFlags);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|event| (event.slot(), event.flags()))
    }
}

/// The same by the directions alone.
struct Plainly<'a>(std::slice::Iter<'a, Event>);

impl Plainly<'_> {
    #[inline]
    fn told(event: &Event) -> (usize, PollFlags) {
        (event.slot(), event.flag)
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

impl OneoffList {
    fn put_number(&mut self, at: usize, fd: u32, want: PollFlags, filetype: host::Filetype) {
        self.stale = true;
        if at == self.slots.len() {
            grow::push(&mut self.slots, Slot::NONE);
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Slot { fd, want: want & EITHER, filetype, ..Slot::NONE };
        }
    }

    /// The number of subscriptions, without the clock.
    #[inline]
    fn sources(&self) -> usize {
        self.asked.len().saturating_sub(1)
    }

    /// A wait with a host that does all as it should: how many slots are ready. 0: it takes
    /// more than that.
    // Not to be copied into other crates.
    fn wait_for(&mut self, left: u64) -> usize {
        if self.stale || self.beside {
            return 0;
        }
        let Some(time) = self.trust.with(left) else { return 0 };
        let answer = self.ask(time);
        if answer.is_ok() && self.is_in_order() {
            return self.events.len();
        }
        self.said = Some(answer);
        0
    }

    /// One call with all that is asked and the clock.
    fn ask(&mut self, left: u64) -> Result<(), Errno> {
        let least = self.least;
        let Some((clock, sources)) = self.asked.split_last_mut() else { return Ok(()) };
        let mut many = sources.len();
        if left != FOR_EVER {
            clock.timeout = left | least;
            many += 1;
        }
        self.events.ask(&self.asked[..many])
    }

    /// Whether what the host told of all that was asked is what is ready, and there is
    /// something: one event a slot, in order, and nothing odd.
    #[inline]
    fn is_in_order(&mut self) -> bool {
        let OneoffList { events, trust, .. } = self;
        // No error and no hang-up; and not both directions of one, nor out of order.
        let is_plain = |event: &Event, last| event.error | event.flags == 0 && event.place > last;
        // Mostly it is one.
        let Some((first, others)) = events.split_first() else { return false };
        if !is_plain(first, Place::NONE) {
            return false;
        }
        let mut last = first.place;
        for event in others {
            if !is_plain(event, last) {
                return false;
            }
            last = event.place;
        }
        if last == Place::CLOCK {
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
        let (events, asked) = (&self.events, self.sources());
        if events.len() >= asked
            && !known::tells_some(asked)
            && events.iter().any(|event| event.nbytes == 0)
        {
            return false;
        }
        if self.stdin == Place::NONE {
            return true;
        }
        if events.iter().any(|event| event.place == self.stdin && event.flag == PollFlags::IN) {
            known::forget(known::STDIN_ASKED);
            return true;
        }
        known::all(known::STDIN_ASKED)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::timeout::Signals;

    #[test]
    fn each_slot_of_a_descriptor_is_told() {
        let mut list = OneoffList::default();
        list.share();
        for slot in 0..3 {
            list.put(slot, &Held::Fd(1), PollFlags::OUT);
        }
        list.set(1, PollFlags::empty());
        for _ in 0..3 {
            let until = Until::new(Some(Duration::from_secs(9)), Signals::Resume);
            assert_eq!(list.wait(&until).unwrap(), 2);
            let told: Vec<_> = list.ready().collect();
            assert_eq!(told, [(0, PollFlags::OUT), (2, PollFlags::OUT)]);
        }
    }
}
