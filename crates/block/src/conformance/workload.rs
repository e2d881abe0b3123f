//! Requests drawn from a seed, several under way, each checked against the shadow when it completes.
//!
//! Requests whose outcome would depend on their order (one writes what the other touches) are never under way together,
//! so that the shadow always knows.

use super::shadow::Shadow;
use super::user::{User, outcome, plain};
use super::{Fault, Promises, Setting};
use crate::{BlockDevice, Done, Info, Io, Op, Status};
use std::collections::BTreeMap;
use std::rc::Rc;
use stdx::mem::{Memory, Span};
use stdx::prng::Prng;

/// A random user of one device.
pub(super) struct Workload {
    user: User,
    info: Info,
    promises: Promises,
    prng: Prng,
    pub(super) shadow: Shadow,
    /// By tag: what is expected of the requests under way.
    plans: BTreeMap<u64, Plan>,
}

/// What is to become of a request.
struct Plan {
    io: Io,
    buffers: Vec<Span>,
    expected: Status,
    stamp: u64,
}

impl Workload {
    pub(super) fn new(setting: &dyn Setting, device: &Rc<dyn BlockDevice>, seed: u64) -> Self {
        let (info, promises) = (device.info(), setting.promises());
        Self {
            user: User::new(device),
            info,
            promises,
            prng: Prng::new(seed),
            shadow: Shadow::new(info.block_size, info.blocks, promises.keeps),
            plans: BTreeMap::new(),
        }
    }

    /// Draws and does `count` requests, up to `depth` at once.
    pub(super) fn run(&mut self, setting: &mut dyn Setting, count: usize, depth: usize) -> Result<(), Fault> {
        for _ in 0..count {
            while self.plans.len() >= depth {
                self.complete(setting)?;
            }
            let op = self.draw_op();
            self.start(setting, op)?;
        }
        self.finish(setting)
    }

    /// Waits until all is done.
    pub(super) fn finish(&mut self, setting: &mut dyn Setting) -> Result<(), Fault> {
        while !self.plans.is_empty() {
            self.complete(setting)?;
        }
        Ok(())
    }

    /// Reads everything and compares.
    pub(super) fn read_all(&mut self, setting: &mut dyn Setting) -> Result<(), Fault> {
        let step = self.info.blocks_max.min(64);
        for lba in (0..self.info.blocks).step_by(step as usize) {
            let blocks = u64::from(step).min(self.info.blocks - lba) as u32;
            if self.shadow.is_bad(lba, blocks) {
                continue;
            }
            self.submit(setting, plain(Op::Read, lba, blocks))?;
            self.finish(setting)?;
        }
        Ok(())
    }

    fn draw_op(&mut self) -> Op {
        let kinds = if self.promises.composes && self.promises.keeps { 150 } else { 100 };
        match self.prng.below(kinds) {
            0..40 => Op::Write,
            40..75 => Op::Read,
            75..82 => Op::Flush,
            82..93 => Op::Zero { deallocate: self.prng.chance(1, 2) },
            93..100 => Op::Discard,
            100..110 => Op::Compare,
            110..120 => Op::CompareWrite { expected: Span::EMPTY },
            120..125 => Op::Verify,
            125..128 => Op::MarkBad,
            128..138 => Op::OrWrite,
            _ => Op::Copy { from: 0 },
        }
    }

    /// Starts one request of a kind somewhere, once it races with none.
    fn start(&mut self, setting: &mut dyn Setting, op: Op) -> Result<(), Fault> {
        let io = self.draw_io(op);
        while self.user.under_way().any(|other| races(other, &io)) {
            self.complete(setting)?;
        }
        let reads_first = matches!(io.op, Op::Compare | Op::CompareWrite { .. } | Op::OrWrite);
        if reads_first && !self.shadow.is_certain(io.lba, io.blocks) {
            return Ok(());
        }
        if io.op == Op::OrWrite && !self.shadow.is_plain(io.lba, io.blocks) {
            return Ok(());
        }
        self.submit(setting, io)
    }

    /// Mostly short, now and then as long as it may be.
    fn draw_io(&mut self, op: Op) -> Io {
        let most = u64::from(self.info.blocks_max).min(self.info.blocks / 4);
        // Copies are made in pieces, which only long ones show.
        let rarity = if let Op::Copy { .. } = op { 2 } else { 20 };
        let longest = if self.prng.chance(1, rarity) { LONGEST } else { SHORT };
        let blocks = self.prng.between(1, most.min(longest));
        let room = self.info.blocks - blocks;
        let lba = self.prng.below(room + 1);
        let op = match op {
            // Every other copy overlaps itself, or nearly so.
            Op::Copy { .. } if self.prng.chance(1, 2) => {
                let low = lba.saturating_sub(blocks);
                Op::Copy { from: self.prng.between(low, (lba + blocks).min(room)) }
            }
            Op::Copy { .. } => Op::Copy { from: self.prng.below(room + 1) },
            other => other,
        };
        let fua = op.is_write() && self.prng.chance(1, 8);
        let lend = op == Op::Read && self.info.lends && self.prng.chance(1, 3);
        Io { fua, lend, ..plain(op, lba, blocks as u32) }
    }

