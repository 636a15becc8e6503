//! Numbers that the kernel keeps for us: real descriptors.

use std::cell::OnceCell;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::c_int;

use super::Kind;
use crate::errno::{Answer, check};

/// What a set's numbers are descriptors of.
pub(super) enum Place {
    /// The set's own open file; the set has a descriptor of its own to it.
    Own,
    /// The reading end of a pipe, which never has anything to read. The other end is
    /// ours, so that it has no end of file either.
    Pipe { file: (u64, u64), other: OwnedFd },
}

/// A number that sets are asked about.
pub(super) struct Number {
    fd: c_int,
    file: OnceCell<Option<(u64, u64)>>,
}

impl Number {
    pub(super) fn new(fd: c_int) -> Number {
        Number { fd, file: OnceCell::new() }
    }

    fn file(&self) -> Option<(u64, u64)> {
        *self.file.get_or_init(|| identity(self.fd))
    }
}

impl Place {
    pub(super) fn new(
        kind: &Kind,
        closes_on_exec: bool,
        _taken: impl Iterator<Item = c_int>,
    ) -> Answer<(c_int, Place)> {
        if let Some(own) = kind.descriptor() {
            let command = if closes_on_exec { libc::F_DUPFD_CLOEXEC } else { libc::F_DUPFD };
            // SAFETY: no pointers.
            let number = check(unsafe { libc::fcntl(own, command, 0) })?;
            return Ok((number, Place::Own));
        }
        let mut ends: [RawFd; 2] = [-1; 2];
        // SAFETY: there is room for two descriptors.
        check(unsafe { libc::pipe(ends.as_mut_ptr()) })?;
        // SAFETY: the kernel just gave us these two.
        let [number, other] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        let [reading, writing] = ends;
        // A read says EAGAIN instead of waiting for what never comes.
        // SAFETY: flags of descriptors of our own.
        unsafe {
            check(libc::fcntl(reading, libc::F_SETFL, libc::O_NONBLOCK))?;
            check(libc::fcntl(writing, libc::F_SETFD, libc::FD_CLOEXEC))?;
            if closes_on_exec {
                check(libc::fcntl(reading, libc::F_SETFD, libc::FD_CLOEXEC))?;
            }
        }
        let file = identity(reading).ok_or(crate::errno::Errno(libc::EBADF))?;
        // The program's from here on.
        std::mem::forget(File::from(number));
        Ok((reading, Place::Pipe { file, other }))
    }

    /// Whether a number is a descriptor of this that the program has. (Ours are
    /// numbers too, which a program may come across.)
    pub(super) fn is(&self, kind: &Kind, number: &Number) -> bool {
        match (self, kind.descriptor()) {
            (Place::Pipe { file, other }, _) => {
                number.file() == Some(*file) && number.fd != other.as_raw_fd()
            }
            (Place::Own, Some(own)) => number.fd != own && same_file(own, number),
            (Place::Own, None) => false,
        }
    }

    /// Whether the kernel cannot wait on it.
    pub(super) fn is_placeholder(&self) -> bool {
        matches!(self, Place::Pipe { .. })
    }
}

pub(super) fn is_open(number: c_int) -> bool {
    // SAFETY: F_GETFD only looks; any number may be asked about.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

/// Every number that is open.
pub(super) fn open_numbers() -> Vec<c_int> {
    if cfg!(any(target_os = "linux", target_os = "android")) {
        if let Ok(folder) = std::fs::read_dir("/proc/self/fd") {
            let numbers = folder.flatten().map(|entry| entry.file_name());
            return numbers.filter_map(|name| name.to_str()?.parse().ok()).collect();
        }
    }
    // One by one; the folder takes a descriptor, which there may not be.
    let most = crate::poll::limit().min(1 << 16) as c_int;
    (0..most).filter(|number| is_open(*number)).collect()
}

/// A pipe's device and inode, which no other open file shares.
fn identity(number: c_int) -> Option<(u64, u64)> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: there is room for a stat; any number may be asked about.
    check(unsafe { libc::fstat(number, stat.as_mut_ptr()) }).ok()?;
    // SAFETY: fstat filled it.
    let stat = unsafe { stat.assume_init() };
    #[allow(clippy::unnecessary_cast, reason = "narrower on some systems")]
    Some((stat.st_dev as u64, stat.st_ino as u64))
}

/// Whether two numbers are descriptors of one open file. Every epoll has the same
/// inode, so fstat would not do: fcntl says it since Linux 6.10, kcmp before that.
/// Where neither may be asked, the kind of file has to do.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn same_file(one: RawFd, number: &Number) -> bool {
    let other = number.fd;
    const F_DUPFD_QUERY: c_int = 1024 + 3;
    const KCMP_FILE: c_int = 0;
    // SAFETY: neither call has pointers, and any number may be asked about.
    unsafe {
        match libc::fcntl(one, F_DUPFD_QUERY, other) {
            0 => return false,
            1 => return true,
            _ if !is_open(other) => return false,
            _ => {}
        }
        let me = libc::getpid();
        match libc::syscall(libc::SYS_kcmp, me, me, KCMP_FILE, one, other) {
            0 => return true,
            -1 => {}
            _ => return false,
        }
    }
    let kind = |number| std::fs::read_link(format!("/proc/self/fd/{number}")).ok();
    identity(one) == number.file() && kind(one) == kind(other)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn same_file(one: RawFd, number: &Number) -> bool {
    number.file().is_some() && identity(one) == number.file()
}
