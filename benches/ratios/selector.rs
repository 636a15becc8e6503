//! `Selector` beside mio, polling, rustix and the raw epoll.

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use readiness_bench::measure::{Ratio, Side, paired};
use readiness_bench::peers::{Mio, Mode, Ours, Peer, Polling, Raw, Rustix, add_all};
use readiness_bench::report::Report;
use readiness_bench::sources::{chosen, drain, eventfds, fire, start, timerfd};

const LIMIT: f64 = 1.02;
const SIZES: [usize; 4] = [1, 64, 1024, 10_000];

const TIMEOUTS: [(&str, Option<Duration>); 3] = [
    ("no timeout", None),
    ("timeout 0", Some(Duration::ZERO)),
    ("timeout 1 s", Some(Duration::from_secs(1))),
];

pub fn run(report: &mut Report) {
    for size in SIZES {
        let fds = eventfds(size);
        for ready in if size == 1 { vec![1] } else { vec![1, size] } {
            let at = chosen(size, ready);
            let ready = if ready == size { "all ready" } else { "1 ready" };
            for mode in [Mode::Edge, Mode::Level] {
                for (name, timeout) in TIMEOUTS {
                    // One size is enough to see what a timeout costs.
                    if timeout.is_some() && (size != 64 || mode == Mode::Level) {
                        continue;
                    }
                    let mode_name = if mode == Mode::Edge { "edge" } else { "level" };
                    let case = format!("Selector, {ready}, {mode_name}, {name}");
                    let work = Work { fds: &fds, ready: &at, mode, timeout };
                    rounds::<Raw>(report, &case, work);
                    rounds::<Rustix>(report, &case, work);
                    rounds::<Mio>(report, &case, work);
                    rounds::<Polling>(report, &case, work);
                }
            }
        }
    }
    sleeping::<Raw>(report);
    sleeping::<Mio>(report);
    by_ready(report);
    for size in SIZES {
        registering(report, size, "");
    }
    ping_pong::<Raw>(report);
    ping_pong::<Rustix>(report);
    ping_pong::<Mio>(report);
    ping_pong::<Polling>(report);
}

/// What each side has to do: write to what shall be ready, wait, read it.
#[derive(Clone, Copy)]
struct Work<'a> {
    fds: &'a [OwnedFd],
    ready: &'a [usize],
    mode: Mode,
    timeout: Option<Duration>,
}

struct Round<'a, P> {
    set: P,
    work: Work<'a>,
}

impl<P: Peer> Side for Round<'_, P> {
    /// The sides share the sources. A write costs for each set that has them, so
    /// they are in one at a time.
    fn enter(&mut self) {
        add_all(&mut self.set, self.work.fds, self.work.mode);
    }

    fn work(&mut self) -> u64 {
        let Work { fds, ready, timeout, .. } = self.work;
        ready.iter().for_each(|at| fire(&fds[*at]));
        let (mut sum, mut left) = (0, ready.len());
        while left > 0 {
            left -= self.set.wait(timeout, |token| sum += drain(fds[token].as_raw_fd()));
        }
        sum
    }

    fn leave(&mut self) {
        self.work.fds.iter().for_each(|fd| self.set.delete(fd.as_fd()));
    }
}

fn compared<P: Peer>(work: Work<'_>) -> Ratio {
    let most = work.fds.len();
    paired(Round { set: Ours::new(most), work }, Round { set: P::new(most), work })
}

fn rounds<P: Peer>(report: &mut Report, case: &str, work: Work<'_>) {
    if work.mode == Mode::Edge || P::LEVEL {
        let size = work.fds.len();
        let ratio = compared::<P>(work);
        report.add(case, size, P::NAME, LIMIT, ratio);
        if work.mode == Mode::Edge && work.timeout.is_none() {
            let ready = if work.ready.len() == 1 { "1 ready" } else { "all ready" };
            let plot = format!("A round by the number registered: write, wait, read; {ready}");
            report.point(&plot, "registered", P::NAME, size as f64, ratio.theirs);
            if P::NAME == Raw::NAME {
                report.point(&plot, "registered", Ours::NAME, size as f64, ratio.ours);
            }
        }
    }
}

/// Waits that have to sleep, with a timeout.
struct Sleeping<'a, P> {
    set: P,
    sources: &'a [OwnedFd],
}

impl<P: Peer> Side for Sleeping<'_, P> {
    fn enter(&mut self) {
        add_all(&mut self.set, self.sources, Mode::Edge);
    }

    fn work(&mut self) -> u64 {
        let timer = &self.sources[0];
        start(timer);
        let mut sum = 0;
        let told = self.set.wait(TIMEOUTS[2].1, |_| sum += drain(timer.as_raw_fd()));
        assert_eq!(told, 1);
        sum
    }

    fn leave(&mut self) {
        self.sources.iter().for_each(|fd| self.set.delete(fd.as_fd()));
    }
}

