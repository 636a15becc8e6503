//! `EVFILT_READ`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
#[cfg(not(readiness_backend = "poll"))]
use std::os::fd::FromRawFd;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use socket2::{Domain, SockRef, Socket, Type};

use crate::common::*;

fn kqueue_of(source: &impl AsSource, flags: KeventFlags) -> Kqueue {
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[read(source).with_flags(flags)]);
    kqueue
}

#[test]
fn data_is_the_number_of_bytes() {
    // "data contains the number of bytes of protocol data available to read."
    let (mut tx, mut rx) = UnixStream::pair().unwrap();
    let kqueue = kqueue_of(&rx, add(KeventFlags::empty()));
    none(&kqueue);
    tx.write_all(b"hello").unwrap();
    let event = one(&kqueue);
    assert_eq!((event.ident, event.filter, event.data), (rx.as_raw_fd() as usize, Filter::Read, 5));
    assert_eq!((event.flags, event.fflags), (KeventFlags::empty(), NoteFlags::empty()));
    rx.read_exact(&mut [0; 2]).unwrap();
    assert_eq!(one(&kqueue).data, 3, "level: it is still there");
    rx.read_exact(&mut [0; 3]).unwrap();
    // "If the filter indicates that the condition that triggered the event no
    // longer holds, the kevent is removed from the kqueue and is not returned."
    none(&kqueue);
}

#[test]
fn clear_reports_each_arrival_once() {
    // "After the event is retrieved by the user, its state is reset."
    let (mut tx, mut rx) = UnixStream::pair().unwrap();
    let kqueue = kqueue_of(&rx, add(CLEAR));
    tx.write_all(b"one").unwrap();
    assert_eq!(one(&kqueue).data, 3);
    quiet(&kqueue);
    tx.write_all(b"two").unwrap();
    let event = one(&kqueue);
    assert_eq!(event.data, 6);
    assert!(event.flags.contains(CLEAR));
    rx.read_exact(&mut [0; 1]).unwrap();
    quiet(&kqueue);
}

