//! `EVFILT_TIMER`: any number of timers, in a heap.

use std::io;
use std::time::{Duration, SystemTime};

use super::error::{EINVAL, system};
use super::knote::{Knote, What};
use crate::backend::Key;
use crate::kevent::{Kevent, NoteFlags};
use crate::timeout::{FOR_EVER, Instant};
use crate::timers::{TimerKey, Timers};

/// One timer's times.
#[derive(Clone, Copy)]
pub(super) struct Timer {
    first: Instant,
    /// `None`: it expires once.
    period: Option<Duration>,
    /// How many expirations have been counted.
    counted: u64,
    running: Option<TimerKey>,
}

const UNITS: NoteFlags = NoteFlags::SECONDS
    .union(NoteFlags::MSECONDS)
    .union(NoteFlags::USECONDS)
    .union(NoteFlags::NSECONDS);

/// The time in `data`, which is in the unit that `fflags` names.
fn duration(data: i64, fflags: NoteFlags) -> io::Result<Duration> {
    let data = u64::try_from(data).map_err(|_| system(EINVAL))?;
    if !UNITS.union(NoteFlags::ABSTIME).contains(fflags) {
        return Err(system(EINVAL));
    }
    let unit = fflags & UNITS;
    let time = if unit == NoteFlags::SECONDS {
        Duration::from_secs(data)
    } else if unit == NoteFlags::USECONDS {
        Duration::from_micros(data)
    } else if unit == NoteFlags::NSECONDS {
        Duration::from_nanos(data)
    } else if unit == NoteFlags::MSECONDS || unit.is_empty() {
        Duration::from_millis(data)
    } else {
        return Err(system(EINVAL));
    };
    Ok(time)
}

impl Timer {
    /// The timer that a change asks for, counting from `now`. `oneshot`: its knote is.
    pub(super) fn new(change: &Kevent, oneshot: bool, now: Instant) -> io::Result<Timer> {
        let time = duration(change.data, change.fflags)?;
        let absolute = change.fflags.contains(NoteFlags::ABSTIME);
        let mut after = time;
        let mut period = None;
        if absolute {
            let today = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            after = time.saturating_sub(today.unwrap_or_default());
        } else if !oneshot {
            if time.is_zero() {
                // One unit, where there is no unit a millisecond.
                after = duration(1, change.fflags)?;
            }
            period = Some(after.min(FOR_EVER));
        }
        // A clock cannot express every time; in 68 years nobody is there to see.
        let first = now.checked_add(after.min(FOR_EVER)).unwrap_or(now);
        Ok(Timer { first, period, counted: 0, running: None })
    }

    pub(super) fn start(&mut self, timers: &mut Timers, key: Key) {
        if self.running.is_some() || (self.period.is_none() && self.counted > 0) {
            return;
        }
        let next = match self.period {
            Some(period) => nth(self.first, period, self.counted),
            None => self.first,
        };
        self.running = Some(timers.start(key.bits(), next, self.period));
    }

    /// Nobody is waiting for it, and it goes on all the same.
    pub(super) fn stop(&mut self, timers: &mut Timers) {
        if let Some(running) = self.running.take() {
            timers.stop(running);
        }
    }

    /// The expirations up to `now` that were not counted yet.
    fn count(&mut self, now: Instant) -> u64 {
        let Some(late) = now.checked_duration_since(self.first) else { return 0 };
        let all = match self.period {
            Some(period) => {
                let more = late.as_nanos() / period.as_nanos().max(1);
                u64::try_from(more + 1).unwrap_or(u64::MAX)
            }
            None => 1,
        };
        let new = all.saturating_sub(self.counted);
        self.counted = all.max(self.counted);
        new
    }
}

fn nth(first: Instant, period: Duration, n: u64) -> Instant {
    let nanos = period.as_nanos().saturating_mul(n.into());
    let after = u64::try_from(nanos).map_or(FOR_EVER, Duration::from_nanos);
    first.checked_add(after).unwrap_or(first)
}

/// Counts what a timer has done by `now`; true if there is anything to report.
pub(super) fn expired(knote: &mut Knote, now: Instant) -> bool {
    let What::Timer(timer) = &mut knote.what else { return false };
    let new = i64::try_from(timer.count(now)).unwrap_or(i64::MAX);
    if timer.period.is_none() && timer.counted > 0 {
        timer.running = None;
    }
    knote.kevent.data = knote.kevent.data.saturating_add(new);
    knote.kevent.data > 0
}
