//! What hosts get wrong, and what is done about it.
//!
//! | seen in | what the host does | what is done |
//! |---|---|---|
//! | wasmtime, wasmer, Node | one bad subscription fails the whole call | [`refused`](OneoffList::refused): each is tried alone |
//! | wazero, WasmEdge | an event's error says so | [`refuse`](OneoffList::refuse) |
//! | wasmtime | reading standard output, or writing standard input, is an error | it is never ready |
//! | Node, wazero | what it cannot wait for is an error | it is always ready |
//! | all | a file is not reported, late, or an error | never asked: [`look`](OneoffList::look) |
//! | Node | a bad descriptor ends a wait and is not reported; before another one it ends the process | [`beware`](OneoffList::beware): all are looked at before each wait |
//! | Node, wazero | a wait for several ends when all are ready, or with the clock | [`ask_warily`](OneoffList::ask_warily): short turns |
//! | Node | the second direction of a descriptor is not reported | [`ask_second`](OneoffList::ask_second) |
//! | wasi-common | when one is ready, all are reported | [`doubt`](OneoffList::doubt): each is tried alone |
//! | Node | the shortest wait reports nothing | [`ask_again`](OneoffList::ask_again) |
//! | wasmtime | standard input is read only once it was asked for | the same, and [`ask_stdin`](OneoffList::ask_stdin) |
//! | WasmEdge | a descriptor and direction twice is an error | descriptors are asked once, whatever the slots |
//! | Node, wazero | the clock comes too early, or without reason | only the time counts: [`wait`](super::List::wait) |
//! | wasmer | a wait of zero is for ever | 1 ns: [`clock`](super::host::clock) |
//! | Node, wazero, the adapter | absolute times are wrong | never used |
//! | all | nothing asked is an error, a hang or a trap | never sent: [`sleep`](OneoffList::sleep) |

use std::io;
use std::time::{Duration, Instant};

use super::host::{self, Errno, Event, READ, WRITE};
use super::{Answer, FLAGS, MILLISECOND, NOWHERE, OneoffList, known};
use crate::source::RawSource;
use crate::timeout::Signals;

/// Standard input is read by a thread of its own, on some hosts: the time that it
/// gets for that; and the first time, when that thread has to be started.
const READING: Duration = Duration::from_millis(5);
const STARTING: Duration = Duration::from_millis(20);

fn reading() -> Duration {
    let first = !known::all(known::STDIN_STARTED);
    known::learn(known::STDIN_STARTED);
    if first { STARTING } else { READING }
}

/// The shortest wait in which a host of whole milliseconds looks at its sources
/// first: it cuts off the time that is asked and the time that it is.
const COARSE: Duration = Duration::from_millis(2);

/// How often a host that says nothing in a short wait is asked again.
pub(super) const OFTEN: usize = 3;

/// The first turn and the longest, of a host that was seen to need them.
const SHORT: (Duration, Duration) = (COARSE, Duration::from_millis(16));
/// Of a host that was not seen to need them.
const LONG: (Duration, Duration) = (Duration::from_millis(16), Duration::from_millis(256));

impl OneoffList {
    /// Before a wait: a host that does not tell of a bad descriptor must not get one.
    pub(super) fn beware(&mut self) {
        if !known::all(known::TRIED_CLOSED) {
            known::learn(known::TRIED_CLOSED);
            if tells_nothing_of_closed() {
                known::learn(known::HIDES_CLOSED);
            }
        }
        if known::any(known::HIDES_CLOSED) {
            self.look_at_all();
        }
    }

    /// Looks at every descriptor that is asked about.
    #[cold]
    fn look_at_all(&mut self) {
        for at in 0..self.descriptors.len() {
            if self.descriptors[at].at != [NOWHERE; 2] && self.look_once(at as u32) {
                self.look_at(at as u32);
            }
        }
    }

    /// Whether the host can be asked everything at once, for any time.
    pub(super) fn trusts_host(&self, left: Option<Duration>) -> bool {
        if self.asked.len() == 1 {
            return left.is_none() || known::any(known::WAKES_FOR_ANY | known::WAKES_FOR_ONE);
        }
        known::all(known::WAKES_FOR_ANY) && (self.doubled == 0 || known::all(known::TELLS_BOTH))
    }

    /// The first turn and the longest.
    fn turns(&self) -> (Duration, Duration) {
        let bad = match self.asked.len() {
            1 => known::SLEEPS,
            _ => known::SLEEPS | known::WAITS_FOR_ALL | known::HIDES_CLOSED,
        };
        let doubtful = self.doubled > 0 && !known::all(known::TELLS_BOTH);
        if known::any(bad) || doubtful { SHORT } else { LONG }
    }

