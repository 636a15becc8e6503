//! `Poll` beside the host's own call, timed in the host: `poll_oneoff` with the
//! descriptors that there are, and `wasi:io/poll` with pollables. Prints cells.

#[cfg(not(target_os = "wasi"))]
fn main() {
    eprintln!("this program is for WASI");
}

#[cfg(target_os = "wasi")]
fn main() {
    #[cfg(not(feature = "wasi-io"))]
    oneoff::run();
    #[cfg(feature = "wasi-io")]
    pollables::run();
}

#[cfg(target_os = "wasi")]
fn print(case: &str, size: usize, against: &str, ratio: readiness_bench::measure::Ratio) {
    let readiness_bench::measure::Ratio { median, spread, ours, theirs } = ratio;
    println!(
        "{{\"case\": \"{case}\", \"size\": {size}, \"against\": \"{against}\", \
         \"ratio\": {median}, \"limit\": 1.05, \"spread\": {spread}, \
         \"ours\": {ours}, \"theirs\": {theirs}, \"unit\": \"ns\"}}"
    );
}

#[cfg(all(target_os = "wasi", not(feature = "wasi-io")))]
mod oneoff {
    use std::mem::{MaybeUninit, zeroed};
    use std::os::fd::AsRawFd;
    use std::time::{Duration, Instant};

    use readiness::{Poll, PollFlags};
    use readiness_bench::measure::paired;

    const TIMEOUTS: [(&str, Option<Duration>); 3] = [
        ("no timeout", None),
        ("timeout 0", Some(Duration::ZERO)),
        ("timeout 1 s", Some(Duration::from_secs(1))),
    ];

    pub fn run() {
        let (input, output, error) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        let asked = [
            (input.as_raw_fd(), PollFlags::IN),
            (output.as_raw_fd(), PollFlags::OUT),
            (error.as_raw_fd(), PollFlags::OUT),
        ];
        for (what, asked) in [("output", &asked[1..2]), ("the three streams", &asked)] {
            for (name, timeout) in TIMEOUTS {
                let mut poll = Poll::new();
                for (fd, flags) in asked {
                    // SAFETY: nobody closes the standard streams.
                    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(*fd) };
                    poll.register(&fd, *flags).unwrap();
                }
                // The first to ask, as in a program: a host that does not know of standard input
                // yet shows then that the others end a wait.
                assert!(poll.poll(Some(Duration::from_secs(1))).unwrap().next().is_some());
                let subscriptions = subscriptions(asked, timeout);
                let mut events = vec![MaybeUninit::<wasi::Event>::uninit(); subscriptions.len()];
                let ratio = paired(
                    || {
                        let mut sum = 0;
                        for event in poll.poll(timeout).unwrap() {
                            sum += event.source.number() + u64::from(event.flags.bits());
                        }
                        sum
                    },
                    || {
                        if timeout.is_some_and(|timeout| !timeout.is_zero()) {
                            std::hint::black_box(Instant::now());
                        }
                        // SAFETY: there is room for an event a subscription; the
                        // host fills the first `told`.
                        unsafe {
                            let told = wasi::poll_oneoff(
                                subscriptions.as_ptr(),
                                events.as_mut_ptr().cast(),
                                subscriptions.len(),
                            );
                            let told = &events[..told.unwrap()];
                            told.iter().map(|event| event.assume_init_ref().userdata).sum()
                        }
                    },
                );
                let case = format!("WASI 0.1, Poll::poll in wasmtime, {what}, {name}");
                super::print(&case, asked.len(), "poll_oneoff", ratio);
            }
        }
    }

    fn subscriptions(
        asked: &[(std::os::fd::RawFd, PollFlags)],
        timeout: Option<Duration>,
    ) -> Vec<wasi::Subscription> {
        let mut all: Vec<wasi::Subscription> = asked
            .iter()
            .map(|&(fd, flags)| {
                let wait = wasi::SubscriptionFdReadwrite { file_descriptor: fd as wasi::Fd };
                let u = if flags == PollFlags::IN {
                    wasi::SubscriptionU {
                        tag: wasi::EVENTTYPE_FD_READ.raw(),
                        u: wasi::SubscriptionUU { fd_read: wait },
                    }
                } else {
                    wasi::SubscriptionU {
                        tag: wasi::EVENTTYPE_FD_WRITE.raw(),
                        u: wasi::SubscriptionUU { fd_write: wait },
                    }
                };
                wasi::Subscription { userdata: fd as u64, u }
            })
            .collect();
        all.extend(timeout.map(|timeout| {
            // SAFETY: all zeros is one.
            let mut clock: wasi::SubscriptionClock = unsafe { zeroed() };
            clock.id = wasi::CLOCKID_MONOTONIC;
            clock.timeout = timeout.as_nanos() as u64;
            let u = wasi::SubscriptionU {
                tag: wasi::EVENTTYPE_CLOCK.raw(),
                u: wasi::SubscriptionUU { clock },
            };
            wasi::Subscription { userdata: 0, u }
        }));
        all
    }
}

