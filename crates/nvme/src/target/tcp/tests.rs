//! What the unit tests of this folder share.

use std::net::SocketAddr;
use stdx::env::{
    Accepted, Env, Event, FileId, FileInfo, FileOp, IoError, ListenerId, OpenFile, Owner, Refused, StreamId,
    Waker,
};
use stdx::mem::{Memory, MemoryLimits, Span};
use stdx::time::Time;

/// An environment that has memory and nothing else.
pub(super) struct MemoryOnly(Memory);

impl MemoryOnly {
    /// With 20 MiB of I/O buffers.
    pub(super) fn new() -> Self {
        Self(Memory::new(MemoryLimits { buffer_bytes: 20 << 20 }).unwrap())
    }
}

impl Env for MemoryOnly {
    fn now(&self) -> Time {
        Time::ZERO
    }
    fn calendar_ms(&self) -> u64 {
        0
    }
    fn entropy(&mut self) -> u64 {
        0
    }
    fn mem(&mut self) -> &mut Memory {
        &mut self.0
    }
    fn listen(&mut self, _owner: Owner, _address: SocketAddr) -> Result<ListenerId, IoError> {
        Err(IoError::Unsupported)
    }
    fn listener_address(&self, _listener: ListenerId) -> SocketAddr {
        SocketAddr::from(([0; 4], 0))
    }
    fn close_listener(&mut self, _listener: ListenerId) {}
    fn accept(&mut self, _listener: ListenerId, _owner: Owner) -> Result<Accepted, IoError> {
        Err(IoError::Unsupported)
    }
    fn connect(&mut self, _owner: Owner, _address: SocketAddr) -> Result<StreamId, IoError> {
        Err(IoError::Unsupported)
    }
    fn recv(&mut self, _stream: StreamId, _into: Span) -> Result<usize, IoError> {
        Err(IoError::Unsupported)
    }
    fn send(&mut self, _stream: StreamId, _from: &[Span]) -> Result<usize, IoError> {
        Err(IoError::Unsupported)
    }
    fn close(&mut self, _stream: StreamId, _abort: bool) {}
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
    fn poll(&mut self, _events: &mut Vec<Event>, _deadline: Option<Time>) {}
    fn waker(&self) -> Waker {
        std::sync::Arc::new(|| {})
    }
}
