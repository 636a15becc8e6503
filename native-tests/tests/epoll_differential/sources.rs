//! Sources of every kind, and what can be done to them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

/// What a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    PipeRead,
    PipeWrite,
    Stream,
    Datagram,
    Tcp,
    TcpHalfClosed,
    TcpReset,
    TcpRefused,
    TcpFresh,
    Listener,
    Udp,
    EventFd,
    File,
    Null,
    Set,
}

impl Kind {
    pub const ALL: [Kind; 15] = [
        Kind::PipeRead,
        Kind::PipeWrite,
        Kind::Stream,
        Kind::Datagram,
        Kind::Tcp,
        Kind::TcpHalfClosed,
        Kind::TcpReset,
        Kind::TcpRefused,
        Kind::TcpFresh,
        Kind::Listener,
        Kind::Udp,
        Kind::EventFd,
        Kind::File,
        Kind::Null,
        Kind::Set,
    ];

    pub fn is_tcp(self) -> bool {
        use Kind::{Tcp, TcpFresh, TcpHalfClosed, TcpRefused, TcpReset};
        matches!(self, Tcp | TcpHalfClosed | TcpReset | TcpRefused | TcpFresh)
    }
}

/// A source, and the other side of it.
pub struct Source {
    pub kind: Kind,
    pub fd: File,
    peer: Option<File>,
    /// Connections to a listener.
    clients: Vec<TcpStream>,
}

/// Something that a source's kind does not have.
pub struct NotApplicable;
pub type Done = Result<(), NotApplicable>;

/// `Err` with `errno` if a call returned -1.
pub fn check(returned: libc::c_int) -> io::Result<libc::c_int> {
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

fn owned(fd: libc::c_int) -> File {
    // SAFETY: a call just gave us this descriptor.
    unsafe { File::from_raw_fd(check(fd).unwrap()) }
}

fn nonblocking(file: &File) {
    // SAFETY: flags of a descriptor of our own.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) }).unwrap();
}

/// What poll(2) says of a descriptor, which waits for one of these at most so long.
pub fn poll(fd: RawFd, events: u32, wait: Duration) -> u32 {
    let mut entry = libc::pollfd { fd, events: events as libc::c_short, revents: 0 };
    // SAFETY: one valid entry.
    check(unsafe { libc::poll(&mut entry, 1, wait.as_millis() as libc::c_int) }).unwrap();
    u32::from(entry.revents as u16)
}

/// The kernel's loopback takes its time now and then.
const SETTLE: Duration = Duration::from_millis(200);

fn pipe() -> [File; 2] {
    let mut fds = [0; 2];
    // SAFETY: there is room for two descriptors.
    check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) }).unwrap();
    // SAFETY: the kernel just gave us these descriptors.
    let ends = fds.map(|fd| unsafe { File::from_raw_fd(fd) });
    // SAFETY: a small pipe is soon full.
    unsafe { libc::fcntl(fds[1], libc::F_SETPIPE_SZ, 4096) };
    ends
}

fn file(fd: impl Into<OwnedFd>) -> File {
    File::from(fd.into())
}

fn tcp_pair() -> [File; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    SockRef::from(&client).set_send_buffer_size(4096).unwrap();
    SockRef::from(&peer).set_recv_buffer_size(4096).unwrap();
    [file(client), file(peer)]
}

