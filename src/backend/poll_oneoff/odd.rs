//! What hosts get wrong, and what is done about it.
//!
//! | seen in | what the host does | what is done |
//! |---|---|---|
//! | wasmtime, wasmer, Node | one bad subscription fails the whole call | [`refused`](OneoffList::refused): each is tried alone |
//! | wazero, WasmEdge | an event's error says so | [`refuse`](OneoffList::refuse) |
//! | wasmtime | reading standard output, or writing standard input, is an error | it is never ready |
//! | Node, wazero | what it cannot wait for is an error | it is always ready |
//! | all | a file is not reported, late, or an error | never asked: [`look`](OneoffList::look) |
//! | Node | a bad descriptor ends a wait and is not reported; before another one it ends the process | [`look`](OneoffList::look): all are looked at before each wait |
//! | Node, wazero | a wait for several ends when all are ready, or with the clock | [`turn`](OneoffList::turn): short turns |
//! | Node | the second direction of a descriptor is not reported | [`repeat`](OneoffList::repeat) |
//! | wasi-common | when one is ready, all are reported | [`believe`](OneoffList::believe): each is tried alone |
//! | Node | the shortest wait reports nothing | [`ask_again`](OneoffList::ask_again) |
//! | wasmtime | standard input is read only once it was asked for | the same, and [`ask_stdin`](OneoffList::ask_stdin) |
//! | WasmEdge | a descriptor and direction twice is an error | descriptors are asked once, whatever the slots |
//! | Node, wazero | the clock comes too early, or without reason | only the time counts: [`wait_warily`](OneoffList::wait_warily) |
//! | wasmer | a wait of zero is for ever | 1 ns, but where [`zero_is_now`](OneoffList::zero_is_now) has shown that it is none |
//! | Node, wazero, the adapter | absolute times are wrong | never used |
//! | all | nothing asked is an error, a hang or a trap | never sent: [`wait_for_clock`](OneoffList::wait_for_clock) |

use std::io;

use super::clock::left_until;
use super::host::{self, Errno, Event, FOR_EVER, READ, WRITE, now};
use super::{Descriptor, NOWHERE, OneoffList, STDIN, known};
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

/// How often a host that says nothing in a short wait is asked again.
const OFTEN: usize = 3;

/// The longest turn of a host that was seen to need them, and of one that was not. The
/// first one is a sixteenth.
const SHORT: u64 = 16 * MILLISECOND;
const LONG: u64 = 256 * MILLISECOND;

/// The shortest wait that tells what is ready.
fn shortest() -> u64 {
    if known::all(known::TELLS_AT_ONCE) { 0 } else { COARSE }
}

/// What has to be [`known`] of the host, so that it can be asked for all at once.
#[derive(Clone, Copy)]
struct Needs {
    /// In any case; a host of which more is not known is asked what is ready now.
    now: u16,
    /// For a wait with a clock, and for one without.
    clock: u16,
    ever: u16,
}

/// What the host is trusted with. (What has to be known of it for that is never forgotten.)
#[derive(Default)]
pub(super) struct Trust {
    /// To tell all that is ready now.
    now: bool,
    /// To be asked for all at once, in waits that [rank](Trust::rank) below this.
    below: u64,
    /// So many events, or more, may not be what is ready.
    pub(super) doubt: usize,
}

impl Needs {
    fn of(self, left: u64) -> u16 {
        match left {
            0 => self.now,
            FOR_EVER => self.ever,
            _ => self.clock,
        }
    }
}

impl Trust {
    /// For how long it can be asked. A host that was not seen to end a wait in time is
    /// asked what is ready now.
    #[inline]
    pub(super) fn with(&self, left: u64) -> Option<u64> {
        let trusted = Trust::rank(left) < self.below;
        if trusted { Some(left) } else { self.now.then_some(0) }
    }

    /// What takes most trust is last: no clock, no time, and then any time.
    #[inline]
    fn rank(left: u64) -> u64 {
        left.wrapping_add(1)
    }
}

