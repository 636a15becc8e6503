//! Where the peers' backends part ways (and Linux's epoll and poll(2) with them):
//! what `Selector` promises is the same on each, or is the documented difference.

#![cfg(unix)]

mod common;

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use common::*;
use readiness::{AsSource, Event, Events, Interest, Mode, Selector};

/// Tells a source from another one that got its number: those that keep a set in
/// the kernel.
const KNOWS_SOURCES: bool = cfg!(readiness_fake_kevent)
    || cfg!(all(
        any(
            target_os = "linux",
            target_os = "android",
            target_vendor = "apple",
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "openbsd",
            target_os = "dragonfly",
        ),
        not(readiness_backend = "poll")
    ));
const MODES: [Mode; 4] = [Mode::Level, Mode::OneShot, Mode::Edge, Mode::EdgeOneShot];

fn new() -> (Selector, Events) {
    (Selector::new().unwrap(), Events::with_capacity(64))
}

fn told(selector: &Selector, events: &mut Events, timeout: Duration) -> Vec<u64> {
    selector.wait(events, Some(timeout)).unwrap();
    events.iter().map(Event::token).collect()
}

/// Waits in vain, and without spinning.
fn sleeps(selector: &Selector, events: &mut Events) {
    let before = busy();
    let (took, tokens) = timed(|| told(selector, events, MS * 200));
    assert_eq!(tokens, []);
    assert!(took >= MS * 200);
    let busy = busy() - before;
    assert!(busy < MS * 60, "busy for {busy:?}");
}

#[test]
fn registered_twice_is_already_exists_whatever_the_mode_and_the_duplicate_is_another_source() {
    let (selector, mut events) = new();
    for mode in MODES {
        let end = readable();
        selector.register(&end, 1, Interest::READ, mode).unwrap();
        for again in MODES {
            let error = selector.register(&end, 2, Interest::WRITE, again).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        }
        let duplicate = end.own.try_clone().unwrap();
        selector.register(&duplicate, 3, Interest::READ, Mode::Level).unwrap();
        let mut tokens = told(&selector, &mut events, LONG);
        tokens.sort_unstable();
        assert_eq!(tokens, [1, 3]);
        selector.unregister(&duplicate).unwrap();
        selector.unregister(&end).unwrap();
    }
}

#[test]
fn closed_while_registered_it_says_nothing_more() {
    for mode in MODES {
        for interest in [Interest::READ | Interest::WRITE, Interest::empty()] {
            let (selector, mut events) = new();
            let End { own, peer: _peer } = readable();
            let source = apart(own);
            let raw = source.raw_source();
            selector.register(&source, 1, interest, mode).unwrap();
            drop(source);
            sleeps(&selector, &mut events);
            // Ended or not, it can be unregistered at most once.
            if selector.unregister_raw(raw).is_ok() {
                let again = selector.unregister_raw(raw);
                assert_eq!(again.unwrap_err().kind(), io::ErrorKind::NotFound);
            }
        }
    }
}

#[test]
fn closed_while_registered_it_can_be_unregistered_by_name_before_the_next_wait() {
    let (selector, mut events) = new();
    let source = apart(readable().own);
    let raw = source.raw_source();
    selector.register(&source, 1, Interest::READ, Mode::Level).unwrap();
    drop(source);
    selector.unregister_raw(raw).unwrap();
    assert_eq!(selector.unregister_raw(raw).unwrap_err().kind(), io::ErrorKind::NotFound);
    sleeps(&selector, &mut events);
}

#[test]
fn a_reused_number_is_registered_anew_and_answers_under_its_new_token_alone() {
    for mode in MODES {
        for wait_between in [false, true] {
            let (selector, mut events) = new();
            let End { own, peer: _old } = readable();
            let source = apart(own);
            let number = source.as_raw_fd();
            selector.register(&source, 1, Interest::READ, mode).unwrap();
            drop(source);
            if wait_between {
                assert_eq!(told(&selector, &mut events, MS), []);
            }
            let End { own, peer: _new } = readable();
            let source = renumber(own, number);
            selector.register(&source, 2, Interest::READ, mode).unwrap();
            assert_eq!(told(&selector, &mut events, LONG), [2], "{mode:?} {wait_between}");
            selector.unregister(&source).unwrap();
            sleeps(&selector, &mut events);
        }
    }
}

