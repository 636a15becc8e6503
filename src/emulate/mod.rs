//! The semantics that a kernel lacks, over any backend.

#[cfg(any(
    not(any(target_os = "linux", target_os = "android")),
    readiness_backend = "poll",
    // To be tested over the kernel's.
    readiness_emulated_epoll,
))]
pub(crate) mod epoll;

#[cfg(not(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
)))]
pub(crate) mod kqueue;
