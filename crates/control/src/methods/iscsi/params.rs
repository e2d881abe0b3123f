//! What the `iscsi_*` methods take, by SPDK's names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What holds for target nodes made from now on, and for discovery. What is not given stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetOptions {
    /// Secrets come by calls, not from a file: only an empty path.
    #[serde(skip_serializing)]
    pub auth_file: Option<String>,
    /// What stands before the name of a target node that is no iSCSI name by itself.
    pub node_base: Option<String>,
    /// How long an initiator may leave a sign of life unanswered, in seconds.
    pub nop_timeout: Option<i32>,
    /// How often silent initiators are asked for a sign of life, in seconds; at least 1.
    pub nop_in_interval: Option<i32>,
    /// Discovery sessions prove nothing.
    pub disable_chap: Option<bool>,
    /// Discovery sessions must prove themselves.
    pub require_chap: Option<bool>,
    /// Initiators of discovery sessions must ask for proof, too.
    pub mutual_chap: Option<bool>,
    /// The accounts for discovery sessions; 0 for none.
    pub chap_group: Option<i32>,
    /// Sessions are limited by the process, whatever this says.
    pub max_sessions: Option<u32>,
    /// Commands a session may have under way, at most.
    pub max_queue_depth: Option<u32>,
    /// Connections of a session, at most.
    pub max_connections_per_session: Option<u32>,
    /// Seconds before a session is taken up again, at least.
    pub default_time2wait: Option<u32>,
    /// Seconds for which tasks are kept after that, at most.
    pub default_time2retain: Option<u32>,
    /// Bytes of unsolicited data of a command, at most.
    pub first_burst_length: Option<u32>,
    /// Whether commands may have data with them.
    pub immediate_data: Option<bool>,
    /// The highest error recovery level.
    pub error_recovery_level: Option<u32>,
    /// A session's name is its own: a second login with it takes the first's place, whatever this says.
    #[serde(skip_serializing)]
    pub allow_duplicated_isid: Option<bool>,
    /// Reads are limited by their bytes, whatever this says.
    #[serde(skip_serializing)]
    pub max_large_datain_per_connection: Option<u32>,
    /// R2Ts open of a task, at most.
    pub max_r2t_per_connection: Option<u32>,
    /// There are no pools, whatever this says.
    #[serde(skip_serializing)]
    pub pdu_pool_size: Option<u32>,
    /// There are no pools, whatever this says.
    #[serde(skip_serializing)]
    pub immediate_data_pool_size: Option<u32>,
    /// There are no pools, whatever this says.
    #[serde(skip_serializing)]
    pub data_out_pool_size: Option<u32>,
}

/// What discovery sessions must prove.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetDiscoveryAuth {
    /// Nothing.
    pub disable_chap: Option<bool>,
    /// Who they are, by CHAP.
    pub require_chap: Option<bool>,
    /// Initiators must ask for proof, too.
    pub mutual_chap: Option<bool>,
    /// The accounts; 0 for none.
    pub chap_group: Option<i32>,
}

/// What discovery sessions through a portal group must prove, instead of what holds for all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPortalGroupAuth {
    /// The portal group.
    pub tag: i32,
    /// Nothing.
    pub disable_chap: Option<bool>,
    /// Who they are, by CHAP.
    pub require_chap: Option<bool>,
    /// Initiators must ask for proof, too.
    pub mutual_chap: Option<bool>,
    /// The accounts; 0 for none.
    pub chap_group: Option<i32>,
}

/// A group of CHAP accounts.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAuthGroup {
    /// Its tag, from 1.
    pub tag: i32,
    /// Its accounts.
    pub secrets: Option<Vec<SecretEntry>>,
}

/// A CHAP account.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretEntry {
    /// The initiator's name.
    pub user: String,
    /// Its secret.
    pub secret: String,
    /// The name that we prove ourselves with to it.
    pub muser: Option<String>,
    /// Our secret.
    pub msecret: Option<String>,
}

/// A new CHAP account.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddSecret {
    /// The group.
    pub tag: i32,
    /// The initiator's name.
    pub user: String,
    /// Its secret.
    pub secret: String,
    /// The name that we prove ourselves with to it.
    pub muser: Option<String>,
    /// Our secret.
    pub msecret: Option<String>,
}

/// A CHAP account to forget.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveSecret {
    /// The group.
    pub tag: i32,
    /// The initiator's name.
    pub user: String,
}

/// A group.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// Its tag.
    pub tag: i32,
}

