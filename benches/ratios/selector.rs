//! `Selector` beside mio, polling and the raw epoll.

use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use mio::unix::SourceFd;
use readiness::{Events, Interest, Mode, Selector};
use readiness_bench::measure::{Ratio, paired};
use readiness_bench::report::Report;
use readiness_bench::sources::{chosen, drain, eventfds, fire};

const LIMIT: f64 = 1.02;
const SIZES: [usize; 4] = [1, 64, 1024, 10_000];
const MOST: usize = 10_000;

pub fn run(report: &mut Report) {
    for size in SIZES {
        for ready in if size == 1 { vec![1] } else { vec![1, size] } {
            let fds = eventfds(size);
            let at = chosen(size, ready);
            let name = if ready == size { "all ready" } else { "1 ready" };
            rounds(report, &format!("Selector, {name}, edge"), &fds, &at, Mode::Edge, None);
            rounds(report, &format!("Selector, {name}, level"), &fds, &at, Mode::Level, None);
        }
    }
    let fds = eventfds(64);
    let second = Some(Duration::from_secs(1));
    rounds(report, "Selector, 1 ready, edge, timeout 1 s", &fds, &[31], Mode::Edge, second);
    for size in SIZES {
        registering(report, size);
    }
    ping_pong(report);
}

/// The slowest of the ratios is the one against the fastest peer.
fn compare(report: &mut Report, case: &str, size: usize, ratios: [(&str, Ratio); 3]) {
    for (against, ratio) in ratios {
        report.add(case, size, against, LIMIT, ratio);
    }
}

struct Raw(OwnedFd);

impl Raw {
    fn new() -> Raw {
        // SAFETY: the kernel gives us the descriptor.
        unsafe {
            use std::os::fd::FromRawFd;
            Raw(OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC)))
        }
    }

    fn control(&self, operation: i32, fd: i32, events: i32, data: u64) {
        let mut event = libc::epoll_event { events: events as u32, u64: data };
        // SAFETY: the event is ours.
        let answer = unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd, &mut event) };
        assert_eq!(answer, 0);
    }

    fn wait(&self, events: &mut [libc::epoll_event], ms: i32) -> usize {
        // SAFETY: the events are ours.
        unsafe {
            libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), events.len() as i32, ms)
                as usize
        }
    }
}

const EDGE: i32 = libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET;
const LEVEL: i32 = libc::EPOLLIN | libc::EPOLLRDHUP;

