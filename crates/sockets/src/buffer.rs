//! Memory for writing and reading without a copy: [`SdpBuffer`].
//!
//! A buffer is memory of the fabric's. It is changed by copies alone, and not while a write or read needs it; it goes when nobody has it
//! and none needs it. Its bytes are never lent out as a slice, since a peer may be reading or writing them.

use crate::Fabric;
use crate::errors::error_of;
use crate::port::Port;
use crate::state::State;
use sdp::sockets::{Placed, SocketError, Taken};
use std::fmt;
use std::io;
use std::ops::Range;
use stdx::env::Env;
use stdx::mem::{Kind, RegionId, Span};
use stdx::slab::Key;

/// Memory that streams write from without copying it, and that the bytes they read come to by themselves; see
/// [`SdpStream::write_from`](crate::SdpStream::write_from) and [`SdpStream::read_into`](crate::SdpStream::read_into).
///
/// A peer on another host can read the bytes of a write until that needs them no more, and write to those of a read until it has said
/// that it is done. Peers on this machine, which are processes of the same user or of one that was let in, can read all of a buffer that
/// any of it was written from, for as long as it is there.
pub struct SdpBuffer {
    fabric: Fabric,
    key: Key,
    len: usize,
}

/// A buffer, as the fabric has it.
#[derive(Debug)]
pub(crate) struct Buffer {
    region: RegionId,
    memory: Span,
    /// Writes and reads that need it.
    uses: u32,
    /// Nobody has it.
    is_left: bool,
}

impl SdpBuffer {
    /// A buffer of zeros.
    ///
    /// # Errors
    /// When the system has no memory, there are as many as there may be, or it would be empty or longer than 1 GiB.
    pub fn new(fabric: &Fabric, len: usize) -> io::Result<Self> {
        if len == 0 || len > LEN_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let key = fabric.0.act(|state| state.add_buffer(len))?;
        Ok(Self { fabric: fabric.clone(), key, len })
    }

    /// Bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Never: there is none without bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a write or read needs it, as far as was heard since the last turn of the fabric. A read does from when it begins to wait
    /// until its bytes were taken, or no more are wanted ([`SdpStream::withdraw`](crate::SdpStream::withdraw)) and the peer knows.
    pub fn is_busy(&self) -> bool {
        self.fabric.0.act(|state| state.is_busy(self.key))
    }

    /// Copies bytes into it.
    ///
    /// # Errors
    /// When a write or read needs it ([`io::ErrorKind::WouldBlock`]), or they do not lie within it.
    pub fn fill(&self, at: usize, bytes: &[u8]) -> io::Result<()> {
        let range = self.within(at..at.saturating_add(bytes.len()))?;
        self.fabric.0.act(|state| {
            let buffer = state.buffers.get(self.key).ok_or(io::ErrorKind::NotFound)?;
            if buffer.uses > 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let memory = buffer.memory.slice(range.start, range.len());
            state.env.mem().write(memory, bytes);
            Ok(())
        })
    }

    /// Copies bytes out of it.
    ///
    /// # Errors
    /// When they do not lie within it.
    pub fn copy_to(&self, at: usize, into: &mut [u8]) -> io::Result<()> {
        let range = self.within(at..at.saturating_add(into.len()))?;
        self.fabric.0.act(|state| {
            let buffer = state.buffers.get(self.key).ok_or(io::ErrorKind::NotFound)?;
            let memory = buffer.memory.slice(range.start, range.len());
            state.env.mem().read(memory, into);
            Ok(())
        })
    }

    pub(crate) const fn key(&self) -> Key {
        self.key
    }

    pub(crate) fn is_of(&self, fabric: &Fabric) -> bool {
        std::sync::Arc::ptr_eq(&self.fabric.0, &fabric.0)
    }

