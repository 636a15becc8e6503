//! `Epoll` with threads: what one does takes effect on another that waits.

#![cfg(unix)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use native_tests::random::Random;
use readiness::{
    AsSource, Epoll, EpollEvent, EpollFlags, Events, Interest, Mode, Poll, PollFlags, Selector,
    select,
};

const SOON: Option<Duration> = Some(Duration::from_secs(30));
const NOW: Option<Duration> = Some(Duration::ZERO);

fn readable() -> (UnixStream, UnixStream) {
    let (mut tx, rx) = UnixStream::pair().unwrap();
    tx.write_all(b"x").unwrap();
    (tx, rx)
}

/// Lets `act` happen while `wait` waits, which it does for ever without it.
fn while_waiting<T: Send>(wait: impl FnOnce() -> T + Send, act: impl FnOnce()) -> T {
    let waits = Barrier::new(2);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            waits.wait();
            wait()
        });
        waits.wait();
        // It is about to wait; most often it does by the time of the act. Either
        // order has to do.
        thread::sleep(Duration::from_millis(10));
        act();
        waiter.join().unwrap()
    })
}

#[test]
fn registering_and_modifying_take_effect_while_another_thread_waits() {
    let (_tx, rx) = readable();
    for modes in [EpollFlags::empty(), EpollFlags::ET, EpollFlags::ONESHOT] {
        let epoll = Epoll::new().unwrap();
        let events = while_waiting(
            || epoll.poll(SOON, None).unwrap(),
            || epoll.register(&rx, EpollFlags::IN | modes).unwrap(),
        );
        assert_eq!(events.len(), 1, "{modes:?}");

        epoll.modify(&rx, EpollFlags::PRI | modes).unwrap();
        let events = while_waiting(
            || epoll.poll(SOON, None).unwrap(),
            || epoll.modify_with_data(&rx, EpollFlags::IN | modes, 9).unwrap(),
        );
        assert_eq!(events[0].data(), 9, "{modes:?}");
    }
}

#[test]
fn what_is_unregistered_while_another_thread_waits_is_not_reported() {
    let (mut tx, rx) = UnixStream::pair().unwrap();
    let (mut end, other) = UnixStream::pair().unwrap();
    let epoll = Epoll::new().unwrap();
    epoll.register(&rx, EpollFlags::IN).unwrap();
    epoll.register(&other, EpollFlags::IN).unwrap();
    let events = while_waiting(
        || epoll.poll(SOON, None).unwrap(),
        || {
            epoll.unregister(&rx).unwrap();
            tx.write_all(b"x").unwrap();
            end.write_all(b"x").unwrap();
        },
    );
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].data(), other.raw_source().number());
}

#[test]
fn whoever_does_not_wait_is_answered_while_another_thread_waits() {
    let (_tx, rx) = readable();
    let (mut end, other) = UnixStream::pair().unwrap();
    let epoll = Epoll::new().unwrap();
    epoll.register(&other, EpollFlags::IN).unwrap();
    // It may get the first event itself, and then has to come back for the end.
    let over = AtomicBool::new(false);
    while_waiting(
        || {
            while !over.load(Ordering::SeqCst) {
                epoll.poll(SOON, None).unwrap();
            }
        },
        || {
            assert_eq!(epoll.poll(NOW, None).unwrap().len(), 0);
            epoll.register(&rx, EpollFlags::IN).unwrap();
            // A level: whoever asks is told.
            for _ in 0..50 {
                assert_eq!(epoll.poll(NOW, None).unwrap().len(), 1);
            }
            epoll.unregister(&rx).unwrap();
            assert_eq!(epoll.poll(NOW, None).unwrap().len(), 0);
            over.store(true, Ordering::SeqCst);
            end.write_all(b"x").unwrap();
        },
    );
}

#[test]
fn a_one_shot_event_is_given_to_one_of_several_threads() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 50;
    let (mut tx, rx) = UnixStream::pair().unwrap();
    let (mut end, last) = UnixStream::pair().unwrap();
    let epoll = Epoll::new().unwrap();
    let flags = EpollFlags::IN | EpollFlags::ONESHOT;
    epoll.register_with_data(&rx, flags, 1).unwrap();
    epoll.register_with_data(&last, EpollFlags::IN, 2).unwrap();
    let told = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let events = epoll.poll(SOON, Some(1)).unwrap();
                    match events[0].data() {
                        1 => {
                            (&rx).read_exact(&mut [0]).unwrap();
                            told.fetch_add(1, Ordering::SeqCst);
                        }
                        _ => return,
                    }
                }
            });
        }
        for round in 1..=ROUNDS {
            tx.write_all(b"x").unwrap();
            let begin = Instant::now();
            while told.load(Ordering::SeqCst) < round {
                assert!(begin.elapsed() < Duration::from_secs(30));
                thread::yield_now();
            }
            assert_eq!(told.load(Ordering::SeqCst), round);
            epoll.modify_with_data(&rx, flags, 1).unwrap();
        }
        end.write_all(b"x").unwrap();
    });
    assert_eq!(told.load(Ordering::SeqCst), ROUNDS);
}

