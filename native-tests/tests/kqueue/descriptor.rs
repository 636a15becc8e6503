//! A kqueue is one descriptor.

#![cfg(not(readiness_backend = "poll"))]

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use readiness::{Epoll, EpollEvent, EpollFlags, Poll, PollFlags, select};

use crate::common::*;

fn user(ident: usize) -> Kevent {
    Kevent::from_ident(ident, Filter::User)
}

fn trigger(ident: usize) -> Kevent {
    user(ident).with_flags(KeventFlags::empty()).with_fflags(NoteFlags::TRIGGER)
}

/// What makes a kqueue ready, and what makes it not ready.
fn ways(kqueue: &Kqueue, tx: &UnixStream, rx: &UnixStream) -> Vec<(Vec<Kevent>, Vec<Kevent>)> {
    (&mut &*tx).write_all(b"x").unwrap();
    let _ = kqueue;
    let gone = |kevent: Kevent| vec![kevent.with_flags(DELETE)];
    let timer = Kevent::from_ident(1, Filter::Timer).with_data(5);
    vec![
        (vec![read(rx)], gone(read(rx))),
        (vec![write(rx)], gone(write(rx))),
        (vec![user(1), trigger(1)], gone(user(1))),
        (vec![timer], gone(timer)),
    ]
}

#[test]
fn poll_and_epoll_and_select_wait_for_it() {
    let (tx, rx) = UnixStream::pair().unwrap();
    let kqueue = Kqueue::new().unwrap();
    for (on, off) in ways(&kqueue, &tx, &rx) {
        let mut poll = Poll::new();
        poll.register(&kqueue, PollFlags::IN | PollFlags::OUT).unwrap();
        let epoll = Epoll::new().unwrap();
        epoll.register(&kqueue, EpollFlags::IN | EpollFlags::OUT).unwrap();
        assert!(poll.poll(BRIEFLY).unwrap().next().is_none());

        change(&kqueue, &on);
        let mut events = [EpollEvent::default(); 2];
        assert_eq!(epoll.wait(&mut events, SOON).unwrap(), 1, "{on:?}");
        assert_eq!(events[0].flags(), EpollFlags::IN);
        assert_eq!(poll.poll(SOON).unwrap().next().unwrap().flags, PollFlags::IN);
        assert_eq!(select([&kqueue], [], [], SOON).unwrap().read.len(), 1);
        // Looking took nothing away.
        one(&kqueue);
        change(&kqueue, &off);
        assert!(select([&kqueue], [], [], BRIEFLY).unwrap().read.is_empty());
    }
}

#[test]
fn what_was_there_before_anybody_asked_for_the_descriptor_counts() {
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[user(1), trigger(1)]);
    assert_eq!(select([&kqueue], [], [], SOON).unwrap().read.len(), 1);

    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[Kevent::from_ident(1, Filter::Timer).with_data(10)]);
    assert_eq!(select([&kqueue], [], [], SOON).unwrap().read.len(), 1);
    one(&kqueue);
}

#[test]
fn a_level_event_keeps_it_ready_after_its_report() {
    let (mut tx, rx) = UnixStream::pair().unwrap();
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[read(&rx)]);
    tx.write_all(b"x").unwrap();
    one(&kqueue);
    assert_eq!(select([&kqueue], [], [], NOW).unwrap().read.len(), 1);
    change(&kqueue, &[read(&rx).with_flags(DELETE), user(1), trigger(1)]);
    one(&kqueue);
    assert_eq!(select([&kqueue], [], [], NOW).unwrap().read.len(), 1);
}

#[test]
fn kqueues_nest_two_deep_and_more() {
    let (mut tx, rx) = UnixStream::pair().unwrap();
    let (inner, outer) = (Kqueue::new().unwrap(), Kqueue::new().unwrap());
    // With writers, so that both have all their parts.
    change(&inner, &[read(&rx)]);
    change(&outer, &[read(&inner)]);
    let epoll = Epoll::new().unwrap();
    epoll.register(&outer, EpollFlags::IN).unwrap();
    none(&outer);
    tx.write_all(b"x").unwrap();
    let event = one(&outer);
    assert_eq!(event.ident, inner.as_raw_fd() as usize);
    assert_eq!(event.data, 1);
    assert_eq!(epoll.wait(&mut [EpollEvent::default(); 2], SOON).unwrap(), 1);
    one(&inner);
    // A write knote in the inner one, now that it is nested.
    change(&inner, &[write(&rx)]);
    assert_eq!(wait(&inner, SOON).len(), 2);
    change(&inner, &[read(&rx).with_flags(DELETE), write(&rx).with_flags(DELETE)]);
    none(&outer);
    change(&inner, &[user(1), trigger(1)]);
    one(&outer);
}

#[test]
fn deeper_than_the_kernel_looks_is_refused() {
    let (first, second, third) =
        (Kqueue::new().unwrap(), Kqueue::new().unwrap(), Kqueue::new().unwrap());
    change(&second, &[read(&first)]);
    assert_eq!(error(&third, read(&second)), libc::ELOOP);
    change(&first, &[user(1), trigger(1)]);
    one(&second);
    none(&third);
}

