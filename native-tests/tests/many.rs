//! Neither the number of sources nor the value of a descriptor has a ceiling but
//! the system's own.

#![cfg(unix)]

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use common::*;
use readiness::{
    AsSource, Event, Events, Interest, Mode, Poll, PollFlags, Selection, Selector, os_error,
    select, select_into,
};

const ZERO: Option<Duration> = Some(Duration::ZERO);

/// The ends of this many pipes, the first of each 100 with something to read.
fn pipes(count: usize) -> Vec<(File, File)> {
    limit(2 * count as u64 + 100);
    let mut pipes: Vec<_> = (0..count).map(|_| pipe()).collect();
    for (_, write) in pipes.iter_mut().step_by(100) {
        write.write_all(b"x").unwrap();
    }
    pipes
}

#[test]
fn five_thousand_descriptors_at_once() {
    alone("five_thousand_descriptors_at_once", || {
        const COUNT: usize = 5_000;
        let pipes = pipes(COUNT);
        assert!(pipes.iter().any(|(read, _)| read.as_raw_fd() > 9_000));
        let reads = || pipes.iter().map(|(read, _)| read);
        let writes = || pipes.iter().map(|(_, write)| write);
        let want: Vec<usize> = (0..COUNT).step_by(100).collect();

        let ready = select(reads(), [], [], None).unwrap();
        let fds = |files: &[&File]| files.iter().map(|file| file.as_raw_fd()).collect::<Vec<_>>();
        let want_fds: Vec<_> = want.iter().map(|at| pipes[*at].0.as_raw_fd()).collect();
        assert_eq!(fds(&ready.read), want_fds);
        let ready = select(reads(), writes(), reads(), None).unwrap();
        assert_eq!(fds(&ready.read), want_fds);
        assert_eq!(ready.write.len(), COUNT);
        assert!(ready.except.is_empty());
        let mut selection = Selection::new();
        select_into(&mut selection, reads(), writes(), [], None).unwrap();
        assert_eq!(selection.read(), want);

        let mut poll = Poll::new();
        for (read, write) in &pipes {
            poll.register(read, PollFlags::IN).unwrap();
            poll.register(write, PollFlags::OUT).unwrap();
        }
        assert_eq!(poll.poll(ZERO).unwrap().count(), COUNT + COUNT / 100);
        for (_, write) in &pipes {
            poll.unregister(write).unwrap();
        }
        let found: Vec<_> =
            poll.poll(None).unwrap().map(|event| event.source.fd().unwrap()).collect();
        assert_eq!(found, want_fds);

        let selector = Selector::new().unwrap();
        for (token, (read, write)) in pipes.iter().enumerate() {
            selector.register(read, token as u64, Interest::READ, Mode::Level).unwrap();
            selector
                .register(write, (COUNT + token) as u64, Interest::WRITE, Mode::OneShot)
                .unwrap();
        }
        // All of them in one wait, if there is room.
        let mut events = Events::with_capacity(2 * COUNT);
        assert_eq!(selector.wait(&mut events, None).unwrap(), COUNT + COUNT / 100);
        assert_eq!(selector.wait(&mut events, None).unwrap(), COUNT / 100);
        let mut tokens: Vec<_> = events.iter().map(|event| event.token() as usize).collect();
        tokens.sort_unstable();
        assert_eq!(tokens, want);
        // And a few at a time.
        let mut few = Events::with_capacity(7);
        let mut seen = vec![false; COUNT];
        for _ in 0..COUNT / 100 {
            let count = selector.wait(&mut few, ZERO).unwrap();
            assert!((1..=7).contains(&count));
            few.iter().for_each(|event| seen[event.token() as usize] = true);
        }
        assert_eq!(seen.iter().filter(|seen| **seen).count(), COUNT / 100);
        for (read, write) in &pipes {
            selector.unregister(read).unwrap();
            selector.unregister(write).unwrap();
        }
        assert_eq!(selector.wait(&mut events, ZERO).unwrap(), 0);
    });
}

