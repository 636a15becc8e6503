//! Every way to misuse epoll_ctl(2) and epoll_wait(2), on the kernel's epoll and on
//! ours: the same error, whichever of several mistakes comes first, and the same
//! events thereafter.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use readiness::{AsSource, Epoll, EpollEvent, EpollFlags, Source, os_error};

const EXCLUSIVE: u32 = 1 << 28;

/// What is asked for: each bit there is and each there is not, by itself and beside
/// `EXCLUSIVE`, and some of them together.
fn flags() -> Vec<u32> {
    let single = (0..32).map(|bit| 1 << bit);
    let mut flags: Vec<u32> = single.flat_map(|bit| [bit, bit | EXCLUSIVE]).collect();
    let allowed = 1 << 31 | 1 << 29 | EXCLUSIVE | 0x1d;
    flags.extend([0, 5, 0x2005, 3 << 30 | 1, allowed, allowed | 2, u32::MAX, !EXCLUSIVE]);
    flags.sort_unstable();
    flags.dedup();
    flags
}

/// The kernel's set and ours.
struct Pair {
    kernel: OwnedFd,
    ours: Epoll,
}

/// The same source for either.
enum Target {
    Fd(RawFd),
    Set(Box<Pair>),
    Own,
}

fn errno(answer: io::Result<()>) -> i32 {
    answer.map_or_else(|error| os_error(&error).unwrap_or(-1), |()| 0)
}

fn borrow(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: the caller of this test keeps it open, or wants it closed.
    unsafe { BorrowedFd::borrow_raw(number) }
}

const OPERATIONS: [i32; 3] = [libc::EPOLL_CTL_ADD, libc::EPOLL_CTL_MOD, libc::EPOLL_CTL_DEL];

impl Pair {
    fn new() -> Pair {
        // SAFETY: no pointers; the descriptor is new.
        let kernel = unsafe { OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC)) };
        Pair { kernel, ours: Epoll::new().unwrap() }
    }

    fn kernel(&self, operation: i32, fd: RawFd, flags: u32) -> i32 {
        let mut event = libc::epoll_event { events: flags, u64: 7 };
        // SAFETY: the event is valid; any number may be given.
        let done = unsafe { libc::epoll_ctl(self.kernel.as_raw_fd(), operation, fd, &mut event) };
        if done == 0 { 0 } else { io::Error::last_os_error().raw_os_error().unwrap() }
    }

    fn ours(&self, operation: i32, source: Source<'_>, flags: u32) -> i32 {
        let flags = EpollFlags::from_bits_retain(flags);
        errno(match operation {
            libc::EPOLL_CTL_ADD => self.ours.register_with_data(&source, flags, 7),
            libc::EPOLL_CTL_MOD => self.ours.modify_with_data(&source, flags, 7),
            _ => self.ours.unregister(&source),
        })
    }

    /// The two errors.
    fn control(&self, operation: i32, target: &Target, flags: u32) -> (i32, i32) {
        match target {
            Target::Fd(fd) => (
                self.kernel(operation, *fd, flags),
                self.ours(operation, borrow(*fd).into(), flags),
            ),
            Target::Set(inner) => (
                self.kernel(operation, inner.kernel.as_raw_fd(), flags),
                self.ours(operation, inner.ours.as_source(), flags),
            ),
            Target::Own => (
                self.kernel(operation, self.kernel.as_raw_fd(), flags),
                self.ours(operation, self.ours.as_source(), flags),
            ),
        }
    }

    /// What the two tell now.
    fn told(&self) -> [Vec<(u64, u32)>; 2] {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 8];
        // SAFETY: there is room for so many.
        let count = unsafe { libc::epoll_wait(self.kernel.as_raw_fd(), events.as_mut_ptr(), 8, 0) };
        let kernel = events[..count as usize].iter().map(|event| (event.u64, event.events));
        let mut found = [EpollEvent::default(); 8];
        let count = self.ours.wait(&mut found, Some(Duration::ZERO)).unwrap();
        let ours = found[..count].iter().map(|event| (event.data(), event.flags().bits()));
        [kernel.collect(), ours.collect()]
    }
}

