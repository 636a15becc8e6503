//! The hosts: what each owes, and which one a build gets.
//!
//! There are two kinds of host interface. One is given its whole list of sources
//! at each call and keeps nothing: poll(2), `poll_oneoff`, WinSock's select. It
//! gets a file with a [`List`]. The other keeps a set in the kernel: epoll, kqueue.
//! It gets a file with a [`Backend`]. [`scan`] makes a backend of any list.
//!
//! A quirk of a host ends in its file: above this folder every host is alike.
//! `unsafe` is here and in `capi/` alone. To port to a host, copy
//! `unsupported.rs` and fill it in.

#![allow(unsafe_code)]

use std::io;
use std::sync::Arc;

use crate::flags::PollFlags;
use crate::source::{Held, Member, RawSource, Source};
use crate::timeout::Until;

/// A set of sources in numbered slots and what is wanted of each, all of it
/// given to the host at each wait. Slots keep their order.
pub(crate) trait List: Default + Send + Sync {
    /// Its name, as the documentation has it.
    const NAME: &'static str;
    /// To take in sources anew costs less than to look whether they are others.
    const REFILLS: bool = false;

    /// Puts a source into `slot`, which is vacant or the next new one.
    fn put(&mut self, slot: usize, source: &Held, want: PollFlags);

    /// Has these sources and no others, in this order.
    fn refill(&mut self, sources: impl Iterator<Item = Held>, want: PollFlags) {
        self.truncate(0);
        for source in sources {
            self.put(self.len(), &source, want);
        }
    }

    /// Puts a set into `slot`, as [`put`](List::put), by its number: a wait passes over it,
    /// and it has what is [told](List::tell) of it.
    fn put_set(&mut self, slot: usize, id: u64);

    /// From now on several slots may have one source.
    fn share(&mut self) {}

    /// Adds to what the last wait found: a set is ready.
    fn tell(&mut self, slot: usize, flags: PollFlags);

    /// The source in a slot; `None` if it is vacant.
    fn source(&self, slot: usize) -> Option<RawSource>;

    /// Wants something else of a slot's source. Nothing wanted still tells
    /// `ERR`, `HUP` and `NVAL`.
    fn set(&mut self, slot: usize, want: PollFlags);

    /// Takes a slot's source away. A wait passes over the slot.
    fn vacate(&mut self, slot: usize);

    /// Whether there is a [`take_back`](List::take_back).
    const TAKES_BACK: bool = false;

    /// A wait passes over the slot until it is taken back; or else from now on: it is vacant.
    fn pass_over(&mut self, slot: usize) {
        self.vacate(slot);
    }

    /// Takes back what was passed over.
    fn take_back(&mut self) {}

    /// Whether it owns a source that its owner may have to be rid of.
    #[inline]
    fn owns_some(&self) -> bool {
        false
    }

    /// The number of slots, vacant ones among them.
    fn len(&self) -> usize;

    /// Leaves the first `slots` only. Allocations are kept.
    fn truncate(&mut self, slots: usize);

    /// Moves every source down over the vacant slots, in order, and tells which
    /// slot went where.
    fn compact(&mut self, moved: impl FnMut(usize, usize));

