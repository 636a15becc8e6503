//! The kernel's epoll and ours beside each other, on the same sources.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use readiness::{Epoll, EpollEvent, EpollFlags, os_error};

use crate::sources::{Done, Kind, NotApplicable, Source, check, poll};
use crate::table::{MODES, Table};

pub const SLOTS: u8 = 6;

/// One step of a sequence. `set` 0 is the outermost set, others are the sets in
/// slots; where there is none, the outermost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Make {
        slot: u8,
        kind: Kind,
    },
    Add {
        set: u8,
        slot: u8,
        flags: u32,
    },
    Modify {
        set: u8,
        slot: u8,
        flags: u32,
    },
    Delete {
        set: u8,
        slot: u8,
    },
    Wait {
        set: u8,
        most: u8,
    },
    /// A wait that goes to sleep if there is nothing.
    Sleep {
        set: u8,
        most: u8,
        long: bool,
    },
    /// Something arrives, or a pipe's other end is closed, while ours sleeps.
    Rouse {
        set: u8,
        slot: u8,
        close: bool,
    },
    Put {
        slot: u8,
    },
    Take {
        slot: u8,
        all: bool,
    },
    Fill {
        slot: u8,
    },
    Drain {
        slot: u8,
    },
    ClosePeer {
        slot: u8,
    },
    ShutPeer {
        slot: u8,
    },
    Shut {
        slot: u8,
        how: u8,
    },
    Urgent {
        slot: u8,
    },
    Close {
        slot: u8,
    },
    Reuse {
        slot: u8,
        kind: Kind,
    },
    Dup {
        slot: u8,
        to: u8,
    },
    /// Lets time pass, so that emulated edges are told again.
    Pause {
        millis: u8,
    },
}

/// The bits of an event's data below its stamp.
const STAMP: u32 = 32;
const ET: u32 = 1 << 31;
const ONESHOT: u32 = 1 << 30;
/// More events than there are.
const ALL: usize = 64;
/// How long ours sleeps for what the kernel's epoll says is not there.
const NAP: Duration = Duration::from_micros(200);
/// And so long that it is seen whether it sleeps.
const SLEEP: Duration = Duration::from_millis(5);
const UNASKED: u32 = (libc::EPOLLERR | libc::EPOLLHUP) as u32;

impl Op {
    fn waits(self) -> bool {
        matches!(self, Op::Wait { .. } | Op::Sleep { .. } | Op::Rouse { .. })
    }
}

/// Both epolls, and what is registered with them.
struct Pair {
    kernel: OwnedFd,
    ours: Epoll,
    registered: BTreeMap<u64, Registered>,
}

struct Registered {
    slot: usize,
    flags: u32,
    /// Of the last add or modify: it is part of the data.
    stamp: u64,
    /// What ours told last, since the last add or modify.
    last: u32,
    /// The kernel told an edge that ours has not told yet.
    owed: bool,
    /// Ours was told before the kernel's: a one-shot, or of what came between the two.
    spent: bool,
    /// Something was done that ours may take for an edge and the kernel not.
    excused: bool,
    /// Since when ours has told without a reason, and how often.
    since: Instant,
    extra: u32,
}

struct Slot {
    kind: Kind,
    source: Option<Source>,
    set: Option<Pair>,
    /// The number of what was here last.
    number: RawFd,
    /// The same for duplicates.
    family: u64,
    /// Of this very source: with it, the data of its events.
    serial: u64,
}

pub struct World<'a> {
    outermost: Pair,
    slots: Vec<Slot>,
    serial: u64,
    /// Counts adds and modifies.
    stamp: u64,
    /// What the sources were ready for before the last wait.
    before: Vec<(u32, i32)>,
    table: &'a mut Table,
}

/// What differs.
pub type Found<T> = Result<T, String>;

