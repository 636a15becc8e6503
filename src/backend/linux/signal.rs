//! Signals, beside whatever else handles them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use signal_hook_registry::{FORBIDDEN, SigId};

use super::process;
use crate::backend::Wake;

/// What the handlers of one kqueue tell.
pub(crate) struct Told {
    /// Readable when there is something.
    pub(crate) wake: Wake,
    pub(crate) something: AtomicBool,
}

impl Told {
    pub(crate) fn new() -> io::Result<Told> {
        Ok(Told { wake: Wake::new()?, something: AtomicBool::new(false) })
    }
}

/// Counts a signal's deliveries to this process. Handlers of others go on being
/// called; what the signal did without a handler, it does no more.
pub(crate) struct Counter {
    id: SigId,
    process: u32,
    count: Arc<AtomicU64>,
}

/// Whether a signal may have a handler of ours.
pub(crate) fn can_be_counted(signal: libc::c_int) -> bool {
    !FORBIDDEN.contains(&signal)
}

impl Counter {
    pub(crate) fn new(signal: libc::c_int, told: &Arc<Told>) -> io::Result<Counter> {
        if !can_be_counted(signal) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let count = Arc::new(AtomicU64::new(0));
        let process = process();
        let handler = {
            let (count, told) = (Arc::clone(&count), Arc::clone(told));
            move || {
                // A forked child has the handler too, and the parent's descriptor.
                if self::process() == process {
                    count.fetch_add(1, Ordering::Relaxed);
                    told.something.store(true, Ordering::Release);
                    let _ = told.wake.wake();
                }
            }
        };
        // SAFETY: the handler does nothing but atomic operations, read(2), write(2)
        // and getpid(2), all of which a signal handler may.
        let id = unsafe { signal_hook_registry::register(signal, handler)? };
        Ok(Counter { id, process, count })
    }

    /// The deliveries since this was asked last.
    pub(crate) fn take(&self) -> u64 {
        self.count.swap(0, Ordering::Relaxed)
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // In a forked child the registry may be locked by a thread that is not there.
        if process() == self.process {
            signal_hook_registry::unregister(self.id);
        }
    }
}
