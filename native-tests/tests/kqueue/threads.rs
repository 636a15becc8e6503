//! Several threads at one kqueue.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::*;

fn user(ident: usize) -> Kevent {
    Kevent::from_ident(ident, Filter::User)
}

fn trigger(ident: usize) -> Kevent {
    user(ident).with_flags(KeventFlags::empty()).with_fflags(NoteFlags::TRIGGER)
}

/// Runs `act` while another thread waits, and gives what that one got.
fn while_waiting(kqueue: &Kqueue, act: impl FnOnce()) -> Vec<Kevent> {
    thread::scope(|scope| {
        let (started, ready) = mpsc::channel();
        let waiter = scope.spawn(move || {
            started.send(()).unwrap();
            wait(kqueue, SOON)
        });
        ready.recv().unwrap();
        // Most likely in the wait by now; it has to work in either case.
        thread::sleep(Duration::from_millis(20));
        act();
        waiter.join().unwrap()
    })
}

#[test]
fn what_another_thread_does_takes_effect_at_once() {
    let (mut tx, rx) = UnixStream::pair().unwrap();
    tx.write_all(b"x").unwrap();
    let kqueue = Kqueue::new().unwrap();
    let begin = Instant::now();
    let got = while_waiting(&kqueue, || change(&kqueue, &[user(1), trigger(1)]));
    assert_eq!(idents(&got), [1]);
    change(&kqueue, &[user(1).with_flags(DELETE)]);

    let got = while_waiting(&kqueue, || change(&kqueue, &[read(&rx)]));
    assert_eq!(got[0].filter, Filter::Read);
    change(&kqueue, &[read(&rx).with_flags(DELETE)]);

    // The first of its kind, for which the waiter has to wait on something else.
    let got = while_waiting(&kqueue, || change(&kqueue, &[write(&rx)]));
    assert_eq!(got[0].filter, Filter::Write);
    change(&kqueue, &[write(&rx).with_flags(DELETE)]);

    let timer = Kevent::from_ident(1, Filter::Timer).with_data(5);
    let got = while_waiting(&kqueue, || change(&kqueue, &[timer]));
    assert_eq!(got[0].filter, Filter::Timer);
    change(&kqueue, &[timer.with_flags(DELETE)]);

    change(&kqueue, &[user(2).with_flags(add(KeventFlags::DISABLE)), trigger(2)]);
    let enable = user(2).with_flags(KeventFlags::ENABLE);
    let got = while_waiting(&kqueue, || change(&kqueue, &[enable]));
    assert_eq!(idents(&got), [2]);
    assert!(begin.elapsed() < Duration::from_secs(15));
}

#[test]
fn every_event_reaches_somebody_and_only_one() {
    const EVENTS: usize = 400;
    let kqueue = Kqueue::new().unwrap();
    let pairs: Vec<_> = (0..8).map(|_| UnixStream::pair().unwrap()).collect();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..4 {
            let (kqueue, tell) = (&kqueue, tell.clone());
            scope.spawn(move || {
                loop {
                    let mut events = [Kevent::default(); 1];
                    let n = kqueue.control(&[], &mut events, SOON).unwrap();
                    assert_eq!(n, 1);
                    if events[0].udata == usize::MAX {
                        return;
                    }
                    tell.send(events[0]).unwrap();
                }
            });
        }
        let oneshot = add(KeventFlags::ONESHOT);
        for n in 0..EVENTS {
            let kevent = match n % 4 {
                0 => user(n).with_fflags(NoteFlags::TRIGGER),
                1 => Kevent::from_ident(n, Filter::Timer).with_data((n % 7) as i64),
                2 => user(n),
                _ => write(&pairs[n % 8].0),
            };
            // A number is its own mark; the writers' idents repeat.
            change(&kqueue, &[kevent.with_flags(oneshot).with_udata(n)]);
            if n % 4 == 2 {
                let trigger = trigger(n).with_udata(n);
                change(&kqueue, &[trigger]);
            }
            if n % 4 == 3 {
                // The same ident again only after it was taken.
                let begin = Instant::now();
                loop {
                    assert!(Some(begin.elapsed()) < SOON, "nobody takes {n}");
                    let gone = kevent.with_flags(KeventFlags::DISABLE);
                    let mut entry = [Kevent::default(); 1];
                    let receipt = gone.with_flags(KeventFlags::RECEIPT | KeventFlags::KEEPUDATA);
                    kqueue.control(&[receipt], &mut entry, NOW).unwrap();
                    if entry[0].data == i64::from(libc::ENOENT) {
                        break;
                    }
                    thread::yield_now();
                }
            }
        }
        let mut seen: Vec<usize> = (0..EVENTS)
            .map(|_| told.recv_timeout(Duration::from_secs(30)).unwrap().udata)
            .collect();
        seen.sort_unstable();
        assert!(seen.iter().copied().eq(0..EVENTS), "{seen:?}");
        for n in 0..4 {
            change(&kqueue, &[user(10_000 + n).with_flags(oneshot).with_udata(usize::MAX)]);
            change(&kqueue, &[trigger(10_000 + n).with_udata(usize::MAX)]);
        }
    });
    assert!(told.try_recv().is_err());
}

#[test]
fn a_thread_that_leaves_does_not_take_the_timers_of_the_others_along() {
    let kqueue = Kqueue::new().unwrap();
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(|| wait(&kqueue, SOON))).collect();
        thread::sleep(Duration::from_millis(20));
        let oneshot = add(KeventFlags::ONESHOT);
        let timer = |ident, data| {
            Kevent::from_ident(ident, Filter::Timer).with_data(data).with_flags(oneshot)
        };
        let begin = Instant::now();
        change(&kqueue, &[timer(1, 30), timer(2, 90), timer(3, 150)]);
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap().len(), 1);
        }
        assert!(begin.elapsed() < Duration::from_secs(15));
    });
}
