//! Datagrams of other management classes than ours: they are for agents, and come and go by the same queue pair.

use super::outgoing::Content;
use super::{Manager, Outgoing};
use crate::engine::Core;
use core::net::IpAddr;
use stdx::env::Owner;
use verbs::{AgentError, AgentId, ManagementDatagram, Role};
use wire::management::Datagram;

impl Manager {
    /// See [`verbs::Management::open_agent`].
    pub(crate) fn open_agent(&mut self, owner: Owner, class: u8, role: Role) -> Result<AgentId, AgentError> {
        if class == wire::cm::CLASS {
            return Err(AgentError::InUse);
        }
        self.agents.open(owner, class, role)
    }

    /// See [`verbs::Management::close_agent`].
    pub(crate) fn close_agent(&mut self, agent: AgentId) {
        self.agents.close(agent);
    }

    /// See [`verbs::Management::send_datagram`].
    pub(crate) fn send_datagram(
        &mut self,
        core: &Core,
        agent: AgentId,
        to: IpAddr,
        datagram: &ManagementDatagram,
    ) -> Result<(), AgentError> {
        let stamped = self.agents.stamp(agent, datagram)?;
        if to.is_ipv4() != core.config.address.is_ipv4() {
            return Err(AgentError::Address);
        }
        self.push(Outgoing { to, content: Content::Datagram(sent(&stamped)) });
        Ok(())
    }

    /// See [`verbs::Management::poll_datagram`].
    pub(crate) fn poll_datagram(&mut self, agent: AgentId) -> Option<(IpAddr, ManagementDatagram)> {
        self.agents.poll(agent)
    }

    /// A datagram of another class came.
    pub(super) fn take_datagram(&mut self, core: &mut Core, from: IpAddr, bytes: &[u8]) {
        let taken = Datagram::decode(bytes).ok().and_then(|came| self.agents.take(from, told(&came)).ok());
        match taken {
            Some(event) => core.registry.events.extend(event),
            None => core.counters.bad_mads += 1,
        }
    }
}

fn sent(datagram: &ManagementDatagram) -> Datagram {
    let ManagementDatagram {
        class,
        class_version,
        method,
        status,
        class_specific,
        transaction,
        attribute,
        modifier,
        data,
    } = *datagram;
    Datagram { class, class_version, method, status, class_specific, transaction, attribute, modifier, data }
}

fn told(datagram: &Datagram) -> ManagementDatagram {
    let Datagram {
        class,
        class_version,
        method,
        status,
        class_specific,
        transaction,
        attribute,
        modifier,
        data,
    } = *datagram;
    ManagementDatagram {
        class,
        class_version,
        method,
        status,
        class_specific,
        transaction,
        attribute,
        modifier,
        data,
    }
}
