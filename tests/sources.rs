//! What can be waited on: whatever has a descriptor, and a type of the caller's own.

#![cfg(any(unix, target_os = "wasi"))]

mod common;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use common::*;
use readiness::{
    AsSource, Events, Interest, Mode, Poll, PollFlags, RawSource, Selector, Source, select,
};

/// Waits for `source` to be writable with each front end.
fn writable_everywhere(source: &(impl AsSource + ?Sized)) {
    let none: [&Source<'_>; 0] = [];
    let loan = source.as_source();
    assert_eq!(select(none, [&loan], none, Some(LONG)).unwrap().write.len(), 1);
    let mut poll = Poll::new();
    poll.register(source, PollFlags::OUT).unwrap();
    let found: Vec<_> = poll.poll(Some(LONG)).unwrap().collect();
    assert_eq!((found[0].source, found[0].flags), (source.raw_source(), PollFlags::OUT));
    let selector = Selector::new().unwrap();
    let mut events = Events::with_capacity(1);
    selector.register(source, 3, Interest::WRITE, Mode::Level).unwrap();
    assert_eq!(selector.wait(&mut events, Some(LONG)).unwrap(), 1);
    assert!(events.iter().all(|event| event.is_writable() && event.token() == 3));
}

#[test]
fn sources_of_different_types_share_a_list() {
    let (file, out) = (file("shared"), writable());
    let borrowed: [&dyn AsSource; 2] = [&out, &file];
    let ready = select([], borrowed, [], Some(LONG)).unwrap();
    assert_eq!(ready.write.len(), 2);
    let ready = select([], &borrowed, [], Some(LONG)).unwrap();
    assert_eq!(ready.write.len(), 2);
    let raw = [out.raw_source(), file.raw_source()];
    let owned: Vec<Box<dyn AsSource>> = vec![Box::new(out), Box::new(file)];
    let ready = select([], &owned, [], Some(LONG)).unwrap();
    assert_eq!(ready.write.iter().map(|one| one.raw_source()).collect::<Vec<_>>(), raw);
    writable_everywhere(&owned[1]);
}

#[test]
fn standard_streams() {
    writable_everywhere(&io::stdout());
    writable_everywhere(&io::stderr());
    writable_everywhere(&io::stdout().lock());
    let stdin = io::stdin();
    assert_eq!(stdin.raw_source(), 0);
    // Whatever it is here, asking about it is no error.
    let _ = select([&stdin], [], [], Some(Duration::ZERO)).unwrap();
}

#[test]
fn files_by_value_by_reference_and_behind_pointers() {
    let file = file("file");
    writable_everywhere(&file);
    writable_everywhere(&&file);
    writable_everywhere(&file.as_fd());
    writable_everywhere(&file.as_source());
    writable_everywhere(&Source::from(file.as_fd()));
    writable_everywhere(&(&file as &dyn AsSource));
    let any: &dyn AsSource = &file;
    writable_everywhere(any);
    let shared = std::sync::Arc::new(file);
    writable_everywhere(&shared);
    writable_everywhere(&Box::new(common::file("boxed")));
    writable_everywhere(&std::os::fd::OwnedFd::from(common::file("owned")));
}

#[test]
fn a_bare_number() {
    let file = file("number");
    writable_everywhere(&number(file.as_raw_fd()));
}

#[test]
fn a_type_of_the_callers_own_by_either_trait() {
    struct ByFd(std::fs::File);
    impl AsFd for ByFd {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
    struct BySource<T>(T);
    impl<T: AsSource> AsSource for BySource<T> {
        fn as_source(&self) -> Source<'_> {
            self.0.as_source()
        }
    }
    writable_everywhere(&ByFd(file("fd")));
    writable_everywhere(&BySource(file("source")));
    writable_everywhere(&BySource(BySource(ByFd(file("both")))));
}

#[test]
fn a_source_is_called_by_its_number() {
    let file = file("name");
    let raw = file.raw_source();
    assert_eq!(raw, file.as_raw_fd());
    assert_eq!(raw, RawSource::Fd(file.as_raw_fd()));
    assert_eq!(raw.fd(), Some(file.as_raw_fd()));
    assert_eq!(raw.number(), file.as_raw_fd() as u64);
    assert!(raw.to_string().contains(&file.as_raw_fd().to_string()));
    let names: std::collections::BTreeSet<_> = [raw, raw].into();
    let hashed: std::collections::HashSet<_> = [raw, file.as_source().raw()].into();
    assert_eq!((names.len(), hashed.len()), (1, 1));
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
    use std::process::{Command, Stdio};

    fn readable(source: &impl AsSource) -> bool {
        let ready = select([source], [], [], Some(LONG)).unwrap().read.len() == 1;
        let mut poll = Poll::new();
        poll.register(source, PollFlags::IN).unwrap();
        let selector = Selector::new().unwrap();
        let mut events = Events::with_capacity(1);
        selector.register(source, 3, Interest::READ, Mode::Level).unwrap();
        ready
            && poll.poll(Some(LONG)).unwrap().count() == 1
            && selector.wait(&mut events, Some(LONG)).unwrap() == 1
    }

    #[test]
    fn sockets_of_every_kind() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        writable_everywhere(&stream);
        assert!(readable(&listener));

        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        writable_everywhere(&udp);
        udp.send_to(b"x", udp.local_addr().unwrap()).unwrap();
        assert!(readable(&udp));

        let path = std::env::temp_dir().join(format!("readiness-listen-{}", unique()));
        let listener = UnixListener::bind(&path).unwrap();
        let _stream = UnixStream::connect(&path).unwrap();
        assert!(readable(&listener));
        std::fs::remove_file(path).unwrap();

        let (one, other) = UnixDatagram::pair().unwrap();
        one.send(b"x").unwrap();
        assert!(readable(&other));
    }

    #[test]
    fn a_childs_pipes() {
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        writable_everywhere(&stdin);
        io::Write::write_all(&mut stdin, b"x").unwrap();
        assert!(readable(&stdout));
        drop(stdin);
        child.wait().unwrap();
        // And its end.
        assert_eq!(io::Read::read(&mut stdout, &mut [0; 8]).unwrap(), 1);
        assert!(readable(&stdout));
    }

    #[test]
    fn terminals_and_devices() {
        for device in ["/dev/null", "/dev/zero"] {
            let device = std::fs::File::options().read(true).write(true).open(device).unwrap();
            writable_everywhere(&device);
            assert!(readable(&device));
        }
        let mut fds = [0; 2];
        // SAFETY: there is room for two descriptors, and the rest may be null.
        let opened = unsafe {
            libc::openpty(
                &mut fds[0],
                &mut fds[1],
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
        assert_eq!(opened, 0);
        // SAFETY: openpty gave us these.
        let [keyboard, terminal] =
            fds.map(|fd| unsafe { <std::fs::File as std::os::fd::FromRawFd>::from_raw_fd(fd) });
        writable_everywhere(&terminal);
        io::Write::write_all(&mut &keyboard, b"a line\n").unwrap();
        assert!(readable(&terminal));
    }
}