impl OneoffList {
    /// What is needed for what is asked, and `more`.
    // Inlined: each caller needs a part of it.
    #[inline(always)]
    fn needs(&self, more: u16) -> Needs {
        let more = if self.doubled > 0 { more | known::TELLS_BOTH } else { more };
        let any = more | known::WAKES_FOR_ANY;
        let (clock, ever) = match self.asked.len() {
            1 => (more | known::WAKES_FOR_ONE, more),
            _ => (any, any),
        };
        Needs { now: more | known::TELLS_AT_ONCE, clock, ever }
    }

    /// What is asked, or has to be looked at before, has changed.
    pub(super) fn weigh(&mut self) {
        self.trust = Trust::default();
        self.asked.set_zero_is_now(known::all(known::ZERO_IS_NOW));
        let asked = self.asked.len();
        if asked > 0 && self.looked == 0 {
            let needs = self.needs(known::TELLS_CLOSED);
            let now = known::all(needs.now);
            let below = if !known::all(needs.ever) {
                Trust::rank(FOR_EVER)
            } else if !now {
                Trust::rank(0)
            } else if !known::all(needs.clock) {
                Trust::rank(1)
            } else {
                u64::MAX
            };
            let doubt = match asked {
                _ if self.stdin => 1,
                _ if known::tells_some(asked) => usize::MAX,
                _ => asked,
            };
            self.trust = Trust { now, below, doubt };
        }
    }

    /// A wait with a host that may wait too long, tell of too much or of too little.
    #[cold]
    pub(super) fn wait_warily(&mut self, until: Until<'_>) -> io::Result<usize> {
        let waited = self.wait_in_turns(until);
        self.weigh();
        self.sum_up();
        if waited.is_err() {
            self.events.clear();
        }
        waited.map(|()| self.events.len())
    }

    fn wait_in_turns(&mut self, until: Until<'_>) -> io::Result<()> {
        let mut said = self.said.take();
        // It may be needed for the first time in any wait.
        self.scratch.clear_for(self.asked.len());
        self.try_out();
        // A host that does not tell of a bad descriptor must not get one.
        self.look(!known::all(known::TELLS_CLOSED));
        let (mut left, end) = (until.deadline.nanos(), until.deadline.end());
        let mut turn = 0;
        loop {
            let (asked, before) = (self.asked.len(), self.found);
            if asked > 0 {
                if before > 0 {
                    left = 0;
                }
                let answer = match said.take() {
                    Some(said) => {
                        if said.is_ok() {
                            self.believe();
                        }
                        said
                    }
                    None => self.ask_for_a_turn(left, &mut turn),
                };
                if let Err(errno) = answer {
                    self.refused(errno, until.signals)?;
                }
                if self.asked.len() < asked {
                    // The host would not wait for all of it: the rest was not asked.
                    left = left_until(end);
                    continue;
                }
                // Whether it may be too short for the host to find what is ready.
                let short = left < shortest() * 2 + MILLISECOND;
                if short && self.found == before && (left == 0 || left_until(end) == 0) {
                    self.ask_again();
                }
                if self.may_hide_seconds() {
                    // If they say nothing.
                    let often = if short { OFTEN } else { 1 };
                    self.repeat(Which::Seconds, shortest(), often);
                }
                if self.found > 0 {
                    self.ask_stdin();
                    self.try_at_once();
                    return Ok(());
                }
            } else if before > 0 || left == 0 {
                return Ok(());
            } else if left == FOR_EVER {
                return Err(endless());
            } else {
                self.wait_for_clock(left)?;
            }
            left = left_until(end);
            if left == 0 {
                return Ok(());
            }
            left = left.max(MILLISECOND);
        }
    }

