//! The vocabulary: `POLL*` and `EPOLL*` under their own names.

use bitflags::bitflags;

// Numbers of the platform's poll.h. Where a platform lacks a name, the name has
// a value here that no other uses there, and is left out of `SUPPORTED`.
cfg_if::cfg_if! {
    if #[cfg(any(target_os = "linux", target_os = "android"))] {
        mod host {
            pub const IN: u16 = libc::POLLIN as u16;
            pub const PRI: u16 = libc::POLLPRI as u16;
            pub const OUT: u16 = libc::POLLOUT as u16;
            pub const ERR: u16 = libc::POLLERR as u16;
            pub const HUP: u16 = libc::POLLHUP as u16;
            pub const NVAL: u16 = libc::POLLNVAL as u16;
            pub const RDNORM: u16 = libc::POLLRDNORM as u16;
            pub const RDBAND: u16 = libc::POLLRDBAND as u16;
            pub const WRNORM: u16 = libc::POLLWRNORM as u16;
            pub const WRBAND: u16 = libc::POLLWRBAND as u16;
            pub const MSG: u16 = 0x400;
            pub const RDHUP: u16 = 0x2000;
            pub const MISSING: u16 = 0;
        }
    } else if #[cfg(unix)] {
        mod host {
            pub const IN: u16 = libc::POLLIN as u16;
            pub const PRI: u16 = libc::POLLPRI as u16;
            pub const OUT: u16 = libc::POLLOUT as u16;
            pub const ERR: u16 = libc::POLLERR as u16;
            pub const HUP: u16 = libc::POLLHUP as u16;
            pub const NVAL: u16 = libc::POLLNVAL as u16;
            pub const RDNORM: u16 = libc::POLLRDNORM as u16;
            pub const RDBAND: u16 = libc::POLLRDBAND as u16;
            pub const WRNORM: u16 = libc::POLLWRNORM as u16;
            pub const WRBAND: u16 = libc::POLLWRBAND as u16;
            pub const MSG: u16 = 0x800;
            // poll(2) of FreeBSD and illumos; libc lacks the name.
            pub const RDHUP: u16 = 0x4000;
            #[cfg(any(target_os = "freebsd", target_os = "illumos", target_os = "solaris"))]
            pub const MISSING: u16 = MSG;
            #[cfg(not(any(target_os = "freebsd", target_os = "illumos", target_os = "solaris")))]
            pub const MISSING: u16 = MSG | RDHUP;
        }
    } else if #[cfg(windows)] {
        mod host {
            // winsock2.h
            pub const RDNORM: u16 = 0x0100;
            pub const RDBAND: u16 = 0x0200;
            pub const IN: u16 = RDNORM | RDBAND;
            pub const PRI: u16 = 0x0400;
            pub const WRNORM: u16 = 0x0010;
            pub const OUT: u16 = WRNORM;
            pub const WRBAND: u16 = 0x0020;
            pub const ERR: u16 = 0x0001;
            pub const HUP: u16 = 0x0002;
            pub const NVAL: u16 = 0x0004;
            pub const MSG: u16 = 0x0800;
            pub const RDHUP: u16 = 0x2000;
            pub const MISSING: u16 = WRBAND | MSG | RDHUP;
        }
    } else {
        mod host {
            // wasi-libc's poll.h
            pub const IN: u16 = 0x0001;
            pub const OUT: u16 = 0x0002;
            pub const RDNORM: u16 = IN;
            pub const WRNORM: u16 = OUT;
            pub const PRI: u16 = 0x0200;
            pub const ERR: u16 = 0x1000;
            pub const HUP: u16 = 0x2000;
            pub const NVAL: u16 = 0x4000;
            pub const RDBAND: u16 = 0x0080;
            pub const WRBAND: u16 = 0x0100;
            pub const MSG: u16 = 0x0400;
            pub const RDHUP: u16 = 0x0800;
            // `readiness::net` tells it.
            #[cfg(all(feature = "wasi-io", target_os = "wasi", target_env = "p1"))]
            pub const MISSING: u16 = PRI | RDBAND | WRBAND | MSG;
            #[cfg(not(all(feature = "wasi-io", target_os = "wasi", target_env = "p1")))]
            pub const MISSING: u16 = PRI | RDBAND | WRBAND | MSG | RDHUP;
        }
    }
}

