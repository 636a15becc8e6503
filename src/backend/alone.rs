//! Whether the calling thread is the only one of its process.
//!
//! It need not keep out others then: a locked instruction takes 5 to 10 ns, and there are two in a
//! lock that is taken and let go; an epoll_ctl takes 150. Whatever else a lock does stays as it
//! is, so that it is whole when a second thread begins.
//!
//! [__libc_single_threaded](https://sourceware.org/glibc/manual/latest/html_node/Single_002dThreaded.html):
//! a pthread_create clears it before there is another thread.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Whether a program can have several threads.
pub(crate) const THREADS: bool =
    !cfg!(all(target_family = "wasm", not(target_feature = "atomics")));

cfg_if::cfg_if! {
    if #[cfg(all(target_os = "linux", target_env = "gnu", not(target_feature = "crt-static")))] {
        use std::sync::Once;
        use std::sync::atomic::{AtomicPtr, AtomicU8};

        /// For who is not known to be alone.
        static NEVER: AtomicU8 = AtomicU8::new(0);
        static FLAG: AtomicPtr<AtomicU8> = AtomicPtr::new((&raw const NEVER).cast_mut());

        /// Whether there is no other thread now. `false` where the host does not tell.
        #[inline(always)]
        pub(crate) fn alone() -> bool {
            // SAFETY: it points to a byte that is there for good: the one above, or libc's.
            let flag = unsafe { &*FLAG.load(Ordering::Relaxed) };
            flag.load(Ordering::Relaxed) != 0
        }

        /// Finds out how the host tells, which [`alone`] asks from then on.
        pub(crate) fn find_out() {
            static ONCE: Once = Once::new();

            ONCE.call_once(|| {
                // Since glibc 2.32.
                let name = c"__libc_single_threaded";
                // SAFETY: the name is one, and no symbol's code is run for it.
                let flag = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
                if !flag.is_null() {
                    FLAG.store(flag.cast(), Ordering::Relaxed);
                }
            });
        }
    } else {
        /// Whether there is no other thread now. `false` where the host does not tell.
        #[inline(always)]
        pub(crate) fn alone() -> bool {
            !THREADS
        }

        /// Finds out how the host tells: it does not.
        #[inline(always)]
        pub(crate) fn find_out() {}
    }
}

/// [`AtomicBool::swap`], acquiring and releasing.
#[inline]
pub(crate) fn swap(flag: &AtomicBool, to: bool) -> bool {
    if !alone() {
        return flag.swap(to, Ordering::AcqRel);
    }
    let before = flag.load(Ordering::Relaxed);
    // What a signal handler did meanwhile stays if this does nothing.
    if before != to {
        flag.store(to, Ordering::Relaxed);
    }
    before
}

/// Whether it was `from`, and is `to` now, acquiring.
#[inline]
#[allow(dead_code, reason = "for the kernel's epoll")]
pub(crate) fn exchange(word: &AtomicU32, from: u32, to: u32) -> bool {
    if !alone() {
        return word.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok();
    }
    let same = word.load(Ordering::Relaxed) == from;
    if same {
        word.store(to, Ordering::Relaxed);
    }
    same
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The threads of tests are not alone, but where `scripts/test-alone` runs them.
    #[test]
    fn it_is_alone_until_there_is_another_thread() {
        find_out();
        let told = std::env::var_os("READINESS_ALONE").is_some();
        assert_eq!(alone(), !THREADS || told);
        let flag = AtomicBool::new(false);
        for (to, before) in [(false, false), (true, false), (true, true), (false, true)] {
            assert_eq!(swap(&flag, to), before);
            assert_eq!(flag.load(Ordering::Relaxed), to);
        }
        let word = AtomicU32::new(0);
        for (from, same, then) in [(1, false, 0), (0, true, 7), (0, false, 7)] {
            assert_eq!(exchange(&word, from, 7), same);
            assert_eq!(word.load(Ordering::Relaxed), then);
        }
        if THREADS {
            std::thread::spawn(|| assert!(!alone())).join().unwrap();
            assert!(!alone());
        }
    }
}