impl Pair {
    fn new() -> Pair {
        // SAFETY: no pointers; the descriptor is new.
        let kernel = unsafe {
            OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC)).unwrap())
        };
        Pair { kernel, ours: Epoll::new().unwrap(), registered: BTreeMap::new() }
    }

    fn kernel_control(&self, operation: i32, fd: RawFd, flags: u32, data: u64) -> i32 {
        let mut event = libc::epoll_event { events: flags, u64: data };
        // SAFETY: the event is valid; any number may be given.
        let answer = unsafe { libc::epoll_ctl(self.kernel.as_raw_fd(), operation, fd, &mut event) };
        errno(check(answer).map(drop))
    }

    fn kernel_wait(&self, most: usize) -> Result<Vec<(u64, u32)>, i32> {
        let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; most];
        // SAFETY: there is room for `most` events.
        let count = check(unsafe {
            libc::epoll_wait(self.kernel.as_raw_fd(), events.as_mut_ptr(), most as i32, 0)
        })
        .map_err(|error| error.raw_os_error().unwrap_or(-1))?;
        Ok(events[..count as usize].iter().map(|event| (event.u64, event.events)).collect())
    }

    fn our_wait(&self, most: usize, wait: Duration) -> Result<Vec<(u64, u32)>, i32> {
        let mut events = vec![EpollEvent::default(); most];
        let mut busy = [Duration::ZERO; 4];
        let mut count = 0;
        for busy in &mut busy {
            let before = processor_time();
            let waited = self.ours.wait(&mut events, Some(wait));
            count = waited.map_err(|error| os_error(&error).unwrap_or(-1))?;
            *busy = processor_time() - before;
            // The kernel's own work may be put down to whoever is there: once.
            if wait != SLEEP || count > 0 || *busy < wait / 4 {
                break;
            }
        }
        let slept = busy.iter().any(|busy| *busy < wait / 4);
        assert!(wait != SLEEP || count > 0 || slept, "it was busy for {busy:?} of {wait:?} each");
        Ok(events[..count].iter().map(|event| (event.data(), event.flags().bits())).collect())
    }
}

/// How long this thread has run.
pub fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: there is room for the time.
    check(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }).unwrap();
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn errno(answer: io::Result<()>) -> i32 {
    match answer {
        Ok(()) => 0,
        Err(error) => os_error(&error).unwrap_or(-1),
    }
}

/// A number that may be closed, as a source.
fn borrow(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: epoll_ctl takes any number, and so does ours; nothing is done with
    // the file behind it.
    unsafe { BorrowedFd::borrow_raw(number) }
}

