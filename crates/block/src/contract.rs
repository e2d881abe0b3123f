//! The two traits and the request between them.

use core::fmt;
use stdx::env::{Env, Event};
use stdx::mem::Span;
use stdx::time::Time;

/// A volume on its shard. Shared state of its channels lives behind it (`Rc`); it never leaves the shard.
///
/// A turn of the shard: events and deadlines that have come are handed to the devices, then every channel with requests
/// under way is polled, then the shard sleeps until an event or the earliest [`BlockDevice::deadline`].
pub trait BlockDevice: fmt::Debug {
    /// What the volume is now. It may change: a volume grows, a remote one goes away.
    fn info(&self) -> Info;

    /// A new channel to it, with completions of its own.
    fn open(&self) -> Box<dyn Channel>;

    /// An event of something this device owns (its file, its streams). Devices made of others pass it down.
    fn handle_event(&self, env: &mut dyn Env, event: &Event) {
        let _ = (env, event);
    }

    /// When [`BlockDevice::handle_timeout`] wants to be called at the latest.
    fn deadline(&self) -> Option<Time> {
        None
    }

    /// The deadline has come, or any time later.
    fn handle_timeout(&self, env: &mut dyn Env) {
        let _ = env;
    }

    /// What is known of the space behind the blocks from `lba` on, which lies on the volume. A device that does not know
    /// says that all of it is there.
    fn extent(&self, env: &mut dyn Env, lba: u64) -> Extent {
        let _ = env;
        Extent { blocks: self.info().blocks.saturating_sub(lba), mapped: true }
    }

    /// Makes the volume `blocks` long, if this kind can. Data is never lost by growing.
    fn resize(&self, env: &mut dyn Env, blocks: u64) -> Result<(), Status> {
        let _ = (env, blocks);
        Err(Status::Unsupported)
    }

    /// Gives back what it holds of the environment (regions, files, streams). Requests under way complete as
    /// [`Status::Gone`] or better; later ones are completed as [`Status::Gone`]. Events are passed on, and channels
    /// polled, until what was under way is done.
    fn close(&self, env: &mut dyn Env);
}

/// One user's way to a volume. It is kept until all it took on is done: the memory of its requests is the device's
/// until then.
pub trait Channel: fmt::Debug {
    /// Takes a request on, or hands it back when too many are under way: then retry after a completion. A channel with
    /// nothing under way refuses nothing. A request that cannot be done at all is taken on and completed with the status
    /// that says why.
    fn submit(&mut self, env: &mut dyn Env, io: Io) -> Result<(), Refused>;

    /// Does a read or a write now, if the device can without waiting for anything, and says where the data is (as
    /// [`Done::data`] does). `None` if it cannot, or if anything is wrong with the request: then nothing was done, and the
    /// way to have it done is [`Channel::submit`]. The request's memory, of whatever kind, is the device's for the call
    /// alone; its tag means nothing. It may overtake what was submitted before, as all requests may.
    fn perform(&mut self, env: &mut dyn Env, io: &Io) -> Option<Span> {
        let _ = (env, io);
        None
    }

    /// Takes a request back that nothing has been done of yet: true if it is as if it had never been submitted, and its
    /// memory free. False if the device has begun with it, cannot tell, or knows no such request: then it completes, or has.
    fn withdraw(&mut self, tag: u64) -> bool {
        let _ = tag;
        false
    }

    /// Appends the requests that are done. Cheap when there is none.
    fn poll(&mut self, env: &mut dyn Env, done: &mut Vec<Done>);
}

/// What a volume is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Info {
    /// Bytes a block: 512 or 4096.
    pub block_size: u32,
    /// Bytes that the medium writes at once: a power of two, not less than a block. To write less costs a read, too.
    pub physical_block_size: u32,
    /// How many blocks there are.
    pub blocks: u64,
    /// The longest request, in blocks.
    pub blocks_max: u32,
    /// A write of up to so many blocks is all there or not at all, whatever happens. At least one.
    pub atomic_blocks_max: u32,
    /// A write is on stable storage only after a flush, or with `fua`.
    pub volatile_cache: bool,
    /// [`Op::Discard`] gives space back.
    pub thin: bool,
    /// Writes are refused.
    pub read_only: bool,
    /// A read may be answered with the device's own memory instead of a copy ([`Io::lend`]).
    pub lends: bool,
    /// The volume cannot be reached now, and whoever uses it should wait rather than give up.
    pub offline: bool,
    /// [`Op::CryptoErase`] makes all data unreadable at once.
    pub crypto_erases: bool,
}

impl Info {
    /// The size in bytes.
    pub const fn bytes(&self) -> u64 {
        self.blocks * self.block_size as u64
    }

    /// True if `blocks` from `lba` on lie on the volume.
    pub const fn contains(&self, lba: u64, blocks: u64) -> bool {
        lba <= self.blocks && blocks <= self.blocks - lba
    }
}

/// Blocks that are alike in whether there is space behind them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// How many, from the one that was asked about. At least one; the next extent may be alike.
    pub blocks: u64,
    /// There is space. Blocks without read as zero.
    pub mapped: bool,
}

/// What a volume is called, for as long as it exists, whoever serves it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Identity(pub [u8; 16]);

