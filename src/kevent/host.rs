//! The numbers of each system's `sys/event.h`. Where a system lacks a name, the
//! name has a value here that no other uses there.

#![allow(dead_code, reason = "not every name of a system is used")]
#![allow(
    deprecated,
    reason = "some differ from one version of a system to another: these are masks"
)]

use super::Filter;

cfg_if::cfg_if! {
    if #[cfg(target_os = "netbsd")] {
        pub type FilterInt = u32;
        pub type FlagsInt = u32;
    } else {
        pub type FilterInt = i16;
        pub type FlagsInt = u16;
    }
}

/// As wide as a pointer on macOS and DragonFly, 64 bits on the others.
#[cfg(all(target_vendor = "apple", target_pointer_width = "32"))]
pub type Data = isize;
#[cfg(not(all(target_vendor = "apple", target_pointer_width = "32")))]
pub type Data = i64;

cfg_if::cfg_if! {
    if #[cfg(target_os = "freebsd")] {
        pub use libc::{
            EV_FORCEONESHOT, EV_KEEPUDATA, EVFILT_USER, NOTE_ABSTIME, NOTE_CLOSE, NOTE_CLOSE_WRITE,
            NOTE_FILE_POLL, NOTE_MSECONDS, NOTE_NSECONDS, NOTE_OPEN, NOTE_READ, NOTE_SECONDS,
            NOTE_USECONDS,
        };
        /// Gone since FreeBSD 10.
        pub const EVFILT_NETDEV: FilterInt = -0x40;
        pub const MISSING: FlagsInt = 0;
        pub const FILTERS: &[Filter] = &[
            Filter::Read, Filter::Write, Filter::Aio, Filter::Vnode, Filter::Proc, Filter::Signal,
            Filter::Timer, Filter::User,
        ];
    } else if #[cfg(target_vendor = "apple")] {
        pub use libc::{EVFILT_USER, NOTE_NSECONDS, NOTE_SECONDS, NOTE_USECONDS};
        pub const EVFILT_NETDEV: FilterInt = -0x40;
        pub const EV_FORCEONESHOT: FlagsInt = 0x400;
        pub const EV_KEEPUDATA: FlagsInt = 0x800;
        pub const NOTE_FILE_POLL: u32 = 0x1000_0000;
        pub const NOTE_OPEN: u32 = 0x1000_0000;
        pub const NOTE_CLOSE: u32 = 0x2000_0000;
        pub const NOTE_CLOSE_WRITE: u32 = 0x4000_0000;
        pub const NOTE_READ: u32 = 0x8000_0000;
        /// What a timer is in without a unit.
        pub const NOTE_MSECONDS: u32 = 0;
        pub const NOTE_ABSTIME: u32 = libc::NOTE_ABSOLUTE;
        pub const MISSING: FlagsInt = EV_FORCEONESHOT | EV_KEEPUDATA;
        pub const FILTERS: &[Filter] = &[
            Filter::Read, Filter::Write, Filter::Vnode, Filter::Proc, Filter::Signal,
            Filter::Timer, Filter::User,
        ];
    } else if #[cfg(target_os = "netbsd")] {
        // The structure is that of NetBSD 9: libc calls the kevent that takes it. (NetBSD
        // 10 has a longer one, with ext, and a kevent of another version for it.)
        pub const EVFILT_USER: FilterInt = 8;
        pub const EVFILT_NETDEV: FilterInt = 0x40;
        pub const EV_FORCEONESHOT: FlagsInt = 0x400;
        pub const EV_KEEPUDATA: FlagsInt = 0x800;
        pub const NOTE_FILE_POLL: u32 = 0x1000_0000;
        pub const NOTE_OPEN: u32 = 0x80;
        pub const NOTE_CLOSE: u32 = 0x100;
        pub const NOTE_CLOSE_WRITE: u32 = 0x200;
        pub const NOTE_READ: u32 = 0x400;
        pub const NOTE_MSECONDS: u32 = 0;
        pub const NOTE_SECONDS: u32 = 1;
        pub const NOTE_USECONDS: u32 = 2;
        pub const NOTE_NSECONDS: u32 = 3;
        pub const NOTE_ABSTIME: u32 = 0x10;
        pub const MISSING: FlagsInt = EV_FORCEONESHOT | EV_KEEPUDATA;
        pub const FILTERS: &[Filter] = &[
            Filter::Read, Filter::Write, Filter::Vnode, Filter::Proc, Filter::Signal,
            Filter::Timer, Filter::User,
        ];
    } else if #[cfg(target_os = "openbsd")] {
        pub const EVFILT_USER: FilterInt = -10;
        pub const EVFILT_NETDEV: FilterInt = -0x40;
        pub const EV_FORCEONESHOT: FlagsInt = 0x100;
        pub const EV_KEEPUDATA: FlagsInt = 0x200;
        pub const NOTE_FILE_POLL: u32 = 0x1000_0000;
        pub const NOTE_OPEN: u32 = 0x1000_0000;
        pub const NOTE_CLOSE: u32 = 0x2000_0000;
        pub const NOTE_CLOSE_WRITE: u32 = 0x4000_0000;
        pub const NOTE_READ: u32 = 0x8000_0000;
        pub const NOTE_MSECONDS: u32 = 0;
        pub const NOTE_SECONDS: u32 = 1;
        pub const NOTE_USECONDS: u32 = 2;
        pub const NOTE_NSECONDS: u32 = 3;
        pub const NOTE_ABSTIME: u32 = 0x10;
        pub const MISSING: FlagsInt = EV_FORCEONESHOT | EV_KEEPUDATA;
        pub const FILTERS: &[Filter] = &[
            Filter::Read, Filter::Write, Filter::Vnode, Filter::Proc, Filter::Signal,
            Filter::Timer, Filter::User,
        ];
    } else if #[cfg(target_os = "dragonfly")] {
        pub use libc::EVFILT_USER;
        pub const EVFILT_NETDEV: FilterInt = -0x40;
        pub const EV_FORCEONESHOT: FlagsInt = 0x100;
        pub const EV_KEEPUDATA: FlagsInt = 0x200;
        pub const NOTE_FILE_POLL: u32 = 0x1000_0000;
        pub const NOTE_OPEN: u32 = 0x1000_0000;
        pub const NOTE_CLOSE: u32 = 0x2000_0000;
        pub const NOTE_CLOSE_WRITE: u32 = 0x4000_0000;
        pub const NOTE_READ: u32 = 0x8000_0000;
        /// Timers are in milliseconds alone.
        pub const NOTE_MSECONDS: u32 = 0;
        pub const NOTE_SECONDS: u32 = 0x1000_0000;
        pub const NOTE_USECONDS: u32 = 0x2000_0000;
        pub const NOTE_NSECONDS: u32 = 0x4000_0000;
        pub const NOTE_ABSTIME: u32 = 0x8000_0000;
        pub const MISSING: FlagsInt = EV_FORCEONESHOT | EV_KEEPUDATA;
        pub const FILTERS: &[Filter] = &[
            Filter::Read, Filter::Write, Filter::Vnode, Filter::Proc, Filter::Signal,
            Filter::Timer, Filter::User,
        ];
    }
}

