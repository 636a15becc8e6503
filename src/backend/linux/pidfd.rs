//! pidfd_open(2): processes as descriptors.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::backend::unix::check;

/// A process, whoever's child it is.
pub(crate) struct Process {
    fd: OwnedFd,
    id: libc::pid_t,
    /// When it was started, which tells it from a later one with its number.
    started: Option<u64>,
}

impl Process {
    /// The process with this number. `ESRCH` if there is none.
    pub(crate) fn open(id: libc::pid_t) -> io::Result<Process> {
        // SAFETY: no pointers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, id, 0) };
        let fd = check(fd as libc::c_int).map_err(|error| match error.raw_os_error() {
            // No process at all, or a thread of one.
            Some(libc::EINVAL | libc::ENOENT) => io::Error::from_raw_os_error(libc::ESRCH),
            _ => error,
        })?;
        // SAFETY: the kernel just gave us this descriptor.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Process { fd, id, started: stat(id).map(|stat| stat.started) })
    }

    /// Readable once the process has exited.
    pub(crate) fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// The wait status of a process that has exited. Of another process than a child
    /// /proc has it until somebody waits for it, for those who may trace the process;
    /// after that the pidfd has it (Linux 6.15). Otherwise nobody knows, and it is 0.
    pub(crate) fn status(&self) -> i64 {
        let same = |stat: &Stat| Some(stat.started) == self.started && stat.is_over;
        let over = || stat(self.id).filter(same).map(|stat| stat.exit_code);
        let known = self.child_status().or_else(over).or_else(|| self.status_after());
        known.unwrap_or(0)
    }

    /// Of a process that somebody waited for.
    fn status_after(&self) -> Option<i64> {
        let mut info = PidfdInfo { mask: EXIT, ..PidfdInfo::default() };
        // SAFETY: the call writes as much as its number says, which is the structure.
        check(unsafe { libc::ioctl(self.fd(), PIDFD_GET_INFO as _, &raw mut info) }).ok()?;
        (info.mask & EXIT != 0).then_some(info.exit_code.into())
    }

    /// Leaves the child to be waited for.
    fn child_status(&self) -> Option<i64> {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: there is room for the answer.
        check(unsafe {
            libc::waitid(
                libc::P_PIDFD,
                self.fd() as libc::id_t,
                info.as_mut_ptr(),
                libc::WEXITED | libc::WNOWAIT | libc::WNOHANG,
            )
        })
        .ok()?;
        // SAFETY: waitid filled it, and zeros are valid too.
        let info = unsafe { info.assume_init() };
        // SAFETY: these are the fields of an answer of waitid.
        let (id, status) = unsafe { (info.si_pid(), info.si_status()) };
        if id == 0 {
            return None;
        }
        Some(match info.si_code {
            libc::CLD_EXITED => i64::from((status & 0xff) << 8),
            libc::CLD_DUMPED => i64::from(status | 0x80),
            _ => i64::from(status),
        })
    }
}

/// struct pidfd_info of linux/pidfd.h, as it was at first.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// `_IOWR(0xFF, 11, struct pidfd_info)` of most architectures. Where it is another
/// number it is refused.
const PIDFD_GET_INFO: u32 = 0xc040_ff0b;
/// `PIDFD_INFO_EXIT`
const EXIT: u64 = 1 << 3;

const _: () = assert!(size_of::<PidfdInfo>() == 64);

/// What /proc/PID/stat says.
struct Stat {
    is_over: bool,
    started: u64,
    exit_code: i64,
}

fn stat(id: libc::pid_t) -> Option<Stat> {
    let line = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name is in brackets and may have any in it.
    let fields: Vec<&str> = line[line.rfind(')')? + 1..].split_ascii_whitespace().collect();
    // Fields 3, 22 and 52 of proc_pid_stat(5).
    Some(Stat {
        is_over: matches!(*fields.first()?, "Z" | "X"),
        started: fields.get(19)?.parse().ok()?,
        exit_code: fields.get(49)?.parse().ok()?,
    })
}