    /// Before the first wait for sources: what a host does that nobody has seen yet.
    fn try_out(&mut self) {
        if known::all(known::TRIED) || self.slots.is_empty() {
            return;
        }
        known::learn(known::TRIED);
        // One that cannot be open; and standard output, which is ready in most programs.
        let bad = host::look(i32::MAX as u32, READ);
        if !matches!(bad, Ok(None)) {
            known::learn(known::TELLS_CLOSED);
        }
        if matches!(host::look(1, WRITE), Ok(Some((wasi::ERRNO_SUCCESS, _)))) {
            known::learn(known::TELLS_AT_ONCE);
            // A host that refuses a call with a bad descriptor, and to read standard output,
            // is none of those to which zero is for ever.
            let refuses = bad.is_err() && host::look(1, READ).is_err();
            if refuses && self.zero_is_now() {
                known::learn(known::ZERO_IS_NOW);
            }
        }
    }

    /// Whether a time of zero is none to this host, and not for ever: whether it ends a wait
    /// at once.
    ///
    /// Two clocks end the wait where it does not, were the first or the last one what counts.
    /// They have one name, by which wasmer waits for the first that is not zero.
    fn zero_is_now(&mut self) -> bool {
        const LATER: u64 = 4 * MILLISECOND;

        self.scratch.clear();
        self.scratch.push(host::clock(LATER));
        self.scratch.push(host::clock(LATER));
        self.scratch[1].u.u.clock.timeout = 0;
        let begin = now();
        let told = self.ask_some(LATER).is_ok();
        // Without a clock nothing is known.
        told && begin > 0 && now().wrapping_sub(begin) < LATER / 4
    }

    /// Where standard output does not tell it: whether the host tells in the shortest wait
    /// that something is ready.
    fn try_at_once(&mut self) {
        if known::any(known::TELLS_AT_ONCE | known::TRIED_AT_ONCE) || self.asked.is_empty() {
            return;
        }
        known::learn(known::TRIED_AT_ONCE);
        let before = self.found;
        if self.ask(0).is_ok() {
            self.believe();
        }
        if self.found > before {
            known::learn(known::TELLS_AT_ONCE);
        }
    }

    /// Whether second directions are asked for that the host may keep silent about.
    fn may_hide_seconds(&self) -> bool {
        self.doubled > 0 && !known::all(known::TELLS_BOTH)
    }

    /// How long the host may wait at a stretch.
    fn turn(&self, left: u64, turn: &mut u64) -> u64 {
        if known::all(self.needs(0).of(left)) {
            return left;
        }
        let one = self.asked.len() == 1;
        let bad = if one { known::SLEEPS } else { known::SLEEPS | known::WAITS_FOR_ALL };
        let doubtful = self.may_hide_seconds();
        let hidden = !one && !known::all(known::TELLS_CLOSED);
        let longest = if known::any(bad) || doubtful || hidden { SHORT } else { LONG };
        let this = (*turn).max(longest / 16).max(COARSE);
        *turn = (this * 2).min(longest);
        left.max(shortest()).min(this)
    }

    /// Asks for one turn, takes in what is told, and learns from it.
    fn ask_for_a_turn(&mut self, left: u64, turn: &mut u64) -> Result<(), Errno> {
        let asked = self.asked.len();
        let this = self.turn(left, turn);
        // Less tells nothing.
        let measured = (COARSE..FOR_EVER).contains(&this);
        let begin = if measured { now() } else { 0 };
        self.ask(this)?;
        // By the time that it took, not by the clock's event.
        let took = if measured { now().saturating_sub(begin) } else { 0 };
        let second =
            |event: &Event| event.error == wasi::ERRNO_SUCCESS && self.is_second(event.userdata);
        if self.doubled > 0 && self.events.iter().any(second) {
            known::learn(known::TELLS_BOTH);
        }
        let sources = self.believe();
        if 0 < sources && sources < asked {
            known::learn(known::TELLS_SOME);
        }
        let early = measured && took + COARSE <= this || this == FOR_EVER;
        if early && asked == 1 && sources == 1 && this < FOR_EVER {
            known::learn(known::WAKES_FOR_ONE);
            known::forget(known::SLEEPS);
        }
        if early && 0 < sources && sources < asked {
            known::learn(known::WAKES_FOR_ANY | known::WAKES_FOR_ONE);
            known::forget(known::WAITS_FOR_ALL | known::SLEEPS);
        }
        if measured && sources > 0 && this > COARSE && took + MILLISECOND >= this {
            known::learn(if asked == 1 { known::SLEEPS } else { known::WAITS_FOR_ALL });
        }
        Ok(())
    }

