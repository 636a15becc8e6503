//! TCP and UDP sockets for every target: std's own, and where std has none, in a
//! WASI 0.1 program with WASI 0.2 imports, sockets with the same methods.
//!
//! It needs the feature `net`. Natively and on wasm32-wasip2 the types here are
//! those of [`std::net`]. On wasm32-wasip1 with the feature `wasi-io` they are made
//! of `wasi:sockets`, and are sources like any other ([`AsSource`](crate::AsSource)).
//!
//! # What those tell
//! The host tells that a stream is ready, and not why. These sockets look: they
//! read ahead (64 KiB at most, and only while somebody waits for input), accept
//! one connection ahead, and pass over false alarms. So they report what Linux
//! does:
//!
//! | | reported |
//! |---|---|
//! | connection being made | nothing |
//! | connection made | `OUT` |
//! | refused, unreachable, timed out | `IN`, `OUT`, `RDHUP`, `HUP`, `ERR` until [`take_error`](TcpStream::take_error) |
//! | data | `IN` |
//! | peer has shut its writing half, end of file | `IN`, `RDHUP` |
//! | both halves shut | `IN`, `OUT`, `RDHUP`, `HUP` |
//! | reset | `IN`, `OUT`, `RDHUP`, `HUP`, `ERR` until the error is told |
//! | own reading half shut | `IN`, `RDHUP` |
//! | own writing half shut | `OUT` |
//! | listener with a connection | `IN` |
//! | datagram | `IN` |
//!
//! | what the host does not let us tell | instead |
//! |---|---|
//! | end of file and reset, if nobody waits for `IN` or `RDHUP` | seen at the next read or write |
//! | a reset behind more than 64 KiB of data that nobody reads | seen when it is read |
//! | a reset behind the end of file | seen at the next write |
//! | that a writing half of one's own was shut, to a [`Kqueue`](crate::Kqueue) | `Filter::Write` has no `EOF` |
//! | connecting to `0.0.0.0` or `::` | `InvalidInput` |
//! | out-of-band data (`PRI`) | never reported |
//! | which error ended a stream: it gives words | the nearest, else `ConnectionReset` |
//! | how much of its buffer is free | `OUT` when the last write (64 KiB at most) is with the system |
//! | that closing with unread data resets the connection | what was read ahead counts as read: the peer sees an end of file |
//! | sending on after the program has ended | what the peer has no room for is lost; [`flush`](std::io::Write::flush) of a blocking stream waits for it |
//! | in jco (preview2-shim 0.26), one half of a connection | [`shutdown`](TcpStream::shutdown) of either half ends both |
//! | a failed datagram's error (`ECONNREFUSED` of UDP) | some hosts tell it, others do not |
//! | names | addresses only: [`ToSocketAddrs`] of std resolves none there |
//!
//! A clone (`try_clone`) is the same source, and has the same number: it is registered once.
//!
//! A socket that is dropped while it is registered is not open from then on, as
//! when a descriptor is closed: [`Poll`](crate::Poll) says `NVAL`. Its number is
//! given to no other. What the host still has to send of it is sent.
//!
//! A sandbox without network answers `PermissionDenied` when a socket is made,
//! bound or connected.

cfg_if::cfg_if! {
    if #[cfg(all(feature = "wasi-io", target_os = "wasi", target_env = "p1"))] {
        mod tcp;
        mod udp;
        pub use tcp::{Incoming, TcpListener, TcpStream};
        pub use udp::UdpSocket;
    } else {
        pub use std::net::{Incoming, TcpListener, TcpStream, UdpSocket};
    }
}

pub use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs,
};

/// Starts to connect, and does not wait: std has no such call. The stream does not
/// block ([`set_nonblocking`](TcpStream::set_nonblocking)).
///
/// It becomes writable when the connection is made or has failed. Which of them,
/// [`take_error`](TcpStream::take_error) tells, and `peer_addr` is an error until
/// it is made.
///
/// On Windows it waits until the connection is made or refused.
///
/// ```
/// # #[cfg(unix)] {
/// use readiness::{net, select};
///
/// let listener = net::TcpListener::bind("127.0.0.1:0")?;
/// let stream = net::start_connect(&listener.local_addr()?)?;
/// let ready = select([], [&stream], [], None)?;
/// assert_eq!(ready.write.len(), 1);
/// assert!(stream.take_error()?.is_none());
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// What the system knows at once: no route, no permission, no more descriptors.
///
/// Follows connect(2) with `O_NONBLOCK`.
#[doc(alias = "EINPROGRESS")]
pub fn start_connect(address: &SocketAddr) -> std::io::Result<TcpStream> {
    cfg_if::cfg_if! {
        if #[cfg(all(feature = "wasi-io", target_os = "wasi", target_env = "p1"))] {
            TcpStream::start_connect(address)
        } else {
            crate::backend::start_connect(address)
        }
    }
}