/// A new initiator group.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateInitiatorGroup {
    /// Its tag, from 1.
    pub tag: i32,
    /// Names, `ANY`, and either with `!` before it for those that are kept out; the first that matches decides.
    pub initiators: Vec<String>,
    /// Networks (`10.0.0.0/8`), addresses, or `ANY`.
    pub netmasks: Vec<String>,
}

/// Members to add to an initiator group, or to take out of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeInitiatorGroup {
    /// The group.
    pub tag: i32,
    /// Names, as they stand in the group.
    pub initiators: Option<Vec<String>>,
    /// Networks, as they stand in the group.
    pub netmasks: Option<Vec<String>>,
}

/// A new portal group.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePortalGroup {
    /// Its tag, from 1 to 65535.
    pub tag: i32,
    /// Where to listen.
    pub portals: Vec<Portal>,
    /// Whether discovery does not tell it.
    pub private: Option<bool>,
    /// Whether to listen only when it is started.
    pub wait: Option<bool>,
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Portal {
    /// The IP address.
    pub host: String,
    /// The TCP port; 3260 by default.
    pub port: Option<String>,
    /// Whether initiators come in by RDMA, too (iSER), at the same address and port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iser: Option<bool>,
}

/// A new target node.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTargetNode {
    /// Its iSCSI name, or what is to stand behind the common beginning and a colon.
    pub name: String,
    /// Its alias.
    pub alias_name: String,
    /// How it is reached, and by whom.
    pub pg_ig_maps: Vec<PgIgMap>,
    /// Its logical units.
    pub luns: Vec<Lun>,
    /// Commands a session may have under way; no more than `max_queue_depth`.
    pub queue_depth: i32,
    /// Initiators prove nothing.
    pub disable_chap: Option<bool>,
    /// Initiators must prove who they are.
    pub require_chap: Option<bool>,
    /// Initiators must ask for proof, too.
    pub mutual_chap: Option<bool>,
    /// The accounts; 0 for none.
    pub chap_group: Option<i32>,
    /// Insist on header digests.
    pub header_digest: Option<bool>,
    /// Insist on data digests.
    pub data_digest: Option<bool>,
}

/// One way to reach a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PgIgMap {
    /// Through the addresses of this portal group.
    pub pg_tag: i32,
    /// By the members of this initiator group.
    pub ig_tag: i32,
}

/// A logical unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lun {
    /// The volume it stands for.
    pub bdev_name: String,
    /// Its number.
    pub lun_id: i32,
    /// Whether its medium can be ejected and loaded; not by default. Not in SPDK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removable: Option<bool>,
}

/// What initiators of a node must prove.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetAuth {
    /// The node.
    pub name: String,
    /// Nothing.
    pub disable_chap: Option<bool>,
    /// Who they are, by CHAP.
    pub require_chap: Option<bool>,
    /// They must ask for proof, too.
    pub mutual_chap: Option<bool>,
    /// The accounts; 0 for none.
    pub chap_group: Option<i32>,
}

/// Ways to reach a node, to add or to take away.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Maps {
    /// The node.
    pub name: String,
    /// The ways.
    pub pg_ig_maps: Vec<PgIgMap>,
}

/// A node.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Name {
    /// The node.
    pub name: String,
}

/// Whether to count latencies.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnableHistogram {
    /// The node.
    pub name: String,
    /// Count, from zero, or do not.
    pub enable: bool,
}

/// A new logical unit.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddLun {
    /// The node.
    pub name: String,
    /// The volume it stands for.
    pub bdev_name: String,
    /// Its number; the lowest that is free by default, or if -1.
    pub lun_id: Option<i32>,
    /// A file to keep persistent reservations in, over a power loss; they are not kept by default. Not in SPDK.
    pub ptpl_file: Option<String>,
    /// Whether its medium can be ejected and loaded; not by default. Not in SPDK.
    pub removable: Option<bool>,
}

/// Where logins to a node are sent instead.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRedirect {
    /// The node.
    pub name: String,
    /// The portal group whose logins are sent elsewhere.
    pub pg_tag: i32,
    /// The IP address to go to; nowhere else if neither this nor the port is given.
    pub redirect_host: Option<String>,
    /// The TCP port to go to.
    pub redirect_port: Option<String>,
}

/// Whose initiators to ask to log out.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestLogout {
    /// The node.
    pub name: String,
    /// The portal group they came through; all by default.
    pub pg_tag: Option<i32>,
}