#[test]
fn its_data_is_the_number_of_pending_events() {
    let (mut tx, rx) = UnixStream::pair().unwrap();
    tx.write_all(b"x").unwrap();
    let (inner, outer) = (Kqueue::new().unwrap(), Kqueue::new().unwrap());
    change(&inner, &[user(1), user(2), user(3), trigger(1), trigger(3)]);
    change(&outer, &[read(&inner)]);
    assert_eq!(one(&outer).data, 2);
    change(&inner, &[read(&rx).with_flags(add(CLEAR)), write(&rx)]);
    assert_eq!(one(&outer).data, 4);
    assert_eq!(wait(&inner, NOW).len(), 4, "counting took nothing away");
}

#[test]
fn it_does_not_watch_itself_and_is_not_written_to() {
    let (one, two) = (Kqueue::new().unwrap(), Kqueue::new().unwrap());
    assert_eq!(error(&one, read(&one)), libc::EINVAL);
    let duplicate = one.as_fd().try_clone_to_owned().unwrap();
    assert_eq!(error(&one, read(&duplicate)), libc::EINVAL);
    assert_eq!(error(&two, write(&one)), libc::EINVAL);
}

#[test]
fn it_is_closed_on_exec() {
    let kqueue = Kqueue::new().unwrap();
    // SAFETY: it only looks.
    let flags = unsafe { libc::fcntl(kqueue.as_raw_fd(), libc::F_GETFD) };
    assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
}

#[test]
fn closing_it_closes_all_of_it() {
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    // Other tests open and close descriptors at the same time.
    let before = open();
    for _ in 0..500 {
        let (_tx, rx) = UnixStream::pair().unwrap();
        let kqueue = Kqueue::new().unwrap();
        change(&kqueue, &[read(&rx), write(&rx), user(1)]);
        change(&kqueue, &[Kevent::from_ident(1, Filter::Timer).with_data(50)]);
        let _ = kqueue.as_fd();
        kqueue.close().unwrap();
    }
    assert!(open() < before + 300);
}

#[test]
fn its_descriptor_can_be_given_away_and_taken_back() {
    use std::os::fd::OwnedFd;
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[user(1)]);
    let number = kqueue.as_raw_fd();
    let fd = OwnedFd::from(kqueue);
    assert_eq!(fd.as_raw_fd(), number);
    let kqueue = Kqueue::from(fd);
    change(&kqueue, &[trigger(1)]);
    one(&kqueue);
    // A duplicate is the same kqueue.
    let same = Kqueue::from(kqueue.as_fd().try_clone_to_owned().unwrap());
    one(&same);
    change(&same, &[user(2)]);
    change(&kqueue, &[trigger(2)]);
    // "The specified descriptor is invalid."
    let (stream, _) = UnixStream::pair().unwrap();
    let other = Kqueue::from(OwnedFd::from(stream));
    assert_eq!(error(&other, user(1)), libc::EBADF);
    assert_eq!(os_error(&other.control(&[], &mut [], NOW).unwrap_err()), Some(libc::EBADF));
}

#[test]
fn a_forked_child_has_no_kqueue_and_does_it_no_harm() {
    // "The queue is not inherited by a child created with fork(2)."
    let (mut tx, rx) = UnixStream::pair().unwrap();
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[read(&rx), write(&rx), user(1)]);
    let timer = Kevent::from_ident(1, Filter::Timer).with_data(3_600_000);
    change(&kqueue, &[timer]);
    // SAFETY: the child calls little and leaves by _exit.
    match unsafe { libc::fork() } {
        0 => {
            let mut events = [Kevent::default(); 1];
            let error = kqueue.control(&[trigger(1)], &mut events, NOW).unwrap_err();
            let refused = os_error(&error) == Some(libc::EBADF);
            drop(kqueue);
            // SAFETY: nothing of the parent's is touched.
            unsafe { libc::_exit(i32::from(!refused)) }
        }
        child => {
            let mut status = -1;
            // SAFETY: it is our child.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0);
        }
    }
    tx.write_all(b"x").unwrap();
    assert_eq!(wait(&kqueue, SOON).len(), 2);
    change(&kqueue, &[trigger(1)]);
    assert_eq!(wait(&kqueue, SOON).len(), 3);
}

#[test]
fn an_interrupted_wait_has_applied_its_changes() {
    // EINTR: "A signal was delivered before the timeout expired and before any
    // events were placed on the kqueue for return."
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: the handler does nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as *const () as usize;
        libc::sigaction(libc::SIGURG, &action, std::ptr::null_mut());
    }
    // SAFETY: it only asks.
    let this = unsafe { libc::pthread_self() } as usize;
    let interrupt = |times: u32| {
        std::thread::spawn(move || {
            for _ in 0..times {
                std::thread::sleep(Duration::from_millis(30));
                // SAFETY: that thread waits for this one.
                unsafe { libc::pthread_kill(this as libc::pthread_t, libc::SIGURG) };
            }
        })
    };
    let kqueue = Kqueue::new().unwrap();
    let mut events = [Kevent::default(); 4];
    let thread = interrupt(1);
    let answer = kqueue.control_interruptible(&[user(1)], &mut events, SOON);
    assert_eq!(answer.unwrap_err().kind(), std::io::ErrorKind::Interrupted);
    thread.join().unwrap();
    // It was applied, and once: a trigger is not repeated by the wait going on.
    change(&kqueue, &[trigger(1)]);
    one(&kqueue);
    change(&kqueue, &[user(1).with_flags(DELETE)]);

    let thread = interrupt(3);
    let begin = std::time::Instant::now();
    let time = Duration::from_millis(150);
    assert_eq!(kqueue.control(&[user(2)], &mut events, Some(time)).unwrap(), 0);
    assert!(begin.elapsed() >= time);
    thread.join().unwrap();
}
