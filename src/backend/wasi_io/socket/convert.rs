//! The host's addresses and errors as std has them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use wasip2::io::streams::Error as StreamFailure;
use wasip2::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};

pub(super) fn family(address: &SocketAddr) -> IpAddressFamily {
    match address {
        SocketAddr::V4(_) => IpAddressFamily::Ipv4,
        SocketAddr::V6(_) => IpAddressFamily::Ipv6,
    }
}

pub(super) fn to_host(address: &SocketAddr) -> IpSocketAddress {
    match address {
        SocketAddr::V4(v4) => IpSocketAddress::Ipv4(Ipv4SocketAddress {
            port: v4.port(),
            address: v4.ip().octets().into(),
        }),
        SocketAddr::V6(v6) => IpSocketAddress::Ipv6(Ipv6SocketAddress {
            port: v6.port(),
            flow_info: v6.flowinfo(),
            address: v6.ip().segments().into(),
            scope_id: v6.scope_id(),
        }),
    }
}

pub(super) fn from_host(address: IpSocketAddress) -> SocketAddr {
    match address {
        IpSocketAddress::Ipv4(v4) => {
            let octets: [u8; 4] = v4.address.into();
            SocketAddr::new(IpAddr::V4(Ipv4Addr::from(octets)), v4.port)
        }
        IpSocketAddress::Ipv6(v6) => {
            let segments: [u16; 8] = v6.address.into();
            let ip = Ipv6Addr::from(segments);
            SocketAddr::V6(SocketAddrV6::new(ip, v6.port, v6.flow_info, v6.scope_id))
        }
    }
}

/// `errno` for the host's code: std takes its kind from there.
pub(super) fn number(code: ErrorCode) -> i32 {
    match code {
        ErrorCode::AccessDenied => libc::EACCES,
        ErrorCode::NotSupported => libc::ENOTSUP,
        ErrorCode::InvalidArgument | ErrorCode::InvalidState => libc::EINVAL,
        ErrorCode::OutOfMemory => libc::ENOMEM,
        ErrorCode::Timeout => libc::ETIMEDOUT,
        ErrorCode::ConcurrencyConflict | ErrorCode::NotInProgress => libc::EALREADY,
        ErrorCode::WouldBlock => libc::EAGAIN,
        ErrorCode::NewSocketLimit => libc::EMFILE,
        ErrorCode::AddressNotBindable => libc::EADDRNOTAVAIL,
        ErrorCode::AddressInUse => libc::EADDRINUSE,
        ErrorCode::RemoteUnreachable => libc::EHOSTUNREACH,
        ErrorCode::ConnectionRefused => libc::ECONNREFUSED,
        ErrorCode::ConnectionReset => libc::ECONNRESET,
        ErrorCode::ConnectionAborted => libc::ECONNABORTED,
        ErrorCode::DatagramTooLarge => libc::EMSGSIZE,
        ErrorCode::Unknown
        | ErrorCode::NameUnresolvable
        | ErrorCode::TemporaryResolverFailure
        | ErrorCode::PermanentResolverFailure => libc::EIO,
    }
}

pub(super) fn error(code: ErrorCode) -> io::Error {
    io::Error::from_raw_os_error(number(code))
}

/// A stream that failed gives words and no code. Nearly always the peer reset the
/// connection.
pub(super) fn stream_number(failure: &StreamFailure) -> i32 {
    let words = failure.to_debug_string().to_ascii_lowercase();
    let known = [
        ("timed out", libc::ETIMEDOUT),
        ("etimedout", libc::ETIMEDOUT),
        ("aborted", libc::ECONNABORTED),
        ("broken pipe", libc::EPIPE),
        ("epipe", libc::EPIPE),
        ("unreachable", libc::EHOSTUNREACH),
    ];
    let known = known.iter().find(|(word, _)| words.contains(word));
    known.map_or(libc::ECONNRESET, |&(_, number)| number)
}

/// An operation of two halves, start and finish, to its end.
pub(super) fn finish<T>(
    mut half: impl FnMut() -> Result<T, ErrorCode>,
    wait: impl Fn(),
) -> io::Result<T> {
    loop {
        match half() {
            Err(ErrorCode::WouldBlock) => wait(),
            other => return other.map_err(error),
        }
    }
}