    /// Submits a request, with memory where it needs some. One that is refused, or for which there is no memory, is
    /// dropped.
    fn submit(&mut self, setting: &mut dyn Setting, io: Io) -> Result<(), Fault> {
        let Some(plan) = self.plan(setting.env().mem(), io) else { return Ok(()) };
        let tag = self.user.next_tag();
        if !self.user.submit(setting, plan.io)? {
            plan.buffers.into_iter().for_each(|buffer| setting.env().mem().give(buffer));
            return Ok(());
        }
        self.plans.insert(tag, plan);
        Ok(())
    }

    /// Gives a request its memory and says what is to become of it.
    fn plan(&mut self, mem: &mut Memory, mut io: Io) -> Option<Plan> {
        let len = io.blocks as usize * self.info.block_size as usize;
        let mut plan =
            Plan { io, buffers: Vec::new(), expected: Status::Ok, stamp: self.prng.next_u64() | 1 };
        if io.op.moves_data() && !io.lend {
            io.data = mem.take(len)?;
            plan.buffers.push(io.data);
        }
        let source = if let Op::Copy { from } = io.op { from } else { io.lba };
        let bad = self.shadow.is_bad(source, io.blocks);
        match io.op {
            Op::Write | Op::OrWrite => {
                self.shadow.render_stamp(mem, io.data, plan.stamp);
                plan.expected = if bad && io.op == Op::OrWrite { Status::ReadError } else { Status::Ok };
            }
            Op::Read | Op::Verify | Op::Copy { .. } if bad => plan.expected = Status::ReadError,
            Op::Compare => plan.expected = self.expect_compare(mem, &io, io.data, bad),
            Op::CompareWrite { .. } => {
                let Some(expected) = mem.take(len) else {
                    mem.give(io.data);
                    return None;
                };
                plan.buffers.push(expected);
                self.shadow.render_stamp(mem, io.data, plan.stamp);
                plan.expected = self.expect_compare(mem, &io, expected, bad);
                io.op = Op::CompareWrite { expected };
            }
            Op::Read | Op::Verify | Op::Copy { .. } => {}
            Op::Flush | Op::Zero { .. } | Op::Discard | Op::MarkBad | Op::CryptoErase => {}
        }
        plan.io = io;
        Some(plan)
    }

    /// Fills `data` with what the blocks hold, or with that and one wrong byte. Says how a comparison must end.
    fn expect_compare(&mut self, mem: &mut Memory, io: &Io, data: Span, bad: bool) -> Status {
        self.shadow.render(mem, io.lba, io.blocks, data);
        if bad {
            return Status::ReadError;
        }
        if self.prng.chance(1, 2) {
            return Status::Ok;
        }
        let at = self.prng.below(data.len() as u64) as usize;
        let mut byte = [0];
        mem.read(data.slice(at, 1), &mut byte);
        mem.write(data.slice(at, 1), &[!byte[0]]);
        Status::Miscompare { at: at as u32 }
    }

    fn complete(&mut self, setting: &mut dyn Setting) -> Result<(), Fault> {
        for (io, done) in self.user.wait(setting)? {
            let plan = self.plans.remove(&io.tag).expect("every request has its plan");
            outcome(io, done, plan.expected)?;
            if done.status == Status::Ok {
                self.apply(setting.env().mem(), &plan, done)?;
            }
            plan.buffers.into_iter().for_each(|buffer| setting.env().mem().give(buffer));
        }
        Ok(())
    }

    /// A request succeeded: checks what it read, and notes what it changed.
    fn apply(&mut self, mem: &Memory, plan: &Plan, done: Done) -> Result<(), Fault> {
        let io = plan.io;
        match io.op {
            Op::Read => {
                let len = io.blocks as usize * self.info.block_size as usize;
                if done.data.len() != len || (!io.lend && done.data != io.data) {
                    return Err(Fault::Place { io });
                }
                self.shadow.compare(mem, io.lba, done.data)?;
            }
            Op::Write | Op::CompareWrite { .. } => self.shadow.write(io.lba, io.blocks, plan.stamp),
            Op::OrWrite => self.shadow.or(io.lba, io.blocks, plan.stamp),
            Op::Zero { .. } => self.shadow.zero(io.lba, io.blocks),
            Op::Discard => self.shadow.discard(io.lba, io.blocks),
            Op::MarkBad => self.shadow.mark_bad(io.lba, io.blocks),
            Op::Copy { from } => self.shadow.copy(from, io.lba, io.blocks),
            Op::Flush | Op::Compare | Op::Verify | Op::CryptoErase => {}
        }
        Ok(())
    }
}

/// True if one writes what the other touches.
fn races(a: &Io, b: &Io) -> bool {
    let touch = |io: &Io, other: &Io| {
        let (start, end) = (other.lba, other.lba + u64::from(other.blocks));
        let overlaps = |lba: u64| lba < end && start < lba + u64::from(io.blocks);
        let source = if let Op::Copy { from } = io.op { from } else { io.lba };
        other.op.is_write() && (overlaps(io.lba) || overlaps(source))
    };
    a.op != Op::Flush && b.op != Op::Flush && (touch(a, b) || touch(b, a))
}

/// The longest request drawn, in blocks: more than a volume copies in one piece.
const LONGEST: u64 = 700;

/// What most requests are no longer than, in blocks.
const SHORT: u64 = 24;
