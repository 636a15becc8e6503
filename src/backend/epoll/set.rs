//! epoll as the [`Backend`] of Linux and Android.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{EpollFd, number};
use crate::backend::unix::{Wake, check};
use crate::backend::{Added, Backend, Caps, Key, Mode, alone, more_room};
use crate::event::EpollEvent;
use crate::flags::{EpollFlags, PollFlags};
use crate::source::{Held, Member, Source};
use crate::timeout::Until;

pub(crate) struct EpollSet {
    epoll: EpollFd,
    wake: Wake,
    /// Counts the times that the set was made anew.
    rebuilt: AtomicUsize,
}

#[inline]
fn flags(want: PollFlags, mode: Mode) -> EpollFlags {
    let mut flags = want.to_epoll();
    // Hang-ups and errors come unasked: where nothing is wanted, once and not
    // at each wait.
    flags.set(EpollFlags::ET, mode.is_edge() || want.is_empty());
    flags.set(EpollFlags::ONESHOT, mode.is_oneshot());
    flags
}

#[inline]
fn bits(key: Key) -> u64 {
    u64::from(key.generation()) << 32 | key.slot() as u64
}

/// An edge that is never read: each write is a new one.
const WAKE: EpollFlags = EpollFlags::IN.union(EpollFlags::ET);

impl EpollSet {
    #[inline]
    fn control(
        &self,
        operation: libc::c_int,
        source: &Member,
        flags: EpollFlags,
        key: Key,
    ) -> io::Result<()> {
        self.epoll.control(operation, number(source.raw()), flags.bits(), bits(key))
    }

    fn add_wake(epoll: &EpollFd, wake: &Wake) -> io::Result<()> {
        epoll.control(libc::EPOLL_CTL_ADD, wake.fd(), WAKE.bits(), u64::MAX)
    }
}

impl Backend for EpollSet {
    const NAME: &'static str = "epoll";
    const CAPS: Caps = Caps { edge: true, identity: true, numbers: 1 << 17, side_by_side: true };
    type Buffer = Buffer;

    fn new() -> io::Result<EpollSet> {
        alone::find_out();
        let epoll = EpollFd::new(libc::EPOLL_CLOEXEC as u32)?;
        let wake = Wake::new()?;
        EpollSet::add_wake(&epoll, &wake)?;
        Ok(EpollSet { epoll, wake, rebuilt: AtomicUsize::new(0) })
    }

    fn as_source(set: &Arc<EpollSet>) -> Source<'_> {
        set.epoll.as_fd().into()
    }

    #[inline]
    fn numbered(number: u32) -> Option<Member> {
        Some(Member::Host(Held::Fd(number as RawFd)))
    }

    #[inline]
    fn add(&self, key: Key, source: &Member, want: PollFlags, mode: Mode) -> io::Result<Added> {
        match self.control(libc::EPOLL_CTL_ADD, source, flags(want, mode), key) {
            // A file: poll(2) would say that it is always ready.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(Added::AlwaysReady),
            other => other.map(|()| Added::Watched),
        }
    }

    #[inline]
    fn modify(&self, key: Key, source: &Member, want: PollFlags, mode: Mode) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, source, flags(want, mode), key)
    }

    #[inline]
    fn delete(&self, key: Key, source: &Member) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, source, EpollFlags::empty(), key)
    }

    #[inline(always)]
    fn wait(&self, out: &mut Buffer, most: usize, until: &Until<'_>) -> io::Result<()> {
        if out.events.len() != most {
            out.fit(most);
        }
        let Buffer { events, found } = out;
        *found = 0;
        let events = &mut events[..];
        let room = events.len().min(most);
        let rebuilt = self.rebuilt.load(Ordering::Acquire);
        let told = self.epoll.wait(&mut events[..room], until)?;
        if self.rebuilt.load(Ordering::Acquire) != rebuilt {
            // A wake gets one thread back from the old set. There may be others.
            self.wake.wake()?;
        }
        *found = told;
        Ok(())
    }

    #[inline(always)]
    fn events(out: &Buffer) -> impl Iterator<Item = (Key, PollFlags)> {
        out.events[..out.found].iter().map(|event| {
            let data = event.data();
            (Key::new(data as u32, (data >> 32) as u32), PollFlags::from_epoll(event.flags()))
        })
    }

    #[inline]
    fn wake(&self) -> io::Result<()> {
        self.wake.wake()
    }

    fn rebuild(
        &self,
        live: impl Iterator<Item = (Key, Member, PollFlags, Mode)>,
    ) -> io::Result<()> {
        let new = EpollFd::new(libc::EPOLL_CLOEXEC as u32)?;
        EpollSet::add_wake(&new, &self.wake)?;
        for (key, source, want, mode) in live {
            // One that was closed meanwhile is gone, and its number may be a
            // stranger's: the old set tells.
            if self.modify(key, &source, want, mode).is_ok() {
                let fd = number(source.raw());
                let _ = new.control(libc::EPOLL_CTL_ADD, fd, flags(want, mode).bits(), bits(key));
            }
        }
        let (from, to) = (new.0.as_raw_fd(), self.epoll.0.as_raw_fd());
        // By its number: libc has no name for it on Android.
        // SAFETY: both descriptors are ours. The number stays, the set is new.
        check(unsafe { libc::syscall(libc::SYS_dup3, from, to, libc::O_CLOEXEC) } as libc::c_int)?;
        self.rebuilt.fetch_add(1, Ordering::Release);
        // Whoever waits on the old set comes back and waits on the new one.
        self.wake.wake()
    }
}

#[derive(Default)]
pub(crate) struct Buffer {
    events: Vec<EpollEvent>,
    found: usize,
}

impl Buffer {
    /// There may be more at once than there is room for.
    #[cold]
    fn fit(&mut self, most: usize) {
        if let Some(room) = more_room(self.events.len(), self.found, most) {
            self.events.resize(room, EpollEvent::default());
        }
    }
}
