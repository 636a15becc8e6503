//! sock_diag(7): the one who knows how many connections wait at an `AF_UNIX`
//! socket.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use crate::backend::identity;
use crate::backend::unix::check;
use crate::source::Held;

// linux/sock_diag.h, linux/unix_diag.h
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const UDIAG_SHOW_RQLEN: u32 = 0x10;
const UNIX_DIAG_RQLEN: u16 = 4;
const HEADER: usize = 16;
const ANSWER: usize = 16;

/// Connections that wait to be accepted.
pub(super) fn unix_backlog(fd: RawFd) -> Option<u32> {
    let (_, inode) = identity(&Held::Fd(fd))?;
    let mut netlink = netlink().ok()?;
    netlink.write_all(&request(u32::try_from(inode).ok()?)).ok()?;
    let mut answer = [0; 256];
    let len = netlink.read(&mut answer).ok()?;
    parse(answer.get(..len)?)
}

fn netlink() -> io::Result<File> {
    // SAFETY: no pointers.
    let fd = check(unsafe {
        libc::socket(
            libc::AF_NETLINK,
            libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
            libc::NETLINK_INET_DIAG,
        )
    })?;
    // SAFETY: the kernel just gave us this descriptor.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// A netlink header and a `unix_diag_req`.
fn request(inode: u32) -> [u8; HEADER + 24] {
    let mut message = [0; HEADER + 24];
    let mut put = |at: usize, bytes: &[u8]| message[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &((HEADER + 24) as u32).to_ne_bytes());
    put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(6, &(libc::NLM_F_REQUEST as u16).to_ne_bytes());
    put(HEADER, &[libc::AF_UNIX as u8]);
    // Any state, any cookie.
    put(HEADER + 4, &u32::MAX.to_ne_bytes());
    put(HEADER + 8, &inode.to_ne_bytes());
    put(HEADER + 12, &UDIAG_SHOW_RQLEN.to_ne_bytes());
    put(HEADER + 16, &u64::MAX.to_ne_bytes());
    message
}

/// The length of the receive queue: of one that listens, the connections in it.
fn parse(answer: &[u8]) -> Option<u32> {
    let half = |at: usize| Some(u16::from_ne_bytes(answer.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_ne_bytes(answer.get(at..at + 4)?.try_into().ok()?));
    if half(4)? != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let mut at = HEADER + ANSWER;
    loop {
        let (len, kind) = (usize::from(half(at)?), half(at + 2)?);
        if kind == UNIX_DIAG_RQLEN {
            return word(at + 4);
        }
        at += len.next_multiple_of(4).max(4);
    }
}
