//! Portal groups: their listeners.

use super::IscsiError;
use crate::Shard;
use crate::nvmf::ListenError;
use scsi::iscsi::target::{PortalGroup, RegistryError};
use std::net::SocketAddr;
use stdx::env::Env;

impl Shard {
    /// Makes a portal group, and listens on its addresses unless that is to wait. Port 0 becomes a free one.
    pub fn add_portal_group(
        &mut self,
        env: &mut dyn Env,
        group: PortalGroup,
        start: bool,
    ) -> Result<(), IscsiError> {
        let tag = group.tag;
        self.iscsi.server.registry_mut().add_portal_group(group)?;
        if start && let Err(why) = self.start_portal_group(env, tag) {
            // It was added a moment ago, and no node can use it yet.
            let _ = self.iscsi.server.registry_mut().remove_portal_group(tag);
            return Err(why);
        }
        Ok(())
    }

    /// Listens on the addresses of a portal group, if it does not yet: on all of them, or on none.
    pub fn start_portal_group(&mut self, env: &mut dyn Env, tag: u16) -> Result<(), IscsiError> {
        if self.iscsi.started.contains(&tag) {
            return Ok(());
        }
        let group = self.iscsi.server.registry_mut().portal_group_mut(tag).ok_or(RegistryError::Unknown)?;
        let wanted = (group.portals.clone(), group.rdma.clone());
        let mut open = (Vec::new(), Vec::new());
        for address in wanted.0 {
            let by_rdma = wanted.1.contains(&address);
            if let Err(why) = self.listen_portal(env, address, by_rdma, &mut open) {
                self.unlisten_portals(env, open);
                return Err(IscsiError::Listen { address, why });
            }
        }
        if let Some(group) = self.iscsi.server.registry_mut().portal_group_mut(tag) {
            (group.portals, group.rdma) = open;
        }
        self.iscsi.started.insert(tag);
        Ok(())
    }

    /// Takes a portal group away that no node uses, and closes its listeners.
    pub fn remove_portal_group(&mut self, env: &mut dyn Env, tag: u16) -> Result<(), IscsiError> {
        let group = self.iscsi.server.registry_mut().remove_portal_group(tag)?;
        if self.iscsi.started.remove(&tag) {
            self.unlisten_portals(env, (group.portals, group.rdma));
        }
        Ok(())
    }

    /// Listens for streams, and by RDMA if that is wanted, at the same port.
    fn listen_portal(
        &mut self,
        env: &mut dyn Env,
        address: SocketAddr,
        by_rdma: bool,
        open: &mut (Vec<SocketAddr>, Vec<SocketAddr>),
    ) -> Result<(), ListenError> {
        let address = self.iscsi.server.listen(env, address)?;
        open.0.push(address);
        if by_rdma {
            open.1.push(self.listen_iser(env, address)?);
        }
        Ok(())
    }

    fn unlisten_portals(&mut self, env: &mut dyn Env, (streams, rdma): (Vec<SocketAddr>, Vec<SocketAddr>)) {
        streams.into_iter().for_each(|address| self.iscsi.server.unlisten(env, address));
        rdma.into_iter().for_each(|address| self.unlisten_iser(address));
    }
}