#[test]
fn three_thousand_sockets_that_talk() {
    alone("three_thousand_sockets_that_talk", || {
        const COUNT: usize = 3_000;
        limit(2 * COUNT as u64 + 100);
        let pairs: Vec<_> = (0..COUNT).map(|_| UnixStream::pair().unwrap()).collect();
        let selector = Selector::new().unwrap();
        for (token, (own, _)) in pairs.iter().enumerate() {
            own.set_nonblocking(true).unwrap();
            selector.register(own, token as u64, Interest::READ, Mode::Edge).unwrap();
        }
        let mut events = Events::with_capacity(256);
        for round in 0..3 {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    for (_, peer) in &pairs {
                        (&mut &*peer).write_all(&[round]).unwrap();
                    }
                });
                let mut read = vec![0; COUNT];
                while read.contains(&0) {
                    assert!(selector.wait(&mut events, Some(LONG)).unwrap() > 0);
                    for token in events.iter().map(|event| event.token() as usize) {
                        while let Ok(1) = (&pairs[token].0).read(&mut [0; 1]) {
                            read[token] += 1;
                        }
                    }
                }
                assert!(read.iter().all(|count| *count == 1));
            });
        }
    });
}

#[test]
fn a_descriptor_above_1024() {
    alone("a_descriptor_above_1024", || {
        let number = limits().1.min(30_000) as i32 - 1;
        assert!(number > 1_024, "`ulimit -Hn` allows no such number");
        limit(number as u64 + 1);
        let (read, mut write) = pipe();
        for number in [1_023, 1_024, 1_025, number] {
            let high = renumber(&read, number);
            let silent = select([&high], [], [&high], Some(MS)).unwrap();
            assert!(silent.is_empty());
            write.write_all(b"x").unwrap();
            let ready = select([&high, &high], [], [&high], None).unwrap();
            assert_eq!((ready.read.len(), ready.except.len()), (2, 0));
            let mut poll = Poll::new();
            poll.register(&high, PollFlags::IN).unwrap();
            assert!(poll.poll(None).unwrap().all(|event| event.source == number));
            let selector = Selector::new().unwrap();
            let mut events = Events::with_capacity(1);
            selector.register(&high, 1, Interest::READ, Mode::Level).unwrap();
            assert_eq!(selector.wait(&mut events, None).unwrap(), 1);
            selector.unregister(&high).unwrap();
            (&read).read_exact(&mut [0]).unwrap();
        }
    });
}

#[test]
fn three_thousand_entries_of_one_descriptor_under_a_limit_of_1024() {
    alone("three_thousand_entries_of_one_descriptor_under_a_limit_of_1024", || {
        limit(1_024);
        let (read, mut write) = pipe();
        let (silent, _writer) = pipe();
        let mut list = vec![&read; 3_000];
        list[1_500] = &silent;
        assert!(select(list.clone(), [], [], Some(2 * MS)).unwrap().is_empty());
        assert!(select(list.clone(), [], list.clone(), ZERO).unwrap().is_empty());
        write.write_all(b"x").unwrap();
        for timeout in [None, ZERO, Some(LONG)] {
            assert_eq!(select(list.clone(), [], [], timeout).unwrap().read.len(), 2_999);
            let ready = select(list.clone(), list.clone(), list.clone(), timeout).unwrap();
            assert_eq!(ready.read.len(), 2_999);
            assert!(ready.write.is_empty() && ready.except.is_empty());
        }
        let mut selection = Selection::new();
        select_into(&mut selection, list.clone(), [], [], None).unwrap();
        let want: Vec<usize> = (0..3_000).filter(|at| *at != 1_500).collect();
        assert_eq!(selection.read(), want);
        // Something ends a wait that is going on.
        (&read).read_exact(&mut [0]).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(10 * MS);
                write.write_all(b"y").unwrap();
            });
            assert_eq!(select(list.clone(), [], [], None).unwrap().read.len(), 2_999);
        });
    });
}

