//! Where hosts come in: portals, listeners on them, and the asymmetric access states that a listener shows.

use std::net::{IpAddr, SocketAddr};

/// How bytes travel to a portal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// NVMe/TCP.
    Tcp,
    /// NVMe/RDMA.
    Rdma,
}

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

/// How well a namespace is reached through a listener (Base 8.1.1, asymmetric namespace access).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum AnaState {
    /// The best way there is.
    #[default]
    Optimized,
    /// A way that works, and is slower.
    NonOptimized,
    /// No way now.
    Inaccessible,
    /// No way ever again.
    PersistentLoss,
    /// About to change.
    Change,
}

impl AnaState {
    /// True if commands that touch the namespace are executed.
    pub const fn accessible(self) -> bool {
        match self {
            Self::Optimized | Self::NonOptimized => true,
            Self::Inaccessible | Self::PersistentLoss | Self::Change => false,
        }
    }
}
