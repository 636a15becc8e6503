//! The clock: a number of nanoseconds. (`std`'s moments and spans of two numbers each
//! are a kilobyte of code.)

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

use crate::timeout::Deadline;

/// As `std::time::Instant`, on the same clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(u64);

impl Instant {
    #[inline]
    pub(crate) fn now() -> Instant {
        Instant(now())
    }

    pub(super) fn nanos(self) -> u64 {
        self.0
    }

    #[inline]
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

/// Nanoseconds since some moment. A host without a clock stands still.
pub(super) fn now() -> u64 {
    // SAFETY: no pointers of ours.
    unsafe { wasi::clock_time_get(wasi::CLOCKID_MONOTONIC, 1) }.unwrap_or(0)
}

/// A time in nanoseconds: 500 years are as good as more.
#[inline]
fn nanos(time: Duration) -> u64 {
    time.as_secs().min(1 << 34) * 1_000_000_000 + u64::from(time.subsec_nanos())
}

/// What a wait has left in nanoseconds; [`FOR_EVER`](super::FOR_EVER) if that is no time.
#[inline]
pub(super) fn left(deadline: &Deadline) -> u64 {
    deadline.left().map_or(u64::MAX, nanos)
}