cfg_if::cfg_if! {
    if #[cfg(any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "dragonfly"
    ))] {
        pub use libc::{
            EV_ADD, EV_CLEAR, EV_DELETE, EV_DISABLE, EV_DISPATCH, EV_ENABLE, EV_EOF, EV_ERROR,
            EV_FLAG1, EV_ONESHOT, EV_RECEIPT, EV_SYSFLAGS, EVFILT_AIO, EVFILT_PROC, EVFILT_READ,
            EVFILT_SIGNAL, EVFILT_TIMER, EVFILT_VNODE, EVFILT_WRITE, NOTE_ATTRIB, NOTE_CHILD,
            NOTE_DELETE, NOTE_EXEC, NOTE_EXIT, NOTE_EXTEND, NOTE_FORK, NOTE_LINK, NOTE_LOWAT,
            NOTE_PCTRLMASK, NOTE_PDATAMASK, NOTE_RENAME, NOTE_REVOKE, NOTE_TRACK, NOTE_TRACKERR,
            NOTE_WRITE,
        };
        pub const FLAGS: FlagsInt =
            ALL & !MISSING | if cfg!(target_vendor = "apple") { EV_UDATA_SPECIFIC } else { 0 };

        pub fn notes(filter: FilterInt) -> u32 {
            let filters = [
                (EVFILT_READ, NOTE_LOWAT | if cfg!(target_os = "freebsd") { NOTE_FILE_POLL } else { 0 }),
                (EVFILT_WRITE, NOTE_LOWAT),
                (EVFILT_VNODE, VNODE | if cfg!(any(target_os = "freebsd", target_os = "netbsd")) { VNODE_MORE } else { 0 }),
                (EVFILT_PROC, NOTE_EXIT | NOTE_FORK | NOTE_EXEC | if cfg!(target_vendor = "apple") { 0 } else { TRACKING }),
                (EVFILT_TIMER, HOST_TIMER),
                (EVFILT_USER, USER),
            ];
            filters.iter().find(|(one, _)| *one == filter).map_or(0, |(_, notes)| *notes)
        }
    } else {
        // FreeBSD's.
        pub const EVFILT_READ: FilterInt = -1;
        pub const EVFILT_WRITE: FilterInt = -2;
        pub const EVFILT_AIO: FilterInt = -3;
        pub const EVFILT_VNODE: FilterInt = -4;
        pub const EVFILT_PROC: FilterInt = -5;
        pub const EVFILT_SIGNAL: FilterInt = -6;
        pub const EVFILT_TIMER: FilterInt = -7;
        /// As it was up to FreeBSD 9.
        pub const EVFILT_NETDEV: FilterInt = -8;
        pub const EVFILT_USER: FilterInt = -11;

        pub const EV_ADD: FlagsInt = 0x1;
        pub const EV_DELETE: FlagsInt = 0x2;
        pub const EV_ENABLE: FlagsInt = 0x4;
        pub const EV_DISABLE: FlagsInt = 0x8;
        pub const EV_ONESHOT: FlagsInt = 0x10;
        pub const EV_CLEAR: FlagsInt = 0x20;
        pub const EV_RECEIPT: FlagsInt = 0x40;
        pub const EV_DISPATCH: FlagsInt = 0x80;
        pub const EV_FORCEONESHOT: FlagsInt = 0x100;
        pub const EV_KEEPUDATA: FlagsInt = 0x200;
        pub const EV_SYSFLAGS: FlagsInt = 0xf000;
        pub const EV_FLAG1: FlagsInt = 0x2000;
        pub const EV_ERROR: FlagsInt = 0x4000;
        pub const EV_EOF: FlagsInt = 0x8000;

        pub const NOTE_LOWAT: u32 = 0x1;
        pub const NOTE_FILE_POLL: u32 = 0x2;
        pub const NOTE_DELETE: u32 = 0x1;
        pub const NOTE_WRITE: u32 = 0x2;
        pub const NOTE_EXTEND: u32 = 0x4;
        pub const NOTE_ATTRIB: u32 = 0x8;
        pub const NOTE_LINK: u32 = 0x10;
        pub const NOTE_RENAME: u32 = 0x20;
        pub const NOTE_REVOKE: u32 = 0x40;
        pub const NOTE_OPEN: u32 = 0x80;
        pub const NOTE_CLOSE: u32 = 0x100;
        pub const NOTE_CLOSE_WRITE: u32 = 0x200;
        pub const NOTE_READ: u32 = 0x400;
        pub const NOTE_EXIT: u32 = 0x8000_0000;
        pub const NOTE_FORK: u32 = 0x4000_0000;
        pub const NOTE_EXEC: u32 = 0x2000_0000;
        pub const NOTE_PCTRLMASK: u32 = 0xf000_0000;
        pub const NOTE_PDATAMASK: u32 = 0x000f_ffff;
        pub const NOTE_TRACK: u32 = 0x1;
        pub const NOTE_TRACKERR: u32 = 0x2;
        pub const NOTE_CHILD: u32 = 0x4;
        pub const NOTE_SECONDS: u32 = 0x1;
        pub const NOTE_MSECONDS: u32 = 0x2;
        pub const NOTE_USECONDS: u32 = 0x4;
        pub const NOTE_NSECONDS: u32 = 0x8;
        pub const NOTE_ABSTIME: u32 = 0x10;

        /// Of the system's own bits, those that are ever answered.
        pub const FLAGS: FlagsInt = ALL & !EV_SYSFLAGS | EV_ERROR | EV_EOF;

        cfg_if::cfg_if! {
            if #[cfg(any(target_os = "linux", target_os = "android"))] {
                pub const FILTERS: &[Filter] = &[
                    Filter::Read, Filter::Write, Filter::Timer, Filter::User,
                    Filter::Signal, Filter::Proc, Filter::Vnode,
                ];
            } else {
                pub const FILTERS: &[Filter] =
                    &[Filter::Read, Filter::Write, Filter::Timer, Filter::User];
            }
        }

        pub fn notes(filter: FilterInt) -> u32 {
            if !FILTERS.contains(&Filter(filter)) {
                return 0;
            }
            match filter {
                EVFILT_READ => NOTE_LOWAT | NOTE_FILE_POLL,
                EVFILT_WRITE => NOTE_LOWAT,
                EVFILT_VNODE => (VNODE & !NOTE_REVOKE) | VNODE_MORE,
                EVFILT_PROC => NOTE_EXIT,
                EVFILT_TIMER => TIMER,
                EVFILT_USER => USER,
                _ => 0,
            }
        }
    }
}

