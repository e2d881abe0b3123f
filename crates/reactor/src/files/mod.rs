//! The table of files, and the operations under way on them.
//!
//! Why a safe program cannot make the kernel write where it should not: an operation holds its span pinned
//! ([`Memory::pin`](stdx::mem::Memory::pin)) from before the kernel hears of it until its last call's result is taken, so
//! its bytes stay mapped, and where they are, whatever happens to the region or the memory. The descriptor stays open as
//! long: a closed file leaves the table only with its last operation. When the reactor is dropped it waits for what is under
//! way; when it is forgotten, pins and descriptors stay for ever. Bytes of an I/O buffer given back too early may be
//! overwritten: wrong data, but no more than that, because shared memory is never lent as a slice.

mod call;
mod open;
mod operation;
mod threads;
mod uring;

use crate::options::FileBackend;
use crate::poller::{Interest, Poller};
use crate::waker::Bell;
use call::Call;
use operation::{Next, Operation};
use std::os::fd::{AsRawFd, OwnedFd};
use stdx::env::{
    Event, FileExtent, FileId, FileInfo, FileOp, FileOpKind, IoError, OpenFile, Owner, Refused, What,
};
use stdx::mem::Memory;
use stdx::slab::{Key, Slab};
use threads::Threads;
use uring::Uring;

/// All files of a reactor.
pub(crate) struct Files {
    table: Slab<File>,
    operations: Slab<Operation>,
    /// Operations that needed no call: whose, and their results.
    settled: Vec<(Owner, u64, Result<u32, IoError>)>,
    choice: FileBackend,
    depth: usize,
    backend: Option<Backend>,
}

struct File {
    fd: OwnedFd,
    info: FileInfo,
    under_way: usize,
    closing: bool,
}

enum Backend {
    Uring(Box<Uring>),
    Threads(Threads),
}

impl Files {
    /// An empty table, with at most `depth` operations under way at once.
    pub(crate) fn new(choice: FileBackend, depth: usize) -> Self {
        let depth = depth.clamp(1, DEPTH_MAX);
        Self {
            table: Slab::new(FILES_MAX),
            operations: Slab::new(depth),
            settled: Vec::new(),
            choice,
            depth,
            backend: None,
        }
    }

    /// Opens a file; the first one also starts what makes the calls.
    pub(crate) fn open(&mut self, poller: &Poller, open: &OpenFile) -> Result<FileId, IoError> {
        if self.backend.is_none() {
            self.backend = Some(Backend::start(self.choice, self.depth, poller)?);
        }
        let (fd, info) = open::open(open)?;
        let file = File { fd, info, under_way: 0, closing: false };
        let key = self.table.insert(file).map_err(|_| IoError::Limit)?;
        Ok(FileId(key.as_u64()))
    }

    /// What the file is now.
    pub(crate) fn info(&mut self, id: FileId) -> Result<FileInfo, IoError> {
        let file = self.file(id)?;
        file.info.len = open::len(file.fd.as_raw_fd(), file.info.is_device)?;
        Ok(file.info)
    }

    /// What is known of the space behind its bytes from `offset` on.
    pub(crate) fn extent(&mut self, id: FileId, offset: u64) -> Result<FileExtent, IoError> {
        let file = self.file(id)?;
        open::extent(file.fd.as_raw_fd(), file.info.is_device, offset)
    }

    /// Makes a regular file `len` bytes long.
    pub(crate) fn resize(&mut self, id: FileId, len: u64) -> Result<(), IoError> {
        let file = self.file(id)?;
        if file.info.is_device {
            return Err(IoError::Unsupported);
        }
        open::resize(file.fd.as_raw_fd(), len)
    }

    /// Closes a file when its last operation is done.
    pub(crate) fn close(&mut self, id: FileId) {
        let key = Key::from_u64(id.0);
        match self.table.get_mut(key) {
            Some(file) if file.under_way > 0 => file.closing = true,
            _ => drop(self.table.remove(key)),
        }
    }

    /// Starts an operation.
    pub(crate) fn submit(&mut self, memory: &mut Memory, op: FileOp) -> Result<(), Refused<FileOp>> {
        if self.operations.is_full() || self.settled.len() >= self.depth {
            return Err(Refused(op));
        }
        let file = match self.file(op.file) {
            Ok(file) if !is_empty(op.kind) => file,
            other => {
                let result = other.map(|_| 0);
                self.settled.push((op.owner, op.tag, result));
                return Ok(());
            }
        };
        file.under_way += 1;
        let (fd, alignment) = (file.fd.as_raw_fd(), file.info.alignment);
        let operation = Operation::new(&op, Key::from_u64(op.file.0), fd, alignment, memory);
        let call = operation.call();
        let key = self.operations.insert(operation).expect("there is room, as was checked");
        self.backend.as_mut().expect("started when the file was opened").start_call(key, call);
        Ok(())
    }

