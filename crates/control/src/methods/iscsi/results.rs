//! What the `iscsi_*` methods answer, by SPDK's names.

use schemars::JsonSchema;
use serde::Serialize;

use super::params::{Lun, PgIgMap, Portal};

/// What holds for target nodes made from now on, and for discovery.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Options {
    /// What stands before the name of a target node that is no iSCSI name by itself.
    pub node_base: String,
    /// How long an initiator may leave a sign of life unanswered, in seconds.
    pub nop_timeout: u64,
    /// How often silent initiators are asked for a sign of life, in seconds.
    pub nop_in_interval: u64,
    /// Discovery sessions prove nothing.
    pub disable_chap: bool,
    /// Discovery sessions must prove themselves.
    pub require_chap: bool,
    /// Initiators of discovery sessions must ask for proof, too.
    pub mutual_chap: bool,
    /// The accounts for discovery sessions; 0 for none.
    pub chap_group: u32,
    /// Sessions at once.
    pub max_sessions: usize,
    /// Commands a session may have under way, at most.
    pub max_queue_depth: u32,
    /// Connections of a session, at most.
    pub max_connections_per_session: u16,
    /// Seconds before a session is taken up again, at least.
    pub default_time2wait: u16,
    /// Seconds for which tasks are kept after that, at most.
    pub default_time2retain: u16,
    /// Bytes of unsolicited data of a command, at most.
    pub first_burst_length: u32,
    /// Whether commands may have data with them.
    pub immediate_data: bool,
    /// The highest error recovery level.
    pub error_recovery_level: u8,
    /// Never: a second login of one session takes the first's place.
    pub allow_duplicated_isid: bool,
    /// R2Ts open of a task, at most.
    pub max_r2t_per_connection: u16,
}

/// A group of CHAP accounts. Secrets are not shown.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuthGroup {
    /// Its tag.
    pub tag: u32,
    /// Its accounts.
    pub secrets: Vec<Account>,
}

/// A CHAP account.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Account {
    /// The initiator's name.
    pub user: String,
    /// The name that we prove ourselves with to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muser: Option<String>,
}

/// An initiator group.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InitiatorGroup {
    /// Its tag.
    pub tag: u32,
    /// Its members, by name.
    pub initiators: Vec<String>,
    /// Its members, by network.
    pub netmasks: Vec<String>,
}

/// A portal group.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PortalGroup {
    /// Its tag.
    pub tag: u16,
    /// Where it listens.
    pub portals: Vec<Portal>,
    /// Whether discovery does not tell it.
    pub private: bool,
}

/// A target node.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TargetNode {
    /// Its iSCSI name.
    pub name: String,
    /// Its alias.
    pub alias_name: String,
    /// How it is reached, and by whom.
    pub pg_ig_maps: Vec<PgIgMap>,
    /// Its logical units.
    pub luns: Vec<Lun>,
    /// Commands a session may have under way.
    pub queue_depth: u32,
    /// Initiators prove nothing.
    pub disable_chap: bool,
    /// Initiators must prove who they are.
    pub require_chap: bool,
    /// Initiators must ask for proof, too.
    pub mutual_chap: bool,
    /// The accounts; 0 for none.
    pub chap_group: u32,
    /// It insists on header digests.
    pub header_digest: bool,
    /// It insists on data digests.
    pub data_digest: bool,
}

/// A connection of an initiator.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Connection {
    /// Its place in this list.
    pub id: usize,
    /// Its number in its session.
    pub cid: u16,
    /// Its session.
    pub tsih: u16,
    /// The shard: there is one.
    pub lcore_id: u32,
    /// The initiator's address.
    pub initiator_addr: String,
    /// The address it came to.
    pub target_addr: String,
    /// The node; empty for discovery.
    pub target_node_name: String,
}

/// Connections, by what they are doing.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Stats {
    /// None ever is.
    pub invalid: usize,
    /// Logging in, or in use.
    pub running: usize,
    /// On their way out.
    pub exiting: usize,
    /// None is kept.
    pub exited: usize,
}

/// A SCSI device.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Device {
    /// Its place in this list.
    pub id: usize,
    /// Its name.
    pub device_name: String,
}
