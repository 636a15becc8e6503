//! When to look before a wait whether it is needed at all.
//!
//! A call that must not sleep takes a kernel half the time where each source would have to be
//! told to wake the caller; and whoever makes it need not know what time it is. So where
//! sources are mostly ready, such a glance is all that a wait takes. Where they are not it is
//! in vain, and then it is made less and less often: in one of 256 waits.

/// What became of the glances.
#[derive(Debug)]
pub(crate) struct Glances {
    /// How often they were in vain, less how often they were not.
    in_vain: u32,
    /// So many waits are without one.
    without: u32,
}

const MOST: u32 = 8;

impl Default for Glances {
    /// The first wait is without one.
    fn default() -> Glances {
        Glances { in_vain: 1, without: 1 }
    }
}

impl Glances {
    /// Whether the next wait begins with one.
    #[inline]
    pub(crate) fn is_due(&mut self) -> bool {
        let due = self.without == 0;
        self.without = self.without.saturating_sub(1);
        due
    }

    #[inline]
    pub(crate) fn learn(&mut self, found: bool) {
        if found {
            self.in_vain = self.in_vain.saturating_sub(1);
        } else {
            self.in_vain = (self.in_vain + 1).min(MOST);
            self.without = (1 << self.in_vain) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of a thousand waits, after a thousand, begin with a glance.
    fn glances(mut is_ready: impl FnMut(u32) -> bool) -> usize {
        let mut glances = Glances::default();
        let wait = |nth: &u32| {
            let due = glances.is_due();
            if due {
                glances.learn(is_ready(*nth));
            }
            due
        };
        (0..2000).filter(wait).filter(|nth| *nth >= 1000).count()
    }

    #[test]
    fn each_wait_begins_with_one_where_all_find_something() {
        assert_eq!(glances(|_| true), 1000);
        // One in vain now and then changes little.
        assert!(glances(|nth| nth % 50 != 0) > 900);
    }

    #[test]
    fn hardly_any_does_where_none_finds_something() {
        assert!(glances(|_| false) <= 4);
        assert!(glances(|nth| nth % 8 == 0) <= 100);
    }

    #[test]
    fn the_first_wait_is_without_one() {
        assert!(!Glances::default().is_due());
    }
}
