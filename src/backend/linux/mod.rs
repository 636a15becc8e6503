//! What Linux has beside waiting, in safe functions: counts, files, timers,
//! processes, inotify.
//!
//! Each looks and takes nothing away, so that any number may be asked about.

#![allow(dead_code, reason = "not all of it is needed by each backend")]

mod count;
mod fork;
mod sock_diag;
#[cfg(not(readiness_backend = "poll"))]
mod timerfd;

pub(crate) use count::{Kind, ahead, kind, read, write};
pub(crate) use fork::process;
#[cfg(not(readiness_backend = "poll"))]
pub(crate) use timerfd::TimerFd;
