//! Target ports, their logical units, and where they are reached.

use std::net::SocketAddr;

use engine::srp::SrpPortConfig;
use scsi::srp::target::{Access, Phase};
use scsi::target::UnitConfig;
use wire::srp::PortId;

use super::params::{AddLun, Admission, Listener, RemoveLun, Target};
use super::results::{Channel, Lun, Stats, TargetPort};
use super::{listen_error, srp_error};
use crate::error::{Errno, RpcError};
use crate::fabric::At;
use crate::method::NoParams;
use crate::methods::nvmf::socket_address;

pub(super) fn create(at: At<'_>, params: Admission) -> Result<bool, RpcError> {
    let config = SrpPortConfig { id: port(&params.id_ext, &params.ioc_guid)?, access: access(&params)? };
    at.shard.add_srp_port(at.env, config).map_err(srp_error)?;
    Ok(true)
}

pub(super) fn delete(at: At<'_>, params: Target) -> Result<bool, RpcError> {
    at.shard.remove_srp_port(at.env, port(&params.id_ext, &params.ioc_guid)?).map_err(srp_error)?;
    Ok(true)
}

pub(super) fn set_initiators(at: At<'_>, params: Admission) -> Result<bool, RpcError> {
    let id = port(&params.id_ext, &params.ioc_guid)?;
    at.shard.set_srp_access(id, access(&params)?).map_err(srp_error)?;
    Ok(true)
}

pub(super) fn add_lun(at: At<'_>, params: AddLun) -> Result<u16, RpcError> {
    let id = port(&params.id_ext, &params.ioc_guid)?;
    let config = UnitConfig { lun: params.lun_id, ..UnitConfig::default() };
    at.shard.add_srp_lun(id, &params.bdev_name, config).map_err(srp_error)
}

pub(super) fn remove_lun(at: At<'_>, params: RemoveLun) -> Result<bool, RpcError> {
    let id = port(&params.id_ext, &params.ioc_guid)?;
    at.shard.remove_srp_lun(at.env, id, params.lun_id).map_err(srp_error)?;
    Ok(true)
}

pub(super) fn listen(at: At<'_>, params: Listener) -> Result<bool, RpcError> {
    at.shard.add_srp_listener(at.env, address(&params)?).map_err(listen_error)?;
    Ok(true)
}

pub(super) fn unlisten(at: At<'_>, params: Listener) -> Result<bool, RpcError> {
    match at.shard.remove_srp_listener(address(&params)?) {
        true => Ok(true),
        false => Err(Errno::NoEntry.because("nobody listens there")),
    }
}

pub(super) fn listeners(at: At<'_>, _: NoParams) -> Result<Vec<Listener>, RpcError> {
    Ok(at.shard.srp().listening().map(listener).collect())
}

pub(super) fn get(at: At<'_>, _: NoParams) -> Result<Vec<TargetPort>, RpcError> {
    let srp = at.shard.srp();
    let show = |port: &scsi::srp::target::TargetPort| {
        let [id_ext, ioc_guid] = halves(port.id);
        let luns = srp.luns().filter(|lun| lun.port == port.id);
        let luns = luns.map(|lun| Lun { lun_id: lun.number, bdev_name: lun.volume.clone() }).collect();
        TargetPort { id_ext, ioc_guid, initiators: initiators(&port.access), luns }
    };
    Ok(srp.registry().ports().map(show).collect())
}

pub(super) fn channels(at: At<'_>, _: NoParams) -> Result<Vec<Channel>, RpcError> {
    let show = |channel: scsi::srp::target::ChannelInfo| Channel {
        initiator: channel.nexus.initiator.to_string(),
        target: channel.nexus.target.to_string(),
        initiator_addr: channel.peer.ip().to_string(),
        state: match channel.phase {
            Phase::Open => "open",
            Phase::Leaving => "leaving",
            Phase::Ending => "ending",
        },
        request_limit: channel.requests_max,
        outstanding: channel.outstanding,
    };
    Ok(at.shard.srp().channels().map(show).collect())
}

pub(super) fn stats(at: At<'_>, _: NoParams) -> Result<Stats, RpcError> {
    let counters = at.shard.srp().counters();
    Ok(Stats {
        logins: counters.logins,
        rejected: counters.rejected,
        replaced: counters.replaced,
        logged_out: counters.logged_out,
        broken: counters.broken,
        terminated: counters.terminated,
        invalid: counters.invalid,
        immediate: counters.immediate,
        tables: counters.tables,
        stalls: counters.stalls,
        holds: counters.holds,
        events: counters.events,
        discovered: counters.discovered,
    })
}

/// The two halves of a target port's name.
pub(super) fn halves(port: PortId) -> [String; 2] {
    [port.extension, port.guid].map(|half| format!("{half:016x}"))
}

/// The initiator ports that may log in, if not all may.
pub(super) fn initiators(access: &Access) -> Option<Vec<String>> {
    match access {
        Access::Any => None,
        Access::Only(ports) => Some(ports.iter().map(ToString::to_string).collect()),
    }
}

/// An address, as it is asked for.
pub(super) fn listener(address: SocketAddr) -> Listener {
    Listener { traddr: address.ip().to_string(), trsvcid: Some(address.port().to_string()) }
}

fn address(params: &Listener) -> Result<SocketAddr, RpcError> {
    let port = params.trsvcid.clone().unwrap_or_else(|| engine::srp::PORT.to_string());
    socket_address(&params.traddr, None, Some(&port))
}

fn access(params: &Admission) -> Result<Access, RpcError> {
    let Some(initiators) = &params.initiators else { return Ok(Access::Any) };
    let ports = initiators.iter().map(|text| match text.split_at_checked(HALF_DIGITS) {
        Some((extension, guid)) => port(extension, guid),
        None => Err(Errno::Invalid.because(BAD_NAME)),
    });
    Ok(Access::Only(ports.collect::<Result<_, _>>()?))
}

fn port(extension: &str, guid: &str) -> Result<PortId, RpcError> {
    let half = |text: &str| {
        let is_half = text.len() == HALF_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_half);
        number.ok_or_else(|| Errno::Invalid.because(BAD_NAME))
    };
    Ok(PortId { extension: half(extension)?, guid: half(guid)? })
}

const HALF_DIGITS: usize = 16;
const BAD_NAME: &str = "the name of a port is twice sixteen hexadecimal digits";
