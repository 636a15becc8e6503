//! Windows: WinSock's select under every front end.
#![cfg(windows)]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::windows::io::{AsRawHandle, BorrowedSocket, RawSocket};
use std::thread;
use std::time::{Duration, Instant};

use readiness::{
    AsSource, Events, Filter, Interest, Kevent, Kqueue, Mode, Poll, PollFlags, Selector,
    SourceError, Waker, os_error, select,
};
use socket2::{Domain, Socket, Type};

const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
const LONG: Option<Duration> = Some(Duration::from_secs(30));
const NOW: Option<Duration> = Some(Duration::ZERO);
/// Long enough for what would come to have come.
const SHORT: Option<Duration> = Some(Duration::from_millis(50));
const WSAENOTSOCK: i32 = 10038;
const WSAECONNREFUSED: i32 = 10061;
const WSAECONNRESET: i32 = 10054;

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(LOCAL).unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (other, _) = listener.accept().unwrap();
    one.set_nodelay(true).unwrap();
    other.set_nodelay(true).unwrap();
    (one, other)
}

/// A connect that goes on while the caller does something else.
fn connecting(to: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    let error = socket.connect(&to.into()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    socket
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind(LOCAL).unwrap().local_addr().unwrap()
}

fn flags(poll: &mut Poll, timeout: Option<Duration>) -> Vec<PollFlags> {
    poll.poll(timeout).unwrap().map(|event| event.flags).collect()
}

/// What stands behind a handle that is no socket, as a caller's mistake would have it.
fn as_if_socket(handle: &impl AsRawHandle) -> BorrowedSocket<'_> {
    // SAFETY: the handle is open. That it is no socket is what is tested.
    unsafe { BorrowedSocket::borrow_raw(handle.as_raw_handle() as RawSocket) }
}

#[test]
fn two_thousand_sockets_in_one_wait() {
    let sockets: Vec<UdpSocket> = (0..2000).map(|_| UdpSocket::bind(LOCAL).unwrap()).collect();
    let sender = UdpSocket::bind(LOCAL).unwrap();
    let mut poll = Poll::new();
    let selector = Selector::new().unwrap();
    for (at, socket) in sockets.iter().enumerate() {
        poll.register(socket, PollFlags::IN).unwrap();
        selector.register(socket, at as u64, Interest::READ, Mode::Level).unwrap();
    }
    let mut events = Events::with_capacity(2048);
    assert_eq!(flags(&mut poll, NOW), []);
    assert_eq!(selector.wait(&mut events, NOW).unwrap(), 0);

    // Beyond C's FD_SETSIZE (64) and Python's (512), and at the ends.
    let told = [0, 63, 64, 511, 512, 1023, 1024, 1999];
    for at in told {
        sender.send_to(b"x", sockets[at].local_addr().unwrap()).unwrap();
    }
    for at in told {
        // Each has arrived before the waits that count.
        assert_eq!(select([&sockets[at]], [], [], LONG).unwrap().read.len(), 1);
    }
    let ready: Vec<_> = poll.poll(LONG).unwrap().map(|event| event.source).collect();
    assert_eq!(ready, told.map(|at| sockets[at].raw_source()));
    selector.wait(&mut events, LONG).unwrap();
    assert_eq!(
        events.iter().map(|event| event.token()).collect::<Vec<_>>(),
        told.map(|at| at as u64)
    );
    let lists: Vec<&UdpSocket> = sockets.iter().collect();
    let ready = select(&lists, &lists, &lists, LONG).unwrap();
    assert_eq!(ready.read.len(), told.len());
    assert_eq!(ready.write.len(), 2000);
    assert_eq!(ready.except.len(), 0);
}