/// What each case begins with: everything that can be given, by name, and the sets
/// that have to stay.
fn targets(pair: &Pair) -> (Vec<(&'static str, Target)>, Vec<Pair>, Vec<OwnedFd>) {
    let (mut tx, rx) = UnixStream::pair().unwrap();
    tx.write_all(b"x").unwrap();
    let (idle, idle_peer) = UnixStream::pair().unwrap();
    let file = File::open("/proc/self/exe").unwrap();
    let folder = File::open("/").unwrap();
    let null = File::open("/dev/null").unwrap();
    let path = File::options().read(true).custom_flags(libc::O_PATH).open("/dev/null").unwrap();

    let inner = Pair::new();
    assert_eq!(inner.control(libc::EPOLL_CTL_ADD, &Target::Fd(rx.as_raw_fd()), 1), (0, 0));
    // It holds the set that it is to be put into.
    let holder = Pair::new();
    assert_eq!(holder.kernel(libc::EPOLL_CTL_ADD, pair.kernel.as_raw_fd(), 1), 0);
    assert_eq!(holder.ours(libc::EPOLL_CTL_ADD, pair.ours.as_source(), 1), 0);
    // Five, one in the other: with this one it would be six, seven with its holder.
    let mut deep = Pair::new();
    let mut below = Vec::new();
    for _ in 0..4 {
        let outer = Pair::new();
        assert_eq!(outer.kernel(libc::EPOLL_CTL_ADD, deep.kernel.as_raw_fd(), 1), 0);
        assert_eq!(outer.ours(libc::EPOLL_CTL_ADD, deep.ours.as_source(), 1), 0);
        below.push(std::mem::replace(&mut deep, outer));
    }
    let fds: Vec<OwnedFd> = vec![
        rx.into(),
        idle.into(),
        file.into(),
        folder.into(),
        null.into(),
        path.into(),
        tx.into(),
        idle_peer.into(),
    ];
    let names = ["ready", "idle", "a file", "a folder", "/dev/null", "O_PATH"];
    let mut targets: Vec<_> =
        names.into_iter().zip(&fds).map(|(name, fd)| (name, Target::Fd(fd.as_raw_fd()))).collect();
    targets.push(("not open", Target::Fd(900_123)));
    targets.push(("negative", Target::Fd(-7)));
    targets.push(("a set", Target::Set(Box::new(inner))));
    targets.push(("a set that holds it", Target::Set(Box::new(holder))));
    targets.push(("a set too deep", Target::Set(Box::new(deep))));
    targets.push(("itself", Target::Own));
    (targets, below, fds)
}

/// Each operation on each target, with each flags, registered before in each way.
#[test]
fn each_mistake_gives_the_kernels_error_and_the_first_of_several_wins() {
    let before = [None, Some(1), Some(1 | EXCLUSIVE), Some(1 | 1 << 30), Some(1 | 1 << 31)];
    let mut seen = std::collections::BTreeMap::new();
    for before in before {
        let pair = Pair::new();
        let (targets, _below, _fds) = targets(&pair);
        for (name, target) in &targets {
            for operation in OPERATIONS {
                for flags in flags() {
                    let case = format!("{before:x?}, then {operation} of {name}, {flags:#x}");
                    let mut registered = false;
                    if let Some(before) = before {
                        let (kernel, ours) = pair.control(libc::EPOLL_CTL_ADD, target, before);
                        assert_eq!(ours, kernel, "before: {case}");
                        registered = kernel == 0;
                        // So that what fires once has.
                        let [kernel, ours] = pair.told();
                        assert_eq!(ours, kernel, "before: {case}");
                    }
                    let (kernel, ours) = pair.control(operation, target, flags);
                    assert_eq!(ours, kernel, "{case}");
                    *seen.entry(kernel).or_insert(0) += 1;
                    // An edge is told once more at the most, where it is emulated.
                    let edge = (flags | before.unwrap_or(0)) & 1 << 31 != 0;
                    let [kernel_told, ours_told] = pair.told();
                    if !edge || (kernel == 0 && operation != libc::EPOLL_CTL_DEL) {
                        assert_eq!(ours_told, kernel_told, "{case}");
                    }
                    if operation == libc::EPOLL_CTL_ADD && kernel == 0 {
                        registered = true;
                    }
                    if operation == libc::EPOLL_CTL_DEL && kernel == 0 {
                        registered = false;
                    }
                    let after = pair.control(libc::EPOLL_CTL_DEL, target, 0);
                    assert_eq!(after.0, after.1, "after: {case}");
                    assert_eq!(after.0 == 0, registered, "after: {case}");
                }
            }
        }
    }
    let reached: Vec<i32> = seen.into_keys().collect();
    let all = [0, libc::EPERM, libc::ENOENT, libc::EBADF, libc::EEXIST, libc::EINVAL, libc::ELOOP];
    assert_eq!(reached, all);
}

#[test]
fn a_buffer_for_nothing_or_for_more_than_there_can_be_is_einval() {
    let (mut tx, rx) = UnixStream::pair().unwrap();
    tx.write_all(b"x").unwrap();
    let epoll = Epoll::new().unwrap();
    epoll.register(&rx, EpollFlags::IN).unwrap();
    let size = size_of::<EpollEvent>();
    for timeout in [None, Some(Duration::ZERO), Some(Duration::MAX)] {
        let wrong = Some(libc::EINVAL);
        let none = epoll.wait(&mut [], timeout).unwrap_err();
        assert_eq!(os_error(&none), wrong);
        for most in [0, i32::MAX as usize / size + 1, i32::MAX as usize, usize::MAX] {
            let error = epoll.poll(timeout, Some(most)).unwrap_err();
            assert_eq!(os_error(&error), wrong, "{most}");
        }
    }
    assert_eq!(epoll.poll(None, Some(1)).unwrap().len(), 1);
}
