//! The numbers and the layout of each system's `sys/event.h`, beside those of this
//! crate and of the libc crate. They are compared when this is compiled: `make
//! targets` does that for every system, and reads the headers of those that zig has
//! along (each line with a number is turned into C there).
#![cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
))]
#![allow(
    deprecated,
    reason = "some differ from one version of a system to another: these are masks"
)]

use std::mem::{offset_of, size_of};

use readiness::{Filter, Kevent, KeventFlags as Ev, NoteFlags as Note};

/// Ours, the header's number and name, and the libc crate's constant with this name.
macro_rules! same {
    ($($ours:expr, $number:literal: $name:ident;)*) => { $(
        assert!($ours as i64 == $number && libc::$name as i64 == $number, stringify!($name));
    )* };
}
/// The same where the libc crate has none.
#[allow(unused_macros)]
macro_rules! lacking {
    ($($ours:expr, $number:literal: $name:ident;)*) => { $(
        assert!($ours as i64 == $number, stringify!($name));
    )* };
}

#[allow(clippy::unnecessary_cast, reason = "NetBSD's are as wide")]
const fn ev(flags: Ev) -> u32 {
    flags.bits() as u32
}

// Everywhere.
const _: () = {
    same! {
        ev(Ev::ADD), 0x1: EV_ADD;
        ev(Ev::DELETE), 0x2: EV_DELETE;
        ev(Ev::ENABLE), 0x4: EV_ENABLE;
        ev(Ev::DISABLE), 0x8: EV_DISABLE;
        ev(Ev::ONESHOT), 0x10: EV_ONESHOT;
        ev(Ev::CLEAR), 0x20: EV_CLEAR;
        ev(Ev::RECEIPT), 0x40: EV_RECEIPT;
        ev(Ev::DISPATCH), 0x80: EV_DISPATCH;
        ev(Ev::FLAG1), 0x2000: EV_FLAG1;
        ev(Ev::ERROR), 0x4000: EV_ERROR;
        ev(Ev::EOF), 0x8000: EV_EOF;
        Note::LOWAT.bits(), 0x1: NOTE_LOWAT;
        Note::DELETE.bits(), 0x1: NOTE_DELETE;
        Note::WRITE.bits(), 0x2: NOTE_WRITE;
        Note::EXTEND.bits(), 0x4: NOTE_EXTEND;
        Note::ATTRIB.bits(), 0x8: NOTE_ATTRIB;
        Note::LINK.bits(), 0x10: NOTE_LINK;
        Note::RENAME.bits(), 0x20: NOTE_RENAME;
        Note::REVOKE.bits(), 0x40: NOTE_REVOKE;
        Note::EXIT.bits(), 0x80000000: NOTE_EXIT;
        Note::FORK.bits(), 0x40000000: NOTE_FORK;
        Note::EXEC.bits(), 0x20000000: NOTE_EXEC;
        Note::PDATAMASK.bits(), 0x000fffff: NOTE_PDATAMASK;
        Note::TRACK.bits(), 0x1: NOTE_TRACK;
        Note::TRACKERR.bits(), 0x2: NOTE_TRACKERR;
        Note::CHILD.bits(), 0x4: NOTE_CHILD;
        Note::FFNOP.bits(), 0x0: NOTE_FFNOP;
        Note::FFAND.bits(), 0x40000000: NOTE_FFAND;
        Note::FFOR.bits(), 0x80000000: NOTE_FFOR;
        Note::FFCOPY.bits(), 0xc0000000: NOTE_FFCOPY;
        Note::FFCTRLMASK.bits(), 0xc0000000: NOTE_FFCTRLMASK;
        Note::FFLAGSMASK.bits(), 0x00ffffff: NOTE_FFLAGSMASK;
        Note::TRIGGER.bits(), 0x01000000: NOTE_TRIGGER;
    }
};

