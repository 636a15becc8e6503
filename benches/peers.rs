//! `Selector` and its peers behind one interface, each used as its documentation
//! says, so that one piece of work is written once for all.

use std::num::NonZero;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use mio::unix::SourceFd;
use rustix::event::epoll;

/// How often a source is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Level,
    Edge,
}

/// A set of sources to read from. The calls are inlined on all sides alike: what is
/// measured is the peer, and not a return from here, which is dear after a system
/// call.
pub trait Peer {
    const NAME: &'static str;
    /// Whether it tells levels too.
    const LEVEL: bool = true;

    /// A wait tells at most so many.
    fn new(most: usize) -> Self;
    fn add(&mut self, fd: BorrowedFd<'_>, token: usize, mode: Mode);
    fn modify(&mut self, fd: BorrowedFd<'_>, token: usize, mode: Mode);
    fn delete(&mut self, fd: BorrowedFd<'_>);
    /// Tells each token, and says how many there were.
    fn wait(&mut self, timeout: Option<Duration>, each: impl FnMut(usize)) -> usize;
}

pub struct Ours {
    selector: readiness::Selector,
    events: readiness::Events,
}

fn our_mode(mode: Mode) -> readiness::Mode {
    match mode {
        Mode::Level => readiness::Mode::Level,
        Mode::Edge => readiness::Mode::Edge,
    }
}

impl Peer for Ours {
    const NAME: &'static str = "Selector";

    fn new(most: usize) -> Ours {
        Ours {
            selector: readiness::Selector::new().unwrap(),
            events: readiness::Events::with_capacity(most),
        }
    }

    #[inline(always)]
    fn add(&mut self, fd: BorrowedFd<'_>, token: usize, mode: Mode) {
        let read = readiness::Interest::READ;
        self.selector.register(&fd, token as u64, read, our_mode(mode)).unwrap();
    }

    #[inline(always)]
    fn modify(&mut self, fd: BorrowedFd<'_>, token: usize, mode: Mode) {
        let read = readiness::Interest::READ;
        self.selector.modify(&fd, token as u64, read, our_mode(mode)).unwrap();
    }

    #[inline(always)]
    fn delete(&mut self, fd: BorrowedFd<'_>) {
        self.selector.unregister(&fd).unwrap();
    }

    #[inline(always)]
    fn wait(&mut self, timeout: Option<Duration>, mut each: impl FnMut(usize)) -> usize {
        let told = self.selector.wait(&mut self.events, timeout).unwrap();
        for event in &self.events {
            each(event.token() as usize);
        }
        told
    }
}

/// The system calls.
pub struct Raw {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

/// What `Selector` asks for, too.
fn raw_flags(mode: Mode) -> i32 {
    let read = libc::EPOLLIN | libc::EPOLLRDHUP;
    match mode {
        Mode::Level => read,
        Mode::Edge => read | libc::EPOLLET,
    }
}

impl Raw {
    #[inline(always)]
    fn control(&self, operation: i32, fd: BorrowedFd<'_>, flags: i32, data: u64) {
        let mut event = libc::epoll_event { events: flags as u32, u64: data };
        let (epoll, fd) = (self.epoll.as_raw_fd(), fd.as_raw_fd());
        // SAFETY: the event is ours.
        assert_eq!(unsafe { libc::epoll_ctl(epoll, operation, fd, &mut event) }, 0);
    }
}

impl Peer for Raw {
    const NAME: &'static str = "raw epoll";

    fn new(most: usize) -> Raw {
        // SAFETY: no pointers; the kernel gives us the descriptor.
        let epoll = unsafe { OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC)) };
        Raw { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; most] }
    }

    #[inline(always)]
    fn add(&mut self, fd: BorrowedFd<'_>, token: usize, mode: Mode) {
        self.control(libc::EPOLL_CTL_ADD, fd, raw_flags(mode), token as u64);
    }

    #[inline(always)]
    fn modify(&mut self, fd: BorrowedFd<'_>, token: usize, mode: Mode) {
        self.control(libc::EPOLL_CTL_MOD, fd, raw_flags(mode), token as u64);
    }

    #[inline(always)]
    fn delete(&mut self, fd: BorrowedFd<'_>) {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, 0);
    }

    #[inline(always)]
    fn wait(&mut self, timeout: Option<Duration>, mut each: impl FnMut(usize)) -> usize {
        let ms = timeout.map_or(-1, |timeout| timeout.as_millis() as i32);
        let (events, most) = (self.events.as_mut_ptr(), self.events.len() as i32);
        // SAFETY: there is room for `most` events.
        let told = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events, most, ms) };
        for event in &self.events[..told as usize] {
            each(event.u64 as usize);
        }
        told as usize
    }
}

pub struct Rustix {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Peer for Rustix {
    const NAME: &'static str = "rustix::event";

