//! In which round of loading a configuration each thing can be made.
//!
//! Volumes come before the namespaces served from them, and a remote controller before the volumes built on its own. A
//! controller of this very process can be attached only when its listener is there, after the first round of namespaces;
//! what stands on its volumes follows in the next round, and so on for as many times as the process uses itself.
//!
//! ```text
//!   round 0: volumes, subsystems, namespaces, listeners      round 1: our own controllers, what stands on their volumes ...
//! ```

use std::net::SocketAddr;

use engine::volumes::Entry;
use engine::{Attached, Shard, Spec, Watched};
use nvme::host::HostOptions;
use scsi::iscsi::initiator::Transport;

/// The rounds of a shard's configuration.
#[derive(Clone, Copy)]
pub(crate) struct Rounds<'a> {
    shard: &'a Shard,
}

impl<'a> Rounds<'a> {
    pub(crate) const fn new(shard: &'a Shard) -> Self {
        Self { shard }
    }

    /// How many rounds there are; at least one.
    pub(crate) fn count(self) -> usize {
        let volumes = self.shard.volumes().iter().map(|entry| self.of_volume(entry));
        let controllers = self.shard.hosts().iter().map(|attached| self.of_controller(attached));
        let discoveries = self.shard.discoveries().iter().map(|watched| self.of_discovery(watched));
        1 + volumes.chain(controllers).chain(discoveries).max().unwrap_or(0)
    }

    /// The round in which a controller can be attached.
    pub(crate) fn of_controller(self, attached: &Attached) -> usize {
        usize::from(self.is_ours(&attached.options))
    }

    /// The round in which a discovery service can be watched.
    pub(crate) fn of_discovery(self, watched: &Watched) -> usize {
        usize::from(self.is_ours(&watched.options))
    }

    /// The round after which a volume is there.
    pub(crate) fn of_volume(self, entry: &Entry) -> usize {
        self.within(entry, self.shard.volumes().iter().count())
    }

    /// The same, when no more than `left` volumes can stand below.
    fn within(self, entry: &Entry, left: usize) -> usize {
        let Some(left) = left.checked_sub(1) else { return 0 };
        let below = match &entry.spec {
            Spec::Remote { controller, nsid } => return self.of_namespace(entry, controller, *nsid, left),
            Spec::Disk { lun } => return self.of_disk(entry, *lun, left),
            Spec::SrpDisk { lun } => return self.of_srp_disk(entry, *lun, left),
            spec => spec.base().and_then(|base| self.shard.volumes().get(base)),
        };
        below.map_or(0, |below| self.within(below, left))
    }

    /// The round of a controller's volume: after that of the volume which the namespace is served from, if we serve it.
    fn of_namespace(self, entry: &Entry, controller: &str, nsid: u32, left: usize) -> usize {
        let Some(attached) = self.shard.hosts().get(controller) else { return 0 };
        if !self.is_ours(&attached.options) || attached.volumes().get(&nsid) != Some(&entry.name) {
            return self.of_controller(attached);
        }
        let served = self.shard.exported(&attached.options.subsystem, nsid);
        let served = served.and_then(|volume| self.shard.volumes().get(volume));
        1 + served.map_or(0, |served| self.within(served, left))
    }

    /// The same for a disk of an iSCSI target. Its volume is there when it is attached, so that comes late as well.
    fn of_disk(self, entry: &Entry, lun: u16, left: usize) -> usize {
        let Some(disk) = self.shard.iscsi_disks().get(&entry.name) else { return 0 };
        let iscsi = self.shard.iscsi();
        let options = disk.initiator.options();
        let is_ours = match options.transport {
            Transport::Tcp => is_among(iscsi.server().listening(), options.address),
            Transport::Rdma => is_among(iscsi.listening_rdma(), options.address),
        };
        if !is_ours {
            return 0;
        }
        let served = iscsi.luns(&options.target).find(|served| served.number == lun);
        let served = served.and_then(|served| self.shard.volumes().get(&served.volume));
        1 + served.map_or(0, |served| self.within(served, left))
    }

    /// The same for a disk of an SRP target.
    fn of_srp_disk(self, entry: &Entry, lun: u16, left: usize) -> usize {
        let Some(disk) = self.shard.srp_disks().get(&entry.name) else { return 0 };
        let srp = self.shard.srp();
        if !disk.url.address().is_some_and(|address| is_among(srp.listening(), address)) {
            return 0;
        }
        let served = srp.luns().find(|served| served.port == disk.url.target && served.number == lun);
        let served = served.and_then(|served| self.shard.volumes().get(&served.volume));
        1 + served.map_or(0, |served| self.within(served, left))
    }

    /// True if this process is the NVMe target that a host of that kind connects to.
    fn is_ours(self, host: &HostOptions) -> bool {
        is_among(self.shard.listening(host.transport), host.address)
    }
}

fn is_among(mut listening: impl Iterator<Item = SocketAddr>, address: SocketAddr) -> bool {
    listening.any(|open| {
        open.port() == address.port() && (open.ip() == address.ip() || open.ip().is_unspecified())
    })
}
