//! TCP over `wasi:sockets/tcp`.
//!
//! - [tcp](https://github.com/WebAssembly/wasi-sockets/blob/main/wit/tcp.wit),
//!   [streams](https://github.com/WebAssembly/wasi-io/blob/main/wit/streams.wit)
//!
//! The host tells that a stream is ready and not why. So what is ready is read
//! ahead, up to a limit, and an incoming connection accepted ahead: then end of
//! file, reset and false alarms are known.

use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fmt, io};

use wasip2::io::poll::Pollable as HostPollable;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpSocketAddress};
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

use super::convert::{error, family, finish, from_host, number, stream_number, to_host};
use super::{Blocking, Linger, block_on, linger, lock, new_name, not_zero, sweep};
use crate::backend::wasi_io::{EITHER, NetSocket, Side};
use crate::flags::PollFlags;

/// How much is read ahead at once, and how much waits at most to be taken.
const CHUNK: usize = 16 * 1024;
const AHEAD: usize = 64 * 1024;

/// How much the host is given at once. It takes any amount and sends what the
/// peer has no room for by and by: with small pieces, a slow peer is noticed.
const PIECE: usize = 64 * 1024;

/// Connections that wait to be accepted, at most: the host has its own limit.
const BACKLOG: u64 = 4096;

/// What the host calls a connection. Children are dropped before their parent.
struct Connection {
    input: InputStream,
    output: OutputStream,
    socket: TcpSocket,
}

pub(crate) struct Tcp {
    name: u32,
    state: Mutex<State>,
}

struct State {
    // In this order they are dropped: children before their parents.
    input: Option<Input>,
    output: Option<Output>,
    changed: Option<HostPollable>,
    socket: Option<TcpSocket>,
    phase: Phase,
    /// A connection that was accepted ahead.
    accepted: Option<Connection>,
    /// `SO_ERROR`: told once.
    error: Option<i32>,
    nonblocking: bool,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    nodelay: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Connected,
    /// Refused, or reset: both directions are at their end.
    Failed,
    Listening,
    Closed,
}

struct Input {
    ready: Option<HostPollable>,
    stream: InputStream,
    ahead: Vec<u8>,
    /// How much of it was taken.
    taken: usize,
    ended: bool,
}

struct Output {
    ready: Option<HostPollable>,
    stream: OutputStream,
    /// How much the host takes now, as far as is known.
    room: usize,
    /// The most that it ever took: then it has sent everything.
    most: usize,
    /// Something was written that the host may still have.
    written: bool,
    /// Nothing was written or refused yet.
    fresh: bool,
    ended: bool,
}

/// What a call finds.
enum Tried<T> {
    Done(T),
    WouldBlock(Side),
}

impl Input {
    fn ahead(&self) -> &[u8] {
        &self.ahead[self.taken..]
    }

    fn take(&mut self, count: usize) {
        self.taken += count;
        if self.taken == self.ahead.len() {
            self.ahead.clear();
            self.taken = 0;
        }
    }

    /// Reads what is there. The error is `errno`.
    fn read(&mut self, most: usize) -> Result<Vec<u8>, i32> {
        match self.stream.read(most as u64) {
            Ok(bytes) => Ok(bytes),
            Err(StreamError::Closed) => {
                self.ended = true;
                Ok(Vec::new())
            }
            Err(StreamError::LastOperationFailed(failure)) => Err(stream_number(&failure)),
        }
    }

    fn read_ahead(&mut self) -> Result<(), i32> {
        if !self.ended && self.ahead().len() < AHEAD {
            let bytes = self.read(CHUNK)?;
            self.ahead.drain(..self.taken);
            self.taken = 0;
            self.ahead.extend_from_slice(&bytes);
        }
        Ok(())
    }
}

impl Output {
    fn ready(&mut self) -> &HostPollable {
        self.ready.get_or_insert_with(|| self.stream.subscribe())
    }

    /// How much the host takes. Of what it was sending it tells only when it was
    /// asked whether it is ready.
    fn look(&mut self) -> Result<usize, StreamError> {
        let mut room = self.stream.check_write()?;
        if room == 0 && self.ready().ready() {
            room = self.stream.check_write()?;
        }
        Ok(usize::try_from(room).unwrap_or(usize::MAX))
    }

    /// Whether the host has something that it could not send yet.
    fn is_sending(&mut self) -> bool {
        self.written = self.written && matches!(self.look(), Ok(room) if room < self.most);
        self.written
    }

