//! What sockets promise to every front end: the same cases natively and in WASI
//! 0.2, in wasmtime and in Node.

#![cfg(feature = "net")]
#![allow(missing_docs)]

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use readiness::net::{self, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use readiness::{
    AsSource, Epoll, EpollFlags, Events, Filter, Interest, Kevent, Kqueue, Mode, NoteFlags, Poll,
    PollFlags, Selector, select,
};

/// The host tells hang-ups and errors.
const TELLS_ENDS: bool =
    cfg!(any(target_os = "linux", all(target_os = "wasi", target_env = "p1", feature = "wasi-io")));
const SOON: Option<Duration> = Some(Duration::from_secs(20));
const A_MOMENT: Option<Duration> = Some(Duration::from_millis(50));
const IN: PollFlags = PollFlags::IN;
const OUT: PollFlags = PollFlags::OUT;
const HUP: PollFlags = PollFlags::HUP;
const ERR: PollFlags = PollFlags::ERR;
const RDHUP: PollFlags = PollFlags::RDHUP;
const ALL: PollFlags = IN.union(OUT).union(RDHUP);

/// Node, through jco: it reads for itself, so that a socket that is dropped may end
/// its connection instead of resetting it.
fn in_jco() -> bool {
    cfg!(target_os = "wasi") && std::env::var("READINESS_HOST").is_ok_and(|host| host == "jco")
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true).unwrap();
                return stream;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                assert!(!flags(listener, IN, SOON).is_empty(), "no connection came");
            }
            Err(error) => panic!("accept: {error}"),
        }
    }
}

/// Two ends of a connection that do not block.
fn pair() -> (TcpStream, TcpStream) {
    let (listener, address) = listener();
    let client = net::start_connect(&address).unwrap();
    let server = accept(&listener);
    assert!(flags(&client, OUT, SOON).contains(OUT));
    assert!(client.take_error().unwrap().is_none());
    (client, server)
}

/// What `Poll` says of one source.
fn flags(source: &impl AsSource, want: PollFlags, timeout: Option<Duration>) -> PollFlags {
    let mut poll = Poll::new();
    poll.register(source, want).unwrap();
    let mut events = poll.poll(timeout).unwrap();
    events.next().map_or(PollFlags::empty(), |event| event.flags)
}

/// Waits until `Poll` says exactly that, because the other side's doing takes time.
#[track_caller]
fn assert_becomes(source: &impl AsSource, want: PollFlags, expected: PollFlags) {
    let begin = Instant::now();
    let expected = expected & (PollFlags::supported() | HUP | ERR);
    // wasi-libc's sockets may seem ready until a read or write has found nothing.
    let same = |last: PollFlags| match cfg!(target_env = "p2") {
        true => last.contains(expected),
        false => last == expected,
    };
    let mut last = flags(source, want, SOON);
    while !same(last) && begin.elapsed() < SOON.unwrap() {
        std::thread::yield_now();
        last = flags(source, want, A_MOMENT);
    }
    assert!(same(last), "{last:?} and not {expected:?}");
}

/// Writes a little: hosts take their time to notice that a connection is writable.
fn send(mut stream: &TcpStream, bytes: &[u8]) {
    assert!(flags(stream, OUT, SOON).contains(OUT));
    stream.write_all(bytes).unwrap();
}

fn read_all(mut stream: &TcpStream, expected: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    while bytes.len() < expected {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                assert!(!flags(stream, IN, SOON).is_empty(), "nothing came");
            }
            Err(error) => panic!("read: {error}"),
        }
    }
    bytes
}

#[test]
fn a_listener_is_readable_when_a_connection_waits() {
    let (listener, address) = listener();
    assert_eq!(flags(&listener, ALL, A_MOMENT), PollFlags::empty());
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    let client = net::start_connect(&address).unwrap();
    assert_becomes(&listener, IN, IN);
    let (server, peer) = listener.accept().unwrap();
    assert!(flags(&client, OUT, SOON).contains(OUT));
    assert_eq!(client.local_addr().unwrap(), peer);
    assert_eq!(server.peer_addr().unwrap(), peer);
    assert_eq!(server.local_addr().unwrap(), address);
    assert_eq!(flags(&listener, IN, A_MOMENT), PollFlags::empty());
}

