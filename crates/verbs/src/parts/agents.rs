//! Agents for management classes: whom a datagram is for, and what waits for each.
//!
//! Invariants: a class has one agent that answers; what waits for an agent is bounded, and more is dropped, as it may be on its
//! way; an agent is told once until it has taken all.

use crate::{AgentError, AgentId, Event, ManagementDatagram, Role, What};
use core::net::IpAddr;
use std::collections::VecDeque;
use stdx::env::Owner;
use stdx::slab::Slab;

/// The agents of a provider.
#[derive(Debug)]
pub struct Agents {
    agents: Slab<Agent>,
}

#[derive(Debug)]
struct Agent {
    owner: Owner,
    class: u8,
    role: Role,
    waiting: VecDeque<(IpAddr, ManagementDatagram)>,
}

impl Agents {
    /// None.
    pub const fn new() -> Self {
        Self { agents: Slab::new(AGENTS_MAX) }
    }

    /// See [`Management::open_agent`](crate::Management::open_agent).
    pub fn open(&mut self, owner: Owner, class: u8, role: Role) -> Result<AgentId, AgentError> {
        if role == Role::Answers && self.answering(class).is_some() {
            return Err(AgentError::InUse);
        }
        let agent = Agent { owner, class, role, waiting: VecDeque::new() };
        self.agents.insert(agent).map(AgentId).map_err(|_| AgentError::Limit)
    }

    /// See [`Management::close_agent`](crate::Management::close_agent).
    pub fn close(&mut self, agent: AgentId) {
        self.agents.remove(agent.0);
    }

    /// What an agent's datagram is to be sent as.
    ///
    /// # Errors
    /// There is no such agent.
    pub fn stamp(
        &self,
        agent: AgentId,
        datagram: &ManagementDatagram,
    ) -> Result<ManagementDatagram, AgentError> {
        self.agents.get(agent.0).ok_or(AgentError::NotFound)?;
        let low = datagram.transaction & u64::from(u32::MAX);
        let transaction = if datagram.is_answer() { datagram.transaction } else { low | stamp(agent) };
        Ok(ManagementDatagram { transaction, ..*datagram })
    }

    /// A datagram came: it waits for its agent, whom the event is to be told. `Err` if it is for nobody, or for one that has
    /// too many.
    pub fn take(
        &mut self,
        from: IpAddr,
        mut datagram: ManagementDatagram,
    ) -> Result<Option<Event>, NotTaken> {
        let id = if datagram.is_answer() { self.asking(&datagram) } else { self.answering(datagram.class) };
        let (id, agent) =
            id.and_then(|id| self.agents.get_mut(id.0).map(|agent| (id, agent))).ok_or(NotTaken)?;
        if agent.waiting.len() >= WAITING_MAX {
            return Err(NotTaken);
        }
        if agent.role == Role::Asks {
            datagram.transaction &= u64::from(u32::MAX);
        }
        agent.waiting.push_back((from, datagram));
        let is_first = agent.waiting.len() == 1;
        Ok(is_first.then_some(Event { owner: agent.owner, what: What::Datagrams(id) }))
    }

    /// See [`Management::poll_datagram`](crate::Management::poll_datagram).
    pub fn poll(&mut self, agent: AgentId) -> Option<(IpAddr, ManagementDatagram)> {
        self.agents.get_mut(agent.0)?.waiting.pop_front()
    }

    fn answering(&self, class: u8) -> Option<AgentId> {
        let mut agents = self.agents.iter();
        let found = agents.find(|(_, agent)| agent.class == class && agent.role == Role::Answers);
        found.map(|(key, _)| AgentId(key))
    }

    fn asking(&self, answer: &ManagementDatagram) -> Option<AgentId> {
        let mut agents = self.agents.iter();
        let is_its = |id: AgentId| stamp(id) == answer.transaction & !u64::from(u32::MAX);
        let found = agents.find(|(key, agent)| {
            agent.class == answer.class && agent.role == Role::Asks && is_its(AgentId(*key))
        });
        found.map(|(key, _)| AgentId(key))
    }
}

impl Default for Agents {
    fn default() -> Self {
        Self::new()
    }
}

/// Nobody takes the datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotTaken;

/// The upper half of a transaction: the agent's place, and which of those who had it it is.
const fn stamp(agent: AgentId) -> u64 {
    let key = agent.0.as_u64();
    let (generation, place) = (key >> 32, agent.0.index() as u64);
    (generation << 8 | place & 0xff) << 32
}

/// Agents of one provider.
const AGENTS_MAX: usize = 256;
/// Datagrams that wait for one agent.
const WAITING_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    const FROM: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const ASKED: ManagementDatagram = ManagementDatagram {
        class: 6,
        class_version: 1,
        method: 1,
        status: 0,
        class_specific: 0,
        transaction: 0x0102_0304_0506_0708,
        attribute: 1,
        modifier: 0,
        data: [0; 232],
    };

    #[test]
    fn answers_find_who_asked() {
        let mut agents = Agents::new();
        let [one, other] = [1, 2].map(|owner| agents.open(Owner(owner), 6, Role::Asks).unwrap());
        let sent = agents.stamp(other, &ASKED).unwrap();
        assert_ne!(agents.stamp(one, &ASKED).unwrap().transaction, sent.transaction);
        let answer = ManagementDatagram { method: 0x81, ..sent };
        let told = agents.take(FROM, answer);
        assert_eq!(told, Ok(Some(Event { owner: Owner(2), what: What::Datagrams(other) })));
        assert_eq!(agents.take(FROM, answer), Ok(None), "told once until all is taken");
        assert_eq!(agents.poll(one), None);
        let (_, came) = agents.poll(other).unwrap();
        assert_eq!(came.transaction, 0x0506_0708);
        agents.close(other);
        assert_eq!(agents.take(FROM, answer), Err(NotTaken));
        let again = agents.open(Owner(3), 6, Role::Asks).unwrap();
        assert_eq!(agents.take(FROM, answer), Err(NotTaken), "{again:?} did not ask that");
    }

    #[test]
    fn one_answers_for_a_class_and_has_only_so_much_waiting() {
        let mut agents = Agents::new();
        assert_eq!(agents.take(FROM, ASKED), Err(NotTaken));
        let agent = agents.open(Owner(1), 6, Role::Answers).unwrap();
        assert_eq!(agents.open(Owner(2), 6, Role::Answers), Err(AgentError::InUse));
        assert!(agents.open(Owner(2), 7, Role::Answers).is_ok());
        let taken = (0..100).filter(|_| agents.take(FROM, ASKED).is_ok()).count();
        assert_eq!(taken, WAITING_MAX);
        let (_, came) = agents.poll(agent).unwrap();
        assert_eq!(came.transaction, ASKED.transaction, "as it was sent, to be repeated");
        let answer = ManagementDatagram { method: 0x81, ..came };
        assert_eq!(agents.stamp(agent, &answer), Ok(answer));
    }
}
