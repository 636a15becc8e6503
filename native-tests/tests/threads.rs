//! Other threads that wake, register, modify, unregister and start timers while
//! one waits, and several threads that wait on one `Selector`.

#![cfg(unix)]

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use readiness::{AsSource, Event, Events, Interest, Mode, Selector};

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(60);

fn tokens(events: &Events) -> Vec<u64> {
    events.iter().map(Event::token).collect()
}

/// Waits in a thread of its own, and sends the tokens of each wait.
fn waiter(selector: &Arc<Selector>, timeout: Option<Duration>) -> mpsc::Receiver<Vec<u64>> {
    let (sender, receiver) = mpsc::channel();
    let selector = Arc::clone(selector);
    thread::spawn(move || {
        let mut events = Events::with_capacity(8);
        loop {
            selector.wait(&mut events, timeout).unwrap();
            if sender.send(tokens(&events)).is_err() || events.iter().any(|one| one.token() == 0) {
                return;
            }
        }
    });
    receiver
}

fn next(receiver: &mpsc::Receiver<Vec<u64>>) -> Vec<u64> {
    receiver.recv_timeout(LONG).expect("the wait goes on")
}

/// Lets the waiting thread tell what it has to tell, and gives it.
fn catch_up(selector: &Selector, receiver: &mpsc::Receiver<Vec<u64>>) -> Vec<u64> {
    selector.waker(99).wake().unwrap();
    let mut all = Vec::new();
    while !all.contains(&99) {
        all.extend(next(receiver));
    }
    all.retain(|token| *token != 99);
    all
}

/// Time for a thread to get into its wait. What is tested holds if it did not.
fn settle() {
    thread::sleep(10 * MS);
}

fn readable() -> (UnixStream, UnixStream) {
    let (own, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(b"x").unwrap();
    (own, peer)
}

#[test]
fn what_other_threads_do_takes_effect_while_one_waits() {
    for mode in [Mode::Level, Mode::OneShot, Mode::Edge, Mode::EdgeOneShot] {
        let selector = Arc::new(Selector::new().unwrap());
        let waits = waiter(&selector, None);
        settle();
        // Registered.
        let (mut own, mut peer) = readable();
        selector.register(&own, 1, Interest::READ, mode).unwrap();
        assert_eq!(next(&waits), [1], "{mode:?}");
        // (A level goes on telling; that is over with this.)
        selector.modify(&own, 2, Interest::empty(), mode).unwrap();
        own.read_exact(&mut [0]).unwrap();
        catch_up(&selector, &waits);
        // Modified: armed again, for something that is ready and then for what comes.
        selector.modify(&own, 3, Interest::WRITE, mode).unwrap();
        assert_eq!(next(&waits), [3], "{mode:?}");
        selector.modify(&own, 4, Interest::READ, mode).unwrap();
        catch_up(&selector, &waits);
        peer.write_all(b"y").unwrap();
        assert_eq!(next(&waits), [4], "{mode:?}");
        // Unregistered.
        selector.unregister(&own).unwrap();
        catch_up(&selector, &waits);
        peer.write_all(b"z").unwrap();
        assert_eq!(catch_up(&selector, &waits), [], "{mode:?}");
        // A timer, one that is sooner, and one that is cancelled.
        let start = Instant::now();
        let late = selector.add_timer(5, LONG);
        selector.add_timer(6, 20 * MS);
        let cancelled = selector.add_timer(7, 2_000 * MS);
        selector.cancel_timer(cancelled);
        assert_eq!(next(&waits), [6], "{mode:?}");
        assert!(start.elapsed() >= 20 * MS);
        assert!(selector.cancel_timer(late));
        // A file, which no host watches.
        let file = std::fs::File::open("/").unwrap();
        selector.register(&file, 8, Interest::READ, Mode::OneShot).unwrap();
        assert_eq!(next(&waits), [8]);
        settle();
        selector.modify(&file, 9, Interest::READ, Mode::OneShot).unwrap();
        assert_eq!(next(&waits), [9]);
        // A waker, which also ends the thread.
        settle();
        selector.waker(0).wake().unwrap();
        assert_eq!(next(&waits), [0]);
    }
}

#[test]
fn each_wake_ends_a_wait_and_none_is_lost() {
    let selector = Arc::new(Selector::new().unwrap());
    let waits = waiter(&selector, None);
    let waker = selector.waker(1);
    // Answered one by one: a lost one would leave both sides waiting.
    for _ in 0..2_000 {
        waker.wake().unwrap();
        assert_eq!(next(&waits), [1]);
    }
    drop(waker);
    // And dropped right after.
    for _ in 0..500 {
        selector.waker(2).wake().unwrap();
        assert_eq!(next(&waits), [2]);
    }
    selector.waker(0).wake().unwrap();
    assert_eq!(next(&waits), [0]);
}

#[test]
fn wakes_from_many_threads_at_once() {
    let selector = Arc::new(Selector::new().unwrap());
    let woken = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for token in 1..=4 {
            let waker = selector.waker(token);
            let (stop, woken) = (&stop, &woken);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    waker.wake().unwrap();
                    woken.fetch_add(1, Ordering::Relaxed);
                    thread::yield_now();
                }
            });
        }
        let mut events = Events::with_capacity(1);
        let mut seen = [0; 5];
        while seen[1..].iter().any(|count| *count < 200) {
            assert!(selector.wait(&mut events, Some(LONG)).unwrap() > 0, "{seen:?}");
            events.iter().for_each(|event| seen[event.token() as usize] += 1);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(woken.load(Ordering::Relaxed) >= 800);
}

