//! The native backend on a kevent(2) that follows FreeBSD's manual. Each case quotes
//! the sentence of [kqueue(2)](https://man.freebsd.org/kqueue/2) that it comes from.
//! Nothing of this crate's own emulation is used.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use super::fake::{self, Call};
use super::{KqueueFd, KqueueSet};
use crate::backend::{Added, Backend, Key, Mode};
use crate::flags::PollFlags;
use crate::kevent::{Filter, Kevent, KeventFlags, NoteFlags};
use crate::source::{Held, Member};
use crate::timeout::{Signals, Until};

const ADD: KeventFlags = KeventFlags::ADD;
const IN: PollFlags = PollFlags::IN;
const OUT: PollFlags = PollFlags::OUT;
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(20);

fn now() -> Until<'static> {
    Until::new(Some(Duration::ZERO), Signals::Resume)
}

fn until(timeout: Duration) -> Until<'static> {
    Until::new(Some(timeout), Signals::Resume)
}

fn event(source: &impl AsRawFd, filter: Filter, flags: KeventFlags) -> Kevent {
    Kevent::from_ident(source.as_raw_fd() as usize, filter).with_flags(flags)
}

/// What is pending, at most four.
fn pending(queue: &KqueueFd) -> Vec<Kevent> {
    let mut events = [Kevent::default(); 4];
    let found = queue.control(&[], &mut events, now()).unwrap();
    events[..found].to_vec()
}

fn held(source: &impl AsRawFd) -> Member {
    Member::Host(Held::Fd(source.as_raw_fd()))
}

fn key(slot: u32) -> Key {
    Key::new(slot, 1)
}

/// The set's own calls, made of what it does to a source.
struct Set {
    set: KqueueSet,
    buffer: <KqueueSet as Backend>::Buffer,
}

impl Set {
    fn new() -> Set {
        let set = KqueueSet::new().unwrap();
        let new = Set { set, buffer: Default::default() };
        new.calls();
        new
    }

    fn add(
        &self,
        slot: u32,
        source: &impl AsRawFd,
        want: PollFlags,
        mode: Mode,
    ) -> io::Result<Added> {
        self.set.add(key(slot), &held(source), want, mode)
    }

    fn modify(
        &self,
        slot: u32,
        source: &impl AsRawFd,
        want: PollFlags,
        mode: Mode,
    ) -> io::Result<()> {
        self.set.modify(key(slot), &held(source), want, mode)
    }

    fn delete(&self, slot: u32, source: &impl AsRawFd) -> io::Result<()> {
        self.set.delete(key(slot), &held(source))
    }

    fn wait(&mut self, timeout: Duration) -> Vec<(Key, PollFlags)> {
        self.set.wait(&mut self.buffer, 8, &until(timeout)).unwrap();
        KqueueSet::events(&self.buffer).collect()
    }

    fn now(&mut self) -> Vec<(Key, PollFlags)> {
        self.wait(Duration::ZERO)
    }

    fn calls(&self) -> Vec<Call> {
        fake::calls(self.set.queue.as_fd().as_raw_fd())
    }
}

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

fn pipe() -> (PipeReader, PipeWriter) {
    io::pipe().unwrap()
}

// kevent(2) itself, as `Kqueue` calls it.

/// "All changes contained in the changelist are applied before any pending events are
/// read from the queue." "The filter is executed upon the initial registration of a
/// kevent in order to detect whether a preexisting condition is present".
#[test]
fn one_call_adds_and_reads() {
    let queue = KqueueFd::new().unwrap();
    let (rx, mut tx) = pair();
    tx.write_all(b"abc").unwrap();
    let mut events = [Kevent::default(); 4];
    let add = event(&rx, Filter::Read, ADD).with_udata(7);
    let found = queue.control(&[add], &mut events, until(LONG)).unwrap();
    assert_eq!(found, 1);
    let [got, ..] = events;
    assert_eq!((got.ident, got.filter), (add.ident, Filter::Read));
    assert_eq!((got.data, got.udata), (3, 7));
}

