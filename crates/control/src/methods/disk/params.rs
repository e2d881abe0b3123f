//! What the `bdev_iscsi_*` methods take, by SPDK's names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A disk of an iSCSI target.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// What to call its volume.
    pub name: String,
    /// Our iSCSI name.
    pub initiator_iqn: String,
    /// The disk: `iscsi://[USER%SECRET@]HOST[:PORT]/IQN/LUN`, or `iser://` for the same over RDMA;
    /// the host is an IP address.
    pub url: String,
}

/// A disk to let go.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// Its volume.
    pub name: String,
}

/// What holds for disks attached from now on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetOptions {
    /// How long a command may take before it is aborted, in seconds; 30 by default, and if 0.
    pub timeout_sec: Option<u64>,
}
