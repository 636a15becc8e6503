//! kqueue's vocabulary: `Kevent`, `Filter`, `EV_*` and `NOTE_*` under their own
//! names.

use std::cmp::Ordering;
use std::fmt;

use bitflags::bitflags;

use crate::idents;
use crate::source::AsSource;

mod host;

/// What is watched: `EVFILT_*`.
///
/// The numbers are the platform's on macOS and the BSDs, FreeBSD's elsewhere.
/// Every name exists on every target; [`supported`](Filter::supported) lists those
/// that can be registered. The others are refused with an error that names them.
///
/// | | macOS, BSDs | Linux | WASI, other Unix, Windows |
/// |---|---|---|---|
/// | `Read` `Write` `Timer` `User` | yes (`User`: NetBSD from 10, OpenBSD from 7.8) | yes | yes |
/// | `Signal` `Vnode` | yes | yes | refused |
/// | `Proc` | yes | `NOTE_EXIT` | refused |
/// | `Aio` | FreeBSD | refused | refused |
/// | `Netdev` | refused | refused | refused |
///
/// Follows kqueue(2) of [FreeBSD](https://man.freebsd.org/kqueue/2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Filter(host::FilterInt);

#[allow(non_upper_case_globals, reason = "they are used like the variants of an enum")]
impl Filter {
    /// There is something to read; `data` says how much.
    ///
    /// | | `data` | [`KeventFlags::EOF`] |
    /// |---|---|---|
    /// | a stream, a pipe | bytes | the other side wrote all it will; `fflags` is the error that ended it, or 0 |
    /// | datagrams | Linux: bytes of the first | |
    /// | a listener | connections | |
    /// | a file | bytes from where it stands to its end; not reported at its end, unless [`NoteFlags::FILE_POLL`] is given | |
    /// | another kqueue | its pending events | |
    /// | anything else, and where the host does not count | 1 | |
    ///
    /// Linux tells the error of a socket once, to whoever asks, and then forgets it:
    /// `fflags` is concluded from how the connection ended (`ETIMEDOUT`,
    /// `ECONNREFUSED`, `ECONNRESET`). Elsewhere in emulation it is 0. Windows counts
    /// what a socket has to read, and no connections. On WASI 0.1 `data` is what the
    /// host says: many say 1 whatever there is, and 1 is told where it says 0. On WASI
    /// 0.2 `readiness::net` has read ahead and counts that; there is at least so much.
    /// A descriptor and a bare pollable are 1. Both tell the end of a stream only where
    /// the host says that it hung up. Windows watches sockets alone. A file that
    /// grows is reported at once on Linux, elsewhere in emulation within 256 ms.
    #[doc(alias = "EVFILT_READ")]
    #[doc(alias = "KQ_FILTER_READ")]
    pub const Read: Filter = Filter(host::EVFILT_READ);
    /// A write would not block; `data` says how much of it: on Linux the free bytes of
    /// a pipe or a socket's buffer, where the host does not count 1.
    /// [`KeventFlags::EOF`]: nobody reads any more, or it was shut down (by oneself: TCP alone
    /// tells, and not in WASI). Files, devices that never block and kqueues are refused.
    /// With [`NoteFlags::LOWAT`] it is reported within 256 ms, because nobody tells of each
    /// byte that leaves.
    #[doc(alias = "EVFILT_WRITE")]
    #[doc(alias = "KQ_FILTER_WRITE")]
    pub const Write: Filter = Filter(host::EVFILT_WRITE);
    /// Asynchronous input and output. The kernel registers it, aio(4).
    #[doc(alias = "EVFILT_AIO")]
    #[doc(alias = "KQ_FILTER_AIO")]
    pub const Aio: Filter = Filter(host::EVFILT_AIO);
    /// Something happened to a file, named by a descriptor: renames do not matter.
    ///
    /// On Linux it is inotify(7) through /proc. What another machine does to a network
    /// file system nobody tells there, nor that access was revoked.
    #[doc(alias = "EVFILT_VNODE")]
    #[doc(alias = "KQ_FILTER_VNODE")]
    pub const Vnode: Filter = Filter(host::EVFILT_VNODE);
    /// Something happened to a process.
    ///
    /// On Linux its exit is told, of any process, by pidfd_open(2) (Linux 5.3); forks
    /// and execs are refused. `data` is the wait status: of a child always, of another
    /// process if it may be traced (proc_pid_stat(5)), or if somebody has waited for it
    /// already (Linux 6.15), otherwise 0.
    #[doc(alias = "EVFILT_PROC")]
    #[doc(alias = "KQ_FILTER_PROC")]
    pub const Proc: Filter = Filter(host::EVFILT_PROC);
    /// A network interface went up or down. No system has it any more.
    #[doc(alias = "EVFILT_NETDEV")]
    #[doc(alias = "KQ_FILTER_NETDEV")]
    pub const Netdev: Filter = Filter(host::EVFILT_NETDEV);
    /// A signal was delivered; `data` counts.
    ///
    /// On Linux a handler counts, beside those that others have installed. So what the
    /// signal did without one (to end the process, to be ignored) it does no more, and
    /// goes on not doing once the event is deleted. Whoever replaces the handler later,
    /// by sigaction(2) or signal(2), takes the signal away from every kqueue. Deliveries are
    /// counted, to any thread: five kills while the signal is blocked are one
    /// on Linux. `SIGKILL`, `SIGSTOP`, `SIGILL`, `SIGFPE` and `SIGSEGV` are refused.
    /// What a forked child gets does not count.
    #[doc(alias = "EVFILT_SIGNAL")]
    #[doc(alias = "KQ_FILTER_SIGNAL")]
    pub const Signal: Filter = Filter(host::EVFILT_SIGNAL);
    /// Time has passed; `data` counts the expirations.
    ///
    /// In milliseconds, unless `fflags` says otherwise; periodic, unless it is
    /// [`ONESHOT`](KeventFlags::ONESHOT) or [`ABSTIME`](NoteFlags::ABSTIME). An absolute time is
    /// turned into one from now when it is added: setting the clock later does not
    /// move it, as on FreeBSD.
    #[doc(alias = "EVFILT_TIMER")]
    #[doc(alias = "KQ_FILTER_TIMER")]
    pub const Timer: Filter = Filter(host::EVFILT_TIMER);
    /// The program triggered it.
    #[doc(alias = "EVFILT_USER")]
    pub const User: Filter = Filter(host::EVFILT_USER);

