//! What the sequences reached: source kind by operation by flag by answer.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::sources::Kind;

/// Kind, operation, flag, answer.
pub type Cell = (Kind, &'static str, &'static str, &'static str);

/// `EPOLL*` by name.
pub const FLAGS: [(&str, u32); 15] = [
    ("IN", 0x1),
    ("PRI", 0x2),
    ("OUT", 0x4),
    ("ERR", 0x8),
    ("HUP", 0x10),
    ("RDNORM", 0x40),
    ("RDBAND", 0x80),
    ("WRNORM", 0x100),
    ("WRBAND", 0x200),
    ("MSG", 0x400),
    ("RDHUP", 0x2000),
    ("EXCLUSIVE", 1 << 28),
    ("WAKEUP", 1 << 29),
    ("ONESHOT", 1 << 30),
    ("ET", 1 << 31),
];

const CONTROL: [&str; 3] = ["add", "modify", "delete"];
pub const ANSWERS: [(&str, i32); 7] = [
    ("ok", 0),
    ("EBADF", libc::EBADF),
    ("EPERM", libc::EPERM),
    ("EINVAL", libc::EINVAL),
    ("ELOOP", libc::ELOOP),
    ("EEXIST", libc::EEXIST),
    ("ENOENT", libc::ENOENT),
];
pub const MODES: [&str; 4] = ["level", "edge", "oneshot", "edge oneshot"];
pub const DOINGS: [&str; 12] = [
    "make",
    "close",
    "reuse",
    "dup",
    "put",
    "take",
    "fill",
    "drain",
    "close peer",
    "shut peer",
    "shut",
    "urgent",
];

#[derive(Default)]
pub struct Table {
    cells: BTreeMap<Cell, u64>,
    /// How many sequences ended because a source moved by itself.
    pub moved: u64,
    /// How many differed once, for what TCP did meanwhile.
    pub once: u64,
}

impl Table {
    pub fn reached(&mut self, cell: Cell) {
        *self.cells.entry(cell).or_default() += 1;
    }

    pub fn control(&mut self, kind: Kind, operation: &'static str, flags: u32, answer: i32) {
        let name = ANSWERS.iter().find(|(_, number)| *number == answer);
        let answer = name.map_or("another", |(name, _)| name);
        let mut none = true;
        for (name, bit) in FLAGS {
            if flags & bit != 0 && operation != "delete" {
                self.reached((kind, operation, name, answer));
                none = false;
            }
        }
        if none {
            self.reached((kind, operation, "none", answer));
        }
    }

    pub fn told(&mut self, kind: Kind, mode: &'static str, flags: u32) {
        for (name, bit) in FLAGS {
            if flags & bit != 0 {
                self.reached((kind, "wait", name, mode));
            }
        }
    }

    /// The table as text, the cells that were not reached though they can be, and
    /// those that were reached though they cannot.
    pub fn report(&self) -> (String, Vec<Cell>, Vec<Cell>) {
        let mut text = String::new();
        let (mut empty, mut wrong) = (Vec::new(), Vec::new());
        let mut impossible = 0;
        for cell in cells() {
            let count = self.cells.get(&cell).copied().unwrap_or(0);
            match (count, is_impossible(cell)) {
                (0, Some(_)) => impossible += 1,
                (0, None) => empty.push(cell),
                (_, Some(_)) => wrong.push(cell),
                (_, None) => {}
            }
        }
        wrong.extend(self.cells.keys().filter(|cell| !cells().any(|other| other == **cell)));

        let mut rows: BTreeMap<(Kind, &str, &str), Vec<String>> = BTreeMap::new();
        for ((kind, operation, flag, answer), count) in &self.cells {
            let row = rows.entry((*kind, operation, flag)).or_default();
            row.push(format!("{answer} {count}"));
        }
        for ((kind, operation, flag), answers) in rows {
            let name = format!("{kind:?}");
            let _ = writeln!(text, "{name:14} {operation:10} {flag:10} {}", answers.join(", "));
        }
        let _ = writeln!(text, "{} cells reached, {impossible} impossible", self.cells.len());
        (text, empty, wrong)
    }
}

fn cells() -> impl Iterator<Item = Cell> {
    let flags = || FLAGS.into_iter().map(|(name, _)| name).chain(["none"]);
    Kind::ALL.into_iter().flat_map(move |kind| {
        let control = CONTROL.into_iter().flat_map(move |operation| {
            flags().flat_map(move |flag| {
                ANSWERS.into_iter().map(move |(answer, _)| (kind, operation, flag, answer))
            })
        });
        let wait = flags()
            .flat_map(move |flag| MODES.into_iter().map(move |mode| (kind, "wait", flag, mode)));
        let doings = DOINGS.into_iter().map(move |doing| (kind, doing, "none", "ok"));
        control.chain(wait).chain(doings)
    })
}

/// What a kind of source can be ready for.
fn readiness(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::PipeRead => &["IN", "RDNORM", "HUP"],
        Kind::PipeWrite => &["OUT", "WRNORM", "ERR"],
        Kind::Stream => &["IN", "RDNORM", "OUT", "WRNORM", "WRBAND", "HUP", "RDHUP", "ERR"],
        Kind::Datagram => &["IN", "RDNORM", "OUT", "WRNORM", "WRBAND", "HUP", "RDHUP"],
        Kind::Tcp => &["IN", "RDNORM", "OUT", "WRNORM", "PRI", "HUP", "RDHUP", "ERR"],
        Kind::TcpHalfClosed => &["IN", "RDNORM", "OUT", "WRNORM", "HUP", "RDHUP", "ERR"],
        Kind::TcpReset | Kind::TcpRefused => {
            &["IN", "RDNORM", "OUT", "WRNORM", "HUP", "RDHUP", "ERR"]
        }
        Kind::TcpFresh => &["OUT", "WRNORM", "HUP", "IN", "RDNORM", "RDHUP"],
        Kind::Listener => &["IN", "RDNORM", "OUT", "WRNORM", "HUP", "RDHUP"],
        Kind::Udp => &["IN", "RDNORM", "OUT", "WRNORM", "WRBAND", "HUP", "RDHUP"],
        Kind::EventFd => &["IN", "OUT"],
        Kind::File | Kind::Null => &[],
        Kind::Set => &["IN", "RDNORM"],
    }
}

