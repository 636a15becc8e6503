//! Levels that are reported again and again though nothing happens: what happens
//! after that is told all the same.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use readiness::{Epoll, EpollEvent, EpollFlags};

use crate::common::*;

/// More reports than it takes.
const MANY: usize = 50;

/// What is written to the first comes out of the second.
fn pairs() -> Vec<(File, File)> {
    let (rx, tx) = std::io::pipe().unwrap();
    let local = UnixStream::pair().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    vec![
        (OwnedFd::from(tx).into(), OwnedFd::from(rx).into()),
        (OwnedFd::from(local.0).into(), OwnedFd::from(local.1).into()),
        (OwnedFd::from(stream).into(), high(OwnedFd::from(accepted)).into()),
    ]
}

/// With five bytes that nobody reads, reported many times.
fn standing(tx: &mut File, rx: &File) -> Kqueue {
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[read(rx).with_udata(7)]);
    tx.write_all(b"hello").unwrap();
    stands(&kqueue, 5);
    kqueue
}

#[track_caller]
fn stands(kqueue: &Kqueue, data: i64) {
    let begin = Instant::now();
    while one(kqueue).data != data {
        // A part of it may be on its way.
        assert!(begin.elapsed() < SOON.unwrap());
    }
    for _ in 0..MANY {
        let event = one(kqueue);
        assert_eq!((event.data, event.udata), (data, 7));
        assert_eq!((event.flags, event.fflags), (KeventFlags::empty(), NoteFlags::empty()));
    }
}

#[test]
fn what_comes_and_what_is_taken_is_counted() {
    for (mut tx, mut rx) in pairs() {
        let kqueue = standing(&mut tx, &rx);
        rx.read_exact(&mut [0; 2]).unwrap();
        stands(&kqueue, 3);
        tx.write_all(b"more").unwrap();
        stands(&kqueue, 7);
        // As much comes as is taken.
        rx.read_exact(&mut [0; 7]).unwrap();
        tx.write_all(b"another").unwrap();
        stands(&kqueue, 7);
        rx.read_exact(&mut [0; 7]).unwrap();
        none(&kqueue);
        tx.write_all(b"x").unwrap();
        stands(&kqueue, 1);
    }
}

#[test]
fn the_end_is_told() {
    for (mut tx, mut rx) in pairs() {
        let kqueue = standing(&mut tx, &rx);
        drop(tx);
        let begin = Instant::now();
        let mut event = one(&kqueue);
        while !event.flags.contains(EOF) {
            assert!(begin.elapsed() < SOON.unwrap());
            event = one(&kqueue);
        }
        assert_eq!(event.data, 5);
        rx.read_exact(&mut [0; 5]).unwrap();
        for _ in 0..MANY {
            let event = one(&kqueue);
            assert_eq!((event.flags, event.data), (EOF, 0));
        }
    }
}

#[test]
fn a_close_ends_it() {
    for (mut tx, rx) in pairs() {
        let rx = File::from(high(OwnedFd::from(rx)));
        let kqueue = standing(&mut tx, &rx);
        let gone = read(&rx).with_flags(DELETE);
        drop(rx);
        none(&kqueue);
        assert_eq!(error(&kqueue, gone), libc::EBADF);
    }
    // A duplicate keeps the source alive.
    for (mut tx, rx) in pairs() {
        let rx = File::from(high(OwnedFd::from(rx)));
        let kqueue = standing(&mut tx, &rx);
        let _duplicate = rx.try_clone().unwrap();
        drop(rx);
        none(&kqueue);
        tx.write_all(b"x").unwrap();
        none(&kqueue);
    }
}

