//! How far both directions of a TCP connection have come, as the kernel counts it.
//!
//! Ours alone would miss what is written and read behind our back. The numbers are those of `struct tcp_info`, by their places:
//! a kernel older than 4.19 does not have all of them, and then nothing is carried.

use crate::next;
use core::ffi::c_void;
use libc::{FIONREAD, IPPROTO_TCP, TCP_INFO, c_int};

/// Bytes that were written to the connection since it began; unknown once its own direction has ended. Nobody may write
/// meanwhile.
pub fn written(fd: c_int) -> Option<u64> {
    let info = Info::of(fd)?;
    if !matches!(info.state()?, ESTABLISHED | CLOSE_WAIT) {
        return None;
    }
    let sent = info.long(BYTES_SENT)?.checked_sub(info.long(BYTES_RETRANSMITTED)?)?;
    sent.checked_add(u64::from(info.word(NOT_SENT)?))
}

/// Bytes that were read from the connection since it began; unknown once the peer's direction has ended, which the kernel
/// counts as a byte at some times and not at others. Nobody may read meanwhile.
pub fn read(fd: c_int) -> Option<u64> {
    for _ in 0..ATTEMPTS {
        let before = Info::of(fd)?.received()?;
        let unread = unread(fd)?;
        // What comes between the two would be in one and not in the other.
        if Info::of(fd)?.received()? == before {
            return before.checked_sub(unread);
        }
    }
    None
}

fn unread(fd: c_int) -> Option<u64> {
    let mut count: c_int = 0;
    // SAFETY: the request writes one integer, which is ours.
    let answer = unsafe { next::ioctl(fd, FIONREAD, &raw mut count as libc::c_ulong) };
    (answer == 0).then(|| u64::try_from(count).ok()).flatten()
}

/// `struct tcp_info`, as much as the kernel gave.
struct Info {
    bytes: [u8; 256],
    len: usize,
}

impl Info {
    fn of(fd: c_int) -> Option<Info> {
        let mut info = Info { bytes: [0; 256], len: 256 };
        let mut len = info.bytes.len() as libc::socklen_t;
        // SAFETY: the kernel writes at most `len` bytes to memory of ours.
        let answer = unsafe {
            next::getsockopt(fd, IPPROTO_TCP, TCP_INFO, info.bytes.as_mut_ptr().cast::<c_void>(), &mut len)
        };
        info.len = len as usize;
        (answer == 0).then_some(info)
    }

    fn state(&self) -> Option<u8> {
        self.bytes.get(..self.len)?.first().copied()
    }

    /// Bytes that came.
    fn received(&self) -> Option<u64> {
        let is_open = matches!(self.state()?, ESTABLISHED | FIN_WAIT_1 | FIN_WAIT_2);
        self.long(BYTES_RECEIVED).filter(|_| is_open)
    }

    fn long(&self, at: usize) -> Option<u64> {
        let bytes = self.bytes.get(..self.len)?.get(at..at + 8)?;
        Some(u64::from_ne_bytes(bytes.try_into().ok()?))
    }

    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(..self.len)?.get(at..at + 4)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    }
}

/// Bytes may keep coming; they end when the peer's window does.
const ATTEMPTS: usize = 64;

const ESTABLISHED: u8 = 1;
const FIN_WAIT_1: u8 = 4;
const FIN_WAIT_2: u8 = 5;
const CLOSE_WAIT: u8 = 8;

const BYTES_RECEIVED: usize = 128;
const NOT_SENT: usize = 144;
const BYTES_SENT: usize = 200;
const BYTES_RETRANSMITTED: usize = 208;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    #[test]
    fn the_kernel_counts_what_both_ends_did() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut here = TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
        let (mut there, _) = listener.accept().expect("the other end");
        assert_eq!((written(here.as_raw_fd()), read(there.as_raw_fd())), (Some(0), Some(0)));
        here.write_all(&[7; 100_000]).expect("room for it");
        let mut some = [0; 777];
        there.read_exact(&mut some).expect("bytes");
        assert_eq!((written(here.as_raw_fd()), read(there.as_raw_fd())), (Some(100_000), Some(777)));
        assert_eq!((written(there.as_raw_fd()), read(here.as_raw_fd())), (Some(0), Some(0)));
        here.shutdown(Shutdown::Write).expect("it is open");
        there.read_to_end(&mut Vec::new()).expect("bytes");
        assert_eq!((written(here.as_raw_fd()), read(there.as_raw_fd())), (None, None));
        assert_eq!((written(there.as_raw_fd()), read(here.as_raw_fd())), (Some(0), Some(0)));
    }
}