#[test]
fn two_threads_that_wait_share_the_events() {
    let selector = Arc::new(Selector::new().unwrap());
    let (own, mut peer) = UnixStream::pair().unwrap();
    own.set_nonblocking(true).unwrap();
    selector.register(&own, 1, Interest::READ, Mode::OneShot).unwrap();
    let read = AtomicUsize::new(0);
    const BYTES: usize = 2_000;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut events = Events::with_capacity(1);
                loop {
                    selector.wait(&mut events, Some(LONG)).unwrap();
                    for event in &events {
                        if event.is_wake() {
                            // On to the next one.
                            selector.waker(9).wake().unwrap();
                            return;
                        }
                        assert_eq!(event.token(), 1);
                        while let Ok(count @ 1..) = (&own).read(&mut [0; 7]) {
                            read.fetch_add(count, Ordering::SeqCst);
                        }
                        selector.modify(&own, 1, Interest::READ, Mode::OneShot).unwrap();
                    }
                    assert!(!events.is_empty(), "nothing came for a minute");
                }
            });
        }
        for _ in 0..BYTES {
            peer.write_all(b"x").unwrap();
        }
        let start = Instant::now();
        while read.load(Ordering::SeqCst) < BYTES {
            assert!(start.elapsed() < LONG, "{} of {BYTES}", read.load(Ordering::SeqCst));
            thread::sleep(MS);
        }
        selector.waker(9).wake().unwrap();
    });
}

#[test]
fn a_oneshot_of_two_waiting_threads_is_told_to_one() {
    let selector = Arc::new(Selector::new().unwrap());
    for round in 0..50 {
        let (own, mut peer) = UnixStream::pair().unwrap();
        selector.register(&own, 1, Interest::READ, Mode::OneShot).unwrap();
        let told = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut events = Events::with_capacity(4);
                    let wait = selector.wait(&mut events, Some(30 * MS)).unwrap();
                    told.fetch_add(wait, Ordering::SeqCst);
                });
            }
            peer.write_all(b"x").unwrap();
        });
        assert_eq!(told.load(Ordering::SeqCst), 1, "round {round}");
        selector.unregister(&own).unwrap();
    }
}

#[test]
fn a_timer_is_told_although_the_thread_that_knew_of_it_is_gone() {
    for round in 0..10 {
        let selector = Arc::new(Selector::new().unwrap());
        let first = waiter(&selector, None);
        let second = waiter(&selector, None);
        settle();
        // One of the two is woken for it, and then ended before it expires.
        let start = Instant::now();
        selector.add_timer(5, 60 * MS);
        settle();
        selector.waker(0).wake().unwrap();
        let mut seen = Vec::new();
        while !seen.contains(&5) {
            assert!(start.elapsed() < LONG, "round {round}: lost");
            seen.extend(first.try_iter().chain(second.try_iter()).flatten());
            thread::sleep(MS);
        }
        assert!(start.elapsed() >= 60 * MS);
        assert_eq!(seen, [0, 5]);
        selector.waker(0).wake().unwrap();
    }
}

#[test]
fn a_file_is_told_to_threads_that_wait_and_none_is_left_behind() {
    let selector = Arc::new(Selector::new().unwrap());
    let waits = [waiter(&selector, None), waiter(&selector, None), waiter(&selector, None)];
    settle();
    let file = std::fs::File::open("/").unwrap();
    selector.register(&file, 0, Interest::READ, Mode::Level).unwrap();
    // Token 0 ends each thread at its first event: all three get one.
    for wait in &waits {
        assert_eq!(next(wait), [0]);
    }
}

