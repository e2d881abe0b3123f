//! A stream to another relay, with what waits to be sent and what has not been understood yet.

use sockets::SdpStream;
use std::io;
use std::net::Shutdown;

/// See the module.
#[derive(Debug)]
pub(crate) struct Channel {
    stream: SdpStream,
    outbox: Vec<u8>,
    /// Bytes of the outbox that were sent.
    sent: usize,
    inbox: Vec<u8>,
    /// Bytes of the inbox that were understood.
    taken: usize,
    is_ended: bool,
}

impl Channel {
    /// Over a stream, which does not block from now on.
    pub(crate) fn new(stream: SdpStream) -> Channel {
        stream.set_nonblocking(true);
        Channel { stream, outbox: Vec::new(), sent: 0, inbox: Vec::new(), taken: 0, is_ended: false }
    }

    /// Whether the stream is there; an error if it will not be.
    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        match self.stream.take_error() {
            Some(error) => Err(error),
            None => Ok(self.stream.readiness().writable),
        }
    }

    /// What is to be sent: more may be put behind it.
    pub(crate) fn outbox(&mut self) -> &mut Vec<u8> {
        &mut self.outbox
    }

    /// Whether all was handed to the stream.
    pub(crate) fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Whether the peer sends no more, and all that it sent is here.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Sends what can be sent; true if any was.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        let mut has_moved = false;
        while self.sent < self.outbox.len() && self.stream.readiness().writable {
            match self.stream.send(&self.outbox[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            has_moved = true;
        }
        if self.sent == self.outbox.len() {
            self.outbox.clear();
            self.sent = 0;
        }
        Ok(has_moved)
    }

    /// Takes what has come, up to a limit; true if anything did.
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        self.inbox.drain(..self.taken);
        self.taken = 0;
        let mut has_moved = false;
        while !self.is_ended && self.inbox.len() < INBOX_MAX && self.stream.readiness().readable {
            let len = self.inbox.len();
            self.inbox.resize(INBOX_MAX, 0);
            let count = self.stream.receive(&mut self.inbox[len..]);
            self.inbox.truncate(len + count.as_ref().copied().unwrap_or(0));
            match count {
                Ok(count) => self.is_ended = count == 0,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            has_moved = true;
        }
        Ok(has_moved)
    }

    /// What came and was not understood yet.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.inbox[self.taken..]
    }

    /// So many bytes of it were.
    pub(crate) fn advance(&mut self, count: usize) {
        self.taken += count;
    }

    /// So many bytes, once they have come.
    pub(crate) fn take<const LEN: usize>(&mut self) -> Option<[u8; LEN]> {
        let bytes = *self.unread().first_chunk()?;
        self.advance(LEN);
        Some(bytes)
    }

    /// Throws away what has come.
    pub(crate) fn discard(&mut self) {
        self.taken = self.inbox.len();
    }

    /// Sends no more.
    pub(crate) fn shut(&self) {
        // A stream that is gone sends no more either.
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

/// Bytes that are taken at once: several frames.
const INBOX_MAX: usize = 128 << 10;
const _: () = assert!(INBOX_MAX > 2 * crate::frame::Frame::LEN_MAX);
