//! Everything side by side in one process.

mod front_ends;
mod selector;
mod timers;
mod waker;

use readiness_bench::report::{Report, folder};

fn main() -> std::io::Result<()> {
    readiness_bench::sources::raise_limit();
    let only: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted =
        |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part.as_str()));
    let mut report = Report::default();
    let groups: [(&str, fn(&mut Report)); 4] = [
        ("front_ends", front_ends::run),
        ("selector", selector::run),
        ("waker", waker::run),
        ("timers", timers::run),
    ];
    for (name, run) in groups {
        if wanted(name) {
            run(&mut report);
        }
    }
    report.write(&folder())
}
