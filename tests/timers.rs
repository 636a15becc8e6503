//! The timers of `Selector`, on every target and backend.

#![cfg(any(unix, windows, target_os = "wasi"))]

mod common;

use std::io;
use std::time::{Duration, Instant};

use common::*;
use readiness::{Event, Events, Interest, Mode, Selector};

fn new() -> (Selector, Events) {
    (Selector::new().unwrap(), Events::with_capacity(16))
}

#[test]
fn a_timer_expires_once_and_never_early() {
    let (selector, mut events) = new();
    for after in [0, 100, 500, 1_000, 2_500, 20_000].map(Duration::from_micros) {
        let start = Instant::now();
        selector.add_timer(1, after);
        assert_eq!(selector.wait(&mut events, None).unwrap(), 1);
        assert!(start.elapsed() >= after, "{after:?} took {:?}", start.elapsed());
        let event = events.iter().next().unwrap();
        assert!(event.is_timer() && event.token() == 1 && event.expirations() == 1);
        assert!(!event.is_readable() && !event.is_wake());
        assert_eq!(selector.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
    }
}

#[test]
fn timers_expire_in_order_of_time() {
    let (selector, mut events) = new();
    for token in [5, 1, 4, 2, 3] {
        selector.add_timer(token, MS * 4 * token as u32);
    }
    let mut seen = Vec::new();
    while seen.len() < 5 {
        assert!(selector.wait(&mut events, Some(LONG)).unwrap() > 0);
        seen.extend(events.iter().map(Event::token));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
}

#[test]
fn a_periodic_timer_keeps_its_beat_and_counts_what_nobody_looked_at() {
    let (selector, mut events) = new();
    let period = MS * 10;
    let start = Instant::now();
    let timer = selector.add_periodic(1, period, period).unwrap();
    let mut beats = 0;
    while beats < 12 {
        selector.wait(&mut events, None).unwrap();
        beats += events.iter().map(Event::expirations).sum::<u32>();
        // Neither ahead of the beat, nor lost: however late it was looked at.
        let elapsed = start.elapsed();
        assert!(elapsed >= period * beats, "{beats} in {elapsed:?}");
        if beats == 3 {
            while start.elapsed() < period * 7 {}
        }
    }
    // One look tells all that is due.
    let due = (start.elapsed().as_millis() / 10) as u32;
    selector.wait(&mut events, Some(Duration::ZERO)).unwrap();
    beats += events.iter().map(Event::expirations).sum::<u32>();
    assert!(beats >= due, "{beats} of {due}");
    assert!(selector.cancel_timer(timer));
    assert_eq!(selector.wait(&mut events, Some(period * 2)).unwrap(), 0);
}

#[test]
fn the_first_beat_may_come_at_another_time_than_the_others() {
    let (selector, mut events) = new();
    let start = Instant::now();
    selector.add_periodic(1, Duration::ZERO, MS * 15).unwrap();
    assert_eq!(selector.wait(&mut events, None).unwrap(), 1);
    assert_eq!(selector.wait(&mut events, None).unwrap(), 1);
    assert!(start.elapsed() >= MS * 15);
    let error = selector.add_periodic(1, MS, Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_period_shorter_than_a_wait_is_counted_and_starves_nobody() {
    let (selector, mut events) = new();
    let file = file("busy");
    selector.add_periodic(1, Duration::ZERO, Duration::from_nanos(1)).unwrap();
    selector.register(&file, 2, Interest::READ, Mode::Level).unwrap();
    selector.add_timer(3, MS * 5);
    let mut seen = [0; 4];
    while seen[3] == 0 {
        selector.wait(&mut events, Some(LONG)).unwrap();
        for event in &events {
            seen[event.token() as usize] += event.expirations().max(1) as usize;
        }
    }
    assert!(seen[1] > 1_000_000 && seen[2] > 0, "{seen:?}");
}

#[test]
fn a_cancelled_timer_is_not_told() {
    let (selector, mut events) = new();
    let timers: Vec<_> = (0..10).map(|token| selector.add_timer(token, MS * 2)).collect();
    for timer in timers.iter().step_by(2) {
        assert!(selector.cancel_timer(*timer));
        assert!(!selector.cancel_timer(*timer));
    }
    let start = Instant::now();
    while start.elapsed() < MS * 3 {}
    // It is due already, and cancelled before anybody looked.
    assert!(selector.cancel_timer(timers[1]));
    let mut seen = Vec::new();
    while selector.wait(&mut events, Some(MS * 5)).unwrap() > 0 {
        seen.extend(events.iter().map(Event::token));
    }
    assert_eq!(seen, [3, 5, 7, 9]);
    assert!(!selector.cancel_timer(timers[3]));
    // Its place is used again, and does not answer to the old name.
    selector.add_timer(20, Duration::ZERO);
    assert!(timers.iter().all(|timer| !selector.cancel_timer(*timer)));
    assert_eq!(selector.wait(&mut events, Some(LONG)).unwrap(), 1);
}

#[test]
fn ten_thousand_timers() {
    let (selector, mut events) = new();
    let start = Instant::now();
    let after = |token: u64| Duration::from_micros(token * 7919 % 30_000);
    let timers: Vec<_> = (0..10_000).map(|token| selector.add_timer(token, after(token))).collect();
    let mut cancelled = vec![false; timers.len()];
    for (token, timer) in timers.iter().enumerate().step_by(7) {
        cancelled[token] = selector.cancel_timer(*timer);
    }
    assert!(cancelled.contains(&true));
    let mut seen = vec![0; timers.len()];
    let left = cancelled.iter().filter(|cancelled| !**cancelled).count();
    let mut told = 0;
    while told < left {
        told += selector.wait(&mut events, Some(LONG)).unwrap();
        let elapsed = start.elapsed();
        for event in &events {
            seen[event.token() as usize] += 1;
            assert!(elapsed >= after(event.token()));
        }
    }
    for (token, count) in seen.iter().enumerate() {
        assert_eq!(*count, usize::from(!cancelled[token]), "timer {token}");
    }
    assert_eq!(selector.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
}

#[test]
fn a_timer_for_ever_is_no_overflow() {
    let (selector, mut events) = new();
    let never = selector.add_timer(1, Duration::MAX);
    let beat = selector.add_periodic(2, Duration::MAX, Duration::MAX).unwrap();
    selector.add_periodic(4, MS, Duration::MAX).unwrap();
    selector.add_timer(3, MS * 2);
    let mut seen = Vec::new();
    while seen.len() < 2 {
        selector.wait(&mut events, Some(Duration::MAX)).unwrap();
        seen.extend(events.iter().map(Event::token));
    }
    assert_eq!(seen, [4, 3]);
    assert_eq!(selector.wait(&mut events, Some(MS)).unwrap(), 0);
    assert!(selector.cancel_timer(never) && selector.cancel_timer(beat));
}

#[test]
fn the_timeout_ends_a_wait_before_a_later_timer_and_the_timer_stands() {
    let (selector, mut events) = new();
    let start = Instant::now();
    selector.add_timer(1, MS * 40);
    let (took, count) = timed(|| selector.wait(&mut events, Some(MS * 3)).unwrap());
    assert!(count == 0 && took >= MS * 3);
    assert_eq!(selector.wait(&mut events, None).unwrap(), 1);
    assert!(start.elapsed() >= MS * 40);
}

#[test]
fn timers_come_beside_sources_and_take_none_of_their_places() {
    let selector = Selector::new().unwrap();
    let mut events = Events::with_capacity(1);
    let file = file("beside");
    selector.register(&file, 9, Interest::READ, Mode::Level).unwrap();
    for token in 0..5 {
        selector.add_timer(token, Duration::ZERO);
    }
    assert_eq!(selector.wait(&mut events, None).unwrap(), 6);
}
