//! The table from numbers to emulated sets.
//!
//! An emulated epoll or kqueue has to be an `int` that C can hold, hand on, dup
//! and close. On Unix the number is a real descriptor, so that the kernel gives
//! it to nothing else: the set's own if it has one, or else a pipe that never has
//! anything to say. The program may close or dup such a number behind our back;
//! therefore the number is asked each time which open file it stands for. On WASI
//! the numbers are from 0x40000000 on, which hosts never reach.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use libc::c_int;
use readiness::{AsSource, Source};

use crate::errno::Answer;
#[cfg(not(kernel_epoll))]
use crate::errno::Errno;
use crate::source::CSource;

#[cfg(unix)]
#[path = "sets/unix.rs"]
mod place;
#[cfg(not(unix))]
#[path = "sets/wasi.rs"]
mod place;

use place::{Number, Place};

/// An emulated set.
pub(crate) struct Set {
    pub(crate) kind: Kind,
    place: Place,
}

pub(crate) enum Kind {
    #[cfg(not(kernel_epoll))]
    Epoll(readiness::Epoll),
    #[cfg(not(kernel_kqueue))]
    Kqueue(crate::kqueue::Queue),
    /// Not a set, but like one: without a descriptor, and a source.
    #[cfg(all(feature = "wasi-io", target_os = "wasi"))]
    Socket(crate::sockets::Socket),
}

impl Kind {
    fn is_set(&self) -> bool {
        match self {
            #[cfg(all(feature = "wasi-io", target_os = "wasi"))]
            Kind::Socket(_) => false,
            _ => true,
        }
    }
}

impl Kind {
    /// The descriptor that the set has of its own.
    #[cfg(unix)]
    fn descriptor(&self) -> Option<std::os::fd::RawFd> {
        match self {
            #[cfg(not(kernel_epoll))]
            Kind::Epoll(_) => None,
            #[cfg(not(kernel_kqueue))]
            Kind::Kqueue(queue) => queue.descriptor(),
        }
    }
}

impl AsSource for Set {
    fn as_source(&self) -> Source<'_> {
        match &self.kind {
            #[cfg(not(kernel_epoll))]
            Kind::Epoll(epoll) => epoll.as_source(),
            #[cfg(not(kernel_kqueue))]
            Kind::Kqueue(queue) => queue.set.as_source(),
            #[cfg(all(feature = "wasi-io", target_os = "wasi"))]
            Kind::Socket(socket) => socket.as_source(),
        }
    }
}

impl Set {
    fn is(&self, number: &Number) -> bool {
        self.place.is(&self.kind, number)
    }

    /// The program closes this source.
    pub(crate) fn closed(&self, source: &CSource) {
        match &self.kind {
            #[cfg(not(kernel_epoll))]
            Kind::Epoll(epoll) => epoll.closed(source.raw_source()),
            #[cfg(not(kernel_kqueue))]
            Kind::Kqueue(queue) => queue.set.closed(source.raw_source()),
            #[cfg(all(feature = "wasi-io", target_os = "wasi"))]
            Kind::Socket(_) => {}
        }
    }

    /// The program met `EAGAIN` on this source.
    pub(crate) fn rearm(&self, source: &CSource) {
        match &self.kind {
            #[cfg(not(kernel_epoll))]
            // It has no better way to hear of an error than a late edge.
            Kind::Epoll(epoll) => drop(epoll.rearm(source)),
            #[cfg(not(kernel_kqueue))]
            Kind::Kqueue(queue) => drop(queue.set.rearm(source)),
            #[cfg(all(feature = "wasi-io", target_os = "wasi"))]
            Kind::Socket(_) => {}
        }
    }
}

/// Every number that is known to stand for a set; several after a dup.
static NUMBERS: RwLock<BTreeMap<c_int, Arc<Set>>> = RwLock::new(BTreeMap::new());

/// How many there are, so that a program without any pays for one load.
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn read<T>(look: impl FnOnce(&BTreeMap<c_int, Arc<Set>>) -> T) -> T {
    look(&NUMBERS.read().unwrap_or_else(PoisonError::into_inner))
}