#[test]
fn more_registrations_than_the_limit_allows_descriptors() {
    alone("more_registrations_than_the_limit_allows_descriptors", || {
        limit(1_024);
        // None of these is open: they are invalid, and no error of the others.
        let (read, mut write) = pipe();
        write.write_all(b"x").unwrap();
        let mut poll = Poll::new();
        for number in 0..3_000 {
            // SAFETY: poll only asks about it.
            let closed = unsafe { BorrowedFd::borrow_raw(100_000 + number) };
            poll.register(&closed, PollFlags::IN).unwrap();
        }
        poll.register(&read, PollFlags::IN).unwrap();
        for timeout in [None, ZERO, Some(LONG)] {
            let found: Vec<_> = poll.poll(timeout).unwrap().collect();
            assert_eq!(found.len(), 3_001);
            assert!(found[..3_000].iter().all(|event| event.flags == PollFlags::NVAL));
            assert_eq!(
                (found[3_000].source, found[3_000].flags),
                (read.raw_source(), PollFlags::IN)
            );
        }
        // Registrations that are gone count for nothing.
        for number in 0..3_000 {
            // SAFETY: as above.
            poll.unregister(&unsafe { BorrowedFd::borrow_raw(100_000 + number) }).unwrap();
        }
        assert_eq!(poll.poll(None).unwrap().count(), 1);
        // A selector that has had as many as there may be, many times over.
        let selector = Selector::new().unwrap();
        let mut events = Events::with_capacity(2_000);
        let ends: Vec<_> = (0..450).map(|_| pipe()).collect();
        for _ in 0..3 {
            for (token, (read, _)) in ends.iter().enumerate() {
                selector.register(read, token as u64, Interest::READ, Mode::Level).unwrap();
            }
            selector.register(&read, 9_999, Interest::READ, Mode::Level).unwrap();
            assert_eq!(selector.wait(&mut events, None).unwrap(), 1);
            for (read, _) in &ends {
                selector.unregister(read).unwrap();
            }
            selector.unregister(&read).unwrap();
        }
    });
}

#[test]
fn at_the_limit_an_error_and_no_panic() {
    alone("at_the_limit_an_error_and_no_panic", || {
        limit(64);
        let selector = Selector::new().unwrap();
        let mut events = Events::with_capacity(4);
        let mut open = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            open.push(file);
        }
        let error = Selector::new().unwrap_err();
        assert_eq!(os_error(&error), Some(libc::EMFILE));
        // What is there goes on.
        selector.waker(1).wake().unwrap();
        assert_eq!(selector.wait(&mut events, None).unwrap(), 1);
        assert_eq!(select(&open, &open, [], None).unwrap().read.len(), open.len());
        #[cfg(target_os = "linux")]
        if cfg!(not(readiness_backend = "poll")) {
            let error = readiness::Epoll::new().unwrap_err();
            assert_eq!(os_error(&error), Some(libc::EMFILE));
        }
        open.clear();
        Selector::new().unwrap();
    });
}

#[test]
fn children_and_their_pipes() {
    use std::process::{Child, Command, Stdio};
    let selector = Selector::new().unwrap();
    let mut events = Events::with_capacity(8);
    let mut children: Vec<Child> = (0..10)
        .map(|number| {
            let script = format!("sleep 0.0{number}; echo {number}; read line; echo $line >&2");
            Command::new("sh")
                .args(["-c", &script])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut said = vec![[String::new(), String::new()]; children.len()];
    for (at, child) in children.iter().enumerate() {
        let (out, err) = (child.stdout.as_ref().unwrap(), child.stderr.as_ref().unwrap());
        selector.register(&out.as_fd(), 2 * at as u64, Interest::READ, Mode::Level).unwrap();
        selector.register(&err.as_fd(), 2 * at as u64 + 1, Interest::READ, Mode::Level).unwrap();
    }
    let mut open = 2 * children.len();
    while open > 0 {
        assert!(selector.wait(&mut events, Some(LONG)).unwrap() > 0);
        for event in events.iter().copied().collect::<Vec<Event>>() {
            let at = event.token() as usize / 2;
            let child = &mut children[at];
            let mut bytes = [0; 64];
            assert!(event.is_readable());
            let (count, source) = if event.token() % 2 == 0 {
                let out = child.stdout.as_mut().unwrap();
                (out.read(&mut bytes).unwrap(), out.raw_source())
            } else {
                let err = child.stderr.as_mut().unwrap();
                (err.read(&mut bytes).unwrap(), err.raw_source())
            };
            let text = &mut said[at][event.token() as usize % 2];
            text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
            if count == 0 {
                selector.unregister_raw(source).unwrap();
                open -= 1;
            } else if text.ends_with('\n') && event.token() % 2 == 0 {
                // Answer it: it ends after that.
                if let Some(mut stdin) = child.stdin.take() {
                    stdin.write_all(format!("answer {at}\n").as_bytes()).unwrap();
                }
            }
        }
    }
    for (at, child) in children.iter_mut().enumerate() {
        assert!(child.wait().unwrap().success());
        assert_eq!(said[at], [format!("{at}\n"), format!("answer {at}\n")]);
    }
}
