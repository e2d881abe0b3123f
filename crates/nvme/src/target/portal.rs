//! Where hosts come in: portals, listeners on them, and the asymmetric access states that a listener shows.

pub use crate::Transport;
use std::net::{IpAddr, SocketAddr};
pub use wire::nvme::log::AnaState;

/// An address that is listened on. Several subsystems may share one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Portal {
    /// How bytes travel.
    pub transport: Transport,
    /// The address as configured, perhaps that of no machine in particular (0.0.0.0).
    pub address: SocketAddr,
}

/// How a connection came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// The portal it came to.
    pub portal: Portal,
    /// The address of ours it came to; the portal's, unless that is of no machine in particular.
    pub local: SocketAddr,
    /// Where it comes from.
    pub peer: SocketAddr,
}

impl Arrival {
    /// The address under which the host that came this way reaches `portal`: portals on all addresses answer on the one
    /// the host used.
    pub fn reachable(&self, portal: &Portal) -> SocketAddr {
        if portal.address.ip().is_unspecified() && matches_family(self.local.ip(), portal.address.ip()) {
            SocketAddr::new(self.local.ip(), portal.address.port())
        } else {
            portal.address
        }
    }
}

fn matches_family(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}

/// A subsystem's presence on a portal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Listener {
    pub(super) portal: Portal,
    /// By ANA group identifier less one.
    pub(super) states: Vec<AnaState>,
}

impl Listener {
    pub(super) fn new(portal: Portal, groups: usize) -> Self {
        Self { portal, states: vec![AnaState::Optimized; groups] }
    }

    /// The state of a group here; a group that never was is inaccessible.
    pub(super) fn state(&self, group: u32) -> AnaState {
        let place = (group as usize).checked_sub(1);
        place.and_then(|place| self.states.get(place).copied()).unwrap_or(AnaState::Inaccessible)
    }
}
