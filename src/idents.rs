//! The ident of a source that is no descriptor: a number by which a
//! [`Kevent`](crate::Kevent) names it, and by which it is found again.
//!
//! Only what was named is here, and weakly: a source ends with its owner.

use std::collections::BTreeMap;
#[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
use std::sync::{Arc, Weak};

use crate::backend::HeldSet;
#[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
use crate::backend::NetSocket;
use crate::backend::lock::Lock;
#[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
use crate::pollable::WeakPollable;
#[allow(unused_imports, reason = "where there is no host, nothing is held")]
use crate::source::{Held, Member, RawSource, Source};

enum Named {
    Set(Box<dyn HeldSet>),
    #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
    Pollable(WeakPollable),
    #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
    Socket(Weak<dyn NetSocket>),
}

impl Named {
    fn get(&self) -> Option<Member> {
        match self {
            Named::Set(set) => set.check().ok().map(|()| Member::Set(set.hold())),
            #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
            Named::Pollable(pollable) => {
                pollable.upgrade().map(|pollable| Member::Host(Held::Pollable(pollable)))
            }
            #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
            Named::Socket(socket) => {
                socket.upgrade().map(|socket| Member::Host(Held::NetSocket(socket)))
            }
        }
    }
}

struct Table {
    named: BTreeMap<usize, Named>,
    /// When to forget those that are gone.
    full: usize,
}

static TABLE: Lock<Table> = Lock::new(Table { named: BTreeMap::new(), full: 64 });

// Where the numbers of others begin. Descriptors are below 2^31, sets at it.
#[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
const SOCKETS: usize = 5 << 29;
#[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
const POLLABLES: usize = 3 << 30;

/// The ident of a source with this name.
#[allow(dead_code, reason = "a kernel's kqueue needs none")]
pub(crate) fn of(raw: RawSource) -> usize {
    match raw {
        #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
        RawSource::Socket(name) => SOCKETS + name as usize % (POLLABLES - SOCKETS),
        #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
        RawSource::Pollable(handle) => POLLABLES + handle as usize,
        raw => raw.number() as usize,
    }
}

/// The ident of a source, by which it is found from now on.
pub(crate) fn ident(source: Source<'_>) -> usize {
    let ident = of(source.raw());
    let named = match source.hold() {
        Member::Set(set) => Named::Set(set),
        #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
        Member::Host(Held::Pollable(pollable)) => Named::Pollable(pollable.downgrade()),
        #[cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
        Member::Host(Held::NetSocket(socket)) => Named::Socket(Arc::downgrade(&socket)),
        Member::Host(_) => return ident,
    };
    let mut table = TABLE.lock();
    if table.named.len() >= table.full {
        table.named.retain(|_, named| named.get().is_some());
        table.full = 2 * table.named.len() + 64;
    }
    table.named.insert(ident, named);
    ident
}

/// The source with this ident, if there can be one.
#[allow(dead_code, reason = "a kernel's kqueue finds descriptors itself")]
pub(crate) fn source(ident: usize) -> Option<Member> {
    let table = TABLE.lock();
    if let Some(named) = table.named.get(&ident) {
        return named.get();
    }
    cfg_if::cfg_if! {
        if #[cfg(any(unix, target_os = "wasi"))] {
            i32::try_from(ident).ok().map(|fd| Member::Host(Held::Fd(fd)))
        } else if #[cfg(windows)] {
            Some(Member::Host(Held::Socket(ident as std::os::windows::io::RawSocket)))
        } else {
            None
        }
    }
}
