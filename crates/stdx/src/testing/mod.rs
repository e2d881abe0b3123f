//! An environment in memory, for tests of whatever runs on one: streams whose other half the test plays, files that can lose
//! power, and a clock that the test moves.
//!
//! What it is not: it has no network and no other node ([`sim`](../../sim) has), and answers each call at once.

mod files;
mod streams;

pub use files::Files;
pub use streams::Stream;

use crate::env::{
    Accepted, Env, Event, FileId, FileInfo, FileOp, IoError, ListenerId, OpenFile, Owner, Refused, StreamId,
    Waker,
};
use crate::mem::{Memory, MemoryLimits, Span};
use crate::prng::Prng;
use crate::time::Time;
use core::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use streams::Streams;

/// The world of one test.
pub struct TestEnv {
    /// Its memory.
    pub memory: Memory,
    /// Its time.
    pub now: Time,
    /// Its files.
    pub files: Files,
    entropy: Prng,
    streams: Streams,
    events: VecDeque<Event>,
}

impl TestEnv {
    /// A world with so many bytes of I/O buffers.
    pub fn new(buffer_bytes: usize) -> Self {
        Self::seeded(1, buffer_bytes)
    }

    /// The same with other chances: which file operations are done first, what nobody can guess.
    pub fn seeded(seed: u64, buffer_bytes: usize) -> Self {
        Self {
            memory: Memory::new(MemoryLimits { buffer_bytes }).expect("memory"),
            now: Time::from_nanos(1),
            files: Files::new(seed),
            entropy: Prng::new(seed),
            streams: Streams::default(),
            events: VecDeque::new(),
        }
    }

    /// Moves the clock.
    pub fn advance(&mut self, by: Duration) {
        self.now += by;
    }

    /// A stream that waits to be accepted by the only listener.
    pub fn arrive(&mut self) -> StreamId {
        let (stream, event) = self.streams.arrive();
        self.events.push_back(event);
        stream
    }

    /// Bytes arrive on a stream.
    pub fn deliver(&mut self, stream: StreamId, bytes: &[u8]) {
        self.events.extend(self.streams.deliver(stream, bytes));
    }

    /// The peer ends its half.
    pub fn finish(&mut self, stream: StreamId) {
        self.events.extend(self.streams.finish(stream));
    }

    /// There is room to send again.
    pub fn make_room(&mut self, stream: StreamId, room: usize) {
        self.events.extend(self.streams.make_room(stream, room));
    }

    /// A stream, as its peer sees it.
    pub fn stream(&mut self, stream: StreamId) -> &mut Stream {
        self.streams.get_mut(stream)
    }

    /// Every stream there ever was, in the order they came.
    pub fn streams(&self) -> Vec<StreamId> {
        self.streams.all()
    }

    /// The next stream that has sent something, and what it was.
    pub fn take_sent(&mut self) -> Option<(StreamId, Vec<u8>)> {
        self.streams.take_sent()
    }

    /// Bytes that were delivered and not received.
    pub fn unread(&mut self, stream: StreamId) -> usize {
        self.streams.get_mut(stream).unread()
    }

    /// The next event of a stream or listener.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Nothing has happened to streams and listeners that was not told.
    pub fn is_quiet(&self) -> bool {
        self.events.is_empty()
    }
}

impl Env for TestEnv {
    fn now(&self) -> Time {
        self.now
    }

    fn calendar_ms(&self) -> u64 {
        CALENDAR_MS
    }

    fn entropy(&mut self) -> u64 {
        self.entropy.next_u64()
    }

    fn mem(&mut self) -> &mut Memory {
        &mut self.memory
    }

    fn listen(&mut self, owner: Owner, address: SocketAddr) -> Result<ListenerId, IoError> {
        Ok(self.streams.listen(owner, address))
    }

    fn listener_address(&self, listener: ListenerId) -> SocketAddr {
        self.streams.listener_address(listener)
    }

    fn close_listener(&mut self, listener: ListenerId) {
        self.streams.close_listener(listener);
    }

    fn accept(&mut self, listener: ListenerId, owner: Owner) -> Result<Accepted, IoError> {
        self.streams.accept(listener, owner)
    }

    fn connect(&mut self, owner: Owner, _: SocketAddr) -> Result<StreamId, IoError> {
        let (stream, event) = self.streams.connect(owner);
        self.events.push_back(event);
        Ok(stream)
    }

    fn recv(&mut self, stream: StreamId, into: Span) -> Result<usize, IoError> {
        let (len, event) = self.streams.recv(&mut self.memory, stream, into)?;
        self.events.extend(event);
        Ok(len)
    }

    fn send(&mut self, stream: StreamId, from: &[Span]) -> Result<usize, IoError> {
        self.streams.send(&mut self.memory, stream, from)
    }

    fn close(&mut self, stream: StreamId, abort: bool) {
        self.streams.close(stream, abort);
    }

    fn open_file(&mut self, open: &OpenFile) -> Result<FileId, IoError> {
        self.files.open(open)
    }

    fn file_info(&mut self, file: FileId) -> Result<FileInfo, IoError> {
        Ok(self.files.info(file))
    }

    fn resize_file(&mut self, file: FileId, len: u64) -> Result<(), IoError> {
        self.files.resize(file, len)
    }

    fn close_file(&mut self, file: FileId) {
        self.files.close(file);
    }

    fn submit(&mut self, op: FileOp) -> Result<(), Refused<FileOp>> {
        self.files.submit(op)
    }

    /// Tells what happened. With file operations under way, some of them end; with nothing at all, the clock jumps to the
    /// deadline.
    fn poll(&mut self, events: &mut Vec<Event>, deadline: Option<Time>) {
        let told = !self.events.is_empty();
        events.extend(self.events.drain(..));
        if self.files.is_busy() {
            self.now += FILE_TIME;
            self.files.complete_some(&mut self.memory, events);
        } else if !told {
            let deadline = deadline.expect("nothing under way and no deadline: this would sleep for ever");
            self.now = self.now.max(deadline);
        }
    }

    fn waker(&self) -> Waker {
        Arc::new(|| {})
    }
}

/// What the calendar says, always.
const CALENDAR_MS: u64 = 1_700_000_000_000;
/// How long file operations take.
const FILE_TIME: Duration = Duration::from_micros(10);
