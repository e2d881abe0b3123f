//! The device's general services besides the making of connections.

use super::SoftDevice;
use core::net::IpAddr;
use stdx::env::Owner;
use verbs::{AgentError, AgentId, Management, ManagementDatagram, Role};

impl Management for SoftDevice {
    fn open_agent(&mut self, owner: Owner, class: u8, role: Role) -> Result<AgentId, AgentError> {
        self.manager.open_agent(owner, class, role)
    }

    fn close_agent(&mut self, agent: AgentId) {
        self.manager.close_agent(agent);
    }

    fn send_datagram(
        &mut self,
        agent: AgentId,
        to: IpAddr,
        datagram: &ManagementDatagram,
    ) -> Result<(), AgentError> {
        self.manager.send_datagram(&self.core, agent, to, datagram)
    }

    fn poll_datagram(&mut self, agent: AgentId) -> Option<(IpAddr, ManagementDatagram)> {
        self.manager.poll_datagram(agent)
    }
}
