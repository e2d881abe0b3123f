//! Changing volumes: limits, sizes, latencies, injected errors.

use block::BlockDevice;
use block::device::{Injection, Target};
use block::volume::QosLimits;
use engine::Spec;
use engine::volumes::Kind;

use super::create::of_kind;
use super::params::{
    DelayUpdateLatency, ErrorInject, InjectErrorType, InjectIoType, LatencyType, Name, NullResize,
    SetQosLimit,
};
use super::{entry, is_null, volume_error};
use crate::error::{Errno, RpcError};
use crate::fabric::At;

pub(super) fn set_qos_limit(at: At<'_>, params: SetQosLimit) -> Result<bool, RpcError> {
    let volume = &entry(at.shard, &params.name)?.volume;
    let given =
        [params.rw_ios_per_sec, params.rw_mbytes_per_sec, params.r_mbytes_per_sec, params.w_mbytes_per_sec];
    if given.iter().all(Option::is_none) {
        return Err(Errno::Invalid.because("no limit is given"));
    }
    if params.rw_ios_per_sec.is_some_and(|rate| rate % IOS_PER_SEC_STEP != 0) {
        return Err(Errno::Invalid.because("rw_ios_per_sec is a multiple of 1000"));
    }
    let before = volume.qos();
    let limit = |given: Option<u64>, before: Option<u64>| given.or(before).filter(|rate| *rate > 0);
    let limits = QosLimits {
        rw_ios_per_sec: limit(params.rw_ios_per_sec, before.rw_ios_per_sec),
        rw_mbytes_per_sec: limit(params.rw_mbytes_per_sec, before.rw_mbytes_per_sec),
        r_mbytes_per_sec: limit(params.r_mbytes_per_sec, before.r_mbytes_per_sec),
        w_mbytes_per_sec: limit(params.w_mbytes_per_sec, before.w_mbytes_per_sec),
    };
    volume.set_qos(at.env.now(), limits);
    Ok(true)
}

pub(super) fn null_resize(at: At<'_>, params: NullResize) -> Result<bool, RpcError> {
    let name = of_kind(&at, &params.name, is_null)?;
    resize(at, &name, params.new_size)
}

pub(super) fn malloc_resize(at: At<'_>, params: NullResize) -> Result<bool, RpcError> {
    let name = of_kind(&at, &params.name, super::is_ram)?;
    resize(at, &name, params.new_size)
}

fn resize(at: At<'_>, name: &str, mebibytes: u64) -> Result<bool, RpcError> {
    let block_size = u64::from(entry(at.shard, name)?.volume.info().block_size);
    let bytes = mebibytes.checked_mul(MIB).ok_or_else(|| Errno::Invalid.because("new_size"))?;
    at.shard.resize_volume(at.env, name, bytes / block_size).map_err(volume_error)?;
    Ok(true)
}

pub(super) fn rescan(at: At<'_>, params: Name) -> Result<bool, RpcError> {
    let name = of_kind(&at, &params.name, super::is_file)?;
    at.shard.rescan_volume(at.env, &name).map_err(volume_error)?;
    Ok(true)
}

pub(super) fn update_latency(at: At<'_>, params: DelayUpdateLatency) -> Result<bool, RpcError> {
    let found = entry(at.shard, &params.delay_bdev_name)?;
    let Spec::Delay { mut read_us, mut write_us, .. } = found.spec.clone() else {
        return Err(Errno::NoDevice.because("it is of another kind"));
    };
    match params.latency_type {
        LatencyType::AvgRead => read_us.0 = params.latency_us,
        LatencyType::P99Read => read_us.1 = params.latency_us,
        LatencyType::AvgWrite => write_us.0 = params.latency_us,
        LatencyType::P99Write => write_us.1 = params.latency_us,
    }
    let name = found.name.clone();
    at.shard.set_delays(&name, read_us, write_us).map_err(volume_error)?;
    Ok(true)
}

/// Plans what is to go wrong, instead of what was planned for these requests before.
pub(super) fn inject_error(at: At<'_>, params: ErrorInject) -> Result<bool, RpcError> {
    let Kind::Error(device) = &entry(at.shard, &params.name)?.kind else {
        return Err(Errno::NoDevice.because("it is of another kind"));
    };
    let injection = match (params.error_type, params.corrupt_value) {
        (InjectErrorType::Failure, _) => Injection::Failure,
        (InjectErrorType::Pending, _) => Injection::Pending,
        (InjectErrorType::Nomem, _) => Injection::Refusal,
        (InjectErrorType::CorruptData, None | Some(0)) => {
            return Err(Errno::Invalid.because("corrupt_value is 1 to 255"));
        }
        (InjectErrorType::CorruptData, Some(flip)) => {
            let offset = params.corrupt_offset.unwrap_or(0).try_into();
            Injection::Corrupt { offset: offset.map_err(|_| Errno::Invalid.because("corrupt_offset"))?, flip }
        }
    };
    let target = match params.io_type {
        InjectIoType::Clear => {
            device.clear(Target::All);
            return Ok(true);
        }
        InjectIoType::Read => Target::Read,
        InjectIoType::Write => Target::Write,
        InjectIoType::Unmap => Target::Discard,
        InjectIoType::Flush => Target::Flush,
        InjectIoType::All => Target::All,
    };
    device.inject(target, injection, params.num.unwrap_or(1).into());
    Ok(true)
}

/// Requests that hang are carried out, and none is to hang any more; what else was planned stays.
pub(super) fn resume_pending(at: At<'_>, params: Name) -> Result<bool, RpcError> {
    match &entry(at.shard, &params.name)?.kind {
        Kind::Error(device) => device.resume(),
        _ => return Err(Errno::NoDevice.because("it is of another kind")),
    }
    Ok(true)
}

const IOS_PER_SEC_STEP: u64 = 1000;
const MIB: u64 = 1 << 20;
