//! Files in memory that can lose power, fail, and take few operations at once.

use crate::env::{Event, FileId, FileInfo, FileOp, FileOpKind, IoError, OpenFile, Refused, What};
use crate::mem::{Memory, Span};
use crate::prng::Prng;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The files of a world. Their operations are done in random order.
pub struct Files {
    prng: Prng,
    disks: BTreeMap<PathBuf, Disk>,
    open: Vec<Option<Open>>,
    under_way: Vec<FileOp>,
    /// How many operations are taken at once.
    pub under_way_max: usize,
    /// What the next operations fail with.
    pub fail: Option<IoError>,
    /// Holes can be made.
    pub can_punch: bool,
    /// What operations on files opened past the cache must be multiples of, in bytes.
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

impl Files {
    pub(super) fn new(seed: u64) -> Self {
        Self {
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

    /// Loses what was not synced, and closes every file.
    pub fn cut_power(&mut self) {
        self.under_way.clear();
        self.open.clear();
        for disk in self.disks.values_mut() {
            disk.bytes.clone_from(&disk.stable);
        }
    }

    /// Takes a file away.
    pub fn remove(&mut self, path: &str) {
        self.disks.remove(&PathBuf::from(path));
    }

    /// Makes a file as long as that, behind its users' backs.
    pub fn truncate(&mut self, path: &str, len: usize) {
        let disk = self.disks.get_mut(&PathBuf::from(path)).expect("the file");
        disk.bytes.resize(len, 0);
        disk.stable.resize(len, 0);
    }

    pub(super) fn open(&mut self, open: &OpenFile) -> Result<FileId, IoError> {
        if !self.disks.contains_key(&open.path) {
            let len = open.create.ok_or(IoError::NotFound)? as usize;
            self.disks.insert(open.path.clone(), Disk { bytes: vec![0; len], stable: vec![0; len] });
        }
        let alignment = if open.direct { self.alignment } else { 1 };
        self.open.push(Some(Open { path: open.path.clone(), alignment }));
        Ok(FileId(self.open.len() as u64 - 1))
    }

    pub(super) fn info(&mut self, file: FileId) -> FileInfo {
        let alignment = self.opened(file).alignment;
        let len = self.disk(file).bytes.len() as u64;
        FileInfo { len, block_size: 512, alignment, is_device: false, can_punch: self.can_punch }
    }

    pub(super) fn resize(&mut self, file: FileId, len: u64) -> Result<(), IoError> {
        if len > LEN_MAX {
            return Err(IoError::NoSpace);
        }
        let disk = self.disk(file);
        disk.bytes.resize(len as usize, 0);
        disk.stable.resize(len as usize, 0);
        Ok(())
    }

    pub(super) fn close(&mut self, file: FileId) {
        assert!(self.open[file.0 as usize].is_some(), "closed twice");
        if !self.under_way.iter().any(|op| op.file == file) {
            self.open[file.0 as usize] = None;
        }
    }

    pub(super) fn submit(&mut self, op: FileOp) -> Result<(), Refused<FileOp>> {
        if self.under_way.len() >= self.under_way_max {
            return Err(Refused(op));
        }
        self.assert_aligned(&op);
        self.under_way.push(op);
        Ok(())
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Ends some of the operations under way, at least one.
    pub(super) fn complete_some(&mut self, memory: &mut Memory, events: &mut Vec<Event>) {
        for _ in 0..self.prng.between(1, self.under_way.len() as u64) {
            let index = self.prng.below(self.under_way.len() as u64) as usize;
            let op = self.under_way.swap_remove(index);
            let what = What::FileDone { tag: op.tag, result: self.perform(memory, &op) };
            events.push(Event { owner: op.owner, what });
        }
    }

    fn perform(&mut self, memory: &mut Memory, op: &FileOp) -> Result<u32, IoError> {
        if let Some(error) = self.fail {
            return Err(error);
        }
        let (sync_lies, can_punch) = (self.sync_lies, self.can_punch);
        match op.kind {
            FileOpKind::Read(span) => {
                let disk = self.disk(op.file);
                let start = (op.offset as usize).min(disk.bytes.len());
                let end = (start + span.len()).min(disk.bytes.len());
                memory.write(span, &disk.bytes[start..end]);
                Ok((end - start) as u32)
            }
            FileOpKind::Write { data, durable } => {
                let mut bytes = vec![0; data.len()];
                memory.read(data, &mut bytes);
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
        let alignment = u64::from(self.opened(op.file).alignment);
        let span = match op.kind {
            FileOpKind::Read(span) | FileOpKind::Write { data: span, .. } => span,
            FileOpKind::Sync | FileOpKind::Punch { .. } | FileOpKind::Zero { .. } => Span::EMPTY,
        };
        let numbers = [op.offset, span.offset, span.len.into()];
        let aligned = numbers.iter().all(|number| number.is_multiple_of(alignment));
        assert!(aligned, "{op:?} is not aligned");
    }

    fn opened(&self, file: FileId) -> &Open {
        self.open[file.0 as usize].as_ref().expect("an open file")
    }

    fn disk(&mut self, file: FileId) -> &mut Disk {
        let open = self.open[file.0 as usize].as_ref().expect("an open file");
        self.disks.get_mut(&open.path).expect("the file")
    }
}

/// The longest file, in bytes.
const LEN_MAX: u64 = 1 << 30;