#[test]
fn another_source_with_its_number_is_not_taken_for_it() {
    for alive in [false, true] {
        for (mut tx, rx) in pairs() {
            let rx = File::from(high(OwnedFd::from(rx)));
            let kqueue = standing(&mut tx, &rx);
            let duplicate = rx.try_clone().unwrap();
            let (other, mut other_tx) = std::io::pipe().unwrap();
            let number = OwnedFd::from(rx);
            // SAFETY: both are open, and `number` owns its number before and after.
            let done = unsafe { libc::dup2(other.as_raw_fd(), number.as_raw_fd()) };
            assert_eq!(done, number.as_raw_fd());
            if !alive {
                drop(duplicate);
            }
            other_tx.write_all(b"another").unwrap();
            none(&kqueue);
            assert_eq!(error(&kqueue, read(&number).with_flags(DELETE)), libc::ENOENT);
        }
    }
}

#[test]
fn a_likeness_of_it_is_found_out_before_long() {
    for alive in [false, true] {
        for often_read in [false, true] {
            let (mut tx, rx) = pairs().remove(0);
            let mut rx = File::from(high(OwnedFd::from(rx)));
            let kqueue = standing(&mut tx, &rx);
            for _ in 0..if often_read { MANY } else { 0 } {
                rx.read_exact(&mut [0; 5]).unwrap();
                tx.write_all(b"hello").unwrap();
                one(&kqueue);
            }
            let duplicate = rx.try_clone().unwrap();
            let (other, mut other_tx) = std::io::pipe().unwrap();
            // SAFETY: both are open, and `rx` owns its number before and after.
            let done = unsafe { libc::dup2(other.as_raw_fd(), rx.as_raw_fd()) };
            assert_eq!(done, rx.as_raw_fd());
            if !alive {
                drop(duplicate);
            }
            other_tx.write_all(b"alike").unwrap();
            let told = (0..100).take_while(|_| !wait(&kqueue, NOW).is_empty()).count();
            assert!(told <= 16, "{told}");
            none(&kqueue);
            assert_eq!(error(&kqueue, read(&rx).with_flags(DELETE)), libc::ENOENT);
        }
    }
}

#[test]
fn changes_are_for_it_as_for_others() {
    for (mut tx, mut rx) in pairs() {
        let kqueue = standing(&mut tx, &rx);
        change(&kqueue, &[read(&rx).with_flags(KeventFlags::DISABLE)]);
        none(&kqueue);
        change(&kqueue, &[read(&rx).with_flags(KeventFlags::ENABLE).with_udata(7)]);
        stands(&kqueue, 5);
        let mark = |data| read(&rx).with_fflags(NoteFlags::LOWAT).with_data(data).with_udata(7);
        change(&kqueue, &[mark(6)]);
        none(&kqueue);
        change(&kqueue, &[mark(5)]);
        stands(&kqueue, 5);
        tx.write_all(b"x").unwrap();
        stands(&kqueue, 6);
        rx.read_exact(&mut [0; 2]).unwrap();
        none(&kqueue);
        tx.write_all(b"x").unwrap();
        stands(&kqueue, 5);
        change(&kqueue, &[read(&rx).with_flags(DELETE)]);
        none(&kqueue);
        change(&kqueue, &[read(&rx).with_flags(add(CLEAR))]);
        assert_eq!(one(&kqueue).data, 5);
        quiet(&kqueue);
    }
}

