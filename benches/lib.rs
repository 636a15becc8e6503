//! What every benchmark shares: paired measurement, and sources by the thousand.

pub mod measure;
pub mod report;
pub mod sources;
