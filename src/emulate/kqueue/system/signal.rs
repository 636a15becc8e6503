//! `EVFILT_SIGNAL`: counts the deliveries of a signal, whoever handles it.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::error::refused;
use super::super::host::Host;
use super::super::knote::{Knotes, What};
use super::System;
use crate::backend::Key;
use crate::backend::linux::{Counter, Told, can_be_counted};
use crate::kevent::{Filter, Kevent};

pub(in super::super) struct Signal {
    counter: Counter,
}

#[derive(Default)]
pub(super) struct Signals {
    told: Option<(Key, Arc<Told>)>,
    /// Knotes of signals.
    knotes: usize,
}

/// The largest signal of Linux.
const LAST: usize = 64;

impl Signals {
    pub(super) fn attach(
        &mut self,
        host: &mut Host,
        knotes: &mut Knotes,
        change: &Kevent,
    ) -> io::Result<Signal> {
        let signal = match change.ident {
            ident @ 1..=LAST => ident as i32,
            _ => return Err(refused(Filter::Signal, "there is no such signal")),
        };
        if !can_be_counted(signal) {
            return Err(refused(Filter::Signal, "no handler may be beside this signal's own"));
        }
        let told = match &self.told {
            Some((_, told)) => told,
            None => {
                let told = Arc::new(Told::new()?);
                let key = knotes.reserve();
                if let Err(error) = host.watch_own(key, told.wake.fd()) {
                    knotes.release(key);
                    return Err(error);
                }
                &self.told.insert((key, told)).1
            }
        };
        let counter = Counter::new(signal, told)?;
        self.knotes += 1;
        Ok(Signal { counter })
    }

    pub(super) fn detach(&mut self, _signal: &Signal) {
        self.knotes -= 1;
    }

    pub(super) fn is(&self, key: Key) -> bool {
        self.told.as_ref().is_some_and(|(own, _)| *own == key)
    }

    pub(super) fn descriptor(&self) -> Option<(Key, RawFd)> {
        self.told.as_ref().map(|(key, told)| (*key, told.wake.fd()))
    }

    pub(super) fn harvest(&mut self, knotes: &mut Knotes) {
        let happened =
            self.told.as_ref().is_some_and(|(_, told)| told.something.load(Ordering::Relaxed));
        if happened {
            self.take(knotes);
        }
    }

    /// Adds what was counted to the knotes.
    pub(super) fn take(&mut self, knotes: &mut Knotes) {
        let Some((_, told)) = &self.told else { return };
        // A delivery from here on makes it readable again.
        told.wake.drain();
        told.something.store(false, Ordering::Relaxed);
        std::sync::atomic::fence(Ordering::SeqCst);
        let mut happened = Vec::new();
        for (key, knote) in knotes.iter_mut() {
            let What::System(System::Signal(signal)) = &knote.what else { continue };
            let count = signal.counter.take();
            if count > 0 {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                knote.kevent.data = knote.kevent.data.saturating_add(count);
                happened.push(key);
            }
        }
        for key in happened {
            knotes.activate(key);
        }
    }
}
