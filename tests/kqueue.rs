//! kqueue's contract, on every target: changes and entries, user events, timers.
//! Sentences in quotes are of kqueue(2) of FreeBSD.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use readiness::{Filter, Kevent, KeventFlags, Kqueue, NoteFlags, os_error};

const NOW: Option<Duration> = Some(Duration::ZERO);
const SOON: Option<Duration> = Some(Duration::from_secs(20));

fn user(ident: usize) -> Kevent {
    Kevent::from_ident(ident, Filter::User)
}

fn timer(ident: usize, milliseconds: i64) -> Kevent {
    Kevent::from_ident(ident, Filter::Timer).with_data(milliseconds)
}

fn trigger(ident: usize) -> Kevent {
    user(ident).with_flags(KeventFlags::empty()).with_fflags(NoteFlags::TRIGGER)
}

fn change(kqueue: &Kqueue, changes: &[Kevent]) {
    assert_eq!(kqueue.control(changes, &mut [], None).unwrap(), 0);
}

fn wait(kqueue: &Kqueue, timeout: Option<Duration>) -> Vec<Kevent> {
    let mut events = [Kevent::default(); 16];
    let n = kqueue.control(&[], &mut events, timeout).unwrap();
    events[..n].to_vec()
}

fn idents(events: &[Kevent]) -> Vec<usize> {
    events.iter().map(|event| event.ident).collect()
}

fn error(kqueue: &Kqueue, change: Kevent) -> i32 {
    os_error(&kqueue.control(&[change], &mut [], NOW).unwrap_err()).unwrap()
}

/// `errno` as FreeBSD names it, by what the crate answers for it elsewhere.
mod errno {
    #[cfg(any(unix, windows))]
    pub const ENOENT: i32 = 2;
    #[cfg(target_os = "wasi")]
    pub const ENOENT: i32 = 44;
    #[cfg(unix)]
    pub const EBADF: i32 = 9;
    /// WSAENOTSOCK.
    #[cfg(windows)]
    pub const EBADF: i32 = 10038;
    #[cfg(target_os = "wasi")]
    pub const EBADF: i32 = 8;
    #[cfg(any(unix, windows))]
    pub const EINVAL: i32 = 22;
    #[cfg(target_os = "wasi")]
    pub const EINVAL: i32 = 28;
}
use errno::{EBADF, EINVAL, ENOENT};

// Kevent itself.

#[test]
fn a_kevent_has_pythons_defaults_order_and_equality() {
    let default = Kevent::default();
    assert_eq!((default.ident, default.filter, default.flags), (0, Filter::Read, KeventFlags::ADD));
    assert_eq!((default.fflags, default.data, default.udata), (NoteFlags::empty(), 0, 0));

    let low = Kevent::from_ident(1, Filter::Read);
    // By ident first, then filter, flags, fflags, data, udata.
    let order = [
        low,
        low.with_udata(1),
        low.with_data(1),
        low.with_fflags(NoteFlags::from_bits_retain(1)),
        low.with_flags(KeventFlags::DELETE),
        Kevent::from_ident(2, Filter::Read),
    ];
    assert!(order.is_sorted());
    assert!(order.windows(2).all(|pair| pair[0] != pair[1] && pair[0] < pair[1]));
    // udata is compared as a signed number.
    assert!(low.with_udata(usize::MAX) < low);
    assert_eq!(low, Kevent::from_ident(1, Filter::Read));
}

#[test]
fn every_constant_exists_and_supported_tells() {
    let filters = [
        Filter::Read,
        Filter::Write,
        Filter::Aio,
        Filter::Vnode,
        Filter::Proc,
        Filter::Netdev,
        Filter::Signal,
        Filter::Timer,
        Filter::User,
    ];
    for (at, filter) in filters.iter().enumerate() {
        assert!(!filters[..at].contains(filter), "{filter} has a number of its own");
    }
    for filter in [Filter::Read, Filter::Write, Filter::Timer, Filter::User] {
        assert!(Filter::supported().contains(&filter));
    }
    assert!(NoteFlags::supported(Filter::Timer).contains(NoteFlags::SECONDS));
    assert!(KeventFlags::supported().contains(KeventFlags::DISPATCH | KeventFlags::RECEIPT));
    assert_eq!(NoteFlags::supported(Filter::Netdev), NoteFlags::empty());
}

