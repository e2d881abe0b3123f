//! Reading without a copy: memory of a stream's owner that bytes come to by themselves (A4.6.2, A4.6.4).
//!
//! The owner says where the next bytes are wanted. What the peer offers is read there. Where it offers nothing it is told of the
//! memory, which it writes to; that takes pipelined mode, which it is asked for. Peers that know no such mode, or send little, send
//! messages, which are copied as they come.
//!
//! ```text
//!            offered                                read            the owner reads it, without a copy
//!   Idle ---------------> Reading ------------------------> (inbox) ---------------------------------> (returned)
//!     \       told                      written, or a message
//!      ----------------> Open ----------------------------> (inbox)
//!                          \   the peer lets go of it
//!                           `-------------------------> Idle, or returned if its owner wants it back
//! ```
//!
//! Invariants: bytes come to memory in the order in which it was given, and none does while others wait that lie elsewhere, so what
//! lies in its place is read first; the peer can write to the memory until it said that it does no more, or its queue pair is gone,
//! and its key is closed before the owner has the memory back.

use super::frames::Frames;
use super::inbox::{Held, overlap};
use super::keys::{ADDRESS, Keys, Opening};
use super::stream::{Phase, Posted, Stream};
use super::{Context, SocketError, Sockets, StreamId};
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use verbs::{Device, Key as MemoryKey, Remote};
use wire::sdp::Advert;

/// What came of [`Sockets::read_into`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placed {
    /// So many bytes are there: none is the stream's end.
    Bytes(usize),
    /// Nothing yet: the memory is the stream's, until [`Sockets::poll_returned`] says its name.
    Taken,
    /// Nothing yet: the memory has been the stream's for a while.
    Waiting,
}

/// Memory that bytes are to come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    memory: Span,
    /// The owner's name for it.
    name: u64,
    /// Bytes that are there.
    filled: u32,
    state: State,
    /// Its owner wants bytes there, and not the memory back.
    is_wanted: bool,
    /// Memory that was given after it may get bytes before it: they are moved there when its owner asks.
    is_late: bool,
}

/// A key that is to open memory which the peer is done with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closing {
    opening: Opening,
    /// The memory, as its owner knows it.
    name: u64,
    /// Nothing else needs the memory.
    is_due: bool,
}

/// What happens to it.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing.
    Idle,
    /// The peer may write to it, or is about to learn so. The state machine knows it by this name.
    Open { token: u32, opening: Opening },
    /// It is being read into.
    Reading,
}

impl Sockets {
    /// Takes bytes out of the stream, to this memory of a region that is the owner's; `name` is the owner's for it. If none are there the
    /// memory is the stream's from then on if it is long enough ([`Config::place_min`](super::Config::place_min)): the next bytes come there, and
    /// whoever asks again for the same memory has them. Several pieces of memory may wait, and get their bytes one after the other.
    ///
    /// # Errors
    /// As [`Sockets::read`]; [`SocketError::WouldBlock`] also says that the memory is not the stream's.
    pub fn read_into(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        id: StreamId,
        memory: Span,
        name: u64,
    ) -> Result<Placed, SocketError> {
        let cx = &mut Context { env, device };
        let stream = self.streams.get_mut(id.0).ok_or(SocketError::NotFound)?;
        if let Some((len, held)) = stream.inbox.take_placed(memory) {
            self.give_back(cx, id, held);
            self.drive(cx, id);
            return Ok(Placed::Bytes(len));
        }
        let is_first =
            stream.targets.front().is_none_or(|target| target.memory == memory && target.is_idle());
        if !is_first {
            return self.queue(cx, id, memory, name);
        }
        if stream.inbox.is_used_later(memory) {
            return Err(SocketError::Overlap);
        }
        let known = stream.targets.pop_front();
        let filled = self.move_bytes(cx, id, memory);
        let outcome = if filled > 0 { Ok(filled) } else { self.nothing_to_read(id) };
        let waits = match outcome {
            // The first bytes of what the peer offers come in a message; the others are best behind them.
            Ok(_) => filled > 0 && self.can_read_on(id),
            Err(error) => error == SocketError::WouldBlock,
        };
        let is_long = (memory.len - filled as u32) >= self.config.place_min.max(1);
        if waits && is_long && self.place(cx, id, Target::new(memory, name, filled as u32)) {
            return Ok(if known.is_some() { Placed::Waiting } else { Placed::Taken });
        }
        if let Some((known, stream)) = known.zip(self.streams.get_mut(id.0)) {
            stream.give_place(&mut self.frames, known.name);
        }
        // The peer may have to be told, or more can be read, but not before what was asked for has its place.
        self.drive(cx, id);
        outcome.map(Placed::Bytes)
    }