    /// Sees how much the host takes. The error is `errno`.
    fn check(&mut self) -> Result<(), i32> {
        if self.room > 0 || self.ended {
            return Ok(());
        }
        let mut room = self.look();
        // A new connection takes something, and hosts take their time to notice.
        if self.fresh && matches!(room, Ok(0)) {
            block_on(self.ready(), Some(Duration::from_millis(20)));
            room = self.look();
        }
        self.fresh = false;
        self.room = room.map_err(|error| stream_errno(&error))?;
        self.most = self.most.max(self.room);
        Ok(())
    }
}

fn stream_errno(error: &StreamError) -> i32 {
    match error {
        StreamError::Closed => libc::EPIPE,
        StreamError::LastOperationFailed(failure) => stream_number(failure),
    }
}

impl State {
    fn new(socket: TcpSocket, phase: Phase) -> State {
        State {
            input: None,
            output: None,
            changed: None,
            socket: Some(socket),
            phase,
            accepted: None,
            error: None,
            nonblocking: false,
            read_timeout: None,
            write_timeout: None,
            nodelay: false,
        }
    }

    fn connected(socket: TcpSocket, input: InputStream, output: OutputStream) -> State {
        let mut state = State::new(socket, Phase::Connected);
        state.open(input, output);
        state
    }

    fn open(&mut self, input: InputStream, output: OutputStream) {
        let (ahead, taken) = (Vec::new(), 0);
        self.input = Some(Input { ready: None, stream: input, ahead, taken, ended: false });
        self.output = Some(Output {
            ready: None,
            stream: output,
            room: 0,
            most: 0,
            written: false,
            fresh: true,
            ended: false,
        });
        self.phase = Phase::Connected;
    }

    fn fail(&mut self, number: i32) {
        self.phase = Phase::Failed;
        self.error = Some(number);
    }

