//! What the owner of streams and listeners wants.

use super::stream::{Phase, Stream};
use super::{Context, FREE_PORTS, Listener, ListenerId, Readiness, SocketError, Sockets, StreamId};
use crate::{How, Terms};
use core::net::SocketAddr;
use std::collections::VecDeque;
use stdx::env::Env;
use verbs::endpoint::OpenError;
use verbs::{ConnectError, Device, Parameters, PortSpace};
use wire::sdp::BASE_LEN;

impl Sockets {
    /// Listens at an address of the device's; says which it is, with the port the device chose for port 0. Its streams say that
    /// theirs is `port`; 0 is for the device's.
    ///
    /// # Errors
    /// When someone else listens there, the address is none of the device's, or there are as many as there may be.
    pub fn listen(
        &mut self,
        device: &mut dyn Device,
        address: SocketAddr,
        port: u16,
    ) -> Result<(ListenerId, SocketAddr), ConnectError> {
        if self.listeners.next_key().is_none() {
            return Err(ConnectError::Limit);
        }
        if self.listeners.iter().any(|(_, listener)| listener.address == address) {
            return Err(ConnectError::InUse);
        }
        let address = self.endpoint.listen(device, PortSpace::Sdp, address)?;
        let port = if port == 0 { address.port() } else { port };
        let (waiting, coming, is_changed) = (VecDeque::new(), 0, false);
        let listener = Listener { address, port, waiting, coming, is_changed };
        let key = self.listeners.insert(listener).map_err(|_| ConnectError::Limit)?;
        Ok((ListenerId(key), address))
    }

    /// Listens no more. Streams that nobody accepted end.
    pub fn close_listener(&mut self, env: &mut dyn Env, device: &mut dyn Device, id: ListenerId) {
        let Some(listener) = self.listeners.remove(id.0) else { return };
        self.endpoint.unlisten(device, PortSpace::Sdp, listener.address);
        for stream in listener.waiting {
            self.abort(env, device, stream);
            self.close(env, device, stream);
        }
    }

    /// A stream that someone asked for, if one waits.
    pub fn accept(&mut self, id: ListenerId) -> Option<StreamId> {
        self.listeners.get_mut(id.0)?.waiting.pop_front()
    }

    /// How many streams wait to be accepted.
    pub fn waiting(&self, id: ListenerId) -> usize {
        self.listeners.get(id.0).map_or(0, |listener| listener.waiting.len())
    }

    /// Asks the device at `route` (its port: the listener's) for a connection, in the name of `from`, to `to`: the addresses as
    /// both owners know them. Port 0 of `from` takes a free one. The stream can be written once it is there.
    ///
    /// # Errors
    /// When a limit is reached, or there is no way to the peer.
    pub fn connect(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        route: SocketAddr,
        mut from: SocketAddr,
        to: SocketAddr,
    ) -> Result<StreamId, OpenError> {
        if from.port() == 0 {
            from.set_port(self.next_port);
            self.next_port = self.next_port.checked_add(1).unwrap_or(FREE_PORTS);
        }
        let options = self.bring_receives();
        let hello = Terms::hello(&options, from, to).encode();
        let stream = Stream::new(Phase::Connecting, &self.config, options, route.ip(), from, to);
        let id = StreamId(self.streams.insert(stream).map_err(|_| OpenError::TooMany)?);
        let parameters = Parameters::default();
        match self.endpoint.connect(env, device, PortSpace::Sdp, route, parameters, &hello) {
            Ok(connection) => {
                self.bind(id, connection);
                Ok(id)
            }
            Err(error) => {
                self.remove(device, id);
                Err(error)
            }
        }
    }

    /// Puts bytes into the stream; says how many, at least one.
    ///
    /// # Errors
    /// When nothing can be taken.
    pub fn write(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        id: StreamId,
        bytes: &[u8],
    ) -> Result<usize, SocketError> {
        self.put(env, device, id, bytes, false, false)
    }

    /// The same, and other bytes follow at once, or [`Sockets::flush`]: memory that the peer gave is filled as far as it goes.
    ///
    /// # Errors
    /// When nothing can be taken.
    pub fn write_more(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        id: StreamId,
        bytes: &[u8],
    ) -> Result<usize, SocketError> {
        self.put(env, device, id, bytes, false, true)
    }

    /// The same, and the last byte of all of them is urgent.
    ///
    /// # Errors
    /// When nothing can be taken.
    pub fn write_urgent(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        id: StreamId,
        bytes: &[u8],
    ) -> Result<usize, SocketError> {
        self.put(env, device, id, bytes, true, false)
    }

