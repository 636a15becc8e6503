//! `select` on every target.

#![cfg(any(unix, windows, target_os = "wasi"))]

mod common;

use std::time::Duration;

use common::*;
use readiness::{AsSource, Selection, Source, SourceError, os_error, select, select_into};

/// Whether these are the same items, not only equal ones.
fn same<T: ?Sized>(found: &[&T], items: &[&T]) -> bool {
    let place = |item: &&T| std::ptr::from_ref(*item).cast::<()>();
    found.iter().map(place).eq(items.iter().map(place))
}

#[test]
fn any_list_may_be_empty_and_all_three_too() {
    let file = file("empty");
    let zero = Some(Duration::ZERO);
    let none: [&File; 0] = [];
    assert!(select(none, [], [], zero).unwrap().is_empty());
    for lists in 1..8 {
        let list = |bit: u32| if lists & bit != 0 { vec![&file] } else { vec![] };
        let ready = select(list(1), list(2), list(4), zero).unwrap();
        assert_eq!(ready.read.len(), usize::from(lists & 1 != 0));
        assert_eq!(ready.write.len(), usize::from(lists & 2 != 0));
        assert!(ready.except.is_empty(), "a file is never exceptional");
    }
}

#[test]
fn the_callers_own_items_come_back_in_their_order_and_as_often_as_they_were_given() {
    let files: Vec<_> = (0..5).map(|_| file("own")).collect();
    let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|at| &files[at]);
    let ready = select([c, a, c, b, c], [e, c, e], [a, d], None).unwrap();
    assert!(same(&ready.read, &[c, a, c, b, c]));
    assert!(same(&ready.write, &[e, c, e]));
    assert!(ready.except.is_empty());
}

#[test]
fn the_silent_are_left_out() {
    let (silent, readable, file) = (silent(), readable(), file("left"));
    let lists: [&dyn AsSource; 5] = [&silent, &readable, &silent, &file, &silent];
    // A host may tell one later than the other.
    let mut found = 0;
    while found < 2 {
        let ready = select(lists, [], lists, Some(LONG)).unwrap();
        assert!(ready.except.is_empty());
        for item in &ready.read {
            assert_ne!(item.raw_source(), silent.raw_source());
        }
        found = ready.read.len();
    }
    let ready = select(lists, [], [], Some(LONG)).unwrap();
    assert!(same(&ready.read, &[&readable as &dyn AsSource, &file]));
}

#[test]
fn one_source_in_each_list() {
    let file = file("each");
    let ready = select([&file], [&file], [&file], Some(LONG)).unwrap();
    assert_eq!((ready.read.len(), ready.write.len(), ready.except.len()), (1, 1, 0));
    let (silent, writable) = (silent(), writable());
    let lists: [&dyn AsSource; 2] = [&silent, &writable];
    let ready = select(lists, [lists[1]], lists, Some(LONG)).unwrap();
    assert!(same(&ready.write, &[lists[1]]));
    assert!(ready.read.is_empty() && ready.except.is_empty());
}

#[test]
fn anything_that_gives_references_is_a_list() {
    let files: Vec<_> = (0..3).map(|_| file("list")).collect();
    let boxed: Vec<Box<dyn AsSource>> =
        files.iter().map(|file| Box::new(file.try_clone_or_again()) as Box<dyn AsSource>).collect();
    assert_eq!(select(&files, &[], &[], None).unwrap().read.len(), 3);
    assert_eq!(select(files.iter().rev(), files.iter().skip(1), [], None).unwrap().write.len(), 2);
    assert_eq!(select(boxed.iter().map(|one| &**one), [], [], None).unwrap().read.len(), 3);
    let by_name: std::collections::BTreeMap<_, _> = files.iter().enumerate().collect();
    assert_eq!(select(by_name.values().copied(), [], [], None).unwrap().read.len(), 3);
}

/// Where files cannot be cloned, another one serves.
trait Again {
    fn try_clone_or_again(&self) -> File;
}

impl Again for File {
    fn try_clone_or_again(&self) -> File {
        self.try_clone().unwrap_or_else(|_| file("again"))
    }
}

#[test]
fn a_type_of_the_callers_own_is_a_source() {
    struct Named(File, &'static str);
    impl AsSource for Named {
        fn as_source(&self) -> Source<'_> {
            self.0.as_source()
        }
    }
    let named = [Named(file("first"), "first"), Named(file("second"), "second")];
    let ready = select(&named, [], [], Some(LONG)).unwrap();
    assert_eq!(ready.read.iter().map(|one| one.1).collect::<Vec<_>>(), ["first", "second"]);
}

