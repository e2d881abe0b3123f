//! A world for this crate's tests: memory, a clock that jumps, and files in memory that can lose power.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use stdx::env::{
    Accepted, Env, Event, FileId, FileInfo, FileOp, FileOpKind, IoError, ListenerId, OpenFile, Owner,
    Refused, StreamId, Waker, What,
};
use stdx::mem::{Memory, MemoryLimits, Span};
use stdx::prng::Prng;
use stdx::time::Time;

/// The world. File operations complete in random order when it is polled.
pub struct World {
    now: Time,
    mem: Memory,
    prng: Prng,
    disks: BTreeMap<PathBuf, Disk>,
    open: Vec<Option<Open>>,
    under_way: Vec<FileOp>,
    pub under_way_max: usize,
    /// What the next operations fail with.
    pub fail: Option<IoError>,
    pub can_punch: bool,
    pub alignment: u32,
    /// A planted bug: sync does nothing.
    pub sync_lies: bool,
}

#[derive(Default)]
struct Disk {
    bytes: Vec<u8>,
    stable: Vec<u8>,
}

struct Open {
    path: PathBuf,
    alignment: u32,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let limits = MemoryLimits { buffer_bytes: 256 << 20 };
        Self {
            now: Time::ZERO,
            mem: Memory::new(limits).unwrap(),
            prng: Prng::new(seed),
            disks: BTreeMap::new(),
            open: Vec::new(),
            under_way: Vec::new(),
            under_way_max: 64,
            fail: None,
            can_punch: true,
            alignment: 1,
            sync_lies: false,
        }
    }

    pub fn pass(&mut self, span: core::time::Duration) {
        self.now += span;
    }

    /// Loses what was not synced, at random.
    pub fn cut_power(&mut self) {
        self.under_way.clear();
        self.open.clear();
        for disk in self.disks.values_mut() {
            disk.bytes.clone_from(&disk.stable);
        }
    }

    pub fn remove_file(&mut self, path: &str) {
        self.disks.remove(&PathBuf::from(path));
    }

    pub fn truncate_file(&mut self, path: &str, len: usize) {
        let disk = self.disks.get_mut(&PathBuf::from(path)).unwrap();
        disk.bytes.resize(len, 0);
        disk.stable.resize(len, 0);
    }

    fn disk(&mut self, file: FileId) -> &mut Disk {
        let open = self.open[file.0 as usize].as_ref().expect("an open file");
        self.disks.get_mut(&open.path).expect("the file")
    }

    fn perform(&mut self, op: &FileOp) -> Result<u32, IoError> {
        if let Some(error) = self.fail {
            return Err(error);
        }
        let (sync_lies, can_punch) = (self.sync_lies, self.can_punch);
        match op.kind {
            FileOpKind::Read(span) => {
                let disk = self.disk(op.file);
                let start = (op.offset as usize).min(disk.bytes.len());
                let end = (start + span.len()).min(disk.bytes.len());
                let bytes = disk.bytes[start..end].to_vec();
                self.mem.write(span, &bytes);
                Ok(bytes.len() as u32)
            }
            FileOpKind::Write { data, durable } => {
                let mut bytes = vec![0; data.len()];
                self.mem.read(data, &mut bytes);
                self.put(op, &bytes, durable);
                Ok(data.len)
            }
            FileOpKind::Sync if sync_lies => Ok(0),
            FileOpKind::Sync => {
                let disk = self.disk(op.file);
                disk.stable.clone_from(&disk.bytes);
                Ok(0)
            }
            FileOpKind::Punch { .. } | FileOpKind::Zero { .. } if !can_punch => Err(IoError::Unsupported),
            FileOpKind::Punch { len } | FileOpKind::Zero { len } => {
                self.put(op, &vec![0; len as usize], false);
                Ok(0)
            }
        }
    }

    fn put(&mut self, op: &FileOp, bytes: &[u8], durable: bool) {
        let offset = op.offset as usize;
        let disk = self.disk(op.file);
        disk.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        if durable {
            disk.stable[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
    }

    fn assert_aligned(&self, op: &FileOp) {
        let alignment = self.open[op.file.0 as usize].as_ref().expect("an open file").alignment;
        let aligned = |number: u64| number.is_multiple_of(u64::from(alignment));
        let span = match op.kind {
            FileOpKind::Read(span) | FileOpKind::Write { data: span, .. } => span,
            FileOpKind::Sync | FileOpKind::Punch { .. } | FileOpKind::Zero { .. } => Span::EMPTY,
        };
        assert!(
            aligned(op.offset) && aligned(span.offset) && aligned(span.len.into()),
            "{op:?} is not aligned"
        );
    }
}

impl Env for World {
    fn now(&self) -> Time {
        self.now
    }

    fn calendar_ms(&self) -> u64 {
        0
    }

    fn entropy(&mut self) -> u64 {
        self.prng.next_u64()
    }

    fn mem(&mut self) -> &mut Memory {
        &mut self.mem
    }

    fn listen(&mut self, _: Owner, _: SocketAddr) -> Result<ListenerId, IoError> {
        Err(IoError::Unsupported)
    }

    fn listener_address(&self, _: ListenerId) -> SocketAddr {
        unreachable!("there are no listeners")
    }

    fn close_listener(&mut self, _: ListenerId) {}

    fn accept(&mut self, _: ListenerId, _: Owner) -> Result<Accepted, IoError> {
        Err(IoError::Unsupported)
    }

    fn connect(&mut self, _: Owner, _: SocketAddr) -> Result<StreamId, IoError> {
        Err(IoError::Unsupported)
    }

    fn recv(&mut self, _: StreamId, _: Span) -> Result<usize, IoError> {
        Err(IoError::Unsupported)
    }

    fn send(&mut self, _: StreamId, _: &[Span]) -> Result<usize, IoError> {
        Err(IoError::Unsupported)
    }

    fn close(&mut self, _: StreamId, _: bool) {}

    fn open_file(&mut self, open: &OpenFile) -> Result<FileId, IoError> {
        if !self.disks.contains_key(&open.path) {
            let len = open.create.ok_or(IoError::NotFound)? as usize;
            let disk = Disk { bytes: vec![0; len], stable: vec![0; len] };
            self.disks.insert(open.path.clone(), disk);
        }
        let alignment = if open.direct { self.alignment } else { 1 };
        self.open.push(Some(Open { path: open.path.clone(), alignment }));
        Ok(FileId(self.open.len() as u64 - 1))
    }

    fn file_info(&mut self, file: FileId) -> Result<FileInfo, IoError> {
        let alignment = self.open[file.0 as usize].as_ref().expect("an open file").alignment;
        let can_punch = self.can_punch;
        let len = self.disk(file).bytes.len() as u64;
        Ok(FileInfo { len, block_size: 512, alignment, is_device: false, can_punch })
    }

    fn resize_file(&mut self, file: FileId, len: u64) -> Result<(), IoError> {
        if len > 1 << 30 {
            return Err(IoError::NoSpace);
        }
        let disk = self.disk(file);
        disk.bytes.resize(len as usize, 0);
        disk.stable.resize(len as usize, 0);
        Ok(())
    }

    fn close_file(&mut self, file: FileId) {
        assert!(self.open[file.0 as usize].is_some(), "closed twice");
        if !self.under_way.iter().any(|op| op.file == file) {
            self.open[file.0 as usize] = None;
        }
    }

    fn submit(&mut self, op: FileOp) -> Result<(), Refused<FileOp>> {
        if self.under_way.len() >= self.under_way_max {
            return Err(Refused(op));
        }
        self.assert_aligned(&op);
        self.under_way.push(op);
        Ok(())
    }

    fn poll(&mut self, events: &mut Vec<Event>, deadline: Option<Time>) {
        if self.under_way.is_empty() {
            let deadline = deadline.expect("nothing under way and no deadline: this would sleep for ever");
            self.now = self.now.max(deadline);
            return;
        }
        self.now += core::time::Duration::from_micros(10);
        for _ in 0..self.prng.between(1, self.under_way.len() as u64) {
            let index = self.prng.below(self.under_way.len() as u64) as usize;
            let op = self.under_way.swap_remove(index);
            let what = What::FileDone { tag: op.tag, result: self.perform(&op) };
            events.push(Event { owner: op.owner, what });
        }
    }

    fn waker(&self) -> Waker {
        Arc::new(|| {})
    }
}
