//! `select()`.

use std::io;
use std::time::Duration;

use crate::backend::{HostList, List, grow};
use crate::error::not_open;
use crate::flags::PollFlags;
use crate::poll::Poll;
#[cfg(unix)]
use crate::signals::SignalSet;
use crate::source::{AsSource, RawSource, Source};
use crate::timeout::{Instant, Signals, Until};

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
/// A source that has hung up and has nothing that its list takes does not end the wait; what
/// comes to it later does, up to 10 ms late. A regular file is always ready to read and write.
/// In WASI nothing is ever exceptional.
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
    if HostList::REFILLS {
        let mut lists: [Vec<&T>; 3] = [const { Vec::new() }; 3];
        lists[0].extend(read);
        lists[1].extend(write);
        lists[2].extend(except);
        let mut selection = Selection::new();
        let [read, write, except] = &lists;
        selection.wait(
            read.iter().copied(),
            write.iter().copied(),
            except.iter().copied(),
            until,
        )?;
        for (list, found) in lists.iter_mut().zip(&selection.found) {
            for (to, &at) in found.iter().enumerate() {
                list[to] = list[at];
            }
            list.truncate(found.len());
        }
        let [read, write, except] = lists;
        return Ok(Selected { read, write, except });
    }
    // There is nothing that could be the same as the last time.
    let mut several = Several::default();
    let mut items = Vec::new();
    let mut add = |which, item: &'a T| {
        several.add(which, item.as_source());
        grow::push(&mut items, item);
    };
    read.into_iter().for_each(|item| add(0, item));
    write.into_iter().for_each(|item| add(1, item));
    except.into_iter().for_each(|item| add(2, item));
    several.wait(&mut until)?;
    let mut found = Selected { read: Vec::new(), write: Vec::new(), except: Vec::new() };
    for (at, item) in items.iter().enumerate() {
        let list = match several.ready_at(at) {
            0 => &mut found.read,
            1 => &mut found.write,
            2 => &mut found.except,
            _ => continue,
        };
        grow::push(list, *item);
    }
    Ok(found)
}

/// [`select()`] into a result that is used again: no allocation once it has grown.
///
/// In WASI 0.1 lists of the same numbers as the last time are not looked at anew. In wasmtime
/// a file that has got the number of something else since is then not ready with a timeout of
/// zero; it is with a longer one, with another list, and to `select`.
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

/// [`select_into()`] that answers [`Interrupted`](io::ErrorKind::Interrupted) when a
/// signal comes.
///
/// # Errors
/// Those of `select_into`, and `Interrupted`.
pub fn select_into_interruptible<'a, T: AsSource + ?Sized + 'a>(
    selection: &mut Selection,
    read: impl IntoIterator<Item = &'a T>,
    write: impl IntoIterator<Item = &'a T>,
    except: impl IntoIterator<Item = &'a T>,
    timeout: Option<Duration>,
) -> io::Result<()> {
    selection.wait(read, write, except, Until::new(timeout, Signals::Report))
}

/// [`select_into()`] with these signals blocked meanwhile: [`pselect`] into a result that
/// is used again.
///
/// # Errors
/// Those of `select_into`, and `Interrupted`.
#[cfg(unix)]
pub fn pselect_into<'a, T: AsSource + ?Sized + 'a>(
    selection: &mut Selection,
    read: impl IntoIterator<Item = &'a T>,
    write: impl IntoIterator<Item = &'a T>,
    except: impl IntoIterator<Item = &'a T>,
    timeout: Option<Duration>,
    mask: &SignalSet,
) -> io::Result<()> {
    selection.wait(read, write, except, Until::new(timeout, Signals::Masked(mask)))
}

/// What [`select_into`] found ready, as positions in the caller's lists, in order. It is
/// `Send` and `Sync`; a wait has it to itself.
#[derive(Default)]
pub struct Selection {
    found: [Vec<usize>; 3],
    several: Several,
    /// What the lists were the last time, one after the other, by [`code`]s of their
    /// sources; and where each ends.
    known: Vec<u64>,
    ends: [usize; 3],
    /// See [`only_list`](Selection::only_list).
    only: usize,
    /// The list has others than these: it was refilled.
    stale: bool,
    /// The slots to pass over.
    silent: Vec<usize>,
}

/// Several lists together: each source once.
#[derive(Default)]
struct Several {
    poll: Poll,
    /// By slot.
    known: Vec<Known>,
    /// From a position in the lists, one after the other, to its slot; and which list it is, in
    /// the last two bits.
    places: Vec<u32>,
    /// Some slots are vacant: they were passed over.
    passed_over: bool,
}

