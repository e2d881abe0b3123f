//! Segments, one after the other, each in as many pieces as it takes.

use super::super::begin::check_medium;
use super::super::call::{Call, Step};
use super::super::command::MediumUse;
use super::super::reservation::AccessKind;
use super::super::sbc::Work;
use super::super::task::Fault;
use super::super::unit::Unit;
use super::Copy;
use block::{Done, Info, Io, Op};
use stdx::mem::{Memory, Span};
use stdx::slab::Key;
use wire::scsi::Sense;

/// The present segment, its logical units looked up.
#[derive(Clone, Copy)]
struct Segment {
    source: (Key, Info),
    destination: (Key, Info),
    source_lba: u64,
    destination_lba: u64,
    /// How many blocks of the source.
    blocks: u32,
}

/// Begins the next segment that has something to copy, or ends the command.
pub(super) fn next_segment(call: &mut Call<'_>) -> Result<Step, Fault> {
    loop {
        let Some(copy) = call.target.copies.get_mut(&call.key) else { return Err(LOST) };
        if copy.segments.is_empty() {
            return Ok(Step::Good(Span::EMPTY));
        }
        (copy.done, copy.read) = (0, false);
        give_back(call);
        let segment = present(call)?;
        if segment.blocks > 0 {
            return next_piece(call, &segment);
        }
        end_segment(call);
    }
}

/// A volume is done with a request of the copy.
pub(in super::super) fn resume(call: &mut Call<'_>, done: &Done) -> Result<Step, Fault> {
    let Some(copy) = call.target.copies.get_mut(&call.key) else { return Err(LOST) };
    match done.status {
        block::Status::Ok => {}
        block::Status::OutOfRange => return Err(Fault::Sense(Sense::COPY_ABORTED)),
        _ => return Err(Fault::Sense(Sense::THIRD_PARTY_DEVICE_FAILURE)),
    }
    let was_read = copy.read;
    let whole = copy.buffer.is_empty();
    if !whole && !was_read {
        copy.read = true;
        let segment = present(call)?;
        return write_piece(call, &segment);
    }
    copy.read = false;
    copy.done += copy.piece;
    let (done, piece) = (copy.done, copy.piece);
    let segment = present(call)?;
    if let Some(copy) = call.target.copies.get_mut(&call.key) {
        copy.bytes += u64::from(piece) * u64::from(segment.source.1.block_size);
    }
    if done < segment.blocks {
        return next_piece(call, &segment);
    }
    end_segment(call);
    next_segment(call)
}

fn end_segment(call: &mut Call<'_>) {
    if let Some(copy) = call.target.copies.get_mut(&call.key) {
        copy.segments.pop_front();
        copy.processed += 1;
    }
}

/// Looks the present segment up. Everything is looked at anew for each piece: logical units come and go.
fn present(call: &Call<'_>) -> Result<Segment, Fault> {
    let copy = call.target.copies.get(&call.key).ok_or(LOST)?;
    let segment = copy.segments.front().ok_or(LOST)?;
    let source = unit(call, copy, segment.source.get(), AccessKind::Read, MediumUse::Needed)?;
    let destination = unit(call, copy, segment.destination.get(), AccessKind::Write, MediumUse::Changed)?;
    let (from, to) = (source.1.block_size, destination.1.block_size);
    let counted = if segment.counts_destination() { to } else { from };
    let bytes = u64::from(segment.blocks.get()) * u64::from(counted);
    if !bytes.is_multiple_of(from.into()) || !bytes.is_multiple_of(to.into()) {
        return Err(Fault::Sense(Sense::UNEXPECTED_INEXACT_SEGMENT));
    }
    let (blocks, written) = (bytes / u64::from(from), bytes / u64::from(to));
    let (source_lba, destination_lba) = (segment.source_lba.get(), segment.destination_lba.get());
    if !source.1.contains(source_lba, blocks) || !destination.1.contains(destination_lba, written) {
        return Err(Fault::Sense(Sense::COPY_ABORTED));
    }
    Ok(Segment { source, destination, source_lba, destination_lba, blocks: blocks as u32 })
}

