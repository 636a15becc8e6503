//! A large `Poll` whose set changes between waits.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use readiness::{AsSource, Poll, PollFlags};
use readiness_bench::measure::paired;
use readiness_bench::report::Report;
use readiness_bench::sources::{eventfds, fire};

const CHURN: usize = 100;

/// A wait with 100 sources taken away and added again before it. What it costs
/// with 10,000 registered more than a wait alone is the churn; so is it with 100.
pub fn run(report: &mut Report) {
    let fds = eventfds(10_000);
    let set = |size: usize| {
        let mut poll = Poll::new();
        fds[..size].iter().for_each(|fd| poll.register(fd, PollFlags::IN).unwrap());
        poll
    };
    let change = |poll: &mut Poll, at: &mut usize, size: usize| {
        for _ in 0..CHURN {
            *at = (*at + 7919) % size;
            poll.unregister(&fds[*at]).unwrap();
            poll.register(&fds[*at], PollFlags::IN).unwrap();
        }
        poll.len() as u64
    };
    let (mut large, mut small) = (set(10_000), set(1_000));
    let (mut in_large, mut in_small) = (0, 0);
    let ratio = paired(
        || change(&mut large, &mut in_large, 10_000),
        || change(&mut small, &mut in_small, 1_000),
    );
    report.add("Poll, 100 changes", 10_000, "the same in 1,000", 1.5, ratio);

    // In order of registration: the last ones that were added come last.
    for at in [5000, 17, 9000] {
        fire(&fds[at]);
        large.unregister(&fds[at]).unwrap();
        large.register(&fds[at], PollFlags::IN).unwrap();
    }
    let told = large.poll(None).unwrap().map(|event| event.source);
    assert!(told.eq([5000, 17, 9000].map(|at| fds[at].raw_source())), "out of order");

    let mut raw: Vec<_> = Vec::new();
    let entry =
        |fd: &OwnedFd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // In the order that they have after so many changes: the kernel minds.
    for _ in 0..fds.len() / CHURN {
        change(&mut large, &mut in_large, 10_000);
    }
    raw.extend((1..=fds.len()).map(|nth| entry(&fds[(in_large + 7919 * nth) % fds.len()])));
    // Without sleep: before what is ready the kernel prepares for it at each entry, and
    // the places of what is ready change on one side alone.
    let now = Some(Duration::ZERO);
    let ratio = paired(
        || {
            change(&mut large, &mut in_large, 10_000);
            large.poll(now).unwrap().map(|event| event.source.number()).sum()
        },
        || {
            // SAFETY: the array is ours.
            let ready = unsafe { libc::poll(raw.as_mut_ptr(), raw.len() as u64, 0) };
            let told = raw.iter().filter(|entry| entry.revents != 0).take(ready as usize);
            told.map(|entry| entry.fd as u64).sum()
        },
    );
    report.add("Poll, 100 changes and a wait", 10_000, "poll without changes", 1.03, ratio);
}
