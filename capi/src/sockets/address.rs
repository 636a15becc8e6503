//! wasi-libc's `struct sockaddr_in` and `sockaddr_in6`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use libc::{c_int, c_void};

use crate::errno::{Answer, Errno};
use crate::memory;

/// An address family, by wasi-libc's number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Inet = 1,
    Inet6 = 2,
}

impl Family {
    pub(super) fn of(number: c_int) -> Option<Family> {
        match number {
            1 => Some(Family::Inet),
            2 => Some(Family::Inet6),
            _ => None,
        }
    }

    /// Any address, any port.
    pub(super) fn any(self) -> SocketAddr {
        match self {
            Family::Inet => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            Family::Inet6 => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        }
    }
}

/// Family, port, address; or family, port, flow information, address, scope.
const INET: usize = 16;
const INET6: usize = 32;

/// # Safety
/// `at` is NULL, or the caller's address of `size` bytes.
pub(super) unsafe fn load(
    at: *const c_void,
    size: u32,
    family: Option<Family>,
) -> Answer<SocketAddr> {
    let invalid = Errno(libc::EINVAL);
    let size = size as usize;
    if size > 1024 {
        return Err(invalid);
    }
    // SAFETY: the caller's address.
    let bytes: Vec<u8> = unsafe { memory::read(at.cast(), size) }?;
    let [low, high, port_high, port_low, rest @ ..] = bytes.as_slice() else {
        return Err(invalid);
    };
    let own = Family::of(u16::from_le_bytes([*low, *high]).into());
    if own.is_none() || family.is_some() && own != family {
        return Err(Errno(libc::EAFNOSUPPORT));
    }
    let port = u16::from_be_bytes([*port_high, *port_low]);
    if own == Some(Family::Inet) {
        // What comes behind the address is padding.
        let (address, _) = rest.split_first_chunk::<4>().ok_or(invalid)?;
        return Ok(SocketAddr::from((Ipv4Addr::from(*address), port)));
    }
    let (flow, rest) = rest.split_first_chunk::<4>().ok_or(invalid)?;
    let (address, rest) = rest.split_first_chunk::<16>().ok_or(invalid)?;
    let (scope, _) = rest.split_first_chunk::<4>().ok_or(invalid)?;
    let address = Ipv6Addr::from(*address);
    let scope = u32::from_le_bytes(*scope);
    Ok(SocketAddrV6::new(address, port, u32::from_be_bytes(*flow), scope).into())
}

/// Writes as much as there is room for, and the size that it has.
///
/// # Safety
/// `at` and `size` are NULL, or the caller's address and its size.
pub(super) unsafe fn store(address: SocketAddr, at: *mut c_void, size: *mut u32) -> Answer {
    let mut bytes = [0; INET6];
    bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
    let len = match address {
        SocketAddr::V4(address) => {
            bytes[0] = Family::Inet as u8;
            bytes[4..8].copy_from_slice(&address.ip().octets());
            INET
        }
        SocketAddr::V6(address) => {
            bytes[0] = Family::Inet6 as u8;
            bytes[4..8].copy_from_slice(&address.flowinfo().to_be_bytes());
            bytes[8..24].copy_from_slice(&address.ip().octets());
            bytes[24..28].copy_from_slice(&address.scope_id().to_le_bytes());
            INET6
        }
    };
    // SAFETY: the caller's address and its size.
    unsafe {
        let room = memory::optional(size.cast_const()).ok_or(Errno(libc::EFAULT))?;
        memory::write(at.cast(), &bytes[..len.min(room as usize)])?;
        memory::write(size, &[len as u32])?;
    }
    Ok(0)
}
