//! | command | what it does | what it prints |
//! |---|---|---|
//! | `reg:FDS:FLAGS` `mod:FDS:FLAGS` `unreg:FDS` | of one `Poll` | errors |
//! | `nest:FDS:FLAGS` | adds an `Epoll` of these to the `Poll` | errors |
//! | `poll:TIMEOUT` | waits with it | `poll MS: FD=FLAGS ...` |
//! | `loop:N:TIMEOUT` | waits N times | `loop EVENTS allocations A pages P` |
//! | `select:READ:WRITE:EXCEPT:TIMEOUT` | | `select MS: READ / WRITE / EXCEPT` |
//! | `selects:N:READ:WRITE:EXCEPT:TIMEOUT` | `select_into` N times | as `loop` |
//! | `sreg:FDS:FLAGS` `sunreg:FDS` | of one `Selector` | errors |
//! | `swait:TIMEOUT` | waits with it | `swait MS: FD=WHAT ...` |
//! | `sloop:N:TIMEOUT` | waits N times | as `loop` |
//! | `kreg:FDS:FLAGS:LEAST` | adds to one `Kqueue`, with a mark if there is one | errors |
//! | `kwait:TIMEOUT` | waits with it | `kwait MS: FD=FILTER DATA ...` |
//! | `open:PATH` `close:FD` `read:FD` `write:FD:TEXT` | | the descriptor; the number of bytes |
//!
//! FDS are numbers and ranges such as `5,7-9`; FLAGS as `IN+OUT`, or nothing; a
//! TIMEOUT is in milliseconds, or `none`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, RawFd};
use std::time::{Duration, Instant};

use readiness::{
    Epoll, EpollFlags, Events, Filter, Interest, Kevent, Kqueue, Mode, NoteFlags, Poll, PollFlags,
    RawSource, Selection, Selector, os_error, select, select_into,
};

use crate::count::allocations;

#[derive(Default)]
pub struct Guest {
    poll: Poll,
    selector: Option<Selector>,
    kqueue: Option<Kqueue>,
    epolls: Vec<Epoll>,
}

type Answer = io::Result<String>;

