//! `select`, `Poll` and `Selector` beside plain select(2) and poll(2), over random
//! sets of pipes, sockets, files and numbers that are not open.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use readiness::{
    AsSource, Events, Interest, Mode, Poll, PollFlags, RawSource, Selection, Selector, os_error,
    select, select_into,
};

const ZERO: Option<Duration> = Some(Duration::ZERO);

/// A source in some state, and what keeps it in that state.
struct Subject {
    fd: RawFd,
    _kept: Vec<OwnedFd>,
}

impl AsSource for Subject {
    fn as_source(&self) -> readiness::Source<'_> {
        // SAFETY: it is open while it is in `_kept`, or the host is only asked
        // about a number.
        unsafe { BorrowedFd::borrow_raw(self.fd) }.into()
    }
}

/// The states that there are.
const STATES: usize = 20;

fn pipe() -> [OwnedFd; 2] {
    let mut fds = [0; 2];
    // SAFETY: there is room for two descriptors, which are then ours.
    unsafe {
        assert_eq!(libc::pipe2(fds.as_mut_ptr(), libc::O_NONBLOCK), 0);
        fds.map(|fd| OwnedFd::from_raw_fd(fd))
    }
}

fn fill(mut sink: impl Write) {
    while sink.write(&[0; 4096]).is_ok() {}
    while sink.write(&[0; 1]).is_ok() {}
}

fn write_to(fd: &OwnedFd) -> File {
    fd.try_clone().unwrap().into()
}

fn subject(state: usize) -> Subject {
    let kept: Vec<OwnedFd> = match state {
        // Streams: idle, with data, closed, both, half closed, full.
        0..=5 => {
            let (own, mut peer) = UnixStream::pair().unwrap();
            if state == 1 || state == 3 {
                peer.write_all(b"x").unwrap();
            }
            if state == 4 {
                peer.shutdown(std::net::Shutdown::Write).unwrap();
            }
            if state == 5 {
                own.set_nonblocking(true).unwrap();
                fill(&own);
            }
            if state == 2 || state == 3 { vec![own.into()] } else { vec![own.into(), peer.into()] }
        }
        // Reading ends: idle, with data, closed, both.
        6..=9 => {
            let [read, write] = pipe();
            if state == 7 || state == 9 {
                write_to(&write).write_all(b"x").unwrap();
            }
            if state >= 8 { vec![read] } else { vec![read, write] }
        }
        // Writing ends: empty, full, closed, both.
        10..=13 => {
            let [read, write] = pipe();
            if state == 11 || state == 13 {
                fill(write_to(&write));
            }
            if state >= 12 { vec![write] } else { vec![write, read] }
        }
        14 => vec![File::open("/proc/self/exe").unwrap().into()],
        15 => vec![File::open("/").unwrap().into()],
        16 => vec![File::options().read(true).write(true).open("/dev/null").unwrap().into()],
        // A listener with a connection, TCP with out-of-band data, UDP.
        17 | 18 => {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            if state == 17 {
                vec![listener.into(), peer.into()]
            } else {
                let (own, _) = listener.accept().unwrap();
                // SAFETY: the byte is valid.
                unsafe { libc::send(peer.as_raw_fd(), b"!".as_ptr().cast(), 1, libc::MSG_OOB) };
                peer.flush().unwrap();
                // It takes a moment even on this machine's own network.
                let mut entry =
                    libc::pollfd { fd: own.as_raw_fd(), events: libc::POLLPRI, revents: 0 };
                // SAFETY: one entry.
                assert_eq!(unsafe { libc::poll(&mut entry, 1, 60_000) }, 1);
                vec![own.into(), peer.into()]
            }
        }
        _ => vec![UdpSocket::bind("127.0.0.1:0").unwrap().into()],
    };
    Subject { fd: kept[0].as_raw_fd(), _kept: kept }
}

/// Numbers that are not open, and low enough for an fd_set.
fn closed(number: usize) -> Subject {
    Subject { fd: 1_000 + number as RawFd, _kept: Vec::new() }
}

/// select(2) takes numbers beyond the table of descriptors for ready: make it large.
fn widen() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    // SAFETY: nothing else has this number.
    ONCE.call_once(|| assert_eq!(unsafe { libc::dup2(0, 1_020) }, 1_020));
}

fn plain_poll(entries: &[(RawFd, PollFlags)]) -> Vec<PollFlags> {
    let mut fds: Vec<libc::pollfd> = entries
        .iter()
        .map(|(fd, flags)| libc::pollfd { fd: *fd, events: flags.bits() as i16, revents: 0 })
        .collect();
    // SAFETY: as many entries as there are.
    assert!(unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as _, 0) } >= 0);
    fds.iter().map(|entry| PollFlags::from_bits_retain(entry.revents as u16)).collect()
}

