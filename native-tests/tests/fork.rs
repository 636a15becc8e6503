//! What a forked child drops does no harm to its parent.

#![cfg(unix)]

mod common;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use common::*;
use readiness::{AsSource, Event, Events, Interest, Mode, Poll, PollFlags, Selector, select};

/// Runs `work` in a forked child, to its end; whether it went well.
fn in_child(work: impl FnOnce() -> bool) -> bool {
    // SAFETY: this process has one thread (`alone`), so that the child may do
    // whatever it likes.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let fine = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(false);
        // SAFETY: nothing of the parent's is run at the end.
        unsafe { libc::_exit(if fine { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: there is room for the status.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}

fn readable() -> (UnixStream, UnixStream) {
    let (own, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(b"x").unwrap();
    (own, peer)
}

fn tokens(events: &Events) -> Vec<u64> {
    let mut tokens: Vec<_> = events.iter().map(Event::token).collect();
    tokens.sort_unstable();
    tokens
}

#[test]
fn a_selector_that_a_child_drops_works_on_in_its_parent() {
    alone("a_selector_that_a_child_drops_works_on_in_its_parent", || {
        let (own, _peer) = readable();
        let mut selector = Some(Selector::new().unwrap());
        let mut events = Events::with_capacity(4);
        let waker = selector.as_ref().unwrap().waker(2);
        selector.as_ref().unwrap().register(&own, 1, Interest::READ, Mode::Level).unwrap();
        assert!(in_child(|| {
            drop(selector.take());
            drop(waker.clone());
            true
        }));
        let selector = selector.unwrap();
        waker.wake().unwrap();
        selector.add_timer(3, Duration::ZERO);
        let mut seen = Vec::new();
        while seen.len() < 3 {
            assert!(selector.wait(&mut events, Some(LONG)).unwrap() > 0);
            seen.extend(tokens(&events));
            seen.sort_unstable();
            seen.dedup();
        }
        assert_eq!(seen, [1, 2, 3]);
        let (second, _peer) = readable();
        selector.register(&second, 4, Interest::READ, Mode::Level).unwrap();
        selector.wait(&mut events, Some(LONG)).unwrap();
        assert_eq!(tokens(&events), [1, 4]);
    });
}

#[test]
fn an_owned_source_that_a_child_drops_stays_registered_in_its_parent() {
    alone("an_owned_source_that_a_child_drops_stays_registered_in_its_parent", || {
        let selector = Selector::new().unwrap();
        let mut events = Events::with_capacity(4);
        let (own, mut peer) = UnixStream::pair().unwrap();
        let guard = selector.register_owned(own, 1, Interest::READ, Mode::Level).unwrap();
        let raw = guard.raw_source();
        let mut guard = Some(guard);
        assert!(in_child(|| {
            drop(guard.take());
            true
        }));
        let guard = guard.unwrap();
        peer.write_all(b"x").unwrap();
        assert_eq!(selector.wait(&mut events, Some(LONG)).unwrap(), 1);
        guard.modify(2, Interest::READ, Mode::OneShot).unwrap();
        assert_eq!(selector.wait(&mut events, Some(LONG)).unwrap(), 1);
        assert_eq!(tokens(&events), [2]);
        drop(guard);
        assert!(selector.unregister_raw(raw).is_err());
    });
}

#[test]
fn a_child_that_keeps_a_source_open_makes_no_wait_of_its_parent_spin() {
    alone("a_child_that_keeps_a_source_open_makes_no_wait_of_its_parent_spin", || {
        let selector = Selector::new().unwrap();
        let mut events = Events::with_capacity(4);
        let (own, _peer) = readable();
        let raw = own.raw_source();
        selector.register(&own, 1, Interest::READ, Mode::Level).unwrap();
        let (mut end, hold) = UnixStream::pair().unwrap();
        // SAFETY: one thread, as above; the child only waits for the end and exits.
        let child = unsafe { libc::fork() };
        if child == 0 {
            drop(end);
            let mut byte = [0];
            let _ = std::io::Read::read(&mut &hold, &mut byte);
            // SAFETY: nothing of the parent's is run at the end.
            unsafe { libc::_exit(0) };
        }
        // Closed here, open there.
        drop(own);
        selector.unregister_raw(raw).unwrap();
        let time = || {
            let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: there is room for the time.
            unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
            Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
        };
        let before = time();
        assert_eq!(selector.wait(&mut events, Some(200 * MS)).unwrap(), 0);
        assert!(time() - before < 60 * MS, "it spins");
        end.write_all(b"x").unwrap();
        let mut status = 0;
        // SAFETY: there is room for the status.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    });
}

#[test]
fn a_child_makes_a_selector_of_its_own_and_waits_by_select_and_poll() {
    alone("a_child_makes_a_selector_of_its_own_and_waits_by_select_and_poll", || {
        let (own, _peer) = readable();
        let selector = Selector::new().unwrap();
        selector.register(&own, 1, Interest::READ, Mode::Level).unwrap();
        let mut poll = Poll::new();
        poll.register(&own, PollFlags::IN).unwrap();
        assert!(in_child(|| {
            let new = Selector::new().unwrap();
            let mut events = Events::with_capacity(4);
            new.register(&own, 7, Interest::READ, Mode::Level).unwrap();
            new.wait(&mut events, Some(LONG)).unwrap();
            tokens(&events) == [7]
                && select([&own], [], [], None).unwrap().read.len() == 1
                && poll.poll(None).unwrap().count() == 1
        }));
        let mut events = Events::with_capacity(4);
        assert_eq!(selector.wait(&mut events, Some(LONG)).unwrap(), 1);
        assert_eq!(tokens(&events), [1]);
    });
}

#[cfg(all(target_os = "linux", not(readiness_backend = "poll")))]
#[test]
fn an_epoll_that_a_child_drops_or_closes_works_on_in_its_parent() {
    use readiness::{Epoll, EpollFlags};
    alone("an_epoll_that_a_child_drops_or_closes_works_on_in_its_parent", || {
        let (own, _peer) = readable();
        let mut epoll = Some(Epoll::new().unwrap());
        epoll.as_ref().unwrap().register(&own, EpollFlags::IN).unwrap();
        assert!(in_child(|| epoll.take().unwrap().close().is_ok()));
        let epoll = epoll.unwrap();
        assert_eq!(epoll.poll(Some(LONG), None).unwrap().len(), 1);
        // Documented: the set is shared; what the child deletes, the parent misses.
        assert!(in_child(|| epoll.unregister(&own).is_ok()));
        assert_eq!(epoll.poll(Some(Duration::ZERO), None).unwrap().len(), 0);
    });
}

#[test]
fn nothing_is_left_open_in_a_program_that_is_executed() {
    alone("nothing_is_left_open_in_a_program_that_is_executed", || {
        let selector = Selector::new().unwrap();
        selector.waker(1).wake().unwrap();
        selector.wait(&mut Events::with_capacity(1), None).unwrap();
        #[cfg(target_os = "linux")]
        let _epolls = [
            readiness::Epoll::new().ok(),
            readiness::Epoll::with_flags(readiness::EpollCreate::empty()).ok(),
        ];
        if !cfg!(target_os = "linux") {
            return;
        }
        let list = std::process::Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
        let list = String::from_utf8(list.stdout).unwrap();
        assert!(list.contains(" 0 ->"), "{list}");
        assert!(!list.contains("eventpoll") && !list.contains("eventfd"), "{list}");
    });
}