impl Source {
    /// Sets are made elsewhere; this is a stand-in.
    pub fn new(kind: Kind) -> Source {
        let (fd, peer) = match kind {
            Kind::PipeRead => {
                let [read, write] = pipe();
                (read, Some(write))
            }
            Kind::PipeWrite => {
                let [read, write] = pipe();
                (write, Some(read))
            }
            Kind::Stream => {
                let (one, other) = UnixStream::pair().unwrap();
                SockRef::from(&one).set_send_buffer_size(4096).unwrap();
                (file(one), Some(file(other)))
            }
            Kind::Datagram => {
                let (one, other) = UnixDatagram::pair().unwrap();
                SockRef::from(&one).set_send_buffer_size(4096).unwrap();
                (file(one), Some(file(other)))
            }
            Kind::Tcp | Kind::TcpHalfClosed | Kind::TcpReset => {
                let [one, other] = tcp_pair();
                match kind {
                    Kind::TcpHalfClosed => {
                        SockRef::from(&other).shutdown(std::net::Shutdown::Write).unwrap();
                        poll(one.as_raw_fd(), libc::EPOLLRDHUP as u32, SETTLE);
                        (one, Some(other))
                    }
                    Kind::TcpReset => {
                        SockRef::from(&other).set_linger(Some(Duration::ZERO)).unwrap();
                        drop(other);
                        poll(one.as_raw_fd(), libc::EPOLLHUP as u32, SETTLE);
                        (one, None)
                    }
                    _ => (one, Some(other)),
                }
            }
            Kind::TcpRefused => {
                let nobody = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                nobody.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                socket.set_nonblocking(true).unwrap();
                let _ = socket.connect(&nobody.local_addr().unwrap());
                poll(socket.as_raw_fd(), libc::EPOLLHUP as u32, SETTLE);
                (file(socket), None)
            }
            Kind::TcpFresh => (file(Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()), None),
            Kind::Listener => (file(TcpListener::bind("127.0.0.1:0").unwrap()), None),
            Kind::Udp => {
                let one = UdpSocket::bind("127.0.0.1:0").unwrap();
                let other = UdpSocket::bind("127.0.0.1:0").unwrap();
                other.connect(one.local_addr().unwrap()).unwrap();
                (file(one), Some(file(other)))
            }
            // SAFETY: no pointers.
            Kind::EventFd => (owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) }), None),
            Kind::File => (File::open("/proc/self/exe").unwrap(), None),
            Kind::Null | Kind::Set => (File::open("/dev/null").unwrap(), None),
        };
        nonblocking(&fd);
        peer.iter().for_each(nonblocking);
        Source { kind, fd, peer, clients: Vec::new() }
    }

    /// The same open file under another number.
    pub fn duplicate(&self) -> Source {
        let fd = self.fd.try_clone().unwrap();
        Source { kind: self.kind, fd, peer: None, clients: Vec::new() }
    }

    pub fn number(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Takes the number of `old`, as if that had been closed and this opened.
    pub fn replace(mut self, mut old: Source) -> Source {
        if old.kind.is_tcp() {
            let _ = SockRef::from(&old.fd).set_linger(Some(Duration::ZERO));
        }
        // SAFETY: both descriptors are ours. The number stays, the file is new.
        check(unsafe { libc::dup3(self.number(), old.number(), libc::O_CLOEXEC) }).unwrap();
        std::mem::swap(&mut self.fd, &mut old.fd);
        self
    }

    fn peer(&self) -> Result<&File, NotApplicable> {
        self.peer.as_ref().ok_or(NotApplicable)
    }

    /// Something arrives.
    pub fn put(&mut self) -> Done {
        let arrives = match self.kind {
            Kind::PipeWrite => return Err(NotApplicable),
            Kind::EventFd => (&self.fd).write(&1u64.to_ne_bytes()).is_ok(),
            Kind::Listener => {
                let address = SockRef::from(&self.fd).local_addr().unwrap();
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                socket.set_nonblocking(true).unwrap();
                socket.set_linger(Some(Duration::ZERO)).unwrap();
                let _ = socket.connect(&address);
                self.clients.push(socket.into());
                SockRef::from(&self.fd).is_listener().unwrap()
            }
            _ => self.peer()?.write(b"ten bytes.").is_ok(),
        };
        if arrives {
            self.settle(libc::EPOLLIN as u32);
        }
        Ok(())
    }

    /// Reads all, or a little.
    pub fn take(&mut self, all: bool) -> Done {
        match self.kind {
            Kind::PipeWrite | Kind::File | Kind::Null | Kind::Set => return Err(NotApplicable),
            Kind::Listener => {
                while let Ok((socket, _)) = SockRef::from(&self.fd).accept() {
                    socket.set_linger(Some(Duration::ZERO)).unwrap();
                    if !all {
                        break;
                    }
                }
            }
            Kind::EventFd => {
                let _ = (&self.fd).read(&mut [0; 8]);
            }
            _ if all => empty(&self.fd),
            _ => {
                let _ = (&self.fd).read(&mut [0; 3]);
            }
        }
        Ok(())
    }

    /// Writes until it would block.
    pub fn fill(&mut self) -> Done {
        match self.kind {
            Kind::EventFd => {
                let _ = (&self.fd).write(&(u64::MAX - 1).to_ne_bytes());
                return Ok(());
            }
            Kind::PipeWrite | Kind::Stream | Kind::Datagram | Kind::Tcp | Kind::TcpHalfClosed => {}
            _ => return Err(NotApplicable),
        }
        self.peer()?;
        // TCP's buffers move for a while.
        for _ in 0..4 {
            while (&self.fd).write(&[0; 2048]).is_ok() {}
            while (&self.fd).write(&[0]).is_ok() {}
            if poll(self.number(), libc::EPOLLOUT as u32, Duration::ZERO) == 0 {
                break;
            }
        }
        Ok(())
    }

    /// The other side reads all.
    pub fn drain(&mut self) -> Done {
        if self.kind == Kind::EventFd {
            let _ = (&self.fd).read(&mut [0; 8]);
            return Ok(());
        }
        if !matches!(
            self.kind,
            Kind::PipeWrite | Kind::Stream | Kind::Datagram | Kind::Tcp | Kind::TcpHalfClosed
        ) {
            return Err(NotApplicable);
        }
        empty(self.peer()?);
        self.settle(libc::EPOLLOUT as u32);
        Ok(())
    }

    pub fn close_peer(&mut self) -> Done {
        self.peer.take().map(drop).ok_or(NotApplicable)?;
        self.settle((libc::EPOLLRDHUP | libc::EPOLLHUP) as u32);
        Ok(())
    }

    pub fn shut_peer(&mut self) -> Done {
        if !matches!(self.kind, Kind::Stream | Kind::Tcp | Kind::TcpHalfClosed) {
            return Err(NotApplicable);
        }
        let _ = SockRef::from(self.peer()?).shutdown(std::net::Shutdown::Write);
        self.settle(libc::EPOLLRDHUP as u32);
        Ok(())
    }

    pub fn shut(&mut self, how: u8) -> Done {
        let socket = self.kind.is_tcp()
            || matches!(self.kind, Kind::Stream | Kind::Datagram | Kind::Udp | Kind::Listener);
        if !socket {
            return Err(NotApplicable);
        }
        use std::net::Shutdown::{Both, Read, Write};
        let _ = SockRef::from(&self.fd).shutdown([Read, Write, Both][usize::from(how % 3)]);
        Ok(())
    }

    /// The other side sends a byte out of band.
    pub fn urgent(&mut self) -> Done {
        if !matches!(self.kind, Kind::Tcp) {
            return Err(NotApplicable);
        }
        if SockRef::from(self.peer()?).send_out_of_band(b"!").is_ok() {
            self.settle(libc::EPOLLPRI as u32);
        }
        Ok(())
    }

    /// Waits for what the kernel does behind our back, if it does.
    fn settle(&self, flags: u32) {
        if self.kind.is_tcp() || matches!(self.kind, Kind::Listener | Kind::Udp) {
            poll(self.number(), flags, Duration::from_millis(20));
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // Leaves no TIME_WAIT behind.
        if self.kind.is_tcp() {
            let _ = SockRef::from(&self.fd).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn empty(mut file: &File) {
    let mut buffer = [0; 8192];
    while matches!(file.read(&mut buffer), Ok(1..)) {}
}
