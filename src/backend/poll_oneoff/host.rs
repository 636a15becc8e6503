//! The host's calls and their records.
//!
//! [wasi_snapshot_preview1](https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md)

use std::io;
use std::num::NonZero;
use std::ops::{Deref, DerefMut};

use crate::flags::PollFlags;

pub(super) use wasi::{Event, Subscription};

/// The number of an error. (So that a result is a number, too.)
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Errno(NonZero<u16>);

impl Errno {
    /// `None` where it is a success.
    pub(super) fn new(raw: u16) -> Option<Errno> {
        NonZero::new(raw).map(Errno)
    }

    /// A number that is no success.
    pub(super) const fn own(raw: u16) -> Errno {
        match NonZero::new(raw) {
            Some(raw) => Errno(raw),
            None => panic!("a success"),
        }
    }

    pub(super) fn is(self, other: wasi::Errno) -> bool {
        self.raw() == other.raw()
    }

    pub(super) fn raw(self) -> u16 {
        self.0.get()
    }
}

/// The number of a descriptor's type.
pub(super) type Filetype = u8;
/// Of one that is not open, and of one that nobody has looked at.
pub(super) const CLOSED: Filetype = u8::MAX;
pub(super) const UNSEEN: Filetype = u8::MAX - 1;
/// Of a set, and of none.
pub(super) const SET: Filetype = u8::MAX - 2;
pub(super) const VACANT: Filetype = u8::MAX - 3;

/// What a descriptor may be ready for, as an index.
pub(super) const READ: usize = 0;
pub(super) const WRITE: usize = 1;
pub(super) const DIRECTIONS: std::ops::Range<usize> = READ..WRITE + 1;

/// A wait without a clock, in nanoseconds.
pub(super) const FOR_EVER: u64 = u64::MAX;

/// The clock's own name, and no descriptor's: behind all of them (see [`is_next`]).
pub(super) const CLOCK: u64 = !SECOND;

/// The descriptor is asked for something else before: such a name is before all others.
pub(super) const SECOND: u64 = 1 << 63;

/// What a direction of a descriptor is asked for by: its slot, so that what is told in order
/// is in the order of slots; itself; and the direction. Slots count from 1 here, for some
/// hosts answer with 0 what nobody asked.
pub(super) fn name(slot: usize, fd: u32, direction: usize) -> u64 {
    (slot as u64 + 1) << 32 | u64::from(fd.min(UNNAMED) << 1) | direction as u64
}

/// In a name: what is in the slot is a larger number, or a set.
pub(super) const UNNAMED: u32 = i32::MAX as u32;

/// The slot of a name; of one that is none of these, one that there is not.
#[inline]
pub(super) fn slot(name: u64) -> usize {
    (((name & !SECOND) >> 32) as u32).wrapping_sub(1) as usize
}

#[inline]
pub(super) fn fd(name: u64) -> u32 {
    name as u32 >> 1
}

#[inline]
pub(super) fn direction(name: u64) -> usize {
    name as usize & 1
}

/// The flag of a direction.
#[inline]
pub(super) fn flag(direction: usize) -> PollFlags {
    // By its number, which takes no table.
    const _: () = assert!(PollFlags::IN.bits() == 1 && PollFlags::OUT.bits() == 2);
    PollFlags::from_bits_retain(direction as u16 + 1)
}

/// Whether a name is of a slot behind another one's, and of no other slot. Before the
/// first one is 0.
#[inline]
pub(super) fn is_next(name: u64, last: u64) -> bool {
    // Of one slot the two directions are the last bit.
    name.cast_signed() > (last | 1).cast_signed()
}

#[inline]
pub(super) fn subscription(fd: u32, name: u64, direction: usize) -> Subscription {
    let fd = wasi::SubscriptionFdReadwrite { file_descriptor: fd };
    let (tag, u) = if direction == READ {
        (wasi::EVENTTYPE_FD_READ, wasi::SubscriptionUU { fd_read: fd })
    } else {
        (wasi::EVENTTYPE_FD_WRITE, wasi::SubscriptionUU { fd_write: fd })
    };
    let u = wasi::SubscriptionU { tag: tag.raw(), u };
    Subscription { userdata: name, u }
}

/// An event of our own.
pub(super) fn event(userdata: u64, flags: u16) -> Event {
    Event {
        userdata,
        error: wasi::ERRNO_SUCCESS,
        type_: wasi::EVENTTYPE_FD_READ,
        fd_readwrite: wasi::EventFdReadwrite { nbytes: 1, flags },
    }
}

/// The clock that ends a wait. Relative, because hosts get absolute times wrong. (Zero is for
/// ever to some.)
#[inline(never)]
pub(super) fn clock(timeout: u64) -> Subscription {
    let clock =
        wasi::SubscriptionClock { id: wasi::CLOCKID_MONOTONIC, timeout, precision: 0, flags: 0 };
    let u =
        wasi::SubscriptionU { tag: wasi::EVENTTYPE_CLOCK.raw(), u: wasi::SubscriptionUU { clock } };
    Subscription { userdata: CLOCK, u }
}

