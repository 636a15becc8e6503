//! What this process has seen of its host.
//!
//! A host says neither its name nor what it gets wrong. It is trusted with what
//! it was seen to do right; until then, and where it was seen to do wrong, it is
//! asked in a way that does not depend on it.

use std::sync::atomic::{AtomicU16, Ordering};

/// A wait ended for one of several sources, and not for the first, before the clock.
pub(super) const WAKES_FOR_ANY: u16 = 1;
/// It told of some sources, and not of all that it tells of.
pub(super) const TELLS_SOME: u16 = 2;
/// The shortest wait told what was ready.
pub(super) const TELLS_AT_ONCE: u16 = 4;
/// It told of the second direction of a descriptor.
pub(super) const TELLS_BOTH: u16 = 8;
/// Standard input was asked, for long enough, since it was last ready.
pub(super) const STDIN_ASKED: u16 = 16;
/// A wait ended before the clock.
pub(super) const WAKES_FOR_ONE: u16 = 32;

/// A wait went on until the clock, although something was ready.
pub(super) const SLEEPS: u16 = 64;
/// It does not keep silent about descriptors that are not open, or worse.
pub(super) const TELLS_CLOSED: u16 = 256;

/// It was asked whether it tells of what is closed, and at once.
pub(super) const TRIED: u16 = 512;
/// It was asked whether it tells at once of what was ready just before.
pub(super) const TRIED_AT_ONCE: u16 = 2048;
/// Standard input was asked for the first time.
pub(super) const STDIN_STARTED: u16 = 1024;

/// A wait for a clock of zero and for a later one ended at once.
pub(super) const ZERO_IS_NOW: u16 = 4096;

static SEEN: AtomicU16 = AtomicU16::new(0);

fn seen() -> u16 {
    SEEN.load(Ordering::Relaxed)
}

/// Whether all of these were seen.
// Apart, as `learn` and `forget`: it is much code for each place that asks or learns.
#[inline(never)]
pub(super) fn all(bits: u16) -> bool {
    seen() & bits == bits
}

/// Whether any of these was seen.
pub(super) fn any(bits: u16) -> bool {
    seen() & bits != 0
}

#[inline(never)]
pub(super) fn learn(bits: u16) {
    SEEN.fetch_or(bits, Ordering::Relaxed);
}

#[inline(never)]
pub(super) fn forget(bits: u16) {
    SEEN.fetch_and(!bits, Ordering::Relaxed);
}

/// Whether the host can be believed when it tells of all that was asked.
pub(super) fn tells_some(asked: usize) -> bool {
    asked == 1 || all(TELLS_SOME)
}
