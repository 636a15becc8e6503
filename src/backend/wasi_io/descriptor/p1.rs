//! Descriptors of WASI 0.1, which the adapter provides: streams and files.

use std::io;
use std::os::fd::RawFd;

use super::Kind;
use crate::backend::wasi_io::PollableList;
use crate::flags::PollFlags;
use crate::timeout::Deadline;

pub(super) fn kind(fd: RawFd) -> Kind {
    let Ok(fd) = wasi::Fd::try_from(fd) else { return Kind::NotOpen };
    // SAFETY: it only looks; any number may be asked about.
    match unsafe { wasi::fd_fdstat_get(fd) } {
        Err(error) if error == wasi::ERRNO_BADF => Kind::NotOpen,
        Ok(wasi::Fdstat { fs_filetype, .. })
            if [wasi::FILETYPE_REGULAR_FILE, wasi::FILETYPE_DIRECTORY].contains(&fs_filetype) =>
        {
            Kind::Always
        }
        _ => Kind::Stream,
    }
}

/// There are no descriptors that only wasi-libc can wait for.
#[derive(Default)]
pub(in super::super) struct Descriptors;

impl Descriptors {
    pub(in super::super) fn clear(&mut self) {}
    pub(in super::super) fn push(&mut self, _fd: RawFd, _want: PollFlags, _slot: u32) {}
    pub(in super::super) fn is_empty(&self) -> bool {
        true
    }
}

impl PollableList {
    pub(in super::super) fn wait_for_descriptors(&mut self, _: &mut Deadline) -> io::Result<bool> {
        Ok(true)
    }
}
