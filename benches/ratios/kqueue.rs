//! `Kqueue`, which is emulated here, beside the bare epoll that it stands on. It
//! says how much there is to read, which is a system call for each source.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use readiness::{Filter, Kevent, KeventFlags, Kqueue};
use readiness_bench::measure::paired;
use readiness_bench::peers::{Mode, Peer, Raw};
use readiness_bench::report::Report;
use readiness_bench::sources::eventfds;

const REGISTERED: usize = 10_000;
/// What there is to read.
const BYTES: usize = 8;

/// Two ends: what is written to the second comes out of the first.
type Ends = (File, File);

fn sockets() -> Ends {
    let (rx, tx) = UnixStream::pair().unwrap();
    (OwnedFd::from(rx).into(), OwnedFd::from(tx).into())
}

fn pipe() -> Ends {
    let mut fds = [0; 2];
    // SAFETY: there is room for two; the kernel gives us the descriptors.
    let [rx, tx] = unsafe {
        assert_eq!(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC), 0);
        fds.map(|fd| File::from_raw_fd(fd))
    };
    (rx, tx)
}

fn eventfd() -> Ends {
    let rx = File::from(eventfds(1).remove(0));
    let tx = rx.try_clone().unwrap();
    (rx, tx)
}

/// Both with the same sources, of which the first ones will be ready.
struct Sides {
    ends: Vec<Ends>,
    /// Never ready.
    _idle: Vec<OwnedFd>,
    kqueue: Kqueue,
    events: Vec<Kevent>,
    bare: Raw,
}

impl Sides {
    fn new(ready: usize, ends: fn() -> Ends) -> Sides {
        let ends: Vec<Ends> = (0..ready).map(|_| ends()).collect();
        let idle = eventfds(REGISTERED - ready);
        let kqueue = Kqueue::new().unwrap();
        let mut bare = Raw::new(REGISTERED);
        let fds: Vec<BorrowedFd<'_>> =
            ends.iter().map(|(rx, _)| rx.as_fd()).chain(idle.iter().map(AsFd::as_fd)).collect();
        for fd in fds {
            let number = fd.as_raw_fd() as usize;
            let change = Kevent::from_ident(number, Filter::Read).with_flags(KeventFlags::ADD);
            kqueue.control(&[change], &mut [], None).unwrap();
            bare.add(fd, number, Mode::Level);
        }
        Sides { ends, _idle: idle, kqueue, events: vec![Kevent::default(); REGISTERED], bare }
    }
}

fn write(mut to: &File) {
    to.write_all(&1u64.to_ne_bytes()).unwrap();
}

fn read(mut from: &File) {
    assert_eq!(from.read(&mut [0; BYTES]).unwrap(), BYTES);
}

pub fn run(report: &mut Report) {
    wait(report, "Kqueue, 1 ready", 1, sockets, 1.5);
    wait(report, "Kqueue, 1 ready, a pipe", 1, pipe, 1.5);
    wait(report, "Kqueue, 1 ready, an eventfd", 1, eventfd, 1.5);
    wait(report, "Kqueue, 100 ready", 100, sockets, 4.0);
    round(report, "Kqueue, write, wait, read", sockets);
    round(report, "Kqueue, write, wait, read, a pipe", pipe);
    round(report, "Kqueue, write, wait, read, an eventfd", eventfd);
}

fn wait(report: &mut Report, case: &str, ready: usize, ends: fn() -> Ends, limit: f64) {
    let Sides { ends, kqueue, mut events, mut bare, _idle } = Sides::new(ready, ends);
    ends.iter().for_each(|(_, tx)| write(tx));
    let ratio = paired(
        || {
            let told = kqueue.control(&[], &mut events, None).unwrap();
            assert_eq!(told, ready);
            events[..told].iter().map(|event| event.ident as u64 + event.data as u64).sum()
        },
        || {
            let mut sum = 0;
            bare.wait(None, |number| sum += number as u64);
            sum
        },
    );
    report.add(case, REGISTERED, "bare epoll", limit, ratio);
}

fn round(report: &mut Report, case: &str, ends: fn() -> Ends) {
    let Sides { ends, kqueue, mut events, mut bare, _idle } = Sides::new(1, ends);
    let (rx, tx) = &ends[0];
    let ratio = paired(
        || {
            write(tx);
            let told = kqueue.control(&[], &mut events, None).unwrap();
            assert_eq!(told, 1);
            read(rx);
            events[0].data as u64
        },
        || {
            let mut sum = 0;
            write(tx);
            bare.wait(None, |number| sum += number as u64);
            read(rx);
            sum
        },
    );
    report.add(case, REGISTERED, "bare epoll", 1.5, ratio);
}