#[test]
fn a_refused_connect_is_an_error_and_a_hang_up_and_stays_there_to_be_read() {
    let socket = connecting(nobody());
    let mut poll = Poll::new();
    poll.register(&socket, PollFlags::OUT).unwrap();
    let expected = PollFlags::ERR | PollFlags::HUP | PollFlags::OUT;
    assert_eq!(flags(&mut poll, LONG), [expected]);
    // Looking takes nothing away.
    assert_eq!(flags(&mut poll, LONG), [expected]);
    poll.modify(&socket, PollFlags::empty()).unwrap();
    assert_eq!(flags(&mut poll, LONG), [PollFlags::ERR | PollFlags::HUP]);

    let ready = select([&socket], [&socket], [&socket], LONG).unwrap();
    assert_eq!((ready.read.len(), ready.write.len(), ready.except.len()), (1, 1, 0));

    let selector = Selector::new().unwrap();
    selector.register(&socket, 7, Interest::WRITE, Mode::Level).unwrap();
    let mut events = Events::with_capacity(8);
    assert_eq!(selector.wait(&mut events, LONG).unwrap(), 1);
    let event = events.iter().next().unwrap();
    assert!(event.is_error() && event.is_writable() && event.is_write_closed());

    let error = socket.take_error().unwrap().expect("nobody has read it before");
    assert_eq!(error.raw_os_error(), Some(WSAECONNREFUSED));
}

#[test]
fn a_refused_connect_alone_ends_no_wait_for_what_is_exceptional() {
    let socket = connecting(nobody());
    assert_eq!(select([&socket], [], [], LONG).unwrap().read.len(), 1);
    let begin = Instant::now();
    assert!(select([], [], [&socket], SHORT).unwrap().is_empty());
    assert!(begin.elapsed() >= SHORT.unwrap());
    // Beside it the others are waited for.
    let (own, mut peer) = pair();
    let own = Socket::from(own);
    let writer = thread::spawn(move || {
        thread::sleep(SHORT.unwrap());
        peer.write_all(b"x").unwrap();
        peer
    });
    let ready = select([&own], [], [&socket], LONG).unwrap();
    assert_eq!((ready.read.len(), ready.except.len()), (1, 0));
    drop(writer.join().unwrap());
}

#[test]
fn a_connect_that_succeeds_is_writable() {
    let listener = TcpListener::bind(LOCAL).unwrap();
    let socket = connecting(listener.local_addr().unwrap());
    let mut poll = Poll::new();
    poll.register(&socket, PollFlags::OUT | PollFlags::IN).unwrap();
    assert_eq!(flags(&mut poll, LONG), [PollFlags::OUT]);
    let mut poll = Poll::new();
    poll.register(&listener, PollFlags::IN).unwrap();
    assert_eq!(flags(&mut poll, LONG), [PollFlags::IN]);
}

#[test]
fn out_of_band_data_is_exceptional_to_whom_asks() {
    let (one, other) = pair();
    let sender = Socket::from(other);
    sender.send_out_of_band(b"!").unwrap();
    let ready = select([], [], [&one], LONG).unwrap();
    assert_eq!((ready.read.len(), ready.except.len()), (0, 1));
    let mut poll = Poll::new();
    poll.register(&one, PollFlags::IN | PollFlags::PRI).unwrap();
    assert_eq!(flags(&mut poll, LONG), [PollFlags::PRI]);

    // To nobody else: neither told, nor an end of the wait.
    poll.modify(&one, PollFlags::IN).unwrap();
    let begin = Instant::now();
    assert_eq!(flags(&mut poll, SHORT), []);
    assert!(begin.elapsed() >= SHORT.unwrap());
    // And what is asked for comes through.
    let mut sender = sender;
    sender.write_all(b"x").unwrap();
    assert_eq!(flags(&mut poll, LONG), [PollFlags::IN]);
    poll.modify(&one, PollFlags::PRI).unwrap();
    assert_eq!(flags(&mut poll, LONG), [PollFlags::PRI]);
}

#[test]
fn an_end_and_a_reset_are_readable() {
    let (mut one, other) = pair();
    other.shutdown(std::net::Shutdown::Write).unwrap();
    let mut poll = Poll::new();
    poll.register(&one, PollFlags::IN).unwrap();
    assert_eq!(flags(&mut poll, LONG), [PollFlags::IN]);
    assert_eq!(one.read(&mut [0; 8]).unwrap(), 0);

    let (mut one, other) = pair();
    let other = Socket::from(other);
    other.set_linger(Some(Duration::ZERO)).unwrap();
    drop(other);
    let mut poll = Poll::new();
    poll.register(&one, PollFlags::IN).unwrap();
    assert!(flags(&mut poll, LONG)[0].contains(PollFlags::IN));
    match one.read(&mut [0; 8]) {
        Err(error) => assert_eq!(error.raw_os_error(), Some(WSAECONNRESET)),
        // Wine's server reads the error for itself.
        Ok(read) => assert_eq!(read, 0),
    }
}

