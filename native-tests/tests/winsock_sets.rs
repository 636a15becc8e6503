//! Windows: the emulated Epoll and Kqueue on WinSock's select.
#![cfg(windows)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::windows::io::{AsRawHandle, BorrowedSocket, RawSocket};
use std::thread;
use std::time::{Duration, Instant};

use readiness::{
    AsSource, Epoll, EpollEvent, EpollFlags, Filter, FilterError, Kevent, KeventFlags, Kqueue,
    NoteFlags, os_error,
};
use socket2::{Domain, Socket, Type};

const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
const LONG: Option<Duration> = Some(Duration::from_secs(30));
const NOW: Option<Duration> = Some(Duration::ZERO);
/// Long enough for what would come to have come.
const SHORT: Option<Duration> = Some(Duration::from_millis(50));
const WSAENOTSOCK: i32 = 10038;

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(LOCAL).unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (other, _) = listener.accept().unwrap();
    one.set_nodelay(true).unwrap();
    other.set_nodelay(true).unwrap();
    (one, other)
}

/// The flags that a wait tells of its only source.
fn told(epoll: &Epoll, timeout: Option<Duration>) -> EpollFlags {
    let mut events = [EpollEvent::default(); 8];
    let found = epoll.wait(&mut events, timeout).unwrap();
    assert!(found <= 1);
    if found == 0 { EpollFlags::empty() } else { events[0].flags() }
}

fn kevents(kqueue: &Kqueue, changes: &[Kevent], timeout: Option<Duration>) -> Vec<Kevent> {
    let mut events = [Kevent::default(); 8];
    let found = kqueue.control(changes, &mut events, timeout).unwrap();
    events[..found].to_vec()
}

/// Has come to be read.
fn arrived(socket: &TcpStream, bytes: usize) {
    let mut buffer = vec![0; bytes];
    while socket.peek(&mut buffer).unwrap() < bytes {}
}

#[test]
fn epolls_levels_edges_and_one_shots() {
    let (mut one, mut other) = pair();
    let epoll = Epoll::new().unwrap();
    let read = |one: &mut TcpStream| assert_eq!(one.read(&mut [0; 64]).unwrap(), 1);

    epoll.register(&one, EpollFlags::IN).unwrap();
    assert_eq!(told(&epoll, NOW), EpollFlags::empty());
    other.write_all(b"x").unwrap();
    for _ in 0..3 {
        assert_eq!(told(&epoll, LONG), EpollFlags::IN);
    }
    // One-shot: once, until it is modified; nothing else of it either.
    epoll.modify(&one, EpollFlags::IN | EpollFlags::ONESHOT).unwrap();
    assert_eq!(told(&epoll, LONG), EpollFlags::IN);
    other.write_all(b"y").unwrap();
    assert_eq!(told(&epoll, SHORT), EpollFlags::empty());
    epoll.modify(&one, EpollFlags::IN | EpollFlags::ONESHOT | EpollFlags::ET).unwrap();
    assert_eq!(told(&epoll, LONG), EpollFlags::IN);
    assert_eq!(told(&epoll, SHORT), EpollFlags::empty());
    arrived(&one, 2);
    assert_eq!(one.read(&mut [0; 64]).unwrap(), 2);

    // An edge: modify arms it, and so does each arrival.
    epoll.modify(&one, EpollFlags::IN | EpollFlags::ET).unwrap();
    assert_eq!(told(&epoll, NOW), EpollFlags::empty());
    other.write_all(b"x").unwrap();
    assert_eq!(told(&epoll, LONG), EpollFlags::IN);
    read(&mut one);
    epoll.rearm(&one).unwrap();
    assert_eq!(told(&epoll, SHORT), EpollFlags::empty());
    other.write_all(b"y").unwrap();
    assert_eq!(told(&epoll, LONG), EpollFlags::IN);

    // The names that WinSock has one thing for, and those that it never tells.
    epoll.modify(&one, EpollFlags::RDNORM | EpollFlags::OUT | EpollFlags::WAKEUP).unwrap();
    assert!(told(&epoll, LONG).contains(EpollFlags::OUT));
    epoll.modify(&one, EpollFlags::RDHUP | EpollFlags::MSG).unwrap();
    assert_eq!(told(&epoll, SHORT), EpollFlags::empty());
    Socket::from(other).send_out_of_band(b"!").unwrap();
    assert_eq!(told(&epoll, SHORT), EpollFlags::empty());
    epoll.modify(&one, EpollFlags::PRI).unwrap();
    assert_eq!(told(&epoll, LONG), EpollFlags::PRI);
}

#[test]
fn epolls_exclusive_is_for_adding_alone() {
    let (one, mut other) = pair();
    let epoll = Epoll::new().unwrap();
    let wrong = EpollFlags::IN | EpollFlags::EXCLUSIVE | EpollFlags::ONESHOT;
    assert!(epoll.register(&one, wrong).is_err());
    epoll.register(&one, EpollFlags::IN | EpollFlags::EXCLUSIVE).unwrap();
    assert!(epoll.register(&one, EpollFlags::IN).is_err());
    assert!(epoll.modify(&one, EpollFlags::IN).is_err());
    other.write_all(b"x").unwrap();
    assert_eq!(told(&epoll, LONG), EpollFlags::IN);
    epoll.unregister(&one).unwrap();
    assert!(epoll.unregister(&one).is_err());
    assert_eq!(told(&epoll, SHORT), EpollFlags::empty());
}

