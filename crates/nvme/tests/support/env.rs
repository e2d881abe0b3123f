//! An environment in memory: streams whose other half the test plays, and a clock that the test moves.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use stdx::env::{
    Accepted, Env, Event, FileId, FileInfo, FileOp, IoError, ListenerId, OpenFile, Owner, Refused, StreamId,
    Waker, What,
};
use stdx::mem::{Memory, MemoryLimits, Span};
use stdx::prng::Prng;
use stdx::time::Time;

/// The world of one test.
pub struct TestEnv {
    memory: Memory,
    now: Time,
    entropy: Prng,
    listeners: BTreeMap<ListenerId, (Owner, SocketAddr, VecDeque<StreamId>)>,
    streams: BTreeMap<StreamId, Stream>,
    events: VecDeque<Event>,
    next: u64,
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

impl TestEnv {
    /// A world with so many bytes of I/O buffers.
    pub fn new(buffer_bytes: usize) -> Self {
        Self {
            memory: Memory::new(MemoryLimits { buffer_bytes }).unwrap(),
            now: Time::from_nanos(1),
            entropy: Prng::new(1),
            listeners: BTreeMap::new(),
            streams: BTreeMap::new(),
            events: VecDeque::new(),
            next: 1,
        }
    }

    /// A stream that waits to be accepted by the only listener.
    pub fn arrive(&mut self) -> StreamId {
        let stream = self.open(None);
        let (&listener, (owner, _, waiting)) = self.listeners.iter_mut().next().expect("somebody listens");
        waiting.push_back(stream);
        let event = Event { owner: *owner, what: What::Acceptable(listener) };
        self.events.push_back(event);
        stream
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

    /// Bytes arrive on a stream.
    pub fn deliver(&mut self, stream: StreamId, bytes: &[u8]) {
        let state = self.streams.get_mut(&stream).unwrap();
        if state.closed.is_none() {
            state.arrived.extend(bytes);
            if let Some(owner) = state.owner {
                self.events.push_back(Event { owner, what: What::Readable(stream) });
            }
        }
    }

    /// The peer ends its half.
    pub fn finish(&mut self, stream: StreamId) {
        let state = self.streams.get_mut(&stream).unwrap();
        state.ended = true;
        if let Some(owner) = state.owner.filter(|_| state.closed.is_none()) {
            self.events.push_back(Event { owner, what: What::Readable(stream) });
        }
    }

    /// There is room to send again.
    pub fn make_room(&mut self, stream: StreamId, room: usize) {
        let state = self.streams.get_mut(&stream).unwrap();
        state.room = room;
        if let Some(owner) = state.owner.filter(|_| state.closed.is_none()) {
            self.events.push_back(Event { owner, what: What::Writable(stream) });
        }
    }

    /// A stream, as its peer sees it.
    pub fn stream(&mut self, stream: StreamId) -> &mut Stream {
        self.streams.get_mut(&stream).unwrap()
    }

    /// Every stream there ever was, in the order they came.
    pub fn streams(&self) -> Vec<StreamId> {
        self.streams.keys().copied().collect()
    }

    /// The next stream that has sent something, and what it was.
    pub fn take_sent(&mut self) -> Option<(StreamId, Vec<u8>)> {
        let (&stream, state) = self.streams.iter_mut().find(|(_, state)| !state.sent.is_empty())?;
        Some((stream, std::mem::take(&mut state.sent)))
    }

    /// Bytes that were delivered and not received.
    pub fn unread(&self, stream: StreamId) -> usize {
        self.streams[&stream].arrived.len()
    }

    /// Moves the clock.
    pub fn advance(&mut self, by: std::time::Duration) {
        self.now += by;
    }

    /// The next event.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Nothing has happened that was not told.
    pub fn is_quiet(&self) -> bool {
        self.events.is_empty()
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Env for TestEnv {
    fn now(&self) -> Time {
        self.now
    }

    fn calendar_ms(&self) -> u64 {
        1_700_000_000_000
    }

    fn entropy(&mut self) -> u64 {
        self.entropy.next_u64()
    }

    fn mem(&mut self) -> &mut Memory {
        &mut self.memory
    }

    fn listen(&mut self, owner: Owner, address: SocketAddr) -> Result<ListenerId, IoError> {
        let listener = ListenerId(self.fresh());
        self.listeners.insert(listener, (owner, address, VecDeque::new()));
        Ok(listener)
    }

    fn listener_address(&self, listener: ListenerId) -> SocketAddr {
        self.listeners[&listener].1
    }

    fn close_listener(&mut self, listener: ListenerId) {
        self.listeners.remove(&listener);
    }

    fn accept(&mut self, listener: ListenerId, owner: Owner) -> Result<Accepted, IoError> {
        let (_, local, waiting) = self.listeners.get_mut(&listener).unwrap();
        let stream = waiting.pop_front().ok_or(IoError::WouldBlock)?;
        self.streams.get_mut(&stream).unwrap().owner = Some(owner);
        let peer = SocketAddr::from(([10, 0, 0, 2], stream.0 as u16));
        Ok(Accepted { stream, peer, local: *local })
    }

    fn connect(&mut self, owner: Owner, _address: SocketAddr) -> Result<StreamId, IoError> {
        let stream = self.open(Some(owner));
        self.events.push_back(Event { owner, what: What::Writable(stream) });
        Ok(stream)
    }

    fn recv(&mut self, stream: StreamId, into: Span) -> Result<usize, IoError> {
        let state = self.streams.get_mut(&stream).unwrap();
        assert!(state.closed.is_none(), "receive on a closed stream");
        let len = state.arrived.len().min(into.len()).min(state.cut);
        if len == 0 {
            return if state.ended { Ok(0) } else { Err(IoError::WouldBlock) };
        }
        let (front, back) = state.arrived.as_slices();
        let first = front.len().min(len);
        self.memory.write(into, &front[..first]);
        self.memory.write(into.slice(first, len - first), &back[..len - first]);
        state.arrived.drain(..len);
        // A cut is not the end of what is there: only a short receive without more behind it promises an event.
        if len < into.len() && (!state.arrived.is_empty() || state.ended) {
            self.events.push_back(Event { owner: state.owner.unwrap(), what: What::Readable(stream) });
        }
        Ok(len)
    }

    fn send(&mut self, stream: StreamId, from: &[Span]) -> Result<usize, IoError> {
        let state = self.streams.get_mut(&stream).unwrap();
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
            self.memory.read(span.first(len), &mut state.sent[at..]);
            state.room -= len;
            total += len;
        }
        Ok(total)
    }

    fn close(&mut self, stream: StreamId, abort: bool) {
        let state = self.streams.get_mut(&stream).unwrap();
        assert!(state.closed.is_none(), "closed twice");
        state.closed = Some(abort);
    }

    fn open_file(&mut self, _open: &OpenFile) -> Result<FileId, IoError> {
        Err(IoError::Unsupported)
    }

    fn file_info(&mut self, _file: FileId) -> Result<FileInfo, IoError> {
        Err(IoError::Unsupported)
    }

    fn resize_file(&mut self, _file: FileId, _len: u64) -> Result<(), IoError> {
        Err(IoError::Unsupported)
    }

    fn close_file(&mut self, _file: FileId) {}

    fn submit(&mut self, op: FileOp) -> Result<(), Refused<FileOp>> {
        Err(Refused(op))
    }

    fn poll(&mut self, events: &mut Vec<Event>, _deadline: Option<Time>) {
        events.extend(self.events.drain(..));
    }

    fn waker(&self) -> Waker {
        Arc::new(|| {})
    }
}
