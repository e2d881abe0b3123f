//! Management datagrams of the general services (13.4, 13.5.1): what agents of other classes than communication management,
//! which is the provider's own, ask and answer.

use core::net::IpAddr;
use stdx::env::Owner;
use thiserror::Error;

/// Agents for management classes, and their datagrams.
///
/// Datagrams may be lost: who asks must ask again.
pub trait Management {
    /// An agent for a class. Of each class one agent answers, and any number ask. Its datagrams are told to `owner` by
    /// [`What::Datagrams`](crate::What).
    ///
    /// # Errors
    /// Somebody answers for the class already, or there are too many.
    fn open_agent(&mut self, owner: Owner, class: u8, role: Role) -> Result<AgentId, AgentError>;

    /// Ends an agent. What comes for it is dropped.
    fn close_agent(&mut self, agent: AgentId);

    /// Sends a datagram. Of one that asks, the upper half of [`ManagementDatagram::transaction`] is the provider's: it knows by it
    /// whom an answer is for.
    ///
    /// # Errors
    /// There is no such agent, or no way to the address.
    fn send_datagram(
        &mut self,
        agent: AgentId,
        to: IpAddr,
        datagram: &ManagementDatagram,
    ) -> Result<(), AgentError>;

    /// The next datagram that came for an agent, and from whom.
    fn poll_datagram(&mut self, agent: AgentId) -> Option<(IpAddr, ManagementDatagram)>;
}

/// An agent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AgentId(pub stdx::slab::Key);

/// What an agent does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It is asked, and answers.
    Answers,
    /// It asks, and is answered.
    Asks,
}

/// A datagram (13.4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ManagementDatagram {
    /// Management class.
    pub class: u8,
    /// The class's version.
    pub class_version: u8,
    /// What is to be done, or was: answers have the highest bit set.
    pub method: u8,
    /// How it went.
    pub status: u16,
    /// Sixteen bits of the class's own.
    pub class_specific: u16,
    /// Of one that asks, its lower half says which answer belongs to it. An answer repeats all of it.
    pub transaction: u64,
    /// Which attribute of the class.
    pub attribute: u16,
    /// Which one of several, or which part.
    pub modifier: u32,
    /// The rest.
    pub data: [u8; 232],
}

impl ManagementDatagram {
    /// Whether it answers another.
    pub const fn is_answer(&self) -> bool {
        self.method & 0x80 != 0
    }
}

/// An agent could not be had, or could not send.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum AgentError {
    /// Somebody answers for the class.
    #[error("somebody answers for this management class already")]
    InUse,
    /// There is no such agent.
    #[error("no such agent")]
    NotFound,
    /// A limit of the provider is reached.
    #[error("a limit of the provider is reached")]
    Limit,
    /// The provider has no way to the address.
    #[error("the provider has no way to the address")]
    Address,
}
