//! `Epoll` keeps the same promises on every target: the kernel's, and the
//! emulated one in WebAssembly and elsewhere.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use readiness::{
    AsSource, Epoll, EpollCreate, EpollEvent, EpollFlags, Events, Filter, Interest, Kevent, Kqueue,
    Mode, Poll, PollFlags, Selector, Source, os_error, select,
};

/// The kernel's, which has edges and descriptors of its own.
const NATIVE: bool = cfg!(all(target_os = "linux", not(readiness_backend = "poll")));

/// The error number of a loop: Linux, WASI, macOS and the BSDs, Windows.
const LOOP: [i32; 4] = [40, 32, 62, 10062];

const SOON: Option<Duration> = Some(Duration::from_secs(20));
const NOW: Option<Duration> = Some(Duration::ZERO);

/// Two sources that can be written to without blocking. In WASI 0.1 there is
/// nothing but the standard streams.
#[cfg(unix)]
fn writable() -> [impl AsSource; 2] {
    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    [one, other]
}

#[cfg(windows)]
fn writable() -> [impl AsSource; 2] {
    let socket = || std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    [socket(), socket()]
}

#[cfg(target_os = "wasi")]
fn writable() -> [impl AsSource; 2] {
    use std::os::fd::{AsFd, BorrowedFd};

    struct Stream(i32);
    impl AsFd for Stream {
        fn as_fd(&self) -> BorrowedFd<'_> {
            // SAFETY: a standard stream, which nobody closes.
            unsafe { BorrowedFd::borrow_raw(self.0) }
        }
    }
    [Stream(1), Stream(2)]
}

fn wait(epoll: &Epoll, timeout: Option<Duration>) -> Vec<EpollEvent> {
    epoll.poll(timeout, None).unwrap()
}

fn data(events: &[EpollEvent]) -> Vec<u64> {
    let mut data: Vec<u64> = events.iter().map(EpollEvent::data).collect();
    data.sort_unstable();
    data
}

fn kind(answer: io::Result<()>) -> Option<ErrorKind> {
    answer.err().map(|error| error.kind())
}

#[test]
fn a_level_is_reported_at_each_wait_until_it_is_unregistered() {
    let [one, _other] = writable();
    let epoll = Epoll::new().unwrap();
    epoll.register(&one, EpollFlags::OUT).unwrap();
    for _ in 0..3 {
        let events = wait(&epoll, SOON);
        assert_eq!(data(&events), [one.raw_source().number()]);
        assert_eq!(events[0].flags(), EpollFlags::OUT);
    }
    epoll.unregister(&one).unwrap();
    assert_eq!(wait(&epoll, NOW), []);
}

#[test]
fn flags_and_data_are_the_last_ones_given() {
    let [one, _other] = writable();
    let epoll = Epoll::new().unwrap();
    epoll.register_with_data(&one, EpollFlags::IN, u64::MAX).unwrap();
    epoll.modify_with_data(&one, EpollFlags::OUT | EpollFlags::WRNORM, 7).unwrap();
    let events = wait(&epoll, SOON);
    assert_eq!(data(&events), [7]);
    assert_eq!(events[0].flags(), EpollFlags::OUT | EpollFlags::WRNORM);
    assert!(EpollFlags::supported().contains(events[0].flags()));
    epoll.modify(&one, EpollFlags::IN).unwrap();
    assert_eq!(wait(&epoll, NOW), []);
}

#[test]
fn one_shot_is_silent_until_it_is_modified() {
    let [one, _other] = writable();
    for et in [EpollFlags::empty(), EpollFlags::ET] {
        let epoll = Epoll::new().unwrap();
        let flags = EpollFlags::OUT | EpollFlags::ONESHOT | et;
        epoll.register(&one, flags).unwrap();
        assert_eq!(wait(&epoll, SOON).len(), 1);
        assert_eq!(wait(&epoll, Some(Duration::from_millis(20))), []);
        assert_eq!(kind(epoll.register(&one, flags)), Some(ErrorKind::AlreadyExists));
        epoll.rearm(&one).unwrap();
        assert_eq!(wait(&epoll, Some(Duration::from_millis(5))), [], "only a modify arms it");
        epoll.modify(&one, flags).unwrap();
        assert_eq!(wait(&epoll, SOON).len(), 1);
    }
}

