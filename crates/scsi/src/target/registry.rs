//! The configuration: what its owner adds to and removes from a running target.
//!
//! Invariant: a call that fails changes nothing. What is removed takes its tasks with it, and initiators are told.

use super::device::{Device, DeviceConfig, DeviceKey, PortConfig};
use super::nexus::Nexus;
use super::options::PORTS_MAX;
use super::seam::NexusKey;
use super::task::{Fault, Task};
use super::unit::{Unit, UnitConfig};
use super::{Attention, Target};
use block::{BlockDevice, Channel};
use std::rc::Rc;
use stdx::env::Env;
use stdx::slab::Key;
use thiserror::Error;
use wire::scsi::{Sense, TransportId};

/// Why a change was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ConfigError {
    /// No such device.
    #[error("there is no such device")]
    UnknownDevice,
    /// A device has this name.
    #[error("there is a device with this name already")]
    DeviceExists,
    /// The device has no such port.
    #[error("the device has no such port")]
    UnknownPort,
    /// The device has a port with this identifier, or the identifier or group is zero.
    #[error("the port identifier is taken or zero")]
    PortTaken,
    /// No logical unit has this number.
    #[error("there is no logical unit with this number")]
    UnknownUnit,
    /// A logical unit has this number, or none is free.
    #[error("the logical unit number is taken, or none is free")]
    LunTaken,
    /// Serial or product are no printable ASCII, or too long.
    #[error("product names have up to 16, serial numbers up to 36 printable ASCII characters")]
    Text,
    /// A table is full.
    #[error("there are too many of these already")]
    TooMany,
}

impl Target {
    /// A new device, without ports and logical units.
    pub fn add_device(&mut self, config: DeviceConfig) -> Result<DeviceKey, ConfigError> {
        if self.devices.iter().any(|(_, device)| device.config.name == config.name) {
            return Err(ConfigError::DeviceExists);
        }
        self.devices.insert(Device::new(config)).map(DeviceKey).map_err(|_| ConfigError::TooMany)
    }

    /// Removes a device with all it has. Its nexuses are to be ended by their transports.
    pub fn remove_device(&mut self, env: &mut dyn Env, device: DeviceKey) -> Result<(), ConfigError> {
        let entry = self.devices.remove(device.0).ok_or(ConfigError::UnknownDevice)?;
        for &unit in entry.units.values() {
            self.detach(env, unit);
        }
        let nexuses = self.nexuses.iter().filter(|(_, nexus)| nexus.device == device.0);
        self.lost.extend(nexuses.map(|(key, _)| NexusKey(key)));
        Ok(())
    }

    /// A new port of a device.
    pub fn add_port(&mut self, device: DeviceKey, port: PortConfig) -> Result<(), ConfigError> {
        let device = self.devices.get_mut(device.0).ok_or(ConfigError::UnknownDevice)?;
        if device.ports.len() >= PORTS_MAX {
            return Err(ConfigError::TooMany);
        }
        if port.relative_id == 0 || port.group == 0 || device.ports.contains_key(&port.relative_id) {
            return Err(ConfigError::PortTaken);
        }
        device.ports.insert(port.relative_id, port);
        Ok(())
    }

    /// Removes a port. Its nexuses are to be ended by their transports.
    pub fn remove_port(&mut self, device: DeviceKey, relative_id: u16) -> Result<(), ConfigError> {
        let entry = self.devices.get_mut(device.0).ok_or(ConfigError::UnknownDevice)?;
        entry.ports.remove(&relative_id).ok_or(ConfigError::UnknownPort)?;
        let nexuses = self.nexuses.iter();
        let nexuses = nexuses.filter(|(_, nexus)| nexus.device == device.0 && nexus.port == relative_id);
        self.lost.extend(nexuses.map(|(key, _)| NexusKey(key)));
        Ok(())
    }

    /// Adds a volume to a device: its logical unit number. The channel is the target's alone; the volume is asked what it
    /// is.
    pub fn add_unit(
        &mut self,
        device: DeviceKey,
        config: UnitConfig,
        volume: Rc<dyn BlockDevice>,
        channel: Box<dyn Channel>,
    ) -> Result<u16, ConfigError> {
        let entry = self.devices.get_mut(device.0).ok_or(ConfigError::UnknownDevice)?;
        if !printable(&config.product, 16) || !printable(&config.serial, 36) {
            return Err(ConfigError::Text);
        }
        let lun = entry.free_lun(config.lun).ok_or(ConfigError::LunTaken)?;
        let unit = Unit::new(lun, device.0, config, volume, channel);
        let key = self.units.insert(unit).map_err(|_| ConfigError::TooMany)?;
        entry.units.insert(lun, key);
        self.reported_luns_changed(device.0);
        Ok(lun)
    }

