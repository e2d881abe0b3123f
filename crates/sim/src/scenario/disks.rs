//! The disks of a SCSI target, as volumes of the machine that uses them.

use block::{BlockDevice, Channel, Identity, Volume};
use scsi::initiator::{Disk, InitiatorEvent};
use std::collections::BTreeMap;
use std::rc::Rc;

/// See the module.
#[derive(Default)]
pub(super) struct Disks {
    volumes: BTreeMap<u32, Rc<Volume>>,
    /// The target was given up.
    pub(super) failed: bool,
}

impl Disks {
    /// An initiator tells something; `disk` gives its disk of a number.
    pub(super) fn handle<F>(&mut self, event: &InitiatorEvent<F>, disk: impl FnOnce(u16) -> Option<Disk>) {
        match event {
            InitiatorEvent::DiskAdded(lun) => {
                if let Some(disk) = disk(*lun) {
                    let volume = Volume::new(Rc::new(disk), Identity([*lun as u8; 16]));
                    self.volumes.insert(u32::from(*lun), Rc::new(volume));
                }
            }
            InitiatorEvent::DiskRemoved(lun) => {
                self.volumes.remove(&u32::from(*lun));
            }
            InitiatorEvent::Failed(_) => self.failed = true,
            InitiatorEvent::Connected | InitiatorEvent::DiskResized { .. } => {}
            InitiatorEvent::ConnectionLost(_) | InitiatorEvent::Reconnected => {}
        }
    }

    /// A way to a disk, if it is there.
    pub(super) fn open(&self, number: u32) -> Option<Box<dyn Channel>> {
        Some(self.volumes.get(&number)?.open())
    }

    /// The disks there are, and their blocks.
    pub(super) fn seen(&self) -> BTreeMap<u32, u64> {
        self.volumes.iter().map(|(&number, volume)| (number, volume.info().blocks)).collect()
    }
}
