//! A subsystem: the name hosts connect to, who may, through which portals, and the namespaces behind it.

use super::options::HOSTS_MAX;
use super::portal::{AnaState, Listener, Portal};
use std::collections::BTreeSet;
use stdx::slab::Key;
use wire::nvme::{CONTROLLER_ID_MAX, Nqn};

/// What a subsystem is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubsystemConfig {
    /// Its name.
    pub nqn: Nqn,
    /// Serial number: up to 20 printable ASCII characters.
    pub serial: String,
    /// Model number: up to 40 printable ASCII characters.
    pub model: String,
    /// The highest namespace identifier there can be.
    pub max_namespaces: u32,
    /// Every host may connect; else only those of the access list.
    pub allow_any_host: bool,
    /// The lowest controller identifier to give out, at least 1.
    pub min_cntlid: u16,
    /// The highest controller identifier to give out.
    pub max_cntlid: u16,
    /// Asymmetric namespace access is reported.
    pub ana_reporting: bool,
}

impl SubsystemConfig {
    /// A subsystem for every host, with room for 32 namespaces.
    pub fn new(nqn: Nqn) -> Self {
        Self {
            nqn,
            serial: "00000000000000000000".into(),
            model: "Weft".into(),
            max_namespaces: 32,
            allow_any_host: true,
            min_cntlid: 1,
            max_cntlid: CONTROLLER_ID_MAX,
            ana_reporting: false,
        }
    }
}

/// A subsystem with all that belongs to it.
#[derive(Debug)]
pub(super) struct Subsystem {
    pub(super) config: SubsystemConfig,
    /// The discovery subsystem, of which there is one.
    pub(super) discovery: bool,
    pub(super) hosts: BTreeSet<Nqn>,
    pub(super) listeners: Vec<Listener>,
    /// By namespace identifier less one.
    pub(super) namespaces: Vec<Option<Key>>,
    pub(super) controllers: Vec<Key>,
    /// How often an ANA state changed.
    pub(super) ana_changes: u64,
    next_controller_id: u16,
}

impl Subsystem {
    pub(super) fn new(config: SubsystemConfig, discovery: bool) -> Self {
        Self {
            next_controller_id: config.min_cntlid,
            namespaces: vec![None; config.max_namespaces as usize],
            config,
            discovery,
            hosts: BTreeSet::new(),
            listeners: Vec::new(),
            controllers: Vec::new(),
            ana_changes: 0,
        }
    }

    /// True if this host may connect.
    pub(super) fn allows(&self, host: &Nqn) -> bool {
        self.config.allow_any_host || self.hosts.contains(host)
    }

    pub(super) fn hosts_full(&self) -> bool {
        self.hosts.len() >= HOSTS_MAX
    }

    pub(super) fn listens_on(&self, portal: &Portal) -> bool {
        self.listeners.iter().any(|listener| listener.portal == *portal)
    }

    /// The namespace with this identifier.
    pub(super) fn namespace(&self, namespace_id: u32) -> Option<Key> {
        *self.namespaces.get((namespace_id as usize).checked_sub(1)?)?
    }

    /// The identifiers in use, ascending.
    pub(super) fn active_ids(&self) -> impl Iterator<Item = (u32, Key)> {
        let places = self.namespaces.iter().enumerate();
        places.filter_map(|(place, key)| key.map(|key| (place as u32 + 1, key)))
    }

    /// ANA group identifiers run from 1 to this.
    pub(super) fn ana_groups(&self) -> u32 {
        self.config.max_namespaces
    }

    /// The state of a group through a portal: optimized unless a listener says otherwise.
    pub(super) fn ana_state(&self, portal: &Portal, group: u32) -> AnaState {
        let listener = self.listeners.iter().find(|listener| listener.portal == *portal);
        listener.map_or(AnaState::Optimized, |listener| listener.state(group))
    }

    /// The next controller identifier that `taken` does not know, going round the range from the last one given, so that
    /// an identifier comes back as late as possible (Base 3.1.1, dynamic controller model).
    pub(super) fn next_controller_id(&mut self, taken: impl Fn(u16) -> bool) -> Option<u16> {
        let (low, high) = (self.config.min_cntlid, self.config.max_cntlid);
        let size = u32::from(high - low) + 1;
        let start = u32::from(self.next_controller_id.clamp(low, high) - low);
        let id = (0..size).map(|step| low + ((start + step) % size) as u16).find(|&id| !taken(id))?;
        self.next_controller_id = if id == high { low } else { id + 1 };
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controller_identifiers_go_round() {
        let mut config = SubsystemConfig::new(Nqn::from_uuid(&[1; 16]));
        (config.min_cntlid, config.max_cntlid) = (5, 7);
        let mut subsystem = Subsystem::new(config, false);
        assert_eq!(subsystem.next_controller_id(|_| false), Some(5));
        assert_eq!(subsystem.next_controller_id(|id| id == 6), Some(7));
        assert_eq!(subsystem.next_controller_id(|_| false), Some(5));
        assert_eq!(subsystem.next_controller_id(|_| true), None);
    }
}