    /// Tells what is done, and hands to the kernel what is not started yet.
    pub(crate) fn turn(&mut self, memory: &mut Memory, events: &mut Vec<Event>) {
        for (owner, tag, result) in self.settled.drain(..) {
            events.push(Event { owner, what: What::FileDone { tag, result } });
        }
        if self.operations.is_empty() {
            return;
        }
        let Some(backend) = &mut self.backend else { return };
        backend.flush();
        while let Some((key, result)) = backend.pop() {
            let Some(operation) = self.operations.get_mut(key) else { continue };
            match operation.handle(result) {
                Next::Call(call) => backend.start_call(key, call),
                Next::Done(result) => {
                    let operation = self.operations.remove(key).expect("it was there");
                    let what = What::FileDone { tag: operation.tag, result };
                    events.push(Event { owner: operation.owner, what });
                    release(&mut self.table, operation.file);
                    operation.release(memory);
                }
            }
        }
        backend.flush();
    }

    /// True if nothing is under way, or left to be told.
    pub(crate) fn is_idle(&self) -> bool {
        self.operations.is_empty() && self.settled.is_empty()
    }

    /// True if the kernel could not take all calls and must be asked again.
    pub(crate) fn is_behind(&self) -> bool {
        matches!(&self.backend, Some(Backend::Uring(ring)) if ring.is_behind())
    }

    /// Waits until nothing is under way.
    pub(crate) fn finish(&mut self, memory: &mut Memory) {
        let mut events = Vec::new();
        while !self.operations.is_empty() {
            if let Some(backend) = &mut self.backend {
                backend.wait();
            }
            self.turn(memory, &mut events);
        }
    }

    fn file(&mut self, id: FileId) -> Result<&mut File, IoError> {
        let file = self.table.get_mut(Key::from_u64(id.0));
        file.filter(|file| !file.closing).ok_or(IoError::Os(libc::EBADF))
    }
}

impl Backend {
    fn start(choice: FileBackend, depth: usize, poller: &Poller) -> Result<Self, IoError> {
        if choice != FileBackend::Threads {
            match Self::ring(depth, poller) {
                Err(error) if choice == FileBackend::Uring => return Err(error),
                Err(error) => tracing::debug!(%error, "no io_uring: threads do the file calls"),
                ring => return ring,
            }
        }
        let bell = Bell::new(poller, FILES)?;
        Ok(Self::Threads(Threads::new(depth, bell).map_err(|_| IoError::Limit)?))
    }

    fn ring(depth: usize, poller: &Poller) -> Result<Self, IoError> {
        let ring = Uring::new(depth as u32)?;
        poller.add(ring.fd(), FILES, Interest::Arrivals)?;
        Ok(Self::Uring(Box::new(ring)))
    }

    fn start_call(&mut self, key: Key, call: Call) {
        match self {
            Self::Uring(ring) => ring.start(key, call),
            Self::Threads(threads) => threads.start(key, call),
        }
    }

    fn flush(&mut self) {
        match self {
            Self::Uring(ring) => ring.flush(),
            Self::Threads(_) => {}
        }
    }

    fn pop(&mut self) -> Option<(Key, i32)> {
        match self {
            Self::Uring(ring) => ring.pop(),
            Self::Threads(threads) => threads.pop(),
        }
    }

    fn wait(&mut self) {
        match self {
            Self::Uring(ring) => ring.wait(),
            Self::Threads(threads) => threads.wait(),
        }
    }
}

/// One operation on the file less.
fn release(table: &mut Slab<File>, key: Key) {
    let Some(file) = table.get_mut(key) else { return };
    file.under_way -= 1;
    if file.closing && file.under_way == 0 {
        table.remove(key);
    }
}

/// True if there is nothing to do.
const fn is_empty(kind: FileOpKind) -> bool {
    match kind {
        FileOpKind::Read(span) => span.is_empty(),
        FileOpKind::Write { data, .. } => data.is_empty(),
        FileOpKind::Sync => false,
        FileOpKind::Punch { len } | FileOpKind::Zero { len } => len == 0,
    }
}

/// The number in the kernel's set of what tells that operations are done.
pub(crate) const FILES: u64 = u64::MAX - 1;

/// Files open at once, at most.
const FILES_MAX: usize = 4096;

/// Operations under way at once, at most: a ring may have 32768 entries, and nobody needs them.
const DEPTH_MAX: usize = 4096;
