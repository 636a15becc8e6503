//! Every name on every target: the platform's numbers where it has them, numbers
//! of their own where it does not; and what may be sent and shared.

use readiness::{EpollCreate, EpollFlags, PIPE_BUF, PollFlags};

const POLL: [(&str, PollFlags); 12] = [
    ("IN", PollFlags::IN),
    ("PRI", PollFlags::PRI),
    ("OUT", PollFlags::OUT),
    ("ERR", PollFlags::ERR),
    ("HUP", PollFlags::HUP),
    ("NVAL", PollFlags::NVAL),
    ("RDNORM", PollFlags::RDNORM),
    ("RDBAND", PollFlags::RDBAND),
    ("WRNORM", PollFlags::WRNORM),
    ("WRBAND", PollFlags::WRBAND),
    ("MSG", PollFlags::MSG),
    ("RDHUP", PollFlags::RDHUP),
];

const EPOLL: [(&str, EpollFlags, u32); 15] = [
    ("IN", EpollFlags::IN, 0x1),
    ("PRI", EpollFlags::PRI, 0x2),
    ("OUT", EpollFlags::OUT, 0x4),
    ("ERR", EpollFlags::ERR, 0x8),
    ("HUP", EpollFlags::HUP, 0x10),
    ("RDNORM", EpollFlags::RDNORM, 0x40),
    ("RDBAND", EpollFlags::RDBAND, 0x80),
    ("WRNORM", EpollFlags::WRNORM, 0x100),
    ("WRBAND", EpollFlags::WRBAND, 0x200),
    ("MSG", EpollFlags::MSG, 0x400),
    ("RDHUP", EpollFlags::RDHUP, 0x2000),
    ("EXCLUSIVE", EpollFlags::EXCLUSIVE, 1 << 28),
    ("WAKEUP", EpollFlags::WAKEUP, 1 << 29),
    ("ONESHOT", EpollFlags::ONESHOT, 1 << 30),
    ("ET", EpollFlags::ET, 1 << 31),
];

#[test]
fn epolls_numbers_are_linuxs_on_every_target() {
    for (name, flag, number) in EPOLL {
        assert_eq!(flag.bits(), number, "{name}");
        assert_eq!(EpollFlags::from_name(name), Some(flag));
    }
    assert_eq!(EpollCreate::CLOEXEC.bits(), 0x80000);
    assert_eq!(EpollFlags::default().bits(), 7);
}

#[test]
fn each_poll_name_is_there_and_has_bits_of_its_own_where_the_platform_gives_it_none() {
    let supported = PollFlags::supported();
    for (name, flag) in POLL {
        assert!(!flag.is_empty(), "{name}");
        assert_eq!(PollFlags::from_name(name), Some(flag));
        for (other_name, other) in POLL {
            // The platform may have two names for one thing (IN and RDNORM); one
            // of ours is never mistaken for anything.
            let ours = !supported.contains(flag) || !supported.contains(other);
            if name != other_name && ours && !cfg!(windows) {
                assert!(!flag.intersects(other), "{name} and {other_name}");
            }
        }
    }
    for flag in [PollFlags::IN, PollFlags::OUT, PollFlags::ERR, PollFlags::HUP, PollFlags::NVAL] {
        assert!(supported.contains(flag), "{flag:?}");
    }
    assert_eq!(PollFlags::default(), PollFlags::IN | PollFlags::PRI | PollFlags::OUT);
}

#[cfg(target_os = "linux")]
#[test]
fn linux_has_them_all() {
    assert_eq!(PollFlags::supported(), PollFlags::all());
    for (name, flag, _) in EPOLL {
        assert!(
            EpollFlags::supported().contains(flag) || cfg!(readiness_backend = "poll"),
            "{name}"
        );
    }
    for ((_, poll), number) in POLL.iter().zip([
        libc::POLLIN,
        libc::POLLPRI,
        libc::POLLOUT,
        libc::POLLERR,
        libc::POLLHUP,
        libc::POLLNVAL,
        libc::POLLRDNORM,
        libc::POLLRDBAND,
        libc::POLLWRNORM,
        libc::POLLWRBAND,
        0x400,
        libc::POLLRDHUP,
    ]) {
        assert_eq!(poll.bits(), number as u16);
    }
    for ((_, epoll, _), number) in EPOLL.iter().zip([
        libc::EPOLLIN,
        libc::EPOLLPRI,
        libc::EPOLLOUT,
        libc::EPOLLERR,
        libc::EPOLLHUP,
        libc::EPOLLRDNORM,
        libc::EPOLLRDBAND,
        libc::EPOLLWRNORM,
        libc::EPOLLWRBAND,
        libc::EPOLLMSG,
        libc::EPOLLRDHUP,
        libc::EPOLLEXCLUSIVE,
        libc::EPOLLWAKEUP,
        libc::EPOLLONESHOT,
        libc::EPOLLET,
    ]) {
        assert_eq!(epoll.bits(), number as u32);
    }
    assert_eq!(EpollCreate::CLOEXEC.bits(), libc::EPOLL_CLOEXEC as u32);
    assert_eq!(PIPE_BUF, 4096);
}

