//! What a wait of a `Selector` answers.

use bitflags::bitflags;

use super::Interest;
use crate::backend::glance::Glances;
use crate::backend::{AT_ONCE, Backend, HostBackend};
use crate::flags::PollFlags;

bitflags! {
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub(super) struct Ready: u8 {
        const READABLE = 1;
        const WRITABLE = 2;
        const PRIORITY = 4;
        const ERROR = 8;
        const READ_CLOSED = 16;
        const WRITE_CLOSED = 32;
        const TIMER = 64;
        const WAKE = 128;
    }
}

impl Ready {
    /// Whether it is what is told most.
    #[inline]
    pub(super) fn is_plain(flags: PollFlags) -> bool {
        (PollFlags::IN | PollFlags::OUT).contains(flags)
    }

    /// The table in the documentation of `Selector`.
    #[inline]
    pub(super) fn of(flags: PollFlags, interest: Interest) -> Ready {
        // What is told most, by less. (The first bits are the same.)
        if Ready::is_plain(flags) {
            let bits = flags.bits();
            let readable = (bits / PollFlags::IN.bits()) & 1;
            let writable = (bits / PollFlags::OUT.bits()) & 1;
            let ready = (readable | (writable << 1)) as u8;
            return Ready::from_bits_retain(ready & interest.bits());
        }
        Ready::of_odd(flags, interest)
    }

    fn of_odd(flags: PollFlags, interest: Interest) -> Ready {
        let closed = PollFlags::HUP | PollFlags::RDHUP;
        let error = flags.contains(PollFlags::ERR);
        let alone = flags == PollFlags::ERR;
        let mut ready = Ready::empty();
        ready.set(
            Ready::READABLE,
            interest.contains(Interest::READ) && flags.intersects(PollFlags::READABLE | closed),
        );
        ready.set(
            Ready::WRITABLE,
            interest.contains(Interest::WRITE)
                && flags.intersects(PollFlags::WRITABLE | PollFlags::HUP),
        );
        ready.set(
            Ready::PRIORITY,
            interest.contains(Interest::PRIORITY) && flags.contains(PollFlags::PRI),
        );
        ready.set(Ready::ERROR, error);
        ready.set(Ready::READ_CLOSED, flags.intersects(closed));
        ready.set(
            Ready::WRITE_CLOSED,
            flags.contains(PollFlags::HUP) || (error && (alone || flags.contains(PollFlags::OUT))),
        );
        ready
    }
}

/// One event of a [`Selector`](super::Selector): of a source, a timer or a waker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    token: u64,
    count: u32,
    ready: Ready,
}

impl Event {
    pub(super) fn source(token: u64, ready: Ready) -> Event {
        Event { token, count: 0, ready }
    }

    pub(super) fn timer(token: u64, count: u64) -> Event {
        Event { token, count: u32::try_from(count).unwrap_or(u32::MAX), ready: Ready::TIMER }
    }

    pub(super) fn wake(token: u64) -> Event {
        Event { token, count: 0, ready: Ready::WAKE }
    }

    /// The token that the source, timer or waker was given.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.token
    }

    /// A read would not block: there is data, or an end, or an error to be told.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.ready.contains(Ready::READABLE)
    }

    /// A write would not block: there is room, or an error to be told.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.ready.contains(Ready::WRITABLE)
    }

    /// There is something exceptional: out-of-band data.
    #[must_use]
    pub fn is_priority(&self) -> bool {
        self.ready.contains(Ready::PRIORITY)
    }

    /// An error is pending. A hint: not every host tells.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.ready.contains(Ready::ERROR)
    }

    /// No more data will come; there may be some left to read. A hint: not every
    /// host tells, and a read of nothing always does.
    #[must_use]
    pub fn is_read_closed(&self) -> bool {
        self.ready.contains(Ready::READ_CLOSED)
    }

    /// Nobody will read what is written. A hint: not every host tells, and a write
    /// always does.
    #[must_use]
    pub fn is_write_closed(&self) -> bool {
        self.ready.contains(Ready::WRITE_CLOSED)
    }

    /// A timer expired.
    #[must_use]
    pub fn is_timer(&self) -> bool {
        self.ready.contains(Ready::TIMER)
    }

    /// How often the timer expired since its last event; zero if it is no timer.
    #[must_use]
    pub fn expirations(&self) -> u32 {
        self.count
    }

    /// A waker woke.
    #[must_use]
    pub fn is_wake(&self) -> bool {
        self.ready.contains(Ready::WAKE)
    }
}

/// More than any host gives at once.
const MOST: usize = i32::MAX as usize / 16;

/// Where [`Selector::wait`](super::Selector::wait) puts events. It is kept and
/// used again, so that a wait allocates nothing. It is `Send` and `Sync`.
pub struct Events {
    pub(super) found: <HostBackend as Backend>::Buffer,
    pub(super) list: Vec<Event>,
    pub(super) capacity: usize,
    pub(super) glances: Glances,
}

impl Events {
    /// For at most `capacity` events of sources a wait, and at least one; timers
    /// and wakers come on top.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Events {
        Events {
            found: Default::default(),
            list: Vec::with_capacity(capacity.min(AT_ONCE)),
            capacity: capacity.clamp(1, MOST),
            glances: Glances::default(),
        }
    }

    /// The events of the last wait.
    pub fn iter(&self) -> std::slice::Iter<'_, Event> {
        self.list.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many events of sources a wait gives at most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = &'a Event;
    type IntoIter = std::slice::Iter<'a, Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self).finish()
    }
}
