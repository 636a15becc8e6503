//! `select()`.

use std::io;
use std::time::Duration;

use crate::backend::{HostList, List, SourceList};
use crate::error::not_open;
use crate::flags::PollFlags;
use crate::index::Index;
#[cfg(unix)]
use crate::signals::SignalSet;
use crate::source::{AsSource, RawSource, Source};
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
    mut until: Until<'_>,
) -> io::Result<Selected<'a, T>> {
    let mut lists: [Vec<&T>; 3] = [const { Vec::new() }; 3];
    lists[0].extend(read);
    lists[1].extend(write);
    lists[2].extend(except);
    let mut selection = Selection::new();
    if HostList::REFILLS {
        let [read, write, except] = &lists;
        selection.wait(
            read.iter().copied(),
            write.iter().copied(),
            except.iter().copied(),
            until,
        )?;
    } else {
        // There is nothing that could be the same as the last time.
        for (which, list) in lists.iter().enumerate() {
            list.iter().for_each(|item| selection.add(which, item.as_source()));
        }
        selection.wait_for_several(&mut until)?;
    }
    for (list, found) in lists.iter_mut().zip(&selection.found) {
        for (to, &at) in found.iter().enumerate() {
            list[to] = list[at];
        }
        list.truncate(found.len());
    }
    let [read, write, except] = lists;
    Ok(Selected { read, write, except })
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
    /// What the lists were the last time, one after the other, by [`code`]s of their
    /// sources; where each ends; and by the same position the slot in `list`.
    known: Vec<u64>,
    ends: [usize; 3],
    slot_of: Vec<u32>,
    /// By slot.
    sources: Vec<Known>,
    /// From a source to its slot.
    index: Index,
    /// See [`only_list`](Selection::only_list).
    only: usize,
    /// `list` has others than these: it was refilled.
    stale: bool,
    /// The slots to pass over.
    silent: Vec<usize>,
}

/// More lists than one, or none.
const SEVERAL: usize = 3;

