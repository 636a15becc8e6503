//! `select()`.

use std::io;
use std::time::Duration;

use crate::backend::SourceList;
use crate::error::not_open;
use crate::flags::PollFlags;
#[cfg(unix)]
use crate::signals::SignalSet;
use crate::source::{AsSource, Index};
use crate::timeout::{Signals, Until};

/// What [`select()`] found ready: the caller's own items, in their order.
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct Selected<'a, T: ?Sized> {
    /// Those of the first list whose read would not block.
    pub read: Vec<&'a T>,
    /// Those of the second list whose write would not block.
    pub write: Vec<&'a T>,
    /// Those of the third list with something exceptional: out-of-band data.
    pub except: Vec<&'a T>,
}

impl<T: ?Sized> Selected<'_, T> {
    /// Whether nothing is ready: the time was up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.read.is_empty() && self.write.is_empty() && self.except.is_empty()
    }
}

/// By the sources' names: the items need no `Debug`.
impl<T: AsSource + ?Sized> std::fmt::Debug for Selected<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = |list: &[&T]| list.iter().map(|item| item.raw_source()).collect::<Vec<_>>();
        f.debug_struct("Selected")
            .field("read", &names(&self.read))
            .field("write", &names(&self.write))
            .field("except", &names(&self.except))
            .finish()
    }
}

/// Waits until a source of one of three lists is ready or the time is up:
/// Python's `select.select`.
///
/// `None` waits for ever, zero does not wait. A signal does not end it. Any list
/// may be empty; with all three empty it sleeps for the timeout. A source may be
/// in several lists, or in one several times, and comes back as often. A list is
/// anything that gives references: `[&a, &b]`, `&vec`, an iterator. Sources of
/// different types are listed as `&dyn AsSource`.
///
/// There is no `FD_SETSIZE`: neither the number of sources nor the value of a
/// descriptor has a limit, for it is poll(2) on Unix, `poll_oneoff` in WASI
/// 0.1, and on Windows WinSock's select with sets as long as it takes. What is
/// ready is what select(2) says:
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
/// - A source that is not open: `EBADF`, on Windows `WSAENOTSOCK`, which is also
///   what a console, a pipe or a file gets there; by an error that names it
///   ([`SourceError`](crate::SourceError); [`os_error`](crate::os_error) reads
///   the number).
/// - On WASI `InvalidInput` if there is neither a source nor a timeout: nothing
///   could ever end the wait.
/// - The host's own.
///
/// Follows select(2): [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/select.html),
/// [Linux](https://man7.org/linux/man-pages/man2/select.2.html).
#[doc(alias = "FD_SETSIZE")]
pub fn select<'a, T: AsSource + ?Sized + 'a>(
    read: impl IntoIterator<Item = &'a T>,
    write: impl IntoIterator<Item = &'a T>,
    except: impl IntoIterator<Item = &'a T>,
    timeout: Option<Duration>,
) -> io::Result<Selected<'a, T>> {
    items(read, write, except, Until::new(timeout, Signals::Resume))
}

/// [`select()`] that answers [`Interrupted`](io::ErrorKind::Interrupted) when a
/// signal comes.
///
/// # Errors
/// Those of `select`, and `Interrupted`.
pub fn select_interruptible<'a, T: AsSource + ?Sized + 'a>(
    read: impl IntoIterator<Item = &'a T>,
    write: impl IntoIterator<Item = &'a T>,
    except: impl IntoIterator<Item = &'a T>,
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
pub fn pselect<'a, T: AsSource + ?Sized + 'a>(
    read: impl IntoIterator<Item = &'a T>,
    write: impl IntoIterator<Item = &'a T>,
    except: impl IntoIterator<Item = &'a T>,
    timeout: Option<Duration>,
    mask: &SignalSet,
) -> io::Result<Selected<'a, T>> {
    items(read, write, except, Until::new(timeout, Signals::Masked(mask)))
}