#[test]
fn the_next_change_is_told_at_once_to_who_says_would_block() {
    let (mut tx, mut rx) = UnixStream::pair().unwrap();
    rx.set_nonblocking(true).unwrap();
    let kqueue = kqueue_of(&rx, add(CLEAR));
    // Where the host has levels only, reports of the same would come ever later.
    for round in 0..20 {
        tx.write_all(b"x").unwrap();
        assert_eq!(one(&kqueue).data, 1, "round {round}");
        rx.read_exact(&mut [0; 1]).unwrap();
        assert_eq!(rx.read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        kqueue.rearm(&rx).unwrap();
    }
    kqueue.rearm(&tx).unwrap();
}

#[test]
fn what_was_said_to_be_closed_is_not_told() {
    let (mut tx, rx) = UnixStream::pair().unwrap();
    let rx = high(rx);
    let kqueue = kqueue_of(&rx, add(KeventFlags::empty()));
    let name = rx.raw_source();
    tx.write_all(b"x").unwrap();
    let gone = read(&rx).with_flags(DELETE);
    drop(rx);
    kqueue.closed(name);
    none(&kqueue);
    assert_eq!(error(&kqueue, gone), libc::EBADF);
}

#[test]
fn data_that_is_there_before_is_found() {
    // "The filter is executed upon the initial registration of a kevent in order to
    // detect whether a preexisting condition is present".
    for flags in [KeventFlags::empty(), CLEAR, KeventFlags::ONESHOT, KeventFlags::DISPATCH] {
        let (mut tx, rx) = UnixStream::pair().unwrap();
        tx.write_all(b"x").unwrap();
        assert_eq!(one(&kqueue_of(&rx, add(flags))).data, 1);
    }
}

#[test]
fn add_disable_enable_delete() {
    let (mut tx, rx) = UnixStream::pair().unwrap();
    let kqueue = kqueue_of(&rx, add(KeventFlags::DISABLE));
    tx.write_all(b"x").unwrap();
    none(&kqueue);
    change(&kqueue, &[read(&rx).with_flags(KeventFlags::ENABLE)]);
    assert_eq!(one(&kqueue).data, 1);
    change(&kqueue, &[read(&rx).with_flags(KeventFlags::DISABLE)]);
    none(&kqueue);
    // "Adding an event automatically enables it".
    change(&kqueue, &[read(&rx)]);
    assert_eq!(one(&kqueue).data, 1);
    change(&kqueue, &[read(&rx).with_flags(DELETE)]);
    none(&kqueue);
    assert_eq!(error(&kqueue, read(&rx).with_flags(DELETE)), libc::ENOENT);
    assert_eq!(error(&kqueue, write(&rx).with_flags(DELETE)), libc::ENOENT);
}

#[test]
fn oneshot_and_dispatch() {
    let (mut tx, rx) = UnixStream::pair().unwrap();
    tx.write_all(b"x").unwrap();
    let kqueue = kqueue_of(&rx, add(KeventFlags::ONESHOT));
    assert_eq!(one(&kqueue).data, 1);
    none(&kqueue);
    assert_eq!(error(&kqueue, read(&rx).with_flags(DELETE)), libc::ENOENT);

    let kqueue = kqueue_of(&rx, add(KeventFlags::DISPATCH));
    assert_eq!(one(&kqueue).data, 1);
    none(&kqueue);
    change(&kqueue, &[read(&rx).with_flags(KeventFlags::ENABLE)]);
    assert_eq!(one(&kqueue).data, 1);
    none(&kqueue);
    change(&kqueue, &[read(&rx).with_flags(DELETE)]);
}

#[test]
fn a_modify_replaces_udata_and_the_mark_but_not_the_flags() {
    let (mut tx, rx) = UnixStream::pair().unwrap();
    let kqueue = Kqueue::new().unwrap();
    let mark = read(&rx).with_fflags(NoteFlags::LOWAT).with_data(3).with_udata(1);
    change(&kqueue, &[mark.with_flags(add(CLEAR))]);
    tx.write_all(b"xx").unwrap();
    none(&kqueue);
    change(&kqueue, &[mark.with_data(2).with_udata(2)]);
    let event = one(&kqueue);
    assert_eq!((event.data, event.udata), (2, 2));
    assert!(event.flags.contains(CLEAR), "as it was added");
    change(&kqueue, &[read(&rx).with_udata(9)]);
    assert_eq!(one(&kqueue).udata, 9, "a modify reports the present state");
    quiet(&kqueue);
}

#[test]
fn a_mark_of_its_own_for_each_knote() {
    // "This may be overridden with a per-filter low water mark at the time the
    // filter is added by setting the NOTE_LOWAT flag in fflags, and specifying the
    // new low water mark in data."
    let (mut tx, mut rx) = UnixStream::pair().unwrap();
    let (low, high) = (Kqueue::new().unwrap(), Kqueue::new().unwrap());
    let mark = |n| read(&rx).with_fflags(NoteFlags::LOWAT).with_data(n);
    change(&low, &[mark(2)]);
    change(&high, &[mark(5)]);
    tx.write_all(b"abc").unwrap();
    assert_eq!(one(&low).data, 3);
    none(&high);
    tx.write_all(b"de").unwrap();
    assert_eq!(one(&high).data, 5);
    assert_eq!(one(&high).data, 5, "level");
    rx.read_exact(&mut [0; 4]).unwrap();
    none(&high);
    none(&low);
    tx.write_all(b"fghi").unwrap();
    assert_eq!(one(&high).data, 5);
    drop(tx);
    rx.read_exact(&mut [0; 4]).unwrap();
    let event = one(&high);
    assert_eq!((event.data, event.flags), (1, EOF), "the end is reported below the mark");
}

#[test]
fn the_end_of_a_stream() {
    // "If the read direction of the socket has shutdown, then the filter also sets
    // EV_EOF in flags, and returns the socket error (if any) in fflags. It is
    // possible for EOF to be returned (indicating the connection is gone) while
    // there is still data pending in the socket buffer."
    let (mut tx, mut rx) = UnixStream::pair().unwrap();
    let kqueue = kqueue_of(&rx, add(KeventFlags::empty()));
    tx.write_all(b"last").unwrap();
    tx.shutdown(std::net::Shutdown::Write).unwrap();
    let event = one(&kqueue);
    assert_eq!((event.data, event.flags, event.fflags), (4, EOF, NoteFlags::empty()));
    rx.read_exact(&mut [0; 4]).unwrap();
    let event = one(&kqueue);
    assert_eq!((event.data, event.flags), (0, EOF));
}

#[test]
fn the_end_of_a_pipe() {
    // "When the last writer disconnects, the filter will set EV_EOF in flags."
    let (mut rx, mut tx) = std::io::pipe().unwrap();
    let kqueue = kqueue_of(&rx, add(KeventFlags::empty()));
    none(&kqueue);
    tx.write_all(b"abc").unwrap();
    let event = one(&kqueue);
    assert_eq!((event.data, event.flags), (3, KeventFlags::empty()));
    let second = tx.try_clone().unwrap();
    drop(tx);
    assert_eq!(one(&kqueue).flags, KeventFlags::empty(), "there is another writer");
    drop(second);
    let event = one(&kqueue);
    assert_eq!((event.data, event.flags), (3, EOF));
    rx.read_exact(&mut [0; 3]).unwrap();
    let event = one(&kqueue);
    assert_eq!((event.data, event.flags), (0, EOF));
}

#[test]
fn the_connections_that_wait() {
    // "Sockets which have previously been passed to listen(2) return when there is
    // an incoming connection pending. data contains the size of the listen backlog."
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let kqueue = kqueue_of(&listener, add(KeventFlags::empty()));
    none(&kqueue);
    let address = listener.local_addr().unwrap();
    let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert_eq!(one(&kqueue).data, 3);
    listener.accept().unwrap();
    assert_eq!(one(&kqueue).data, 2);
    listener.accept().unwrap();
    listener.accept().unwrap();
    none(&kqueue);
    drop(clients);
}

#[test]
fn the_connections_that_wait_at_a_path() {
    let path = std::env::temp_dir().join(format!("kqueue-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let kqueue = kqueue_of(&listener, add(KeventFlags::empty()));
    none(&kqueue);
    let clients: Vec<_> = (0..3).map(|_| UnixStream::connect(&path).unwrap()).collect();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(one(&kqueue).data, 3);
    listener.accept().unwrap();
    assert_eq!(one(&kqueue).data, 2);
    drop(clients);
}

#[test]
fn a_socket_may_begin_to_listen_later() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let address: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&address.into()).unwrap();
    let kqueue = kqueue_of(&socket, add(KeventFlags::empty()));
    // Linux calls it hung up; FreeBSD has nothing to say yet.
    none(&kqueue);
    socket.listen(8).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let _client = TcpStream::connect(address).unwrap();
    let event = one(&kqueue);
    assert_eq!((event.data, event.flags), (1, KeventFlags::empty()));
}

#[test]
fn a_reset_is_an_end_with_its_error_and_takes_nothing_away() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    let kqueue = kqueue_of(&server, add(KeventFlags::empty()));
    SockRef::from(&client).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
    for _ in 0..2 {
        let event = one(&kqueue);
        assert_eq!(event.flags, EOF);
        assert_eq!(event.fflags.bits(), libc::ECONNRESET as u32);
    }
    let error = server.take_error().unwrap().expect("it is still there");
    assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
    let event = one(&kqueue);
    assert_eq!((event.flags, event.fflags.bits()), (EOF, 0), "the program has it now");
}

