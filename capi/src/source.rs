//! What a number of C's stands for.

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;

use libc::c_int;
use readiness::{AsSource, Source};

use crate::sets::{self, Set};

/// A descriptor, or a set that has none.
pub(crate) enum CSource {
    Fd(RawFd),
    Set(Arc<Set>),
}

impl CSource {
    /// `None` for a negative number, which is never a descriptor.
    pub(crate) fn of(number: c_int) -> Option<CSource> {
        if number < 0 {
            return None;
        }
        Some(match sets::without_descriptor(number) {
            Some(set) => CSource::Set(set),
            None => CSource::Fd(number),
        })
    }
}

impl AsSource for CSource {
    fn as_source(&self) -> Source<'_> {
        match self {
            // SAFETY: not -1. It is the caller's descriptor, or is answered with
            // EBADF or POLLNVAL: nothing is asked that a wrong number could harm.
            CSource::Fd(fd) => Source::from(unsafe { BorrowedFd::borrow_raw(*fd) }),
            CSource::Set(set) => set.as_source(),
        }
    }
}
