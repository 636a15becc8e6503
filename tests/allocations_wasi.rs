//! A wait that has grown its buffers allocates nothing: in WebAssembly, where what the
//! host answers lies in the program's memory, too.

#![cfg(target_os = "wasi")]
#![allow(missing_docs)]

use std::io::{stderr, stdin, stdout};
use std::time::Duration;

use readiness::{
    AsSource, Epoll, EpollEvent, EpollFlags, Events, Filter, Interest, Kevent, KeventFlags, Kqueue,
    Mode, Poll, PollFlags, Selection, Selector, select_into,
};

#[path = "../native-tests/src/allocations.rs"]
mod allocations;
mod common;

use allocations::{Counting, allocations};
use common::MS;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// No timeout, none to wait, some.
const TIMEOUTS: [Option<Duration>; 3] = [None, Some(Duration::ZERO), Some(Duration::from_secs(60))];

/// Does it until it has grown, and then it must not allocate.
fn steady(name: &str, mut round: impl FnMut()) {
    for _ in 0..20 {
        round();
    }
    let before = allocations();
    for _ in 0..50 {
        round();
    }
    let count = allocations() - before;
    assert_eq!(count, 0, "{name}: {count} allocations in 50 rounds");
}

/// What is waited on, by each front end: writable and silent sources.
fn waits(kind: &str, writable: &[&dyn AsSource], silent: &[&dyn AsSource]) {
    let ready = writable.len();

    let mut poll = Poll::new();
    silent.iter().for_each(|source| poll.register(source, PollFlags::IN).unwrap());
    let mut idle = Poll::new();
    silent.iter().for_each(|source| idle.register(source, PollFlags::IN).unwrap());
    writable.iter().for_each(|source| poll.register(source, PollFlags::OUT).unwrap());
    for timeout in TIMEOUTS {
        steady(&format!("Poll, {kind}, {timeout:?}"), || {
            assert_eq!(poll.poll(timeout).unwrap().count(), ready);
        });
    }
    steady(&format!("Poll, {kind}, timing out"), || {
        assert_eq!(idle.poll(Some(MS)).unwrap().count(), 0);
        assert_eq!(idle.poll(Some(Duration::ZERO)).unwrap().count(), 0);
    });
    steady(&format!("Poll, {kind}, modified"), || {
        poll.modify(&writable[0], PollFlags::empty()).unwrap();
        assert_eq!(poll.poll(Some(Duration::ZERO)).unwrap().count(), ready - 1);
        poll.modify(&writable[0], PollFlags::OUT).unwrap();
        assert_eq!(poll.poll(None).unwrap().count(), ready);
    });

    let mut selection = Selection::new();
    for timeout in TIMEOUTS {
        steady(&format!("select_into, {kind}, {timeout:?}"), || {
            let (read, write) = (silent.iter(), writable.iter());
            select_into(&mut selection, read, write, &[], timeout).unwrap();
            assert_eq!((selection.read().len(), selection.write().len()), (0, ready));
        });
    }
    steady(&format!("select_into, {kind}, one list"), || {
        select_into(&mut selection, &[], writable, &[], None).unwrap();
        assert_eq!(selection.write().len(), ready);
        select_into(&mut selection, silent, &[], &[], Some(MS)).unwrap();
        assert_eq!(selection.read().len(), 0);
    });

    let epoll = Epoll::new().unwrap();
    silent.iter().for_each(|source| epoll.register(source, EpollFlags::IN).unwrap());
    writable.iter().for_each(|source| epoll.register(source, EpollFlags::OUT).unwrap());
    let mut events = vec![EpollEvent::default(); ready];
    for timeout in TIMEOUTS {
        steady(&format!("Epoll, {kind}, {timeout:?}"), || {
            assert_eq!(epoll.wait(&mut events, timeout).unwrap(), ready);
        });
    }

    let kqueue = Kqueue::new().unwrap();
    let read = silent.iter().map(|source| Kevent::new(source, Filter::Read));
    let write = writable.iter().map(|source| Kevent::new(source, Filter::Write));
    let changes: Vec<_> = read.chain(write).map(|one| one.with_flags(KeventFlags::ADD)).collect();
    kqueue.control(&changes, &mut [], None).unwrap();
    let mut events = vec![Kevent::default(); ready];
    for timeout in TIMEOUTS {
        steady(&format!("Kqueue, {kind}, {timeout:?}"), || {
            assert_eq!(kqueue.control(&[], &mut events, timeout).unwrap(), ready);
        });
    }

    for mode in [Mode::Level, Mode::OneShot, Mode::Edge] {
        let selector = Selector::new().unwrap();
        let mut tokens = 0..;
        let mut register = |source: &dyn AsSource, interest| {
            selector.register(&source, tokens.next().unwrap(), interest, mode).unwrap();
        };
        silent.iter().for_each(|source| register(source, Interest::READ));
        writable.iter().for_each(|source| register(source, Interest::WRITE));
        let mut events = Events::with_capacity(ready + 2);
        let waker = selector.waker(10_000);
        for timeout in TIMEOUTS {
            steady(&format!("Selector, {kind}, {mode:?}, {timeout:?}"), || {
                let mut found = selector.wait(&mut events, timeout).unwrap();
                assert_eq!(found, ready);
                if mode != Mode::Level {
                    let first = silent.len() as u64;
                    for (token, source) in (first..).zip(writable) {
                        selector.modify(source, token, Interest::WRITE, mode).unwrap();
                    }
                }
                waker.wake().unwrap();
                selector.add_timer(10_001, Duration::ZERO);
                let timer = selector.add_timer(10_002, Duration::from_secs(60));
                found = 0;
                while found < ready + 2 {
                    found += selector.wait(&mut events, None).unwrap();
                }
                assert!(selector.cancel_timer(timer));
                if mode != Mode::Level {
                    let first = silent.len() as u64;
                    for (token, source) in (first..).zip(writable) {
                        selector.modify(source, token, Interest::WRITE, mode).unwrap();
                    }
                }
            });
        }
    }
}

#[test]
fn steady_state_waits_on_descriptors_allocate_nothing() {
    waits("descriptors", &[&stdout(), &stderr()], &[&stdin()]);
}

#[cfg(any(target_env = "p2", feature = "wasi-io"))]
#[test]
fn steady_state_waits_on_pollables_allocate_nothing() {
    use readiness::Pollable;
    use wasip2::clocks::monotonic_clock::subscribe_duration;

    let hour = 3_600_000_000_000;
    let made = |time: u64| -> Vec<_> {
        (0..100).map(|_| Pollable::from(subscribe_duration(time))).collect()
    };
    let (writable, silent) = (made(0), made(hour));
    let mut writable: Vec<_> = writable.iter().map(|one| one as &dyn AsSource).collect();
    let mut silent: Vec<_> = silent.iter().map(|one| one as &dyn AsSource).collect();
    waits("pollables", &writable, &silent);
    waits("one pollable", &writable[..1], &silent[..1]);
    let (stdin, stdout) = (stdin(), stdout());
    silent.push(&stdin);
    writable.push(&stdout);
    waits("pollables and descriptors", &writable, &silent);
}
