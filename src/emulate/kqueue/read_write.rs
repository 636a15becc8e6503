//! `EVFILT_READ` and `EVFILT_WRITE`.

use std::io;
use std::sync::Weak;
use std::time::{Duration, Instant};

use super::Shared;
use super::error::{self, EBADF, ENOENT, system};
use super::host::{Host, Mode, Own};
use super::knote::Knote;
use crate::backend::probe::{self, Probe};
use crate::backend::{Added, Key, identity};
use crate::flags::PollFlags;
use crate::kevent::{Filter, Kevent, KeventFlags, NoteFlags};
use crate::source::Held;
use crate::timers::{TimerKey, Timers};

/// A descriptor's side that is watched.
pub(super) struct Io {
    pub(super) source: Held,
    pub(super) kind: probe::Kind,
    /// It is a kqueue.
    pub(super) nested: Option<Weak<Shared>>,
    pub(super) how: How,
    pub(super) again: Again,
}

pub(super) enum How {
    /// The host watches it.
    Watched {
        /// It said that it is ready when it is not for us, and tells changes alone
        /// until it is.
        quiet: bool,
    },
    /// A file, which no host watches.
    File { identity: Option<(u64, u64)> },
}

/// When to look again at what nobody tells changes of.
#[derive(Default)]
pub(super) struct Again {
    running: Option<TimerKey>,
    pause: Duration,
}

impl Again {
    const FIRST: Duration = Duration::from_millis(1);
    const LAST: Duration = Duration::from_millis(256);

    /// After a pause that grows.
    pub(super) fn later(&mut self, timers: &mut Timers, key: Key) {
        if self.running.is_none() {
            self.pause = (self.pause * 2).clamp(Again::FIRST, Again::LAST);
            let at = Instant::now() + self.pause;
            self.running = Some(timers.start(key.bits(), at, None));
        }
    }

    /// Now.
    pub(super) fn now(&mut self) {
        self.running = None;
    }

    /// Not at all, unless asked anew.
    pub(super) fn stop(&mut self, timers: &mut Timers) {
        if let Some(running) = self.running.take() {
            timers.stop(running);
        }
        self.pause = Duration::ZERO;
    }
}

/// What a look at a source says.
pub(super) enum Look {
    NotReady,
    /// Less than asked for, and nobody tells when there is more.
    TooLittle,
    Ready {
        flags: KeventFlags,
        fflags: NoteFlags,
        data: i64,
    },
    /// The descriptor is not what was registered any more.
    Gone,
}

/// The flags of the host that concern a filter.
pub(super) fn want(filter: Filter) -> PollFlags {
    if filter == Filter::Read { PollFlags::IN | PollFlags::RDHUP } else { PollFlags::OUT }
}

pub(super) fn source(change: &Kevent) -> io::Result<Held> {
    probe::held(change.ident).ok_or_else(|| system(EBADF))
}

/// Begins to watch.
pub(super) fn attach(
    host: &mut Host,
    own: &Own,
    key: Key,
    source: Held,
    knote: &Knote,
) -> io::Result<Io> {
    let filter = knote.kevent.filter;
    let kind = probe::kind(&source)?;
    let nested = host.nested(&source, kind, filter)?;
    let mut how = How::Watched { quiet: false };
    if probe::is_file(kind) {
        how = How::File { identity: identity(&source) };
    } else if host.watch(own, key, &source, filter, mode(knote))? == Added::AlwaysReady {
        // A device that never blocks.
        how = How::File { identity: identity(&source) };
    }
    if matches!(how, How::File { .. }) && filter == Filter::Write {
        return Err(error::refused(filter, "it does not watch files"));
    }
    Ok(Io { source, kind, nested, how, again: Again::default() })
}

/// How the host is to tell of a knote.
fn mode(knote: &Knote) -> Mode {
    match knote.disabled {
        true => Mode::Off,
        false if knote.clears() => Mode::Edge,
        false => Mode::Level,
    }
}

/// Arms it again, after a modify or a report that disabled it. `NotFound`: the
/// descriptor is another one by now.
pub(super) fn arm(host: &mut Host, key: Key, knote: &mut Knote) -> io::Result<()> {
    let mode = mode(knote);
    let filter = knote.kevent.filter;
    let super::knote::What::Io(io) = &mut knote.what else { return Ok(()) };
    match &mut io.how {
        How::Watched { quiet } => {
            *quiet = false;
            host.change(key, &io.source, filter, mode)
        }
        How::File { identity: before } => match identity(&io.source) {
            None if probe::has_identity() => Err(system(EBADF)),
            now if now != *before => Err(system(ENOENT)),
            _ => Ok(()),
        },
    }
}

/// Runs the filter, after the host said `flags`.
pub(super) fn look(
    host: &Host,
    io: &Io,
    filter: Filter,
    asked: NoteFlags,
    least: i64,
    flags: PollFlags,
) -> Look {
    if flags.contains(PollFlags::NVAL) || !host.is_same(&io.source, filter) {
        return Look::Gone;
    }
    let probed = if filter == Filter::Read {
        probe::read(&io.source, io.kind, flags)
    } else {
        probe::write(&io.source, io.kind, flags)
    };
    let Ok(Probe::Ready { data, eof, error, anyway }) = probed else {
        return if probed.is_ok() { Look::NotReady } else { Look::Gone };
    };
    let nested = io.nested.as_ref().and_then(Weak::upgrade);
    let data = nested.map_or(data, |nested| nested.pending() as i64);
    if io.nested.is_some() && data == 0 {
        return Look::NotReady;
    }
    if asked.contains(NoteFlags::LOWAT) && data < least && !anyway {
        // Whatever comes in is told, but not all that goes out.
        return if filter == Filter::Write { Look::TooLittle } else { Look::NotReady };
    }
    let flags = if eof { KeventFlags::EOF } else { KeventFlags::empty() };
    Look::Ready { flags, fflags: NoteFlags::from_bits_retain(error as u32), data }
}

/// Runs the filter of a file: how far its end is.
pub(super) fn look_at_file(io: &Io, asked: NoteFlags) -> Look {
    let How::File { identity: before } = io.how else { return Look::Gone };
    if identity(&io.source) != before {
        return Look::Gone;
    }
    match probe::ahead(&io.source, io.kind) {
        Err(_) => Look::Gone,
        Ok(0) if !asked.contains(NoteFlags::FILE_POLL) && probe::is_file(io.kind) => Look::NotReady,
        Ok(data) => Look::Ready { flags: KeventFlags::empty(), fflags: NoteFlags::empty(), data },
    }
}
