//! WinSock's select: Windows.
//!
//! It takes three sets of sockets and says which are readable, writable, and
//! exceptional: out-of-band data, or a connection that could not be made. A
//! connection that the other side closed or reset is readable, and reading tells.
//!
//! - [select](https://learn.microsoft.com/en-us/windows/win32/api/winsock2/nf-winsock2-select),
//!   [fd_set](https://learn.microsoft.com/en-us/windows/win32/api/winsock2/ns-winsock2-fd_set)

use std::net::{Ipv4Addr, UdpSocket};
use std::os::windows::io::AsRawSocket;
use std::sync::OnceLock;
use std::time::Duration;
use std::{io, mem, ptr, thread};

use windows_sys::Win32::Networking::WinSock::{
    FD_SET, FIONREAD, INVALID_SOCKET, SO_TYPE, SOCKADDR_STORAGE, SOCKET, SOCKET_ERROR, SOL_SOCKET,
    TIMEVAL, WSADATA, WSAENOTSOCK, WSAGetLastError, WSAStartup, getpeername, getsockopt,
    ioctlsocket, select,
};

use super::List;
use crate::flags::PollFlags;
use crate::source::{Held, RawSource};
use crate::timeout::Until;

/// The error of a call on what is not an open socket. WinSock has but this one.
pub(crate) const NOT_OPEN: i32 = WSAENOTSOCK;

/// WinSock wants to be started before its first call in a process.
fn start_up() -> io::Result<()> {
    static STARTED: OnceLock<i32> = OnceLock::new();
    let error = *STARTED.get_or_init(|| {
        let version = 0x0202;
        // SAFETY: all zeros is a WSADATA, and the call fills it in.
        unsafe {
            let mut data: WSADATA = mem::zeroed();
            WSAStartup(version, &mut data)
        }
    });
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

fn last_error() -> io::Error {
    // SAFETY: it reads a number of this thread.
    io::Error::from_raw_os_error(unsafe { WSAGetLastError() })
}

fn socket_of(source: &Held) -> SOCKET {
    let Held::Socket(socket) = *source;
    socket as SOCKET
}

/// Whether a source is an open socket: `WSAENOTSOCK` if it is closed, or a
/// console, a pipe or a file.
pub(crate) fn check_source(source: &Held) -> io::Result<()> {
    start_up()?;
    check_socket(socket_of(source))
}

/// Whether a source is always ready: no socket is.
pub(crate) fn is_file(source: &Held) -> io::Result<bool> {
    check_source(source).map(|()| false)
}

fn check_socket(socket: SOCKET) -> io::Result<()> {
    let mut kind = [0; size_of::<i32>()];
    let mut size = kind.len() as i32;
    // SAFETY: there is room for the answer; any number may be asked about.
    match unsafe { getsockopt(socket, SOL_SOCKET, SO_TYPE, kind.as_mut_ptr(), &mut size) } {
        SOCKET_ERROR => Err(last_error()),
        _ => Ok(()),
    }
}

pub(crate) type Count = u64;

/// How many bytes there are to read, if any: none may be a listener, too, or the end
/// of a stream.
pub(crate) fn count(source: &Held) -> Option<Count> {
    let mut bytes = 0;
    // SAFETY: there is room for the number; it only looks.
    let answer = unsafe { ioctlsocket(socket_of(source), FIONREAD, &mut bytes) };
    (answer != SOCKET_ERROR && bytes > 0).then_some(bytes.into())
}

/// Whether a socket has a peer. Unlike SO_ERROR it takes nothing away.
fn is_connected(socket: SOCKET) -> bool {
    // SAFETY: all zeros is an address, and there is room for any.
    unsafe {
        let mut address: SOCKADDR_STORAGE = mem::zeroed();
        let mut size = size_of::<SOCKADDR_STORAGE>() as i32;
        getpeername(socket, (&raw mut address).cast(), &mut size) != SOCKET_ERROR
    }
}

/// There are no signals to mask.
#[derive(Clone, Copy)]
pub(crate) struct SignalSet;

/// What ends a select from another thread: a datagram socket that is connected
/// to itself.
pub(crate) struct Wake(UdpSocket);

impl Wake {
    pub(crate) fn new() -> io::Result<Wake> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        Ok(Wake(socket))
    }

    /// What the list has to watch.
    pub(crate) fn source(&self) -> Option<Held> {
        Some(Held::Socket(self.0.as_raw_socket()))
    }

    pub(crate) fn wake(&self) -> io::Result<()> {
        match self.0.send(&[0]) {
            // Full: a wake is under way already.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            other => other.map(drop),
        }
    }

    /// Makes it not readable.
    pub(crate) fn drain(&self) {
        while self.0.recv(&mut [0]).is_ok() {}
    }
}

/// An `fd_set` of any length: the count, and the sockets after it.
/// `FD_SETSIZE` is the length of the one in C's header and no limit of the call.
#[derive(Default)]
struct FdSet(Vec<SOCKET>);