    fn put(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        id: StreamId,
        bytes: &[u8],
        is_urgent: bool,
        has_more: bool,
    ) -> Result<usize, SocketError> {
        self.set_more(id, true);
        let written = self.put_frames(env, device, id, bytes, is_urgent);
        if !has_more {
            self.flush(env, device, id);
        }
        written
    }

    /// Ends [`Sockets::write_more`] though no more bytes were written.
    pub fn flush(&mut self, env: &mut dyn Env, device: &mut dyn Device, id: StreamId) {
        if self.set_more(id, false) {
            self.drive(&mut Context { env, device }, id);
        }
    }

    /// Whether something is to be done that waited for more bytes.
    fn set_more(&mut self, id: StreamId, has_more: bool) -> bool {
        let machine = self.streams.get_mut(id.0).and_then(|stream| stream.machine.as_mut());
        machine.is_some_and(|machine| machine.set_more(has_more))
    }

    fn put_frames(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        id: StreamId,
        bytes: &[u8],
        is_urgent: bool,
    ) -> Result<usize, SocketError> {
        let mut done = 0;
        while done < bytes.len() {
            let frames_left = self.frames.left();
            let stream = self.streams.get_mut(id.0).ok_or(SocketError::NotFound)?;
            let frames_max = stream.frames_max;
            if stream.is_write_shut || stream.phase == Phase::Ended {
                return if done > 0 {
                    Ok(done)
                } else {
                    Err(stream.error.take().unwrap_or(SocketError::Closed))
                };
            }
            let window = stream.window(frames_left);
            let rest = &bytes[done..];
            let rest = &rest[..rest.len().min(usize::try_from(window).unwrap_or(usize::MAX))];
            let machine = stream.machine.as_mut().filter(|_| window > 0).ok_or(SocketError::WouldBlock);
            let room = self.config.message_len() - BASE_LEN as u32;
            let taken = machine.and_then(|machine| {
                let room = room.min(machine.message_max());
                let taken = stream.outbox.push(env.mem(), &mut self.frames, rest, room, frames_max);
                let taken = taken.ok_or(SocketError::WouldBlock)?;
                let is_last = is_urgent && done + taken == bytes.len();
                machine.write(taken as u32, How::Copied, is_last).map_err(|_| SocketError::Closed)?;
                Ok(taken)
            });
            match taken {
                Ok(taken) => done += taken,
                Err(error) if done == 0 => {
                    if frames_left <= super::stream::RESERVED {
                        self.starve(id);
                    }
                    return Err(error);
                }
                Err(_) => return Ok(done),
            }
            self.drive(&mut Context { env, device }, id);
        }
        Ok(done)
    }

    /// Takes bytes out of the stream; says how many: none is its end.
    ///
    /// # Errors
    /// When nothing has come, or the stream ended as it should not.
    pub fn read(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        id: StreamId,
        into: &mut [u8],
    ) -> Result<usize, SocketError> {
        let cx = &mut Context { env, device };
        let mut done = 0;
        let mut is_freed = false;
        while done < into.len() {
            let stream = self.streams.get_mut(id.0).ok_or(SocketError::NotFound)?;
            let (len, free) = stream.inbox.take(cx.env.mem(), &mut into[done..]);
            if let Some(free) = free {
                is_freed = true;
                self.give_back(cx, id, free);
            }
            done += len;
            let is_at_mark = self.streams.get(id.0).is_some_and(|stream| stream.inbox.is_at_mark());
            if len == 0 || is_at_mark {
                break;
            }
        }
        if is_freed {
            // The peer may have to be told, or more can be read.
            self.drive(cx, id);
        }
        if done > 0 || into.is_empty() {
            return Ok(done);
        }
        if let Some(stream) = self.streams.get_mut(id.0)
            && stream.is_placing
            && stream.targets.is_empty()
        {
            // What the peer offers is not for memory of the owner's any more.
            stream.is_placing = false;
            if let Some(machine) = stream.machine.as_mut() {
                machine.prefer_pipelined(false);
            }
            self.drive(cx, id);
        }
        self.nothing_to_read(id)
    }

    /// The same, and leaves the bytes where they are.
    ///
    /// # Errors
    /// As [`Sockets::read`].
    pub fn peek(&mut self, env: &mut dyn Env, id: StreamId, into: &mut [u8]) -> Result<usize, SocketError> {
        let stream = self.streams.get(id.0).ok_or(SocketError::NotFound)?;
        let len = stream.inbox.peek(env.mem(), into);
        if len > 0 || into.is_empty() { Ok(len) } else { self.nothing_to_read(id) }
    }

    /// A stream waits until someone gives a frame back.
    fn starve(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(id.0)
            && !core::mem::replace(&mut stream.is_starved, true)
        {
            self.starved.push(id);
        }
    }