/// A request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Io {
    /// What its completion is to say it is of. Its submitter's alone.
    pub tag: u64,
    /// What to do.
    pub op: Op,
    /// The first block.
    pub lba: u64,
    /// How many blocks.
    pub blocks: u32,
    /// Done only when it survives a power cut (writes of any kind).
    pub fua: bool,
    /// For [`Op::Read`]: the device may put its own memory into [`Done::data`]. `data` may then be empty, if
    /// [`Info::lends`] says so.
    pub lend: bool,
    /// The memory (shared kind) to move to or from; `blocks` blocks long where the operation moves data, and the
    /// device's until completion. It is not freed by the device.
    pub data: Span,
}

/// What to do with blocks. Devices know the first five; the operations after them, but for the last, are made of those, once
/// for all devices, by `Volume`, and a bare device answers them with [`Status::Unsupported`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// Volume to memory.
    Read,
    /// Memory to volume.
    Write,
    /// Everything completed before is on stable storage. `lba` and `blocks` mean nothing.
    Flush,
    /// The blocks read as zero afterwards.
    Zero {
        /// Their space may be given back.
        deallocate: bool,
    },
    /// The blocks are not needed: their space is given back where possible. They read as zero or as before.
    Discard,
    /// The blocks are compared with [`Io::data`]: [`Status::Miscompare`] if they differ.
    Compare,
    /// If the blocks equal `expected`, [`Io::data`] is written over them. Nothing else touches them in between.
    CompareWrite {
        /// What the blocks must be, as long as [`Io::data`]; the device's until completion, too.
        expected: Span,
    },
    /// Each bit of the blocks that is set in [`Io::data`] is set. Nothing else touches them in between.
    OrWrite,
    /// The blocks are read, and dropped: can they be?
    Verify,
    /// Reads of the blocks fail with [`Status::ReadError`] until they are written again.
    MarkBad,
    /// `blocks` blocks from `from` on are written to `lba` and on. The ranges may overlap.
    Copy {
        /// The first block to read.
        from: u64,
    },
    /// A new key takes the place of the one that the blocks are encrypted with, for good: whatever was written before cannot
    /// be read any more, and blocks read as anything or as zeros until they are written. Done only when the new key survives
    /// a power cut and the old one does not. `lba` and `blocks` mean nothing. After one that failed nothing can be read or
    /// written until another succeeds. Devices that do not encrypt answer it with [`Status::Unsupported`].
    CryptoErase,
}

impl Op {
    /// True if it changes the volume.
    pub const fn is_write(self) -> bool {
        match self {
            Op::Write | Op::Zero { .. } | Op::Discard => true,
            Op::CompareWrite { .. } | Op::OrWrite | Op::MarkBad | Op::Copy { .. } | Op::CryptoErase => true,
            Op::Read | Op::Flush | Op::Compare | Op::Verify => false,
        }
    }

    /// True if it moves data through [`Io::data`].
    pub const fn moves_data(self) -> bool {
        match self {
            Op::Read | Op::Write | Op::Compare | Op::CompareWrite { .. } | Op::OrWrite => true,
            Op::Flush | Op::Zero { .. } | Op::Discard => false,
            Op::Verify | Op::MarkBad | Op::Copy { .. } | Op::CryptoErase => false,
        }
    }
}

/// A request is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Done {
    /// The request's tag.
    pub tag: u64,
    /// How it went.
    pub status: Status,
    /// For a read: where the data is, the request's own memory or what the device lends. What is lent is for use at
    /// once: the next request of any user may change it.
    pub data: Span,
}

/// How a request went. Protocols map it, each in one place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Done.
    Ok,
    /// Blocks past the end of the volume.
    OutOfRange,
    /// More blocks than [`Info::blocks_max`], or memory of another length than the blocks.
    BadLength,
    /// The blocks cannot be read.
    ReadError,
    /// The blocks cannot be written.
    WriteError,
    /// No space left below.
    NoSpace,
    /// The volume is read-only.
    ReadOnly,
    /// The volume is gone for good.
    Gone,
    /// The volume did not answer in time.
    TimedOut,
    /// Given up on request, before anything was changed or not: its submitter must assume either.
    Aborted,
    /// Another host holds a reservation.
    Reserved,
    /// This kind of volume cannot do that.
    Unsupported,
    /// The blocks are not what was expected. Nothing was written.
    Miscompare {
        /// The first byte that differs, counted from the start of the blocks.
        at: u32,
    },
}

/// A request that was not taken: too many are under way. It comes back unharmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused(pub Io);

impl Io {
    /// What is wrong with the request for a volume like `info`, to be checked before anything is done.
    pub fn check(&self, info: &Info) -> Status {
        if self.op == Op::Flush {
            return Status::Ok;
        }
        if self.op.is_write() && info.read_only {
            return Status::ReadOnly;
        }
        if self.op == Op::CryptoErase {
            return if info.crypto_erases { Status::Ok } else { Status::Unsupported };
        }
        let blocks = u64::from(self.blocks);
        let source = if let Op::Copy { from } = self.op { from } else { self.lba };
        if !info.contains(self.lba, blocks) || !info.contains(source, blocks) {
            return Status::OutOfRange;
        }
        if self.op.moves_data() && !self.fits(info) { Status::BadLength } else { Status::Ok }
    }

    /// True if the memory is as long as the blocks, and they are not too many.
    fn fits(&self, info: &Info) -> bool {
        let moved = u64::from(self.blocks) * u64::from(info.block_size);
        let lent = self.op == Op::Read && self.lend && info.lends;
        let data = lent || u64::from(self.data.len) == moved;
        let expected = match self.op {
            Op::CompareWrite { expected } => u64::from(expected.len) == moved,
            _ => true,
        };
        self.blocks <= info.blocks_max && data && expected
    }
}
