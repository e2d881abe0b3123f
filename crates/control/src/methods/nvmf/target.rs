//! What holds for the target as a whole.

use super::config_error;
use super::params::{SetConfig, SetMaxSubsystems};
use crate::error::{Errno, RpcError};
use crate::fabric::At;

pub(super) fn set_max(at: At<'_>, params: SetMaxSubsystems) -> Result<bool, RpcError> {
    let max = params.max_subsystems.try_into().map_err(|_| Errno::Invalid.because("max_subsystems"))?;
    at.shard.target_mut().set_subsystems_max(max).map_err(config_error)?;
    Ok(true)
}

/// There is nothing to set: parameters that ask for something else have been refused already.
pub(super) fn set_config(_: At<'_>, _: SetConfig) -> Result<bool, RpcError> {
    Ok(true)
}