    /// A call to a host that may wait too long, tell of too much or of too little:
    /// for one turn, after which it is asked again. The number of events.
    #[cold]
    pub(super) fn ask_warily(
        &mut self,
        left: Option<Duration>,
        turn: &mut Option<Duration>,
    ) -> Result<usize, Errno> {
        let asked = self.asked.len();
        let (first, longest) = self.turns();
        let this = match left {
            None if asked == 1 => None,
            None => Some(turn.unwrap_or(first)),
            Some(left) => Some(left.max(shortest()).min(turn.unwrap_or(first))),
        };
        // Less tells nothing.
        let begin = this.filter(|this| *this >= COARSE).map(|_| Instant::now());
        let told = self.ask(this)?;
        let took = begin.map_or(Duration::ZERO, |begin| begin.elapsed());
        *turn = Some((turn.unwrap_or(first) * 2).min(longest));

        let second = |(event, at, direction): (Event, usize, usize)| {
            let place = self.descriptors[at].at;
            event.error == wasi::ERRNO_SUCCESS && place[1 - direction] < place[direction]
        };
        if self.doubled > 0 && self.told(told).any(second) {
            known::learn(known::TELLS_BOTH);
        }
        let (sources, found) = self.believe(told);

        // By the time that it took, not by the clock's event.
        let early = this.is_none_or(|this| took + COARSE <= this);
        let late = this.is_some_and(|this| this > COARSE && took + MILLISECOND >= this);
        if asked == 1 && sources > 0 && this.is_some() && early {
            known::learn(known::WAKES_FOR_ONE);
            known::forget(known::SLEEPS);
        }
        if sources > 0 && sources < asked && early {
            known::learn(known::WAKES_FOR_ANY);
            known::forget(known::WAITS_FOR_ALL | known::SLEEPS);
        }
        if sources > 0 && late {
            known::learn(if asked == 1 { known::SLEEPS } else { known::WAITS_FOR_ALL });
        }
        Ok(found)
    }

    /// The events of a call that are about sources.
    fn told(&self, told: usize) -> impl Iterator<Item = (Event, usize, usize)> {
        self.events[..told].iter().filter_map(|event| {
            let (at, direction) = self.is_about(event)?;
            Some((*event, at, direction))
        })
    }

    /// Takes in the events of a call, if they can be believed: how many were about
    /// sources, and how many of those it was.
    ///
    /// Some hosts tell of everything when one is ready, and then know of no bytes:
    /// each of those is tried alone.
    fn believe(&mut self, told: usize) -> (usize, usize) {
        let asked = self.asked.len();
        if told >= asked
            && asked > 1
            && !known::all(known::TELLS_SOME)
            && self.events[..told].iter().any(has_no_bytes)
            && self.told(told).count() == asked
        {
            return (asked, self.doubt(told));
        }
        let sources = self.gather(told);
        if sources > 0 && sources < asked {
            known::learn(known::TELLS_SOME);
        }
        (sources, sources)
    }

    #[cold]
    fn doubt(&mut self, told: usize) -> usize {
        let mut doubted = std::mem::take(&mut self.scratch);
        doubted.clear();
        let mut found = 0;
        for event in 0..told {
            let event = self.events[event];
            match self.is_about(&event) {
                Some((at, direction)) if has_no_bytes(&event) => {
                    doubted.push(self.asked[self.descriptors[at].at[direction] as usize]);
                }
                _ => found += usize::from(self.take_in(&event)),
            }
        }
        for one in &doubted {
            let asked = [*one, host::clock(shortest())];
            found += host::poll(&asked, &mut self.events).map_or(0, |told| self.gather(told));
        }
        self.scratch = doubted;
        found
    }

    fn ask_alone(&mut self, at: usize, direction: usize) -> Result<usize, Errno> {
        let fd = self.descriptors[at].fd;
        let one = host::subscription(fd, at as u32, direction);
        host::poll(&[one, host::clock(Duration::ZERO)], &mut self.events)
    }

    /// Asks for the second directions once more, without the first ones; so `often`
    /// if they say nothing.
    pub(super) fn ask_second(&mut self, often: usize) {
        if self.doubled > 0 && !known::all(known::TELLS_BOTH) {
            self.ask_second_now(often);
        }
    }

    #[cold]
    fn ask_second_now(&mut self, often: usize) {
        let mut second = std::mem::take(&mut self.scratch);
        second.clear();
        for descriptor in &self.descriptors {
            let [read, write] = descriptor.at;
            if read != NOWHERE && write != NOWHERE {
                second.push(self.asked[read.max(write) as usize]);
            }
        }
        let time = shortest();
        second.push(host::clock(time));
        for _ in 0..often {
            let begin = Instant::now();
            let told = host::poll(&second, &mut self.events).unwrap_or(0);
            // As in `ask_again`.
            if self.gather(told) > 0 || begin.elapsed() < time || time.is_zero() {
                break;
            }
        }
        self.scratch = second;
    }

    /// Whether a wait may be too short for the host to find what is ready.
    pub(super) fn is_short(left: Option<Duration>) -> bool {
        let enough = if known::all(known::TELLS_AT_ONCE) { MILLISECOND } else { COARSE * 2 };
        left.is_some_and(|left| left < enough)
    }

