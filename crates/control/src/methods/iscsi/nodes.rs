//! Target nodes: made, changed, taken away.

use std::net::SocketAddr;
use std::path::Path;

use engine::iscsi::{IscsiError, NodeConfig};
use scsi::iscsi::login::DigestPolicy;
use scsi::iscsi::target::{Access, RegistryError};
use scsi::target::UnitConfig;

use super::auth::Wanted;
use super::options::Defaults;
use super::params::{AddLun, CreateTargetNode, Maps, Name, PgIgMap, RequestLogout, SetAuth, SetRedirect};
use super::{iscsi_error, parse_name, registry_error, tag};
use crate::error::{Errno, RpcError};
use crate::fabric::At;
use crate::method::Reply;
use crate::methods::bdev::entry;

/// Makes a node with all its logical units, or none.
pub(super) fn create(at: At<'_>, defaults: &Defaults, params: CreateTargetNode) -> Result<bool, RpcError> {
    let At { shard, env } = at;
    let (name, mut limits, queue_depth_max) = defaults.for_node(&params.name)?;
    let wanted = Wanted {
        disable: params.disable_chap,
        require: params.require_chap,
        mutual: params.mutual_chap,
        group: params.chap_group,
    };
    let insist = |digest: &mut DigestPolicy, wanted: Option<bool>| {
        if wanted == Some(true) {
            *digest = DigestPolicy::Required;
        }
    };
    insist(&mut limits.header_digest, params.header_digest);
    insist(&mut limits.data_digest, params.data_digest);
    let depth = u32::try_from(params.queue_depth).ok().filter(|depth| *depth > 0);
    let config = NodeConfig {
        name: name.clone(),
        alias: params.alias_name,
        access: access(&params.pg_ig_maps)?,
        authentication: wanted.authentication(shard.iscsi().server().registry())?,
        queue_depth: depth.unwrap_or(queue_depth_max).min(queue_depth_max),
        limits,
    };
    let mut units = Vec::new();
    for lun in &params.luns {
        units.push((entry(shard, &lun.bdev_name)?.name.clone(), unit(lun.lun_id, lun.removable)?));
    }
    shard.iscsi_mut().add_node(env, config).map_err(iscsi_error)?;
    for (volume, config) in units {
        if let Err(error) = shard.add_lun(&name, &volume, config) {
            shard.iscsi_mut().remove_node(env, &name).map_err(iscsi_error)?;
            return Err(iscsi_error(error));
        }
    }
    Ok(true)
}

pub(super) fn delete(at: At<'_>, params: Name) -> Result<bool, RpcError> {
    at.shard.iscsi_mut().remove_node(at.env, &parse_name(&params.name)?).map_err(iscsi_error)?;
    Ok(true)
}

/// Answers when the logical unit is served: with a file of reservations, when that was read.
pub(super) fn add_lun(At { shard, env }: At<'_>, params: AddLun, reply: Reply<bool>) {
    let parse = || {
        let volume = entry(shard, &params.bdev_name)?.name.clone();
        let config = unit(params.lun_id.unwrap_or(LOWEST_FREE), params.removable)?;
        Ok((parse_name(&params.name)?, volume, config))
    };
    let (node, volume, config) = match parse() {
        Ok(parsed) => parsed,
        Err(error) => return reply.send(Err(error)),
    };
    let answer = |served: Result<u16, IscsiError>| reply.send(served.map(|_| true).map_err(iscsi_error));
    match &params.ptpl_file {
        Some(file) => shard.add_kept_lun(env, (&node, &volume, config), Path::new(file), answer),
        None => answer(shard.add_lun(&node, &volume, config)),
    }
}

pub(super) fn add_maps(at: At<'_>, params: Maps) -> Result<bool, RpcError> {
    let added = access(&params.pg_ig_maps)?;
    change_maps(at, &params.name, |maps| {
        if added.iter().any(|one| maps.contains(one)) {
            return Err(Errno::Exists.because("the node is reached like this already"));
        }
        maps.extend(added);
        Ok(())
    })
}