#[test]
fn a_number_is_registered_anew_time_and_again_whatever_has_it() {
    for mode in MODES {
        let (selector, mut events) = new();
        let number = apart(silent().own).as_raw_fd();
        let mut peers = Vec::new();
        let mut last = None;
        for (token, is_file) in (1..).zip([false, false, true, false, true, false, false, false]) {
            // (The one before is closed by it.)
            let source = if is_file {
                renumber(file("again"), number)
            } else {
                let End { own, peer } = readable();
                peers.push(peer);
                renumber(own, number)
            };
            std::mem::forget(last.replace(source));
            let source = last.as_ref().unwrap();
            selector.register(source, token, Interest::READ, mode).unwrap();
            let again = selector.register(source, 0, Interest::READ, mode).unwrap_err();
            assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(told(&selector, &mut events, LONG), [token], "{mode:?}");
            if token % 3 == 0 {
                selector.modify(source, 100 + token, Interest::READ, mode).unwrap();
                assert_eq!(told(&selector, &mut events, LONG), [100 + token], "{mode:?}");
            }
        }
        let source = last.unwrap();
        selector.unregister(&source).unwrap();
        assert_eq!(selector.unregister(&source).unwrap_err().kind(), io::ErrorKind::NotFound);
        sleeps(&selector, &mut events);
    }
}

#[test]
fn a_guard_of_a_registration_that_has_ended_ends_no_other_one() {
    let (selector, mut events) = new();
    let guard = selector.register_owned(readable(), 1, Interest::READ, Mode::Level).unwrap();
    selector.unregister_raw(guard.raw_source()).unwrap();
    // It has what the first one had.
    let other = readable();
    selector.register(&other, 2, Interest::READ, Mode::Level).unwrap();
    let error = guard.modify(3, Interest::READ, Mode::Level).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert_eq!(told(&selector, &mut events, LONG), [2]);
    drop(guard);
    assert_eq!(told(&selector, &mut events, LONG), [2]);
    selector.modify(&other, 4, Interest::READ, Mode::Level).unwrap();
    assert_eq!(told(&selector, &mut events, LONG), [4]);
}

#[test]
fn a_guard_whose_source_was_registered_anew_ends_and_modifies_nothing() {
    let (selector, mut events) = new();
    for _ in 0..4 {
        let closed = apart(readable().own);
        let number = closed.as_raw_fd();
        selector.register(&closed, 1, Interest::READ, Mode::Level).unwrap();
        drop(closed);
        let End { own, peer: _peer } = readable();
        let source = renumber(own, number);
        let guard = selector.register_owned(source, 2, Interest::READ, Mode::Level).unwrap();
        selector.unregister_raw(guard.raw_source()).unwrap();
        selector.register(&*guard, 3, Interest::READ, Mode::Level).unwrap();
        let error = guard.modify(4, Interest::READ, Mode::Level).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(told(&selector, &mut events, LONG), [3]);
        selector.unregister(&*guard).unwrap();
    }
}

#[test]
fn a_reused_number_that_nobody_registered_is_a_stranger_to_epoll_and_the_old_one_to_poll() {
    let (selector, mut events) = new();
    let source = apart(silent().own);
    let number = source.as_raw_fd();
    selector.register(&source, 1, Interest::READ, Mode::Level).unwrap();
    drop(source);
    let End { own, peer: _peer } = readable();
    let stranger = renumber(own, number);
    if KNOWS_SOURCES {
        sleeps(&selector, &mut events);
    } else {
        assert_eq!(told(&selector, &mut events, LONG), [1]);
    }
    // modify tells the two apart on each.
    let error = selector.modify(&stranger, 2, Interest::READ, Mode::Level).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    sleeps(&selector, &mut events);
    selector.register(&stranger, 3, Interest::READ, Mode::Level).unwrap();
    assert_eq!(told(&selector, &mut events, LONG), [3]);
}

#[test]
fn both_directions_are_told_at_once_although_there_is_room_for_one_event() {
    let modes = [Mode::Level, Mode::OneShot].into_iter().filter(|mode| Selector::supports(*mode));
    for mode in modes {
        let sources = [readable(), readable(), readable()];
        for room in [1, 2, 3, 8] {
            let selector = Selector::new().unwrap();
            let both = Interest::READ | Interest::WRITE;
            for (token, End { own, .. }) in (0..).zip(&sources) {
                selector.register(own, token, both, mode).unwrap();
            }
            let mut events = Events::with_capacity(room);
            assert!(selector.wait(&mut events, Some(LONG)).unwrap() > 0);
            let is_both = |event: &Event| event.is_readable() && event.is_writable();
            assert!(events.iter().all(is_both), "{mode:?}, room for {room}: {events:?}");
        }
    }
}