#[cfg(not(target_os = "netbsd"))]
const _: () = {
    same! {
        Filter::Read.number(), -1: EVFILT_READ;
        Filter::Write.number(), -2: EVFILT_WRITE;
        Filter::Aio.number(), -3: EVFILT_AIO;
        Filter::Vnode.number(), -4: EVFILT_VNODE;
        Filter::Proc.number(), -5: EVFILT_PROC;
        Filter::Signal.number(), -6: EVFILT_SIGNAL;
        Filter::Timer.number(), -7: EVFILT_TIMER;
    }
};

#[cfg(target_os = "freebsd")]
const _: () = {
    same! {
        Filter::User.number(), -11: EVFILT_USER;
        ev(Ev::FORCEONESHOT), 0x100: EV_FORCEONESHOT;
        ev(Ev::KEEPUDATA), 0x200: EV_KEEPUDATA;
        ev(Ev::SYSFLAGS), 0xf000: EV_SYSFLAGS;
        Note::FILE_POLL.bits(), 0x2: NOTE_FILE_POLL;
        Note::OPEN.bits(), 0x80: NOTE_OPEN;
        Note::CLOSE.bits(), 0x100: NOTE_CLOSE;
        Note::CLOSE_WRITE.bits(), 0x200: NOTE_CLOSE_WRITE;
        Note::READ.bits(), 0x400: NOTE_READ;
        Note::PCTRLMASK.bits(), 0xf0000000: NOTE_PCTRLMASK;
        Note::SECONDS.bits(), 0x1: NOTE_SECONDS;
        Note::MSECONDS.bits(), 0x2: NOTE_MSECONDS;
        Note::USECONDS.bits(), 0x4: NOTE_USECONDS;
        Note::NSECONDS.bits(), 0x8: NOTE_NSECONDS;
        Note::ABSTIME.bits(), 0x10: NOTE_ABSTIME;
    }
};

#[cfg(target_vendor = "apple")]
const _: () = {
    same! {
        Filter::User.number(), -10: EVFILT_USER;
        ev(Ev::UDATA_SPECIFIC), 0x100: EV_UDATA_SPECIFIC;
        ev(Ev::SYSFLAGS), 0xf000: EV_SYSFLAGS;
        Note::PCTRLMASK.bits(), 0xfff00000: NOTE_PCTRLMASK;
        Note::SECONDS.bits(), 0x1: NOTE_SECONDS;
        Note::USECONDS.bits(), 0x2: NOTE_USECONDS;
        Note::NSECONDS.bits(), 0x4: NOTE_NSECONDS;
        Note::ABSTIME.bits(), 0x8: NOTE_ABSOLUTE;
        Note::LEEWAY.bits(), 0x10: NOTE_LEEWAY;
        Note::CRITICAL.bits(), 0x20: NOTE_CRITICAL;
        Note::BACKGROUND.bits(), 0x40: NOTE_BACKGROUND;
        Note::MACHTIME.bits(), 0x100: NOTE_MACHTIME;
    }
    assert!(Note::MSECONDS.is_empty(), "what a timer is in without a unit");
};

#[cfg(target_os = "netbsd")]
const _: () = {
    same! {
        Filter::Read.number(), 0: EVFILT_READ;
        Filter::Write.number(), 1: EVFILT_WRITE;
        Filter::Aio.number(), 2: EVFILT_AIO;
        Filter::Vnode.number(), 3: EVFILT_VNODE;
        Filter::Proc.number(), 4: EVFILT_PROC;
        Filter::Signal.number(), 5: EVFILT_SIGNAL;
        Filter::Timer.number(), 6: EVFILT_TIMER;
        Filter::User.number(), 8: EVFILT_USER;
        ev(Ev::SYSFLAGS), 0xf000: EV_SYSFLAGS;
        Note::PCTRLMASK.bits(), 0xf0000000: NOTE_PCTRLMASK;
        Note::MSECONDS.bits(), 0x0: NOTE_MSECONDS;
        Note::SECONDS.bits(), 0x1: NOTE_SECONDS;
        Note::USECONDS.bits(), 0x2: NOTE_USECONDS;
        Note::NSECONDS.bits(), 0x3: NOTE_NSECONDS;
        Note::ABSTIME.bits(), 0x10: NOTE_ABSTIME;
    }
    lacking! {
        Note::OPEN.bits(), 0x80: NOTE_OPEN;
        Note::CLOSE.bits(), 0x100: NOTE_CLOSE;
        Note::CLOSE_WRITE.bits(), 0x200: NOTE_CLOSE_WRITE;
        Note::READ.bits(), 0x400: NOTE_READ;
    }
};

