//! What the owner of a stream says of it while it lives.

use super::stream::Phase;
use super::{SocketError, Sockets, StreamId};
use crate::{Connection, Options};
use core::time::Duration;
use verbs::Device;

impl Sockets {
    /// Has messages that are not full go at once, or wait for more bytes while others are under way.
    pub fn set_no_delay(&mut self, id: StreamId, no_delay: bool) {
        self.set(id, |options| options.no_delay = no_delay, |machine| machine.set_no_delay(no_delay));
    }

    /// Looks whether the peer is there whenever nothing has come for so long; `None` is never. A peer that is not ends the stream.
    pub fn set_keep_alive(&mut self, id: StreamId, after: Option<Duration>) {
        self.set(id, |options| options.keep_alive = after, |machine| machine.set_keep_alive(after));
        self.schedule(id);
    }

    /// How long nothing may come before it is looked whether the peer is there; `None` is for ever.
    pub fn keep_alive(&self, id: StreamId) -> Option<Duration> {
        self.streams.get(id.0)?.options.keep_alive
    }

    /// Has the peer send so many bytes ahead of what is read, as receives go: [`Options::RECEIVES_MIN`] are the fewest, and the most are those
    /// that the streams there may yet be can spare. What the peer was told of before it may still use.
    ///
    /// # Errors
    /// When the stream has no connection (yet).
    pub fn set_receive_buffer(
        &mut self,
        device: &mut dyn Device,
        id: StreamId,
        len: u64,
    ) -> Result<(), SocketError> {
        let spare = self.config.spare(self.streams.len() as u32, self.endpoint.receives_left());
        let stream = self.streams.get_mut(id.0).ok_or(SocketError::NotFound)?;
        let connection = stream.connection.filter(|_| stream.phase == Phase::Open);
        let (Some(machine), Some(connection)) = (stream.machine.as_mut(), connection) else {
            return Err(SocketError::WouldBlock);
        };
        let most = u64::from(stream.options.receives).saturating_add(spare.into()).min(u16::MAX.into());
        let wanted = len.div_ceil(machine.receive_len().into());
        let count = wanted.clamp(Options::RECEIVES_MIN.into(), most) as u16;
        stream.options.receives = count;
        let posted = machine.set_receives(count);
        let is_posted = self.endpoint.bring_receives(device, connection, posted.into());
        debug_assert!(is_posted, "there are as many to spare");
        self.stir(id);
        Ok(())
    }

    /// Bytes that the peer may send ahead of what is read.
    pub fn receive_buffer(&self, id: StreamId) -> u64 {
        self.streams.get(id.0).map_or(0, |stream| {
            let len = stream.machine.as_ref().map_or(stream.options.receive_len, Connection::receive_len);
            u64::from(stream.options.receives) * u64::from(len)
        })
    }

    /// Takes so many bytes ahead of what the peer has: whole frames of a message each, at least one and no more than there are.
    pub fn set_send_buffer(&mut self, id: StreamId, len: u64) {
        let frames = len.div_ceil(self.config.message_len().into()).clamp(1, self.config.frames_max.into());
        if let Some(stream) = self.streams.get_mut(id.0) {
            stream.frames_max = frames as usize;
            self.note_change(id);
        }
    }

    /// Bytes that are taken ahead of what the peer has.
    pub fn send_buffer(&self, id: StreamId) -> u64 {
        let frames = self.streams.get(id.0).map_or(0, |stream| stream.frames_max as u64);
        frames * u64::from(self.config.message_len())
    }

    /// Sets an option now and for what is yet to be connected.
    fn set(
        &mut self,
        id: StreamId,
        option: impl FnOnce(&mut Options),
        machine: impl FnOnce(&mut Connection),
    ) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        option(&mut stream.options);
        if let Some(connection) = stream.machine.as_mut() {
            machine(connection);
            self.stir(id);
        }
    }
}
