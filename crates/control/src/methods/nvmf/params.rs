//! What the `nvmf_*` methods take, by SPDK's names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{Allow, AnyNode, Hex, MatchAny, Off, OnlyTarget, PosixSock, Uuid, Zero};

/// An NVMe-oF transport, and what connections may use: the same over all transports. What is not said stays as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTransport {
    /// `TCP` or `RDMA`.
    pub trtype: String,
    /// The target.
    pub tgt_name: Option<OnlyTarget>,
    /// Commands under way on a queue.
    pub max_queue_depth: Option<u16>,
    /// I/O queues of a controller.
    pub max_io_qpairs_per_ctrlr: Option<u16>,
    /// Bytes of data within a command's capsule.
    pub in_capsule_data_size: Option<u32>,
    /// Bytes of one command's data.
    pub max_io_size: Option<u32>,
    /// Buffers are as long as a command's data, whatever this says.
    pub io_unit_size: Option<u32>,
    /// Buffers come from one pool, whatever this says.
    pub num_shared_buffers: Option<u32>,
    /// As `num_shared_buffers`.
    pub buf_cache_size: Option<u32>,
    /// Aborted commands are answered when their volume lets go of them, whatever this says.
    pub abort_timeout_sec: Option<u32>,
    /// Devices choose how long they wait for acknowledgements, whatever this says.
    pub ack_timeout: Option<u32>,
    /// Requests under way are limited for each connection, whatever this says.
    pub data_wr_pool_size: Option<u32>,
    /// Shared receives are as many as the connections' queues are deep, whatever this says.
    pub max_srq_depth: Option<u32>,
    /// Completion queues are as long as the connections need, whatever this says.
    pub num_cqe: Option<u32>,
    /// Commands under way on the admin queue.
    pub max_aq_depth: Option<u32>,
    /// Reads end with the last data unit, without a completion of their own.
    pub c2h_success: Option<bool>,
    /// Reads from RAM volumes never copy, whatever this says.
    pub zcopy: Option<bool>,
    /// Receives are shared by all connections of a device.
    pub no_srq: Option<Off>,
    /// Requests are posted together.
    pub no_wr_batching: Option<Off>,
    /// There is no protection information.
    pub dif_insert_or_strip: Option<Off>,
    /// Sockets have no priority.
    pub sock_priority: Option<Zero>,
    /// vfio-user only.
    pub disable_mappable_bar0: Option<Off>,
    /// vfio-user only.
    pub disable_adaptive_irq: Option<Off>,
    /// vfio-user only.
    pub disable_shadow_doorbells: Option<Off>,
    /// Nothing is passed through.
    pub disable_command_passthru: Option<bool>,
}

/// Which transports to show.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetTransports {
    /// The transport type; all by default.
    pub trtype: Option<String>,
    /// The target.
    pub tgt_name: Option<OnlyTarget>,
}

/// The target.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetOnly {
    /// The target.
    pub tgt_name: Option<OnlyTarget>,
}

/// A subsystem.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nqn {
    /// The subsystem.
    pub nqn: String,
    /// The target.
    pub tgt_name: Option<OnlyTarget>,
}

/// Which subsystems to show.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetSubsystems {
    /// The subsystem; all by default.
    pub nqn: Option<String>,
    /// The target.
    pub tgt_name: Option<OnlyTarget>,
}

/// A new subsystem.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSubsystem {
    /// Its NQN.
    pub nqn: String,
    /// The target.
    pub tgt_name: Option<OnlyTarget>,
    /// The serial number of its controllers: up to 20 characters.
    pub serial_number: Option<String>,
    /// The model number of its controllers: up to 40 characters.
    pub model_number: Option<String>,
    /// How many namespaces it may have.
    pub max_namespaces: Option<u32>,
    /// Whether every host may connect; only those added by default.
    pub allow_any_host: Option<bool>,
    /// Whether controllers report ANA states.
    pub ana_reporting: Option<bool>,
    /// The least controller id.
    pub min_cntlid: Option<u16>,
    /// The greatest controller id.
    pub max_cntlid: Option<u16>,
    /// Nothing is passed through.
    pub passthrough: Option<Off>,
    /// Subsystems are not reset as a whole.
    pub enable_nssr: Option<Off>,
}

/// Where a transport listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenAddress {
    /// `TCP` or `RDMA`.
    pub trtype: String,
    /// `IPv4` or `IPv6`; as the address is by default.
    pub adrfam: Option<String>,
    /// The IP address.
    pub traddr: String,
    /// The TCP port; 4420 by default.
    pub trsvcid: Option<String>,
}

/// A new listener.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddListener {
    /// The subsystem; `discovery` means the discovery service.
    pub nqn: String,
    /// The target.
    pub tgt_name: Option<OnlyTarget>,
    /// Where to listen.
    pub listen_address: ListenAddress,
    /// Connections are not encrypted.
    pub secure_channel: Option<Off>,
    /// The ANA state of its namespaces here.
    pub ana_state: Option<AnaState>,
    /// Sockets are of one kind.
    pub sock_impl: Option<PosixSock>,
    /// Memory comes from anywhere.
    pub numa_id: Option<AnyNode>,
}

