//! TCP sockets as descriptors: how they are made, moved bytes through, and ended. No state and no events.

use crate::address::RawAddress;
use crate::errno::{check, check_len, last_errno, of};
use core::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use stdx::env::IoError;
use stdx::mem::{Memory, Span};

/// A new non-blocking TCP socket of the address's family.
fn tcp(address: SocketAddr) -> Result<OwnedFd, IoError> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the call takes integers only; what it returns is a descriptor that nobody else owns.
    unsafe { check(libc::socket(family, kind, 0)).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

/// A listening socket. Its address may be taken again at once after a restart.
pub(crate) fn listen(address: SocketAddr) -> Result<OwnedFd, IoError> {
    let fd = tcp(address)?;
    set(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1_i32)?;
    if address.is_ipv6() {
        // [::] is then IPv6 alone, so that 0.0.0.0 can be listened on beside it.
        set(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1_i32)?;
    }
    let raw = RawAddress::from(address);
    // SAFETY: the pointer and length are of one live address.
    check(unsafe { libc::bind(fd.as_raw_fd(), raw.as_ptr(), raw.len()) })?;
    // SAFETY: integers only.
    check(unsafe { libc::listen(fd.as_raw_fd(), BACKLOG) })?;
    Ok(fd)
}

/// Takes the next connection that waits at a listening socket, and its peer's address.
pub(crate) fn accept(listener: RawFd) -> Result<(OwnedFd, SocketAddr), IoError> {
    let mut peer = RawAddress::room();
    let (at, len) = peer.as_mut_ptrs();
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: both pointers are to live storage of the length that stands in `len`; the new descriptor is nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(check(libc::accept4(listener, at, len, flags))?) };
    no_delay(&fd)?;
    Ok((fd, peer.get().ok_or(IoError::Unsupported)?))
}

/// Starts a connection: the socket, and whether it is there already.
pub(crate) fn connect(address: SocketAddr) -> Result<(OwnedFd, bool), IoError> {
    let fd = tcp(address)?;
    no_delay(&fd)?;
    let raw = RawAddress::from(address);
    // SAFETY: the pointer and length are of one live address.
    let result = unsafe { libc::connect(fd.as_raw_fd(), raw.as_ptr(), raw.len()) };
    if result == 0 {
        return Ok((fd, true));
    }
    match last_errno() {
        libc::EINPROGRESS | libc::EINTR => Ok((fd, false)),
        // For connect(2) this is not "later": there is no free local port.
        libc::EAGAIN => Err(IoError::AddressNotAvailable),
        errno => Err(of(errno)),
    }
}

/// How a connection attempt ended, or the error that waits on the socket.
pub(crate) fn pending_error(fd: &OwnedFd) -> Result<(), IoError> {
    let mut errno = 0_i32;
    let mut len = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the kernel writes one i32, as `len` says.
    check(unsafe {
        let at = (&raw mut errno).cast();
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ERROR, at, &raw mut len)
    })?;
    if errno == 0 { Ok(()) } else { Err(of(errno)) }
}

/// Moves bytes that have arrived into memory. `into` is not empty.
pub(crate) fn recv(fd: &OwnedFd, memory: &mut Memory, into: Span) -> Result<usize, IoError> {
    loop {
        // SAFETY: `address` checked that the span lies in a live mapping, which cannot change while `memory` is borrowed
        // here; the kernel writes at most the span's length, and `&mut` excludes every slice of that memory.
        let got = unsafe {
            libc::recv(fd.as_raw_fd(), memory.address(into).cast(), into.len(), libc::MSG_DONTWAIT)
        };
        match check_len(got) {
            Err(IoError::Os(libc::EINTR)) => {}
            other => return other,
        }
    }
}

/// Moves bytes of `from`, in order, out; says how many. A partial count means that the socket is full.
pub(crate) fn send(fd: &OwnedFd, memory: &Memory, from: &[Span]) -> Result<usize, IoError> {
    // Not zeroed: most sends have a few pieces, and the whole has two kilobytes.
    let mut iovecs = [const { MaybeUninit::<libc::iovec>::uninit() }; IOVECS];
    let mut sent = 0;
    for batch in from.chunks(IOVECS) {
        let mut wanted = 0;
        for (iovec, &span) in iovecs.iter_mut().zip(batch) {
            iovec.write(libc::iovec { iov_base: memory.address(span).cast(), iov_len: span.len() });
            wanted += span.len();
        }
        // SAFETY: the loop above wrote as many vectors as there are spans in the batch.
        match send_once(fd, unsafe { iovecs[..batch.len()].assume_init_ref() }) {
            Ok(len) => {
                sent += len;
                if len < wanted {
                    break;
                }
            }
            Err(error) if sent == 0 => return Err(error),
            // What went out counts; the error stays with the socket and shows at the next call.
            Err(_) => break,
        }
    }
    Ok(sent)
}

fn send_once(fd: &OwnedFd, iovecs: &[libc::iovec]) -> Result<usize, IoError> {
    // SAFETY: msghdr is integers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = iovecs.as_ptr().cast_mut();
    message.msg_iovlen = iovecs.len();
    loop {
        // SAFETY: the caller made each vector from a checked span of memory that it still borrows; the kernel only reads.
        let sent = unsafe {
            libc::sendmsg(fd.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)
        };
        match check_len(sent) {
            Err(IoError::Os(libc::EINTR)) => {}
            other => return other,
        }
    }
}

/// Says to the peer that nothing more will be sent.
pub(crate) fn finish(fd: &OwnedFd) {
    // SAFETY: the call takes integers only. It fails for what is not connected; then there is nobody to tell.
    unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_WR) };
}

/// Throws away what has arrived. True once the peer has ended, or the connection is broken.
pub(crate) fn discard(fd: &OwnedFd) -> bool {
    for _ in 0..DISCARDS {
        // SAFETY: with MSG_TRUNC a TCP socket drops bytes without writing any (tcp(7)), so that there need be no memory.
        let got = unsafe {
            let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
            libc::recv(fd.as_raw_fd(), core::ptr::null_mut(), DISCARD, flags)
        };
        match check_len(got) {
            Ok(0) => return true,
            Ok(_) | Err(IoError::Os(libc::EINTR)) => {}
            Err(error) => return error != IoError::WouldBlock,
        }
    }
    // It sends faster than we listen: it does not want to hear our last words.
    true
}

/// Makes the close that follows a reset: what was not yet sent is thrown away.
pub(crate) fn reset_on_close(fd: &OwnedFd) {
    // It fails only for what is no socket; then there is nothing to reset.
    let _ = set(fd, libc::SOL_SOCKET, libc::SO_LINGER, libc::linger { l_onoff: 1, l_linger: 0 });
}

fn no_delay(fd: &OwnedFd) -> Result<(), IoError> {
    set(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1_i32)
}

fn set<T>(fd: &OwnedFd, level: i32, name: i32, value: T) -> Result<(), IoError> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel reads one value of the length given.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), len) })?;
    Ok(())
}

/// Connections that may wait to be accepted; the kernel lowers it to net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// Spans per system call. Larger lists take several.
const IOVECS: usize = 128;

/// Bytes thrown away in one call, and calls in a row.
const DISCARD: usize = 1 << 20;
const DISCARDS: usize = 64;
