//! Allocations in waits that have grown their buffers. (The tests assert that there are
//! none: native-tests/tests/allocations.rs.)

use std::hint::black_box;

use native_tests::allocations::{Counting, allocations};
use readiness::{
    Epoll, EpollEvent, EpollFlags, Events, Filter, Interest, Kevent, KeventFlags, Kqueue, Mode,
    Poll, PollFlags, Selection, Selector, select_into,
};
use readiness_bench::report::Report;
use readiness_bench::sources::{eventfds, fire};

const SIZE: usize = 1024;
const WAITS: usize = 100;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

pub fn run(report: &mut Report) {
    let fds = eventfds(SIZE);
    fds.iter().for_each(fire);
    let mut add = |name: &str, mut wait: Box<dyn FnMut() -> usize>| {
        for _ in 0..3 {
            black_box(wait());
        }
        let before = allocations();
        for _ in 0..WAITS {
            assert_eq!(wait(), SIZE);
        }
        let each = (allocations() - before) as f64 / WAITS as f64;
        let backend = Selector::backend();
        let case = format!("allocations a wait, {name}, backend {backend}");
        report.none(&case, SIZE, "none", each, "allocations");
    };

    let mut poll = Poll::new();
    let epoll = Epoll::new().unwrap();
    let kqueue = Kqueue::new().unwrap();
    let selector = Selector::new().unwrap();
    for (at, fd) in fds.iter().enumerate() {
        poll.register(fd, PollFlags::IN).unwrap();
        epoll.register(fd, EpollFlags::IN).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(fd) as usize;
        let change = Kevent::from_ident(number, Filter::Read).with_flags(KeventFlags::ADD);
        kqueue.control(&[change], &mut [], None).unwrap();
        selector.register(fd, at as u64, Interest::READ, Mode::Level).unwrap();
    }
    add("Poll", Box::new(move || poll.poll(None).unwrap().count()));
    let mut events = vec![EpollEvent::default(); SIZE];
    add("Epoll", Box::new(move || epoll.wait(&mut events, None).unwrap()));
    let mut events = vec![Kevent::default(); SIZE];
    add("Kqueue", Box::new(move || kqueue.control(&[], &mut events, None).unwrap()));
    let mut events = Events::with_capacity(SIZE);
    add("Selector", Box::new(move || selector.wait(&mut events, None).unwrap()));
    let mut selection = Selection::new();
    let select = move || {
        select_into(&mut selection, &fds, [], [], None).unwrap();
        selection.read().len()
    };
    add("select", Box::new(select));
}
