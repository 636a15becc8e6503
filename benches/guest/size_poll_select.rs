//! The same, and it waits for the line with `Poll` and for room with `select`.

use std::io::{BufRead, Write};
use std::time::Duration;

use readiness::{Poll, PollFlags, select};

fn main() -> std::io::Result<()> {
    let (input, mut output) = (std::io::stdin(), std::io::stdout());
    let mut poll = Poll::new();
    poll.register(&input, PollFlags::IN)?;
    if poll.poll(Some(Duration::from_secs(10)))?.next().is_none() {
        return Ok(());
    }
    let mut line = String::new();
    input.lock().read_line(&mut line)?;
    let ready = select([], [&output], [], None)?;
    if ready.write.is_empty() { Ok(()) } else { output.write_all(line.as_bytes()) }
}