#[test]
fn a_level_is_told_to_every_thread_that_waits_for_it() {
    let (mut tx, rx) = UnixStream::pair().unwrap();
    let epoll = Epoll::new().unwrap();
    epoll.register(&rx, EpollFlags::IN).unwrap();
    thread::scope(|scope| {
        let waiters: Vec<_> =
            (0..3).map(|_| scope.spawn(|| epoll.poll(SOON, None).unwrap().len())).collect();
        thread::sleep(Duration::from_millis(10));
        tx.write_all(b"x").unwrap();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), 1);
        }
    });
}

#[test]
fn exclusive_waiters_are_woken_at_least_one_of_them_and_the_others_all() {
    let (mut tx, rx) = UnixStream::pair().unwrap();
    let exclusive: Vec<Epoll> = (0..3).map(|_| Epoll::new().unwrap()).collect();
    let common = Epoll::new().unwrap();
    for epoll in &exclusive {
        epoll.register(&rx, EpollFlags::IN | EpollFlags::EXCLUSIVE).unwrap();
    }
    common.register(&rx, EpollFlags::IN).unwrap();
    let woken = AtomicUsize::new(0);
    thread::scope(|scope| {
        let other = scope.spawn(|| common.poll(SOON, None).unwrap().len());
        for epoll in &exclusive {
            scope.spawn(|| {
                while woken.load(Ordering::SeqCst) == 0 {
                    let told = epoll.poll(Some(Duration::from_millis(50)), None).unwrap();
                    woken.fetch_add(told.len(), Ordering::SeqCst);
                }
            });
        }
        tx.write_all(b"x").unwrap();
        assert_eq!(other.join().unwrap(), 1);
    });
    assert!(woken.load(Ordering::SeqCst) >= 1);
}

/// Changes two sets further in wake whoever waits for the outermost, through every
/// front end.
#[test]
fn changes_of_a_nested_set_wake_whoever_waits_for_the_outer_one() {
    let (_tx, rx) = readable();
    let sets = || {
        let inner = Epoll::new().unwrap();
        let middle = Epoll::new().unwrap();
        middle.register(&inner, EpollFlags::IN).unwrap();
        (inner, middle)
    };

    let (inner, middle) = sets();
    let outer = Epoll::new().unwrap();
    outer.register(&middle, EpollFlags::IN).unwrap();
    let events = while_waiting(
        || outer.poll(SOON, None).unwrap(),
        || inner.register(&rx, EpollFlags::IN).unwrap(),
    );
    assert_eq!(events.len(), 1);

    let (inner, middle) = sets();
    let ready = while_waiting(
        || select([&middle], [], [], SOON).unwrap().read.len(),
        || inner.register(&rx, EpollFlags::IN).unwrap(),
    );
    assert_eq!(ready, 1);

    let (inner, middle) = sets();
    let mut poll = Poll::new();
    poll.register(&middle, PollFlags::IN).unwrap();
    let ready = while_waiting(
        || poll.poll(SOON).unwrap().count(),
        || inner.register(&rx, EpollFlags::IN).unwrap(),
    );
    assert_eq!(ready, 1);

    let (inner, middle) = sets();
    let selector = Selector::new().unwrap();
    selector.register(&middle, 3, Interest::READ, Mode::Level).unwrap();
    let ready = while_waiting(
        || {
            let mut events = Events::with_capacity(4);
            selector.wait(&mut events, SOON).unwrap()
        },
        || inner.register(&rx, EpollFlags::IN).unwrap(),
    );
    assert_eq!(ready, 1);

    // A set that comes in while the outermost is waited for is heard, too.
    let (inner, middle) = (Epoll::new().unwrap(), Epoll::new().unwrap());
    let outer = Epoll::new().unwrap();
    outer.register(&middle, EpollFlags::IN).unwrap();
    let events = while_waiting(
        || outer.poll(SOON, None).unwrap(),
        || {
            middle.register(&inner, EpollFlags::IN).unwrap();
            thread::sleep(Duration::from_millis(10));
            inner.register(&rx, EpollFlags::IN).unwrap();
        },
    );
    assert_eq!(events.len(), 1);
}

