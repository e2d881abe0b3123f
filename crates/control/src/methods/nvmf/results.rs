//! What the `nvmf_*` methods answer, by SPDK's names.

use schemars::JsonSchema;
use serde::Serialize;

use super::params::ListenAddress;
use crate::values::{Hex, Uuid};

/// A transport.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Transport {
    /// Its type.
    pub trtype: &'static str,
    /// Commands under way on a queue.
    pub max_queue_depth: u16,
    /// I/O queues of a controller.
    pub max_io_qpairs_per_ctrlr: u16,
    /// Bytes of data within a command's capsule.
    pub in_capsule_data_size: u32,
    /// Bytes of one command's data.
    pub max_io_size: u32,
    /// Commands under way on the admin queue.
    pub max_aq_depth: u16,
    /// Reads end with the last data unit, over TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub c2h_success: Option<bool>,
}

/// A subsystem.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Subsystem {
    /// Its NQN.
    pub nqn: String,
    /// `NVMe` or `Discovery`.
    pub subtype: &'static str,
    /// Where it listens.
    pub listen_addresses: Vec<ListenAddress>,
    /// Whether every host may connect.
    pub allow_any_host: bool,
    /// The hosts that may.
    pub hosts: Vec<Host>,
    /// What only an NVM subsystem has.
    #[serde(flatten)]
    pub nvm: Option<NvmSubsystem>,
}

/// What only an NVM subsystem has.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NvmSubsystem {
    /// The serial number.
    pub serial_number: String,
    /// The model number.
    pub model_number: String,
    /// How many namespaces it may have.
    pub max_namespaces: u32,
    /// The least controller id.
    pub min_cntlid: u16,
    /// The greatest controller id.
    pub max_cntlid: u16,
    /// Whether controllers report ANA states.
    pub ana_reporting: bool,
    /// Its namespaces.
    pub namespaces: Vec<Namespace>,
}

/// A host that may connect.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Host {
    /// Its NQN.
    pub nqn: String,
}

/// A namespace.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Namespace {
    /// Its id.
    pub nsid: u32,
    /// The volume it stands for.
    pub bdev_name: String,
    /// The same: SPDK's older name for it.
    pub name: String,
    /// Its NGUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nguid: Option<Hex<16>>,
    /// Its EUI-64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eui64: Option<Hex<8>>,
    /// Its UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
    /// Its ANA group, where ANA states are reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anagrpid: Option<u32>,
}

/// A controller.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Controller {
    /// Its id.
    pub cntlid: u16,
    /// `io` or `discovery`.
    pub cntrltype: &'static str,
    /// The host it serves.
    pub hostnqn: String,
    /// That host's id.
    pub hostid: Uuid,
    /// How many I/O queues are connected.
    pub num_io_qpairs: usize,
}

/// A queue.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Qpair {
    /// Its controller.
    pub cntlid: u16,
    /// Its number; 0 is the admin queue.
    pub qid: u16,
    /// `enabled`.
    pub state: &'static str,
    /// Its entries.
    pub entries: u32,
    /// Commands under way.
    pub outstanding: u32,
    /// The host's NQN.
    pub hostnqn: String,
    /// Where it came to.
    pub listen_address: ListenAddress,
    /// Where it comes from.
    pub peer_address: ListenAddress,
}

/// A listener.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listener {
    /// Where it listens.
    pub address: ListenAddress,
    /// The ANA states of its groups.
    pub ana_states: Vec<GroupState>,
}

/// The ANA state of a group.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GroupState {
    /// The group.
    pub ana_group: u32,
    /// Its state.
    pub ana_state: &'static str,
}

/// Another discovery service.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Referral {
    /// Where it listens.
    pub address: ListenAddress,
    /// Connections are not encrypted.
    pub secure_channel: bool,
    /// Its NQN.
    pub subnqn: String,
}

/// Counters of the target.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Stats {
    /// Ticks a second.
    pub tick_rate: u64,
    /// One for each shard.
    pub poll_groups: Vec<PollGroup>,
}

/// Counters of a shard.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PollGroup {
    /// The shard.
    pub name: &'static str,
    /// Admin queues now.
    pub current_admin_qpairs: usize,
    /// I/O queues now.
    pub current_io_qpairs: usize,
    /// Controllers now.
    pub current_controllers: usize,
    /// Commands under way.
    pub pending_bdev_io: u64,
    /// Commands completed.
    pub completed_nvme_io: u64,
    /// The transports.
    pub transports: Vec<TransportStats>,
}

/// Counters of a transport.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TransportStats {
    /// Its type.
    pub trtype: &'static str,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections closed at once because there were too many, or refused for what they asked.
    pub turned_away: u64,
    /// Connect commands refused.
    pub connects_refused: u64,
    /// Connections that did not finish their handshake in time.
    pub handshakes_timed_out: u64,
    /// Connections that we ended because of what they sent.
    pub terminated: u64,
    /// Connections that broke.
    pub broken: u64,
    /// Data units whose data did not match its digest, where the transport has digests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_digest_errors: Option<u64>,
}
