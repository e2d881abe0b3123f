//! Everything of this transport that is bounded, in one place.

use wire::scsi::Sense;
use wire::srp::RESPONSE_LEN;

/// What a [`Server`](super::Server) allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Channels at once, those that are being ended included.
    pub channels_max: u32,
    /// Channels of one nexus.
    pub channels_per_nexus: u32,
    /// Units that may come in at once, over all channels.
    pub receives: u32,
    /// Requests of one channel at once, while there are receives for so many.
    pub requests: u32,
    /// Bytes of the longest unit that an initiator may send, its immediate data included.
    pub iu_len: u32,
    /// Immediate data is taken.
    pub immediate_data: bool,
    /// Descriptors of one direction of one command.
    pub descriptors: u32,
    /// Work of one channel that the device has under way.
    pub sends: u32,
    /// Reads of one initiator's memory under way at once.
    pub read_depth: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            channels_max: 256,
            channels_per_nexus: 64,
            receives: 1024,
            requests: 128,
            iu_len: 8 * 1024 + 256,
            immediate_data: true,
            descriptors: 2048,
            sends: 256,
            read_depth: 16,
        }
    }
}

/// Bytes of the longest unit that the target sends.
pub(super) const IU_LEN_TO_INITIATOR: usize = RESPONSE_LEN + Sense::LEN_MAX;
/// Bytes that every initiator may ask for (section 6.2: the shortest limit there can be).
pub(super) const IU_LEN_ASKED_MIN: u32 = 64;
