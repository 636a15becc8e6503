//! `EVFILT_READ` and `EVFILT_WRITE`.

use std::cell::Cell;
use std::io;
use std::sync::Weak;
use std::time::Duration;

use super::Shared;
use super::error::{self, EBADF, ENOENT, system};
use super::host::{Host, Mode, Own};
use super::knote::{Knote, What};
use crate::backend::probe::{self, Probe};
use crate::backend::{Added, Identity, Key};
use crate::flags::PollFlags;
use crate::idents;
use crate::kevent::{Filter, Kevent, KeventFlags, NoteFlags};
use crate::source::Member;
use crate::timeout::Instant;
use crate::timers::{TimerKey, Timers};

/// A source's side that is watched.
pub(super) struct Io {
    pub(super) source: Member,
    /// `None`: a set.
    kind: Option<probe::Kind>,
    /// What tells it from another one with its number, if the host does not.
    identity: Option<Identity>,
    /// It is a kqueue.
    nested: Option<Weak<Shared>>,
    pub(super) how: How,
    pub(super) again: Again,
    /// How often it was told; after the first times, modulo [`RARELY`].
    told: Cell<u8>,
    repeats: Repeats,
}

pub(super) enum How {
    /// The host watches it.
    Watched { tells: Tells },
    /// A file, which no host watches.
    File {
        /// How far its end was when it was looked at last.
        ahead: i64,
    },
}

/// What the host is asked to tell of a knote.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tells {
    /// As the knote is: its level, its changes, nothing.
    All,
    /// Changes alone, though it is a level: the host said that it is ready when it
    /// is not for us.
    Quiet,
    /// Its end alone: it is ready, nothing happens, and to count is to see what does.
    Standing,
}

/// A level that is reported again and again.
#[derive(Default)]
struct Repeats {
    data: i64,
    times: u8,
}

/// After how many reports of the same count a source is taken to stand.
const STANDS: u8 = 16;
/// Whether a number is still its own is looked up at the first reports, so many, and
/// after that once in so many.
const RARELY: u8 = 16;

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

pub(super) fn source(change: &Kevent) -> io::Result<Member> {
    idents::source(change.ident).ok_or_else(|| system(EBADF))
}

/// Begins to watch.
pub(super) fn attach(
    host: &mut Host,
    own: &Own,
    key: Key,
    source: Member,
    knote: &Knote,
) -> io::Result<Io> {
    let filter = knote.kevent.filter;
    let kind = match &source {
        Member::Host(held) => Some(probe::kind(held)?),
        Member::Set(..) => None,
    };
    let nested = host.nested(own, &source, kind, filter)?;
    let mut how = How::Watched { tells: Tells::All };
    let file = kind.is_some_and(probe::is_file);
    // A device that never blocks is a file to us.
    if file || host.watch(own, key, &source, filter, mode(knote))? == Added::AlwaysReady {
        if filter == Filter::Write {
            return Err(error::refused(filter, "it does not watch files"));
        }
        how = How::File { ahead: 0 };
    }
    let file = matches!(how, How::File { .. });
    let looked_up = file || !Host::TELLS_APART || kind.is_some_and(probe::has_identity);
    let identity = if looked_up { source.identity() } else { None };
    let again = Again::default();
    let (told, repeats) = (Cell::default(), Repeats::default());
    Ok(Io { source, kind, identity, nested, how, again, told, repeats })
}

/// How the host is to tell of a knote.
fn mode(knote: &Knote) -> Mode {
    match knote.disabled {
        true => Mode::Off,
        false if knote.clears() => Mode::Edge,
        false => Mode::Level,
    }
}

/// How the host tells of a knote now.
pub(super) fn present_mode(knote: &Knote) -> Mode {
    match &knote.what {
        _ if knote.disabled => mode(knote),
        What::Io(io) if io.is_quiet() => Mode::Edge,
        What::Io(io) if io.stands() => Mode::End,
        _ => mode(knote),
    }
}

