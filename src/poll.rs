//! `Poll`: Python's `select.poll()` object.

use std::time::Duration;
use std::{fmt, io};

use crate::backend::SourceList;
use crate::error::not_registered;
use crate::flags::PollFlags;
use crate::index::Index;
#[cfg(unix)]
use crate::signals::SignalSet;
use crate::source::{AsSource, RawSource, Source};
use crate::timeout::{Signals, Until};

/// A set of sources and the events wanted of each: Python's `select.poll()`.
///
/// - Results come in the order of registration.
/// - A registration is weak: it keeps the source's number. A source that was
///   closed is reported with [`NVAL`](PollFlags::NVAL) at each poll until it is
///   unregistered, and the others report beside it. A number that was given to
///   another source answers for that one: poll(2) cannot tell them apart. (In wasmtime a
///   file that got the number of something else is late: not yet with a timeout of zero.)
/// - Regular files and directories are always ready.
/// - [`ERR`](PollFlags::ERR), [`HUP`](PollFlags::HUP) and `NVAL` come unasked.
/// - It is `Send` and `Sync`; a wait has it to itself.
///
/// On Unix this is poll(2) itself, ppoll(2) where there is one: one array that
/// is kept and given to the kernel as it is. On Linux, where waits have mostly found
/// something at once, one begins with a call that does not sleep, which takes the
/// kernel half the time; in vain that is one wait in 256. In WASI 0.1 it is one call of
/// `poll_oneoff`; end of file is reported as `IN`, with `HUP` where the host says
/// so.
///
/// On Windows it is WinSock's select, for sockets alone and any number of them. A
/// connection that could not be made is `ERR | HUP`, with `IN` and `OUT` where
/// asked for; nothing else is `ERR` or `HUP`: the end of a stream and a reset are
/// `IN`. What is no open socket (a console, a pipe, a file, one that was closed)
/// is `NVAL`.
///
/// ```
/// # #[cfg(unix)] {
/// use std::{io::Write, os::unix::net::UnixStream, time::Duration};
/// use readiness::{AsSource, Poll, PollFlags};
///
/// let (mut tx, rx) = UnixStream::pair()?;
/// let mut poll = Poll::new();
/// poll.register(&rx, PollFlags::IN)?;
/// tx.write_all(b"x")?;
/// for event in poll.poll(Some(Duration::from_secs(1)))? {
///     assert_eq!(event.source, rx.raw_source());
///     assert_eq!(event.flags, PollFlags::IN);
/// }
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "pollfd")]
pub struct Poll {
    pub(crate) list: SourceList,
    /// From a source to its slot.
    pub(crate) index: Index,
    vacant: usize,
}

/// One source's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PollEvent {
    /// Which source.
    pub source: RawSource,
    /// What it is ready for: Python's second item, poll(2)'s `revents`.
    #[doc(alias = "revents")]
    pub flags: PollFlags,
}

impl Poll {
    /// An empty set.
    #[must_use]
    pub fn new() -> Poll {
        Poll { list: SourceList::default(), index: Index::default(), vacant: 0 }
    }

    /// Adds a source, or replaces the flags of one that is there already, which
    /// keeps its place. Python's default is [`PollFlags::default()`].
    ///
    /// # Errors
    /// None on Unix and WASI 0.1: a source that is not open says so when it is polled.
    pub fn register(
        &mut self,
        source: &(impl AsSource + ?Sized),
        flags: PollFlags,
    ) -> io::Result<()> {
        self.put(source.as_source(), flags);
        Ok(())
    }

    /// As [`register`](Poll::register). Where it is in the list.
    #[cfg_attr(target_family = "wasm", inline(never))]
    pub(crate) fn put(&mut self, source: Source<'_>, flags: PollFlags) -> usize {
        let code = source.raw().code();
        if let Some(slot) = self.index.get(code) {
            self.list.set(slot as usize, flags);
            return slot as usize;
        }
        let slot = self.list.len();
        self.list.put_source(slot, source, flags);
        self.index.insert(code, slot as u32);
        slot
    }

