//! What every benchmark shares: paired measurement, sources by the thousand, the
//! peers behind one interface, and the report.

pub mod measure;
#[cfg(target_os = "linux")]
pub mod peers;
#[cfg(not(target_family = "wasm"))]
pub mod plot;
#[cfg(not(target_family = "wasm"))]
pub mod report;
#[cfg(any(unix, target_os = "wasi"))]
pub mod results;
#[cfg(target_os = "linux")]
pub mod sources;
