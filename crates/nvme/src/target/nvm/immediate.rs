//! Reads and writes that a volume does at once: no place in a table, no copy, no completion to wait for.
//!
//! Whatever is not plain (fused, too long, refused, wrong in any way) is left to [`execute`](super::execute), which knows
//! the answer to it. So this decides nothing but that a command is one of the many to which nothing happens.

use super::super::namespace::Namespace;
use super::super::outstanding::Count;
use super::super::sgl;
use super::super::{QueueKey, Target};
use super::transfer::range_of;
use block::{Io, Op};
use stdx::env::Env;
use stdx::mem::Span;
use wire::nvme::{Fuse, NvmOpcode, SubmissionQueueEntry};

impl Target {
    /// See [`Executor::perform`](super::super::Executor::perform).
    pub fn perform(
        &mut self,
        env: &mut dyn Env,
        queue: QueueKey,
        command: &SubmissionQueueEntry,
        data: Span,
    ) -> Option<Span> {
        let op = match NvmOpcode::from_code(command.opcode)? {
            NvmOpcode::Read => Op::Read,
            NvmOpcode::Write => Op::Write,
            _ => return None,
        };
        let entry = self.queues.get(queue.0)?;
        if entry.is_admin() || command.fuse() != Some(Fuse::Normal) || entry.fusing.expects_second() {
            return None;
        }
        let controller = self.controllers.get(entry.controller).filter(|one| one.status.ready)?;
        let (key, namespace) = self.namespace_of(entry, command).ok()?;
        let opcode = if op == Op::Read { NvmOpcode::Read } else { NvmOpcode::Write };
        self.check_access(controller, namespace, opcode).ok()?;
        let mut io = plain(op, namespace, command, data)?;
        io.fua |= op == Op::Write && !controller.features.write_cache;
        let len = io.blocks * namespace.info.block_size;
        let limits = self.limits(entry);
        let count = match op {
            Op::Read => sgl::from_controller(command, len.into(), true, &limits).map(|_| Count::Read(len)),
            _ => sgl::to_controller(command, len.into(), &limits).map(|_| Count::Write(len)),
        };
        let (count, controller) = (count.ok()?, entry.controller);
        let data = self.namespaces.get_mut(key)?.channel.perform(env, &io)?;
        if let Some(controller) = self.controllers.get_mut(controller) {
            controller.keep_alive.heard = true;
            controller.health.count(count);
        }
        self.counters.submitted += 1;
        self.counters.answered += 1;
        Some(data)
    }
}

/// The volume's request for a command whose range lies on the volume and is not longer than it takes at once.
fn plain(op: Op, namespace: &Namespace, command: &SubmissionQueueEntry, data: Span) -> Option<Io> {
    let info = &namespace.info;
    let range = range_of(command, info).ok().filter(|range| range.blocks <= info.blocks_max)?;
    let lend = op == Op::Read;
    let there = if lend { info.lends && data.is_empty() } else { data.len == range.blocks * info.block_size };
    let fua = range.force_unit_access();
    there.then_some(Io { tag: 0, op, lba: range.first_block, blocks: range.blocks, fua, lend, data })
}