    /// Takes memory for bytes that are to come behind those that other memory waits for: [`Sockets::read_into`] of it gives them.
    ///
    /// # Errors
    /// When the memory is shorter than [`Config::place_min`](super::Config::place_min), or as much waits as may, or the stream is not open
    /// ([`SocketError::WouldBlock`]); or it is needed already.
    pub fn queue_into(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        id: StreamId,
        memory: Span,
        name: u64,
    ) -> Result<Placed, SocketError> {
        self.queue(&mut Context { env, device }, id, memory, name)
    }

    fn queue(
        &mut self,
        cx: &mut Context<'_>,
        id: StreamId,
        memory: Span,
        name: u64,
    ) -> Result<Placed, SocketError> {
        let stream = self.streams.get_mut(id.0).ok_or(SocketError::NotFound)?;
        if let Some(target) = stream.targets.iter_mut().find(|target| target.memory == memory) {
            target.is_wanted = true;
            // The queue pair goes yet, and then the memory is free.
            let is_lost = stream.phase == Phase::Ended && stream.inbox.len() == 0;
            return if is_lost { self.nothing_to_read(id).map(Placed::Bytes) } else { Ok(Placed::Waiting) };
        }
        if stream.inbox.has_placed(memory) {
            return Ok(Placed::Waiting);
        }
        if stream.inbox.is_used(memory) || stream.targets.iter().any(|it| overlap(it.memory, memory)) {
            return Err(SocketError::Overlap);
        }
        let is_short = memory.len < self.config.place_min.max(1);
        let machine = stream.machine.as_mut().filter(|_| stream.phase == Phase::Open);
        let Some(machine) = machine.filter(|_| !is_short && stream.targets.len() < TARGETS_MAX) else {
            return Err(SocketError::WouldBlock);
        };
        machine.prefer_pipelined(true);
        stream.is_placing = true;
        stream.targets.push_back(Target::new(memory, name, 0));
        self.drive(cx, id);
        Ok(Placed::Taken)
    }

    /// Wants all memory back that bytes have not come to. What the peer may write to is free once the peer said that it does no more;
    /// what it has written by then is read next, from where it lies.
    pub fn withdraw(&mut self, env: &mut dyn Env, device: &mut dyn Device, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        stream.leave_targets(&mut self.frames);
        if let Some(machine) = stream.machine.as_mut().filter(|_| !stream.targets.is_empty()) {
            machine.cancel_advertised();
        }
        self.drive(&mut Context { env, device }, id);
    }

    /// Moves what has come to where it is wanted.
    fn move_bytes(&mut self, cx: &mut Context<'_>, id: StreamId, memory: Span) -> usize {
        let mut done = 0;
        while done < memory.len()
            && let Some(stream) = self.streams.get_mut(id.0)
        {
            let (len, free) = stream.inbox.take_into(cx.env.mem(), memory.from(done));
            let is_at_mark = stream.inbox.is_at_mark();
            if let Some(free) = free {
                self.give_back(cx, id, free);
            }
            done += len;
            if len == 0 || is_at_mark {
                break;
            }
        }
        done
    }

    /// Whether the peer offers bytes that come right behind those that were read.
    fn can_read_on(&self, id: StreamId) -> bool {
        self.streams.get(id.0).is_some_and(|stream| {
            let machine =
                stream.machine.as_ref().filter(|_| stream.can_place() && !stream.inbox.is_at_mark());
            machine.is_some_and(|machine| machine.offer().is_some())
        })
    }

    /// Takes memory as the first; whether more bytes are to come there.
    fn place(&mut self, cx: &mut Context<'_>, id: StreamId, target: Target) -> bool {
        let Some(stream) = self.streams.get_mut(id.0) else { return false };
        let Some(machine) = stream.machine.as_mut().filter(|_| stream.phase == Phase::Open) else {
            return false;
        };
        machine.prefer_pipelined(true);
        stream.is_placing = true;
        let is_late = !stream.targets.is_empty();
        stream.targets.push_front(Target { is_late, ..target });
        self.drive(cx, id);
        let Some(stream) = self.streams.get_mut(id.0) else { return true };
        // Bytes that are there are not kept for others that may come.
        let is_over =
            |first: &mut Target| first.memory == target.memory && first.is_idle() && first.filled > 0;
        stream.targets.pop_front_if(is_over).is_none()
    }

