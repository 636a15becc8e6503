//! UDP with std's methods over the backend's sockets.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use super::tcp::first;
use crate::backend::Socket;
use crate::backend::udp::Udp;
use crate::source::{AsSource, Source};

/// What the clones of a socket share: the last one closes it.
struct Open {
    udp: Arc<Udp>,
    source: Socket,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.udp.close();
    }
}

/// [`std::net::UdpSocket`] over `wasi:sockets`, without broadcast and multicast,
/// which WASI has not.
pub struct UdpSocket(Arc<Open>);

impl UdpSocket {
    /// A socket at the first of the addresses that can be had.
    ///
    /// # Errors
    /// The last address's: `AddrInUse`, `AddrNotAvailable`, `PermissionDenied` in a
    /// sandbox without network.
    pub fn bind(addresses: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        let udp = first(addresses, Udp::bind)?;
        let source: Socket = udp.clone();
        Ok(UdpSocket(Arc::new(Open { udp, source })))
    }

    /// Receives a datagram; what does not fit is lost.
    ///
    /// # Errors
    /// `WouldBlock` if there is none and the socket does not block, or its timeout
    /// is over; the host's.
    pub fn recv_from(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.udp.receive(into, false)
    }

    /// Receives a datagram and leaves it there.
    ///
    /// # Errors
    /// Those of [`recv_from`](UdpSocket::recv_from).
    pub fn peek_from(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.udp.receive(into, true)
    }

    /// Sends a datagram to the first of the addresses.
    ///
    /// # Errors
    /// `WouldBlock`; the host's.
    pub fn send_to(&self, bytes: &[u8], to: impl ToSocketAddrs) -> io::Result<usize> {
        match to.to_socket_addrs()?.next() {
            Some(to) => self.0.udp.send(bytes, Some(to)),
            None => Err(io::Error::new(io::ErrorKind::InvalidInput, "no address was given")),
        }
    }

    /// Sets the peer: datagrams go there and come from there alone.
    ///
    /// # Errors
    /// The host's.
    pub fn connect(&self, addresses: impl ToSocketAddrs) -> io::Result<()> {
        first(addresses, |address| self.0.udp.connect(address))
    }

    /// Receives a datagram of the peer.
    ///
    /// # Errors
    /// Those of [`recv_from`](UdpSocket::recv_from).
    pub fn recv(&self, into: &mut [u8]) -> io::Result<usize> {
        self.0.udp.receive(into, false).map(|(count, _)| count)
    }

    /// Receives a datagram of the peer and leaves it there.
    ///
    /// # Errors
    /// Those of [`recv_from`](UdpSocket::recv_from).
    pub fn peek(&self, into: &mut [u8]) -> io::Result<usize> {
        self.0.udp.receive(into, true).map(|(count, _)| count)
    }

    /// Sends a datagram to the peer.
    ///
    /// # Errors
    /// Those of [`send_to`](UdpSocket::send_to); one if there is no peer.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.udp.send(bytes, None)
    }

    /// The peer's address.
    ///
    /// # Errors
    /// `NotConnected`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.udp.peer_address()
    }

    /// This side's address.
    ///
    /// # Errors
    /// The host's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.udp.local_address()
    }

    /// The same socket once more, and the same source: it is registered once.
    ///
    /// # Errors
    /// None.
    pub fn try_clone(&self) -> io::Result<UdpSocket> {
        Ok(UdpSocket(self.0.clone()))
    }

    /// How long a receive blocks at most.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.udp.set_read_timeout(timeout)
    }

    /// How long a send blocks at most.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.udp.set_write_timeout(timeout)
    }

    /// What [`set_read_timeout`](UdpSocket::set_read_timeout) was told.
    ///
    /// # Errors
    /// None.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.0.udp.timeouts().0)
    }

    /// What [`set_write_timeout`](UdpSocket::set_write_timeout) was told.
    ///
    /// # Errors
    /// None.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.0.udp.timeouts().1)
    }

    /// The hop limit.
    ///
    /// # Errors
    /// The host's; `InvalidInput` for zero or more than 255.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.udp.set_hop_limit(ttl)
    }

    /// The hop limit.
    ///
    /// # Errors
    /// The host's.
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.udp.hop_limit()
    }

    /// Takes the pending error.
    ///
    /// # Errors
    /// None.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(self.0.udp.take_error())
    }

    /// Whether calls answer `WouldBlock` where they would block.
    ///
    /// # Errors
    /// None.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.udp.set_nonblocking(nonblocking);
        Ok(())
    }
}

impl AsSource for UdpSocket {
    fn as_source(&self) -> Source<'_> {
        Source::of_socket(&self.0.source)
    }
}

impl std::fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("UdpSocket").field(&self.0.source.name()).finish()
    }
}
