//! `weft verify`: two volumes hold the same, or one gives back what was written to it.

use super::flow::{Flow, buffer, check, pieces};
use super::{Client, Range, range};
use crate::args::VerifyArgs;
use crate::error::Failure;
use crate::output::{Progress, Style};
use block::Op;
use std::collections::BTreeMap;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::prng::Prng;

/// Runs the command.
pub fn run(style: &Style, args: &VerifyArgs) -> Result<(), Failure> {
    let mut client = Client::new()?;
    let depth = usize::from(args.flow.depth);
    let mut flow = Flow::new(client.open(&args.url)?);
    let range = range(&flow.info(), args.range, args.flow)?;
    match &args.other {
        Some(other) => {
            let mut other = Flow::new(client.open(other)?);
            let (a, b) = (flow.info(), other.info());
            if a.block_size != b.block_size || b.blocks < range.lba + range.blocks {
                let sizes = format!("{} and {} bytes", a.bytes(), b.bytes());
                return Err(Failure::Usage(format!("the volumes do not match: {sizes}; choose a --length")));
            }
            compare(style, &mut client, &mut flow, &mut other, &range, depth)?;
        }
        None => {
            let seed = client.env.entropy();
            pattern(style, &mut client, &mut flow, &range, depth, seed)?;
        }
    }
    super::report_moved(style, "verified", range.bytes, &client);
    Ok(())
}

/// Reads both volumes and compares; the first difference is an error.
pub fn compare(
    style: &Style,
    client: &mut Client,
    one: &mut Flow,
    other: &mut Flow,
    range: &Range,
    depth: usize,
) -> Result<(), Failure> {
    let block = one.info().block_size;
    let progress = Progress::bytes(style, "comparing", range.bytes);
    let mut waiting = pieces(range.lba, range.blocks, range.step).enumerate();
    let mut halves: BTreeMap<u64, Span> = BTreeMap::new();
    let (mut under_way, mut compared) = (0, 0);
    while compared < range.bytes {
        while under_way < depth {
            let Some((index, piece)) = waiting.next() else { break };
            for flow in [&mut *one, &mut *other] {
                let data = buffer(client, (piece.blocks * block) as usize)?;
                flow.submit(client, index as u64, Op::Read, piece, data)?;
            }
            under_way += 1;
        }
        let mut read = one.poll(client).to_vec();
        read.extend_from_slice(other.poll(client));
        if read.is_empty() {
            client.turn()?;
        }
        for done in read {
            let offset = range.piece(done.tag).lba * u64::from(block);
            check(&done, "read", offset)?;
            let Some(half) = halves.remove(&done.tag) else {
                halves.insert(done.tag, done.data);
                continue;
            };
            if let Some(at) = client.env.mem().first_difference(half, done.data) {
                return Err(Failure::Differ { offset: offset + at as u64 });
            }
            compared += half.len() as u64;
            client.env.mem().give(half);
            client.env.mem().give(done.data);
            under_way -= 1;
        }
        progress.set(compared);
    }
    progress.finish();
    Ok(())
}

/// Writes a pattern that is different in every block and every run, flushes, reads it back and compares.
fn pattern(
    style: &Style,
    client: &mut Client,
    flow: &mut Flow,
    range: &Range,
    depth: usize,
    seed: u64,
) -> Result<(), Failure> {
    let block = flow.info().block_size;
    for (op, what) in [(Op::Write, "writing"), (Op::Read, "reading")] {
        let progress = Progress::bytes(style, what, range.bytes);
        let mut waiting = pieces(range.lba, range.blocks, range.step).enumerate();
        let (mut bytes, mut buffers, mut moved) = (Vec::new(), BTreeMap::new(), 0);
        while moved < range.bytes {
            while flow.under_way() < depth {
                let Some((index, piece)) = waiting.next() else { break };
                let data = buffer(client, (piece.blocks * block) as usize)?;
                if op == Op::Write {
                    expected(seed, index as u64, data.len(), &mut bytes);
                    client.env.mem().write(data, &bytes);
                }
                flow.submit(client, index as u64, op, piece, data)?;
                buffers.insert(index as u64, data);
            }
            for done in flow.wait(client)?.to_vec() {
                let offset = range.piece(done.tag).lba * u64::from(block);
                check(&done, if op == Op::Write { "write" } else { "read" }, offset)?;
                let Some(data) = buffers.remove(&done.tag) else { continue };
                if op == Op::Read {
                    differs(client, seed, done.tag, data)
                        .map_or(Ok(()), |at| Err(Failure::Differ { offset: offset + at as u64 }))?;
                }
                moved += data.len() as u64;
                client.env.mem().give(data);
            }
            progress.set(moved);
        }
        if op == Op::Write {
            flow.flush(client)?;
        }
        progress.finish();
    }
    Ok(())
}

/// What the `index`th piece holds.
fn expected(seed: u64, index: u64, len: usize, bytes: &mut Vec<u8>) {
    bytes.resize(len, 0);
    Prng::new(seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15)).fill(bytes);
}

fn differs(client: &mut Client, seed: u64, index: u64, data: Span) -> Option<usize> {
    let (mut want, mut have) = (Vec::new(), vec![0; data.len()]);
    expected(seed, index, data.len(), &mut want);
    client.env.mem().read(data, &mut have);
    want.iter().zip(&have).position(|(want, have)| want != have)
}
