//! Which process this is, without a system call.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A page that the kernel empties in a forked child (Linux 4.14 and later).
fn page() -> Option<&'static AtomicU32> {
    static PAGE: OnceLock<Option<&'static AtomicU32>> = OnceLock::new();
    *PAGE.get_or_init(|| {
        let size = 4096;
        // SAFETY: a new mapping of our own, which nothing else knows.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: the mapping is ours and whole.
        if unsafe { libc::madvise(page, size, libc::MADV_WIPEONFORK) } != 0 {
            // SAFETY: nobody has seen it yet.
            unsafe { libc::munmap(page, size) };
            return None;
        }
        // SAFETY: the page is zeros, aligned, and never unmapped.
        Some(unsafe { &*page.cast::<AtomicU32>() })
    })
}

/// This process's id.
pub(crate) fn process() -> u32 {
    let Some(page) = page() else { return std::process::id() };
    match page.load(Ordering::Relaxed) {
        0 => {
            let id = std::process::id();
            page.store(id, Ordering::Relaxed);
            id
        }
        id => id,
    }
}