#[test]
fn a_closed_source_whose_duplicate_lives_is_silent_once_it_is_unregistered() {
    for mode in MODES {
        let (selector, mut events) = new();
        let End { own, mut peer } = readable();
        let source = apart(own.try_clone().unwrap());
        let raw = source.raw_source();
        selector.register(&source, 1, Interest::READ, mode).unwrap();
        drop(source);
        selector.unregister_raw(raw).unwrap();
        // epoll goes on reporting it: dropped, and shaken off.
        let others = readable();
        selector.register(&others, 2, Interest::READ, Mode::Level).unwrap();
        for _ in 0..5 {
            assert_eq!(told(&selector, &mut events, LONG), [2]);
        }
        selector.modify(&others, 3, Interest::empty(), Mode::Level).unwrap();
        for _ in 0..3 {
            peer.write_all(b"x").unwrap();
            sleeps(&selector, &mut events);
        }
        // What is registered is still watched, and so is what comes after.
        selector.modify(&others, 4, Interest::READ, Mode::Level).unwrap();
        selector.register(&own, 5, Interest::READ, Mode::Level).unwrap();
        let mut tokens = told(&selector, &mut events, LONG);
        tokens.sort_unstable();
        assert_eq!(tokens, [4, 5]);
        let waker = selector.waker(6);
        waker.wake().unwrap();
        assert!(told(&selector, &mut events, LONG).contains(&6));
    }
}

#[test]
fn many_closed_sources_whose_duplicates_live_do_not_make_a_wait_spin() {
    for count in [2, 3, 70, 200] {
        let selector = Selector::new().unwrap();
        // Fewer than there are, so that they take turns.
        let mut events = Events::with_capacity(count.min(50));
        let ends: Vec<End> = (0..count).map(|_| readable()).collect();
        for end in &ends {
            let duplicate = end.own.try_clone().unwrap();
            let raw = duplicate.raw_source();
            selector.register(&duplicate, 1, Interest::READ, Mode::Level).unwrap();
            // Not closed in order: the numbers are used again by those that follow.
            drop(duplicate);
            let _ = selector.unregister_raw(raw);
        }
        sleeps(&selector, &mut events);
        let source = readable();
        selector.register(&source, 2, Interest::READ, Mode::Level).unwrap();
        assert_eq!(told(&selector, &mut events, LONG), [2]);
    }
}

#[test]
fn a_number_given_to_another_source_while_a_duplicate_of_the_first_lives() {
    let (selector, mut events) = new();
    let End { own, peer: _peer } = readable();
    let source = apart(own.try_clone().unwrap());
    let number = source.as_raw_fd();
    selector.register(&source, 1, Interest::READ, Mode::Level).unwrap();
    drop(source);
    let End { own: other, peer: mut writer } = silent();
    let source = renumber(other, number);
    selector.register(&source, 2, Interest::READ, Mode::Level).unwrap();
    // Nothing of the first one under either token, and no spinning.
    sleeps(&selector, &mut events);
    writer.write_all(b"x").unwrap();
    for _ in 0..3 {
        assert_eq!(told(&selector, &mut events, LONG), [2]);
    }
    drop(own);
    assert_eq!(told(&selector, &mut events, LONG), [2]);
}

#[test]
fn shaking_off_a_closed_source_takes_in_no_stranger() {
    let (selector, mut events) = new();
    // Registered and closed; its number goes to a stranger that is ready.
    let closed = apart(silent().own);
    let number = closed.as_raw_fd();
    selector.register(&closed, 1, Interest::READ, Mode::Level).unwrap();
    // Registered, closed and unregistered, while a duplicate lives.
    let End { own, peer: _peer } = readable();
    let ghost = apart(own.try_clone().unwrap());
    let raw = ghost.raw_source();
    selector.register(&ghost, 2, Interest::READ, Mode::Level).unwrap();
    drop((closed, ghost));
    selector.unregister_raw(raw).unwrap();
    let _stranger = renumber(readable().own, number);
    if KNOWS_SOURCES {
        sleeps(&selector, &mut events);
        sleeps(&selector, &mut events);
    }
}

