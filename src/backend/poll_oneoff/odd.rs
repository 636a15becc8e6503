//! What hosts get wrong, and what is done about it.
//!
//! | seen in | what the host does | what is done |
//! |---|---|---|
//! | wasmtime, wasmer, Node | one bad subscription fails the whole call | [`refused`](OneoffList::refused): each is tried alone |
//! | wazero, WasmEdge | an event's error says so | [`refuse`](OneoffList::refuse) |
//! | wasmtime | reading standard output, or writing standard input, is an error | it is never ready |
//! | Node, wazero | what it cannot wait for is an error | it is always ready |
//! | all | a file is not reported, late, or an error | never asked: [`make`](OneoffList::make) |
//! | Node | a bad descriptor ends a wait and is not reported; before another one it ends the process | [`make`](OneoffList::make): all are looked at before each wait |
//! | Node, wazero | a wait for several ends when all are ready, or with the clock | [`ask_for_a_turn`](OneoffList::ask_for_a_turn): short turns |
//! | Node | the second direction of a descriptor is not reported | [`make`](OneoffList::make): asked the other way round, too |
//! | wasi-common | when one is ready, all are reported | [`believe`](OneoffList::believe): each is tried alone |
//! | Node | the shortest wait reports nothing | [`shortest`]: a little time |
//! | wasmtime | standard input is read only once it was asked for | [`reading`]: a little time |
//! | WasmEdge | a descriptor and direction twice is an error | [`make`](OneoffList::make): asked once, whatever the slots |
//! | Node, wazero | the clock comes too early, or without reason | only the time counts: [`wait_in_turns`](OneoffList::wait_in_turns) |
//! | wasmer | a wait of zero is for ever | 1 ns, but where [`zero_is_now`](OneoffList::zero_is_now) has shown that it is none |
//! | Node, wazero, the adapter | absolute times are wrong | never used |
//! | all | nothing asked is an error, a hang or a trap | never sent |

use std::io;

use super::clock::left_until;
use super::host::{self, Errno, Event, FOR_EVER, Name, Place, Subscription, now};
use super::{EITHER, OneoffList, STDIN, grow, known};
use crate::error::endless;
use crate::flags::PollFlags;
use crate::timeout::{Signals, Until};

/// Hosts that count whole milliseconds take less for nothing.
const MILLISECOND: u64 = 1_000_000;

/// Standard input is read by a thread of its own, on some hosts: the time that it
/// gets for that; and the first time, when that thread has to be started.
const READING: u64 = 5 * MILLISECOND;
const STARTING: u64 = 20 * MILLISECOND;

/// The shortest wait in which a host of whole milliseconds looks at its sources
/// first: it cuts off the time that is asked and the time that it is.
const COARSE: u64 = 2 * MILLISECOND;

/// How often a host that says nothing in a short wait is asked, if the process stood
/// still meanwhile: the clock may have been first.
const OFTEN: u32 = 3;

/// The longest turn of a host that was not seen to end a wait for several in time.
const LONGEST: u64 = 16 * MILLISECOND;

/// In place of an error of the host: nothing could ever end the wait.
const ENDLESS: Errno = Errno::own(u32::MAX);

/// The shortest wait that tells what is ready.
fn shortest() -> u64 {
    if known::all(known::TELLS_AT_ONCE) { 0 } else { COARSE }
}

/// The time for standard input to become ready.
fn reading() -> u64 {
    if known::all(known::STDIN_STARTED) { READING } else { STARTING }
}

/// A host that does not tell of a bad descriptor must not get one.
fn hides_closed() -> bool {
    !known::all(known::TELLS_CLOSED)
}

/// What the host is trusted with, for what is asked.
#[derive(Default)]
pub(super) struct Trust {
    /// To tell all that is ready now.
    now: bool,
    /// To be asked in waits whose [rank](Trust::rank) is below this.
    below: u64,
    /// So many events, or more, may not be what is ready.
    pub(super) doubt: usize,
}

impl Trust {
    /// For how long it can be asked. A host that was not seen to end a wait in time is
    /// asked what is ready now.
    #[inline]
    pub(super) fn with(&self, left: u64) -> Option<u64> {
        if self.is_enough(left) { Some(left) } else { self.now.then_some(0) }
    }