    /// Removes a logical unit. What its volume works on is completed first; what waits ends; later commands find none.
    pub fn remove_unit(&mut self, env: &mut dyn Env, device: DeviceKey, lun: u16) -> Result<(), ConfigError> {
        let entry = self.devices.get_mut(device.0).ok_or(ConfigError::UnknownDevice)?;
        let unit = entry.units.remove(&lun).ok_or(ConfigError::UnknownUnit)?;
        self.detach(env, unit);
        self.reported_luns_changed(device.0);
        Ok(())
    }

    /// The volume is not what it was: longer, read-only, back again. Initiators are told.
    pub fn unit_changed(&mut self, device: DeviceKey, lun: u16) -> Result<(), ConfigError> {
        let entry = self.devices.get(device.0).ok_or(ConfigError::UnknownDevice)?;
        let key = *entry.units.get(&lun).ok_or(ConfigError::UnknownUnit)?;
        let unit = self.units.get_mut(key).ok_or(ConfigError::UnknownUnit)?;
        let new = unit.volume.info();
        let old = core::mem::replace(&mut unit.info, new);
        if (old.blocks, old.block_size) != (new.blocks, new.block_size) {
            self.attend(key, Attention::CapacityChanged, None);
        }
        if old.read_only != new.read_only {
            self.attend(key, Attention::ModeParametersChanged, None);
        }
        Ok(())
    }

    /// A nexus comes to be: an initiator port logged in to a target port. It is told of its power on by each logical unit.
    pub fn open_nexus(
        &mut self,
        device: DeviceKey,
        initiator: TransportId,
        port: u16,
    ) -> Result<NexusKey, ConfigError> {
        let entry = self.devices.get(device.0).ok_or(ConfigError::UnknownDevice)?;
        if !entry.ports.contains_key(&port) {
            return Err(ConfigError::UnknownPort);
        }
        let mut nexus = Nexus::new(device.0, initiator, port);
        for &unit in entry.units.values() {
            nexus.attend(unit, Attention::PowerOn);
        }
        nexus.has_predecessor = self.has_predecessor(device.0, &nexus.name());
        self.nexuses.insert(nexus).map(NexusKey).map_err(|_| ConfigError::TooMany)
    }

    /// Lets a logical unit go as soon as its volume holds no buffer.
    fn detach(&mut self, env: &mut dyn Env, key: Key) {
        let Some(unit) = self.units.get_mut(key) else { return };
        unit.removed = true;
        unit.allegiance = None;
        let gone = Fault::Sense(Sense::LOGICAL_UNIT_NOT_SUPPORTED);
        let idle = |(_, task): &(Key, &Task)| task.unit == Some(key) && task.at_volume.is_none();
        let idle: Vec<Key> = self.tasks.iter().filter(idle).map(|(key, _)| key).collect();
        for task in idle {
            self.end(env, task, gone.into());
        }
        for (_, nexus) in self.nexuses.iter_mut() {
            nexus.forget_unit(key);
        }
        self.remove_if_unused(key);
    }

    /// Takes a logical unit out of the table if it was removed and nothing refers to it any more.
    pub(super) fn remove_if_unused(&mut self, key: Key) {
        let unused =
            |unit: &Unit| unit.removed && unit.channel.is_idle() && !unit.busy && unit.tasks.len() == 0;
        if self.units.get(key).is_some_and(unused) {
            self.units.remove(key);
        }
    }

    /// Every logical unit of the device tells it (SPC-4, section 6.33).
    fn reported_luns_changed(&mut self, device: Key) {
        let Some(device) = self.devices.get(device) else { return };
        let units: Vec<Key> = device.units.values().copied().collect();
        for unit in units {
            self.attend(unit, Attention::ReportedLunsChanged, None);
        }
    }
}

fn printable(text: &str, most: usize) -> bool {
    text.len() <= most && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}