/// sys/event.h of FreeBSD, and of FreeBSD 9 for `NETDEV`.
#[cfg(not(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
)))]
#[test]
fn the_constants_are_freebsds_where_it_is_emulated() {
    use {Filter as E, KeventFlags as F, NoteFlags as N};
    let filters = [
        (E::Read, -1),
        (E::Write, -2),
        (E::Aio, -3),
        (E::Vnode, -4),
        (E::Proc, -5),
        (E::Signal, -6),
        (E::Timer, -7),
        (E::Netdev, -8),
        (E::User, -11),
    ];
    for (filter, number) in filters {
        assert_eq!(filter.number(), number, "{filter}");
        assert_eq!(E::from_number(number), filter);
    }
    let flags = [
        (F::ADD, 0x1),
        (F::DELETE, 0x2),
        (F::ENABLE, 0x4),
        (F::DISABLE, 0x8),
        (F::ONESHOT, 0x10),
        (F::CLEAR, 0x20),
        (F::RECEIPT, 0x40),
        (F::DISPATCH, 0x80),
        (F::FORCEONESHOT, 0x100),
        (F::KEEPUDATA, 0x200),
        (F::SYSFLAGS, 0xf000),
        (F::FLAG1, 0x2000),
        (F::ERROR, 0x4000),
        (F::EOF, 0x8000),
    ];
    for (flag, number) in flags {
        assert_eq!(flag.bits(), number, "{flag:?}");
    }
    let notes = [
        (N::LOWAT, 0x1),
        (N::FILE_POLL, 0x2),
        (N::DELETE, 0x1),
        (N::WRITE, 0x2),
        (N::EXTEND, 0x4),
        (N::ATTRIB, 0x8),
        (N::LINK, 0x10),
        (N::RENAME, 0x20),
        (N::REVOKE, 0x40),
        (N::OPEN, 0x80),
        (N::CLOSE, 0x100),
        (N::CLOSE_WRITE, 0x200),
        (N::READ, 0x400),
        (N::EXIT, 0x8000_0000),
        (N::FORK, 0x4000_0000),
        (N::EXEC, 0x2000_0000),
        (N::PCTRLMASK, 0xf000_0000),
        (N::PDATAMASK, 0x000f_ffff),
        (N::TRACK, 0x1),
        (N::TRACKERR, 0x2),
        (N::CHILD, 0x4),
        (N::LINKUP, 0x1),
        (N::LINKDOWN, 0x2),
        (N::LINKINV, 0x4),
        (N::SECONDS, 0x1),
        (N::MSECONDS, 0x2),
        (N::USECONDS, 0x4),
        (N::NSECONDS, 0x8),
        (N::ABSTIME, 0x10),
        (N::FFNOP, 0),
        (N::FFAND, 0x4000_0000),
        (N::FFOR, 0x8000_0000),
        (N::FFCOPY, 0xc000_0000),
        (N::FFCTRLMASK, 0xc000_0000),
        (N::FFLAGSMASK, 0x00ff_ffff),
        (N::TRIGGER, 0x0100_0000),
    ];
    for (at, (note, number)) in notes.into_iter().enumerate() {
        assert_eq!(note.bits(), number, "the note at {at}");
    }
}

// control().

#[test]
fn changes_of_no_filter_are_passed_over() {
    // kern_event.c: "if (!kevp->filter) continue;"
    let kqueue = Kqueue::new().unwrap();
    let nothing = Kevent::from_ident(1, Filter::from_number(0));
    let receipt = nothing.with_flags(KeventFlags::DELETE | KeventFlags::RECEIPT);
    let mut events = [Kevent::default(); 4];
    let n = kqueue.control(&[nothing, receipt, user(1), trigger(1)], &mut events, SOON).unwrap();
    assert_eq!(idents(&events[..n]), [1]);
}

#[test]
fn changes_are_applied_in_order() {
    let kqueue = Kqueue::new().unwrap();
    let delete = user(1).with_flags(KeventFlags::DELETE);
    change(&kqueue, &[user(1), delete, user(1), trigger(1)]);
    assert_eq!(idents(&wait(&kqueue, NOW)), [1]);
}

#[test]
fn all_changes_are_applied_before_any_events_are_read() {
    // "All changes contained in the changelist are applied before any pending
    // events are read from the queue."
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[user(1), user(2), trigger(1)]);
    let mut events = [Kevent::default(); 4];
    let changes = [user(1).with_flags(KeventFlags::DELETE), trigger(2)];
    let n = kqueue.control(&changes, &mut events, NOW).unwrap();
    assert_eq!(idents(&events[..n]), [2]);
}

#[test]
fn an_error_is_an_entry_if_there_is_room() {
    // "If an error occurs while processing an element of the changelist and there
    // is enough room in the eventlist, then the event will be placed in the
    // eventlist with EV_ERROR set in flags and the system error in data."
    let kqueue = Kqueue::new().unwrap();
    let mut events = [Kevent::default(); 2];
    let unknown = user(7).with_flags(KeventFlags::DELETE).with_udata(5);
    let n = kqueue.control(&[unknown, user(8)], &mut events, None).unwrap();
    assert_eq!(n, 1);
    assert!(events[0].flags.contains(KeventFlags::ERROR));
    assert_eq!((events[0].ident, events[0].filter), (7, Filter::User));
    assert_eq!((events[0].data, events[0].udata), (ENOENT.into(), 5));
    // The change after it was applied.
    change(&kqueue, &[trigger(8)]);
}

#[test]
fn an_error_without_room_is_the_error_of_the_call() {
    // "Otherwise, -1 will be returned, and errno will be set to indicate the error
    // condition."
    let kqueue = Kqueue::new().unwrap();
    let unknown = user(7).with_flags(KeventFlags::DELETE);
    let error = kqueue.control(&[unknown, user(8)], &mut [], None).unwrap_err();
    assert_eq!(os_error(&error), Some(ENOENT));
    // The change after it was not applied.
    let error = kqueue.control(&[trigger(8)], &mut [], None).unwrap_err();
    assert_eq!(os_error(&error), Some(ENOENT));

    // One entry fits, the second error is the call's.
    let mut events = [Kevent::default(); 1];
    let error = kqueue.control(&[unknown, unknown], &mut events, None).unwrap_err();
    assert_eq!(os_error(&error), Some(ENOENT));
}

