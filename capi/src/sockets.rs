//! Sockets for C where the C library has none: a WASI 0.1 program with WASI 0.2
//! imports. They are `readiness::net`'s under the numbers of the table of sets.
//!
//! - bind of a stream socket listens at once, because `wasi:sockets` cannot unbind
//!   and the errors belong there; listen only says so. Such a socket cannot connect.
//! - There is no backlog to set and no inheritance; protocols are TCP and UDP.

mod address;
mod options;

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{c_int, c_void};
use readiness::net::{Shutdown, TcpListener, TcpStream, UdpSocket, start_connect};
use readiness::{AsSource, Pollable, Source};
use wasip2::clocks::monotonic_clock::subscribe_duration;

use self::address::Family;
use crate::errno::{Answer, Errno, call};
use crate::memory;
use crate::sets::{self, Kind, Set};

// wasi-libc's numbers.
const SOCK_DGRAM: c_int = 5;
const SOCK_STREAM: c_int = 6;
pub(crate) const SOCK_NONBLOCK: c_int = 0x4000;
pub(crate) const SOCK_CLOEXEC: c_int = 0x2000;
const MSG_PEEK: c_int = 1;
const MSG_WAITALL: c_int = 2;
/// There is no SIGPIPE to be kept away; the name exists on every other system.
const MSG_NOSIGNAL: c_int = 0x4000;

pub(crate) struct Socket {
    family: Family,
    stream: bool,
    nonblocking: AtomicBool,
    /// A connect went on in the background, and nobody was told how it ended.
    untold: AtomicBool,
    /// What bind, connect or listen made of it.
    made: OnceLock<Made>,
    /// Always ready: what a socket that is neither bound nor connected is.
    idle: Pollable,
}

enum Made {
    Listener(TcpListener),
    Stream(TcpStream),
    Datagrams(UdpSocket),
}

fn error(code: c_int) -> Errno {
    Errno(code)
}

impl AsSource for Socket {
    fn as_source(&self) -> Source<'_> {
        match self.made.get() {
            Some(Made::Listener(listener)) => listener.as_source(),
            Some(Made::Stream(stream)) => stream.as_source(),
            Some(Made::Datagrams(socket)) => socket.as_source(),
            None => self.idle.as_source(),
        }
    }
}

impl Socket {
    fn new(family: Family, stream: bool, nonblocking: bool) -> Socket {
        Socket {
            family,
            stream,
            nonblocking: AtomicBool::new(nonblocking),
            untold: AtomicBool::new(false),
            made: OnceLock::new(),
            idle: Pollable::from(subscribe_duration(0)),
        }
    }

    pub(crate) fn is_nonblocking(&self) -> bool {
        self.nonblocking.load(Ordering::Relaxed)
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
        match self.made.get() {
            Some(Made::Listener(listener)) => listener.set_nonblocking(nonblocking),
            Some(Made::Stream(stream)) => stream.set_nonblocking(nonblocking),
            Some(Made::Datagrams(socket)) => socket.set_nonblocking(nonblocking),
            None => Ok(()),
        }
    }

    fn make(&self, made: Made) -> Answer<&Made> {
        self.made.set(made).map_err(|_| error(libc::EINVAL))?;
        self.set_nonblocking(self.is_nonblocking())?;
        self.made.get().ok_or(error(libc::EINVAL))
    }

    fn bind(&self, address: SocketAddr) -> Answer<()> {
        if self.made.get().is_some() {
            return Err(error(libc::EINVAL));
        }
        let made = match self.stream {
            true => Made::Listener(TcpListener::bind(address)?),
            false => Made::Datagrams(UdpSocket::bind(address)?),
        };
        self.make(made).map(drop)
    }

    /// UDP's socket, bound to any address if it is not bound.
    fn datagrams(&self) -> Answer<&UdpSocket> {
        if self.made.get().is_none() {
            self.bind(self.family.any())?;
        }
        match self.made.get() {
            Some(Made::Datagrams(socket)) => Ok(socket),
            _ => Err(error(libc::EOPNOTSUPP)),
        }
    }