/// A logical unit that takes part, if the command's nexus may use it so.
fn unit(
    call: &Call<'_>,
    copy: &Copy,
    index: u16,
    access: AccessKind,
    needs: MediumUse,
) -> Result<(Key, Info), Fault> {
    let target = copy.targets.get(usize::from(index)).ok_or(Fault::Sense(Sense::UNREACHABLE_COPY_TARGET))?;
    let unreachable = Fault::Sense(Sense::COPY_TARGET_NOT_REACHABLE);
    let key = target.ok_or(unreachable)?;
    let unit: &Unit = call.target.units.get(key).filter(|unit| !unit.removed).ok_or(unreachable)?;
    let permitted = unit.reservations.permits(&call.nexus()?.name(), access);
    if !permitted || check_medium(unit, needs).is_err() {
        return Err(Fault::Sense(Sense::THIRD_PARTY_DEVICE_FAILURE));
    }
    Ok((key, unit.info))
}

/// Within one volume all that is left of the segment goes at once; else as much as the buffer and both volumes take.
fn next_piece(call: &mut Call<'_>, segment: &Segment) -> Result<Step, Fault> {
    let (source, info) = segment.source;
    let Some(copy) = call.target.copies.get_mut(&call.key) else { return Err(LOST) };
    let (done, left) = (copy.done, segment.blocks - copy.done);
    let lba = segment.source_lba + u64::from(done);
    if source == segment.destination.0 {
        copy.piece = left;
        let to = segment.destination_lba + u64::from(done);
        return start(call, source, Op::Copy { from: lba }, to, left, Span::EMPTY);
    }
    let block_size = u64::from(info.block_size.max(segment.destination.1.block_size));
    let other = &segment.destination.1;
    let most = [
        Memory::BUFFER_MAX as u64,
        u64::from(info.blocks_max) * u64::from(info.block_size),
        u64::from(other.blocks_max) * u64::from(other.block_size),
    ];
    let most = most.into_iter().min().unwrap_or(0).max(block_size) / block_size * block_size;
    if copy.buffer.is_empty() {
        let len = most.min(u64::from(left) * u64::from(info.block_size)) as usize;
        let Some(buffer) = call.env.mem().take(len) else {
            return Err(Fault::Status(wire::scsi::Status::Busy));
        };
        let Some(copy) = call.target.copies.get_mut(&call.key) else { return Err(LOST) };
        copy.buffer = buffer;
    }
    let Some(copy) = call.target.copies.get_mut(&call.key) else { return Err(LOST) };
    let piece = left.min((most.min(copy.buffer.len.into()) / u64::from(info.block_size)) as u32);
    copy.piece = piece;
    let data = copy.buffer.first(piece as usize * info.block_size as usize);
    start(call, source, Op::Read, lba, piece, data)
}

fn write_piece(call: &mut Call<'_>, segment: &Segment) -> Result<Step, Fault> {
    let Some(copy) = call.target.copies.get(&call.key) else { return Err(LOST) };
    let (from, to) = (u64::from(segment.source.1.block_size), u64::from(segment.destination.1.block_size));
    let bytes = u64::from(copy.piece) * from;
    let lba = segment.destination_lba + u64::from(copy.done) * from / to;
    let data = copy.buffer.first(bytes as usize);
    start(call, segment.destination.0, Op::Write, lba, (bytes / to) as u32, data)
}

/// The buffer of the segment before.
fn give_back(call: &mut Call<'_>) {
    let Some(copy) = call.target.copies.get_mut(&call.key) else { return };
    let buffer = core::mem::replace(&mut copy.buffer, Span::EMPTY);
    if !buffer.is_empty() {
        call.env.mem().give(buffer);
    }
}

fn start(call: &mut Call<'_>, unit: Key, op: Op, lba: u64, blocks: u32, data: Span) -> Result<Step, Fault> {
    let io = Io { tag: 0, op, lba, blocks, fua: false, lend: false, data };
    call.target.start(call.env, call.key, unit, io, Work::Copy);
    Ok(Step::UnderWay)
}

/// A copy whose state is gone: that would be a bug of ours, and the initiator is told of a failure.
const LOST: Fault = Fault::Sense(Sense::INTERNAL_TARGET_FAILURE);