#[test]
fn what_is_no_socket_is_refused_and_the_others_go_on() {
    let path = std::env::temp_dir().join(format!("readiness-{}", std::process::id()));
    let file = File::create(&path).unwrap();
    let (pipe, _writer) = std::io::pipe().unwrap();
    let (one, mut other) = pair();
    other.write_all(b"x").unwrap();
    let selector = Selector::new().unwrap();
    selector.register(&one, 1, Interest::READ, Mode::Level).unwrap();

    for bad in [as_if_socket(&file), as_if_socket(&pipe)] {
        let error = select([&bad], [], [], LONG).unwrap_err();
        assert_eq!(os_error(&error), Some(WSAENOTSOCK));
        let named = error.get_ref().unwrap().downcast_ref::<SourceError>().unwrap();
        assert_eq!(named.raw_source(), bad.raw_source());
        assert!(error.to_string().contains("socket"), "{error}");

        let mut poll = Poll::new();
        poll.register(&bad, PollFlags::IN).unwrap();
        poll.register(&one, PollFlags::IN | PollFlags::OUT).unwrap();
        for _ in 0..2 {
            assert_eq!(flags(&mut poll, LONG), [PollFlags::NVAL, PollFlags::IN | PollFlags::OUT]);
        }

        let error = selector.register(&bad, 2, Interest::READ, Mode::Level).unwrap_err();
        assert_eq!(os_error(&error), Some(WSAENOTSOCK));
        let mut events = Events::with_capacity(8);
        assert_eq!(selector.wait(&mut events, LONG).unwrap(), 1);
    }
    drop(file);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn the_same_socket_several_times_answers_each_time() {
    let (one, mut other) = pair();
    other.write_all(b"x").unwrap();
    let three = [&one, &one, &one];
    let ready = select(three, [], [], LONG).unwrap();
    assert_eq!(ready.read.len(), 3);
    let ready = select(three, three, [&one], LONG).unwrap();
    assert_eq!((ready.read.len(), ready.write.len(), ready.except.len()), (3, 3, 0));
}

#[test]
fn with_no_socket_it_sleeps_for_the_timeout() {
    let nothing: [&UdpSocket; 0] = [];
    let begin = Instant::now();
    assert!(select(nothing, nothing, nothing, SHORT).unwrap().is_empty());
    assert!(begin.elapsed() >= SHORT.unwrap());
    let begin = Instant::now();
    assert_eq!(flags(&mut Poll::new(), SHORT), []);
    assert!(begin.elapsed() >= SHORT.unwrap());
    let selector = Selector::new().unwrap();
    let begin = Instant::now();
    assert_eq!(selector.wait(&mut Events::with_capacity(1), SHORT).unwrap(), 0);
    assert!(begin.elapsed() >= SHORT.unwrap());
}

#[test]
fn no_wait_ends_early_with_nothing() {
    let socket = UdpSocket::bind(LOCAL).unwrap();
    let mut poll = Poll::new();
    poll.register(&socket, PollFlags::IN).unwrap();
    for micros in [1, 10, 100, 999, 1001, 1500, 16_700] {
        let timeout = Duration::from_micros(micros);
        let begin = Instant::now();
        assert_eq!(flags(&mut poll, Some(timeout)), []);
        assert!(begin.elapsed() >= timeout, "{timeout:?} took {:?}", begin.elapsed());
    }
}

#[test]
fn a_timeout_of_years_waits_and_can_be_ended() {
    let (one, mut other) = pair();
    for days in [1, 25, 50, 24_855, 1 << 40] {
        let timeout = Some(Duration::from_secs(days * 24 * 60 * 60));
        let late = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            other.write_all(b"x").unwrap();
            other
        });
        let begin = Instant::now();
        assert_eq!(select([&one], [], [], timeout).unwrap().read.len(), 1);
        assert!(begin.elapsed() >= Duration::from_millis(15));
        assert_eq!((&one).read(&mut [0; 8]).unwrap(), 1);
        other = late.join().unwrap();
    }
}