#[test]
fn threads_that_wait_find_what_is_registered_after_a_closed_source_was_shaken_off() {
    for _ in 0..5 {
        let selector = Arc::new(Selector::new().unwrap());
        let waits: Vec<_> = (0..3).map(|_| waiter(&selector, None)).collect();
        settle();
        // A source that is closed while its duplicate lives, and then has news.
        let (own, mut peer) = UnixStream::pair().unwrap();
        let duplicate = own.try_clone().unwrap();
        let raw = duplicate.raw_source();
        selector.register(&duplicate, 1, Interest::READ, Mode::Edge).unwrap();
        drop(duplicate);
        if let Err(error) = selector.unregister_raw(raw) {
            // Where a list is looked at, a thread may have found it closed just now.
            assert_eq!((Selector::backend(), error.kind()), ("poll", ErrorKind::NotFound));
        }
        for _ in 0..4 {
            peer.write_all(b"x").unwrap();
            settle();
        }
        // Whichever threads are left find what comes now: end them one by one.
        for _ in &waits {
            let (own, _peer) = readable();
            selector.register(&own, 0, Interest::READ, Mode::OneShot).unwrap();
            let start = Instant::now();
            while !waits.iter().any(|wait| wait.try_recv() == Ok(vec![0])) {
                assert!(start.elapsed() < LONG, "a thread waits on a set that is gone");
                thread::sleep(MS);
            }
            selector.unregister(&own).unwrap();
        }
    }
}

#[test]
fn a_zero_timeout_beside_a_thread_that_waits_tells_the_truth() {
    let selector = Arc::new(Selector::new().unwrap());
    let (silent, _peer) = UnixStream::pair().unwrap();
    selector.register(&silent, 1, Interest::READ, Mode::Level).unwrap();
    let waits = waiter(&selector, None);
    settle();
    let mut events = Events::with_capacity(4);
    for _ in 0..100 {
        let start = Instant::now();
        assert_eq!(selector.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
        assert!(start.elapsed() < LONG);
    }
    for timeout in [MS / 2, 3 * MS, 20 * MS] {
        let start = Instant::now();
        assert_eq!(selector.wait(&mut events, Some(timeout)).unwrap(), 0);
        assert!(start.elapsed() >= timeout);
    }
    selector.waker(0).wake().unwrap();
    assert_eq!(next(&waits), [0]);
}

#[test]
fn registrations_that_come_and_go_while_threads_wait_lose_nothing_and_mix_up_nothing() {
    const WORKERS: u64 = 3;
    const ROUNDS: u64 = 150;
    for mode in [Mode::OneShot, Mode::EdgeOneShot] {
        let selector = Arc::new(Selector::new().unwrap());
        let stop = AtomicBool::new(false);
        // By worker: the round of which an event was seen last.
        let seen: Vec<AtomicUsize> = (0..WORKERS).map(|_| AtomicUsize::new(0)).collect();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut events = Events::with_capacity(2);
                    while !stop.load(Ordering::SeqCst) {
                        selector.wait(&mut events, Some(5 * MS)).unwrap();
                        for event in &events {
                            let (worker, round) = (event.token() >> 32, event.token() as u32);
                            assert!(event.is_readable());
                            let before =
                                seen[worker as usize].swap(round as usize, Ordering::SeqCst);
                            // Once, and never one of a registration that ended.
                            assert!(before < round as usize, "{before} then {round}");
                        }
                    }
                });
            }
            let workers: Vec<_> = (0..WORKERS)
                .map(|worker| {
                    let (selector, seen) = (&selector, &seen);
                    scope.spawn(move || {
                        for round in 1..=ROUNDS {
                            let (own, mut peer) = UnixStream::pair().unwrap();
                            let token = worker << 32 | round;
                            if round % 2 == 0 {
                                peer.write_all(b"x").unwrap();
                            }
                            selector.register(&own, token, Interest::READ, mode).unwrap();
                            if round % 2 == 1 {
                                peer.write_all(b"x").unwrap();
                            }
                            let start = Instant::now();
                            while seen[worker as usize].load(Ordering::SeqCst) != round as usize {
                                assert!(start.elapsed() < LONG, "{mode:?}: {round} is lost");
                                thread::yield_now();
                            }
                            // Or closed behind its back.
                            if round % 3 != 0 {
                                selector.unregister(&own).unwrap();
                            }
                        }
                    })
                })
                .collect();
            for worker in workers {
                let ended = worker.join();
                if ended.is_err() {
                    stop.store(true, Ordering::SeqCst);
                }
                ended.unwrap();
            }
            stop.store(true, Ordering::SeqCst);
        });
    }
}

