//! Numbers of our own, above every number that a host gives out.

use libc::c_int;

use super::Kind;
use crate::errno::{Answer, Errno};

/// Hosts give out the lowest free number, from 3 on.
const FIRST: c_int = 0x4000_0000;

pub(super) struct Place(c_int);

/// A number that sets are asked about.
pub(super) struct Number(c_int);

impl Number {
    pub(super) fn new(number: c_int) -> Number {
        Number(number)
    }
}

impl Place {
    /// The lowest one that is free, as for descriptors.
    pub(super) fn new(
        _kind: &Kind,
        _closes_on_exec: bool,
        taken: impl Iterator<Item = c_int>,
    ) -> Answer<(c_int, Place)> {
        let mut number = FIRST;
        for taken in taken.skip_while(|taken| *taken < FIRST) {
            if taken != number {
                break;
            }
            number = number.checked_add(1).ok_or(Errno(libc::EMFILE))?;
        }
        Ok((number, Place(number)))
    }

    /// Nobody but us closes these, and there is no dup.
    pub(super) fn is(&self, _kind: &Kind, number: &Number) -> bool {
        number.0 == self.0
    }

    pub(super) fn is_placeholder(&self) -> bool {
        true
    }
}

pub(super) fn is_open(number: c_int) -> bool {
    // SAFETY: fd_fdstat_get only looks; any number may be asked about.
    number >= 0 && unsafe { wasi::fd_fdstat_get(number as wasi::Fd) }.is_ok()
}

/// No number is another one's duplicate.
pub(super) fn open_numbers() -> Vec<c_int> {
    Vec::new()
}
