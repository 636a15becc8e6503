//! Signal masks, for the waits that take one.

use crate::backend;

/// A set of signals to block while a wait lasts: the mask of pselect(2),
/// ppoll(2) and epoll_pwait(2).
///
/// Elsewhere than on Unix there are no signals, and no wait takes one.
#[derive(Clone, Copy)]
#[cfg_attr(not(unix), allow(dead_code))]
pub struct SignalSet(pub(crate) backend::SignalSet);

#[cfg(unix)]
mod unix {
    use std::{fmt, io};

    use super::SignalSet;
    use crate::backend;

    impl SignalSet {
        /// No signal: while the wait lasts, all are let through.
        #[must_use]
        pub fn empty() -> SignalSet {
            SignalSet(backend::SignalSet::empty())
        }

        /// Every signal.
        #[must_use]
        pub fn all() -> SignalSet {
            SignalSet(backend::SignalSet::all())
        }

        /// What the calling thread blocks now.
        ///
        /// # Errors
        /// Those of pthread_sigmask(3).
        pub fn current() -> io::Result<SignalSet> {
            backend::SignalSet::current().map(SignalSet)
        }

        /// The same with `signal`.
        ///
        /// # Errors
        /// `EINVAL` if there is no such signal.
        pub fn with(mut self, signal: i32) -> io::Result<SignalSet> {
            self.0.add(signal)?;
            Ok(self)
        }

        /// The same without `signal`.
        ///
        /// # Errors
        /// `EINVAL` if there is no such signal.
        pub fn without(mut self, signal: i32) -> io::Result<SignalSet> {
            self.0.remove(signal)?;
            Ok(self)
        }

        /// Whether `signal` is in the set.
        #[must_use]
        pub fn contains(&self, signal: i32) -> bool {
            self.0.contains(signal)
        }
    }

    impl fmt::Debug for SignalSet {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_set().entries((1..=64).filter(|&signal| self.contains(signal))).finish()
        }
    }
}

#[cfg(not(unix))]
impl std::fmt::Debug for SignalSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignalSet")
    }
}
