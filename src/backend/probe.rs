//! A look at a source: what it is, how much there is to read, and room to write.
//! A look takes nothing away.

use std::io;

use crate::flags::PollFlags;
use crate::source::Held;

/// What a look says of one side of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
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
    }
}

/// The source with this number.
#[cfg(any(unix, target_os = "wasi"))]
pub(crate) fn held(ident: usize) -> Option<Held> {
    i32::try_from(ident).ok().map(Held::Fd)
}

/// Whether a source can be told from another one with its number.
pub(crate) fn has_identity() -> bool {
    cfg!(unix)
}