#[test]
fn a_descriptor_that_is_not_open_is_an_error_that_names_it() {
    let (file, bad) = (file("bad"), not_open());
    let none: [&dyn AsSource; 0] = [];
    let bad: [&dyn AsSource; 2] = [&file, &bad];
    for timeout in [None, Some(Duration::ZERO), Some(LONG)] {
        let errors = [
            select(bad, none, none, timeout).unwrap_err(),
            select(none, bad, none, timeout).unwrap_err(),
            select(none, none, bad, timeout).unwrap_err(),
            select([bad[0]], bad, none, timeout).unwrap_err(),
            select([bad[1]], [bad[1]], [bad[1]], timeout).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(os_error(&error), Some(NOT_OPEN_ERROR));
            assert!(error.to_string().contains(&NOT_OPEN.to_string()), "{error}");
            let source = error.get_ref().unwrap().downcast_ref::<SourceError>().unwrap();
            assert_eq!(source.raw_source().number(), NOT_OPEN as u64);
            assert_eq!(source.operation(), "select");
            assert_eq!(source.raw_os_error(), Some(NOT_OPEN_ERROR));
        }
    }
}

#[test]
fn a_selection_is_used_again_and_holds_the_last_result_alone() {
    let (silent, files) = (silent(), [file("one"), file("two")]);
    let mut selection = Selection::new();
    let all: [&dyn AsSource; 3] = [&files[0], &silent, &files[1]];
    let none: [&dyn AsSource; 0] = [];
    for _ in 0..10 {
        select_into(&mut selection, all, none, none, None).unwrap();
        assert_eq!(selection.read(), [0, 2]);
        select_into(&mut selection, [all[1]], [all[2], all[0], all[2]], all, None).unwrap();
        assert_eq!(selection.read(), [0; 0]);
        assert_eq!(selection.write(), [0, 1, 2]);
        assert_eq!(selection.except(), [0; 0]);
        select_into(&mut selection, [all[1]], none, none, Some(Duration::ZERO)).unwrap();
        assert!(selection.read().is_empty() && selection.write().is_empty());
        select_into(&mut selection, none, all.iter().copied().skip(1), none, None).unwrap();
        assert!(selection.read().is_empty() && selection.write().contains(&1));

        select_into(&mut selection, all, none, none, None).unwrap();
        let bad = not_open();
        select_into(&mut selection, [all[0], &bad], all, none, None).unwrap_err();
        assert!(selection.read().is_empty() && selection.write().is_empty());
        select_into(&mut selection, none, [all[0], &bad, all[2]], none, None).unwrap_err();
        assert!(selection.read().is_empty() && selection.write().is_empty());
    }
}

