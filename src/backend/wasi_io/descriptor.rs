//! Descriptors beside pollables.
//!
//! The standard streams are the host's stream pollables. Files and directories are
//! always ready. On wasm32-wasip1 there is nothing else. On wasm32-wasip2 std's
//! sockets are descriptors of wasi-libc, whose pollables nobody else can get at:
//! they are waited on through its `poll`, in turns with the pollables.

use std::io;
use std::os::fd::RawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasip2::cli::{stderr, stdin, stdout};
use wasip2::io::poll::Pollable as HostPollable;
use wasip2::io::streams::{InputStream, OutputStream};

use super::{NOT_OPEN, Side};
use crate::flags::PollFlags;

cfg_if::cfg_if! {
    if #[cfg(target_env = "p1")] {
        mod p1;
        use p1::kind;
        pub(super) use p1::Descriptors;
    } else {
        mod p2;
        use p2::kind;
        pub(super) use p2::Descriptors;
    }
}

/// Hosts have standard input read by a thread, and only once it is asked for: the
/// time that it gets when nobody waits for it, the first time and later.
pub(super) const STARTING: Duration = Duration::from_millis(20);
const READING: Duration = Duration::from_millis(5);

/// The time that it is to get now, in milliseconds; none if it had its time since it
/// was ready last.
static STDIN_TIME: AtomicU64 = AtomicU64::new(STARTING.as_millis() as u64);

pub(super) fn take_time_for_stdin() -> Option<Duration> {
    let time = STDIN_TIME.swap(0, Ordering::Relaxed);
    (time > 0).then(|| Duration::from_millis(time))
}

pub(super) fn stdin_was_ready() {
    STDIN_TIME.store(READING.as_millis() as u64, Ordering::Relaxed);
}

/// What a descriptor is.
pub(super) enum Kind {
    NotOpen,
    /// A file or directory.
    Always,
    /// A terminal, a pipe, or what else a standard stream may be.
    Stream,
    /// A socket of wasi-libc.
    #[cfg_attr(target_env = "p1", expect(dead_code, reason = "there are none"))]
    Socket,
}

/// What is to be done about a descriptor.
pub(super) enum Look {
    Known(PollFlags),
    Ask(&'static HostPollable, Side),
    /// Only wasi-libc knows.
    Libc,
    /// It can never be ready for what is wanted of it.
    Never,
}

pub(super) fn look(fd: RawFd, want: PollFlags) -> Look {
    match (kind(fd), fd) {
        (Kind::NotOpen, _) => Look::Known(PollFlags::NVAL),
        (Kind::Always, _) => Look::Known(super::EITHER),
        (Kind::Stream, 0) if want.contains(PollFlags::IN) => {
            Look::Ask(standard_input(), Side::Input)
        }
        (Kind::Stream, 1 | 2) if want.contains(PollFlags::OUT) => {
            Look::Ask(standard_output(fd == 2), Side::Output)
        }
        (Kind::Stream, 0..=2) => Look::Never,
        (Kind::Stream | Kind::Socket, _) if cfg!(target_env = "p1") => Look::Never,
        (Kind::Stream | Kind::Socket, _) => Look::Libc,
    }
}

/// Whether a descriptor is open.
pub(crate) fn check_descriptor(fd: RawFd) -> io::Result<()> {
    match kind(fd) {
        Kind::NotOpen => Err(io::Error::from_raw_os_error(NOT_OPEN)),
        _ => Ok(()),
    }
}

/// Whether a descriptor is a file or a directory. An error if it is not open.
pub(crate) fn is_file_descriptor(fd: RawFd) -> io::Result<bool> {
    match kind(fd) {
        Kind::NotOpen => Err(io::Error::from_raw_os_error(NOT_OPEN)),
        Kind::Always => Ok(true),
        _ => Ok(false),
    }
}

/// The stream goes with its pollable, its child.
struct Stream<S> {
    ready: HostPollable,
    _stream: S,
}

fn standard_input() -> &'static HostPollable {
    static STDIN: OnceLock<Stream<InputStream>> = OnceLock::new();
    let stream = STDIN.get_or_init(|| {
        let stream = stdin::get_stdin();
        Stream { ready: stream.subscribe(), _stream: stream }
    });
    &stream.ready
}

fn standard_output(error: bool) -> &'static HostPollable {
    static STDOUT: OnceLock<Stream<OutputStream>> = OnceLock::new();
    static STDERR: OnceLock<Stream<OutputStream>> = OnceLock::new();
    let open = |stream: OutputStream| Stream { ready: stream.subscribe(), _stream: stream };
    let stream = if error {
        STDERR.get_or_init(|| open(stderr::get_stderr()))
    } else {
        STDOUT.get_or_init(|| open(stdout::get_stdout()))
    };
    &stream.ready
}
