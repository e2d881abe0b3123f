//! What the standard library calls what goes wrong.

use sdp::sockets::SocketError;
use std::io;
use stdx::env::IoError;

/// Of a stream.
pub(crate) fn error_of(error: SocketError) -> io::Error {
    let kind = match error {
        SocketError::WouldBlock => io::ErrorKind::WouldBlock,
        SocketError::NotFound => io::ErrorKind::NotConnected,
        SocketError::Closed => io::ErrorKind::BrokenPipe,
        SocketError::Refused => io::ErrorKind::ConnectionRefused,
        SocketError::Reset | SocketError::Protocol => io::ErrorKind::ConnectionReset,
        SocketError::TimedOut => io::ErrorKind::TimedOut,
        SocketError::Overlap => io::ErrorKind::InvalidInput,
        SocketError::Limit => io::ErrorKind::OutOfMemory,
    };
    io::Error::new(kind, error)
}

pub(crate) fn io_error(error: IoError) -> io::Error {
    match error {
        IoError::AddressInUse => io::ErrorKind::AddrInUse.into(),
        other => io::Error::other(other),
    }
}