    fn stream(&self) -> Answer<&TcpStream> {
        match self.made.get() {
            Some(Made::Stream(stream)) => Ok(stream),
            _ => Err(error(libc::ENOTCONN)),
        }
    }

    fn connect(&self, address: SocketAddr) -> Answer<()> {
        if !self.stream {
            return Ok(self.datagrams()?.connect(address)?);
        }
        match self.made.get() {
            Some(Made::Stream(stream)) => {
                if let Some(failed) = stream.take_error()? {
                    return Err(failed.into());
                }
                if stream.peer_addr().is_err() {
                    return Err(error(libc::EALREADY));
                }
                // The first call after it is there says so, as on Linux.
                if self.untold.swap(false, Ordering::Relaxed) {
                    return Ok(());
                }
                Err(error(libc::EISCONN))
            }
            Some(_) => Err(error(libc::EOPNOTSUPP)),
            None if self.is_nonblocking() => {
                self.make(Made::Stream(start_connect(&address)?))?;
                self.untold.store(true, Ordering::Relaxed);
                Err(error(libc::EINPROGRESS))
            }
            None => self.make(Made::Stream(TcpStream::connect(address)?)).map(drop),
        }
    }

    fn accept(&self, flags: c_int) -> Answer<(c_int, SocketAddr)> {
        let Some(Made::Listener(listener)) = self.made.get() else {
            return Err(error(if self.stream { libc::EINVAL } else { libc::EOPNOTSUPP }));
        };
        if flags & !(SOCK_NONBLOCK | SOCK_CLOEXEC) != 0 {
            return Err(error(libc::EINVAL));
        }
        let (stream, peer) = listener.accept()?;
        let socket = Socket::new(self.family, true, flags & SOCK_NONBLOCK != 0);
        socket.make(Made::Stream(stream))?;
        Ok((sets::insert(Kind::Socket(socket), true)?, peer))
    }

    /// Reads, and says from whom if it is a datagram.
    fn receive(&self, into: &mut [u8], flags: c_int) -> Answer<(usize, Option<SocketAddr>)> {
        if flags & !(MSG_PEEK | MSG_WAITALL | MSG_NOSIGNAL) != 0 {
            return Err(error(libc::EOPNOTSUPP));
        }
        let peek = flags & MSG_PEEK != 0;
        if !self.stream {
            let socket = self.datagrams()?;
            let (count, from) =
                if peek { socket.peek_from(into)? } else { socket.recv_from(into)? };
            return Ok((count, Some(from)));
        }
        let mut stream = self.stream()?;
        if peek {
            return Ok((stream.peek(into)?, None));
        }
        let mut count = stream.read(into)?;
        while flags & MSG_WAITALL != 0 && count < into.len() && !self.is_nonblocking() {
            match stream.read(&mut into[count..]) {
                Ok(0) | Err(_) => break,
                Ok(more) => count += more,
            }
        }
        Ok((count, None))
    }

    fn send(&self, bytes: &[u8], flags: c_int, to: Option<SocketAddr>) -> Answer<usize> {
        if flags & !MSG_NOSIGNAL != 0 {
            return Err(error(libc::EOPNOTSUPP));
        }
        if !self.stream {
            let socket = self.datagrams()?;
            return Ok(match to {
                Some(to) => socket.send_to(bytes, to)?,
                None => socket.send(bytes)?,
            });
        }
        let mut stream = self.stream()?;
        let mut sent = stream.write(bytes)?;
        while sent < bytes.len() && !self.is_nonblocking() {
            match stream.write(&bytes[sent..]) {
                Ok(0) | Err(_) => break,
                Ok(more) => sent += more,
            }
        }
        Ok(sent)
    }

    fn shutdown(&self, how: c_int) -> Answer<()> {
        // SHUT_RD and SHUT_WR are bits there.
        let how = match how {
            1 => Shutdown::Read,
            2 => Shutdown::Write,
            3 => Shutdown::Both,
            _ => return Err(error(libc::EINVAL)),
        };
        Ok(self.stream()?.shutdown(how)?)
    }

