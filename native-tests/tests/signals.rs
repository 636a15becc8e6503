//! Signals that interrupt each of the waits: it goes on with the time left; its
//! twin answers `Interrupted`; its masked twin lets through what its mask lets
//! through, and nothing else.
//!
//! Each test sends its signals to its own thread, so that they run side by side.

#![cfg(unix)]

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use readiness::{
    Events, Interest, Mode, Poll, PollFlags, Selection, Selector, SignalSet, pselect, pselect_into,
    select, select_interruptible, select_into, select_into_interruptible,
};

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(60);
const SIGNAL: i32 = libc::SIGUSR1;

thread_local! {
    /// How many signals this thread has handled.
    static HANDLED: AtomicCount = const { AtomicCount::new(0) };
}
type AtomicCount = std::sync::atomic::AtomicU32;

fn handled() -> u32 {
    HANDLED.with(|count| count.load(Ordering::Relaxed))
}

/// With SA_RESTART, which restarts none of these calls (signal(7)).
fn handle_signals() {
    extern "C" fn handler(_: i32) {
        HANDLED.with(|count| count.fetch_add(1, Ordering::Relaxed));
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler only counts, and the rest of the action may be zero.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as extern "C" fn(i32) as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            assert_eq!(libc::sigaction(SIGNAL, &action, std::ptr::null_mut()), 0);
        }
    });
    // Touched, so that the handler does not have to make it.
    handled();
}

/// Sends this thread a signal every other millisecond for as long as `work` runs,
/// and runs `beside` in the sending thread after each.
fn under_fire<T>(work: impl FnOnce() -> T, mut beside: impl FnMut(u32) + Send) -> T {
    handle_signals();
    let done = AtomicBool::new(false);
    // SAFETY: no arguments.
    let this = unsafe { libc::pthread_self() } as usize;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut count = 0;
            while !done.load(Ordering::SeqCst) {
                // SAFETY: the thread is alive, for it waits for this one.
                unsafe { libc::pthread_kill(this as libc::pthread_t, SIGNAL) };
                beside(count);
                count += 1;
                std::thread::sleep(2 * MS);
            }
        });
        let result = work();
        done.store(true, Ordering::SeqCst);
        result
    })
}

#[derive(Clone, Copy)]
enum How<'a> {
    Resume,
    Report,
    Masked(&'a SignalSet),
}

