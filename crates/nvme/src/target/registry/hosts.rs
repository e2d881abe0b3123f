//! Which hosts a subsystem lets in.

use super::super::Target;
use super::ConfigError;
use stdx::slab::Key;
use wire::nvme::Nqn;

impl Target {
    /// Puts a host on a subsystem's access list.
    pub fn add_host(&mut self, nqn: &Nqn, host: Nqn) -> Result<(), ConfigError> {
        let key = self.subsystem_key(nqn)?;
        let subsystem = self.subsystems.get_mut(key).ok_or(ConfigError::UnknownSubsystem)?;
        if subsystem.hosts_full() {
            return Err(ConfigError::TooMany);
        }
        if !subsystem.hosts.insert(host) {
            return Err(ConfigError::HostExists);
        }
        self.discovery_changed();
        Ok(())
    }

    /// Takes a host off the list; unless every host may connect, its controllers end.
    pub fn remove_host(&mut self, nqn: &Nqn, host: &Nqn) -> Result<(), ConfigError> {
        let key = self.subsystem_key(nqn)?;
        let subsystem = self.subsystems.get_mut(key).ok_or(ConfigError::UnknownSubsystem)?;
        if !subsystem.hosts.remove(host) {
            return Err(ConfigError::UnknownHost);
        }
        self.access_narrowed(key);
        Ok(())
    }

    /// Lets every host in, or only those of the list; then the controllers of others end.
    pub fn allow_any_host(&mut self, nqn: &Nqn, allow: bool) -> Result<(), ConfigError> {
        let key = self.subsystem_key(nqn)?;
        let subsystem = self.subsystems.get_mut(key).ok_or(ConfigError::UnknownSubsystem)?;
        subsystem.config.allow_any_host = allow;
        self.access_narrowed(key);
        Ok(())
    }

    /// Ends the controllers of hosts that may not connect any more.
    fn access_narrowed(&mut self, key: Key) {
        let Some(subsystem) = self.subsystems.get(key) else { return };
        let barred = subsystem.controllers.iter().copied().filter(|&controller| {
            self.controllers.get(controller).is_some_and(|one| !subsystem.allows(&one.host))
        });
        let barred: Vec<Key> = barred.collect();
        for controller in barred {
            self.end_controller(controller);
        }
        self.discovery_changed();
    }
}
