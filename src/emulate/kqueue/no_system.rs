//! Where there are no signals, processes and files to watch.

use std::convert::Infallible;
use std::io;

use super::error::unsupported;
use super::host::Host;
use super::knote::{Knote, Knotes};
use super::read_write::Look;
use crate::backend::Key;
use crate::kevent::{Filter, Kevent};

pub(super) type System = Infallible;

#[derive(Default)]
pub(super) struct Systems {}

pub(super) fn has(_filter: Filter) -> bool {
    false
}

impl Systems {
    pub(super) fn attach(
        &mut self,
        _host: &mut Host,
        _knotes: &mut Knotes,
        _key: Key,
        change: &Kevent,
    ) -> io::Result<Knote> {
        Err(unsupported(change.filter, "this target has no such filter"))
    }

    pub(super) fn modify(&mut self, system: &mut System, _: Key, _: &Kevent) -> io::Result<()> {
        match *system {}
    }

    pub(super) fn detach(&mut self, _: &mut Host, _: Key, system: &System) -> io::Result<()> {
        match *system {}
    }

    pub(super) fn harvest(&mut self, _knotes: &mut Knotes) {}

    pub(super) fn take(&mut self, _: &mut Host, _: &mut Knotes, _: Key) -> bool {
        false
    }

    pub(super) fn watch_file(&mut self, _: &mut Host, _: &mut Knotes, _: Key, _fd: i32) -> bool {
        false
    }

    pub(super) fn forget_file(&mut self, _key: Key) {}

    pub(super) fn descriptors(&self, _knotes: &Knotes) -> Vec<(Key, i32)> {
        Vec::new()
    }
}

pub(super) fn run(_knote: &Knote) -> Look {
    Look::NotReady
}