    /// Reads what the peer offers into the owner's memory; false if that is not where it belongs.
    pub(super) fn read_to_place(&mut self, cx: &mut Context<'_>, id: StreamId, connection: Key) -> bool {
        let Some(stream) = self.streams.get_mut(id.0) else { return false };
        let can_place = stream.can_place();
        let Some(machine) = stream.machine.as_mut() else { return false };
        let Some(offer) = machine.offer() else { return false };
        if !stream.is_placing {
            return false;
        }
        stream.is_bulk = true;
        let Some(target) = stream.targets.iter_mut().find(|it| it.is_idle()).filter(|_| can_place) else {
            return true;
        };
        let into = target.memory.from(target.filled as usize);
        let into = into.first(into.len().min(offer.len as usize));
        let from = Remote { address: offer.address, key: MemoryKey(offer.key) };
        if self.endpoint.read(cx.device, connection, 0, from, &[into]).is_ok() {
            machine.read(into.len);
            target.state = State::Reading;
            self.has_posted = true;
            stream.posted.push_back(Posted::Place(into.len));
        }
        true
    }

    /// So many bytes were read into the owner's memory, or it failed.
    pub(super) fn handle_placed(&mut self, id: StreamId, len: u32, is_done: bool) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        let is_reading = |target: &Target| matches!(target.state, State::Reading);
        let Some(place) = stream.targets.iter().position(is_reading) else { return };
        let Some(target) = stream.targets.remove(place) else { return };
        let len = if is_done { len } else { 0 };
        stream.keep_placed(&mut self.frames, target, len);
    }

    /// Tells the peer of memory to write to, as far as it may be told now.
    pub(super) fn open_targets(&mut self, cx: &mut Context<'_>, id: StreamId) {
        while let Some(stream) = self.streams.get_mut(id.0)
            && stream.phase == Phase::Open
            && stream.is_bulk
            && stream.can_place()
        {
            let Some(machine) = stream.machine.as_mut() else { return };
            let Some(place) = stream.targets.iter().position(Target::is_idle) else { return };
            if stream.targets.iter().skip(place).any(|behind| !behind.is_idle()) {
                // The peer was done with it and wrote nothing there. What it has behind is not to come first.
                return machine.cancel_advertised();
            }
            let target = &mut stream.targets[place];
            let len = target.memory.len;
            let is_next = !target.is_late || stream.inbox.len() == 0;
            let is_theirs = is_next && target.is_wanted && target.filled == 0 && machine.offer().is_none();
            if !is_theirs || machine.can_advertise(len).is_err() {
                return;
            }
            let Some(opening) = self.keys.take(cx.device) else { return };
            let token = stream.next_token;
            let advert = Advert { len, key: opening.key.0, address: ADDRESS };
            if machine.advertise(token, advert).is_err() {
                return self.keys.end(cx.device, opening);
            }
            stream.next_token = token.wrapping_add(1);
            target.state = State::Open { token, opening };
        }
    }

    /// The peer wrote so many bytes to memory that it was told of.
    pub(super) fn handle_written(&mut self, device: &mut dyn Device, id: StreamId, token: u32, len: u32) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        let Some((target, is_closed)) = stream.shut_target(device, &mut self.keys, token) else { return };
        if !is_closed {
            // It speaks of what it was not told.
            stream.error = stream.error.or(Some(SocketError::Protocol));
            if let Some(machine) = stream.machine.as_mut() {
                machine.abort();
            }
        }
        stream.is_bulk = true;
        stream.keep_placed(&mut self.frames, target, len);
    }

    /// The peer sent bytes for memory that it was told of in a message, and is done with it.
    pub(super) fn handle_sent(&mut self, cx: &mut Context<'_>, id: StreamId, token: u32, bytes: Span) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        let Some((target, _)) = stream.shut_target(cx.device, &mut self.keys, token) else { return };
        cx.env.mem().copy(target.memory, bytes);
        stream.keep_placed(&mut self.frames, target, bytes.len);
    }

    /// The peer lets go of memory that it was told of, or it was not told.
    pub(super) fn handle_returned(&mut self, device: &mut dyn Device, id: StreamId, token: u32) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        let Some(place) = stream.targets.iter().position(|target| target.is_open_as(token)) else { return };
        let Some((target, _)) = stream.shut_target(device, &mut self.keys, token) else { return };
        stream.targets.insert(place, Target { state: State::Idle, ..target });
        stream.drop_unwanted(&mut self.frames);
    }
}

