//! Standard input as a source, on every target.

/// Standard input.
#[cfg(not(windows))]
pub fn open() -> std::io::Result<std::io::Stdin> {
    Ok(std::io::stdin())
}

/// Standard input by way of a socket: Windows waits on nothing else.
#[cfg(windows)]
pub fn open() -> std::io::Result<std::net::TcpStream> {
    use std::io::{self, Write};
    use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut to = TcpStream::connect(listener.local_addr()?)?;
    to.set_nodelay(true)?;
    std::thread::spawn(move || {
        // Its end, and an error too, is the end of what can be read.
        let _ = io::copy(&mut io::stdin(), &mut to);
        let _ = to.flush();
        let _ = to.shutdown(Shutdown::Write);
    });
    Ok(listener.accept()?.0)
}

#[allow(dead_code, reason = "not every example names it")]
#[cfg(not(windows))]
pub type Console = std::io::Stdin;
#[allow(dead_code, reason = "not every example names it")]
#[cfg(windows)]
pub type Console = std::net::TcpStream;