    const NAMES: [(Filter, &'static str); 9] = [
        (Filter::Read, "EVFILT_READ"),
        (Filter::Write, "EVFILT_WRITE"),
        (Filter::Aio, "EVFILT_AIO"),
        (Filter::Vnode, "EVFILT_VNODE"),
        (Filter::Proc, "EVFILT_PROC"),
        (Filter::Netdev, "EVFILT_NETDEV"),
        (Filter::Signal, "EVFILT_SIGNAL"),
        (Filter::Timer, "EVFILT_TIMER"),
        (Filter::User, "EVFILT_USER"),
    ];

    /// The filters that this target has.
    #[must_use]
    pub const fn supported() -> &'static [Filter] {
        host::FILTERS
    }

    /// The filter with this number, whether there is one or not.
    #[must_use]
    pub const fn from_number(number: i32) -> Filter {
        Filter(number as host::FilterInt)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0 as i32
    }

    pub(crate) fn name(self) -> Option<&'static str> {
        Filter::NAMES.iter().find(|(filter, _)| *filter == self).map(|(_, name)| *name)
    }
}

impl Default for Filter {
    fn default() -> Filter {
        Filter::Read
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "filter {}", self.0),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

bitflags! {
    /// What to do with an event, and what became of it: `EV_*`.
    ///
    /// The numbers are the platform's on macOS and the BSDs, FreeBSD's elsewhere.
    /// A name that the platform lacks has a value of its own there:
    /// [`supported`](KeventFlags::supported) tells.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct KeventFlags: host::FlagsInt {
        /// Add it, or modify it if it is there; enables it unless `DISABLE` is given.
        #[doc(alias = "EV_ADD")]
        #[doc(alias = "KQ_EV_ADD")]
        const ADD = host::EV_ADD;
        /// Delete it.
        #[doc(alias = "EV_DELETE")]
        #[doc(alias = "KQ_EV_DELETE")]
        const DELETE = host::EV_DELETE;
        /// Report it again.
        #[doc(alias = "EV_ENABLE")]
        #[doc(alias = "KQ_EV_ENABLE")]
        const ENABLE = host::EV_ENABLE;
        /// Do not report it. What happens meanwhile is reported once it is enabled.
        #[doc(alias = "EV_DISABLE")]
        #[doc(alias = "KQ_EV_DISABLE")]
        const DISABLE = host::EV_DISABLE;
        /// Report it once, then delete it.
        #[doc(alias = "EV_ONESHOT")]
        #[doc(alias = "KQ_EV_ONESHOT")]
        const ONESHOT = host::EV_ONESHOT;
        /// Forget its state once it is reported: report changes, not states.
        #[doc(alias = "EV_CLEAR")]
        #[doc(alias = "KQ_EV_CLEAR")]
        const CLEAR = host::EV_CLEAR;
        /// Answer the change with an entry of its own, error or not, and report
        /// nothing else.
        #[doc(alias = "EV_RECEIPT")]
        const RECEIPT = host::EV_RECEIPT;
        /// Report it once, then disable it.
        #[doc(alias = "EV_DISPATCH")]
        const DISPATCH = host::EV_DISPATCH;
        /// Report it once, happened or not, then delete it (FreeBSD, emulated).
        #[doc(alias = "EV_FORCEONESHOT")]
        const FORCEONESHOT = host::EV_FORCEONESHOT;
        /// Modify it and leave its `udata` (FreeBSD, emulated).
        #[doc(alias = "EV_KEEPUDATA")]
        const KEEPUDATA = host::EV_KEEPUDATA;
        /// `udata` is a part of the identity, beside ident and filter (macOS).
        #[doc(alias = "EV_UDATA_SPECIFIC")]
        const UDATA_SPECIFIC = host::EV_UDATA_SPECIFIC;
        /// The bits that the system has for itself; in a change they are ignored.
        #[doc(alias = "EV_SYSFLAGS")]
        #[doc(alias = "KQ_EV_SYSFLAGS")]
        const SYSFLAGS = host::EV_SYSFLAGS;
        /// A bit of the system.
        #[doc(alias = "EV_FLAG1")]
        #[doc(alias = "KQ_EV_FLAG1")]
        const FLAG1 = host::EV_FLAG1;
        /// An answer: the other side is gone; `fflags` may have an error.
        #[doc(alias = "EV_EOF")]
        #[doc(alias = "KQ_EV_EOF")]
        const EOF = host::EV_EOF;
        /// An answer: the change failed, or wanted a receipt; `data` is the error.
        #[doc(alias = "EV_ERROR")]
        #[doc(alias = "KQ_EV_ERROR")]
        const ERROR = host::EV_ERROR;

        // Other bits of the platform pass.
        const _ = !0;
    }
}

