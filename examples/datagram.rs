//! A datagram to itself: what a program with UDP needs.

use std::time::Duration;

use readiness::{net::UdpSocket, select};

fn main() -> std::io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.send_to(b"hello", socket.local_addr()?)?;
    let ready = select([&socket], [], [], Some(Duration::from_secs(10)))?;
    if ready.read.is_empty() {
        return Err(std::io::ErrorKind::TimedOut.into());
    }
    let mut bytes = [0; 16];
    let (count, from) = socket.recv_from(&mut bytes)?;
    println!("{} from {from}", String::from_utf8_lossy(&bytes[..count]));
    Ok(())
}
