//! `Selector` on every target and backend.

#![cfg(any(unix, windows, target_os = "wasi"))]

mod common;

use std::io;
use std::time::Duration;

use common::*;
use readiness::{AsSource, Event, Events, Interest, Mode, Selector, SourceError, os_error};

fn tokens(events: &Events) -> Vec<u64> {
    let mut tokens: Vec<u64> = events.iter().map(Event::token).collect();
    tokens.sort_unstable();
    tokens
}

fn new() -> (Selector, Events) {
    (Selector::new().unwrap(), Events::with_capacity(64))
}

/// What there is now.
fn now(selector: &Selector, events: &mut Events) -> Vec<u64> {
    let count = selector.wait(events, Some(Duration::ZERO)).unwrap();
    assert_eq!(count, events.len());
    tokens(events)
}

#[test]
fn an_event_says_what_its_source_is_ready_for_under_its_token() {
    let (selector, mut events) = new();
    let (readable, writable, silent) = (readable(), writable(), silent());
    selector.register(&readable, 7, Interest::READ, Mode::Level).unwrap();
    selector.register(&writable, u64::MAX, Interest::WRITE, Mode::Level).unwrap();
    selector.register(&silent, 9, Interest::READ, Mode::Level).unwrap();
    // The host may tell one later than the other.
    let mut seen = [false; 2];
    while seen != [true; 2] {
        assert!(selector.wait(&mut events, Some(LONG)).unwrap() > 0);
        for event in &events {
            match event.token() {
                7 => assert!(event.is_readable() && !event.is_writable()),
                u64::MAX => assert!(event.is_writable() && !event.is_readable()),
                other => panic!("an event of {other}"),
            }
            assert!(!event.is_timer() && !event.is_wake() && event.expirations() == 0);
            seen[usize::from(event.token() == 7)] = true;
        }
    }
}

#[test]
fn level_reports_at_each_wait_and_oneshot_once_until_modified() {
    let (selector, mut events) = new();
    let (level, once) = (readable(), readable());
    selector.register(&level, 1, Interest::READ, Mode::Level).unwrap();
    selector.register(&once, 2, Interest::READ, Mode::OneShot).unwrap();
    let mut count = [0; 3];
    for round in 0..3 {
        for _ in 0..5 {
            selector.wait(&mut events, Some(LONG)).unwrap();
            tokens(&events).iter().for_each(|token| count[*token as usize] += 1);
        }
        assert_eq!(count, [0, 5 * (round + 1), round + 1]);
        selector.modify(&once, 2, Interest::READ, Mode::OneShot).unwrap();
    }
    assert_eq!(selector.wait(&mut events, Some(LONG)).unwrap(), 2);
}

#[test]
fn modify_replaces_token_interest_and_mode() {
    let (selector, mut events) = new();
    let file = file("modify");
    selector.register(&file, 1, Interest::READ, Mode::OneShot).unwrap();
    selector.modify(&file, 2, Interest::WRITE, Mode::Level).unwrap();
    for _ in 0..3 {
        assert_eq!(selector.wait(&mut events, Some(LONG)).unwrap(), 1);
        let event = events.iter().next().unwrap();
        assert!(event.token() == 2 && event.is_writable() && !event.is_readable());
    }
    selector.modify(&file, 3, Interest::READ | Interest::WRITE, Mode::Level).unwrap();
    selector.wait(&mut events, Some(LONG)).unwrap();
    let event = events.iter().next().unwrap();
    assert!(event.token() == 3 && event.is_writable() && event.is_readable());
    selector.modify(&file, 4, Interest::empty(), Mode::Level).unwrap();
    assert_eq!(selector.wait(&mut events, Some(MS * 5)).unwrap(), 0);
}

