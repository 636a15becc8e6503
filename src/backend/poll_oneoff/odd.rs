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
use super::host::{self, Errno, Event, FOR_EVER, READ, Subscription, WRITE, now};
use super::{EITHER, OneoffList, STDIN, known};
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
const ENDLESS: Errno = Errno::own(u16::MAX);

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
        (self.stdin, self.doubled, self.merged) = (false, false, false);
        let len = self.slots.len();
        // Room for what is not asked, too.
        self.events.reserve(len);
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
                    (slot.always, slot.never) = match filetype {
                        host::CLOSED => (PollFlags::NVAL, EITHER),
                        _ if host::is_file(filetype) => (EITHER, PollFlags::empty()),
                        _ => (PollFlags::empty(), PollFlags::empty()),
                    };
                }
                slot.looked = slot.is_beside();
                self.beside |= slot.looked;
                self.found |= slot.tell(slot.always);
            }
            let (fd, ask) = (slot.fd, slot.asked());
            let mut second = hides && self.shared && self.asks(|name| host::fd(name) == fd);
            for direction in host::DIRECTIONS {
                let direction = direction ^ usize::from(backwards);
                if !ask.contains(host::flag(direction)) {
                    continue;
                }
                let mut name = host::name(at, fd, direction);
                if self.shared && self.asks(|other| other as u32 == name as u32) {
                    self.merged = true;
                    continue;
                }
                if second {
                    self.doubled = true;
                    name |= host::SECOND;
                }
                second |= hides;
                self.stdin |= name as u32 == STDIN;
                self.asked.push(host::subscription(fd, name, direction));
            }
        }
        if !self.asked.is_empty() {
            self.asked.push(host::clock(FOR_EVER));
        }
        self.weigh();
    }

    /// Whether it is asked for something with such a name.
    fn asks(&self, is: impl Fn(u64) -> bool) -> bool {
        self.asked.iter().any(|one| is(one.userdata))
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
        let doubt = if self.stdin {
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
                    self.events.ask(&[host::clock(left)])?;
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
                    if self.ask_patiently(shortest()).is_ok() {
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
        let bad = self.try_one(i32::MAX as u32, READ);
        if bad != NOTHING {
            known::learn(known::TELLS_CLOSED);
        }
        if self.try_one(1, WRITE) == READY {
            known::learn(known::TELLS_AT_ONCE);
            // A host that refuses a call with a bad descriptor, and to read standard output,
            // is none of those to which zero is for ever.
            if bad == REFUSED && self.try_one(1, READ) == REFUSED && self.zero_is_now() {
                known::learn(known::ZERO_IS_NOW);
            }
        }
    }

    /// What the host says at once of a descriptor: the number of an event's error, or one of
    /// the others below.
    fn try_one(&mut self, fd: u32, direction: usize) -> u32 {
        let name = host::name(0, fd, direction);
        if self.ask_alone(host::subscription(fd, name, direction), 1).is_err() {
            return REFUSED;
        }
        let event = self.events.iter().find(|event| event.userdata == name);
        event.map_or(NOTHING, |event| event.error.raw().into())
    }

    /// Whether a time of zero is none to this host, and not for ever: whether it ends a wait
    /// at once.
    ///
    /// Two clocks end the wait where it does not, were the first or the last one what counts.
    /// They have one name, by which wasmer waits for the first that is not zero.
    fn zero_is_now(&mut self) -> bool {
        const LATER: u64 = 4 * MILLISECOND;

        let begin = now();
        let told = self.ask_alone(host::clock(LATER), 0);
        // Without a clock nothing is known.
        told.is_ok() && begin > 0 && now().wrapping_sub(begin) < LATER / 4
    }

    /// One call with one subscription and the clock.
    fn ask_alone(&mut self, one: Subscription, time: u64) -> Result<(), Errno> {
        self.events.ask(&[one, host::clock(time)])
    }

    /// Asks for so long. Again if the process stood still meanwhile: the clock may have been
    /// first, on hosts where it can be. How long it took.
    fn ask_patiently(&mut self, time: u64) -> Result<u64, Errno> {
        let mut tries = OFTEN;
        loop {
            let begin = now();
            self.ask(time)?;
            let took = now().saturating_sub(begin);
            tries -= 1;
            let still = time <= LONGEST && took > time + MILLISECOND && shortest() > 0;
            if tries == 0 || !still || self.told() > 0 {
                return Ok(took);
            }
        }
    }

    /// How much of what the host told is of what was asked.
    fn told(&self) -> usize {
        self.events.iter().filter(|event| self.about(event.userdata).is_some()).count()
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
        let took = self.ask_patiently(this)?;
        let (asked, told) = (self.sources(), self.told());
        if told == 0 {
            if self.stdin {
                // It had its time.
                known::learn(known::STDIN_STARTED | known::STDIN_ASKED);
            }
            return Ok(());
        }
        let is_second = |event: &Event| event.userdata & host::SECOND != 0;
        if self.doubled && self.events.iter().any(is_second) {
            known::learn(known::TELLS_BOTH);
            // With other names.
            self.stale = true;
        }
        // A wait without a clock tells nothing of one with it.
        let measured = (COARSE..FOR_EVER).contains(&this);
        let early = measured && took <= this - COARSE;
        let mut seen = if measured && took >= this { known::SLEEPS } else { 0 };
        if told < asked {
            seen |= known::TELLS_SOME;
            if early {
                seen |= known::WAKES_FOR_ANY | known::WAKES_FOR_ONE;
            }
        } else if early && asked == 1 {
            seen |= known::WAKES_FOR_ONE;
        }
        known::learn(seen);
        Ok(())
    }

    /// Takes in the events of a call, if they can be believed.
    ///
    /// Some hosts tell of everything when one is ready, and then know of no bytes:
    /// each is tried alone.
    fn believe(&mut self) {
        let asked = self.sources();
        let all = !known::tells_some(asked) && self.told() == asked;
        if all && self.events.iter().any(|event| event.fd_readwrite.nbytes == 0) {
            self.try_alone(false, shortest());
        } else {
            self.take_in();
        }
    }

    /// Takes in the events of a call.
    fn take_in(&mut self) {
        for nth in 0..self.events.len() {
            let Some(&event) = self.events.get(nth) else { break };
            let name = event.userdata;
            let Some(at) = self.about(name) else { continue };
            if let Some(errno) = Errno::new(event.error.raw()) {
                self.refuse(at, name, errno);
                continue;
            }
            let mut flags = host::flag(host::direction(name));
            if name as u32 == STDIN {
                known::forget(known::STDIN_ASKED);
            }
            if event.fd_readwrite.flags & wasi::EVENTRWFLAGS_FD_READWRITE_HANGUP != 0 {
                if name as u32 == STDIN + 1 {
                    // Nobody writes to standard input: the other end did, and is gone.
                    flags = PollFlags::empty();
                }
                flags |= PollFlags::HUP;
            }
            self.tell(at, flags);
        }
    }

    /// The slot that a name is of. Hosts tell of what nobody asked.
    fn about(&self, name: u64) -> Option<usize> {
        let at = host::slot(name);
        let slot = self.slots.get(at)?;
        (slot.fd == host::fd(name)).then_some(at)
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
        for place in 0..self.sources() {
            let Some(&one) = self.asked.get(place) else { break };
            let (name, at) = (one.userdata, host::slot(one.userdata));
            let Some(slot) = self.slots.get(at) else { continue };
            let found = slot.found.contains(host::flag(host::direction(name)));
            if found || (stdin && name as u32 != STDIN) {
                continue;
            }
            match self.ask_alone(one, time | self.least) {
                Ok(()) => self.take_in(),
                Err(errno) => {
                    self.refuse(at, name, errno);
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
        if self.ask(0).is_ok() && self.told() > 0 {
            known::learn(known::TELLS_AT_ONCE);
        }
    }

    /// Whether standard input is asked, and had no time yet to become ready.
    fn stdin_has_to_be_asked(&self) -> bool {
        self.stdin && !known::all(known::STDIN_ASKED)
    }

    /// The host refused a whole call: finds out which subscriptions it meant, and
    /// asks for them no more. An error if it meant none.
    fn refused(&mut self, errno: Errno, signals: Signals<'_>) -> Result<(), Errno> {
        if errno.is(wasi::ERRNO_INTR) && matches!(signals, Signals::Resume) {
            return Ok(());
        }
        self.events.ask(&[host::clock(1)])?;
        if self.try_alone(false, shortest()) { Ok(()) } else { Err(errno) }
    }

    /// The host does not wait for this direction of a slot: it is looked at before the next
    /// wait.
    fn refuse(&mut self, at: usize, name: u64, errno: Errno) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        let this = host::flag(host::direction(name));
        (slot.looked, self.stale) = (true, true);
        let told = if errno.is(wasi::ERRNO_BADF) {
            if host::filetype(slot.fd) == host::CLOSED {
                PollFlags::NVAL
            } else {
                slot.never |= this;
                return;
            }
        } else if errno.is(wasi::ERRNO_PIPE) {
            let broken = if this == PollFlags::IN { PollFlags::empty() } else { PollFlags::ERR };
            broken | PollFlags::HUP
        } else if CANNOT_WAIT.contains(&errno) {
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
                self.events.push(host::event(host::name(at, slot.fd, 0), found.bits()));
            }
        }
    }
}

/// What [`try_one`](OneoffList::try_one) answers, beside an error's number.
const READY: u32 = 0;
const NOTHING: u32 = 1 << 16;
const REFUSED: u32 = 1 << 17;

/// Why hosts refuse to wait for what is always ready.
const CANNOT_WAIT: [Errno; 5] = [
    Errno::own(wasi::ERRNO_PERM.raw()),
    Errno::own(wasi::ERRNO_NOTSUP.raw()),
    Errno::own(wasi::ERRNO_INVAL.raw()),
    Errno::own(wasi::ERRNO_ACCES.raw()),
    Errno::own(wasi::ERRNO_NOTCAPABLE.raw()),
];
