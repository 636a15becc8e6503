//! Everything native side by side in one process. Arguments choose groups.
//!
//! Built with `--cfg readiness_backend="poll"` it measures what is emulated there,
//! and nothing that the other build has.

cfg_if::cfg_if! {
    if #[cfg(readiness_backend = "poll")] {
        mod emulated;
    } else {
        mod churn;
        mod front_ends;
        mod itself;
        mod kqueue;
        mod selector;
        mod timers;
        mod waker;
    }
}

mod memory;

use readiness_bench::report::Report;

type Group = (&'static str, fn(&mut Report));

#[cfg(not(readiness_backend = "poll"))]
const PART: (&str, &[Group]) = (
    "1-native",
    &[
        ("front_ends", front_ends::run),
        ("selector", selector::run),
        ("waker", waker::run),
        ("churn", churn::run),
        ("kqueue", kqueue::run),
        ("timers", timers::run),
        ("memory", memory::run),
        // The thread stays, so that it is the last one.
        ("beside_a_thread", beside_a_thread),
    ],
);
#[cfg(readiness_backend = "poll")]
const PART: (&str, &[Group]) =
    ("2-emulated", &[("emulated", emulated::run), ("memory", memory::run)]);

/// What takes locks, where there are others to be kept out.
#[cfg(not(readiness_backend = "poll"))]
fn beside_a_thread(report: &mut Report) {
    const PLACE: &str = ", beside another thread";

    std::thread::spawn(|| {
        loop {
            std::thread::park();
        }
    });
    selector::registering(report, 64, PLACE);
    waker::waking(report, PLACE);
}

fn main() -> std::io::Result<()> {
    readiness_bench::sources::raise_limit();
    let only: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    #[cfg(not(readiness_backend = "poll"))]
    if only.iter().any(|part| part == "itself") {
        itself::run();
        return Ok(());
    }
    let mut report = Report::default();
    let (part, groups) = PART;
    for (name, run) in groups {
        if only.is_empty() || only.iter().any(|part| name.contains(part.as_str())) {
            run(&mut report);
        }
    }
    report.write_part(part)
}
