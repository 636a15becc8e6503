//! Paired measurement: two ways to do the same work, taken in turns, so that
//! whatever else the machine does meets both.

use std::hint::black_box;
use std::time::Duration;

/// What one side does in a round takes about this long: short beside a time
/// slice, so that few rounds meet anybody else.
const BATCH: Duration = Duration::from_micros(200);
const LEAST_ROUNDS: usize = 31;
const MOST_ROUNDS: usize = 301;
/// What a comparison takes at most, once it has the least of rounds.
const BUDGET: Duration = Duration::from_millis(600);

/// One side of a comparison. A closure is one that needs no preparation.
pub trait Side {
    /// Before each round, and not measured.
    fn enter(&mut self) {}
    /// What keeps it from being optimised away.
    fn work(&mut self) -> u64;
    /// After each round, and not measured.
    fn leave(&mut self) {}
}

impl<F: FnMut() -> u64> Side for F {
    #[inline]
    fn work(&mut self) -> u64 {
        self()
    }
}

/// Ours over theirs.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    /// The median of the rounds' ratios: under 1 is faster.
    pub median: f64,
    /// The distance of the quartiles.
    pub spread: f64,
    /// In nanoseconds a call.
    pub ours: f64,
    pub theirs: f64,
}

/// Both sides do the same work a call.
pub fn paired(mut ours: impl Side, mut theirs: impl Side) -> Ratio {
    compare(&mut ours, &mut theirs)
}

/// Each side is a function that is called. Were one of them compiled into the loop, it
/// would have a return less after its system call, and each of them is mispredicted:
/// the kernel's own returns have displaced what the processor expects. That is 10 ns.
fn compare(ours: &mut dyn Side, theirs: &mut dyn Side) -> Ratio {
    let calls = calls_in_a_batch(theirs);
    time(calls, ours);
    let mut rounds = Vec::with_capacity(MOST_ROUNDS);
    let begin = now();
    while rounds.len() < MOST_ROUNDS && (rounds.len() < LEAST_ROUNDS || now() - begin < BUDGET) {
        // Who is first gains or loses by it: as often the one as the other, and irregularly.
        let pair = if rounds.len().count_ones() % 2 == 0 {
            let own = time(calls, ours);
            (own, time(calls, theirs))
        } else {
            let other = time(calls, theirs);
            (time(calls, ours), other)
        };
        rounds.push(pair);
    }
    summed_up(&rounds)
}

/// A call's time over a limit in nanoseconds.
pub fn against_time(mut ours: impl Side, limit: f64) -> Ratio {
    let calls = calls_in_a_batch(&mut ours);
    let rounds: Vec<_> = (0..LEAST_ROUNDS).map(|_| (time(calls, &mut ours), limit)).collect();
    summed_up(&rounds)
}

fn summed_up(rounds: &[(f64, f64)]) -> Ratio {
    let sorted = |of: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let at =
        |values: &[f64], part: f64| values[(part * (values.len() - 1) as f64).round() as usize];
    let ratios = sorted(|(ours, theirs)| ours / theirs);
    Ratio {
        median: at(&ratios, 0.5),
        spread: at(&ratios, 0.75) - at(&ratios, 0.25),
        ours: at(&sorted(|pair| pair.0), 0.5),
        theirs: at(&sorted(|pair| pair.1), 0.5),
    }
}

/// Nanoseconds a call, after one that warms up.
fn time(calls: u32, side: &mut dyn Side) -> f64 {
    // Not known here, so that it is not inlined.
    let side = black_box(side);
    side.enter();
    black_box(side.work());
    let begin = now();
    for _ in 0..calls {
        black_box(side.work());
    }
    let took = now() - begin;
    side.leave();
    took.as_nanos() as f64 / f64::from(calls)
}

fn calls_in_a_batch(side: &mut dyn Side) -> u32 {
    let mut calls = 1;
    while time(calls, side) * f64::from(calls) < BATCH.as_nanos() as f64 && calls < 1 << 20 {
        calls *= 2;
    }
    calls
}

/// The time that this thread has had: none of what is measured sleeps, and what
/// others do meanwhile does not count.
#[cfg(target_os = "linux")]
fn now() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: there is room for the time.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(not(target_os = "linux"))]
fn now() -> Duration {
    static BEGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    BEGIN.get_or_init(std::time::Instant::now).elapsed()
}