cfg_if::cfg_if! {
    if #[cfg(target_vendor = "apple")] {
        pub use libc::{
            EV_UDATA_SPECIFIC, NOTE_BACKGROUND, NOTE_CRITICAL, NOTE_LEEWAY, NOTE_MACHTIME,
        };
        const HOST_TIMER: u32 =
            TIMER | NOTE_BACKGROUND | NOTE_CRITICAL | NOTE_LEEWAY | NOTE_MACHTIME;
    } else {
        pub const EV_UDATA_SPECIFIC: FlagsInt = if cfg!(target_os = "netbsd") { 0x100 } else { 0x400 };
        pub const NOTE_LEEWAY: u32 = 0x0010_0000;
        pub const NOTE_CRITICAL: u32 = 0x0020_0000;
        pub const NOTE_BACKGROUND: u32 = 0x0040_0000;
        pub const NOTE_MACHTIME: u32 = 0x0080_0000;
        const HOST_TIMER: u32 = if cfg!(target_os = "dragonfly") { NOTE_MSECONDS } else { TIMER };
    }
}

const ALL: FlagsInt = EV_ADD
    | EV_DELETE
    | EV_ENABLE
    | EV_DISABLE
    | EV_ONESHOT
    | EV_CLEAR
    | EV_RECEIPT
    | EV_DISPATCH
    | EV_FORCEONESHOT
    | EV_KEEPUDATA
    | EV_SYSFLAGS
    | EV_FLAG1
    | EV_EOF
    | EV_ERROR;
const VNODE: u32 =
    NOTE_DELETE | NOTE_WRITE | NOTE_EXTEND | NOTE_ATTRIB | NOTE_LINK | NOTE_RENAME | NOTE_REVOKE;
const VNODE_MORE: u32 = NOTE_OPEN | NOTE_CLOSE | NOTE_CLOSE_WRITE | NOTE_READ;
const TRACKING: u32 = NOTE_TRACK | NOTE_TRACKERR | NOTE_CHILD;
const TIMER: u32 = NOTE_SECONDS | NOTE_MSECONDS | NOTE_USECONDS | NOTE_NSECONDS | NOTE_ABSTIME;
const USER: u32 = 0xc1ff_ffff;
