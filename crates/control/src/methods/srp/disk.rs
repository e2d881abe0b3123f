//! `bdev_srp_*`: disks of SRP targets of other machines, which are volumes here.

use engine::Shard;
use engine::srp::{SrpAttachError, SrpDisk, connect_options};
use engine::url::VolumeUrl;
use scsi::srp::initiator::InitiatorError;
use tokio::sync::oneshot;

use super::params::{CreateDisk, DeleteDisk};
use crate::config::Call;
use crate::dispatch::Dispatcher;
use crate::error::{Errno, RpcError};
use crate::fabric::{At, Fabric};
use crate::method::NotTaken;
use crate::methods::bdev::volume_error;
use crate::methods::rounds::Rounds;

/// The calls that attach the disks again that can be attached in this round.
pub(crate) fn save(shard: &Shard, round: usize) -> Vec<Call> {
    let rounds = Rounds::new(shard);
    let in_round = |disk: &&SrpDisk| {
        let entry = shard.volumes().get(&disk.name);
        entry.map_or(0, |entry| rounds.of_volume(entry)) == round
    };
    let call = |disk: &SrpDisk| {
        let params = CreateDisk { name: disk.name.clone(), url: disk.url.to_string() };
        Call::new("bdev_srp_create", params)
    };
    shard.srp_disks().iter().filter(in_round).map(call).collect()
}

/// Answers when the volume is there. A disk that cannot be had is forgotten.
pub(super) async fn create(dispatcher: Dispatcher<Fabric>, params: CreateDisk) -> Result<String, RpcError> {
    let name = params.name.clone();
    let (sender, receiver) = oneshot::channel();
    let begin = move |At { shard, env }: At<'_>| {
        let VolumeUrl::Srp(url) = params.url.parse().map_err(|why| Errno::Invalid.because(why))? else {
            return Err(Errno::Invalid.because("url is not srp://HOST/TARGET/LUN"));
        };
        if shard.volumes().get(&params.name).is_some() {
            return Err(Errno::Exists.into());
        }
        let options = connect_options(env, &url).map_err(|why| Errno::Invalid.because(why))?;
        shard.attach_srp_disk(env, &params.name, &url, options, |result| drop(sender.send(result)));
        Ok(())
    };
    dispatcher.run(begin).await?;
    let result = receiver.await.map_err(|_| NotTaken::Stopped)?;
    if let Err(SrpAttachError::Failed(_) | SrpAttachError::NoDisk) = &result {
        let forgotten = name.clone();
        let forget =
            move |At { shard, env }: At<'_>| shard.detach_srp_disk(env, &forgotten).map_err(attach_error);
        dispatcher.run(forget).await?;
    }
    result.map_err(attach_error)?;
    Ok(name)
}

pub(super) fn delete(at: At<'_>, params: DeleteDisk) -> Result<bool, RpcError> {
    at.shard.detach_srp_disk(at.env, &params.name).map_err(attach_error)?;
    Ok(true)
}

fn attach_error(error: SrpAttachError) -> RpcError {
    let errno = match error {
        SrpAttachError::Volume(error) => return volume_error(error),
        SrpAttachError::Exists => Errno::Exists,
        SrpAttachError::Unknown | SrpAttachError::NoDisk | SrpAttachError::Detached => Errno::NoDevice,
        SrpAttachError::Full | SrpAttachError::Initiator(InitiatorError::OutOfMemory(_)) => Errno::NoMemory,
        SrpAttachError::NoLocalAddress | SrpAttachError::Initiator(InitiatorError::Options(_)) => {
            Errno::Invalid
        }
        SrpAttachError::Failed(_) | SrpAttachError::Device(_) => Errno::Io,
    };
    errno.because(error)
}