/// Waits for the source to be readable: how many are.
type Wait = fn(&UnixStream, Option<Duration>, How<'_>) -> io::Result<usize>;

fn by_select(source: &UnixStream, timeout: Option<Duration>, how: How<'_>) -> io::Result<usize> {
    Ok(match how {
        How::Resume => select([source], [], [], timeout)?,
        How::Report => select_interruptible([source], [], [], timeout)?,
        How::Masked(mask) => pselect([source], [], [], timeout, mask)?,
    }
    .read
    .len())
}

fn by_selection(source: &UnixStream, timeout: Option<Duration>, how: How<'_>) -> io::Result<usize> {
    let mut selection = Selection::new();
    let into = &mut selection;
    match how {
        How::Resume => select_into(into, [source], [], [source], timeout)?,
        How::Report => select_into_interruptible(into, [source], [], [source], timeout)?,
        How::Masked(mask) => pselect_into(into, [source], [], [source], timeout, mask)?,
    }
    Ok(selection.read().len())
}

fn by_poll(source: &UnixStream, timeout: Option<Duration>, how: How<'_>) -> io::Result<usize> {
    let mut poll = Poll::new();
    poll.register(source, PollFlags::IN)?;
    Ok(match how {
        How::Resume => poll.poll(timeout)?.count(),
        How::Report => poll.poll_interruptible(timeout)?.count(),
        How::Masked(mask) => poll.ppoll(timeout, mask)?.count(),
    })
}

fn by_selector(source: &UnixStream, timeout: Option<Duration>, how: How<'_>) -> io::Result<usize> {
    let selector = Selector::new()?;
    let mut events = Events::with_capacity(4);
    selector.register(source, 1, Interest::READ, Mode::Level)?;
    wait(&selector, &mut events, timeout, how)
}

/// With an edge, a timer that does not expire and a file that says nothing: what a
/// wait looks at beside.
fn by_busy_selector(
    source: &UnixStream,
    timeout: Option<Duration>,
    how: How<'_>,
) -> io::Result<usize> {
    let selector = Selector::new()?;
    let mut events = Events::with_capacity(4);
    let file = std::fs::File::open("/")?;
    selector.register(&file, 2, Interest::PRIORITY, Mode::Level)?;
    selector.register(source, 1, Interest::READ, Mode::Edge)?;
    selector.add_timer(3, LONG);
    wait(&selector, &mut events, timeout, how)
}

fn wait(
    selector: &Selector,
    events: &mut Events,
    timeout: Option<Duration>,
    how: How<'_>,
) -> io::Result<usize> {
    match how {
        How::Resume => selector.wait(events, timeout),
        How::Report => selector.wait_interruptible(events, timeout),
        How::Masked(mask) => selector.pwait(events, timeout, mask),
    }
}

#[cfg(target_os = "linux")]
fn by_epoll(source: &UnixStream, timeout: Option<Duration>, how: How<'_>) -> io::Result<usize> {
    use readiness::{Epoll, EpollEvent, EpollFlags};
    let epoll = Epoll::new()?;
    epoll.register(source, EpollFlags::IN)?;
    let mut events = [EpollEvent::default(); 4];
    match how {
        How::Resume => epoll.wait(&mut events, timeout),
        How::Report => epoll.wait_interruptible(&mut events, timeout),
        How::Masked(mask) => epoll.pwait(&mut events, timeout, mask),
    }
}

#[cfg(target_os = "linux")]
fn by_epoll_poll(
    source: &UnixStream,
    timeout: Option<Duration>,
    how: How<'_>,
) -> io::Result<usize> {
    use readiness::{Epoll, EpollFlags};
    let epoll = Epoll::new()?;
    epoll.register(source, EpollFlags::IN)?;
    let told = match how {
        How::Resume => epoll.poll(timeout, None),
        How::Report => epoll.poll_interruptible(timeout, None),
        How::Masked(mask) => epoll.ppoll(timeout, None, mask),
    };
    told.map(|events| events.len())
}

const WAITS: &[(&str, Wait)] = &[
    ("select", by_select),
    ("select_into", by_selection),
    ("Poll", by_poll),
    ("Selector", by_selector),
    ("Selector with more", by_busy_selector),
    #[cfg(target_os = "linux")]
    ("Epoll", by_epoll),
    #[cfg(target_os = "linux")]
    ("Epoll::poll", by_epoll_poll),
];

#[test]
fn a_wait_goes_on_with_the_time_left() {
    let (own, _peer) = UnixStream::pair().unwrap();
    for (name, wait) in WAITS {
        let before = handled();
        let start = Instant::now();
        let timeout = 150 * MS;
        let ready = under_fire(|| wait(&own, Some(timeout), How::Resume), |_| {}).unwrap();
        let took = start.elapsed();
        assert_eq!(ready, 0, "{name}");
        assert!(took >= timeout, "{name} took {took:?}");
        // Not the whole timeout anew after each of the signals.
        assert!(took < LONG, "{name} took {took:?}");
        assert!(handled() - before > 3, "{name} was hardly interrupted");
    }
}

#[test]
fn a_wait_for_ever_goes_on_until_something_is_ready() {
    for timeout in [None, Some(Duration::MAX), Some(LONG)] {
        for (name, wait) in WAITS {
            let (own, peer) = UnixStream::pair().unwrap();
            let before = handled();
            let ready = under_fire(
                || wait(&own, timeout, How::Resume),
                |count| {
                    if count == 10 {
                        (&peer).write_all(b"x").unwrap();
                    }
                },
            );
            assert_eq!(ready.unwrap(), 1, "{name}");
            assert!(handled() - before > 3, "{name} was hardly interrupted");
        }
    }
}

#[test]
fn the_twin_answers_interrupted() {
    let (own, peer) = UnixStream::pair().unwrap();
    for timeout in [None, Some(LONG), Some(Duration::MAX)] {
        for (name, wait) in WAITS {
            let before = handled();
            let error = under_fire(|| wait(&own, timeout, How::Report), |_| {}).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{name}");
            assert_eq!(error.raw_os_error(), Some(libc::EINTR), "{name}");
            assert!(handled() > before);
        }
    }
    // Undisturbed it is the same as its sibling.
    for (name, wait) in WAITS {
        let start = Instant::now();
        assert_eq!(wait(&own, Some(3 * MS), How::Report).unwrap(), 0, "{name}");
        assert!(start.elapsed() >= 3 * MS, "{name}");
    }
    (&peer).write_all(b"x").unwrap();
    for (name, wait) in WAITS {
        assert_eq!(wait(&own, None, How::Report).unwrap(), 1, "{name}");
    }
}

/// Blocks the signal in this thread, and unblocks it on drop.
struct Blocked;

fn change_mask(how: i32) {
    // SAFETY: the set is initialised before it is used.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, SIGNAL);
        assert_eq!(libc::pthread_sigmask(how, &set, std::ptr::null_mut()), 0);
    }
}