#[test]
fn an_edge_is_reported_on_register_and_on_modify_and_does_not_spin() {
    let [one, _other] = writable();
    let epoll = Epoll::new().unwrap();
    epoll.register(&one, EpollFlags::OUT | EpollFlags::ET).unwrap();
    assert_eq!(wait(&epoll, SOON).len(), 1);
    epoll.modify(&one, EpollFlags::OUT | EpollFlags::ET).unwrap();
    assert_eq!(wait(&epoll, SOON).len(), 1);

    let begin = Instant::now();
    let mut again = 0;
    while begin.elapsed() < Duration::from_millis(100) {
        again += wait(&epoll, Some(Duration::from_millis(100))).len();
    }
    // After 1, 2, 4 ... ms; one more for each 256 ms that a slow machine took.
    let most = if NATIVE { 0 } else { 8 + begin.elapsed().as_millis() / 256 };
    assert!(again as u128 <= most, "{again} times in {:?}", begin.elapsed());
}

#[test]
fn an_emulated_edge_is_reported_again_within_the_bound_and_at_once_after_rearm() {
    if ["epoll", "kqueue"].contains(&Selector::backend()) {
        return;
    }
    let [one, _other] = writable();
    let epoll = Epoll::new().unwrap();
    epoll.register(&one, EpollFlags::OUT | EpollFlags::ET).unwrap();
    // The pause doubles at each: 1 + 2 + ... + 256 + 256 ms.
    let begin = Instant::now();
    for _ in 0..11 {
        assert_eq!(wait(&epoll, SOON).len(), 1);
    }
    assert!(begin.elapsed() >= Duration::from_millis(511 + 256));
    // It would be 256 ms until the next.
    let begin = Instant::now();
    let mut quick = 0;
    for _ in 0..20 {
        epoll.rearm(&one).unwrap();
        quick += wait(&epoll, NOW).len();
    }
    assert_eq!(quick, 20, "in {:?}", begin.elapsed());
}

/// What waits for a set is not told later of an edge than who waits for the source.
#[test]
fn an_emulated_edge_is_reported_again_through_the_sets_around_it() {
    if ["epoll", "kqueue"].contains(&Selector::backend()) {
        return;
    }
    let [one, _other] = writable();
    let [inner, middle, outer] = [(); 3].map(|()| Epoll::new().unwrap());
    inner.register(&one, EpollFlags::OUT | EpollFlags::ET).unwrap();
    middle.register(&inner, EpollFlags::IN).unwrap();
    outer.register(&middle, EpollFlags::IN).unwrap();
    for _ in 0..5 {
        // The kernel would tell no more of it until something happens, which cannot
        // be seen here.
        assert_eq!(wait(&inner, SOON).len(), 1);
        assert_eq!(wait(&outer, SOON).len(), 1);
        assert_eq!(select([&middle], [], [], SOON).unwrap().read.len(), 1);
    }
}

#[test]
fn a_small_buffer_takes_turns() {
    let [one, other] = writable();
    let epoll = Epoll::new().unwrap();
    epoll.register_with_data(&one, EpollFlags::OUT, 1).unwrap();
    epoll.register_with_data(&other, EpollFlags::OUT, 2).unwrap();
    let mut seen = Vec::new();
    let mut buffer = [EpollEvent::default(); 1];
    for _ in 0..6 {
        assert_eq!(epoll.wait(&mut buffer, SOON).unwrap(), 1);
        seen.push(buffer[0].data());
    }
    if cfg!(target_os = "wasi") {
        // Node tells of one of two now and then.
        let ones = seen.iter().filter(|data| **data == 1).count();
        assert!((2..=4).contains(&ones), "{seen:?}");
    } else {
        assert!(seen == [1, 2, 1, 2, 1, 2] || seen == [2, 1, 2, 1, 2, 1], "{seen:?}");
    }
}

