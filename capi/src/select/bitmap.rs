//! Unix's `fd_set`: a bit a descriptor, in words of the platform's.

use libc::{c_int, fd_set};

use crate::errno::{Answer, Errno};

#[cfg(not(any(target_vendor = "apple", target_os = "netbsd", target_os = "openbsd")))]
type Word = libc::c_ulong;
#[cfg(any(target_vendor = "apple", target_os = "netbsd", target_os = "openbsd"))]
type Word = u32;

const BITS: usize = Word::BITS as usize;

/// The highest number of descriptors that may be looked at.
///
/// A program may have made its sets longer than `FD_SETSIZE`. Linux looks at no
/// more bits than the process has room for descriptors, however many are said.
pub(super) fn limit(nfds: c_int) -> Answer<usize> {
    let nfds = usize::try_from(nfds).map_err(|_| Errno(libc::EINVAL))?;
    if nfds <= libc::FD_SETSIZE {
        return Ok(nfds);
    }
    if cfg!(any(target_os = "linux", target_os = "android")) {
        Ok(nfds.min(room().max(libc::FD_SETSIZE)))
    } else {
        Err(Errno(libc::EINVAL))
    }
}

/// How long the kernel's table of this process is.
fn room() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let size = status.lines().find_map(|line| line.strip_prefix("FDSize:"));
    size.and_then(|size| size.trim().parse().ok()).unwrap_or(libc::FD_SETSIZE)
}

/// The numbers in a set, in order.
///
/// # Safety
/// The set has a bit for each number below `nfds`.
pub(super) unsafe fn numbers(set: *const fd_set, nfds: usize) -> Answer<Vec<c_int>> {
    let words = set.cast::<Word>();
    let mut numbers = Vec::new();
    for at in 0..nfds.div_ceil(BITS) {
        // SAFETY: the word of a bit that is there.
        let mut word = unsafe { words.add(at).read_unaligned() };
        while word != 0 {
            let number = at * BITS + word.trailing_zeros() as usize;
            if number < nfds {
                numbers.push(number as c_int);
            }
            word &= word - 1;
        }
    }
    Ok(numbers)
}

/// Makes these, which are in order, the numbers below `nfds` that are in the set.
///
/// # Safety
/// As for [`numbers`].
pub(super) unsafe fn replace(set: *mut fd_set, nfds: usize, ready: impl Iterator<Item = c_int>) {
    let words = set.cast::<Word>();
    // SAFETY: the words of bits that are there.
    unsafe {
        for at in 0..nfds.div_ceil(BITS) {
            words.add(at).write_unaligned(0);
        }
        for number in ready {
            let word = words.add(number as usize / BITS);
            let bit = (1 as Word) << (number as usize % BITS);
            word.write_unaligned(word.read_unaligned() | bit);
        }
    }
}
