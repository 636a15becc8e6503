//! inotify(7): what happens to files.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::backend::unix::check;

pub(crate) struct Inotify(File);

/// One event: of which watch, what, and whether it is about an entry of the
/// directory that is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileEvent {
    /// -1: events were lost.
    pub(crate) watch: i32,
    pub(crate) mask: u32,
    pub(crate) of_entry: bool,
}

impl Inotify {
    pub(crate) fn new() -> io::Result<Inotify> {
        // SAFETY: no pointers.
        let fd = check(unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) })?;
        // SAFETY: the kernel just gave us this descriptor.
        Ok(Inotify(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Watches the file of a descriptor, whatever its names are. Every descriptor
    /// of a file has the same watch, and what is wanted of it adds up.
    pub(crate) fn add(&self, fd: RawFd, mask: u32) -> io::Result<i32> {
        self.add_path(format!("/proc/self/fd/{fd}"), mask)
    }

    /// Watches the directory that the directory of a descriptor is in.
    pub(crate) fn add_parent(&self, fd: RawFd, mask: u32) -> io::Result<i32> {
        self.add_path(format!("/proc/self/fd/{fd}/.."), mask)
    }

    fn add_path(&self, path: String, mask: u32) -> io::Result<i32> {
        let path = CString::new(path)?;
        // SAFETY: the path ends with a zero.
        check(unsafe {
            libc::inotify_add_watch(self.fd(), path.as_ptr(), mask | libc::IN_MASK_ADD)
        })
    }

    pub(crate) fn remove(&self, watch: i32) {
        // SAFETY: no pointers.
        unsafe { libc::inotify_rm_watch(self.fd(), watch as _) };
    }

    /// What has happened since, until there is no more.
    pub(crate) fn read(&self, mut each: impl FnMut(FileEvent)) {
        const HEADER: usize = size_of::<libc::inotify_event>();
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = (&self.0).read(&mut buffer) {
            let mut rest = &buffer[..len];
            while let Some((header, more)) = rest.split_at_checked(HEADER) {
                let word = |at: usize| {
                    u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
                };
                let name = word(12) as usize;
                each(FileEvent { watch: word(0) as i32, mask: word(4), of_entry: name > 0 });
                rest = more.get(name..).unwrap_or(&[]);
            }
        }
    }
}

/// What of a file changes with what happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileState {
    pub(crate) identity: (u64, u64),
    pub(crate) is_file: bool,
    pub(crate) is_directory: bool,
    pub(crate) size: i64,
    pub(crate) links: u64,
    pub(crate) written: (i64, i64),
    /// Mode, owner, group.
    pub(crate) rights: (u32, u32, u32),
}

impl FileState {
    #[allow(clippy::unnecessary_cast, reason = "narrower on some systems")]
    pub(crate) fn of(fd: RawFd) -> io::Result<FileState> {
        let status = super::count::status(fd)?;
        let kind = status.st_mode & libc::S_IFMT;
        Ok(FileState {
            identity: (status.st_dev as u64, status.st_ino as u64),
            is_file: matches!(kind, libc::S_IFREG | libc::S_IFDIR | libc::S_IFLNK),
            is_directory: kind == libc::S_IFDIR,
            size: status.st_size as i64,
            links: status.st_nlink as u64,
            written: (status.st_mtime as i64, status.st_mtime_nsec as i64),
            rights: (status.st_mode as u32, status.st_uid as u32, status.st_gid as u32),
        })
    }
}
