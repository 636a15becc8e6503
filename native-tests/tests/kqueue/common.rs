//! What every module here needs.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

pub use readiness::{AsSource, Filter, Kevent, KeventFlags, Kqueue, NoteFlags, os_error};

pub const NOW: Option<Duration> = Some(Duration::ZERO);
/// Long enough for anything that happens at all.
pub const SOON: Option<Duration> = Some(Duration::from_secs(20));
/// Long enough to notice what should not happen.
pub const BRIEFLY: Option<Duration> = Some(Duration::from_millis(20));

pub fn change(kqueue: &Kqueue, changes: &[Kevent]) {
    assert_eq!(kqueue.control(changes, &mut [], None).unwrap(), 0);
}

pub fn wait(kqueue: &Kqueue, timeout: Option<Duration>) -> Vec<Kevent> {
    let mut events = [Kevent::default(); 16];
    let n = kqueue.control(&[], &mut events, timeout).unwrap();
    events[..n].to_vec()
}

/// The one event that there is.
#[track_caller]
pub fn one(kqueue: &Kqueue) -> Kevent {
    let events = wait(kqueue, SOON);
    assert_eq!(events.len(), 1, "{events:?}");
    events[0]
}

#[track_caller]
pub fn none(kqueue: &Kqueue) {
    let events = wait(kqueue, BRIEFLY);
    assert!(events.is_empty(), "{events:?}");
}

/// Nothing after a report that cleared. Where the host has levels only, a report may
/// come again, ever more rarely (design of the emulation: 1 ms, 2, 4, ...).
#[track_caller]
pub fn quiet(kqueue: &Kqueue) {
    if cfg!(not(readiness_backend = "poll")) {
        return none(kqueue);
    }
    let begin = std::time::Instant::now();
    let mut again = 0;
    while begin.elapsed() < Duration::from_millis(20) {
        again += wait(kqueue, BRIEFLY).len();
    }
    assert!(again <= 8, "{again}");
}

pub fn idents(events: &[Kevent]) -> Vec<usize> {
    events.iter().map(|event| event.ident).collect()
}

#[track_caller]
pub fn error(kqueue: &Kqueue, change: Kevent) -> i32 {
    os_error(&kqueue.control(&[change], &mut [], NOW).unwrap_err()).unwrap()
}

pub fn read(source: &impl AsSource) -> Kevent {
    Kevent::new(source, Filter::Read)
}

pub fn write(source: &impl AsSource) -> Kevent {
    Kevent::new(source, Filter::Write)
}

pub fn add(more: KeventFlags) -> KeventFlags {
    KeventFlags::ADD | more
}

pub const DELETE: KeventFlags = KeventFlags::DELETE;
pub const CLEAR: KeventFlags = KeventFlags::CLEAR;
pub const EOF: KeventFlags = KeventFlags::EOF;

/// The same with a number that no other test is given when it is closed.
pub fn high<T: From<OwnedFd> + AsRawFd>(source: T) -> T {
    static NEXT: AtomicI32 = AtomicI32::new(700);
    let least = NEXT.fetch_add(1, Ordering::Relaxed);
    // SAFETY: it makes a new descriptor.
    let fd = unsafe { libc::fcntl(source.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) };
    assert!(fd >= least);
    // SAFETY: it is new, and ours.
    unsafe { OwnedFd::from_raw_fd(fd) }.into()
}
