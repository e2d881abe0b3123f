//! Portal groups and initiator groups.

use std::net::{IpAddr, SocketAddr};

use scsi::iscsi::target::{
    AddressPattern, InitiatorGroup, InitiatorPattern, PortalGroup, Registry, RegistryError,
};

use super::params::{ChangeInitiatorGroup, CreateInitiatorGroup, CreatePortalGroup, Portal, Tag};
use super::{iscsi_error, parse_name, registry_error, results, tag};
use crate::error::{Errno, RpcError};
use crate::fabric::At;
use crate::method::NoParams;

pub(super) fn create_initiators(at: At<'_>, params: CreateInitiatorGroup) -> Result<bool, RpcError> {
    let group = InitiatorGroup {
        tag: tag(params.tag)?,
        initiators: parse_all(&params.initiators, pattern)?,
        networks: parse_all(&params.netmasks, network)?,
    };
    check_members(&group)?;
    registry(at).add_initiator_group(group).map_err(registry_error)?;
    Ok(true)
}

pub(super) fn delete_initiators(at: At<'_>, params: Tag) -> Result<bool, RpcError> {
    registry(at).remove_initiator_group(tag(params.tag)?).map_err(registry_error)?;
    Ok(true)
}

pub(super) fn get_initiators(at: At<'_>, _: NoParams) -> Result<Vec<results::InitiatorGroup>, RpcError> {
    let groups = at.shard.iscsi().server().registry().initiator_groups();
    let show = |group: &InitiatorGroup| results::InitiatorGroup {
        tag: group.tag,
        initiators: group.initiators.iter().map(pattern_text).collect(),
        netmasks: group.networks.iter().map(network_text).collect(),
    };
    Ok(groups.map(show).collect())
}

pub(super) fn add_initiators(at: At<'_>, params: ChangeInitiatorGroup) -> Result<bool, RpcError> {
    let initiators = parse_all(&params.initiators.unwrap_or_default(), pattern)?;
    let networks = parse_all(&params.netmasks.unwrap_or_default(), network)?;
    let registry = registry(at);
    let group = initiator_group(registry, params.tag)?;
    let mut changed = group.clone();
    changed.initiators.extend(initiators);
    changed.networks.extend(networks);
    check_members(&changed)?;
    *group = changed;
    Ok(true)
}

pub(super) fn remove_initiators(at: At<'_>, params: ChangeInitiatorGroup) -> Result<bool, RpcError> {
    let initiators = parse_all(&params.initiators.unwrap_or_default(), pattern)?;
    let networks = parse_all(&params.netmasks.unwrap_or_default(), network)?;
    let registry = registry(at);
    let group = initiator_group(registry, params.tag)?;
    let known = initiators.iter().all(|one| group.initiators.contains(one))
        && networks.iter().all(|one| group.networks.contains(one));
    if !known {
        return Err(Errno::NoEntry.because("not all are members"));
    }
    group.initiators.retain(|one| !initiators.contains(one));
    group.networks.retain(|one| !networks.contains(one));
    Ok(true)
}

pub(super) fn create_portals(at: At<'_>, params: CreatePortalGroup) -> Result<bool, RpcError> {
    if params.portals.is_empty() || params.portals.len() > MEMBERS_MAX {
        return Err(Errno::Invalid.because("portals"));
    }
    let portals = params.portals.iter().map(address).collect::<Result<Vec<_>, _>>()?;
    let by_rdma = params.portals.iter().zip(&portals).filter(|(portal, _)| portal.iser == Some(true));
    let rdma = by_rdma.map(|(_, address)| *address).collect();
    let mut group = PortalGroup::new(tag(params.tag)?, portals);
    group.rdma = rdma;
    group.private = params.private.unwrap_or(false);
    let start = !params.wait.unwrap_or(false);
    at.shard.add_portal_group(at.env, group, start).map_err(iscsi_error)?;
    Ok(true)
}

pub(super) fn start_portals(at: At<'_>, params: Tag) -> Result<bool, RpcError> {
    at.shard.start_portal_group(at.env, tag(params.tag)?).map_err(iscsi_error)?;
    Ok(true)
}

