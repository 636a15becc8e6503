//! `EVFILT_SIGNAL`. Each test has a signal of its own: they are the process's.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::*;

fn signal(number: i32) -> Kevent {
    Kevent::from_ident(number as usize, Filter::Signal)
}

/// Delivers a signal to this thread, now.
fn raise(number: i32) {
    // SAFETY: it has a handler.
    assert_eq!(unsafe { libc::raise(number) }, 0);
}

fn rt(n: i32) -> i32 {
    libc::SIGRTMIN() + n
}

#[test]
fn it_counts() {
    // "data returns the number of times the signal has occurred since the last call
    // to kevent(). This filter automatically sets the EV_CLEAR flag internally."
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[signal(rt(0)).with_udata(5)]);
    none(&kqueue);
    for _ in 0..3 {
        raise(rt(0));
    }
    let event = one(&kqueue);
    assert_eq!((event.ident, event.data, event.udata), (rt(0) as usize, 3, 5));
    assert!(event.flags.contains(CLEAR));
    none(&kqueue);
    raise(rt(0));
    assert_eq!(one(&kqueue).data, 1);
}

#[test]
fn it_coexists_with_handlers() {
    // "This coexists with the signal(3) and sigaction(2) facilities, and has a lower
    // precedence."
    static CALLED: AtomicU32 = AtomicU32::new(0);
    extern "C" fn handler(_: libc::c_int) {
        CALLED.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: the handler is atomic.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        libc::sigaction(rt(1), &action, std::ptr::null_mut());
    }
    let (first, second) = (Kqueue::new().unwrap(), Kqueue::new().unwrap());
    change(&first, &[signal(rt(1))]);
    change(&second, &[signal(rt(1))]);
    raise(rt(1));
    raise(rt(1));
    assert_eq!(CALLED.load(Ordering::Relaxed), 2);
    assert_eq!((one(&first).data, one(&second).data), (2, 2));
    change(&first, &[signal(rt(1)).with_flags(DELETE)]);
    raise(rt(1));
    none(&first);
    assert_eq!(one(&second).data, 1);
    assert_eq!(CALLED.load(Ordering::Relaxed), 3);
}

#[test]
fn the_contract() {
    let number = rt(2);
    let kqueue = Kqueue::new().unwrap();
    let kevent = signal(number);
    assert_eq!(error(&kqueue, kevent.with_flags(DELETE)), libc::ENOENT);
    // Added disabled: deliveries are kept.
    change(&kqueue, &[kevent.with_flags(add(KeventFlags::DISABLE))]);
    raise(number);
    raise(number);
    none(&kqueue);
    change(&kqueue, &[kevent.with_flags(KeventFlags::ENABLE).with_udata(3)]);
    let event = one(&kqueue);
    assert_eq!((event.data, event.udata), (2, 3));
    // Disable drains and keeps.
    raise(number);
    change(&kqueue, &[kevent.with_flags(KeventFlags::DISABLE)]);
    none(&kqueue);
    change(&kqueue, &[kevent]);
    assert_eq!(one(&kqueue).data, 1);
    // Delete drains.
    raise(number);
    change(&kqueue, &[kevent.with_flags(DELETE)]);
    none(&kqueue);
    // One-shot.
    change(&kqueue, &[kevent.with_flags(add(KeventFlags::ONESHOT))]);
    raise(number);
    assert_eq!(one(&kqueue).data, 1);
    assert_eq!(error(&kqueue, kevent.with_flags(DELETE)), libc::ENOENT);
    // Dispatch.
    change(&kqueue, &[kevent.with_flags(add(KeventFlags::DISPATCH))]);
    raise(number);
    one(&kqueue);
    raise(number);
    none(&kqueue);
    change(&kqueue, &[kevent.with_flags(KeventFlags::ENABLE)]);
    assert_eq!(one(&kqueue).data, 1);
    // Receipt.
    let mut entry = [Kevent::default(); 1];
    let receipt = kevent.with_flags(add(KeventFlags::RECEIPT));
    assert_eq!(kqueue.control(&[receipt], &mut entry, None).unwrap(), 1);
    assert!(entry[0].flags.contains(KeventFlags::ERROR) && entry[0].error().is_none());
}

#[test]
fn an_ignored_signal_is_counted() {
    // "The filter will record all attempts to deliver a signal to a process, even if
    // the signal has been marked as SIG_IGN".
    let number = rt(3);
    // SAFETY: nobody else has this signal.
    unsafe { libc::signal(number, libc::SIG_IGN) };
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[signal(number)]);
    raise(number);
    assert_eq!(one(&kqueue).data, 1);
}

#[test]
fn it_ends_a_wait_and_is_told_instead_of_the_interruption() {
    let number = rt(4);
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[signal(number)]);
    // SAFETY: it only asks.
    let this = unsafe { libc::pthread_self() } as usize;
    let thread = std::thread::spawn(move || {
        for _ in 0..2 {
            std::thread::sleep(std::time::Duration::from_millis(40));
            // SAFETY: that thread waits for this one.
            unsafe { libc::pthread_kill(this as libc::pthread_t, number) };
        }
    });
    assert_eq!(one(&kqueue).data, 1);
    let mut events = [Kevent::default(); 2];
    assert_eq!(kqueue.control_interruptible(&[], &mut events, SOON).unwrap(), 1);
    assert_eq!(events[0].filter, Filter::Signal);
    thread.join().unwrap();
}

#[test]
fn a_mask_lets_it_through_while_waiting() {
    use readiness::SignalSet;
    let number = rt(5);
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[signal(number)]);
    // SAFETY: a mask of this thread.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, number);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
    }
    raise(number);
    none(&kqueue);
    let mask = SignalSet::current().unwrap().without(number).unwrap();
    let mut events = [Kevent::default(); 2];
    assert_eq!(kqueue.control_masked(&[], &mut events, SOON, &mask).unwrap(), 1);
    assert_eq!(events[0].data, 1);
}

#[test]
fn signals_that_are_none_and_those_that_nobody_may_handle() {
    let kqueue = Kqueue::new().unwrap();
    for number in [0, 65, 100_000] {
        assert_eq!(error(&kqueue, signal(number)), libc::EINVAL);
    }
    for number in [libc::SIGKILL, libc::SIGSTOP, libc::SIGILL, libc::SIGFPE, libc::SIGSEGV] {
        let error = kqueue.control(&[signal(number)], &mut [], NOW).unwrap_err();
        assert_eq!(os_error(&error), Some(libc::EINVAL));
        assert!(error.to_string().contains("EVFILT_SIGNAL"), "{error}");
    }
}

#[test]
fn a_forked_child_does_not_count_for_its_parent() {
    let number = rt(6);
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[signal(number)]);
    // SAFETY: the child raises a signal that has a handler, and leaves by _exit.
    unsafe {
        match libc::fork() {
            0 => {
                libc::raise(number);
                libc::_exit(0);
            }
            child => {
                let mut status = -1;
                libc::waitpid(child, &mut status, 0);
                assert_eq!(status, 0);
            }
        }
    }
    none(&kqueue);
}