    fn new(most: usize) -> Rustix {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        Rustix { epoll, events: Vec::with_capacity(most) }
    }

    #[inline(always)]
    fn add(&mut self, fd: BorrowedFd<'_>, token: usize, mode: Mode) {
        let flags = epoll::EventFlags::from_bits_retain(raw_flags(mode) as u32);
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token as u64), flags).unwrap();
    }

    #[inline(always)]
    fn modify(&mut self, fd: BorrowedFd<'_>, token: usize, mode: Mode) {
        let flags = epoll::EventFlags::from_bits_retain(raw_flags(mode) as u32);
        epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(token as u64), flags).unwrap();
    }

    #[inline(always)]
    fn delete(&mut self, fd: BorrowedFd<'_>) {
        epoll::delete(&self.epoll, fd).unwrap();
    }

    #[inline(always)]
    fn wait(&mut self, timeout: Option<Duration>, mut each: impl FnMut(usize)) -> usize {
        let timeout = timeout.map(|timeout| timeout.try_into().unwrap());
        self.events.clear();
        let room = rustix::buffer::spare_capacity(&mut self.events);
        let told = epoll::wait(&self.epoll, room, timeout.as_ref()).unwrap();
        for event in &self.events {
            each(event.data.u64() as usize);
        }
        told
    }
}

pub struct Mio {
    poll: mio::Poll,
    events: mio::Events,
}

impl Peer for Mio {
    const NAME: &'static str = "mio";
    const LEVEL: bool = false;

    fn new(most: usize) -> Mio {
        Mio { poll: mio::Poll::new().unwrap(), events: mio::Events::with_capacity(most) }
    }

    #[inline(always)]
    fn add(&mut self, fd: BorrowedFd<'_>, token: usize, _mode: Mode) {
        let (fd, read) = (fd.as_raw_fd(), mio::Interest::READABLE);
        self.poll.registry().register(&mut SourceFd(&fd), mio::Token(token), read).unwrap();
    }

    #[inline(always)]
    fn modify(&mut self, fd: BorrowedFd<'_>, token: usize, _mode: Mode) {
        let (fd, read) = (fd.as_raw_fd(), mio::Interest::READABLE);
        self.poll.registry().reregister(&mut SourceFd(&fd), mio::Token(token), read).unwrap();
    }

    #[inline(always)]
    fn delete(&mut self, fd: BorrowedFd<'_>) {
        self.poll.registry().deregister(&mut SourceFd(&fd.as_raw_fd())).unwrap();
    }

    #[inline(always)]
    fn wait(&mut self, timeout: Option<Duration>, mut each: impl FnMut(usize)) -> usize {
        self.poll.poll(&mut self.events, timeout).unwrap();
        let mut told = 0;
        for event in &self.events {
            told += 1;
            each(event.token().0);
        }
        told
    }
}

pub struct Polling {
    poller: polling::Poller,
    events: polling::Events,
}

fn polling_mode(mode: Mode) -> polling::PollMode {
    match mode {
        Mode::Level => polling::PollMode::Level,
        Mode::Edge => polling::PollMode::Edge,
    }
}

impl Peer for Polling {
    const NAME: &'static str = "polling";

    fn new(most: usize) -> Polling {
        let most = NonZero::new(most).unwrap();
        Polling {
            poller: polling::Poller::new().unwrap(),
            events: polling::Events::with_capacity(most),
        }
    }

    #[inline(always)]
    fn add(&mut self, fd: BorrowedFd<'_>, token: usize, mode: Mode) {
        let event = polling::Event::readable(token);
        // SAFETY: the benchmarks delete what they add before they close it.
        unsafe { self.poller.add_with_mode(fd.as_raw_fd(), event, polling_mode(mode)).unwrap() };
    }

    #[inline(always)]
    fn modify(&mut self, fd: BorrowedFd<'_>, token: usize, mode: Mode) {
        let event = polling::Event::readable(token);
        self.poller.modify_with_mode(fd, event, polling_mode(mode)).unwrap();
    }

    #[inline(always)]
    fn delete(&mut self, fd: BorrowedFd<'_>) {
        self.poller.delete(fd).unwrap();
    }

    #[inline(always)]
    fn wait(&mut self, timeout: Option<Duration>, mut each: impl FnMut(usize)) -> usize {
        self.events.clear();
        let told = self.poller.wait(&mut self.events, timeout).unwrap();
        for event in self.events.iter() {
            each(event.key);
        }
        told
    }
}

/// Adds sources with their positions as tokens.
pub fn add_all<P: Peer>(set: &mut P, fds: &[impl AsFd], mode: Mode) {
    fds.iter().enumerate().for_each(|(at, fd)| set.add(fd.as_fd(), at, mode));
}