struct Known {
    source: RawSource,
    /// What is wanted of it, and what it answered.
    want: PollFlags,
    got: PollFlags,
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
        mut until: Until<'_>,
    ) -> io::Result<()> {
        let (read, write, except) = (read.into_iter(), write.into_iter(), except.into_iter());
        for found in &mut self.found {
            found.clear();
        }
        if HostList::REFILLS {
            let hints = [read.size_hint(), write.size_hint(), except.size_hint()];
            match hints.map(|hint| hint == (0, Some(0))) {
                [_, true, true] => return self.refill(0, read, &mut until),
                [true, _, true] => return self.refill(1, write, &mut until),
                [true, true, _] => return self.refill(2, except, &mut until),
                _ => {}
            }
        }
        if HostList::REFILLS && self.stale {
            self.forget();
        }
        let end = self.take_in(0, 0, read);
        let end = self.take_in(1, end, write);
        let end = self.take_in(2, end, except);
        // (The sources of a silent slot are not known any more.)
        if end != self.slot_of.len() {
            self.cut(end);
        }
        if let Some(found) = self.found.get_mut(self.only) {
            let ready = self.list.wait_plainly(usize::MAX, &until);
            if ready > 0 {
                // Of what was asked for this list.
                let mut slots = self.list.slots_plainly();
                // Mostly it is one, for which `extend` is much to begin with.
                if ready > 1 {
                    found.extend(slots);
                } else if let Some(slot) = slots.next() {
                    found.push(slot);
                }
                return Ok(());
            }
        }
        self.wait_for_known(&mut until)
    }

    /// One list, where it costs less to take it in than to see whether it is the same.
    #[inline]
    fn refill<'a, T: AsSource + ?Sized + 'a>(
        &mut self,
        which: usize,
        sources: impl Iterator<Item = &'a T>,
        until: &mut Until<'_>,
    ) -> io::Result<()> {
        self.stale = true;
        self.list.refill(sources.map(AsSource::as_source), WANTS[which].0);
        self.wait_for_one(which, until)
    }

    /// Takes in a list: mostly it is the same as the last time. Where it ends; `start`: where
    /// the one before ended.
    #[inline]
    fn take_in<'a, T: AsSource + ?Sized + 'a>(
        &mut self,
        which: usize,
        start: usize,
        mut sources: impl Iterator<Item = &'a T>,
    ) -> usize {
        // Mostly seen when it is compiled.
        if sources.size_hint().1 == Some(0) {
            return start;
        }
        let mut left = self.known.get(start..).unwrap_or_default();
        let (mut same, mut next) = (start, None);
        let mut is = |known: &u64| {
            next = sources.next();
            next.is_some_and(|source| code(which, source.raw_source()) == *known)
        };
        let all = 'all: {
            // Several at a time: it is what a wait for long lists costs.
            while let Some((some, rest)) = left.split_first_chunk::<16>() {
                if let Some(at) = some.iter().position(|known| !is(known)) {
                    same += at;
                    break 'all false;
                }
                same += some.len();
                left = rest;
            }
            let mut rest = left.iter();
            let all = rest.all(is);
            same += left.len() - rest.len() - usize::from(!all);
            all
        };
        if all {
            next = sources.next();
        }
        match next {
            Some(other) => self.add_all(which, same, other, sources),
            None => same,
        }
    }

    /// What a list is from there on. Where it ends.
    // (A source to be handed on would need a place on the stack in each wait.)
    #[cold]
    fn add_all<'a, T: AsSource + ?Sized + 'a>(
        &mut self,
        which: usize,
        same: usize,
        first: &'a T,
        others: impl Iterator<Item = &'a T>,
    ) -> usize {
        self.cut(same);
        for source in std::iter::once(first).chain(others) {
            self.add(which, source.as_source());
        }
        self.only = self.only_list();
        self.known.len()
    }

    /// The one list that has sources, if each is in it once: its positions are the slots. Else
    /// [`SEVERAL`].
    fn only_list(&self) -> usize {
        let mut start = 0;
        let has_some = self.ends.map(|end| end > std::mem::replace(&mut start, end));
        let Some(only) = has_some.iter().position(|some| *some) else { return SEVERAL };
        let others = has_some[only + 1..].contains(&true);
        if others || self.sources.len() != self.known.len() { SEVERAL } else { only }
    }

    fn forget(&mut self) {
        self.stale = false;
        self.cut(0);
    }

    /// The lists are others than the last time from here on.
    #[cold]
    fn cut(&mut self, at: usize) {
        let Selection { list, known, ends, slot_of, sources, index, .. } = self;
        known.truncate(at);
        slot_of.truncate(at);
        for end in ends.iter_mut() {
            *end = at.min(*end);
        }
        // Slots are in the order in which their sources come first.
        let slots = slot_of.iter().max().map_or(0, |last| *last as usize + 1);
        list.truncate(slots);
        for known in sources.drain(slots..) {
            index.remove(known.source.code());
        }
        for known in sources.iter_mut() {
            known.want = PollFlags::empty();
        }
        let mut start = 0;
        for (end, (want, _)) in ends.iter().zip(WANTS) {
            for slot in &slot_of[start..*end] {
                sources[*slot as usize].want |= want;
            }
            start = *end;
        }
        for (slot, known) in sources.iter().enumerate() {
            list.set(slot, known.want);
        }
        self.only = self.only_list();
    }

    #[cold]
    fn add(&mut self, which: usize, source: Source<'_>) {
        let (raw, want) = (source.raw(), WANTS[which].0);
        let slot = match self.index.get(raw.code()) {
            Some(slot) => {
                let known = &mut self.sources[slot as usize];
                known.want |= want;
                self.list.set(slot as usize, known.want);
                slot
            }
            None => {
                let slot = self.sources.len();
                self.list.put_source(slot, source, want);
                self.sources.push(Known { source: raw, want, got: PollFlags::empty() });
                self.index.insert(raw.code(), slot as u32);
                slot as u32
            }
        };
        self.slot_of.push(slot);
        self.known.push(code(which, raw));
        self.ends[which..].fill(self.known.len());
    }

    fn wait_for_known(&mut self, until: &mut Until<'_>) -> io::Result<()> {
        match self.only {
            SEVERAL => self.wait_for_several(until),
            which => self.wait_for_one(which, until),
        }
    }

    /// A list whose positions are the slots.
    #[inline]
    fn wait_for_one(&mut self, which: usize, until: &mut Until<'_>) -> io::Result<()> {
        let take = WANTS[which].1;
        loop {
            let ready = self.list.wait(until)?;
            if ready == 0 {
                return Ok(());
            }
            let seen = self.list.collect(ready, take, &mut self.found[which]);
            if self.is_over(seen, take)? {
                return Ok(());
            }
            until.deadline.refresh();
        }
    }

    fn wait_for_several(&mut self, until: &mut Until<'_>) -> io::Result<()> {
        loop {
            if self.list.wait(until)? == 0 {
                return Ok(());
            }
            let Selection { list, sources, .. } = self;
            for known in sources.iter_mut() {
                known.got = PollFlags::empty();
            }
            let mut seen = PollFlags::empty();
            for (slot, flags) in list.ready() {
                let known = &mut sources[slot];
                known.got = flags & taken(known.want);
                seen |= known.got | (flags & PollFlags::NVAL);
            }
            if self.is_over(seen, PollFlags::all() - PollFlags::NVAL)? {
                break;
            }
            until.deadline.refresh();
        }
        let Selection { found, slot_of, sources, ends, .. } = self;
        let mut start = 0;
        for which in 0..found.len() {
            for (at, slot) in slot_of[start..ends[which]].iter().enumerate() {
                if sources[*slot as usize].got.intersects(WANTS[which].1) {
                    found[which].push(at);
                }
            }
            start = ends[which];
        }
        Ok(())
    }

    /// Whether a wait that saw this is over: something is ready for what the lists take,
    /// or not open.
    #[inline]
    fn is_over(&mut self, seen: PollFlags, take: PollFlags) -> io::Result<bool> {
        let is_simple = seen.intersects(take) && !seen.contains(PollFlags::NVAL);
        if is_simple { Ok(true) } else { self.is_over_anyhow(seen, take) }
    }

    /// poll(2) tells of hang-ups unasked, select(2) does not: a slot that has nothing
    /// else to say is passed over from then on.
    #[cold]
    fn is_over_anyhow(&mut self, seen: PollFlags, take: PollFlags) -> io::Result<bool> {
        let Selection { found, list, silent, known, .. } = self;
        if seen.contains(PollFlags::NVAL) {
            let closed = list.ready().find(|(_, flags)| flags.contains(PollFlags::NVAL));
            if let Some(source) = closed.and_then(|(slot, _)| list.source(slot)) {
                for found in found {
                    found.clear();
                }
                return Err(not_open("select", source));
            }
        }
        if !seen.intersects(take) {
            // Taken in anew the next time.
            known.clear();
            for (slot, _) in list.ready() {
                silent.push(slot);
            }
            while let Some(slot) = silent.pop() {
                list.vacate(slot);
            }
        }
        Ok(seen.intersects(take))
    }
}

/// A number that no other source in one of the lists has.
#[inline]
fn code(which: usize, source: RawSource) -> u64 {
    // Above all that numbers are used for.
    source.code() ^ (which as u64) << 61
}

/// What the lists that want this take.
fn taken(want: PollFlags) -> PollFlags {
    let lists = WANTS.iter().filter(|(of_list, _)| want.contains(*of_list));
    lists.fold(PollFlags::empty(), |all, (_, take)| all | *take)
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