impl KeventFlags {
    /// The flags that this target honours or can deliver.
    #[must_use]
    pub const fn supported() -> KeventFlags {
        KeventFlags::from_bits_retain(host::FLAGS)
    }
}

bitflags! {
    /// What of a filter, and what of it happened: `NOTE_*`.
    ///
    /// Each filter has its own, and their numbers overlap. They are the
    /// platform's on macOS and the BSDs, FreeBSD's elsewhere. A name that the
    /// platform lacks has a value of its own there:
    /// [`supported`](NoteFlags::supported) tells.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
    pub struct NoteFlags: u32 {
        /// `Read`, `Write`: `data` is the least that is worth reporting. Of what is
        /// not counted, whatever there is.
        #[doc(alias = "NOTE_LOWAT")]
        #[doc(alias = "KQ_NOTE_LOWAT")]
        const LOWAT = host::NOTE_LOWAT;
        /// `Read` of a file: always ready, as poll(2) has it (FreeBSD, emulated).
        #[doc(alias = "NOTE_FILE_POLL")]
        const FILE_POLL = host::NOTE_FILE_POLL;

        /// `Vnode`: a name of the file was removed.
        #[doc(alias = "NOTE_DELETE")]
        #[doc(alias = "KQ_NOTE_DELETE")]
        const DELETE = host::NOTE_DELETE;
        /// `Vnode`: the file was written to; a directory got or lost an entry.
        #[doc(alias = "NOTE_WRITE")]
        #[doc(alias = "KQ_NOTE_WRITE")]
        const WRITE = host::NOTE_WRITE;
        /// `Vnode`: the file has grown. (Of a directory, where an entry that was moved in or
        /// out is told so by FreeBSD, Linux's emulation tells `WRITE` alone.)
        #[doc(alias = "NOTE_EXTEND")]
        #[doc(alias = "KQ_NOTE_EXTEND")]
        const EXTEND = host::NOTE_EXTEND;
        /// `Vnode`: the file's attributes changed.
        #[doc(alias = "NOTE_ATTRIB")]
        #[doc(alias = "KQ_NOTE_ATTRIB")]
        const ATTRIB = host::NOTE_ATTRIB;
        /// `Vnode`: the number of the file's names changed.
        #[doc(alias = "NOTE_LINK")]
        #[doc(alias = "KQ_NOTE_LINK")]
        const LINK = host::NOTE_LINK;
        /// `Vnode`: the file was renamed.
        #[doc(alias = "NOTE_RENAME")]
        #[doc(alias = "KQ_NOTE_RENAME")]
        const RENAME = host::NOTE_RENAME;
        /// `Vnode`: access was revoked, or the file system unmounted. Nothing on
        /// Linux tells: there it is refused alone, and never comes beside others.
        #[doc(alias = "NOTE_REVOKE")]
        #[doc(alias = "KQ_NOTE_REVOKE")]
        const REVOKE = host::NOTE_REVOKE;
        /// `Vnode`: the file was opened (FreeBSD, NetBSD 10, Linux).
        #[doc(alias = "NOTE_OPEN")]
        const OPEN = host::NOTE_OPEN;
        /// `Vnode`: a descriptor that could not write was closed (FreeBSD, NetBSD 10,
        /// Linux).
        #[doc(alias = "NOTE_CLOSE")]
        const CLOSE = host::NOTE_CLOSE;
        /// `Vnode`: a descriptor that could write was closed (FreeBSD, NetBSD 10, Linux).
        #[doc(alias = "NOTE_CLOSE_WRITE")]
        const CLOSE_WRITE = host::NOTE_CLOSE_WRITE;
        /// `Vnode`: the file was read (FreeBSD, NetBSD 10, Linux).
        #[doc(alias = "NOTE_READ")]
        const READ = host::NOTE_READ;

        /// `Proc`: the process exited; `data` is its wait status.
        #[doc(alias = "NOTE_EXIT")]
        #[doc(alias = "KQ_NOTE_EXIT")]
        const EXIT = host::NOTE_EXIT;
        /// `Proc`: the process forked.
        #[doc(alias = "NOTE_FORK")]
        #[doc(alias = "KQ_NOTE_FORK")]
        const FORK = host::NOTE_FORK;
        /// `Proc`: the process runs another program.
        #[doc(alias = "NOTE_EXEC")]
        #[doc(alias = "KQ_NOTE_EXEC")]
        const EXEC = host::NOTE_EXEC;
        /// `Proc`: the bits that say what happened.
        #[doc(alias = "NOTE_PCTRLMASK")]
        #[doc(alias = "KQ_NOTE_PCTRLMASK")]
        const PCTRLMASK = host::NOTE_PCTRLMASK;
        /// `Proc`: the bits of a process id.
        #[doc(alias = "NOTE_PDATAMASK")]
        #[doc(alias = "KQ_NOTE_PDATAMASK")]
        const PDATAMASK = host::NOTE_PDATAMASK;
        /// `Proc`: follow the process into its children.
        #[doc(alias = "NOTE_TRACK")]
        #[doc(alias = "KQ_NOTE_TRACK")]
        const TRACK = host::NOTE_TRACK;
        /// `Proc`, an answer: a child could not be followed.
        #[doc(alias = "NOTE_TRACKERR")]
        #[doc(alias = "KQ_NOTE_TRACKERR")]
        const TRACKERR = host::NOTE_TRACKERR;
        /// `Proc`, an answer: this is a child that was followed.
        #[doc(alias = "NOTE_CHILD")]
        #[doc(alias = "KQ_NOTE_CHILD")]
        const CHILD = host::NOTE_CHILD;

        /// `Netdev`: the link is up.
        #[doc(alias = "NOTE_LINKUP")]
        #[doc(alias = "KQ_NOTE_LINKUP")]
        const LINKUP = 1;
        /// `Netdev`: the link is down.
        #[doc(alias = "NOTE_LINKDOWN")]
        #[doc(alias = "KQ_NOTE_LINKDOWN")]
        const LINKDOWN = 2;
        /// `Netdev`: the state of the link is not valid.
        #[doc(alias = "NOTE_LINKINV")]
        #[doc(alias = "KQ_NOTE_LINKINV")]
        const LINKINV = 4;

        /// `Timer`: `data` is in seconds.
        #[doc(alias = "NOTE_SECONDS")]
        const SECONDS = host::NOTE_SECONDS;
        /// `Timer`: `data` is in milliseconds, as without a unit.
        #[doc(alias = "NOTE_MSECONDS")]
        const MSECONDS = host::NOTE_MSECONDS;
        /// `Timer`: `data` is in microseconds.
        #[doc(alias = "NOTE_USECONDS")]
        const USECONDS = host::NOTE_USECONDS;
        /// `Timer`: `data` is in nanoseconds.
        #[doc(alias = "NOTE_NSECONDS")]
        const NSECONDS = host::NOTE_NSECONDS;
        /// `Timer`: `data` is a time since 1970 and not from now on.
        #[doc(alias = "NOTE_ABSTIME")]
        #[doc(alias = "NOTE_ABSOLUTE")]
        const ABSTIME = host::NOTE_ABSTIME;
        /// `Timer`: `data` is in units of the Mach clock (macOS).
        #[doc(alias = "NOTE_MACHTIME")]
        const MACHTIME = host::NOTE_MACHTIME;
        /// `Timer`: it is not put off to save power (macOS).
        #[doc(alias = "NOTE_CRITICAL")]
        const CRITICAL = host::NOTE_CRITICAL;
        /// `Timer`: it may be put off to save power (macOS).
        #[doc(alias = "NOTE_BACKGROUND")]
        const BACKGROUND = host::NOTE_BACKGROUND;
        /// `Timer`: it may be put off by a time that kevent64(2) takes, and
        /// kevent(2) does not (macOS).
        #[doc(alias = "NOTE_LEEWAY")]
        const LEEWAY = host::NOTE_LEEWAY;

        /// `User`: leave the user's flags.
        #[doc(alias = "NOTE_FFNOP")]
        const FFNOP = 0;
        /// `User`: the user's flags AND these.
        #[doc(alias = "NOTE_FFAND")]
        const FFAND = 0x4000_0000;
        /// `User`: the user's flags OR these.
        #[doc(alias = "NOTE_FFOR")]
        const FFOR = 0x8000_0000;
        /// `User`: these flags.
        #[doc(alias = "NOTE_FFCOPY")]
        const FFCOPY = 0xc000_0000;
        /// `User`: the bits that say what to do with the user's flags.
        #[doc(alias = "NOTE_FFCTRLMASK")]
        const FFCTRLMASK = 0xc000_0000;
        /// `User`: the bits of the user's flags.
        #[doc(alias = "NOTE_FFLAGSMASK")]
        const FFLAGSMASK = 0x00ff_ffff;
        /// `User`: trigger it.
        #[doc(alias = "NOTE_TRIGGER")]
        const TRIGGER = 0x0100_0000;

        // Other bits of the platform pass.
        const _ = !0;
    }
}

