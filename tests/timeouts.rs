//! Timeouts of every front end: monotonic, never early, zero is truthful, for ever
//! is no overflow.

#![cfg(any(unix, windows, target_os = "wasi"))]

mod common;

use std::time::Duration;

use common::*;
use readiness::{
    AsSource, Events, Interest, Mode, Poll, PollFlags, Selection, Selector, select,
    select_interruptible, select_into,
};
#[cfg(unix)]
use readiness::{SignalSet, pselect};

/// A wait on `source` for reading: how many are ready.
type Wait = Box<dyn FnMut(&dyn AsSource, Option<Duration>) -> usize>;

/// Each way to wait that there is.
fn waits() -> Vec<(&'static str, Wait)> {
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut all: Vec<(&'static str, Wait)> = vec![
        (
            "select",
            Box::new(|source, timeout| select([source], [], [], timeout).unwrap().read.len()),
        ),
        (
            "select_interruptible",
            Box::new(|source, timeout| {
                select_interruptible([source], [], [], timeout).unwrap().read.len()
            }),
        ),
        ("select_into", {
            let mut selection = Selection::new();
            Box::new(move |source, timeout| {
                select_into(&mut selection, [source], [], [], timeout).unwrap();
                selection.read().len()
            })
        }),
        (
            "Poll::poll",
            Box::new(|source, timeout| {
                let mut poll = Poll::new();
                poll.register(source, PollFlags::IN).unwrap();
                poll.poll(timeout).unwrap().count()
            }),
        ),
        (
            "Poll::poll_interruptible",
            Box::new(|source, timeout| {
                let mut poll = Poll::new();
                poll.register(source, PollFlags::IN).unwrap();
                poll.poll_interruptible(timeout).unwrap().count()
            }),
        ),
        (
            "Selector::wait",
            Box::new(|source, timeout| {
                let selector = Selector::new().unwrap();
                let mut events = Events::with_capacity(4);
                selector.register(source, 1, Interest::READ, Mode::Level).unwrap();
                selector.wait(&mut events, timeout).unwrap()
            }),
        ),
        (
            "Selector::wait, with a timer",
            Box::new(|source, timeout| {
                let selector = Selector::new().unwrap();
                let mut events = Events::with_capacity(4);
                selector.register(source, 1, Interest::READ, Mode::Level).unwrap();
                selector.add_timer(1, LONG);
                selector.wait_interruptible(&mut events, timeout).unwrap()
            }),
        ),
    ];
    #[cfg(unix)]
    all.extend::<[(&'static str, Wait); 3]>([
        (
            "pselect",
            Box::new(|source, timeout| {
                let mask = SignalSet::current().unwrap();
                pselect([source], [], [], timeout, &mask).unwrap().read.len()
            }),
        ),
        (
            "Poll::ppoll",
            Box::new(|source, timeout| {
                let mut poll = Poll::new();
                poll.register(source, PollFlags::IN).unwrap();
                poll.ppoll(timeout, &SignalSet::current().unwrap()).unwrap().count()
            }),
        ),
        (
            "Selector::pwait",
            Box::new(|source, timeout| {
                let selector = Selector::new().unwrap();
                let mut events = Events::with_capacity(4);
                selector.register(source, 1, Interest::READ, Mode::Level).unwrap();
                let mask = SignalSet::current().unwrap();
                selector.pwait(&mut events, timeout, &mask).unwrap()
            }),
        ),
    ]);
    #[cfg(target_os = "linux")]
    {
        use readiness::{Epoll, EpollEvent, EpollFlags};
        all.extend::<[(&'static str, Wait); 2]>([
            (
                "Epoll::wait",
                Box::new(|source, timeout| {
                    // A file is EPERM for it, and is ready for all the others.
                    let epoll = Epoll::new().unwrap();
                    if epoll.register(source, EpollFlags::IN).is_err() {
                        return 1;
                    }
                    epoll.wait(&mut [EpollEvent::default(); 4], timeout).unwrap()
                }),
            ),
            (
                "Epoll::pwait",
                Box::new(|source, timeout| {
                    let epoll = Epoll::new().unwrap();
                    if epoll.register(source, EpollFlags::IN).is_err() {
                        return 1;
                    }
                    let mask = SignalSet::current().unwrap();
                    epoll.pwait(&mut [EpollEvent::default(); 4], timeout, &mask).unwrap()
                }),
            ),
        ]);
    }
    all
}

