//! `bdev_iscsi_*`: disks of iSCSI targets of other machines, which are volumes here.

mod params;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::iscsi::{IscsiAttachError, IscsiDisk, connect_options};
use engine::url::{Timer, VolumeUrl};
use engine::{OpenError, Shard};
use scsi::iscsi::IscsiName;
use scsi::iscsi::initiator::{InitiatorError, Transport};
use tokio::sync::oneshot;

use super::bdev::volume_error;
use super::rounds::Rounds;
use crate::config::Call;
use crate::dispatch::Dispatcher;
use crate::error::{Errno, RpcError};
use crate::fabric::{At, Fabric, FabricMethod};
use crate::facing::facing;
use crate::method::NotTaken;
use params::{Create, Delete, SetOptions};

/// What holds for disks attached without saying otherwise.
#[derive(Debug, Default)]
pub struct Defaults(Mutex<SetOptions>);

/// The `bdev_iscsi_*` methods.
pub fn methods(defaults: &Arc<Defaults>) -> Vec<FabricMethod> {
    let (attach, set) = (Arc::clone(defaults), Arc::clone(defaults));
    vec![
        FabricMethod::local(
            "bdev_iscsi_set_options",
            "Sets what holds for disks attached from now on.",
            move |params| set.set(params),
        ),
        FabricMethod::composed(
            "bdev_iscsi_create",
            "Connects to an iSCSI target; its disk becomes a volume.",
            move |dispatcher, params| create(dispatcher, Arc::clone(&attach), params),
        ),
        FabricMethod::new("bdev_iscsi_delete", "Lets a disk go, and its volume with it.", delete),
    ]
}

/// The calls that attach the disks again that can be attached in this round.
pub(crate) fn save(shard: &Shard, defaults: &Defaults, round: usize, with_secrets: bool) -> Vec<Call> {
    let rounds = Rounds::new(shard);
    let in_round = |disk: &&IscsiDisk| {
        let entry = shard.volumes().get(&disk.name);
        entry.map_or(0, |entry| rounds.of_volume(entry)) == round
    };
    let disks = shard.iscsi_disks().iter().filter(in_round);
    let set = defaults.call().filter(|_| round == 0);
    set.into_iter().chain(disks.map(|disk| call(disk, with_secrets))).collect()
}

/// Answers when the volume is there. A disk that cannot be had is forgotten.
async fn create(
    dispatcher: Dispatcher<Fabric>,
    defaults: Arc<Defaults>,
    params: Create,
) -> Result<String, RpcError> {
    let name = params.name.clone();
    let (sender, receiver) = oneshot::channel();
    let begin = move |At { shard, env }: At<'_>| {
        let VolumeUrl::Iscsi(url) = params.url.parse().map_err(|why| Errno::Invalid.because(why))? else {
            return Err(Errno::Invalid.because("url is neither iscsi://HOST/IQN/LUN nor iser://HOST/IQN/LUN"));
        };
        if shard.volumes().get(&params.name).is_some() {
            return Err(Errno::Exists.into());
        }
        let mut options = connect_options(&url).map_err(open_error)?;
        if (options.transport, options.local) == (Transport::Rdma, None) {
            let none = |why: io::Error| Errno::NoDevice.because(why);
            options.local = Some(facing(options.address.ip()).map_err(none)?);
        }
        options.initiator =
            IscsiName::parse(&params.initiator_iqn).map_err(|why| Errno::Invalid.because(why))?;
        if !url.timings.iter().any(|(timer, _)| *timer == Timer::CommandTimeout) {
            defaults.apply(&mut options.command_timeout);
        }
        shard.attach_iscsi_disk(env, &params.name, &url, options, |result| drop(sender.send(result)));
        Ok(())
    };
    dispatcher.run(begin).await?;
    let result = receiver.await.map_err(|_| NotTaken::Stopped)?;
    let forget = match &result {
        Err(IscsiAttachError::Failed(_) | IscsiAttachError::NoDisk) => true,
        Ok(()) | Err(_) => false,
    };
    if forget {
        let forgotten = name.clone();
        let forget =
            move |At { shard, env }: At<'_>| shard.detach_iscsi_disk(env, &forgotten).map_err(attach_error);
        dispatcher.run(forget).await?;
    }
    result.map_err(attach_error)?;
    Ok(name)
}

fn delete(at: At<'_>, params: Delete) -> Result<bool, RpcError> {
    at.shard.detach_iscsi_disk(at.env, &params.name).map_err(attach_error)?;
    Ok(true)
}

fn call(disk: &IscsiDisk, with_secrets: bool) -> Call {
    let params = Create {
        name: disk.name.clone(),
        initiator_iqn: disk.initiator.options().initiator.to_string(),
        url: if with_secrets { disk.url.with_secrets() } else { disk.url.without_secrets() },
    };
    Call::new("bdev_iscsi_create", params)
}

impl Defaults {
    fn set(&self, given: SetOptions) -> Result<bool, RpcError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = given;
        Ok(true)
    }

    fn apply(&self, timeout: &mut Duration) {
        let present = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seconds) = present.timeout_sec.filter(|seconds| *seconds > 0) {
            *timeout = Duration::from_secs(seconds);
        }
    }

    fn call(&self) -> Option<Call> {
        let present = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (*present != SetOptions::default()).then(|| Call::new("bdev_iscsi_set_options", &*present))
    }
}

fn open_error(error: OpenError) -> RpcError {
    match error {
        OpenError::Iscsi(error) => attach_error(error),
        OpenError::Volume(_) | OpenError::Attach(_) | OpenError::Name(_) | OpenError::NoTarget => {
            Errno::Invalid.because(error)
        }
        OpenError::Srp(_) | OpenError::NoSubsystem | OpenError::Unresolved | OpenError::NoNamespace => {
            Errno::Invalid.because(error)
        }
    }
}

fn attach_error(error: IscsiAttachError) -> RpcError {
    let errno = match error {
        IscsiAttachError::Volume(error) => return volume_error(error),
        IscsiAttachError::Exists => Errno::Exists,
        IscsiAttachError::Unknown | IscsiAttachError::NoDisk | IscsiAttachError::Detached => Errno::NoDevice,
        IscsiAttachError::Full | IscsiAttachError::Initiator(InitiatorError::OutOfMemory(_)) => {
            Errno::NoMemory
        }
        IscsiAttachError::NoLocalAddress | IscsiAttachError::Initiator(InitiatorError::Options(_)) => {
            Errno::Invalid
        }
        IscsiAttachError::Failed(_) => Errno::Io,
        IscsiAttachError::Device(_) => Errno::NoDevice,
    };
    errno.because(error)
}