#[test]
fn a_refused_connection_is_an_end_with_its_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    let _ = socket.connect(&address.into());
    let kqueue = kqueue_of(&socket, add(KeventFlags::empty()));
    change(&kqueue, &[write(&socket)]);
    let mut events = Vec::new();
    while events.len() < 2 {
        events = wait(&kqueue, SOON);
    }
    for event in events {
        assert!(event.flags.contains(EOF), "{event:?}");
        assert_eq!(event.fflags.bits(), libc::ECONNREFUSED as u32);
    }
    let error = socket.take_error().unwrap().expect("it is still there");
    assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
}

#[test]
fn the_error_of_a_local_socket() {
    let (mut tx, rx) = UnixStream::pair().unwrap();
    let kqueue = kqueue_of(&tx, add(KeventFlags::empty()));
    // Closed with data unread.
    tx.write_all(b"never read").unwrap();
    drop(rx);
    let event = one(&kqueue);
    assert_eq!((event.flags, event.fflags.bits()), (EOF, libc::ECONNRESET as u32));
    assert_eq!(tx.take_error().unwrap().unwrap().raw_os_error(), Some(libc::ECONNRESET));
}

#[test]
fn datagrams() {
    let rx = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tx = UdpSocket::bind("127.0.0.1:0").unwrap();
    let kqueue = kqueue_of(&rx, add(KeventFlags::empty()));
    tx.send_to(b"12345", rx.local_addr().unwrap()).unwrap();
    let event = one(&kqueue);
    assert_eq!((event.data, event.flags), (5, KeventFlags::empty()));
    rx.recv(&mut [0; 16]).unwrap();
    none(&kqueue);
    // An empty one is there to be read too.
    tx.send_to(b"", rx.local_addr().unwrap()).unwrap();
    assert_eq!(one(&kqueue).data, 0);
    rx.recv(&mut [0; 16]).unwrap();
    none(&kqueue);
}

