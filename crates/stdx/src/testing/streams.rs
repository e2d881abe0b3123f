//! Streams whose other half the test plays.

use crate::env::{Accepted, Event, IoError, ListenerId, Owner, StreamId, What};
use crate::mem::{Memory, Span};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// Streams and listeners.
#[derive(Default)]
pub(super) struct Streams {
    listeners: BTreeMap<ListenerId, (Owner, SocketAddr, VecDeque<StreamId>)>,
    streams: BTreeMap<StreamId, Stream>,
    last: u64,
}

/// What the test sees of a stream.
pub struct Stream {
    owner: Option<Owner>,
    arrived: VecDeque<u8>,
    ended: bool,
    /// What the other side sent.
    pub sent: Vec<u8>,
    /// How many bytes it may still send.
    pub room: usize,
    /// What is sent is thrown away.
    pub sink: bool,
    /// The most that one receive gives.
    pub cut: usize,
    /// How often it sent.
    pub sends: usize,
    /// Whether and how it was closed: true for a reset.
    pub closed: Option<bool>,
}

impl Stream {
    /// Bytes that were delivered and not received.
    pub(super) fn unread(&self) -> usize {
        self.arrived.len()
    }

    /// What to tell its owner, if it has one and is open.
    fn tell(&self, what: What) -> Option<Event> {
        let owner = self.owner.filter(|_| self.closed.is_none())?;
        Some(Event { owner, what })
    }
}

impl Streams {
    pub(super) fn arrive(&mut self) -> (StreamId, Event) {
        let stream = self.open(None);
        let (&listener, (owner, _, waiting)) = self.listeners.iter_mut().next().expect("somebody listens");
        waiting.push_back(stream);
        (stream, Event { owner: *owner, what: What::Acceptable(listener) })
    }

    pub(super) fn connect(&mut self, owner: Owner) -> (StreamId, Event) {
        let stream = self.open(Some(owner));
        (stream, Event { owner, what: What::Writable(stream) })
    }

    fn open(&mut self, owner: Option<Owner>) -> StreamId {
        let stream = StreamId(self.fresh());
        let state = Stream {
            owner,
            arrived: VecDeque::new(),
            ended: false,
            sent: Vec::new(),
            room: usize::MAX,
            sink: false,
            cut: usize::MAX,
            sends: 0,
            closed: None,
        };
        self.streams.insert(stream, state);
        stream
    }

    pub(super) fn deliver(&mut self, stream: StreamId, bytes: &[u8]) -> Option<Event> {
        let state = self.get_mut(stream);
        if state.closed.is_none() {
            state.arrived.extend(bytes);
        }
        state.tell(What::Readable(stream))
    }

    pub(super) fn finish(&mut self, stream: StreamId) -> Option<Event> {
        let state = self.get_mut(stream);
        state.ended = true;
        state.tell(What::Readable(stream))
    }

    pub(super) fn make_room(&mut self, stream: StreamId, room: usize) -> Option<Event> {
        let state = self.get_mut(stream);
        state.room = room;
        state.tell(What::Writable(stream))
    }

    pub(super) fn get_mut(&mut self, stream: StreamId) -> &mut Stream {
        self.streams.get_mut(&stream).expect("a stream there was")
    }

    pub(super) fn all(&self) -> Vec<StreamId> {
        self.streams.keys().copied().collect()
    }

    pub(super) fn take_sent(&mut self) -> Option<(StreamId, Vec<u8>)> {
        let (&stream, state) = self.streams.iter_mut().find(|(_, state)| !state.sent.is_empty())?;
        Some((stream, core::mem::take(&mut state.sent)))
    }

    pub(super) fn listen(&mut self, owner: Owner, address: SocketAddr) -> ListenerId {
        let listener = ListenerId(self.fresh());
        self.listeners.insert(listener, (owner, address, VecDeque::new()));
        listener
    }

    pub(super) fn listener_address(&self, listener: ListenerId) -> SocketAddr {
        self.listeners[&listener].1
    }

    pub(super) fn close_listener(&mut self, listener: ListenerId) {
        self.listeners.remove(&listener);
    }

    pub(super) fn accept(&mut self, listener: ListenerId, owner: Owner) -> Result<Accepted, IoError> {
        let (_, local, waiting) = self.listeners.get_mut(&listener).expect("a listener");
        let (stream, local) = (waiting.pop_front().ok_or(IoError::WouldBlock)?, *local);
        self.get_mut(stream).owner = Some(owner);
        let peer = SocketAddr::from(([10, 0, 0, 2], stream.0 as u16));
        Ok(Accepted { stream, peer, local })
    }

    /// How many bytes were received, and what is to be told then.
    pub(super) fn recv(
        &mut self,
        memory: &mut Memory,
        stream: StreamId,
        into: Span,
    ) -> Result<(usize, Option<Event>), IoError> {
        let state = self.get_mut(stream);
        assert!(state.closed.is_none(), "receive on a closed stream");
        let len = state.arrived.len().min(into.len()).min(state.cut);
        if len == 0 {
            return if state.ended { Ok((0, None)) } else { Err(IoError::WouldBlock) };
        }
        let (front, back) = state.arrived.as_slices();
        let first = front.len().min(len);
        memory.write(into, &front[..first]);
        memory.write(into.slice(first, len - first), &back[..len - first]);
        state.arrived.drain(..len);
        // A cut is not the end of what is there: only a short receive without more behind it promises an event.
        let more = len < into.len() && (!state.arrived.is_empty() || state.ended);
        let event = if more { state.tell(What::Readable(stream)) } else { None };
        Ok((len, event))
    }

    pub(super) fn send(
        &mut self,
        memory: &mut Memory,
        stream: StreamId,
        from: &[Span],
    ) -> Result<usize, IoError> {
        let state = self.get_mut(stream);
        assert!(state.closed.is_none(), "send on a closed stream");
        if state.room == 0 {
            return Err(IoError::WouldBlock);
        }
        state.sends += 1;
        if state.sink {
            return Ok(from.iter().map(|span| span.len()).sum());
        }
        let mut total = 0;
        for span in from {
            let len = span.len().min(state.room);
            let at = state.sent.len();
            state.sent.resize(at + len, 0);
            memory.read(span.first(len), &mut state.sent[at..]);
            state.room -= len;
            total += len;
        }
        Ok(total)
    }

    pub(super) fn close(&mut self, stream: StreamId, abort: bool) {
        let state = self.get_mut(stream);
        assert!(state.closed.is_none(), "closed twice");
        state.closed = Some(abort);
    }

    fn fresh(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}
