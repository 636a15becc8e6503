//! `Waker` beside mio's and polling's.

use std::num::NonZero;
use std::sync::Arc;

use readiness::{Events, Selector};
use readiness_bench::measure::paired;
use readiness_bench::report::Report;

const LIMIT: f64 = 1.02;

pub fn run(report: &mut Report) {
    waking(report, "");
}

/// `place`: what the cases' names end with.
pub fn waking(report: &mut Report, place: &str) {
    let (unseen, seen) =
        (format!("a wake that nobody has seen yet{place}"), format!("wake and wait{place}"));
    let selector = Selector::new().unwrap();
    let waker = selector.waker(1);
    let mut events = Events::with_capacity(16);
    let polling = Arc::new(polling::Poller::new().unwrap());
    let mut polling_events = polling::Events::with_capacity(NonZero::new(16).unwrap());
    let mut mio = mio::Poll::new().unwrap();
    let mio_waker = Arc::new(mio::Waker::new(mio.registry(), mio::Token(1)).unwrap());
    let mut mio_events = mio::Events::with_capacity(16);

    // Each side as another thread has it, and no more places to look up on one of them: after
    // a locked instruction each is waited for.
    let repeated = || {
        let waker = waker.clone();
        move || {
            waker.wake().unwrap();
            1
        }
    };
    let (notify, wake) = (Arc::clone(&polling), Arc::clone(&mio_waker));
    let against_polling = paired(repeated(), move || {
        notify.notify().unwrap();
        1
    });
    let against_mio = paired(repeated(), move || {
        wake.wake().unwrap();
        1
    });
    report.add(&unseen, 1, "polling", LIMIT, against_polling);
    report.add(&unseen, 1, "mio", LIMIT, against_mio);

    let mut wake_and_wait = || {
        waker.wake().unwrap();
        let told = selector.wait(&mut events, None).unwrap();
        assert_eq!(told, 1, "a wake was lost");
        events.iter().map(|event| event.token()).sum()
    };
    wake_and_wait();
    let against_mio = paired(&mut wake_and_wait, || {
        mio_waker.wake().unwrap();
        mio.poll(&mut mio_events, None).unwrap();
        mio_events.iter().map(|event| event.token().0 as u64).sum()
    });
    let against_polling = paired(&mut wake_and_wait, || {
        polling.notify().unwrap();
        polling_events.clear();
        polling.wait(&mut polling_events, None).unwrap();
        1
    });
    report.add(&seen, 1, "mio", LIMIT, against_mio);
    report.add(&seen, 1, "polling", LIMIT, against_polling);
}
