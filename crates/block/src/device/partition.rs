//! A part of another device: its blocks from one on.

use crate::{BlockDevice, Channel, Done, Extent, Info, Io, Op, Refused, Status};
use std::cell::Cell;
use std::rc::Rc;
use stdx::env::{Env, Event};
use stdx::mem::Span;
use stdx::planted::{Bug, planted};
use stdx::time::Time;
use thiserror::Error;

/// A slice of a device. Closing it closes the device; whoever shares the device gives the partition a handle of its own.
#[derive(Debug)]
pub struct Partition {
    shared: Rc<Shared>,
}

/// The device has no such blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("no {blocks} blocks from block {first} on in a device of {available} blocks")]
pub struct PartitionError {
    /// The first block asked for.
    pub first: u64,
    /// How many blocks were asked for.
    pub blocks: u64,
    /// How many the device has.
    pub available: u64,
}

#[derive(Debug)]
struct Shared {
    base: Rc<dyn BlockDevice>,
    first: u64,
    blocks: Cell<u64>,
}

impl Partition {
    /// `blocks` blocks of `base`, from `first` on.
    pub fn new(base: Rc<dyn BlockDevice>, first: u64, blocks: u64) -> Result<Self, PartitionError> {
        let info = base.info();
        if blocks == 0 || !info.contains(first, blocks) {
            return Err(PartitionError { first, blocks, available: info.blocks });
        }
        Ok(Self { shared: Rc::new(Shared { base, first, blocks: Cell::new(blocks) }) })
    }
}

impl Shared {
    fn info(&self) -> Info {
        let base = self.base.info();
        // The base may have shrunk.
        let left = base.blocks.saturating_sub(self.first);
        let begins_at = self.first * u64::from(base.block_size);
        // Where physical blocks begin elsewhere, there is no way to tell which blocks share one.
        let is_aligned = begins_at.is_multiple_of(u64::from(base.physical_block_size));
        let physical_block_size = if is_aligned { base.physical_block_size } else { base.block_size };
        // A part cannot be erased without the rest.
        Info { blocks: self.blocks.get().min(left), physical_block_size, crypto_erases: false, ..base }
    }

    /// The request as the base knows it. It was checked, so that nothing overflows.
    fn moved(&self, io: Io) -> Io {
        let op = match io.op {
            Op::Copy { from } => Op::Copy { from: from + self.first },
            other => other,
        };
        let first = self.first + u64::from(planted(Bug::BlockOffByOne));
        Io { op, lba: io.lba + first, ..io }
    }
}

impl BlockDevice for Partition {
    fn info(&self) -> Info {
        self.shared.info()
    }

    fn open(&self) -> Box<dyn Channel> {
        let base = self.shared.base.open();
        Box::new(PartitionChannel { shared: self.shared.clone(), base, misfits: Vec::new() })
    }

    fn handle_event(&self, env: &mut dyn Env, event: &Event) {
        self.shared.base.handle_event(env, event);
    }

    fn deadline(&self) -> Option<Time> {
        self.shared.base.deadline()
    }

    fn handle_timeout(&self, env: &mut dyn Env) {
        self.shared.base.handle_timeout(env);
    }

    fn extent(&self, env: &mut dyn Env, lba: u64) -> Extent {
        let extent = self.shared.base.extent(env, self.shared.first + lba);
        Extent { blocks: extent.blocks.min(self.info().blocks.saturating_sub(lba)), ..extent }
    }

    /// Moves the end within the base.
    fn resize(&self, _: &mut dyn Env, blocks: u64) -> Result<(), Status> {
        if blocks == 0 || !self.shared.base.info().contains(self.shared.first, blocks) {
            return Err(Status::NoSpace);
        }
        self.shared.blocks.set(blocks);
        Ok(())
    }

    fn close(&self, env: &mut dyn Env) {
        self.shared.base.close(env);
    }
}

#[derive(Debug)]
struct PartitionChannel {
    shared: Rc<Shared>,
    base: Box<dyn Channel>,
    /// Requests that never reached the base.
    misfits: Vec<Done>,
}

impl Channel for PartitionChannel {
    fn submit(&mut self, env: &mut dyn Env, io: Io) -> Result<(), Refused> {
        if self.misfits.len() >= super::UNDER_WAY_MAX {
            return Err(Refused(io));
        }
        let status = io.check(&self.shared.info());
        if status != Status::Ok {
            self.misfits.push(Done { tag: io.tag, status, data: Span::EMPTY });
            return Ok(());
        }
        let moved = if io.op == Op::Flush { io } else { self.shared.moved(io) };
        self.base.submit(env, moved).map_err(|_| Refused(io))
    }

    fn withdraw(&mut self, tag: u64) -> bool {
        self.base.withdraw(tag)
    }

    fn poll(&mut self, env: &mut dyn Env, done: &mut Vec<Done>) {
        done.append(&mut self.misfits);
        self.base.poll(env, done);
    }
}