#[test]
fn a_kqueue_tells_how_much_there_is_to_read() {
    // wasi-libc's sockets do not count: a mark is for what is counted.
    let counts = !cfg!(target_env = "p2");
    let (client, server) = pair();
    let kqueue = Kqueue::new().unwrap();
    let mark = Kevent::new(&server, Filter::Read).with_fflags(NoteFlags::LOWAT).with_data(5);
    assert_eq!(kqueue.control(&[mark], &mut [], None).unwrap(), 0);
    let mut events = [Kevent::default(); 2];
    send(&client, b"hell");
    let early = kqueue.control(&[], &mut events, A_MOMENT).unwrap();
    assert!(early == 0 || !counts);
    send(&client, b"o");
    assert_eq!(kqueue.control(&[], &mut events, SOON).unwrap(), 1);
    assert_eq!(events[0].data, if counts { 5 } else { 1 });
    assert_eq!(read_all(&server, 5), b"hello");
}

#[test]
fn a_connection_that_is_made_is_writable_and_has_no_error() {
    let (client, server) = pair();
    assert_becomes(&client, ALL, OUT);
    assert_becomes(&server, ALL, OUT);
    assert_eq!((&client).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_blocking_connect_connects() {
    let (listener, address) = listener();
    let mut client = TcpStream::connect(address).unwrap();
    let server = accept(&listener);
    client.write_all(b"over here").unwrap();
    client.flush().unwrap();
    assert_eq!(read_all(&server, 9), b"over here");
    server.set_nonblocking(false).unwrap();
    (&server).write_all(b"and back").unwrap();
    let mut answer = [0; 8];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"and back");
    let timeout = Duration::from_millis(20);
    client.set_read_timeout(Some(timeout)).unwrap();
    let begin = Instant::now();
    let kind = client.read(&mut answer).unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{kind:?}");
    assert!(begin.elapsed() >= timeout);
}

#[test]
fn a_connection_that_is_refused_says_so() {
    let (listener, address) = listener();
    drop(listener);
    let kind = match net::start_connect(&address) {
        Err(error) => error.kind(),
        Ok(client) => {
            let failed = if TELLS_ENDS { ALL | HUP | ERR } else { IN | OUT };
            if cfg!(any(target_os = "linux", target_os = "wasi")) {
                assert_becomes(&client, ALL, failed);
            } else {
                assert!(flags(&client, ALL, SOON).intersects(ALL | HUP | ERR));
            }
            assert!(client.peer_addr().is_err());
            let kind = client.take_error().unwrap().expect("an error").kind();
            if !cfg!(target_env = "p2") {
                // wasi-libc's tells it for ever.
                assert!(client.take_error().unwrap().is_none(), "an error is told once");
            }
            kind
        }
    };
    assert_eq!(kind, ErrorKind::ConnectionRefused);
    let error = TcpStream::connect(address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn data_is_readable_until_it_is_read() {
    let (client, server) = pair();
    send(&server, b"hello");
    assert_becomes(&client, ALL, IN | OUT);
    let mut bytes = [0; 3];
    if !cfg!(target_env = "p2") {
        // wasi-libc's cannot.
        assert_eq!(client.peek(&mut bytes).unwrap(), 3);
    }
    assert_eq!((&client).read(&mut bytes).unwrap(), 3);
    assert_eq!(&bytes, b"hel");
    // What is left is still there.
    assert_becomes(&client, ALL, IN | OUT);
    assert_eq!((&client).read(&mut bytes).unwrap(), 2);
    assert_becomes(&client, ALL, OUT);
}

#[test]
fn a_slow_peer_makes_a_stream_unwritable_until_it_reads() {
    let (client, server) = pair();
    let piece: Vec<u8> = (0..65_536u32).map(|at| (at % 251) as u8).collect();
    let mut sent = 0;
    let begin = Instant::now();
    // Hosts take their time to notice that there is no room.
    while !flags(&client, OUT, A_MOMENT).is_empty() {
        match (&client).write(&piece[sent % piece.len()..]) {
            Ok(count) => sent += count,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        assert!(begin.elapsed() < SOON.unwrap() * 2, "the peer takes any amount");
    }
    assert!(sent > piece.len());
    // It may take a little more, but no end of it.
    let error = loop {
        match (&client).write(&piece[sent % piece.len()..]) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);

    let received = read_all(&server, sent);
    assert_eq!(received.len(), sent);
    assert!(received.iter().enumerate().all(|(at, byte)| *byte == piece[at % piece.len()]));
    assert_becomes(&client, OUT, OUT);
    send(&client, b"more");
    assert_eq!(read_all(&server, 4), b"more");
}

#[test]
fn half_a_connection_goes_on_when_the_other_half_is_shut() {
    let (client, server) = pair();
    send(&client, b"last words");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!((&client).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_becomes(&server, ALL, ALL);
    assert_eq!(read_all(&server, 100), b"last words");
    // The end of file stays.
    assert_becomes(&server, ALL, ALL);
    assert_eq!((&server).read(&mut [0; 8]).unwrap(), 0);
    if in_jco() {
        return; // It ends the other half too.
    }
    send(&server, b"answer");
    assert_eq!(read_all(&client, 6), b"answer");
    if TELLS_ENDS {
        server.shutdown(Shutdown::Write).unwrap();
        assert_becomes(&client, ALL, ALL | HUP);
        assert_becomes(&server, ALL, ALL | HUP);
    }
}

#[test]
fn a_reading_half_that_is_shut_is_at_its_end() {
    let (client, _server) = pair();
    client.shutdown(Shutdown::Read).unwrap();
    assert_becomes(&client, ALL, ALL);
    assert_eq!((&client).read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn a_reset_is_an_error_that_is_told_once() {
    let (client, server) = pair();
    send(&client, b"nobody reads this");
    // It has to be there before the server goes, without being read ahead.
    std::thread::sleep(Duration::from_millis(100));
    drop(server);
    if in_jco() {
        // It may have read what the server did not: then it is an end, and no reset.
        let ends = |flags: PollFlags| flags.contains(ALL);
        let begin = Instant::now();
        while !ends(flags(&client, ALL, A_MOMENT)) {
            assert!(begin.elapsed() < SOON.unwrap());
        }
        return;
    }
    if TELLS_ENDS {
        assert_becomes(&client, ALL, ALL | HUP | ERR);
    } else {
        assert!(flags(&client, IN, SOON).contains(IN));
    }
    let error = (&client).read(&mut [0; 8]).unwrap_err();
    if !TELLS_ENDS {
        return; // There wasi-libc knows no more than that it failed.
    }
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_becomes(&client, ALL, ALL | HUP);
    assert_eq!((&client).read(&mut [0; 8]).unwrap(), 0);
    assert_eq!((&client).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn every_front_end_takes_sockets() {
    let (listener, address) = listener();
    let (idle, (client, server)) = (pair(), pair());
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sources: [&dyn AsSource; 4] = [&listener, &idle.0, &server, &udp];
    let _connection = net::start_connect(&address).unwrap();
    send(&client, b"x");
    udp.send_to(b"x", udp.local_addr().unwrap()).unwrap();
    let mut ready: Vec<_> = [sources[0], sources[2], sources[3]].map(AsSource::raw_source).into();
    ready.sort();

    let begin = Instant::now();
    let all_ready = |mut see: Box<dyn FnMut() -> Vec<readiness::RawSource> + '_>| loop {
        let mut seen = see();
        seen.sort();
        if seen == ready {
            break;
        }
        assert!(!seen.contains(&sources[1].raw_source()), "it is idle");
        assert!(begin.elapsed() < SOON.unwrap() * 3, "{seen:?}");
    };
    let raw = |at: usize| sources[at].raw_source();
    all_ready(Box::new(|| {
        let found = select(sources, [], [], SOON).unwrap().read;
        found.iter().map(|source| source.raw_source()).collect()
    }));
    let mut poll = Poll::new();
    let epoll = Epoll::new().unwrap();
    let selector = Selector::new().unwrap();
    let kqueue = Kqueue::new().unwrap();
    for (at, source) in sources.iter().enumerate() {
        poll.register(source, IN).unwrap();
        epoll.register_with_data(source, EpollFlags::IN, at as u64).unwrap();
        selector.register(source, at as u64, Interest::READ, Mode::Level).unwrap();
        let change = Kevent::new(source, Filter::Read).with_udata(at);
        kqueue.control(&[change], &mut [], SOON).unwrap();
    }
    all_ready(Box::new(|| poll.poll(SOON).unwrap().map(|event| event.source).collect()));
    all_ready(Box::new(|| {
        let found = epoll.poll(SOON, None).unwrap();
        found.iter().map(|event| raw(event.data() as usize)).collect()
    }));
    let mut events = Events::with_capacity(8);
    all_ready(Box::new(|| {
        selector.wait(&mut events, SOON).unwrap();
        events.iter().map(|event| raw(event.token() as usize)).collect()
    }));
    let mut found = [Kevent::default(); 8];
    all_ready(Box::new(|| {
        let count = kqueue.control(&[], &mut found, SOON).unwrap();
        found[..count].iter().map(|event| raw(event.udata)).collect()
    }));
}

#[test]
fn datagrams_are_readable_one_by_one() {
    let [one, other] = [(); 2].map(|()| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    });
    let (from, to) = (one.local_addr().unwrap(), other.local_addr().unwrap());
    assert_becomes(&other, IN | OUT, OUT);
    assert_eq!(other.recv_from(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    for text in ["first", "second"] {
        assert!(flags(&one, OUT, SOON).contains(OUT));
        assert_eq!(one.send_to(text.as_bytes(), to).unwrap(), text.len());
    }
    assert_becomes(&other, IN, IN);
    let mut bytes = [0; 64];
    if !cfg!(target_env = "p2") {
        assert_eq!(other.peek_from(&mut bytes).unwrap(), (5, from));
    }
    assert_eq!(other.recv_from(&mut bytes).unwrap(), (5, from));
    assert_eq!(&bytes[..5], b"first");
    assert_becomes(&other, IN, IN);
    assert_eq!(other.recv_from(&mut bytes).unwrap(), (6, from));
    assert_eq!(other.recv_from(&mut bytes).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(flags(&other, IN, A_MOMENT), PollFlags::empty());

    other.connect(from).unwrap();
    assert_eq!(other.peer_addr().unwrap(), from);
    assert!(flags(&other, OUT, SOON).contains(OUT));
    assert_eq!(other.send(b"back").unwrap(), 4);
    assert_becomes(&one, IN, IN);
    assert_eq!(one.recv(&mut bytes).unwrap(), 4);
}

#[test]
fn a_receive_that_blocks_gives_up_after_its_time_also_when_there_was_something_before() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
    let mut buffer = [0; 8];
    assert_eq!(socket.recv_from(&mut buffer).unwrap().0, 1);
    let time = Duration::from_millis(30);
    if socket.set_read_timeout(Some(time)).is_err() {
        return; // wasi-libc has none.
    }
    let begin = Instant::now();
    let kind = socket.recv_from(&mut buffer).unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{kind:?}");
    assert!(begin.elapsed() >= time - Duration::from_millis(1));

    let (client, server) = pair();
    send(&client, b"x");
    server.set_nonblocking(false).unwrap();
    assert_eq!((&server).read(&mut buffer).unwrap(), 1);
    server.set_read_timeout(Some(time)).unwrap();
    let begin = Instant::now();
    let kind = (&server).read(&mut buffer).unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{kind:?}");
    assert!(begin.elapsed() >= time - Duration::from_millis(1));
}

#[test]
fn of_many_listeners_those_with_a_connection_are_readable() {
    let listeners: Vec<_> = (0..50).map(|_| listener()).collect();
    let mut clients = Vec::new();
    for (_, address) in listeners.iter().step_by(7) {
        clients.push(net::start_connect(address).unwrap());
    }
    for (at, (listener, _)) in listeners.iter().enumerate() {
        if at % 7 == 0 {
            assert_becomes(listener, IN, IN);
        }
    }
    let ready = select(listeners.iter().map(|(listener, _)| listener), [], [], SOON).unwrap();
    let ready: Vec<_> = ready.read.iter().map(|listener| listener.raw_source()).collect();
    let expected: Vec<_> = listeners.iter().step_by(7).map(|(one, _)| one.raw_source()).collect();
    assert_eq!(ready, expected);
}

#[test]
fn a_thousand_connections_are_served() {
    const COUNT: usize = 1000;
    let (listener, address) = listener();
    let selector = Selector::new().unwrap();
    let mut events = Events::with_capacity(256);
    selector.register(&listener, u64::MAX, Interest::READ, Mode::Level).unwrap();
    let mut clients = Vec::new();
    let mut servers = Vec::new();
    let begin = Instant::now();
    while servers.len() < COUNT {
        assert!(begin.elapsed() < SOON.unwrap() * 3, "{} were accepted", servers.len());
        for _ in 0..50.min(COUNT - clients.len()) {
            clients.push(net::start_connect(&address).unwrap());
        }
        selector.wait(&mut events, SOON).unwrap();
        while let Ok((server, _)) = listener.accept() {
            server.set_nonblocking(true).unwrap();
            servers.push(server);
        }
    }
    selector.unregister(&listener).unwrap();
    for (token, server) in (0..).zip(&servers) {
        selector.register(server, token, Interest::READ, Mode::Level).unwrap();
    }
    assert_eq!(selector.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
    for client in &clients {
        assert!(flags(client, OUT, SOON).contains(OUT));
        let port = client.local_addr().unwrap().port();
        send(client, &port.to_le_bytes());
    }
    let mut served = 0;
    while served < COUNT {
        assert!(selector.wait(&mut events, SOON).unwrap() > 0, "{served} were served");
        for event in &events {
            let mut server = &servers[event.token() as usize];
            let mut port = [0; 2];
            server.read_exact(&mut port).unwrap();
            assert_eq!(server.peer_addr().unwrap().port(), u16::from_le_bytes(port));
            selector.unregister(server).unwrap();
            served += 1;
        }
    }
    assert_eq!(selector.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
}

#[test]
fn timers_expire_among_sockets_and_sockets_are_seen_among_timers() {
    let (client, server) = pair();
    let (_idle, _other) = pair();
    let selector = Selector::new().unwrap();
    let begin = Instant::now();
    selector.register(&client, 1, Interest::READ, Mode::Level).unwrap();
    selector.register(&_idle, 2, Interest::READ, Mode::Level).unwrap();
    selector.add_periodic(3, Duration::from_millis(10), Duration::from_millis(10)).unwrap();
    let mut events = Events::with_capacity(8);
    let (mut beats, mut read) = (0, 0);
    while beats < 10 || read < 5 {
        assert!(begin.elapsed() < SOON.unwrap(), "{beats} beats, {read} read");
        selector.wait(&mut events, SOON).unwrap();
        for event in &events {
            match event.token() {
                3 => {
                    beats += event.expirations();
                    if read < 5 {
                        send(&server, b"x");
                    }
                }
                1 => match (&client).read(&mut [0; 1]) {
                    Ok(count) => read += count,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                },
                _ => panic!("the idle socket is not ready"),
            }
        }
    }
    assert!(begin.elapsed() >= Duration::from_millis(10) * 10);
}

#[test]
fn a_socket_is_seen_although_no_wait_ever_waits() {
    let (client, server) = pair();
    send(&server, b"x");
    let begin = Instant::now();
    let mut poll = Poll::new();
    poll.register(&client, IN).unwrap();
    while poll.poll(Some(Duration::ZERO)).unwrap().next().is_none() {
        assert!(begin.elapsed() < SOON.unwrap(), "it starves");
    }
}

#[test]
fn a_source_that_is_always_ready_starves_no_socket() {
    let (client, server) = pair();
    let (busy, _other) = pair();
    send(&server, b"x");
    let begin = Instant::now();
    let mut poll = Poll::new();
    poll.register(&busy, OUT).unwrap();
    poll.register(&client, IN).unwrap();
    loop {
        let ready: Vec<_> = poll.poll(SOON).unwrap().map(|event| event.source).collect();
        if ready.contains(&client.raw_source()) {
            break;
        }
        assert!(begin.elapsed() < SOON.unwrap(), "it starves");
    }
}

#[test]
fn a_socket_that_is_dropped_while_it_is_registered_is_not_open() {
    let (client, server) = pair();
    let mut poll = Poll::new();
    poll.register(&client, ALL).unwrap();
    poll.register(&server, IN).unwrap();
    let name = client.raw_source();
    drop(client);
    let told: Vec<_> = poll.poll(SOON).unwrap().map(|event| (event.source, event.flags)).collect();
    assert!(told.contains(&(name, PollFlags::NVAL)), "{told:?}");
    // The other side is told that it is gone.
    assert_eq!(read_all(&server, 1), b"");
    poll.unregister_raw(name).unwrap();
    assert_eq!(poll.unregister_raw(name).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_selector_forgets_a_socket_that_was_dropped_and_serves_the_others() {
    let (client, server) = pair();
    let (left, right) = pair();
    let selector = Selector::new().unwrap();
    selector.register(&client, 1, Interest::READ, Mode::Level).unwrap();
    selector.register(&left, 2, Interest::READ, Mode::Level).unwrap();
    drop(client);
    send(&right, b"x");
    let mut events = Events::with_capacity(8);
    let begin = Instant::now();
    while !events.iter().any(|event| event.token() == 2) {
        assert!(begin.elapsed() < SOON.unwrap());
        selector.wait(&mut events, SOON).unwrap();
        assert!(events.iter().all(|event| event.token() == 2), "{events:?}");
    }
    drop(server);
}

#[test]
fn sources_outlive_their_selector() {
    let (client, server) = pair();
    let selector = Selector::new().unwrap();
    selector.register(&client, 1, Interest::READ | Interest::WRITE, Mode::Level).unwrap();
    let mut events = Events::with_capacity(8);
    selector.wait(&mut events, SOON).unwrap();
    drop(selector);
    send(&server, b"still here");
    assert_eq!(read_all(&client, 10), b"still here");
}

#[test]
#[cfg_attr(target_env = "p2", ignore = "std clones no sockets on wasm32-wasip2")]
fn a_clone_keeps_a_socket_open() {
    let (client, server) = pair();
    let clone = client.try_clone().unwrap();
    drop(client);
    send(&server, b"x");
    assert_becomes(&clone, IN, IN);
    assert_eq!(read_all(&clone, 1), b"x");
}

#[test]
#[cfg_attr(target_env = "p2", ignore = "wasi-libc's sockets lose what the host still sends")]
fn what_was_written_arrives_after_the_stream_is_dropped() {
    let (client, server) = pair();
    let piece = vec![7; 65_536];
    let mut sent = 0;
    while let Ok(count) = (&client).write(&piece) {
        sent += count;
    }
    drop(client);
    let received = read_all(&server, usize::MAX);
    assert_eq!(received.len(), sent);
}

#[test]
fn an_edge_is_told_once_and_again_when_there_is_more() {
    let (client, server) = pair();
    let selector = Selector::new().unwrap();
    selector.register(&client, 1, Interest::READ, Mode::Edge).unwrap();
    let mut events = Events::with_capacity(8);
    let mut buffer = [0; 16];
    for _ in 0..3 {
        send(&server, b"x");
        assert_eq!(selector.wait(&mut events, SOON).unwrap(), 1);
        assert!(events.iter().all(|event| event.is_readable()));
        assert_eq!((&client).read(&mut buffer).unwrap(), 1);
        assert_eq!((&client).read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(selector.wait(&mut events, A_MOMENT).unwrap(), 0);
    }
}

#[test]
fn an_address_that_is_taken_is_an_error() -> io::Result<()> {
    let (_listener, address) = listener();
    assert_eq!(TcpListener::bind(address).unwrap_err().kind(), ErrorKind::AddrInUse);
    let elsewhere: SocketAddr = ([192, 0, 2, 1], 0).into();
    assert_eq!(TcpListener::bind(elsewhere).unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    Ok(())
}
