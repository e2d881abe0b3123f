//! The shard: its parts, and the turn that drives them.

use crate::Limits;
use crate::discoveries::Discoveries;
use crate::ending::Ending;
use crate::fabric::{Devices, Servers};
use crate::handle::{self, Handle, Inbox};
use crate::hosts::{AttachError, Hosts};
use crate::iscsi::{Iscsi, IscsiAttachError, IscsiDisks};
use crate::keys::Keys;
use crate::nvmf::Exports;
use crate::owners::Part;
use crate::records::Records;
use crate::srp::{Srp, SrpAttachError, SrpDisks};
use crate::url::{IscsiUrl, SrpUrl};
use crate::volumes::{Change, Spec, VolumeError, Volumes};
use block::Identity;
use nvme::host::HostOptions;
use nvme::target::{Lanes, Options, Target, rdma, tcp};
use scsi::{iscsi, srp};
use stdx::env::{Env, Event};
use stdx::mem::OutOfMemory;

/// Volumes, the target that serves them and the hosts that use others', on one thread.
pub struct Shard {
    pub(crate) volumes: Volumes,
    pub(crate) hosts: Hosts,
    pub(crate) discoveries: Discoveries,
    pub(crate) iscsi: Iscsi,
    pub(crate) iscsi_disks: IscsiDisks,
    pub(crate) srp: Srp,
    pub(crate) srp_disks: SrpDisks,
    pub(crate) records: Records,
    pub(crate) keys: Keys,
    pub(crate) target: Target,
    pub(crate) lanes: Lanes,
    pub(crate) server: tcp::Server,
    pub(crate) nvmf_rdma: Servers<rdma::Server>,
    pub(crate) exports: Exports,
    pub(crate) devices: Devices,
    pub(crate) limits: Limits,
    pub(crate) observers: Vec<Observer>,
    pub(crate) inbox: Inbox,
    handle: Handle,
    pub(crate) events: Vec<Event>,
    /// A buffer came back in the last turn for which a server may be waiting that had been polled before.
    pub(crate) relieved: bool,
    /// Looks since the last whole turn.
    pub(crate) looks: u32,
    pub(crate) ending: Ending,
}

/// Whom to tell of changes.
pub(crate) type Observer = Box<dyn FnMut(&Change) + Send>;

impl Shard {
    /// A shard with nothing on it.
    pub fn new(env: &mut dyn Env, limits: Limits) -> Result<Self, OutOfMemory> {
        let (handle, inbox) = handle::channel(env.waker());
        let transport = tcp::Limits { connections_max: limits.connections, ..limits.transport };
        let iscsi = iscsi::target::Limits { connections_max: limits.connections, ..limits.iscsi };
        Ok(Self {
            volumes: Volumes::new(limits.volumes),
            hosts: Hosts::new(limits.hosts),
            discoveries: Discoveries::new(limits.discoveries),
            iscsi: Iscsi::new(env, Part::Iscsi.owner().0, iscsi)?,
            iscsi_disks: IscsiDisks::new(limits.disks),
            srp: Srp::new(),
            srp_disks: SrpDisks::new(limits.disks),
            records: Records::default(),
            keys: Keys::default(),
            target: Target::new(Options::default()),
            lanes: Lanes::default(),
            server: tcp::Server::new(env, Part::Nvmf.owner().0, transport)?,
            nvmf_rdma: Servers::new(),
            exports: Exports::default(),
            devices: Devices::new(limits.device, limits.devices),
            limits,
            observers: Vec::new(),
            inbox,
            handle,
            events: Vec::new(),
            relieved: false,
            looks: 0,
            ending: Ending::default(),
        })
    }

    /// A way for other threads to have things done here.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The volumes, by name.
    pub fn volumes(&self) -> &Volumes {
        &self.volumes
    }

    /// Subsystems and all behind them.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The same, to configure. Namespaces and listeners are added through the shard, which knows volumes and addresses.
    pub fn target_mut(&mut self) -> &mut Target {
        &mut self.target
    }

    /// The RDMA devices.
    pub fn devices(&self) -> &Devices {
        &self.devices
    }

    /// The same, to say what packets interfaces carry.
    pub fn devices_mut(&mut self) -> &mut Devices {
        &mut self.devices
    }

    /// The NVMe/TCP transport.
    pub fn server(&self) -> &tcp::Server {
        &self.server
    }

    /// Has `observer` told of every volume that comes, goes or changes its size.
    pub fn observe(&mut self, observer: impl FnMut(&Change) + Send + 'static) {
        self.observers.push(Box::new(observer));
    }

    /// Makes a volume. Without an identity it gets a random one.
    pub fn add_volume(
        &mut self,
        env: &mut dyn Env,
        name: &str,
        spec: Spec,
        identity: Option<Identity>,
    ) -> Result<Identity, VolumeError> {
        let identity = self.volumes.create(env, name, identity, spec)?;
        self.apply_changes(env);
        Ok(identity)
    }

    /// Takes a volume away, and with it the namespaces served from it.
    pub fn remove_volume(&mut self, env: &mut dyn Env, name: &str) -> Result<(), VolumeError> {
        self.volumes.delete(env, name)?;
        self.apply_changes(env);
        Ok(())
    }

    /// Makes a volume `blocks` long; hosts that use it learn of it.
    pub fn resize_volume(&mut self, env: &mut dyn Env, name: &str, blocks: u64) -> Result<(), VolumeError> {
        self.volumes.resize(env, name, blocks)?;
        self.apply_changes(env);
        Ok(())
    }

    /// Looks at the size of a volume's file again; hosts that use it learn of a change.
    pub fn rescan_volume(&mut self, env: &mut dyn Env, name: &str) -> Result<(), VolumeError> {
        self.volumes.rescan(env, name)?;
        self.apply_changes(env);
        Ok(())
    }

