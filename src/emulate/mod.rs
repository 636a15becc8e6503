//! The semantics that a kernel lacks, over any backend.

#[cfg(any(not(any(target_os = "linux", target_os = "android")), readiness_backend = "poll"))]
pub(crate) mod epoll;

#[cfg(all(any(target_os = "linux", target_os = "android"), not(readiness_backend = "poll")))]
pub(crate) mod kqueue;