    /// A range, if it lies within the buffer.
    pub(crate) fn within(&self, range: Range<usize>) -> io::Result<Range<usize>> {
        if range.start > range.end || range.end > self.len {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(range)
    }
}

impl State {
    fn add_buffer(&mut self, len: usize) -> io::Result<Key> {
        self.buffers.next_key().ok_or_else(|| error_of(SocketError::Limit))?;
        let mapped = self.env.mem().map(Kind::Published, len as u64);
        let region = mapped.map_err(|_| io::ErrorKind::OutOfMemory)?;
        let memory = self.env.mem().whole(region).first(len);
        let buffer = Buffer { region, memory, uses: 0, is_left: false };
        self.buffers.insert(buffer).map_err(|_| error_of(SocketError::Limit))
    }

    /// Whether a write or read needs a buffer.
    pub(crate) fn is_busy(&self, key: Key) -> bool {
        self.buffers.get(key).is_some_and(|buffer| buffer.uses > 0)
    }

    /// Writes from a buffer; says how many bytes, and whether it is needed until the peer has read them.
    pub(crate) fn write_from(
        &mut self,
        stream: Key,
        buffer: Key,
        range: Range<usize>,
    ) -> Result<Taken, SocketError> {
        let (port, id) = self.stream_of(stream)?;
        let found = self.buffers.get_mut(buffer).ok_or(SocketError::NotFound)?;
        let memory = found.memory.slice(range.start, range.len());
        let at = &mut self.ports[port];
        let taken = at.sockets.write_from(&mut self.env, &mut at.device, id, memory, buffer.as_u64());
        if taken == Ok(Taken::Lent) {
            found.uses += 1;
        }
        self.ports[port].send(&mut self.env);
        self.take_returned(port);
        taken
    }

    /// Reads into a buffer, or has it wait behind others for bytes.
    pub(crate) fn read_into(
        &mut self,
        stream: Key,
        buffer: Key,
        range: Range<usize>,
        is_queued: bool,
    ) -> Result<Placed, SocketError> {
        let (port, id) = self.stream_of(stream)?;
        let found = self.buffers.get_mut(buffer).ok_or(SocketError::NotFound)?;
        let memory = found.memory.slice(range.start, range.len());
        let Port { sockets, device, .. } = &mut self.ports[port];
        let placed = if is_queued {
            sockets.queue_into(&mut self.env, device, id, memory, buffer.as_u64())
        } else {
            sockets.read_into(&mut self.env, device, id, memory, buffer.as_u64())
        };
        if placed == Ok(Placed::Taken) {
            found.uses += 1;
        }
        self.ports[port].send(&mut self.env);
        self.take_returned(port);
        placed
    }

    /// Takes down which writes and reads need their buffers no more.
    pub(crate) fn take_returned(&mut self, port: usize) {
        while let Some(name) = self.ports[port].sockets.poll_returned() {
            let key = Key::from_u64(name);
            if let Some(buffer) = self.buffers.get_mut(key) {
                buffer.uses -= 1;
            }
            self.drop_buffer(key);
        }
    }

    fn leave_buffer(&mut self, key: Key) {
        if let Some(buffer) = self.buffers.get_mut(key) {
            buffer.is_left = true;
        }
        self.drop_buffer(key);
    }

    /// A buffer goes if nobody has it and nothing needs it.
    fn drop_buffer(&mut self, key: Key) {
        if !self.buffers.get(key).is_some_and(|buffer| buffer.is_left && buffer.uses == 0) {
            return;
        }
        if let Some(buffer) = self.buffers.remove(key) {
            self.env.mem().unmap(buffer.region);
        }
    }
}

impl Drop for SdpBuffer {
    fn drop(&mut self) {
        self.fabric.0.act(|state| state.leave_buffer(self.key));
    }
}

impl fmt::Debug for SdpBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdpBuffer").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Buffers of a fabric at once.
pub(crate) const BUFFERS_MAX: usize = 1024;
/// Bytes of one: an advert tells its length in 32 bits, and a message of RDMA holds so many.
const LEN_MAX: usize = 1 << 30;