impl NoteFlags {
    /// The flags of a filter that this target honours or can deliver.
    #[must_use]
    pub fn supported(filter: Filter) -> NoteFlags {
        NoteFlags::from_bits_retain(host::notes(filter.0))
    }
}

impl fmt::Debug for NoteFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The names overlap: without its filter a number means nothing.
        write!(f, "{:#x}", self.bits())
    }
}

/// One change or one event of a [`Kqueue`](crate::Kqueue): `struct kevent`, laid
/// out as the platform has it on macOS and the BSDs, and as FreeBSD's 64 bytes
/// elsewhere.
///
/// ```
/// use readiness::{Filter, Kevent, KeventFlags, NoteFlags};
///
/// let timer = Kevent::from_ident(7, Filter::Timer)
///     .with_flags(KeventFlags::ADD | KeventFlags::ONESHOT)
///     .with_fflags(NoteFlags::USECONDS)
///     .with_data(500);
/// assert_eq!(timer.ident, 7);
/// assert!(timer > Kevent::default());
/// ```
#[derive(Clone, Copy)]
#[repr(C)]
#[doc(alias = "kevent")]
pub struct Kevent {
    /// What is watched: a descriptor, a process, a signal, or any number that
    /// tells two timers or two user events apart.
    pub ident: usize,
    /// The filter: what of it is watched. With `ident` it identifies the event.
    pub filter: Filter,
    /// What to do with it; what became of it.
    pub flags: KeventFlags,
    /// The filter's own flags.
    pub fflags: NoteFlags,
    /// The filter's own number: bytes, connections, expirations, a wait status;
    /// in an entry with [`KeventFlags::ERROR`] the system's error number. (On Apple's
    /// systems of 32 bits it is an `isize`.)
    pub data: host::Data,
    /// The program's own: it comes back as it was given.
    pub udata: usize,
    #[cfg(not(any(
        target_vendor = "apple",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "dragonfly"
    )))]
    ext: [u64; 4],
}