bitflags! {
    /// What [`Poll`](crate::Poll) asks for and answers: the platform's `POLL*`
    /// numbers, so that they can be exchanged with C.
    ///
    /// `ERR`, `HUP` and `NVAL` are answers only; asking for them changes nothing.
    /// A name that the platform lacks has a value of its own there and is never
    /// reported: [`supported`](PollFlags::supported) tells.
    ///
    /// | | Linux, Android | macOS, NetBSD, OpenBSD | FreeBSD, illumos | Windows | WASI |
    /// |---|---|---|---|---|---|
    /// | `IN` `OUT` `ERR` `HUP` `NVAL` | yes | yes | yes | yes | yes |
    /// | `PRI` | yes | yes | yes | yes | never |
    /// | `RDNORM` `WRNORM` | yes | yes | yes | yes | same as `IN`, `OUT` |
    /// | `RDBAND` | yes | yes | yes | part of `IN` | never |
    /// | `WRBAND` | yes | yes | yes | never | never |
    /// | `MSG` | yes | never | never | never | never |
    /// | `RDHUP` | yes | never | yes | never | sockets of `readiness::net` |
    ///
    /// Follows poll(2): [Linux](https://man7.org/linux/man-pages/man2/poll.2.html),
    /// [FreeBSD](https://man.freebsd.org/poll/2),
    /// [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/poll.html).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct PollFlags: u16 {
        /// There is something to read.
        #[doc(alias = "POLLIN")]
        const IN = host::IN;
        /// There is something exceptional: out-of-band data on TCP.
        #[doc(alias = "POLLPRI")]
        const PRI = host::PRI;
        /// A write would not block.
        #[doc(alias = "POLLOUT")]
        const OUT = host::OUT;
        /// An error is pending, or nobody reads the pipe. An answer only.
        #[doc(alias = "POLLERR")]
        const ERR = host::ERR;
        /// The other side hung up; data may still be there. An answer only.
        #[doc(alias = "POLLHUP")]
        const HUP = host::HUP;
        /// The descriptor is not open. An answer only.
        #[doc(alias = "POLLNVAL")]
        const NVAL = host::NVAL;
        /// Normal data can be read.
        #[doc(alias = "POLLRDNORM")]
        const RDNORM = host::RDNORM;
        /// Priority band data can be read.
        #[doc(alias = "POLLRDBAND")]
        const RDBAND = host::RDBAND;
        /// Normal data can be written.
        #[doc(alias = "POLLWRNORM")]
        const WRNORM = host::WRNORM;
        /// Priority band data can be written.
        #[doc(alias = "POLLWRBAND")]
        const WRBAND = host::WRBAND;
        /// A STREAMS message; a name that Linux has and does not use.
        #[doc(alias = "POLLMSG")]
        const MSG = host::MSG;
        /// The peer closed its writing half.
        #[doc(alias = "POLLRDHUP")]
        const RDHUP = host::RDHUP;
    }
}

impl PollFlags {
    /// The flags that this platform can deliver.
    #[must_use]
    pub const fn supported() -> PollFlags {
        PollFlags::from_bits_truncate(PollFlags::all().bits() & !host::MISSING)
    }

    /// `ERR | HUP | NVAL`: reported whether asked for or not.
    pub(crate) const UNASKED: PollFlags =
        PollFlags::from_bits_truncate(host::ERR | host::HUP | host::NVAL);

    /// What makes a read not block.
    pub(crate) const READABLE: PollFlags = PollFlags::from_bits_truncate(
        host::IN | host::RDNORM | host::RDBAND | host::HUP | host::ERR,
    );

    /// What makes a write not block.
    pub(crate) const WRITABLE: PollFlags =
        PollFlags::from_bits_truncate(host::OUT | host::WRNORM | host::WRBAND | host::ERR);
}