impl Io {
    /// Whether the number still is what was registered, as far as we can tell
    /// without the host.
    fn check(&self) -> io::Result<()> {
        match self.identity {
            None => self.source.check(),
            same if same == self.source.identity() => Ok(()),
            _ => self.source.check().and(Err(system(ENOENT))),
        }
    }

    /// The number of a descriptor or socket.
    pub(super) fn number(&self) -> Option<i32> {
        match &self.source {
            Member::Host(held) => i32::try_from(held.raw().number()).ok(),
            Member::Set(..) => None,
        }
    }

    pub(super) fn stands(&self) -> bool {
        matches!(self.how, How::Watched { tells: Tells::Standing })
    }

    pub(super) fn is_quiet(&self) -> bool {
        matches!(self.how, How::Watched { tells: Tells::Quiet })
    }

    /// Whether the number still is what was registered. The file's own number tells
    /// most; of the others (eventfds and their like) the host knows.
    pub(super) fn is_same(&self, host: &Host, filter: Filter) -> bool {
        match self.how {
            How::Watched { .. } if Host::TELLS_APART && self.identity.is_none() => {
                host.is_same(&self.source, filter)
            }
            _ => self.check().is_ok(),
        }
    }

    /// Counts a report. False where the host, which drops what is closed, and a count
    /// that does not contradict it will do: a number that was right so often is looked
    /// up rarely, for that costs as much as counting. So is one that only the host can
    /// look up, among many.
    fn has_to_be_looked_up(&self, host: &Host) -> bool {
        let told = match self.told.get() + 1 {
            told if told == 2 * RARELY => RARELY,
            told => told,
        };
        self.told.set(told);
        let cheap = self.identity.is_some() || !host.has_many();
        !Host::TELLS_APART || told == RARELY || (told < RARELY && cheap)
    }
}

/// Arms it again, after a modify or a report that disabled it. `ENOENT`, `EBADF`:
/// the number is another source's by now.
pub(super) fn arm(host: &mut Host, key: Key, knote: &mut Knote) -> io::Result<()> {
    let mode = mode(knote);
    let filter = knote.kevent.filter;
    let What::Io(io) = &mut knote.what else { return Ok(()) };
    if matches!(io.how, How::File { .. }) || !Host::TELLS_APART {
        io.check()?;
    }
    match &mut io.how {
        How::Watched { tells } => {
            *tells = Tells::All;
            io.repeats = Repeats::default();
            host.change(key, &io.source, filter, mode)
        }
        How::File { .. } => Ok(()),
    }
}

/// Stops watching. An error: the number is another source's by now.
pub(super) fn detach(host: &mut Host, key: Key, io: &Io, filter: Filter) -> io::Result<()> {
    let same = match io.how {
        How::Watched { .. } if Host::TELLS_APART => Ok(()),
        _ => io.check(),
    };
    match io.how {
        How::Watched { .. } => host.forget(key, &io.source, filter).and(same),
        How::File { .. } => same,
    }
}

/// Runs the filter, after the host said `flags`.
///
/// A count tells whether the number is open, and mostly whether it still is the
/// source's: it is looked up if the count contradicts the host, or rarely.
#[inline]
pub(super) fn look(
    host: &Host,
    io: &Io,
    filter: Filter,
    asked: NoteFlags,
    least: i64,
    flags: PollFlags,
) -> Look {
    if flags.contains(PollFlags::NVAL) {
        return Look::Gone;
    }
    let probed = match (&io.source, io.kind) {
        (Member::Host(held), Some(kind)) if filter == Filter::Read => {
            probe::read(held, kind, flags)
        }
        (Member::Host(held), Some(kind)) => probe::write(held, kind, flags),
        _ => Ok(probe::by_flags(flags)),
    };
    let Ok(probed) = probed else { return Look::Gone };
    let plain = is_plain(flags) && matches!(probed, Probe::Ready { data: 1.., eof: false, .. });
    if (!plain || io.has_to_be_looked_up(host)) && !io.is_same(host, filter) {
        return Look::Gone;
    }
    let Probe::Ready { mut data, eof, error, anyway } = probed else { return Look::NotReady };
    if let Some(nested) = &io.nested {
        data = nested.upgrade().map_or(0, |nested| nested.pending() as i64);
        if data == 0 {
            return Look::NotReady;
        }
    }
    if asked.contains(NoteFlags::LOWAT) && data < least && (!anyway || io.nested.is_some()) {
        // Whatever comes in is told, but not all that goes out.
        return if filter == Filter::Write { Look::TooLittle } else { Look::NotReady };
    }
    let flags = if eof { KeventFlags::EOF } else { KeventFlags::empty() };
    Look::Ready { flags, fflags: NoteFlags::from_bits_retain(error as u32), data }
}