#[test]
fn receipts_come_at_once_and_alone() {
    // EV_RECEIPT: "for making bulk changes to a kqueue without draining any
    // pending events. When passed as input, it forces EV_ERROR to always be
    // returned. When a filter is successfully added the data field will be zero."
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[user(1), trigger(1)]);
    let receipt = KeventFlags::ADD | KeventFlags::RECEIPT;
    let changes = [user(2).with_flags(receipt), user(3).with_flags(receipt)];
    let mut events = [Kevent::default(); 8];
    let n = kqueue.control(&changes, &mut events, None).unwrap();
    assert_eq!(idents(&events[..n]), [2, 3]);
    for entry in &events[..n] {
        assert!(entry.flags.contains(KeventFlags::ERROR));
        assert_eq!(entry.data, 0);
        assert!(entry.error().is_none());
    }
    assert_eq!(idents(&wait(&kqueue, NOW)), [1], "the pending event is still there");
}

#[test]
fn a_receipt_without_room_ends_the_changes() {
    // "Note that if this flag is encountered and there is no remaining space in
    // eventlist to hold the EV_ERROR event, then subsequent changes will not get
    // processed."
    let kqueue = Kqueue::new().unwrap();
    let receipt = user(1).with_flags(KeventFlags::ADD | KeventFlags::RECEIPT);
    assert_eq!(kqueue.control(&[receipt, user(2)], &mut [], None).unwrap(), 0);
    change(&kqueue, &[trigger(1)]);
    assert_eq!(error(&kqueue, trigger(2)), ENOENT);
}