#[test]
fn a_hang_up_with_no_interest_is_neither_told_nor_spun_on() {
    for mode in MODES {
        let (selector, mut events) = new();
        let End { own, peer } = silent();
        let (read, write) = pipe();
        selector.register(&own, 1, Interest::empty(), mode).unwrap();
        selector.register(&write, 2, Interest::empty(), mode).unwrap();
        drop((peer, read));
        sleeps(&selector, &mut events);
        // It is still registered.
        selector.modify(&own, 3, Interest::READ, Mode::Level).unwrap();
        assert_eq!(selector.wait(&mut events, Some(LONG)).unwrap(), 1);
        let event = *events.iter().next().unwrap();
        assert_eq!(event.token(), 3);
        assert!(event.is_readable() && event.is_read_closed() && event.is_write_closed());
        selector.modify(&own, 3, Interest::empty(), mode).unwrap();
        sleeps(&selector, &mut events);
    }
}

#[test]
fn a_hang_up_is_told_to_whoever_has_an_interest() {
    let (selector, mut events) = new();
    let End { own, peer } = silent();
    let (read, write) = pipe();
    let (last_read, last_write) = pipe();
    selector.register(&own, 1, Interest::PRIORITY, Mode::Level).unwrap();
    selector.register(&write, 2, Interest::WRITE, Mode::Level).unwrap();
    selector.register(&last_read, 3, Interest::READ, Mode::Level).unwrap();
    drop((peer, read, last_write));
    assert_eq!(selector.wait(&mut events, Some(LONG)).unwrap(), 3);
    for event in &events {
        match event.token() {
            1 => assert!(event.is_read_closed() && !event.is_readable()),
            2 => assert!(event.is_writable() && event.is_write_closed() && event.is_error()),
            _ => assert!(event.is_readable() && event.is_read_closed() && !event.is_error()),
        }
    }
}

#[test]
fn half_closed_is_read_closed_and_data_that_is_left_is_readable() {
    let (selector, mut events) = new();
    let End { own, mut peer } = silent();
    peer.write_all(b"x").unwrap();
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    selector.register(&own, 1, Interest::READ | Interest::WRITE, Mode::Level).unwrap();
    assert_eq!(selector.wait(&mut events, Some(LONG)).unwrap(), 1);
    let event = *events.iter().next().unwrap();
    assert!(event.is_readable() && event.is_writable());
    assert!(!event.is_write_closed() && !event.is_error());
    if cfg!(target_os = "linux") {
        assert!(event.is_read_closed());
    }
    assert_eq!((&own).read(&mut [0; 8]).unwrap(), 1);
    assert!(told(&selector, &mut events, LONG) == [1] && events.iter().all(Event::is_readable));
}

// FreeBSD's and NetBSD's kqueue have no filter for it.
#[cfg(not(any(target_os = "freebsd", target_os = "netbsd", readiness_fake_kevent)))]
#[test]
fn out_of_band_data_is_priority() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (own, _) = listener.accept().unwrap();
    let (selector, mut events) = new();
    selector.register(&own, 1, Interest::PRIORITY, Mode::Level).unwrap();
    assert_eq!(told(&selector, &mut events, MS), []);
    send_urgent(&peer);
    assert_eq!(selector.wait(&mut events, Some(LONG)).unwrap(), 1);
    let event = *events.iter().next().unwrap();
    assert!(event.is_priority() && !event.is_readable() && !event.is_writable());
}

#[test]
fn an_edge_is_told_at_each_arrival() {
    let (selector, mut events) = new();
    let End { own, mut peer } = silent();
    own.set_nonblocking(true).unwrap();
    selector.register(&own, 1, Interest::READ, Mode::Edge).unwrap();
    assert_eq!(told(&selector, &mut events, MS), []);
    for round in 0..100 {
        peer.write_all(&[round; 3]).unwrap();
        assert_eq!(told(&selector, &mut events, LONG), [1]);
        // Every other time something is left unread: the next arrival is an edge.
        let mut bytes = [0; 8];
        let want = if round % 2 == 0 { 8 } else { 1 };
        while let Ok(1..) = (&own).read(&mut bytes[..want]) {
            if want == 1 {
                break;
            }
        }
    }
}

#[test]
fn an_edge_is_not_a_spin() {
    let (selector, mut events) = new();
    let end = readable();
    selector.register(&end, 1, Interest::READ | Interest::WRITE, Mode::Edge).unwrap();
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < MS * 500 {
        count += selector.wait(&mut events, Some(MS * 100)).unwrap();
    }
    let most = if KNOWS_SOURCES { 1 } else { 12 };
    assert!(count >= 1 && count <= most, "{count} events");
}