fn sleeping<P: Peer>(report: &mut Report) {
    let sources: Vec<_> = std::iter::once(timerfd()).chain(eventfds(63)).collect();
    let ours = Sleeping { set: Ours::new(64), sources: &sources };
    let ratio = paired(ours, Sleeping { set: P::new(64), sources: &sources });
    report.add("Selector, none ready at first, timeout 1 s", 64, P::NAME, LIMIT, ratio);
}

/// For the plots alone.
fn by_ready(report: &mut Report) {
    const PLOT: &str = "A round by the number ready, of 1,024: write, wait, read";
    let fds = eventfds(1024);
    for ready in [1, 4, 16, 64, 256, 1024] {
        let at = chosen(fds.len(), ready);
        let work = Work { fds: &fds, ready: &at, mode: Mode::Edge, timeout: None };
        let raw = compared::<Raw>(work);
        let mut point =
            |line: &str, nanos: f64| report.point(PLOT, "ready", line, ready as f64, nanos);
        point(Ours::NAME, raw.ours);
        point(Raw::NAME, raw.theirs);
        point(Mio::NAME, compared::<Mio>(work).theirs);
        point(Polling::NAME, compared::<Polling>(work).theirs);
    }
}

/// One more source in a set of `size`: added and taken away, and modified. `place`: what the
/// cases' names end with.
pub fn registering(report: &mut Report, size: usize, place: &str) {
    let others = eventfds(size - 1);
    let one = UnixStream::pair().unwrap().0;
    against::<Raw>(report, &others, &one, place);
    against::<Rustix>(report, &others, &one, place);
    against::<Mio>(report, &others, &one, place);
    against::<Polling>(report, &others, &one, place);

    fn against<P: Peer>(report: &mut Report, others: &[OwnedFd], one: &UnixStream, place: &str) {
        let mut ours = Ours::new(1);
        let mut theirs = P::new(1);
        add_all(&mut ours, others, Mode::Edge);
        add_all(&mut theirs, others, Mode::Edge);
        let (size, token, fd) = (others.len() + 1, others.len(), one.as_fd());
        let ratio = paired(
            || {
                ours.add(fd, token, Mode::Edge);
                ours.delete(fd);
                1
            },
            || {
                theirs.add(fd, token, Mode::Edge);
                theirs.delete(fd);
                1
            },
        );
        report.add(&format!("register and deregister{place}"), size, P::NAME, LIMIT, ratio);
        ours.add(fd, token, Mode::Edge);
        theirs.add(fd, token, Mode::Edge);
        let ratio = paired(
            || {
                ours.modify(fd, token, Mode::Edge);
                1
            },
            || {
                theirs.modify(fd, token, Mode::Edge);
                1
            },
        );
        report.add(&format!("modify{place}"), size, P::NAME, LIMIT, ratio);
    }
}

const PAIRS: usize = 500;

/// A byte goes to and fro over each of 500 socket pairs, all at once. The sides share
/// the sockets, as where they lie makes them faster or slower by some percent.
struct PingPong<'a, P> {
    set: P,
    sockets: &'a [UnixStream],
}

fn playing() -> Vec<UnixStream> {
    let sockets: Vec<UnixStream> = (0..PAIRS)
        .flat_map(|_| <[UnixStream; 2]>::from(UnixStream::pair().unwrap()))
        .inspect(|socket| socket.set_nonblocking(true).unwrap())
        .collect();
    for mut socket in sockets.iter().step_by(2) {
        socket.write_all(b"x").unwrap();
    }
    sockets
}

impl<P: Peer> Side for PingPong<'_, P> {
    fn enter(&mut self) {
        add_all(&mut self.set, self.sockets, Mode::Edge);
    }

    fn work(&mut self) -> u64 {
        let PingPong { set, sockets } = self;
        let mut sum = 0;
        set.wait(None, |token| {
            let mut socket = &sockets[token];
            let mut byte = [0];
            // Edges tell of room to write too, when it is not wanted.
            if let Ok(1) = socket.read(&mut byte) {
                sum += socket.write(&byte).unwrap() as u64;
            }
        });
        sum
    }

    fn leave(&mut self) {
        self.sockets.iter().for_each(|socket| self.set.delete(socket.as_fd()));
    }
}

fn ping_pong<P: Peer>(report: &mut Report) {
    let sockets = &playing()[..];
    let ours = PingPong { set: Ours::new(2 * PAIRS), sockets };
    let ratio = paired(ours, PingPong { set: P::new(2 * PAIRS), sockets });
    report.add("ping-pong over 500 socket pairs", PAIRS, P::NAME, LIMIT, ratio);
    // By the ratios, which hold from one comparison to the next as times do not.
    const PLOT: &str = "Messages a second: ping-pong over 500 socket pairs";
    if P::NAME == Raw::NAME {
        report.bar(PLOT, Ours::NAME, PAIRS as f64 / ratio.ours * 1e9);
    }
    let ours = report.points.iter().find(|point| point.plot == PLOT).map_or(0.0, |point| point.y);
    report.bar(PLOT, P::NAME, ours * ratio.median);
}
