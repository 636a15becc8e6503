//! A lock that is as cheap as the target lets it be: where there is one thread only,
//! nobody waits for it, and it but guards against taking it twice.

use std::ops::{Deref, DerefMut};

pub(crate) use super::alone::THREADS;

cfg_if::cfg_if! {
    if #[cfg(all(target_family = "wasm", not(target_feature = "atomics")))] {
        use std::cell::{Cell, UnsafeCell};
        use std::marker::PhantomData;
        use std::panic::{RefUnwindSafe, UnwindSafe};
        use std::time::Duration;

        /// A `RefCell` that is borrowed in one way only.
        #[derive(Default)]
        pub(crate) struct Lock<T> {
            taken: Cell<bool>,
            value: UnsafeCell<T>,
        }

        #[must_use]
        pub(crate) struct Guard<'a, T>(&'a Lock<T>);

        impl<T> Deref for Guard<'_, T> {
            type Target = T;

            #[inline]
            fn deref(&self) -> &T {
                // SAFETY: there is no other guard.
                unsafe { &*self.0.value.get() }
            }
        }

        impl<T> DerefMut for Guard<'_, T> {
            #[inline]
            fn deref_mut(&mut self) -> &mut T {
                // SAFETY: as above.
                unsafe { &mut *self.0.value.get() }
            }
        }

        impl<T> Drop for Guard<'_, T> {
            #[inline]
            fn drop(&mut self) {
                self.0.taken.set(false);
            }
        }

        // SAFETY: there is no other thread to share it with.
        unsafe impl<T: Send> Sync for Lock<T> {}
        // As of a `Mutex`: a panic lets go of it.
        impl<T> UnwindSafe for Lock<T> {}
        impl<T> RefUnwindSafe for Lock<T> {}

        impl<T> Lock<T> {
            pub(crate) const fn new(value: T) -> Lock<T> {
                Lock { taken: Cell::new(false), value: UnsafeCell::new(value) }
            }

            #[inline]
            pub(crate) fn lock(&self) -> Guard<'_, T> {
                match self.try_lock() {
                    Some(guard) => guard,
                    None => locked(),
                }
            }

            #[inline]
            pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
                if self.taken.get() {
                    return None;
                }
                self.taken.set(true);
                Some(Guard(self))
            }
        }

        impl<T: Copy> Lock<Vec<T>> {
            /// One of them, while nobody has the lock.
            #[inline]
            pub(crate) fn copied(&self, at: usize) -> Option<T> {
                if self.taken.get() {
                    return None;
                }
                // SAFETY: there is no guard, and to copy calls nothing that could make one.
                unsafe { &*self.value.get() }.get(at).copied()
            }
        }

        /// Nobody else could ever let go of it.
        #[cold]
        fn locked() -> ! {
            panic!("locked by its own thread");
        }

        /// What is lent to a thread for a while: there is none to lend it to.
        #[derive(Default)]
        pub(crate) struct Lent<T>(T);

        impl<T: Default> Lent<T> {
            pub(crate) fn take(&mut self) -> T {
                std::mem::take(&mut self.0)
            }

            pub(crate) fn give(&mut self, lent: T) {
                self.0 = lent;
            }
        }

        impl<T> Deref for Lent<T> {
            type Target = T;

            #[inline]
            fn deref(&self) -> &T {
                &self.0
            }
        }

        impl<T> DerefMut for Lent<T> {
            #[inline]
            fn deref_mut(&mut self) -> &mut T {
                &mut self.0
            }
        }

        /// What a thread takes while it waits, and gives back to be used again.
        #[derive(Default)]
        pub(crate) struct Pool<T>(Lock<T>);

        impl<T: Default> Pool<T> {
            pub(crate) fn take(&self) -> T {
                std::mem::take(&mut self.0.lock())
            }

            pub(crate) fn give(&self, one: T) {
                *self.0.lock() = one;
            }
        }

        /// What threads have for each other: nothing, where there is one.
        pub(crate) struct Between<T>(PhantomData<fn() -> T>);

        impl<T> Default for Between<T> {
            fn default() -> Between<T> {
                Between(PhantomData)
            }
        }

        impl<T> Between<T> {
            pub(crate) fn is_empty(&self) -> bool {
                true
            }

            pub(crate) fn push(&mut self, _one: T) {}

            pub(crate) fn retain(&mut self, _keep: impl FnMut(&T) -> bool) {}

            pub(crate) fn iter(&self) -> std::iter::Empty<&T> {
                std::iter::empty()
            }

            pub(crate) fn drain(&mut self, _all: std::ops::RangeFull) -> std::iter::Empty<T> {
                std::iter::empty()
            }
        }

        /// Nobody waits for a turn.
        pub(crate) struct Turn;

        impl Turn {
            pub(crate) fn new() -> Turn {
                Turn
            }

            pub(crate) fn wait<'a, T>(
                &self,
                guard: Guard<'a, T>,
                _left: Option<Duration>,
            ) -> Guard<'a, T> {
                guard
            }

            pub(crate) fn notify_one(&self) {}

            pub(crate) fn notify_all(&self) {}
        }
    } else {
        use std::cell::UnsafeCell;
        use std::marker::PhantomData;
        use std::panic::{RefUnwindSafe, UnwindSafe};
        use std::sync::atomic::{AtomicBool, Ordering};
        use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
        use std::thread;
        use std::time::Duration;

        use super::alone::alone;

        /// A mutex that a thread which is alone takes without locked instructions. What a thread
        /// left that panicked is as good as before.
        #[derive(Default)]
        pub(crate) struct Lock<T> {
            /// Somebody has it: with the mutex, or without if it was alone.
            taken: AtomicBool,
            mutex: Mutex<()>,
            value: UnsafeCell<T>,
        }

        #[must_use]
        pub(crate) struct Guard<'a, T> {
            lock: &'a Lock<T>,
            /// Unless the thread was alone.
            mutex: Option<MutexGuard<'a, ()>>,
            /// It can be shared as the value can.
            value: PhantomData<&'a mut T>,
        }

        // SAFETY: one thread at a time has a guard, and the value by that.
        unsafe impl<T: Send> Sync for Lock<T> {}
        impl<T> UnwindSafe for Lock<T> {}
        impl<T> RefUnwindSafe for Lock<T> {}

        impl<T> Deref for Guard<'_, T> {
            type Target = T;

            #[inline]
            fn deref(&self) -> &T {
                // SAFETY: there is no other guard.
                unsafe { &*self.lock.value.get() }
            }
        }

        impl<T> DerefMut for Guard<'_, T> {
            #[inline]
            fn deref_mut(&mut self) -> &mut T {
                // SAFETY: as above.
                unsafe { &mut *self.lock.value.get() }
            }
        }

        impl<T> Drop for Guard<'_, T> {
            #[inline]
            fn drop(&mut self) {
                // Before the mutex, if there is one.
                self.lock.taken.store(false, Ordering::Release);
            }
        }

        impl<T> Lock<T> {
            pub(crate) const fn new(value: T) -> Lock<T> {
                Lock {
                    taken: AtomicBool::new(false),
                    mutex: Mutex::new(()),
                    value: UnsafeCell::new(value),
                }
            }

            #[inline]
            pub(crate) fn lock(&self) -> Guard<'_, T> {
                match self.lock_alone() {
                    Some(guard) => guard,
                    None => self.lock_with_mutex(),
                }
            }

            /// `None`: another thread has it.
            #[cfg_attr(
                all(any(target_os = "linux", target_os = "android"), not(readiness_backend = "poll")),
                allow(dead_code, reason = "where the kernel has epoll")
            )]
            #[inline]
            pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
                if let Some(guard) = self.lock_alone() {
                    return Some(guard);
                }
                let mutex = match self.mutex.try_lock() {
                    Ok(mutex) => mutex,
                    Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                    Err(TryLockError::WouldBlock) => return None,
                };
                (!self.taken.load(Ordering::Acquire)).then(|| self.guard(Some(mutex)))
            }

            /// `None` where there may be others, or somebody has it.
            #[inline]
            fn lock_alone(&self) -> Option<Guard<'_, T>> {
                if !alone() || self.taken.load(Ordering::Relaxed) {
                    return None;
                }
                Some(self.guard(None))
            }

            #[inline]
            fn lock_with_mutex(&self) -> Guard<'_, T> {
                self.with(self.mutex.lock().unwrap_or_else(PoisonError::into_inner))
            }

            #[inline]
            fn with<'a>(&'a self, mutex: MutexGuard<'a, ()>) -> Guard<'a, T> {
                while self.taken.load(Ordering::Acquire) {
                    // Who has it was alone when it took it.
                    thread::yield_now();
                }
                self.guard(Some(mutex))
            }

            #[inline]
            fn guard<'a>(&'a self, mutex: Option<MutexGuard<'a, ()>>) -> Guard<'a, T> {
                self.taken.store(true, Ordering::Relaxed);
                Guard { lock: self, mutex, value: PhantomData }
            }
        }

        /// What is lent to a thread for a while; in its place is an empty one.
        #[derive(Default)]
        pub(crate) struct Lent<T> {
            here: Box<T>,
            empty: Option<Box<T>>,
        }

        impl<T: Default> Lent<T> {
            #[inline]
            pub(crate) fn take(&mut self) -> Box<T> {
                std::mem::replace(&mut self.here, self.empty.take().unwrap_or_default())
            }

            #[inline]
            pub(crate) fn give(&mut self, lent: Box<T>) {
                self.empty = Some(std::mem::replace(&mut self.here, lent));
            }
        }

        impl<T> Deref for Lent<T> {
            type Target = T;

            #[inline]
            fn deref(&self) -> &T {
                &self.here
            }
        }

        impl<T> DerefMut for Lent<T> {
            #[inline]
            fn deref_mut(&mut self) -> &mut T {
                &mut self.here
            }
        }

        /// What a thread takes while it waits, and gives back to be used again.
        #[allow(dead_code, reason = "where the kernel has epoll")]
        #[derive(Default)]
        pub(crate) struct Pool<T>(Lock<Vec<T>>);

        #[allow(dead_code, reason = "where the kernel has epoll")]
        impl<T: Default> Pool<T> {
            pub(crate) fn take(&self) -> T {
                self.0.lock().pop().unwrap_or_default()
            }

            pub(crate) fn give(&self, one: T) {
                self.0.lock().push(one);
            }
        }

        /// What threads have for each other.
        pub(crate) type Between<T> = Vec<T>;

        /// Where threads wait for one that gives something back.
        pub(crate) struct Turn(Condvar);

        impl Turn {
            pub(crate) fn new() -> Turn {
                Turn(Condvar::new())
            }

            /// Lets go of the lock until somebody notifies, or for the time that is left. May
            /// come back before.
            pub(crate) fn wait<'a, T>(
                &self,
                mut guard: Guard<'a, T>,
                left: Option<Duration>,
            ) -> Guard<'a, T> {
                let (lock, mutex) = (guard.lock, guard.mutex.take());
                drop(guard);
                let Some(mutex) = mutex else {
                    // Somebody may have notified before this has the mutex.
                    return lock.lock_with_mutex();
                };
                let waited = match left {
                    None => self.0.wait(mutex),
                    Some(left) => {
                        let waited = self.0.wait_timeout(mutex, left);
                        waited.map(|(mutex, _)| mutex).map_err(|poisoned| {
                            PoisonError::new(poisoned.into_inner().0)
                        })
                    }
                };
                lock.with(waited.unwrap_or_else(PoisonError::into_inner))
            }

            pub(crate) fn notify_one(&self) {
                self.0.notify_one();
            }

            pub(crate) fn notify_all(&self) {
                self.0.notify_all();
            }
        }
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Also by a thread that was alone when it took it (`scripts/test-alone`).
    #[test]
    fn one_thread_at_a_time_has_it() {
        let lock = Lock::new(0);
        let mut guard = lock.lock();
        thread::scope(|threads| {
            let other = threads.spawn(|| {
                let mut guard = lock.lock();
                assert_eq!(*guard, 1);
                *guard = 2;
            });
            thread::sleep(Duration::from_millis(20));
            assert!(!other.is_finished());
            threads.spawn(|| assert!(lock.try_lock().is_none())).join().unwrap();
            *guard = 1;
            drop(guard);
        });
        assert_eq!(*lock.lock(), 2);
    }

    #[test]
    fn a_turn_comes() {
        let (lock, turn) = (Lock::new(false), Turn::new());
        let mut guard = lock.lock();
        thread::scope(|threads| {
            threads.spawn(|| {
                *lock.lock() = true;
                turn.notify_one();
            });
            while !*guard {
                guard = turn.wait(guard, None);
            }
        });
    }
}
