//! Windows: a socket that is closed while it is registered. A program of its own, one
//! test at a time: another thread's socket could get the number.
#![cfg(windows)]

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::windows::io::{AsRawSocket, AsSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use readiness::{
    AsSource, Epoll, EpollEvent, EpollFlags, Events, Filter, Interest, Kevent, Kqueue, Mode, Poll,
    PollFlags, Selector,
};

const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
const LONG: Option<Duration> = Some(Duration::from_secs(30));
const NOW: Option<Duration> = Some(Duration::ZERO);
const SHORT: Option<Duration> = Some(Duration::from_millis(50));

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

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
    let _alone = alone();
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

/// A socket with a certain number, which was given back just now.
fn with_number(number: u64) -> UdpSocket {
    let mut others = Vec::new();
    loop {
        let socket = UdpSocket::bind(LOCAL).unwrap();
        if socket.raw_source().number() == number {
            return socket;
        }
        others.push(socket);
        assert!(others.len() < 10_000, "the number does not come back");
    }
}

#[test]
fn a_number_that_is_another_sockets_is_not_told_under_the_old_name_once_that_was_closed() {
    let _alone = alone();
    let mut wait = Events::with_capacity(8);
    let mut events = [EpollEvent::default(); 8];
    let mut kevents = [Kevent::default(); 8];
    let selector = Selector::new().unwrap();
    let epoll = Epoll::new().unwrap();
    let kqueue = Kqueue::new().unwrap();
    for round in 0..3 {
        let old = UdpSocket::bind(LOCAL).unwrap();
        let name = old.raw_source();
        selector.register(&old, 1, Interest::READ, Mode::Level).unwrap();
        epoll.register_with_data(&old, EpollFlags::IN, 1).unwrap();
        let change = Kevent::new(&old, Filter::Read).with_udata(1);
        kqueue.control(&[change], &mut [], NOW).unwrap();
        drop(old);
        if round == 1 {
            // Seen by a wait while nothing had the number: that ends it by itself.
            assert_eq!(selector.wait(&mut wait, SHORT).unwrap(), 0);
            assert_eq!(epoll.wait(&mut events, SHORT).unwrap(), 0);
            assert_eq!(kqueue.control(&[], &mut kevents, SHORT).unwrap(), 0);
        } else {
            selector.unregister_raw(name).unwrap();
            epoll.closed(name);
            kqueue.closed(name);
        }
        let new = with_number(name.number());
        let sender = UdpSocket::bind(LOCAL).unwrap();
        sender.send_to(b"x", new.local_addr().unwrap()).unwrap();
        assert_eq!(readiness::select([&new], [], [], LONG).unwrap().read.len(), 1);
        assert_eq!(selector.wait(&mut wait, SHORT).unwrap(), 0, "round {round}");
        assert_eq!(epoll.wait(&mut events, SHORT).unwrap(), 0, "round {round}");
        assert_eq!(kqueue.control(&[], &mut kevents, SHORT).unwrap(), 0, "round {round}");

        // Under its own name it is.
        selector.register(&new, 2, Interest::READ, Mode::Level).unwrap();
        epoll.register_with_data(&new, EpollFlags::IN, 2).unwrap();
        let change = Kevent::new(&new, Filter::Read).with_udata(2);
        kqueue.control(&[change], &mut [], NOW).unwrap();
        assert_eq!(selector.wait(&mut wait, LONG).unwrap(), 1);
        assert_eq!(wait.iter().next().unwrap().token(), 2);
        assert_eq!(epoll.wait(&mut events, LONG).unwrap(), 1);
        assert_eq!(events[0].data(), 2);
        assert_eq!(kqueue.control(&[], &mut kevents, LONG).unwrap(), 1);
        assert_eq!(kevents[0].udata, 2);
        selector.unregister(&new).unwrap();
        epoll.unregister(&new).unwrap();
        kqueue.closed(new.raw_source());
    }
}
