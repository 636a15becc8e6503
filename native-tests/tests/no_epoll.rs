//! Where poll(2) is forced nothing calls epoll: a process in which epoll's system
//! calls are fatal runs every front end.

#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use readiness::{
    Epoll, EpollFlags, Events, Filter, Interest, Kevent, Kqueue, Mode, Poll, PollFlags, Selector,
    select,
};

const SOON: Option<Duration> = Some(Duration::from_secs(20));
const CHILD: &str = "READINESS_WITHOUT_EPOLL";

/// From here on a call of epoll ends the process.
fn forbid_epoll() {
    let calls = [
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_create,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait,
        libc::SYS_epoll_create1,
        libc::SYS_epoll_ctl,
        libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2,
    ];
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    // The number of the call.
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)];
    for call in calls {
        let equal = statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32);
        program.push(libc::sock_filter { jf: 1, ..equal });
        program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_KILL_PROCESS));
    }
    program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW));
    let filter =
        libc::sock_fprog { len: program.len() as libc::c_ushort, filter: program.as_mut_ptr() };
    // SAFETY: the program is valid and outlives the call, which copies it.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter, 0, 0), 0);
    }
}

/// What the child does; on its own it does nothing.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let (mut tx, rx) = UnixStream::pair().unwrap();
    tx.write_all(b"x").unwrap();
    forbid_epoll();

    let ready = select([&rx], [], [], SOON).unwrap();
    assert_eq!(ready.read.len(), 1);
    let mut poll = Poll::new();
    poll.register(&rx, PollFlags::IN).unwrap();
    assert_eq!(poll.poll(SOON).unwrap().count(), 1);

    for flags in [EpollFlags::IN, EpollFlags::IN | EpollFlags::ET] {
        let inner = Epoll::new().unwrap();
        let outer = Epoll::new().unwrap();
        inner.register(&rx, flags).unwrap();
        outer.register(&inner, EpollFlags::IN).unwrap();
        assert_eq!(outer.poll(SOON, None).unwrap().len(), 1);
        assert_eq!(inner.poll(SOON, None).unwrap().len(), 1);
        inner.modify(&rx, flags).unwrap();
        inner.unregister(&rx).unwrap();
        assert_eq!(outer.poll(Some(Duration::from_millis(2)), None).unwrap().len(), 0);
    }

    let kqueue = Kqueue::new().unwrap();
    let timer = Kevent::from_ident(1, Filter::Timer).with_data(1);
    kqueue.control(&[Kevent::new(&rx, Filter::Read), timer], &mut [], None).unwrap();
    let mut found = [Kevent::default(); 4];
    assert!(kqueue.control(&[], &mut found, SOON).unwrap() >= 1);

    let selector = Selector::new().unwrap();
    selector.register(&rx, 1, Interest::READ, Mode::Edge).unwrap();
    let mut events = Events::with_capacity(4);
    selector.wait(&mut events, SOON).unwrap();
    assert!(events.iter().all(|event| event.is_readable()));
}

#[test]
fn the_forced_poll_backend_makes_no_call_of_epoll() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    if cfg!(readiness_backend = "poll") {
        assert!(child.status.success(), "{child:?}");
    } else {
        // So the filter is one.
        assert_eq!(child.status.signal(), Some(libc::SIGSYS), "{child:?}");
    }
}
