//! `EVFILT_USER`: events that the program triggers.

use super::knote::{Knote, What};
use crate::kevent::{Kevent, KeventFlags, NoteFlags};

pub(super) fn attach(change: &Kevent) -> Knote {
    let triggered = change.fflags.contains(NoteFlags::TRIGGER);
    let mut knote = Knote::new(change, What::User { triggered });
    knote.asked &= NoteFlags::FFLAGSMASK;
    knote
}

/// A modify: what it triggers, what it does to the user's flags. One with `CLEAR`
/// also resets the event.
pub(super) fn touch(knote: &mut Knote, change: &Kevent) {
    let What::User { triggered } = &mut knote.what else { return };
    if change.fflags.contains(NoteFlags::TRIGGER) {
        *triggered = true;
    }
    let flags = change.fflags & NoteFlags::FFLAGSMASK;
    let operation = change.fflags & NoteFlags::FFCTRLMASK;
    if operation == NoteFlags::FFAND {
        knote.asked &= flags;
    } else if operation == NoteFlags::FFOR {
        knote.asked |= flags;
    } else if operation == NoteFlags::FFCOPY {
        knote.asked = flags;
    }
    knote.argument = change.data;
    if change.flags.contains(KeventFlags::CLEAR) {
        *triggered = false;
    }
}
