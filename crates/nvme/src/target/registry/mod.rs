//! The configuration: what its owner adds to and removes from a running target, by the names of SPDK's `nvmf_*` calls.
//!
//! Invariant: a call that fails changes nothing. What is removed takes its controllers with it: their connections end, and
//! hosts that come back find what is left.

mod hosts;
mod listeners;
mod namespaces;
mod referrals;
mod subsystems;

use super::{Options, Target};
use stdx::slab::Key;
use thiserror::Error;
use wire::nvme::Nqn;
use wire::nvme::aer::AsyncEvent;

/// Why a change was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ConfigError {
    /// No subsystem has this name.
    #[error("there is no subsystem with this NQN")]
    UnknownSubsystem,
    /// A subsystem has this name.
    #[error("there is a subsystem with this NQN already")]
    SubsystemExists,
    /// The discovery subsystem has no namespaces, and cannot be removed.
    #[error("the discovery subsystem cannot do that")]
    Discovery,
    /// Not printable ASCII, or too long.
    #[error("serial numbers have up to 20, model numbers up to 40 printable ASCII characters")]
    Text,
    /// Below 1, above FFEFh, or the lowest above the highest.
    #[error("controller identifiers go from 1 to 65519")]
    ControllerIds,
    /// More namespaces than a subsystem can have.
    #[error("a subsystem has 1 to 4096 namespaces")]
    MaxNamespaces,
    /// No namespace has this identifier.
    #[error("there is no namespace with this identifier")]
    UnknownNamespace,
    /// A namespace has this identifier, or none is free.
    #[error("the namespace identifier is taken, or none is free")]
    NamespaceTaken,
    /// Zero, or above what the subsystem may have.
    #[error("the namespace identifier is zero or above the subsystem's maximum")]
    NamespaceId,
    /// Another namespace of the subsystem has the same UUID, NGUID or EUI-64.
    #[error("another namespace has the same UUID, NGUID or EUI-64")]
    IdentifierTaken,
    /// No such ANA group in this subsystem.
    #[error("there is no such ANA group")]
    AnaGroup,
    /// The subsystem does not report asymmetric access.
    #[error("the subsystem does not report asymmetric namespace access")]
    NoAna,
    /// The subsystem does not listen there.
    #[error("the subsystem does not listen there")]
    UnknownListener,
    /// The subsystem listens there.
    #[error("the subsystem listens there already")]
    ListenerExists,
    /// The host is not on the list.
    #[error("the host is not on the subsystem's list")]
    UnknownHost,
    /// The host is on the list.
    #[error("the host is on the subsystem's list already")]
    HostExists,
    /// There is no such referral.
    #[error("there is no such referral")]
    UnknownReferral,
    /// There is such a referral.
    #[error("there is such a referral already")]
    ReferralExists,
    /// Options that no controller could have.
    #[error("the transport's options are out of range")]
    Options,
    /// Hosts are connected: what they agreed on holds.
    #[error("hosts are connected")]
    Connected,
    /// A table is full.
    #[error("there are too many of these already")]
    TooMany,
}

impl Target {
    /// Changes the options, as long as no host is connected.
    pub fn set_options(&mut self, options: Options) -> Result<(), ConfigError> {
        if !options.in_range() {
            return Err(ConfigError::Options);
        }
        if options != self.options && !self.controllers.is_empty() {
            return Err(ConfigError::Connected);
        }
        self.options = options;
        Ok(())
    }

    /// The key of a subsystem by name.
    pub(super) fn subsystem_key(&self, nqn: &Nqn) -> Result<Key, ConfigError> {
        let found = self.subsystems.iter().find(|(_, subsystem)| subsystem.config.nqn == *nqn);
        found.map(|(key, _)| key).ok_or(ConfigError::UnknownSubsystem)
    }

    /// The same, but not the discovery subsystem.
    fn nvm_subsystem_key(&self, nqn: &Nqn) -> Result<Key, ConfigError> {
        let key = self.subsystem_key(nqn)?;
        if key == self.discovery.subsystem { Err(ConfigError::Discovery) } else { Ok(key) }
    }

    /// The discovery log changed: hosts that keep a discovery controller are told.
    fn discovery_changed(&mut self) {
        self.discovery.generation += 1;
        self.raise_all(self.discovery.subsystem, AsyncEvent::DiscoveryLogChange);
    }

    /// Ends the controllers of a subsystem that `of` chooses.
    fn end_controllers(&mut self, subsystem: Key, of: impl Fn(&super::Controller) -> bool) {
        let chosen = self.controllers.iter().filter(|(_, one)| one.subsystem == subsystem && of(one));
        let chosen: Vec<Key> = chosen.map(|(key, _)| key).collect();
        for key in chosen {
            self.end_controller(key);
        }
    }
}
