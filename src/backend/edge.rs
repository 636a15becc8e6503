//! Edges where the host tells levels only. One rule for both directions.
//!
//! **An edge is never lost; at worst it is told more than once, or late by a
//! bounded time.** A source is told when it is added, when it is modified, and
//! when it is seen to become ready. What was told is quiet until it is armed
//! again: by being seen not ready, by a change of the source's count, where the
//! host counts, or by hand. While none of these happens and it is still ready, it
//! is told again after 1 ms, then 2, doubling to 256 ms.

use std::time::Duration;

use super::Count;
use crate::flags::PollFlags;
use crate::timeout::{Instant, earlier};

/// In milliseconds.
const FIRST: u32 = 1;
const LAST: u32 = 256;

/// The edge of one source. A new one is armed.
#[derive(Debug, Default)]
pub(crate) struct Edge {
    write: Half,
    /// And whatever else there is.
    read: Half,
}

/// One direction, so that traffic in the other does not tell it ever anew.
#[derive(Debug)]
struct Half {
    /// Told, and seen ready ever since.
    told: PollFlags,
    /// How much there was to read then.
    count: Option<Count>,
    /// When to tell it again, and how many milliseconds that was put off.
    again: Option<Instant>,
    put_off: u32,
}

impl Default for Half {
    fn default() -> Half {
        Half { told: PollFlags::empty(), count: None, again: None, put_off: 0 }
    }
}

const WRITE: PollFlags = PollFlags::OUT.union(PollFlags::WRNORM).union(PollFlags::WRBAND);

impl Edge {
    /// It is as a new one.
    // Apart: it is much code for each place.
    #[inline(never)]
    pub(crate) fn arm(&mut self) {
        *self = Edge::default();
    }

    /// What need not be waited for until [`again`](Edge::again).
    pub(crate) fn quiet(&self) -> PollFlags {
        self.read.told | self.write.told
    }

    /// When it is told again, if nothing arms it before.
    // Inlined where it has one caller in most programs.
    #[cfg_attr(target_family = "wasm", inline(always))]
    pub(crate) fn again(&self) -> Option<Instant> {
        earlier(self.read.again, self.write.again)
    }

    /// Takes notice of what the source is ready for now, of all that is wanted.
    /// Whether that is to be told.
    pub(crate) fn see(
        &mut self,
        ready: PollFlags,
        count: impl FnOnce() -> Option<Count>,
        now: Instant,
    ) -> bool {
        let write = self.write.see(ready & WRITE, || None, now);
        let read = self.read.see(ready - WRITE, count, now);
        read || write
    }

    /// Takes notice of what was told.
    pub(crate) fn tell(
        &mut self,
        ready: PollFlags,
        count: impl FnOnce() -> Option<Count>,
        now: Instant,
    ) {
        self.write.tell(ready & WRITE, || None, now);
        self.read.tell(ready - WRITE, count, now);
    }
}

impl Half {
    fn see(
        &mut self,
        ready: PollFlags,
        count: impl FnOnce() -> Option<Count>,
        now: Instant,
    ) -> bool {
        self.told &= ready;
        if self.told.is_empty() {
            self.again = None;
        }
        if self.told != ready {
            return true;
        }
        let Some(at) = self.again else { return !ready.is_empty() };
        if at <= now {
            return true;
        }
        if self.told.intersects(PollFlags::READABLE) && count() != self.count {
            self.again = None;
            return true;
        }
        false
    }