#[cfg(not(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
)))]
const _: () = assert!(size_of::<usize>() != 8 || size_of::<Kevent>() == 64);

impl Kevent {
    /// An event of a source: to [`ADD`](KeventFlags::ADD), with nothing else set.
    #[must_use]
    pub fn new(source: &(impl AsSource + ?Sized), filter: Filter) -> Kevent {
        Kevent::from_ident(idents::ident(source.as_source()), filter)
    }

    /// An event of a number: to [`ADD`](KeventFlags::ADD), with nothing else set.
    ///
    /// For descriptors too, and safe: a filter looks and never takes anything
    /// away, so that whoever owns the descriptor does not notice.
    #[must_use]
    pub const fn from_ident(ident: usize, filter: Filter) -> Kevent {
        Kevent {
            ident,
            filter,
            flags: KeventFlags::ADD,
            fflags: NoteFlags::empty(),
            data: 0,
            udata: 0,
            #[cfg(not(any(
                target_vendor = "apple",
                target_os = "netbsd",
                target_os = "openbsd",
                target_os = "dragonfly"
            )))]
            ext: [0; 4],
        }
    }

    /// The same with these flags instead of `ADD`.
    #[must_use]
    pub const fn with_flags(mut self, flags: KeventFlags) -> Kevent {
        self.flags = flags;
        self
    }

    /// The same with these flags of its filter.
    #[must_use]
    pub const fn with_fflags(mut self, fflags: NoteFlags) -> Kevent {
        self.fflags = fflags;
        self
    }

    /// The same with this data.
    #[must_use]
    pub const fn with_data(mut self, data: host::Data) -> Kevent {
        self.data = data;
        self
    }

    /// The same with this data of the program's.
    #[must_use]
    pub const fn with_udata(mut self, udata: usize) -> Kevent {
        self.udata = udata;
        self
    }

    /// The error of an entry with [`KeventFlags::ERROR`]; a receipt of a change
    /// that went well has none.
    #[must_use]
    pub fn error(&self) -> Option<std::io::Error> {
        let failed = self.flags.contains(KeventFlags::ERROR) && self.data != 0;
        failed.then(|| crate::error::of_errno(self.filter, self.data as i32))
    }

    fn fields(&self) -> (usize, Filter, KeventFlags, NoteFlags, host::Data, isize) {
        let Kevent { ident, filter, flags, fflags, data, udata, .. } = *self;
        (ident, filter, flags, fflags, data, udata as isize)
    }
}

/// Python's: ident 0, [`Filter::Read`], [`KeventFlags::ADD`], zeros.
impl Default for Kevent {
    fn default() -> Kevent {
        Kevent::from_ident(0, Filter::Read)
    }
}

impl PartialEq for Kevent {
    fn eq(&self, other: &Kevent) -> bool {
        self.fields() == other.fields()
    }
}

impl Eq for Kevent {}

impl PartialOrd for Kevent {
    fn partial_cmp(&self, other: &Kevent) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By ident, filter, flags, fflags, data and udata, in this order; udata counts as
/// signed, as in Python.
impl Ord for Kevent {
    fn cmp(&self, other: &Kevent) -> Ordering {
        self.fields().cmp(&other.fields())
    }
}

impl std::hash::Hash for Kevent {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.fields().hash(state);
    }
}

impl fmt::Debug for Kevent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kevent")
            .field("ident", &self.ident)
            .field("filter", &self.filter)
            .field("flags", &self.flags)
            .field("fflags", &self.fflags)
            .field("data", &self.data)
            .field("udata", &format_args!("{:#x}", self.udata))
            .finish()
    }
}
