//! Who may log in where: target nodes, portal groups, initiator groups, and what initiators must prove.
//!
//! ```text
//!   node --- Access: portal group + initiator group   (one or more)
//!     \                  |                  \
//!      device (SAM-5)    addresses           names and networks
//!      authentication ---> AuthGroup: CHAP accounts
//! ```
//!
//! What it is not: it opens no listener and ends no session; [`Server`](super::Server) does when it is changed there.
//!
//! Invariant: a node with authentication is never served without it, even when its group is gone.

mod access;
mod groups;
mod node;

pub(super) use access::Granted;
pub use groups::{AddressPattern, AuthGroup, InitiatorGroup, InitiatorPattern, PortalGroup};
pub use node::{Access, ChapPolicy, Node, NodeAuthentication};

use crate::iscsi::IscsiName;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use thiserror::Error;

/// All of them.
#[derive(Debug, Default)]
pub struct Registry {
    nodes: BTreeMap<IscsiName, Node>,
    portal_groups: BTreeMap<u16, PortalGroup>,
    initiator_groups: BTreeMap<u32, InitiatorGroup>,
    auth_groups: BTreeMap<u32, AuthGroup>,
    discovery: NodeAuthentication,
}

/// A change that is not possible.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RegistryError {
    /// There is one with this name or tag.
    #[error("there is one with this name or tag already")]
    Exists,
    /// There is none with this name or tag.
    #[error("there is none with this name or tag")]
    Unknown,
    /// A node uses it.
    #[error("a target node uses it")]
    InUse,
    /// A list would have too many entries.
    #[error("there are too many of these already")]
    TooMany,
    /// A portal group's tag is 1 to 65,535.
    #[error("the tag is out of range")]
    Tag,
}

impl Registry {
    /// Adds a node. Its groups must be there.
    pub fn add_node(&mut self, node: Node) -> Result<(), RegistryError> {
        if self.nodes.contains_key(&node.name) {
            return Err(RegistryError::Exists);
        }
        self.check_access(&node.access)?;
        insert(&mut self.nodes, NODES_MAX, node.name.clone(), node)
    }

    /// Removes a node.
    pub fn remove_node(&mut self, name: &IscsiName) -> Result<Node, RegistryError> {
        self.nodes.remove(name).ok_or(RegistryError::Unknown)
    }

    /// A node, to change what it asks for.
    pub fn node_mut(&mut self, name: &IscsiName) -> Option<&mut Node> {
        self.nodes.get_mut(name)
    }

    /// A node.
    pub fn node(&self, name: &IscsiName) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// All nodes, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// Replaces the ways a node is reached.
    pub fn set_access(&mut self, name: &IscsiName, access: Vec<Access>) -> Result<(), RegistryError> {
        self.check_access(&access)?;
        self.nodes.get_mut(name).ok_or(RegistryError::Unknown)?.access = access;
        Ok(())
    }

    /// Adds a portal group.
    pub fn add_portal_group(&mut self, group: PortalGroup) -> Result<(), RegistryError> {
        if group.tag == 0 {
            return Err(RegistryError::Tag);
        }
        insert(&mut self.portal_groups, GROUPS_MAX, group.tag, group)
    }

    /// Removes a portal group that no node uses.
    pub fn remove_portal_group(&mut self, tag: u16) -> Result<PortalGroup, RegistryError> {
        if self.uses(|access| access.portal_group == tag) {
            return Err(RegistryError::InUse);
        }
        self.portal_groups.remove(&tag).ok_or(RegistryError::Unknown)
    }

    /// A portal group, to change it.
    pub fn portal_group_mut(&mut self, tag: u16) -> Option<&mut PortalGroup> {
        self.portal_groups.get_mut(&tag)
    }

    /// All portal groups, by tag.
    pub fn portal_groups(&self) -> impl Iterator<Item = &PortalGroup> {
        self.portal_groups.values()
    }

    /// Adds an initiator group.
    pub fn add_initiator_group(&mut self, group: InitiatorGroup) -> Result<(), RegistryError> {
        insert(&mut self.initiator_groups, GROUPS_MAX, group.tag, group)
    }

    /// Removes an initiator group that no node uses.
    pub fn remove_initiator_group(&mut self, tag: u32) -> Result<InitiatorGroup, RegistryError> {
        if self.uses(|access| access.initiator_group == tag) {
            return Err(RegistryError::InUse);
        }
        self.initiator_groups.remove(&tag).ok_or(RegistryError::Unknown)
    }

    /// An initiator group, to change it.
    pub fn initiator_group_mut(&mut self, tag: u32) -> Option<&mut InitiatorGroup> {
        self.initiator_groups.get_mut(&tag)
    }

    /// All initiator groups, by tag.
    pub fn initiator_groups(&self) -> impl Iterator<Item = &InitiatorGroup> {
        self.initiator_groups.values()
    }

    /// Adds a group of CHAP accounts.
    pub fn add_auth_group(&mut self, group: AuthGroup) -> Result<(), RegistryError> {
        insert(&mut self.auth_groups, GROUPS_MAX, group.tag, group)
    }

    /// Removes a group of CHAP accounts. Nodes that ask for its accounts let nobody in from then on.
    pub fn remove_auth_group(&mut self, tag: u32) -> Result<AuthGroup, RegistryError> {
        self.auth_groups.remove(&tag).ok_or(RegistryError::Unknown)
    }

    /// A group of CHAP accounts, to change it.
    pub fn auth_group_mut(&mut self, tag: u32) -> Option<&mut AuthGroup> {
        self.auth_groups.get_mut(&tag)
    }

    /// All groups of CHAP accounts, by tag.
    pub fn auth_groups(&self) -> impl Iterator<Item = &AuthGroup> {
        self.auth_groups.values()
    }

    /// What initiators must prove in discovery sessions.
    pub const fn discovery(&self) -> &NodeAuthentication {
        &self.discovery
    }

    /// The same through one portal, whose group may have its own rule.
    pub fn discovery_through(&self, portal: SocketAddr) -> &NodeAuthentication {
        let groups = self.portal_groups.values().filter(|group| group.portals.contains(&portal));
        groups.filter_map(|group| group.discovery.as_ref()).next().unwrap_or(&self.discovery)
    }

    /// Sets what initiators must prove in discovery sessions.
    pub const fn set_discovery(&mut self, authentication: NodeAuthentication) {
        self.discovery = authentication;
    }

    fn uses(&self, of: impl Fn(&Access) -> bool) -> bool {
        self.nodes.values().any(|node| node.access.iter().any(&of))
    }

    fn check_access(&self, access: &[Access]) -> Result<(), RegistryError> {
        if access.len() > ACCESS_MAX {
            return Err(RegistryError::TooMany);
        }
        let known = |access: &Access| {
            self.portal_groups.contains_key(&access.portal_group)
                && self.initiator_groups.contains_key(&access.initiator_group)
        };
        if access.iter().all(known) { Ok(()) } else { Err(RegistryError::Unknown) }
    }
}

fn insert<K: Ord, V>(map: &mut BTreeMap<K, V>, max: usize, key: K, value: V) -> Result<(), RegistryError> {
    if map.contains_key(&key) {
        return Err(RegistryError::Exists);
    }
    if map.len() >= max {
        return Err(RegistryError::TooMany);
    }
    map.insert(key, value);
    Ok(())
}

/// Target nodes of a shard.
const NODES_MAX: usize = 4096;

/// Groups of each kind.
const GROUPS_MAX: usize = 4096;

/// Ways to reach one node.
const ACCESS_MAX: usize = 64;

#[cfg(test)]
mod tests;