    /// Takes in the events of a call, if they can be believed: how many were about
    /// sources.
    ///
    /// Some hosts tell of everything when one is ready, and then know of no bytes:
    /// each is tried alone.
    fn believe(&mut self) -> usize {
        let asked = self.asked.len();
        let (mut sources, mut silent) = (0, false);
        for event in self.events.iter() {
            if self.about(event.userdata) != NOWHERE {
                sources += 1;
                silent |= has_no_bytes(event);
            }
        }
        if silent && sources == asked && !known::tells_some(asked) {
            self.ask_each(shortest());
        } else {
            self.take_in();
        }
        sources
    }

    /// Takes in the events of a call.
    fn take_in(&mut self) {
        for nth in 0..self.events.len() {
            let Some(&event) = self.events.get(nth) else { break };
            let (at, direction) = (self.about(event.userdata), host::direction(event.userdata));
            if at == NOWHERE {
                continue;
            }
            if event.error != wasi::ERRNO_SUCCESS {
                self.refuse(at, direction, event.error);
                continue;
            }
            let stdin = self.descriptor(at).fd == 0;
            let mut flags = host::flag(direction);
            if event.fd_readwrite.flags & wasi::EVENTRWFLAGS_FD_READWRITE_HANGUP != 0 {
                flags |= PollFlags::HUP;
                if stdin && direction == WRITE {
                    // Nobody writes to standard input: the other end did, and is gone.
                    flags = PollFlags::HUP;
                }
            }
            if stdin && direction == READ {
                known::forget(known::STDIN_ASKED);
            }
            self.tell(at, flags);
        }
    }

    /// The descriptor that a name is of, if it is asked in that direction. Hosts tell of
    /// what nobody asked.
    fn about(&self, name: u64) -> u32 {
        let (at, direction) = (self.named(name), host::direction(name));
        let is_asked = |descriptor: &Descriptor| {
            descriptor.name | direction as u64 == name && descriptor.at[direction] != NOWHERE
        };
        if self.descriptors.get(at as usize).is_some_and(is_asked) { at } else { NOWHERE }
    }

    /// Whether it is of a direction that is asked behind the other one.
    fn is_second(&self, name: u64) -> bool {
        let at = self.about(name);
        self.descriptors.get(at as usize).is_some_and(|descriptor| {
            let [read, write] = descriptor.at;
            if host::direction(name) == READ { write < read } else { read < write }
        })
    }

    /// Asks for each direction alone, and takes in what is told. What the host refuses
    /// is asked no more.
    fn ask_each(&mut self, time: u64) {
        for place in (0..self.asked.len()).rev() {
            let Some(&one) = self.asked.get(place) else { continue };
            self.scratch.clear();
            self.scratch.push(one);
            match self.ask_some(time) {
                Ok(()) => self.take_in(),
                Err(errno) => {
                    self.refuse(self.named(one.userdata), host::direction(one.userdata), errno);
                }
            }
        }
    }

    /// Asks once more for some of what is asked, for so long, until something is told; so
    /// often, for the process may have stood still, and the clock have been first.
    fn repeat(&mut self, which: Which, time: u64, often: usize) {
        let before = self.found;
        for _ in 0..often {
            self.scratch.clear();
            for place in 0..self.asked.len() {
                let Some(&one) = self.asked.get(place) else { break };
                let again = match which {
                    Which::All => true,
                    Which::Seconds => self.is_second(one.userdata),
                    Which::Stdin => one.userdata as u32 == STDIN,
                };
                if again {
                    self.scratch.push(one);
                }
            }
            let begin = now();
            if self.ask_some(time).is_ok() {
                self.believe();
            }
            if self.found > before
                || now().saturating_sub(begin) < time
                || known::all(known::TELLS_AT_ONCE)
            {
                break;
            }
        }
    }

