//! 10,000 timers on a `Selector` and on a `Kqueue`.

use std::time::Duration;

use readiness::Selector;
use readiness_bench::measure::{Ratio, against_time};
use readiness_bench::report::Report;

const TIMERS: u64 = 10_000;

pub fn run(report: &mut Report) {
    selector(report);
    kqueue(report);
}

/// A start and a stop have a microsecond each. (That they take no system call is
/// seen in native-tests/tests/timers_without_calls.rs.)
fn add(report: &mut Report, case: &str, work: impl FnMut() -> u64) {
    let pair = against_time(work, 2000.0);
    let each = Ratio { ours: pair.ours / 2.0, theirs: pair.theirs / 2.0, ..pair };
    report.add(case, TIMERS as usize, "a microsecond", 1.0, each);
}

fn selector(report: &mut Report) {
    let selector = Selector::new().unwrap();
    for nth in 0..TIMERS {
        selector.add_timer(nth, Duration::from_secs(60 + nth * 7919 % TIMERS));
    }
    let mut nth = 0;
    add(report, "Selector: start or stop one of many timers", || {
        nth = (nth + 104_729) % TIMERS;
        let timer = selector.add_timer(nth, Duration::from_secs(3600 + nth));
        u64::from(selector.cancel_timer(timer))
    });
}

fn kqueue(report: &mut Report) {
    use readiness::{Filter, Kevent, KeventFlags, Kqueue, NoteFlags};

    let kqueue = Kqueue::new().unwrap();
    let timer = |ident: u64, seconds: u64| {
        Kevent::from_ident(ident as usize, Filter::Timer)
            .with_flags(KeventFlags::ADD | KeventFlags::ONESHOT)
            .with_fflags(NoteFlags::SECONDS)
            .with_data(seconds as i64)
    };
    for nth in 0..TIMERS {
        let change = timer(nth, 60 + nth * 7919 % TIMERS);
        kqueue.control(&[change], &mut [], None).unwrap();
    }
    let mut nth = 0;
    add(report, "Kqueue: start or stop one of many timers", || {
        nth = (nth + 104_729) % TIMERS;
        let start = timer(TIMERS + nth, 3600 + nth);
        kqueue.control(&[start], &mut [], None).unwrap();
        let stop = start.with_flags(KeventFlags::DELETE);
        kqueue.control(&[stop], &mut [], None).unwrap() as u64
    });
}
