//! A chat server, from one source natively and in WebAssembly: TCP clients, a
//! console on standard input, a heartbeat, and no client that holds up the
//! others, however slowly it reads.
//!
//! A client's lines: `name NAME`, `say TEXT` (to all), `more BYTES` (that much to
//! itself), `leave`. The console's: `announce TEXT`, `beats COUNT` (the next
//! heartbeats are told to all), `quit`. `scripts/demo-net` plays 200 clients and
//! the console, on each host, and compares what they were sent.
//!
//! ```text
//! cargo run --example chat --features net
//! READINESS_COMPONENT=1 scripts/cargo-for wasm32-wasip1 run --example chat --features net,wasi-io
//! ```

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use readiness::net::{TcpListener, TcpStream};
use readiness::{Events, Interest, Mode, Selector};

#[path = "common/console.rs"]
mod console;

const LISTENER: u64 = 0;
const CONSOLE: u64 = 1;
const HEARTBEAT: u64 = 2;
/// Clients have the tokens from here on.
const CLIENTS: u64 = 3;
const BEAT: Duration = Duration::from_millis(50);

struct Client {
    stream: TcpStream,
    name: String,
    /// A line that has not ended yet.
    partial: Vec<u8>,
    /// What it has not taken yet, and how much of that it has.
    waiting: Vec<u8>,
    taken: usize,
    /// The selector tells when it takes more.
    watched: bool,
}

struct Server {
    selector: Selector,
    listener: TcpListener,
    input: console::Console,
    clients: BTreeMap<u64, Client>,
    next: u64,
    console: Vec<u8>,
    beats_to_tell: u64,
    beats_told: u64,
    quits: bool,
}

impl Client {
    /// Writes as much as it takes. `false`: it is gone.
    fn write(&mut self) -> bool {
        while self.taken < self.waiting.len() {
            match self.stream.write(&self.waiting[self.taken..]) {
                Ok(count) => self.taken += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.waiting.clear();
        self.taken = 0;
        true
    }

    /// Reads what is there, as lines. `false`: it is at its end.
    fn read(&mut self, lines: &mut Vec<String>) -> bool {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return false,
                Ok(count) => split(&mut self.partial, &bytes[..count], lines),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }
}

fn split(partial: &mut Vec<u8>, bytes: &[u8], lines: &mut Vec<String>) {
    for part in bytes.split_inclusive(|byte| *byte == b'\n') {
        partial.extend_from_slice(part);
        if part.ends_with(b"\n") {
            lines.push(String::from_utf8_lossy(partial).trim_end().into());
            partial.clear();
        }
    }
}

impl Server {
    fn new(address: &str) -> io::Result<Server> {
        let selector = Selector::new()?;
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        selector.register(&listener, LISTENER, Interest::READ, Mode::Level)?;
        let input = console::open()?;
        selector.register(&input, CONSOLE, Interest::READ, Mode::Level)?;
        selector.add_periodic(HEARTBEAT, BEAT, BEAT)?;
        Ok(Server {
            selector,
            listener,
            input,
            clients: BTreeMap::new(),
            next: CLIENTS,
            console: Vec::new(),
            beats_to_tell: 0,
            beats_told: 0,
            quits: false,
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        while !(self.quits && self.clients.is_empty()) {
            self.selector.wait(&mut events, None)?;
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    CONSOLE => self.read_console()?,
                    HEARTBEAT => self.beat(event.expirations())?,
                    token => self.serve(token, event.is_readable())?,
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => self.add(stream)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // A client that gave up while it waited is not our end.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn add(&mut self, stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let token = self.next;
        self.next += 1;
        self.selector.register(&stream, token, Interest::READ, Mode::Level)?;
        let (name, partial, waiting) = (String::new(), Vec::new(), Vec::new());
        let client = Client { stream, name, partial, waiting, taken: 0, watched: false };
        self.clients.insert(token, client);
        Ok(())
    }

    fn remove(&mut self, token: u64) -> io::Result<()> {
        match self.clients.remove(&token) {
            Some(client) => self.selector.unregister(&client.stream),
            None => Ok(()),
        }
    }

    fn serve(&mut self, token: u64, readable: bool) -> io::Result<()> {
        let mut lines = Vec::new();
        let Some(client) = self.clients.get_mut(&token) else { return Ok(()) };
        let mut lives = !readable || client.read(&mut lines);
        for line in lines {
            self.obey(token, &line)?;
        }
        if let Some(client) = self.clients.get_mut(&token) {
            lives &= client.write();
        }
        if lives { self.watch(token) } else { self.remove(token) }
    }

    fn obey(&mut self, token: u64, line: &str) -> io::Result<()> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let Some(client) = self.clients.get_mut(&token) else { return Ok(()) };
        match word {
            "name" => {
                client.name = rest.into();
                self.send(token, &format!("welcome {rest}\n"))
            }
            "say" => {
                let text = format!("{}: {rest}\n", client.name);
                self.send_to_all(&text)
            }
            "more" => {
                let count: usize = rest.parse().unwrap_or(0);
                let line = "so much to tell and nobody listens\n";
                let text: String = line.chars().cycle().take(count).collect();
                self.send(token, &format!("{text}\n"))
            }
            "leave" => {
                let text = format!("bye {}\n", client.name);
                self.send(token, &text)
            }
            _ => self.send(token, "what?\n"),
        }
    }

    fn read_console(&mut self) -> io::Result<()> {
        // Larger than the buffer of std, which passes such a read on and keeps nothing.
        let mut bytes = vec![0; 1 << 16];
        let count = (&self.input).read(&mut bytes)?;
        let mut lines = Vec::new();
        split(&mut self.console, &bytes[..count], &mut lines);
        if count == 0 {
            self.selector.unregister(&self.input)?;
            lines.push("quit".into());
        }
        for line in lines {
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match word {
                "announce" => self.send_to_all(&format!("console: {rest}\n"))?,
                "beats" => self.beats_to_tell += rest.parse().unwrap_or(0),
                "quit" if !self.quits => {
                    self.quits = true;
                    self.selector.unregister(&self.listener)?;
                    self.send_to_all("the end\n")?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn beat(&mut self, times: u32) -> io::Result<()> {
        for _ in 0..times {
            if self.beats_told < self.beats_to_tell {
                self.beats_told += 1;
                self.send_to_all(&format!("beat {}\n", self.beats_told))?;
            }
        }
        Ok(())
    }

    fn send_to_all(&mut self, text: &str) -> io::Result<()> {
        let tokens: Vec<u64> = self.clients.keys().copied().collect();
        tokens.into_iter().try_for_each(|token| self.send(token, text))
    }

    /// Takes note of what a client gets. Nobody waits for it.
    fn send(&mut self, token: u64, text: &str) -> io::Result<()> {
        let Some(client) = self.clients.get_mut(&token) else { return Ok(()) };
        let idle = client.waiting.is_empty();
        client.waiting.extend_from_slice(text.as_bytes());
        if idle && !client.write() {
            return self.remove(token);
        }
        self.watch(token)
    }

    /// Has the selector tell when a client takes more, while there is more.
    fn watch(&mut self, token: u64) -> io::Result<()> {
        let Some(client) = self.clients.get_mut(&token) else { return Ok(()) };
        let watched = !client.waiting.is_empty();
        if watched != client.watched {
            client.watched = watched;
            let mut interest = Interest::READ;
            interest.set(Interest::WRITE, watched);
            self.selector.modify(&client.stream, token, interest, Mode::Level)?;
        }
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into());
    let mut server = Server::new(&address)?;
    println!("listening on {} ({})", server.listener.local_addr()?, Selector::backend());
    server.run()
}
