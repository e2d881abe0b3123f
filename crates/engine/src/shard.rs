//! The shard: its parts, and the turn that drives them.

use crate::Limits;
use crate::discoveries::Discoveries;
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
use crate::volumes::{Change, Entry, Spec, VolumeError, Volumes};
use block::{BlockDevice, Channel, Done, Identity, Io, Op};
use nvme::host::HostOptions;
use nvme::target::{Lanes, Options, Target, rdma, tcp};
use scsi::{iscsi, srp};
use stdx::env::{Env, Event};
use stdx::mem::{OutOfMemory, Span};

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
    ending: Ending,
}

/// Whom to tell of changes.
pub(crate) type Observer = Box<dyn FnMut(&Change) + Send>;

/// How far an orderly end has come.
#[derive(Debug)]
enum Ending {
    /// Not asked for.
    No,
    /// Connections finish what they were asked.
    Draining,
    /// Volumes write what they cache.
    Flushing(Vec<Flush>),
    /// Nothing is left to do.
    Done,
}

/// A volume that writes what it caches.
#[derive(Debug)]
struct Flush {
    volume: String,
    channel: Box<dyn Channel>,
    done: bool,
}

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
            ending: Ending::No,
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

    /// Begins an orderly end: no new connections, what was asked is answered, volumes are flushed.
    pub fn drain(&mut self, env: &mut dyn Env) {
        if matches!(self.ending, Ending::No) {
            self.drain_nvmf(env);
            self.srp.drain(env, &mut self.devices);
            self.iscsi.drain(env, &mut self.devices);
            self.ending = Ending::Draining;
        }
    }

    /// True when an orderly end is complete.
    pub fn is_drained(&self) -> bool {
        matches!(self.ending, Ending::Done)
    }

    /// Whether nobody is connected to a target of ours any more.
    fn is_target_drained(&self) -> bool {
        self.is_nvmf_drained() && self.iscsi.is_drained() && self.srp.is_drained()
    }

    /// Whether an orderly end was asked for.
    pub(crate) const fn is_ending(&self) -> bool {
        !matches!(self.ending, Ending::No)
    }

    /// Takes an orderly end one step further.
    pub(crate) fn end(&mut self, env: &mut dyn Env) {
        match &self.ending {
            Ending::No | Ending::Done => {}
            Ending::Draining if !self.is_target_drained() => {}
            Ending::Draining => {
                let flush = |entry: &Entry| {
                    let mut channel = entry.volume.open();
                    let done = channel.submit(env, FLUSH).is_err();
                    Flush { volume: entry.name.clone(), channel, done }
                };
                self.ending = Ending::Flushing(self.volumes.iter().map(flush).collect());
                self.finish_flushes(env);
            }
            Ending::Flushing(_) => self.finish_flushes(env),
        }
    }

    /// Looks which volumes are flushed. One that is not says by an event, or a deadline of its own, when to look again.
    fn finish_flushes(&mut self, env: &mut dyn Env) {
        let Ending::Flushing(flushes) = &mut self.ending else { return };
        let mut finished: Vec<Done> = Vec::new();
        for Flush { volume, channel, done } in flushes.iter_mut().filter(|flush| !flush.done) {
            finished.clear();
            channel.poll(env, &mut finished);
            // Nobody waits for a peer that is gone, least of all for our own target, which has been drained.
            let reachable =
                is_reachable(&self.volumes, &self.hosts, &self.iscsi_disks, &self.srp_disks, volume);
            *done = !finished.is_empty() || !reachable;
        }
        if flushes.iter().all(|flush| flush.done) {
            self.ending = Ending::Done;
        }
    }
}

impl core::fmt::Debug for Shard {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Shard").field("ending", &self.ending).finish_non_exhaustive()
    }
}

/// False if what a volume stands on is behind a connection that is lost.
fn is_reachable(
    volumes: &Volumes,
    hosts: &Hosts,
    iscsi_disks: &IscsiDisks,
    srp_disks: &SrpDisks,
    name: &str,
) -> bool {
    let base = |entry: &&Entry| entry.spec.base().and_then(|base| volumes.get(base));
    let lowest = std::iter::successors(volumes.get(name), base).last();
    match lowest.map(|entry| &entry.spec) {
        Some(Spec::Disk { .. }) => {
            let attached = lowest.and_then(|entry| iscsi_disks.get(&entry.name));
            attached.is_some_and(|attached| attached.initiator.is_live())
        }
        Some(Spec::SrpDisk { .. }) => {
            let attached = lowest.and_then(|entry| srp_disks.get(&entry.name));
            attached.is_some_and(|attached| attached.initiator.is_live())
        }
        Some(Spec::Remote { controller, .. }) => {
            let is_live = hosts.get(controller).is_some_and(|attached| attached.host.is_live());
            is_live && lowest.is_some_and(|entry| !entry.volume.info().offline)
        }
        Some(_) => true,
        None => false,
    }
}

const FLUSH: Io = Io { tag: 0, op: Op::Flush, lba: 0, blocks: 0, fua: false, lend: false, data: Span::EMPTY };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volumes::FileSpec;
    use stdx::conformance::still::StillEnv;
    use stdx::testing::TestEnv;
    use stdx::time::Time;

    /// A disk may take its time; the shard sleeps meanwhile, and time passes for those who only simulate it.
    #[test]
    fn the_end_waits_for_flushes_without_turning() {
        let mut env = TestEnv::new(64 << 20);
        let mut shard = Shard::new(&mut env, Limits::default()).expect("memory");
        let file = FileSpec {
            path: "disk".into(),
            block_size: Some(512),
            read_only: false,
            direct: false,
            create: Some(1 << 20),
        };
        shard.add_volume(&mut env, "disk", Spec::File(file), None).expect("a volume");
        shard.drain(&mut env);
        shard.end(&mut env);
        assert!(!shard.is_drained(), "the disk flushes");
        assert_eq!(shard.deadline(), None, "nothing is due before it has");
        shard.turn(&mut env);
        assert!(shard.is_drained());
    }

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