// The count is a `u_int` at the front of the first element.
const _: () = assert!(mem::offset_of!(FD_SET, fd_array) == size_of::<SOCKET>());
const _: () = assert!(cfg!(target_endian = "little"));

impl FdSet {
    /// Takes these sockets, each once.
    fn fill(&mut self, sockets: impl Iterator<Item = SOCKET>) {
        self.0.clear();
        self.0.push(INVALID_SOCKET); // In the count's place, and equal to none of them.
        self.0.extend(sockets);
        self.0[1..].sort_unstable();
        self.0.dedup();
        self.0[0] = self.0.len() - 1;
    }

    fn copy(&mut self, other: &FdSet) {
        self.0.clone_from(&other.0);
    }

    /// Null if it is empty.
    fn as_mut_ptr(&mut self) -> *mut FD_SET {
        match self.0.first() {
            None | Some(0) => ptr::null_mut(),
            Some(_) => self.0.as_mut_ptr().cast(),
        }
    }

    fn sockets(&self) -> &[SOCKET] {
        match self.0.split_first() {
            None => &[],
            Some((&count, sockets)) => &sockets[..(count as u32 as usize).min(sockets.len())],
        }
    }

    /// Puts the answer into an order in which [`has`](FdSet::has) can seek.
    fn sort(&mut self) {
        let count = self.sockets().len();
        if count > 0 {
            self.0[1..=count].sort_unstable();
        }
    }

    fn has(&self, socket: SOCKET) -> bool {
        self.sockets().binary_search(&socket).is_ok()
    }
}

const READ: usize = 0;
const WRITE: usize = 1;
const EXCEPT: usize = 2;

struct Slot {
    /// `INVALID_SOCKET`: it is vacant, or a set's.
    socket: SOCKET,
    source: Option<RawSource>,
    want: PollFlags,
    got: PollFlags,
}

impl Slot {
    /// Whether it goes into a set. All go into the last one: a connection that
    /// could not be made is told unasked.
    fn wants(&self, which: usize) -> bool {
        self.socket != INVALID_SOCKET
            && match which {
                READ => self.want.contains(PollFlags::RDNORM),
                WRITE => self.want.contains(PollFlags::WRNORM),
                _ => true,
            }
    }
}

/// The sets that select takes.
#[derive(Default)]
pub(crate) struct WinsockList {
    slots: Vec<Slot>,
    asked: [FdSet; 3],
    told: [FdSet; 3],
    /// The slots are others than `asked` was made of.
    changed: bool,
    /// The slots that are passed over, and their sockets.
    passed_over: Vec<(usize, SOCKET)>,
    ready: usize,
}

impl List for WinsockList {
    const NAME: &'static str = "winsock";

    fn put(&mut self, slot: usize, source: &Held, want: PollFlags) {
        self.put_slot(slot, socket_of(source), source.raw(), want);
    }

    fn put_set(&mut self, slot: usize, id: u64) {
        self.put_slot(slot, INVALID_SOCKET, RawSource::Set(id), PollFlags::empty());
    }

    fn tell(&mut self, slot: usize, flags: PollFlags) {
        self.slots[slot].got = flags;
        self.ready += 1;
    }

    fn source(&self, slot: usize) -> Option<RawSource> {
        self.slots.get(slot)?.source
    }

    fn set(&mut self, slot: usize, want: PollFlags) {
        self.slots[slot].want = want;
        self.changed = true;
    }

    fn vacate(&mut self, slot: usize) {
        let slot = &mut self.slots[slot];
        (slot.socket, slot.source, slot.got) = (INVALID_SOCKET, None, PollFlags::empty());
        self.changed = true;
    }

    const TAKES_BACK: bool = true;

    fn pass_over(&mut self, slot: usize) {
        let socket = std::mem::replace(&mut self.slots[slot].socket, INVALID_SOCKET);
        self.passed_over.push((slot, socket));
        self.changed = true;
    }

    fn take_back(&mut self) {
        for (slot, socket) in self.passed_over.drain(..) {
            self.slots[slot].socket = socket;
        }
        self.changed = true;
    }

    fn len(&self) -> usize {
        self.slots.len()
    }

    fn truncate(&mut self, slots: usize) {
        self.slots.truncate(slots);
        self.changed = true;
    }

    fn compact(&mut self, mut moved: impl FnMut(usize, usize)) {
        let (mut from, mut to) = (0, 0);
        self.slots.retain(|slot| {
            let stays = slot.source.is_some();
            if stays {
                moved(from, to);
                to += 1;
            }
            from += 1;
            stays
        });
    }