#[test]
fn no_room_never_waits() {
    let kqueue = Kqueue::new().unwrap();
    let begin = Instant::now();
    assert_eq!(kqueue.control(&[timer(1, 1)], &mut [], None).unwrap(), 0);
    assert_eq!(kqueue.control(&[], &mut [], Some(Duration::from_secs(60))).unwrap(), 0);
    assert!(begin.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_wait_lasts_as_long_as_it_says() {
    // "If the time limit expires, then kevent() returns 0."
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[user(1)]);
    for time in [Duration::from_micros(300), Duration::from_millis(30)] {
        let begin = Instant::now();
        assert!(wait(&kqueue, Some(time)).is_empty());
        assert!(begin.elapsed() >= time);
    }
}

#[test]
fn what_is_not_there_is_enoent() {
    // "The event could not be found to be modified or deleted."
    let kqueue = Kqueue::new().unwrap();
    for flags in
        [KeventFlags::DELETE, KeventFlags::ENABLE, KeventFlags::DISABLE, KeventFlags::empty()]
    {
        assert_eq!(error(&kqueue, user(1).with_flags(flags)), ENOENT);
        assert_eq!(error(&kqueue, timer(1, 1).with_flags(flags)), ENOENT);
    }
    // A filter of the same ident is another event: "A kevent is identified by the
    // (ident, filter) pair".
    change(&kqueue, &[user(1)]);
    assert_eq!(error(&kqueue, timer(1, 1).with_flags(KeventFlags::DELETE)), ENOENT);
}

#[test]
fn what_is_not_open_is_ebadf() {
    // "The specified descriptor is invalid."
    let kqueue = Kqueue::new().unwrap();
    for filter in [Filter::Read, Filter::Write] {
        for ident in [999_999, usize::MAX] {
            for flags in [KeventFlags::ADD, KeventFlags::DELETE] {
                let kevent = Kevent::from_ident(ident, filter).with_flags(flags);
                assert_eq!(error(&kqueue, kevent), EBADF, "{kevent:?}");
            }
        }
    }
}

#[test]
fn filters_that_the_target_lacks_are_refused_by_name() {
    let kqueue = Kqueue::new().unwrap();
    for filter in [Filter::Aio, Filter::Netdev, Filter::Vnode, Filter::Proc, Filter::Signal] {
        if Filter::supported().contains(&filter) {
            continue;
        }
        let error = kqueue.control(&[Kevent::from_ident(1, filter)], &mut [], NOW).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
        assert!(error.to_string().contains(&filter.to_string()), "{error}");
        // In an entry too.
        let mut events = [Kevent::default(); 1];
        let n = kqueue.control(&[Kevent::from_ident(1, filter)], &mut events, NOW).unwrap();
        assert_eq!((n, events[0].filter), (1, filter));
        assert!(events[0].error().is_some());
    }
    // "The specified time limit or filter is invalid."
    assert_eq!(error(&kqueue, Kevent::from_ident(1, Filter::from_number(-99))), EINVAL);
    assert_eq!(error(&kqueue, Kevent::from_ident(1, Filter::from_number(5))), EINVAL);
}

#[test]
fn bits_of_the_system_are_ignored() {
    let kqueue = Kqueue::new().unwrap();
    let flags = KeventFlags::ADD | KeventFlags::SYSFLAGS;
    change(&kqueue, &[user(1).with_flags(flags), trigger(1)]);
    let events = wait(&kqueue, NOW);
    assert_eq!(events[0].flags & KeventFlags::SYSFLAGS, KeventFlags::empty());
}

// The contract of a filter, for user events and timers.

/// An event that happens: how it is added, and what makes it happen.
fn kinds() -> [(Kevent, Option<Kevent>); 2] {
    [(user(1), Some(trigger(1))), (timer(1, 1), None)]
}

fn happen(kqueue: &Kqueue, trigger: Option<Kevent>) {
    match trigger {
        Some(trigger) => change(kqueue, &[trigger]),
        None => std::thread::sleep(Duration::from_millis(3)),
    }
}

#[test]
fn add_and_delete() {
    for (add, trigger) in kinds() {
        let kqueue = Kqueue::new().unwrap();
        change(&kqueue, &[add]);
        happen(&kqueue, trigger);
        let events = wait(&kqueue, SOON);
        assert_eq!(idents(&events), [1]);
        assert_eq!(events[0].filter, add.filter);
        let changes = KeventFlags::ADD | KeventFlags::ENABLE;
        assert!(!events[0].flags.intersects(changes), "FreeBSD strips them");
        let delete = add.with_flags(KeventFlags::DELETE);
        change(&kqueue, &[delete]);
        assert_eq!(error(&kqueue, delete), ENOENT);
        assert!(wait(&kqueue, Some(Duration::from_millis(5))).is_empty());
    }
}

#[test]
fn delete_drains() {
    for (add, trigger) in kinds() {
        let kqueue = Kqueue::new().unwrap();
        change(&kqueue, &[add]);
        happen(&kqueue, trigger);
        change(&kqueue, &[add.with_flags(KeventFlags::DELETE)]);
        assert!(wait(&kqueue, NOW).is_empty());
    }
}

#[test]
fn disable_keeps_it_back_and_enable_lets_it_through() {
    // "EV_DISABLE: Disable the event so kevent() will not return it. The filter
    // itself is not disabled."
    for (add, trigger) in kinds() {
        let kqueue = Kqueue::new().unwrap();
        change(&kqueue, &[add]);
        happen(&kqueue, trigger);
        change(&kqueue, &[add.with_flags(KeventFlags::DISABLE)]);
        assert!(wait(&kqueue, NOW).is_empty(), "disable drains");
        happen(&kqueue, trigger);
        assert!(wait(&kqueue, NOW).is_empty());
        change(&kqueue, &[add.with_flags(KeventFlags::ENABLE)]);
        assert_eq!(idents(&wait(&kqueue, SOON)), [1], "what happened meanwhile is there");
    }
}

#[test]
fn adding_disabled_and_adding_again_enables() {
    // "Adding an event automatically enables it, unless overridden by the
    // EV_DISABLE flag."
    for (add, trigger) in kinds() {
        let kqueue = Kqueue::new().unwrap();
        change(&kqueue, &[add.with_flags(KeventFlags::ADD | KeventFlags::DISABLE)]);
        happen(&kqueue, trigger);
        assert!(wait(&kqueue, NOW).is_empty());
        change(&kqueue, &[add]);
        assert_eq!(idents(&wait(&kqueue, SOON)), [1]);
    }
}

#[test]
fn oneshot_is_deleted_by_its_report() {
    // "Causes the event to return only the first occurrence of the filter being
    // triggered. After the user retrieves the event from the kqueue, it is deleted."
    for (add, trigger) in kinds() {
        let kqueue = Kqueue::new().unwrap();
        change(&kqueue, &[add.with_flags(KeventFlags::ADD | KeventFlags::ONESHOT)]);
        happen(&kqueue, trigger);
        let events = wait(&kqueue, SOON);
        assert_eq!(idents(&events), [1]);
        assert!(events[0].flags.contains(KeventFlags::ONESHOT));
        assert_eq!(error(&kqueue, add.with_flags(KeventFlags::DELETE)), ENOENT);
    }
}

#[test]
fn dispatch_disables_it() {
    // "EV_DISPATCH: Disable the event source immediately after delivery of an event."
    for (add, trigger) in kinds() {
        let kqueue = Kqueue::new().unwrap();
        change(&kqueue, &[add.with_flags(KeventFlags::ADD | KeventFlags::DISPATCH)]);
        happen(&kqueue, trigger);
        assert_eq!(idents(&wait(&kqueue, SOON)), [1]);
        happen(&kqueue, trigger);
        assert!(wait(&kqueue, NOW).is_empty());
        change(&kqueue, &[add.with_flags(KeventFlags::ENABLE)]);
        assert_eq!(idents(&wait(&kqueue, SOON)), [1]);
    }
}

#[test]
fn udata_comes_back_and_a_modify_replaces_it() {
    for (add, trigger) in kinds() {
        let kqueue = Kqueue::new().unwrap();
        change(&kqueue, &[add.with_udata(usize::MAX)]);
        if let Some(trigger) = trigger {
            change(&kqueue, &[trigger.with_udata(usize::MAX)]);
        }
        assert_eq!(wait(&kqueue, SOON)[0].udata, usize::MAX);
        change(&kqueue, &[add.with_udata(3)]);
        if let Some(trigger) = trigger {
            let keep = trigger.with_flags(KeventFlags::KEEPUDATA);
            change(&kqueue, &[keep]);
        }
        assert_eq!(wait(&kqueue, SOON)[0].udata, 3);
    }
}

#[test]
fn two_kqueues_have_nothing_to_do_with_each_other() {
    let (one, two) = (Kqueue::new().unwrap(), Kqueue::new().unwrap());
    change(&one, &[user(1), trigger(1)]);
    change(&two, &[user(1)]);
    assert!(wait(&two, NOW).is_empty());
    assert_eq!(idents(&wait(&one, NOW)), [1]);
    assert_eq!(error(&two, timer(9, 1).with_flags(KeventFlags::DELETE)), ENOENT);
}

// User events.

#[test]
fn a_user_event_stays_triggered_unless_it_clears() {
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[user(1), trigger(1)]);
    assert_eq!(wait(&kqueue, NOW).len(), 1);
    assert_eq!(wait(&kqueue, NOW).len(), 1);
    // A modify with EV_CLEAR resets it.
    change(&kqueue, &[user(1).with_flags(KeventFlags::CLEAR)]);
    assert!(wait(&kqueue, NOW).is_empty());

    change(&kqueue, &[user(2).with_flags(KeventFlags::ADD | KeventFlags::CLEAR), trigger(2)]);
    assert_eq!(idents(&wait(&kqueue, NOW)), [2]);
    assert!(wait(&kqueue, NOW).is_empty());
    change(&kqueue, &[trigger(2), trigger(2)]);
    assert_eq!(wait(&kqueue, NOW).len(), 1, "multiple events aggregate into one kevent");
    assert!(wait(&kqueue, NOW).is_empty());
}

