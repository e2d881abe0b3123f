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