    /// Waits until something is ready or `until` ends it, and says how many slots
    /// are ready. May be late by the host's clock and never early with nothing.
    /// A descriptor that is not open is ready with `NVAL`.
    fn wait(&mut self, until: &Until<'_>) -> io::Result<usize>;

    /// Whether there is a [`wait_plainly`](List::wait_plainly).
    const PLAIN: bool = false;

    /// A wait that nothing odd came up in, for less: how many slots are ready, at `most`.
    /// 0: a [`wait`](List::wait) is to be made, which goes on from there.
    #[inline]
    fn wait_plainly(&mut self, _most: usize, _until: &Until<'_>) -> usize {
        0
    }

    /// What it found, as [`ready`](List::ready): `IN` or `OUT`, of what was wanted.
    #[inline]
    fn ready_plainly(&self) -> impl Iterator<Item = (usize, PollFlags)> {
        std::iter::empty()
    }

    /// The slots of it, so that who takes them in knows how many there are.
    #[inline]
    fn slots_plainly(&self) -> impl Iterator<Item = usize> {
        std::iter::empty()
    }

    /// The slots that the last wait found ready, in order of slots. Every flag
    /// told is one that was wanted, or `ERR`, `HUP`, `NVAL`.
    fn ready(&self) -> impl Iterator<Item = (usize, PollFlags)>;

    /// Makes `found` those of them, so many, that are ready for any of `take`, and
    /// says what all of them are ready for.
    #[inline]
    fn collect(&self, ready: usize, take: PollFlags, found: &mut Vec<usize>) -> PollFlags {
        collect(self.ready(), ready, take, found)
    }

    /// The same, with their sources.
    #[inline]
    fn ready_sources(&self) -> impl Iterator<Item = (RawSource, PollFlags)> {
        self.ready().filter_map(|(slot, flags)| Some((self.source(slot)?, flags)))
    }
}

/// As [`List::collect`], of what is ready.
#[inline]
fn collect(
    told: impl Iterator<Item = (usize, PollFlags)>,
    ready: usize,
    take: PollFlags,
    found: &mut Vec<usize>,
) -> PollFlags {
    found.clear();
    grow::make_room(found, ready);
    let mut seen = PollFlags::empty();
    for (slot, flags) in told {
        if flags.intersects(take) {
            grow::push(found, slot);
        }
        seen |= flags;
    }
    seen
}

/// The number of the first set: no descriptor is that large. They are numbered from there,
/// and none has the number of another one.
pub(crate) const FIRST_SET: u64 = (1 << 31) + 1;

/// Which registration an event belongs to: a slot, and a generation that counts
/// the slot's uses. Late news of a dead registration has an old generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u64);

impl Key {
    /// The backend's own waker.
    pub(crate) const WAKE: Key = Key(u64::MAX);

    pub(crate) fn new(slot: u32, generation: u32) -> Key {
        Key(u64::from(generation) << 32 | u64::from(slot))
    }

    pub(crate) fn slot(self) -> usize {
        self.0 as u32 as usize
    }

    pub(crate) fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// A backend's own source, as `WAKE` is.
    #[allow(dead_code, reason = "where the kernel has kqueue")]
    pub(crate) const fn own(number: u64) -> Key {
        Key(u64::MAX - number)
    }

    /// As one number, and back.
    #[allow(dead_code, reason = "where the kernel has kqueue")]
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    #[allow(dead_code, reason = "where the kernel has kqueue")]
    pub(crate) fn from_bits(bits: u64) -> Key {
        Key(bits)
    }
}

/// How often a registration reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// At each wait, as long as the source is ready.
    Level,
    /// When the source becomes ready. Read or write until `WouldBlock`.
    #[doc(alias = "EPOLLET")]
    #[doc(alias = "EV_CLEAR")]
    Edge,
    /// Once; a modify arms it again.
    #[doc(alias = "EPOLLONESHOT")]
    #[doc(alias = "EV_DISPATCH")]
    OneShot,
    /// Once, when the source becomes ready; a modify arms it again.
    EdgeOneShot,
}

impl Mode {
    pub(crate) fn is_edge(self) -> bool {
        matches!(self, Mode::Edge | Mode::EdgeOneShot)
    }

    pub(crate) fn is_oneshot(self) -> bool {
        matches!(self, Mode::OneShot | Mode::EdgeOneShot)
    }
}

/// What became of a source that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// The host watches it.
    Watched,
    /// The host cannot watch it, because it is always ready: a file.
    AlwaysReady,
}

/// What a host can do by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caps {
    /// Reports edges.
    pub(crate) edge: bool,
    /// Tells a source from another one that got the same number.
    pub(crate) identity: bool,
    /// Sources with smaller numbers than this it knows by them, keeps nothing by the
    /// slot of a key, and has no lock of its own.
    pub(crate) numbers: u32,
    /// Threads wait on it side by side: one that looks and goes disturbs nobody.
    pub(crate) side_by_side: bool,
}

/// What became of a wait without a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "where the kernel has epoll")]
pub(crate) enum AtOnce {
    /// So much was found and taken.
    Told(usize),
    /// Whatever was taken is void: a wait with a buffer is to be made.
    Failed,
    /// The same, and no time has passed.
    NotTried,
}

/// Takes what a wait found.
pub(crate) trait Taker {
    /// By slots; `key` tells the key of one. `false`: not all was taken, as what was
    /// closed is not.
    fn take(
        &mut self,
        found: impl Iterator<Item = (usize, PollFlags)>,
        key: impl Fn(usize) -> Option<Key>,
    ) -> bool;
}