    #[inline]
    fn is_enough(&self, left: u64) -> bool {
        Trust::rank(left) < self.below
    }

    /// What takes most trust is last: no clock, no time, and then any time.
    #[inline]
    fn rank(left: u64) -> u64 {
        left.wrapping_add(1)
    }
}

impl OneoffList {
    /// Before a wait for other things than the last one.
    #[cold]
    pub(super) fn prepare(&mut self) {
        self.try_out();
        self.make(false);
    }

    /// Makes the array of what is asked, in order of slots or the other way round. Answers what
    /// the host is not asked: regular files and directories, which are always ready, and
    /// descriptors that are not open.
    fn make(&mut self, backwards: bool) {
        let wary = hides_closed();
        let hides = !known::all(known::TELLS_BOTH);
        self.asked.clear();
        (self.stale, self.beside) = (false, wary);
        (self.stdin, self.doubled, self.merged) = (Place::NONE, false, false);
        let len = self.slots.len();
        // Room for what is not asked, too.
        grow::make_room(&mut self.events, len);
        for nth in 0..len {
            let at = if backwards { len - 1 - nth } else { nth };
            let Some(slot) = self.slots.get_mut(at) else { break };
            if matches!(slot.filetype, host::VACANT | host::SET) {
                continue;
            }
            if slot.looked || wary {
                let filetype = host::filetype(slot.fd);
                if slot.filetype != filetype {
                    slot.filetype = filetype;
                    (slot.refused, slot.always) = match filetype {
                        host::CLOSED => (EITHER, PollFlags::NVAL),
                        _ if host::is_file(filetype) => (EITHER, EITHER),
                        _ => (PollFlags::empty(), PollFlags::empty()),
                    };
                }
                slot.looked = slot.is_beside();
                self.beside |= slot.looked;
                self.found |= slot.tell(slot.always);
            }
            let (fd, ask) = (slot.fd, slot.want - slot.refused);
            'directions: for nth in 0..2 {
                let read = (nth == 0) != backwards;
                let flag = if read { PollFlags::IN } else { PollFlags::OUT };
                if !ask.contains(flag) {
                    continue;
                }
                // Asked before: in this slot, which was the last one; or in any.
                let before = if self.shared { 0 } else { self.asked.len().saturating_sub(1) };
                let mut second = false;
                for one in self.asked.get(before..).unwrap_or_default() {
                    if one.id == u64::from(fd) {
                        if one.flag == flag {
                            self.merged = true;
                            continue 'directions;
                        }
                        second = hides;
                    }
                }
                self.doubled |= second;
                let name = Name { flag, second: second.into(), place: Place::of(at) };
                if fd == STDIN && read {
                    self.stdin = name.place;
                }
                grow::push(&mut self.asked, Subscription::new(name, fd));
            }
        }
        if !self.asked.is_empty() {
            grow::push(&mut self.asked, Subscription::clock(FOR_EVER));
        }
        self.weigh();
    }

    /// With what the host can be trusted, for what is asked.
    fn weigh(&mut self) {
        self.least = u64::from(!known::all(known::ZERO_IS_NOW));
        let asked = self.sources();
        let both = if self.doubled { known::TELLS_BOTH } else { 0 };
        let any = both | known::WAKES_FOR_ANY;
        let (clock, ever) =
            if asked == 1 { (both | known::WAKES_FOR_ONE, both) } else { (any, any) };
        let told_once = asked > 0 && !self.merged;
        let now = told_once && known::all(both | known::TELLS_AT_ONCE);
        let below = if !told_once || !known::all(ever) {
            0
        } else if !now {
            1
        } else if !known::all(clock) {
            2
        } else {
            u64::MAX
        };
        let doubt = if self.stdin != Place::NONE {
            1
        } else if known::tells_some(asked) {
            usize::MAX
        } else {
            asked
        };
        self.trust = Trust { now, below, doubt };
    }

    /// A wait with a host that may wait too long, tell of too much or of too little.
    #[cold]
    pub(super) fn wait_warily(&mut self, until: Until<'_>) -> io::Result<usize> {
        let waited = self.wait_in_turns(until);
        self.sum_up();
        self.weigh();
        match waited {
            Ok(()) => Ok(self.events.len()),
            Err(errno) => {
                self.events.clear();
                Err(if errno == ENDLESS { endless() } else { host::error(errno) })
            }
        }
    }

    fn wait_in_turns(&mut self, until: Until<'_>) -> Result<(), Errno> {
        let mut said = self.said.take();
        let (mut left, end) = (until.deadline.nanos(), until.deadline.end());
        let mut turn = if known::all(known::SLEEPS) { shortest() } else { 2 * COARSE };
        loop {
            if self.stale {
                self.make(false);
            }
            if self.found {
                left = 0;
            }
            if self.asked.is_empty() {
                if left == FOR_EVER {
                    return Err(ENDLESS);
                }
                if left > 0 {
                    self.events.ask(&[Subscription::clock(left)])?;
                }
            } else {
                let answer = match said.take() {
                    Some(said) => said,
                    None => self.ask_for_a_turn(left, &mut turn),
                };
                match answer {
                    Ok(()) => self.believe(),
                    Err(errno) => self.refused(errno, until.signals)?,
                }
                if self.doubled {
                    // The host may keep silent of the second ones: they are the first ones now.
                    self.make(true);
                    if self.ask_patiently(None, shortest()).is_ok() {
                        self.believe();
                    }
                    self.stale = true;
                }
                if self.found && self.stdin_has_to_be_asked() {
                    // It might be ready, and not know it yet.
                    self.try_alone(true, reading());
                    known::learn(known::STDIN_STARTED | known::STDIN_ASKED);
                }
            }
            if self.found {
                self.try_at_once();
                return Ok(());
            }
            left = left_until(end);
            if left == 0 && !self.stdin_has_to_be_asked() {
                return Ok(());
            }
        }
    }

    /// Before the first wait for sources: what a host does that nobody has seen yet.
    fn try_out(&mut self) {
        if self.slots.is_empty() || known::all(known::TRIED) {
            return;
        }
        known::learn(known::TRIED);
        // One that cannot be open; and standard output, which is ready in most programs.
        let bad = self.try_one(i32::MAX as u32, PollFlags::IN);
        if bad != NOTHING {
            known::learn(known::TELLS_CLOSED);
        }
        if self.try_one(1, PollFlags::OUT) == READY {
            known::learn(known::TELLS_AT_ONCE);
            // A host that refuses a call with a bad descriptor, and to read standard output,
            // is none of those to which zero is for ever.
            if bad == REFUSED && self.try_one(1, PollFlags::IN) == REFUSED && self.zero_is_now() {
                known::learn(known::ZERO_IS_NOW);
            }
        }
    }

    /// What the host says at once of a descriptor: the number of an event's error, or one of
    /// the others below.
    fn try_one(&mut self, fd: u32, flag: PollFlags) -> u32 {
        let place = Place::of(0);
        let name = Name { flag, second: 0, place };
        if self.events.ask_one(&Subscription::new(name, fd), 1).is_err() {
            return REFUSED;
        }
        let event = self.events.iter().find(|event| event.place == place);
        event.map_or(NOTHING, |event| event.error.into())
    }

    /// Whether a time of zero is none to this host, and not for ever: whether it ends a wait
    /// at once.
    ///
    /// Two clocks end the wait where it does not, were the first or the last one what counts.
    /// They have one name, by which wasmer waits for the first that is not zero.
    fn zero_is_now(&mut self) -> bool {
        const LATER: u64 = 4 * MILLISECOND;

        let begin = now();
        let told = self.events.ask_one(&Subscription::clock(LATER), 0);
        // Without a clock nothing is known.
        told.is_ok() && begin > 0 && now().wrapping_sub(begin) < LATER / 4
    }

    /// Asks for so long, for all or for one. Again if the process stood still meanwhile: the
    /// clock may have been first, on hosts where it can be. How long it took.
    fn ask_patiently(&mut self, one: Option<usize>, time: u64) -> Result<u64, Errno> {
        let mut tries = OFTEN;
        loop {
            let begin = now();
            match one.and_then(|nth| self.asked.get(nth)) {
                Some(one) => self.events.ask_one(one, time | self.least)?,
                None => self.ask(time)?,
            }
            let took = now().saturating_sub(begin);
            tries -= 1;
            let still = time <= LONGEST && took > time + MILLISECOND && shortest() > 0;
            if tries == 0 || !still || self.finds_some() {
                return Ok(took);
            }
        }
    }

    /// How much is asked that the host does not keep silent about, without the clock.
    fn firsts(&self) -> usize {
        let firsts = self.asked.iter().filter(|one| one.second == 0).count();
        firsts.saturating_sub(1)
    }

    /// What the host told of what was asked.
    fn about_slots(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(|event| event.slot() < self.slots.len())
    }

    /// How much that is.
    fn told(&self) -> usize {
        self.about_slots().count()
    }

    /// Whether something is ready.
    fn finds_some(&self) -> bool {
        self.about_slots().any(|event| event.error == 0)
    }

    /// Asks for one turn, and learns from it.
    fn ask_for_a_turn(&mut self, left: u64, turn: &mut u64) -> Result<(), Errno> {
        let least = if self.stdin_has_to_be_asked() { reading() } else { shortest() };
        let mut this = left.max(least);
        if !self.trust.is_enough(left) {
            this = this.min(least.max(*turn));
            *turn = (*turn * 2).clamp(COARSE, LONGEST);
        }
        // By the time that it took, not by the clock's event.
        let took = self.ask_patiently(None, this)?;
        let (asked, told) = (self.firsts(), self.told());
        if told == 0 {
            if self.stdin != Place::NONE {
                // It had its time.
                known::learn(known::STDIN_STARTED | known::STDIN_ASKED);
            }
            return Ok(());
        }
        // What ended because of an error tells nothing; and an error may be told of what is not
        // looked at otherwise.
        if self.events.iter().any(|event| event.error != 0) {
            return Ok(());
        }
        let mut seen = if told < asked { known::TELLS_SOME } else { 0 };
        if self.doubled && self.events.iter().any(|event| event.second != 0) {
            seen |= known::TELLS_BOTH;
            // With other names.
            self.stale = true;
        }
        // Nor does a wait without a clock tell anything of one with it.
        if (COARSE..FOR_EVER).contains(&this) {
            if took >= this {
                seen |= known::SLEEPS;
            } else if took <= this - COARSE && told == self.events.len() {
                // And no clock did.
                seen |= known::WAKES_FOR_ONE;
                // A host may wait for one after the other.
                let first = self.asked.first().map(|one| (one.place, one.flag));
                if !self.events.iter().any(|event| Some((event.place, event.flag)) == first) {
                    seen |= known::WAKES_FOR_ANY;
                }
            }
        }
        known::learn(seen);
        Ok(())
    }

    /// Takes in the events of a call, if they can be believed.
    ///
    /// Some hosts tell of everything when one is ready, and then know of no bytes:
    /// each is tried alone.
    fn believe(&mut self) {
        let all = !known::tells_some(self.sources()) && self.told() >= self.firsts();
        if all && self.events.iter().any(|event| event.nbytes == 0) {
            self.try_alone(false, shortest());
        } else {
            self.take_in();
        }
    }

    /// Takes in the events of a call.
    fn take_in(&mut self) {
        for nth in 0..self.events.len() {
            let Some(&event) = self.events.get(nth) else { break };
            // Hosts tell of what nobody asked.
            let at = event.slot();
            let Some(slot) = self.slots.get(at) else { continue };
            let mut flags = event.flag;
            if let Some(errno) = Errno::new(event.error.into()) {
                self.refuse(at, flags, errno);
                continue;
            }
            if slot.fd == STDIN && flags == PollFlags::IN {
                known::forget(known::STDIN_ASKED);
            }
            if event.flags & wasi::EVENTRWFLAGS_FD_READWRITE_HANGUP != 0 {
                if slot.fd == STDIN && flags == PollFlags::OUT {
                    // Nobody writes to standard input: the other end did, and is gone.
                    flags = PollFlags::empty();
                }
                flags |= PollFlags::HUP;
            }
            self.tell(at, flags);
        }
    }

    fn tell(&mut self, at: usize, flags: PollFlags) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        self.found |= slot.tell(flags);
        if self.merged {
            let fd = slot.fd;
            for slot in self.slots.iter_mut().filter(|slot| slot.fd == fd) {
                self.found |= slot.tell(flags);
            }
        }
    }

    /// Asks for each direction alone that was not found yet, for so long, and takes in what
    /// is told: for all of them, or for standard input. Whether the host refused something,
    /// which is asked no more.
    fn try_alone(&mut self, stdin: bool, time: u64) -> bool {
        let mut refused = false;
        for nth in 0..self.sources() {
            let Some(one) = self.asked.get(nth) else { break };
            let (at, flag) = (one.slot(), one.flag);
            let Some(slot) = self.slots.get(at) else { break };
            let is_stdin = slot.fd == STDIN && flag == PollFlags::IN;
            if slot.found.contains(flag) || (stdin && !is_stdin) {
                continue;
            }
            match self.ask_patiently(Some(nth), time) {
                Ok(_) => self.take_in(),
                Err(errno) => {
                    self.refuse(at, flag, errno);
                    refused = true;
                }
            }
        }
        refused
    }

    /// Where standard output does not tell it: whether the host tells in the shortest wait
    /// of what was found just now.
    fn try_at_once(&mut self) {
        if known::any(known::TELLS_AT_ONCE | known::TRIED_AT_ONCE) {
            return;
        }
        known::learn(known::TRIED_AT_ONCE);
        if self.ask(0).is_ok() && self.finds_some() {
            known::learn(known::TELLS_AT_ONCE);
        }
    }

    /// Whether standard input is asked, and had no time yet to become ready.
    fn stdin_has_to_be_asked(&self) -> bool {
        self.stdin != Place::NONE && !known::all(known::STDIN_ASKED)
    }

    /// The host refused a whole call: finds out which subscriptions it meant, and
    /// asks for them no more. An error if it meant none.
    fn refused(&mut self, errno: Errno, signals: Signals<'_>) -> Result<(), Errno> {
        if errno.is(wasi::ERRNO_INTR) && matches!(signals, Signals::Resume) {
            return Ok(());
        }
        self.events.ask(&[Subscription::clock(1)])?;
        if self.try_alone(false, shortest()) { Ok(()) } else { Err(errno) }
    }

    /// The host does not wait for this direction of a slot: it is looked at before the next
    /// wait.
    fn refuse(&mut self, at: usize, this: PollFlags, errno: Errno) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        (slot.looked, self.stale) = (true, true);
        let told = if errno.is(wasi::ERRNO_BADF) {
            if host::filetype(slot.fd) == host::CLOSED {
                PollFlags::NVAL
            } else {
                slot.refused |= this;
                return;
            }
        } else if errno.is(wasi::ERRNO_PIPE) {
            let broken = if this == PollFlags::IN { PollFlags::empty() } else { PollFlags::ERR };
            broken | PollFlags::HUP
        } else if cannot_wait(errno) {
            slot.refused |= this;
            slot.always |= this;
            this
        } else {
            PollFlags::ERR
        };
        self.tell(at, told);
    }

    /// Makes events of what was found, in the order of slots, one each.
    fn sum_up(&mut self) {
        self.events.clear();
        self.found = false;
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let found = std::mem::replace(&mut slot.found, PollFlags::empty());
            if !found.is_empty() {
                grow::push(&mut self.events, Event::new(at, found));
            }
        }
    }
}

/// What [`try_one`](OneoffList::try_one) answers, beside an error's number.
const READY: u32 = 0;
const NOTHING: u32 = 1 << 16;
const REFUSED: u32 = 1 << 17;

/// Whether a host says so of what is always ready, for which it does not wait.
fn cannot_wait(errno: Errno) -> bool {
    const PERM: u32 = wasi::ERRNO_PERM.raw() as u32;
    const NOTSUP: u32 = wasi::ERRNO_NOTSUP.raw() as u32;
    const INVAL: u32 = wasi::ERRNO_INVAL.raw() as u32;
    const ACCES: u32 = wasi::ERRNO_ACCES.raw() as u32;
    const NOTCAPABLE: u32 = wasi::ERRNO_NOTCAPABLE.raw() as u32;
    matches!(errno.raw(), PERM | NOTSUP | INVAL | ACCES | NOTCAPABLE)
}
