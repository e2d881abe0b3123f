//! A SCSI target device: its name, its ports, and which logical unit is behind which number.

use super::options::UNITS_PER_DEVICE_MAX;
use block::volume::Histogram;
use std::collections::BTreeMap;
use stdx::slab::Key;
use wire::scsi::report::{AccessState, StatusCode};

/// A device, as its owner names it in later calls.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DeviceKey(pub Key);

/// The protocol of a device's ports (SPC-4, table 436).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Protocol {
    /// SRP.
    Srp = 0x4,
    /// iSCSI.
    Iscsi = 0x5,
}

impl Protocol {
    /// Whether one command can move data both ways here. iSCSI's can, too, with another header than ours is read.
    pub const fn moves_both_ways(self) -> bool {
        match self {
            Self::Srp => true,
            Self::Iscsi => false,
        }
    }
}

/// What a device is to be called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceConfig {
    /// The SCSI name string of the device (iSCSI: the target's name).
    pub name: String,
    /// The protocol that its ports speak.
    pub protocol: Protocol,
}

/// A target port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortConfig {
    /// The relative target port identifier: unique in its device, not zero.
    pub relative_id: u16,
    /// The SCSI name string of the port (iSCSI: target name, `,t,0x` and the portal group tag).
    pub name: String,
    /// Its target port group (ALUA), not zero.
    pub group: u16,
}

/// A device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) config: DeviceConfig,
    /// By relative target port identifier.
    pub(super) ports: BTreeMap<u16, PortConfig>,
    /// States of target port groups that were ever changed.
    pub(super) groups: BTreeMap<u16, (AccessState, StatusCode)>,
    /// By number; ascending, as REPORT LUNS tells them.
    pub(super) units: BTreeMap<u16, Key>,
    /// How long its commands take, while that is counted.
    pub(super) histogram: Option<Histogram>,
}

impl Device {
    pub(super) fn new(config: DeviceConfig) -> Self {
        let (ports, groups, units) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { config, ports, groups, units, histogram: None }
    }

    /// The number asked for if it is free and can be one, or the lowest that is.
    pub(super) fn free_lun(&self, wanted: Option<u16>) -> Option<u16> {
        let mut all = 0..UNITS_PER_DEVICE_MAX as u16;
        match wanted {
            Some(lun) => Some(lun).filter(|lun| all.contains(lun) && !self.units.contains_key(lun)),
            None => all.find(|lun| !self.units.contains_key(lun)),
        }
    }
}
