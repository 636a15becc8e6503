//! How much there is to read, and room to write.
//!
//! Nothing here takes anything away: no read, and no `SO_ERROR`, which forgets the
//! error that it tells.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use crate::backend::probe::Probe;
use crate::backend::unix::check;
use crate::flags::PollFlags;

/// What a descriptor is, as far as counting goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A pipe or FIFO.
    Pipe,
    Tcp,
    /// Streams and packets of another family, `AF_UNIX` most of all.
    Stream,
    Datagram,
    /// A regular file or directory.
    File,
    /// A terminal or another device.
    Device,
    /// eventfd, timerfd, epoll and their like: no counts.
    Other,
}

pub(crate) fn kind(fd: RawFd) -> io::Result<Kind> {
    Ok(match status(fd)?.st_mode & libc::S_IFMT {
        libc::S_IFIFO => Kind::Pipe,
        libc::S_IFREG | libc::S_IFDIR | libc::S_IFLNK => Kind::File,
        libc::S_IFCHR | libc::S_IFBLK => Kind::Device,
        libc::S_IFSOCK => match option(fd, libc::SOL_SOCKET, libc::SO_TYPE)? {
            libc::SOCK_STREAM | libc::SOCK_SEQPACKET => {
                match option(fd, libc::SOL_SOCKET, libc::SO_PROTOCOL)? {
                    libc::IPPROTO_TCP => Kind::Tcp,
                    _ => Kind::Stream,
                }
            }
            _ => Kind::Datagram,
        },
        _ => Kind::Other,
    })
}

pub(super) fn status(fd: RawFd) -> io::Result<libc::stat> {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: there is room for the answer; any number may be asked about.
    check(unsafe { libc::fstat(fd, status.as_mut_ptr()) })?;
    // SAFETY: fstat filled it.
    Ok(unsafe { status.assume_init() })
}

/// How far the end of a file is from where its descriptor stands.
pub(crate) fn ahead(fd: RawFd) -> io::Result<i64> {
    let size = status(fd)?.st_size as i64;
    // SAFETY: no pointers; nothing is moved.
    let at = unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) } as i64;
    // A device that cannot seek has nothing to be ahead of.
    Ok(if at < 0 { size } else { size - at })
}

fn option(fd: RawFd, level: libc::c_int, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: there is room for an int.
    check(unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &mut size) })?;
    Ok(value)
}

fn count(fd: RawFd, request: libc::c_ulong) -> io::Result<i64> {
    let mut value: libc::c_int = 0;
    // SAFETY: these requests write one int.
    check(unsafe { libc::ioctl(fd, request as _, &mut value) })?;
    Ok(value.into())
}

/// Bytes that can be read.
pub(crate) fn bytes(fd: RawFd) -> io::Result<i64> {
    count(fd, libc::FIONREAD as libc::c_ulong)
}

/// Bytes that can be read; of datagrams, those of the first. `None`: it listens.
fn readable(fd: RawFd) -> io::Result<Option<i64>> {
    match bytes(fd) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(None),
        other => other.map(Some),
    }
}

/// Bytes that can be written.
fn space(fd: RawFd, kind: Kind) -> io::Result<i64> {
    match kind {
        Kind::Pipe => {
            // SAFETY: no pointers.
            let size = check(unsafe { libc::fcntl(fd, libc::F_GETPIPE_SZ) })?;
            Ok(i64::from(size) - bytes(fd)?)
        }
        Kind::Tcp | Kind::Stream | Kind::Datagram => {
            let size = option(fd, libc::SOL_SOCKET, libc::SO_SNDBUF)?;
            Ok(i64::from(size) - count(fd, libc::TIOCOUTQ as libc::c_ulong)?)
        }
        _ => Ok(0),
    }
}

/// What poll(2) says of one descriptor, now.
fn poll_now(fd: RawFd, want: PollFlags) -> PollFlags {
    let mut entry = libc::pollfd { fd, events: want.bits() as libc::c_short, revents: 0 };
    // SAFETY: one entry.
    match check(unsafe { libc::poll(&mut entry, 1, 0) }) {
        Ok(_) => PollFlags::from_bits_truncate(entry.revents as u16),
        Err(_) => PollFlags::empty(),
    }
}

/// Whether a read would not block. More than a count: a socket may have a mark of its
/// own, `SO_RCVLOWAT`.
pub(crate) fn is_readable(fd: RawFd) -> bool {
    poll_now(fd, PollFlags::IN).contains(PollFlags::IN)
}

/// What `TCP_INFO` says.
#[derive(Clone, Copy, Debug, Default)]
struct Tcp {
    state: u8,
    unacked: u32,
    rtt: u32,
    segments_in: u32,
}

const TCP_FIN_WAIT1: u8 = 4;
const TCP_FIN_WAIT2: u8 = 5;
const TCP_TIME_WAIT: u8 = 6;
const TCP_LAST_ACK: u8 = 9;
const TCP_LISTEN: u8 = 10;
const TCP_CLOSING: u8 = 11;

impl Tcp {
    /// This side was shut down for writing.
    fn wrote_all(self) -> bool {
        let states = [TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_TIME_WAIT, TCP_LAST_ACK, TCP_CLOSING];
        states.contains(&self.state)
    }

    /// The error that ended it. Linux tells it once and then forgets it, so that
    /// nobody may ask but the program; this is concluded from how it ended.
    fn ended_by(self) -> i32 {
        match (self.rtt, self.segments_in) {
            // No answer ever came.
            (0, 0) => libc::ETIMEDOUT,
            // An answer came, but no connection.
            (0, _) => libc::ECONNREFUSED,
            _ => libc::ECONNRESET,
        }
    }
}

