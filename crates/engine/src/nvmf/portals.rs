//! Portals: where hosts come in, over streams and over RDMA.

use super::NamespaceError;
use crate::Shard;
use crate::fabric::DeviceError;
use nvme::target::{ConfigError, Options, Portal, Transport, rdma, tcp};
use std::net::SocketAddr;
use stdx::env::Env;
use thiserror::Error;
use verbs::{ConnectError, CreateError};
use wire::nvme::Nqn;

/// Why a portal cannot be listened on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ListenError {
    /// No stream can come in there.
    #[error(transparent)]
    Streams(#[from] tcp::ListenError),
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
    /// Lets hosts reach a subsystem through a portal; says which it is (port 0 becomes a free one). Over RDMA, the address is one
    /// of this machine's.
    pub fn add_listener(
        &mut self,
        env: &mut dyn Env,
        subsystem: &Nqn,
        portal: Portal,
    ) -> Result<Portal, NamespaceError> {
        let address = if self.listening(portal.transport).any(|open| open == portal.address) {
            portal.address
        } else {
            let listened = self.listen(env, &portal);
            listened.map_err(|why| NamespaceError::Listen { address: portal.address, why })?
        };
        let portal = Portal { address, ..portal };
        let added = self.target.add_listener(subsystem, portal);
        self.close_unused_listeners(env);
        Ok(added.map(|()| portal)?)
    }

    /// Hosts no longer reach a subsystem through a portal.
    pub fn remove_listener(
        &mut self,
        env: &mut dyn Env,
        subsystem: &Nqn,
        portal: Portal,
    ) -> Result<(), NamespaceError> {
        self.target.remove_listener(subsystem, &portal)?;
        self.close_unused_listeners(env);
        Ok(())
    }

    /// The addresses that hosts come in at by a transport.
    pub fn listening(&self, transport: Transport) -> impl Iterator<Item = SocketAddr> {
        let streams = (transport == Transport::Tcp).then(|| self.server.listening());
        let devices = (transport == Transport::Rdma).then_some(&self.nvmf_rdma);
        let devices = devices.into_iter().flat_map(|servers| servers.iter());
        streams.into_iter().flatten().chain(devices.flat_map(|(_, server)| server.listening()))
    }

    /// Changes what holds for every queue, whichever way it comes in.
    pub fn set_target_options(&mut self, options: Options) -> Result<(), ConfigError> {
        // Capsules come into memory that was measured when the server was made.
        let is_longer = options.in_capsule_data_size != self.target.options().in_capsule_data_size;
        if is_longer && self.nvmf_rdma.iter().next().is_some() {
            return Err(ConfigError::Connected);
        }
        self.target.set_options(options)
    }

    fn listen(&mut self, env: &mut dyn Env, portal: &Portal) -> Result<SocketAddr, ListenError> {
        match portal.transport {
            Transport::Tcp => Ok(self.server.listen(env, portal.address)?),
            Transport::Rdma => self.listen_rdma(env, portal.address),
        }
    }

    fn listen_rdma(&mut self, env: &mut dyn Env, address: SocketAddr) -> Result<SocketAddr, ListenError> {
        let (target, limits) = (&self.target, self.limits.rdma);
        let place = self.nvmf_rdma.on(env, &mut self.devices, address.ip(), |env, device, place| {
            let base = crate::fabric::User::Nvmf.owner_base();
            rdma::Server::new(env, device, base, place.tag(), target, limits).map_err(ListenError::from)
        })?;
        let there = self.nvmf_rdma.get(&mut self.devices, place);
        let (server, device) = there.ok_or(ListenError::Connections(ConnectError::NotFound))?;
        // A server that listens nowhere goes with the turn, and its device with it.
        Ok(server.listen(device, address)?)
    }

    pub(super) fn close_unused_listeners(&mut self, env: &mut dyn Env) {
        let listeners = self.target.subsystems().flat_map(|subsystem| subsystem.listeners);
        let wanted: Vec<Portal> = listeners.map(|listener| listener.portal).collect();
        let is_unused = |portal: &Portal| !wanted.contains(portal);
        let unused = |transport: Transport| {
            let open = self.listening(transport).map(|address| Portal { transport, address });
            open.filter(is_unused).collect::<Vec<_>>()
        };
        for portal in [unused(Transport::Tcp), unused(Transport::Rdma)].concat() {
            match portal.transport {
                Transport::Tcp => self.server.unlisten(env, portal.address),
                Transport::Rdma => {
                    let unlisten = |server: &mut rdma::Server, device: &mut dyn verbs::Device| {
                        server.unlisten(device, portal.address);
                    };
                    self.nvmf_rdma.each(&mut self.devices, |_, server, device| unlisten(server, device));
                }
            }
        }
    }
}
