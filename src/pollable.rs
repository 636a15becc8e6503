//! `Pollable`: anything of WASI 0.2 that can be waited on.

#![allow(unsafe_code, reason = "a constructor that only the caller can vouch for")]

use std::fmt;
use std::sync::{Arc, Weak};

use wasip2::io::poll::Pollable as HostPollable;

use crate::source::{AsSource, Source};

/// A pollable of WASI 0.2 as a source: of a socket, a stream, a timer, a request
/// that is under way, or something of a component that somebody else wrote.
///
/// It is on wasm32-wasip2, and on wasm32-wasip1 with the feature `wasi-io`.
///
/// - **Ownership.** Whoever has a clone has the pollable: a registration has one, so
///   that the host never sees a handle that was dropped (it would trap). The last
///   one drops it. What the pollable was made from (the stream, the socket) has
///   to outlive it: unregister it and drop every clone first.
/// - **Directions.** A pollable is ready or not, and knows no directions: it is
///   reported with what was wanted of it, `IN`, `OUT` or both.
/// - **Beside descriptors.** A wait takes both. On wasm32-wasip1 that is one call of
///   the host. On wasm32-wasip2 a socket of std is a descriptor of wasi-libc, which
///   keeps its pollables to itself: with such sockets in the same wait it looks at
///   them in turns with the pollables, and a socket is seen 16 ms late at most.
/// - **Threads.** It is `Send` and `Sync` like any source; there is one thread.
/// - Its number ([`RawSource::number`](crate::RawSource::number)) is its handle.
///
/// ```ignore
/// let timer = Pollable::from(wasip2::clocks::monotonic_clock::subscribe_duration(1_000_000));
/// let mut poll = Poll::new();
/// poll.register(&timer, PollFlags::IN)?;
/// poll.register(&std::io::stdin(), PollFlags::IN)?;
/// for event in poll.poll(None)? {
///     println!("{:?}", event.source);
/// }
/// ```
///
/// Follows [wasi:io/poll](https://github.com/WebAssembly/wasi-io/blob/main/wit/poll.wit).
#[derive(Clone)]
pub struct Pollable(Arc<HostPollable>);

/// A pollable that may be gone.
pub(crate) struct WeakPollable(Weak<HostPollable>);

impl WeakPollable {
    pub(crate) fn upgrade(&self) -> Option<Pollable> {
        self.0.upgrade().map(Pollable)
    }
}

impl Pollable {
    /// Takes over a handle that the component has, as from another language.
    ///
    /// # Safety
    /// `handle` is an own handle of a `wasi:io/poll` pollable in this component,
    /// and nobody else drops it.
    #[must_use]
    pub unsafe fn from_handle(handle: u32) -> Pollable {
        // SAFETY: the caller says so.
        Pollable(Arc::new(unsafe { HostPollable::from_handle(handle) }))
    }

    /// What does not keep it.
    pub(crate) fn downgrade(&self) -> WeakPollable {
        WeakPollable(Arc::downgrade(&self.0))
    }

    /// Its handle. It stays this pollable's.
    #[must_use]
    pub fn handle(&self) -> u32 {
        self.0.handle()
    }

    /// Whether it is ready now.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.0.ready()
    }

    /// Gives the pollable back, if this is the only clone: nothing that it is
    /// registered with has one.
    ///
    /// # Errors
    /// `self`, if there are others.
    pub fn into_inner(self) -> Result<HostPollable, Pollable> {
        Arc::try_unwrap(self.0).map_err(Pollable)
    }
}

impl From<HostPollable> for Pollable {
    fn from(pollable: HostPollable) -> Pollable {
        Pollable(Arc::new(pollable))
    }
}

impl From<Arc<HostPollable>> for Pollable {
    fn from(pollable: Arc<HostPollable>) -> Pollable {
        Pollable(pollable)
    }
}

impl AsSource for Pollable {
    fn as_source(&self) -> Source<'_> {
        Source::from(self)
    }
}

impl fmt::Debug for Pollable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pollable").field(&self.handle()).finish()
    }
}
