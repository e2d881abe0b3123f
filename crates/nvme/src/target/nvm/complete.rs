//! From a volume's completion to the next piece of the request, or to its response.

use super::super::outstanding::{Count, Outstanding, Pieces, Work};
use super::super::status::{final_for_host, of_volume};
use super::super::{Response, Target};
use block::{Done, Io};
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::nvme::Status;

impl Target {
    /// A volume is done with a request of ours.
    pub(in super::super) fn complete(&mut self, env: &mut dyn Env, done: &Done) {
        let key = Key::from_u64(done.tag);
        let Some(outstanding) = self.outstanding.get(key) else {
            debug_assert!(false, "a volume completed a request it was not given");
            return;
        };
        // A volume that cannot be flushed keeps no other from being flushed before a shutdown.
        let shuts_down = matches!(outstanding.work, Work::Shutdown { .. });
        let goes_on = done.status == block::Status::Ok && outstanding.given_up.is_none() || shuts_down;
        if outstanding.work != Work::Whole && goes_on && self.proceed(env, key) {
            return;
        }
        self.finish(key, of_volume(done.status), done.data);
    }

    /// Starts the next piece of a request; false if that was the last.
    fn proceed(&mut self, env: &mut dyn Env, key: Key) -> bool {
        let Some(outstanding) = self.outstanding.get(key) else { return false };
        match outstanding.work {
            Work::Whole | Work::Fused { .. } => false,
            Work::Pieces(pieces) => self.next_piece(env, key, pieces),
            Work::Discard { .. } => self.next_discard(env, key),
            Work::Copy { .. } => self.next_copy(env, key),
            Work::FlushAll { flushed } | Work::Shutdown { flushed } => self.next_flush(env, key, flushed),
        }
    }

    fn next_piece(&mut self, env: &mut dyn Env, key: Key, pieces: Pieces) -> bool {
        let Some(outstanding) = self.outstanding.get_mut(key) else { return false };
        let Some(namespace) = self.namespaces.get(outstanding.namespace) else { return false };
        if pieces.blocks == 0 {
            return false;
        }
        let blocks = pieces.blocks.min(namespace.info.blocks_max.max(1));
        let len = blocks * namespace.info.block_size;
        let Pieces { op, lba, fua, offset, .. } = pieces;
        let data = outstanding.buffer.slice(offset as usize, len as usize);
        outstanding.work = Work::Pieces(Pieces {
            lba: lba + u64::from(blocks),
            blocks: pieces.blocks - blocks,
            offset: offset + len,
            ..pieces
        });
        let namespace = outstanding.namespace;
        self.give(env, namespace, Io { tag: key.as_u64(), op, lba, blocks, fua, lend: false, data });
        true
    }

    /// Answers a request whose volume is done with it.
    pub(in super::super) fn finish(&mut self, key: Key, status: Status, data: Span) {
        let Some(outstanding) = self.outstanding.remove(key) else { return };
        let status = outstanding.given_up.unwrap_or(status);
        if let Work::Shutdown { .. } = outstanding.work {
            return self.finish_shutdown(outstanding.controller, key);
        }
        if let Work::Fused { compare_slot, compare_id } = outstanding.work {
            let (compare, write) = fused_statuses(status);
            self.respond(&outstanding, compare_slot, compare_id, compare, Span::EMPTY);
            self.respond(&outstanding, outstanding.slot, outstanding.command_id, write, Span::EMPTY);
            return;
        }
        let data = match outstanding.count {
            // A request in pieces filled its own buffer; otherwise the volume says where the data is.
            Count::Read(_) if status.is_success() && outstanding.work != Work::Whole => outstanding.buffer,
            Count::Read(_) if status.is_success() => data,
            Count::Read(_) | Count::Write(_) | Count::Other => Span::EMPTY,
        };
        self.respond(&outstanding, outstanding.slot, outstanding.command_id, status, data);
    }

    /// One response of an outstanding request, which is two if it was fused.
    fn respond(&mut self, outstanding: &Outstanding, slot: u32, command_id: u16, status: Status, data: Span) {
        let status = final_for_host(status);
        if let Some(controller) = self.controllers.get_mut(outstanding.controller) {
            if status.is_success() {
                controller.health.count(outstanding.count);
            } else {
                controller.note_io_error(&self.queues, outstanding, command_id, status);
            }
        }
        self.release(outstanding.queue);
        self.counters.answered += 1;
        let connection = outstanding.connection;
        self.responses.push(Response { connection, slot, status, result: 0, data });
    }
}

/// The statuses of Compare and Write, of what the volume says of both at once (NVM 2.1.2): if the comparison failed the
/// write was not tried; if the write failed the comparison had succeeded.
fn fused_statuses(status: Status) -> (Status, Status) {
    let write_failed = [Status::WRITE_FAULT, Status::CAPACITY_EXCEEDED, Status::NAMESPACE_WRITE_PROTECTED];
    if status.is_success() || write_failed.contains(&status.kind()) {
        (Status::SUCCESS, status)
    } else {
        (status, Status::ABORTED_FAILED_FUSED)
    }
}