/// A round: write to what shall be ready, wait, read it.
fn rounds(
    report: &mut Report,
    case: &str,
    fds: &[OwnedFd],
    ready: &[usize],
    mode: Mode,
    timeout: Option<Duration>,
) {
    let selector = Selector::new().unwrap();
    let mut events = Events::with_capacity(MOST);
    let raw = Raw::new();
    let mut raw_events = vec![libc::epoll_event { events: 0, u64: 0 }; MOST];
    let mut mio = mio::Poll::new().unwrap();
    let mut mio_events = mio::Events::with_capacity(MOST);
    let polling = polling::Poller::new().unwrap();
    let mut polling_events = polling::Events::with_capacity(NonZero::new(MOST).unwrap());
    let (bits, polling_mode) = match mode {
        Mode::Edge => (EDGE, polling::PollMode::Edge),
        _ => (LEVEL, polling::PollMode::Level),
    };
    let ms = timeout.map_or(-1, |timeout| timeout.as_millis() as i32);

    let mut ours = |fds: &[OwnedFd]| {
        ready.iter().for_each(|at| fire(&fds[*at]));
        let mut sum = 0;
        let mut left = ready.len();
        while left > 0 {
            left -= selector.wait(&mut events, timeout).unwrap();
            sum += events
                .iter()
                .map(|event| drain(fds[event.token() as usize].as_raw_fd()))
                .sum::<u64>();
        }
        sum
    };
    let mut bare = |fds: &[OwnedFd]| {
        ready.iter().for_each(|at| fire(&fds[*at]));
        let mut sum = 0;
        let mut left = ready.len();
        while left > 0 {
            let told = raw.wait(&mut raw_events, ms);
            left -= told;
            sum += raw_events[..told]
                .iter()
                .map(|event| drain(fds[event.u64 as usize].as_raw_fd()))
                .sum::<u64>();
        }
        sum
    };

    // One epoll at a time: each write costs for every epoll that has the source.
    let register = || {
        for (at, fd) in fds.iter().enumerate() {
            selector.register(fd, at as u64, Interest::READ, mode).unwrap();
        }
    };
    let register_raw = || {
        for (at, fd) in fds.iter().enumerate() {
            raw.control(libc::EPOLL_CTL_ADD, fd.as_raw_fd(), bits, at as u64);
        }
    };
    let others = eventfds(fds.len());
    for (at, fd) in others.iter().enumerate() {
        let _ = (at, fd);
    }
    register();
    register_raw_on(&raw, &others, bits);
    let _ = register_raw;
    let against_raw = paired(|| ours(fds), || bare(&others));
    drop(bare);
    drop(raw);

    for (at, fd) in others.iter().enumerate() {
        // SAFETY: the descriptors live until the poller is dropped.
        unsafe {
            polling.add_with_mode(fd, polling::Event::readable(at), polling_mode).unwrap();
        }
    }
    let against_polling = paired(
        || ours(fds),
        || {
            ready.iter().for_each(|at| fire(&others[*at]));
            let mut sum = 0;
            let mut left = ready.len();
            while left > 0 {
                polling_events.clear();
                left -= polling.wait(&mut polling_events, timeout).unwrap();
                sum += polling_events
                    .iter()
                    .map(|event| drain(others[event.key].as_raw_fd()))
                    .sum::<u64>();
            }
            sum
        },
    );
    drop(polling);

    // mio has edges only.
    if mode == Mode::Edge {
        for (at, fd) in others.iter().enumerate() {
            let registry = mio.registry();
            registry
                .register(&mut SourceFd(&fd.as_raw_fd()), mio::Token(at), mio::Interest::READABLE)
                .unwrap();
        }
        let against_mio = paired(
            || ours(fds),
            || {
                ready.iter().for_each(|at| fire(&others[*at]));
                let mut sum = 0;
                let mut left = ready.len();
                while left > 0 {
                    mio.poll(&mut mio_events, timeout).unwrap();
                    for event in &mio_events {
                        left -= 1;
                        sum += drain(others[event.token().0].as_raw_fd());
                    }
                }
                sum
            },
        );
        report.add(case, fds.len(), "mio", LIMIT, against_mio);
    }
    report.add(case, fds.len(), "raw epoll", LIMIT, against_raw);
    report.add(case, fds.len(), "polling", LIMIT, against_polling);
}

fn register_raw_on(raw: &Raw, fds: &[OwnedFd], bits: i32) {
    for (at, fd) in fds.iter().enumerate() {
        raw.control(libc::EPOLL_CTL_ADD, fd.as_raw_fd(), bits, at as u64);
    }
}

/// One more source in a set of `size`: added and taken away, and modified.
fn registering(report: &mut Report, size: usize) {
    let sockets: Vec<(UnixStream, UnixStream)> =
        (0..size.min(4000)).map(|_| UnixStream::pair().unwrap()).collect();
    let one = UnixStream::pair().unwrap().0;
    let fd = one.as_raw_fd();

    let selector = Selector::new().unwrap();
    let raw = Raw::new();
    let mio = mio::Poll::new().unwrap();
    let polling = polling::Poller::new().unwrap();
    for (at, (socket, _)) in sockets.iter().enumerate() {
        selector.register(socket, at as u64, Interest::READ, Mode::Edge).unwrap();
        raw.control(libc::EPOLL_CTL_ADD, socket.as_raw_fd(), EDGE, at as u64);
    }
    let key = MOST;
    let size = sockets.len();

    let mut ours = || {
        selector.register(&one, key as u64, Interest::READ, Mode::Edge).unwrap();
        selector.unregister(&one).unwrap();
        1
    };
    let against_raw = paired(&mut ours, || {
        raw.control(libc::EPOLL_CTL_ADD, fd, EDGE, key as u64);
        raw.control(libc::EPOLL_CTL_DEL, fd, 0, 0);
        1
    });
    let registry = mio.registry();
    let against_mio = paired(&mut ours, || {
        registry.register(&mut SourceFd(&fd), mio::Token(key), mio::Interest::READABLE).unwrap();
        registry.deregister(&mut SourceFd(&fd)).unwrap();
        1
    });
    let event = polling::Event::readable(key);
    let against_polling = paired(&mut ours, || {
        // SAFETY: the socket outlives the poller.
        unsafe { polling.add_with_mode(&one, event, polling::PollMode::Edge).unwrap() };
        polling.delete(&one).unwrap();
        1
    });
    compare(
        report,
        "register and unregister",
        size,
        [("raw epoll", against_raw), ("mio", against_mio), ("polling", against_polling)],
    );

    selector.register(&one, key as u64, Interest::READ, Mode::Edge).unwrap();
    let mut ours = || {
        selector.modify(&one, key as u64, Interest::READ, Mode::Edge).unwrap();
        1
    };
    let against_raw = {
        raw.control(libc::EPOLL_CTL_ADD, fd, EDGE, key as u64);
        let ratio = paired(&mut ours, || {
            raw.control(libc::EPOLL_CTL_MOD, fd, EDGE, key as u64);
            1
        });
        raw.control(libc::EPOLL_CTL_DEL, fd, 0, 0);
        ratio
    };
    registry.register(&mut SourceFd(&fd), mio::Token(key), mio::Interest::READABLE).unwrap();
    let against_mio = paired(&mut ours, || {
        registry.reregister(&mut SourceFd(&fd), mio::Token(key), mio::Interest::READABLE).unwrap();
        1
    });
    registry.deregister(&mut SourceFd(&fd)).unwrap();
    // SAFETY: the socket outlives the poller.
    unsafe { polling.add_with_mode(&one, event, polling::PollMode::Edge).unwrap() };
    let against_polling = paired(&mut ours, || {
        polling.modify_with_mode(&one, event, polling::PollMode::Edge).unwrap();
        1
    });
    polling.delete(&one).unwrap();
    compare(
        report,
        "modify",
        size,
        [("raw epoll", against_raw), ("mio", against_mio), ("polling", against_polling)],
    );
}

