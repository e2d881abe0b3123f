//! A device that grows keeps what it held; what is new reads as zeros and takes writes.

use super::workload::Workload;
use super::{Fault, Setting};
use crate::{BlockDevice, Status};
use std::rc::Rc;

pub(super) fn grows_online(
    setting: &mut dyn Setting,
    device: Rc<dyn BlockDevice>,
    seed: u64,
) -> Result<Rc<dyn BlockDevice>, Fault> {
    if !setting.promises().grows {
        return Ok(device);
    }
    let mut before = Workload::new(setting, &device, seed);
    before.run(setting, 100, 8)?;
    let expected = device.info().blocks + GROWTH;
    device.resize(setting.env(), expected).map_err(|got| Fault::Growth { got })?;
    let got = device.info().blocks;
    if got != expected {
        return Err(Fault::Size { expected, got });
    }
    let mut after = Workload::new(setting, &device, seed ^ 1);
    after.shadow = before.shadow;
    after.shadow.resize(expected);
    after.read_all(setting)?;
    after.run(setting, 100, 8)?;
    after.read_all(setting)?;
    match device.resize(setting.env(), u64::MAX) {
        Ok(()) => Err(Fault::Growth { got: Status::Ok }),
        Err(_) => Ok(device),
    }
}

/// How many blocks are added: not a whole number of anything.
const GROWTH: u64 = 77;