/// What is ready of each list, by position; `None` for EBADF.
fn plain_select(lists: [&[&Subject]; 3]) -> Option<[Vec<usize>; 3]> {
    // SAFETY: all zeros is an empty set, and every number is below FD_SETSIZE.
    unsafe {
        let mut sets: [libc::fd_set; 3] = std::mem::zeroed();
        let mut most = 0;
        for (set, list) in sets.iter_mut().zip(lists) {
            for subject in list {
                libc::FD_SET(subject.fd, set);
                most = most.max(subject.fd + 1);
            }
        }
        let mut zero = libc::timeval { tv_sec: 0, tv_usec: 0 };
        let [read, write, except] = &mut sets;
        if libc::select(most, read, write, except, &mut zero) < 0 {
            assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EBADF));
            return None;
        }
        Some(std::array::from_fn(|which| {
            let ready = |(at, subject): (usize, &&Subject)| {
                libc::FD_ISSET(subject.fd, &sets[which]).then_some(at)
            };
            lists[which].iter().enumerate().filter_map(ready).collect()
        }))
    }
}

fn flags() -> impl Strategy<Value = PollFlags> {
    any::<u16>().prop_map(|bits| match bits % 8 {
        0 => PollFlags::empty(),
        1 => PollFlags::default(),
        2 => PollFlags::all(),
        _ => PollFlags::from_bits_truncate(bits),
    })
}

