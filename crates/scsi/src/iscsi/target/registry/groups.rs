//! Groups that nodes refer to by tag.

use super::NodeAuthentication;
use crate::iscsi::IscsiName;
use crate::iscsi::login::chap::{ChapAccounts, ChapAlgorithm};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// Addresses that make one portal group (RFC 7143, section 4.4.1): a session may have connections to any of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortalGroup {
    /// TargetPortalGroupTag: 1 to 65,535. Also the relative identifier of the group's port of each device.
    pub tag: u16,
    /// The addresses listened on.
    pub portals: Vec<SocketAddr>,
    /// Those of them at which initiators come in by RDMA, too (iSER).
    pub rdma: Vec<SocketAddr>,
    /// Not told by SendTargets.
    pub private: bool,
    /// What discovery sessions through it must prove; as everywhere if `None`.
    pub discovery: Option<NodeAuthentication>,
}

/// Initiators that may use a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InitiatorGroup {
    /// Its tag.
    pub tag: u32,
    /// By name; the first that matches decides.
    pub initiators: Vec<InitiatorPattern>,
    /// By address; one must match.
    pub networks: Vec<AddressPattern>,
}

/// Which initiators.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InitiatorPattern {
    /// All.
    Any,
    /// None that comes to this place of the list.
    NotAny,
    /// This one.
    Name(IscsiName),
    /// Not this one.
    NotName(IscsiName),
}

/// Which addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressPattern {
    /// All.
    Any,
    /// Those of this network: they share so many leading bits with the address.
    Network(IpAddr, u8),
}

/// CHAP accounts.
#[derive(Clone, Debug)]
pub struct AuthGroup {
    /// Its tag.
    pub tag: u32,
    /// Who may prove itself, and how.
    pub accounts: Rc<ChapAccounts>,
}

impl InitiatorGroup {
    /// Whether an initiator at an address is of this group.
    pub fn admits(&self, name: &IscsiName, address: IpAddr) -> bool {
        let by_name = self.initiators.iter().find_map(|pattern| match pattern {
            InitiatorPattern::Any => Some(true),
            InitiatorPattern::NotAny => Some(false),
            InitiatorPattern::Name(of) => (of == name).then_some(true),
            InitiatorPattern::NotName(of) => (of == name).then_some(false),
        });
        by_name == Some(true) && self.networks.iter().any(|network| network.contains(address))
    }
}

impl AddressPattern {
    /// Whether an address is one of these. An IPv4 address that came as IPv6 is an IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match *self {
            Self::Any => true,
            Self::Network(network, bits) => match (network.to_canonical(), address.to_canonical()) {
                (IpAddr::V4(network), IpAddr::V4(address)) => same_front(
                    u128::from(network.to_bits()) << 96,
                    u128::from(address.to_bits()) << 96,
                    bits.min(32),
                ),
                (IpAddr::V6(network), IpAddr::V6(address)) => {
                    same_front(network.to_bits(), address.to_bits(), bits.min(128))
                }
                (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
            },
        }
    }
}

impl PortalGroup {
    /// A group that discovery tells, as it does everywhere.
    pub const fn new(tag: u16, portals: Vec<SocketAddr>) -> Self {
        Self { tag, portals, rdma: Vec::new(), private: false, discovery: None }
    }
}

impl AuthGroup {
    /// A group without accounts: nobody can prove anything to it.
    pub fn empty(tag: u32) -> Self {
        Self { tag, accounts: no_accounts() }
    }
}

/// Accounts of nobody.
pub(super) fn no_accounts() -> Rc<ChapAccounts> {
    let algorithms = ChapAlgorithm::ALL.to_vec();
    Rc::new(ChapAccounts { accounts: Vec::new(), algorithms, mutual_required: false })
}

fn same_front(a: u128, b: u128, bits: u8) -> bool {
    bits == 0 || (a ^ b) >> (128 - u32::from(bits)) == 0
}
