//! `Epoll` emulated over poll(2), beside the bare poll(2) with the same set. For a
//! build with `--cfg readiness_backend="poll"`.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use readiness::{Epoll, EpollEvent, EpollFlags};
use readiness_bench::measure::paired;
use readiness_bench::report::Report;
use readiness_bench::sources::{chosen, eventfds, fire};

const LIMIT: f64 = 1.2;

const TIMEOUTS: [(&str, Option<Duration>, i32); 3] = [
    ("no timeout", None, -1),
    ("timeout 0", Some(Duration::ZERO), 0),
    ("timeout 1 s", Some(Duration::from_secs(1)), 1000),
];

pub fn run(report: &mut Report) {
    for size in [1, 64, 1024, 10_000] {
        for ready in if size == 1 { vec![1] } else { vec![1, size] } {
            for timeout in TIMEOUTS {
                wait(report, size, ready, timeout);
            }
        }
    }
}

fn wait(
    report: &mut Report,
    size: usize,
    ready: usize,
    (name, timeout, ms): (&str, Option<Duration>, i32),
) {
    let fds = eventfds(size);
    chosen(size, ready).into_iter().for_each(|at| fire(&fds[at]));
    let ours = Epoll::new().unwrap();
    let mut theirs = Vec::new();
    for fd in &fds {
        ours.register(fd, EpollFlags::IN).unwrap();
        theirs.push(libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    }
    let mut events = vec![EpollEvent::default(); size];
    let ratio = paired(
        || {
            let told = ours.wait(&mut events, timeout).unwrap();
            assert_eq!(told, ready);
            events[..told].iter().map(EpollEvent::data).sum()
        },
        || {
            // What a wait for a finite time takes beside the call.
            if ms > 0 {
                std::hint::black_box(Instant::now());
            }
            // SAFETY: the array is ours.
            let told = unsafe { libc::poll(theirs.as_mut_ptr(), theirs.len() as u64, ms) };
            let told = theirs.iter().filter(|entry| entry.revents != 0).take(told as usize);
            told.map(|entry| entry.fd as u64).sum()
        },
    );
    let ready = if ready == size { "all ready" } else { "1 ready" };
    let case = format!("emulated Epoll over poll(2), {ready}, {name}");
    report.add(&case, size, "bare poll", LIMIT, ratio);
}
