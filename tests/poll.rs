//! `Poll` on every target.

#![cfg(any(unix, windows, target_os = "wasi"))]

mod common;

use std::io;
use std::time::Duration;

use common::*;
use readiness::{AsSource, Poll, PollFlags, RawSource, os_error};

fn polled(poll: &mut Poll, timeout: Duration) -> Vec<(RawSource, PollFlags)> {
    poll.poll(Some(timeout)).unwrap().map(|event| (event.source, event.flags)).collect()
}

fn sources(poll: &mut Poll) -> Vec<RawSource> {
    polled(poll, Duration::ZERO).iter().map(|(source, _)| *source).collect()
}

#[test]
fn the_default_is_in_pri_and_out() {
    assert_eq!(PollFlags::default(), PollFlags::IN | PollFlags::PRI | PollFlags::OUT);
    let (mut poll, file) = (Poll::new(), file("default"));
    poll.register(&file, PollFlags::default()).unwrap();
    assert_eq!(polled(&mut poll, LONG), [(file.raw_source(), PollFlags::IN | PollFlags::OUT)]);
}

#[test]
fn results_come_in_order_of_registration() {
    let files: Vec<_> = (0..20).map(|_| file("order")).collect();
    let mut poll = Poll::new();
    let mut order: Vec<usize> = (0..20).map(|at| at * 7 % 20).collect();
    for at in &order {
        poll.register(&files[*at], PollFlags::IN).unwrap();
    }
    let raw =
        |order: &[usize]| -> Vec<_> { order.iter().map(|at| files[*at].raw_source()).collect() };
    assert_eq!(sources(&mut poll), raw(&order));
    // Registered again or modified: in its place.
    poll.register(&files[order[3]], PollFlags::OUT).unwrap();
    poll.modify(&files[order[8]], PollFlags::IN | PollFlags::OUT).unwrap();
    assert_eq!(sources(&mut poll), raw(&order));
    assert_eq!(poll.len(), 20);
    // Unregistered and registered: at the end. Few and many, so that what is left
    // is moved.
    for count in [1, 3, 9, 15] {
        for _ in 0..count {
            let at = order.remove(order.len() / 3);
            poll.unregister(&files[at]).unwrap();
        }
        assert_eq!(sources(&mut poll), raw(&order));
        assert_eq!(poll.len(), order.len());
        for (at, file) in files.iter().enumerate() {
            if !order.contains(&at) {
                poll.register(file, PollFlags::IN).unwrap();
                order.push(at);
            }
        }
        assert_eq!(sources(&mut poll), raw(&order));
    }
    for at in order {
        poll.unregister_raw(files[at].raw_source()).unwrap();
    }
    assert!(poll.is_empty() && sources(&mut poll).is_empty());
}

#[test]
fn registered_again_it_has_the_new_flags_and_no_error() {
    let (mut poll, file) = (Poll::new(), file("again"));
    for flags in [PollFlags::IN, PollFlags::OUT, PollFlags::IN | PollFlags::OUT, PollFlags::IN] {
        poll.register(&file, flags).unwrap();
        assert_eq!(polled(&mut poll, LONG), [(file.raw_source(), flags)]);
        assert_eq!(poll.len(), 1);
    }
    poll.register(&file, PollFlags::empty()).unwrap();
    assert_eq!(polled(&mut poll, MS), []);
    poll.modify(&file, PollFlags::OUT).unwrap();
    assert_eq!(polled(&mut poll, LONG), [(file.raw_source(), PollFlags::OUT)]);
}

#[test]
fn what_is_not_registered_is_not_found() {
    let (mut poll, file) = (Poll::new(), file("unknown"));
    for _ in 0..2 {
        let error = poll.modify(&file, PollFlags::IN).unwrap_err();
        assert!(error.to_string().contains(&file.raw_source().to_string()), "{error}");
        assert!(os_error(&error).is_some());
        assert_eq!(poll.modify(&file, PollFlags::IN).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(poll.unregister(&file).unwrap_err().kind(), io::ErrorKind::NotFound);
        let raw = file.raw_source();
        assert_eq!(poll.unregister_raw(raw).unwrap_err().kind(), io::ErrorKind::NotFound);
        poll.register(&file, PollFlags::IN).unwrap();
        poll.unregister(&file).unwrap();
    }
}

#[test]
fn what_is_not_open_is_invalid_beside_the_others() {
    let (mut poll, files, silent) = (Poll::new(), [file("one"), file("two")], silent());
    let bad = not_open();
    poll.register(&files[0], PollFlags::IN).unwrap();
    poll.register(&bad, PollFlags::IN | PollFlags::OUT).unwrap();
    poll.register(&silent, PollFlags::IN).unwrap();
    poll.register(&files[1], PollFlags::OUT).unwrap();
    let want = [
        (files[0].raw_source(), PollFlags::IN),
        (bad.raw_source(), PollFlags::NVAL),
        (files[1].raw_source(), PollFlags::OUT),
    ];
    for timeout in [Duration::ZERO, MS, LONG] {
        assert_eq!(polled(&mut poll, timeout), want);
    }
    assert_eq!(poll.poll(None).unwrap().count(), 3);
    // It is, whatever is wanted of it.
    poll.modify(&bad, PollFlags::empty()).unwrap();
    assert_eq!(polled(&mut poll, LONG), want);
    poll.unregister(&bad).unwrap();
    assert_eq!(polled(&mut poll, LONG), [want[0], want[2]]);
}

#[test]
fn flags_that_are_answers_only_may_be_asked_for() {
    let (mut poll, file) = (Poll::new(), file("answers"));
    poll.register(&file, PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL).unwrap();
    assert_eq!(polled(&mut poll, MS), []);
    poll.modify(&file, PollFlags::all()).unwrap();
    let flags = polled(&mut poll, LONG)[0].1;
    assert!(flags.contains(PollFlags::IN | PollFlags::OUT), "{flags:?}");
    assert!(!flags.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL | PollFlags::PRI));
    assert!((flags - PollFlags::supported()).is_empty());
}