/// Ready, without an end or an error.
pub(super) fn is_plain(flags: PollFlags) -> bool {
    !flags.intersects(PollFlags::HUP | PollFlags::RDHUP | PollFlags::ERR)
}

/// Whether a source that is a level, was reported with this much, and is the only
/// one's to wait for, now stands.
pub(super) fn begin_to_stand(host: &mut Host, key: Key, knote: &mut Knote, data: i64) -> bool {
    let What::Io(io) = &mut knote.what else { return false };
    if io.repeats.data != data {
        io.repeats = Repeats { data, times: 0 };
        return false;
    }
    io.repeats.times += 1;
    if io.repeats.times < STANDS {
        return false;
    }
    io.repeats.times = 0;
    let How::Watched { tells } = &mut io.how else { return false };
    let counts = Host::EDGES && io.kind.is_some_and(probe::has_bytes);
    let ends = KeventFlags::CLEAR | KeventFlags::ONESHOT | KeventFlags::DISPATCH;
    if !counts || *tells != Tells::All || knote.kevent.flags.intersects(ends) {
        return false;
    }
    let filter = knote.kevent.filter;
    if filter != Filter::Read || host.change(key, &io.source, filter, Mode::End).is_err() {
        return false;
    }
    *tells = Tells::Standing;
    true
}

/// Reports a source if it still stands: there is as much as before.
#[inline]
pub(super) fn stands(host: &Host, knote: &mut Knote) -> Option<Kevent> {
    let What::Io(io) = &mut knote.what else { return None };
    let Member::Host(held) = &io.source else { return None };
    if !io.stands() {
        return None;
    }
    let Repeats { data, times } = &mut io.repeats;
    *times = (*times + 1) % RARELY;
    let same =
        *times != 0 || (host.is_same(&io.source, knote.kevent.filter) && probe::is_readable(held));
    (same && probe::bytes(held) == Some(*data)).then(|| knote.kevent.with_data(*data))
}

/// Runs the filter of a file: how far its end is.
pub(super) fn look_at_file(io: &mut Io, asked: NoteFlags) -> Look {
    if io.check().is_err() {
        return Look::Gone;
    }
    let (Member::Host(held), Some(kind), How::File { ahead }) = (&io.source, io.kind, &mut io.how)
    else {
        return Look::Gone;
    };
    match probe::ahead(held, kind) {
        Err(_) => Look::Gone,
        Ok(0) if !asked.contains(NoteFlags::FILE_POLL) && probe::is_file(kind) => {
            *ahead = 0;
            Look::NotReady
        }
        Ok(data) => {
            *ahead = data;
            Look::Ready { flags: KeventFlags::empty(), fflags: NoteFlags::empty(), data }
        }
    }
}

/// Whether a file that nobody watches has grown, or was moved away from its end.
pub(super) fn has_grown(io: &mut Io, asked: NoteFlags) -> bool {
    let How::File { ahead: before } = io.how else { return false };
    match look_at_file(io, asked) {
        Look::Ready { data, .. } => data > before || before == 0,
        Look::Gone => true,
        _ => false,
    }
}