#[test]
fn many_of_them_take_turns_with_others_in_little_room() {
    let mut pairs: Vec<_> = (0..12).map(|_| UnixStream::pair().unwrap()).collect();
    let kqueue = Kqueue::new().unwrap();
    for (tx, rx) in &mut pairs {
        change(&kqueue, &[read(rx)]);
        tx.write_all(b"x").unwrap();
    }
    let (mut tx, mut rx) = UnixStream::pair().unwrap();
    change(&kqueue, &[read(&rx)]);
    for room in [64, 24, 13, 12, 5, 2, 1, 64] {
        let mut seen = std::collections::HashMap::<usize, usize>::new();
        let mut events = vec![Kevent::default(); room];
        // What is read each time is not forgotten over the others either.
        let mut read = 0;
        for _ in 0..MANY {
            tx.write_all(b"x").unwrap();
            let told = kqueue.control(&[], &mut events, NOW).unwrap();
            assert!(told == room.min(12) || told == room.min(13), "{told} of {room}");
            let mut once = events[..told].iter().map(|event| event.ident).collect::<Vec<_>>();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), told, "each once: {events:?}");
            for ident in once {
                *seen.entry(ident).or_default() += 1;
                read += usize::from(ident == rx.as_raw_fd() as usize);
            }
        }
        assert!(read > 0);
        rx.read_exact(&mut [0; MANY]).unwrap();
        assert_eq!(seen.len(), 13, "{room}: {seen:?}");
        let fair = MANY * room.min(13) / 13;
        assert!(seen.values().all(|times| *times >= fair / 2), "{room}: {seen:?}");
    }
}

#[test]
fn whoever_comes_later_is_told_too() {
    for (mut tx, mut rx) in pairs() {
        let kqueue = standing(&mut tx, &rx);
        // Another thread.
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(one(&kqueue).data, 5));
        });
        stands(&kqueue, 5);
        // Whoever waits for its descriptor.
        assert_eq!(readiness::select([&kqueue], [], [], NOW).unwrap().read.len(), 1);
        let epoll = Epoll::new().unwrap();
        epoll.register(&kqueue, EpollFlags::IN).unwrap();
        let mut events = [EpollEvent::default(); 2];
        for _ in 0..MANY {
            assert_eq!(epoll.wait(&mut events, NOW).unwrap(), 1);
            assert_eq!(one(&kqueue).data, 5);
            assert_eq!(epoll.wait(&mut events, NOW).unwrap(), 1);
        }
        rx.read_exact(&mut [0; 5]).unwrap();
        none(&kqueue);
        assert_eq!(epoll.wait(&mut events, BRIEFLY).unwrap(), 0);
    }
}

#[test]
fn those_who_wait_already_are_told_what_others_leave() {
    let (mut tx, mut rx) = UnixStream::pair().unwrap();
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[read(&rx)]);
    let told = std::sync::Barrier::new(2);
    for _ in 0..20 {
        std::thread::scope(|scope| {
            // It waits before there is anything, or sees what there is.
            scope.spawn(|| {
                assert_eq!(one(&kqueue).data, 5);
                told.wait();
            });
            tx.write_all(b"hello").unwrap();
            for _ in 0..MANY {
                assert_eq!(one(&kqueue).data, 5);
            }
            told.wait();
        });
        rx.read_exact(&mut [0; 5]).unwrap();
        none(&kqueue);
    }
}

#[test]
fn a_timer_beside_it_expires() {
    let (mut tx, rx) = pairs().remove(1);
    let kqueue = standing(&mut tx, &rx);
    let timer = Kevent::from_ident(1, Filter::Timer).with_data(20);
    change(&kqueue, &[timer]);
    let begin = Instant::now();
    loop {
        let events = wait(&kqueue, None);
        assert!(events.iter().any(|event| event.filter == Filter::Read));
        if events.iter().any(|event| event.filter == Filter::Timer) {
            break;
        }
    }
    assert!(begin.elapsed() >= Duration::from_millis(20));
}

#[test]
fn the_mark_of_a_socket_counts_before_long() {
    let (mut tx, rx) = pairs().remove(2);
    let kqueue = standing(&mut tx, &rx);
    let mark: libc::c_int = 6;
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the option is an int.
    let done = unsafe {
        let mark = (&raw const mark).cast();
        libc::setsockopt(rx.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVLOWAT, mark, size)
    };
    assert_eq!(done, 0);
    let told = (0..100).take_while(|_| !wait(&kqueue, NOW).is_empty()).count();
    assert!(told <= 16, "{told}");
    tx.write_all(b"x").unwrap();
    stands(&kqueue, 6);
}