#[test]
fn another_thread_wakes_and_registers_during_a_wait() {
    let selector = Selector::new().unwrap();
    let waker: Waker = selector.waker(9);
    let (one, mut other) = pair();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            waker.wake().unwrap();
        });
        let mut events = Events::with_capacity(8);
        assert_eq!(selector.wait(&mut events, LONG).unwrap(), 1);
        let event = events.iter().next().unwrap();
        assert!(event.is_wake() && event.token() == 9);

        // What is registered from outside counts in the wait that goes on.
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            selector.register(&one, 1, Interest::READ, Mode::Level).unwrap();
            other.write_all(b"x").unwrap();
        });
        assert_eq!(selector.wait(&mut events, LONG).unwrap(), 1);
        assert_eq!(events.iter().next().unwrap().token(), 1);
    });
    // Many wakes are one.
    for _ in 0..10_000 {
        waker.wake().unwrap();
    }
    let mut events = Events::with_capacity(8);
    selector.unregister(&one).unwrap();
    assert_eq!(selector.wait(&mut events, LONG).unwrap(), 1);
    assert_eq!(selector.wait(&mut events, NOW).unwrap(), 0);
}

#[test]
fn a_full_buffer_is_not_writable_until_it_is_read() {
    let (one, mut other) = pair();
    one.set_nonblocking(true).unwrap();
    let mut poll = Poll::new();
    poll.register(&one, PollFlags::OUT).unwrap();
    assert_eq!(flags(&mut poll, LONG), [PollFlags::OUT]);
    let mut sent = 0;
    // It may take more for a while after it said no.
    while !flags(&mut poll, SHORT).is_empty() {
        while let Ok(more) = (&one).write(&[0; 65536]) {
            sent += more;
        }
    }
    let reader = thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        let mut left = sent;
        while left > 0 {
            left -= other.read(&mut buffer).unwrap();
        }
        other
    });
    assert_eq!(flags(&mut poll, LONG), [PollFlags::OUT]);
    reader.join().unwrap();
}

#[test]
fn the_errors_of_changes_say_what_is_wrong() {
    let kqueue = Kqueue::new().unwrap();
    let mut entries = [Kevent::default(); 2];
    let changes =
        [Kevent::from_ident(2, Filter::Vnode), Kevent::from_ident(1, Filter::Timer).with_data(-1)];
    assert_eq!(kqueue.control(&changes, &mut entries, NOW).unwrap(), 2);
    let errors = entries.map(|entry| entry.error().unwrap());
    assert_eq!(errors[0].kind(), std::io::ErrorKind::Unsupported);
    assert!(errors[0].to_string().contains("no such filter"), "{}", errors[0]);
    assert_eq!(errors[1].kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(errors.each_ref().map(os_error), entries.map(|entry| Some(entry.data as i32)));
}

#[test]
fn kqueue_counts_what_there_is_to_read() {
    let (one, mut other) = pair();
    let kqueue = Kqueue::new().unwrap();
    let change = Kevent::new(&one, Filter::Read);
    let mut events = [Kevent::default(); 4];
    assert_eq!(kqueue.control(&[change], &mut events, NOW).unwrap(), 0);
    other.write_all(b"hello").unwrap();
    // All of it has come.
    while one.peek(&mut [0; 8]).unwrap() < 5 {}
    assert_eq!(kqueue.control(&[], &mut events, LONG).unwrap(), 1);
    assert_eq!((events[0].ident, events[0].data), (change.ident, 5));

    let listener = TcpListener::bind(LOCAL).unwrap();
    let change = Kevent::new(&listener, Filter::Read);
    let kqueue = Kqueue::new().unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert_eq!(kqueue.control(&[change], &mut events, LONG).unwrap(), 1);
    assert_eq!(events[0].data, 1);
}