    fn socket(&self) -> io::Result<&TcpSocket> {
        self.socket.as_ref().ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))
    }

    /// The pollable of one side; `None` if there is no such side.
    fn pollable(&mut self, side: Side) -> Option<&HostPollable> {
        match side {
            Side::State => {
                let socket = self.socket.as_ref()?;
                Some(self.changed.get_or_insert_with(|| socket.subscribe()))
            }
            Side::Input => {
                let Input { ready, stream, .. } = self.input.as_mut()?;
                Some(ready.get_or_insert_with(|| stream.subscribe()))
            }
            Side::Output => Some(self.output.as_mut()?.ready()),
        }
    }

    /// Whether the connection that is being made has come about.
    fn progress(&mut self) {
        if self.phase != Phase::Connecting {
            return;
        }
        let Some(socket) = &self.socket else { return };
        match socket.finish_connect() {
            Ok((input, output)) => self.open(input, output),
            Err(ErrorCode::WouldBlock) => {}
            Err(code) => self.fail(number(code)),
        }
    }

    fn accept_ahead(&mut self) {
        let (Phase::Listening, None, Some(socket)) = (self.phase, &self.accepted, &self.socket)
        else {
            return;
        };
        match socket.accept() {
            Ok((socket, input, output)) => {
                self.accepted = Some(Connection { input, output, socket });
            }
            Err(ErrorCode::WouldBlock) => {}
            Err(code) => self.error = Some(number(code)),
        }
    }

    fn known(&self) -> PollFlags {
        let mut flags = PollFlags::empty();
        if self.error.is_some() {
            flags |= PollFlags::ERR | PollFlags::IN;
        }
        match self.phase {
            Phase::Connecting => {}
            Phase::Closed => flags = PollFlags::NVAL,
            Phase::Failed => flags |= EITHER | PollFlags::HUP | PollFlags::RDHUP,
            Phase::Listening => flags.set(PollFlags::IN, self.accepted.is_some()),
            Phase::Connected => {
                let ended = self.input.as_ref().is_some_and(|input| input.ended);
                let data = self.input.as_ref().is_some_and(|input| !input.ahead().is_empty());
                let shut = self.output.as_ref().is_some_and(|output| output.ended);
                let room = self.output.as_ref().is_some_and(|output| output.room > 0);
                if ended || data {
                    flags |= PollFlags::IN;
                }
                if ended {
                    flags |= PollFlags::RDHUP;
                }
                if shut || room {
                    flags |= PollFlags::OUT;
                }
                if ended && shut {
                    flags |= PollFlags::HUP;
                }
            }
        }
        flags
    }

    /// Whether a side has to be asked for what is wanted.
    fn asks(&self, want: PollFlags, side: Side) -> bool {
        let reads = want.intersects(PollFlags::IN | PollFlags::RDHUP);
        match (self.phase, side) {
            // A failure is told unasked.
            (Phase::Connecting, Side::State) => true,
            (Phase::Listening, Side::State) => reads && self.accepted.is_none(),
            (Phase::Connected, Side::Input) if reads => self.input.as_ref().is_some_and(|input| {
                let ahead = input.ahead().len();
                !input.ended && (ahead == 0 || want.contains(PollFlags::RDHUP) && ahead < AHEAD)
            }),
            (Phase::Connected, Side::Output) if want.contains(PollFlags::OUT) => {
                self.output.as_ref().is_some_and(|output| !output.ended && output.room == 0)
            }
            _ => false,
        }
    }

    fn try_read(&mut self, into: &mut [u8], peek: bool) -> io::Result<Tried<usize>> {
        self.progress();
        if let Phase::Connecting = self.phase {
            return Ok(Tried::WouldBlock(Side::State));
        }
        let refused = self.error;
        let Some(input) = &mut self.input else {
            self.error = None;
            return match (self.phase, refused) {
                (Phase::Failed, Some(number)) => Err(io::Error::from_raw_os_error(number)),
                (Phase::Failed, None) => Ok(Tried::Done(0)),
                _ => Err(io::Error::from_raw_os_error(libc::ENOTCONN)),
            };
        };
        if into.is_empty() {
            return Ok(Tried::Done(0));
        }
        if input.ahead().is_empty() {
            if let Some(number) = self.error.take() {
                return Err(io::Error::from_raw_os_error(number));
            }
            if input.ended || self.phase == Phase::Failed {
                return Ok(Tried::Done(0));
            }
            let read = if peek || into.len() < CHUNK {
                input.read_ahead().map(|()| Vec::new())
            } else {
                input.read(into.len().min(AHEAD))
            };
            match read {
                Ok(bytes) if !bytes.is_empty() => {
                    into[..bytes.len()].copy_from_slice(&bytes);
                    return Ok(Tried::Done(bytes.len()));
                }
                Ok(_) => {}
                Err(number) => {
                    self.phase = Phase::Failed;
                    return Err(io::Error::from_raw_os_error(number));
                }
            }
        }
        let ahead = input.ahead();
        if ahead.is_empty() {
            return Ok(match input.ended {
                true => Tried::Done(0),
                false => Tried::WouldBlock(Side::Input),
            });
        }
        let count = ahead.len().min(into.len());
        into[..count].copy_from_slice(&ahead[..count]);
        if !peek {
            input.take(count);
        }
        Ok(Tried::Done(count))
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<Tried<usize>> {
        self.progress();
        if let Phase::Connecting = self.phase {
            return Ok(Tried::WouldBlock(Side::State));
        }
        if let Some(number) = self.error.take() {
            return Err(io::Error::from_raw_os_error(number));
        }
        let output = match (&mut self.output, self.phase) {
            (Some(output), Phase::Connected) if !output.ended => output,
            (_, Phase::Connected | Phase::Failed) => {
                return Err(io::Error::from_raw_os_error(libc::EPIPE));
            }
            _ => return Err(io::Error::from_raw_os_error(libc::ENOTCONN)),
        };
        let mut written = output.check();
        let count = bytes.len().min(output.room).min(PIECE);
        if written.is_ok() && count > 0 {
            output.room = 0;
            output.written = true;
            written = output.stream.write(&bytes[..count]).map_err(|error| stream_errno(&error));
        }
        match written {
            Err(number) => {
                self.phase = Phase::Failed;
                Err(io::Error::from_raw_os_error(number))
            }
            Ok(()) if count == 0 && !bytes.is_empty() => Ok(Tried::WouldBlock(Side::Output)),
            Ok(()) => Ok(Tried::Done(count)),
        }
    }

    fn try_accept(&mut self) -> io::Result<Tried<Connection>> {
        if self.phase != Phase::Listening {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        self.accept_ahead();
        if let Some(number) = self.error.take() {
            return Err(io::Error::from_raw_os_error(number));
        }
        Ok(match self.accepted.take() {
            Some(connection) => Tried::Done(connection),
            None => Tried::WouldBlock(Side::State),
        })
    }
}

impl NetSocket for Tcp {
    fn name(&self) -> u32 {
        self.name
    }

    fn known(&self) -> PollFlags {
        lock(&self.state).known()
    }

    fn bytes(&self) -> Option<u64> {
        let state = lock(&self.state);
        state.input.as_ref().map(|input| input.ahead().len() as u64)
    }

    fn ask(&self, want: PollFlags, ask: &mut dyn FnMut(&HostPollable, Side)) {
        let mut state = lock(&self.state);
        for side in [Side::State, Side::Input, Side::Output] {
            if state.asks(want, side) {
                if let Some(pollable) = state.pollable(side) {
                    ask(pollable, side);
                }
            }
        }
    }

    fn look(&self, want: PollFlags, side: Side) -> PollFlags {
        let mut state = lock(&self.state);
        match side {
            Side::State => {
                state.progress();
                state.accept_ahead();
            }
            Side::Input => {
                let read = state.input.as_mut().map_or(Ok(()), Input::read_ahead);
                if let Err(number) = read {
                    state.fail(number);
                }
            }
            Side::Output => {
                let checked = state.output.as_mut().map_or(Ok(()), Output::check);
                if let Err(number) = checked {
                    state.fail(number);
                }
            }
        }
        // What has just come about may be asked about at the next turn.
        state.known() & (want | PollFlags::UNASKED)
    }
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tcp").field(&self.name).finish()
    }
}