#[derive(Clone, Debug)]
enum Operation {
    Register(usize, PollFlags),
    Modify(usize, PollFlags),
    Unregister(usize),
    Wait,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let one = prop_oneof![
        4 => (any::<prop::sample::Index>(), flags()).prop_map(|(at, flags)| (0, at, flags)),
        2 => (any::<prop::sample::Index>(), flags()).prop_map(|(at, flags)| (1, at, flags)),
        3 => any::<prop::sample::Index>().prop_map(|at| (2, at, PollFlags::empty())),
        2 => any::<prop::sample::Index>().prop_map(|at| (3, at, PollFlags::empty())),
    ];
    vec(one, 1..60).prop_map(|all| {
        all.into_iter()
            .map(|(kind, at, flags)| match kind {
                0 => Operation::Register(at.index(25), flags),
                1 => Operation::Modify(at.index(25), flags),
                2 => Operation::Unregister(at.index(25)),
                _ => Operation::Wait,
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn select_finds_what_select_2_finds(
        states in vec(0..STATES + 2, 1..25),
        lists in prop::array::uniform3(vec(any::<prop::sample::Index>(), 0..40)),
    ) {
        widen();
        let subjects: Vec<_> = states
            .iter()
            // Closed ones are rare: they are the whole answer.
            .map(|&state| if state < STATES { subject(state) } else { subject(state - STATES) })
            .collect();
        let lists = lists.map(|list| -> Vec<&Subject> {
            list.iter().map(|at| at.get(&subjects)).collect()
        });
        let want = plain_select([&lists[0], &lists[1], &lists[2]]).expect("all are open");
        let [read, write, except] = &lists;
        let copies = |list: &Vec<&'_ Subject>| list.iter().map(|one| one.fd).collect::<Vec<_>>();
        let found = select(
            read.iter().copied(), write.iter().copied(), except.iter().copied(), ZERO,
        ).unwrap();
        for ((found, list), want) in
            [&found.read, &found.write, &found.except].into_iter().zip(&lists).zip(&want)
        {
            let want: Vec<RawFd> = want.iter().map(|at| list[*at].fd).collect();
            prop_assert_eq!(copies(found), want);
        }
        let mut selection = Selection::new();
        for _ in 0..2 {
            select_into(
                &mut selection,
                read.iter().copied(), write.iter().copied(), except.iter().copied(), ZERO,
            ).unwrap();
            prop_assert_eq!(selection.read(), &want[0][..]);
            prop_assert_eq!(selection.write(), &want[1][..]);
            prop_assert_eq!(selection.except(), &want[2][..]);
        }
    }

    #[test]
    fn select_refuses_what_select_2_refuses(
        states in vec(0..STATES, 1..8),
        lists in prop::array::uniform3(vec(any::<prop::sample::Index>(), 0..6)),
    ) {
        widen();
        let mut subjects: Vec<_> = states.iter().map(|&state| subject(state)).collect();
        subjects.push(closed(1));
        subjects.push(closed(2));
        let lists = lists.map(|list| -> Vec<&Subject> {
            list.iter().map(|at| at.get(&subjects)).collect()
        });
        let [read, write, except] = &lists;
        let found = select(
            read.iter().copied(), write.iter().copied(), except.iter().copied(), ZERO,
        );
        match plain_select([&lists[0], &lists[1], &lists[2]]) {
            None => {
                let error = found.unwrap_err();
                prop_assert_eq!(os_error(&error), Some(libc::EBADF));
                let text = error.to_string();
                prop_assert!(text.contains("1001") || text.contains("1002"), "{}", text);
            }
            Some(want) => prop_assert_eq!(found.unwrap().read.len(), want[0].len()),
        }
    }

    #[test]
    fn poll_finds_what_poll_2_finds_in_order_of_registration(
        states in vec(0..STATES, 20),
        operations in operations(),
    ) {
        let mut subjects: Vec<_> = states.iter().map(|&state| subject(state)).collect();
        subjects.extend((1..=5).map(closed));
        let mut poll = Poll::new();
        // Python's dict: in order of insertion, replaced in place.
        let mut model: Vec<(usize, PollFlags)> = Vec::new();
        for operation in operations.into_iter().chain([Operation::Wait]) {
            let place = |model: &[(usize, PollFlags)], at| model.iter().position(|one| one.0 == at);
            match operation {
                Operation::Register(at, flags) => {
                    poll.register(&subjects[at], flags).unwrap();
                    match place(&model, at) {
                        Some(place) => model[place].1 = flags,
                        None => model.push((at, flags)),
                    }
                }
                Operation::Modify(at, flags) => {
                    let done = poll.modify(&subjects[at], flags);
                    match place(&model, at) {
                        Some(place) => {
                            done.unwrap();
                            model[place].1 = flags;
                        }
                        None => prop_assert_eq!(
                            done.unwrap_err().kind(), std::io::ErrorKind::NotFound
                        ),
                    }
                }
                Operation::Unregister(at) => {
                    let done = poll.unregister(&subjects[at]);
                    match place(&model, at) {
                        Some(place) => {
                            done.unwrap();
                            model.remove(place);
                        }
                        None => prop_assert_eq!(
                            done.unwrap_err().kind(), std::io::ErrorKind::NotFound
                        ),
                    }
                }
                Operation::Wait => {
                    let entries: Vec<_> =
                        model.iter().map(|(at, flags)| (subjects[*at].fd, *flags)).collect();
                    let want: Vec<_> = entries
                        .iter()
                        .zip(plain_poll(&entries))
                        .filter(|(_, flags)| !flags.is_empty())
                        .map(|((fd, _), flags)| (RawSource::Fd(*fd), flags))
                        .collect();
                    let found: Vec<_> =
                        poll.poll(ZERO).unwrap().map(|event| (event.source, event.flags)).collect();
                    prop_assert_eq!(found, want);
                    prop_assert_eq!(poll.len(), model.len());
                }
            }
        }
    }

    #[test]
    fn selector_tells_by_its_table_what_poll_2_finds(
        subjects in vec((0..STATES, 0u8..8), 1..25),
        capacity in 1usize..40,
    ) {
        let subjects: Vec<_> = subjects
            .into_iter()
            .map(|(state, bits)| (subject(state), Interest::from_bits_truncate(bits)))
            .collect();
        let selector = Selector::new().unwrap();
        let mut want = Vec::new();
        for (token, (subject, interest)) in subjects.iter().enumerate() {
            selector.register(subject, token as u64, *interest, Mode::Level).unwrap();
            let (read, write) =
                (interest.contains(Interest::READ), interest.contains(Interest::WRITE));
            let mut asked = PollFlags::empty();
            asked.set(PollFlags::IN | PollFlags::RDHUP, read);
            asked.set(PollFlags::OUT, write);
            asked.set(PollFlags::PRI, interest.contains(Interest::PRIORITY));
            let flags = plain_poll(&[(subject.fd, asked)])[0];
            if interest.is_empty() || flags.is_empty() {
                continue;
            }
            // The table in Selector's documentation.
            let any = |flags: PollFlags, of: PollFlags| flags.intersects(of);
            let (hup, err) = (PollFlags::HUP, PollFlags::ERR);
            want.push((
                token as u64,
                read && any(flags, PollFlags::IN | hup | err | PollFlags::RDHUP),
                write && any(flags, PollFlags::OUT | hup | err),
                any(flags, PollFlags::PRI),
                any(flags, err),
                any(flags, hup | PollFlags::RDHUP),
                any(flags, hup) || any(flags, err) && (any(flags, PollFlags::OUT) || flags == err),
            ));
        }
        // Each in its turn: files and the others by turns where there is room for one,
        // and a hang-up that nobody asked for takes a turn, too.
        let mut events = Events::with_capacity(capacity);
        let mut found = Vec::new();
        for _ in 0..2 * subjects.len() + 2 {
            let count = selector.wait(&mut events, ZERO).unwrap();
            prop_assert!(count <= capacity);
            prop_assert_eq!(count == 0, want.is_empty());
            found.extend(events.iter().map(|event| (
                event.token(),
                event.is_readable(),
                event.is_writable(),
                event.is_priority(),
                event.is_error(),
                event.is_read_closed(),
                event.is_write_closed(),
            )));
        }
        found.sort_unstable();
        found.dedup();
        prop_assert_eq!(found, want);
    }
}
