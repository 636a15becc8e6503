//! The host's calls and their records.
//!
//! [wasi_snapshot_preview1](https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md)

use std::io;
use std::num::NonZero;
use std::ops::{Deref, DerefMut};

use super::grow;
use crate::flags::PollFlags;

/// The number of an error. (So that a result is a number, too.)
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Errno(NonZero<u32>);

impl Errno {
    /// `None` where it is a success.
    pub(super) fn new(raw: u32) -> Option<Errno> {
        NonZero::new(raw).map(Errno)
    }

    /// A number that is no success.
    pub(super) const fn own(raw: u32) -> Errno {
        match NonZero::new(raw) {
            Some(raw) => Errno(raw),
            None => panic!("a success"),
        }
    }

    pub(super) fn is(self, other: wasi::Errno) -> bool {
        self.raw() == u32::from(other.raw())
    }

    pub(super) fn raw(self) -> u32 {
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

/// A wait without a clock, in nanoseconds.
pub(super) const FOR_EVER: u64 = u64::MAX;

/// `__wasi_subscription_t`.
#[derive(Clone, Copy)]
#[repr(C)]
#[allow(dead_code, reason = "it is for the host")]
pub(super) struct Subscription {
    name: Name,
    tag: u64,
    /// The descriptor; or which clock.
    pub(super) id: u64,
    pub(super) timeout: u64,
    precision: u64,
    flags: u64,
}

/// `__wasi_event_t`.
#[derive(Clone, Copy)]
#[repr(C)]
#[allow(dead_code, reason = "it is the host's")]
pub(super) struct Event {
    name: Name,
    pub(super) error: u16,
    kind: u8,
    pub(super) nbytes: u64,
    pub(super) flags: u16,
}

const _: () = assert!(size_of::<Subscription>() == size_of::<wasi::Subscription>());
const _: () = assert!(size_of::<Event>() == size_of::<wasi::Event>());

/// Whose a subscription is: its `userdata`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Name {
    /// `IN` or `OUT`: the direction.
    pub(super) flag: PollFlags,
    /// The descriptor is asked for something else before.
    pub(super) second: u16,
    pub(super) place: Place,
}

/// A slot, so that what is told in order is in the order of slots. They count from 1 here, for
/// some hosts answer with 0 what nobody asked.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub(super) struct Place(u32);

impl Place {
    /// No place, which is before all of them; and behind, the clock's.
    pub(super) const NONE: Place = Place(0);
    pub(super) const CLOCK: Place = Place(u32::MAX);

    pub(super) fn of(slot: usize) -> Place {
        Place(slot as u32 + 1)
    }

    /// The slot; of one that is none of these, one that there is not.
    #[inline]
    fn slot(self) -> usize {
        self.0.wrapping_sub(1) as usize
    }
}

impl Subscription {
    #[inline]
    pub(super) fn new(name: Name, fd: u32) -> Subscription {
        const _: () = assert!(PollFlags::IN.bits() == wasi::EVENTTYPE_FD_READ.raw() as u16);
        const _: () = assert!(PollFlags::OUT.bits() == wasi::EVENTTYPE_FD_WRITE.raw() as u16);
        let (tag, id) = (name.flag.bits().into(), fd.into());
        Subscription { name, tag, id, timeout: 0, precision: 0, flags: 0 }
    }

    /// The clock that ends a wait. Relative, because hosts get absolute times wrong. (Zero is for
    /// ever to some.)
    #[inline(never)]
    pub(super) fn clock(timeout: u64) -> Subscription {
        let id = wasi::CLOCKID_MONOTONIC.raw();
        let name = Name { flag: PollFlags::empty(), second: 0, place: Place::CLOCK };
        const _: () = assert!(wasi::EVENTTYPE_CLOCK.raw() == 0);
        Subscription { timeout, ..Subscription::new(name, id) }
    }
}

impl Event {
    /// One of our own.
    pub(super) fn new(slot: usize, flags: PollFlags) -> Event {
        let name = Name { flag: PollFlags::empty(), second: 0, place: Place::of(slot) };
        Event { name, error: 0, kind: 0, nbytes: 1, flags: flags.bits() }
    }

    /// What it tells: more than its direction, if there is more.
    #[inline]
    pub(super) fn flags(&self) -> PollFlags {
        match self.flags {
            0 => self.flag,
            flags => PollFlags::from_bits_retain(flags),
        }
    }
}

impl Name {
    #[inline]
    pub(super) fn slot(&self) -> usize {
        self.place.slot()
    }
}

impl Deref for Subscription {
    type Target = Name;

    #[inline]
    fn deref(&self) -> &Name {
        &self.name
    }
}

impl Deref for Event {
    type Target = Name;

    #[inline]
    fn deref(&self) -> &Name {
        &self.name
    }
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
            grow::make_room(all, asked.len());
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

    /// The same with one subscription and the clock.
    pub(super) fn ask_one(&mut self, one: &Subscription, time: u64) -> Result<(), Errno> {
        self.ask(&[*one, Subscription::clock(time)])
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
    Errno::new(errno as u32).map_or(Ok(()), Err)
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
    let name = Name { flag: PollFlags::IN, second: 0, place: Place::of(0) };
    let one = Subscription::new(name, fd);
    let mut events = [Event::new(1, PollFlags::empty()); 2];
    // SAFETY: there is room for two events.
    unsafe { poll_oneoff(&[one, Subscription::clock(1)], events.as_mut_ptr(), &mut 0) }.ok()?;
    let told = events.iter().find(|event| event.slot() == 0 && event.error == 0);
    told.map(|event| event.nbytes)
}

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
    io::Error::from_raw_os_error(errno.raw() as i32)
}
