//! `readiness:poller/poller` (wit/world.wit): the selector as a component.

#![cfg(target_os = "wasi")]

use std::cell::RefCell;
// Not HashMap: it would import wasi:random.
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use readiness::{Events, Interest, Pollable, Selector, TimerId};

mod bindings {
    wit_bindgen::generate!({
        path: "..",
        world: "component",
        // What std and readiness import they bind themselves.
        with: {
            "wasi:io/error@0.2.12": wasip2::io::error,
            "wasi:io/poll@0.2.12": wasip2::io::poll,
            "wasi:io/streams@0.2.12": wasip2::io::streams,
            "wasi:clocks/monotonic-clock@0.2.12": wasip2::clocks::monotonic_clock,
            "wasi:clocks/wall-clock@0.2.12": wasip2::clocks::wall_clock,
            "wasi:cli/environment@0.2.12": wasip2::cli::environment,
            "wasi:cli/exit@0.2.12": wasip2::cli::exit,
            "wasi:cli/stdin@0.2.12": wasip2::cli::stdin,
            "wasi:cli/stdout@0.2.12": wasip2::cli::stdout,
            "wasi:cli/stderr@0.2.12": wasip2::cli::stderr,
            "wasi:cli/terminal-input@0.2.12": wasip2::cli::terminal_input,
            "wasi:cli/terminal-output@0.2.12": wasip2::cli::terminal_output,
            "wasi:cli/terminal-stdin@0.2.12": wasip2::cli::terminal_stdin,
            "wasi:cli/terminal-stdout@0.2.12": wasip2::cli::terminal_stdout,
            "wasi:cli/terminal-stderr@0.2.12": wasip2::cli::terminal_stderr,
            "wasi:filesystem/types@0.2.12": wasip2::filesystem::types,
            "wasi:filesystem/preopens@0.2.12": wasip2::filesystem::preopens,
        },
    });
}

use bindings::exports::readiness::poller::poller::{
    ErrorCode, Event, Guest, GuestPoller, Mode, Pollable as HostPollable, Registration, Timer,
};

struct Component;

impl Guest for Component {
    type Poller = Poller;
}

struct Poller(RefCell<State>);

struct State {
    /// None: the host failed to make one.
    selector: Option<Selector>,
    events: Events,
    pollables: BTreeMap<Registration, Pollable>,
    timers: BTreeMap<Timer, TimerId>,
    next: u64,
}

impl State {
    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn selector(&self) -> Result<&Selector, ErrorCode> {
        self.selector.as_ref().ok_or(ErrorCode::Other)
    }
}

fn mode(mode: Mode) -> readiness::Mode {
    match mode {
        Mode::Level => readiness::Mode::Level,
        Mode::Edge => readiness::Mode::Edge,
        Mode::OneShot => readiness::Mode::OneShot,
    }
}

fn code(error: &io::Error) -> ErrorCode {
    match error.kind() {
        io::ErrorKind::NotFound => ErrorCode::NotFound,
        io::ErrorKind::InvalidInput => ErrorCode::InvalidArgument,
        _ => ErrorCode::Other,
    }
}

impl GuestPoller for Poller {
    fn new() -> Poller {
        Poller(RefCell::new(State {
            selector: Selector::new().ok(),
            events: Events::with_capacity(64),
            pollables: BTreeMap::new(),
            timers: BTreeMap::new(),
            next: 0,
        }))
    }

    fn register(
        &self,
        pollable: HostPollable,
        token: u64,
        how: Mode,
    ) -> Result<Registration, ErrorCode> {
        let mut state = self.0.borrow_mut();
        let pollable = Pollable::from(pollable);
        let registered = state.selector()?.register(&pollable, token, Interest::READ, mode(how));
        registered.map_err(|error| code(&error))?;
        let id = state.id();
        state.pollables.insert(id, pollable);
        Ok(id)
    }

    fn modify(&self, id: Registration, token: u64, how: Mode) -> Result<(), ErrorCode> {
        let state = self.0.borrow();
        let pollable = state.pollables.get(&id).ok_or(ErrorCode::NotFound)?;
        let modified = state.selector()?.modify(pollable, token, Interest::READ, mode(how));
        modified.map_err(|error| code(&error))
    }

    fn unregister(&self, id: Registration) -> Result<HostPollable, ErrorCode> {
        let mut state = self.0.borrow_mut();
        let pollable = state.pollables.remove(&id).ok_or(ErrorCode::NotFound)?;
        state.selector()?.unregister(&pollable).map_err(|error| code(&error))?;
        // The selector has let go of it.
        pollable.into_inner().map_err(|_| ErrorCode::Other)
    }

    fn add_timer(&self, token: u64, first: u64, period: Option<u64>) -> Result<Timer, ErrorCode> {
        let mut state = self.0.borrow_mut();
        let first = Duration::from_nanos(first);
        let timer = match period.map(Duration::from_nanos) {
            None => state.selector()?.add_timer(token, first),
            Some(period) => {
                let timer = state.selector()?.add_periodic(token, first, period);
                timer.map_err(|error| code(&error))?
            }
        };
        let id = state.id();
        state.timers.insert(id, timer);
        Ok(id)
    }

    fn cancel_timer(&self, timer: Timer) -> bool {
        let mut state = self.0.borrow_mut();
        let Some(timer) = state.timers.remove(&timer) else { return false };
        state.selector().is_ok_and(|selector| selector.cancel_timer(timer))
    }

    fn wait(&self, timeout: Option<u64>, maximum: u32) -> Result<Vec<Event>, ErrorCode> {
        let mut state = self.0.borrow_mut();
        if maximum == 0 {
            return Err(ErrorCode::InvalidArgument);
        }
        let State { selector, events, .. } = &mut *state;
        let maximum = maximum as usize;
        // A buffer of the caller's size, but no larger than a wait can need.
        if events.capacity() != maximum.min(1 << 16) {
            *events = Events::with_capacity(maximum.min(1 << 16));
        }
        let selector = selector.as_ref().ok_or(ErrorCode::Other)?;
        let waited = selector.wait(events, timeout.map(Duration::from_nanos));
        waited.map_err(|error| code(&error))?;
        let told = events
            .iter()
            .map(|event| Event { token: event.token(), expirations: event.expirations() });
        Ok(told.collect())
    }
}

bindings::export!(Component with_types_in bindings);