#[test]
fn many_entries_of_one_descriptor() {
    let (file, silent) = (file("many"), silent());
    let mut list: Vec<&dyn AsSource> = vec![&file; 1500];
    list[700] = &silent;
    let ready = select(list.clone(), list.clone(), [], Some(LONG)).unwrap();
    assert_eq!(ready.read.len(), 1499);
    assert!(ready.write.len() >= 1499);
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::io::{self, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_hang_up_alone_ends_no_wait_for_what_is_exceptional() {
        let End { own, peer } = silent();
        let (read, write) = pipe();
        drop((peer, read));
        let none: [&dyn AsSource; 0] = [];
        let hung_up: [&dyn AsSource; 2] = [&own, &write];
        let before = busy();
        let (took, ready) = timed(|| select(none, none, hung_up, Some(MS * 150)).unwrap());
        assert!(ready.is_empty() && took >= MS * 150, "{took:?}");
        assert!(busy() - before < MS * 50, "it spins");
        // In the list for reading it is the end of the stream.
        let ready = select([hung_up[0]], none, hung_up, None).unwrap();
        assert_eq!((ready.read.len(), ready.except.len()), (1, 0));
        // Beside it the others are waited for.
        let End { own: other, mut peer } = silent();
        let writer = std::thread::spawn(move || {
            std::thread::sleep(MS * 20);
            peer.write_all(b"x").unwrap();
            peer
        });
        let (took, ready) = timed(|| select([&other as _], none, hung_up, None).unwrap());
        assert_eq!(ready.read.len(), 1);
        assert!(took >= MS * 10);
        drop(writer.join().unwrap());
    }

    /// A socket that is to be connected says that it has hung up.
    #[test]
    fn what_comes_to_a_source_that_had_hung_up_ends_a_wait() {
        let waits: [fn(&OwnedFd) -> usize; 3] = [
            |own| select([], [], [own], Some(LONG)).unwrap().except.len(),
            |own| {
                let mut selection = Selection::new();
                select_into(&mut selection, [], [], [own], Some(LONG)).unwrap();
                selection.except().len()
            },
            |own| {
                let mut selection = Selection::new();
                let (silent, _peer) = UnixStream::pair().unwrap();
                let (silent, none): (_, [&dyn AsSource; 0]) = (&silent as &dyn AsSource, []);
                select_into(&mut selection, [silent], none, [own as _], Some(LONG)).unwrap();
                assert!(selection.read().is_empty());
                selection.except().len()
            },
        ];
        for wait in waits {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            // SAFETY: no pointers; the descriptor is new, and ours.
            let own =
                unsafe { OwnedFd::from_raw_fd(libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0)) };
            let also_own = own.try_clone().unwrap();
            let other = std::thread::spawn(move || {
                std::thread::sleep(MS * 30);
                connect(&also_own, port);
                let peer = listener.accept().unwrap().0;
                std::thread::sleep(MS * 30);
                send_urgent(&peer);
                peer
            });
            let before = busy();
            let (took, ready) = timed(|| wait(&own));
            assert_eq!(ready, 1);
            assert!((MS * 60..LONG / 2).contains(&took), "{took:?}");
            assert!(busy() - before < MS * 50, "it spins");
            drop(other.join().unwrap());
        }
    }

    fn connect(socket: &OwnedFd, port: u16) {
        // SAFETY: all zero is an address of no family.
        let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
        address.sin_family = libc::AF_INET as _;
        address.sin_port = port.to_be();
        address.sin_addr.s_addr = u32::from(std::net::Ipv4Addr::LOCALHOST).to_be();
        let (place, size) = (&raw const address, size_of_val(&address));
        // SAFETY: the address is one, of this size.
        let connected = unsafe { libc::connect(socket.as_raw_fd(), place.cast(), size as _) };
        assert_eq!(connected, 0);
    }

    #[test]
    fn what_select_2_calls_ready_is_ready() {
        let End { own, peer } = silent();
        let (read, write) = pipe();
        let (last_read, last_write) = pipe();
        drop((peer, read, last_write));
        let all: [&dyn AsSource; 3] = [&own, &write, &last_read];
        let ready = select(all, all, all, Some(LONG)).unwrap();
        // Measured with select(2): a pipe whose reader is gone is readable, too.
        assert!(same(&ready.read, &all));
        assert!(same(&ready.write, &all[..2]));
        assert!(ready.except.is_empty());
    }

    #[test]
    fn out_of_band_data_is_exceptional() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (own, _) = listener.accept().unwrap();
        let none: [&TcpStream; 0] = [];
        assert!(select([&own], none, [&own], Some(MS)).unwrap().is_empty());
        send_urgent(&peer);
        let ready = select([&own], [&own], [&own, &own], Some(LONG)).unwrap();
        assert_eq!((ready.read.len(), ready.write.len(), ready.except.len()), (0, 1, 2));
    }

    #[test]
    fn a_descriptor_closed_behind_our_back_is_named() {
        let closed = apart(silent().own);
        let number = closed.as_raw_fd();
        drop(closed);
        let closed = common::number(number);
        let readable = readable();
        let lists: [&dyn AsSource; 2] = [&readable, &closed];
        let error = select(lists, [], [], None).unwrap_err();
        assert_eq!(os_error(&error), Some(NOT_OPEN_ERROR));
        assert!(error.to_string().contains(&format!("descriptor {number}")), "{error}");
        assert_eq!(error.kind(), io::Error::from_raw_os_error(libc::EBADF).kind());
    }

    #[test]
    fn a_number_that_no_descriptor_can_have_is_not_open_either() {
        for number in [-2, i32::MIN, i32::MAX] {
            let error = select([&common::number(number)], [], [], None).unwrap_err();
            assert_eq!(os_error(&error), Some(libc::EBADF), "{number}");
            let (file, bad) = (file("beside"), common::number(number));
            let all: [&dyn AsSource; 2] = [&file, &bad];
            let mut selection = Selection::new();
            for count in [2, 1, 2] {
                select_into(&mut selection, all, all, all, None).unwrap_err();
                let error = select_into(
                    &mut selection,
                    all[..1].iter().copied(),
                    all[..count].iter().copied(),
                    [],
                    None,
                );
                assert_eq!(error.is_err(), count == 2);
            }
        }
    }

    #[test]
    fn one_list_of_connections_after_the_other() {
        let mut pairs: Vec<(UnixStream, UnixStream)> =
            (0..100).map(|_| UnixStream::pair().unwrap()).collect();
        let mut selection = Selection::new();
        for (round, step) in (1..20).enumerate() {
            for (_, peer) in pairs.iter_mut().step_by(step) {
                peer.write_all(b"x").unwrap();
            }
            select_into(&mut selection, pairs.iter().map(|pair| &pair.0), [], [], None).unwrap();
            let want: Vec<usize> = (0..100).step_by(step).collect();
            assert_eq!(selection.read(), want, "round {round}");
            for at in want {
                assert_eq!(io::Read::read(&mut pairs[at].0, &mut [0; 8]).unwrap(), 1);
            }
        }
    }
}