fn file(content: &[u8]) -> File {
    let mut file = {
        let path = std::env::temp_dir().join(format!(
            "kqueue-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file
    };
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    file
}

#[test]
fn a_file_is_ready_when_it_is_not_at_its_end() {
    // "Vnodes: Returns when the file pointer is not at the end of file. data
    // contains the offset from current position to end of file, and may be
    // negative."
    let mut file = file(b"0123456789");
    let kqueue = kqueue_of(&file, add(KeventFlags::empty()));
    assert_eq!(one(&kqueue).data, 10);
    file.seek(SeekFrom::Start(7)).unwrap();
    assert_eq!(one(&kqueue).data, 3);
    file.seek(SeekFrom::Start(12)).unwrap();
    let event = one(&kqueue);
    assert_eq!((event.data, event.flags), (-2, KeventFlags::empty()));
    file.seek(SeekFrom::Start(10)).unwrap();
    none(&kqueue);
}

#[test]
fn a_file_at_its_end_is_ready_for_a_poll() {
    // NOTE_FILE_POLL: "Causes EVFILT_READ filters to behave like poll(2)".
    let file = file(b"");
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[read(&file).with_fflags(NoteFlags::FILE_POLL)]);
    assert_eq!(one(&kqueue).data, 0);
    assert_eq!(one(&kqueue).data, 0);
    change(&kqueue, &[read(&file)]);
    none(&kqueue);
}

#[test]
fn directories_and_devices() {
    let null = File::open("/dev/null").unwrap();
    let kqueue = kqueue_of(&null, add(KeventFlags::empty()));
    assert_eq!(one(&kqueue).filter, Filter::Read);
    let directory = File::open(".").unwrap();
    change(&Kqueue::new().unwrap(), &[read(&directory)]);
}

#[test]
fn a_closed_descriptor_ends_its_knotes() {
    // "Calling close() on a file descriptor will remove any kevents that reference
    // the descriptor."
    for flags in [KeventFlags::empty(), CLEAR] {
        let (mut tx, rx) = UnixStream::pair().unwrap();
        let rx = high(rx);
        let kqueue = kqueue_of(&rx, add(flags));
        let gone = read(&rx).with_flags(DELETE);
        tx.write_all(b"x").unwrap();
        drop(rx);
        none(&kqueue);
        assert_eq!(error(&kqueue, gone), libc::EBADF);
    }
}

/// A number that is closed while a duplicate lives, and given to another source.
fn reused(flags: KeventFlags) -> (Kqueue, UnixStream, UnixStream, UnixStream, UnixStream) {
    let (first_tx, first) = UnixStream::pair().unwrap();
    let (second_tx, second) = UnixStream::pair().unwrap();
    let kqueue = kqueue_of(&first, add(flags));
    let duplicate = first.try_clone().unwrap();
    let mut number: OwnedFd = first.into();
    dup2(&second, &mut number);
    drop(second);
    (kqueue, first_tx, duplicate, second_tx, number.into())
}

fn dup2(from: &impl AsFd, to: &mut OwnedFd) {
    // SAFETY: both are open, and `to` owns the number before and after.
    let done = unsafe { libc::dup2(from.as_fd().as_raw_fd(), to.as_raw_fd()) };
    assert_eq!(done, to.as_raw_fd());
}

#[test]
fn a_reused_number_never_answers_under_the_old_knote() {
    for flags in [KeventFlags::empty(), CLEAR] {
        // Traffic of the new source.
        let (kqueue, _old_tx, _duplicate, mut new_tx, new) = reused(flags);
        new_tx.write_all(b"new").unwrap();
        none(&kqueue);
        // Traffic of the old one, which the duplicate keeps alive.
        let (kqueue, mut old_tx, _duplicate, mut new_tx, new2) = reused(flags);
        old_tx.write_all(b"old").unwrap();
        none(&kqueue);
        // The knote is gone, the number can be registered again, and what stayed
        // of the old one does no harm.
        assert_eq!(error(&kqueue, read(&new2).with_flags(DELETE)), libc::ENOENT);
        change(&kqueue, &[read(&new2).with_udata(2)]);
        none(&kqueue);
        old_tx.write_all(b"old").unwrap();
        none(&kqueue);
        new_tx.write_all(b"newer").unwrap();
        let event = one(&kqueue);
        assert_eq!((event.data, event.udata), (5, 2));
        drop(new);
    }
}

// poll(2) cannot tell.
#[cfg(not(readiness_backend = "poll"))]
#[test]
fn eventfds_are_told_apart_too() {
    // They share one inode: only the kernel's own set knows.
    let eventfd = || {
        // SAFETY: no pointers; the descriptor is new.
        unsafe { OwnedFd::from_raw_fd(libc::eventfd(0, libc::EFD_NONBLOCK)) }
    };
    let fire = |fd: &OwnedFd| {
        // SAFETY: there are eight bytes.
        let n = unsafe { libc::write(fd.as_raw_fd(), (&raw const ONE).cast(), 8) };
        assert_eq!(n, 8);
    };
    static ONE: u64 = 1;
    let mut number = high(eventfd());
    let (old, new) = (number.try_clone().unwrap(), eventfd());
    let kqueue = kqueue_of(&number, add(KeventFlags::empty()));
    fire(&number);
    assert_eq!(one(&kqueue).data, 1);
    dup2(&new, &mut number);
    fire(&new);
    // Both are ready. The knote was for the old one, which has this number no more.
    none(&kqueue);
    assert_eq!(error(&kqueue, read(&number).with_flags(DELETE)), libc::ENOENT);
    change(&kqueue, &[read(&number)]);
    one(&kqueue);
    drop(old);
}

#[test]
fn a_file_that_has_got_the_number_is_registered_anew() {
    let (rx, _tx) = UnixStream::pair().unwrap();
    let mut file = OwnedFd::from(rx);
    let kqueue = kqueue_of(&file, add(KeventFlags::empty()));
    dup2(&File::open(std::env::current_exe().unwrap()).unwrap(), &mut file);
    assert_eq!(error(&kqueue, read(&file).with_flags(KeventFlags::ENABLE)), libc::ENOENT);
    change(&kqueue, &[read(&file)]);
    let size = File::from(file.try_clone().unwrap()).metadata().unwrap().len();
    assert_eq!(one(&kqueue).data, size as i64);
    change(&kqueue, &[read(&file).with_flags(DELETE)]);
    assert_eq!(error(&kqueue, read(&file).with_flags(DELETE)), libc::ENOENT);
}

#[test]
fn adding_a_reused_number_watches_the_new_source() {
    let (kqueue, mut old_tx, _duplicate, mut new_tx, new) = reused(KeventFlags::empty());
    change(&kqueue, &[read(&new).with_udata(3)]);
    old_tx.write_all(b"old").unwrap();
    none(&kqueue);
    new_tx.write_all(b"news").unwrap();
    assert_eq!((one(&kqueue).data, one(&kqueue).udata), (4, 3));
}

#[test]
fn what_a_duplicate_keeps_alive_costs_no_spinning() {
    use std::time::{Duration, Instant};
    let (kqueue, mut old_tx, _duplicate, _new_tx, _new) = reused(KeventFlags::empty());
    old_tx.write_all(b"old").unwrap();
    none(&kqueue);
    // Its descriptor is not readable either.
    let poll = readiness::select([&kqueue], [], [], BRIEFLY).unwrap();
    assert!(poll.read.is_empty());
    let begin = Instant::now();
    let used = cpu();
    assert!(wait(&kqueue, Some(Duration::from_millis(300))).is_empty());
    assert!(begin.elapsed() >= Duration::from_millis(300));
    assert!(cpu() - used < Duration::from_millis(100));
}

/// The processor time of this thread.
fn cpu() -> std::time::Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: there is room for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    std::time::Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn level_and_clear_in_the_two_directions_of_one_descriptor() {
    let (mut tx, rx) = UnixStream::pair().unwrap();
    let kqueue = Kqueue::new().unwrap();
    let times = |filter: Filter| {
        let events = (0..10).flat_map(|_| wait(&kqueue, NOW));
        events.filter(|event| event.filter == filter).count()
    };
    change(&kqueue, &[read(&rx), write(&rx).with_flags(add(CLEAR))]);
    assert_eq!(one(&kqueue).filter, Filter::Write);
    quiet(&kqueue);
    tx.write_all(b"x").unwrap();
    assert_eq!(times(Filter::Read), 10);
    assert!(times(Filter::Write) <= 1, "none, or again where the host has no edges");

    change(&kqueue, &[read(&rx).with_flags(DELETE), write(&rx).with_flags(DELETE)]);
    change(&kqueue, &[read(&rx).with_flags(add(CLEAR)), write(&rx)]);
    assert_eq!(wait(&kqueue, SOON).len(), 2);
    assert_eq!(times(Filter::Write), 10);
    assert!(times(Filter::Read) <= 1);
    change(&kqueue, &[write(&rx).with_flags(DELETE)]);
    quiet(&kqueue);
}

#[test]
fn small_buffers_starve_nobody() {
    let kqueue = Kqueue::new().unwrap();
    let pairs: Vec<_> = (0..5).map(|_| UnixStream::pair().unwrap()).collect();
    for (tx, rx) in &pairs {
        (&mut &*tx).write_all(b"x").unwrap();
        change(&kqueue, &[read(rx), write(rx)]);
    }
    let user = Kevent::from_ident(1, Filter::User).with_fflags(NoteFlags::TRIGGER);
    // One that has always expired.
    let timer = Kevent::from_ident(1, Filter::Timer).with_fflags(NoteFlags::NSECONDS);
    change(&kqueue, &[user, timer]);
    let mut seen = std::collections::HashMap::<_, u32>::new();
    for _ in 0..240 {
        let mut events = [Kevent::default(); 1];
        assert_eq!(kqueue.control(&[], &mut events, SOON).unwrap(), 1);
        *seen.entry((events[0].ident, events[0].filter)).or_default() += 1;
    }
    assert_eq!(seen.len(), 12, "{seen:?}");
    assert!(seen.values().all(|times| *times >= 5), "{seen:?}");
}