pub(super) fn remove_maps(at: At<'_>, params: Maps) -> Result<bool, RpcError> {
    let removed = access(&params.pg_ig_maps)?;
    change_maps(at, &params.name, |maps| {
        if !removed.iter().all(|one| maps.contains(one)) {
            return Err(Errno::NoEntry.because("the node is not reached like this"));
        }
        maps.retain(|one| !removed.contains(one));
        Ok(())
    })
}

pub(super) fn set_auth(at: At<'_>, params: SetAuth) -> Result<bool, RpcError> {
    let wanted = Wanted {
        disable: params.disable_chap,
        require: params.require_chap,
        mutual: params.mutual_chap,
        group: params.chap_group,
    };
    let registry = at.shard.iscsi_mut().server_mut().registry_mut();
    let authentication = wanted.authentication(registry)?;
    let node = registry.node_mut(&parse_name(&params.name)?);
    node.ok_or_else(|| registry_error(RegistryError::Unknown))?.authentication = authentication;
    Ok(true)
}

pub(super) fn set_redirect(at: At<'_>, params: SetRedirect) -> Result<bool, RpcError> {
    let elsewhere = match (&params.redirect_host, &params.redirect_port) {
        (Some(host), Some(port)) => {
            let ip = host.trim_start_matches('[').trim_end_matches(']').parse();
            let ip = ip.map_err(|_| Errno::Invalid.because("redirect_host is not an IP address"))?;
            let port = port.parse().map_err(|_| Errno::Invalid.because("redirect_port is not a TCP port"))?;
            Some(SocketAddr::new(ip, port))
        }
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(Errno::Invalid.because("redirect_host and redirect_port go together"));
        }
    };
    let group: u16 = tag(params.pg_tag)?;
    let registry = at.shard.iscsi_mut().server_mut().registry_mut();
    let node = registry.node_mut(&parse_name(&params.name)?);
    let node = node.ok_or_else(|| registry_error(RegistryError::Unknown))?;
    if !node.access.iter().any(|access| access.portal_group == group) {
        return Err(Errno::NoEntry.because("the node is not reached through this portal group"));
    }
    match elsewhere {
        Some(address) => drop(node.redirects.insert(group, address)),
        None => drop(node.redirects.remove(&group)),
    }
    Ok(true)
}

pub(super) fn request_logout(at: At<'_>, params: RequestLogout) -> Result<bool, RpcError> {
    let name = parse_name(&params.name)?;
    let group = params.pg_tag.map(tag).transpose()?;
    let server = at.shard.iscsi_mut().server_mut();
    if server.registry().node(&name).is_none() {
        return Err(registry_error(RegistryError::Unknown));
    }
    server.request_logout(at.env, &name, group, LOGOUT_S);
    Ok(true)
}

fn change_maps(
    at: At<'_>,
    name: &str,
    change: impl FnOnce(&mut Vec<Access>) -> Result<(), RpcError>,
) -> Result<bool, RpcError> {
    let name = parse_name(name)?;
    let iscsi = at.shard.iscsi_mut();
    let node = iscsi.server().registry().node(&name).ok_or_else(|| registry_error(RegistryError::Unknown))?;
    let mut maps = node.access.clone();
    change(&mut maps)?;
    iscsi.set_access(&name, maps).map_err(iscsi_error)?;
    Ok(true)
}

fn access(maps: &[PgIgMap]) -> Result<Vec<Access>, RpcError> {
    let access =
        |map: &PgIgMap| Ok(Access { portal_group: tag(map.pg_tag)?, initiator_group: tag(map.ig_tag)? });
    maps.iter().map(access).collect()
}

/// A logical unit with this number.
fn unit(lun: i32, removable: Option<bool>) -> Result<UnitConfig, RpcError> {
    let lun = match u16::try_from(lun) {
        Ok(lun) => Some(lun),
        Err(_) if lun == LOWEST_FREE => None,
        Err(_) => return Err(Errno::Invalid.because("lun_id")),
    };
    Ok(UnitConfig { lun, removable: removable.unwrap_or(false), ..UnitConfig::default() })
}

/// Stands for the lowest number that is free.
const LOWEST_FREE: i32 = -1;

/// How long an initiator that is asked to log out may take, in seconds.
const LOGOUT_S: u16 = 10;