/// What the host told last.
#[derive(Default)]
pub(super) struct Events {
    all: Vec<Event>,
    /// Where the host puts how many. (A place on the stack would cost more.)
    told: usize,
}

impl Events {
    /// One `poll_oneoff`.
    #[inline]
    pub(super) fn ask(&mut self, asked: &[Subscription]) -> Result<(), Errno> {
        let Events { all, told } = self;
        if all.capacity() < asked.len() {
            all.clear();
            all.reserve(asked.len());
        }
        // SAFETY: there is room for as many events as there are subscriptions.
        let called = unsafe { poll_oneoff(asked, all.as_mut_ptr(), told) };
        if called.is_err() {
            all.clear();
            return called;
        }
        let told = if *told > asked.len() { too_many(asked.len()) } else { *told };
        // SAFETY: the host fills those that it tells.
        unsafe { all.set_len(told) };
        Ok(())
    }
}

/// # Safety
/// There has to be room for as many events as there are subscriptions.
#[inline]
unsafe fn poll_oneoff(
    asked: &[Subscription],
    events: *mut Event,
    told: &mut usize,
) -> Result<(), Errno> {
    let (from, many, told) = (asked.as_ptr(), asked.len(), std::ptr::from_mut(told));
    // SAFETY: as the caller says.
    let errno = unsafe {
        wasi::wasi_snapshot_preview1::poll_oneoff(
            from as i32,
            events as i32,
            many as i32,
            told as i32,
        )
    };
    Errno::new(errno as u16).map_or(Ok(()), Err)
}

/// Of a host that claims to have told more than it was asked. (Out of the way: the smaller of
/// two numbers takes more instructions.)
#[cold]
#[inline(never)]
fn too_many(asked: usize) -> usize {
    asked
}

impl Deref for Events {
    type Target = Vec<Event>;

    #[inline]
    fn deref(&self) -> &Vec<Event> {
        &self.all
    }
}

impl DerefMut for Events {
    #[inline]
    fn deref_mut(&mut self) -> &mut Vec<Event> {
        &mut self.all
    }
}

/// How much the host says that there is to read of a descriptor that is ready now, if it
/// says something.
pub(super) fn bytes(fd: u32) -> Option<u64> {
    let asked = [subscription(fd, name(0, fd, READ), READ), clock(1)];
    let mut events = [NOTHING; 2];
    // SAFETY: there is room for two events.
    unsafe { poll_oneoff(&asked, events.as_mut_ptr(), &mut 0) }.ok()?;
    let told =
        |event: &&Event| event.userdata == asked[0].userdata && event.error == wasi::ERRNO_SUCCESS;
    events.iter().find(told).map(|event| event.fd_readwrite.nbytes)
}

/// An event of nothing that has a name.
const NOTHING: Event = Event {
    userdata: 0,
    error: wasi::ERRNO_SUCCESS,
    type_: wasi::EVENTTYPE_CLOCK,
    fd_readwrite: wasi::EventFdReadwrite { nbytes: 0, flags: 0 },
};

/// The type of a descriptor; [`CLOSED`] if it is not open.
pub(super) fn filetype(fd: u32) -> Filetype {
    let unknown = wasi::Fdstat {
        fs_filetype: wasi::FILETYPE_UNKNOWN,
        fs_flags: 0,
        fs_rights_base: 0,
        fs_rights_inheriting: 0,
    };
    let mut stat = unknown;
    let place = &raw mut stat;
    // SAFETY: any number may be asked about, and there is room for what is said.
    match unsafe { wasi::wasi_snapshot_preview1::fd_fdstat_get(fd as i32, place as i32) } {
        BADF => CLOSED,
        _ => stat.fs_filetype.raw(),
    }
}

const BADF: i32 = wasi::ERRNO_BADF.raw() as i32;

/// Whether a descriptor of this type is always ready.
pub(super) fn is_file(filetype: Filetype) -> bool {
    filetype == wasi::FILETYPE_REGULAR_FILE.raw() || filetype == wasi::FILETYPE_DIRECTORY.raw()
}

/// Nanoseconds since some moment. A host without a clock stands still, at 0.
// Apart: much code for each place that looks at it.
#[inline(never)]
pub(super) fn now() -> u64 {
    let mut time = 0u64;
    let (clock, place) = (wasi::CLOCKID_MONOTONIC.raw(), &raw mut time);
    // SAFETY: the host writes one number there, or none.
    unsafe { wasi::wasi_snapshot_preview1::clock_time_get(clock as i32, 1, place as i32) };
    time
}

pub(super) fn error(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw().into())
}
