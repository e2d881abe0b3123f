//! The copy manager: copies segments of blocks from one logical unit of the device to another, or within one (SPC-4,
//! section 5.17).
//!
//! Within a volume the volume copies by itself; between two, blocks go through one buffer, piece by piece. The command is
//! answered when the last segment is done, or with the first that fails. [`results`] is what RECEIVE COPY RESULTS tells.
//!
//! Invariant: a copy under way belongs to a task, and gives its buffer back when the task ends.

mod results;
mod segment;

pub(super) use results::{CopyFailure, CopyResults};
pub(super) use segment::resume;

use super::call::{Call, Step};
use super::pages::vpd;
use super::sbc::Work;
use super::task::{Ending, Fault, Task};
use super::{NexusKey, Target};
use segment::next_segment;
use std::collections::VecDeque;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::scsi::copy::{
    BlockToBlock, CopyLimits, CopyList, CopyProgress, CopyStatus, ListIdUsage, TargetDescriptor,
};
use wire::scsi::{Sense, Status};

/// A copy under way.
#[derive(Debug)]
pub(super) struct Copy {
    /// The copy targets, by their indices in the list; `None`: no such logical unit.
    targets: Vec<Option<Key>>,
    /// Segments to copy, the present one among them.
    segments: VecDeque<BlockToBlock>,
    /// Of the present segment: blocks of the source that are done.
    done: u32,
    /// Of the present piece: blocks of the source.
    piece: u32,
    /// The present piece is in the buffer.
    read: bool,
    /// Where pieces go through; empty while it is not needed.
    buffer: Span,
    /// Under which name its result is told, and whether it is held when the copy is done.
    list_id: Option<(u8, bool)>,
    /// Segments done.
    processed: u16,
    /// Bytes copied.
    bytes: u64,
}

/// What the copy manager takes in one command, and how many.
pub(super) const LIMITS: CopyLimits = CopyLimits {
    targets: 16,
    segments: 64,
    // The most blocks a segment can count, of the longest kind.
    segment_len: 0xffff * 4096,
    concurrent: 255,
    granularity_power: 9,
};

/// The logical unit that a copy target descriptor at byte `at` names, if there is one. What the descriptor says of its
/// blocks must be so.
pub(super) fn resolve(call: &Call<'_>, descriptor: &TargetDescriptor, at: u16) -> Result<Option<Key>, Fault> {
    let Some(target) = descriptor.target() else {
        return Err(Fault::Sense(Sense::INCORRECT_COPY_TARGET_DEVICE_TYPE));
    };
    for &key in call.device()?.units.values() {
        let Some(unit) = call.target.units.get(key).filter(|unit| vpd::is_named(unit, &target.designator))
        else {
            continue;
        };
        if target.block_len != unit.info.block_size {
            return Err(Fault::Sense(Sense::INVALID_FIELD_IN_PARAMETER_LIST.at_parameter_byte(at + 29)));
        }
        return Ok(Some(key));
    }
    Ok(None)
}

/// Begins the copy of a list.
pub(super) fn begin(
    call: &mut Call<'_>,
    list: &CopyList<'_>,
    targets: Vec<Option<Key>>,
) -> Result<Step, Fault> {
    if call.target.copies.len() >= usize::from(LIMITS.concurrent) {
        return Err(Fault::Status(Status::Busy));
    }
    let list_id = match list.usage {
        ListIdUsage::Hold => Some((list.list_id, true)),
        ListIdUsage::Discard => Some((list.list_id, false)),
        ListIdUsage::Disable => None,
    };
    let unit = call.task.unit;
    if let Some((list_id, _)) = list_id
        && !call.nexus_mut()?.copies.begin(unit, list_id)
    {
        return Err(Fault::Sense(Sense::OPERATION_IN_PROGRESS));
    }
    let copy = Copy {
        targets,
        segments: list.segments().copied().collect(),
        done: 0,
        piece: 0,
        read: false,
        buffer: Span::EMPTY,
        list_id,
        processed: 0,
        bytes: 0,
    };
    call.target.copies.insert(call.key, copy);
    call.target.set_work(call.key, Work::Copy);
    next_segment(call)
}

impl Target {
    /// What the task does from now on.
    fn set_work(&mut self, key: Key, work: Work) {
        if let Some(task) = self.tasks.get_mut(key) {
            task.work = work;
        }
    }

    /// A task that copied has ended: its buffer is given back, and its result held if that was asked for.
    pub(super) fn finish_copy(&mut self, env: &mut dyn Env, key: Key, task: &Task, ending: &Ending) {
        let Some(copy) = self.copies.remove(&key) else { return };
        if !copy.buffer.is_empty() {
            env.mem().give(copy.buffer);
        }
        let Some((list_id, held)) = copy.list_id else { return };
        let Some(nexus) = self.nexuses.get_mut(NexusKey(task.nexus).0) else { return };
        let good = ending.status == Some(Status::Good);
        let progress = if good { CopyProgress::Completed } else { CopyProgress::Failed };
        let status = CopyStatus::new(progress, copy.processed, copy.bytes);
        // Of a copy that was given up, nobody was told anything.
        let failed = ending.status.filter(|_| !good);
        let failure = failed.map(|status| CopyFailure { status, sense: ending.sense });
        nexus.copies.end((task.unit, list_id, held), status, failure);
    }
}
