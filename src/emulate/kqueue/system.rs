//! The filters of what Linux has beside descriptors: signals, processes, files.

mod proc;
mod signal;
mod vnode;

use std::io;
use std::os::fd::RawFd;

use super::host::Host;
use super::knote::{Knote, Knotes, What};
use super::read_write::Look;
use crate::backend::Key;
use crate::kevent::{Filter, Kevent, KeventFlags};

/// What a knote of these filters has.
pub(super) enum System {
    Signal(signal::Signal),
    Proc(proc::Proc),
    Vnode(vnode::Vnode),
}

/// What all of them share.
#[derive(Default)]
pub(super) struct Systems {
    signals: signal::Signals,
    vnodes: vnode::Vnodes,
}

pub(super) fn has(filter: Filter) -> bool {
    matches!(filter, Filter::Signal | Filter::Proc | Filter::Vnode)
}

impl Systems {
    pub(super) fn attach(
        &mut self,
        host: &mut Host,
        knotes: &mut Knotes,
        key: Key,
        change: &Kevent,
    ) -> io::Result<Knote> {
        let (what, flags) = match change.filter {
            Filter::Signal => {
                (System::Signal(self.signals.attach(host, knotes, change)?), KeventFlags::CLEAR)
            }
            Filter::Proc => (System::Proc(proc::attach(host, key, change)?), KeventFlags::CLEAR),
            _ => {
                let vnode = self.vnodes.attach(host, knotes, key, change)?;
                (System::Vnode(vnode), KeventFlags::empty())
            }
        };
        let mut knote = Knote::new(change, What::System(what));
        knote.kevent.flags |= flags;
        Ok(knote)
    }

    /// `ENOENT`, `EBADF`: the descriptor is not what was registered any more.
    pub(super) fn modify(
        &mut self,
        system: &mut System,
        key: Key,
        change: &Kevent,
    ) -> io::Result<()> {
        match system {
            System::Signal(_) => Ok(()),
            System::Proc(_) => proc::check(change),
            System::Vnode(vnode) => self.vnodes.modify(vnode, key, change),
        }
    }

    pub(super) fn detach(&mut self, host: &mut Host, key: Key, system: &System) -> io::Result<()> {
        match system {
            System::Signal(signal) => self.signals.detach(signal),
            System::Proc(proc) => proc.detach(host, key),
            System::Vnode(vnode) => return self.vnodes.detach(vnode, key),
        }
        Ok(())
    }

    /// Activates the knotes of what has happened and can be had without a call.
    pub(super) fn harvest(&mut self, knotes: &mut Knotes) {
        self.signals.harvest(knotes);
    }

    /// Takes an event of a descriptor of these filters. False if it is none.
    pub(super) fn take(&mut self, host: &mut Host, knotes: &mut Knotes, key: Key) -> bool {
        if self.signals.is(key) {
            self.signals.take(knotes);
            true
        } else if self.vnodes.is(key) {
            self.vnodes.take(knotes);
            true
        } else {
            proc::take(host, knotes, key)
        }
    }

    /// Has a knote looked at when a file is written to. False if nobody can tell.
    pub(super) fn watch_file(
        &mut self,
        host: &mut Host,
        knotes: &mut Knotes,
        key: Key,
        fd: RawFd,
    ) -> bool {
        self.vnodes.watch_file(host, knotes, key, fd).is_ok()
    }

    pub(super) fn forget_file(&mut self, key: Key) {
        self.vnodes.forget(key);
    }

    /// The descriptors that the host watches for these filters.
    pub(super) fn descriptors(&self, knotes: &Knotes) -> Vec<(Key, RawFd)> {
        let processes = knotes.iter().filter_map(|(key, knote)| match &knote.what {
            What::System(System::Proc(proc)) => proc.fd().map(|fd| (key, fd)),
            _ => None,
        });
        let own = [self.signals.descriptor(), self.vnodes.descriptor()];
        processes.chain(own.into_iter().flatten()).collect()
    }
}

/// Runs the filter of a knote that is active: what it has gathered.
pub(super) fn run(knote: &Knote) -> Look {
    let Kevent { data, fflags, .. } = knote.kevent;
    if let What::System(System::Vnode(vnode)) = &knote.what {
        if vnode.check().is_err() {
            return Look::Gone;
        }
    }
    let happened = match knote.kevent.filter {
        Filter::Signal => data > 0,
        _ => !fflags.is_empty(),
    };
    if !happened && !knote.is_oneshot() {
        return Look::NotReady;
    }
    Look::Ready { flags: KeventFlags::empty(), fflags, data }
}