#[test]
fn registered_twice_is_an_error_that_names_the_source() {
    let (selector, mut events) = new();
    let (source, file) = (writable(), file("twice"));
    for source in [&source as &dyn AsSource, &file] {
        selector.register(source, 1, Interest::WRITE, Mode::Level).unwrap();
        let error = selector.register(source, 2, Interest::WRITE, Mode::Level).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{error}");
        let inner = error.get_ref().unwrap().downcast_ref::<SourceError>().unwrap();
        assert_eq!(inner.raw_source(), source.raw_source());
        assert_eq!(inner.operation(), "register");
    }
    // The first registration stands.
    assert_eq!(selector.wait(&mut events, Some(LONG)).unwrap(), 2);
    assert_eq!(tokens(&events), [1, 1]);
}

#[test]
fn what_is_not_registered_cannot_be_modified_or_unregistered() {
    let (selector, mut events) = new();
    let source = writable();
    for _ in 0..2 {
        let unknown = [
            selector.modify(&source, 1, Interest::WRITE, Mode::Level),
            selector.unregister(&source),
            selector.unregister_raw(source.raw_source()),
        ];
        for error in unknown.map(Result::unwrap_err) {
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
            assert!(error.to_string().contains(&source.raw_source().number().to_string()));
        }
        selector.register(&source, 1, Interest::WRITE, Mode::Level).unwrap();
        assert_eq!(selector.wait(&mut events, Some(LONG)).unwrap(), 1);
        selector.unregister(&source).unwrap();
        assert_eq!(now(&selector, &mut events), []);
    }
}

