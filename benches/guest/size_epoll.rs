//! The same, and it waits for the line and for room with `Epoll`.

use std::io::{BufRead, Write};
use std::time::Duration;

use readiness::{Epoll, EpollEvent, EpollFlags};

fn main() -> std::io::Result<()> {
    let (input, mut output) = (std::io::stdin(), std::io::stdout());
    let epoll = Epoll::new()?;
    epoll.register(&input, EpollFlags::IN)?;
    let mut events = [EpollEvent::default(); 4];
    if epoll.wait(&mut events, Some(Duration::from_secs(10)))? == 0 {
        return Ok(());
    }
    let mut line = String::new();
    input.lock().read_line(&mut line)?;
    epoll.unregister(&input)?;
    epoll.register(&output, EpollFlags::empty())?;
    epoll.modify(&output, EpollFlags::OUT)?;
    epoll.wait(&mut events, None)?;
    output.write_all(line.as_bytes())
}
