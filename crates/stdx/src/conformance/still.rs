//! An environment in which nothing happens: memory, entropy from a seed, and a clock that jumps to the deadline of each
//! [`Env::poll`]. For tests of what needs no more than that.

use crate::env::{
    Accepted, Env, Event, FileId, FileInfo, FileOp, IoError, ListenerId, OpenFile, Owner, Refused, StreamId,
    Waker,
};
use crate::mem::{Memory, MemoryLimits, Span};
use crate::prng::Prng;
use crate::time::Time;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// The environment.
#[derive(Debug)]
pub struct StillEnv {
    now: Time,
    memory: Memory,
    entropy: Prng,
}

impl StillEnv {
    /// Time zero, fresh memory, and the entropy of `seed`.
    pub fn new(seed: u64) -> Self {
        let limits = MemoryLimits { buffer_bytes: 16 << 20 };
        let memory = Memory::new(limits).expect("16 MiB of address space");
        Self { now: Time::ZERO, memory, entropy: Prng::new(seed) }
    }

    /// Makes it `now`, if that is later.
    pub fn set_now(&mut self, now: Time) {
        self.now = self.now.max(now);
    }
}

impl Env for StillEnv {
    fn now(&self) -> Time {
        self.now
    }

    fn calendar_ms(&self) -> u64 {
        self.now.as_nanos() / 1_000_000
    }

    fn entropy(&mut self) -> u64 {
        self.entropy.next_u64()
    }

    fn mem(&mut self) -> &mut Memory {
        &mut self.memory
    }

    fn listen(&mut self, _owner: Owner, _address: SocketAddr) -> Result<ListenerId, IoError> {
        Err(IoError::Unsupported)
    }

    fn listener_address(&self, _listener: ListenerId) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
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

    fn poll(&mut self, _events: &mut Vec<Event>, deadline: Option<Time>) {
        if let Some(deadline) = deadline {
            self.set_now(deadline);
        }
    }

    fn waker(&self) -> Waker {
        Arc::new(|| {})
    }
}
