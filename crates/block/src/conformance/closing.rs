//! Closing completes what is under way, and everything after it, without harm.

use super::user::{User, outcome, plain};
use super::{Fault, Setting};
use crate::{BlockDevice, Io, Op, Status};
use core::time::Duration;
use std::rc::Rc;
use stdx::mem::Span;

pub(super) fn closed_with_requests_under_way(
    setting: &mut dyn Setting,
    device: Rc<dyn BlockDevice>,
    _: u64,
) -> Result<Rc<dyn BlockDevice>, Fault> {
    let info = device.info();
    let size = info.block_size as usize;
    let buffers: Vec<_> = (0..8).map(|_| setting.env().mem().take(size).expect("a buffer")).collect();
    let mut user = User::new(&device);
    for (lba, &data) in buffers.iter().enumerate() {
        let op = if lba % 2 == 0 { Op::Write } else { Op::Read };
        user.submit(setting, Io { data, lend: info.lends, ..plain(op, lba as u64, 1) })?;
    }
    user.submit(setting, plain(Op::Flush, 0, 0))?;
    device.close(setting.env());
    for (io, done) in user.drain(setting)? {
        match done.status {
            Status::Ok | Status::Gone => touch(setting, done.data),
            got => return Err(Fault::Outcome { io, expected: Status::Gone, got }),
        }
    }
    for io in [plain(Op::Flush, 0, 0), Io { data: buffers[0], ..plain(Op::Read, 0, 1) }] {
        let done = user.finish(setting, io)?;
        outcome(io, done, Status::Gone)?;
    }
    buffers.into_iter().for_each(|buffer| setting.env().mem().give(buffer));
    Ok(device)
}

/// Closes a device and lets the world go on until what it started is over.
pub(super) fn close(setting: &mut dyn Setting, device: &dyn BlockDevice) {
    device.close(setting.env());
    let until = setting.env().now() + Duration::from_millis(20);
    while setting.env().now() < until {
        setting.turn(device, until);
    }
}

/// Panics if the span is void.
fn touch(setting: &mut dyn Setting, data: Span) {
    setting.env().mem().crc32c(0, data);
}