#[cfg(all(target_os = "wasi", feature = "wasi-io"))]
mod pollables {
    use std::hint::black_box;
    use std::time::{Duration, Instant};

    use readiness::{Poll, PollFlags, Pollable};
    use readiness_bench::measure::paired;
    use wasip2::clocks::monotonic_clock::subscribe_duration;
    use wasip2::io::poll;

    const HOUR: Duration = Duration::from_secs(3600);
    const SECOND: Duration = Duration::from_secs(1);

    pub fn run() {
        for size in [1, 64, 500, 2000] {
            for ready in if size == 1 { vec![1] } else { vec![1, size] } {
                for timeout in [None, Some(Duration::ZERO), Some(SECOND)] {
                    wait(size, ready, timeout);
                }
            }
        }
    }

    fn after(time: Duration) -> poll::Pollable {
        subscribe_duration(time.as_nanos() as u64)
    }

    /// Pollables of the clock: the last ones are ready, the others not for long.
    fn made(size: usize, ready: usize) -> impl Iterator<Item = poll::Pollable> {
        let time = move |at| if at + ready < size { HOUR } else { Duration::ZERO };
        (0..size).map(move |at| after(time(at)))
    }

    fn wait(size: usize, ready: usize, timeout: Option<Duration>) {
        let sources: Vec<Pollable> = made(size, ready).map(Pollable::from).collect();
        let mut ours = Poll::new();
        sources.iter().for_each(|source| ours.register(source, PollFlags::IN).unwrap());
        // The same ones: two sets would lie in different places of the host's memory.
        let mut theirs: Vec<u32> = sources.iter().map(Pollable::handle).collect();
        let at_once = after(Duration::ZERO);
        if timeout == Some(Duration::ZERO) {
            theirs.push(at_once.handle());
        }
        let ratio = paired(
            || ours.poll(timeout).unwrap().map(|event| event.source.number()).sum(),
            || match timeout {
                None | Some(Duration::ZERO) => sum(&raw_poll(&theirs), &theirs[..size]),
                Some(timeout) => {
                    black_box(Instant::now());
                    let timer = after(timeout);
                    theirs.push(timer.handle());
                    let told = raw_poll(&theirs);
                    theirs.pop();
                    sum(&told, &theirs)
                }
            },
        );
        let name = if ready == size { "all ready" } else { "1 ready" };
        let mut case = format!("WASI 0.2, Poll::poll in wasmtime, {name}");
        if let Some(timeout) = timeout {
            case += &format!(", timeout {} s", timeout.as_secs());
        }
        super::print(&case, size, "wasi:io/poll", ratio);
    }

    /// Of what is ready, but for the timer.
    fn sum(told: &[u32], handles: &[u32]) -> u64 {
        told.iter()
            .filter_map(|&at| handles.get(at as usize))
            .map(|&handle| u64::from(handle))
            .sum()
    }

    /// The import itself: the bindings' `poll` makes a list of the handles at each call.
    fn raw_poll(handles: &[u32]) -> Vec<u32> {
        #[repr(C)]
        struct Answer {
            indices: *mut u32,
            count: usize,
        }

        #[link(wasm_import_module = "wasi:io/poll@0.2.12")]
        unsafe extern "C" {
            fn poll(handles: *const u32, count: usize, answer: *mut Answer);
        }
        let mut answer = Answer { indices: std::ptr::null_mut(), count: 0 };
        // SAFETY: the array is valid; what the host returns is from `cabi_realloc`, and ours.
        unsafe {
            poll(handles.as_ptr(), handles.len(), &raw mut answer);
            Vec::from_raw_parts(answer.indices, answer.count, answer.count)
        }
    }
}
