//! `weft write`: a file or a pipe onto a volume.

use super::flow::{Flow, Piece, buffer, check};
use super::{Client, range};
use crate::args::WriteArgs;
use crate::error::Failure;
use crate::output::{Progress, Style};
use block::Op;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use stdx::env::Env;

/// Runs the command.
pub fn run(style: &Style, args: &WriteArgs) -> Result<(), Failure> {
    let failed = |why| Failure::File { path: args.input.clone(), why };
    let (mut input, size): (Box<dyn Read>, Option<u64>) = match args.input.to_str() {
        Some("-") => (Box::new(io::stdin().lock()), None),
        _ => {
            let file = File::open(&args.input).map_err(failed)?;
            let size = file.metadata().map_err(failed)?.len();
            (Box::new(file), Some(size))
        }
    };
    let mut client = Client::new()?;
    let mut flow = Flow::new(client.open(&args.url)?);
    let info = flow.info();
    let range = range(&info, args.range, args.flow)?;
    if let Some(size) = size.filter(|size| *size > range.bytes && args.range.length.is_none()) {
        return Err(Failure::Usage(format!(
            "the file has {size} bytes and the volume room for {}",
            range.bytes
        )));
    }
    let total = size.unwrap_or(range.bytes).min(range.bytes);
    let progress = Progress::bytes(style, "writing", total);
    let mut bytes = vec![0; range.step as usize * info.block_size as usize];
    let mut buffers = BTreeMap::new();
    let (mut index, mut read, mut ended) = (0, 0, false);
    while !ended || flow.under_way() > 0 {
        while !ended && flow.under_way() < usize::from(args.flow.depth) {
            let want = (bytes.len() as u64).min(range.bytes - read) as usize;
            let len = fill(&mut *input, &mut bytes[..want]).map_err(failed)?;
            if len < want || want == 0 {
                ended = true;
                if len == 0 {
                    break;
                }
            }
            // The last block is filled up with zeros: a volume knows whole blocks only.
            let padded = len.next_multiple_of(info.block_size as usize);
            bytes[len..padded].fill(0);
            let data = buffer(&mut client, padded)?;
            client.env.mem().write(data, &bytes[..padded]);
            let piece = Piece { blocks: (padded / info.block_size as usize) as u32, ..range.piece(index) };
            flow.submit(&mut client, index, Op::Write, piece, data)?;
            buffers.insert(index, data);
            index += 1;
            read += len as u64;
        }
        for done in flow.wait(&mut client)?.to_vec() {
            check(&done, "write", range.piece(done.tag).lba * u64::from(info.block_size))?;
            if let Some(data) = buffers.remove(&done.tag) {
                client.env.mem().give(data);
            }
        }
        progress.set(read);
    }
    if size.is_none() && read == range.bytes && fill(&mut *input, &mut [0]).map_err(failed)? > 0 {
        return Err(Failure::Usage(format!(
            "the input is longer than the {} bytes there is room for",
            range.bytes
        )));
    }
    flow.flush(&mut client)?;
    progress.finish();
    super::report_moved(style, "written", read, &client);
    Ok(())
}

/// Reads until the buffer is full or the input ends.
fn fill(input: &mut dyn Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < bytes.len() {
        match input.read(&mut bytes[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}