    /// A short wait found nothing. To be sure of it, some hosts need a little time.
    #[cold]
    pub(super) fn ask_again(&mut self) {
        let time = match self.fresh {
            true if self.asks_stdin() => reading(),
            true => READING,
            false => shortest(),
        };
        if time.is_zero() {
            return;
        }
        for _ in 0..OFTEN {
            let begin = Instant::now();
            let told = self.ask(Some(time)).unwrap_or(0);
            if self.believe(told).1 > 0 {
                return;
            }
            self.fresh = false;
            if begin.elapsed() < time || known::all(known::TELLS_AT_ONCE) {
                return;
            }
            // The process may have stood still, and the clock have been first.
        }
    }

    fn asks_stdin(&self) -> bool {
        let stdin = self.index.get(RawSource::Fd(0));
        stdin.is_some_and(|at| self.descriptors[at as usize].at[READ] != NOWHERE)
    }

    /// Another source is ready. Standard input might be, and not know it yet.
    pub(super) fn ask_stdin(&mut self) {
        if !known::all(known::STDIN_ASKED) {
            self.ask_stdin_now();
        }
    }

    #[cold]
    fn ask_stdin_now(&mut self) {
        let Some(at) = self.index.get(RawSource::Fd(0)) else { return };
        let descriptor = &self.descriptors[at as usize];
        let first = descriptor.first;
        if descriptor.at[READ] == NOWHERE || self.ready.iter().any(|one| one.slot == first) {
            return;
        }
        known::learn(known::STDIN_ASKED);
        let asked = [host::subscription(0, at, READ), host::clock(reading())];
        if let Ok(told) = host::poll(&asked, &mut self.events) {
            self.gather(told);
        }
    }

    /// The host refused a whole call: finds out which subscriptions it meant, and
    /// asks for them no more. An error if it meant none.
    #[cold]
    pub(super) fn refused(&mut self, errno: Errno, signals: Signals<'_>) -> io::Result<()> {
        if errno == wasi::ERRNO_INTR && matches!(signals, Signals::Resume) {
            return Ok(());
        }
        let asked = self.asked.len();
        host::poll(&[host::clock(Duration::ZERO)], &mut self.events).map_err(host::error)?;
        for at in 0..self.descriptors.len() {
            for direction in [READ, WRITE] {
                if self.descriptors[at].at[direction] != NOWHERE {
                    if let Err(errno) = self.ask_alone(at, direction) {
                        self.refuse(at, direction, errno);
                    }
                }
            }
        }
        if self.asked.len() < asked { Ok(()) } else { Err(host::error(errno)) }
    }

    /// The host does not wait for this direction of a descriptor.
    #[cold]
    pub(super) fn refuse(&mut self, at: usize, direction: usize, errno: Errno) {
        let index = at as u32;
        if errno == wasi::ERRNO_BADF && host::filetype(self.descriptors[at].fd) == Err(errno) {
            self.look_once(index);
            self.look_at(index);
            return;
        }
        let answer = &mut self.descriptors[at].answer[direction];
        let flags = match errno {
            wasi::ERRNO_BADF => {
                *answer = Answer::Never;
                None
            }
            wasi::ERRNO_PERM
            | wasi::ERRNO_NOTSUP
            | wasi::ERRNO_INVAL
            | wasi::ERRNO_ACCES
            | wasi::ERRNO_NOTCAPABLE => {
                *answer = Answer::Ready;
                Some(FLAGS[direction])
            }
            errno => Some(host::failure(errno, direction)),
        };
        if let Some(flags) = flags {
            self.tell(index, flags, Some(direction));
        }
        // Until the next wait, where it has to be looked at.
        self.unask(index, direction);
        self.look_at(index);
    }
}

/// The host knows of nothing to read and of no room to write.
fn has_no_bytes(event: &Event) -> bool {
    event.fd_readwrite.nbytes == 0
        && event.error == wasi::ERRNO_SUCCESS
        && event.fd_readwrite.flags & wasi::EVENTRWFLAGS_FD_READWRITE_HANGUP == 0
}

/// The shortest wait that tells what is ready.
fn shortest() -> Duration {
    if !known::all(known::TRIED_AT_ONCE) {
        known::learn(known::TRIED_AT_ONCE);
        if tells_of_stdout_at_once() {
            known::learn(known::TELLS_AT_ONCE);
        }
    }
    if known::all(known::TELLS_AT_ONCE) { Duration::ZERO } else { COARSE }
}

/// Asks about a descriptor that cannot be open.
#[cold]
fn tells_nothing_of_closed() -> bool {
    let asked = [host::subscription(i32::MAX as u32, 0, READ), host::clock(Duration::ZERO)];
    let mut events = Vec::new();
    match host::poll(&asked, &mut events) {
        Ok(told) => !events[..told].iter().any(|event| host::named(event.userdata).is_some()),
        Err(_) => false,
    }
}

/// Standard output is ready in most programs.
#[cold]
fn tells_of_stdout_at_once() -> bool {
    let asked = [host::subscription(1, 0, WRITE), host::clock(Duration::ZERO)];
    let mut events = Vec::new();
    host::poll(&asked, &mut events).is_ok_and(|told| {
        let ready = |event: &Event| {
            host::named(event.userdata).is_some() && event.error == wasi::ERRNO_SUCCESS
        };
        events[..told].iter().any(ready)
    })
}
