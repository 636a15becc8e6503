//! The array that `poll_oneoff` takes. The clock is always there behind the sources, so
//! that a wait with a timeout has a number to write and no more.

use std::ops::{Deref, DerefMut};

use super::host::{self, FOR_EVER, Subscription};

/// What is asked of the host: it looks like the sources alone.
pub(super) struct Asked {
    /// With the clock, once there was a source.
    all: Vec<Subscription>,
    /// All but the clock.
    sources: usize,
    /// The last bit of each time (which is cheaper than a comparison): 1 where a time of zero
    /// may be for ever.
    least: u64,
}

impl Default for Asked {
    fn default() -> Asked {
        Asked { all: Vec::new(), sources: 0, least: 1 }
    }
}

impl Asked {
    /// Whether a time of zero is none to this host.
    pub(super) fn set_zero_is_now(&mut self, is: bool) {
        self.least = u64::from(!is);
    }

    pub(super) fn push(&mut self, subscription: Subscription) {
        self.sources += 1;
        match self.all.last_mut() {
            Some(clock) => *clock = subscription,
            None => self.all.push(subscription),
        }
        self.all.push(host::clock(FOR_EVER));
    }

    #[inline(always)]
    pub(super) fn swap_remove(&mut self, place: usize) {
        self.sources -= 1;
        self.all[place] = self.all[self.sources];
        // The clock.
        self.all[self.sources] = self.all[self.sources + 1];
        self.all.truncate(self.sources + 1);
    }

    pub(super) fn clear(&mut self) {
        self.sources = 0;
        self.all.clear();
    }

    /// Empties it, with room for so many and the clock.
    pub(super) fn clear_for(&mut self, sources: usize) {
        self.clear();
        self.all.reserve(sources + 1);
    }

    /// The sources and the clock, for so long.
    #[inline]
    pub(super) fn in_time(&mut self, left: u64) -> &[Subscription] {
        if let Some(clock) = self.all.last_mut() {
            clock.u.u.clock.timeout = left | self.least;
        }
        &self.all
    }
}

impl Deref for Asked {
    type Target = [Subscription];

    #[inline]
    fn deref(&self) -> &[Subscription] {
        // SAFETY: each that was pushed and not removed, and behind them is the clock.
        unsafe { std::slice::from_raw_parts(self.all.as_ptr(), self.sources) }
    }
}

impl DerefMut for Asked {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Subscription] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.all.as_mut_ptr(), self.sources) }
    }
}