#[cfg(target_os = "wasi")]
#[test]
fn wasi_has_those_of_wasi_libc() {
    for (flag, number) in [
        (PollFlags::IN, libc::POLLIN),
        (PollFlags::OUT, libc::POLLOUT),
        (PollFlags::RDNORM, libc::POLLRDNORM),
        (PollFlags::WRNORM, libc::POLLWRNORM),
        (PollFlags::ERR, libc::POLLERR),
        (PollFlags::HUP, libc::POLLHUP),
        (PollFlags::NVAL, libc::POLLNVAL),
        // poll.h has it since wasi-sdk 31, the libc crate does not.
        (PollFlags::PRI, 0x200),
    ] {
        assert_eq!(flag.bits(), number as u16);
    }
    for missing in [PollFlags::RDBAND, PollFlags::WRBAND, PollFlags::MSG] {
        assert!(!PollFlags::supported().intersects(missing));
    }
    // A pollable tells that its stream is closed.
    let pollables = cfg!(feature = "wasi-io");
    assert_eq!(PollFlags::supported().contains(PollFlags::RDHUP), pollables);
}

#[cfg(unix)]
#[test]
fn a_pipe_that_is_writable_takes_pipe_buf_at_once() {
    use std::io::Write;
    use std::os::fd::FromRawFd;

    #[allow(clippy::unnecessary_cast, reason = "an int on illumos")]
    let expected = libc::PIPE_BUF as usize;
    assert_eq!(PIPE_BUF, expected);
    const { assert!(PIPE_BUF >= 512) };
    let mut fds = [0; 2];
    // SAFETY: there is room for two descriptors, which are then ours.
    let (_read, mut write) = unsafe {
        assert_eq!(libc::pipe(fds.as_mut_ptr()), 0);
        libc::fcntl(fds[1], libc::F_SETFL, libc::O_NONBLOCK);
        (std::fs::File::from_raw_fd(fds[0]), std::fs::File::from_raw_fd(fds[1]))
    };
    let zero = Some(std::time::Duration::ZERO);
    let mut rounds = 0;
    while !readiness::select([], [&write], [], zero).unwrap().write.is_empty() {
        assert_eq!(write.write(&vec![0; PIPE_BUF]).unwrap(), PIPE_BUF);
        rounds += 1;
    }
    assert!(rounds > 0);
}

#[cfg(not(unix))]
#[test]
fn pipe_buf_is_posixs_least() {
    assert_eq!(PIPE_BUF, 512);
}

#[test]
fn what_may_be_sent_and_shared() {
    use readiness::{
        Epoll, EpollEvent, Event, Events, Filter, FilterError, Interest, Kevent, KeventFlags,
        Kqueue, Mode, NoteFlags, Poll, PollEvent, RawSource, Registered, Selected, Selection,
        Selector, SourceError, TimerId, Waker,
    };

    fn both<T: Send + Sync + 'static>() {}
    both::<Selector>();
    both::<Waker>();
    both::<Events>();
    both::<Event>();
    both::<TimerId>();
    both::<Registered<std::fs::File>>();
    both::<Poll>();
    both::<PollEvent>();
    both::<Selection>();
    both::<Selected<'static, std::fs::File>>();
    both::<Epoll>();
    both::<EpollEvent>();
    both::<RawSource>();
    both::<(Kqueue, Kevent, Filter, KeventFlags, NoteFlags)>();
    both::<(SourceError, FilterError)>();
    both::<(PollFlags, EpollFlags, EpollCreate, Interest, Mode)>();
    #[cfg(unix)]
    both::<readiness::SignalSet>();
    fn unwinds<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    unwinds::<Selector>();
    unwinds::<Epoll>();
    unwinds::<Kqueue>();
}

#[test]
fn the_error_type_is_the_standard_one() {
    fn same(error: readiness::Error) -> std::io::Error {
        error
    }
    assert_eq!(same(std::io::ErrorKind::NotFound.into()).kind(), std::io::ErrorKind::NotFound);
}
