//! Portal groups: their listeners.

use super::{Iscsi, IscsiError};
use scsi::iscsi::target::{PortalGroup, RegistryError};
use std::net::SocketAddr;
use stdx::env::Env;

impl Iscsi {
    /// Makes a portal group, and listens on its addresses unless that is to wait. Port 0 becomes a free one.
    pub fn add_portal_group(
        &mut self,
        env: &mut dyn Env,
        group: PortalGroup,
        start: bool,
    ) -> Result<(), IscsiError> {
        let tag = group.tag;
        self.server.registry_mut().add_portal_group(group)?;
        if start && let Err(why) = self.start_portal_group(env, tag) {
            // It was added a moment ago, and no node can use it yet.
            let _ = self.server.registry_mut().remove_portal_group(tag);
            return Err(why);
        }
        Ok(())
    }

    /// Listens on the addresses of a portal group, if it does not yet: on all of them, or on none.
    pub fn start_portal_group(&mut self, env: &mut dyn Env, tag: u16) -> Result<(), IscsiError> {
        if self.started.contains(&tag) {
            return Ok(());
        }
        let group = self.server.registry_mut().portal_group_mut(tag).ok_or(RegistryError::Unknown)?;
        let mut open: Vec<SocketAddr> = Vec::new();
        for address in group.portals.clone() {
            match self.server.listen(env, address) {
                Ok(address) => open.push(address),
                Err(why) => {
                    open.into_iter().for_each(|address| self.server.unlisten(env, address));
                    return Err(IscsiError::Listen { address, why });
                }
            }
        }
        if let Some(group) = self.server.registry_mut().portal_group_mut(tag) {
            group.portals = open;
        }
        self.started.insert(tag);
        Ok(())
    }

    /// Takes a portal group away that no node uses, and closes its listeners.
    pub fn remove_portal_group(&mut self, env: &mut dyn Env, tag: u16) -> Result<(), IscsiError> {
        let group = self.server.registry_mut().remove_portal_group(tag)?;
        if self.started.remove(&tag) {
            group.portals.into_iter().for_each(|address| self.server.unlisten(env, address));
        }
        Ok(())
    }
}
