//! Target port groups: asymmetric access to logical units (SPC-4, section 5.15). A group has one state for all logical
//! units of its device.

use super::device::{Device, DeviceKey};
use super::nexus::Nexus;
use super::registry::ConfigError;
use super::{Attention, Target};
use std::collections::BTreeSet;
use stdx::slab::Key;
use wire::scsi::Sense;
use wire::scsi::report::{AccessState, StatusCode};

impl Device {
    /// The groups its ports are in, ascending.
    pub(super) fn group_numbers(&self) -> BTreeSet<u16> {
        self.ports.values().map(|port| port.group).collect()
    }

    /// The ports of a group.
    pub(super) fn ports_of(&self, group: u16) -> impl Iterator<Item = u16> {
        self.ports.values().filter(move |port| port.group == group).map(|port| port.relative_id)
    }

    /// The state of a group, and what brought it about.
    pub(super) fn group(&self, group: u16) -> (AccessState, StatusCode) {
        self.groups.get(&group).copied().unwrap_or((AccessState::ActiveOptimized, StatusCode::None))
    }

    /// Why commands that need the medium do not get through this port now, if so.
    pub(super) fn refusal(&self, port: u16) -> Option<Sense> {
        // Where no state was ever changed, that is all there is to look at.
        if self.groups.is_empty() {
            return None;
        }
        match self.group(self.ports.get(&port)?.group).0 {
            AccessState::ActiveOptimized | AccessState::ActiveNonOptimized => None,
            AccessState::Standby => Some(Sense::TARGET_PORT_IN_STANDBY),
            AccessState::Unavailable => Some(Sense::TARGET_PORT_UNAVAILABLE),
            AccessState::Transitioning => Some(Sense::ASYMMETRIC_ACCESS_TRANSITION),
        }
    }
}

impl Target {
    /// Brings a target port group into a state. Initiators are told.
    pub fn set_group_state(
        &mut self,
        device: DeviceKey,
        group: u16,
        state: AccessState,
    ) -> Result<(), ConfigError> {
        let known = self.devices.get(device.0).ok_or(ConfigError::UnknownDevice)?.group_numbers();
        if !known.contains(&group) {
            return Err(ConfigError::UnknownPort);
        }
        self.change_group(device.0, group, state, StatusCode::Implicit, None);
        Ok(())
    }

    /// The state of a target port group.
    pub fn group_state(&self, device: DeviceKey, group: u16) -> Result<AccessState, ConfigError> {
        let device = self.devices.get(device.0).ok_or(ConfigError::UnknownDevice)?;
        let known = device.group_numbers().contains(&group);
        if known { Ok(device.group(group).0) } else { Err(ConfigError::UnknownPort) }
    }

    /// The nexus that asked for it need not be told.
    pub(super) fn change_group(
        &mut self,
        device: Key,
        group: u16,
        state: AccessState,
        status: StatusCode,
        by: Option<Key>,
    ) {
        let Some(entry) = self.devices.get_mut(device) else { return };
        let (old, _) = entry.group(group);
        entry.groups.insert(group, (state, status));
        if old == state {
            return;
        }
        let units: Vec<Key> = entry.units.values().copied().collect();
        for unit in units {
            self.attend(unit, Attention::AsymmetricAccessChanged, by);
        }
    }

    /// Why a nexus's commands that need the medium do not get through now, if so.
    pub(super) fn port_refusal(&self, nexus: &Nexus) -> Option<Sense> {
        self.devices.get(nexus.device)?.refusal(nexus.port)
    }
}