/// "A kevent is identified by the (ident, filter) pair; there may only be one unique
/// kevent per kqueue." "Re-adding an existing event will modify the parameters of the
/// original event, and not result in a duplicate entry."
#[test]
fn adding_again_modifies() {
    let queue = KqueueFd::new().unwrap();
    let (rx, mut tx) = pair();
    tx.write_all(b"x").unwrap();
    let add = event(&rx, Filter::Read, ADD);
    queue.change(&[add.with_udata(1), add.with_udata(2)]).unwrap();
    let udatas: Vec<_> = pending(&queue).iter().map(|event| event.udata).collect();
    assert_eq!(udatas, [2]);
    // READ and WRITE of one descriptor are two.
    queue.change(&[event(&rx, Filter::Write, ADD)]).unwrap();
    assert_eq!(pending(&queue).len(), 2);
}

/// "If an error occurs while processing an element of the changelist and there is
/// enough room in the eventlist, then the event will be placed in the eventlist with
/// EV_ERROR set in flags and the system error in data."
#[test]
fn an_error_with_room_is_an_entry_and_the_other_changes_are_made() {
    let queue = KqueueFd::new().unwrap();
    let (rx, mut tx) = pair();
    tx.write_all(b"x").unwrap();
    let delete = event(&rx, Filter::Write, KeventFlags::DELETE);
    let mut events = [Kevent::default(); 4];
    let found =
        queue.control(&[delete, event(&rx, Filter::Read, ADD)], &mut events, until(LONG)).unwrap();
    assert_eq!(found, 1);
    assert!(events[0].flags.contains(KeventFlags::ERROR));
    assert_eq!(events[0].data, libc::ENOENT.into());
    assert_eq!(events[0].error().unwrap().raw_os_error(), Some(libc::ENOENT));
    assert_eq!(pending(&queue)[0].filter, Filter::Read);
}

