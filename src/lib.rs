//! Readiness on every target: `select`, `poll`, `epoll`, `kqueue`, and a portable
//! [`Selector`], natively and in WebAssembly.
//!
//! | front end | what it is | Linux | macOS, BSDs | Windows | WASI 0.1 | WASI 0.2 |
//! |---|---|---|---|---|---|---|
//! | [`select()`] | Python's `select.select` | poll(2) | poll(2) | select | `poll_oneoff` | `wasi:io/poll` |
//! | [`Poll`] | Python's `select.poll()` | poll(2) | poll(2) | select | `poll_oneoff` | `wasi:io/poll` |
//! | [`Epoll`] | Python's `select.epoll()` | epoll(7) | emulated | emulated | emulated | emulated |
//! | [`Kqueue`] | Python's `select.kqueue()` | emulated | kqueue(2) | emulated | emulated | emulated |
//! | [`Selector`] | portable, with timers and wakers | epoll(7) | kqueue(2) | select | `poll_oneoff` | `wasi:io/poll` |
//!
//! On other Unix the [`Selector`] stands on poll(2), and both sets are emulated.
//! Where there is no host at all (wasm32-unknown-unknown) everything compiles and
//! answers `Unsupported`. Solaris's and illumos's `/dev/poll`, Python's `devpoll`,
//! is not offered: poll(2) and event ports have taken its place there, no other
//! system has it, and what it saves the emulated epoll saves too.
//!
//! A source is anything with a descriptor: see [`AsSource`].
//!
//! **No interface here tells whether a file has grown.** A regular file is
//! always ready, on every target and through every front end: reading it never
//! blocks, at its end too. What does tell is [`Filter::Vnode`] of a [`Kqueue`] on
//! Linux (which is inotify(7) there), the BSDs and macOS, `ReadDirectoryChangesW`
//! on Windows, and asking for the file's size from a timer everywhere else, WASI
//! included.
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
//!
//! # Threads
//!
//! | type | `Send` and `Sync` | |
//! |---|---|---|
//! | [`Selector`], [`Waker`], [`Epoll`], [`Kqueue`] | yes | any thread may use one while another waits on it |
//! | [`Poll`], [`Selection`], [`Events`] | yes | a wait has one to itself, by `&mut` |
//! | [`Registered`], [`Selected`] | as the sources | |
//! | [`Event`], [`PollEvent`], [`EpollEvent`], [`Kevent`], [`TimerId`], [`RawSource`], the flags and the errors | yes | plain values |
//! | [`Source`] | no | on loan for a call |

#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
mod emulate;
mod epoll;
mod error;
mod event;
mod flags;
mod idents;
mod index;
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
pub use select::{
    Selected, Selection, select, select_interruptible, select_into, select_into_interruptible,
};
#[cfg(unix)]
pub use select::{pselect, pselect_into};
pub use selector::{Event, Events, Interest, Mode, Registered, Selector, TimerId, Waker};
#[cfg(unix)]
pub use signals::SignalSet;
pub use source::{AsSource, RawSource, Source};

/// The error of every call: Python's `select.error`, which is `OSError`.
#[doc(alias = "OSError")]
pub use std::io::Error;
