//! Readiness on every target: `select`, `poll`, `epoll`, and a portable
//! [`Selector`], natively and in WebAssembly.
//!
//! | front end | what it is | Linux | other Unix | WASI 0.1 |
//! |---|---|---|---|---|
//! | [`select()`] | Python's `select.select` | poll(2) | poll(2) | `poll_oneoff` |
//! | [`Poll`] | Python's `select.poll()` | poll(2) | poll(2) | `poll_oneoff` |
//! | [`Epoll`] | Python's `select.epoll()` | epoll(7) | `Unsupported` | `Unsupported` |
//! | [`Selector`] | portable, with timers and wakers | epoll(7) | poll(2) | `poll_oneoff` |
//!
//! A source is anything with a descriptor: see [`AsSource`].
//!
//! **No interface here tells whether a file has grown.** A regular file is
//! always ready, on every target and through every front end: reading it never
//! blocks, at its end too. What does tell is inotify(7) on Linux, `EVFILT_VNODE`
//! of kqueue(2) on the BSDs and macOS, `ReadDirectoryChangesW` on Windows, and
//! asking for the file's size from a timer everywhere else, WASI included.
//!
//! ```
//! # #[cfg(unix)] {
//! use std::{io::Write, os::unix::net::UnixStream, time::Duration};
//! use readiness::select;
//!
//! let (mut tx, rx) = UnixStream::pair()?;
//! tx.write_all(b"x")?;
//! let ready = select([&rx], [], [], Some(Duration::from_secs(1)))?;
//! assert_eq!(ready.read.len(), 1);
//! # }
//! # Ok::<(), std::io::Error>(())
//! ```

#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
mod emulate;
mod epoll;
mod error;
mod event;
mod flags;
mod idents;
mod kevent;
mod kqueue;
#[cfg(feature = "net")]
pub mod net;
mod poll;
#[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
mod pollable;
mod select;
mod selector;

mod signals;
mod source;
mod timeout;
mod timers;

pub use epoll::Epoll;
pub use error::{FilterError, SourceError, os_error};
pub use event::EpollEvent;
pub use flags::{EpollCreate, EpollFlags, PIPE_BUF, PollFlags};
pub use kevent::{Filter, Kevent, KeventFlags, NoteFlags};
pub use kqueue::Kqueue;
pub use poll::{Poll, PollEvent};
#[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
pub use pollable::Pollable;
#[cfg(unix)]
pub use select::pselect;
pub use select::{Selected, Selection, select, select_interruptible, select_into};

pub use selector::{Event, Events, Interest, Mode, Registered, Selector, TimerId, Waker};
#[cfg(unix)]
pub use signals::SignalSet;
pub use source::{AsSource, RawSource, Source};

/// The error of every call: Python's `select.error`, which is `OSError`.
#[doc(alias = "OSError")]
pub use std::io::Error;
