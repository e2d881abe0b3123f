//! What the `bdev_nvme_*` methods take and answer, by SPDK's names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{Off, On};

/// A controller of another machine, whose namespaces become volumes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachController {
    /// What to call it; its namespaces are called by that name, `n` and their number.
    pub name: String,
    /// `TCP` or `RDMA`.
    pub trtype: String,
    /// The controller's IP address.
    pub traddr: String,
    /// `IPv4` or `IPv6`; as the address is by default.
    pub adrfam: Option<String>,
    /// The controller's port; 4420 by default.
    pub trsvcid: Option<String>,
    /// The subsystem's NQN.
    pub subnqn: Option<String>,
    /// Our NQN; one made from this machine's identity by default.
    pub hostnqn: Option<String>,
    /// Over RDMA, the address of ours to connect from; the one that leads there by default.
    pub hostaddr: Option<String>,
    /// Protect headers by digests.
    pub hdgst: Option<bool>,
    /// Protect data by digests.
    pub ddgst: Option<bool>,
    /// How long the way up may take, in microseconds.
    pub fabrics_connect_timeout_us: Option<u64>,
    /// There is one path to a controller.
    pub multipath: Option<Multipath>,
    /// I/O queues to ask for.
    pub num_io_queues: Option<u32>,
    /// How long after a loss to go on trying, in seconds; -1 for ever, 0 not at all.
    pub ctrlr_loss_timeout_sec: Option<i32>,
    /// How long to wait before trying again, in seconds.
    pub reconnect_delay_sec: Option<u32>,
    /// How long after a loss requests wait before they fail, in seconds; 0 as long as it is tried.
    pub fast_io_fail_timeout_sec: Option<u32>,
    /// There is no protection information.
    pub prchk_reftag: Option<Off>,
    /// There is no protection information.
    pub prchk_guard: Option<Off>,
    /// Namespaces of other command sets are left alone.
    pub allow_unrecognized_csi: Option<Off>,
    /// Flow control is used only if the controller insists, whatever this says.
    pub disable_sq_flow_control: Option<bool>,
}

/// What to do about a second path of a controller's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Multipath {
    /// Refuse it.
    Disable,
}

/// A controller to let go of.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetachController {
    /// Its name here.
    pub name: String,
}

/// A discovery service to watch. The controllers it leads to are attached, and let go when it leads there no more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartDiscovery {
    /// What to call it; its controllers are called by that name and a number.
    pub name: String,
    /// `TCP` or `RDMA`.
    pub trtype: String,
    /// The service's IP address.
    pub traddr: String,
    /// `IPv4` or `IPv6`; as the address is by default.
    pub adrfam: Option<String>,
    /// The service's port; 8009 by default.
    pub trsvcid: Option<String>,
    /// Our NQN; a random one by default.
    pub hostnqn: Option<String>,
    /// Over RDMA, the address of ours to connect from; the one that leads there by default.
    pub hostaddr: Option<String>,
    /// Answer only when all is attached that the service leads to at first, or could not be.
    pub wait_for_attach: Option<bool>,
    /// How long to wait for that, in milliseconds, before the watch is ended again; as long as it takes by default.
    pub attach_timeout_ms: Option<u64>,
    /// How long after a loss to go on trying, in seconds; -1 for ever, 0 not at all.
    pub ctrlr_loss_timeout_sec: Option<i32>,
    /// How long to wait before trying again, in seconds.
    pub reconnect_delay_sec: Option<u32>,
    /// How long after a loss requests wait before they fail, in seconds; 0 as long as it is tried.
    pub fast_io_fail_timeout_sec: Option<u32>,
}

/// A discovery service to watch no longer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopDiscovery {
    /// Its name here.
    pub name: String,
}

/// Which controllers to show.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetControllers {
    /// One controller; all by default.
    pub name: Option<String>,
}

/// What holds for controllers attached from now on, unless they are attached with something else.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetOptions {
    /// How long a command may take before it is aborted, in microseconds; not 0.
    pub timeout_us: Option<u64>,
    /// How long an admin command may take before the connection counts as lost, in microseconds; not 0.
    pub timeout_admin_us: Option<u64>,
    /// How long the controller may hear nothing before it gives us up, in milliseconds; 0 for ever.
    pub keep_alive_timeout_ms: Option<u32>,
    /// How long after a loss to go on trying, in seconds; -1 for ever, 0 not at all.
    pub ctrlr_loss_timeout_sec: Option<i32>,
    /// How long to wait before trying again, in seconds.
    pub reconnect_delay_sec: Option<u32>,
    /// How long after a loss requests wait before they fail, in seconds; 0 as long as it is tried.
    pub fast_io_fail_timeout_sec: Option<u32>,
    /// How long a connection may take to be made, in milliseconds; not 0.
    pub tcp_connect_timeout_ms: Option<u32>,
    /// Requests of all queues that may be under way or waiting.
    pub io_queue_requests: Option<u32>,
    /// Commands are always sent in batches.
    #[serde(skip_serializing)]
    pub delay_cmd_submit: Option<On>,
    /// There is one path to a controller.
    #[serde(skip_serializing)]
    pub disable_auto_failback: Option<bool>,
    /// A namespace that has no identity gets a random one.
    #[serde(skip_serializing)]
    pub generate_uuids: Option<bool>,
    /// Errors are counted with each volume.
    #[serde(skip_serializing)]
    pub nvme_error_stat: Option<Off>,
    /// There is one path to a controller.
    #[serde(skip_serializing)]
    pub io_path_stat: Option<Off>,
    /// Nothing is offloaded.
    #[serde(skip_serializing)]
    pub allow_accel_sequence: Option<Off>,
    /// Flushes are always passed on, whatever this says.
    #[serde(skip_serializing)]
    pub enable_flush: Option<bool>,
}

/// An attached controller.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Controller {
    /// Its name here.
    pub name: String,
    /// Its paths: there is one.
    pub ctrlrs: Vec<Path>,
}

/// A path to a controller.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Path {
    /// `enabled`, `resetting` or `failed`.
    pub state: &'static str,
    /// Where it leads.
    pub trid: TransportId,
    /// The controller's id over there.
    pub cntlid: u16,
    /// Who we are.
    pub host: HostId,
}

/// A discovery service that is watched.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DiscoveryService {
    /// Its name here.
    pub name: String,
    /// Where it is.
    pub trid: TransportId,
    /// Where it leads.
    pub referrals: Vec<FoundController>,
}

/// A controller that a discovery service led to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FoundController {
    /// Its name here. Not in SPDK.
    pub name: String,
    /// Where it is.
    pub trid: TransportId,
}

/// Where a path leads.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TransportId {
    /// `TCP` or `RDMA`.
    pub trtype: &'static str,
    /// `IPv4` or `IPv6`.
    pub adrfam: &'static str,
    /// The IP address.
    pub traddr: String,
    /// The TCP port.
    pub trsvcid: String,
    /// The subsystem's NQN.
    pub subnqn: String,
}

/// Who we are to a controller.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HostId {
    /// Our NQN.
    pub nqn: String,
}
