//! What Linux has beside waiting, in safe functions: counts, files, timers,
//! processes, inotify.
//!
//! Each looks and takes nothing away, so that any number may be asked about.

#![allow(dead_code, reason = "not all of it is needed by each backend")]

mod count;
mod fork;
mod inotify;
mod pidfd;
mod signal;
mod sock_diag;
#[cfg(not(readiness_backend = "poll"))]
mod timerfd;

pub(crate) use count::{Kind, ahead, bytes, is_readable, kind, read, write};
pub(crate) use fork::process;
pub(crate) use inotify::{FileEvent, FileState, Inotify};
pub(crate) use pidfd::Process;
pub(crate) use signal::{Counter, Told, can_be_counted};
#[cfg(not(readiness_backend = "poll"))]
pub(crate) use timerfd::TimerFd;
