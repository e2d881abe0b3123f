//! The addresses that an endpoint listens on: several users share one, and each is closed with its last.

use super::Endpoint;
use crate::{ConnectError, Device, ListenerId, PortSpace};
use core::net::SocketAddr;
use stdx::env::Owner;

/// An address that is listened on.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) listener: ListenerId,
    space: PortSpace,
    /// As asked for, with the port the device chose if it was to choose.
    pub(super) address: SocketAddr,
    /// How many times it was asked for.
    users: usize,
}

impl Endpoint {
    /// Listens on an address; says which it is, with the port the device chose for port 0. Asked again for the same
    /// address, it counts one user more.
    ///
    /// # Errors
    /// When someone else listens there, the address is none of the device's, or there are as many as there may be.
    pub fn listen(
        &mut self,
        device: &mut dyn Device,
        space: PortSpace,
        address: SocketAddr,
    ) -> Result<SocketAddr, ConnectError> {
        if let Some(known) = self.listeners.iter_mut().find(|known| known.is(space, address)) {
            known.users += 1;
            return Ok(address);
        }
        if self.listeners.len() >= LISTENERS_MAX {
            return Err(ConnectError::Limit);
        }
        let listener = device.listen(Owner(self.owner_base), space, address)?;
        let address = device.listener_address(listener).unwrap_or(address);
        self.listeners.push(Listening { listener, space, address, users: 1 });
        Ok(address)
    }

    /// One user less for an address. With the last, the listener is closed; connections that came in live on.
    pub fn unlisten(&mut self, device: &mut dyn Device, space: PortSpace, address: SocketAddr) {
        let found = self.listeners.iter().position(|known| known.is(space, address));
        let Some(place) = found else { return };
        self.listeners[place].users -= 1;
        if self.listeners[place].users == 0 {
            device.close_listener(self.listeners.remove(place).listener);
        }
    }

    /// The addresses whose ports are listened on.
    pub fn listening(&self) -> impl Iterator<Item = SocketAddr> {
        self.listeners.iter().filter(|known| known.space.has_ports()).map(|known| known.address)
    }

    /// Closes all.
    pub fn close_listeners(&mut self, device: &mut dyn Device) {
        for known in self.listeners.drain(..) {
            device.close_listener(known.listener);
        }
    }
}

impl Listening {
    fn is(&self, space: PortSpace, address: SocketAddr) -> bool {
        let port = space.port_of(address);
        self.space == space && self.address == SocketAddr::new(address.ip(), port)
    }
}

/// Addresses of one endpoint.
const LISTENERS_MAX: usize = 64;