#[test]
fn a_refused_connect_is_told_by_an_epoll_that_asks_for_nothing() {
    let nobody = TcpListener::bind(LOCAL).unwrap().local_addr().unwrap();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.connect(&nobody.into()).unwrap_err();
    let epoll = Epoll::new().unwrap();
    epoll.register(&socket, EpollFlags::empty()).unwrap();
    assert_eq!(told(&epoll, LONG), EpollFlags::ERR | EpollFlags::HUP);
    epoll.modify(&socket, EpollFlags::OUT | EpollFlags::ET).unwrap();
    assert_eq!(told(&epoll, LONG), EpollFlags::OUT | EpollFlags::ERR | EpollFlags::HUP);

    // A kqueue tells it as the end of writing.
    let kqueue = Kqueue::new().unwrap();
    let events = kevents(&kqueue, &[Kevent::new(&socket, Filter::Write)], LONG);
    assert_eq!(events.len(), 1);
    assert!(events[0].flags.contains(KeventFlags::EOF));
    assert!(socket.take_error().unwrap().is_some(), "looking has taken it");
}

#[test]
fn two_thousand_sockets_in_an_epoll_and_a_kqueue() {
    let sockets: Vec<UdpSocket> = (0..2000).map(|_| UdpSocket::bind(LOCAL).unwrap()).collect();
    let epoll = Epoll::new().unwrap();
    let kqueue = Kqueue::new().unwrap();
    for (at, socket) in sockets.iter().enumerate() {
        epoll.register_with_data(socket, EpollFlags::IN, at as u64).unwrap();
        let change = Kevent::new(socket, Filter::Read).with_udata(at);
        kqueue.control(&[change], &mut [], NOW).unwrap();
    }
    let last = &sockets[1999];
    sockets[0].send_to(b"x", last.local_addr().unwrap()).unwrap();
    let mut events = [EpollEvent::default(); 16];
    assert_eq!(epoll.wait(&mut events, LONG).unwrap(), 1);
    assert_eq!(events[0].data(), 1999);
    let events = kevents(&kqueue, &[], LONG);
    assert_eq!((events.len(), events[0].udata), (1, 1999));
    // All of them, a few at a time.
    for socket in &sockets {
        last.send_to(b"x", socket.local_addr().unwrap()).unwrap();
    }
    let mut seen = vec![false; 2000];
    let mut events = vec![EpollEvent::default(); 300];
    while seen.iter().any(|seen| !seen) {
        let found = epoll.wait(&mut events, LONG).unwrap();
        assert!(found > 0);
        for event in &events[..found] {
            seen[event.data() as usize] = true;
        }
    }
}

#[test]
fn filters_that_windows_lacks_are_refused_by_name() {
    let kqueue = Kqueue::new().unwrap();
    for (filter, name) in [
        (Filter::Signal, "EVFILT_SIGNAL"),
        (Filter::Proc, "EVFILT_PROC"),
        (Filter::Vnode, "EVFILT_VNODE"),
        (Filter::Aio, "EVFILT_AIO"),
        (Filter::Netdev, "EVFILT_NETDEV"),
    ] {
        assert!(!Filter::supported().contains(&filter));
        let change = Kevent::from_ident(2, filter);
        let error = kqueue.control(&[change], &mut [], NOW).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
        assert!(error.to_string().contains(name), "{error}");
        let named = error.get_ref().unwrap().downcast_ref::<FilterError>().unwrap();
        assert_eq!(named.filter(), filter);
        let events = kevents(&kqueue, &[change], NOW);
        assert!(events[0].flags.contains(KeventFlags::ERROR) && events[0].data != 0);
    }
    let delete = Kevent::from_ident(2, Filter::Timer).with_flags(KeventFlags::DELETE);
    let error = kqueue.control(&[delete], &mut [], NOW).unwrap_err();
    assert!(error.to_string().contains("EVFILT_TIMER"), "{error}");
}