impl<'a> World<'a> {
    pub fn new(table: &'a mut Table) -> World<'a> {
        let slot = |_| Slot {
            kind: Kind::PipeRead,
            source: None,
            set: None,
            number: 1 << 20,
            family: 0,
            serial: 0,
        };
        let slots = (0..SLOTS).map(slot).collect();
        World { outermost: Pair::new(), slots, serial: 0, stamp: 0, before: Vec::new(), table }
    }

    /// Runs a sequence; what differs is said.
    pub fn run(ops: &[Op], table: &'a mut Table) -> Found<()> {
        let mut world = World::new(table);
        for (at, op) in ops.iter().enumerate() {
            match world.step(*op) {
                // TCP's buffers move by themselves, later on a busy machine: one of the
                // two saw it and the other not. Nothing that comes after can be compared.
                Err(_) if op.waits() && world.readiness() != world.before => {
                    world.table.moved += 1;
                    return Ok(());
                }
                other => other.map_err(|what| format!("step {at}, {op:?}: {what}"))?,
            }
        }
        world.settle_debts()
    }

    /// What each source is ready for now, and how much there is to read.
    fn readiness(&self) -> Vec<(u32, i32)> {
        let sources = self.slots.iter().filter(|slot| slot.source.is_some());
        let look = |slot: &Slot| {
            let mut count = 0;
            // SAFETY: FIONREAD writes an int, or fails.
            unsafe { libc::ioctl(slot.number, libc::FIONREAD, &mut count) };
            (poll(slot.number, 0x3fff, Duration::ZERO), count)
        };
        sources.map(look).collect()
    }

    fn step(&mut self, op: Op) -> Found<()> {
        match op {
            Op::Make { slot, kind } => {
                self.close(at(slot))?;
                self.make(at(slot), kind);
                self.table.reached((kind, "make", "none", "ok"));
            }
            Op::Add { set, slot, flags } => self.control("add", set, at(slot), flags)?,
            Op::Modify { set, slot, flags } => self.control("modify", set, at(slot), flags)?,
            Op::Delete { set, slot } => self.control("delete", set, at(slot), 0)?,
            Op::Wait { set, most } => self.wait(self.which(set), most.into(), Duration::ZERO)?,
            Op::Sleep { set, most, long } => {
                let nap = if long { SLEEP } else { NAP };
                self.wait(self.which(set), most.into(), nap)?;
            }
            Op::Rouse { set, slot, close } => self.rouse(self.which(set), at(slot), close)?,
            Op::Put { slot } => self.act("put", at(slot), Source::put),
            Op::Take { slot, all } => self.act("take", at(slot), |source| source.take(all)),
            Op::Fill { slot } => self.act("fill", at(slot), Source::fill),
            Op::Drain { slot } => self.act("drain", at(slot), Source::drain),
            Op::ClosePeer { slot } => self.act("close peer", at(slot), Source::close_peer),
            Op::ShutPeer { slot } => self.act("shut peer", at(slot), Source::shut_peer),
            Op::Shut { slot, how } => self.act("shut", at(slot), |source| source.shut(how)),
            Op::Urgent { slot } => self.act("urgent", at(slot), Source::urgent),
            Op::Close { slot } => self.close(at(slot))?,
            Op::Reuse { slot, kind } => self.reuse(at(slot), kind)?,
            Op::Dup { slot, to } => self.duplicate(at(slot), at(to))?,
            Op::Pause { millis } => std::thread::sleep(Duration::from_millis(millis.into())),
        }
        Ok(())
    }

    /// The slot of a set; `None` is the outermost.
    fn which(&self, set: u8) -> Option<usize> {
        let slot = usize::from(set).checked_sub(1)? % self.slots.len();
        self.slots[slot].set.is_some().then_some(slot)
    }

    fn pair(&self, which: Option<usize>) -> &Pair {
        which.and_then(|slot| self.slots[slot].set.as_ref()).unwrap_or(&self.outermost)
    }

    fn pair_mut(&mut self, which: Option<usize>) -> &mut Pair {
        which.and_then(|slot| self.slots[slot].set.as_mut()).unwrap_or(&mut self.outermost)
    }

    fn pairs(&mut self) -> impl Iterator<Item = &mut Pair> {
        self.slots
            .iter_mut()
            .filter_map(|slot| slot.set.as_mut())
            .chain(std::iter::once(&mut self.outermost))
    }

    fn tag(&self, slot: usize) -> u64 {
        self.slots[slot].serial << 8 | slot as u64
    }

    fn make(&mut self, slot: usize, kind: Kind) {
        self.serial += 1;
        let serial = self.serial;
        let entry = &mut self.slots[slot];
        (entry.kind, entry.family, entry.serial) = (kind, serial, serial);
        if kind == Kind::Set {
            let pair = Pair::new();
            entry.number = pair.kernel.as_raw_fd();
            entry.set = Some(pair);
        } else {
            let source = Source::new(kind);
            entry.number = source.number();
            entry.source = Some(source);
        }
    }

    /// The registrations of a source whose number is about to be closed.
    ///
    /// Where a duplicate lives the kernel's epoll would go on reporting, and ours
    /// would not, which is documented: those are deleted first.
    fn part(&mut self, slot: usize) -> Found<()> {
        let entry = &self.slots[slot];
        let (tag, family, kind, number) = (self.tag(slot), entry.family, entry.kind, entry.number);
        let open = |other: &Slot| other.source.is_some() && other.family == family;
        let twins = self.slots.iter().filter(|other| open(other)).count() > 1;
        let mut table = Table::default();
        for pair in self.pairs() {
            if pair.registered.remove(&tag).is_none() {
                continue;
            }
            if twins {
                let kernel = pair.kernel_control(libc::EPOLL_CTL_DEL, number, 0, 0);
                let ours = errno(pair.ours.unregister(&borrow(number)));
                table.control(kind, "delete", 0, kernel);
                if (kernel, ours) != (0, 0) {
                    return Err(format!("delete before close: errno {kernel}, ours {ours}"));
                }
            } else if kind == Kind::EventFd {
                // Its number may be another eventfd's next, which nothing tells.
                pair.ours.closed(readiness::RawSource::Fd(number));
            }
        }
        Ok(())
    }

    fn close(&mut self, slot: usize) -> Found<()> {
        let entry = &self.slots[slot];
        if entry.source.is_none() && entry.set.is_none() {
            return Ok(());
        }
        let (kind, family) = (entry.kind, entry.family);
        self.part(slot)?;
        self.excuse(family);
        let entry = &mut self.slots[slot];
        entry.source = None;
        entry.set = None;
        self.table.reached((kind, "close", "none", "ok"));
        Ok(())
    }

    fn reuse(&mut self, slot: usize, kind: Kind) -> Found<()> {
        if self.slots[slot].source.is_none() || kind == Kind::Set {
            return Ok(());
        }
        self.part(slot)?;
        let family = self.slots[slot].family;
        self.excuse(family);
        let old = self.slots[slot].source.take();
        self.table.reached((self.slots[slot].kind, "reuse", "none", "ok"));
        self.serial += 1;
        let serial = self.serial;
        let entry = &mut self.slots[slot];
        (entry.kind, entry.family, entry.serial) = (kind, serial, serial);
        entry.source = old.map(|old| Source::new(kind).replace(old));
        Ok(())
    }

    fn duplicate(&mut self, slot: usize, to: usize) -> Found<()> {
        if slot == to || self.slots[slot].source.is_none() {
            return Ok(());
        }
        self.close(to)?;
        self.serial += 1;
        let (kind, family) = (self.slots[slot].kind, self.slots[slot].family);
        let copy = self.slots[slot].source.as_ref().map(Source::duplicate);
        let serial = self.serial;
        let entry = &mut self.slots[to];
        (entry.kind, entry.family, entry.serial) = (kind, family, serial);
        entry.number = copy.as_ref().map_or(-1, Source::number);
        entry.source = copy;
        self.table.reached((kind, "dup", "none", "ok"));
        Ok(())
    }

    fn act(&mut self, name: &'static str, slot: usize, act: impl FnOnce(&mut Source) -> Done) {
        let entry = &mut self.slots[slot];
        let Some(source) = &mut entry.source else { return };
        let (kind, family) = (entry.kind, entry.family);
        match act(source) {
            Ok(()) => self.table.reached((kind, name, "none", "ok")),
            Err(NotApplicable) => return,
        }
        self.excuse(family);
    }

    /// After something was done to a source: it, its duplicates, and sets, which
    /// may hold it, may be told once more.
    fn excuse(&mut self, family: u64) {
        let excused: Vec<bool> =
            self.slots.iter().map(|slot| slot.family == family || slot.kind == Kind::Set).collect();
        for pair in self.pairs() {
            for registered in pair.registered.values_mut() {
                let excused = excused[registered.slot];
                registered.excused |= excused;
                registered.spent &= registered.flags & ONESHOT != 0 || !excused;
            }
        }
    }

    fn control(&mut self, name: &'static str, set: u8, slot: usize, flags: u32) -> Found<()> {
        let which = self.which(set);
        let Slot { kind, number, family, .. } = self.slots[slot];
        // The kernel wakes a set's watchers for IN alone: whoever wants only RDNORM
        // is told when he asks and not when it happens.
        let rdnorm_alone = kind == Kind::Set && flags & 0x41 == 0x40;
        let flags = if rdnorm_alone { flags | 1 } else { flags };
        let open = self.slots[slot].source.is_some() || self.slots[slot].set.is_some();
        if !open {
            // Its number may be another one's by now, or there was none.
            // SAFETY: it only looks.
            let taken = unsafe { libc::fcntl(number, libc::F_GETFD) } != -1;
            if taken || kind == Kind::Set {
                return Ok(());
            }
        }
        let tag = self.tag(slot);
        self.stamp += 1;
        let stamp = self.stamp;
        let data = stamp << STAMP | tag;
        let operation = match name {
            "add" => libc::EPOLL_CTL_ADD,
            "modify" => libc::EPOLL_CTL_MOD,
            _ => libc::EPOLL_CTL_DEL,
        };
        let pair = self.pair(which);
        let kernel = pair.kernel_control(operation, number, flags, data);
        let with = EpollFlags::from_bits_retain(flags);
        let ours = &pair.ours;
        let ours = errno(match (&self.slots[slot].set, name) {
            (Some(inner), "add") => ours.register_with_data(&inner.ours, with, data),
            (Some(inner), "modify") => ours.modify_with_data(&inner.ours, with, data),
            (Some(inner), _) => ours.unregister(&inner.ours),
            (None, "add") => ours.register_with_data(&borrow(number), with, data),
            (None, "modify") => ours.modify_with_data(&borrow(number), with, data),
            (None, _) => ours.unregister(&borrow(number)),
        });
        if kernel != ours {
            return Err(format!("errno {kernel}, ours {ours}"));
        }
        self.table.control(kind, name, flags, kernel);
        if kernel == 0 {
            let registered = &mut self.pair_mut(which).registered;
            if name == "delete" {
                registered.remove(&tag);
            } else {
                let new = Registered {
                    slot,
                    flags,
                    stamp,
                    last: 0,
                    owed: false,
                    spent: false,
                    excused: true,
                    since: Instant::now(),
                    extra: 0,
                };
                registered.insert(tag, new);
            }
            // What holds this set may be told of it.
            self.excuse(which.map_or(family, |slot| self.slots[slot].family));
        }
        Ok(())
    }

    /// Whether ours may tell more often than the kernel's, and later.
    fn is_edge(&self, registered: &Registered) -> bool {
        registered.flags & (ET | ONESHOT) == ET
            || self.slots[registered.slot]
                .set
                .as_ref()
                .is_some_and(|inner| inner.registered.values().any(|one| self.is_edge(one)))
    }

    fn wait(&mut self, which: Option<usize>, most: usize, nap: Duration) -> Found<()> {
        self.before = self.readiness();
        let pair = self.pair(which);
        if most == 0 {
            let (kernel, ours) = (pair.kernel_wait(0), pair.our_wait(0, Duration::ZERO));
            let same = kernel == Err(libc::EINVAL) && ours == Err(libc::EINVAL);
            return if same { Ok(()) } else { Err(format!("{kernel:?}, ours {ours:?}")) };
        }
        // Everyone gets his turn within so many.
        let rounds = pair.registered.len().div_ceil(most).max(1);
        let exact =
            !pair.registered.values().any(|one| self.is_edge(one) || one.flags & ONESHOT != 0);
        let mut counts = Vec::new();
        let mut all = [BTreeMap::new(), BTreeMap::new()];
        for _ in 0..rounds {
            let told = pair.kernel_wait(most).map_err(|errno| format!("errno {errno}"))?;
            counts.push(told.len());
            all[0].extend(self.by_tag(which, told)?);
        }
        let before = Instant::now();
        for count in counts {
            let told = pair.our_wait(most, nap).map_err(|errno| format!("ours: errno {errno}"))?;
            if exact && count != told.len() {
                return Err(format!("{count} in a buffer for {most}, ours {}", told.len()));
            }
            all[1].extend(self.by_tag(which, told)?);
        }
        let [kernel, ours] = all;
        self.compare(which, &kernel, &ours, before)
    }

    fn rouse(&mut self, which: Option<usize>, slot: usize, close: bool) -> Found<()> {
        let (kind, family) = (self.slots[slot].kind, self.slots[slot].family);
        let pipe = matches!(kind, Kind::PipeRead | Kind::PipeWrite);
        if close && !pipe {
            return Ok(());
        }
        self.wait(which, ALL, Duration::ZERO)?;
        // A level would not let it sleep.
        if self.pair(which).kernel_wait(ALL) != Ok(Vec::new()) {
            return Ok(());
        }
        let Some(mut source) = self.slots[slot].source.take() else { return Ok(()) };
        let pair = self.pair(which);
        let before = Instant::now();
        let (told, source, done) = std::thread::scope(|scope| {
            let acts = scope.spawn(move || {
                std::thread::sleep(NAP);
                let done = if close { source.close_peer() } else { source.put() };
                (source, done.is_ok())
            });
            let told = pair.our_wait(ALL, NAP * 20);
            let (source, done) = acts.join().expect("it does not panic");
            (told, source, done)
        });
        self.slots[slot].source = Some(source);
        if done {
            self.table.reached((kind, if close { "close peer" } else { "put" }, "none", "ok"));
        }
        self.excuse(family);
        self.before = self.readiness();
        let failed = |errno| format!("errno {errno}");
        let kernel = self.pair(which).kernel_wait(ALL).map_err(failed)?;
        // It may have been roused before all was there.
        let mut ours = told.map_err(failed)?;
        ours.extend(self.pair(which).our_wait(ALL, Duration::ZERO).map_err(failed)?);
        let kernel = self.by_tag(which, kernel)?.into_iter().collect();
        let ours = self.by_tag(which, ours)?.into_iter().collect();
        self.compare(which, &kernel, &ours, before)
    }

    /// Events by the sources' tags, if their data are those of the last add or modify.
    fn by_tag(&self, which: Option<usize>, told: Vec<(u64, u32)>) -> Found<Vec<(u64, u32)>> {
        let registered = &self.pair(which).registered;
        let strip = |(data, flags)| {
            let (tag, stamp) = (data & !(!0 << STAMP), data >> STAMP);
            match registered.get(&tag) {
                None => Err(format!("{flags:#x} for {tag:#x}, which is not registered")),
                Some(one) if one.stamp != stamp => {
                    Err(format!("data {data:#x}, the last were {:#x}", one.stamp))
                }
                Some(_) => Ok((tag, flags)),
            }
        };
        told.into_iter().map(strip).collect()
    }

    fn compare(
        &mut self,
        which: Option<usize>,
        kernel: &BTreeMap<u64, u32>,
        ours: &BTreeMap<u64, u32>,
        before: Instant,
    ) -> Found<()> {
        let tags: Vec<u64> = self.pair(which).registered.keys().copied().collect();
        let moved = kernel.keys().ne(ours.keys()) && self.readiness() != self.before;
        for tag in tags {
            let (kernel, ours) = (kernel.get(&tag), ours.get(&tag));
            let Some(registered) = self.pair(which).registered.get(&tag) else { continue };
            let (edge, slot) = (self.is_edge(registered), registered.slot);
            let (kind, flags) = (self.slots[slot].kind, registered.flags);
            // TCP has news of its own that need not change what it is ready for.
            let by_itself = kind.is_tcp() || matches!(kind, Kind::Listener | Kind::Udp | Kind::Set);
            let said = format!("slot {slot}, {kind:?}, {flags:#x}: {kernel:x?}, ours {ours:x?}");
            if let (Some(kernel), Some(ours)) = (kernel, ours) {
                if kernel != ours {
                    return Err(said);
                }
                let mode = (flags >> 31) | (flags >> 29 & 2);
                self.table.told(kind, MODES[mode as usize], *kernel);
            }
            let Some(registered) = self.pair_mut(which).registered.get_mut(&tag) else {
                continue;
            };
            if let Some(ours) = ours {
                registered.last = *ours;
                // Ours looked later, and may have told of more.
                registered.spent |= by_itself && edge;
            }
            match (kernel.is_some(), ours.is_some()) {
                (false, false) => {}
                (true, true) => registered.told(before),
                _ if !edge => return Err(said),
                // At once: what was just added or modified, or was not ready before.
                (true, false)
                    if kernel.is_some_and(|now| now & !registered.last != 0)
                        && kind != Kind::Set =>
                {
                    return Err(format!("{said}: late"));
                }
                (true, false) => {
                    registered.owed |= !registered.spent;
                    registered.spent &= registered.flags & ONESHOT != 0;
                }
                (false, true) => {
                    registered.spent |= registered.flags & ONESHOT != 0 || moved;
                    if registered.excused || registered.owed {
                        registered.told(before);
                    } else {
                        // 1, 2, 4 ... 256 ms apart, in each direction.
                        registered.extra += 1;
                        // Either's first may have been due anyway.
                        let each = registered.extra.saturating_sub(2).div_ceil(2);
                        let doubling = (1u64 << each.min(9)) - 1;
                        let least = doubling + 256 * u64::from(each.saturating_sub(9));
                        let passed = registered.since.elapsed();
                        if passed < Duration::from_millis(least) {
                            return Err(format!(
                                "{said}: told {} times without a reason in {passed:?}",
                                registered.extra
                            ));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Each edge that the kernel told and ours did not has to come, within
    /// the lateness that is documented, unless its reason has gone.
    fn settle_debts(&mut self) -> Found<()> {
        const LATE: Duration = Duration::from_millis(256);
        let begin = Instant::now();
        let sets: Vec<Option<usize>> = (0..self.slots.len())
            .filter(|slot| self.slots[*slot].set.is_some())
            .map(Some)
            .chain([None])
            .collect();
        for which in sets {
            loop {
                let owed = self.owed(which);
                if owed.is_empty() {
                    break;
                }
                let late = begin.elapsed();
                let before = Instant::now();
                let pair = self.pair_mut(which);
                let told = pair
                    .our_wait(64, Duration::from_millis(1))
                    .map_err(|errno| format!("ours: errno {errno}"))?;
                for (data, _) in told {
                    let tag = data & !(!0 << STAMP);
                    if let Some(registered) = pair.registered.get_mut(&tag) {
                        registered.told(before);
                    }
                }
                // A machine that is busy is later.
                if late > LATE * 4 {
                    return Err(format!("lost edges: {owed:x?}"));
                }
            }
        }
        Ok(())
    }

    /// The edges that are owed, and whose source is still ready.
    fn owed(&self, which: Option<usize>) -> Vec<u64> {
        let still = |registered: &Registered| {
            let asked = registered.flags | UNASKED;
            let number = self.slots[registered.slot].number;
            poll(number, asked & 0xffff, Duration::ZERO) & asked != 0
        };
        let registered = self.pair(which).registered.iter();
        registered.filter(|(_, one)| one.owed && still(one)).map(|(tag, _)| *tag).collect()
    }
}

impl Registered {
    fn told(&mut self, since: Instant) {
        (self.owed, self.excused, self.extra) = (false, false, 0);
        self.since = since;
    }
}

fn at(slot: u8) -> usize {
    usize::from(slot % SLOTS)
}