impl Stream {
    /// Whether the next bytes may come to memory of the owner's: none wait that lie elsewhere, or are on their way there.
    fn can_place(&self) -> bool {
        let is_elsewhere = |posted: &Posted| matches!(posted, Posted::Read(_));
        self.inbox.is_all_placed() && !self.posted.iter().any(is_elsewhere)
    }

    /// The memory that the peer may write to under this name, which it may not any more. It may be done with it before it was told, by
    /// what crossed the message that tells it: then the key is closed as soon as it was opened. Says whether it is closed now.
    fn shut_target(
        &mut self,
        device: &mut dyn Device,
        keys: &mut Keys,
        token: u32,
    ) -> Option<(Target, bool)> {
        let place = self.targets.iter().position(|target| target.is_open_as(token))?;
        let target = self.targets.remove(place)?;
        let State::Open { opening, .. } = target.state else { return None };
        let is_closed = keys.close(device, opening);
        if !is_closed {
            self.closing.push(Closing { opening, name: target.name, is_due: false });
        }
        Some((target, is_closed))
    }

    /// Closes what was opened though the peer was done with it before.
    pub(super) fn close_early(&mut self, device: &mut dyn Device, keys: &mut Keys, frames: &mut Frames) {
        self.closing.retain(|closing| {
            let is_closed = keys.close(device, closing.opening);
            if is_closed && closing.is_due {
                frames.give_lent(closing.name);
            }
            !is_closed
        });
    }

    /// Memory is not needed any more. Its owner has it back, once it is closed.
    pub(super) fn give_place(&mut self, frames: &mut Frames, name: u64) {
        match self.closing.iter_mut().find(|closing| closing.name == name && !closing.is_due) {
            Some(closing) => closing.is_due = true,
            None => frames.give_lent(name),
        }
    }

    /// Bytes came to memory: they are read next from there. If none did it waits on, before all others.
    fn keep_placed(&mut self, frames: &mut Frames, target: Target, len: u32) {
        let len = target.filled + len;
        if len > 0 {
            return self.inbox.push(target.memory.first(len as usize), Held::Placed(target.name));
        }
        self.targets.push_front(Target { state: State::Idle, is_late: true, ..target });
        self.drop_unwanted(frames);
    }

    /// Wants no bytes in any memory, and all of it back.
    pub(super) fn leave_targets(&mut self, frames: &mut Frames) {
        self.targets.iter_mut().for_each(|target| target.is_wanted = false);
        self.drop_unwanted(frames);
    }

    /// Gives memory back that nothing happens to and nobody wants bytes in.
    fn drop_unwanted(&mut self, frames: &mut Frames) {
        while let Some(place) = self.targets.iter().position(|target| target.is_idle() && !target.is_wanted)
            && let Some(target) = self.targets.remove(place)
        {
            self.give_place(frames, target.name);
        }
    }

    /// Gives all memory back, when there is no queue pair any more.
    pub(super) fn clear_targets(&mut self, device: &mut dyn Device, keys: &mut Keys, frames: &mut Frames) {
        while let Some(target) = self.targets.pop_front() {
            if let State::Open { opening, .. } = target.state {
                keys.end(device, opening);
            }
            self.give_place(frames, target.name);
        }
        for closing in self.closing.drain(..) {
            keys.end(device, closing.opening);
            if closing.is_due {
                frames.give_lent(closing.name);
            }
        }
    }
}

impl Target {
    const fn new(memory: Span, name: u64, filled: u32) -> Self {
        Self { memory, name, filled, state: State::Idle, is_wanted: true, is_late: false }
    }

    const fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// What it is and what opens it, if the peer is to know it by this key.
    pub(super) fn known_as(&mut self, key: u32) -> Option<(Span, &mut Opening)> {
        match &mut self.state {
            State::Open { opening, .. } if opening.key.0 == key => Some((self.memory, opening)),
            State::Open { .. } | State::Idle | State::Reading => None,
        }
    }

    fn is_open_as(&self, name: u32) -> bool {
        matches!(self.state, State::Open { token, .. } if token == name)
    }
}

/// Pieces of memory that wait for bytes of one stream.
const TARGETS_MAX: usize = 16;
