//! Requests that do not fit are completed with the status that says why, and change nothing.

use super::user::{User, plain};
use super::{Fault, Setting};
use crate::{BlockDevice, Io, Op, Status};
use std::rc::Rc;
use stdx::mem::Span;

pub(super) fn requests_that_do_not_fit(
    setting: &mut dyn Setting,
    device: Rc<dyn BlockDevice>,
    _: u64,
) -> Result<Rc<dyn BlockDevice>, Fault> {
    let info = device.info();
    let size = info.block_size as usize;
    let buffer = setting.env().mem().take(4 * size).expect("a buffer for a few blocks");
    setting.env().mem().fill(buffer, 0xee);
    let mut user = User::new(&device);
    for (io, expected) in misfits(info.blocks, buffer, size) {
        user.expect(setting, io, expected)?;
    }
    if u64::from(info.blocks_max) < info.blocks {
        let io = Io { data: buffer, ..plain(Op::Write, 0, info.blocks_max + 1) };
        user.expect(setting, io, Status::BadLength)?;
    }
    for lba in [0, info.blocks - 4] {
        user.expect(setting, Io { data: buffer, ..plain(Op::Read, lba, 4) }, Status::Ok)?;
        if !setting.env().mem().is_zero(buffer) {
            return Err(Fault::Content { lba });
        }
    }
    user.expect(setting, plain(Op::Read, info.blocks, 0), Status::Ok)?;
    setting.env().mem().give(buffer);
    Ok(device)
}

fn misfits(blocks: u64, buffer: Span, size: usize) -> Vec<(Io, Status)> {
    let of = |op, lba, count: u32, data| Io { data, ..plain(op, lba, count) };
    vec![
        (of(Op::Write, blocks, 1, buffer.first(size)), Status::OutOfRange),
        (of(Op::Write, blocks - 1, 2, buffer.first(2 * size)), Status::OutOfRange),
        (of(Op::Write, u64::MAX, 1, buffer.first(size)), Status::OutOfRange),
        (of(Op::Read, u64::MAX - 1, 4, buffer), Status::OutOfRange),
        (of(Op::Read, blocks + 1, 0, Span::EMPTY), Status::OutOfRange),
        (of(Op::Zero { deallocate: true }, blocks - 1, u32::MAX, Span::EMPTY), Status::OutOfRange),
        (of(Op::Zero { deallocate: false }, u64::MAX, u32::MAX, Span::EMPTY), Status::OutOfRange),
        (of(Op::Discard, blocks, 1, Span::EMPTY), Status::OutOfRange),
        (of(Op::Write, 0, 1, buffer.first(size - 1)), Status::BadLength),
        (of(Op::Write, 0, 1, buffer.first(2 * size)), Status::BadLength),
        (of(Op::Write, 0, 1, Span::EMPTY), Status::BadLength),
        (of(Op::Read, 0, 4, buffer.first(size)), Status::BadLength),
        (of(Op::Write, 0, 0, buffer.first(size)), Status::BadLength),
    ]
}
