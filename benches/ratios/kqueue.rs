//! `Kqueue`, which is emulated here, beside the bare epoll that it stands on. It
//! says how much there is to read, which is a system call for each source.

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use readiness::{Filter, Kevent, KeventFlags, Kqueue};
use readiness_bench::measure::paired;
use readiness_bench::peers::{Mode, Peer, Raw};
use readiness_bench::report::Report;
use readiness_bench::sources::eventfds;

const REGISTERED: usize = 10_000;

pub fn run(report: &mut Report) {
    for (ready, limit) in [(1, 1.5), (100, 4.0)] {
        let sockets: Vec<_> = (0..ready).map(|_| UnixStream::pair().unwrap()).collect();
        sockets.iter().for_each(|(_, tx)| (&*tx).write_all(b"hello").unwrap());
        let idle = eventfds(REGISTERED - ready);
        let fds: Vec<BorrowedFd<'_>> =
            sockets.iter().map(|(rx, _)| rx.as_fd()).chain(idle.iter().map(AsFd::as_fd)).collect();

        let kqueue = Kqueue::new().unwrap();
        let mut bare = Raw::new(REGISTERED);
        for fd in &fds {
            let number = fd.as_raw_fd() as usize;
            let change = Kevent::from_ident(number, Filter::Read).with_flags(KeventFlags::ADD);
            kqueue.control(&[change], &mut [], None).unwrap();
            bare.add(*fd, number, Mode::Level);
        }
        let mut events = vec![Kevent::default(); REGISTERED];
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
        report.add(&format!("Kqueue, {ready} ready"), REGISTERED, "bare epoll", limit, ratio);
    }
}
