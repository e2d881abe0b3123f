//! An environment in which nothing happens: memory, entropy from a seed, and a clock that jumps to the deadline of each
//! [`Env::poll`]. For tests of what needs no more than that. As one process of a [`Machine`] it has links, too.

use super::links::{Machine, Process};
use crate::env::{
    Accepted, Env, Event, FileId, FileInfo, FileOp, IoError, LinkId, LinkListenerId, LinkMessage, LinkName,
    LinkPeer, ListenerId, OpenFile, Owner, Refused, StreamId, Waker,
};
use crate::mem::{Memory, MemoryLimits, RegionId, Span};
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
    process: Option<Process>,
}

impl StillEnv {
    /// Time zero, fresh memory, and the entropy of `seed`.
    pub fn new(seed: u64) -> Self {
        Self::with_buffers(seed, 16 << 20)
    }

    /// The same, with so many bytes of address space for buffers.
    pub fn with_buffers(seed: u64, buffer_bytes: usize) -> Self {
        let memory = Memory::new(MemoryLimits { buffer_bytes }).expect("address space");
        Self { now: Time::ZERO, memory, entropy: Prng::new(seed), process: None }
    }

    /// The same, as a process of a machine that runs as a user.
    pub fn on(machine: &Machine, user: u32, seed: u64) -> Self {
        Self { process: Some(machine.process(user)), ..Self::new(seed) }
    }

    /// The process is killed: its links are gone.
    pub fn die(&mut self) {
        if let Some(process) = self.process.take() {
            process.die();
        }
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

    fn listen_links(&mut self, owner: Owner, name: &LinkName) -> Result<LinkListenerId, IoError> {
        self.process.as_ref().ok_or(IoError::Unsupported)?.listen(owner, name)
    }

    fn close_link_listener(&mut self, listener: LinkListenerId) {
        if let Some(process) = &self.process {
            process.close_listener(listener);
        }
    }

    fn accept_link(&mut self, listener: LinkListenerId, owner: Owner) -> Result<LinkId, IoError> {
        self.process.as_ref().ok_or(IoError::WouldBlock)?.accept(listener, owner)
    }

    fn connect_link(&mut self, owner: Owner, name: &LinkName) -> Result<LinkId, IoError> {
        self.process.as_ref().ok_or(IoError::Refused)?.connect(owner, name)
    }

    fn link_peer(&self, link: LinkId) -> Result<LinkPeer, IoError> {
        self.process.as_ref().ok_or(IoError::Reset)?.peer(link)
    }

    fn send_link(&mut self, link: LinkId, message: &[u8], memory: Option<RegionId>) -> Result<(), IoError> {
        self.process.as_ref().ok_or(IoError::Reset)?.send(&self.memory, link, message, memory)
    }

    fn recv_link(&mut self, link: LinkId, into: &mut [u8]) -> Result<LinkMessage, IoError> {
        self.process.as_ref().ok_or(IoError::Reset)?.recv(&mut self.memory, link, into)
    }

    fn close_link(&mut self, link: LinkId) {
        if let Some(process) = &self.process {
            process.close(link);
        }
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

    fn poll(&mut self, events: &mut Vec<Event>, deadline: Option<Time>) {
        if let Some(process) = &self.process {
            process.poll(events);
        }
        if let Some(deadline) = deadline {
            self.set_now(deadline);
        }
    }

    fn waker(&self) -> Waker {
        Arc::new(|| {})
    }
}
