//! A timer that is not the earliest is started and stopped without a system call,
//! however many there are.

#![cfg(target_os = "linux")]

use std::process::{Command, Stdio};
use std::time::Duration;

use readiness::Selector;

/// Tells the program, run again, which part is its own.
const PART: &str = "READINESS_TEST_PART";
const TIMERS: u64 = 10_000;

/// From here on every system call but these ends the process: those that end it,
/// those that tell why, and the clock, where the kernel does not map it.
fn forbid_calls() {
    let allowed = [libc::SYS_clock_gettime, libc::SYS_exit_group, libc::SYS_write];
    let statement = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for (nth, call) in allowed.iter().enumerate() {
        let to_the_end = (allowed.len() - nth) as u8;
        filter.push(statement(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            to_the_end,
            0,
            *call as u32,
        ));
    }
    filter.push(statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_KILL_PROCESS));
    filter.push(statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program outlives the calls, which copy it.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program), 0);
    }
}

fn end(well: bool) -> ! {
    // SAFETY: nothing runs after that.
    unsafe { libc::_exit(if well { 7 } else { 1 }) }
}

/// Runs this program's one test again, as another process that may not call.
fn run_alone(test: &str) {
    let program = std::env::current_exe().unwrap();
    // What its harness prints is not ours: nobody is to count it among the results.
    let mut alone = Command::new(program);
    let status = alone.args([test, "--exact"]).env(PART, test).stdout(Stdio::null()).status();
    let status = status.unwrap();
    assert_eq!(status.code(), Some(7), "a system call, or a wrong answer: {status}");
}

fn is_alone() -> bool {
    std::env::var_os(PART).is_some()
}

#[test]
fn of_a_selector() {
    if !is_alone() {
        return run_alone("of_a_selector");
    }
    let selector = Selector::new().unwrap();
    for nth in 0..TIMERS {
        selector.add_timer(nth, Duration::from_secs(60 + nth * 7919 % TIMERS));
    }
    let long = Duration::from_secs(3600);
    let first = selector.add_timer(0, long);
    assert!(selector.cancel_timer(first));
    forbid_calls();
    for nth in 0..TIMERS {
        let timer = selector.add_timer(nth, long + Duration::from_secs(nth * 104_729 % TIMERS));
        if !selector.cancel_timer(timer) {
            end(false);
        }
    }
    end(true);
}

#[cfg(not(readiness_backend = "poll"))]
#[test]
fn of_a_kqueue() {
    use readiness::{Filter, Kevent, KeventFlags, Kqueue, NoteFlags};

    if !is_alone() {
        return run_alone("of_a_kqueue");
    }
    let kqueue = Kqueue::new().unwrap();
    let timer = |ident: u64, seconds: u64| {
        Kevent::from_ident(ident as usize, Filter::Timer)
            .with_flags(KeventFlags::ADD | KeventFlags::ONESHOT)
            .with_fflags(NoteFlags::SECONDS)
            .with_data(seconds as i64)
    };
    for nth in 0..TIMERS {
        let start = timer(nth, 60 + nth * 7919 % TIMERS);
        assert_eq!(kqueue.control(&[start], &mut [], None).unwrap(), 0);
    }
    forbid_calls();
    for nth in 0..TIMERS {
        let start = timer(TIMERS, 3600 + nth * 104_729 % TIMERS);
        let stop = start.with_flags(KeventFlags::DELETE);
        for change in [start, stop] {
            if kqueue.control(&[change], &mut [], None).ok() != Some(0) {
                end(false);
            }
        }
    }
    end(true);
}
