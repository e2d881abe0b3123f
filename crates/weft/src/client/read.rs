//! `weft read`: a volume to a file or a pipe, in order.

use super::flow::{Flow, Piece, buffer, check, pieces};
use super::{Client, range};
use crate::args::ReadArgs;
use crate::error::Failure;
use crate::output::{Progress, Style};
use block::Op;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use stdx::env::Env;
use stdx::mem::Span;

/// Runs the command.
pub fn run(style: &Style, args: &ReadArgs) -> Result<(), Failure> {
    let mut client = Client::new()?;
    let mut flow = Flow::new(client.open(&args.url)?);
    let info = flow.info();
    let range = range(&info, args.range, args.flow)?;
    let failed = |why| Failure::File { path: args.output.clone(), why };
    let mut output: Box<dyn Write> = match args.output.to_str() {
        Some("-") => Box::new(io::stdout().lock()),
        _ => Box::new(File::create(&args.output).map_err(failed)?),
    };
    let progress = Progress::bytes(style, "reading", range.bytes);
    let mut waiting = pieces(range.lba, range.blocks, range.step).enumerate();
    let mut ready: BTreeMap<u64, Span> = BTreeMap::new();
    let (mut next, mut written, mut bytes) = (0, 0, Vec::new());
    while written < range.bytes {
        while flow.under_way() + ready.len() < usize::from(args.flow.depth) {
            let Some((index, piece)) = waiting.next() else { break };
            let data = buffer(&mut client, (piece.blocks * info.block_size) as usize)?;
            flow.submit(&mut client, index as u64, Op::Read, piece, data)?;
        }
        for done in flow.wait(&mut client)? {
            let Piece { lba, .. } = range.piece(done.tag);
            check(done, "read", lba * u64::from(info.block_size))?;
            ready.insert(done.tag, done.data);
        }
        while let Some(data) = ready.remove(&next) {
            bytes.resize(data.len(), 0);
            client.env.mem().read(data, &mut bytes);
            client.env.mem().give(data);
            output.write_all(&bytes).map_err(failed)?;
            next += 1;
            written += bytes.len() as u64;
        }
        progress.set(written);
    }
    output.flush().map_err(failed)?;
    progress.finish();
    super::report_moved(style, "read", range.bytes, &client);
    Ok(())
}
