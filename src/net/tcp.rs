//! TCP with std's methods over the backend's sockets.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use crate::backend::Socket;
use crate::backend::tcp::Tcp;
use crate::source::{AsSource, Source};

/// What the clones of a socket share: the last one closes it.
struct Open {
    tcp: Arc<Tcp>,
    source: Socket,
}

impl Open {
    fn new(tcp: Arc<Tcp>) -> Arc<Open> {
        let source: Socket = tcp.clone();
        Arc::new(Open { tcp, source })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.tcp.close();
    }
}

/// The first address with which it works, or the last error.
pub(super) fn first<T>(
    addresses: impl ToSocketAddrs,
    mut with: impl FnMut(&SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no address was given");
    for address in addresses.to_socket_addrs()? {
        match with(&address) {
            Ok(done) => return Ok(done),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// [`std::net::TcpStream`] over `wasi:sockets`.
///
/// Everything is as in std, blocking unless
/// [`set_nonblocking`](TcpStream::set_nonblocking) says otherwise, but for what the
/// [module](crate::net) says.
pub struct TcpStream(Arc<Open>);

impl TcpStream {
    fn new(tcp: Arc<Tcp>) -> TcpStream {
        TcpStream(Open::new(tcp))
    }

    pub(super) fn start_connect(address: &SocketAddr) -> io::Result<TcpStream> {
        Tcp::start_connect(address).map(TcpStream::new)
    }

    /// Connects to the first of the addresses that takes it.
    ///
    /// # Errors
    /// The last address's: `ConnectionRefused`, `HostUnreachable`, `TimedOut`,
    /// `PermissionDenied` in a sandbox without network.
    pub fn connect(addresses: impl ToSocketAddrs) -> io::Result<TcpStream> {
        first(addresses, |address| Tcp::connect(address, None)).map(TcpStream::new)
    }

    /// Connects, or gives up after `timeout`.
    ///
    /// # Errors
    /// Those of `connect`; `TimedOut`; `InvalidInput` for a timeout of zero.
    pub fn connect_timeout(address: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        if timeout.is_zero() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Tcp::connect(address, Some(timeout)).map(TcpStream::new)
    }

    /// The peer's address.
    ///
    /// # Errors
    /// `NotConnected`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.tcp.peer_address()
    }

    /// This side's address.
    ///
    /// # Errors
    /// The host's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.tcp.local_address()
    }

    /// Ends reading, writing or both.
    ///
    /// # Errors
    /// `NotConnected`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.tcp.shutdown(how)
    }

    /// The same socket once more, and the same source: it is registered once.
    ///
    /// # Errors
    /// None.
    pub fn try_clone(&self) -> io::Result<TcpStream> {
        Ok(TcpStream(self.0.clone()))
    }

    /// How long a read blocks at most.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.tcp.set_read_timeout(timeout)
    }

    /// How long a write blocks at most.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.tcp.set_write_timeout(timeout)
    }

    /// What [`set_read_timeout`](TcpStream::set_read_timeout) was told.
    ///
    /// # Errors
    /// None.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.0.tcp.timeouts().0)
    }

    /// What [`set_write_timeout`](TcpStream::set_write_timeout) was told.
    ///
    /// # Errors
    /// None.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.0.tcp.timeouts().1)
    }

    /// Reads and leaves it there.
    ///
    /// # Errors
    /// Those of a read.
    pub fn peek(&self, into: &mut [u8]) -> io::Result<usize> {
        self.0.tcp.read(into, true)
    }

    /// Remembered and without effect, as in wasi-libc: the host decides.
    ///
    /// # Errors
    /// None.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.0.tcp.set_nodelay(nodelay);
        Ok(())
    }

    /// What [`set_nodelay`](TcpStream::set_nodelay) was told.
    ///
    /// # Errors
    /// None.
    pub fn nodelay(&self) -> io::Result<bool> {
        Ok(self.0.tcp.nodelay())
    }

    /// The hop limit.
    ///
    /// # Errors
    /// The host's; `InvalidInput` for zero or more than 255.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.tcp.set_hop_limit(ttl)
    }

    /// The hop limit.
    ///
    /// # Errors
    /// The host's.
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.tcp.hop_limit()
    }

    /// Takes the pending error, such as that of a connection that was refused.
    ///
    /// # Errors
    /// None.
    #[doc(alias = "SO_ERROR")]
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(self.0.tcp.take_error())
    }

    /// Whether calls answer `WouldBlock` where they would block.
    ///
    /// # Errors
    /// None.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.tcp.set_nonblocking(nonblocking);
        Ok(())
    }
}

