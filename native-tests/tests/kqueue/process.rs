//! `EVFILT_PROC`.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use crate::common::*;

/// A child that goes on until its standard input is closed.
fn child(then: &str) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("read x; {then}")]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

fn let_go(child: &mut Child) {
    let _ = child.stdin.take().unwrap().write_all(b"\n");
}

fn exit(id: u32) -> Kevent {
    Kevent::from_ident(id as usize, Filter::Proc).with_fflags(NoteFlags::EXIT)
}

#[test]
fn the_exit_of_a_child_and_its_status() {
    // "NOTE_EXIT: The process has exited. The exit status will be stored in data in
    // the same format as the status returned by wait(2)."
    let kqueue = Kqueue::new().unwrap();
    for (then, status) in [("exit 7", 7 << 8), ("exit 0", 0), ("kill -TERM $$", libc::SIGTERM)] {
        let mut child = child(then);
        change(&kqueue, &[exit(child.id()).with_udata(4)]);
        none(&kqueue);
        let_go(&mut child);
        let event = one(&kqueue);
        assert_eq!((event.ident, event.udata), (child.id() as usize, 4));
        assert_eq!((event.fflags, event.data), (NoteFlags::EXIT, status.into()));
        assert!(event.flags.contains(EOF | KeventFlags::ONESHOT | CLEAR), "{event:?}");
        // It was left to be waited for.
        assert_eq!(child.wait().unwrap().into_raw(), status);
        none(&kqueue);
        assert_eq!(error(&kqueue, exit(child.id()).with_flags(DELETE)), libc::ENOENT);
    }
}

#[test]
fn one_that_has_exited_is_told_at_once() {
    let mut child = child("exit 3");
    let_go(&mut child);
    // Wait for its end without waiting for it.
    // SAFETY: there is room for the answer.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_PID, child.id(), &mut info, libc::WEXITED | libc::WNOWAIT);
    }
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[exit(child.id())]);
    assert_eq!(one(&kqueue).data, 3 << 8);
    child.wait().unwrap();
}

#[test]
fn a_process_that_is_no_child() {
    use std::io::{BufRead, BufReader};
    // The shell tells the number of its own child, and lets us end that one.
    let mut shell = Command::new("sh")
        .args(["-c", "exec 3<&0; sh -c 'read x <&3; exit 9' & echo $!; wait $!; read x"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let grandchild: u32 = line.trim().parse().unwrap();
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[exit(grandchild)]);
    none(&kqueue);
    shell.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    let event = one(&kqueue);
    assert_eq!((event.ident, event.fflags), (grandchild as usize, NoteFlags::EXIT));
    // Its parent may have been faster than we were to ask: the kernel keeps it for us.
    assert!(event.data == 9 << 8 || (event.data == 0 && linux() < [6, 15]), "{}", event.data);
    drop(shell.stdin.take());
    shell.wait().unwrap();
}

/// The kernel's version.
fn linux() -> [u32; 2] {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|number| number.parse().unwrap_or(0));
    [numbers.next().unwrap(), numbers.next().unwrap()]
}

#[test]
fn the_contract() {
    let kqueue = Kqueue::new().unwrap();
    let mut one_child = child("exit 1");
    let kevent = exit(one_child.id());
    assert_eq!(error(&kqueue, kevent.with_flags(DELETE)), libc::ENOENT);
    change(&kqueue, &[kevent, kevent.with_flags(KeventFlags::DISABLE)]);
    let_go(&mut one_child);
    none(&kqueue);
    change(&kqueue, &[kevent.with_flags(KeventFlags::ENABLE).with_udata(8)]);
    assert_eq!((one(&kqueue).udata, one_child.wait().unwrap().code()), (8, Some(1)));

    // Delete drains; two kqueues; a modify that wants nothing.
    let mut other = child("exit 2");
    let second = Kqueue::new().unwrap();
    let third = Kqueue::new().unwrap();
    let kevent = exit(other.id());
    change(&kqueue, &[kevent]);
    change(&second, &[kevent]);
    change(&third, &[kevent]);
    change(&third, &[kevent.with_fflags(NoteFlags::empty())]);
    let_go(&mut other);
    assert_eq!(one(&second).data, 2 << 8);
    change(&kqueue, &[kevent.with_flags(DELETE)]);
    none(&kqueue);
    none(&third);
    other.wait().unwrap();
}

#[test]
fn what_is_no_process_and_what_nobody_tells() {
    let kqueue = Kqueue::new().unwrap();
    // "The specified process to attach to does not exist."
    let mut gone = child("exit 0");
    let_go(&mut gone);
    let id = gone.id();
    gone.wait().unwrap();
    assert_eq!(error(&kqueue, exit(id)), libc::ESRCH);
    assert_eq!(error(&kqueue, exit(0)), libc::ESRCH);
    assert_eq!(error(&kqueue, exit(u32::MAX)), libc::ESRCH);
    for note in [NoteFlags::FORK, NoteFlags::EXEC, NoteFlags::TRACK] {
        let kevent = exit(std::process::id()).with_fflags(NoteFlags::EXIT | note);
        let error = kqueue.control(&[kevent], &mut [], NOW).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
        assert!(error.to_string().contains("EVFILT_PROC"), "{error}");
    }
}
