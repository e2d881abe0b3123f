//! From an I/O command to the first request to the volume.

use super::super::outstanding::{Count, Outstanding, Pieces, Work};
use super::super::{Request, Target};
use super::transfer::range_of;
use block::{Info, Io, Op};
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::nvme::nvm::{BlockCommand, Control};
use wire::nvme::{Fuse, NAMESPACE_ALL, NvmOpcode, Status};

/// The first request to the volume, and what is to follow.
pub(super) struct Start {
    pub(super) op: Op,
    pub(super) lba: u64,
    pub(super) blocks: u32,
    pub(super) fua: bool,
    pub(super) lend: bool,
    pub(super) data: Span,
    pub(super) work: Work,
    pub(super) count: Count,
}

impl Target {
    /// A command of an I/O queue, its data there.
    pub(in super::super) fn io(&mut self, env: &mut dyn Env, key: Key, request: &Request) {
        if request.command.fuse() != Some(Fuse::Normal) {
            return self.fused_submit(env, key, request);
        }
        if let Err(status) = self.execute(env, key, request) {
            self.answer(key, request, status, 0, Span::EMPTY);
        }
    }

    /// Starts a command. An error is its status; otherwise it is answered or will be.
    fn execute(&mut self, env: &mut dyn Env, key: Key, request: &Request) -> Result<(), Status> {
        let command = &request.command;
        let opcode = NvmOpcode::from_code(command.opcode).ok_or(Status::INVALID_OPCODE)?;
        match opcode {
            NvmOpcode::Flush if command.namespace_id.get() == NAMESPACE_ALL => {
                self.flush_all(env, key, request)
            }
            NvmOpcode::DatasetManagement => self.dataset_management(env, key, request),
            NvmOpcode::Copy => self.copy(env, key, request),
            NvmOpcode::ReservationRegister
            | NvmOpcode::ReservationAcquire
            | NvmOpcode::ReservationRelease
            | NvmOpcode::ReservationReport => self.reservation(env, key, request, opcode),
            NvmOpcode::Flush
            | NvmOpcode::Read
            | NvmOpcode::Write
            | NvmOpcode::WriteUncorrectable
            | NvmOpcode::Compare
            | NvmOpcode::WriteZeroes
            | NvmOpcode::Verify => {
                let (namespace, info) = self.open(key, request, opcode)?;
                let start = block_request(opcode, request, &info)?;
                self.start(env, key, request, namespace, start)
            }
            NvmOpcode::Fabrics => Err(Status::INVALID_OPCODE),
        }
    }

    /// The namespace of a command, if its controller is ready and its host may do this to it.
    pub(super) fn open(
        &mut self,
        key: Key,
        request: &Request,
        opcode: NvmOpcode,
    ) -> Result<(Key, Info), Status> {
        self.hear(key)?;
        let queue = self.queues.get(key).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        let controller = self.controllers.get(queue.controller).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        let (found, namespace) = self.namespace_of(queue, &request.command)?;
        self.check_access(controller, namespace, opcode)?;
        Ok((found, namespace.info))
    }

    /// The controller of a queue hears from its host; commands before it is ready are out of order.
    pub(in super::super) fn hear(&mut self, key: Key) -> Result<(), Status> {
        let queue = self.queues.get(key).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        let controller = self.controllers.get_mut(queue.controller).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        controller.keep_alive.heard = true;
        if controller.status.ready { Ok(()) } else { Err(Status::COMMAND_SEQUENCE_ERROR) }
    }

