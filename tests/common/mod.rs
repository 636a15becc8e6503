//! What the tests wait on, for every target: something readable, something
//! silent, something writable, a file, a number that is not open.
//!
//! Windows waits for sockets alone: there a "file" is a connection with something to
//! read that nobody reads.
//!
//! A WASI 0.1 program has its standard streams and files, no pipes and no
//! sockets: there what is silent is stdin (`scripts/cargo-for` gives tests a
//! stdin that says nothing), and what is readable is a file.

#![allow(dead_code, unused_imports, reason = "no test program needs all of it")]

#[cfg(not(windows))]
pub use std::fs::File;
#[cfg(not(windows))]
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

pub const MS: Duration = Duration::from_millis(1);
/// Far beyond what a test takes on a loaded machine: what ends then has failed.
pub const LONG: Duration = Duration::from_secs(60);

/// How long `work` took, and what it gave.
pub fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

/// A number that is not open, now or later in the test.
pub const NOT_OPEN: i32 = if cfg!(unix) { 900_123 } else { 9_000 };

/// What the system answers about it.
#[cfg(not(windows))]
pub const NOT_OPEN_ERROR: i32 = libc::EBADF;
#[cfg(windows)]
pub const NOT_OPEN_ERROR: i32 = 10038; // WSAENOTSOCK

#[cfg(not(windows))]
pub fn not_open() -> BorrowedFd<'static> {
    number(NOT_OPEN)
}

/// A bare number as a source.
#[cfg(not(windows))]
pub fn number(fd: i32) -> BorrowedFd<'static> {
    // SAFETY: the crate only asks the host about it, and any number may be
    // asked about.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// What is always readable and writable: an empty file.
#[cfg(not(windows))]
pub fn file(name: &str) -> File {
    let path = format!("{}/readiness-{name}-{}", folder(), unique());
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    // WASI hosts on Windows cannot remove it before it is closed, and need not.
    let _ = std::fs::remove_file(&path);
    file
}

#[cfg(unix)]
mod target {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

    pub fn folder() -> String {
        std::env::temp_dir().display().to_string()
    }

    pub fn unique() -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// One end of a connection, and the other end that keeps it open.
    pub struct End {
        pub own: UnixStream,
        pub peer: UnixStream,
    }

    impl AsFd for End {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.own.as_fd()
        }
    }

    /// Never readable, as nobody writes to it.
    pub fn silent() -> End {
        let (own, peer) = UnixStream::pair().unwrap();
        End { own, peer }
    }

    /// One byte can be read.
    pub fn readable() -> End {
        let mut end = silent();
        end.peer.write_all(b"x").unwrap();
        end
    }

    /// Writable, and not readable.
    pub fn writable() -> End {
        silent()
    }

    /// The two ends of a pipe: to read and to write.
    pub fn pipe() -> (File, File) {
        let mut fds = [0; 2];
        // SAFETY: there is room for two descriptors, which are then ours.
        unsafe {
            assert_eq!(libc::pipe(fds.as_mut_ptr()), 0);
            (File::from_raw_fd(fds[0]), File::from_raw_fd(fds[1]))
        }
    }

    /// The same source under a number that no other test of this program gets,
    /// so that closing it frees no number for a test beside this one.
    pub fn apart(source: impl Into<OwnedFd>) -> OwnedFd {
        static NEXT: AtomicI32 = AtomicI32::new(500);
        let source = source.into();
        let least = NEXT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: no pointers; the new descriptor is ours.
        unsafe {
            let fd = libc::fcntl(source.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least);
            assert!(fd >= least, "{}", std::io::Error::last_os_error());
            OwnedFd::from_raw_fd(fd)
        }
    }

    /// Puts `source` under `number`, which is free or gets closed by it.
    pub fn renumber(source: impl Into<OwnedFd>, number: i32) -> OwnedFd {
        let source = source.into();
        // SAFETY: no pointers; the new descriptor is ours.
        unsafe {
            assert_eq!(libc::dup2(source.as_raw_fd(), number), number);
            OwnedFd::from_raw_fd(number)
        }
    }

    /// Sends a byte out of band.
    pub fn send_urgent(socket: &TcpStream) {
        // SAFETY: the byte is valid.
        let sent =
            unsafe { libc::send(socket.as_raw_fd(), b"!".as_ptr().cast(), 1, libc::MSG_OOB) };
        assert_eq!(sent, 1);
    }

    /// The processor time that the calling thread has used.
    pub fn busy() -> std::time::Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: there is room for the time.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
        std::time::Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

#[cfg(windows)]
mod target {
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::os::windows::io::{AsSocket, BorrowedSocket, RawSocket};

    pub fn not_open() -> BorrowedSocket<'static> {
        number(super::NOT_OPEN)
    }

    /// A bare number as a source.
    pub fn number(socket: i32) -> BorrowedSocket<'static> {
        // SAFETY: the crate only asks the host about it, and any number may be
        // asked about.
        unsafe { BorrowedSocket::borrow_raw(socket as RawSocket) }
    }

    /// One end of a connection, and the other end that keeps it open.
    pub struct End {
        pub own: TcpStream,
        pub peer: TcpStream,
    }

    impl AsSocket for End {
        fn as_socket(&self) -> BorrowedSocket<'_> {
            self.own.as_socket()
        }
    }

    impl End {
        pub fn try_clone(&self) -> std::io::Result<End> {
            Ok(End { own: self.own.try_clone()?, peer: self.peer.try_clone()? })
        }
    }

    /// What is always readable and writable.
    pub type File = End;

    pub fn file(_name: &str) -> End {
        readable()
    }

    /// Never readable, as nobody writes to it.
    pub fn silent() -> End {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let own = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (peer, _) = listener.accept().unwrap();
        End { own, peer }
    }

    /// One byte can be read, from now on.
    pub fn readable() -> End {
        let mut end = silent();
        end.peer.write_all(b"x").unwrap();
        assert_eq!(end.own.peek(&mut [0]).unwrap(), 1);
        end
    }

    /// Writable, and not readable.
    pub fn writable() -> End {
        silent()
    }
}

#[cfg(target_os = "wasi")]
mod target {
    use std::fs::File;
    use std::io::{Stdin, Stdout};
    use std::sync::atomic::{AtomicU32, Ordering};

    pub fn folder() -> &'static str {
        "/tmp"
    }

    pub fn unique() -> u32 {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// Never readable, as nobody writes to it.
    pub fn silent() -> Stdin {
        std::io::stdin()
    }

    /// Something can be read from it without blocking.
    pub fn readable() -> File {
        super::file("readable")
    }

    /// Writable.
    pub fn writable() -> Stdout {
        std::io::stdout()
    }
}

pub use target::*;
