//! I_T nexuses: an initiator port on a target port, by one channel or several (section 5.1.3).

use crate::target::NexusKey;
use wire::srp::PortId;

/// A nexus.
#[derive(Debug)]
pub(super) struct Nexus {
    pub(super) name: NexusName,
    /// The executor's name for it.
    pub(super) key: NexusKey,
    /// Its channels that have not ended.
    pub(super) channels: u32,
}

/// What tells nexuses apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NexusName {
    /// The initiator port.
    pub initiator: PortId,
    /// The target port.
    pub target: PortId,
}
