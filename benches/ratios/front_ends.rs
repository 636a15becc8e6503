//! `Epoll::wait`, `Poll::poll` and `select` beside the system calls and rustix,
//! with the loop over the results that a caller needs.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use readiness::{Epoll, EpollEvent, EpollFlags, Poll, PollFlags, Selection, select_into};
use readiness_bench::measure::{Ratio, paired};
use readiness_bench::report::Report;
use readiness_bench::results::add_ready;
use readiness_bench::sources::{chosen, drain, eventfds, fire, start, timerfd};
use rustix::event::{FdSetElement, FdSetIter, PollFd, epoll};
use rustix::fs::Timespec;

const LIMIT: f64 = 1.03;
const SIZES: [usize; 4] = [1, 64, 1024, 10_000];

/// Names of timeouts, ours, and theirs in milliseconds.
type Timeout = (&'static str, Option<Duration>, i32);
const TIMEOUTS: [Timeout; 3] = [
    ("no timeout", None, -1),
    ("timeout 0", Some(Duration::ZERO), 0),
    ("timeout 1 s", Some(Duration::from_secs(1)), 1000),
];

pub fn run(report: &mut Report) {
    for size in SIZES {
        for ready in if size == 1 { vec![1] } else { vec![1, size] } {
            let fds = fired(size, ready);
            let ready = if ready == size { "all ready" } else { "1 ready" };
            for timeout in TIMEOUTS {
                let case = format!("{ready}, {}", timeout.0);
                let against_raw = epoll(report, &case, &fds, timeout);
                points(report, ready, &fds, timeout, ["Epoll::wait", "epoll_wait"], against_raw);
                let against_raw = poll(report, &case, &fds, timeout);
                points(report, ready, &fds, timeout, ["Poll::poll", "poll"], against_raw);
                let against_raw = select(report, &case, &fds, timeout, LIMIT);
                points(report, ready, &fds, timeout, ["select()", "select"], against_raw);
            }
        }
    }
    for ready in [1, 5000] {
        let case = if ready == 1 { "1 ready, no timeout" } else { "all ready, no timeout" };
        select(report, case, &fired(5000, ready), TIMEOUTS[0], 1.0);
    }
    sleeping(report);
    by_ready(report);
}

/// Waits that have to sleep, and what a glance in vain costs there.
fn sleeping(report: &mut Report) {
    let fds = eventfds(64);
    let timer = timerfd();
    let mut ours = Poll::new();
    let mut raw = Vec::new();
    for fd in fds.iter().chain([&timer]) {
        ours.register(fd, PollFlags::IN).unwrap();
        raw.push(libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    }
    let ratio = paired(
        || {
            start(&timer);
            let told = ours.poll(None).unwrap().count();
            assert_eq!(told, 1);
            drain(timer.as_raw_fd())
        },
        || {
            start(&timer);
            // SAFETY: the array is ours.
            let told = unsafe { libc::poll(raw.as_mut_ptr(), raw.len() as u64, -1) };
            assert_eq!(told, 1);
            drain(timer.as_raw_fd())
        },
    );
    report.add("Poll::poll, none ready at first", raw.len(), "poll", LIMIT, ratio);
}

fn fired(size: usize, ready: usize) -> Vec<OwnedFd> {
    let fds = eventfds(size);
    chosen(size, ready).into_iter().for_each(|at| fire(&fds[at]));
    fds
}

fn points(
    report: &mut Report,
    ready: &str,
    fds: &[OwnedFd],
    timeout: Timeout,
    lines: [&str; 2],
    ratio: Ratio,
) {
    if timeout.1.is_none() {
        let plot = format!("A wait by the number registered; {ready}");
        for (line, nanos) in lines.into_iter().zip([ratio.ours, ratio.theirs]) {
            report.point(&plot, "registered", line, fds.len() as f64, nanos);
        }
    }
}

/// For the plots alone.
fn by_ready(report: &mut Report) {
    const PLOT: &str = "A wait by the number ready, of 1,024";
    let quiet = &mut Report::default();
    for ready in [1, 4, 16, 64, 256, 1024] {
        let fds = fired(1024, ready);
        for (lines, ratio) in [
            (["Epoll::wait", "epoll_wait"], epoll(quiet, "", &fds, TIMEOUTS[0])),
            (["Poll::poll", "poll"], poll(quiet, "", &fds, TIMEOUTS[0])),
            (["select()", "select"], select(quiet, "", &fds, TIMEOUTS[0], LIMIT)),
        ] {
            report.point(PLOT, "ready", lines[0], ready as f64, ratio.ours);
            report.point(PLOT, "ready", lines[1], ready as f64, ratio.theirs);
        }
    }
}

/// With a finite timeout the raw call and one reading of the clock are the limit:
/// whoever goes on after a signal has to know when he began.
fn read_clock(timeout: Option<Duration>) {
    if timeout.is_some_and(|timeout| !timeout.is_zero()) {
        std::hint::black_box(Instant::now());
    }
}

fn timespec(timeout: Option<Duration>) -> Option<Timespec> {
    timeout.map(|timeout| timeout.try_into().unwrap())
}

fn epoll(report: &mut Report, case: &str, fds: &[OwnedFd], (_, timeout, ms): Timeout) -> Ratio {
    let most = fds.len();
    let ours = Epoll::new().unwrap();
    // SAFETY: no pointers.
    let theirs = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    let rustix = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    for fd in fds {
        ours.register(fd, EpollFlags::IN).unwrap();
        let data = fd.as_raw_fd() as u64;
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: data };
        // SAFETY: the event is ours.
        unsafe { libc::epoll_ctl(theirs, libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &mut event) };
        epoll::add(&rustix, fd, epoll::EventData::new_u64(data), epoll::EventFlags::IN).unwrap();
    }
    let mut events = vec![EpollEvent::default(); most];
    let mut work = || {
        let ready = ours.wait(&mut events, timeout).unwrap();
        events[..ready].iter().map(EpollEvent::data).sum()
    };

    let mut raw = vec![libc::epoll_event { events: 0, u64: 0 }; most];
    let against_raw = paired(&mut work, || {
        read_clock(timeout);
        // SAFETY: there is room for `most` events.
        let ready = unsafe { libc::epoll_wait(theirs, raw.as_mut_ptr(), most as i32, ms) };
        raw[..ready as usize].iter().map(|event| event.u64).sum()
    });
    report.add(&format!("Epoll::wait, {case}"), most, "epoll_wait", LIMIT, against_raw);

    let mut room: Vec<epoll::Event> = Vec::with_capacity(most);
    let time = timespec(timeout);
    let ratio = paired(&mut work, || {
        read_clock(timeout);
        room.clear();
        let spare = rustix::buffer::spare_capacity(&mut room);
        epoll::wait(&rustix, spare, time.as_ref()).unwrap();
        room.iter().map(|event| event.data.u64()).sum()
    });
    report.add(&format!("Epoll::wait, {case}"), most, "rustix::event", LIMIT, ratio);
    // SAFETY: it is ours.
    unsafe { libc::close(theirs) };
    against_raw
}

fn poll(report: &mut Report, case: &str, fds: &[OwnedFd], (_, timeout, ms): Timeout) -> Ratio {
    let mut ours = Poll::new();
    let mut raw = Vec::new();
    let mut rustix = Vec::new();
    for fd in fds {
        ours.register(fd, PollFlags::IN).unwrap();
        raw.push(libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
        rustix.push(PollFd::new(fd, rustix::event::PollFlags::IN));
    }
    let mut work = || {
        let mut sum = 0;
        for event in ours.poll(timeout).unwrap() {
            sum += event.source.number() + u64::from(event.flags.bits());
        }
        sum
    };

    let against_raw = paired(&mut work, || {
        read_clock(timeout);
        // SAFETY: the array is ours.
        let ready = unsafe { libc::poll(raw.as_mut_ptr(), raw.len() as u64, ms) };
        add_ready(0, &raw, ready)
    });
    report.add(&format!("Poll::poll, {case}"), fds.len(), "poll", LIMIT, against_raw);

    let time = timespec(timeout);
    let ratio = paired(&mut work, || {
        read_clock(timeout);
        let ready = rustix::event::poll(&mut rustix, time.as_ref()).unwrap();
        let told = rustix.iter().filter(|entry| !entry.revents().is_empty()).take(ready);
        told.map(|entry| entry.as_fd().as_raw_fd() as u64 + u64::from(entry.revents().bits())).sum()
    });
    report.add(&format!("Poll::poll, {case}"), fds.len(), "rustix::event", LIMIT, ratio);
    against_raw
}

/// select(2) with sets large enough: the system call itself, for glibc's has
/// 1,024. Its caller makes the set anew, and looks for each of his descriptors.
fn select(
    report: &mut Report,
    case: &str,
    fds: &[OwnedFd],
    (_, timeout, _): Timeout,
    limit: f64,
) -> Ratio {
    let mut selection = Selection::new();
    let mut work = || {
        select_into(&mut selection, fds, [], [], timeout).unwrap();
        selection.read().iter().map(|at| fds[*at].as_raw_fd() as u64).sum()
    };

    let most = fds.iter().map(|fd| fd.as_raw_fd()).max().unwrap() as usize + 1;
    let mut set = vec![0u64; most.div_ceil(64)];
    for fd in fds {
        let fd = fd.as_raw_fd() as usize;
        set[fd / 64] |= 1 << (fd % 64);
    }
    let mut told = set.clone();
    let against_raw = paired(&mut work, || {
        read_clock(timeout);
        told.copy_from_slice(&set);
        let mut time = timeout.map(|time| libc::timespec {
            tv_sec: time.as_secs() as i64,
            tv_nsec: time.subsec_nanos().into(),
        });
        let time = time.as_mut().map_or(std::ptr::null_mut(), |time| time as *mut _);
        let none = std::ptr::null_mut::<u64>();
        // SAFETY: the set has room for `most` bits; the others are null.
        let ready = unsafe {
            libc::syscall(libc::SYS_pselect6, most, told.as_mut_ptr(), none, none, time, none)
        };
        assert!(ready > 0);
        let numbers = fds.iter().map(|fd| fd.as_raw_fd() as usize);
        numbers.filter(|fd| told[fd / 64] & 1 << (fd % 64) != 0).map(|fd| fd as u64).sum()
    });
    report.add(&format!("select, {case}"), fds.len(), "select", limit, against_raw);

    let mut set = vec![FdSetElement::default(); rustix::event::fd_set_num_elements(0, most as i32)];
    fds.iter().for_each(|fd| rustix::event::fd_set_insert(&mut set, fd.as_raw_fd()));
    let mut told = set.clone();
    let time = timespec(timeout);
    let ratio = paired(&mut work, || {
        read_clock(timeout);
        told.copy_from_slice(&set);
        // SAFETY: the descriptors in the set are open.
        let ready = unsafe {
            rustix::event::select(most as i32, Some(&mut told), None, None, time.as_ref())
        };
        assert!(ready.unwrap() > 0);
        FdSetIter::new(&told).map(|fd| fd as u64).sum()
    });
    report.add(&format!("select, {case}"), fds.len(), "rustix::event", limit, ratio);
    against_raw
}
