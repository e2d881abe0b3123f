//! Namespaces come, go and change, and hosts are told.

use super::super::Target;
use super::super::namespace::{Namespace, NamespaceConfig};
use super::super::nvm::reservation::ReservationState;
use super::super::subsystem::Subsystem;
use super::ConfigError;
use block::{BlockDevice, Channel};
use std::rc::Rc;
use stdx::slab::Key;
use wire::nvme::Nqn;
use wire::nvme::aer::AsyncEvent;

impl Target {
    /// Adds a volume to a subsystem: its identifier. The channel is the target's alone; the device is asked what the
    /// volume is.
    pub fn add_namespace(
        &mut self,
        nqn: &Nqn,
        config: NamespaceConfig,
        device: Rc<dyn BlockDevice>,
        channel: Box<dyn Channel>,
    ) -> Result<u32, ConfigError> {
        let key = self.nvm_subsystem_key(nqn)?;
        let subsystem = self.subsystems.get(key).ok_or(ConfigError::UnknownSubsystem)?;
        let id = free_id(subsystem, config.nsid)?;
        if config.anagrpid.is_some_and(|group| !(1..=subsystem.ana_groups()).contains(&group)) {
            return Err(ConfigError::AnaGroup);
        }
        let others = subsystem.active_ids().filter_map(|(_, key)| self.namespaces.get(key));
        if others.into_iter().any(|other| same_identifier(&other.config, &config)) {
            return Err(ConfigError::IdentifierTaken);
        }
        let namespace = Namespace::new(id, key, config, device, channel);
        let namespace = self.namespaces.insert(namespace).map_err(|_| ConfigError::TooMany)?;
        if let Some(subsystem) = self.subsystems.get_mut(key) {
            subsystem.namespaces[id as usize - 1] = Some(namespace);
        }
        self.namespace_event(key, id);
        Ok(id)
    }

    /// Removes a volume. What it has under way is completed first; later commands find no namespace.
    pub fn remove_namespace(&mut self, nqn: &Nqn, id: u32) -> Result<(), ConfigError> {
        let key = self.nvm_subsystem_key(nqn)?;
        let subsystem = self.subsystems.get_mut(key).ok_or(ConfigError::UnknownSubsystem)?;
        let namespace = subsystem.namespace(id).ok_or(ConfigError::UnknownNamespace)?;
        subsystem.namespaces[id as usize - 1] = None;
        self.detach(namespace);
        self.namespace_event(key, id);
        Ok(())
    }

    /// The volume is not what it was: longer, read-only, back again. Hosts are told if they can see it.
    pub fn namespace_changed(&mut self, nqn: &Nqn, id: u32) -> Result<(), ConfigError> {
        let key = self.nvm_subsystem_key(nqn)?;
        let namespace = self.namespace_key(nqn, id)?;
        let namespace = self.namespaces.get_mut(namespace).ok_or(ConfigError::UnknownNamespace)?;
        let new = namespace.device.info();
        let old = core::mem::replace(&mut namespace.info, new);
        if (old.blocks, old.block_size, old.read_only) != (new.blocks, new.block_size, new.read_only) {
            self.namespace_event(key, id);
        }
        Ok(())
    }

    /// The reservations of a namespace, to keep them where they outlive this process.
    pub fn reservation_state(&self, nqn: &Nqn, id: u32) -> Result<&ReservationState, ConfigError> {
        let namespace = self.namespace_key(nqn, id)?;
        let namespace = self.namespaces.get(namespace).ok_or(ConfigError::UnknownNamespace)?;
        Ok(namespace.reservations.state())
    }

    /// Gives a namespace the reservations it had before. To be called before hosts can connect.
    pub fn restore_reservations(
        &mut self,
        nqn: &Nqn,
        id: u32,
        state: ReservationState,
    ) -> Result<(), ConfigError> {
        let namespace = self.namespace_key(nqn, id)?;
        let namespace = self.namespaces.get_mut(namespace).ok_or(ConfigError::UnknownNamespace)?;
        namespace.reservations.restore(state);
        Ok(())
    }

    /// Lets a namespace go as soon as its volume holds no buffer.
    pub(super) fn detach(&mut self, key: Key) {
        let Some(namespace) = self.namespaces.get_mut(key) else { return };
        namespace.removed = true;
        if namespace.channel.is_idle() && !namespace.busy {
            self.namespaces.remove(key);
        }
        self.abandon_changes(key);
    }

    pub(in super::super) fn namespace_key(&self, nqn: &Nqn, id: u32) -> Result<Key, ConfigError> {
        let key = self.nvm_subsystem_key(nqn)?;
        let subsystem = self.subsystems.get(key).ok_or(ConfigError::UnknownSubsystem)?;
        subsystem.namespace(id).ok_or(ConfigError::UnknownNamespace)
    }

    /// Puts a namespace on every controller's changed list, and tells hosts.
    fn namespace_event(&mut self, subsystem: Key, id: u32) {
        for (_, controller) in self.controllers.iter_mut() {
            if controller.subsystem == subsystem {
                controller.changed.note(id);
            }
        }
        self.raise_all(subsystem, AsyncEvent::NamespaceAttributeChanged);
        let ana = self.subsystems.get(subsystem).is_some_and(|subsystem| subsystem.config.ana_reporting);
        if ana {
            self.raise_all(subsystem, AsyncEvent::AnaChange);
        }
    }
}

/// The identifier asked for if it is free, or the lowest that is.
fn free_id(subsystem: &Subsystem, wanted: Option<u32>) -> Result<u32, ConfigError> {
    match wanted {
        Some(id) if id == 0 || id > subsystem.config.max_namespaces => Err(ConfigError::NamespaceId),
        Some(id) if subsystem.namespace(id).is_some() => Err(ConfigError::NamespaceTaken),
        Some(id) => Ok(id),
        None => {
            let place = subsystem.namespaces.iter().position(Option::is_none);
            place.map(|place| place as u32 + 1).ok_or(ConfigError::NamespaceTaken)
        }
    }
}

fn same_identifier(a: &NamespaceConfig, b: &NamespaceConfig) -> bool {
    a.uuid != [0; 16] && a.uuid == b.uuid
        || a.nguid.is_some() && a.nguid == b.nguid
        || a.eui64.is_some() && a.eui64 == b.eui64
}
