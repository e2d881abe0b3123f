//! Making volumes and taking them away.

use std::path::{Path, PathBuf};

use block::{BlockDevice, Identity};
use engine::{Encrypted, EncryptionError, FileSpec, Spec, VolumeError};

use super::params::{
    AioCreate, CryptoCreate, DelayCreate, ErrorCreate, MallocCreate, Name, NullCreate, PartitionCreate,
    SplitCreate, SplitDelete, UringCreate,
};
use super::{entry, volume_error};
use crate::error::{Errno, RpcError};
use crate::fabric::At;
use crate::method::Reply;
use crate::methods::accel::encryption_error;
use crate::values::Uuid;

pub(super) fn malloc(at: At<'_>, params: MallocCreate) -> Result<String, RpcError> {
    let name = params.name.unwrap_or_else(|| free_name(&at, "Malloc"));
    let MallocCreate { num_blocks: blocks, block_size, physical_block_size, .. } = params;
    let spec = Spec::Ram { blocks, block_size, physical_block_size };
    create(at, name, spec, params.uuid)
}

pub(super) fn null(at: At<'_>, params: NullCreate) -> Result<String, RpcError> {
    let NullCreate { num_blocks: blocks, block_size, physical_block_size, .. } = params;
    let spec = Spec::Null { blocks, block_size, physical_block_size };
    create(at, params.name, spec, params.uuid)
}

pub(super) fn aio(at: At<'_>, params: AioCreate) -> Result<String, RpcError> {
    let spec = FileSpec {
        path: PathBuf::from(params.filename),
        block_size: params.block_size,
        direct: params.direct.unwrap_or(false),
        read_only: params.readonly.unwrap_or(false),
        create: params.create_size,
    };
    create(at, params.name, Spec::File(spec), params.uuid)
}

pub(super) fn uring(at: At<'_>, params: UringCreate) -> Result<String, RpcError> {
    let spec = FileSpec {
        path: PathBuf::from(params.filename),
        block_size: params.block_size,
        direct: false,
        read_only: false,
        create: None,
    };
    create(at, params.name, Spec::File(spec), params.uuid)
}

pub(super) fn delay(at: At<'_>, params: DelayCreate) -> Result<String, RpcError> {
    let spec = Spec::Delay {
        base: params.base_bdev_name,
        read_us: (params.avg_read_latency, params.p99_read_latency),
        write_us: (params.avg_write_latency, params.p99_write_latency),
    };
    create(at, params.name, spec, params.uuid)
}

pub(super) fn error(at: At<'_>, params: ErrorCreate) -> Result<bool, RpcError> {
    let name = format!("EE_{}", params.base_name);
    create(at, name, Spec::Error { base: params.base_name }, params.uuid).map(|_| true)
}

/// Answers when the volume is there: with a key in a file, when that is on stable storage.
pub(super) fn crypto(At { shard, env }: At<'_>, params: CryptoCreate, reply: Reply<String>) {
    let CryptoCreate { base_bdev_name: base, name, key_name, key_file, uuid } = params;
    let answer = {
        let name = name.clone();
        |made: Result<Identity, EncryptionError>| reply.send(made.map(|_| name).map_err(encryption_error))
    };
    if !is_name(&name) {
        return answer(Err(VolumeError::Parameters.into()));
    }
    let volume = Encrypted { name, base, identity: uuid.map(|uuid| Identity(uuid.0)) };
    match (key_name, key_file) {
        (Some(key), None) => answer(shard.add_encrypted_volume(env, &volume, &key)),
        (None, Some(file)) => shard.add_volume_with_key_file(env, volume, Path::new(&file), answer),
        (Some(_), Some(_)) | (None, None) => answer(Err(VolumeError::Parameters.into())),
    }
}

pub(super) fn partition(at: At<'_>, params: PartitionCreate) -> Result<String, RpcError> {
    let spec = Spec::Partition {
        base: params.base_bdev_name,
        offset_blocks: params.offset_blocks,
        blocks: params.num_blocks,
    };
    create(at, params.name, spec, params.uuid)
}