    // Apart, as `arm`.
    #[inline(never)]
    fn tell(&mut self, ready: PollFlags, count: impl FnOnce() -> Option<Count>, now: Instant) {
        let same = self.told == ready;
        self.told = ready;
        if ready.is_empty() {
            self.again = None;
            return;
        }
        self.put_off = match self.again {
            // Told beside the other direction, before its time.
            Some(at) if same && at > now => return,
            Some(_) if same => (self.put_off * 2).min(LAST),
            _ => FIRST,
        };
        self.count = if ready.intersects(PollFlags::READABLE) { count() } else { None };
        self.again = now.checked_add(Duration::from_millis(self.put_off.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const IN: PollFlags = PollFlags::IN;
    const OUT: PollFlags = PollFlags::OUT;

    fn uncounted() -> Option<Count> {
        None
    }

    #[test]
    fn fires_once_and_again_when_it_was_seen_not_ready() {
        let now = Instant::now();
        let mut edge = Edge::default();
        assert!(!edge.see(PollFlags::empty(), uncounted, now));
        assert!(edge.see(IN, uncounted, now));
        // Not told yet: a full buffer loses nothing.
        assert!(edge.see(IN, uncounted, now));
        edge.tell(IN, uncounted, now);
        assert!(!edge.see(IN, uncounted, now));
        assert!(!edge.see(PollFlags::empty(), uncounted, now));
        assert!(edge.see(IN, uncounted, now));
    }

    #[test]
    fn each_direction_has_its_own_edge() {
        let now = Instant::now();
        let mut edge = Edge::default();
        edge.tell(OUT, uncounted, now);
        assert_eq!(edge.quiet(), OUT);
        assert!(edge.see(IN | OUT, uncounted, now));
        edge.tell(IN | OUT, uncounted, now);
        assert!(!edge.see(OUT, uncounted, now));
        assert_eq!(edge.quiet(), OUT);
        assert!(edge.see(IN | OUT, uncounted, now));
    }

    #[test]
    fn what_was_not_ready_before_is_told_at_once_and_what_ends_is_not() {
        let now = Instant::now();
        let mut edge = Edge::default();
        edge.tell(IN, uncounted, now);
        assert!(!edge.see(IN, uncounted, now));
        assert!(edge.see(IN | PollFlags::RDHUP, uncounted, now));
        edge.tell(IN | PollFlags::RDHUP, uncounted, now);
        assert!(!edge.see(PollFlags::RDHUP, uncounted, now));
        assert!(edge.see(IN | PollFlags::RDHUP, uncounted, now));
    }

    #[test]
    fn traffic_in_one_direction_does_not_tell_the_other_one_ever_anew() {
        let mut now = Instant::now();
        let mut edge = Edge::default();
        let mut extra = 0;
        edge.tell(OUT, uncounted, now);
        for _ in 0..1000 {
            now += MS;
            extra += usize::from(edge.see(OUT, uncounted, now));
            edge.tell(IN | OUT, uncounted, now);
        }
        assert!(extra <= 12, "{extra} in a second");
    }

    #[cfg(any(unix, windows))]
    #[test]
    fn another_count_is_another_edge() {
        let now = Instant::now();
        let mut edge = Edge::default();
        edge.tell(IN, || Some(1), now);
        assert!(!edge.see(IN, || Some(1), now));
        assert!(edge.see(IN, || Some(2), now));
        edge.tell(IN, || Some(2), now);
        assert!(!edge.see(IN, || Some(2), now));
    }

    #[test]
    fn what_stays_ready_is_told_again_ever_more_rarely_and_never_later_than_the_last_pause() {
        let mut now = Instant::now();
        let mut edge = Edge::default();
        edge.tell(IN, uncounted, now);
        for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 256, 256] {
            assert_eq!(edge.again(), Some(now + MS * pause));
            assert!(!edge.see(IN, uncounted, now + (MS * pause - MS / 2)));
            now += MS * pause;
            assert!(edge.see(IN, uncounted, now));
            edge.tell(IN, uncounted, now);
        }
        // Armed again, it begins anew.
        assert!(!edge.see(PollFlags::empty(), uncounted, now));
        assert_eq!(edge.again(), None);
        assert!(edge.see(IN, uncounted, now));
        edge.tell(IN, uncounted, now);
        assert_eq!(edge.again(), Some(now + MS));
    }
}