#[test]
fn what_is_no_socket_is_refused_in_so_many_words() {
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let handles = [
        file.as_raw_handle(),
        reader.as_raw_handle(),
        writer.as_raw_handle(),
        std::io::stdin().as_raw_handle(),
        std::ptr::null_mut(),
    ];
    let epoll = Epoll::new().unwrap();
    let kqueue = Kqueue::new().unwrap();
    for handle in handles {
        // SAFETY: the handle is open, or null. That it is no socket is what is tested.
        let bad = unsafe { BorrowedSocket::borrow_raw(handle as RawSocket) };
        let errors = [
            readiness::select([&bad], [], [], LONG).map(drop).unwrap_err(),
            readiness::Selector::new()
                .unwrap()
                .register(&bad, 1, readiness::Interest::READ, readiness::Mode::Level)
                .unwrap_err(),
            epoll.register(&bad, EpollFlags::IN).unwrap_err(),
            epoll.unregister(&bad).unwrap_err(),
            kqueue.control(&[Kevent::new(&bad, Filter::Read)], &mut [], NOW).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(os_error(&error), Some(WSAENOTSOCK));
            assert!(error.to_string().contains("not an open socket"), "{error}");
        }
        let mut poll = readiness::Poll::new();
        poll.register(&bad, readiness::PollFlags::IN).unwrap();
        let flags: Vec<_> = poll.poll(LONG).unwrap().map(|event| event.flags).collect();
        assert_eq!(flags, [readiness::PollFlags::NVAL]);
        let events = kevents(&kqueue, &[Kevent::new(&bad, Filter::Write)], LONG);
        assert_eq!(events[0].data, i64::from(WSAENOTSOCK));
    }
}

#[test]
fn a_user_event_and_a_source_from_another_thread_end_a_wait() {
    let (one, mut other) = pair();
    let kqueue = Kqueue::new().unwrap();
    let epoll = Epoll::new().unwrap();
    let user =
        Kevent::from_ident(5, Filter::User).with_flags(KeventFlags::CLEAR | KeventFlags::ADD);
    kqueue.control(&[user], &mut [], NOW).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            let trigger = user.with_flags(KeventFlags::empty()).with_fflags(NoteFlags::TRIGGER);
            kqueue.control(&[trigger], &mut [], NOW).unwrap();
        });
        let events = kevents(&kqueue, &[], None);
        assert_eq!((events.len(), events[0].ident, events[0].filter), (1, 5, Filter::User));
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            epoll.register(&one, EpollFlags::IN).unwrap();
            kqueue.control(&[Kevent::new(&one, Filter::Read)], &mut [], NOW).unwrap();
            other.write_all(b"hello").unwrap();
        });
        assert_eq!(told(&epoll, None), EpollFlags::IN);
        arrived(&one, 5);
        let events = kevents(&kqueue, &[], None);
        assert_eq!((events.len(), events[0].filter), (1, Filter::Read));
        // A timer that is added from outside, too.
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            epoll.unregister(&one).unwrap();
            let timer = Kevent::from_ident(1, Filter::Timer)
                .with_flags(KeventFlags::ADD | KeventFlags::ONESHOT)
                .with_data(1);
            let stop = Kevent::new(&one, Filter::Read).with_flags(KeventFlags::DELETE);
            kqueue.control(&[stop, timer], &mut [], NOW).unwrap();
        });
        loop {
            let events = kevents(&kqueue, &[], None);
            if events.iter().any(|event| event.filter == Filter::Timer) {
                break;
            }
        }
    });
    assert_eq!(told(&epoll, SHORT), EpollFlags::empty());
}

#[test]
fn timers_and_timeouts_below_a_millisecond_are_not_early() {
    let kqueue = Kqueue::new().unwrap();
    let epoll = Epoll::new().unwrap();
    let socket = UdpSocket::bind(LOCAL).unwrap();
    epoll.register(&socket, EpollFlags::IN).unwrap();
    for micros in [1_u64, 300, 999, 1001, 2500] {
        let time = Duration::from_micros(micros);
        let begin = Instant::now();
        assert_eq!(told(&epoll, Some(time)), EpollFlags::empty());
        assert!(begin.elapsed() >= time, "{time:?}: {:?}", begin.elapsed());

        let timer = Kevent::from_ident(1, Filter::Timer)
            .with_flags(KeventFlags::ADD | KeventFlags::ONESHOT)
            .with_fflags(NoteFlags::USECONDS)
            .with_data(micros as i64);
        let begin = Instant::now();
        let events = kevents(&kqueue, &[timer], LONG);
        assert!(begin.elapsed() >= time, "{time:?}: {:?}", begin.elapsed());
        assert_eq!((events.len(), events[0].filter, events[0].data), (1, Filter::Timer, 1));
    }
    let mut nothing = [Kevent::default(); 1];
    let begin = Instant::now();
    assert_eq!(Kqueue::new().unwrap().control(&[], &mut nothing, SHORT).unwrap(), 0);
    assert_eq!(told(&Epoll::new().unwrap(), SHORT), EpollFlags::empty());
    assert!(begin.elapsed() >= 2 * SHORT.unwrap());
}

#[test]
fn sets_nest_and_are_sources_of_each_other() {
    let (one, mut other) = pair();
    let inner = Epoll::new().unwrap();
    let outer = Kqueue::new().unwrap();
    inner.register(&one, EpollFlags::IN).unwrap();
    outer.control(&[Kevent::new(&inner, Filter::Read)], &mut [], NOW).unwrap();
    assert_eq!(kevents(&outer, &[], SHORT), []);
    other.write_all(b"x").unwrap();
    let events = kevents(&outer, &[], LONG);
    assert_eq!((events.len(), events[0].ident as u64), (1, inner.raw_source().number()));
}
