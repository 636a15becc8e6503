//! UDP over `wasi:sockets/udp`.
//!
//! - [udp](https://github.com/WebAssembly/wasi-sockets/blob/main/wit/udp.wit)
//!
//! A datagram is received ahead, so that a false alarm is known.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fmt, io};

use wasip2::io::poll::Pollable as HostPollable;
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::ErrorCode;
use wasip2::sockets::udp::{
    IncomingDatagram, IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket,
};
use wasip2::sockets::udp_create_socket::create_udp_socket;

use super::convert::{error, family, finish, from_host, number, to_host};
use super::{Blocking, lock, new_name, not_zero};
use crate::backend::wasi_io::{NetSocket, Side};
use crate::flags::PollFlags;

pub(crate) struct Udp {
    name: u32,
    state: Mutex<State>,
}

struct State {
    // In this order they are dropped: children before their parents.
    input_ready: Option<HostPollable>,
    output_ready: Option<HostPollable>,
    streams: Option<(IncomingDatagramStream, OutgoingDatagramStream)>,
    socket: Option<UdpSocket>,
    ahead: Option<IncomingDatagram>,
    /// How many datagrams the host takes now, as far as is known.
    room: u64,
    error: Option<i32>,
    peer: Option<SocketAddr>,
    nonblocking: bool,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

fn not_open() -> io::Error {
    io::Error::from_raw_os_error(libc::EBADF)
}

impl State {
    fn pollable(&mut self, side: Side) -> Option<&HostPollable> {
        let (input, output) = self.streams.as_ref()?;
        Some(match side {
            Side::Output => self.output_ready.get_or_insert_with(|| output.subscribe()),
            _ => self.input_ready.get_or_insert_with(|| input.subscribe()),
        })
    }

    fn receive_ahead(&mut self) {
        if let (None, None, Some((input, _))) = (&self.ahead, self.error, &self.streams) {
            match input.receive(1) {
                Ok(datagrams) => self.ahead = datagrams.into_iter().next(),
                Err(ErrorCode::WouldBlock) => {}
                Err(code) => self.error = Some(number(code)),
            }
        }
    }

    fn check_room(&mut self) {
        if let (0, None, Some((_, output))) = (self.room, self.error, &self.streams) {
            match output.check_send() {
                Ok(room) => self.room = room,
                Err(ErrorCode::WouldBlock) => {}
                Err(code) => self.error = Some(number(code)),
            }
        }
    }

    fn known(&self) -> PollFlags {
        if self.socket.is_none() {
            return PollFlags::NVAL;
        }
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, self.ahead.is_some());
        flags.set(PollFlags::OUT, self.room > 0);
        if self.error.is_some() {
            flags |= PollFlags::ERR | PollFlags::IN | PollFlags::OUT;
        }
        flags
    }

    /// `None`: it would block.
    fn try_receive(
        &mut self,
        into: &mut [u8],
        peek: bool,
    ) -> io::Result<Option<(usize, SocketAddr)>> {
        if self.streams.is_none() {
            return Err(not_open());
        }
        self.receive_ahead();
        if let Some(number) = self.error.take() {
            return Err(io::Error::from_raw_os_error(number));
        }
        let Some(datagram) = &self.ahead else { return Ok(None) };
        // What does not fit is lost, as everywhere.
        let count = datagram.data.len().min(into.len());
        into[..count].copy_from_slice(&datagram.data[..count]);
        let from = from_host(datagram.remote_address);
        if !peek {
            self.ahead = None;
        }
        Ok(Some((count, from)))
    }

    fn try_send(&mut self, bytes: &[u8], to: Option<SocketAddr>) -> io::Result<Option<usize>> {
        self.check_room();
        if let Some(number) = self.error.take() {
            return Err(io::Error::from_raw_os_error(number));
        }
        let Some((_, output)) = &self.streams else { return Err(not_open()) };
        if self.room == 0 {
            return Ok(None);
        }
        self.room = 0;
        let remote_address = to.as_ref().map(to_host);
        let datagram = OutgoingDatagram { data: bytes.to_vec(), remote_address };
        match output.send(&[datagram]) {
            Ok(0) | Err(ErrorCode::WouldBlock) => Ok(None),
            Ok(_) => Ok(Some(bytes.len())),
            Err(code) => Err(error(code)),
        }
    }
}

impl NetSocket for Udp {
    fn name(&self) -> u32 {
        self.name
    }

    fn known(&self) -> PollFlags {
        lock(&self.state).known()
    }

    fn bytes(&self) -> Option<u64> {
        lock(&self.state).ahead.as_ref().map(|datagram| datagram.data.len() as u64)
    }

    fn ask(&self, want: PollFlags, ask: &mut dyn FnMut(&HostPollable, Side)) {
        let mut state = lock(&self.state);
        let input = want.contains(PollFlags::IN) && state.ahead.is_none();
        let output = want.contains(PollFlags::OUT) && state.room == 0;
        for (side, asks) in [(Side::Input, input), (Side::Output, output)] {
            if asks && state.error.is_none() {
                if let Some(pollable) = state.pollable(side) {
                    ask(pollable, side);
                }
            }
        }
    }

