//! Which set is in which: kqueues nest, and a loop of them is for nobody to find out
//! about in the kernel. epoll(7) refuses loops and more than five levels.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The sets of this process, by descriptor, and the sets in them.
static SETS: Mutex<BTreeMap<RawFd, BTreeSet<RawFd>>> = Mutex::new(BTreeMap::new());

type Sets = BTreeMap<RawFd, BTreeSet<RawFd>>;

const LEVELS: usize = 5;

fn sets() -> MutexGuard<'static, Sets> {
    SETS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn made(set: RawFd) {
    sets().insert(set, BTreeSet::new());
}

/// It is closed, and with that in no other set.
pub(super) fn dropped(set: RawFd) {
    let mut sets = sets();
    sets.remove(&set);
    for inner in sets.values_mut() {
        inner.remove(&set);
    }
}

pub(super) fn is_set(source: RawFd) -> bool {
    sets().contains_key(&source)
}

/// Puts a source into a set, if it is a set itself: `ELOOP` if it must not be.
pub(super) fn enter(set: RawFd, source: RawFd) -> io::Result<()> {
    let mut sets = sets();
    if !sets.contains_key(&source) {
        return Ok(());
    }
    let (below, above) = (below(&sets, source), above(&sets, set));
    if below.contains_key(&set) || deepest(&below) + deepest(&above) > LEVELS {
        return Err(io::Error::from_raw_os_error(libc::ELOOP));
    }
    if let Some(inner) = sets.get_mut(&set) {
        inner.insert(source);
    }
    Ok(())
}

pub(super) fn leave(set: RawFd, source: RawFd) {
    if let Some(inner) = sets().get_mut(&set) {
        inner.remove(&source);
    }
}

/// The set and those in it, and the level of each.
fn below(sets: &Sets, set: RawFd) -> BTreeMap<RawFd, usize> {
    levels(set, |set| sets.get(&set).into_iter().flatten().copied().collect())
}

/// The set and those that it is in, and the level of each.
fn above(sets: &Sets, set: RawFd) -> BTreeMap<RawFd, usize> {
    levels(set, |set| {
        sets.iter().filter(|(_, inner)| inner.contains(&set)).map(|(outer, _)| *outer).collect()
    })
}

/// There are no loops: it ends.
fn levels(first: RawFd, next: impl Fn(RawFd) -> Vec<RawFd>) -> BTreeMap<RawFd, usize> {
    let mut levels = BTreeMap::new();
    let mut todo = vec![(first, 1)];
    while let Some((set, level)) = todo.pop() {
        let known = levels.entry(set).or_insert(0);
        if *known < level {
            *known = level;
            todo.extend(next(set).into_iter().map(|set| (set, level + 1)));
        }
    }
    levels
}

fn deepest(levels: &BTreeMap<RawFd, usize>) -> usize {
    levels.values().copied().max().unwrap_or(0)
}
