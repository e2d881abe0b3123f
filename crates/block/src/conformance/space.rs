//! What a device says of the space behind its blocks: extents cover it without a gap, blocks without space read as zero,
//! and a block that was written has space.

use super::user::{User, plain};
use super::workload::Workload;
use super::{Fault, Setting};
use crate::{BlockDevice, Io, Op, Status};
use std::rc::Rc;

pub(super) fn extents_are_true(
    setting: &mut dyn Setting,
    device: Rc<dyn BlockDevice>,
    seed: u64,
) -> Result<Rc<dyn BlockDevice>, Fault> {
    let info = device.info();
    let mut workload = Workload::new(setting, &device, seed);
    workload.run(setting, 200, 4)?;
    drop(workload);
    let buffer = setting.env().mem().take(info.block_size as usize).expect("a buffer for a block");
    let mut user = User::new(&device);
    let mut lba = 0;
    while lba < info.blocks {
        let extent = device.extent(setting.env(), lba);
        if extent.blocks == 0 || extent.blocks > info.blocks - lba {
            return Err(Fault::Extent { lba });
        }
        if !extent.mapped {
            for place in [lba, lba + extent.blocks - 1] {
                let read = user.finish(setting, Io { data: buffer, ..plain(Op::Read, place, 1) })?;
                if read.status == Status::Ok && !setting.env().mem().is_zero(buffer) {
                    return Err(Fault::Extent { lba: place });
                }
            }
        }
        lba += extent.blocks;
    }
    let last = info.blocks - 1;
    for lba in [0, last / 2, last] {
        setting.env().mem().fill(buffer, 0xaa);
        user.expect(setting, Io { data: buffer, ..plain(Op::Write, lba, 1) }, Status::Ok)?;
        if !device.extent(setting.env(), lba).mapped {
            return Err(Fault::Extent { lba });
        }
    }
    setting.env().mem().give(buffer);
    Ok(device)
}