/// poll's names beside epoll's.
const PAIRS: [(PollFlags, EpollFlags); 11] = [
    (PollFlags::IN, EpollFlags::IN),
    (PollFlags::PRI, EpollFlags::PRI),
    (PollFlags::OUT, EpollFlags::OUT),
    (PollFlags::ERR, EpollFlags::ERR),
    (PollFlags::HUP, EpollFlags::HUP),
    (PollFlags::RDNORM, EpollFlags::RDNORM),
    (PollFlags::RDBAND, EpollFlags::RDBAND),
    (PollFlags::WRNORM, EpollFlags::WRNORM),
    (PollFlags::WRBAND, EpollFlags::WRBAND),
    (PollFlags::MSG, EpollFlags::MSG),
    (PollFlags::RDHUP, EpollFlags::RDHUP),
];

/// Whether every name has the same number in poll and epoll, as on most Linuxes.
const SAME: bool = {
    let mut same = true;
    let mut at = 0;
    while at < PAIRS.len() {
        same &= PAIRS[at].0.bits() as u32 == PAIRS[at].1.bits();
        at += 1;
    }
    same
};

/// epoll's names of some flags of poll's.
const fn epoll_names(flags: u16) -> EpollFlags {
    let mut names = EpollFlags::empty();
    let mut at = 0;
    while at < PAIRS.len() {
        if flags & PAIRS[at].0.bits() == PAIRS[at].0.bits() {
            names = names.union(PAIRS[at].1);
        }
        at += 1;
    }
    names
}

const SMALL: usize = if host::IN < 8 && host::OUT < 8 { 8 } else { 0 };

/// Those of what is told most: `IN` and `OUT`, where these are small numbers.
const NAMES: [EpollFlags; SMALL] = {
    let mut names = [EpollFlags::empty(); SMALL];
    let mut flags = 0;
    while flags < names.len() {
        names[flags] = epoll_names(flags as u16);
        flags += 1;
    }
    names
};

impl PollFlags {
    /// The same flags in epoll's numbers.
    #[inline]
    pub(crate) fn to_epoll(self) -> EpollFlags {
        if SAME {
            return EpollFlags::from_bits_retain((self.bits() & !host::NVAL).into());
        }
        match NAMES.get(usize::from(self.bits())) {
            Some(names) => *names,
            None => epoll_names(self.bits()),
        }
    }

    /// The same flags in poll's numbers.
    pub(crate) fn from_epoll(flags: EpollFlags) -> PollFlags {
        if SAME {
            return PollFlags::from_bits_truncate(flags.bits() as u16);
        }
        PAIRS
            .iter()
            .filter(|(_, epoll)| flags.contains(*epoll))
            .fold(PollFlags::empty(), |flags, (poll, _)| flags | *poll)
    }
}

/// Python's default event mask: `IN | PRI | OUT`.
impl Default for PollFlags {
    fn default() -> PollFlags {
        PollFlags::IN | PollFlags::PRI | PollFlags::OUT
    }
}

bitflags! {
    /// What [`Epoll`](crate::Epoll) asks for and answers: Linux's `EPOLL*`
    /// numbers on every target.
    ///
    /// Follows [epoll_ctl(2)](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct EpollFlags: u32 {
        /// There is something to read.
        #[doc(alias = "EPOLLIN")]
        const IN = 0x1;
        /// There is something exceptional: out-of-band data on TCP.
        #[doc(alias = "EPOLLPRI")]
        const PRI = 0x2;
        /// A write would not block.
        #[doc(alias = "EPOLLOUT")]
        const OUT = 0x4;
        /// An error is pending, or nobody reads the pipe. Always asked for.
        #[doc(alias = "EPOLLERR")]
        const ERR = 0x8;
        /// The other side hung up; data may still be there. Always asked for.
        #[doc(alias = "EPOLLHUP")]
        const HUP = 0x10;
        /// Normal data can be read.
        #[doc(alias = "EPOLLRDNORM")]
        const RDNORM = 0x40;
        /// Priority band data can be read.
        #[doc(alias = "EPOLLRDBAND")]
        const RDBAND = 0x80;
        /// Normal data can be written.
        #[doc(alias = "EPOLLWRNORM")]
        const WRNORM = 0x100;
        /// Priority band data can be written.
        #[doc(alias = "EPOLLWRBAND")]
        const WRBAND = 0x200;
        /// A name that Linux has and does not use.
        #[doc(alias = "EPOLLMSG")]
        const MSG = 0x400;
        /// The peer closed its writing half.
        #[doc(alias = "EPOLLRDHUP")]
        const RDHUP = 0x2000;
        /// Wake one of the epolls that wait exclusively for the source, not all. Add only.
        #[doc(alias = "EPOLLEXCLUSIVE")]
        const EXCLUSIVE = 1 << 28;
        /// Keep the system awake while the event is handled. Without the
        /// capability `CAP_BLOCK_SUSPEND` the kernel ignores it.
        #[doc(alias = "EPOLLWAKEUP")]
        const WAKEUP = 1 << 29;
        /// Report once, then stay silent until modified.
        #[doc(alias = "EPOLLONESHOT")]
        const ONESHOT = 1 << 30;
        /// Report changes, not states.
        #[doc(alias = "EPOLLET")]
        const ET = 1 << 31;

        // The kernel refuses what it does not know; so that it can, keep it.
        const _ = !0;
    }
}