#[test]
fn a_full_buffer_loses_no_edge_and_no_oneshot() {
    for mode in [Mode::Edge, Mode::OneShot, Mode::EdgeOneShot] {
        let selector = Selector::new().unwrap();
        let ends: Vec<End> = (0..40).map(|_| readable()).collect();
        for (token, end) in ends.iter().enumerate() {
            selector.register(end, token as u64, Interest::READ, mode).unwrap();
        }
        let mut events = Events::with_capacity(3);
        let mut seen = vec![0; ends.len()];
        while seen.contains(&0) {
            let count = selector.wait(&mut events, Some(LONG)).unwrap();
            assert!((1..=3).contains(&count), "{count} {mode:?}");
            for event in &events {
                seen[event.token() as usize] += 1;
                // Read, so that no edge has reason to come again.
                let mut own = &ends[event.token() as usize].own;
                own.set_nonblocking(true).unwrap();
                let _ = own.read(&mut [0; 8]);
            }
        }
        assert!(seen.iter().all(|count| *count == 1), "{mode:?} {seen:?}");
        sleeps(&selector, &mut events);
    }
}

#[test]
fn a_zero_timeout_tells_the_truth_whatever_else_there_is_to_tell() {
    // A wake for a timer, late news and the like take a place in a buffer for one.
    for _ in 0..50 {
        let (selector, _) = new();
        let mut events = Events::with_capacity(1);
        let End { own, peer: _peer } = readable();
        let ghost = own.try_clone().unwrap();
        let raw = ghost.raw_source();
        selector.register(&ghost, 1, Interest::READ, Mode::Level).unwrap();
        let _ = selector.wait(&mut events, Some(Duration::ZERO));
        std::thread::scope(|scope| {
            scope.spawn(|| selector.add_timer(9, LONG));
        });
        drop(ghost);
        let _ = selector.unregister_raw(raw);
        let source = readable();
        selector.register(&source, 2, Interest::READ, Mode::Level).unwrap();
        assert_eq!(told(&selector, &mut events, Duration::ZERO), [2]);
    }
}

#[test]
fn priority_alone_on_a_file_does_not_spin() {
    let (selector, mut events) = new();
    let file = file("priority");
    selector.register(&file, 1, Interest::PRIORITY, Mode::Level).unwrap();
    sleeps(&selector, &mut events);
}

#[test]
fn a_file_whose_number_became_a_pipe_does_not_answer_for_it() {
    let (selector, mut events) = new();
    let file = apart(file("becomes"));
    let number = file.as_raw_fd();
    selector.register(&file, 1, Interest::READ, Mode::Level).unwrap();
    drop(file);
    let (read, write) = pipe();
    let read = renumber(read, number);
    if KNOWS_SOURCES {
        sleeps(&selector, &mut events);
    }
    selector.register(&read, 2, Interest::READ, Mode::Level).unwrap();
    sleeps(&selector, &mut events);
    (&write).write_all(b"x").unwrap();
    assert_eq!(told(&selector, &mut events, LONG), [2]);

    // And the reverse.
    drop(read);
    let file = renumber(common::file("again"), number);
    selector.register(&file, 3, Interest::READ, Mode::Level).unwrap();
    assert_eq!(told(&selector, &mut events, LONG), [3]);
}

#[test]
fn wakers_that_are_made_and_dropped_leave_nothing_behind() {
    let (selector, mut events) = new();
    for _ in 0..100_000 {
        drop(selector.waker(1));
    }
    let last = selector.waker(2);
    last.wake().unwrap();
    assert_eq!(told(&selector, &mut events, LONG), [2]);
}

#[test]
fn a_selector_that_is_dropped_closes_what_it_opened() {
    let open = || std::fs::read_dir("/proc/self/fd").map(Iterator::count);
    if open().is_err() {
        return;
    }
    let before = open().unwrap();
    for _ in 0..200 {
        let (selector, mut events) = new();
        selector.waker(1).wake().unwrap();
        selector.wait(&mut events, Some(LONG)).unwrap();
    }
    // Others open and close a few beside us.
    assert!(open().unwrap() < before + 100);
}

#[test]
fn one_source_under_many_duplicates() {
    let (selector, mut events) = new();
    let end = readable();
    let duplicates: Vec<UnixStream> = (0..10).map(|_| end.own.try_clone().unwrap()).collect();
    for (token, duplicate) in duplicates.iter().enumerate() {
        selector.register(&duplicate.as_fd(), token as u64, Interest::READ, Mode::Level).unwrap();
    }
    assert_eq!(told(&selector, &mut events, LONG).len(), 10);
}
