//! A look at a source: what it is, how much there is to read, and room to write.
//! A look takes nothing away.

use std::io;

use crate::flags::PollFlags;
use crate::source::Held;

/// What a look says of one side of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    #[cfg_attr(
        not(any(target_os = "linux", target_os = "android")),
        allow(dead_code, reason = "their hosts tell no more than they said")
    )]
    NotReady,
    Ready {
        /// Bytes or connections; 1 where the host does not count.
        data: i64,
        /// The other side is gone.
        eof: bool,
        /// The system's number of the error that ended it, or 0.
        error: i32,
        /// It is ready however little there is.
        anyway: bool,
    },
}

impl Probe {
    /// Ready, with as much as the host counts.
    fn counted(data: Option<i64>, flags: PollFlags) -> Probe {
        let eof = flags.intersects(PollFlags::HUP | PollFlags::RDHUP);
        let least = i64::from(!eof);
        // What is not counted may be enough.
        let anyway = data.is_none() || eof || flags.contains(PollFlags::ERR);
        Probe::Ready { data: data.unwrap_or(least), eof, error: 0, anyway }
    }
}

/// A look at what has no number of the host's: it is as ready as it said.
pub(crate) fn by_flags(flags: PollFlags) -> Probe {
    Probe::counted(None, flags)
}

cfg_if::cfg_if! {
    if #[cfg(any(target_os = "linux", target_os = "android"))] {
        use super::linux;
        pub(crate) use linux::Kind;

        pub(crate) fn kind(source: &Held) -> io::Result<Kind> {
            let Held::Fd(fd) = *source;
            linux::kind(fd)
        }

        pub(crate) fn is_file(kind: Kind) -> bool {
            kind == Kind::File
        }

        /// Whether it has a file's number of its own.
        pub(crate) fn has_identity(kind: Kind) -> bool {
            kind != Kind::Other
        }

        /// Whether the bytes that there are to read are all that there is.
        pub(crate) fn has_bytes(kind: Kind) -> bool {
            matches!(kind, Kind::Pipe | Kind::Tcp | Kind::Stream)
        }

        /// How many there are to read.
        pub(crate) fn bytes(source: &Held) -> Option<i64> {
            let Held::Fd(fd) = *source;
            linux::bytes(fd).ok()
        }

        /// Whether the kernel calls it readable.
        pub(crate) fn is_readable(source: &Held) -> bool {
            let Held::Fd(fd) = *source;
            linux::is_readable(fd)
        }

        pub(crate) fn read(source: &Held, kind: Kind, flags: PollFlags) -> io::Result<Probe> {
            let Held::Fd(fd) = *source;
            linux::read(fd, kind, flags)
        }

        pub(crate) fn write(source: &Held, kind: Kind, flags: PollFlags) -> io::Result<Probe> {
            let Held::Fd(fd) = *source;
            linux::write(fd, kind, flags)
        }

        /// How far the end of a file is from where it stands.
        pub(crate) fn ahead(source: &Held, kind: Kind) -> io::Result<i64> {
            let Held::Fd(fd) = *source;
            if kind == Kind::File { linux::ahead(fd) } else { Ok(0) }
        }
    } else {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind {
            /// A regular file or directory.
            File,
            Other,
        }

        pub(crate) fn is_file(kind: Kind) -> bool {
            kind == Kind::File
        }

        /// Nothing else tells one from another.
        pub(crate) fn has_identity(_kind: Kind) -> bool {
            true
        }

        cfg_if::cfg_if! {
            if #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))] {
                use super::wasi_io::bytes as bytes_told;
            } else if #[cfg(all(target_os = "wasi", target_env = "p1"))] {
                use super::poll_oneoff::bytes as bytes_told;
            } else {
                use super::count as bytes_told;
            }
        }

        pub(crate) fn has_bytes(_kind: Kind) -> bool {
            false
        }

        pub(crate) fn bytes(_source: &Held) -> Option<i64> {
            None
        }

        pub(crate) fn is_readable(_source: &Held) -> bool {
            true
        }

        pub(crate) fn read(source: &Held, _kind: Kind, flags: PollFlags) -> io::Result<Probe> {
            let data = bytes_told(source).and_then(|data| i64::try_from(data).ok());
            Ok(Probe::counted(data, flags))
        }

        pub(crate) fn write(_source: &Held, _kind: Kind, flags: PollFlags) -> io::Result<Probe> {
            Ok(Probe::counted(None, flags))
        }

        cfg_if::cfg_if! {
            if #[cfg(any(unix, target_os = "wasi"))] {
                use std::mem::MaybeUninit;
                use std::os::fd::RawFd;

                fn status(fd: RawFd) -> io::Result<libc::stat> {
                    let mut status = MaybeUninit::<libc::stat>::uninit();
                    // SAFETY: there is room for the answer; any number may be asked about.
                    if unsafe { libc::fstat(fd, status.as_mut_ptr()) } != 0 {
                        return Err(io::Error::last_os_error());
                    }
                    // SAFETY: fstat filled it.
                    Ok(unsafe { status.assume_init() })
                }

                fn fd(source: &Held) -> Option<RawFd> {
                    source.raw().fd()
                }

                pub(crate) fn kind(source: &Held) -> io::Result<Kind> {
                    let file = if cfg!(all(target_env = "p1", not(feature = "wasi-io"))) {
                        // Asked as the backend asks. Not each host has more to say.
                        super::is_file(source)?
                    } else {
                        let Some(fd) = fd(source) else { return Ok(Kind::Other) };
                        let kind = status(fd)?.st_mode & libc::S_IFMT;
                        kind == libc::S_IFREG || kind == libc::S_IFDIR
                    };
                    Ok(if file { Kind::File } else { Kind::Other })
                }

                /// How far the end of a file is from where it stands.
                pub(crate) fn ahead(source: &Held, kind: Kind) -> io::Result<i64> {
                    let (Some(fd), Kind::File) = (fd(source), kind) else { return Ok(0) };
                    let size = status(fd)?.st_size;
                    // SAFETY: no pointers; nothing is moved.
                    let at = unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) };
                    Ok(if at < 0 { size } else { size - at } as i64)
                }
            } else {
                pub(crate) fn kind(source: &Held) -> io::Result<Kind> {
                    super::check_source(source).map(|()| Kind::Other)
                }

                pub(crate) fn ahead(_source: &Held, _kind: Kind) -> io::Result<i64> {
                    Ok(0)
                }
            }
        }
    }
}