impl Blocked {
    fn new() -> Blocked {
        handle_signals();
        change_mask(libc::SIG_BLOCK);
        Blocked
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        change_mask(libc::SIG_UNBLOCK);
    }
}

fn raise() {
    // SAFETY: to the calling thread.
    unsafe { libc::pthread_kill(libc::pthread_self(), SIGNAL) };
}

#[test]
fn a_signal_that_is_pending_is_let_in_by_the_masked_twin_alone_and_once() {
    let (own, _peer) = UnixStream::pair().unwrap();
    for (name, wait) in WAITS {
        let blocked = Blocked::new();
        let before = handled();
        raise();
        // It is blocked: none of the others is interrupted.
        assert_eq!(wait(&own, Some(2 * MS), How::Resume).unwrap(), 0, "{name}");
        assert_eq!(wait(&own, Some(2 * MS), How::Report).unwrap(), 0, "{name}");
        let all = SignalSet::all();
        assert_eq!(wait(&own, Some(2 * MS), How::Masked(&all)).unwrap(), 0, "{name}");
        let current = SignalSet::current().unwrap();
        assert!(current.contains(SIGNAL));
        assert_eq!(wait(&own, Some(2 * MS), How::Masked(&current)).unwrap(), 0, "{name}");
        assert_eq!(handled(), before, "{name}");

        for timeout in [None, Some(LONG)] {
            let mask = current.without(SIGNAL).unwrap();
            let error = wait(&own, timeout, How::Masked(&mask)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{name}");
            assert_eq!(handled(), before + 1 + u32::from(timeout.is_some()), "{name}");
            // The thread's mask is what it was.
            assert!(SignalSet::current().unwrap().contains(SIGNAL), "{name}");
            raise();
        }
        drop(blocked);
        assert_eq!(handled(), before + 3, "{name}");
    }
}

/// As the kernel's epoll_pwait(2), which lets signals in where it sleeps.
#[test]
#[cfg(target_os = "linux")]
fn a_pending_signal_is_not_let_in_by_an_epoll_that_does_not_wait() {
    let (own, _peer) = UnixStream::pair().unwrap();
    let blocked = Blocked::new();
    let before = handled();
    raise();
    let mask = SignalSet::current().unwrap().without(SIGNAL).unwrap();
    for wait in [by_epoll, by_epoll_poll] {
        assert_eq!(wait(&own, Some(Duration::ZERO), How::Masked(&mask)).unwrap(), 0);
    }
    assert_eq!(handled(), before);
    drop(blocked);
    assert_eq!(handled(), before + 1);
}

#[test]
fn what_the_mask_blocks_does_not_interrupt() {
    let (own, _peer) = UnixStream::pair().unwrap();
    for (name, wait) in WAITS {
        handle_signals();
        let mask = SignalSet::current().unwrap().with(SIGNAL).unwrap();
        let (before, start) = (handled(), Instant::now());
        let ready = under_fire(|| wait(&own, Some(60 * MS), How::Masked(&mask)), |_| {});
        // One may have come before the mask was in force: that is no interruption.
        assert_eq!(ready.unwrap(), 0, "{name}");
        assert!(start.elapsed() >= 60 * MS, "{name}");
        // They were let in when it was over.
        assert!(handled() > before, "{name}");
    }
}

#[test]
fn the_empty_mask_lets_all_in() {
    let (own, _peer) = UnixStream::pair().unwrap();
    for (name, wait) in WAITS {
        let _blocked = Blocked::new();
        raise();
        let error = wait(&own, None, How::Masked(&SignalSet::empty())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{name}");
    }
}

#[test]
fn a_set_of_signals_is_what_was_put_into_it() {
    let set = SignalSet::empty().with(SIGNAL).unwrap().with(libc::SIGINT).unwrap();
    assert!(set.contains(SIGNAL) && set.contains(libc::SIGINT) && !set.contains(libc::SIGTERM));
    let set = set.without(SIGNAL).unwrap();
    assert!(!set.contains(SIGNAL) && set.contains(libc::SIGINT));
    assert!(SignalSet::all().contains(libc::SIGTERM) && !SignalSet::empty().contains(SIGNAL));
    for signal in [0, -1, 100_000] {
        assert_eq!(set.with(signal).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        assert_eq!(set.without(signal).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        assert!(!set.contains(signal));
    }
    assert!(!format!("{set:?}").contains("10,"));
}

#[test]
fn an_interruption_loses_no_event_and_no_timer() {
    for mode in [Mode::Edge, Mode::OneShot, Mode::Level] {
        let selector = Selector::new().unwrap();
        let mut events = Events::with_capacity(2);
        let (own, peer) = UnixStream::pair().unwrap();
        own.set_nonblocking(true).unwrap();
        selector.register(&own, 1, Interest::READ, mode).unwrap();
        let (mut arrived, mut interruptions) = (0, 0);
        under_fire(
            || {
                selector.add_periodic(2, MS, MS).unwrap();
                while arrived < 50 || interruptions == 0 && arrived < 5000 {
                    match selector.wait_interruptible(&mut events, Some(LONG)) {
                        Ok(0) => panic!("{mode:?}: {arrived} arrived, and then none"),
                        Ok(_) => {}
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Interrupted);
                            assert!(events.is_empty());
                            interruptions += 1;
                            continue;
                        }
                    }
                    if events.iter().any(|event| event.token() == 1) {
                        while let Ok(count @ 1..) = (&own).read(&mut [0; 16]) {
                            arrived += count;
                        }
                        if mode == Mode::OneShot {
                            selector.modify(&own, 1, Interest::READ, mode).unwrap();
                        }
                    }
                }
            },
            // Behind each other signal: the byte is often there before its signal is handled,
            // and then it is no interruption.
            |count| {
                if count % 2 == 0 {
                    (&peer).write_all(b"x").unwrap();
                }
            },
        );
        assert!(interruptions > 0, "{mode:?}");
    }
}

#[test]
fn a_selection_that_was_interrupted_or_timed_out_is_empty() {
    // Nothing of the call before is left in it (Python: bpo-35310).
    let (own, peer) = UnixStream::pair().unwrap();
    let mut selection = Selection::new();
    (&peer).write_all(b"x").unwrap();
    select_into(&mut selection, [&own], [&own], [], None).unwrap();
    assert_eq!((selection.read(), selection.write()), (&[0][..], &[0][..]));
    assert_eq!((&own).read(&mut [0; 8]).unwrap(), 1);
    under_fire(|| select_into(&mut selection, [&own], [], [], Some(30 * MS)), |_| {}).unwrap();
    assert!(selection.read().is_empty() && selection.write().is_empty());
}

#[test]
fn with_no_sources_each_wait_sleeps_on_and_its_twin_is_interrupted() {
    let none: [&UnixStream; 0] = [];
    let timeout = Some(50 * MS);
    let start = Instant::now();
    under_fire(|| select(none, none, none, timeout).unwrap().is_empty(), |_| {});
    assert!(start.elapsed() >= 50 * MS);
    let start = Instant::now();
    under_fire(|| assert_eq!(Poll::new().poll(timeout).unwrap().count(), 0), |_| {});
    assert!(start.elapsed() >= 50 * MS);
    let error = under_fire(|| select_interruptible(none, none, none, None), |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    let mut poll = Poll::new();
    let error = under_fire(|| poll.poll_interruptible(None).map(drop), |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
}
