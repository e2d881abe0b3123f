//! The device as a maker of connections.

use super::SoftDevice;
use core::net::SocketAddr;
use stdx::env::{Env, Owner};
use verbs::{
    Accept, Connect, ConnectError, ConnectionEvent, ConnectionId, Connections, ListenerId, PortSpace,
};

impl Connections for SoftDevice {
    fn listen(
        &mut self,
        owner: Owner,
        space: PortSpace,
        address: SocketAddr,
    ) -> Result<ListenerId, ConnectError> {
        self.manager.listen(&self.core, owner, space, address)
    }

    fn listener_address(&self, listener: ListenerId) -> Option<SocketAddr> {
        self.manager.listener_address(listener)
    }

    fn close_listener(&mut self, listener: ListenerId) {
        self.manager.close_listener(listener);
    }

    fn connect(
        &mut self,
        _env: &mut dyn Env,
        owner: Owner,
        connect: &Connect<'_>,
    ) -> Result<ConnectionId, ConnectError> {
        self.manager.connect(&mut self.core, owner, connect)
    }

    fn accept(
        &mut self,
        env: &mut dyn Env,
        owner: Owner,
        connection: ConnectionId,
        accept: &Accept<'_>,
    ) -> Result<(), ConnectError> {
        self.manager.accept(&mut self.core, env.now(), owner, connection, accept)
    }

    fn reject(&mut self, connection: ConnectionId, private_data: &[u8]) -> Result<(), ConnectError> {
        self.manager.reject(connection, private_data)
    }

    fn disconnect(&mut self, connection: ConnectionId) -> Result<(), ConnectError> {
        self.manager.disconnect(&mut self.core, connection)
    }

    fn release(&mut self, connection: ConnectionId) {
        self.manager.release(&mut self.core, connection);
    }

    fn poll_connection(&mut self) -> Option<ConnectionEvent> {
        self.manager.poll_event()
    }
}