/// How late at most a source is told that had hung up before.
const BRIEFLY: Duration = Duration::from_millis(10);

/// None of the lists, or more than one.
const NONE: usize = 3;

#[derive(Clone, Copy)]
struct Known {
    /// What is wanted of a source, what is taken for it, and what it answered.
    want: PollFlags,
    take: PollFlags,
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
        until: Until<'_>,
    ) -> io::Result<()> {
        let waited = self.wait_with_known(read, write, except, until);
        if self.several.poll.list.owns_some() {
            // A result keeps nothing of the caller's.
            self.cut(0);
        }
        waited
    }

    #[inline(always)]
    fn wait_with_known<'a, T: AsSource + ?Sized + 'a>(
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
        if (HostList::REFILLS && self.stale) || self.several.passed_over {
            (self.stale, self.several.passed_over) = (false, false);
            self.cut(0);
        }
        let end = self.take_in(0, 0, read);
        let end = self.take_in(1, end, write);
        let end = self.take_in(2, end, except);
        if end != self.several.places.len() {
            self.cut(end);
        }
        if let Some(found) = self.found.get_mut(self.only) {
            let list = &mut self.several.poll.list;
            let ready = list.wait_plainly(usize::MAX, &until);
            if ready > 0 {
                // Of what was asked for this list.
                let mut slots = list.slots_plainly();
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
        self.several.poll.list.refill(sources.map(AsSource::as_source), WANTS[which].0);
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
            self.known.push(code(which, source.raw_source()));
            self.several.add(which, source.as_source());
        }
        self.ends[which..].fill(self.known.len());
        self.only = self.only_list();
        self.known.len()
    }

    /// The one list that has sources, if each is in it once: its positions are the slots. Else
    /// [`NONE`].
    fn only_list(&self) -> usize {
        let mut start = 0;
        let has_some = self.ends.map(|end| end > std::mem::replace(&mut start, end));
        let Some(only) = has_some.iter().position(|some| *some) else { return NONE };
        let others = has_some[only + 1..].contains(&true);
        if others || self.several.known.len() != self.known.len() { NONE } else { only }
    }

    /// The lists are others than the last time from here on.
    #[cold]
    fn cut(&mut self, at: usize) {
        let Selection { several, known, ends, .. } = self;
        let Several { poll: Poll { list, index, .. }, known: slots, places, .. } = several;
        known.truncate(at);
        places.truncate(at);
        for end in ends.iter_mut() {
            *end = at.min(*end);
        }
        // Slots are in the order in which their sources come first.
        let len = places.iter().map(|place| slot(*place) + 1).max().unwrap_or(0);
        if len == 0 {
            // The list may have others by now.
            index.clear();
        } else {
            for source in (len..slots.len()).filter_map(|slot| list.source(slot)) {
                index.remove(source.code());
            }
        }
        list.truncate(len);
        slots.truncate(len);
        for known in slots.iter_mut() {
            *known = Known::NOTHING;
        }
        for place in places.iter() {
            slots[slot(*place)].add(WANTS[which(*place)]);
        }
        for (slot, known) in slots.iter().enumerate() {
            list.set(slot, known.want);
        }
        self.only = self.only_list();
    }

    fn wait_for_known(&mut self, until: &mut Until<'_>) -> io::Result<()> {
        if self.only != NONE {
            return self.wait_for_one(self.only, until);
        }
        let Selection { found, several, ends, .. } = self;
        several.wait(until)?;
        let mut start = 0;
        for (end, found) in ends.iter().zip(found) {
            let ready = |at: &usize| several.ready_at(start + at) != NONE;
            found.extend((0..end - start).filter(ready));
            start = *end;
        }
        Ok(())
    }

    /// A list whose positions are the slots.
    #[inline]
    fn wait_for_one(&mut self, which: usize, until: &mut Until<'_>) -> io::Result<()> {
        let take = WANTS[which].1;
        loop {
            let list = &mut self.several.poll.list;
            let ready = list.wait(until)?;
            if ready == 0 {
                return Ok(());
            }
            let seen = list.collect(ready, take, &mut self.found[which]);
            let is_simple = seen.intersects(take) && !seen.contains(PollFlags::NVAL);
            if is_simple || self.is_over_anyhow(which, seen)? {
                return Ok(());
            }
            let Selection { several, silent, .. } = self;
            let list = &mut several.poll.list;
            silent.extend(list.ready().map(|(slot, _)| slot));
            silent.drain(..).for_each(|slot| list.pass_over(slot));
            if !self.several.wait_beside(until)? {
                return Ok(());
            }
        }
    }

    /// Whether a wait for one list that saw this is over: something is ready for what the
    /// list takes, or not open.
    #[cold]
    fn is_over_anyhow(&mut self, which: usize, seen: PollFlags) -> io::Result<bool> {
        let Selection { found, several, .. } = self;
        let list = &several.poll.list;
        if seen.contains(PollFlags::NVAL) {
            let closed = list.ready().find(|(_, flags)| flags.contains(PollFlags::NVAL));
            if let Some(source) = closed.and_then(|(slot, _)| list.source(slot)) {
                found[which].clear();
                return Err(not_open("select", source));
            }
        }
        Ok(seen.intersects(WANTS[which].1))
    }
}

