//! `EVFILT_WRITE`.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use socket2::{Domain, Socket, Type};

use crate::common::*;

fn kqueue_of(source: &impl AsSource, flags: KeventFlags) -> Kqueue {
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[write(source).with_flags(flags)]);
    kqueue
}

/// Writes until nothing more goes in.
fn fill(mut to: &UnixStream) -> usize {
    to.set_nonblocking(true).unwrap();
    let mut all = 0;
    while let Ok(n) = to.write(&[0; 4096]) {
        all += n;
    }
    all
}

#[test]
fn data_is_the_room_there_is() {
    // "For sockets, pipes and fifos, data will contain the amount of space
    // remaining in the write buffer."
    let (mut rx, mut tx) = std::io::pipe().unwrap();
    let kqueue = kqueue_of(&tx, add(KeventFlags::empty()));
    let size = one(&kqueue).data;
    assert!(size >= 4096);
    tx.write_all(&[0; 100]).unwrap();
    assert_eq!(one(&kqueue).data, size - 100);
    rx.read_exact(&mut [0; 100]).unwrap();
    assert_eq!(one(&kqueue).data, size);

    let (stream, _peer) = UnixStream::pair().unwrap();
    let kqueue = kqueue_of(&stream, add(KeventFlags::empty()));
    let before = one(&kqueue).data;
    assert!(before > 0);
    (&stream).write_all(&[0; 1000]).unwrap();
    assert!(one(&kqueue).data < before);
}

#[test]
fn a_full_buffer_is_not_ready_until_somebody_reads() {
    for flags in [KeventFlags::empty(), CLEAR] {
        let (mut rx, tx) = UnixStream::pair().unwrap();
        let mut full = fill(&tx);
        let kqueue = kqueue_of(&tx, add(flags));
        none(&kqueue);
        let mut buffer = [0; 65536];
        while full > 0 {
            full -= rx.read(&mut buffer).unwrap();
        }
        assert!(one(&kqueue).data > 0);
    }
}

#[test]
fn clear_reports_once() {
    let (tx, _rx) = UnixStream::pair().unwrap();
    let kqueue = kqueue_of(&tx, add(CLEAR));
    assert!(one(&kqueue).flags.contains(CLEAR));
    quiet(&kqueue);
    change(&kqueue, &[write(&tx)]);
    one(&kqueue);
    quiet(&kqueue);
}

#[test]
fn oneshot_dispatch_disable_and_delete() {
    let (tx, _rx) = UnixStream::pair().unwrap();
    let kqueue = kqueue_of(&tx, add(KeventFlags::ONESHOT));
    one(&kqueue);
    assert_eq!(error(&kqueue, write(&tx).with_flags(DELETE)), libc::ENOENT);
    let kqueue = kqueue_of(&tx, add(KeventFlags::DISPATCH));
    one(&kqueue);
    none(&kqueue);
    change(&kqueue, &[write(&tx).with_flags(KeventFlags::ENABLE).with_udata(6)]);
    assert_eq!(one(&kqueue).udata, 6);
    change(&kqueue, &[write(&tx), write(&tx).with_flags(KeventFlags::DISABLE)]);
    none(&kqueue);
    change(&kqueue, &[write(&tx).with_flags(DELETE)]);
    assert_eq!(error(&kqueue, write(&tx).with_flags(KeventFlags::ENABLE)), libc::ENOENT);
}

#[test]
fn a_mark_for_the_room() {
    let (mut rx, mut tx) = std::io::pipe().unwrap();
    let size = one(&kqueue_of(&tx, add(KeventFlags::empty()))).data;
    let kqueue = Kqueue::new().unwrap();
    let mark = write(&tx).with_fflags(NoteFlags::LOWAT).with_data(size);
    change(&kqueue, &[mark]);
    assert_eq!(one(&kqueue).data, size);
    tx.write_all(b"x").unwrap();
    none(&kqueue);
    rx.read_exact(&mut [0; 1]).unwrap();
    assert_eq!(one(&kqueue).data, size);
}

#[test]
fn nobody_reads_any_more() {
    // "The filter will set EV_EOF when the reader disconnects".
    let (rx, tx) = std::io::pipe().unwrap();
    let kqueue = kqueue_of(&tx, add(KeventFlags::empty()));
    assert_eq!(one(&kqueue).flags, KeventFlags::empty());
    drop(rx);
    assert_eq!(one(&kqueue).flags, EOF);

    let (tx, rx) = UnixStream::pair().unwrap();
    let kqueue = kqueue_of(&tx, add(KeventFlags::empty()));
    assert_eq!(one(&kqueue).flags, KeventFlags::empty());
    drop(rx);
    assert_eq!(one(&kqueue).flags, EOF);
}

#[test]
fn a_socket_that_was_shut_down() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let _server = listener.accept().unwrap();
    let kqueue = kqueue_of(&client, add(KeventFlags::empty()));
    assert_eq!(one(&kqueue).flags, KeventFlags::empty());
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(one(&kqueue).flags, EOF);
}

#[test]
fn a_socket_is_not_writable_before_it_is_connected() {
    // Linux calls it writable and hung up.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let kqueue = kqueue_of(&socket, add(KeventFlags::empty()));
    none(&kqueue);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.connect(&listener.local_addr().unwrap().into()).unwrap();
    let event = one(&kqueue);
    assert_eq!(event.flags, KeventFlags::empty());
    assert!(event.data > 0);
}

#[test]
fn files_are_refused_by_name() {
    // "Note that this filter is not supported for vnodes."
    let file = File::open(std::env::current_exe().unwrap()).unwrap();
    let kqueue = Kqueue::new().unwrap();
    assert_eq!(error(&kqueue, write(&file)), libc::EINVAL);
    let error = kqueue.control(&[write(&file)], &mut [], NOW).unwrap_err();
    assert!(error.to_string().contains("EVFILT_WRITE"), "{error}");
}
