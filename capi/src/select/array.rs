//! wasi-libc's `fd_set`: a count and an array of descriptors.

use libc::{c_int, fd_set};

use crate::errno::{Answer, Errno};

const SIZE: usize = libc::FD_SETSIZE;

#[repr(C)]
struct Set {
    count: usize,
    numbers: [c_int; SIZE],
}

const _: () = assert!(size_of::<Set>() == size_of::<fd_set>());

pub(super) fn limit(nfds: c_int) -> Answer<usize> {
    usize::try_from(nfds).map_err(|_| Errno(libc::EINVAL))
}

/// The numbers in a set that are below `nfds`, as they come.
///
/// # Safety
/// The set is one.
pub(super) unsafe fn numbers(set: *const fd_set, nfds: usize) -> Answer<Vec<c_int>> {
    // SAFETY: the caller's set, which is laid out like this.
    let set = unsafe { set.cast::<Set>().read_unaligned() };
    // FD_SET does not look where the set ends.
    let numbers = set.numbers.get(..set.count).ok_or(Errno(libc::EINVAL))?;
    let below = |number: &&c_int| (**number as usize) < nfds;
    Ok(numbers.iter().filter(below).copied().collect())
}

/// Makes these the numbers in the set.
///
/// # Safety
/// As for [`numbers`].
pub(super) unsafe fn replace(set: *mut fd_set, _nfds: usize, ready: impl Iterator<Item = c_int>) {
    let mut new = Set { count: 0, numbers: [0; SIZE] };
    for (to, number) in new.numbers.iter_mut().zip(ready) {
        *to = number;
        new.count += 1;
    }
    // SAFETY: the caller's set, which is laid out like this.
    unsafe { set.cast::<Set>().write_unaligned(new) };
}
