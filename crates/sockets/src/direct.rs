//! Writing and reading that copies nothing here: bytes that a peer reads from where they lie, and that come to where they are wanted.

use crate::errors::error_of;
use crate::{SdpBuffer, SdpStream};
use sdp::sockets::{Placed, SocketError, Taken};
use std::io;
use std::ops::Range;

impl SdpStream {
    /// Writes bytes of a buffer without copying them, if they are many: [`Config::zero_copy_min`](sdp::sockets::Config::zero_copy_min) or
    /// more, which the peer then reads from where they lie. Says how many: of many, all. A stream that blocks waits until no write
    /// needs the buffer; one that does not returns at once, and the buffer is busy until the peer has read
    /// ([`SdpBuffer::is_busy`]). What the peer does not read soon goes in messages.
    ///
    /// # Errors
    /// When the stream is closed for writing, the range or the buffer is not of this fabric, or nothing can be taken and it does not
    /// block. If the write timeout passes, or the stream ends, while the buffer is busy, that is the error: the bytes may arrive.
    pub fn write_from(&self, buffer: &SdpBuffer, range: Range<usize>) -> io::Result<usize> {
        let range = self.range_of(buffer, range)?;
        let (len, mut is_lent) = (range.len(), false);
        if len == 0 {
            return Ok(0);
        }
        let written = self.repeat(self.timeouts().write, |state, key| {
            Ok(match state.write_from(key, buffer.key(), range.clone())? {
                Taken::Copied(len) => len,
                Taken::Lent => {
                    is_lent = true;
                    len
                }
            })
        })?;
        if is_lent && self.blocks() {
            self.wait_for(buffer).inspect_err(|_| self.recall())?;
        }
        Ok(written)
    }

    /// Has the peer let go of what was lent to it and what it has not read (SrcAvailCancel). That goes in messages instead, so that a buffer
    /// is free once its bytes were sent, though the peer has no memory for them.
    pub fn recall(&self) {
        // One that is not there has lent nothing.
        let _ = self.with(|state, key| {
            state.with(key, |port, env, id| {
                port.sockets.recall(env, &mut port.device, id);
                Ok(())
            })
        });
    }

    /// Waits until no write needs a buffer.
    fn wait_for(&self, buffer: &SdpBuffer) -> io::Result<()> {
        let waited = self.fabric().0.wait(self.key(), self.timeouts().write, |state| {
            if !state.is_busy(buffer.key()) {
                return Some(Ok(()));
            }
            let failed = state.with(self.key(), |port, _, id| Ok(port.sockets.take_error(id)));
            failed.and_then(|failed| failed.map_or(Ok(()), Err)).err().map(Err)
        });
        waited.unwrap_or(Err(SocketError::TimedOut)).map_err(error_of)
    }

    /// Reads bytes that come to this range of a buffer by themselves, if there is room for many:
    /// [`Config::place_min`](sdp::sockets::Config::place_min) or more. What the peer writes from a buffer is read from there, or else it is told
    /// where its bytes are wanted; peers that know no such thing, or send little, send messages, which are copied. Says how many came: none
    /// is the stream's end.
    ///
    /// If nothing has come, the range is the stream's from then on. A stream that blocks waits, and wants it back after the read timeout
    /// ([`SdpStream::withdraw`]). From one that does not, whoever asks for the same range again has the bytes once they came.
    ///
    /// # Errors
    /// When the stream ended as it should not, the range or the buffer is not of this fabric, some of it is needed by another read, nothing
    /// came in time, or nothing has come and it does not block.
    pub fn read_into(&self, buffer: &SdpBuffer, range: Range<usize>) -> io::Result<usize> {
        let range = self.range_of(buffer, range)?;
        if range.is_empty() {
            return Ok(0);
        }
        let read = self.repeat(self.timeouts().read, |state, key| {
            match state.read_into(key, buffer.key(), range.clone(), false)? {
                Placed::Bytes(len) => Ok(len),
                Placed::Taken | Placed::Waiting => Err(SocketError::WouldBlock),
            }
        });
        if read.is_err() && self.blocks() {
            self.withdraw();
        }
        read
    }

    /// Has a range of a buffer wait for the bytes behind those that other ranges wait for, so that the peer need not wait to be told where
    /// they are wanted; [`SdpStream::read_into`] of the same range gives them.
    ///
    /// # Errors
    /// When the stream is not open, as many ranges wait as may or this one is too short ([`io::ErrorKind::WouldBlock`]), or it is needed by
    /// another read, or not of this fabric.
    pub fn queue_into(&self, buffer: &SdpBuffer, range: Range<usize>) -> io::Result<()> {
        let range = self.range_of(buffer, range)?;
        let queued = self.with(|state, key| state.read_into(key, buffer.key(), range, true));
        queued.map(|_| ()).map_err(error_of)
    }

    /// Wants all ranges of buffers back that wait for bytes. They are free ([`SdpBuffer::is_busy`]) once the peer has said that it writes
    /// there no more; what it wrote by then is read next, as what came otherwise.
    pub fn withdraw(&self) {
        // One that is not there has none.
        let _ = self.with(|state, key| {
            state.with(key, |port, env, id| {
                port.sockets.withdraw(env, &mut port.device, id);
                Ok(())
            })
        });
    }

    /// A range, if it and the buffer are of this fabric.
    fn range_of(&self, buffer: &SdpBuffer, range: Range<usize>) -> io::Result<Range<usize>> {
        if !buffer.is_of(self.fabric()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        buffer.within(range)
    }
}
