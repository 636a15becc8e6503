//! `counted CASE SIZE TIMEOUT TIMES`: waits so often with descriptors from 10 on,
//! and looks at what it gets. The host counts instructions from call to call.

#[cfg(not(target_os = "wasi"))]
fn main() {
    eprintln!("this program is for WASI");
}

#[cfg(target_os = "wasi")]
fn main() {
    wasi::run();
}

#[cfg(target_os = "wasi")]
mod wasi {
    use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
    use std::time::Duration;

    use readiness::{
        Epoll, EpollEvent, EpollFlags, Events, Interest, Mode, Poll, PollFlags, Selection,
        Selector, select_into,
    };
    use readiness_bench::results::add_ready;

    pub fn run() {
        let args: Vec<String> = std::env::args().collect();
        let size: RawFd = args[2].parse().unwrap();
        // SAFETY: the host has them open until the end.
        let fds: Vec<_> = (10..10 + size).map(|fd| unsafe { BorrowedFd::borrow_raw(fd) }).collect();
        let ms: i32 = args[3].parse().unwrap();
        let timeout = u64::try_from(ms).ok().map(Duration::from_millis);
        let times = args[4].parse().unwrap();
        let sum = match args[1].as_str() {
            "Poll" => poll(&fds, timeout, times),
            "select" => select(&fds, timeout, times),
            "Epoll" => epoll(&fds, timeout, times),
            "Selector" => selector(&fds, timeout, times),
            "libc-poll" => libc_poll(&fds, ms, times),
            "libc-select" => libc_select(&fds, times),
            other => panic!("no such case: {other}"),
        };
        println!("{sum}");
    }

    fn poll(fds: &[BorrowedFd<'_>], timeout: Option<Duration>, times: usize) -> u64 {
        let mut poll = Poll::new();
        fds.iter().for_each(|fd| poll.register(fd, PollFlags::IN).unwrap());
        let mut sum = 0;
        for _ in 0..times {
            for event in poll.poll(timeout).unwrap() {
                sum += event.source.number() + u64::from(event.flags.bits());
            }
        }
        sum
    }

    fn select(fds: &[BorrowedFd<'_>], timeout: Option<Duration>, times: usize) -> u64 {
        let mut selection = Selection::new();
        let mut sum = 0;
        for _ in 0..times {
            select_into(&mut selection, fds, [], [], timeout).unwrap();
            sum += selection.read().iter().map(|at| fds[*at].as_raw_fd() as u64).sum::<u64>();
        }
        sum
    }

    fn epoll(fds: &[BorrowedFd<'_>], timeout: Option<Duration>, times: usize) -> u64 {
        let epoll = Epoll::new().unwrap();
        fds.iter().for_each(|fd| epoll.register(fd, EpollFlags::IN).unwrap());
        let mut events = vec![EpollEvent::default(); fds.len()];
        let mut sum = 0;
        for _ in 0..times {
            let told = epoll.wait(&mut events, timeout).unwrap();
            sum += events[..told].iter().map(EpollEvent::data).sum::<u64>();
        }
        sum
    }

    fn selector(fds: &[BorrowedFd<'_>], timeout: Option<Duration>, times: usize) -> u64 {
        let selector = Selector::new().unwrap();
        for fd in fds {
            let token = fd.as_raw_fd() as u64;
            selector.register(fd, token, Interest::READ, Mode::Level).unwrap();
        }
        let mut events = Events::with_capacity(fds.len());
        let mut sum = 0;
        for _ in 0..times {
            selector.wait(&mut events, timeout).unwrap();
            sum += events.iter().map(|event| event.token()).sum::<u64>();
        }
        sum
    }

    fn libc_poll(fds: &[BorrowedFd<'_>], ms: i32, times: usize) -> u64 {
        let entry = |fd: &BorrowedFd<'_>| libc::pollfd {
            fd: fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let mut entries: Vec<_> = fds.iter().map(entry).collect();
        let mut sum = 0;
        for _ in 0..times {
            // SAFETY: the array is ours.
            let ready = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as _, ms) };
            sum = add_ready(sum, &entries, ready);
        }
        sum
    }

    /// wasi-libc's sets are lists. Its caller copies one, and reads what is left.
    fn libc_select(fds: &[BorrowedFd<'_>], times: usize) -> u64 {
        let most = fds.iter().map(|fd| fd.as_raw_fd()).max().unwrap() + 1;
        // SAFETY: all zeros is an empty set.
        let mut set: libc::fd_set = unsafe { std::mem::zeroed() };
        // SAFETY: the set is ours, and the numbers are below FD_SETSIZE.
        fds.iter().for_each(|fd| unsafe { libc::FD_SET(fd.as_raw_fd(), &mut set) });
        let mut sum = 0;
        for _ in 0..times {
            let mut told = set;
            let none = std::ptr::null_mut();
            // SAFETY: the set is ours.
            let count = unsafe { libc::select(most, &mut told, none, none, std::ptr::null_mut()) };
            let mut left = count;
            for fd in fds {
                // SAFETY: as above.
                if unsafe { libc::FD_ISSET(fd.as_raw_fd(), &told) } {
                    sum += fd.as_raw_fd() as u64;
                    left -= 1;
                    if left == 0 {
                        break;
                    }
                }
            }
        }
        sum
    }
}
