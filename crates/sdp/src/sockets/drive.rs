//! What streams have to do: posted as far as the connection takes it.

use super::config::PIECES;
use super::frames;
use super::inbox::Held;
use super::stream::{Phase, Posted, RESERVED};
use super::{Context, ListenerId, SocketError, Sockets, StreamId};
use crate::{Event, Message, Piece, Step};
use stdx::mem::Span;
use stdx::slab::Key;
use verbs::{Access, Data, Key as MemoryKey, Remote, Status};

impl Sockets {
    /// Notes that a stream may have something to do.
    pub(super) fn stir(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(id.0)
            && !core::mem::replace(&mut stream.is_stirred, true)
        {
            self.stirred.push_back(id);
        }
    }

    /// Has all that were stirred do what they have to.
    pub(super) fn drive_all(&mut self, cx: &mut Context<'_>) {
        while let Some(id) = self.stirred.pop_front() {
            if let Some(stream) = self.streams.get_mut(id.0) {
                stream.is_stirred = false;
                self.drive(cx, id);
            }
        }
    }

    /// Posts what a stream has to send, write and read.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>, id: StreamId) {
        self.looks += 1;
        self.open_targets(cx, id);
        while let Some(step) = self.next_step(cx, id) {
            let Some(connection) = self.connection_of(id) else { return };
            self.has_posted = true;
            let posted = match step {
                Step::Send(message) => self.send(cx, id, connection, &message),
                Step::Write { piece, key, address } => {
                    let mut list = [Span::EMPTY; PIECES];
                    let spans = self.spans(id, piece, &mut list);
                    let to = Remote { address, key: MemoryKey(key) };
                    self.endpoint
                        .write(cx.device, connection, 0, to, spans)
                        .map(|()| Posted::Plain)
                        .map_err(SocketError::from)
                }
                Step::Probe => {
                    let to = Remote { address: 0, key: MemoryKey(0) };
                    self.endpoint
                        .write(cx.device, connection, 0, to, &[])
                        .map(|()| Posted::Plain)
                        .map_err(SocketError::from)
                }
                Step::Disconnect => {
                    self.end(id, None);
                    return self.endpoint.disconnect(cx.env, cx.device, connection);
                }
            };
            match (posted, self.streams.get_mut(id.0)) {
                (Ok(posted), Some(stream)) => stream.posted.push_back(posted),
                // The connection has broken, which will be told; if not, it cannot go on, either.
                _ => return self.endpoint.disconnect(cx.env, cx.device, connection),
            }
        }
        self.read_offers(cx, id);
        self.note_events(cx, id);
        self.go_on(cx, id);
        self.schedule(id);
    }

    /// What the state machine wants next, if it can be posted.
    fn next_step(&mut self, cx: &Context<'_>, id: StreamId) -> Option<Step> {
        let stream = self.streams.get_mut(id.0)?;
        let connection = stream.connection?;
        let machine = stream.machine.as_mut().filter(|_| stream.phase == Phase::Open)?;
        let can_post = self.endpoint.room(connection) >= POSTS_EACH && self.frames.left() >= RESERVED;
        if !can_post && !machine.is_ended() {
            return None;
        }
        machine.poll(cx.env.now())
    }

    /// Sends a message: from where it lies if it begins with a frame, else with a header in a frame of its own.
    fn send(
        &mut self,
        cx: &mut Context<'_>,
        id: StreamId,
        connection: Key,
        message: &Message,
    ) -> Result<Posted, SocketError> {
        if let Some(key) = message.opens {
            self.open_memory(cx, id, connection, key)?;
        }
        let (head, piece) = (message.head(), message.payload);
        if piece.len == 0 {
            self.endpoint.send(cx.device, connection, 0, Data::Inline(head))?;
            return Ok(Posted::Plain);
        }
        let stream = self.streams.get_mut(id.0).ok_or(SocketError::NotFound)?;
        if let Some(frame) = stream.outbox.whole(piece) {
            cx.env.mem().write(frames::head(frame, head.len()), head);
            let whole = frames::message(frame, head.len(), piece.len as usize);
            self.endpoint.send(cx.device, connection, 0, Data::Own(&[whole]))?;
            return Ok(Posted::Plain);
        }
        stream.outbox.close_through(piece);
        let frame = self.frames.take().ok_or(SocketError::WouldBlock)?;
        let place = frames::head(frame, head.len());
        cx.env.mem().write(place, head);
        let mut list = [place; PIECES];
        let spans = self.spans(id, piece, &mut list[1..]);
        let (count, len) = (1 + spans.len(), spans.iter().map(|span| u64::from(span.len)).sum::<u64>());
        if len != u64::from(piece.len) {
            self.frames.give(frame);
            return Err(SocketError::Reset);
        }
        self.endpoint.send(cx.device, connection, 0, Data::Own(&list[..count]))?;
        Ok(Posted::Frame(frame))
    }

    /// Opens memory that the peer is about to hear of, if that was not done before.
    fn open_memory(
        &mut self,
        cx: &mut Context<'_>,
        id: StreamId,
        connection: Key,
        key: u32,
    ) -> Result<(), SocketError> {
        let stream = self.streams.get_mut(id.0).ok_or(SocketError::NotFound)?;
        let found = stream.outbox.lent(key).map(|(memory, opening)| (memory, opening, Access::REMOTE_READ));
        let writable = Access::LOCAL_WRITE.with(Access::REMOTE_WRITE);
        let found = match found {
            None => stream
                .targets
                .iter_mut()
                .find_map(|target| target.known_as(key))
                .map(|(memory, opening)| (memory, opening, writable)),
            found => found,
        };
        let Some((memory, opening, access)) = found else { return Err(SocketError::NotFound) };
        if !opening.is_posted {
            opening.post(&mut self.endpoint, cx.device, connection, memory, access)?;
            stream.posted.push_back(Posted::Key);
        }
        Ok(())
    }

    /// Where the bytes of a piece lie.
    fn spans<'a>(&self, id: StreamId, piece: Piece, list: &'a mut [Span]) -> &'a [Span] {
        let Some(stream) = self.streams.get(id.0) else { return &[] };
        let mut count = 0;
        for (place, span) in list.iter_mut().zip(stream.outbox.spans(piece)) {
            *place = span;
            count += 1;
        }
        &list[..count]
    }

    /// Reads what the peer offers, as much as may be held.
    fn read_offers(&mut self, cx: &mut Context<'_>, id: StreamId) {
        loop {
            let Some(stream) = self.streams.get_mut(id.0) else { return };
            let Some(connection) = stream.connection.filter(|_| stream.phase == Phase::Open) else { return };
            if self.read_to_place(cx, id, connection) {
                return;
            }
            let Some(stream) = self.streams.get_mut(id.0) else { return };
            let Some(machine) = stream.machine.as_mut() else { return };
            let Some(offer) = machine.offer() else { return };
            let reads = stream.posted.iter().filter_map(|posted| match posted {
                Posted::Read(buffer) => Some(u64::from(buffer.len)),
                Posted::Plain | Posted::Frame(_) | Posted::Place(_) | Posted::Key => None,
            });
            let held = stream.inbox.buffered() + reads.sum::<u64>();
            if held >= self.config.reading_max.into() || self.endpoint.room(connection) == 0 {
                return;
            }
            let Some(buffer) = cx.env.mem().take(offer.len.min(READ_LEN) as usize) else { return };
            let from = Remote { address: offer.address, key: MemoryKey(offer.key) };
            if self.endpoint.read(cx.device, connection, 0, from, &[buffer]).is_err() {
                return cx.env.mem().give(buffer);
            }
            machine.read(buffer.len);
            self.has_posted = true;
            stream.posted.push_back(Posted::Read(buffer));
        }
    }

    /// A request is done.
    pub(super) fn handle_done(&mut self, cx: &mut Context<'_>, id: StreamId, status: Status) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        let posted = stream.posted.pop_front();
        match posted {
            Some(Posted::Frame(frame)) => self.frames.give(frame),
            Some(Posted::Read(buffer)) if status == Status::Success && !stream.is_read_shut => {
                stream.inbox.push(buffer, Held::Buffer(buffer));
            }
            Some(Posted::Read(buffer)) => cx.env.mem().give(buffer),
            Some(Posted::Place(len)) => self.handle_placed(id, len, status == Status::Success),
            Some(Posted::Key) => stream.close_early(cx.device, &mut self.keys, &mut self.frames),
            Some(Posted::Plain) | None => {}
        }
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        // What failed once both had said that nothing more comes had arrived.
        if status != Status::Success && !stream.has_paused() {
            // A device of this machine that does not answer is gone with its process.
            let is_silent = status == Status::RetryExceeded && !stream.peer_device.is_loopback();
            return self.end(id, Some(if is_silent { SocketError::TimedOut } else { SocketError::Reset }));
        }
        let Some(machine) = stream.machine.as_mut() else { return };
        if !matches!(posted, Some(Posted::Key)) {
            machine.handle_done();
        }
        let released = machine.released();
        if stream.outbox.release(cx.device, &mut self.keys, &mut self.frames, released) {
            self.feed();
        }
        self.note_change(id);
        self.stir(id);
    }

    /// A frame is free: those who wait for one are told.
    fn feed(&mut self) {
        while let Some(starved) = self.starved.pop() {
            if let Some(stream) = self.streams.get_mut(starved.0) {
                stream.is_starved = false;
            }
            self.note_change(starved);
        }
    }

    /// Takes down what the state machine says of the peer.
    pub(super) fn note_events(&mut self, cx: &mut Context<'_>, id: StreamId) {
        let (mut error, mut paused) = (None, None);
        while let Some(stream) = self.streams.get_mut(id.0)
            && let Some(event) = stream.machine.as_mut().and_then(crate::Connection::poll_event)
        {
            match event {
                Event::PeerClosed => stream.is_peer_closed = true,
                Event::UrgentPending => stream.is_urgent = true,
                Event::Aborted => error = Some(SocketError::Reset),
                Event::Paused { ours, theirs } => paused = Some((ours, theirs)),
                Event::Written { token, len } => self.handle_written(cx.device, id, token, len),
                Event::Returned { token } => self.handle_returned(cx.device, id, token),
                Event::Resized { .. } => {}
            }
        }
        if let Some(stream) = self.streams.get_mut(id.0) {
            stream.error = stream.error.or(error);
        }
        if let Some((ours, theirs)) = paused {
            self.handle_paused(cx.env.now(), id, ours, theirs);
        }
        self.note_change(id);
    }

    /// Gives back everything a stream holds for its connection, which is gone.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        stream.outbox.clear(cx.device, &mut self.keys, &mut self.frames);
        stream.clear_targets(cx.device, &mut self.keys, &mut self.frames);
        for posted in stream.posted.drain(..) {
            match posted {
                Posted::Frame(frame) => self.frames.give(frame),
                Posted::Read(buffer) => cx.env.mem().give(buffer),
                Posted::Plain | Posted::Place(_) | Posted::Key => {}
            }
        }
    }

    /// A stream ended.
    pub(super) fn end(&mut self, id: StreamId, error: Option<SocketError>) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        let before = stream.phase;
        stream.end(error);
        if let Phase::Accepting(listener) = before {
            // Nobody knows of it yet, nor will.
            stream.is_left = true;
            self.arrived(listener);
        }
        self.give_up_pause(id);
        self.note_change(id);
    }

    /// One fewer is about to wait at a listener.
    pub(super) fn arrived(&mut self, listener: ListenerId) {
        if let Some(listener) = self.listeners.get_mut(listener.0) {
            listener.coming -= 1;
        }
    }

    fn connection_of(&self, id: StreamId) -> Option<Key> {
        self.streams.get(id.0)?.connection
    }
}

/// Requests that one step takes at most: a message, and what opens the memory that the peer learns of by it.
const POSTS_EACH: u32 = 2;
/// Bytes of one read of the peer's memory that nobody has given memory for.
const READ_LEN: u32 = 256 << 10;