    fn look(&self, want: PollFlags, side: Side) -> PollFlags {
        let mut state = lock(&self.state);
        match side {
            Side::Output => state.check_room(),
            _ => state.receive_ahead(),
        }
        state.known() & (want | PollFlags::UNASKED)
    }
}

impl fmt::Debug for Udp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Udp").field(&self.name).finish()
    }
}

impl Udp {
    pub(crate) fn bind(address: &SocketAddr) -> io::Result<Arc<Udp>> {
        let socket = create_udp_socket(family(address)).map_err(error)?;
        {
            let changed = socket.subscribe();
            socket.start_bind(&instance_network(), to_host(address)).map_err(error)?;
            finish(|| socket.finish_bind(), || changed.block())?;
        }
        let streams = socket.stream(None).map_err(error)?;
        let state = State {
            input_ready: None,
            output_ready: None,
            streams: Some(streams),
            socket: Some(socket),
            ahead: None,
            room: 0,
            error: None,
            peer: None,
            nonblocking: false,
            read_timeout: None,
            write_timeout: None,
        };
        Ok(Arc::new(Udp { name: new_name(), state: Mutex::new(state) }))
    }

    /// Sets the peer: datagrams go there and come from there alone.
    pub(crate) fn connect(&self, address: &SocketAddr) -> io::Result<()> {
        let mut state = lock(&self.state);
        // The host wants the streams of before gone, and their children first.
        state.input_ready = None;
        state.output_ready = None;
        state.streams = None;
        state.ahead = None;
        state.room = 0;
        let Some(socket) = &state.socket else { return Err(not_open()) };
        let (peer, result) = match socket.stream(Some(to_host(address))) {
            Ok(streams) => (Some(*address), Ok(streams)),
            Err(code) => (None, Err(code)),
        };
        match result {
            Ok(streams) => {
                state.streams = Some(streams);
                state.peer = peer;
                Ok(())
            }
            Err(code) => {
                // As before, without a peer.
                let streams = socket.stream(None).ok();
                state.streams = streams;
                state.peer = None;
                Err(error(code))
            }
        }
    }

    /// Calls until it is done, or would block and must not.
    fn until_done<T>(
        &self,
        side: Side,
        mut call: impl FnMut(&mut State) -> io::Result<Option<T>>,
    ) -> io::Result<T> {
        let mut state = lock(&self.state);
        let mut blocking = Blocking::new(match side {
            Side::Output => state.write_timeout,
            _ => state.read_timeout,
        });
        loop {
            if let Some(done) = call(&mut state)? {
                return Ok(done);
            }
            let nonblocking = state.nonblocking;
            let Some(pollable) = state.pollable(side) else { return Err(not_open()) };
            // A host may learn that there is room only by being asked.
            let ready = if nonblocking { pollable.ready() } else { blocking.block_on(pollable) };
            if nonblocking && ready {
                if let Some(done) = call(&mut state)? {
                    return Ok(done);
                }
            }
            if nonblocking || !ready {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
    }

    pub(crate) fn receive(&self, into: &mut [u8], peek: bool) -> io::Result<(usize, SocketAddr)> {
        self.until_done(Side::Input, |state| state.try_receive(into, peek))
    }

    pub(crate) fn send(&self, bytes: &[u8], to: Option<SocketAddr>) -> io::Result<usize> {
        {
            let state = lock(&self.state);
            if to.is_none() && state.peer.is_none() {
                return Err(io::Error::from_raw_os_error(libc::EDESTADDRREQ));
            }
        }
        self.until_done(Side::Output, |state| state.try_send(bytes, to))
    }

    pub(crate) fn local_address(&self) -> io::Result<SocketAddr> {
        let state = lock(&self.state);
        let socket = state.socket.as_ref().ok_or_else(not_open)?;
        socket.local_address().map(from_host).map_err(error)
    }

    pub(crate) fn peer_address(&self) -> io::Result<SocketAddr> {
        let peer = lock(&self.state).peer;
        peer.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOTCONN))
    }

    pub(crate) fn hop_limit(&self) -> io::Result<u32> {
        let state = lock(&self.state);
        let socket = state.socket.as_ref().ok_or_else(not_open)?;
        socket.unicast_hop_limit().map(u32::from).map_err(error)
    }

    pub(crate) fn set_hop_limit(&self, limit: u32) -> io::Result<()> {
        let limit = u8::try_from(limit).map_err(|_| io::ErrorKind::InvalidInput)?;
        let state = lock(&self.state);
        let socket = state.socket.as_ref().ok_or_else(not_open)?;
        socket.set_unicast_hop_limit(limit).map_err(error)
    }

    pub(crate) fn take_error(&self) -> Option<io::Error> {
        lock(&self.state).error.take().map(io::Error::from_raw_os_error)
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

    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.input_ready = None;
        state.output_ready = None;
        state.streams = None;
        state.socket = None;
        state.ahead = None;
        state.error = None;
    }
}