#[test]
fn a_user_event_can_be_added_triggered() {
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[user(1).with_fflags(NoteFlags::TRIGGER)]);
    assert_eq!(idents(&wait(&kqueue, NOW)), [1]);
}

#[test]
fn the_users_flags_are_the_lower_24_bits() {
    // "The lower 24 bits of the fflags may be used for user defined flags and
    // manipulated using the following: NOTE_FFNOP, NOTE_FFAND, NOTE_FFOR,
    // NOTE_FFCOPY."
    let kqueue = Kqueue::new().unwrap();
    let bits = NoteFlags::from_bits_retain;
    change(&kqueue, &[user(1).with_fflags(bits(0xff00_00f0))]);
    let see = |control: NoteFlags, flags: u32| {
        let fflags = control | bits(flags) | NoteFlags::TRIGGER;
        let touch = user(1).with_flags(KeventFlags::empty()).with_fflags(fflags).with_data(-9);
        change(&kqueue, &[touch]);
        let event = wait(&kqueue, NOW)[0];
        assert_eq!(event.data, -9, "the data of the last modify");
        event.fflags.bits()
    };
    assert_eq!(see(NoteFlags::FFNOP, 0xffff), 0xf0);
    assert_eq!(see(NoteFlags::FFOR, 0x00ff_0000), 0x00ff_00f0);
    assert_eq!(see(NoteFlags::FFAND, 0x00f0_0010), 0x00f0_0010);
    assert_eq!(see(NoteFlags::FFCOPY, 0x12_3456), 0x12_3456);
}

#[test]
fn level_events_take_turns() {
    // Level knotes are queued again at the tail.
    let kqueue = Kqueue::new().unwrap();
    for ident in 1..=3 {
        change(&kqueue, &[user(ident), trigger(ident)]);
    }
    let mut events = [Kevent::default(); 2];
    let mut seen = Vec::new();
    for _ in 0..3 {
        let n = kqueue.control(&[], &mut events, NOW).unwrap();
        seen.extend(idents(&events[..n]));
    }
    assert_eq!(seen, [1, 2, 3, 1, 2, 3]);
    assert_eq!(idents(&wait(&kqueue, NOW)), [1, 2, 3], "each once a scan");
}

#[test]
fn forced_it_comes_once_whether_it_happened_or_not() {
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[user(1).with_udata(4)]);
    let force = KeventFlags::FORCEONESHOT | KeventFlags::KEEPUDATA;
    change(&kqueue, &[user(1).with_flags(force)]);
    let events = wait(&kqueue, NOW);
    assert_eq!((idents(&events), events[0].udata), (vec![1], 4));
    assert_eq!(error(&kqueue, trigger(1)), ENOENT);
}

// Timers.

#[test]
fn a_timer_is_periodic_and_counts() {
    // "On return, data contains the number of times the timeout has expired since
    // the last call to kevent(). This filter automatically sets the EV_CLEAR flag
    // internally."
    let kqueue = Kqueue::new().unwrap();
    let begin = Instant::now();
    change(&kqueue, &[timer(1, 10)]);
    let mut counted = 0;
    while counted < 4 {
        let event = wait(&kqueue, SOON)[0];
        assert!(event.flags.contains(KeventFlags::CLEAR));
        assert!(event.data >= 1);
        counted += event.data;
    }
    assert!(begin.elapsed() >= Duration::from_millis(40));
    std::thread::sleep(Duration::from_millis(55));
    let missed = wait(&kqueue, NOW)[0].data;
    assert!(missed >= 5, "{missed}");
    let since = i64::try_from(begin.elapsed().as_millis() / 10).unwrap();
    assert!(counted + missed <= since, "none was counted twice");
}