    /// Gives the first request of a command to its namespace.
    pub(super) fn start(
        &mut self,
        env: &mut dyn Env,
        key: Key,
        request: &Request,
        namespace: Key,
        start: Start,
    ) -> Result<(), Status> {
        let queue = self.queues.get(key).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        let controller = self.controllers.get(queue.controller);
        let write_through = controller.is_some_and(|one| !one.features.write_cache) && start.op.is_write();
        let outstanding = Outstanding {
            queue: key,
            controller: queue.controller,
            connection: request.connection,
            slot: request.slot,
            command_id: request.command.command_id.get(),
            namespace_id: request.command.namespace_id.get(),
            namespace,
            first_block: start.lba,
            buffer: request.data,
            count: start.count,
            work: start.work,
            given_up: None,
            changes_for: controller.filter(|_| start.op.is_write()).map(|one| one.host_id),
        };
        let tag = self.outstanding.insert(outstanding).map_err(|_| Status::COMMAND_INTERRUPTED)?;
        let Start { op, lba, blocks, lend, data, .. } = start;
        let fua = start.fua || write_through;
        self.give(env, namespace, Io { tag: tag.as_u64(), op, lba, blocks, fua, lend, data });
        Ok(())
    }

    /// Gives a request to a namespace's channel.
    pub(in super::super) fn give(&mut self, env: &mut dyn Env, key: Key, io: Io) {
        let Some(namespace) = self.namespaces.get_mut(key) else { return };
        namespace.channel.start(env, io);
        if !core::mem::replace(&mut namespace.busy, true) {
            self.busy.push(key);
        }
    }
}

/// The request of a command that names one range of blocks, or Flush.
fn block_request(opcode: NvmOpcode, request: &Request, info: &Info) -> Result<Start, Status> {
    let (op, moves) = match opcode {
        NvmOpcode::Flush => return Ok(flush()),
        NvmOpcode::Read => (Op::Read, true),
        NvmOpcode::Write => (Op::Write, true),
        NvmOpcode::Compare => (Op::Compare, true),
        NvmOpcode::Verify => (Op::Verify, false),
        NvmOpcode::WriteUncorrectable => (Op::MarkBad, false),
        NvmOpcode::WriteZeroes => {
            let control = BlockCommand::read(&request.command).control;
            (Op::Zero { deallocate: control.contains(Control::DEALLOCATE) }, false)
        }
        NvmOpcode::DatasetManagement
        | NvmOpcode::Copy
        | NvmOpcode::ReservationRegister
        | NvmOpcode::ReservationReport
        | NvmOpcode::ReservationAcquire
        | NvmOpcode::ReservationRelease
        | NvmOpcode::Fabrics => return Err(Status::INVALID_OPCODE),
    };
    let range = range_of(&request.command, info)?;
    let bytes = range.blocks * info.block_size;
    let lend = op == Op::Read && request.data.is_empty();
    if moves && !lend && request.data.len != bytes || lend && !lendable(&range, info) {
        // The namespace is another one than when the transport asked what the command moves.
        return Err(Status::COMMAND_INTERRUPTED);
    }
    let count = match op {
        Op::Read => Count::Read(bytes),
        Op::Write => Count::Write(bytes),
        _ => Count::Other,
    };
    let whole = Start {
        op,
        lba: range.first_block,
        blocks: range.blocks,
        fua: range.force_unit_access(),
        lend,
        data: if moves { request.data } else { Span::EMPTY },
        work: Work::Whole,
        count,
    };
    Ok(if moves && range.blocks > info.blocks_max { first_piece(whole, info) } else { whole })
}

fn lendable(range: &BlockCommand, info: &Info) -> bool {
    info.lends && range.blocks <= info.blocks_max
}

/// The front of a request that is longer than the volume takes; the rest follows piece by piece.
fn first_piece(whole: Start, info: &Info) -> Start {
    let first = info.blocks_max.max(1);
    let offset = first * info.block_size;
    let rest = Pieces {
        op: whole.op,
        lba: whole.lba + u64::from(first),
        blocks: whole.blocks - first,
        fua: whole.fua,
        offset,
    };
    Start { blocks: first, data: whole.data.first(offset as usize), work: Work::Pieces(rest), ..whole }
}

pub(super) const fn flush() -> Start {
    Start {
        op: Op::Flush,
        lba: 0,
        blocks: 0,
        fua: false,
        lend: false,
        data: Span::EMPTY,
        work: Work::Whole,
        count: Count::Other,
    }
}
