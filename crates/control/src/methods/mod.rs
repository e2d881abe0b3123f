//! The methods, by SPDK's names, a module a family.

pub mod accel;
pub mod app;
pub mod bdev;
pub mod disk;
pub mod framework;
pub mod iscsi;
pub mod log;
pub mod notify;
pub mod nvme;
pub mod nvmf;
mod rounds;
pub mod srp;

use std::sync::Arc;

use engine::{Change, Shard};
use tokio::sync::Notify;

use crate::fabric::Fabric;
use crate::table::Table;
use log::LogState;
use notify::{EventType, Notifications};

/// What the methods know beside the shard.
#[derive(Debug)]
pub struct State {
    /// What is logged.
    pub log: Arc<LogState>,
    /// Told when the process is to end.
    pub stop: Arc<Notify>,
    notifications: Arc<Notifications>,
    defaults: Arc<Defaults>,
}

/// What holds for what is made without saying otherwise.
#[derive(Debug, Default)]
pub struct Defaults {
    /// Controllers of other machines.
    pub nvme: Arc<nvme::Defaults>,
    /// Disks of iSCSI targets.
    pub disks: Arc<disk::Defaults>,
    /// Our target nodes.
    pub iscsi: Arc<iscsi::Defaults>,
}

impl State {
    /// The state of a process that logs like this.
    pub fn new(log: Arc<LogState>) -> Self {
        Self { log, stop: Arc::default(), notifications: Arc::default(), defaults: Arc::default() }
    }

    /// Has the volumes of a shard announced to `notify_get_notifications`.
    pub fn observe(&self, shard: &mut Shard) {
        shard.observe(self.observer());
    }

    /// What to tell of changes on a shard.
    pub fn observer(&self) -> impl FnMut(&Change) + Send + 'static {
        let notifications = Arc::clone(&self.notifications);
        move |change| match change {
            Change::Added(volume) => notifications.push(EventType::BdevRegister, volume),
            Change::Removed(volume) => notifications.push(EventType::BdevUnregister, volume),
            Change::Resized(_) => {}
        }
    }

    /// All methods.
    pub fn table(&self) -> Table<Fabric> {
        let families = [
            app::methods(&self.stop),
            framework::methods(&self.defaults),
            log::methods(&self.log),
            notify::methods(&self.notifications),
            accel::methods(),
            bdev::methods(),
            nvme::methods(&self.defaults.nvme),
            disk::methods(&self.defaults.disks),
            nvmf::methods(),
            iscsi::methods(&self.defaults.iscsi),
            srp::methods(),
        ];
        Table::new(families.into_iter().flatten().collect())
    }
}
