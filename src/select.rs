//! `select()`.

use std::io;
use std::time::Duration;

use crate::backend::{HostList, List};
use crate::error::not_open;
use crate::flags::PollFlags;
#[cfg(unix)]
use crate::signals::SignalSet;
use crate::source::{AsSource, Index, RawSource};
use crate::timeout::{Signals, Until};

/// What [`select()`] found ready: the caller's own items, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Selected<'a, T> {
    /// Those of the first list whose read would not block.
    pub read: Vec<&'a T>,
    /// Those of the second list whose write would not block.
    pub write: Vec<&'a T>,
    /// Those of the third list with something exceptional: out-of-band data.
    pub except: Vec<&'a T>,
}

impl<T> Selected<'_, T> {
    /// Whether nothing is ready: the time was up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.read.is_empty() && self.write.is_empty() && self.except.is_empty()
    }
}

/// Waits until a source of one of three lists is ready or the time is up:
/// Python's `select.select`.
///
/// `None` waits for ever, zero does not wait. A signal does not end it. Any list
/// may be empty; with all three empty it sleeps for the timeout. A source may be
/// in several lists, or in one several times, and comes back as often. Sources of
/// different types make a list of `&dyn AsSource`.
///
/// There is no `FD_SETSIZE`: neither the number of sources nor the value of a
/// descriptor has a limit, for it is poll(2) on Unix and `poll_oneoff` in WASI
/// 0.1. What is ready is what select(2) says:
///
/// | list | poll(2)'s flags |
/// |---|---|
/// | `read` | `IN`, `RDNORM`, `RDBAND`, `HUP`, `ERR` |
/// | `write` | `OUT`, `WRNORM`, `WRBAND`, `ERR` |
/// | `except` | `PRI` |
///
/// A regular file is always ready to read and write. In WASI nothing is ever
/// exceptional.
///
/// # Errors
/// - A source that is not open: `EBADF`, by an error that names it
///   ([`SourceError`](crate::SourceError); [`os_error`](crate::os_error) reads
///   the number).
/// - On WASI `InvalidInput` if there is neither a source nor a timeout: nothing
///   could ever end the wait.
/// - The host's own.
///
/// Follows select(2): [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/select.html),
/// [Linux](https://man7.org/linux/man-pages/man2/select.2.html).
pub fn select<'a, T: AsSource>(
    read: &'a [T],
    write: &'a [T],
    except: &'a [T],
    timeout: Option<Duration>,
) -> io::Result<Selected<'a, T>> {
    items(read, write, except, Until::new(timeout, Signals::Resume))
}

/// [`select()`] that answers [`Interrupted`](io::ErrorKind::Interrupted) when a
/// signal comes.
///
/// # Errors
/// Those of `select`, and `Interrupted`.
pub fn select_interruptible<'a, T: AsSource>(
    read: &'a [T],
    write: &'a [T],
    except: &'a [T],
    timeout: Option<Duration>,
) -> io::Result<Selected<'a, T>> {
    items(read, write, except, Until::new(timeout, Signals::Report))
}

/// [`select()`] with these signals blocked meanwhile. It answers
/// [`Interrupted`](io::ErrorKind::Interrupted) when another one comes.
///
/// macOS: see [`Poll::ppoll`](crate::Poll::ppoll).
///
/// # Errors
/// Those of `select`, and `Interrupted`.
#[cfg(unix)]
pub fn pselect<'a, T: AsSource>(
    read: &'a [T],
    write: &'a [T],
    except: &'a [T],
    timeout: Option<Duration>,
    mask: &SignalSet,
) -> io::Result<Selected<'a, T>> {
    items(read, write, except, Until::new(timeout, Signals::Masked(mask)))
}

fn items<'a, T: AsSource>(
    read: &'a [T],
    write: &'a [T],
    except: &'a [T],
    until: Until<'_>,
) -> io::Result<Selected<'a, T>> {
    let mut selection = Selection::new();
    selection.wait([read, write, except], until)?;
    let own = |list: &'a [T], at: &[usize]| at.iter().map(|&at| &list[at]).collect();
    Ok(Selected {
        read: own(read, selection.read()),
        write: own(write, selection.write()),
        except: own(except, selection.except()),
    })
}

/// [`select()`] into a result that is used again: no allocation once it has grown.
///
/// # Errors
/// Those of `select`. The selection is empty then.
pub fn select_into<T: AsSource>(
    selection: &mut Selection,
    read: &[T],
    write: &[T],
    except: &[T],
    timeout: Option<Duration>,
) -> io::Result<()> {
    selection.wait([read, write, except], Until::new(timeout, Signals::Resume))
}

/// What [`select_into`] found ready, as positions in the caller's lists, in order.
#[derive(Default)]
pub struct Selection {
    found: [Vec<usize>; 3],
    list: HostList,
    /// By slot, if a source can be in several lists: the source, what is wanted
    /// of it, what it answered.
    slots: Vec<RawSource>,
    wants: Vec<PollFlags>,
    got: Vec<PollFlags>,
    /// By position over the three lists one after the other: the slot.
    slot_of: Vec<u32>,
    index: Index,
}