pub(super) fn delete_portals(at: At<'_>, params: Tag) -> Result<bool, RpcError> {
    at.shard.remove_portal_group(at.env, tag(params.tag)?).map_err(iscsi_error)?;
    Ok(true)
}

pub(super) fn get_portals(at: At<'_>, _: NoParams) -> Result<Vec<results::PortalGroup>, RpcError> {
    let groups = at.shard.iscsi().server().registry().portal_groups();
    let show = |group: &PortalGroup| results::PortalGroup {
        tag: group.tag,
        portals: portals(group),
        private: group.private,
    };
    Ok(groups.map(show).collect())
}

/// How SPDK writes the addresses of a group, with what it has no word for.
pub(super) fn portals(group: &PortalGroup) -> Vec<Portal> {
    let one = |address: &SocketAddr| Portal {
        host: address.ip().to_string(),
        port: Some(address.port().to_string()),
        iser: group.rdma.contains(address).then_some(true),
    };
    group.portals.iter().map(one).collect()
}

fn address(portal: &Portal) -> Result<SocketAddr, RpcError> {
    let host = portal.host.trim_start_matches('[').trim_end_matches(']');
    let ip: IpAddr = host.parse().map_err(|_| Errno::Invalid.because("host is not an IP address"))?;
    let port = portal.port.as_deref().map_or(Ok(wire::iscsi::PORT), str::parse);
    Ok(SocketAddr::new(ip, port.map_err(|_| Errno::Invalid.because("port is not a TCP port"))?))
}

/// A name, `ANY`, or either with `!` before it.
fn pattern(text: &str) -> Result<InitiatorPattern, RpcError> {
    Ok(match text.strip_prefix('!') {
        Some("ANY" | "ALL") => InitiatorPattern::NotAny,
        Some(name) => InitiatorPattern::NotName(parse_name(name)?),
        None if matches!(text, "ANY" | "ALL") => InitiatorPattern::Any,
        None => InitiatorPattern::Name(parse_name(text)?),
    })
}

/// The text of a pattern, as it is read.
pub(super) fn pattern_text(pattern: &InitiatorPattern) -> String {
    match pattern {
        InitiatorPattern::Any => "ANY".to_owned(),
        InitiatorPattern::NotAny => "!ANY".to_owned(),
        InitiatorPattern::Name(name) => name.to_string(),
        InitiatorPattern::NotName(name) => format!("!{name}"),
    }
}

/// `ANY`, an address, an address with a number of bits, or an IPv4 address with a mask.
fn network(text: &str) -> Result<AddressPattern, RpcError> {
    let wrong = || Errno::Invalid.because("a netmask is ANY, ADDRESS or ADDRESS/BITS");
    if matches!(text, "ANY" | "ALL") {
        return Ok(AddressPattern::Any);
    }
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let ip: IpAddr = address.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| wrong())?;
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Ok(most), |bits| bits.parse::<u8>().map_err(|_| wrong()))?;
    if bits > most { Err(wrong()) } else { Ok(AddressPattern::Network(ip, bits)) }
}

/// The text of a network, as it is read.
pub(super) fn network_text(network: &AddressPattern) -> String {
    match network {
        AddressPattern::Any => "ANY".to_owned(),
        AddressPattern::Network(ip, bits) => format!("{ip}/{bits}"),
    }
}

fn parse_all<T>(texts: &[String], parse: fn(&str) -> Result<T, RpcError>) -> Result<Vec<T>, RpcError> {
    texts.iter().map(|text| parse(text)).collect()
}

fn check_members(group: &InitiatorGroup) -> Result<(), RpcError> {
    match group.initiators.len().max(group.networks.len()) {
        0..=MEMBERS_MAX => Ok(()),
        _ => Err(Errno::NoMemory.because("too many members")),
    }
}

fn initiator_group(registry: &mut Registry, group: i32) -> Result<&mut InitiatorGroup, RpcError> {
    registry.initiator_group_mut(tag(group)?).ok_or_else(|| registry_error(RegistryError::Unknown))
}

fn registry<'a>(at: At<'a>) -> &'a mut Registry {
    at.shard.iscsi_mut().server_mut().registry_mut()
}

/// Members of one group, of each kind.
const MEMBERS_MAX: usize = 256;