/// The first that is not empty: the others have to wait.
fn first_of<B: std::ops::Deref<Target = [u8]>>(buffers: &[B]) -> usize {
    buffers.iter().position(|buffer| !buffer.is_empty()).unwrap_or(0)
}

impl Read for &TcpStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.tcp.read(into, false)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let at = first_of(buffers);
        buffers.get_mut(at).map_or(Ok(0), |buffer| self.0.tcp.read(buffer, false))
    }
}

impl Write for &TcpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.tcp.write(bytes)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let at = first_of(buffers);
        buffers.get(at).map_or(Ok(0), |buffer| self.0.tcp.write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.tcp.flush()
    }
}

impl Read for TcpStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (&*self).read(into)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl Write for TcpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

impl AsSource for TcpStream {
    fn as_source(&self) -> Source<'_> {
        Source::of_socket(&self.0.source)
    }
}

impl std::fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TcpStream").field(&self.0.source.name()).finish()
    }
}

/// [`std::net::TcpListener`] over `wasi:sockets`.
pub struct TcpListener(Arc<Open>);

impl TcpListener {
    /// Listens at the first of the addresses that can be had.
    ///
    /// # Errors
    /// The last address's: `AddrInUse`, `AddrNotAvailable`, `PermissionDenied` in a
    /// sandbox without network.
    pub fn bind(addresses: impl ToSocketAddrs) -> io::Result<TcpListener> {
        first(addresses, Tcp::listen).map(|tcp| TcpListener(Open::new(tcp)))
    }

    /// The address that it listens at.
    ///
    /// # Errors
    /// The host's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.tcp.local_address()
    }

    /// The same socket once more, and the same source: it is registered once.
    ///
    /// # Errors
    /// None.
    pub fn try_clone(&self) -> io::Result<TcpListener> {
        Ok(TcpListener(self.0.clone()))
    }

    /// Takes a connection. The new stream blocks, as in std.
    ///
    /// # Errors
    /// `WouldBlock` if there is none and the listener does not block; the host's.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (tcp, peer) = self.0.tcp.accept()?;
        Ok((TcpStream::new(tcp), peer))
    }

    /// Connections as they come, for ever.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming(self)
    }

    /// The hop limit of the connections to come.
    ///
    /// # Errors
    /// The host's; `InvalidInput` for zero or more than 255.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.tcp.set_hop_limit(ttl)
    }

    /// The hop limit.
    ///
    /// # Errors
    /// The host's.
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.tcp.hop_limit()
    }

    /// Takes the pending error.
    ///
    /// # Errors
    /// None.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(self.0.tcp.take_error())
    }

    /// Whether `accept` answers `WouldBlock` where it would block.
    ///
    /// # Errors
    /// None.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.tcp.set_nonblocking(nonblocking);
        Ok(())
    }
}

impl AsSource for TcpListener {
    fn as_source(&self) -> Source<'_> {
        Source::of_socket(&self.0.source)
    }
}

impl std::fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TcpListener").field(&self.0.source.name()).finish()
    }
}

/// A listener's connections: [`std::net::Incoming`].
#[derive(Debug)]
#[must_use]
pub struct Incoming<'a>(&'a TcpListener);

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.0.accept().map(|(stream, _)| stream))
    }
}