    fn local_address(&self) -> Answer<SocketAddr> {
        Ok(match self.made.get() {
            Some(Made::Listener(listener)) => listener.local_addr()?,
            Some(Made::Stream(stream)) => stream.local_addr()?,
            Some(Made::Datagrams(socket)) => socket.local_addr()?,
            None => self.family.any(),
        })
    }

    fn peer_address(&self) -> Answer<SocketAddr> {
        Ok(match self.made.get() {
            Some(Made::Stream(stream)) => stream.peer_addr()?,
            Some(Made::Datagrams(socket)) => socket.peer_addr()?,
            _ => return Err(error(libc::ENOTCONN)),
        })
    }

    fn take_error(&self) -> Answer<c_int> {
        let taken = match self.made.get() {
            Some(Made::Listener(listener)) => listener.take_error()?,
            Some(Made::Stream(stream)) => stream.take_error()?,
            Some(Made::Datagrams(socket)) => socket.take_error()?,
            None => None,
        };
        Ok(taken.map_or(0, |taken| Errno::from(taken).0))
    }
}

/// Calls with the socket that a number stands for. `None`: it stands for none.
pub(crate) fn with<T>(fd: c_int, call: impl FnOnce(&Socket) -> Answer<T>) -> Option<Answer<T>> {
    let set = sets::find(fd)?;
    socket_of(&set).map(call)
}

fn socket_of(set: &Set) -> Option<&Socket> {
    match &set.kind {
        Kind::Socket(socket) => Some(socket),
        _ => None,
    }
}

/// The same where nothing but a socket will do.
fn only<T>(fd: c_int, call: impl FnOnce(&Socket) -> Answer<T>) -> Answer<T> {
    with(fd, call).unwrap_or_else(|| Err(no_socket(fd)))
}

/// The error of a call on what is no socket of ours: there are no others.
pub(crate) fn no_socket(fd: c_int) -> Errno {
    sets::no_set(fd, error(libc::ENOTSOCK))
}

/// # Safety
/// `to` is NULL or the caller's memory of `count` bytes.
pub(crate) unsafe fn receive(
    fd: c_int,
    to: *mut c_void,
    count: usize,
    flags: c_int,
) -> Option<Answer<(usize, Option<SocketAddr>)>> {
    with(fd, |socket| {
        // A stream gives no more at once than it reads ahead.
        let mut bytes = vec![0; count.min(1 << 16)];
        let (count, from) = socket.receive(&mut bytes, flags)?;
        // SAFETY: the caller's memory.
        unsafe { memory::write(to.cast(), &bytes[..count]) }?;
        Ok((count, from))
    })
}

/// # Safety
/// `from` is NULL or the caller's memory of `count` bytes.
pub(crate) unsafe fn send(
    fd: c_int,
    from: *const c_void,
    count: usize,
    flags: c_int,
    to: Option<SocketAddr>,
) -> Option<Answer<usize>> {
    with(fd, |socket| {
        // SAFETY: the caller's memory.
        let bytes: Vec<u8> = unsafe { memory::read(from.cast(), count) }?;
        socket.send(&bytes, flags, to)
    })
}

/// # Safety
/// `address` and `size` are NULL, or the caller's address and its size.
pub(crate) unsafe fn accept(
    fd: c_int,
    address: *mut c_void,
    size: *mut u32,
    flags: c_int,
) -> Option<Answer<usize>> {
    with(fd, |socket| {
        let (number, peer) = socket.accept(flags)?;
        if !address.is_null() {
            // SAFETY: the caller's address.
            unsafe { address::store(peer, address, size) }?;
        }
        Ok(number as usize)
    })
}

