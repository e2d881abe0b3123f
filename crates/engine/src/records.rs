//! Small records that outlive the process: one a file, replaced as a whole, never half.
//!
//! A file has two places. A record goes to the place that does not hold the newest, and is told to be stored only when it
//! survives a power cut; one that was cut off while it was written fails its checksum, and the other place still holds what
//! was there before.
//!
//! A secret is stored in both places, one after the other, before that is told: nothing is left of the one before. The memory
//! it passed through is wiped. (The environment makes files that their owner alone may read.)
//!
//! ```text
//!   magic (8) | serial (8) | length (4) | CRC32C of serial, length and record (4) | record ...
//! ```

use crate::owners::Part;
use core::time::Duration;
use std::path::{Path, PathBuf};
use stdx::env::{Env, Event, FileId, FileOp, FileOpKind, IoError, OpenFile, What};
use stdx::mem::Span;
use stdx::time::{Time, earliest};
use zeroize::Zeroizing;

/// The records of a shard.
#[derive(Debug, Default)]
pub(crate) struct Records(Vec<Option<Record>>);

struct Record {
    path: PathBuf,
    file: FileId,
    phase: Phase,
    kind: Kind,
    buffer: Span,
    /// There was nothing but zeros in the file.
    was_blank: bool,
    /// Of the newest that is stored.
    serial: u64,
    /// What is to be stored when the present operation is done.
    next: Option<Bytes>,
    /// The operation was not taken: when to offer it again.
    retry_at: Option<Time>,
}

/// A record's bytes, which may be a secret.
type Bytes = Zeroizing<Vec<u8>>;

/// What is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// What everybody may know.
    Open,
    /// A secret.
    Secret,
}

impl Kind {
    /// Bytes of one place.
    const fn place_bytes(self) -> usize {
        match self {
            Self::Open => PLACE_BYTES,
            Self::Secret => SECRET_PLACE_BYTES,
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
enum Phase {
    Reading,
    Idle,
    Writing {
        bytes: Bytes,
        /// It is to be written to the other place, too.
        again: bool,
    },
    /// It is closed as soon as the operation under way lets go of the buffer.
    Closing,
}

/// What is in it is not shown: it may be a secret.
impl core::fmt::Debug for Record {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Record").field("path", &self.path).field("phase", &self.phase).finish_non_exhaustive()
    }
}

/// The same of a record that is being written.
impl core::fmt::Debug for Phase {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Reading => "Reading",
            Self::Idle => "Idle",
            Self::Writing { .. } => "Writing",
            Self::Closing => "Closing",
        })
    }
}

/// What became of a record.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// It was read; `None` if there is none yet.
    Read(Result<Option<Bytes>, IoError>),
    /// The last one given is stored, or could not be.
    Stored(bool),
}

impl Records {
    /// True if a record is kept in the file, under this name: two cannot share one.
    pub(crate) fn is_open(&self, path: &Path) -> bool {
        self.0.iter().flatten().any(|record| record.path == path)
    }

    /// Opens the file, made if there is none, and begins to read it; [`Told::Read`] follows under the place it gets.
    pub(crate) fn open(&mut self, env: &mut dyn Env, path: &Path) -> Result<u32, IoError> {
        self.open_kind(env, path, Kind::Open)
    }

    /// The same for a secret.
    pub(crate) fn open_secret(&mut self, env: &mut dyn Env, path: &Path) -> Result<u32, IoError> {
        self.open_kind(env, path, Kind::Secret)
    }

    fn open_kind(&mut self, env: &mut dyn Env, path: &Path, kind: Kind) -> Result<u32, IoError> {
        let place = self.0.iter().position(Option::is_none).unwrap_or(self.0.len());
        if place >= RECORDS_MAX {
            return Err(IoError::Limit);
        }
        let len = 2 * kind.place_bytes();
        let buffer = env.mem().take(len).ok_or(IoError::Limit)?;
        let open = OpenFile { create: Some(len as u64), ..OpenFile::existing(path) };
        let file = env.open_file(&open).inspect_err(|_| env.mem().give(buffer))?;
        let mut record = Record {
            path: path.into(),
            file,
            phase: Phase::Reading,
            kind,
            buffer,
            was_blank: false,
            serial: 0,
            next: None,
            retry_at: None,
        };
        record.submit(env, place as u32);
        if place == self.0.len() {
            self.0.push(None);
        }
        self.0[place] = Some(record);
        Ok(place as u32)
    }

    /// True if there was nothing but zeros in the file when it was read: it holds no record because it is new, and not
    /// because it is somebody else's.
    pub(crate) fn was_blank(&self, place: u32) -> bool {
        self.0.get(place as usize).and_then(Option::as_ref).is_some_and(|record| record.was_blank)
    }

    /// Stores a record in place of the last; [`Told::Stored`] follows. One that is given while another is written takes the
    /// place of those that wait, and is told together with them.
    pub(crate) fn store(&mut self, env: &mut dyn Env, place: u32, bytes: Bytes) {
        let Some(Some(record)) = self.0.get_mut(place as usize) else { return };
        match record.phase {
            Phase::Idle => {
                record.begin(env, place, bytes);
            }
            Phase::Reading | Phase::Writing { .. } | Phase::Closing => record.next = Some(bytes),
        }
    }

    /// Closes a file. What is being written is written.
    pub(crate) fn close(&mut self, env: &mut dyn Env, place: u32) {
        let Some(entry) = self.0.get_mut(place as usize) else { return };
        match entry {
            Some(record) if record.phase == Phase::Idle || record.retry_at.is_some() => {
                record.free(env);
                *entry = None;
            }
            Some(record) => record.phase = Phase::Closing,
            None => {}
        }
    }

