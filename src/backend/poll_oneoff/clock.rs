//! The clock: a number of nanoseconds. (`std`'s moments and spans of two numbers each
//! are a kilobyte of code.)

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

use super::host::{FOR_EVER, now};
use crate::timeout;

/// As `std::time::Instant`, on the same clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(u64);

impl Instant {
    #[inline]
    pub(crate) fn now() -> Instant {
        Instant(now())
    }

    pub(crate) fn checked_add(self, time: Duration) -> Option<Instant> {
        self.0.checked_add(nanos(time)).map(Instant)
    }

    pub(crate) fn checked_duration_since(self, earlier: Instant) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_nanos)
    }

    #[inline]
    pub(crate) fn saturating_duration_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, time: Duration) {
        *self = *self + time;
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, time: Duration) -> Instant {
        Instant(self.0.saturating_add(nanos(time)))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// A time in nanoseconds: 500 years are as good as more.
#[inline]
fn nanos(time: Duration) -> u64 {
    time.as_secs().min(1 << 34) * 1_000_000_000 + u64::from(time.subsec_nanos())
}

/// When a wait ends if nothing else ends it, and what is left until then as of the last look
/// at the clock: [`FOR_EVER`] if that is no time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    end: u64,
    left: u64,
}

impl Deadline {
    pub(crate) const NOW: Deadline = Deadline { end: 0, left: 0 };
    pub(crate) const NEVER: Deadline = Deadline { end: FOR_EVER, left: FOR_EVER };

    /// After `timeout`; never without one, or with one that is as good as for ever.
    /// Reads the clock once if the timeout is neither zero nor for ever.
    #[inline]
    pub(crate) fn after(timeout: Option<Duration>) -> Deadline {
        match timeout {
            Some(left) if left.as_secs() < timeout::FOR_EVER.as_secs() => {
                let left = nanos(left);
                if left == 0 {
                    return Deadline::NOW;
                }
                // A clock that is near its end is wrong.
                Deadline { end: now().saturating_add(left), left }
            }
            _ => Deadline::NEVER,
        }
    }

    /// The sooner of this and `other`, as seen at `now`.
    pub(crate) fn or_at(self, other: Option<Instant>, now: Instant) -> Deadline {
        let end = other.map_or(self.end, |other| self.end.min(other.0));
        Deadline { end, left: until(end, now.0) }
    }

    #[inline]
    pub(crate) fn left(&self) -> Option<Duration> {
        (self.left != FOR_EVER).then(|| Duration::from_nanos(self.left))
    }

    /// Whether no time was left.
    #[inline]
    pub(crate) fn is_now(&self) -> bool {
        self.left == 0
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// What is left in nanoseconds.
    #[inline]
    pub(super) fn nanos(&self) -> u64 {
        self.left
    }

    /// Reads the clock again.
    pub(crate) fn refresh(&mut self) {
        self.left = left_until(self.end);
    }

    /// Whether the time is up, by the clock.
    pub(crate) fn passed(&mut self) -> bool {
        self.refresh();
        self.is_now()
    }
}

fn until(end: u64, now: u64) -> u64 {
    if end == FOR_EVER { FOR_EVER } else { end.saturating_sub(now) }
}

/// How long until then.
pub(super) fn left_until(end: u64) -> u64 {
    // Nothing to be known of the clock at the ends of time.
    if end == 0 || end == FOR_EVER { end } else { until(end, now()) }
}
