//! Any pollable of WASI 0.2 is a source, of every front end and beside
//! descriptors.

#![cfg(all(target_os = "wasi", any(target_env = "p2", feature = "wasi-io")))]
#![allow(missing_docs)]

use std::fs::File;
use std::io::{ErrorKind, stderr};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use readiness::{
    AsSource, Epoll, EpollEvent, EpollFlags, Events, Filter, Interest, Kevent, Kqueue, Mode, Poll,
    PollFlags, Pollable, Selection, Selector, Source, select, select_into,
};
use wasip2::clocks::monotonic_clock::subscribe_duration;

const MS: Duration = Duration::from_millis(1);
const SOON: Option<Duration> = Some(Duration::from_secs(20));

/// Ready after that time, and from then on.
fn after(time: Duration) -> Pollable {
    Pollable::from(subscribe_duration(time.as_nanos() as u64))
}

fn never() -> Pollable {
    after(Duration::from_secs(100_000))
}

fn found(poll: &mut Poll, timeout: Option<Duration>) -> Vec<(readiness::RawSource, PollFlags)> {
    poll.poll(timeout).unwrap().map(|event| (event.source, event.flags)).collect()
}

#[test]
fn a_pollable_is_ready_for_what_is_wanted_of_it() {
    let timer = after(MS);
    for want in [PollFlags::IN, PollFlags::OUT, PollFlags::IN | PollFlags::OUT] {
        let mut poll = Poll::new();
        poll.register(&timer, want | PollFlags::PRI).unwrap();
        assert_eq!(found(&mut poll, SOON), [(timer.raw_source(), want)]);
    }
    let mut poll = Poll::new();
    poll.register(&timer, PollFlags::empty()).unwrap();
    assert_eq!(found(&mut poll, Some(MS)), []);
}

#[test]
fn a_wait_ends_when_the_first_of_many_is_ready() {
    // Before the timer: creating it and the rest takes time, too.
    let begin = Instant::now();
    let pollables: Vec<_> = (0..100).map(|_| never()).chain([after(30 * MS)]).collect();
    let mut poll = Poll::new();
    for pollable in &pollables {
        poll.register(pollable, PollFlags::IN).unwrap();
    }
    assert_eq!(found(&mut poll, SOON), [(pollables[100].raw_source(), PollFlags::IN)]);
    assert!(begin.elapsed() >= 30 * MS);
}

#[test]
fn results_come_in_the_order_of_registration_whatever_the_hosts() {
    let pollables: Vec<_> =
        (0..2000).map(|at| if at % 3 == 0 { never() } else { after(Duration::ZERO) }).collect();
    let mut poll = Poll::new();
    for pollable in pollables.iter().rev() {
        poll.register(pollable, PollFlags::IN).unwrap();
    }
    let expected: Vec<_> = (0..2000)
        .rev()
        .filter(|at| at % 3 != 0)
        .map(|at| (pollables[at].raw_source(), PollFlags::IN))
        .collect();
    assert_eq!(found(&mut poll, SOON), expected);
}

#[test]
fn descriptors_and_pollables_share_a_wait() {
    let timer = after(20 * MS);
    let path = "/tmp/readiness-pollable";
    let file = File::create(path).unwrap();
    let error = stderr();
    let mut poll = Poll::new();
    poll.register(&timer, PollFlags::IN).unwrap();
    poll.register(&std::io::stdin(), PollFlags::IN).unwrap();
    // Stdin says nothing here.
    assert_eq!(found(&mut poll, SOON), [(timer.raw_source(), PollFlags::IN)]);
    poll.register(&file, PollFlags::IN | PollFlags::OUT).unwrap();
    poll.register(&error, PollFlags::OUT).unwrap();
    let expected = [
        (timer.raw_source(), PollFlags::IN),
        (file.raw_source(), PollFlags::IN | PollFlags::OUT),
        (error.raw_source(), PollFlags::OUT),
    ];
    let begin = Instant::now();
    while found(&mut poll, SOON) != expected {
        assert!(begin.elapsed() < SOON.unwrap());
    }
    drop(file);
    std::fs::remove_file(path).unwrap();
    let told = found(&mut poll, SOON);
    assert!(told.iter().any(|(_, flags)| *flags == PollFlags::NVAL), "{told:?}");
    assert!(told.contains(&expected[0]));
}

#[cfg(feature = "net")]
#[test]
fn sockets_and_pollables_share_a_wait() {
    use readiness::net::{TcpListener, start_connect};

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let begin = Instant::now();
    let (soon, never) = (after(30 * MS), never());
    let mut poll = Poll::new();
    poll.register(&never, PollFlags::IN).unwrap();
    poll.register(&listener, PollFlags::IN).unwrap();
    poll.register(&soon, PollFlags::IN).unwrap();
    assert_eq!(found(&mut poll, SOON), [(soon.raw_source(), PollFlags::IN)]);
    assert!(begin.elapsed() >= 30 * MS);
    poll.unregister(&soon).unwrap();
    let begin = Instant::now();
    assert_eq!(found(&mut poll, Some(50 * MS)), []);
    assert!(begin.elapsed() >= 50 * MS);
    let _client = start_connect(&listener.local_addr().unwrap()).unwrap();
    assert_eq!(found(&mut poll, SOON), [(listener.raw_source(), PollFlags::IN)]);
    // Both at once.
    poll.register(&soon, PollFlags::IN).unwrap();
    let both = [(listener.raw_source(), PollFlags::IN), (soon.raw_source(), PollFlags::IN)];
    assert_eq!(found(&mut poll, SOON), both);
}