const PAIRS: usize = 500;

/// A byte goes to and fro over each of 500 socket pairs, all at once.
fn ping_pong(report: &mut Report) {
    let sockets = || -> Vec<UnixStream> {
        (0..PAIRS)
            .flat_map(|_| <[UnixStream; 2]>::from(UnixStream::pair().unwrap()))
            .inspect(|socket| socket.set_nonblocking(true).unwrap())
            .collect()
    };
    let serve = |sockets: &[UnixStream]| {
        sockets.iter().step_by(2).for_each(|socket| drop((&mut &*socket).write(b"x")));
    };
    let answer = |socket: &UnixStream| -> u64 {
        let mut byte = [0];
        match (&mut &*socket).read(&mut byte) {
            Ok(1) => (&mut &*socket).write(&byte).unwrap() as u64,
            _ => 0,
        }
    };

    let own = sockets();
    let selector = Selector::new().unwrap();
    for (at, socket) in own.iter().enumerate() {
        selector.register(socket, at as u64, Interest::READ, Mode::Edge).unwrap();
    }
    serve(&own);
    let mut events = Events::with_capacity(1024);
    let mut ours = || {
        selector.wait(&mut events, None).unwrap();
        events.iter().map(|event| answer(&own[event.token() as usize])).sum()
    };

    let other = sockets();
    serve(&other);
    let raw = Raw::new();
    for (at, socket) in other.iter().enumerate() {
        raw.control(libc::EPOLL_CTL_ADD, socket.as_raw_fd(), EDGE, at as u64);
    }
    let mut raw_events = vec![libc::epoll_event { events: 0, u64: 0 }; 1024];
    let against_raw = paired(&mut ours, || {
        let told = raw.wait(&mut raw_events, -1);
        raw_events[..told].iter().map(|event| answer(&other[event.u64 as usize])).sum()
    });
    drop(raw);

    let mut mio = mio::Poll::new().unwrap();
    for (at, socket) in other.iter().enumerate() {
        let fd = socket.as_raw_fd();
        let registry = mio.registry();
        registry.register(&mut SourceFd(&fd), mio::Token(at), mio::Interest::READABLE).unwrap();
    }
    let mut mio_events = mio::Events::with_capacity(1024);
    let against_mio = paired(&mut ours, || {
        mio.poll(&mut mio_events, None).unwrap();
        mio_events.iter().map(|event| answer(&other[event.token().0])).sum()
    });
    drop(mio);

    let polling = polling::Poller::new().unwrap();
    for (at, socket) in other.iter().enumerate() {
        // SAFETY: the sockets outlive the poller.
        unsafe {
            polling
                .add_with_mode(socket, polling::Event::readable(at), polling::PollMode::Edge)
                .unwrap();
        }
    }
    let mut polling_events = polling::Events::with_capacity(NonZero::new(1024).unwrap());
    let against_polling = paired(&mut ours, || {
        polling_events.clear();
        polling.wait(&mut polling_events, None).unwrap();
        polling_events.iter().map(|event| answer(&other[event.key])).sum()
    });
    compare(
        report,
        "ping-pong",
        PAIRS,
        [("raw epoll", against_raw), ("mio", against_mio), ("polling", against_polling)],
    );
}