    fn wait(&mut self, until: &Until<'_>) -> io::Result<usize> {
        start_up()?;
        let mut deadline = until.deadline;
        self.forget();
        if mem::take(&mut self.changed) {
            self.ask();
        }
        let mut failed = false;
        loop {
            match self.select(deadline.left()) {
                Ok(true) => self.collect(),
                Ok(false) => {}
                // WSAENOTSOCK, and from Wine others: which is it? If it is none
                // by now, its number was given to another meanwhile.
                Err(error) => {
                    if !self.find_bad() && mem::replace(&mut failed, true) {
                        return Err(error);
                    }
                }
            }
            if self.ready > 0 || deadline.passed() {
                return Ok(self.ready);
            }
        }
    }

    fn ready(&self) -> impl Iterator<Item = (usize, PollFlags)> {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| !slot.got.is_empty())
            .map(|(at, slot)| (at, slot.got))
            .take(self.ready)
    }
}

impl WinsockList {
    fn put_slot(&mut self, slot: usize, socket: SOCKET, source: RawSource, want: PollFlags) {
        let entry = Slot { socket, source: Some(source), want, got: PollFlags::empty() };
        match self.slots.get_mut(slot) {
            Some(vacant) => *vacant = entry,
            None => self.slots.push(entry),
        }
        self.changed = true;
    }

    fn forget(&mut self) {
        if mem::take(&mut self.ready) > 0 {
            for slot in &mut self.slots {
                slot.got = PollFlags::empty();
            }
        }
    }

    /// Makes the sets, of the slots that have not answered yet.
    fn ask(&mut self) {
        for (which, set) in self.asked.iter_mut().enumerate() {
            let silent = self.slots.iter().filter(|slot| slot.got.is_empty());
            set.fill(silent.filter(|slot| slot.wants(which)).map(|slot| slot.socket));
        }
    }

    /// One call, or a sleep if there is nothing to call with. Whether a socket
    /// answered. Without a socket that did, it may be early.
    fn select(&mut self, left: Option<Duration>) -> io::Result<bool> {
        for (told, asked) in self.told.iter_mut().zip(&self.asked) {
            told.copy(asked);
        }
        // Without a socket select fails.
        if self.told.iter().all(|set| set.sockets().is_empty()) {
            thread::sleep(left.unwrap_or(LONGEST).min(LONGEST));
            return Ok(false);
        }
        let timeout = left.map(timeval);
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        let [read, write, except] = self.told.each_mut().map(FdSet::as_mut_ptr);
        // SAFETY: each set has as many sockets as it says, or is null; so is the time.
        match unsafe { select(0, read, write, except, timeout) } {
            SOCKET_ERROR => Err(last_error()),
            count => Ok(count > 0),
        }
    }

    /// Moves the answer to the slots.
    fn collect(&mut self) {
        for set in &mut self.told {
            set.sort();
        }
        for slot in &mut self.slots {
            if slot.socket == INVALID_SOCKET || !slot.got.is_empty() {
                continue;
            }
            if self.told[READ].has(slot.socket) && slot.wants(READ) {
                slot.got |= slot.want & PollFlags::IN;
            }
            if self.told[WRITE].has(slot.socket) && slot.wants(WRITE) {
                slot.got |= slot.want & PollFlags::OUT;
            }
            if self.told[EXCEPT].has(slot.socket) {
                slot.got |= if is_connected(slot.socket) {
                    slot.want & PollFlags::PRI
                } else {
                    // Neither a read nor a write would block.
                    let in_out = PollFlags::IN | PollFlags::OUT;
                    PollFlags::ERR | PollFlags::HUP | (slot.want & in_out)
                };
            }
            self.ready += usize::from(!slot.got.is_empty());
        }
        if self.ready == 0 {
            // Out-of-band data that nobody asked for would end every wait. A
            // connection that has some was made: there is nothing else to ask.
            let told = &self.told[EXCEPT];
            let asked = &mut self.asked[EXCEPT];
            let rest: Vec<SOCKET> =
                asked.sockets().iter().copied().filter(|&socket| !told.has(socket)).collect();
            asked.fill(rest.into_iter());
            self.changed = true;
        }
    }

    /// One socket that is none fails the whole call: finds out which it is, and
    /// what the others have to say.
    #[cold]
    fn find_bad(&mut self) -> bool {
        for slot in &mut self.slots {
            if slot.socket != INVALID_SOCKET && check_socket(slot.socket).is_err() {
                slot.got = PollFlags::NVAL;
                self.ready += 1;
            }
        }
        if self.ready > 0 {
            self.ask();
            self.changed = true;
            if let Ok(true) = self.select(Some(Duration::ZERO)) {
                self.collect();
            }
        }
        self.ready > 0
    }
}

/// What one call is asked to wait at most; the caller goes on.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// In whole milliseconds, rounded up, for WinSock cuts off what is less.
fn timeval(left: Duration) -> TIMEVAL {
    let milliseconds = left.min(LONGEST).as_nanos().div_ceil(1_000_000) as i32;
    TIMEVAL { tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000 }
}