fn items<'a, T: AsSource + ?Sized + 'a>(
    read: impl IntoIterator<Item = &'a T>,
    write: impl IntoIterator<Item = &'a T>,
    except: impl IntoIterator<Item = &'a T>,
    until: Until<'_>,
) -> io::Result<Selected<'a, T>> {
    let read: Vec<&T> = read.into_iter().collect();
    let write: Vec<&T> = write.into_iter().collect();
    let except: Vec<&T> = except.into_iter().collect();
    let mut selection = Selection::new();
    let lists = (read.iter().copied(), write.iter().copied(), except.iter().copied());
    selection.wait(lists.0, lists.1, lists.2, until)?;
    let own = |list: &[&'a T], at: &[usize]| at.iter().map(|&at| list[at]).collect();
    Ok(Selected {
        read: own(&read, selection.read()),
        write: own(&write, selection.write()),
        except: own(&except, selection.except()),
    })
}

/// [`select()`] into a result that is used again: no allocation once it has grown.
///
/// # Errors
/// Those of `select`. The selection is empty then.
pub fn select_into<'a, T: AsSource + ?Sized + 'a>(
    selection: &mut Selection,
    read: impl IntoIterator<Item = &'a T>,
    write: impl IntoIterator<Item = &'a T>,
    except: impl IntoIterator<Item = &'a T>,
    timeout: Option<Duration>,
) -> io::Result<()> {
    selection.wait(read, write, except, Until::new(timeout, Signals::Resume))
}

/// What [`select_into`] found ready, as positions in the caller's lists, in order.
#[derive(Default)]
pub struct Selection {
    found: [Vec<usize>; 3],
    list: SourceList,
    /// If there are several lists, by slot: what is wanted of the source, what it
    /// answered.
    wants: Vec<PollFlags>,
    got: Vec<PollFlags>,
    /// And by position over the lists one after the other: the slot.
    slot_of: Vec<u32>,
    index: Index,
    /// The slots to pass over.
    silent: Vec<usize>,
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

    fn wait<'a, T: AsSource + ?Sized + 'a>(
        &mut self,
        read: impl IntoIterator<Item = &'a T>,
        write: impl IntoIterator<Item = &'a T>,
        except: impl IntoIterator<Item = &'a T>,
        until: Until<'_>,
    ) -> io::Result<()> {
        for found in &mut self.found {
            found.clear();
        }
        self.wants.clear();
        self.slot_of.clear();
        let mut lens = [0; 3];
        lens[0] = self.fill(0, read.into_iter(), None);
        let first = (lens[0] > 0).then_some(0);
        lens[1] = self.fill(1, write.into_iter(), first);
        let first = first.or((lens[1] > 0).then_some(1));
        lens[2] = self.fill(2, except.into_iter(), first);
        if lens == [0; 3] {
            self.list.truncate(0);
        }
        if self.slot_of.is_empty() {
            self.wait_one(first.unwrap_or(2), until)
        } else {
            self.wait_several(lens, until)
        }
    }

    /// Takes in a list and says how long it was. The first one that is not empty
    /// gets a slot an item; sources of later ones share the slots that are there.
    fn fill<'a, T: AsSource + ?Sized + 'a>(
        &mut self,
        which: usize,
        sources: impl Iterator<Item = &'a T>,
        first: Option<usize>,
    ) -> usize {
        let Selection { list, wants, slot_of, index, .. } = self;
        let (want, _) = WANTS[which];
        if sources.size_hint() == (0, Some(0)) {
            return 0;
        }
        let Some(first) = first else {
            list.refill(sources.map(AsSource::as_source), want);
            return list.len();
        };
        let mut sources = sources.peekable();
        if sources.peek().is_none() {
            return 0;
        }
        if slot_of.is_empty() {
            wants.resize(list.len(), WANTS[first].0);
            slot_of.extend(0..list.len() as u32);
        }
        for slot in 0..list.len() {
            if let Some(source) = list.source(slot) {
                index.insert(source, slot as u32);
            }
        }
        let before = slot_of.len();
        for source in sources {
            let source = source.as_source();
            let slot = match index.get(source.raw()) {
                Some(slot) => {
                    wants[slot as usize] |= want;
                    list.set(slot as usize, wants[slot as usize]);
                    slot
                }
                None => {
                    let slot = list.len();
                    list.put(slot, &source.hold(), want);
                    wants.push(want);
                    index.insert(source.raw(), slot as u32);
                    slot as u32
                }
            };
            slot_of.push(slot);
        }
        index.clear((0..list.len()).filter_map(|slot| list.source(slot)));
        slot_of.len() - before
    }