#[test]
fn thousands_come_and_go() {
    let (mut poll, file) = (Poll::new(), file("stays"));
    poll.register(&file, PollFlags::IN).unwrap();
    for round in 0..3 {
        for fd in 0..2000 {
            poll.register(&number(100_000 + fd), PollFlags::IN).unwrap();
        }
        assert_eq!(poll.len(), 2001);
        for fd in 0..2000 {
            poll.unregister(&number(100_000 + (fd * 997 + round) % 2000)).unwrap();
        }
        assert_eq!(sources(&mut poll), [file.raw_source()]);
    }
}

#[cfg(not(windows))]
#[test]
fn a_number_that_no_descriptor_can_have_is_invalid() {
    let mut poll = Poll::new();
    for fd in [-2, i32::MIN, i32::MAX] {
        poll.register(&common::number(fd), PollFlags::IN).unwrap();
    }
    let flags: Vec<_> = polled(&mut poll, LONG).into_iter().collect();
    assert_eq!(
        flags,
        [-2, i32::MIN, i32::MAX].map(|fd| { (common::number(fd).raw_source(), PollFlags::NVAL) })
    );
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn closed_it_is_invalid_until_it_is_unregistered_and_reused_it_answers_for_the_new_one() {
        let (mut poll, mut end) = (Poll::new(), readable());
        let End { own, peer: _peer } = silent();
        let closed = apart(own);
        let raw = closed.raw_source();
        poll.register(&closed, PollFlags::IN).unwrap();
        poll.register(&end, PollFlags::IN).unwrap();
        assert_eq!(sources(&mut poll), [end.raw_source()]);
        drop(closed);
        let want = [(raw, PollFlags::NVAL), (end.raw_source(), PollFlags::IN)];
        for _ in 0..3 {
            assert_eq!(polled(&mut poll, LONG), want);
        }
        let _new = renumber(readable().own, raw.fd().unwrap());
        assert!(polled(&mut poll, LONG)[0].1.contains(PollFlags::IN));
        poll.unregister_raw(raw).unwrap();
        assert_eq!(polled(&mut poll, LONG), [want[1]]);
        assert_eq!(end.own.read(&mut [0; 8]).unwrap(), 1);
        assert_eq!(polled(&mut poll, MS), []);
    }

    #[test]
    fn hang_ups_and_errors_come_unasked() {
        let (mut poll, (read, write)) = (Poll::new(), pipe());
        let End { own, peer } = silent();
        for source in [&write as &dyn AsSource, &own] {
            poll.register(source, PollFlags::empty()).unwrap();
        }
        assert_eq!(polled(&mut poll, MS), []);
        drop((read, peer));
        let flags: Vec<_> = polled(&mut poll, LONG).iter().map(|(_, flags)| *flags).collect();
        assert_eq!(flags, [PollFlags::ERR, PollFlags::HUP]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn half_closed_is_rdhup_if_asked_for() {
        let (mut poll, End { own, peer }) = (Poll::new(), silent());
        poll.register(&own, PollFlags::RDHUP).unwrap();
        assert_eq!(polled(&mut poll, MS), []);
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(polled(&mut poll, LONG)[0].1, PollFlags::RDHUP);
        poll.modify(&own, PollFlags::IN).unwrap();
        assert_eq!(polled(&mut poll, LONG)[0].1, PollFlags::IN);
    }

    #[test]
    fn pri_is_out_of_band_data() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (own, _) = listener.accept().unwrap();
        let mut poll = Poll::new();
        poll.register(&own, PollFlags::PRI).unwrap();
        assert_eq!(polled(&mut poll, MS), []);
        send_urgent(&peer);
        assert_eq!(polled(&mut poll, LONG)[0].1, PollFlags::PRI);
    }

    #[test]
    fn directories_are_always_ready_like_files() {
        let directory = std::fs::File::open("/").unwrap();
        let mut poll = Poll::new();
        poll.register(&directory, PollFlags::IN | PollFlags::OUT).unwrap();
        assert_eq!(polled(&mut poll, Duration::ZERO)[0].1, PollFlags::IN | PollFlags::OUT);
    }

    #[test]
    fn each_arrival_is_seen() {
        let (mut poll, mut end) = (Poll::new(), silent());
        poll.register(&end, PollFlags::IN).unwrap();
        for _ in 0..100 {
            assert_eq!(polled(&mut poll, Duration::ZERO), []);
            end.peer.write_all(b"x").unwrap();
            assert_eq!(polled(&mut poll, LONG), [(end.raw_source(), PollFlags::IN)]);
            assert_eq!(end.own.read(&mut [0; 8]).unwrap(), 1);
        }
    }
}