    /// Replaces the flags of a source.
    ///
    /// # Errors
    /// `NotFound` if it is not registered.
    pub fn modify(
        &mut self,
        source: &(impl AsSource + ?Sized),
        flags: PollFlags,
    ) -> io::Result<()> {
        let raw = source.raw_source();
        let slot = self.index.get(raw.code()).ok_or_else(|| not_registered("modify", raw))?;
        self.list.set(slot as usize, flags);
        Ok(())
    }

    /// Removes a source.
    ///
    /// # Errors
    /// `NotFound` if it is not registered.
    pub fn unregister(&mut self, source: &(impl AsSource + ?Sized)) -> io::Result<()> {
        self.unregister_raw(source.raw_source())
    }

    /// Removes a source by its name, as when it was closed meanwhile.
    ///
    /// # Errors
    /// `NotFound` if it is not registered.
    pub fn unregister_raw(&mut self, source: RawSource) -> io::Result<()> {
        let slot = self.index.get(source.code());
        let slot = slot.ok_or_else(|| not_registered("unregister", source))?;
        self.index.remove(source.code());
        self.list.vacate(slot as usize);
        self.vacant += 1;
        // An eighth of it vacant: worth moving the rest.
        if self.vacant * 8 > self.list.len() {
            self.compact();
        }
        Ok(())
    }

    /// The number of sources.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len() - self.vacant
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until a source is ready or the time is up, and gives what is ready
    /// in order of registration.
    ///
    /// `None` waits for ever, zero does not wait. A signal does not end it. With no
    /// sources it sleeps for the timeout.
    ///
    /// # Errors
    /// The host's own. On WASI, `InvalidInput` if there is neither a source nor a
    /// timeout: nothing could ever end the wait.
    #[inline]
    pub fn poll(
        &mut self,
        timeout: Option<Duration>,
    ) -> io::Result<impl Iterator<Item = PollEvent> + fmt::Debug + '_> {
        self.wait(Until::new(timeout, Signals::Resume))
    }

    /// [`poll`](Poll::poll) that answers
    /// [`Interrupted`](io::ErrorKind::Interrupted) when a signal comes.
    ///
    /// # Errors
    /// Those of `poll`, and `Interrupted`.
    pub fn poll_interruptible(
        &mut self,
        timeout: Option<Duration>,
    ) -> io::Result<impl Iterator<Item = PollEvent> + fmt::Debug + '_> {
        self.wait(Until::new(timeout, Signals::Report))
    }

    /// [`poll`](Poll::poll) with these signals blocked meanwhile: ppoll(2). It
    /// answers [`Interrupted`](io::ErrorKind::Interrupted) when another one comes.
    ///
    /// macOS has no ppoll(2), and illumos is taken not to have it: there the mask is
    /// exchanged around the call, and a signal just before it is handled without interrupting it.
    ///
    /// # Errors
    /// Those of `poll`, and `Interrupted`.
    #[cfg(unix)]
    pub fn ppoll(
        &mut self,
        timeout: Option<Duration>,
        mask: &SignalSet,
    ) -> io::Result<impl Iterator<Item = PollEvent> + fmt::Debug + '_> {
        self.wait(Until::new(timeout, Signals::Masked(mask)))
    }

    // Always: each return after a system call is mispredicted, 10 ns of 300.
    #[inline(always)]
    fn wait(
        &mut self,
        until: Until<'_>,
    ) -> io::Result<impl Iterator<Item = PollEvent> + fmt::Debug + '_> {
        self.list.wait(&until)?;
        let ready = self.list.ready_sources();
        Ok(Ready(ready.map(|(source, flags)| PollEvent { source, flags })))
    }

    fn compact(&mut self) {
        let Poll { list, index, vacant } = self;
        list.compact(|_, _| ());
        *vacant = 0;
        for slot in 0..list.len() {
            if let Some(source) = list.source(slot) {
                index.insert(source.code(), slot as u32);
            }
        }
    }
}

impl Default for Poll {
    fn default() -> Poll {
        Poll::new()
    }
}

impl fmt::Debug for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources = (0..self.list.len()).filter_map(|slot| self.list.source(slot));
        f.debug_set().entries(sources).finish()
    }
}

/// What is ready.
struct Ready<I>(I);

impl<I: Iterator> Iterator for Ready<I> {
    type Item = I::Item;

    #[inline]
    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

/// So that a result of `poll` has `unwrap_err` and the like.
impl<I> fmt::Debug for Ready<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ready")
    }
}
