//! The kqueues of this process, to be found by a descriptor.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Weak};

use super::super::Shared;
use super::Own;
use crate::backend::lock::Lock;
use crate::backend::process;

struct Registry {
    all: Vec<Weak<Shared>>,
    /// When to forget those that are gone.
    full: usize,
    /// Those whose descriptor was given away, and its number.
    parked: Vec<(RawFd, Arc<Shared>)>,
}

static REGISTRY: Lock<Registry> =
    Lock::new(Registry { all: Vec::new(), full: 0, parked: Vec::new() });

pub(in crate::emulate::kqueue) fn enter(shared: &Arc<Shared>) {
    let mut registry = REGISTRY.lock();
    // Its descriptor was closed since, by whoever had it.
    registry.parked.retain(|(number, shared)| is(*number, shared));
    if registry.all.len() >= registry.full {
        registry.all.retain(|one| one.strong_count() > 0);
        registry.full = 2 * registry.all.len() + 8;
    }
    registry.all.push(Arc::downgrade(shared));
}

pub(in crate::emulate::kqueue) fn park(own: &Own, shared: Arc<Shared>) {
    let mut registry = REGISTRY.lock();
    registry.parked.push((own.0.as_raw_fd(), shared));
}

/// The kqueue whose descriptor this is, or a duplicate of it.
pub(in crate::emulate::kqueue) fn find(own: &Own) -> Option<Arc<Shared>> {
    let number = own.0.as_raw_fd();
    let found = find_number(number)?;
    let mut registry = REGISTRY.lock();
    registry.parked.retain(|(other, shared)| *other != number || !Arc::ptr_eq(shared, &found));
    Some(found)
}

pub(super) fn find_number(number: RawFd) -> Option<Arc<Shared>> {
    let registry = REGISTRY.lock();
    let all: Vec<_> = registry.all.iter().filter_map(Weak::upgrade).collect();
    drop(registry);
    all.into_iter().find(|shared| is(number, shared))
}

fn is(number: RawFd, shared: &Shared) -> bool {
    shared.process == process() && shared.mark.is_behind(number) == Some(true)
}
