//! Paired measurement: two ways to do the same work, taken in turns, so that
//! whatever else the machine does meets both.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Rounds of one comparison: odd, so that there is a median.
const ROUNDS: usize = 61;
/// What one side does in a round takes about this long.
const BATCH: Duration = Duration::from_micros(1500);

/// Ours over theirs.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    /// The median of the rounds' ratios: under 1 is faster.
    pub median: f64,
    /// The distance of the quartiles.
    pub spread: f64,
    /// Ours, in nanoseconds a call.
    pub nanos: f64,
}

/// Both sides do the same work a call; what they return keeps it from being
/// optimised away.
pub fn paired(mut ours: impl FnMut() -> u64, mut theirs: impl FnMut() -> u64) -> Ratio {
    let calls = calls_in(BATCH, &mut theirs);
    black_box(time(calls, &mut ours));
    let mut ratios = Vec::with_capacity(ROUNDS);
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        // Who is first gains or loses by it: in turns, and irregularly.
        let (own, other) = if (round * 7919) % 13 % 2 == 0 {
            let own = time(calls, &mut ours);
            (own, time(calls, &mut theirs))
        } else {
            let other = time(calls, &mut theirs);
            (time(calls, &mut ours), other)
        };
        ratios.push(own.as_secs_f64() / other.as_secs_f64());
        times.push(own.as_nanos() as f64 / calls as f64);
    }
    let (median, spread) = median_and_spread(&mut ratios);
    Ratio { median, spread, nanos: median_and_spread(&mut times).0 }
}

/// What one call takes, without anything beside it.
pub fn nanos(mut work: impl FnMut() -> u64) -> f64 {
    let calls = calls_in(BATCH, &mut work);
    let mut times: Vec<f64> =
        (0..ROUNDS).map(|_| time(calls, &mut work).as_nanos() as f64 / calls as f64).collect();
    median_and_spread(&mut times).0
}

fn time(calls: u32, work: &mut impl FnMut() -> u64) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        black_box(work());
    }
    start.elapsed()
}

fn calls_in(batch: Duration, work: &mut impl FnMut() -> u64) -> u32 {
    let mut calls = 1;
    loop {
        let took = time(calls, work);
        if took >= batch || calls > 1 << 20 {
            return calls;
        }
        calls *= 2;
    }
}

fn median_and_spread(values: &mut [f64]) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |part: f64| values[(part * (values.len() - 1) as f64).round() as usize];
    (at(0.5), at(0.75) - at(0.25))
}