#[test]
fn errors_are_those_of_epoll_ctl() {
    let [one, other] = writable();
    let epoll = Epoll::new().unwrap();
    epoll.register(&one, EpollFlags::OUT).unwrap();
    assert_eq!(kind(epoll.register(&one, EpollFlags::IN)), Some(ErrorKind::AlreadyExists));
    assert_eq!(kind(epoll.modify(&other, EpollFlags::IN)), Some(ErrorKind::NotFound));
    assert_eq!(kind(epoll.unregister(&other)), Some(ErrorKind::NotFound));
    assert_eq!(kind(epoll.register(&epoll, EpollFlags::IN)), Some(ErrorKind::InvalidInput));
    assert_eq!(kind(epoll.unregister(&epoll)), Some(ErrorKind::InvalidInput));
    assert!(os_error(&epoll.unregister(&other).unwrap_err()).is_some());

    let error = epoll.wait(&mut [], NOW).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = Epoll::with_flags(EpollCreate::from_bits_retain(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(wait(&epoll, SOON).len(), 1, "the refused ones changed nothing");
}

#[test]
fn exclusive_is_for_register_alone_and_for_few_flags() {
    let [one, other] = writable();
    let epoll = Epoll::new().unwrap();
    let exclusive = EpollFlags::EXCLUSIVE | EpollFlags::OUT | EpollFlags::ET;
    let wrong = Some(ErrorKind::InvalidInput);
    for flags in [EpollFlags::ONESHOT, EpollFlags::RDHUP, EpollFlags::PRI, EpollFlags::RDNORM] {
        assert_eq!(kind(epoll.register(&one, exclusive | flags)), wrong, "{flags:?}");
    }
    epoll.register(&one, exclusive).unwrap();
    assert_eq!(kind(epoll.modify(&one, EpollFlags::OUT)), wrong);
    epoll.register(&other, EpollFlags::OUT).unwrap();
    assert_eq!(kind(epoll.modify(&other, exclusive)), wrong);
    let inner = Epoll::new().unwrap();
    assert_eq!(kind(epoll.register(&inner, exclusive)), wrong);
    assert_eq!(wait(&epoll, SOON).len(), 2);
}

// Windows has no files to wait for.
#[cfg(any(unix, target_os = "wasi"))]
#[test]
fn a_file_and_a_directory_are_refused() {
    let path = std::path::Path::new("/tmp/readiness-epoll-refuses-files");
    let epoll = Epoll::new().unwrap();
    let file = std::fs::File::create(path).unwrap();
    for operation in [
        epoll.register(&file, EpollFlags::IN),
        epoll.modify(&file, EpollFlags::EXCLUSIVE),
        epoll.unregister(&file),
    ] {
        assert_eq!(kind(operation), Some(ErrorKind::PermissionDenied));
    }
    if cfg!(unix) {
        let folder = std::fs::File::open("/tmp").unwrap();
        assert_eq!(
            kind(epoll.register(&folder, EpollFlags::IN)),
            Some(ErrorKind::PermissionDenied)
        );
    }
    drop(file);
    std::fs::remove_file(path).unwrap();
}

#[cfg(any(unix, target_os = "wasi"))]
#[test]
fn a_number_that_is_not_open_is_refused_whatever_else_is_wrong() {
    use std::os::fd::BorrowedFd;

    // Linux and the BSDs, WASI.
    let not_open = if cfg!(target_os = "wasi") { 8 } else { 9 };
    let epoll = Epoll::new().unwrap();
    for number in [900_017, -9, i32::MAX, i32::MIN] {
        // SAFETY: the host is only asked about it.
        let nobody = unsafe { BorrowedFd::borrow_raw(number) };
        let flags = EpollFlags::IN | EpollFlags::EXCLUSIVE | EpollFlags::ONESHOT;
        for answer in [
            epoll.register(&nobody, EpollFlags::IN),
            epoll.register(&nobody, flags),
            epoll.modify(&nobody, flags),
            epoll.unregister(&nobody),
        ] {
            assert_eq!(os_error(&answer.unwrap_err()), Some(not_open), "{number}");
        }
        epoll.rearm(&nobody).unwrap();
        epoll.closed(nobody.raw_source());
    }
    assert_eq!(wait(&epoll, NOW), []);
}

#[test]
fn an_empty_epoll_sleeps_for_the_timeout() {
    let epoll = Epoll::new().unwrap();
    let begin = Instant::now();
    assert_eq!(wait(&epoll, Some(Duration::from_millis(30))), []);
    assert!(begin.elapsed() >= Duration::from_millis(30));
}

#[test]
fn an_epoll_is_a_source_for_every_front_end() {
    let [one, _other] = writable();
    let inner = Epoll::new().unwrap();
    inner.register(&one, EpollFlags::OUT).unwrap();
    let number = inner.raw_source().number();

    let outer = Epoll::new().unwrap();
    outer.register(&inner, EpollFlags::IN | EpollFlags::OUT).unwrap();
    let events = wait(&outer, SOON);
    assert_eq!(data(&events), [number]);
    assert_eq!(events[0].flags(), EpollFlags::IN, "an epoll is never writable");

    let ready = select([&inner], [&inner], [], SOON).unwrap();
    assert_eq!((ready.read.len(), ready.write.len()), (1, 0));

    let mut poll = Poll::new();
    poll.register(&inner, PollFlags::IN).unwrap();
    let found: Vec<_> = poll.poll(SOON).unwrap().collect();
    assert_eq!((found[0].source, found[0].flags), (inner.raw_source(), PollFlags::IN));

    let selector = Selector::new().unwrap();
    selector.register(&inner, 5, Interest::READ, Mode::Level).unwrap();
    let mut events = Events::with_capacity(4);
    selector.wait(&mut events, SOON).unwrap();
    assert!(events.iter().all(|event| event.is_readable() && event.token() == 5));

    // Nothing of that took anything away.
    assert_eq!(wait(&inner, NOW).len(), 1);
    inner.unregister(&one).unwrap();
    assert_eq!(wait(&outer, NOW), []);
    assert!(select([&inner], [], [], NOW).unwrap().is_empty());
    assert_eq!(poll.poll(NOW).unwrap().count(), 0);
    assert_eq!(selector.wait(&mut events, NOW).unwrap(), 0);
}

#[test]
fn an_epoll_is_a_source_for_a_kqueue_and_a_kqueue_for_an_epoll() {
    if cfg!(readiness_fake_kevent) {
        // There a set is a descriptor of the fake kernel's, and the kqueue is not.
        return;
    }
    let [one, other] = writable();
    let inner = Epoll::new().unwrap();
    let kqueue = Kqueue::new().unwrap();
    let outer = Epoll::new().unwrap();
    let look = |timeout| {
        let mut events = [Kevent::default(); 4];
        let n = kqueue.control(&[], &mut events, timeout).unwrap();
        events[..n].to_vec()
    };
    let read = Kevent::new(&inner, Filter::Read).with_udata(3);
    assert_eq!(kqueue.control(&[read], &mut [], NOW).unwrap(), 0);
    outer.register_with_data(&kqueue, EpollFlags::IN, 9).unwrap();
    assert_eq!(look(Some(Duration::from_millis(5))), []);
    assert_eq!(wait(&outer, Some(Duration::from_millis(5))), []);

    inner.register(&one, EpollFlags::OUT).unwrap();
    inner.register(&other, EpollFlags::OUT).unwrap();
    for _ in 0..2 {
        let events = look(SOON);
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].ident, events[0].udata), (read.ident, 3));
        assert!(events[0].data >= 1, "{events:?}");
        assert_eq!(data(&wait(&outer, SOON)), [9]);
    }
    assert_eq!(wait(&inner, NOW).len(), 2, "looking took nothing away");

    // It tells what is left, and ends with its owner.
    inner.unregister(&one).unwrap();
    assert_eq!(look(SOON).len(), 1);
    inner.unregister(&other).unwrap();
    assert_eq!(look(Some(Duration::from_millis(5))), []);
    assert_eq!(wait(&outer, NOW), []);
    inner.register(&one, EpollFlags::OUT | EpollFlags::ONESHOT).unwrap();
    assert_eq!(look(SOON).len(), 1);
    assert_eq!(wait(&inner, SOON).len(), 1);
    assert_eq!(look(NOW), []);
    inner.modify(&one, EpollFlags::OUT).unwrap();
    assert_eq!(look(SOON).len(), 1);
    inner.close().unwrap();
    assert_eq!(look(Some(Duration::from_millis(5))), []);
    assert_eq!(wait(&outer, NOW), []);
}