/// A listener.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveListener {
    /// The subsystem; `discovery` means the discovery service.
    pub nqn: String,
    /// The target.
    pub tgt_name: Option<OnlyTarget>,
    /// Where it listens.
    pub listen_address: ListenAddress,
}

/// Another ANA state for a listener.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetAnaState {
    /// The subsystem.
    pub nqn: String,
    /// The target.
    pub tgt_name: Option<OnlyTarget>,
    /// Where it listens.
    pub listen_address: ListenAddress,
    /// The new state.
    pub ana_state: AnaState,
    /// The ANA group; all by default.
    pub anagrpid: Option<u32>,
}

/// A way's state of asymmetric namespace access (NVMe Base, 8.1.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnaState {
    /// The way to take.
    Optimized,
    /// A way to take if there is none better.
    NonOptimized,
    /// No way now.
    Inaccessible,
}

/// A new namespace.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddNs {
    /// The subsystem.
    pub nqn: String,
    /// The target.
    pub tgt_name: Option<OnlyTarget>,
    /// The namespace.
    pub namespace: Namespace,
}

/// A namespace.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// The volume it stands for.
    pub bdev_name: String,
    /// Its id, from 1; the first that is free by default.
    pub nsid: Option<u32>,
    /// Its NGUID: 32 hexadecimal digits; follows from the volume's UUID by default.
    pub nguid: Option<Hex<16>>,
    /// Its EUI-64: 16 hexadecimal digits; none by default.
    pub eui64: Option<Hex<8>>,
    /// Its UUID; the volume's by default.
    pub uuid: Option<Uuid>,
    /// Its ANA group; the namespace id by default.
    pub anagrpid: Option<u32>,
    /// A file to keep reservations in, over a power loss; they are not kept by default.
    pub ptpl_file: Option<String>,
    /// Namespaces are visible to every host of the subsystem.
    pub no_auto_visible: Option<Off>,
}

/// A namespace of a subsystem.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveNs {
    /// The subsystem.
    pub nqn: String,
    /// The target.
    pub tgt_name: Option<OnlyTarget>,
    /// The namespace's id.
    pub nsid: u32,
}

/// A host that may connect.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddHost {
    /// The subsystem.
    pub nqn: String,
    /// The target.
    pub tgt_name: Option<OnlyTarget>,
    /// The host's NQN.
    pub host: String,
}

/// A host that may no longer connect.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveHost {
    /// The subsystem.
    pub nqn: String,
    /// The target.
    pub tgt_name: Option<OnlyTarget>,
    /// The host's NQN. Its connections end at once.
    pub host: String,
}

/// Whether every host may connect.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllowAnyHost {
    /// The subsystem.
    pub nqn: String,
    /// The target.
    pub tgt_name: Option<OnlyTarget>,
    /// Whether every host may connect, or only those added.
    pub allow_any_host: bool,
}

/// A limit.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMaxSubsystems {
    /// How many subsystems there may be: at most 1023.
    pub max_subsystems: u32,
}

/// What holds for the target as a whole.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetConfig {
    /// Nothing is passed through.
    pub admin_cmd_passthru: Option<Passthru>,
    /// Every host is shown all that it may reach.
    pub discovery_filter: Option<MatchAny>,
    /// A host may connect as often as it likes.
    pub dup_host_policy: Option<Allow>,
}

/// Admin commands that are handed to the volume: none.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Passthru {
    /// Not passed through.
    pub identify_ctrlr: Option<Off>,
    /// Not passed through.
    pub identify_uuid_list: Option<Off>,
    /// Not passed through.
    pub get_log_page: Option<Off>,
    /// Not passed through.
    pub get_set_features: Option<Off>,
    /// Not passed through.
    pub sanitize: Option<Off>,
    /// Not passed through.
    pub security_send_recv: Option<Off>,
    /// Not passed through.
    pub fw_update: Option<Off>,
    /// Not passed through.
    pub nvme_mi: Option<Off>,
    /// Not passed through.
    pub vendor_specific: Option<Off>,
}

/// Another discovery service to point hosts to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddReferral {
    /// The target.
    pub tgt_name: Option<OnlyTarget>,
    /// Where it listens.
    pub address: ListenAddress,
    /// Connections are not encrypted.
    pub secure_channel: Option<Off>,
    /// Its NQN; that of every discovery service by default.
    pub subnqn: Option<String>,
}

/// A referral.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveReferral {
    /// The target.
    pub tgt_name: Option<OnlyTarget>,
    /// Where it points.
    pub address: ListenAddress,
    /// The NQN it points to.
    pub subnqn: Option<String>,
}