#[test]
fn a_disabled_timer_goes_on() {
    // "The filter itself is not disabled."
    let kqueue = Kqueue::new().unwrap();
    let begin = Instant::now();
    change(&kqueue, &[timer(1, 5).with_flags(KeventFlags::ADD | KeventFlags::DISABLE)]);
    std::thread::sleep(Duration::from_millis(27));
    assert!(wait(&kqueue, NOW).is_empty());
    change(&kqueue, &[timer(1, 0).with_flags(KeventFlags::ENABLE)]);
    let expired = wait(&kqueue, NOW)[0].data;
    let since = i64::try_from(begin.elapsed().as_millis() / 5).unwrap();
    assert!((5..=since).contains(&expired), "{expired} of {since}");
}

#[test]
fn the_units_of_a_timer() {
    let kqueue = Kqueue::new().unwrap();
    let units = [
        (NoteFlags::SECONDS, 1_000_000_000),
        (NoteFlags::MSECONDS, 1_000_000),
        (NoteFlags::empty(), 1_000_000),
        (NoteFlags::USECONDS, 1_000),
        (NoteFlags::NSECONDS, 1),
    ];
    let oneshot = KeventFlags::ADD | KeventFlags::ONESHOT;
    for (unit, nanoseconds) in units {
        if !NoteFlags::supported(Filter::Timer).contains(unit) {
            continue;
        }
        let wanted = if unit == NoteFlags::SECONDS { 1 } else { 20_000_000 / nanoseconds };
        let begin = Instant::now();
        change(&kqueue, &[timer(1, wanted).with_flags(oneshot).with_fflags(unit)]);
        let event = wait(&kqueue, SOON)[0];
        assert_eq!(event.data, 1);
        let least = Duration::from_nanos((wanted * nanoseconds) as u64);
        assert!(begin.elapsed() >= least, "{unit:?}: {:?}", begin.elapsed());
    }
}

#[test]
fn times_that_are_none() {
    let kqueue = Kqueue::new().unwrap();
    assert_eq!(error(&kqueue, timer(1, -1)), EINVAL);
    let two = NoteFlags::SECONDS | NoteFlags::NSECONDS;
    assert_eq!(error(&kqueue, timer(1, 1).with_fflags(two)), EINVAL);
    let strange = NoteFlags::from_bits_retain(0x4000);
    assert_eq!(error(&kqueue, timer(1, 1).with_fflags(strange)), EINVAL);
    // None of them was registered.
    assert_eq!(error(&kqueue, timer(1, 1).with_flags(KeventFlags::DELETE)), ENOENT);
    // The longest times do not overflow.
    change(&kqueue, &[timer(1, i64::MAX), timer(2, i64::MAX).with_fflags(NoteFlags::SECONDS)]);
    let never = timer(3, i64::MAX).with_fflags(NoteFlags::SECONDS | NoteFlags::ABSTIME);
    change(&kqueue, &[never]);
    assert!(wait(&kqueue, NOW).is_empty());
}

/// A change does not change what a knote is.
#[test]
#[cfg(any(target_os = "linux", target_os = "android", target_os = "wasi"))]
fn a_timer_that_is_added_again_stays_what_it_was() {
    let kqueue = Kqueue::new().unwrap();
    let oneshot = KeventFlags::ADD | KeventFlags::ONESHOT;
    change(&kqueue, &[timer(1, 3_600_000)]);
    change(&kqueue, &[timer(1, 2).with_flags(oneshot)]);
    for _ in 0..3 {
        assert_eq!(idents(&wait(&kqueue, SOON)), [1]);
    }
    change(&kqueue, &[timer(1, 2).with_flags(KeventFlags::DELETE)]);
    change(&kqueue, &[timer(2, 3_600_000).with_flags(oneshot)]);
    change(&kqueue, &[timer(2, 2)]);
    std::thread::sleep(Duration::from_millis(10));
    let event = wait(&kqueue, SOON)[0];
    assert_eq!((event.ident, event.data), (2, 1));
    assert_eq!(error(&kqueue, timer(2, 2).with_flags(KeventFlags::DELETE)), ENOENT);
}

#[test]
fn a_period_of_zero_is_one_unit() {
    // "Periodic timers with a specified timeout of 0 will be silently adjusted to
    // timeout after 1 of the time units specified by the requested precision in
    // fflags."
    let kqueue = Kqueue::new().unwrap();
    let begin = Instant::now();
    change(&kqueue, &[timer(1, 0)]);
    assert!(wait(&kqueue, SOON)[0].data >= 1);
    assert!(begin.elapsed() >= Duration::from_millis(1));
    // A one-shot timer of zero expires now.
    change(&kqueue, &[timer(2, 0).with_flags(KeventFlags::ADD | KeventFlags::ONESHOT)]);
    assert!(idents(&wait(&kqueue, NOW)).contains(&2));
}

#[test]
fn an_absolute_timer_expires_once() {
    // "The timer will be periodic unless EV_ONESHOT or NOTE_ABSTIME is specified."
    // "If an absolute time is specified that has already passed, then it is treated
    // as if the current time were specified and the event will fire as soon as
    // possible."
    let kqueue = Kqueue::new().unwrap();
    let absolute = NoteFlags::ABSTIME | NoteFlags::MSECONDS;
    change(&kqueue, &[timer(1, 5).with_fflags(absolute)]);
    assert_eq!(wait(&kqueue, NOW)[0].data, 1);

    let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at = i64::try_from(today.as_millis()).unwrap() + 40;
    change(&kqueue, &[timer(1, at).with_fflags(absolute)]);
    assert!(wait(&kqueue, NOW).is_empty());
    assert_eq!(wait(&kqueue, SOON)[0].data, 1);
    let then = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    assert!(i64::try_from(then.as_millis()).unwrap() >= at);
    assert!(wait(&kqueue, Some(Duration::from_millis(5))).is_empty(), "once");
    change(&kqueue, &[timer(1, 0).with_flags(KeventFlags::DELETE)]);
}

