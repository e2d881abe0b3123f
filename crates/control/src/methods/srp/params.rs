//! What the `srp_*` methods take.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A target port by its name, each half in sixteen hexadecimal digits, as Linux's `add_target` has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The identifier extension.
    pub id_ext: String,
    /// The GUID of the I/O controller.
    pub ioc_guid: String,
}

/// A target port to be made, or who may log in to one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admission {
    /// The identifier extension.
    pub id_ext: String,
    /// The GUID of the I/O controller.
    pub ioc_guid: String,
    /// The initiator ports that may log in, each in 32 hexadecimal digits; all, if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiators: Option<Vec<String>>,
}

/// A volume to be served.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddLun {
    /// The identifier extension.
    pub id_ext: String,
    /// The GUID of the I/O controller.
    pub ioc_guid: String,
    /// The volume.
    pub bdev_name: String,
    /// Its number; the lowest that is free, if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lun_id: Option<u16>,
}

/// A logical unit to be taken away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveLun {
    /// The identifier extension.
    pub id_ext: String,
    /// The GUID of the I/O controller.
    pub ioc_guid: String,
    /// Its number.
    pub lun_id: u16,
}

/// An address of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// The IP address.
    pub traddr: String,
    /// The port; 5555, if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trsvcid: Option<String>,
}

/// A disk of an SRP target.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDisk {
    /// What to call its volume.
    pub name: String,
    /// The disk: `srp://HOST[:PORT]/TARGET/LUN?from=ADDRESS`; the host is an IP address, TARGET the target port in 32 hexadecimal
    /// digits, ADDRESS the address of this machine to connect from.
    pub url: String,
}

/// A disk to let go.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteDisk {
    /// Its volume.
    pub name: String,
}
