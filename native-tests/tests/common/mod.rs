//! A process of its own for a test that changes the whole process.

#![allow(dead_code, unused_imports, reason = "no test program needs all of it")]

use std::process::Command;
use std::time::Duration;

pub const MS: Duration = Duration::from_millis(1);
/// Far beyond what a test takes on a loaded machine: what ends then has failed.
pub const LONG: Duration = Duration::from_secs(60);

/// Runs `work` in a new process of this test program, in which no other test runs.
/// `name` is the calling test's.
#[track_caller]
pub fn alone(name: &str, work: impl FnOnce()) {
    const VARIABLE: &str = "READINESS_TEST_ALONE";
    if std::env::var_os(VARIABLE).is_some_and(|alone| alone == *name) {
        return work();
    }
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program)
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(VARIABLE, name)
        .output()
        .unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{name}, alone:\n{out}\n{err}");
}

#[cfg(unix)]
pub use unix::*;

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::os::fd::{FromRawFd, OwnedFd};

    /// The limits of open descriptors: the one in force, and the highest one.
    pub fn limits() -> (u64, u64) {
        let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: there is room for the limits.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limits) }, 0);
        #[allow(clippy::unnecessary_cast, reason = "signed on FreeBSD")]
        (limits.rlim_cur as u64, limits.rlim_max as u64)
    }

    /// Allows this many open descriptors.
    pub fn limit(descriptors: u64) {
        let (_, most) = limits();
        assert!(
            descriptors <= most,
            "this test needs {descriptors} descriptors, and `ulimit -Hn` allows {most}"
        );
        let limits = libc::rlimit { rlim_cur: descriptors as _, rlim_max: most as _ };
        // SAFETY: the limits are valid.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limits) }, 0);
    }

    /// The two ends of a pipe: to read and to write.
    pub fn pipe() -> (File, File) {
        let mut fds = [0; 2];
        // SAFETY: there is room for two descriptors, which are then ours.
        unsafe {
            assert_eq!(libc::pipe(fds.as_mut_ptr()), 0);
            (File::from_raw_fd(fds[0]), File::from_raw_fd(fds[1]))
        }
    }

    /// The same source under `number`.
    pub fn renumber(source: &impl std::os::fd::AsRawFd, number: i32) -> OwnedFd {
        // SAFETY: no pointers; the new descriptor is ours.
        unsafe {
            assert_eq!(libc::dup2(source.as_raw_fd(), number), number);
            OwnedFd::from_raw_fd(number)
        }
    }
}
