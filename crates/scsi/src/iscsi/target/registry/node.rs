//! A target node.

use crate::iscsi::IscsiName;
use crate::iscsi::login;
use crate::target::DeviceKey;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A target node (RFC 7143, section 4.4.1): a SCSI device under an iSCSI name.
#[derive(Clone, Debug)]
pub struct Node {
    /// TargetName.
    pub name: IscsiName,
    /// TargetAlias; empty for none.
    pub alias: String,
    /// The device. It has a port for each portal group of `access`, with the group's tag as its relative identifier.
    pub device: DeviceKey,
    /// How it is reached, and by whom.
    pub access: Vec<Access>,
    /// What initiators must prove.
    pub authentication: NodeAuthentication,
    /// Commands a session may have under way: the window of CmdSN. At least 1.
    pub queue_depth: u32,
    /// What is wanted of the negotiation.
    pub limits: login::Limits,
    /// Portal groups whose logins are sent elsewhere for now (RFC 7143, section 11.13.5: target moved temporarily).
    pub redirects: BTreeMap<u16, SocketAddr>,
}

/// One way to reach a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// Through the addresses of this portal group.
    pub portal_group: u16,
    /// By the initiators of this group.
    pub initiator_group: u32,
}

/// What initiators must prove.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct NodeAuthentication {
    /// Whether CHAP is to be used.
    pub chap: ChapPolicy,
    /// The initiator must ask for proof as well.
    pub mutual: bool,
    /// The group of accounts; `None` or an unknown tag has none.
    pub group: Option<u32>,
}

/// Whether CHAP is to be used.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ChapPolicy {
    /// Not at all.
    #[default]
    Disabled,
    /// If the initiator offers it.
    Offered,
    /// Or nobody gets in.
    Required,
}