    /// A short wait found nothing. To be sure of it, some hosts need a little time.
    fn ask_again(&mut self) {
        let time = if self.stdin_has_to_be_asked() { reading() } else { shortest() };
        if time > 0 {
            self.repeat(Which::All, time, OFTEN);
        }
    }

    /// Whether standard input is asked, and had no time yet to become ready.
    fn stdin_has_to_be_asked(&self) -> bool {
        self.stdin && !known::all(known::STDIN_ASKED)
    }

    /// Another source is ready. Standard input might be, and not know it yet.
    fn ask_stdin(&mut self) {
        if self.stdin_has_to_be_asked() && !self.found_stdin {
            self.repeat(Which::Stdin, reading(), 1);
        }
    }

    /// The host refused a whole call: finds out which subscriptions it meant, and
    /// asks for them no more. An error if it meant none.
    fn refused(&mut self, errno: Errno, signals: Signals<'_>) -> io::Result<()> {
        if errno == wasi::ERRNO_INTR && matches!(signals, Signals::Resume) {
            return Ok(());
        }
        let asked = self.asked.len();
        self.wait_for_clock(0)?;
        self.ask_each(0);
        if self.asked.len() < asked { Ok(()) } else { Err(host::error(errno)) }
    }

    /// The host does not wait for this direction of a descriptor.
    fn refuse(&mut self, at: u32, direction: usize, errno: Errno) {
        let fd = self.descriptor(at).fd;
        if errno == wasi::ERRNO_BADF && host::filetype(fd) == Err(errno) {
            self.look_once(at);
            self.set_looked(at, true);
            return;
        }
        let this = host::flag(direction);
        let descriptor = self.descriptor(at);
        let told = match errno {
            wasi::ERRNO_BADF => {
                descriptor.never |= this;
                PollFlags::empty()
            }
            wasi::ERRNO_PERM
            | wasi::ERRNO_NOTSUP
            | wasi::ERRNO_INVAL
            | wasi::ERRNO_ACCES
            | wasi::ERRNO_NOTCAPABLE => {
                descriptor.always |= this;
                this
            }
            wasi::ERRNO_PIPE if direction == READ => PollFlags::HUP,
            wasi::ERRNO_PIPE => PollFlags::HUP | PollFlags::ERR,
            _ => PollFlags::ERR,
        };
        let others = descriptor.want - this;
        self.tell(at, told);
        // Until the next wait, where it has to be looked at.
        self.ask_for(at, others, false);
        self.set_looked(at, true);
    }

    /// Asks for what is in `scratch`.
    // Apart, as the clock.
    #[inline(never)]
    fn ask_some(&mut self, time: u64) -> Result<(), Errno> {
        self.events.ask(self.scratch.in_time(time))
    }

    /// Waits for the clock alone.
    // Inlined, it is less than its Result.
    #[inline(always)]
    fn wait_for_clock(&mut self, left: u64) -> io::Result<()> {
        self.events.ask(&[host::clock(left)]).map_err(host::error)
    }
}

/// What to ask for once more.
#[derive(Clone, Copy)]
enum Which {
    All,
    /// The second directions, without the first ones.
    Seconds,
    Stdin,
}

/// The time for standard input to become ready, which it has had then.
fn reading() -> u64 {
    let first = !known::all(known::STDIN_STARTED);
    known::learn(known::STDIN_STARTED | known::STDIN_ASKED);
    if first { STARTING } else { READING }
}

/// The host knows of nothing to read and of no room to write.
fn has_no_bytes(event: &Event) -> bool {
    event.fd_readwrite.nbytes == 0
        && event.error == wasi::ERRNO_SUCCESS
        && event.fd_readwrite.flags & wasi::EVENTRWFLAGS_FD_READWRITE_HANGUP == 0
}
