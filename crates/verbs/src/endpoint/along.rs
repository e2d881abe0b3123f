//! When data goes along with what asks for it, and when it is better left for the peer to fetch.
//!
//! The packets of a message that is longer than one have two lengths, so that each such message is a run of its own, which costs
//! a system call; what a peer fetches of many goes in few runs of packets of one length. Of many that is worth one more way to
//! and fro. Where memory is shared there are no packets.

use super::Endpoint;
use crate::Device;
use stdx::slab::Key;

impl Endpoint {
    /// The bytes of the longest message that carries its data, when so many wait to be sent; `None` if each may. A longer one
    /// opens its data for the peer to fetch.
    pub fn along_max(&self, device: &dyn Device, connection: Key, waiting: usize) -> Option<usize> {
        (waiting >= CROWD && !self.shares_memory(device, connection)).then_some(PACKET_MAX)
    }
}

/// So many messages are a crowd.
const CROWD: usize = 4;
/// Bytes of the longest packet there is.
const PACKET_MAX: usize = 4096;
