//! Namespaces of a subsystem.

use nvme::target::NamespaceConfig;

use super::params::{AddNs, RemoveNs};
use super::{namespace_error, parse_nqn};
use crate::error::RpcError;
use crate::fabric::At;
use crate::methods::bdev::entry;

pub(super) fn add(at: At<'_>, params: AddNs) -> Result<u32, RpcError> {
    let nqn = parse_nqn(&params.nqn)?;
    let namespace = params.namespace;
    let volume = entry(at.shard, &namespace.bdev_name)?.name.clone();
    let config = NamespaceConfig {
        nsid: namespace.nsid.filter(|nsid| *nsid > 0),
        uuid: namespace.uuid.map(|uuid| uuid.0).unwrap_or_default(),
        nguid: namespace.nguid.map(|nguid| nguid.0),
        eui64: namespace.eui64.map(|eui64| eui64.0),
        anagrpid: namespace.anagrpid.filter(|group| *group > 0),
        ptpl: false,
    };
    at.shard.add_namespace(&nqn, &volume, config).map_err(namespace_error)
}

pub(super) fn remove(at: At<'_>, params: RemoveNs) -> Result<bool, RpcError> {
    at.shard.remove_namespace(&parse_nqn(&params.nqn)?, params.nsid).map_err(namespace_error)?;
    Ok(true)
}