    pub(crate) fn handle_event(&mut self, env: &mut dyn Env, place: u32, event: &Event) -> Option<Told> {
        let entry = self.0.get_mut(place as usize)?;
        let record = entry.as_mut()?;
        let What::FileDone { result, .. } = event.what else { return None };
        match core::mem::replace(&mut record.phase, Phase::Idle) {
            Phase::Reading => Some(Told::Read(result.map(|len| record.newest(env, len as usize)))),
            Phase::Writing { bytes, again } => {
                record.serial += u64::from(result.is_ok());
                if let Some(next) = record.next.take() {
                    record.begin(env, place, next);
                    return None;
                }
                if again && result.is_ok() {
                    record.phase = Phase::Writing { bytes, again: false };
                    record.submit(env, place);
                    return None;
                }
                record.wipe(env);
                Some(Told::Stored(result.is_ok()))
            }
            Phase::Closing => {
                record.free(env);
                *entry = None;
                None
            }
            Phase::Idle => None,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.0.iter().flatten().map(|record| record.retry_at).fold(None, earliest)
    }

    pub(crate) fn handle_timeout(&mut self, env: &mut dyn Env) {
        let now = env.now();
        for (place, record) in self.0.iter_mut().enumerate() {
            let Some(record) = record else { continue };
            if record.retry_at.is_some_and(|at| at <= now) {
                record.submit(env, place as u32);
            }
        }
    }
}

impl Record {
    /// Begins to write.
    fn begin(&mut self, env: &mut dyn Env, place: u32, bytes: Bytes) {
        self.phase = Phase::Writing { bytes, again: self.kind == Kind::Secret };
        self.submit(env, place);
    }

    /// Offers the operation of the present phase.
    fn submit(&mut self, env: &mut dyn Env, place: u32) {
        let (kind, offset) = match &self.phase {
            Phase::Reading => (FileOpKind::Read(self.buffer), 0),
            Phase::Writing { bytes, .. } => {
                let image = image(self.serial + 1, bytes);
                env.mem().write(self.buffer, &image);
                let data = self.buffer.first(image.len());
                (
                    FileOpKind::Write { data, durable: true },
                    (self.serial + 1) % 2 * self.kind.place_bytes() as u64,
                )
            }
            Phase::Idle | Phase::Closing => return,
        };
        let op = FileOp { owner: Part::Record(place).owner(), tag: 0, file: self.file, kind, offset };
        let taken = env.submit(op).is_ok();
        self.retry_at = (!taken).then(|| env.now() + RETRY);
    }

    /// The newest of the two places that is whole.
    fn newest(&mut self, env: &mut dyn Env, len: usize) -> Option<Bytes> {
        let mut bytes = Zeroizing::new(vec![0; len.min(self.buffer.len())]);
        env.mem().read(self.buffer, &mut bytes);
        self.wipe(env);
        self.was_blank = bytes.iter().all(|&byte| byte == 0);
        let found = bytes.chunks(self.kind.place_bytes()).filter_map(parse).max_by_key(|(serial, _)| *serial);
        let (serial, record) = found?;
        self.serial = serial;
        Some(Zeroizing::new(record.to_vec()))
    }

    /// A secret is not to stay in memory that others will use.
    fn wipe(&self, env: &mut dyn Env) {
        if self.kind == Kind::Secret {
            env.mem().fill(self.buffer, 0);
        }
    }

    fn free(&self, env: &mut dyn Env) {
        self.wipe(env);
        env.mem().give(self.buffer);
        env.close_file(self.file);
    }
}

fn image(serial: u64, record: &[u8]) -> Bytes {
    // Owners know the limit, and keep to it.
    let record = &record[..record.len().min(RECORD_LEN_MAX)];
    let mut bytes = Zeroizing::new(Vec::with_capacity(HEADER_LEN + record.len()));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&serial.to_be_bytes());
    bytes.extend_from_slice(&(record.len() as u32).to_be_bytes());
    let sum = checksum(&bytes[8..20], record);
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes.extend_from_slice(record);
    bytes
}

fn parse(place: &[u8]) -> Option<(u64, &[u8])> {
    let (header, rest) = place.split_at_checked(HEADER_LEN)?;
    let serial = u64::from_be_bytes(header[8..16].try_into().ok()?);
    let len = u32::from_be_bytes(header[16..20].try_into().ok()?);
    let sum = u32::from_be_bytes(header[20..24].try_into().ok()?);
    let record = rest.get(..len as usize)?;
    (header.starts_with(MAGIC) && checksum(&header[8..20], record) == sum).then_some((serial, record))
}

fn checksum(header: &[u8], record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(header), record)
}

/// The longest record, in bytes.
pub(crate) const RECORD_LEN_MAX: usize = PLACE_BYTES - HEADER_LEN;

const MAGIC: &[u8; 8] = b"WEFTREC1";
const HEADER_LEN: usize = 24;
/// Bytes of one place: a thousand registrants with the longest names.
const PLACE_BYTES: usize = 256 << 10;
/// Bytes of one place of a secret.
const SECRET_PLACE_BYTES: usize = 4 << 10;
/// Files of a shard.
const RECORDS_MAX: usize = 4096;
/// How long an environment that could not take an operation is left alone.
const RETRY: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_whole_or_not_there() {
        let bytes = image(7, b"reservations");
        assert_eq!(parse(&bytes), Some((7, &b"reservations"[..])));
        for len in 0..bytes.len() {
            assert_eq!(parse(&bytes[..len]), None, "cut off at {len}");
            let mut torn = bytes.to_vec();
            torn[len] ^= 1;
            assert_eq!(parse(&torn), None, "changed at {len}");
        }
    }
}
