//! What the `srp_*` methods answer.

use schemars::JsonSchema;
use serde::Serialize;

/// A target port.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TargetPort {
    /// The identifier extension.
    pub id_ext: String,
    /// The GUID of the I/O controller.
    pub ioc_guid: String,
    /// The initiator ports that may log in; all, if it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiators: Option<Vec<String>>,
    /// Its logical units.
    pub luns: Vec<Lun>,
}

/// A logical unit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Lun {
    /// Its number.
    pub lun_id: u16,
    /// The volume it is served from.
    pub bdev_name: String,
}

/// A channel of an initiator.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Channel {
    /// The initiator port.
    pub initiator: String,
    /// The target port.
    pub target: String,
    /// From where it came.
    pub initiator_addr: String,
    /// What it is doing: open, leaving or ending.
    pub state: &'static str,
    /// Its request limit.
    pub request_limit: u32,
    /// Requests under way.
    pub outstanding: usize,
}

/// What happened to channels, on the devices that are listened on.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Stats {
    /// Logins accepted.
    pub logins: u64,
    /// Logins refused, for whatever reason.
    pub rejected: u64,
    /// Channels that a later login of their initiator ended.
    pub replaced: u64,
    /// Channels that their initiators logged out of.
    pub logged_out: u64,
    /// Channels that ended without a word.
    pub broken: u64,
    /// Channels that were ended because of what their initiator sent.
    pub terminated: u64,
    /// Commands with fields that contradict each other.
    pub invalid: u64,
    /// Commands whose data came with them.
    pub immediate: u64,
    /// Tables of descriptors that were read from initiators' memory.
    pub tables: u64,
    /// Times a request waited for a buffer or for room at the device.
    pub stalls: u64,
    /// Times a channel waited for what an earlier session of its initiator left.
    pub holds: u64,
    /// Events of logical units that initiators were told.
    pub events: u64,
    /// Datagrams of device management that were answered.
    pub discovered: u64,
}