/// Of a [place](Several).
fn slot(place: u32) -> usize {
    place as usize >> 2
}

fn which(place: u32) -> usize {
    place as usize & 3
}

impl Known {
    const NOTHING: Known =
        Known { want: PollFlags::empty(), take: PollFlags::empty(), got: PollFlags::empty() };

    /// It is in another list, too, which [wants](WANTS) this.
    fn add(&mut self, (want, take): (PollFlags, PollFlags)) {
        self.want |= want;
        self.take |= take;
    }
}

impl Several {
    /// Takes in a source behind the others.
    #[cold]
    fn add(&mut self, which: usize, source: Source<'_>) {
        let Some(&wants) = WANTS.get(which) else { return };
        let slot = self.poll.put(source, wants.0);
        if slot == self.known.len() {
            grow::push(&mut self.known, Known::NOTHING);
        }
        if let Some(known) = self.known.get_mut(slot) {
            known.add(wants);
            self.poll.list.set(slot, known.want);
        }
        grow::push(&mut self.places, (slot << 2 | which) as u32);
    }

    /// Waits until one of the lists has something, of which [`ready_at`](Several::ready_at)
    /// knows then, or the time is up.
    fn wait(&mut self, until: &mut Until<'_>) -> io::Result<()> {
        loop {
            let list = &mut self.poll.list;
            let mut over = list.wait(until)? == 0;
            for known in &mut self.known {
                known.got = PollFlags::empty();
            }
            for (slot, flags) in list.ready() {
                if flags.contains(PollFlags::NVAL) {
                    if let Some(source) = list.source(slot) {
                        return Err(not_open("select", source));
                    }
                }
                if let Some(known) = self.known.get_mut(slot) {
                    known.got = flags;
                    over |= flags.intersects(known.take);
                }
            }
            if over {
                return Ok(());
            }
            for (slot, known) in self.known.iter().enumerate() {
                if !known.got.is_empty() {
                    list.pass_over(slot);
                }
            }
            if !self.wait_beside(until)? {
                return Ok(());
            }
        }
    }

    /// Waits beside what is passed over. Whether time is left.
    ///
    /// poll(2) tells of hang-ups unasked, again and again, which select(2) does not. Briefly:
    /// there may be more to tell of it later.
    #[cold]
    fn wait_beside(&mut self, until: &mut Until<'_>) -> io::Result<bool> {
        let list = &mut self.poll.list;
        let is_over = until.deadline.passed();
        if !HostList::TAKES_BACK {
            self.passed_over = true;
            return Ok(!is_over);
        }
        let now = Instant::now();
        let deadline = until.deadline.or_at(Some(now + BRIEFLY), now);
        let waited = if is_over { Ok(0) } else { list.wait(&Until { deadline, ..*until }) };
        list.take_back();
        until.deadline.refresh();
        waited.map(|_| !is_over)
    }

    /// The list that a position is in, if it is ready; else [`NONE`].
    fn ready_at(&self, at: usize) -> usize {
        let Some(&place) = self.places.get(at) else { return NONE };
        let take = WANTS.get(which(place)).map_or(PollFlags::empty(), |(_, take)| *take);
        let ready = self.known.get(slot(place)).is_some_and(|known| known.got.intersects(take));
        if ready { which(place) } else { NONE }
    }
}

/// A number that no other source in one of the lists has.
#[inline]
fn code(which: usize, source: RawSource) -> u64 {
    // Above all that numbers are used for.
    source.code() ^ (which as u64) << 61
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