/// A set is told as any source is: at each look, when it becomes ready, once.
#[test]
fn a_selector_and_an_epoll_tell_a_set_in_every_mode() {
    let [one, _other] = writable();
    for mode in [Mode::Level, Mode::Edge, Mode::OneShot, Mode::EdgeOneShot] {
        let inner = Epoll::new().unwrap();
        let selector = Selector::new().unwrap();
        selector.register(&inner, 5, Interest::READ, mode).unwrap();
        let outer = Epoll::new().unwrap();
        let flags = EpollFlags::IN
            | match mode {
                Mode::Level => EpollFlags::empty(),
                Mode::Edge => EpollFlags::ET,
                Mode::OneShot => EpollFlags::ONESHOT,
                Mode::EdgeOneShot => EpollFlags::ET | EpollFlags::ONESHOT,
            };
        outer.register(&inner, flags).unwrap();
        let mut events = Events::with_capacity(4);
        let mut look = |timeout| {
            let told = selector.wait(&mut events, timeout).unwrap();
            assert_eq!(wait(&outer, timeout).len(), told, "{mode:?}");
            told
        };
        assert_eq!(look(NOW), 0, "{mode:?}");
        inner.register(&one, EpollFlags::OUT).unwrap();
        assert_eq!(look(SOON), 1, "{mode:?}");
        match mode {
            Mode::Level => assert_eq!(look(SOON), 1),
            // Later, once more, where edges are emulated.
            Mode::Edge => {}
            Mode::OneShot | Mode::EdgeOneShot => {
                assert_eq!(look(Some(Duration::from_millis(5))), 0, "{mode:?}");
                selector.modify(&inner, 5, Interest::READ, mode).unwrap();
                outer.modify(&inner, flags).unwrap();
                assert_eq!(look(SOON), 1, "{mode:?}");
            }
        }
        // Not ready, and ready again.
        inner.unregister(&one).unwrap();
        assert_eq!(look(NOW), 0, "{mode:?}");
        inner.register(&one, EpollFlags::OUT).unwrap();
        let again = matches!(mode, Mode::Level | Mode::Edge);
        assert_eq!(look(if again { SOON } else { NOW }), usize::from(again), "{mode:?}");
    }
}