impl Tcp {
    fn new(state: State) -> Arc<Tcp> {
        Arc::new(Tcp { name: new_name(), state: Mutex::new(state) })
    }

    /// Calls until it is done, or would block and must not.
    fn until_done<T>(
        &self,
        timeout: impl Fn(&State) -> Option<Duration>,
        mut call: impl FnMut(&mut State) -> io::Result<Tried<T>>,
    ) -> io::Result<T> {
        let mut state = lock(&self.state);
        let mut blocking = None;
        loop {
            let side = match call(&mut state)? {
                Tried::Done(done) => return Ok(done),
                Tried::WouldBlock(side) => side,
            };
            if state.nonblocking {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let blocking = blocking.get_or_insert_with(|| Blocking::new(timeout(&state)));
            if let Some(pollable) = state.pollable(side) {
                if !blocking.block_on(pollable) {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
            }
        }
    }

    pub(crate) fn read(&self, into: &mut [u8], peek: bool) -> io::Result<usize> {
        self.until_done(|state| state.read_timeout, |state| state.try_read(into, peek))
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.until_done(|state| state.write_timeout, |state| state.try_write(bytes))
    }

    /// Waits until the host has sent what it took; if the socket does not block it
    /// goes on doing that by itself.
    pub(crate) fn flush(&self) -> io::Result<()> {
        {
            let mut state = lock(&self.state);
            let blocks = state.phase == Phase::Connected && !state.nonblocking;
            match &mut state.output {
                Some(output) if blocks && output.written && !output.ended => {
                    output.room = 0;
                    // An error is told by the next call.
                    let _ = output.stream.flush();
                }
                _ => return Ok(()),
            }
        }
        self.until_done(
            |state| state.write_timeout,
            |state| match state.output.as_mut().map(Output::look) {
                Some(Ok(0)) => Ok(Tried::WouldBlock(Side::Output)),
                _ => Ok(Tried::Done(())),
            },
        )
    }

    /// A listener.
    pub(crate) fn listen(address: &SocketAddr) -> io::Result<Arc<Tcp>> {
        let socket = create_tcp_socket(family(address)).map_err(error)?;
        {
            let changed = socket.subscribe();
            let wait = || changed.block();
            let network = instance_network();
            // More than it likes is an error to some hosts, and no harm.
            let _ = socket.set_listen_backlog_size(BACKLOG);
            socket.start_bind(&network, to_host(address)).map_err(error)?;
            finish(|| socket.finish_bind(), wait)?;
            socket.start_listen().map_err(error)?;
            finish(|| socket.finish_listen(), wait)?;
        }
        Ok(Tcp::new(State::new(socket, Phase::Listening)))
    }

    /// Starts to connect; a socket that does not block. An error that the host knows
    /// at once is told at once.
    pub(crate) fn start_connect(address: &SocketAddr) -> io::Result<Arc<Tcp>> {
        let socket = create_tcp_socket(family(address)).map_err(error)?;
        socket.start_connect(&instance_network(), to_host(address)).map_err(error)?;
        let mut state = State { nonblocking: true, ..State::new(socket, Phase::Connecting) };
        // wasmtime begins when it is asked for the first time.
        state.progress();
        Ok(Tcp::new(state))
    }

    /// Connects.
    pub(crate) fn connect(address: &SocketAddr, timeout: Option<Duration>) -> io::Result<Arc<Tcp>> {
        let tcp = Tcp::start_connect(address)?;
        lock(&tcp.state).nonblocking = false;
        let connected = tcp.until_done(
            |_| timeout,
            |state| {
                state.progress();
                match (state.phase, state.error.take()) {
                    (_, Some(number)) => Err(io::Error::from_raw_os_error(number)),
                    (Phase::Connecting, None) => Ok(Tried::WouldBlock(Side::State)),
                    _ => Ok(Tried::Done(())),
                }
            },
        );
        match connected {
            Ok(()) => Ok(tcp),
            Err(error) => {
                tcp.close();
                Err(match error.kind() {
                    io::ErrorKind::WouldBlock => io::Error::from_raw_os_error(libc::ETIMEDOUT),
                    _ => error,
                })
            }
        }
    }

    pub(crate) fn accept(&self) -> io::Result<(Arc<Tcp>, SocketAddr)> {
        let Connection { input, output, socket } = self.until_done(|_| None, State::try_accept)?;
        let peer = socket.remote_address().map(from_host);
        let state = State::connected(socket, input, output);
        // A peer that is gone already has no address any more.
        let peer = peer.unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        Ok((Tcp::new(state), peer))
    }

    fn with_socket<T>(
        &self,
        call: impl FnOnce(&TcpSocket) -> Result<T, ErrorCode>,
    ) -> io::Result<T> {
        call(lock(&self.state).socket()?).map_err(error)
    }

    pub(crate) fn local_address(&self) -> io::Result<SocketAddr> {
        self.with_socket(TcpSocket::local_address).map(from_host)
    }

    pub(crate) fn peer_address(&self) -> io::Result<SocketAddr> {
        lock(&self.state).progress();
        let address: io::Result<IpSocketAddress> = self.with_socket(TcpSocket::remote_address);
        // The host calls it an invalid state.
        address.map(from_host).map_err(|_| io::Error::from_raw_os_error(libc::ENOTCONN))
    }

    pub(crate) fn hop_limit(&self) -> io::Result<u32> {
        self.with_socket(TcpSocket::hop_limit).map(u32::from)
    }

    pub(crate) fn set_hop_limit(&self, limit: u32) -> io::Result<()> {
        let limit = u8::try_from(limit).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.with_socket(|socket| socket.set_hop_limit(limit))
    }

    pub(crate) fn take_error(&self) -> Option<io::Error> {
        let mut state = lock(&self.state);
        state.progress();
        state.error.take().map(io::Error::from_raw_os_error)
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        lock(&self.state).nonblocking = nonblocking;
    }

    pub(crate) fn timeouts(&self) -> (Option<Duration>, Option<Duration>) {
        let state = lock(&self.state);
        (state.read_timeout, state.write_timeout)
    }

    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        lock(&self.state).read_timeout = not_zero(timeout)?;
        Ok(())
    }

    pub(crate) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        lock(&self.state).write_timeout = not_zero(timeout)?;
        Ok(())
    }