fn tcp(fd: RawFd) -> io::Result<Tcp> {
    // struct tcp_info of linux/tcp.h, as far as it is needed.
    let mut info = [0u8; 144];
    let mut size = info.len() as libc::socklen_t;
    // SAFETY: there is room for `size` bytes.
    check(unsafe {
        libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &mut size)
    })?;
    let word = |at: usize| u32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
    Ok(Tcp { state: info[0], unacked: word(24), rtt: word(68), segments_in: word(140) })
}

/// Connections that wait to be accepted: at least one, where the kernel does not
/// count them.
fn backlog(fd: RawFd, kind: Kind) -> i64 {
    let counted = match kind {
        Kind::Tcp => tcp(fd).ok().filter(|tcp| tcp.state == TCP_LISTEN).map(|tcp| tcp.unacked),
        Kind::Stream => super::sock_diag::unix_backlog(fd),
        _ => None,
    };
    counted.map_or(1, i64::from)
}

const HUNG_UP: PollFlags = PollFlags::HUP.union(PollFlags::RDHUP);

/// A stream socket that was never connected says HUP, but not that its peer is
/// gone.
fn never_connected(fd: RawFd, flags: PollFlags) -> bool {
    flags.contains(PollFlags::HUP)
        && !flags.intersects(PollFlags::ERR)
        && !poll_now(fd, PollFlags::IN | PollFlags::RDHUP).contains(PollFlags::RDHUP)
}

/// Why a stream ended, if not by its end.
fn error_of(fd: RawFd, kind: Kind, flags: PollFlags) -> i32 {
    match kind {
        _ if !flags.contains(PollFlags::ERR) => 0,
        Kind::Tcp => tcp(fd).map_or(libc::ECONNRESET, Tcp::ended_by),
        // The one error of AF_UNIX: the peer closed with data unread.
        Kind::Stream => libc::ECONNRESET,
        _ => 0,
    }
}

fn always_counts(kind: Kind) -> bool {
    matches!(kind, Kind::Pipe | Kind::Tcp)
}

/// What there is to read of a source that said `flags`.
#[inline]
pub(crate) fn read(fd: RawFd, kind: Kind, flags: PollFlags) -> io::Result<Probe> {
    if kind == Kind::Other && !flags.intersects(HUNG_UP | PollFlags::ERR) {
        // It does not count, and what is not counted may be enough.
        return Ok(Probe::Ready { data: 1, eof: false, error: 0, anyway: true });
    }
    read_counted(fd, kind, flags)
}

fn read_counted(fd: RawFd, kind: Kind, flags: PollFlags) -> io::Result<Probe> {
    let stream = matches!(kind, Kind::Tcp | Kind::Stream);
    if stream && !flags.contains(PollFlags::RDHUP) && never_connected(fd, flags) {
        return Ok(Probe::NotReady);
    }
    let eof = match kind {
        Kind::Tcp | Kind::Stream => flags.intersects(HUNG_UP),
        Kind::Datagram => flags.contains(PollFlags::RDHUP),
        _ => flags.contains(PollFlags::HUP),
    };
    let counted = match kind {
        Kind::Other => None,
        _ => match readable(fd) {
            Ok(Some(bytes)) => Some(bytes),
            Ok(None) if kind != Kind::Pipe => Some(backlog(fd, kind)),
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) && !always_counts(kind) => {
                None
            }
            // It is something else by now.
            Ok(None) => return Err(io::Error::from_raw_os_error(libc::EBADF)),
            Err(error) => return Err(error),
        },
    };
    let data = counted.unwrap_or(1);
    // Nothing to read: an empty datagram or an error, or somebody was faster.
    let more = match kind {
        _ if data > 0 || eof => true,
        Kind::Pipe | Kind::Tcp | Kind::Stream => flags.contains(PollFlags::ERR),
        _ => poll_now(fd, PollFlags::IN).intersects(PollFlags::READABLE),
    };
    if !more {
        return Ok(Probe::NotReady);
    }
    let error = if eof { error_of(fd, kind, flags) } else { 0 };
    // What is not counted may be enough.
    let anyway = counted.is_none() || eof || flags.contains(PollFlags::ERR);
    Ok(Probe::Ready { data, eof, error, anyway })
}

/// What room there is to write to a source that said `flags`.
pub(crate) fn write(fd: RawFd, kind: Kind, flags: PollFlags) -> io::Result<Probe> {
    let stream = matches!(kind, Kind::Tcp | Kind::Stream);
    if stream && never_connected(fd, flags) {
        return Ok(Probe::NotReady);
    }
    let eof = match kind {
        Kind::Tcp => flags.contains(PollFlags::HUP) || tcp(fd).is_ok_and(Tcp::wrote_all),
        Kind::Stream => flags.contains(PollFlags::HUP),
        Kind::Pipe => flags.contains(PollFlags::ERR),
        _ => false,
    };
    let failed = flags.contains(PollFlags::ERR);
    if !eof && !failed && !flags.intersects(PollFlags::WRITABLE) {
        return Ok(Probe::NotReady);
    }
    // What the kernel calls writable has room, whatever the two counts say.
    let least = i64::from(flags.contains(PollFlags::OUT) && !eof);
    let data = space(fd, kind)?.max(least);
    let error = if eof { error_of(fd, kind, flags) } else { 0 };
    // What is not counted may be enough.
    let counted = matches!(kind, Kind::Pipe | Kind::Tcp | Kind::Stream | Kind::Datagram);
    Ok(Probe::Ready { data, eof, error, anyway: !counted || eof || failed })
}