/// socket(2): `AF_INET` and `AF_INET6`, streams and datagrams.
#[unsafe(no_mangle)]
pub extern "C" fn readiness_socket(family: c_int, kind: c_int, protocol: c_int) -> c_int {
    call(|| {
        let family = Family::of(family).ok_or(error(libc::EAFNOSUPPORT))?;
        let nonblocking = kind & SOCK_NONBLOCK != 0;
        let stream = match kind & !(SOCK_NONBLOCK | SOCK_CLOEXEC) {
            SOCK_STREAM => true,
            SOCK_DGRAM => false,
            _ => return Err(error(libc::EPROTOTYPE)),
        };
        // IPPROTO_TCP and IPPROTO_UDP.
        if protocol != 0 && protocol != if stream { 6 } else { 17 } {
            return Err(error(libc::EPROTONOSUPPORT));
        }
        sets::insert(Kind::Socket(Socket::new(family, stream, nonblocking)), true)
    })
}

/// bind(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn readiness_bind(fd: c_int, address: *const c_void, size: u32) -> c_int {
    call(|| {
        only(fd, |socket| {
            // SAFETY: the caller's address.
            let address = unsafe { address::load(address, size, Some(socket.family)) }?;
            socket.bind(address).map(|()| 0)
        })
    })
}

/// listen(2).
#[unsafe(no_mangle)]
pub extern "C" fn readiness_listen(fd: c_int, _backlog: c_int) -> c_int {
    call(|| {
        only(fd, |socket| {
            if !socket.stream {
                return Err(error(libc::EOPNOTSUPP));
            }
            match socket.made.get() {
                Some(Made::Listener(_)) => Ok(0),
                Some(_) => Err(error(libc::EINVAL)),
                None => socket.bind(socket.family.any()).map(|()| 0),
            }
        })
    })
}

/// connect(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn readiness_connect(fd: c_int, address: *const c_void, size: u32) -> c_int {
    call(|| {
        only(fd, |socket| {
            // SAFETY: the caller's address.
            let address = unsafe { address::load(address, size, Some(socket.family)) }?;
            socket.connect(address).map(|()| 0)
        })
    })
}

/// shutdown(2).
#[unsafe(no_mangle)]
pub extern "C" fn readiness_shutdown(fd: c_int, how: c_int) -> c_int {
    call(|| only(fd, |socket| socket.shutdown(how).map(|()| 0)))
}

/// getsockname(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn readiness_getsockname(
    fd: c_int,
    address: *mut c_void,
    size: *mut u32,
) -> c_int {
    // SAFETY: the caller's address.
    call(|| only(fd, |socket| unsafe { address::store(socket.local_address()?, address, size) }))
}

/// getpeername(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn readiness_getpeername(
    fd: c_int,
    address: *mut c_void,
    size: *mut u32,
) -> c_int {
    // SAFETY: the caller's address.
    call(|| only(fd, |socket| unsafe { address::store(socket.peer_address()?, address, size) }))
}

/// recvfrom(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_recvfrom(
    fd: c_int,
    to: *mut c_void,
    count: usize,
    flags: c_int,
    address: *mut c_void,
    size: *mut u32,
) -> isize {
    crate::wrap::told(fd, {
        // SAFETY: the caller's memory.
        unsafe { receive(fd, to, count, flags) }.unwrap_or_else(|| Err(no_socket(fd))).and_then(
            |(count, from)| {
                if let (Some(from), false) = (from, address.is_null()) {
                    // SAFETY: the caller's address.
                    unsafe { address::store(from, address, size) }?;
                }
                Ok(count)
            },
        )
    })
}

/// sendto(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_sendto(
    fd: c_int,
    from: *const c_void,
    count: usize,
    flags: c_int,
    address: *const c_void,
    size: u32,
) -> isize {
    // SAFETY: the caller's memory and address.
    let sent = unsafe {
        match address.is_null() {
            true => send(fd, from, count, flags, None),
            false => match address::load(address, size, None) {
                Ok(to) => send(fd, from, count, flags, Some(to)),
                Err(error) => Some(Err(error)),
            },
        }
    };
    crate::wrap::told(fd, sent.unwrap_or_else(|| Err(no_socket(fd))))
}
