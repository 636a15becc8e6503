//! What only Unix can tell.

use crate::source::Held;

/// Whether there is anything that tells one source from another with its number.
pub(crate) const TELLS_IDENTITY: bool = false;

/// There is none.
pub(crate) type Identity = std::convert::Infallible;

/// Nothing tells a source from another one that got its number.
pub(crate) fn identity(_source: &Held) -> Option<Identity> {
    None
}

/// There is none.
#[cfg(target_os = "wasi")]
pub(crate) type Count = std::convert::Infallible;
#[cfg(not(any(target_os = "wasi", windows)))]
pub(crate) type Count = u64;

/// How many bytes there are to read: nothing tells.
#[cfg(not(windows))]
pub(crate) fn count(_source: &Held) -> Option<Count> {
    None
}

/// There is no fork(2).
pub(crate) fn process() -> u32 {
    0
}
