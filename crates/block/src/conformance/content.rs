//! What is read is what was written, under random requests; zeroed blocks are zero.

use super::user::{User, plain};
use super::workload::Workload;
use super::{Fault, Setting};
use crate::{BlockDevice, Io, Op, Status};
use std::rc::Rc;

pub(super) fn random_requests(
    setting: &mut dyn Setting,
    device: Rc<dyn BlockDevice>,
    seed: u64,
) -> Result<Rc<dyn BlockDevice>, Fault> {
    let mut workload = Workload::new(setting, &device, seed);
    workload.run(setting, 100, 1)?;
    workload.run(setting, 900, 16)?;
    workload.read_all(setting)?;
    Ok(device)
}

/// Zeroing takes exactly its blocks, whether their space is given back or not, and longer than a request that moves data.
pub(super) fn zeros(
    setting: &mut dyn Setting,
    device: Rc<dyn BlockDevice>,
    _: u64,
) -> Result<Rc<dyn BlockDevice>, Fault> {
    let info = device.info();
    let keeps = setting.promises().keeps;
    let buffer = setting.env().mem().take(info.block_size as usize).expect("a buffer for a block");
    let mut user = User::new(&device);
    let last = info.blocks - 1;
    for deallocate in [false, true] {
        for lba in [0, 1, last - 1, last] {
            setting.env().mem().fill(buffer, 0xaa);
            user.expect(setting, Io { data: buffer, ..plain(Op::Write, lba, 1) }, Status::Ok)?;
        }
        user.expect(setting, plain(Op::Zero { deallocate }, 1, (last - 1) as u32), Status::Ok)?;
        for (lba, is_zero) in [(0, !keeps), (1, true), (last - 1, true), (last, !keeps)] {
            user.expect(setting, Io { data: buffer, ..plain(Op::Read, lba, 1) }, Status::Ok)?;
            if setting.env().mem().is_zero(buffer) != is_zero {
                return Err(Fault::Content { lba });
            }
        }
    }
    setting.env().mem().give(buffer);
    Ok(device)
}