#[test]
fn adding_a_timer_again_starts_it_again() {
    // "If an existing timer is re-added, the existing timer will be effectively
    // canceled (throwing away any undelivered record of previous timer expiration)
    // and re-started using the new parameters contained in data and fflags."
    let kqueue = Kqueue::new().unwrap();
    change(&kqueue, &[timer(1, 1)]);
    std::thread::sleep(Duration::from_millis(5));
    change(&kqueue, &[timer(1, 3_600_000)]);
    assert!(wait(&kqueue, Some(Duration::from_millis(10))).is_empty());
    let begin = Instant::now();
    change(&kqueue, &[timer(1, 20)]);
    assert_eq!(wait(&kqueue, SOON)[0].data, 1);
    assert!(begin.elapsed() >= Duration::from_millis(20));
    // One that cannot be is refused, and the old one goes on.
    assert_eq!(error(&kqueue, timer(1, -1)), EINVAL);
    assert_eq!(idents(&wait(&kqueue, SOON)), [1]);
}

#[test]
fn many_timers_expire_in_order() {
    let kqueue = Kqueue::new().unwrap();
    let oneshot = KeventFlags::ADD | KeventFlags::ONESHOT;
    // 7 is prime to 16: every time once, none in order.
    for ident in 0..16 {
        let at = 4 * (ident as i64 * 7 % 16);
        change(&kqueue, &[timer(ident, at).with_flags(oneshot)]);
    }
    let mut seen = Vec::new();
    while seen.len() < 16 {
        seen.extend(idents(&wait(&kqueue, SOON)));
    }
    let times: Vec<usize> = seen.iter().map(|ident| ident * 7 % 16).collect();
    assert!(times.is_sorted(), "{times:?}");
}

// A kqueue is a source, on every target.

#[test]
fn a_kqueue_is_a_source_of_every_front_end() {
    use readiness::{Poll, PollFlags, select};
    let kqueue = Kqueue::new().unwrap();
    let mut poll = Poll::new();
    poll.register(&kqueue, PollFlags::IN).unwrap();
    assert!(poll.poll(NOW).unwrap().next().is_none());
    let ways = [(vec![user(1), trigger(1)], user(1)), (vec![timer(1, 5)], timer(1, 5))];
    for (on, off) in ways {
        change(&kqueue, &on);
        assert_eq!(poll.poll(SOON).unwrap().next().unwrap().flags, PollFlags::IN);
        assert_eq!(select([&kqueue], [], [], SOON).unwrap().read.len(), 1);
        assert_eq!(idents(&wait(&kqueue, NOW)), [1], "looking took nothing away");
        change(&kqueue, &[off.with_flags(KeventFlags::DELETE)]);
        let read = select([&kqueue], [], [], Some(Duration::from_millis(5))).unwrap().read.len();
        assert_eq!(read, 0);
    }
}

#[test]
fn kqueues_nest() {
    let (inner, outer) = (Kqueue::new().unwrap(), Kqueue::new().unwrap());
    let read = Kevent::new(&inner, Filter::Read);
    change(&outer, &[read.with_udata(5)]);
    assert!(wait(&outer, NOW).is_empty());
    change(&inner, &[user(1), user(2), trigger(1), trigger(2)]);
    let event = wait(&outer, SOON)[0];
    assert_eq!((event.ident, event.data, event.udata), (read.ident, 2, 5));
    assert_eq!(wait(&inner, NOW).len(), 2);
    let delete = KeventFlags::DELETE;
    change(&inner, &[user(1).with_flags(delete), user(2).with_flags(delete)]);
    assert!(wait(&outer, Some(Duration::from_millis(5))).is_empty());
    change(&inner, &[timer(3, 5)]);
    assert_eq!(wait(&outer, SOON).len(), 1);

    // It does not watch itself, and is not written to.
    assert_eq!(error(&inner, read), EINVAL);
    assert_eq!(error(&outer, Kevent::new(&inner, Filter::Write)), EINVAL);
    // It ends with its owner.
    drop(inner);
    assert!(wait(&outer, Some(Duration::from_millis(5))).is_empty());
}

// Files: they are sources wherever descriptors are.

#[cfg(any(unix, target_os = "wasi"))]
mod files {
    use std::fs::File;
    use std::io::{Read, Seek, SeekFrom, Write};

    use super::*;