/// "Otherwise, -1 will be returned, and errno will be set to indicate the error
/// condition." "ENOENT: The event could not be found to be modified or deleted."
#[test]
fn an_error_without_room_ends_the_batch() {
    let queue = KqueueFd::new().unwrap();
    let (rx, mut tx) = pair();
    tx.write_all(b"x").unwrap();
    let changes = [
        event(&rx, Filter::Write, ADD),
        event(&rx, Filter::Read, KeventFlags::DELETE),
        event(&rx, Filter::Read, ADD),
    ];
    let error = queue.change(&changes).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    // What came before it was done, what came after it was not.
    let filters: Vec<_> = pending(&queue).iter().map(|event| event.filter).collect();
    assert_eq!(filters, [Filter::Write]);

    // So does one for which other entries took the room.
    let delete = event(&rx, Filter::Read, KeventFlags::DELETE);
    let mut entry = [Kevent::default(); 1];
    let changes = [delete, delete, event(&rx, Filter::Read, ADD)];
    let error = queue.control(&changes, &mut entry, now()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    assert_eq!(pending(&queue).len(), 1);
}

/// "This flag is useful for making bulk changes to a kqueue without draining any
/// pending events. When passed as input, it forces EV_ERROR to always be returned.
/// When a filter is successfully added the data field will be zero."
#[test]
fn receipts_drain_nothing() {
    let queue = KqueueFd::new().unwrap();
    let (rx, mut tx) = pair();
    tx.write_all(b"x").unwrap();
    queue.change(&[event(&rx, Filter::Read, ADD)]).unwrap();
    let mut events = [Kevent::default(); 4];
    let receipt = event(&rx, Filter::Write, ADD | KeventFlags::RECEIPT);
    assert_eq!(queue.control(&[receipt], &mut events, until(LONG)).unwrap(), 1);
    assert!(events[0].flags.contains(KeventFlags::ERROR));
    assert_eq!((events[0].filter, events[0].data), (Filter::Write, 0));
    assert!(events[0].error().is_none());
    assert_eq!(pending(&queue).len(), 2);
}

/// "When nevents is zero, kevent() will return immediately even if there is a timeout
/// specified unlike select(2)." "If the time limit expires, then kevent() returns 0."
#[test]
fn without_room_it_does_not_wait_and_with_it_for_all_of_the_timeout() {
    let queue = KqueueFd::new().unwrap();
    let never = Until::new(None, Signals::Resume);
    assert_eq!(queue.control(&[], &mut [], never).unwrap(), 0);
    let begin = Instant::now();
    assert_eq!(queue.control(&[], &mut [Kevent::default()], until(SHORT)).unwrap(), 0);
    assert!(begin.elapsed() >= SHORT);
}

/// "When kevent() call fails with EINTR error, all changes in the changelist have been
/// applied."
#[test]
fn an_interrupted_call_is_resumed_without_its_changes() {
    let queue = KqueueFd::new().unwrap();
    let kq = queue.as_fd().as_raw_fd();
    let timer = Kevent::from_ident(1, Filter::Timer).with_flags(ADD | KeventFlags::ONESHOT);
    let timer = timer.with_data(20);
    let mut events = [Kevent::default(); 2];
    fake::interrupt(kq);
    assert_eq!(queue.control(&[timer], &mut events, until(LONG)).unwrap(), 1);
    assert_eq!(fake::calls(kq), [Call { changes: 1, room: 2 }, Call { changes: 0, room: 2 }]);

    // And one that is to tell of it has applied them, too.
    fake::interrupt(kq);
    let report = Until::new(Some(LONG), Signals::Report);
    let error = queue.control(&[timer], &mut events, report).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    assert_eq!(queue.control(&[], &mut events, until(LONG)).unwrap(), 1);
}

/// "EINVAL: The specified time limit or filter is invalid."
#[test]
fn a_timeout_of_centuries_is_none_that_is_refused() {
    let queue = KqueueFd::new().unwrap();
    let user = Kevent::from_ident(1, Filter::User);
    let trigger = user.with_fflags(NoteFlags::TRIGGER);
    let mut events = [Kevent::default(); 2];
    let centuries = Duration::from_secs(1 << 40);
    assert_eq!(queue.control(&[user, trigger], &mut events, until(centuries)).unwrap(), 1);
    let unknown = Kevent::from_ident(1, Filter::from_number(-99));
    let error = queue.change(&[unknown]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
}

/// "The queue is not inherited by a child created with fork(2)": a child that drops
/// what it has of it closes nothing of its own.
#[test]
fn what_another_process_made_is_not_closed() {
    let (rx, _tx) = pair();
    let number = rx.as_raw_fd();
    let mut queue = KqueueFd::from(OwnedFd::from(rx));
    queue.process += 1;
    drop(queue);
    // SAFETY: it only looks.
    assert_ne!(unsafe { libc::fcntl(number, libc::F_GETFD) }, -1);
}

/// "EINTR: A signal was delivered before the timeout expired and before any events
/// were placed on the kqueue for return." With a mask that is the signals that it
/// lets through, for which the kqueue's descriptor is polled: it is readable when
/// "pending events are present on the queue".
#[test]
fn a_wait_with_a_mask_finds_what_one_without_finds_and_a_signal_that_it_lets_through() {
    let queue = KqueueFd::new().unwrap();
    let (mut rx, mut tx) = pair();
    let mut events = [Kevent::default(); 2];
    let mask = crate::signals::SignalSet::current().unwrap();
    let masked = |timeout| Until::new(Some(timeout), Signals::Masked(&mask));
    tx.write_all(b"x").unwrap();
    let add = event(&rx, Filter::Read, ADD);
    assert_eq!(queue.control(&[add], &mut events, masked(LONG)).unwrap(), 1);
    rx.read_exact(&mut [0]).unwrap();
    let begin = Instant::now();
    assert_eq!(queue.control(&[], &mut events, masked(SHORT)).unwrap(), 0);
    assert!(begin.elapsed() >= SHORT);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(SHORT);
            tx.write_all(b"x").unwrap();
        });
        assert_eq!(queue.control(&[], &mut events, masked(LONG)).unwrap(), 1);
    });
    rx.read_exact(&mut [0]).unwrap();

    // One that was pending, and that only the mask lets through.
    extern "C" fn nothing(_: libc::c_int) {}
    let signal = libc::SIGUSR2;
    // SAFETY: the handler does nothing; the set is initialised by the first call, and
    // the signal is this thread's alone.
    unsafe {
        libc::signal(signal, nothing as extern "C" fn(libc::c_int) as libc::sighandler_t);
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        libc::pthread_kill(libc::pthread_self(), signal);
    }
    let without = Until::new(Some(SHORT), Signals::Report);
    assert_eq!(queue.control(&[], &mut events, without).unwrap(), 0);
    let error = queue.control(&[], &mut events, masked(LONG)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Interrupted);
}