    pub(crate) fn nodelay(&self) -> bool {
        lock(&self.state).nodelay
    }

    pub(crate) fn set_nodelay(&self, nodelay: bool) {
        lock(&self.state).nodelay = nodelay;
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.progress();
        let kind = match how {
            Shutdown::Read => ShutdownType::Receive,
            Shutdown::Write => ShutdownType::Send,
            Shutdown::Both => ShutdownType::Both,
        };
        match state.socket()?.shutdown(kind) {
            Ok(()) => {}
            Err(ErrorCode::InvalidState) => {
                return Err(io::Error::from_raw_os_error(libc::ENOTCONN));
            }
            Err(code) => return Err(error(code)),
        }
        if let (Shutdown::Read | Shutdown::Both, Some(input)) = (how, &mut state.input) {
            input.ended = true;
        }
        if let (Shutdown::Write | Shutdown::Both, Some(output)) = (how, &mut state.output) {
            output.ended = true;
        }
        Ok(())
    }

    /// Lets go of it. What the host took is sent nevertheless, as an operating
    /// system does: the stream stays until then.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        let phase = std::mem::replace(&mut state.phase, Phase::Closed);
        // Children before their parents.
        state.error = None;
        state.accepted = None;
        state.input = None;
        state.changed = None;
        let (output, socket) = (state.output.take(), state.socket.take());
        drop(state);
        if let (Some(mut output), Some(socket), Phase::Connected) = (output, socket, phase) {
            if output.is_sending() {
                linger(Box::new(Lingering { output, socket }));
            } else {
                drop(output);
                drop(socket);
            }
        }
        sweep(&mut |_| {});
    }
}

/// What is left of a connection that was closed while the host still sends.
struct Lingering {
    output: Output,
    #[expect(dead_code, reason = "it is dropped after its child")]
    socket: TcpSocket,
}

impl Linger for Lingering {
    fn is_sending(&mut self, ask: &mut dyn FnMut(&HostPollable)) -> bool {
        let sending = self.output.is_sending();
        if sending && !self.output.ready().ready() {
            ask(self.output.ready());
        }
        sending
    }
}
