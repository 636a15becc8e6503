//! A wait that has grown its buffers allocates nothing.
//!
//! The allocations of the waiting thread count: libtest's own thread has others.

#![cfg(unix)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use native_tests::allocations::{Counting, allocations};
use readiness::{
    Events, Interest, Mode, Poll, PollFlags, Selection, Selector, SignalSet, select_into,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Does it until it has grown, and then it must not allocate.
fn steady(name: &str, mut round: impl FnMut()) {
    for _ in 0..20 {
        round();
    }
    let before = allocations();
    for _ in 0..200 {
        round();
    }
    let count = allocations() - before;
    assert_eq!(count, 0, "{name}: {count} allocations in 200 rounds");
}

#[test]
fn steady_state_waits_allocate_nothing() {
    const COUNT: usize = 100;
    let pairs: Vec<_> = (0..COUNT).map(|_| UnixStream::pair().unwrap()).collect();
    let own = || pairs.iter().map(|pair| &pair.0);
    let peers = || pairs.iter().map(|pair| &pair.1);
    for mut peer in peers().step_by(3) {
        peer.write_all(b"x").unwrap();
    }
    let ready = COUNT.div_ceil(3);
    let micro = Some(Duration::from_micros(50));
    // Idle ones, and one whose other side has gone.
    let (silent, _other) = UnixStream::pair().unwrap();
    let (hung_up, _) = UnixStream::pair().unwrap();

    let mut selection = Selection::new();
    steady("select_into, one list", || {
        select_into(&mut selection, own(), [], [], None).unwrap();
        assert_eq!(selection.read().len(), ready);
    });
    steady("select_into, three lists", || {
        select_into(&mut selection, own(), own().chain(peers()), peers(), None).unwrap();
        assert_eq!((selection.read().len(), selection.write().len()), (ready, 2 * COUNT));
    });
    steady("select_into, timing out", || {
        select_into(&mut selection, [&silent], [], [&silent], micro).unwrap();
        assert!(selection.read().is_empty());
    });
    steady("select_into, a hang-up that is not asked for", || {
        select_into(&mut selection, [&silent], [], [&hung_up], micro).unwrap();
        assert!(selection.read().is_empty());
    });

    let mut poll = Poll::new();
    own().for_each(|own| poll.register(own, PollFlags::IN).unwrap());
    let mask = SignalSet::current().unwrap();
    steady("Poll", || {
        assert_eq!(poll.poll(None).unwrap().count(), ready);
        assert_eq!(poll.ppoll(micro, &mask).unwrap().count(), ready);
        poll.modify(&pairs[1].0, PollFlags::OUT).unwrap();
        assert_eq!(poll.poll_interruptible(None).unwrap().count(), ready + 1);
        poll.modify(&pairs[1].0, PollFlags::IN).unwrap();
    });

    #[cfg(target_os = "linux")]
    {
        use readiness::{Epoll, EpollEvent, EpollFlags};
        let epoll = Epoll::new().unwrap();
        own().for_each(|own| epoll.register(own, EpollFlags::IN).unwrap());
        let mut events = [EpollEvent::default(); COUNT];
        steady("Epoll", || {
            assert_eq!(epoll.wait(&mut events, None).unwrap(), ready);
            assert_eq!(epoll.wait(&mut events, micro).unwrap(), ready);
            assert_eq!(epoll.pwait(&mut events, micro, &mask).unwrap(), ready);
        });
    }

    for mode in [Mode::Level, Mode::OneShot, Mode::Edge] {
        let selector = Selector::new().unwrap();
        for (token, own) in own().enumerate() {
            selector.register(own, token as u64, Interest::READ, mode).unwrap();
        }
        let mut events = Events::with_capacity(COUNT);
        let waker = selector.waker(1_000);
        steady(&format!("Selector, {mode:?}"), || {
            selector.wait(&mut events, micro).unwrap();
            if mode != Mode::Level {
                for (token, own) in own().enumerate().step_by(3) {
                    selector.modify(own, token as u64, Interest::READ, mode).unwrap();
                }
            }
            waker.wake().unwrap();
            selector.add_timer(1_001, Duration::ZERO);
            let timer = selector.add_timer(1_002, Duration::from_secs(60));
            while !events.iter().any(|event| event.is_wake()) {
                selector.wait(&mut events, None).unwrap();
            }
            assert!(selector.cancel_timer(timer));
        });
    }

    // Idle, with timers.
    let selector = Selector::new().unwrap();
    let mut events = Events::with_capacity(4);
    selector.register(&silent, 1, Interest::READ, Mode::Level).unwrap();
    selector.add_periodic(2, Duration::ZERO, Duration::from_micros(200)).unwrap();
    let file = std::fs::File::open("/").unwrap();
    steady("Selector, a timer", || {
        assert!(selector.wait(&mut events, None).unwrap() > 0);
    });
    selector.register(&file, 3, Interest::READ, Mode::Level).unwrap();
    steady("Selector, a file", || {
        assert!(selector.wait(&mut events, None).unwrap() > 0);
    });
    selector.unregister(&file).unwrap();
    steady("Selector, registering and unregistering", || {
        selector.register(&pairs[0].0, 4, Interest::READ, Mode::Level).unwrap();
        selector.wait(&mut events, None).unwrap();
        selector.unregister(&pairs[0].0).unwrap();
    });
    for mut own in own().step_by(3) {
        own.read_exact(&mut [0]).unwrap();
    }
    steady("Selector, nothing", || {
        selector.wait(&mut events, Some(Duration::ZERO)).unwrap();
    });
}
