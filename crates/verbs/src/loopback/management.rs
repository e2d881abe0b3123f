//! Agents of one provider reach each other at once.

use super::Loopback;
use crate::{AgentError, AgentId, Management, ManagementDatagram, Role};
use core::net::IpAddr;
use stdx::env::Owner;

impl Management for Loopback {
    fn open_agent(&mut self, owner: Owner, class: u8, role: Role) -> Result<AgentId, AgentError> {
        self.agents.open(owner, class, role)
    }

    fn close_agent(&mut self, agent: AgentId) {
        self.agents.close(agent);
    }

    fn send_datagram(
        &mut self,
        agent: AgentId,
        to: IpAddr,
        datagram: &ManagementDatagram,
    ) -> Result<(), AgentError> {
        let stamped = self.agents.stamp(agent, datagram)?;
        // Datagrams for nobody are lost.
        if to == self.address
            && let Ok(event) = self.agents.take(self.address, stamped)
        {
            self.registry.events.extend(event);
            self.is_stirred = true;
        }
        Ok(())
    }

    fn poll_datagram(&mut self, agent: AgentId) -> Option<(IpAddr, ManagementDatagram)> {
        self.agents.poll(agent)
    }
}
