//! Windows: a socket that is closed while it is registered. A program of its own, with
//! one test: another thread's socket could get the number.
#![cfg(windows)]

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::windows::io::{AsRawSocket, AsSocket};
use std::time::{Duration, Instant};

use readiness::{Events, Interest, Mode, Poll, PollFlags, Selector};

const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
const LONG: Option<Duration> = Some(Duration::from_secs(30));
const SHORT: Option<Duration> = Some(Duration::from_millis(50));

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(LOCAL).unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (one, listener.accept().unwrap().0)
}

fn flags(poll: &mut Poll, timeout: Option<Duration>) -> Vec<PollFlags> {
    poll.poll(timeout).unwrap().map(|event| event.flags).collect()
}

#[test]
fn a_socket_that_was_closed_is_reported_and_the_others_go_on() {
    let selector = Selector::new().unwrap();
    let mut poll = Poll::new();
    let (one, mut other) = pair();
    let closed = UdpSocket::bind(LOCAL).unwrap();
    for source in [one.as_socket(), closed.as_socket()] {
        poll.register(&source, PollFlags::IN).unwrap();
        let token = u64::from(source.as_raw_socket() == one.as_raw_socket());
        selector.register(&source, token, Interest::READ, Mode::Level).unwrap();
    }
    drop(closed);
    assert_eq!(flags(&mut poll, LONG), [PollFlags::NVAL]);
    let mut events = Events::with_capacity(8);
    let begin = Instant::now();
    assert_eq!(selector.wait(&mut events, SHORT).unwrap(), 0);
    assert!(begin.elapsed() >= SHORT.unwrap());
    other.write_all(b"x").unwrap();
    assert_eq!(selector.wait(&mut events, LONG).unwrap(), 1);
    assert_eq!(events.iter().next().unwrap().token(), 1);
    assert_eq!(flags(&mut poll, LONG), [PollFlags::IN, PollFlags::NVAL]);
}