#[test]
fn an_epoll_among_other_sources_keeps_its_place() {
    let [one, other] = writable();
    let inner = Epoll::new().unwrap();
    inner.register(&one, EpollFlags::OUT).unwrap();
    let mut poll = Poll::new();
    poll.register(&one, PollFlags::OUT).unwrap();
    poll.register(&inner, PollFlags::IN).unwrap();
    poll.register(&other, PollFlags::OUT).unwrap();
    let order = |poll: &mut Poll| -> Vec<_> {
        poll.poll(SOON).unwrap().map(|event| event.source).collect()
    };
    let [first, second, third] = [one.raw_source(), inner.raw_source(), other.raw_source()];
    assert_eq!(order(&mut poll), [first, second, third]);
    poll.unregister(&one).unwrap();
    assert_eq!(order(&mut poll), [second, third]);
    poll.unregister(&other).unwrap();
    assert_eq!(order(&mut poll), [second]);
    poll.register(&other, PollFlags::OUT).unwrap();
    assert_eq!(order(&mut poll), [second, third]);
    poll.unregister(&inner).unwrap();
    assert_eq!(order(&mut poll), [third]);

    let sources: [Source<'_>; 3] = [other.as_source(), inner.as_source(), one.as_source()];
    let ready = select(&sources, &sources, [], SOON).unwrap();
    assert_eq!(ready.read.iter().map(|source| source.raw()).collect::<Vec<_>>(), [second]);
    assert_eq!(ready.write.len(), 2);
}

#[test]
fn epolls_nest_five_deep_and_make_no_loops() {
    let [one, _other] = writable();
    let chain: Vec<Epoll> = (0..6).map(|_| Epoll::new().unwrap()).collect();
    for at in 1..5 {
        chain[at].register(&chain[at - 1], EpollFlags::IN).unwrap();
    }
    chain[0].register(&one, EpollFlags::OUT).unwrap();
    assert_eq!(wait(&chain[4], SOON).len(), 1, "through four others");

    let is_loop = |answer: io::Result<()>| {
        let number = os_error(&answer.unwrap_err()).unwrap();
        assert!(LOOP.contains(&number), "{number}");
    };
    is_loop(chain[5].register(&chain[4], EpollFlags::IN));
    for at in 1..5 {
        is_loop(chain[0].register(&chain[at], EpollFlags::IN));
    }
    assert_eq!(kind(chain[4].register(&chain[3], EpollFlags::IN)), Some(ErrorKind::AlreadyExists));
    // One step less, and there is room.
    chain[1].unregister(&chain[0]).unwrap();
    chain[5].register(&chain[4], EpollFlags::IN).unwrap();
    chain[0].register(&chain[5], EpollFlags::IN).unwrap_err();
    assert_eq!(wait(&chain[5], NOW), []);
}

#[test]
fn an_epoll_that_is_dropped_leaves_the_one_that_it_was_in() {
    let [one, _other] = writable();
    let outer = Epoll::new().unwrap();
    let inner = Epoll::new().unwrap();
    inner.register(&one, EpollFlags::OUT).unwrap();
    outer.register(&inner, EpollFlags::IN).unwrap();
    assert_eq!(wait(&outer, SOON).len(), 1);
    inner.close().unwrap();
    assert_eq!(wait(&outer, NOW), []);
    let inner = Epoll::new().unwrap();
    outer.register(&inner, EpollFlags::IN).unwrap();
    assert_eq!(wait(&outer, NOW), []);
}

/// As documented: the kernel's registration is of the open file, ours of the number.
#[cfg(unix)]
#[test]
fn a_duplicate_is_a_source_of_its_own_and_keeps_no_registration() {
    let [one, _other] = writable();
    let own = one.as_source();
    let epoll = Epoll::new().unwrap();
    let duplicate = |number: i32| {
        // SAFETY: both are open, and what dup gives is ours.
        unsafe { std::os::fd::BorrowedFd::borrow_raw(number) }.try_clone_to_owned().unwrap()
    };
    let number = own.raw().fd().unwrap();
    let (first, second) = (duplicate(number), duplicate(number));
    epoll.register_with_data(&first, EpollFlags::OUT, 1).unwrap();
    epoll.register_with_data(&second, EpollFlags::OUT, 2).unwrap();
    assert_eq!(data(&wait(&epoll, SOON)), [1, 2]);
    drop(first);
    match Selector::backend() {
        // One nobody can delete any more.
        "epoll" => assert_eq!(data(&wait(&epoll, SOON)), [1, 2]),
        _ => assert_eq!(data(&wait(&epoll, SOON)), [2]),
    }
    epoll.unregister(&second).unwrap();
}

#[test]
fn a_registration_ends_when_the_program_tells_of_the_close() {
    if NATIVE {
        return;
    }
    let [one, other] = writable();
    let epoll = Epoll::new().unwrap();
    epoll.register_with_data(&one, EpollFlags::OUT, 1).unwrap();
    epoll.register_with_data(&other, EpollFlags::OUT, 2).unwrap();
    epoll.closed(one.raw_source());
    assert_eq!(data(&wait(&epoll, SOON)), [2]);
    epoll.register_with_data(&one, EpollFlags::OUT, 3).unwrap();
    assert_eq!(data(&wait(&epoll, SOON)), [2, 3]);
}

/// How many bytes the events of a wait take: C programs pass them on.
#[test]
fn an_event_is_laid_out_as_on_linux() {
    let size = if cfg!(target_arch = "x86_64") { 12 } else { 16 };
    assert_eq!(size_of::<EpollEvent>(), size);
}
