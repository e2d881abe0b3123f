//! What is there, for the control plane: subsystems, namespaces, listeners, controllers, queues, counts.

use super::namespace::NamespaceConfig;
use super::portal::{AnaState, Arrival, Portal};
use super::registry::ConfigError;
use super::subsystem::{Subsystem, SubsystemConfig};
use super::{QueueKey, Target};
use std::time::Duration;
use wire::nvme::Nqn;
use wire::nvme::fabrics::HostId;

/// A subsystem.
#[derive(Clone, Debug)]
pub struct SubsystemInfo {
    /// As it was made.
    pub config: SubsystemConfig,
    /// The discovery subsystem.
    pub discovery: bool,
    /// The hosts on its list.
    pub hosts: Vec<Nqn>,
    /// Where it is reached.
    pub listeners: Vec<ListenerInfo>,
    /// Its namespaces, ascending.
    pub namespaces: Vec<NamespaceInfo>,
}

/// A listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListenerInfo {
    /// The portal.
    pub portal: Portal,
    /// The access states, by group identifier less one.
    pub states: Vec<AnaState>,
}

/// A namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NamespaceInfo {
    /// Its identifier.
    pub nsid: u32,
    /// As it was added.
    pub config: NamespaceConfig,
    /// Its ANA group.
    pub ana_group: u32,
    /// The volume.
    pub volume: block::Info,
    /// Requests the volume has or waits for.
    pub outstanding: usize,
}

/// A controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ControllerInfo {
    /// Its identifier.
    pub controller_id: u16,
    /// Its host's name.
    pub host: Nqn,
    /// Its host's identifier.
    pub host_id: HostId,
    /// How its admin connection came in.
    pub arrival: Arrival,
    /// I/O queues it has now.
    pub io_queues: usize,
    /// CSTS.RDY.
    pub ready: bool,
    /// Keep alive time-out; zero for none.
    pub keep_alive: Duration,
    /// What it did.
    pub statistics: Statistics,
}

/// Successful commands and their bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
}

/// A queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueInfo {
    /// The queue.
    pub key: QueueKey,
    /// Its controller's identifier.
    pub controller_id: u16,
    /// Its identifier; 0 is the admin queue.
    pub queue_id: u16,
    /// Its entries.
    pub entries: u32,
    /// Requests under way.
    pub outstanding: u32,
    /// How its connection came in.
    pub arrival: Arrival,
    /// Its host's name.
    pub host: Nqn,
}

/// Counts of the whole target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Totals {
    /// Controllers with I/O queues, and discovery controllers.
    pub controllers: usize,
    /// Queues, admin queues among them.
    pub queues: usize,
    /// Admin queues.
    pub admin_queues: usize,
    /// Requests submitted since the beginning.
    pub submitted: u64,
    /// Requests answered since the beginning.
    pub answered: u64,
}

impl Target {
    /// All subsystems, the discovery subsystem first.
    pub fn subsystems(&self) -> impl Iterator<Item = SubsystemInfo> {
        self.subsystems.iter().map(|(_, subsystem)| self.describe(subsystem))
    }

    /// One subsystem.
    pub fn subsystem(&self, nqn: &Nqn) -> Result<SubsystemInfo, ConfigError> {
        let subsystem = self.subsystems.get(self.subsystem_key(nqn)?);
        Ok(self.describe(subsystem.ok_or(ConfigError::UnknownSubsystem)?))
    }

    /// The controllers of a subsystem, oldest first.
    pub fn controllers(&self, nqn: &Nqn) -> Result<Vec<ControllerInfo>, ConfigError> {
        let subsystem = self.subsystems.get(self.subsystem_key(nqn)?);
        let subsystem = subsystem.ok_or(ConfigError::UnknownSubsystem)?;
        let controllers = subsystem.controllers.iter().filter_map(|&key| self.controllers.get(key));
        Ok(controllers.map(describe_controller).collect())
    }

    /// Whether a controller of some subsystem has this identifier.
    pub fn has_controller(&self, controller_id: u16) -> bool {
        self.controllers.iter().any(|(_, controller)| controller.id == controller_id)
    }

    /// The queues of a subsystem.
    pub fn queues(&self, nqn: &Nqn) -> Result<Vec<QueueInfo>, ConfigError> {
        let key = self.subsystem_key(nqn)?;
        let queues = self.queues.iter().filter(|(_, queue)| queue.subsystem == key);
        let infos = queues.filter_map(|(key, queue)| {
            let controller = self.controllers.get(queue.controller)?;
            Some(QueueInfo {
                key: QueueKey(key),
                controller_id: controller.id,
                queue_id: queue.id,
                entries: queue.entries,
                outstanding: queue.outstanding,
                arrival: queue.arrival,
                host: controller.host,
            })
        });
        Ok(infos.collect())
    }

    /// Counts of the whole target.
    pub fn totals(&self) -> Totals {
        Totals {
            controllers: self.controllers.len(),
            queues: self.queues.len(),
            admin_queues: self.queues.iter().filter(|(_, queue)| queue.is_admin()).count(),
            submitted: self.counters.submitted,
            answered: self.counters.answered,
        }
    }

    fn describe(&self, subsystem: &Subsystem) -> SubsystemInfo {
        let namespaces = subsystem.active_ids().filter_map(|(nsid, key)| {
            let namespace = self.namespaces.get(key)?;
            Some(NamespaceInfo {
                nsid,
                config: namespace.config,
                ana_group: namespace.ana_group,
                volume: namespace.info,
                outstanding: namespace.channel.load(),
            })
        });
        let listeners = subsystem.listeners.iter();
        let listeners = listeners
            .map(|listener| ListenerInfo { portal: listener.portal, states: listener.states.clone() });
        SubsystemInfo {
            config: subsystem.config.clone(),
            discovery: subsystem.discovery,
            hosts: subsystem.hosts.iter().copied().collect(),
            listeners: listeners.collect(),
            namespaces: namespaces.collect(),
        }
    }
}

fn describe_controller(controller: &super::Controller) -> ControllerInfo {
    let (reads, writes, read_bytes, written_bytes) = controller.health.totals();
    ControllerInfo {
        controller_id: controller.id,
        host: controller.host,
        host_id: controller.host_id,
        arrival: controller.arrival,
        io_queues: controller.io_queues().count(),
        ready: controller.status.ready,
        keep_alive: Duration::from_millis(u64::from(controller.keep_alive.timeout_ms)),
        statistics: Statistics { reads, writes, read_bytes, written_bytes },
    }
}