impl Guest {
    pub fn run(&mut self, command: &str) {
        let mut words = command.split(':');
        let mut word = || words.next().unwrap_or_default();
        let name = word();
        let begin = Instant::now();
        let answer: Answer = match name {
            "reg" | "mod" => {
                let (fds, flags) = (descriptors(word()), flags(word()));
                self.register(name == "mod", &fds, flags)
            }
            "unreg" => {
                let mut all = descriptors(word()).into_iter();
                all.try_for_each(|fd| self.poll.unregister_raw(RawSource::Fd(fd))).map(silent)
            }
            "nest" => {
                let (sources, flags) = (sources(word()), flags(word()));
                self.nest(&sources, flags)
            }
            "poll" => poll(&mut self.poll, timeout(word())),
            "loop" => {
                let (times, timeout) = (number(word()), timeout(word()));
                repeat(times, || Ok(self.poll.poll(timeout)?.count()))
            }
            "select" => {
                let lists = [word(), word(), word()].map(sources);
                select_once(&lists, timeout(word()))
            }
            "selects" => {
                let times = number(word());
                let [read, write, except] = [word(), word(), word()].map(sources);
                let timeout = timeout(word());
                let mut into = Selection::new();
                repeat(times, || {
                    select_into(&mut into, &read, &write, &except, timeout)?;
                    Ok(into.read().len() + into.write().len() + into.except().len())
                })
            }
            "sreg" => {
                let (sources, flags) = (sources(word()), flags(word()));
                self.with_selector(|selector| {
                    for source in sources {
                        let token = source.as_raw_fd() as u64;
                        selector.register(&source, token, interest(flags), Mode::Level)?;
                    }
                    Ok(String::new())
                })
            }
            "sunreg" => {
                let sources = sources(word());
                self.with_selector(|selector| {
                    sources.iter().try_for_each(|source| selector.unregister(source)).map(silent)
                })
            }
            "swait" => {
                let timeout = timeout(word());
                self.with_selector(|selector| wait(selector, timeout))
            }
            "sloop" => {
                let (times, timeout) = (number(word()), timeout(word()));
                let mut events = Events::with_capacity(4096);
                self.with_selector(|selector| {
                    repeat(times, || {
                        selector.wait(&mut events, timeout)?;
                        Ok(events.iter().count())
                    })
                })
            }
            "kreg" => {
                let (sources, flags, least) = (sources(word()), flags(word()), word());
                self.with_kqueue(|kqueue| {
                    for source in sources {
                        add_knotes(kqueue, source, flags, least.parse().ok())?;
                    }
                    Ok(String::new())
                })
            }
            "kwait" => {
                let timeout = timeout(word());
                self.with_kqueue(|kqueue| wait_for_knotes(kqueue, timeout))
            }
            "open" => File::open(word()).map(|file| file.into_raw_fd().to_string()),
            "close" => {
                drop(file(word()));
                Ok(String::new())
            }
            "read" => {
                let mut file = ManuallyDrop::new(file(word()));
                file.read(&mut [0; 4096]).map(|count| count.to_string())
            }
            "write" => {
                let mut file = ManuallyDrop::new(file(word()));
                file.write(word().as_bytes()).map(|count| count.to_string())
            }
            _ => panic!("no such command: {command}"),
        };
        let took = begin.elapsed().as_secs_f64() * 1e3;
        match answer {
            Ok(answer) if answer.is_empty() && !name.ends_with("wait") && name != "poll" => {}
            Ok(answer) => println!("{name} {took:.3}: {answer}"),
            Err(error) => {
                let number = os_error(&error).map_or(String::new(), |number| number.to_string());
                println!("{name} {took:.3}: error {:?} {number} {error}", error.kind());
            }
        }
    }

    fn register(&mut self, known: bool, fds: &[RawFd], flags: PollFlags) -> Answer {
        for &fd in fds {
            let source = borrow(fd);
            if known {
                self.poll.modify(&source, flags)?;
            } else {
                self.poll.register(&source, flags)?;
            }
        }
        Ok(String::new())
    }