/// What can be done to a kind of source.
fn doings(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::PipeRead => &["put", "take", "close peer"],
        Kind::PipeWrite => &["fill", "drain", "close peer"],
        Kind::Stream => &["put", "take", "fill", "drain", "close peer", "shut peer", "shut"],
        Kind::Datagram => &["put", "take", "fill", "drain", "close peer", "shut"],
        Kind::Tcp => &["put", "take", "fill", "drain", "close peer", "shut peer", "shut", "urgent"],
        Kind::TcpHalfClosed => &["put", "take", "fill", "drain", "close peer", "shut peer", "shut"],
        Kind::TcpReset | Kind::TcpRefused | Kind::TcpFresh => &["take", "shut"],
        Kind::Listener => &["put", "take", "shut"],
        Kind::Udp => &["put", "take", "close peer", "shut"],
        Kind::EventFd => &["put", "take", "fill", "drain"],
        Kind::File | Kind::Null | Kind::Set => &[],
    }
}

/// Why a cell cannot be reached; `None` if it can.
fn is_impossible((kind, operation, flag, answer): Cell) -> Option<&'static str> {
    let file = matches!(kind, Kind::File | Kind::Null);
    let set = kind == Kind::Set;
    if DOINGS.contains(&operation) {
        return match operation {
            "make" | "close" => None,
            "reuse" | "dup" if set => Some("an emulated set has no number"),
            "reuse" | "dup" => None,
            _ if doings(kind).contains(&operation) => None,
            _ => Some("this kind has no such operation"),
        };
    }
    if operation == "wait" {
        return match readiness(kind).contains(&flag) {
            true => None,
            false => Some("this kind is never ready for that, or the flag is never told"),
        };
    }
    if operation == "delete" && flag != "none" {
        return Some("delete takes no flags");
    }
    let exclusive = flag == "EXCLUSIVE";
    match answer {
        "ok" if file => Some("a file is refused first"),
        "ok" if exclusive && (operation == "modify" || set) => Some("EINVAL"),
        "ok" => None,
        "EBADF" if set => Some("a set that is gone has no name"),
        "EBADF" => None,
        "EPERM" if file => None,
        "EPERM" => Some("only files"),
        _ if file => Some("a file is refused first"),
        "EINVAL" if operation == "delete" && !set => Some("only the set itself"),
        "EINVAL" if operation == "add" && flag == "none" && !set => Some("needs EXCLUSIVE"),
        "EINVAL" => None,
        "ELOOP" if !set => Some("only sets"),
        "ELOOP" if operation != "add" => Some("only add"),
        "EEXIST" if operation != "add" => Some("only add"),
        "ELOOP" | "EEXIST" if exclusive && set => Some("EINVAL first"),
        "ELOOP" | "EEXIST" => None,
        "ENOENT" if operation == "add" => Some("only modify and delete"),
        "ENOENT" if exclusive => Some("EINVAL first"),
        _ => None,
    }
}
