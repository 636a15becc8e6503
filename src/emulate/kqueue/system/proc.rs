//! `EVFILT_PROC`: the exit of any process that this one may see.

use std::io;
use std::os::fd::RawFd;

use super::super::error::{ESRCH, system, unsupported};
use super::super::host::Host;
use super::super::knote::{Knotes, What};
use super::System;
use crate::backend::Key;
use crate::backend::linux::Process;
use crate::kevent::{Filter, Kevent, KeventFlags, NoteFlags};

pub(in super::super) struct Proc {
    process: Process,
    /// It has exited, and the host need not watch it any more.
    over: bool,
}

/// Refuses what nobody on Linux tells.
pub(super) fn check(change: &Kevent) -> io::Result<()> {
    let missing = NoteFlags::FORK | NoteFlags::EXEC | NoteFlags::TRACK;
    if change.fflags.intersects(missing) {
        return Err(unsupported(Filter::Proc, "nobody tells of forks and execs, only of exits"));
    }
    Ok(())
}

pub(super) fn attach(host: &mut Host, key: Key, change: &Kevent) -> io::Result<Proc> {
    check(change)?;
    let id = i32::try_from(change.ident).map_err(|_| system(ESRCH))?;
    let process = Process::open(id)?;
    // One that has exited and was not waited for yet is told at once.
    host.watch_own(key, process.fd())?;
    Ok(Proc { process, over: false })
}

impl Proc {
    pub(super) fn fd(&self) -> Option<RawFd> {
        (!self.over).then(|| self.process.fd())
    }

    pub(super) fn detach(&self, host: &mut Host, key: Key) {
        if !self.over {
            host.forget_own(key, self.process.fd());
        }
    }
}

/// A process has exited.
pub(super) fn take(host: &mut Host, knotes: &mut Knotes, key: Key) -> bool {
    let Some(knote) = knotes.get_mut(key) else { return false };
    let What::System(System::Proc(proc)) = &mut knote.what else { return false };
    if !proc.over {
        proc.over = true;
        host.forget_own(key, proc.process.fd());
        knote.kevent.flags |= KeventFlags::EOF | KeventFlags::ONESHOT;
        knote.kevent.data = proc.process.status();
        if knote.asked.contains(NoteFlags::EXIT) {
            knote.kevent.fflags |= NoteFlags::EXIT;
            knotes.activate(key);
        }
    }
    true
}