impl EpollFlags {
    /// The flags that this target honours or can deliver.
    ///
    /// On Linux all of them. Where epoll is emulated: the modes `ET`, `ONESHOT`
    /// and `EXCLUSIVE`, and of the others those of
    /// [`PollFlags::supported`](PollFlags::supported); not `WAKEUP`, which is
    /// accepted and does nothing.
    #[must_use]
    pub const fn supported() -> EpollFlags {
        const NAMED: u32 = 0xf000_27df;
        if cfg!(all(
            any(target_os = "linux", target_os = "android"),
            not(readiness_backend = "poll")
        )) {
            return EpollFlags::from_bits_retain(NAMED);
        }
        let mut flags = EpollFlags::ET.union(EpollFlags::ONESHOT).union(EpollFlags::EXCLUSIVE);
        let mut at = 0;
        while at < PAIRS.len() {
            if PollFlags::supported().contains(PAIRS[at].0) {
                flags = flags.union(PAIRS[at].1);
            }
            at += 1;
        }
        if cfg!(all(target_family = "wasm", target_os = "unknown")) {
            return EpollFlags::empty();
        }
        flags
    }
}

/// Python's default event mask: `IN | PRI | OUT`.
impl Default for EpollFlags {
    fn default() -> EpollFlags {
        EpollFlags::IN | EpollFlags::PRI | EpollFlags::OUT
    }
}

bitflags! {
    /// How an [`Epoll`](crate::Epoll) is created.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct EpollCreate: u32 {
        /// Close the descriptor on exec. As in Python it is set whether asked for or not.
        #[doc(alias = "EPOLL_CLOEXEC")]
        const CLOEXEC = 0x80000;

        // The kernel refuses what it does not know; so that it can, keep it.
        const _ = !0;
    }
}

/// A pipe that is reported writable takes this many bytes in one write without
/// blocking: the platform's `PIPE_BUF`, and POSIX's minimum of 512 where the
/// platform has none (Windows, WASI).
#[cfg(unix)]
#[allow(clippy::unnecessary_cast, reason = "an int on illumos")]
pub const PIPE_BUF: usize = libc::PIPE_BUF as usize;
/// A pipe that is reported writable takes this many bytes in one write without
/// blocking: the platform's `PIPE_BUF`, and POSIX's minimum of 512 where the
/// platform has none (Windows, WASI).
#[cfg(not(unix))]
pub const PIPE_BUF: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_missing_overlap_none_that_are_there() {
        assert_eq!(PollFlags::supported().bits() & host::MISSING, 0);
        let there = host::IN | host::OUT | host::ERR | host::HUP | host::NVAL;
        assert_eq!(there & host::MISSING & !host::RDBAND, 0);
    }

    #[test]
    fn supported_epoll_flags_are_all_the_named_ones_but_for_those_that_poll_lacks() {
        let named =
            EpollFlags::all().iter_names().fold(EpollFlags::empty(), |all, (_, flag)| all | flag);
        let mut missing = PAIRS
            .iter()
            .filter(|(poll, _)| !PollFlags::supported().contains(*poll))
            .fold(EpollFlags::empty(), |all, (_, epoll)| all | *epoll);
        missing.set(
            EpollFlags::WAKEUP,
            !cfg!(target_os = "linux") || cfg!(readiness_backend = "poll"),
        );
        assert_eq!(named - EpollFlags::supported(), missing);
    }
}
