//! The host's calls and their records.
//!
//! [wasi_snapshot_preview1](https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md)

use std::io;
use std::time::Duration;

use crate::flags::PollFlags;
use crate::timeout::FOR_EVER;

pub(super) use wasi::{Errno, Event, Filetype, Subscription};

/// What a descriptor may be ready for, as an index.
pub(super) const READ: usize = 0;
pub(super) const WRITE: usize = 1;

/// The clock's own name. No descriptor's: those are numbered from 1, because
/// some hosts answer with 0 what nobody asked.
const CLOCK: u64 = u64::MAX;

pub(super) fn name(at: u32, direction: usize) -> u64 {
    (u64::from(at) + 1) << 1 | direction as u64
}

/// The descriptor and the direction behind a name.
pub(super) fn named(name: u64) -> Option<(usize, usize)> {
    let at = (name >> 1).checked_sub(1)?;
    Some((usize::try_from(at).ok()?, (name & 1) as usize))
}

pub(super) fn subscription(fd: u32, at: u32, direction: usize) -> Subscription {
    let fd = wasi::SubscriptionFdReadwrite { file_descriptor: fd };
    let u = if direction == READ {
        wasi::SubscriptionU {
            tag: wasi::EVENTTYPE_FD_READ.raw(),
            u: wasi::SubscriptionUU { fd_read: fd },
        }
    } else {
        wasi::SubscriptionU {
            tag: wasi::EVENTTYPE_FD_WRITE.raw(),
            u: wasi::SubscriptionUU { fd_write: fd },
        }
    };
    Subscription { userdata: name(at, direction), u }
}

/// The clock that ends a wait. Relative, because hosts get absolute times wrong;
/// never zero, because to some hosts that is for ever.
pub(super) fn clock(left: Duration) -> Subscription {
    let seconds = left.as_secs().min(FOR_EVER.as_secs());
    let timeout = (seconds * 1_000_000_000 + u64::from(left.subsec_nanos())).max(1);
    let clock =
        wasi::SubscriptionClock { id: wasi::CLOCKID_MONOTONIC, timeout, precision: 0, flags: 0 };
    let u =
        wasi::SubscriptionU { tag: wasi::EVENTTYPE_CLOCK.raw(), u: wasi::SubscriptionUU { clock } };
    Subscription { userdata: CLOCK, u }
}

const NO_EVENT: Event = Event {
    userdata: CLOCK,
    error: wasi::ERRNO_SUCCESS,
    type_: wasi::EVENTTYPE_CLOCK,
    fd_readwrite: wasi::EventFdReadwrite { nbytes: 0, flags: 0 },
};

/// One `poll_oneoff`: the number of events that are at the start of `events`,
/// which grows to what the call needs.
pub(super) fn poll(asked: &[Subscription], events: &mut Vec<Event>) -> Result<usize, Errno> {
    if events.len() < asked.len() {
        events.resize(asked.len(), NO_EVENT);
    }
    call(asked, events)
}

/// `events` has room for as many as there are subscriptions.
fn call(asked: &[Subscription], events: &mut [Event]) -> Result<usize, Errno> {
    let room = asked.len().min(events.len());
    // SAFETY: there is room for as many events as there are subscriptions.
    let told = unsafe { wasi::poll_oneoff(asked.as_ptr(), events.as_mut_ptr(), room) }?;
    Ok(told.min(room))
}

/// How much the host says that there is to read of a descriptor, without waiting.
pub(super) fn bytes(fd: u32) -> Option<u64> {
    let asked = [subscription(fd, 0, READ), clock(Duration::ZERO)];
    let mut events = [NO_EVENT; 2];
    let told = call(&asked, &mut events).ok()?;
    let found = events[..told].iter().find(|event| event.userdata == asked[0].userdata)?;
    (found.error == wasi::ERRNO_SUCCESS).then_some(found.fd_readwrite.nbytes)
}

/// The type of a descriptor, if it is open.
pub(super) fn filetype(fd: u32) -> Result<Filetype, Errno> {
    // SAFETY: any number may be asked about.
    Ok(unsafe { wasi::fd_fdstat_get(fd) }?.fs_filetype)
}

/// What an error that came for a source makes of it.
pub(super) fn failure(errno: Errno, direction: usize) -> PollFlags {
    match errno {
        wasi::ERRNO_PIPE if direction == READ => PollFlags::HUP,
        wasi::ERRNO_PIPE => PollFlags::HUP | PollFlags::ERR,
        _ => PollFlags::ERR,
    }
}

pub(super) fn error(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw().into())
}