/// Makes all parts, or none.
pub(super) fn split(at: At<'_>, params: SplitCreate) -> Result<Vec<String>, RpcError> {
    let At { shard, env } = at;
    let info = entry(shard, &params.base_bdev)?.volume.info();
    if params.split_count == 0 || params.split_count > PARTS_MAX {
        return Err(Errno::Invalid.because("split_count"));
    }
    let blocks = match params.split_size_mb {
        Some(mib) if mib > 0 => mib.checked_mul(MIB).map(|bytes| bytes / u64::from(info.block_size)),
        _ => Some(info.blocks / u64::from(params.split_count)),
    };
    let all = blocks.and_then(|blocks| blocks.checked_mul(params.split_count.into()));
    let Some((blocks, _)) = blocks.zip(all.filter(|all| *all <= info.blocks)) else {
        return Err(Errno::Invalid.because("the parts are larger than the whole"));
    };
    let mut made: Vec<String> = Vec::new();
    for part in 0..params.split_count {
        let name = format!("{}p{part}", params.base_bdev);
        let spec = Spec::Partition {
            base: params.base_bdev.clone(),
            offset_blocks: u64::from(part) * blocks,
            blocks,
        };
        match create(At { shard, env }, name, spec, None) {
            Ok(name) => made.push(name),
            Err(error) => {
                let undone = made.iter().try_for_each(|name| shard.remove_volume(env, name));
                debug_assert!(undone.is_ok(), "nobody can have built on a part yet");
                return Err(error);
            }
        }
    }
    Ok(made)
}

/// Takes away the parts of a volume.
pub(super) fn split_delete(at: At<'_>, params: SplitDelete) -> Result<bool, RpcError> {
    let is_part = |spec: &Spec| matches!(spec, Spec::Partition { base, .. } if *base == params.base_bdev);
    let volumes = at.shard.volumes().iter();
    let parts: Vec<String> =
        volumes.filter(|entry| is_part(&entry.spec)).map(|entry| entry.name.clone()).collect();
    if parts.is_empty() {
        return Err(Errno::NoDevice.into());
    }
    for part in &parts {
        at.shard.remove_volume(at.env, part).map_err(volume_error)?;
    }
    Ok(true)
}

/// Takes a volume away, if it is of the kind that the method is for.
pub(super) fn delete(kind: fn(&Spec) -> bool) -> impl Fn(At<'_>, Name) -> Result<bool, RpcError> {
    move |at, params| {
        let name = of_kind(&at, &params.name, kind)?;
        at.shard.remove_volume(at.env, &name).map_err(volume_error)?;
        Ok(true)
    }
}

/// The volume's name, if it is of the kind that a method is for.
pub(super) fn of_kind(at: &At<'_>, name: &str, kind: fn(&Spec) -> bool) -> Result<String, RpcError> {
    let found = entry(at.shard, name)?;
    if kind(&found.spec) {
        Ok(found.name.clone())
    } else {
        Err(Errno::NoDevice.because("it is of another kind"))
    }
}

fn create(at: At<'_>, name: String, spec: Spec, uuid: Option<Uuid>) -> Result<String, RpcError> {
    if !is_name(&name) {
        return Err(Errno::Invalid.because("a name has 1 to 256 printable characters"));
    }
    let identity = uuid.map(|uuid| Identity(uuid.0));
    at.shard.add_volume(at.env, &name, spec, identity).map_err(volume_error)?;
    Ok(name)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_LEN_MAX && !name.chars().any(char::is_control)
}

fn free_name(at: &At<'_>, prefix: &str) -> String {
    let mut names = (0_u32..).map(|number| format!("{prefix}{number}"));
    names.find(|name| at.shard.volumes().get(name).is_none()).unwrap_or_default()
}

const MIB: u64 = 1 << 20;
const NAME_LEN_MAX: usize = 256;
const PARTS_MAX: u32 = 1024;
