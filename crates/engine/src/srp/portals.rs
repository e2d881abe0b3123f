//! Addresses where initiators come in.

use crate::Shard;
use crate::fabric::{DeviceError, Devices, User};
use scsi::srp::target::Server;
use std::net::SocketAddr;
use stdx::env::Env;
use thiserror::Error;
use verbs::{ConnectError, CreateError};

/// Why an address cannot be listened on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SrpListenError {
    /// There is no device at the address.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The device has not what a server needs.
    #[error("the RDMA device: {0}")]
    Server(#[from] CreateError),
    /// The device does not listen there.
    #[error("the RDMA device: {0}")]
    Connections(#[from] ConnectError),
}

impl Shard {
    /// Lets initiators reach all target ports at an address of this machine; says which it is (port 0 becomes a free one).
    pub fn add_srp_listener(
        &mut self,
        env: &mut dyn Env,
        address: SocketAddr,
    ) -> Result<SocketAddr, SrpListenError> {
        if self.srp.listening().any(|open| open == address) {
            return Ok(address);
        }
        let limits = self.limits.srp;
        let place = self.srp.servers.on(env, &mut self.devices, address.ip(), |env, device, place| {
            Server::new(env, device, User::Srp.owner_base(), place.tag(), limits)
                .map_err(SrpListenError::from)
        })?;
        let there = self.srp.servers.get(&mut self.devices, place);
        let (server, device) = there.ok_or(SrpListenError::Connections(ConnectError::NotFound))?;
        // A server that listens nowhere goes with the turn, and its device with it.
        let address = server.listen(device, address)?;
        self.srp.spread(&mut self.devices);
        Ok(address)
    }

    /// Initiators no longer come in at an address; who has stays. False if it was not listened on.
    pub fn remove_srp_listener(&mut self, address: SocketAddr) -> bool {
        let is_open = self.srp.listening().any(|open| open == address);
        self.srp.servers.each(&mut self.devices, |_, server, device| server.unlisten(device, address));
        is_open
    }
}

impl super::Srp {
    /// Tells the servers on all devices of the target ports there are.
    pub(super) fn spread(&mut self, devices: &mut Devices) {
        let registry = &self.registry;
        self.servers.each(devices, |_, server, _| *server.registry_mut() = registry.clone());
    }
}
