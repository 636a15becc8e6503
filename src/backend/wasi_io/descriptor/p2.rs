//! Descriptors of WASI 0.2's wasi-libc, through its `poll`. Its faults end here:
//!
//! - it traps when no descriptor of the call can become ready and there is no
//!   timeout: there always is one;
//! - it fails as a whole for one descriptor that is not open, or a socket that is
//!   neither connected nor listening: those are found out and answered for;
//! - it knows no files with `poll`'s meaning: they do not get there.
//!
//! What it does not tell cannot be told without consuming something: end of file
//! and reset are "readable".

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use super::Kind;
use crate::backend::wasi_io::PollableList;
use crate::error::endless;
use crate::flags::PollFlags;
use crate::timeout::{Deadline, milliseconds};

/// How long the pollables wait between two looks at the descriptors: it doubles
/// from the first to the last.
const SLICES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(16)];

pub(super) fn kind(fd: RawFd) -> Kind {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: there is room for a stat; any number may be asked about.
    if unsafe { libc::fstat(fd, stat.as_mut_ptr()) } == -1 {
        let error = io::Error::last_os_error().raw_os_error();
        return if error == Some(libc::EBADF) { Kind::NotOpen } else { Kind::Socket };
    }
    // SAFETY: fstat has filled it.
    let mode = unsafe { stat.assume_init() }.st_mode & libc::S_IFMT;
    match mode {
        libc::S_IFREG | libc::S_IFDIR => Kind::Always,
        libc::S_IFSOCK => Kind::Socket,
        _ => Kind::Stream,
    }
}

/// The array that wasi-libc's `poll` takes.
#[derive(Default)]
pub(in super::super) struct Descriptors {
    fds: Vec<libc::pollfd>,
    slots: Vec<u32>,
}

impl Descriptors {
    pub(in super::super) fn clear(&mut self) {
        self.fds.clear();
        self.slots.clear();
    }

    /// Nothing but `IN` and `OUT` means anything to it, and an entry that wants
    /// nothing is never ready.
    pub(in super::super) fn push(&mut self, fd: RawFd, want: PollFlags, slot: u32) {
        let events = (want & (PollFlags::IN | PollFlags::OUT)).bits() as libc::c_short;
        if events != 0 {
            self.fds.push(libc::pollfd { fd, events, revents: 0 });
            self.slots.push(slot);
        }
    }

    pub(in super::super) fn is_empty(&self) -> bool {
        self.fds.is_empty()
    }

    /// Answers for what makes the whole call fail, and takes it out of the array.
    /// `false`: nothing does, by itself.
    fn find_out(&mut self, mut found: impl FnMut(u32, PollFlags)) -> bool {
        let before = self.fds.len();
        let mut at = 0;
        while at < self.fds.len() {
            let one = &mut self.fds[at..=at];
            let flags = match poll(one, 0) {
                Ok(_) => {
                    at += 1;
                    continue;
                }
                Err(error) if error.raw_os_error() == Some(libc::EBADF) => PollFlags::NVAL,
                // What Linux says of a socket that is neither connected nor listening.
                Err(_) => PollFlags::OUT | PollFlags::HUP,
            };
            found(self.slots[at], flags);
            self.fds.swap_remove(at);
            self.slots.swap_remove(at);
        }
        self.fds.len() < before
    }
}

fn poll(fds: &mut [libc::pollfd], timeout: i32) -> io::Result<usize> {
    // SAFETY: the array is valid.
    let ready = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout) };
    usize::try_from(ready).map_err(|_| io::Error::last_os_error())
}

impl PollableList {
    /// Waits for the descriptors: through wasi-libc alone if there is nothing else,
    /// otherwise in turns.
    pub(in super::super) fn wait_for_descriptors(
        &mut self,
        deadline: &mut Deadline,
    ) -> io::Result<bool> {
        let alone = self.asked.is_empty();
        let mut slice = SLICES[0];
        loop {
            let left = if self.ready.is_empty() { deadline.left() } else { Some(Duration::ZERO) };
            let timeout = match milliseconds(left) {
                _ if !alone => 0,
                // Never without one.
                -1 => i32::MAX,
                timeout => timeout,
            };
            match poll(&mut self.descriptors.fds, timeout) {
                Ok(_) => self.take_descriptors(),
                Err(error) => {
                    let mut descriptors = std::mem::take(&mut self.descriptors);
                    let better = descriptors.find_out(|slot, flags| self.found(slot, flags));
                    self.descriptors = descriptors;
                    if !better {
                        return Err(error);
                    }
                    if self.descriptors.is_empty() {
                        return self.after_all(deadline);
                    }
                    continue;
                }
            }
            let ready = !self.ready.is_empty();
            if !alone {
                let turn = match deadline.left() {
                    _ if ready => Duration::ZERO,
                    Some(left) => left.min(slice),
                    None => slice,
                };
                self.call(Some(turn), None);
                slice = (slice * 2).min(SLICES[1]);
            }
            if !self.ready.is_empty() || deadline.left().is_some() && deadline.passed() {
                return Ok(true);
            }
        }
    }

    /// No descriptor is left to wait for.
    fn after_all(&mut self, deadline: &mut Deadline) -> io::Result<bool> {
        let left = if self.ready.is_empty() { deadline.left() } else { Some(Duration::ZERO) };
        match left {
            None if self.asked.is_empty() => Err(endless()),
            Some(Duration::ZERO) if self.asked.is_empty() => Ok(true),
            _ => {
                self.call(left, deadline.at());
                Ok(false)
            }
        }
    }

    fn take_descriptors(&mut self) {
        let descriptors = std::mem::take(&mut self.descriptors);
        for (entry, &slot) in descriptors.fds.iter().zip(&descriptors.slots) {
            self.found(slot, PollFlags::from_bits_truncate(entry.revents as u16));
        }
        self.descriptors = descriptors;
    }
}