// The set on top of it, which is the backend of `Selector` and of `Epoll`.

/// "This flag is useful for making bulk changes to a kqueue without draining any
/// pending events."
#[test]
fn both_filters_of_a_source_are_added_in_one_call_that_drains_nothing() {
    let mut set = Set::new();
    let (one, mut other) = pair();
    other.write_all(b"x").unwrap();
    set.add(0, &one, IN, Mode::Level).unwrap();
    set.calls();
    let (two, _keep) = pair();
    assert_eq!(set.add(1, &two, IN | OUT, Mode::Level).unwrap(), Added::Watched);
    assert_eq!(set.calls(), [Call { changes: 2, room: 2 }]);
    assert_eq!(set.now(), [(key(0), IN), (key(1), OUT)]);
    assert_eq!(set.calls(), [Call { changes: 0, room: 8 }]);
}

/// "A kevent is identified by the (ident, filter) pair": what epoll has as one event
/// comes as two.
#[test]
fn read_and_write_of_a_source_are_one_event() {
    let mut set = Set::new();
    let (one, mut other) = pair();
    other.write_all(b"x").unwrap();
    for mode in [Mode::Level, Mode::Edge, Mode::OneShot, Mode::EdgeOneShot] {
        set.add(3, &one, IN | OUT, mode).unwrap();
        assert_eq!(set.now(), [(key(3), IN | OUT)], "{mode:?}");
        set.delete(3, &one).unwrap();
    }
}

/// "EBADF: The specified descriptor is invalid." "If an error occurs while processing
/// an element of the changelist and there is enough room in the eventlist, then the
/// event will be placed in the eventlist".
#[test]
fn a_source_that_cannot_be_added_leaves_nothing_behind() {
    let mut set = Set::new();
    let (one, _other) = pair();
    let number = held(&one);
    drop(one);
    let error = set.set.add(key(0), &number, IN | OUT, Mode::Level).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    let error = set.set.delete(key(0), &number).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert_eq!(set.now(), []);
}

/// "The filter will set EV_EOF when the reader disconnects": for a pipe whose reader
/// is gone already the kernel has EPIPE instead, and would watch nothing.
#[test]
fn a_pipe_without_reader_is_writable_with_an_error_in_every_mode() {
    let mut set = Set::new();
    let (rx, tx) = pipe();
    drop(rx);
    let broken = (key(1), OUT | PollFlags::ERR);
    for mode in [Mode::Level, Mode::Edge, Mode::OneShot, Mode::EdgeOneShot] {
        set.add(1, &tx, OUT, mode).unwrap();
        assert_eq!(set.now(), [broken], "{mode:?}");
        let again = if mode == Mode::Level { vec![broken] } else { vec![] };
        assert_eq!(set.now(), again, "{mode:?}");
        set.modify(1, &tx, OUT, mode).unwrap();
        assert_eq!(set.now(), [broken], "{mode:?}");
        let error = set.add(2, &tx, OUT, mode).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EEXIST));
        set.delete(1, &tx).unwrap();
        assert_eq!(set.now(), [], "{mode:?}");
    }
    // One whose reader goes later is the kernel's own affair.
    let (rx, tx) = pipe();
    set.add(1, &tx, OUT, Mode::Edge).unwrap();
    assert_eq!(set.now(), [(key(1), OUT)]);
    drop(rx);
    assert_eq!(set.now(), [broken]);
}

