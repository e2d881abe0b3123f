//! Which hosts may connect to a subsystem.

use super::params::{AddHost, AllowAnyHost, RemoveHost};
use super::{config_error, parse_nqn};
use crate::error::RpcError;
use crate::fabric::At;

pub(super) fn add_host(at: At<'_>, params: AddHost) -> Result<bool, RpcError> {
    let (nqn, host) = (parse_nqn(&params.nqn)?, parse_nqn(&params.host)?);
    at.shard.target_mut().add_host(&nqn, host).map_err(config_error)?;
    Ok(true)
}

pub(super) fn remove_host(at: At<'_>, params: RemoveHost) -> Result<bool, RpcError> {
    let (nqn, host) = (parse_nqn(&params.nqn)?, parse_nqn(&params.host)?);
    at.shard.target_mut().remove_host(&nqn, &host).map_err(config_error)?;
    Ok(true)
}

pub(super) fn allow_any_host(at: At<'_>, params: AllowAnyHost) -> Result<bool, RpcError> {
    let nqn = parse_nqn(&params.nqn)?;
    at.shard.target_mut().allow_any_host(&nqn, params.allow_any_host).map_err(config_error)?;
    Ok(true)
}