    /// Changes the delays (mean and 99th percentile, in microseconds) of a volume that has some.
    pub fn set_delays(
        &mut self,
        name: &str,
        reads: (u64, u64),
        writes: (u64, u64),
    ) -> Result<(), VolumeError> {
        self.volumes.set_delays(name, reads, writes)
    }

    /// Remote controllers, by name.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Begins to attach a remote controller; `then` hears the names of its volumes, or why there are none.
    pub fn attach(
        &mut self,
        env: &mut dyn Env,
        name: &str,
        options: HostOptions,
        then: impl FnOnce(Result<Vec<String>, AttachError>) + Send + 'static,
    ) {
        self.hosts.attach(env, &mut self.devices, name, options, Box::new(then));
    }

    /// Lets a remote controller go, and with it its volumes.
    pub fn detach(&mut self, env: &mut dyn Env, name: &str) -> Result<(), AttachError> {
        self.hosts.detach(env, &mut self.devices, &mut self.volumes, name)?;
        self.apply_changes(env);
        Ok(())
    }

    /// The iSCSI target side.
    pub fn iscsi(&self) -> &Iscsi {
        &self.iscsi
    }

    /// The same, to configure. Logical units are added through the shard, which knows volumes.
    pub fn iscsi_mut(&mut self) -> &mut Iscsi {
        &mut self.iscsi
    }

    /// The disks of iSCSI targets, by the names of their volumes.
    pub fn iscsi_disks(&self) -> &IscsiDisks {
        &self.iscsi_disks
    }

    /// Begins to attach the disk that a URL names, as a volume; `then` hears when it is there, or why it is not.
    pub fn attach_iscsi_disk(
        &mut self,
        env: &mut dyn Env,
        name: &str,
        url: &IscsiUrl,
        options: iscsi::initiator::InitiatorOptions,
        then: impl FnOnce(Result<(), IscsiAttachError>) + Send + 'static,
    ) {
        self.iscsi_disks.attach(env, &mut self.devices, name, url, options, Box::new(then));
    }

    /// Lets a disk go, and with it its volume.
    pub fn detach_iscsi_disk(&mut self, env: &mut dyn Env, name: &str) -> Result<(), IscsiAttachError> {
        self.iscsi_disks.detach(env, &mut self.devices, &mut self.volumes, name)?;
        self.apply_changes(env);
        Ok(())
    }

    /// The disks of SRP targets, by the names of their volumes.
    pub fn srp_disks(&self) -> &SrpDisks {
        &self.srp_disks
    }

    /// Begins to attach the disk that a URL names, as a volume; `then` hears when it is there, or why it is not.
    pub fn attach_srp_disk(
        &mut self,
        env: &mut dyn Env,
        name: &str,
        url: &SrpUrl,
        options: srp::initiator::InitiatorOptions,
        then: impl FnOnce(Result<(), SrpAttachError>) + Send + 'static,
    ) {
        self.srp_disks.attach(env, &mut self.devices, name, url, options, Box::new(then));
    }

    /// Lets a disk go, and with it its volume.
    pub fn detach_srp_disk(&mut self, env: &mut dyn Env, name: &str) -> Result<(), SrpAttachError> {
        self.srp_disks.detach(env, &mut self.devices, &mut self.volumes, name)?;
        self.apply_changes(env);
        Ok(())
    }

    /// The discovery services that are watched, by name.
    pub fn discoveries(&self) -> &Discoveries {
        &self.discoveries
    }

    /// Begins to watch the discovery service at the address in `options`, and attaches what it leads to, under names that
    /// begin with `name`. `then` hears when all is attached that it led to at first, or could not be.
    pub fn start_discovery(
        &mut self,
        env: &mut dyn Env,
        name: &str,
        options: HostOptions,
        then: impl FnOnce(Result<(), AttachError>) + Send + 'static,
    ) {
        self.discoveries.start(env, &mut self.devices, name, options, Box::new(then));
    }

    /// Ends the watch, and lets the controllers go that it led to.
    pub fn stop_discovery(&mut self, env: &mut dyn Env, name: &str) -> Result<(), AttachError> {
        let Self { discoveries, devices, hosts, volumes, .. } = self;
        discoveries.stop(env, devices, hosts, volumes, name)?;
        self.apply_changes(env);
        Ok(())
    }

    /// Asserts what always holds between turns.
    pub fn check(&self) {
        self.target.check();
        self.devices.check();
        self.nvmf_rdma.check();
        self.srp.check();
        self.iscsi.iser.check();
    }
}

impl core::fmt::Debug for Shard {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Shard").field("ending", &self.ending).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::conformance::still::StillEnv;
    use stdx::mem::Span;
    use stdx::time::Time;

    /// Servers are polled one after the other, and a buffer may come back behind the one that waits for it.
    #[test]
    fn a_buffer_that_was_missed_and_came_back_is_worth_another_turn() {
        let mut env = StillEnv::with_buffers(1, 64 << 20);
        let mut shard = Shard::new(&mut env, Limits::default()).expect("memory");
        let largest = env.mem().buffer_len_max();
        let mut all: Vec<Span> = core::iter::from_fn(|| env.mem().take(largest)).collect();
        let mut give = |env: &mut StillEnv| env.mem().give(all.pop().expect("a buffer"));
        give(&mut env);
        shard.turn(&mut env);
        assert_eq!(shard.deadline(), Some(Time::ZERO));
        give(&mut env);
        shard.turn(&mut env);
        assert_eq!(shard.deadline(), None, "nobody missed that one");
    }
}