/// "ENOENT: The event could not be found to be modified or deleted." A batch without
/// room for it would stop there.
#[test]
fn filters_are_deleted_one_by_one_whatever_became_of_the_first() {
    let mut set = Set::new();
    let (one, mut other) = pair();
    other.write_all(b"x").unwrap();
    set.add(0, &one, IN | OUT, Mode::Level).unwrap();
    set.set.queue.change(&[event(&one, Filter::Read, KeventFlags::DELETE)]).unwrap();
    set.calls();
    let error = set.delete(0, &one).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert_eq!(set.calls(), [Call { changes: 1, room: 0 }; 2]);
    assert_eq!(pending(&set.set.queue), []);
    assert_eq!(set.now(), []);
}

/// "EV_CLEAR: Reset the state of the event after it is retrieved by the user. This is
/// useful for filters which report state transitions instead of the current state."
#[test]
fn an_edge_is_told_once_and_again_with_new_data_or_when_it_is_modified() {
    let mut set = Set::new();
    let (mut one, mut other) = pair();
    set.add(0, &one, IN, Mode::Edge).unwrap();
    assert_eq!(set.now(), []);
    other.write_all(b"ab").unwrap();
    assert_eq!(set.wait(LONG), [(key(0), IN)]);
    assert_eq!(set.now(), []);
    // A part read is no new edge, more data is.
    one.read_exact(&mut [0]).unwrap();
    assert_eq!(set.now(), []);
    other.write_all(b"c").unwrap();
    assert_eq!(set.wait(LONG), [(key(0), IN)]);
    assert_eq!(set.now(), []);
    set.modify(0, &one, IN, Mode::Edge).unwrap();
    assert_eq!(set.now(), [(key(0), IN)]);
    // A level that becomes an edge, and back.
    set.modify(0, &one, IN, Mode::Level).unwrap();
    assert_eq!([set.now(), set.now()], [[(key(0), IN)]; 2]);
    set.modify(0, &one, IN, Mode::Edge).unwrap();
    assert_eq!(set.now(), [(key(0), IN)]);
    assert_eq!(set.now(), []);
}

/// "EV_DISPATCH: Disable the event source immediately after delivery of an event."
/// That is one filter; a one-shot source is quiet in both.
#[test]
fn a_one_shot_source_is_told_once_for_both_filters() {
    let mut set = Set::new();
    for mode in [Mode::OneShot, Mode::EdgeOneShot] {
        let (one, mut other) = pair();
        set.add(0, &one, IN | OUT, mode).unwrap();
        assert_eq!(set.now(), [(key(0), OUT)], "{mode:?}");
        other.write_all(b"x").unwrap();
        assert_eq!(set.now(), [], "{mode:?}");
        assert_eq!(pending(&set.set.queue), [], "{mode:?}");
        set.modify(0, &one, IN, mode).unwrap();
        assert_eq!(set.now(), [(key(0), IN)], "{mode:?}");
        assert_eq!(set.now(), [], "{mode:?}");
        set.delete(0, &one).unwrap();
    }
}