#[cfg(all(feature = "net", target_env = "p2"))]
#[test]
fn what_would_make_wasi_libcs_poll_trap_or_fail_does_not() {
    use readiness::net::TcpListener;
    use std::os::fd::BorrowedFd;

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut poll = Poll::new();
    // A listener that only OUT is wanted of can never be ready.
    poll.register(&listener, PollFlags::OUT).unwrap();
    assert_eq!(found(&mut poll, Some(20 * MS)), []);
    // SAFETY: the crate only asks about it.
    let closed = unsafe { BorrowedFd::borrow_raw(999) };
    poll.register(&closed, PollFlags::IN).unwrap();
    assert_eq!(found(&mut poll, SOON), [(closed.raw_source(), PollFlags::NVAL)]);
    // SAFETY: no pointers; the descriptor is closed at the end.
    let unconnected = unsafe { libc::socket(libc::AF_INET as _, libc::SOCK_STREAM, 0) };
    // SAFETY: it is open until the end of the test.
    let source = unsafe { BorrowedFd::borrow_raw(unconnected) };
    poll.register(&source, PollFlags::IN | PollFlags::OUT).unwrap();
    let told = found(&mut poll, SOON);
    let expected = (source.raw_source(), PollFlags::OUT | PollFlags::HUP);
    assert!(told.contains(&expected) && told.len() == 2, "{told:?}");
    // SAFETY: it is ours.
    unsafe { libc::close(unconnected) };
}

