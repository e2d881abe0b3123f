//! Referrals: other discovery services that ours points hosts to (NVMe Base 2.0, 5.16.1.23).

use nvme::target::Referral as Entry;

use super::params::{AddReferral, ListenAddress, RemoveReferral, TargetOnly};
use super::results::Referral;
use super::{config_error, parse_nqn};
use crate::error::RpcError;
use crate::fabric::At;

pub(super) fn add(at: At<'_>, params: AddReferral) -> Result<bool, RpcError> {
    let referral = referral(&params.address, params.subnqn.as_deref())?;
    at.shard.target_mut().add_referral(referral).map_err(config_error)?;
    Ok(true)
}

pub(super) fn remove(at: At<'_>, params: RemoveReferral) -> Result<bool, RpcError> {
    let referral = referral(&params.address, params.subnqn.as_deref())?;
    at.shard.target_mut().remove_referral(&referral).map_err(config_error)?;
    Ok(true)
}

pub(super) fn get(at: At<'_>, _: TargetOnly) -> Result<Vec<Referral>, RpcError> {
    let referral = |entry: &Entry| Referral {
        address: ListenAddress::of(entry.portal),
        secure_channel: false,
        subnqn: entry.nqn.as_str().to_owned(),
    };
    Ok(at.shard.target().referrals().iter().map(referral).collect())
}

fn referral(address: &ListenAddress, nqn: Option<&str>) -> Result<Entry, RpcError> {
    Ok(Entry { portal: address.portal()?, nqn: parse_nqn(nqn.unwrap_or("discovery"))? })
}