/// "If the read direction of the socket has shutdown, then the filter also sets EV_EOF
/// in flags [...]. It is possible for EOF to be returned (indicating the connection is
/// gone) while there is still data pending in the socket buffer."
#[test]
fn an_end_of_file_is_readable_data_or_not() {
    let mut set = Set::new();
    let (mut one, mut other) = pair();
    let rdhup = IN | PollFlags::RDHUP;
    set.add(0, &one, rdhup, Mode::Level).unwrap();
    other.write_all(b"x").unwrap();
    other.shutdown(Shutdown::Write).unwrap();
    assert_eq!(set.now(), [(key(0), rdhup)]);
    one.read_exact(&mut [0]).unwrap();
    assert_eq!(set.now(), [(key(0), rdhup)]);
    drop(other);
    assert_eq!(set.now(), [(key(0), rdhup | PollFlags::HUP)]);
}

/// "The filter will set EV_EOF when the reader disconnects": and when this end shuts
/// its own half down, which is no hang-up.
#[test]
fn ones_own_shutdown_is_no_hang_up() {
    let mut set = Set::new();
    let (one, other) = pair();
    set.add(0, &one, IN | OUT, Mode::Level).unwrap();
    one.shutdown(Shutdown::Write).unwrap();
    assert_eq!(set.now(), [(key(0), OUT)]);
    drop(other);
    assert_eq!(set.now(), [(key(0), IN | OUT | PollFlags::HUP)]);
}

/// "When the last writer disconnects, the filter will set EV_EOF in flags."
#[test]
fn a_pipe_without_writer_is_hung_up() {
    let mut set = Set::new();
    let (rx, tx) = pipe();
    set.add(0, &rx, IN, Mode::Level).unwrap();
    assert_eq!(set.now(), []);
    drop(tx);
    assert_eq!(set.now(), [(key(0), IN | PollFlags::HUP)]);
}

/// "EV_CLEAR: Reset the state of the event after it is retrieved by the user": what
/// keeps data that nobody asked for from ending every wait.
#[test]
fn a_source_whose_data_nobody_wants_tells_its_end_alone() {
    let mut set = Set::new();
    let (one, mut other) = pair();
    let (two, mut another) = pair();
    set.add(0, &one, PollFlags::empty(), Mode::Level).unwrap();
    set.add(1, &two, PollFlags::ERR | PollFlags::HUP, Mode::Level).unwrap();
    other.write_all(b"x").unwrap();
    another.write_all(b"x").unwrap();
    assert_eq!(set.now(), []);
    assert_eq!(pending(&set.set.queue), []);
    drop((other, another));
    // To whom wants it, at each wait; and nothing to whom wants nothing.
    for _ in 0..3 {
        assert_eq!(set.now(), [(key(1), PollFlags::HUP)]);
    }

    let (one, mut other) = pair();
    set.add(2, &one, PollFlags::RDHUP, Mode::Level).unwrap();
    other.write_all(b"x").unwrap();
    assert_eq!(set.now(), [(key(1), PollFlags::HUP)]);
    other.shutdown(Shutdown::Write).unwrap();
    for _ in 0..3 {
        assert_eq!(set.now(), [(key(1), PollFlags::HUP), (key(2), PollFlags::RDHUP)]);
    }
}

/// "Calling close() on a file descriptor will remove any kevents that reference the
/// descriptor."
#[test]
fn a_number_that_was_closed_and_given_anew_is_another_source() {
    let mut set = Set::new();
    let (one, _other) = pair();
    let number = held(&one);
    set.add(0, &one, IN | OUT, Mode::Level).unwrap();
    let error = set.add(1, &one, IN, Mode::Level).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EEXIST));
    assert_eq!(set.now(), [(key(0), OUT)]);

    let (two, mut three) = pair();
    let Member::Host(Held::Fd(at)) = number else { unreachable!() };
    // SAFETY: both are ours; `one` is what is replaced, and drops what took its place.
    assert_ne!(unsafe { libc::dup2(two.as_raw_fd(), at) }, -1);
    three.write_all(b"x").unwrap();
    assert_eq!(set.now(), []);
    let error = set.set.modify(key(0), &number, IN, Mode::Level).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert_eq!(set.now(), []);
    set.set.add(key(1), &number, IN, Mode::Level).unwrap();
    assert_eq!(set.now(), [(key(1), IN)]);

    // Without anybody having noticed.
    let (four, _keep) = pair();
    // SAFETY: as above.
    assert_ne!(unsafe { libc::dup2(four.as_raw_fd(), at) }, -1);
    set.set.add(key(2), &number, OUT, Mode::Level).unwrap();
    assert_eq!(set.now(), [(key(2), OUT)]);
    let error = set.set.delete(key(1), &number).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