#[test]
fn a_registration_owns_its_pollable() {
    let mut poll = Poll::new();
    let timer = after(5 * MS);
    let name = timer.raw_source();
    poll.register(&timer, PollFlags::IN).unwrap();
    drop(timer);
    // The host would trap had it been dropped.
    assert_eq!(found(&mut poll, SOON), [(name, PollFlags::IN)]);
    poll.unregister_raw(name).unwrap();
    assert_eq!(poll.poll(None).err().unwrap().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_pollable_is_given_back_when_nothing_else_has_it() {
    let timer = after(MS);
    let handle = timer.handle();
    assert_eq!(timer.raw_source().number(), u64::from(handle));
    let mut poll = Poll::new();
    poll.register(&timer, PollFlags::IN).unwrap();
    let timer = timer.into_inner().expect_err("it is registered");
    poll.unregister(&timer).unwrap();
    let timer = timer.into_inner().unwrap();
    assert_eq!(timer.handle(), handle);
    // SAFETY: the handle was taken out of its owner.
    let timer = unsafe { Pollable::from_handle(timer.take_handle()) };
    poll.register(&timer, PollFlags::IN).unwrap();
    assert_eq!(found(&mut poll, SOON), [(timer.raw_source(), PollFlags::IN)]);
}

#[test]
fn a_clone_is_the_same_source() {
    let timer = after(MS);
    let mut poll = Poll::new();
    poll.register(&timer, PollFlags::IN).unwrap();
    poll.register(&timer.clone(), PollFlags::OUT).unwrap();
    assert_eq!(poll.len(), 1);
    assert_eq!(found(&mut poll, SOON), [(timer.raw_source(), PollFlags::OUT)]);
}

#[test]
fn select_takes_pollables() {
    let (soon, never) = (after(10 * MS), never());
    let sources: [Source<'_>; 3] = [never.as_source(), soon.as_source(), never.as_source()];
    let ready = select(&sources, [], [], SOON).unwrap();
    assert_eq!(ready.read.iter().map(|one| one.raw()).collect::<Vec<_>>(), [soon.raw_source()]);
    let ready = select(&sources, &sources, [], SOON).unwrap();
    assert_eq!((ready.read.len(), ready.write.len()), (1, 1));
}

#[test]
fn a_selection_keeps_no_pollable() {
    let mut selection = Selection::new();
    for _ in 0..3 {
        let (timer, stdin) = (after(Duration::ZERO), std::io::stdin());
        let all: [&dyn AsSource; 2] = [&timer, &stdin];
        select_into(&mut selection, all, [&stderr() as _], all, None).unwrap();
        assert_eq!(selection.write(), [0]);
        assert!(timer.into_inner().is_ok(), "nobody else has it");
    }
    // Nor one that was given to a wait that failed.
    let timer = after(Duration::ZERO);
    // SAFETY: it is not open, and nothing is done with it.
    let closed = unsafe { BorrowedFd::borrow_raw(900) };
    let lists: [&dyn AsSource; 2] = [&timer, &closed];
    select_into(&mut selection, lists, [], [], None).unwrap_err();
    assert!(timer.into_inner().is_ok(), "nobody else has it");
}

#[test]
fn epoll_takes_pollables() {
    let (soon, never) = (after(10 * MS), never());
    let epoll = Epoll::new().unwrap();
    epoll.register(&never, EpollFlags::IN).unwrap();
    epoll.register_with_data(&soon, EpollFlags::IN | EpollFlags::ONESHOT, 7).unwrap();
    let kind = epoll.register(&soon, EpollFlags::IN).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::AlreadyExists);
    let mut events = [EpollEvent::default(); 4];
    assert_eq!(epoll.wait(&mut events, SOON).unwrap(), 1);
    assert_eq!((events[0].flags(), events[0].data()), (EpollFlags::IN, 7));
    assert_eq!(epoll.wait(&mut events, Some(MS)).unwrap(), 0);
    epoll.modify_with_data(&soon, EpollFlags::IN, 8).unwrap();
    assert_eq!(epoll.wait(&mut events, SOON).unwrap(), 1);
    assert_eq!(events[0].data(), 8);
    epoll.unregister(&soon).unwrap();
    assert_eq!(epoll.wait(&mut events, Some(MS)).unwrap(), 0);
}

#[test]
fn a_kqueue_takes_pollables() {
    let begin = Instant::now();
    let (timer, other) = (after(20 * MS), never());
    let kqueue = Kqueue::new().unwrap();
    let changes = [
        Kevent::new(&timer, Filter::Read).with_udata(5),
        Kevent::new(&other, Filter::Read).with_udata(6),
    ];
    let mut events = [Kevent::default(); 4];
    assert_eq!(kqueue.control(&changes, &mut events, SOON).unwrap(), 1);
    assert!(begin.elapsed() >= 20 * MS);
    assert_eq!((events[0].udata, events[0].filter), (5, Filter::Read));
}

#[test]
fn a_selector_takes_pollables_timers_and_descriptors() {
    let (soon, never) = (after(20 * MS), never());
    let selector = Selector::new().unwrap();
    selector.register(&soon, 1, Interest::READ, Mode::OneShot).unwrap();
    selector.register(&never, 2, Interest::READ | Interest::WRITE, Mode::Level).unwrap();
    selector.register(&std::io::stdin(), 3, Interest::READ, Mode::Level).unwrap();
    selector.add_timer(4, 5 * MS);
    let mut events = Events::with_capacity(8);
    let mut order = Vec::new();
    while order.len() < 2 {
        assert!(selector.wait(&mut events, SOON).unwrap() > 0);
        order.extend(events.iter().map(|event| event.token()));
    }
    order.sort_unstable();
    assert_eq!(order, [1, 4]);
    drop(selector);
    assert!(soon.ready() && !never.ready());
    soon.into_inner().expect("the selector has let go of it");
}

#[test]
fn a_selector_gives_a_pollable_back_when_it_is_unregistered() {
    let selector = Selector::new().unwrap();
    let timer = never();
    selector.register(&timer, 1, Interest::READ, Mode::Level).unwrap();
    let mut events = Events::with_capacity(8);
    assert_eq!(selector.wait(&mut events, Some(MS)).unwrap(), 0);
    selector.unregister(&timer).unwrap();
    timer.into_inner().expect("the selector has let go of it");
}

#[test]
fn a_parent_may_go_when_its_pollable_is_unregistered() {
    use wasip2::sockets::instance_network::instance_network;
    use wasip2::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
    use wasip2::sockets::tcp_create_socket::create_tcp_socket;

    // Not standard input: in jco it is gone for good once it was dropped.
    let address = Ipv4SocketAddress { port: 0, address: (127, 0, 0, 1) };
    let network = instance_network();
    let listener = create_tcp_socket(IpAddressFamily::Ipv4).unwrap();
    listener.start_bind(&network, IpSocketAddress::Ipv4(address)).unwrap();
    listener.finish_bind().unwrap();
    listener.start_listen().unwrap();
    listener.finish_listen().unwrap();
    let pollable = Pollable::from(listener.subscribe());
    let mut poll = Poll::new();
    poll.register(&pollable, PollFlags::IN).unwrap();
    assert_eq!(found(&mut poll, Some(MS)), []);
    poll.unregister(&pollable).unwrap();
    drop(pollable);
    // It would trap with a child left.
    drop(listener);
}

#[test]
fn an_empty_list_sleeps_and_never_reaches_the_host() {
    let mut poll = Poll::new();
    let begin = Instant::now();
    assert_eq!(found(&mut poll, Some(20 * MS)), []);
    assert!(begin.elapsed() >= 20 * MS);
    assert_eq!(found(&mut poll, Some(Duration::ZERO)), []);
    assert_eq!(poll.poll(None).err().unwrap().kind(), ErrorKind::InvalidInput);
    let nothing: [&Pollable; 0] = [];
    let kind = select(nothing, nothing, nothing, None).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::InvalidInput);
}