#[cfg(target_os = "openbsd")]
const _: () = {
    same! {
        Filter::User.number(), -10: EVFILT_USER;
        ev(Ev::SYSFLAGS), 0xf800: EV_SYSFLAGS;
        Note::PCTRLMASK.bits(), 0xf0000000: NOTE_PCTRLMASK;
    }
    lacking! {
        Note::MSECONDS.bits(), 0x0: NOTE_MSECONDS;
        Note::SECONDS.bits(), 0x1: NOTE_SECONDS;
        Note::USECONDS.bits(), 0x2: NOTE_USECONDS;
        Note::NSECONDS.bits(), 0x3: NOTE_NSECONDS;
        Note::ABSTIME.bits(), 0x10: NOTE_ABSTIME;
    }
};

#[cfg(target_os = "dragonfly")]
const _: () = {
    same! {
        Filter::User.number(), -9: EVFILT_USER;
        ev(Ev::SYSFLAGS), 0xf800: EV_SYSFLAGS;
        Note::PCTRLMASK.bits(), 0xf0000000: NOTE_PCTRLMASK;
    }
};

// The old EVFILT_NETDEV, and a name that the system lacks, mean nothing else there.
const _: () = {
    let mut number = if cfg!(target_os = "netbsd") { 0 } else { -20 };
    while number < if cfg!(target_os = "netbsd") { 20 } else { 0 } {
        assert!(Filter::Netdev.number() != number);
        number += 1;
    }
    let supported = Ev::supported().bits();
    let mut missing = 0;
    while missing < 3 {
        let flag = [Ev::FORCEONESHOT, Ev::KEEPUDATA, Ev::UDATA_SPECIFIC][missing].bits();
        let named = supported & flag == flag;
        let freebsd = cfg!(target_os = "freebsd") && missing < 2;
        assert!(named == (freebsd || (cfg!(target_vendor = "apple") && missing == 2)));
        assert!(named || supported & flag == 0);
        missing += 1;
    }
};

/// `struct kevent`, field by field: where it is, and how wide.
const _: () = {
    /// What follows the pointer-sized ident.
    const AT: usize = size_of::<usize>();
    const NETBSD: bool = cfg!(target_os = "netbsd");
    const WIDE: usize = if NETBSD { 4 } else { 2 };
    assert!(size_of::<Filter>() == WIDE && size_of::<Ev>() == WIDE && size_of::<Note>() == 4);
    assert!(offset_of!(Kevent, ident) == 0);
    assert!(offset_of!(Kevent, filter) == AT);
    assert!(offset_of!(Kevent, flags) == AT + WIDE);
    assert!(offset_of!(Kevent, fflags) == AT + 2 * WIDE);
    if AT == 8 {
        assert!(offset_of!(Kevent, data) == if NETBSD { 24 } else { 16 });
        assert!(offset_of!(Kevent, udata) == if NETBSD { 32 } else { 24 });
        // FreeBSD's ext.
        let size = if NETBSD { 40 } else { 32 } + if cfg!(target_os = "freebsd") { 32 } else { 0 };
        assert!(size_of::<Kevent>() == size);
    }
    assert!(size_of::<Kevent>() == size_of::<libc::kevent>());
};