#[test]
fn a_source_that_is_not_open_is_refused_by_name() {
    let (selector, _) = new();
    let error = selector.register(&not_open(), 1, Interest::READ, Mode::Level).unwrap_err();
    assert_eq!(os_error(&error), Some(NOT_OPEN_ERROR));
    assert!(error.to_string().contains(&NOT_OPEN.to_string()), "{error}");
    let error = selector.modify(&not_open(), 1, Interest::READ, Mode::Level).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_buffer_for_no_event_takes_one_and_a_small_one_starves_nobody() {
    for capacity in [0, 1, 2, 3] {
        let selector = Selector::new().unwrap();
        let files: Vec<_> = (0..8).map(|_| file("starve")).collect();
        let writable = writable();
        for (token, file) in files.iter().enumerate() {
            selector.register(file, token as u64, Interest::READ, Mode::Level).unwrap();
        }
        selector.register(&writable, 8, Interest::WRITE, Mode::Level).unwrap();
        let mut events = Events::with_capacity(capacity);
        assert_eq!(events.capacity(), capacity.max(1));
        let mut count = [0; 9];
        for _ in 0..9 * 4 {
            let told = selector.wait(&mut events, Some(LONG)).unwrap();
            assert!(told > 0 && told <= capacity.max(1), "{told} of {capacity}");
            events.iter().for_each(|event| count[event.token() as usize] += 1);
        }
        assert!(count.iter().all(|count| *count > 0), "{count:?} with {capacity}");
    }
}

#[test]
fn any_capacity_can_be_asked_for() {
    let (selector, _) = new();
    let source = writable();
    selector.register(&source, 1, Interest::WRITE, Mode::Level).unwrap();
    for capacity in [usize::MAX, usize::MAX / 2, 1 << 30, 100_000] {
        let mut events = Events::with_capacity(capacity);
        assert!(events.capacity() >= 100_000);
        assert_eq!(selector.wait(&mut events, Some(LONG)).unwrap(), 1);
    }
}

#[test]
fn an_edge_is_told_on_register_and_again_on_modify() {
    for mode in [Mode::Edge, Mode::EdgeOneShot] {
        assert!(Selector::supports(mode));
        let (selector, mut events) = new();
        let (source, file) = (writable(), file("edge"));
        selector.register(&source, 1, Interest::WRITE, mode).unwrap();
        selector.register(&file, 2, Interest::WRITE, mode).unwrap();
        for _ in 0..3 {
            let mut seen = [false; 2];
            while seen != [true; 2] {
                assert!(selector.wait(&mut events, Some(LONG)).unwrap() > 0, "{mode:?} {seen:?}");
                events.iter().for_each(|event| seen[event.token() as usize - 1] = true);
            }
            if mode == Mode::EdgeOneShot {
                assert_eq!(selector.wait(&mut events, Some(MS * 300)).unwrap(), 0);
            }
            selector.modify(&source, 1, Interest::WRITE, mode).unwrap();
            selector.modify(&file, 2, Interest::WRITE, mode).unwrap();
        }
    }
}

#[test]
fn files_are_always_ready_and_never_exceptional() {
    let (selector, mut events) = new();
    let file = file("always");
    selector.register(&file, 1, Interest::READ | Interest::WRITE, Mode::Level).unwrap();
    for _ in 0..3 {
        assert_eq!(selector.wait(&mut events, Some(Duration::ZERO)).unwrap(), 1);
        let event = events.iter().next().unwrap();
        assert!(event.is_readable() && event.is_writable());
        assert!(!event.is_priority() && !event.is_error());
        assert!(!event.is_read_closed() && !event.is_write_closed());
    }
    selector.modify(&file, 1, Interest::PRIORITY, Mode::Level).unwrap();
    let (took, count) = timed(|| selector.wait(&mut events, Some(MS * 20)).unwrap());
    assert!(count == 0 && took >= MS * 20);
    selector.unregister(&file).unwrap();
    assert_eq!(now(&selector, &mut events), []);
}

// (On Windows: native-tests/tests/winsock_closed.rs.)
#[cfg(not(windows))]
#[test]
fn a_closed_file_says_nothing_more_and_its_number_can_be_registered_anew() {
    let (selector, mut events) = new();
    for mode in [Mode::Level, Mode::OneShot, Mode::Edge, Mode::EdgeOneShot] {
        let old = file("closed");
        #[cfg(unix)]
        let old = apart(old);
        let number = old.raw_source();
        selector.register(&old, 1, Interest::READ, mode).unwrap();
        if mode != Mode::Level {
            assert_eq!(selector.wait(&mut events, Some(LONG)).unwrap(), 1);
        }
        // As long as both are open they are not the same inode.
        #[cfg(unix)]
        let new = file("anew");
        drop(old);
        let _ = selector.wait(&mut events, Some(MS));
        assert!(events.is_empty(), "{mode:?}");

        #[cfg(unix)]
        let new = renumber(new, number.fd().unwrap());
        #[cfg(target_os = "wasi")]
        let new = file("anew");
        assert_eq!(new.raw_source(), number);
        if cfg!(target_os = "wasi") && mode != Mode::Level {
            // Nothing tells it from the old one there.
            let _ = selector.unregister_raw(number);
        }
        selector.register(&new, 2, Interest::READ, Mode::Level).unwrap();
        assert_eq!(selector.wait(&mut events, Some(LONG)).unwrap(), 1);
        assert_eq!(tokens(&events), [2]);
        selector.unregister(&new).unwrap();
        assert_eq!(now(&selector, &mut events), []);
    }
}

#[test]
fn a_source_can_be_in_two_selectors() {
    let ((one, mut events), (two, _)) = (new(), new());
    let (source, file) = (writable(), file("two"));
    for selector in [&one, &two] {
        selector.register(&source, 1, Interest::WRITE, Mode::Level).unwrap();
        selector.register(&file, 2, Interest::WRITE, Mode::OneShot).unwrap();
    }
    for selector in [&one, &two] {
        let mut seen = 0;
        for _ in 0..2 {
            selector.wait(&mut events, Some(LONG)).unwrap();
            seen |= events.iter().fold(0, |all, event| all | event.token());
        }
        assert_eq!(seen, 3);
    }
    one.unregister(&source).unwrap();
    assert_eq!(now(&one, &mut events), []);
    two.wait(&mut events, Some(LONG)).unwrap();
    assert_eq!(tokens(&events), [1]);
}

#[test]
fn an_owned_source_is_registered_until_the_guard_is_dropped() {
    let (selector, mut events) = new();
    let guard = selector.register_owned(file("guard"), 1, Interest::READ, Mode::Level).unwrap();
    let number = guard.raw_source();
    assert_eq!(now(&selector, &mut events), [1]);
    guard.modify(2, Interest::WRITE, Mode::Level).unwrap();
    assert_eq!(now(&selector, &mut events), [2]);
    drop(guard);
    assert_eq!(now(&selector, &mut events), []);
    assert_eq!(selector.unregister_raw(number).unwrap_err().kind(), io::ErrorKind::NotFound);

    let guard = selector.register_owned(file("guard"), 3, Interest::READ, Mode::Level).unwrap();
    let file = guard.into_inner();
    assert_eq!(now(&selector, &mut events), []);
    selector.register(&file, 4, Interest::READ, Mode::Level).unwrap();
    assert_eq!(now(&selector, &mut events), [4]);

    let guard = selector.register_owned(common::file("last"), 5, Interest::READ, Mode::Level);
    let guard = guard.unwrap();
    // The registration outlives the selector's own handle.
    drop(selector);
    guard.modify(5, Interest::WRITE, Mode::Level).unwrap();
}

#[test]
fn a_wake_ends_the_next_wait_once() {
    let (selector, mut events) = new();
    let silent = silent();
    selector.register(&silent, 1, Interest::READ, Mode::Level).unwrap();
    let waker = selector.waker(5);
    for _ in 0..3 {
        for waker in [&waker, &waker.clone(), &waker] {
            waker.wake().unwrap();
        }
        assert_eq!(selector.wait(&mut events, Some(LONG)).unwrap(), 1);
        let event = events.iter().next().unwrap();
        assert!(event.is_wake() && event.token() == 5);
        assert!(!event.is_readable() && !event.is_timer());
        assert_eq!(now(&selector, &mut events), []);
    }
}

#[test]
fn a_waker_that_is_dropped_right_after_its_wake_has_woken() {
    let (selector, mut events) = new();
    for round in 0..20 {
        let waker = selector.waker(round);
        let other = selector.waker(100);
        waker.wake().unwrap();
        drop((waker, other));
        assert_eq!(selector.wait(&mut events, Some(LONG)).unwrap(), 1);
        assert_eq!(tokens(&events), [round]);
        assert_eq!(now(&selector, &mut events), []);
    }
}

#[test]
fn each_waker_has_its_own_event_and_none_takes_a_place_from_a_source() {
    let selector = Selector::new().unwrap();
    let file = file("beside");
    selector.register(&file, 1, Interest::READ, Mode::Level).unwrap();
    let wakers: Vec<_> = (10..20).map(|token| selector.waker(token)).collect();
    selector.add_timer(30, Duration::ZERO);
    wakers.iter().for_each(|waker| waker.wake().unwrap());
    let mut events = Events::with_capacity(1);
    let mut all = Vec::new();
    while !(all.contains(&1) && all.contains(&19)) {
        assert!(selector.wait(&mut events, Some(LONG)).unwrap() > 0);
        all.extend(events.iter().map(Event::token));
    }
    all.retain(|token| *token != 1);
    all.sort_unstable();
    assert_eq!(all, [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 30]);
}

#[test]
fn the_backend_has_its_documented_name() {
    let bsd = cfg!(any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "dragonfly",
    ));
    let name = if cfg!(windows) {
        "winsock"
    } else if cfg!(readiness_fake_kevent) || (bsd && !cfg!(readiness_backend = "poll")) {
        "kqueue"
    } else if cfg!(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io"))) {
        "wasi_io"
    } else if cfg!(target_os = "wasi") {
        "poll_oneoff"
    } else if cfg!(all(target_os = "linux", not(readiness_backend = "poll"))) {
        "epoll"
    } else {
        "poll"
    };
    assert_eq!(Selector::backend(), name);
    assert!(Selector::supports(Mode::Level) && Selector::supports(Mode::OneShot));
}

#[cfg(target_os = "wasi")]
#[test]
fn a_wait_that_nothing_could_end_is_an_error() {
    let (selector, mut events) = new();
    let error = selector.wait(&mut events, None).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    // And says so again, and harms nothing.
    selector.wait(&mut events, None).unwrap_err();
    selector.add_timer(1, MS);
    assert_eq!(selector.wait(&mut events, None).unwrap(), 1);
    selector.wait(&mut events, None).unwrap_err();
}