#[test]
fn a_wait_with_nothing_ready_is_never_early_not_by_a_microsecond() {
    let silent = silent();
    for (name, mut wait) in waits() {
        for micros in [1, 100, 499, 999, 1_000, 1_001, 1_500, 2_999, 15_000] {
            let timeout = Duration::from_micros(micros);
            let (took, ready) = timed(|| wait(&silent, Some(timeout)));
            assert_eq!(ready, 0, "{name}");
            assert!(took >= timeout, "{name}: {timeout:?} took {took:?}");
            assert!(took < LONG, "{name}: {timeout:?} took {took:?}");
        }
        let nanosecond = Duration::from_nanos(1);
        let (took, ready) = timed(|| wait(&silent, Some(nanosecond)));
        assert!(ready == 0 && took >= nanosecond, "{name}");
    }
}

#[test]
fn a_zero_timeout_tells_what_is_ready_and_does_not_wait() {
    let (silent, readable, file) = (silent(), readable(), file("zero"));
    for (name, mut wait) in waits() {
        for _ in 0..3 {
            let (took, ready) = timed(|| wait(&silent, Some(Duration::ZERO)));
            assert!(ready == 0 && took < LONG, "{name} {took:?}");
            assert_eq!(wait(&readable, Some(Duration::ZERO)), 1, "{name}");
            assert_eq!(wait(&file, Some(Duration::ZERO)), 1, "{name}");
        }
    }
}

#[test]
fn what_is_ready_ends_a_wait_of_any_length_at_once() {
    let (readable, file) = (readable(), file("long"));
    let long = [
        None,
        Some(Duration::MAX),
        Some(Duration::from_secs(u64::MAX)),
        Some(Duration::from_secs(i64::MAX as u64)),
        Some(Duration::from_secs(u64::from(u32::MAX) * 1000)),
        Some(Duration::from_secs(1 << 31)),
        Some(Duration::from_millis(i32::MAX as u64 + 1)),
        Some(Duration::new(1 << 33, 999_999_999)),
    ];
    for (name, mut wait) in waits() {
        for timeout in long {
            let (took, ready) = timed(|| wait(&readable, timeout) + wait(&file, timeout));
            assert!(ready == 2 && took < LONG, "{name} {timeout:?} {took:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_wait_for_ever_waits_until_something_happens() {
    use std::io::Write;
    for timeout in [None, Some(Duration::MAX), Some(Duration::from_secs(u64::MAX))] {
        for (name, mut wait) in waits() {
            let End { own, mut peer } = silent();
            let writer = std::thread::spawn(move || {
                std::thread::sleep(MS * 10);
                peer.write_all(b"x").unwrap();
                peer
            });
            let (took, ready) = timed(|| wait(&own, timeout));
            drop(writer.join().unwrap());
            assert_eq!(ready, 1, "{name} {timeout:?}");
            assert!(took >= MS * 5, "{name} {timeout:?} came back after {took:?}");
        }
    }
}

#[test]
fn with_no_sources_a_wait_sleeps_for_the_timeout() {
    let no_source: [&dyn AsSource; 0] = [];
    let timeout = Duration::from_micros(10_500);
    let (took, ready) = timed(|| select(no_source, [], [], Some(timeout)).unwrap().is_empty());
    assert!(ready && took >= timeout);
    let (took, count) = timed(|| Poll::new().poll(Some(timeout)).unwrap().count());
    assert!(count == 0 && took >= timeout);
    let (selector, mut events) = (Selector::new().unwrap(), Events::with_capacity(1));
    let (took, count) = timed(|| selector.wait(&mut events, Some(timeout)).unwrap());
    assert!(count == 0 && took >= timeout);
    for _ in 0..100 {
        assert!(select(no_source, [], [], Some(Duration::ZERO)).unwrap().is_empty());
        assert_eq!(Poll::new().poll(Some(Duration::ZERO)).unwrap().count(), 0);
        assert_eq!(selector.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
    }
}

#[cfg(target_os = "wasi")]
#[test]
fn a_wait_that_nothing_could_end_is_an_error_and_neither_a_hang_nor_a_trap() {
    use std::io::ErrorKind::InvalidInput;
    let no_source: [&dyn AsSource; 0] = [];
    assert_eq!(select(no_source, [], [], None).unwrap_err().kind(), InvalidInput);
    assert_eq!(Poll::new().poll(None).unwrap_err().kind(), InvalidInput);
}