    /// One list: what is ready is in its order already.
    fn wait_one(&mut self, which: usize, until: Until<'_>) -> io::Result<()> {
        let (_, take) = WANTS[which];
        let Selection { found, list, silent, .. } = self;
        let found = &mut found[which];
        wait_for_any(list, silent, until, take, |list, ready| {
            // A place for each, so that the loop has neither to branch nor to grow.
            found.resize(ready, 0);
            let (mut len, mut seen) = (0, PollFlags::empty());
            for (slot, flags) in list.ready() {
                if let Some(place) = found.get_mut(len) {
                    *place = slot;
                }
                len += usize::from(flags.intersects(take));
                seen |= flags;
            }
            found.truncate(len);
            seen
        })
        .inspect_err(|_| found.clear())
    }

    fn wait_several(&mut self, lens: [usize; 3], until: Until<'_>) -> io::Result<()> {
        let Selection { found, list, wants, got, slot_of, silent, .. } = self;
        // What each slot's lists take.
        for want in wants.iter_mut() {
            *want = WANTS
                .iter()
                .filter(|(of_list, _)| want.contains(*of_list))
                .fold(PollFlags::empty(), |all, (_, take)| all | *take);
        }
        got.clear();
        got.resize(wants.len(), PollFlags::empty());
        let take = PollFlags::all() - PollFlags::NVAL;
        wait_for_any(list, silent, until, take, |list, _| {
            let mut seen = PollFlags::empty();
            for (slot, flags) in list.ready() {
                got[slot] = flags & wants[slot];
                seen |= got[slot] | (flags & PollFlags::NVAL);
            }
            seen
        })?;

        let mut slot_of = slot_of.iter();
        for ((found, (_, take)), len) in found.iter_mut().zip(WANTS).zip(lens) {
            for (at, &slot) in slot_of.by_ref().take(len).enumerate() {
                if got[slot as usize].intersects(take) {
                    found.push(at);
                }
            }
        }
        Ok(())
    }
}

/// Waits until something is ready for `take`. `collect` looks at the slots that
/// are ready, so many, and says what it saw. poll(2) tells of hang-ups unasked,
/// select(2) does not: a slot that has nothing else to say is passed over from then
/// on.
fn wait_for_any(
    list: &mut SourceList,
    silent: &mut Vec<usize>,
    mut until: Until<'_>,
    take: PollFlags,
    mut collect: impl FnMut(&SourceList, usize) -> PollFlags,
) -> io::Result<()> {
    loop {
        let ready = list.wait(until)?;
        if ready == 0 {
            return Ok(());
        }
        let seen = collect(list, ready);
        if seen.contains(PollFlags::NVAL) {
            let mut closed = list.ready().filter(|(_, flags)| flags.contains(PollFlags::NVAL));
            if let Some(source) = closed.find_map(|(slot, _)| list.source(slot)) {
                return Err(not_open("select", source));
            }
        }
        if seen.intersects(take) {
            return Ok(());
        }
        silent.extend(list.ready().map(|(slot, _)| slot));
        silent.drain(..).for_each(|slot| list.vacate(slot));
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
