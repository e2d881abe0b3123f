//! Namespaces of a subsystem.

use engine::NamespaceError;
use nvme::target::NamespaceConfig;
use std::path::Path;

use super::params::{AddNs, RemoveNs};
use super::{namespace_error, parse_nqn};
use crate::error::RpcError;
use crate::fabric::At;
use crate::method::Reply;
use crate::methods::bdev::entry;

/// Answers when the namespace is served: with a file of reservations, when that was read.
pub(super) fn add(At { shard, env }: At<'_>, params: AddNs, reply: Reply<u32>) {
    let namespace = params.namespace;
    let parse = || Ok((parse_nqn(&params.nqn)?, entry(shard, &namespace.bdev_name)?.name.clone()));
    let (nqn, volume) = match parse() {
        Ok(parsed) => parsed,
        Err(error) => return reply.send(Err(error)),
    };
    let config = NamespaceConfig {
        nsid: namespace.nsid.filter(|nsid| *nsid > 0),
        uuid: namespace.uuid.map(|uuid| uuid.0).unwrap_or_default(),
        nguid: namespace.nguid.map(|nguid| nguid.0),
        eui64: namespace.eui64.map(|eui64| eui64.0),
        anagrpid: namespace.anagrpid.filter(|group| *group > 0),
        ptpl: false,
    };
    let answer = |served: Result<u32, NamespaceError>| reply.send(served.map_err(namespace_error));
    match &namespace.ptpl_file {
        Some(file) => shard.add_kept_namespace(env, (&nqn, &volume, config), Path::new(file), answer),
        None => answer(shard.add_namespace(&nqn, &volume, config)),
    }
}

pub(super) fn remove(at: At<'_>, params: RemoveNs) -> Result<bool, RpcError> {
    at.shard.remove_namespace(&parse_nqn(&params.nqn)?, params.nsid).map_err(namespace_error)?;
    Ok(true)
}
