//! Sockets over `wasi:sockets`, which a list can wait for.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wasip2::io::poll::Pollable as HostPollable;

mod convert;
pub(crate) mod tcp;
pub(crate) mod udp;

use super::{PAUSES, after};
use crate::timeout::Deadline;

/// A new socket's name. They begin where no descriptor and no handle is, and
/// none comes back before two thousand million others.
fn new_name() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed) | 1 << 31
}

/// What is left of a connection that was closed while the host still sends. By a table, so that
/// a program without TCP does not import it.
trait Linger {
    /// Whether it does; then it has it asked about, for the host may know when it will be through.
    fn is_sending(&mut self, ask: &mut dyn FnMut(&HostPollable)) -> bool;
}

thread_local! {
    static LINGERING: RefCell<Vec<Box<dyn Linger>>> = const { RefCell::new(Vec::new()) };
}

fn linger(one: Box<dyn Linger>) {
    LINGERING.with_borrow_mut(|lingering| lingering.push(one));
}

/// Whether there are any.
pub(super) fn lingers() -> bool {
    LINGERING.with_borrow(|lingering| !lingering.is_empty())
}

/// Drops the connections that are through, and has the others asked about.
pub(super) fn sweep(ask: &mut dyn FnMut(&HostPollable)) {
    LINGERING.with_borrow_mut(|lingering| lingering.retain_mut(|one| one.is_sending(ask)));
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// std refuses a timeout of zero too.
fn not_zero(timeout: Option<Duration>) -> io::Result<Option<Duration>> {
    match timeout {
        Some(Duration::ZERO) => Err(io::Error::from_raw_os_error(libc::EINVAL)),
        timeout => Ok(timeout),
    }
}

/// Waits for one pollable; `false` if the time was up first.
fn block_on(pollable: &HostPollable, timeout: Option<Duration>) -> bool {
    match timeout {
        None => pollable.block(),
        Some(timeout) => {
            let clock = after(timeout);
            return wasip2::io::poll::poll(&[pollable, &clock]).contains(&0);
        }
    }
    true
}

/// A call that blocks until its time is up.
struct Blocking {
    deadline: Deadline,
    /// How often it was ready and nothing came of it.
    alarms: u32,
}

impl Blocking {
    fn new(timeout: Option<Duration>) -> Blocking {
        Blocking { deadline: Deadline::after(timeout), alarms: 0 }
    }

    /// Waits; `false` if the time was up first.
    fn block_on(&mut self, pollable: &HostPollable) -> bool {
        if self.deadline.left().is_some() && self.deadline.passed() {
            return false;
        }
        // Some hosts never end a false alarm.
        if self.alarms > 1 {
            let pause = PAUSES[0] * (1 << self.alarms.min(5)) / 2;
            let left = self.deadline.left().unwrap_or(pause);
            after(left.min(pause).min(PAUSES[1])).block();
            self.deadline.refresh();
        }
        self.alarms += 1;
        block_on(pollable, self.deadline.left())
    }
}