/// The most events that room is made for before they are there.
pub(crate) const AT_ONCE: usize = 1 << 16;

/// How much room a wait for at most `most` needs that has room for `len`, if it needs more: the
/// last one filled it, or it was made for a small wait.
#[allow(dead_code, reason = "where the kernel has sets of its own")]
#[inline]
pub(crate) fn more_room(len: usize, found: usize, most: usize) -> Option<usize> {
    let small = found == len || len < most.min(AT_ONCE);
    small.then(|| (found * 2).max(AT_ONCE).min(most).max(found))
}

/// A set of sources to wait on. Other threads may add, modify, delete and wake
/// while one waits, and it takes effect at once.
pub(crate) trait Backend: Sized + Send + Sync {
    /// Its name, as `--cfg readiness_backend` and the documentation have it.
    const NAME: &'static str;
    const CAPS: Caps;
    /// Where a wait puts what it found.
    type Buffer: Default + Send + Sync;

    fn new() -> io::Result<Self>;

    /// The set as a source: its descriptor, where it has one.
    #[allow(dead_code, reason = "where the kernel has epoll")]
    fn as_source(set: &Arc<Self>) -> Source<'_>;

    /// Its name as a source.
    #[allow(dead_code, reason = "where the kernel has epoll")]
    fn raw(set: &Arc<Self>) -> RawSource {
        Self::as_source(set).raw()
    }

    /// The source that has a number, as of `Caps::numbers`.
    #[inline]
    fn numbered(_number: u32) -> Option<Member> {
        None
    }

    /// Watches a source. The host's own errors: not open, added before. Nothing
    /// wanted is nothing told; `ERR` or `HUP` wanted alone are told as a level.
    fn add(&self, key: Key, source: &Member, want: PollFlags, mode: Mode) -> io::Result<Added>;

    /// Wants something else of a source, and arms it again. `NotFound` if the
    /// host does not have it.
    fn modify(&self, key: Key, source: &Member, want: PollFlags, mode: Mode) -> io::Result<()>;

    /// Stops watching. `NotFound` if the host does not have it any more.
    fn delete(&self, key: Key, source: &Member) -> io::Result<()>;

    /// The program read or wrote until `WouldBlock`. Nothing to do where the host
    /// saw it.
    #[allow(dead_code, reason = "where the kernel has epoll")]
    fn rearm(&self, _key: Key) -> io::Result<()> {
        Ok(())
    }

    /// Waits for at most `most` events. Returns with none when `until` ends it;
    /// may be spurious, never misses, and holds no lock meanwhile.
    fn wait(&self, out: &mut Self::Buffer, most: usize, until: &Until<'_>) -> io::Result<()>;

    /// The same, where [`wait_at_once`](Backend::wait_at_once) was tried.
    #[allow(dead_code, reason = "where the kernel has epoll")]
    fn wait_with_buffer(
        &self,
        out: &mut Self::Buffer,
        most: usize,
        until: &Until<'_>,
    ) -> io::Result<()> {
        self.wait(out, most, until)
    }

    /// The same without a buffer, where all that is found can be told at once, to what
    /// `begin` gives.
    #[allow(dead_code, reason = "where the kernel has epoll")]
    #[inline]
    fn wait_at_once<T: Taker>(
        &self,
        _most: usize,
        _until: &Until<'_>,
        _begin: impl FnOnce() -> Option<T>,
    ) -> io::Result<AtOnce> {
        Ok(AtOnce::NotTried)
    }

    /// Whether there is a [`wait_plainly`](Backend::wait_plainly) instead.
    #[allow(dead_code, reason = "where the kernel has epoll")]
    const PLAIN: bool = false;

    /// A wait without a buffer that nothing odd came up in: how many were told. 0: whatever
    /// was taken is void, and a wait with a buffer is to be made.
    #[allow(dead_code, reason = "where the kernel has epoll")]
    #[inline]
    fn wait_plainly(&self, _most: usize, _until: &Until<'_>, _to: impl Taker) -> usize {
        0
    }

    /// What the last wait into this buffer found. [`Key::WAKE`]: somebody called
    /// `wake`.
    fn events(out: &Self::Buffer) -> impl Iterator<Item = (Key, PollFlags)>;

    /// Makes a wait that is going on, or the next one, report [`Key::WAKE`].
    fn wake(&self) -> io::Result<()>;

    /// Starts anew with `live` alone, because the host reports what nobody can
    /// delete any more.
    fn rebuild(&self, live: impl Iterator<Item = (Key, Member, PollFlags, Mode)>)
    -> io::Result<()>;
}

#[cfg(unix)]
mod unix;
#[cfg(unix)]
#[allow(unused_imports, reason = "where the kernel has epoll")]
pub(crate) use unix::TELLS_IDENTITY;
#[cfg(unix)]
pub(crate) use unix::{
    Count, Identity, NOT_OPEN, SignalSet, Wake, check_source, count, identity, is_file, process,
};

#[cfg(not(unix))]
mod no_unix;
#[cfg(not(any(unix, windows)))]
pub(crate) use no_unix::{Count, count};
#[cfg(not(unix))]
pub(crate) use no_unix::{Identity, TELLS_IDENTITY, identity, process};

#[cfg(unix)]
mod call;
#[cfg(all(feature = "net", not(all(feature = "wasi-io", target_env = "p1"))))]
mod connect;
#[cfg(all(feature = "net", not(all(feature = "wasi-io", target_env = "p1"))))]
pub(crate) use connect::start_connect;

pub(crate) mod alone;
mod edge;
pub(crate) mod errno;
pub(crate) mod glance;
pub(crate) mod grow;
pub(crate) mod lock;
mod nested;
#[cfg(not(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
)))]
pub(crate) mod probe;
mod scan;
pub(crate) use nested::{HeldSet, SetHandle, SourceList};
#[allow(unused_imports, reason = "where the kernel has sets of its own")]
pub(crate) use {nested::Set, scan::Scan};

