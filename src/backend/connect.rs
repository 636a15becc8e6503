//! connect(2) that does not wait, which std lacks.

use std::io;
use std::net::{SocketAddr, TcpStream};

cfg_if::cfg_if! {
    if #[cfg(any(unix, all(target_os = "wasi", target_env = "p2")))] {
        use std::mem::{MaybeUninit, size_of};
        use std::os::fd::{FromRawFd, OwnedFd};

        /// Starts to connect.
        pub(crate) fn start_connect(address: &SocketAddr) -> io::Result<TcpStream> {
            let family = match address {
                SocketAddr::V4(_) => libc::AF_INET,
                SocketAddr::V6(_) => libc::AF_INET6,
            };
            // SAFETY: no pointers.
            let fd = unsafe { libc::socket(family as _, KIND, 0) };
            if fd == -1 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: the system just gave us this descriptor.
            let stream = TcpStream::from(unsafe { OwnedFd::from_raw_fd(fd) });
            #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
            {
                // SAFETY: flags of a descriptor of our own.
                unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
            }
            stream.set_nonblocking(true)?;
            let mut name = MaybeUninit::<libc::sockaddr_storage>::zeroed();
            let length = match address {
                SocketAddr::V4(v4) => {
                    let name = name.as_mut_ptr().cast::<libc::sockaddr_in>();
                    // SAFETY: a storage is large enough and aligned for every address.
                    unsafe {
                        (*name).sin_family = libc::AF_INET as _;
                        (*name).sin_port = v4.port().to_be();
                        (*name).sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                    }
                    size_of::<libc::sockaddr_in>()
                }
                SocketAddr::V6(v6) => {
                    let name = name.as_mut_ptr().cast::<libc::sockaddr_in6>();
                    // SAFETY: as above.
                    unsafe {
                        (*name).sin6_family = libc::AF_INET6 as _;
                        (*name).sin6_port = v6.port().to_be();
                        (*name).sin6_addr.s6_addr = v6.ip().octets();
                        (*name).sin6_flowinfo = v6.flowinfo();
                        (*name).sin6_scope_id = v6.scope_id();
                    }
                    size_of::<libc::sockaddr_in6>()
                }
            };
            // SAFETY: the address is valid for the length of its kind.
            let answer = unsafe { libc::connect(fd, name.as_ptr().cast(), length as _) };
            match answer {
                0 => Ok(stream),
                _ => match io::Error::last_os_error() {
                    error if under_way(error.raw_os_error()) => Ok(stream),
                    error => Err(error),
                },
            }
        }

        /// Interrupted by a signal, it goes on as well.
        fn under_way(error: Option<i32>) -> bool {
            error == Some(libc::EINPROGRESS) || error == Some(libc::EINTR)
        }

        #[cfg(any(target_os = "linux", target_os = "android"))]
        const KIND: libc::c_int = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        const KIND: libc::c_int = libc::SOCK_STREAM;
    } else {
        /// Connects.
        pub(crate) fn start_connect(address: &SocketAddr) -> io::Result<TcpStream> {
            let stream = TcpStream::connect(address)?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        }
    }
}
