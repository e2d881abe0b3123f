//! Where a subsystem is reached, and how well (asymmetric namespace access).

use super::super::Target;
use super::super::options::LISTENERS_MAX;
use super::super::portal::{AnaState, Listener, Portal};
use super::ConfigError;
use stdx::slab::Key;
use wire::nvme::Nqn;
use wire::nvme::aer::AsyncEvent;

impl Target {
    /// Makes a subsystem reachable through a portal. Whether anybody listens there is its owner's care.
    pub fn add_listener(&mut self, nqn: &Nqn, portal: Portal) -> Result<(), ConfigError> {
        let key = self.subsystem_key(nqn)?;
        let subsystem = self.subsystems.get_mut(key).ok_or(ConfigError::UnknownSubsystem)?;
        if subsystem.listens_on(&portal) {
            return Err(ConfigError::ListenerExists);
        }
        if subsystem.listeners.len() >= LISTENERS_MAX {
            return Err(ConfigError::TooMany);
        }
        let groups = subsystem.ana_groups() as usize;
        subsystem.listeners.push(Listener::new(portal, groups));
        self.discovery_changed();
        Ok(())
    }

    /// Ends that; controllers that came that way end.
    pub fn remove_listener(&mut self, nqn: &Nqn, portal: &Portal) -> Result<(), ConfigError> {
        let key = self.subsystem_key(nqn)?;
        let subsystem = self.subsystems.get_mut(key).ok_or(ConfigError::UnknownSubsystem)?;
        let place = subsystem.listeners.iter().position(|listener| listener.portal == *portal);
        subsystem.listeners.remove(place.ok_or(ConfigError::UnknownListener)?);
        self.end_controllers(key, |controller| controller.arrival.portal == *portal);
        self.discovery_changed();
        Ok(())
    }

    /// Changes how well a group of namespaces is reached through a portal, or all groups. Hosts are told.
    pub fn listener_set_ana_state(
        &mut self,
        nqn: &Nqn,
        portal: &Portal,
        state: AnaState,
        group: Option<u32>,
    ) -> Result<(), ConfigError> {
        let key = self.nvm_subsystem_key(nqn)?;
        let subsystem = self.subsystems.get_mut(key).ok_or(ConfigError::UnknownSubsystem)?;
        if !subsystem.config.ana_reporting {
            return Err(ConfigError::NoAna);
        }
        let groups = subsystem.ana_groups();
        if group.is_some_and(|group| !(1..=groups).contains(&group)) {
            return Err(ConfigError::AnaGroup);
        }
        let listener = subsystem.listeners.iter_mut().find(|listener| listener.portal == *portal);
        let listener = listener.ok_or(ConfigError::UnknownListener)?;
        match group {
            Some(group) => listener.states[group as usize - 1] = state,
            None => listener.states.fill(state),
        }
        subsystem.ana_changes += 1;
        let affected: Vec<Key> = subsystem.controllers.clone();
        for controller in affected {
            self.refresh_ana(controller);
            let here = |one: &super::super::Controller| one.arrival.portal == *portal;
            if self.controllers.get(controller).is_some_and(here) {
                self.raise(controller, AsyncEvent::AnaChange);
            }
        }
        Ok(())
    }
}