    fn file(name: &str, content: &[u8]) -> File {
        let path = format!("/tmp/kqueue-{name}-{:?}", Instant::now().elapsed());
        let mut options = File::options();
        let mut file =
            options.read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn a_file_is_ready_when_it_is_not_at_its_end() {
        // "Returns when the file pointer is not at the end of file. data contains the
        // offset from current position to end of file, and may be negative."
        let mut file = file("ahead", b"0123456789");
        let kqueue = Kqueue::new().unwrap();
        change(&kqueue, &[Kevent::new(&file, Filter::Read)]);
        assert_eq!(wait(&kqueue, SOON)[0].data, 10);
        file.read_exact(&mut [0; 7]).unwrap();
        assert_eq!(wait(&kqueue, SOON)[0].data, 3);
        file.seek(SeekFrom::Start(12)).unwrap();
        assert_eq!(wait(&kqueue, SOON)[0].data, -2);
        file.seek(SeekFrom::Start(10)).unwrap();
        assert!(wait(&kqueue, Some(Duration::from_millis(5))).is_empty());
        // It grows.
        file.write_all(b"abc").unwrap();
        file.seek(SeekFrom::Start(10)).unwrap();
        assert_eq!(wait(&kqueue, SOON)[0].data, 3);
    }

    #[test]
    fn a_file_at_its_end_is_ready_for_a_poll() {
        // NOTE_FILE_POLL: "Causes EVFILT_READ to behave like poll(2)".
        let file = file("poll", b"");
        let kqueue = Kqueue::new().unwrap();
        let read = Kevent::new(&file, Filter::Read);
        change(&kqueue, &[read.with_fflags(NoteFlags::FILE_POLL)]);
        assert_eq!(wait(&kqueue, SOON)[0].data, 0);
        change(&kqueue, &[read]);
        assert!(wait(&kqueue, Some(Duration::from_millis(5))).is_empty());
    }

    #[test]
    fn a_file_is_not_written_to() {
        // "Note that this filter is not supported for vnodes."
        let file = file("write", b"x");
        let kqueue = Kqueue::new().unwrap();
        let write = Kevent::new(&file, Filter::Write);
        assert_eq!(error(&kqueue, write), EINVAL);
        let refused = kqueue.control(&[write], &mut [], NOW).unwrap_err();
        assert!(refused.to_string().contains("EVFILT_WRITE"), "{refused}");
    }

    #[test]
    fn the_contract_for_files() {
        let mut file = file("contract", b"12345");
        let kqueue = Kqueue::new().unwrap();
        let read = Kevent::new(&file, Filter::Read).with_udata(3);
        // Clear: once, and again when it has grown.
        change(&kqueue, &[read.with_flags(KeventFlags::ADD | KeventFlags::CLEAR)]);
        assert_eq!(wait(&kqueue, SOON)[0].udata, 3);
        assert!(wait(&kqueue, Some(Duration::from_millis(5))).is_empty());
        file.seek(SeekFrom::End(0)).unwrap();
        file.write_all(b"678").unwrap();
        file.rewind().unwrap();
        assert_eq!(wait(&kqueue, SOON)[0].data, 8);
        // Disable and enable.
        change(&kqueue, &[read.with_flags(KeventFlags::DISABLE)]);
        assert!(wait(&kqueue, NOW).is_empty());
        change(&kqueue, &[read.with_flags(KeventFlags::ENABLE)]);
        assert_eq!(wait(&kqueue, SOON).len(), 1);
        let delete = read.with_flags(KeventFlags::DELETE);
        change(&kqueue, &[delete]);
        assert_eq!(error(&kqueue, delete), ENOENT);
        // One-shot, dispatch.
        change(&kqueue, &[read.with_flags(KeventFlags::ADD | KeventFlags::ONESHOT)]);
        assert_eq!(wait(&kqueue, SOON).len(), 1);
        assert_eq!(error(&kqueue, delete), ENOENT);
        change(&kqueue, &[read.with_flags(KeventFlags::ADD | KeventFlags::DISPATCH)]);
        assert_eq!(wait(&kqueue, SOON).len(), 1);
        assert!(wait(&kqueue, Some(Duration::from_millis(5))).is_empty());
        change(&kqueue, &[read.with_flags(KeventFlags::ENABLE)]);
        assert_eq!(wait(&kqueue, SOON).len(), 1);
    }

    #[test]
    fn a_closed_file_ends_its_knotes() {
        // "Calling close() on a file descriptor will remove any kevents that
        // reference the descriptor."
        let kqueue = Kqueue::new().unwrap();
        let file = file("close", b"x");
        let read = Kevent::new(&file, Filter::Read);
        change(&kqueue, &[read]);
        drop(file);
        assert!(wait(&kqueue, Some(Duration::from_millis(5))).is_empty());
        let gone = error(&kqueue, read.with_flags(KeventFlags::DELETE));
        assert!(gone == EBADF || gone == ENOENT, "{gone}");
    }
}

/// The numbers of knotes and of sources are not the same: a set has fewer sources.
#[test]
#[cfg(any(unix, target_os = "wasi"))]
fn a_source_that_is_registered_after_a_timer_and_a_user_event_reports() {
    let kqueue = Kqueue::new().unwrap();
    let output = Kevent::new(&std::io::stdout(), Filter::Write);
    change(&kqueue, &[user(1), timer(2, 1_000_000)]);
    // Standard output may be a file, which is no source for a write.
    if kqueue.control(&[output], &mut [], NOW).is_ok() {
        assert_eq!(idents(&wait(&kqueue, SOON)), [output.ident]);
        change(&kqueue, &[user(3), output.with_flags(KeventFlags::DELETE)]);
    }
    change(&kqueue, &[trigger(1)]);
    assert_eq!(idents(&wait(&kqueue, SOON)), [1]);
}
