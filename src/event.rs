//! `EpollEvent`, laid out as the kernel has it.

use std::fmt;

use crate::flags::EpollFlags;

/// One event of an [`Epoll`](crate::Epoll): Linux's `struct epoll_event`, packed
/// where Linux packs it.
#[derive(Clone, Copy, Default)]
#[cfg_attr(target_arch = "x86_64", repr(C, packed))]
#[cfg_attr(not(target_arch = "x86_64"), repr(C))]
#[doc(alias = "epoll_event")]
pub struct EpollEvent {
    events: u32,
    data: u64,
}

impl EpollEvent {
    /// An event; those of a wait are filled in by it.
    #[must_use]
    pub fn new(flags: EpollFlags, data: u64) -> EpollEvent {
        EpollEvent { events: flags.bits(), data }
    }

    /// What the source is ready for.
    #[must_use]
    pub fn flags(&self) -> EpollFlags {
        EpollFlags::from_bits_retain(self.events)
    }

    /// The data that it was registered with: the source's number
    /// ([`RawSource::number`](crate::RawSource::number), which Python gives),
    /// unless `register_with_data` gave another.
    #[must_use]
    pub fn data(&self) -> u64 {
        self.data
    }
}

impl PartialEq for EpollEvent {
    fn eq(&self, other: &EpollEvent) -> bool {
        (self.flags(), self.data()) == (other.flags(), other.data())
    }
}

impl Eq for EpollEvent {}

impl fmt::Debug for EpollEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EpollEvent")
            .field("flags", &self.flags())
            .field("data", &self.data())
            .finish()
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const _: () = assert!(size_of::<EpollEvent>() == size_of::<libc::epoll_event>());
