//! Subsystems come and go.

use super::super::Target;
use super::super::options::{NAMESPACES_PER_SUBSYSTEM_MAX, SUBSYSTEMS_MAX};
use super::super::subsystem::{Subsystem, SubsystemConfig};
use super::ConfigError;
use wire::nvme::{CONTROLLER_ID_MAX, Nqn};

impl Target {
    /// Makes a subsystem without namespaces and listeners.
    pub fn create_subsystem(&mut self, config: SubsystemConfig) -> Result<(), ConfigError> {
        if self.subsystem_key(&config.nqn).is_ok() {
            return Err(ConfigError::SubsystemExists);
        }
        check(&config)?;
        if self.subsystems.len() > self.subsystems_max {
            return Err(ConfigError::TooMany);
        }
        self.subsystems.insert(Subsystem::new(config, false)).map_err(|_| ConfigError::TooMany)?;
        Ok(())
    }

    /// How many subsystems there may be, beside the discovery subsystem.
    pub fn subsystems_max(&self) -> usize {
        self.subsystems_max
    }

    /// Changes that, within what the table holds. Those there are stay, even if they are more.
    pub fn set_subsystems_max(&mut self, count: usize) -> Result<(), ConfigError> {
        if count >= SUBSYSTEMS_MAX {
            return Err(ConfigError::TooMany);
        }
        self.subsystems_max = count;
        Ok(())
    }

    /// Removes a subsystem. Its controllers' connections end; its namespaces go when their volumes hold no buffer.
    pub fn delete_subsystem(&mut self, nqn: &Nqn) -> Result<(), ConfigError> {
        let key = self.nvm_subsystem_key(nqn)?;
        self.end_controllers(key, |_| true);
        let Some(subsystem) = self.subsystems.remove(key) else { return Ok(()) };
        for (_, namespace) in subsystem.active_ids() {
            self.detach(namespace);
        }
        if !subsystem.listeners.is_empty() {
            self.discovery_changed();
        }
        Ok(())
    }
}

fn check(config: &SubsystemConfig) -> Result<(), ConfigError> {
    let text = |text: &str, len| text.len() <= len && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if !text(&config.serial, 20) || !text(&config.model, 40) {
        return Err(ConfigError::Text);
    }
    let ids = 1..=CONTROLLER_ID_MAX;
    if config.min_cntlid > config.max_cntlid
        || !ids.contains(&config.min_cntlid)
        || !ids.contains(&config.max_cntlid)
    {
        return Err(ConfigError::ControllerIds);
    }
    if !(1..=NAMESPACES_PER_SUBSYSTEM_MAX).contains(&config.max_namespaces) {
        return Err(ConfigError::MaxNamespaces);
    }
    Ok(())
}
