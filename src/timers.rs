//! Timers: a heap in which each knows its place, so that any can be stopped in
//! O(log n), without a clock, a system call or, once grown, an allocation.

use std::time::Duration;

use crate::timeout::Instant;

/// Which timer: a slot, and a generation that counts the slot's uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TimerKey {
    slot: u32,
    generation: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Slots, the parent of place `n` at `(n - 1) / 2`, none later than its children.
    heap: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    place: u32,
    at: Instant,
    period: Option<Duration>,
    token: u64,
}

const STOPPED: u32 = u32::MAX;

/// A timer that expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expired {
    pub(crate) key: TimerKey,
    pub(crate) token: u64,
    /// How often since it was told last: more than 1 if it is periodic and
    /// nobody looked in time.
    pub(crate) count: u64,
}

impl Timers {
    /// Starts a timer that expires at `at`, and then every `period`.
    pub(crate) fn start(&mut self, token: u64, at: Instant, period: Option<Duration>) -> TimerKey {
        let place = self.heap.len() as u32;
        let slot = match self.free.pop() {
            Some(slot) => {
                let entry = &mut self.slots[slot as usize];
                entry.generation = entry.generation.wrapping_add(1);
                (entry.place, entry.at, entry.period, entry.token) = (place, at, period, token);
                slot
            }
            None => {
                self.slots.push(Slot { generation: 0, place, at, period, token });
                self.slots.len() as u32 - 1
            }
        };
        self.heap.push(slot);
        self.rise(place as usize);
        TimerKey { slot, generation: self.slots[slot as usize].generation }
    }

    /// Stops a timer; `false` if it has expired or was stopped before.
    pub(crate) fn stop(&mut self, key: TimerKey) -> bool {
        let Some(entry) = self.slots.get(key.slot as usize) else { return false };
        if entry.generation != key.generation || entry.place == STOPPED {
            return false;
        }
        self.remove(entry.place as usize);
        true
    }

    /// When the next one expires.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.heap.first().map(|&slot| self.slots[slot as usize].at)
    }

    /// Takes the next one that has expired by `now`. A periodic one goes on.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Expired> {
        let slot = *self.heap.first()?;
        let entry = &mut self.slots[slot as usize];
        // (On Windows checked_duration_since takes times a tick apart for the same.)
        if entry.at > now {
            return None;
        }
        let late = now.saturating_duration_since(entry.at);
        let key = TimerKey { slot, generation: entry.generation };
        let token = entry.token;
        let Some(period) = entry.period else {
            self.remove(0);
            return Some(Expired { key, token, count: 1 });
        };
        let nanos = period.as_nanos().max(1);
        let more = late.as_nanos() / nanos;
        let ahead = nanos - late.as_nanos() % nanos;
        entry.at = u64::try_from(ahead)
            .ok()
            .and_then(|ahead| now.checked_add(Duration::from_nanos(ahead)))
            .unwrap_or(now + period);
        self.sink(0);
        Some(Expired { key, token, count: u64::try_from(more + 1).unwrap_or(u64::MAX) })
    }

    fn remove(&mut self, place: usize) {
        let slot = self.heap.swap_remove(place);
        self.slots[slot as usize].place = STOPPED;
        self.free.push(slot);
        if place < self.heap.len() {
            self.rise(place);
            self.sink(place);
        }
    }

    fn at(&self, place: usize) -> Instant {
        self.slots[self.heap[place] as usize].at
    }

    fn settle(&mut self, place: usize) {
        self.slots[self.heap[place] as usize].place = place as u32;
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.at(parent) <= self.at(place) {
                break;
            }
            self.heap.swap(parent, place);
            self.settle(place);
            place = parent;
        }
        self.settle(place);
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let left = 2 * place + 1;
            if left >= self.heap.len() {
                break;
            }
            let right = left + 1;
            let sooner = if right < self.heap.len() && self.at(right) < self.at(left) {
                right
            } else {
                left
            };
            if self.at(place) <= self.at(sooner) {
                break;
            }
            self.heap.swap(place, sooner);
            self.settle(place);
            place = sooner;
        }
        self.settle(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn expires_in_order_of_time_whatever_was_stopped() {
        let start = Instant::now();
        let mut timers = Timers::default();
        // Every residue of a prime once: all times differ, none are in order.
        let keys: Vec<_> = (0..997u32)
            .map(|n| timers.start(n.into(), start + MS * (n * 571 % 997), None))
            .collect();
        for key in keys.iter().step_by(3) {
            assert!(timers.stop(*key));
            assert!(!timers.stop(*key));
        }
        let mut last = None;
        let mut count = 0;
        while let Some(expired) = timers.expire(start + MS * 1000) {
            let at = expired.token as u32 * 571 % 997;
            assert_ne!(expired.token % 3, 0, "it was stopped");
            assert!(last < Some(at));
            last = Some(at);
            count += 1;
        }
        assert_eq!(count, 997 - 997_usize.div_ceil(3));
        assert_eq!(timers.earliest(), None);
    }

    #[test]
    fn a_periodic_timer_counts_what_nobody_looked_at_and_keeps_its_beat() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.start(7, start + MS * 10, Some(MS * 10));
        assert_eq!(timers.expire(start + MS * 9), None);
        assert_eq!(timers.expire(start + MS * 10).unwrap().count, 1);
        assert_eq!(timers.expire(start + MS * 19), None);
        assert_eq!(timers.expire(start + MS * 45).unwrap().count, 3);
        assert_eq!(timers.earliest(), Some(start + MS * 50));
    }

    #[test]
    fn a_slot_that_is_used_again_does_not_answer_to_its_old_key() {
        let start = Instant::now();
        let mut timers = Timers::default();
        let old = timers.start(1, start, None);
        assert!(timers.stop(old));
        let new = timers.start(2, start, None);
        assert!(!timers.stop(old));
        assert!(timers.stop(new));
    }
}
