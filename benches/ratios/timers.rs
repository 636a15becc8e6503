//! Timers, and a `Poll` whose set changes.

use std::time::Duration;

use readiness::{Poll, PollFlags, Selector};
use readiness_bench::measure::{Ratio, nanos, paired};
use readiness_bench::report::Report;
use readiness_bench::sources::eventfds;

const TIMERS: u64 = 10_000;

pub fn run(report: &mut Report) {
    let selector = Selector::new().unwrap();
    for nth in 0..TIMERS {
        selector.add_timer(nth, Duration::from_secs(60 + nth * 7919 % TIMERS));
    }
    let mut nth = 0;
    let took = nanos(|| {
        nth = (nth + 104_729) % TIMERS;
        let timer = selector.add_timer(nth, Duration::from_secs(3600 + nth));
        u64::from(selector.cancel_timer(timer))
    });
    // A start and a stop; each has a microsecond.
    let ratio = Ratio { median: took / 2.0 / 1000.0, spread: 0.0, nanos: took / 2.0 };
    report.add("Selector: start or stop a timer", TIMERS as usize, "a microsecond", 1.0, ratio);
    churn(report);
}

/// 1% of a large set, and as many of a small one: taken away and added again.
fn churn(report: &mut Report) {
    const CHURN: usize = 100;
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
        1
    };
    let (mut large, mut small) = (set(10_000), set(100));
    let (mut in_large, mut in_small) = (0, 0);
    let ratio = paired(
        || change(&mut large, &mut in_large, 10_000),
        || change(&mut small, &mut in_small, 100),
    );
    report.add("Poll: 100 taken away and added again", 10_000, "the same among 100", 3.0, ratio);
}