/// "NOTE_TRIGGER: Cause the event to be triggered." "EV_CLEAR: Reset the state of the
/// event after it is retrieved by the user."
#[test]
fn a_wake_ends_one_wait_from_any_thread() {
    let mut set = Set::new();
    let wake = (Key::WAKE, PollFlags::empty());
    for _ in 0..3 {
        set.set.wake().unwrap();
    }
    assert_eq!(set.wait(LONG), [wake]);
    let begin = Instant::now();
    assert_eq!(set.wait(SHORT), []);
    assert!(begin.elapsed() >= SHORT);
    let Set { set, buffer } = &mut set;
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(SHORT);
            set.wake().unwrap();
        });
        set.wait(buffer, 8, &until(LONG)).unwrap();
    });
    assert_eq!(KqueueSet::events(buffer).collect::<Vec<_>>(), [wake]);
}

/// "EINTR: A signal was delivered before the timeout expired and before any events
/// were placed on the kqueue for return."
#[test]
fn an_interrupted_wait_goes_on_or_says_so() {
    let mut set = Set::new();
    let kq = set.set.queue.as_fd().as_raw_fd();
    fake::interrupt(kq);
    let begin = Instant::now();
    assert_eq!(set.wait(SHORT), []);
    assert!(begin.elapsed() >= SHORT);
    fake::interrupt(kq);
    set.set.wake().unwrap();
    // Nothing is lost by it.
    let report = Until::new(Some(LONG), Signals::Report);
    set.set.wait(&mut set.buffer, 8, &report).unwrap();
    assert_eq!(KqueueSet::events(&set.buffer).count(), 1);
    let error = set.set.wait(&mut set.buffer, 8, &report).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Interrupted);
}

/// "Returns when the file pointer is not at the end of file." "This behavior is
/// different from poll(2), where read events are triggered for regular files
/// unconditionally." "Note that this filter is not supported for vnodes."
#[test]
fn a_file_is_always_ready_and_not_the_kernels_affair() {
    let set = Set::new();
    let file = File::open("/proc/self/exe").unwrap();
    assert_eq!(set.add(0, &file, IN | OUT, Mode::Level).unwrap(), Added::AlwaysReady);
    let folder = File::open("/").unwrap();
    assert_eq!(set.add(1, &folder, IN, Mode::Level).unwrap(), Added::AlwaysReady);
    assert_eq!(set.calls(), []);
}

/// "The nevents argument determines the size of eventlist."
#[test]
fn a_small_buffer_starves_nobody() {
    let mut set = Set::new();
    let pairs: Vec<_> = (0..6).map(|_| pair()).collect();
    for (slot, (one, other)) in pairs.iter().enumerate() {
        (&*other).write_all(b"x").unwrap();
        set.add(slot as u32, one, IN, Mode::Level).unwrap();
    }
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        set.set.wait(&mut set.buffer, 2, &until(LONG)).unwrap();
        let slots: Vec<_> = KqueueSet::events(&set.buffer).map(|(key, _)| key.slot()).collect();
        assert_eq!(slots.len(), 2);
        seen.extend(slots);
    }
    assert_eq!(seen.len(), 6);
}