cfg_if::cfg_if! {
    if #[cfg(unix)] {
        mod poll;
        pub(crate) use poll::PollList as HostList;
    } else if #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))] {
        mod wasi_io;
        pub(crate) use wasi_io::{
            NetSocket, PollableList as HostList, NOT_OPEN, SignalSet, Socket, Wake, check_source, is_file,
        };
        #[cfg(all(feature = "net", target_env = "p1"))]
        pub(crate) use wasi_io::{tcp, udp};
    } else if #[cfg(all(target_os = "wasi", target_env = "p1"))] {
        mod poll_oneoff;
        pub(crate) use poll_oneoff::{
            Deadline, Instant, OneoffList as HostList, NOT_OPEN, SignalSet, Wake, check_source, is_file,
        };
    } else if #[cfg(windows)] {
        mod winsock;
        pub(crate) use winsock::{
            Count, WinsockList as HostList, NOT_OPEN, SignalSet, Wake, check_source, count, is_file,
        };
    } else {
        mod unsupported;
        pub(crate) use unsupported::{NoList as HostList, NOT_OPEN, SignalSet, Wake, check_source, is_file};
    }
}

cfg_if::cfg_if! {
    if #[cfg(all(any(target_os = "linux", target_os = "android"), not(readiness_backend = "poll")))] {
        pub(crate) mod epoll;
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod linux;

cfg_if::cfg_if! {
    if #[cfg(any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "dragonfly",
        // To be tested, on a kevent(2) that is part of the tests.
        all(target_os = "linux", any(test, readiness_fake_kevent)),
    ))] {
        pub(crate) mod kqueue;
        pub(crate) use kqueue::is_set;
    } else if #[cfg(readiness_emulated_epoll)] {
        pub(crate) use epoll::is_set;
    } else {
        /// Whether a source of the host is an emulated set: none is.
        #[allow(dead_code, reason = "where the kernel has epoll")]
        pub(crate) fn is_set(_source: &Held) -> bool {
            false
        }
    }
}

// The backend of `Selector`, and of `Epoll` where that is emulated.
cfg_if::cfg_if! {
    if #[cfg(readiness_fake_kevent)] {
        pub(crate) use kqueue::KqueueSet as HostBackend;
    } else if #[cfg(readiness_backend = "poll")] {
        pub(crate) use scan::Scan as HostBackend;
    } else if #[cfg(any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "dragonfly",
    ))] {
        pub(crate) use kqueue::KqueueSet as HostBackend;
    } else if #[cfg(any(target_os = "linux", target_os = "android"))] {
        pub(crate) use epoll::EpollSet as HostBackend;
    } else {
        pub(crate) use scan::Scan as HostBackend;
    }
}
