//! iSER: what carries the connections of the iSCSI target over RDMA.
//!
//! There is one [`Transport`] on each device that is listened on, and one server of iSCSI above them and its own streams.

use super::Iscsi;
use crate::Shard;
use crate::fabric::{Devices, End, Told, User};
use crate::nvmf::ListenError;
use scsi::iscsi::target::iser::Transport;
use std::net::SocketAddr;
use stdx::env::Env;
use stdx::time::Time;
use verbs::{ConnectError, Device};

impl Iscsi {
    /// The addresses that initiators come in at by RDMA.
    pub fn listening_rdma(&self) -> impl Iterator<Item = SocketAddr> {
        self.iser.iter().flat_map(|(_, transport)| transport.listening())
    }

    pub(crate) fn poll(&mut self, env: &mut dyn Env, devices: &mut Devices) {
        let Self { server, iser, target, .. } = self;
        server.poll(env, target);
        iser.each(devices, |_, transport, device| transport.poll(env, device, server, target));
        iser.sweep(env, devices);
    }

    /// No new connections; what was asked is answered, then connections end.
    pub(crate) fn drain(&mut self, env: &mut dyn Env, devices: &mut Devices) {
        self.iser.each(devices, |_, transport, device| transport.close_listeners(device));
        self.server.drain(env, &mut self.target);
    }

    /// All connections end now.
    pub(crate) fn close(&mut self, env: &mut dyn Env) {
        self.server.close(env, &mut self.target);
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.server.is_drained() && self.iser.is_drained()
    }
}

impl Shard {
    /// Lets initiators come in by RDMA at an address of this machine's.
    pub(super) fn listen_iser(
        &mut self,
        env: &mut dyn Env,
        address: SocketAddr,
    ) -> Result<SocketAddr, ListenError> {
        let limits = self.limits.iser;
        let place = self.iscsi.iser.on(env, &mut self.devices, address.ip(), |env, device, place| {
            let base = User::Iscsi.owner_base();
            Transport::new(env, device, base, place.tag(), limits).map_err(ListenError::from)
        })?;
        let there = self.iscsi.iser.get(&mut self.devices, place);
        let (transport, device) = there.ok_or(ListenError::Connections(ConnectError::NotFound))?;
        // A transport that listens nowhere goes with the turn, and its device with it.
        Ok(transport.listen(device, address)?)
    }

    pub(super) fn unlisten_iser(&mut self, address: SocketAddr) {
        self.iscsi.iser.each(&mut self.devices, |_, transport, device| transport.unlisten(device, address));
    }
}

impl End for Transport {
    fn handle(&mut self, env: &mut dyn Env, device: &mut dyn Device, told: &Told) {
        match told {
            Told::Event(event) => self.handle_event(device, event),
            Told::Connection(event) => self.handle_connection(env, device, event),
        }
    }

    /// Its connections are the server's, which has the deadlines.
    fn deadline(&self) -> Option<Time> {
        None
    }

    fn is_drained(&self) -> bool {
        Self::is_drained(self)
    }

    fn is_idle(&self) -> bool {
        Self::is_idle(self)
    }

    fn check(&self) -> usize {
        Self::check(self)
    }

    fn free(self, env: &mut dyn Env, device: &mut dyn Device) {
        Self::free(self, env, device);
    }
}
