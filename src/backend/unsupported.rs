//! No host at all (wasm32-unknown-unknown): everything compiles and answers
//! `Unsupported`. Also the template of a port.

use std::io;

use super::List;
use crate::flags::PollFlags;
use crate::source::{Held, RawSource};
use crate::timeout::Until;

/// The error of a call on a source that is not open.
pub(crate) const NOT_OPEN: i32 = 0;

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this target has no host to wait with"))
}

#[derive(Clone, Copy)]
pub(crate) struct SignalSet;

/// What ends a wait from another thread.
pub(crate) struct Wake;

impl Wake {
    pub(crate) fn new() -> io::Result<Wake> {
        unsupported()
    }

    /// What the list has to watch, if that is how the host is woken.
    pub(crate) fn source(&self) -> Option<Held> {
        None
    }

    pub(crate) fn wake(&self) -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn drain(&self) {}
}

/// Whether a source is open and can be waited on.
pub(crate) fn check_source(_source: &Held) -> io::Result<()> {
    unsupported()
}

/// Whether a source is always ready: no socket is.
pub(crate) fn is_file(source: &Held) -> io::Result<bool> {
    check_source(source).map(|()| false)
}

#[derive(Default)]
pub(crate) struct NoList;

impl List for NoList {
    const NAME: &'static str = "unsupported";

    fn put(&mut self, _slot: usize, _source: &Held, _want: PollFlags) {}
    fn source(&self, _slot: usize) -> Option<RawSource> {
        None
    }
    fn put_set(&mut self, _slot: usize, _id: u64) {}
    fn tell(&mut self, _slot: usize, _flags: PollFlags) {}
    fn set(&mut self, _slot: usize, _want: PollFlags) {}
    fn vacate(&mut self, _slot: usize) {}
    fn len(&self) -> usize {
        0
    }
    fn truncate(&mut self, _slots: usize) {}
    fn compact(&mut self, _moved: impl FnMut(usize, usize)) {}
    fn wait(&mut self, _until: &Until<'_>) -> io::Result<usize> {
        unsupported()
    }
    fn ready(&self) -> impl Iterator<Item = (usize, PollFlags)> {
        std::iter::empty()
    }
}