    fn nest(&mut self, sources: &[BorrowedFd<'_>], flags: PollFlags) -> Answer {
        let epoll = Epoll::new()?;
        for source in sources {
            let out = flags.contains(PollFlags::OUT);
            let flags = if out { EpollFlags::IN | EpollFlags::OUT } else { EpollFlags::IN };
            epoll.register(source, flags)?;
        }
        self.poll.register(&epoll, PollFlags::IN)?;
        self.epolls.push(epoll);
        Ok(String::new())
    }

    fn with_kqueue(&mut self, what: impl FnOnce(&Kqueue) -> Answer) -> Answer {
        if self.kqueue.is_none() {
            self.kqueue = Some(Kqueue::new()?);
        }
        self.kqueue.as_ref().map_or(Ok(String::new()), what)
    }

    fn with_selector(&mut self, what: impl FnOnce(&Selector) -> Answer) -> Answer {
        if self.selector.is_none() {
            self.selector = Some(Selector::new()?);
        }
        self.selector.as_ref().map_or(Ok(String::new()), what)
    }
}

fn add_knotes(
    kqueue: &Kqueue,
    source: BorrowedFd<'_>,
    flags: PollFlags,
    least: Option<i64>,
) -> io::Result<()> {
    for (flag, filter) in [(PollFlags::IN, Filter::Read), (PollFlags::OUT, Filter::Write)] {
        let mark = if least.is_some() { NoteFlags::LOWAT } else { NoteFlags::empty() };
        let knote = Kevent::new(&source, filter).with_fflags(mark);
        if flags.contains(flag) {
            kqueue.control(&[knote.with_data(least.unwrap_or(0))], &mut [], None)?;
        }
    }
    Ok(())
}

fn wait_for_knotes(kqueue: &Kqueue, timeout: Option<Duration>) -> Answer {
    let mut events = [Kevent::default(); 16];
    let told = kqueue.control(&[], &mut events, timeout)?;
    let told = events[..told].iter();
    let words = told.map(|event| {
        let name = if event.filter == Filter::Read { "IN" } else { "OUT" };
        format!("{}={name} {}", event.ident, event.data)
    });
    Ok(words.collect::<Vec<_>>().join(" "))
}

fn silent(_: ()) -> String {
    String::new()
}

fn poll(poll: &mut Poll, timeout: Option<Duration>) -> Answer {
    let mut told = String::new();
    for event in poll.poll(timeout)? {
        let _ = write!(told, "{}={} ", event.source.number(), names(event.flags));
    }
    Ok(told.trim_end().to_owned())
}

fn wait(selector: &Selector, timeout: Option<Duration>) -> Answer {
    let mut events = Events::with_capacity(64);
    selector.wait(&mut events, timeout)?;
    let mut told: Vec<_> = events
        .iter()
        .map(|event| {
            let what = [
                ("r", event.is_readable()),
                ("w", event.is_writable()),
                ("e", event.is_error()),
                ("c", event.is_read_closed()),
            ];
            let what: String = what.iter().filter(|what| what.1).map(|what| what.0).collect();
            format!("{}={what}", event.token())
        })
        .collect();
    told.sort();
    Ok(told.join(" "))
}

fn select_once(lists: &[Vec<BorrowedFd<'_>>; 3], timeout: Option<Duration>) -> Answer {
    let [read, write, except] = lists;
    let selected = select(read, write, except, timeout)?;
    let told = [selected.read, selected.write, selected.except].map(|list| {
        let fds = list.iter().map(|fd| fd.as_raw_fd().to_string());
        fds.collect::<Vec<_>>().join(" ")
    });
    Ok(told.join(" / "))
}

/// What a number of waits found, allocated, and how large the memory is then.
fn repeat(times: usize, mut once: impl FnMut() -> io::Result<usize>) -> Answer {
    // The first ones make room.
    let mut events = once()? + once()?;
    let before = allocations();
    for _ in 2..times {
        events += once()?;
    }
    let allocated = allocations() - before;
    let pages = core::arch::wasm32::memory_size(0);
    Ok(format!("{events} allocations {allocated} pages {pages}"))
}

fn borrow(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: the tests' descriptors are open for as long as the test wants; what
    // comes of others is what they test.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

fn file(word: &str) -> File {
    // SAFETY: as above; whoever does not close it does not drop it.
    unsafe { File::from_raw_fd(number(word) as RawFd) }
}

fn number(word: &str) -> usize {
    word.parse().unwrap_or_else(|_| panic!("no number: {word}"))
}

fn descriptors(word: &str) -> Vec<RawFd> {
    let ranges = word.split(',').filter(|part| !part.is_empty()).map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        number(first) as RawFd..=number(last) as RawFd
    });
    ranges.flatten().collect()
}

fn sources(word: &str) -> Vec<BorrowedFd<'static>> {
    descriptors(word).into_iter().map(borrow).collect()
}

fn flags(word: &str) -> PollFlags {
    let names = word.split('+').filter(|name| !name.is_empty());
    names.map(|name| PollFlags::from_name(name).expect("a flag's name")).collect()
}

fn names(flags: PollFlags) -> String {
    flags.iter_names().map(|(name, _)| name).collect::<Vec<_>>().join("+")
}

fn interest(flags: PollFlags) -> Interest {
    let mut interest = Interest::empty();
    interest.set(Interest::READ, flags.contains(PollFlags::IN));
    interest.set(Interest::WRITE, flags.contains(PollFlags::OUT));
    interest
}

fn timeout(word: &str) -> Option<Duration> {
    (word != "none").then(|| {
        let milliseconds: f64 = word.parse().expect("a timeout");
        Duration::from_nanos((milliseconds * 1e6).round() as u64)
    })
}
