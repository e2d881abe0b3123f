//! Subsystems: made, taken away, shown.

use engine::Shard;
use nvme::target::{NamespaceInfo, SubsystemConfig, SubsystemInfo};

use super::params::{CreateSubsystem, GetSubsystems, ListenAddress, Nqn};
use super::results::{Host, Namespace, NvmSubsystem, Subsystem};
use super::{config_error, namespace_error, parse_nqn};
use crate::error::RpcError;
use crate::fabric::At;
use crate::values::{Hex, Uuid};

pub(super) fn create(at: At<'_>, params: CreateSubsystem) -> Result<bool, RpcError> {
    let defaults = SubsystemConfig::new(parse_nqn(&params.nqn)?);
    let config = SubsystemConfig {
        serial: params.serial_number.unwrap_or(defaults.serial),
        model: params.model_number.unwrap_or(defaults.model),
        max_namespaces: params.max_namespaces.filter(|max| *max > 0).unwrap_or(defaults.max_namespaces),
        allow_any_host: params.allow_any_host.unwrap_or(false),
        ana_reporting: params.ana_reporting.unwrap_or(false),
        min_cntlid: params.min_cntlid.unwrap_or(defaults.min_cntlid),
        max_cntlid: params.max_cntlid.unwrap_or(defaults.max_cntlid),
        nqn: defaults.nqn,
    };
    at.shard.target_mut().create_subsystem(config).map_err(config_error)?;
    Ok(true)
}

pub(super) fn delete(at: At<'_>, params: Nqn) -> Result<bool, RpcError> {
    at.shard.delete_subsystem(at.env, &parse_nqn(&params.nqn)?).map_err(namespace_error)?;
    Ok(true)
}

pub(super) fn get(at: At<'_>, params: GetSubsystems) -> Result<Vec<Subsystem>, RpcError> {
    let target = at.shard.target();
    let found: Vec<SubsystemInfo> = match &params.nqn {
        Some(nqn) => vec![target.subsystem(&parse_nqn(nqn)?).map_err(config_error)?],
        None => target.subsystems().collect(),
    };
    Ok(found.iter().map(|info| show(at.shard, info)).collect())
}

fn show(shard: &Shard, info: &SubsystemInfo) -> Subsystem {
    let config = &info.config;
    let nvm = || NvmSubsystem {
        serial_number: config.serial.clone(),
        model_number: config.model.clone(),
        max_namespaces: config.max_namespaces,
        min_cntlid: config.min_cntlid,
        max_cntlid: config.max_cntlid,
        ana_reporting: config.ana_reporting,
        namespaces: info.namespaces.iter().map(|namespace| show_namespace(shard, info, namespace)).collect(),
    };
    Subsystem {
        nqn: config.nqn.as_str().to_owned(),
        subtype: if info.discovery { "Discovery" } else { "NVMe" },
        listen_addresses: info.listeners.iter().map(|listener| ListenAddress::of(listener.portal)).collect(),
        allow_any_host: config.allow_any_host,
        hosts: info.hosts.iter().map(|host| Host { nqn: host.as_str().to_owned() }).collect(),
        nvm: (!info.discovery).then(nvm),
    }
}

fn show_namespace(shard: &Shard, info: &SubsystemInfo, namespace: &NamespaceInfo) -> Namespace {
    let config = &namespace.config;
    let volume = shard.exported(&info.config.nqn, namespace.nsid).unwrap_or_default();
    Namespace {
        nsid: namespace.nsid,
        bdev_name: volume.to_owned(),
        name: volume.to_owned(),
        nguid: config.nguid.or((config.uuid != [0; 16]).then_some(config.uuid)).map(Hex),
        eui64: config.eui64.map(Hex),
        uuid: (config.uuid != [0; 16]).then_some(Uuid(config.uuid)),
        anagrpid: info.config.ana_reporting.then_some(namespace.ana_group),
    }
}