/// What each list wants, and what it takes for it.
const WANTS: [(PollFlags, PollFlags); 3] = [
    (PollFlags::IN.union(PollFlags::RDNORM).union(PollFlags::RDBAND), PollFlags::READABLE),
    (PollFlags::OUT.union(PollFlags::WRNORM).union(PollFlags::WRBAND), PollFlags::WRITABLE),
    (PollFlags::PRI, PollFlags::PRI),
];

impl Selection {
    /// An empty one.
    #[must_use]
    pub fn new() -> Selection {
        Selection::default()
    }

    /// Positions in the first list: their read would not block.
    #[must_use]
    pub fn read(&self) -> &[usize] {
        &self.found[0]
    }

    /// Positions in the second list: their write would not block.
    #[must_use]
    pub fn write(&self) -> &[usize] {
        &self.found[1]
    }

    /// Positions in the third list: something exceptional.
    #[must_use]
    pub fn except(&self) -> &[usize] {
        &self.found[2]
    }

    fn wait<T: AsSource>(&mut self, lists: [&[T]; 3], until: Until<'_>) -> io::Result<()> {
        for found in &mut self.found {
            found.clear();
        }
        self.list.truncate(0);
        match lists {
            [only, [], []] => self.wait_one(0, only, until),
            [[], only, []] => self.wait_one(1, only, until),
            [[], [], only] => self.wait_one(2, only, until),
            lists => self.wait_several(lists, until),
        }
    }

    /// One list: each of its sources is a slot.
    fn wait_one<T: AsSource>(
        &mut self,
        which: usize,
        sources: &[T],
        until: Until<'_>,
    ) -> io::Result<()> {
        let (want, take) = WANTS[which];
        for (slot, source) in sources.iter().enumerate() {
            self.list.put(slot, &source.as_source().hold(), want);
        }
        let Selection { found, list, .. } = self;
        wait_for_any(list, until, |slot, flags| {
            if flags.contains(PollFlags::NVAL) {
                return Err(not_open("select", sources[slot].raw_source()));
            }
            let ready = flags.intersects(take);
            if ready {
                found[which].push(slot);
            }
            Ok(ready)
        })
        .inspect_err(|_| self.found[which].clear())
    }
}

impl Selection {
    /// Several lists: one slot for a source, in however many of them it is.
    fn wait_several<T: AsSource>(&mut self, lists: [&[T]; 3], until: Until<'_>) -> io::Result<()> {
        let Selection { found, list, slots, slot_of, index, wants, got } = self;
        slots.clear();
        slot_of.clear();
        wants.clear();
        for (which, sources) in lists.iter().enumerate() {
            let (want, _) = WANTS[which];
            for source in *sources {
                let source = source.as_source();
                let slot = index.get(source.raw()).unwrap_or_else(|| {
                    let slot = slots.len();
                    list.put(slot, &source.hold(), PollFlags::empty());
                    slots.push(source.raw());
                    wants.push(PollFlags::empty());
                    index.insert(source.raw(), slot as u32);
                    slot as u32
                });
                wants[slot as usize] |= want;
                slot_of.push(slot);
            }
        }
        for (slot, source) in slots.iter().enumerate() {
            list.set(slot, wants[slot]);
            index.remove(*source);
        }

        // What each slot's lists take.
        for want in wants.iter_mut() {
            *want = WANTS
                .iter()
                .filter(|(of_list, _)| want.contains(*of_list))
                .fold(PollFlags::empty(), |all, (_, take)| all | *take);
        }
        got.clear();
        got.resize(slots.len(), PollFlags::empty());
        wait_for_any(list, until, |slot, flags| {
            if flags.contains(PollFlags::NVAL) {
                return Err(not_open("select", slots[slot]));
            }
            got[slot] = flags & wants[slot];
            Ok(!got[slot].is_empty())
        })?;

        let mut slot_of = slot_of.iter();
        for (which, sources) in lists.iter().enumerate() {
            let (_, take) = WANTS[which];
            for (at, &slot) in slot_of.by_ref().take(sources.len()).enumerate() {
                if got[slot as usize].intersects(take) {
                    found[which].push(at);
                }
            }
        }
        Ok(())
    }
}

/// Waits until `each` takes one of the slots that are ready. poll(2) tells of
/// hang-ups unasked, select(2) does not: a slot that has nothing else to say is
/// passed over from then on.
fn wait_for_any(
    list: &mut HostList,
    mut until: Until<'_>,
    mut each: impl FnMut(usize, PollFlags) -> io::Result<bool>,
) -> io::Result<()> {
    loop {
        if list.wait(until)? == 0 {
            return Ok(());
        }
        let mut any = false;
        for (slot, flags) in list.ready() {
            any |= each(slot, flags)?;
        }
        if any {
            return Ok(());
        }
        let silent: Vec<usize> = list.ready().map(|(slot, _)| slot).collect();
        for slot in silent {
            list.vacate(slot);
        }
        until.deadline.refresh();
    }
}

impl std::fmt::Debug for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Selection")
            .field("read", &self.read())
            .field("write", &self.write())
            .field("except", &self.except())
            .finish()
    }
}
