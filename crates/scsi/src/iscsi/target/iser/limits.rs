//! Everything of this transport that is bounded, in one place.

use crate::iscsi::login::RdmaLimits;
use wire::iscsi::{HEADER_SPAN_MAX, LOGIN_DATA_MAX};
use wire::iser::HEADER_LEN;

/// What a [`Transport`](super::Transport) allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections at once, those that are being ended included.
    pub connections_max: u32,
    /// Messages that may come in at once, over all connections.
    pub receives: u32,
    /// Requests of one connection that the device has under way.
    pub sends: u32,
    /// Reads of one initiator's memory under way at once.
    pub read_depth: u8,
    /// Messages of one connection that may wait while it takes none. One more ends it.
    pub queued_max: usize,
    /// What is said of messages in logins.
    pub login: RdmaLimits,
}

impl Limits {
    /// Bytes of the longest message that may come, during the login or after it.
    pub const fn message_len_max(&self) -> u32 {
        let data = self.login.target_recv_data_segment_len;
        let data = if data > LOGIN_DATA_MAX { data } else { LOGIN_DATA_MAX };
        (HEADER_LEN + HEADER_SPAN_MAX) as u32 + data
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 256,
            receives: 512,
            sends: 128,
            read_depth: 16,
            queued_max: 192,
            login: RdmaLimits {
                initiator_recv_data_segment_len: 256 << 10,
                target_recv_data_segment_len: 8 << 10,
                unexpected_pdus_max: 32,
            },
        }
    }
}
