//! Signal masks, where there are signals.

#[cfg(unix)]
pub(crate) use libc::sigset_t;
/// wasi-libc's, which nothing ever reads.
#[cfg(not(unix))]
#[allow(non_camel_case_types)]
pub(crate) type sigset_t = libc::c_uchar;

/// The mask of ppoll, pselect and epoll_pwait. WASI has no signals to mask.
#[cfg(unix)]
pub(crate) type Mask = Option<readiness::SignalSet>;
#[cfg(not(unix))]
pub(crate) type Mask = Option<std::convert::Infallible>;

/// The caller's mask.
///
/// # Safety
/// `mask` is NULL or points to a signal set.
#[cfg(unix)]
pub(crate) unsafe fn mask(mask: *const sigset_t) -> Mask {
    if mask.is_null() {
        return None;
    }
    let mut set = readiness::SignalSet::empty();
    // 64 on Linux, 128 on FreeBSD; what is no signal is in no set.
    for signal in 1..=if cfg!(target_os = "freebsd") { 128 } else { 64 } {
        // SAFETY: the set is one, as the caller of this function says.
        if unsafe { libc::sigismember(mask, signal) } == 1 {
            set = set.with(signal).unwrap_or(set);
        }
    }
    Some(set)
}

/// As above; there is nothing to read.
#[cfg(not(unix))]
pub(crate) unsafe fn mask(_mask: *const sigset_t) -> Mask {
    None
}
