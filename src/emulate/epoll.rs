//! epoll where the kernel has none: not yet.

use std::io;

use crate::event::EpollEvent;
use crate::flags::EpollFlags;
use crate::source::Source;
use crate::timeout::Until;

#[derive(Debug)]
pub(crate) struct EmulatedEpoll(std::convert::Infallible);

impl EmulatedEpoll {
    pub(crate) fn new(_flags: u32) -> io::Result<EmulatedEpoll> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "there is no epoll here"))
    }

    pub(crate) fn add(&self, _: Source<'_>, _: EpollFlags, _: u64) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn modify(&self, _: Source<'_>, _: EpollFlags, _: u64) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn delete(&self, _: Source<'_>) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn wait(&self, _: &mut [EpollEvent], _: Until<'_>) -> io::Result<usize> {
        match self.0 {}
    }

    pub(crate) fn close(self) -> io::Result<()> {
        match self.0 {}
    }
}
