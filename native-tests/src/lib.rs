//! What several tests, and the benchmarks, have in common.

pub mod allocations;
pub mod random;
