//! Timeouts: the one place that does time arithmetic.

use std::io;
use std::time::Duration;

use crate::signals::SignalSet;

cfg_if::cfg_if! {
    if #[cfg(all(target_os = "wasi", target_env = "p1", not(feature = "wasi-io")))] {
        pub(crate) use crate::backend::{Deadline, Instant};
    } else {
        pub(crate) use std::time::Instant;

        /// When a wait ends if nothing else ends it.
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct Deadline {
            at: Option<Instant>,
            left: Option<Duration>,
        }

        impl Deadline {
            /// After `timeout`; never without one, or with one of more than 68 years.
            /// Reads the clock once if the timeout is neither zero nor for ever.
            #[inline]
            pub(crate) fn after(timeout: Option<Duration>) -> Deadline {
                match timeout {
                    Some(Duration::ZERO) => Deadline::NOW,
                    Some(left) if left.as_secs() < FOR_EVER.as_secs() => match clock() {
                        Some(now) => Deadline { at: now.checked_add(left), left: Some(left) },
                        None => Deadline { at: None, left: Some(left) },
                    },
                    _ => Deadline::NEVER,
                }
            }

            pub(crate) const NOW: Deadline = Deadline { at: None, left: Some(Duration::ZERO) };
            pub(crate) const NEVER: Deadline = Deadline { at: None, left: None };

            /// The sooner of this and `other`, as seen at `now`.
            pub(crate) fn or_at(self, other: Option<Instant>, now: Instant) -> Deadline {
                match (other, self.at) {
                    (None, _) => self,
                    (Some(_), None) if self.left.is_some() => self,
                    (Some(other), Some(own)) if own <= other => {
                        Deadline { at: Some(own), left: Some(own.saturating_duration_since(now)) }
                    }
                    (Some(other), _) => {
                        Deadline { at: Some(other), left: Some(other.saturating_duration_since(now)) }
                    }
                }
            }

            /// The time left: as of the last [`refresh`](Deadline::refresh), so that a
            /// wait that nothing interrupts reads the clock once. `None` is for ever.
            pub(crate) fn left(&self) -> Option<Duration> {
                self.left
            }

            /// Whether no time was left.
            #[inline]
            pub(crate) fn is_now(&self) -> bool {
                self.left == Some(Duration::ZERO)
            }

            /// When, if it is a moment of the clock.
            #[cfg(target_os = "wasi")]
            pub(crate) fn at(&self) -> Option<Instant> {
                self.at
            }

            /// Reads the clock again.
            pub(crate) fn refresh(&mut self) {
                if let Some(at) = self.at {
                    self.left = Some(at.saturating_duration_since(Instant::now()));
                }
            }

            /// Whether the time is up, by the clock.
            pub(crate) fn passed(&mut self) -> bool {
                self.refresh();
                self.is_now()
            }
        }

        /// No clock where there is no host.
        fn clock() -> Option<Instant> {
            if cfg!(all(target_family = "wasm", target_os = "unknown")) {
                None
            } else {
                Some(Instant::now())
            }
        }
    }
}

/// The earlier of two moments, if there is one.
#[allow(dead_code, reason = "for edges that the host does not tell")]
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// 68 years: what every host's clock can express, and as good as for ever.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(i32::MAX as u64);

/// What a wait does about signals.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signals<'a> {
    /// Wait on for the time that is left (PEP 475).
    Resume,
    /// Answer [`io::ErrorKind::Interrupted`].
    Report,
    /// Let these be blocked while waiting, and answer `Interrupted`.
    #[cfg_attr(not(unix), expect(dead_code, reason = "there are no signals to mask"))]
    Masked(&'a SignalSet),
}

/// What ends a wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until<'a> {
    pub(crate) deadline: Deadline,
    pub(crate) signals: Signals<'a>,
}

impl Until<'_> {
    /// Does not wait.
    #[allow(dead_code, reason = "the kernel does it where it has sets")]
    pub(crate) const NOW: Until<'static> =
        Until { deadline: Deadline::NOW, signals: Signals::Resume };

    #[inline]
    pub(crate) fn new(timeout: Option<Duration>, signals: Signals<'_>) -> Until<'_> {
        Until { deadline: Deadline::after(timeout), signals }
    }

    #[allow(dead_code, reason = "there are hosts without signals")]
    /// Calls with the time that is left until a call is not interrupted, unless
    /// the caller wants to hear of that.
    #[cfg_attr(not(unix), allow(dead_code, reason = "nothing interrupts a call"))]
    #[inline]
    pub(crate) fn run<T>(
        mut self,
        mut call: impl FnMut(Option<Duration>) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match call(self.deadline.left()) {
                Err(error)
                    if error.kind() == io::ErrorKind::Interrupted
                        && matches!(self.signals, Signals::Resume) =>
                {
                    self.deadline.refresh();
                }
                other => return other,
            }
        }
    }
}

/// Whole milliseconds, rounded up, for calls that take an `int` of them.
#[allow(dead_code, reason = "not every host's call takes them")]
pub(crate) fn milliseconds(left: Option<Duration>) -> i32 {
    match left {
        None => -1,
        Some(left) => i32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX),
    }
}

/// The same if nothing has to be rounded: the cheaper calls will do.
#[cfg(unix)]
#[allow(dead_code, reason = "where there are two calls to choose from")]
#[inline]
pub(crate) fn whole_milliseconds(left: Option<Duration>) -> Option<i32> {
    let Some(left) = left else { return Some(-1) };
    if left.is_zero() {
        return Some(0);
    }
    if left.subsec_nanos() % 1_000_000 != 0 {
        return None;
    }
    let seconds = i32::try_from(left.as_secs()).ok()?;
    seconds.checked_mul(1000)?.checked_add(left.subsec_millis() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_that_no_clock_can_express_is_for_ever() {
        for timeout in [Duration::MAX, FOR_EVER] {
            assert_eq!(Deadline::after(Some(timeout)).left(), None);
        }
    }

    #[test]
    fn milliseconds_round_up() {
        assert_eq!(milliseconds(None), -1);
        assert_eq!(milliseconds(Some(Duration::ZERO)), 0);
        assert_eq!(milliseconds(Some(Duration::from_nanos(1))), 1);
        assert_eq!(milliseconds(Some(Duration::from_millis(7))), 7);
        assert_eq!(milliseconds(Some(Duration::from_micros(7001))), 8);
        assert_eq!(milliseconds(Some(Duration::MAX)), i32::MAX);
    }

    #[test]
    fn the_sooner_of_two_deadlines() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let timer = Some(now + second);
        assert_eq!(Deadline::NEVER.or_at(timer, now).left(), Some(second));
        assert_eq!(Deadline::NOW.or_at(timer, now).left(), Some(Duration::ZERO));
        assert_eq!(Deadline::NEVER.or_at(None, now).left(), None);
        let later = Deadline::after(Some(second * 9)).or_at(timer, now);
        assert_eq!(later.left(), Some(second));
    }

    #[test]
    fn an_interrupted_call_is_resumed_with_what_is_left() {
        let mut seen = Vec::new();
        let until = Until::new(Some(Duration::from_secs(60)), Signals::Resume);
        until
            .run(|left| {
                seen.push(left.unwrap());
                match seen.len() {
                    3 => Ok(()),
                    _ => Err(io::ErrorKind::Interrupted.into()),
                }
            })
            .unwrap();
        assert_eq!(seen.len(), 3);
        assert!(seen[2] <= seen[1] && seen[1] <= seen[0]);

        let until = Until::new(None, Signals::Report);
        let answer = until.run(|_| Err::<(), _>(io::ErrorKind::Interrupted.into()));
        assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
