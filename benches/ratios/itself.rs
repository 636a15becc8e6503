//! The raw calls against themselves: how far from 1 the harness itself is. In no
//! report, and only where it is named: `... --bench ratios -- itself`.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use readiness_bench::measure::paired;
use readiness_bench::report::Report;
use readiness_bench::results::add_ready;
use readiness_bench::sources::{chosen, eventfds, fire};

pub fn run() {
    let report = &mut Report::default();
    for (size, ready) in [(1, 1), (64, 1), (64, 64), (1024, 1), (1024, 1024), (5000, 5000)] {
        let fds = eventfds(size);
        chosen(size, ready).into_iter().for_each(|at| fire(&fds[at]));
        // The kernel keeps a descriptor's sets in order: each is once ours.
        both(report, "epoll_wait", &fds, ready, epoll(&fds), epoll(&fds));
        both(report, "poll", &fds, ready, poll(&fds), poll(&fds));
    }
}

fn both<F: FnMut() -> u64>(
    report: &mut Report,
    call: &str,
    fds: &[OwnedFd],
    ready: usize,
    mut first: F,
    mut second: F,
) {
    let case = format!("{call}, {ready} ready");
    report.add(&case, fds.len(), "one made later", 1.01, paired(&mut first, &mut second));
    report.add(&case, fds.len(), "one made before", 1.01, paired(&mut second, &mut first));
}

fn epoll(fds: &[OwnedFd]) -> impl FnMut() -> u64 + use<> {
    // SAFETY: no pointers; the kernel gives us the descriptor.
    let set = unsafe { OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC)) };
    for fd in fds {
        let mut event =
            libc::epoll_event { events: libc::EPOLLIN as u32, u64: fd.as_raw_fd() as u64 };
        // SAFETY: the event is ours.
        unsafe {
            libc::epoll_ctl(set.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &mut event);
        }
    }
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; fds.len()];
    move || {
        let (at, most) = (events.as_mut_ptr(), events.len() as i32);
        // SAFETY: there is room for `most` events.
        let ready = unsafe { libc::epoll_wait(set.as_raw_fd(), at, most, -1) };
        events[..ready as usize].iter().map(|event| event.u64).sum()
    }
}

fn poll(fds: &[OwnedFd]) -> impl FnMut() -> u64 + use<> {
    let entry =
        |fd: &OwnedFd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut list: Vec<_> = fds.iter().map(entry).collect();
    move || {
        // SAFETY: the array is ours.
        let ready = unsafe { libc::poll(list.as_mut_ptr(), list.len() as u64, -1) };
        add_ready(0, &list, ready)
    }
}
