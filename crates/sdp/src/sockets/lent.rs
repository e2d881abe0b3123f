//! Writing without a copy: memory that is lent to a stream, which the peer reads from where it lies (A4.6.2).
//!
//! Its owner is told by name when a write needs it no more: until then the bytes have to stay as they are. The peer can read these bytes,
//! and no others, until then (see `keys`). What the peer does not read in time, or refuses to, goes in messages from the same place. So a
//! caller who gives up waiting has written all the same, and lent memory comes back in any case, at the latest with its connection.

use super::keys::ADDRESS;
use super::stream::Phase;
use super::{Context, SocketError, Sockets, StreamId};
use crate::How;
use stdx::env::Env;
use stdx::mem::Span;
use verbs::Device;

/// What came of [`Sockets::write_from`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// So many bytes were copied: the memory is free at once.
    Copied(usize),
    /// All of them are the stream's until [`Sockets::poll_returned`] says the name.
    Lent,
}

impl Sockets {
    /// Puts bytes into the stream from where they lie: fewer than [`Config::zero_copy_min`](super::Config::zero_copy_min) and its like are copied,
    /// as many as can be; more are lent, all of them. They lie in memory of the environment's that stays mapped, and `name` is the
    /// owner's for them.
    ///
    /// # Errors
    /// When nothing can be taken.
    pub fn write_from(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        id: StreamId,
        memory: Span,
        name: u64,
    ) -> Result<Taken, SocketError> {
        if memory.len < self.lent_min(device, id, memory.len) {
            return self.copy_from(env, device, id, memory).map(Taken::Copied);
        }
        let stream = self.streams.get_mut(id.0).ok_or(SocketError::NotFound)?;
        if stream.is_write_shut || stream.phase == Phase::Ended {
            return Err(stream.error.take().unwrap_or(SocketError::Closed));
        }
        let has_room = stream.phase == Phase::Open && stream.outbox.frames() < stream.frames_max;
        let machine = stream.machine.as_mut().filter(|machine| has_room && machine.window() > 0);
        let machine = machine.ok_or(SocketError::WouldBlock)?;
        let Some(opening) = self.keys.take(device) else {
            return self.copy_from(env, device, id, memory).map(Taken::Copied);
        };
        let how = How::Advertised { key: opening.key.0, address: ADDRESS };
        if machine.write(memory.len, how, false).is_err() {
            self.keys.end(device, opening);
            return Err(SocketError::Closed);
        }
        stream.outbox.lend(memory, name, opening);
        self.drive(&mut Context { env, device }, id);
        Ok(Taken::Lent)
    }

    /// The name of memory that was lent or taken and is free again; once for each write and read.
    pub fn poll_returned(&mut self) -> Option<u64> {
        self.frames.poll_returned()
    }

    /// Has the peer let go of what it was lent and has not read: that goes in messages instead, from where it lies, so that the memory
    /// comes back without the reader's having memory for it.
    pub fn recall(&mut self, env: &mut dyn Env, device: &mut dyn Device, id: StreamId) {
        if let Some(machine) = self.streams.get_mut(id.0).and_then(|stream| stream.machine.as_mut()) {
            machine.cancel_written(env.now());
            self.drive(&mut Context { env, device }, id);
        }
    }

    /// Bytes from which on it is worth while to lend them, if there are so many.
    fn lent_min(&self, device: &dyn Device, id: StreamId, len: u32) -> u32 {
        let stream = self.streams.get(id.0);
        let machine = stream.and_then(|stream| stream.machine.as_ref());
        let connection = stream.and_then(|stream| stream.connection);
        let is_placed = machine.is_some_and(|machine| machine.room_given() >= len.into());
        let is_near = connection.is_some_and(|connection| self.endpoint.shares_memory(device, connection));
        let usual = if is_near { self.config.zero_copy_min } else { self.config.zero_copy_network_min };
        let least = if is_placed { usual.min(self.config.zero_copy_placed_min) } else { usual };
        least.max(LENT_MIN)
    }

    fn copy_from(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        id: StreamId,
        memory: Span,
    ) -> Result<usize, SocketError> {
        // Kept from write to write, and no longer than what is worth lending.
        let mut place = core::mem::take(&mut self.place);
        place.resize(memory.len(), 0);
        env.mem().read(memory, &mut place);
        let written = self.write(env, device, id, &place);
        self.place = place;
        written
    }
}

/// An advert has one byte beside it, and one to be read.
const LENT_MIN: u32 = 2;
