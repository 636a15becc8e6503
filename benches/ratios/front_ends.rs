//! `Epoll::wait`, `Poll::poll` and `select` beside the system calls, with the
//! loop over the results that a caller needs.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use readiness::{Epoll, EpollEvent, EpollFlags, Poll, PollFlags, Selection, select_into};
use readiness_bench::measure::paired;
use readiness_bench::report::Report;
use readiness_bench::sources::{chosen, eventfds, fire};

const LIMIT: f64 = 1.03;
const SIZES: [usize; 4] = [1, 64, 1024, 10_000];

/// Names of timeouts, ours, and theirs in milliseconds. A finite one is there to
/// be measured against the call and one reading of the clock.
const TIMEOUTS: [(&str, Option<Duration>, i32); 3] = [
    ("no timeout", None, -1),
    ("timeout 0", Some(Duration::ZERO), 0),
    ("timeout 1 s", Some(Duration::from_secs(1)), 1000),
];

pub fn run(report: &mut Report) {
    for size in SIZES {
        for ready in if size == 1 { vec![1] } else { vec![1, size] } {
            let fds = eventfds(size);
            chosen(size, ready).into_iter().for_each(|at| fire(&fds[at]));
            let ready = if ready == size { "all ready" } else { "1 ready" };
            for (name, ours, theirs) in TIMEOUTS {
                let case = format!("{ready}, {name}");
                epoll(report, &case, &fds, ours, theirs);
                poll(report, &case, &fds, ours, theirs);
                select(report, &case, &fds, ours, LIMIT);
            }
        }
    }
    for ready in [1, 5000] {
        let fds = eventfds(5000);
        chosen(5000, ready).into_iter().for_each(|at| fire(&fds[at]));
        let case = if ready == 1 { "1 ready, no timeout" } else { "all ready, no timeout" };
        select(report, case, &fds, None, 1.0);
    }
}

fn read_clock(timeout: Option<Duration>) {
    if timeout.is_some_and(|timeout| !timeout.is_zero()) {
        std::hint::black_box(Instant::now());
    }
}

fn epoll(report: &mut Report, case: &str, fds: &[OwnedFd], timeout: Option<Duration>, ms: i32) {
    let ours = Epoll::new().unwrap();
    // SAFETY: no pointers.
    let theirs = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    for fd in fds {
        ours.register(fd, EpollFlags::IN).unwrap();
        let mut event =
            libc::epoll_event { events: libc::EPOLLIN as u32, u64: fd.as_raw_fd() as u64 };
        // SAFETY: the event is ours.
        unsafe { libc::epoll_ctl(theirs, libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &mut event) };
    }
    let mut events = vec![EpollEvent::default(); 1024];
    let mut raw = vec![libc::epoll_event { events: 0, u64: 0 }; 1024];
    let ratio = paired(
        || {
            let ready = ours.wait(&mut events, timeout).unwrap();
            events[..ready].iter().map(EpollEvent::data).sum()
        },
        || {
            read_clock(timeout);
            // SAFETY: there is room for 1024 events.
            let ready = unsafe { libc::epoll_wait(theirs, raw.as_mut_ptr(), 1024, ms) };
            raw[..ready as usize].iter().map(|event| event.u64).sum()
        },
    );
    report.add(&format!("Epoll::wait, {case}"), fds.len(), "epoll_wait", LIMIT, ratio);
    // SAFETY: it is ours.
    unsafe { libc::close(theirs) };
}

fn poll(report: &mut Report, case: &str, fds: &[OwnedFd], timeout: Option<Duration>, ms: i32) {
    let mut ours = Poll::new();
    let mut theirs = Vec::new();
    for fd in fds {
        ours.register(fd, PollFlags::IN).unwrap();
        theirs.push(libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    }
    let ratio = paired(
        || ours.poll(timeout).unwrap().map(|event| event.source.number()).sum(),
        || {
            read_clock(timeout);
            // SAFETY: the array is ours.
            let ready = unsafe { libc::poll(theirs.as_mut_ptr(), theirs.len() as u64, ms) };
            let told = theirs.iter().filter(|entry| entry.revents != 0).take(ready as usize);
            told.map(|entry| entry.fd as u64).sum()
        },
    );
    report.add(&format!("Poll::poll, {case}"), fds.len(), "poll", LIMIT, ratio);
}

/// select(2) with sets large enough: the system call itself, for glibc's has 1,024.
fn select(report: &mut Report, case: &str, fds: &[OwnedFd], timeout: Option<Duration>, limit: f64) {
    let mut selection = Selection::new();
    let most = fds.iter().map(|fd| fd.as_raw_fd()).max().unwrap() as usize + 1;
    let mut set = vec![0u64; most.div_ceil(64)];
    for fd in fds {
        let fd = fd.as_raw_fd() as usize;
        set[fd / 64] |= 1 << (fd % 64);
    }
    let mut told = set.clone();
    let ratio = paired(
        || {
            select_into(&mut selection, fds, [], [], timeout).unwrap();
            selection.read().iter().map(|at| fds[*at].as_raw_fd() as u64).sum()
        },
        || {
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
            let is_set = |fd: &usize| told[fd / 64] & 1 << (fd % 64) != 0;
            let numbers = fds.iter().map(|fd| fd.as_raw_fd() as usize);
            numbers.filter(is_set).map(|fd| fd as u64).sum()
        },
    );
    report.add(&format!("select, {case}"), fds.len(), "select", limit, ratio);
}
