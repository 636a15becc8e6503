//! `Epoll` over the kernel's own: what the emulated one has no part in, and what
//! Python's object has.

#![cfg(all(target_os = "linux", not(any(readiness_backend = "poll", readiness_emulated_epoll))))]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::*;
use readiness::{AsSource, Epoll, EpollCreate, EpollEvent, EpollFlags, SignalSet, os_error};

const ZERO: Option<Duration> = Some(Duration::ZERO);

fn readable() -> (UnixStream, UnixStream) {
    let (own, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(b"x").unwrap();
    (own, peer)
}

/// The flags of the one event there is now.
fn flags(epoll: &Epoll) -> EpollFlags {
    let events = epoll.poll(ZERO, None).unwrap();
    assert!(events.len() <= 1);
    events.first().map_or(EpollFlags::empty(), EpollEvent::flags)
}

#[track_caller]
fn refused<T>(result: std::io::Result<T>, errno: i32) {
    assert_eq!(result.err().map(|error| os_error(&error)), Some(Some(errno)));
}

#[test]
fn creation_takes_cloexec_or_nothing_and_always_closes_on_exec() {
    for epoll in [
        Epoll::new(),
        Epoll::with_flags(EpollCreate::empty()),
        Epoll::with_flags(EpollCreate::CLOEXEC),
    ] {
        let epoll = epoll.unwrap();
        // SAFETY: F_GETFD only looks.
        let set = unsafe { libc::fcntl(epoll.as_raw_fd(), libc::F_GETFD) };
        assert_eq!(set & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    }
    for bits in [1, 0x80001, 0x800, u32::MAX] {
        refused(Epoll::with_flags(EpollCreate::from_bits_retain(bits)), libc::EINVAL);
    }
}

#[test]
fn the_data_is_the_number_unless_another_is_given() {
    let epoll = Epoll::new().unwrap();
    let (own, _peer) = readable();
    epoll.register(&own, EpollFlags::default()).unwrap();
    let events = epoll.poll(None, None).unwrap();
    assert_eq!(events[0].data(), own.raw_source().number());
    assert_eq!(events[0].flags(), EpollFlags::IN | EpollFlags::OUT);
    for data in [0, 1, u64::MAX, 1 << 63] {
        epoll.modify_with_data(&own, EpollFlags::IN, data).unwrap();
        assert_eq!(epoll.poll(None, Some(1)).unwrap(), [EpollEvent::new(EpollFlags::IN, data)]);
        epoll.unregister(&own).unwrap();
        epoll.register_with_data(&own, EpollFlags::OUT, data).unwrap();
        assert_eq!(epoll.poll(None, Some(1)).unwrap(), [EpollEvent::new(EpollFlags::OUT, data)]);
    }
    epoll.modify(&own, EpollFlags::IN).unwrap();
    assert_eq!(epoll.poll(None, None).unwrap()[0].data(), own.raw_source().number());
}

#[test]
fn errors_are_the_kernels() {
    let (epoll, other) = (Epoll::new().unwrap(), Epoll::new().unwrap());
    let (own, _peer) = readable();
    refused(epoll.modify(&own, EpollFlags::IN), libc::ENOENT);
    refused(epoll.unregister(&own), libc::ENOENT);
    assert_eq!(epoll.unregister(&own).unwrap_err().kind(), ErrorKind::NotFound);
    epoll.register(&own, EpollFlags::IN).unwrap();
    refused(epoll.register(&own, EpollFlags::OUT), libc::EEXIST);
    assert_eq!(epoll.register(&own, EpollFlags::OUT).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(flags(&epoll), EpollFlags::IN);

    let file = std::fs::File::open("/").unwrap();
    refused(epoll.register(&file, EpollFlags::IN), libc::EPERM);
    refused(epoll.modify(&file, EpollFlags::IN), libc::EPERM);
    refused(epoll.register(&epoll, EpollFlags::IN), libc::EINVAL);
    // SAFETY: the kernel is only asked about it.
    let closed = unsafe { std::os::fd::BorrowedFd::borrow_raw(900_321) };
    refused(epoll.register(&closed, EpollFlags::IN), libc::EBADF);
    refused(epoll.modify(&closed, EpollFlags::IN), libc::EBADF);
    refused(epoll.unregister(&closed), libc::EBADF);

    // Loops, and more than five deep.
    epoll.register(&other, EpollFlags::IN).unwrap();
    refused(other.register(&epoll, EpollFlags::IN), libc::ELOOP);
    let chain: Vec<_> = (0..8).map(|_| Epoll::new().unwrap()).collect();
    let nested: Vec<_> =
        chain.windows(2).map(|pair| pair[1].register(&pair[0], EpollFlags::IN)).collect();
    assert!(nested[..4].iter().all(Result::is_ok) && nested.iter().any(Result::is_err));
    assert_eq!(nested.into_iter().find_map(Result::err).unwrap().raw_os_error(), Some(libc::ELOOP));
}

#[test]
fn an_empty_buffer_is_einval_and_any_other_is_filled_in_turn() {
    let epoll = Epoll::new().unwrap();
    refused(epoll.wait(&mut [], ZERO), libc::EINVAL);
    refused(epoll.poll(ZERO, Some(0)), libc::EINVAL);
    // More than the kernel takes.
    for most in [usize::MAX, usize::MAX / 16, i32::MAX as usize, i32::MAX as usize / 12 + 1] {
        refused(epoll.poll(ZERO, Some(most)), libc::EINVAL);
    }
    let pairs: Vec<_> = (0..5).map(|_| readable()).collect();
    for (data, (own, _)) in pairs.iter().enumerate() {
        epoll.register_with_data(own, EpollFlags::IN, data as u64).unwrap();
    }
    let mut events = [EpollEvent::default(); 2];
    let mut seen = [0; 5];
    for _ in 0..5 {
        assert_eq!(epoll.wait(&mut events, None).unwrap(), 2);
        events.iter().for_each(|event| seen[event.data() as usize] += 1);
    }
    assert_eq!(seen, [2; 5]);
    assert_eq!(epoll.poll(None, Some(3)).unwrap().len(), 3);
    assert_eq!(epoll.poll(None, None).unwrap().len(), 5);
}

#[test]
fn edge_and_oneshot() {
    let epoll = Epoll::new().unwrap();
    let (mut own, mut peer) = readable();
    epoll.register(&own, EpollFlags::IN | EpollFlags::ET).unwrap();
    assert_eq!(flags(&epoll), EpollFlags::IN);
    assert_eq!(flags(&epoll), EpollFlags::empty());
    peer.write_all(b"y").unwrap();
    assert_eq!(flags(&epoll), EpollFlags::IN);
    epoll.modify(&own, EpollFlags::IN | EpollFlags::OUT | EpollFlags::ET).unwrap();
    assert_eq!(flags(&epoll), EpollFlags::IN | EpollFlags::OUT);

    epoll.modify(&own, EpollFlags::IN | EpollFlags::ONESHOT).unwrap();
    assert_eq!(flags(&epoll), EpollFlags::IN);
    peer.write_all(b"z").unwrap();
    drop(peer);
    assert_eq!(flags(&epoll), EpollFlags::empty());
    epoll.modify(&own, EpollFlags::IN | EpollFlags::RDHUP).unwrap();
    assert_eq!(flags(&epoll), EpollFlags::IN | EpollFlags::RDHUP | EpollFlags::HUP);
    let _ = own.read(&mut [0; 8]);
    // Hang-ups come unasked.
    epoll.modify(&own, EpollFlags::empty()).unwrap();
    assert_eq!(flags(&epoll), EpollFlags::HUP);
}

#[test]
fn wakeup_is_taken() {
    let epoll = Epoll::new().unwrap();
    let (own, _peer) = readable();
    epoll.register(&own, EpollFlags::IN | EpollFlags::WAKEUP).unwrap();
    assert_eq!(flags(&epoll), EpollFlags::IN);
    epoll.modify(&own, EpollFlags::IN | EpollFlags::WAKEUP | EpollFlags::ONESHOT).unwrap();
    assert_eq!(flags(&epoll), EpollFlags::IN);
}

#[test]
fn exclusive_wakes_fewer_than_all() {
    let (own, mut peer) = UnixStream::pair().unwrap();
    let epolls: Vec<_> = (0..6).map(|_| Epoll::new().unwrap()).collect();
    for epoll in &epolls {
        // What it does not go with, and it is for adding alone.
        refused(
            epoll.register(&own, EpollFlags::IN | EpollFlags::EXCLUSIVE | EpollFlags::ONESHOT),
            libc::EINVAL,
        );
        epoll.register(&own, EpollFlags::IN | EpollFlags::EXCLUSIVE).unwrap();
        refused(epoll.modify(&own, EpollFlags::IN), libc::EINVAL);
    }
    let woken = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for epoll in &epolls {
            scope.spawn(|| {
                let mut events = [EpollEvent::default(); 1];
                let count = epoll.wait(&mut events, Some(400 * MS)).unwrap();
                woken.fetch_add(count, Ordering::SeqCst);
            });
        }
        std::thread::sleep(100 * MS);
        peer.write_all(b"x").unwrap();
    });
    // One, and those that had not yet begun to wait on a loaded machine.
    let woken = woken.load(Ordering::SeqCst);
    assert!((1..6).contains(&woken), "{woken}");
}

#[test]
fn a_descriptor_is_taken_over_and_given_away() {
    let epoll = Epoll::new().unwrap();
    let (own, _peer) = readable();
    epoll.register(&own, EpollFlags::IN).unwrap();
    let number = epoll.as_raw_fd();
    assert_eq!(epoll.as_fd().as_raw_fd(), number);
    let fd: OwnedFd = epoll.into();
    assert_eq!(fd.as_raw_fd(), number);
    let epoll = Epoll::from(fd);
    assert_eq!(epoll.as_raw_fd(), number);
    assert_eq!(flags(&epoll), EpollFlags::IN);
    let raw = epoll.into_raw_fd();
    // SAFETY: it was given to us.
    let epoll = Epoll::from(unsafe { OwnedFd::from_raw_fd(raw) });
    assert_eq!(flags(&epoll), EpollFlags::IN);
    // One of another kind says so when it is used, as Python's does.
    let wrong = Epoll::from(OwnedFd::from(UnixStream::pair().unwrap().0));
    refused(wrong.poll(ZERO, None), libc::EINVAL);
    refused(wrong.register(&own, EpollFlags::IN), libc::EINVAL);
    wrong.close().unwrap();
}

#[test]
fn closing_tells_its_error() {
    alone("closing_tells_its_error", || {
        Epoll::new().unwrap().close().unwrap();
        let epoll = Epoll::new().unwrap();
        // SAFETY: behind its back, which is the point.
        assert_eq!(unsafe { libc::close(epoll.as_raw_fd()) }, 0);
        refused(epoll.wait(&mut [EpollEvent::default()], ZERO), libc::EBADF);
        refused(epoll.register(&std::io::stdin(), EpollFlags::IN), libc::EBADF);
        refused(epoll.close(), libc::EBADF);
    });
}

#[test]
fn an_epoll_is_a_source_for_every_front_end() {
    use readiness::{Events, Interest, Mode, Poll, PollFlags, Selector, select};
    let inner = Epoll::new().unwrap();
    let (mut own, mut peer) = readable();
    inner.register(&own, EpollFlags::IN).unwrap();
    let outer = Epoll::new().unwrap();
    outer.register(&inner, EpollFlags::IN).unwrap();
    let mut poll = Poll::new();
    poll.register(&inner, PollFlags::IN).unwrap();
    let selector = Selector::new().unwrap();
    selector.register(&inner, 1, Interest::READ, Mode::Level).unwrap();
    let mut events = Events::with_capacity(1);
    for ready in [1, 0, 1] {
        assert_eq!(select([&inner], [], [&inner], ZERO).unwrap().read.len(), ready);
        assert_eq!(outer.poll(ZERO, None).unwrap().len(), ready);
        assert_eq!(poll.poll(ZERO).unwrap().count(), ready);
        assert_eq!(selector.wait(&mut events, ZERO).unwrap(), ready);
        if ready == 1 {
            assert_eq!(own.read(&mut [0; 8]).unwrap(), 1);
        } else {
            peer.write_all(b"x").unwrap();
        }
    }
}

#[test]
fn a_timeout_is_as_precise_as_the_kernel_and_never_early() {
    let epoll = Epoll::new().unwrap();
    let mut events = [EpollEvent::default(); 1];
    let mask = SignalSet::current().unwrap();
    let mut best = Duration::MAX;
    for micros in [1, 50, 130, 500, 999, 1_001] {
        let timeout = Duration::from_micros(micros);
        for _ in 0..20 {
            let start = Instant::now();
            assert_eq!(epoll.wait(&mut events, Some(timeout)).unwrap(), 0);
            assert!(start.elapsed() >= timeout);
            if micros == 130 {
                best = best.min(start.elapsed());
            }
            let start = Instant::now();
            assert_eq!(epoll.pwait(&mut events, Some(timeout), &mask).unwrap(), 0);
            assert!(start.elapsed() >= timeout);
        }
    }
    // SAFETY: the name is a valid place for the answer.
    let release = unsafe {
        let mut name: libc::utsname = std::mem::zeroed();
        libc::uname(&mut name);
        std::ffi::CStr::from_ptr(name.release.as_ptr()).to_string_lossy().into_owned()
    };
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    // epoll_pwait2: a whole millisecond is what epoll_wait would have taken.
    if version >= (5, 11) {
        assert!(best < Duration::from_micros(900), "130 us took {best:?} at best");
    }
}

#[test]
fn a_source_that_was_closed_is_forgotten_and_its_duplicate_keeps_it() {
    let epoll = Epoll::new().unwrap();
    let (own, _peer) = readable();
    let duplicate = own.try_clone().unwrap();
    let number = own.raw_source().number();
    epoll.register(&own, EpollFlags::IN).unwrap();
    drop(own);
    // Documented: under the closed number, and nobody can delete it.
    assert_eq!(epoll.poll(ZERO, None).unwrap()[0].data(), number);
    drop(duplicate);
    assert!(epoll.poll(ZERO, None).unwrap().is_empty());
}
