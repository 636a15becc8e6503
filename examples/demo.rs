//! One program for every target: lines from standard input and two timers, with
//! the front end that the argument names (`selector`, `select` or `poll`).
//!
//! It ends when its input has ended and its timers have expired, and prints what
//! it saw, source by source. `make demo` runs it natively, in wasmtime and in
//! Node, and compares.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use readiness::{AsSource, Events, Interest, Mode, Poll, PollFlags, Selector, select};

#[path = "common/console.rs"]
mod console;

const BEAT: Duration = Duration::from_millis(60);
const BEATS: u32 = 8;
const ALARM: Duration = Duration::from_millis(200);

/// What the program saw, by source, each in order.
#[derive(Default)]
struct Seen {
    input: Vec<String>,
    beat: Vec<String>,
    alarm: Vec<String>,
    /// A line that has not ended yet.
    partial: Vec<u8>,
    input_ended: bool,
}

impl Seen {
    fn is_complete(&self) -> bool {
        self.input_ended && self.beats_left() == 0 && !self.alarm.is_empty()
    }

    fn beats_left(&self) -> u32 {
        BEATS - self.beat.len() as u32
    }

    /// Standard input is ready: one read, which does not block.
    fn read(&mut self, mut input: impl Read) -> io::Result<()> {
        // Larger than the buffer of std, which passes such a read on and keeps nothing.
        let mut bytes = [0; 1 << 16];
        let len = input.read(&mut bytes)?;
        for part in bytes[..len].split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.line("read");
            }
        }
        if len == 0 {
            if !self.partial.is_empty() {
                self.line("read, without an end,");
            }
            self.input.push("end of file".into());
            self.input_ended = true;
        }
        Ok(())
    }

    fn line(&mut self, how: &str) {
        self.input.push(format!("{how} {:?}", String::from_utf8_lossy(&self.partial)));
        self.partial.clear();
    }

    fn beat(&mut self, times: u32) {
        for _ in 0..times.min(self.beats_left()) {
            self.beat.push(format!("expired, {} of {BEATS}", self.beat.len() + 1));
        }
    }

    fn alarm(&mut self) {
        self.alarm.push("expired".into());
    }

    fn print(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for (name, events) in [("stdin", &self.input), ("beat", &self.beat), ("alarm", &self.alarm)]
        {
            for event in events {
                writeln!(out, "{name}: {event}")?;
            }
        }
        out.flush()
    }
}

fn with_selector(seen: &mut Seen) -> io::Result<()> {
    const INPUT: u64 = 1;
    const BEAT_TIMER: u64 = 2;
    const ALARM_TIMER: u64 = 3;

    let selector = Selector::new()?;
    let input = console::open()?;
    selector.register(&input, INPUT, Interest::READ, Mode::Level)?;
    let beat = selector.add_periodic(BEAT_TIMER, BEAT, BEAT)?;
    selector.add_timer(ALARM_TIMER, ALARM);

    let mut events = Events::with_capacity(16);
    while !seen.is_complete() {
        selector.wait(&mut events, None)?;
        for event in &events {
            match event.token() {
                INPUT => {
                    seen.read(&input)?;
                    if seen.input_ended {
                        selector.unregister(&input)?;
                    }
                }
                BEAT_TIMER => seen.beat(event.expirations()),
                _ => seen.alarm(),
            }
        }
        if seen.beats_left() == 0 {
            selector.cancel_timer(beat);
        }
    }
    Ok(())
}

/// The two timers, for front ends that have a timeout only.
struct Clock {
    start: Instant,
}

impl Clock {
    /// How long until the next expiry.
    fn timeout(&self, seen: &Seen) -> Option<Duration> {
        let beat = (seen.beats_left() > 0).then(|| BEAT * (seen.beat.len() as u32 + 1));
        let alarm = seen.alarm.is_empty().then_some(ALARM);
        let next = [beat, alarm].into_iter().flatten().min()?;
        Some(next.saturating_sub(self.start.elapsed()))
    }

    fn expire(&self, seen: &mut Seen) {
        let elapsed = self.start.elapsed();
        let beats = (elapsed.as_nanos() / BEAT.as_nanos()) as u32;
        seen.beat(beats.saturating_sub(seen.beat.len() as u32));
        if seen.alarm.is_empty() && elapsed >= ALARM {
            seen.alarm();
        }
    }
}

fn with_select(seen: &mut Seen) -> io::Result<()> {
    let clock = Clock { start: Instant::now() };
    let input = console::open()?;
    while !seen.is_complete() {
        let read = if seen.input_ended { None } else { Some(&input) };
        let ready = select(read, [], [], clock.timeout(seen))?;
        if !ready.read.is_empty() {
            seen.read(&input)?;
        }
        clock.expire(seen);
    }
    Ok(())
}

fn with_poll(seen: &mut Seen) -> io::Result<()> {
    let clock = Clock { start: Instant::now() };
    let input = console::open()?;
    let mut poll = Poll::new();
    poll.register(&input, PollFlags::IN)?;
    while !seen.is_complete() {
        let timeout = clock.timeout(seen);
        let readable = poll.poll(timeout)?.any(|event| event.source == input.raw_source());
        if readable {
            seen.read(&input)?;
            if seen.input_ended {
                poll.unregister(&input)?;
            }
        }
        clock.expire(seen);
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let mut seen = Seen::default();
    match std::env::args().nth(1).as_deref() {
        Some("selector") => with_selector(&mut seen)?,
        Some("select") => with_select(&mut seen)?,
        Some("poll") => with_poll(&mut seen)?,
        Some("backend") => {
            println!("{}", Selector::backend());
            return Ok(());
        }
        _ => {
            eprintln!("usage: demo selector|select|poll|backend");
            std::process::exit(2);
        }
    }
    seen.print()
}