/// Sets are dropped by who gets them back, not under the lock: dropping closes
/// descriptors, and a close looks here.
fn write<T>(change: impl FnOnce(&mut BTreeMap<c_int, Arc<Set>>) -> T) -> T {
    let mut numbers = NUMBERS.write().unwrap_or_else(PoisonError::into_inner);
    let changed = change(&mut numbers);
    COUNT.store(numbers.len(), Ordering::Release);
    changed
}

pub(crate) fn any() -> bool {
    COUNT.load(Ordering::Acquire) > 0
}

/// A number for a new set. `closes_on_exec` counts where there is an exec.
pub(crate) fn insert(kind: Kind, closes_on_exec: bool) -> Answer {
    forget_the_closed();
    write(|numbers| {
        let (number, place) = Place::new(&kind, closes_on_exec, numbers.keys().copied())?;
        numbers.insert(number, Arc::new(Set { kind, place }));
        Ok(number)
    })
}

/// Drops the sets whose numbers were closed without our being told.
fn forget_the_closed() {
    if !any() {
        return;
    }
    let known = read(|numbers| numbers.clone());
    for (number, set) in known {
        if !set.is(&Number::new(number)) {
            drop(take_out(number, set));
        }
    }
}

/// The set that a number stands for.
pub(crate) fn find(number: c_int) -> Option<Arc<Set>> {
    if number < 0 || !any() {
        return None;
    }
    let asked = Number::new(number);
    if let Some(set) = read(|numbers| numbers.get(&number).cloned()) {
        if set.is(&asked) {
            return Some(set);
        }
        drop(take_out(number, set));
    }
    // A duplicate that we have not met.
    let set = read(|numbers| numbers.values().find(|set| set.is(&asked)).cloned())?;
    write(|numbers| numbers.insert(number, Arc::clone(&set)));
    Some(set)
}

/// The set, if it has no descriptor that the host could wait on.
pub(crate) fn without_descriptor(number: c_int) -> Option<Arc<Set>> {
    if !any_without_descriptor() {
        return None;
    }
    find(number).filter(|set| set.place.is_placeholder())
}

/// Whether there may be sets that the host cannot wait on.
pub(crate) fn any_without_descriptor() -> bool {
    any() && read(|numbers| numbers.values().any(|set| set.place.is_placeholder()))
}

/// Takes a number out. What it stood for lives on while others stand for it.
pub(crate) fn remove(number: c_int) -> Option<Arc<Set>> {
    if !any() {
        return None;
    }
    let set = read(|numbers| numbers.get(&number).cloned())?;
    take_out(number, set)
}

/// Takes a number out, if it still stands for this set: another thread may have got the
/// number for a set of its own meanwhile.
fn take_out(number: c_int, set: Arc<Set>) -> Option<Arc<Set>> {
    let is_last = read(|numbers| {
        !numbers.iter().any(|(other, of)| *other != number && Arc::ptr_eq(of, &set))
    });
    if is_last {
        // Of its duplicates, we know those that we were given.
        let met = |other: &c_int| *other != number && set.is(&Number::new(*other));
        if let Some(other) = place::open_numbers().into_iter().find(met) {
            write(|numbers| numbers.insert(other, Arc::clone(&set)));
        }
    }
    write(|numbers| {
        let still = numbers.get(&number).is_some_and(|there| Arc::ptr_eq(there, &set));
        if still { numbers.remove(&number) } else { None }
    })
}

/// Every set there is, once a number of it. Without allocating: it may be in a signal handler
/// that interrupted the allocator.
pub(crate) fn each(mut act: impl FnMut(&Set)) {
    if !any() {
        return;
    }
    let mut last = -1;
    let next = |last: c_int| {
        read(|numbers| {
            let mut rest = numbers.range((Bound::Excluded(last), Bound::Unbounded));
            let (number, set) = rest.find(|(_, set)| set.kind.is_set())?;
            Some((*number, Arc::clone(set)))
        })
    };
    while let Some((number, set)) = next(last) {
        act(&set);
        last = number;
    }
}

/// Why a number that stands for no set cannot be used as one: `EBADF` if it is
/// not open, `otherwise` if it is something else.
#[cfg(not(kernel_epoll))]
pub(crate) fn no_set(number: c_int, otherwise: Errno) -> Errno {
    if place::is_open(number) { otherwise } else { Errno(libc::EBADF) }
}
