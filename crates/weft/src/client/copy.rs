//! `weft copy`: one volume onto another. What is zero at the source stays sparse at the destination.

use super::flow::{Flow, buffer, check, pieces};
use super::{Client, Range, step};
use crate::args::CopyArgs;
use crate::error::Failure;
use crate::output::{Progress, Style};
use block::Op;
use stdx::env::Env;
use stdx::mem::Span;

/// Runs the command.
pub fn run(style: &Style, args: &CopyArgs) -> Result<(), Failure> {
    let mut client = Client::new()?;
    let mut from = Flow::new(client.open(&args.from)?);
    let mut to = Flow::new(client.open(&args.to)?);
    let (source, target) = (from.info(), to.info());
    if source.block_size != target.block_size {
        let text = format!("the blocks differ: {} and {} bytes", source.block_size, target.block_size);
        return Err(Failure::Usage(text));
    }
    if target.blocks < source.blocks {
        let text = format!("{} has {} bytes, {} are to go there", args.to, target.bytes(), source.bytes());
        return Err(Failure::Usage(text));
    }
    let step = step(&source, args.flow.size)?.min(step(&target, args.flow.size)?);
    let range = Range { lba: 0, blocks: source.blocks, step, bytes: source.bytes() };
    let progress = Progress::bytes(style, "copying", range.bytes);
    transfer(&mut client, &mut from, &mut to, &range, usize::from(args.flow.depth), &progress)?;
    to.flush(&mut client)?;
    progress.finish();
    if args.verify {
        super::verify::compare(style, &mut client, &mut from, &mut to, &range, usize::from(args.flow.depth))?;
    }
    super::report_moved(style, "copied", range.bytes, &client);
    Ok(())
}

/// Moves the range; each buffer goes from a read to the write of the same piece.
fn transfer(
    client: &mut Client,
    from: &mut Flow,
    to: &mut Flow,
    range: &Range,
    depth: usize,
    progress: &Progress,
) -> Result<(), Failure> {
    let (source, target) = (from.info(), to.info());
    let mut waiting = pieces(range.lba, range.blocks, range.step).enumerate();
    let mut buffers = vec![Span::EMPTY; depth];
    let mut free: Vec<usize> = (0..buffers.len()).collect();
    let (mut moved, mut more) = (0, true);
    while more || from.under_way() + to.under_way() > 0 {
        while let Some(slot) = free.pop() {
            let Some((index, piece)) = waiting.next() else {
                more = false;
                free.push(slot);
                break;
            };
            buffers[slot] = buffer(client, (piece.blocks * source.block_size) as usize)?;
            from.submit(client, tag(index, slot), Op::Read, piece, buffers[slot])?;
        }
        let read = from.poll(client).to_vec();
        let written = to.poll(client).to_vec();
        if read.is_empty() && written.is_empty() && from.under_way() + to.under_way() > 0 {
            client.turn()?;
        }
        for done in read {
            let (index, slot) = untag(done.tag);
            let piece = range.piece(index);
            check(&done, "read", piece.lba * u64::from(source.block_size))?;
            let zero = target.thin && client.env.mem().is_zero(buffers[slot]);
            let (op, data) =
                if zero { (Op::Zero { deallocate: true }, Span::EMPTY) } else { (Op::Write, buffers[slot]) };
            to.submit(client, done.tag, op, piece, data)?;
        }
        for done in written {
            let (index, slot) = untag(done.tag);
            let piece = range.piece(index);
            check(&done, "write", piece.lba * u64::from(target.block_size))?;
            client.env.mem().give(buffers[slot]);
            free.push(slot);
            moved += u64::from(piece.blocks) * u64::from(source.block_size);
        }
        progress.set(moved);
    }
    Ok(())
}

fn tag(index: usize, slot: usize) -> u64 {
    (index as u64) << SLOT_BITS | slot as u64
}

fn untag(tag: u64) -> (u64, usize) {
    (tag >> SLOT_BITS, (tag & ((1 << SLOT_BITS) - 1)) as usize)
}

/// Bits for a buffer's place: enough for the largest depth.
const SLOT_BITS: u32 = 12;