#[test]
fn a_oneshot_that_another_thread_modifies_meanwhile_is_not_disarmed_by_the_event_before() {
    // The waiter gets writability while the interest goes over to reading.
    let selector = Arc::new(Selector::new().unwrap());
    let (own, mut peer) = UnixStream::pair().unwrap();
    selector.register(&own, 1, Interest::WRITE, Mode::OneShot).unwrap();
    for round in 0..300 {
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            let waits = scope.spawn(|| {
                let mut events = Events::with_capacity(1);
                barrier.wait();
                let start = Instant::now();
                loop {
                    selector.wait(&mut events, Some(LONG)).unwrap();
                    if events.iter().any(Event::is_readable) {
                        return;
                    }
                    assert!(start.elapsed() < LONG, "round {round}: lost");
                }
            });
            barrier.wait();
            selector.modify(&own, 1, Interest::READ, Mode::OneShot).unwrap();
            peer.write_all(b"x").unwrap();
            waits.join().unwrap();
        });
        (&own).read_exact(&mut [0]).unwrap();
        selector.modify(&own, 1, Interest::WRITE, Mode::OneShot).unwrap();
    }
}

#[test]
fn threads_at_the_same_sources_take_turns() {
    const WORKERS: u64 = 3;
    const ROUNDS: u64 = 3_000;
    let selector = Selector::new().unwrap();
    let ends: Vec<_> = (0..3).map(|_| readable()).collect();
    let stop = AtomicBool::new(false);
    let expected = |result: std::io::Result<()>| {
        if let Err(error) = result {
            let kind = error.kind();
            assert!(matches!(kind, ErrorKind::AlreadyExists | ErrorKind::NotFound), "{error}");
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut events = Events::with_capacity(2);
            while !stop.load(Ordering::SeqCst) {
                selector.wait(&mut events, Some(MS)).unwrap();
                assert!(events.iter().all(|event| event.is_readable() && event.token() >> 32 < 9));
            }
        });
        // Closed sources whose duplicates live: sets are made anew meanwhile.
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let (own, _peer) = readable();
                let duplicate = own.try_clone().unwrap();
                let raw = duplicate.raw_source();
                selector.register(&duplicate, 8 << 32, Interest::READ, Mode::Level).unwrap();
                drop(duplicate);
                let _ = selector.unregister_raw(raw);
                thread::sleep(MS);
            }
        });
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (selector, ends) = (&selector, &ends);
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        // Some of each on each, in an order of each worker's own.
                        let pick = (round * (2 * worker + 3) + worker) % 18;
                        let (own, token) = (&ends[pick as usize % 3].0, worker << 32 | round);
                        expected(match pick / 3 {
                            0..2 => selector.register(own, token, Interest::READ, Mode::Level),
                            2..5 => selector.modify(own, token, Interest::READ, Mode::Level),
                            _ => selector.unregister(own),
                        });
                    }
                })
            })
            .collect();
        let ended: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        stop.store(true, Ordering::SeqCst);
        ended.into_iter().for_each(Result::unwrap);
    });
    // What the selector knows and what the kernel knows is the same.
    for (token, (own, _)) in (100..).zip(&ends) {
        expected(selector.register(own, 0, Interest::READ, Mode::Level));
        selector.modify(own, token, Interest::READ, Mode::Level).unwrap();
    }
    let mut events = Events::with_capacity(8);
    for _ in 0..5 {
        selector.wait(&mut events, Some(LONG)).unwrap();
    }
    let mut told = tokens(&events);
    told.sort_unstable();
    assert_eq!(told, [100, 101, 102]);
    for (own, _) in &ends {
        selector.unregister(own).unwrap();
        assert_eq!(selector.unregister(own).unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(selector.wait(&mut events, Some(5 * MS)).unwrap(), 0);
}

#[test]
fn an_owned_registration_ends_while_another_thread_waits() {
    let selector = Arc::new(Selector::new().unwrap());
    let waits = waiter(&selector, None);
    settle();
    for _ in 0..50 {
        let (own, mut peer) = UnixStream::pair().unwrap();
        let guard = selector.register_owned(own, 1, Interest::READ, Mode::OneShot).unwrap();
        let raw = guard.raw_source();
        peer.write_all(b"x").unwrap();
        assert_eq!(next(&waits), [1]);
        drop(guard);
        assert_eq!(selector.unregister_raw(raw).unwrap_err().kind(), ErrorKind::NotFound);
    }
    selector.waker(0).wake().unwrap();
    assert_eq!(next(&waits), [0]);
}

#[test]
fn an_epoll_that_a_thread_waits_on_takes_in_what_another_registers() {
    use readiness::{Epoll, EpollEvent, EpollFlags};
    let epoll = Epoll::new().unwrap();
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let mut events = [EpollEvent::default(); 2];
            let count = epoll.wait(&mut events, Some(LONG)).unwrap();
            (count, events[0].data())
        });
        settle();
        let (own, _peer) = readable();
        epoll.register_with_data(&own, EpollFlags::IN, 77).unwrap();
        assert_eq!(waits.join().unwrap(), (1, 77));
    });
}