    pub(super) fn nothing_to_read(&mut self, id: StreamId) -> Result<usize, SocketError> {
        let stream = self.streams.get_mut(id.0).ok_or(SocketError::NotFound)?;
        if stream.is_peer_closed || stream.is_read_shut {
            return Ok(0);
        }
        if stream.phase == Phase::Ended {
            return stream.error.take().map_or(Ok(0), Err);
        }
        Err(SocketError::WouldBlock)
    }

    /// Takes the urgent byte, if it has come.
    pub fn take_urgent(&mut self, id: StreamId) -> Option<u8> {
        let stream = self.streams.get_mut(id.0)?;
        let byte = stream.inbox.take_urgent();
        stream.is_urgent &= byte.is_none();
        byte
    }

    /// Whether the urgent byte's place in the stream is where reading goes on.
    pub fn is_at_mark(&self, id: StreamId) -> bool {
        self.streams.get(id.0).is_some_and(|stream| stream.inbox.is_at_mark())
    }

    /// Bytes that can be read.
    pub fn readable(&self, id: StreamId) -> u64 {
        self.streams.get(id.0).map_or(0, |stream| stream.inbox.len())
    }

    /// Bytes that were written and have not arrived at the peer.
    pub fn unsent(&self, id: StreamId) -> u64 {
        let machine = self.streams.get(id.0).and_then(|stream| stream.machine.as_ref());
        machine.map_or(0, |machine| machine.written() - machine.released())
    }

    /// What can be done without waiting. A stream that is gone can be read and written, in vain.
    pub fn readiness(&self, id: StreamId) -> Readiness {
        let gone = Readiness { readable: true, writable: true, ended: true, ..Readiness::default() };
        self.streams.get(id.0).map_or(gone, |stream| stream.readiness(self.frames.left()))
    }

    /// Our address and the peer's.
    pub fn addresses(&self, id: StreamId) -> Option<(SocketAddr, SocketAddr)> {
        self.streams.get(id.0).map(|stream| (stream.local, stream.peer))
    }

    /// Why the stream ended, if not as it should; told once.
    pub fn take_error(&mut self, id: StreamId) -> Option<SocketError> {
        self.streams.get_mut(id.0)?.error.take()
    }

    /// Writes no more: the peer learns it once everything was sent.
    pub fn shut_write(&mut self, env: &mut dyn Env, device: &mut dyn Device, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        stream.is_write_shut = true;
        if let Some(machine) = stream.machine.as_mut() {
            machine.shut_down();
        }
        self.note_change(id);
        self.drive(&mut Context { env, device }, id);
    }

    /// Reads no more; a peer that goes on sending is told so by the connection's end.
    pub fn shut_read(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        stream.is_read_shut = true;
        if let Some(machine) = stream.machine.as_mut() {
            machine.shut_read();
        }
        self.note_change(id);
    }

    /// Ends a stream at once; what is under way is lost.
    pub fn abort(&mut self, env: &mut dyn Env, device: &mut dyn Device, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        if let Some(machine) = stream.machine.as_mut() {
            machine.abort();
        }
        match (stream.phase, stream.connection) {
            (Phase::Suspended, _) => self.end(id, None),
            (Phase::Resuming, Some(connection)) => {
                self.end(id, None);
                self.endpoint.disconnect(env, device, connection);
            }
            _ => self.drive(&mut Context { env, device }, id),
        }
    }

    /// Wants no more of a stream: its id means nothing from now on. What was written still goes out, if the peer takes it and
    /// nothing is left unread; else the peer sees the stream's end as an error, as with TCP (RFC 1122, 4.2.2.13).
    pub fn close(&mut self, env: &mut dyn Env, device: &mut dyn Device, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        let has_unread = stream.inbox.len() > 0;
        let cx = &mut Context { env, device };
        while let Some(held) = self.streams.get_mut(id.0).and_then(|stream| stream.inbox.pop()) {
            self.give_back(cx, id, held);
        }
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        stream.leave_targets(&mut self.frames);
        stream.is_left = true;
        (stream.is_write_shut, stream.is_read_shut) = (true, true);
        match (stream.connection, stream.machine.as_mut()) {
            // What was written still goes out, if the peer comes back.
            (None, Some(machine)) if stream.phase == Phase::Suspended && !has_unread => {
                machine.shut_down();
                machine.shut_read();
                if let Some(pause) = stream.pause.as_mut() {
                    pause.want();
                }
                self.drive(cx, id);
            }
            (None, _) => {
                self.give_up_pause(id);
                self.remove(cx.device, id);
            }
            (Some(_), Some(machine)) => {
                machine.shut_down();
                machine.shut_read();
                if has_unread {
                    machine.abort();
                }
                self.drive(cx, id);
            }
            (Some(connection), None) => self.endpoint.disconnect(cx.env, cx.device, connection),
        }
    }
}