#[test]
fn a_member_of_a_nested_set_wakes_whoever_waits_for_the_outer_one() {
    let (mut tx, rx) = UnixStream::pair().unwrap();
    let inner = Epoll::new().unwrap();
    let outer = Epoll::new().unwrap();
    inner.register(&rx, EpollFlags::IN | EpollFlags::ET).unwrap();
    outer.register(&inner, EpollFlags::IN).unwrap();
    // Somebody waits for the inner one as well; both are told.
    thread::scope(|scope| {
        let other = scope.spawn(|| outer.poll(SOON, None).unwrap().len());
        thread::sleep(Duration::from_millis(10));
        tx.write_all(b"x").unwrap();
        assert_eq!(other.join().unwrap(), 1);
    });
    assert_eq!(inner.poll(SOON, None).unwrap().len(), 1);
}

/// Wherever the writer is when the reader meets `WouldBlock`.
#[test]
fn every_byte_that_is_written_is_read_by_edges() {
    const BYTES: usize = 2_000;
    let (mut tx, rx) = UnixStream::pair().unwrap();
    rx.set_nonblocking(true).unwrap();
    let epoll = Epoll::new().unwrap();
    epoll.register(&rx, EpollFlags::IN | EpollFlags::ET).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            for at in 0..BYTES {
                tx.write_all(b"x").unwrap();
                if at % 64 == 0 {
                    thread::yield_now();
                }
            }
        });
        let mut seen = 0;
        while seen < BYTES {
            assert_eq!(epoll.poll(SOON, None).unwrap().len(), 1);
            while let Ok(count @ 1..) = (&rx).read(&mut [0; 7]) {
                seen += count;
            }
            epoll.rearm(&rx).unwrap();
        }
    });
}

/// Some threads wait for four sets, others put them into each other, take them out,
/// and do the same with eight sockets, some of which they replace.
#[test]
fn sets_that_are_moved_about_by_several_threads_do_not_wait_for_each_other() {
    fn pair() -> (UnixStream, UnixStream) {
        let pair = UnixStream::pair().unwrap();
        pair.0.set_nonblocking(true).unwrap();
        pair.1.set_nonblocking(true).unwrap();
        pair
    }
    fn wait(sets: &[Epoll], random: &mut Random) {
        let mut events = vec![EpollEvent::default(); 1 + random.below(3)];
        let timeout = Duration::from_micros([0, 100, 2000][random.below(3)]);
        sets[random.below(4)].wait(&mut events, Some(timeout)).unwrap();
    }
    // Each may be refused: it is registered already, or a loop.
    fn change(sets: &[Epoll], pairs: &[Mutex<(UnixStream, UnixStream)>], random: &mut Random) {
        let (input, output) = (EpollFlags::IN, EpollFlags::OUT);
        let modes = [EpollFlags::empty(), EpollFlags::ET, EpollFlags::ONESHOT];
        let flags = [input, output, input | output, EpollFlags::empty()][random.below(4)]
            | modes[random.below(3)];
        let (set, inner) = (&sets[random.below(4)], &sets[random.below(4)]);
        let mut pair_of = pairs[random.below(8)].lock().unwrap();
        let (own, peer) = &mut *pair_of;
        match random.below(12) {
            0..3 => drop(set.register(own, flags)),
            3..5 => drop(set.modify(own, flags)),
            5 => drop(set.unregister(own)),
            6 => drop(peer.write(b"abc")),
            7 => drop(own.read(&mut [0; 2])),
            8 => *pair_of = pair(),
            9..11 => drop(set.register(inner, flags)),
            _ => drop(set.unregister(inner)),
        }
    }

    let sets: Arc<Vec<Epoll>> = Arc::new((0..4).map(|_| Epoll::new().unwrap()).collect());
    let pairs: Arc<Vec<_>> = Arc::new((0..8).map(|_| Mutex::new(pair())).collect());
    let (done, all_done) = mpsc::channel();
    for seed in 1..=6 {
        let (sets, pairs, done) = (Arc::clone(&sets), Arc::clone(&pairs), done.clone());
        thread::spawn(move || {
            let mut random = Random(seed * 7919);
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(700) {
                if seed % 2 == 0 {
                    wait(&sets, &mut random);
                } else {
                    change(&sets, &pairs, &mut random);
                }
            }
            done.send(()).unwrap();
        });
    }
    for _ in 0..6 {
        all_done.recv_timeout(Duration::from_secs(60)).expect("they wait for each other");
    }
    // And whatever they did, each tells what is new.
    let (_tx, rx) = readable();
    for set in sets.iter() {
        set.register_with_data(&rx, EpollFlags::IN, 99).unwrap();
        let begin = Instant::now();
        while set.poll(SOON, None).unwrap().iter().all(|event| event.data() != 99) {
            assert!(begin.elapsed() < Duration::from_secs(30));
        }
    }
}
