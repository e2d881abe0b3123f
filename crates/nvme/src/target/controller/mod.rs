//! A controller: one host's association with a subsystem, from its admin queue's Connect to that queue's end (Base 3.1,
//! dynamic controller model).
//!
//! What it is: the state behind the admin queue, one small module for each kind of it. What it is not: it executes no I/O
//! command.
//!
//! ```text
//!  Connect (admin) --> disabled --CC.EN=1--> ready --CC.SHN--> flushing --> shut down
//!                         ^                    |                  |            |
//!                         +------CC.EN=0-------+------------------+------------+   (reset: I/O queues end, settings are
//!                                                                                   forgotten)
//!  The admin connection ends, keep alive expires, or the owner removes what the controller stands on: it is gone.
//! ```

mod abort;
mod admin;
mod comeback;
mod configuration;
pub(super) mod connect;
mod errors;
pub(super) mod events;
pub(super) mod fabrics;
mod features;
mod health;
mod identify;
mod keep_alive;
mod log;
mod shutdown;
mod teardown;

use super::nvm::reservation::NotificationLog;
use super::outstanding::Outstanding;
use super::portal::Arrival;
use super::queue::Queue;
use errors::{ErrorLog, Failure};
use events::{ChangedNamespaces, Events};
use features::Features;
use health::Health;
use keep_alive::KeepAlive;
use stdx::slab::{Key, Slab};
use wire::nvme::fabrics::{Configuration, ControllerStatus, HostId, ShutdownStatus};
use wire::nvme::{Nqn, Status};

/// The state of a controller.
#[derive(Debug)]
pub(super) struct Controller {
    pub(super) subsystem: Key,
    pub(super) id: u16,
    /// A discovery controller: it has a log to read, and no I/O queue.
    pub(super) discovery: bool,
    pub(super) host: Nqn,
    pub(super) host_id: HostId,
    pub(super) arrival: Arrival,
    /// By queue identifier.
    pub(super) queues: Vec<Option<Key>>,
    pub(super) configuration: Configuration,
    pub(super) status: ControllerStatus,
    /// The flushes that a shutdown waits for.
    pub(super) shutdown: Option<Key>,
    pub(super) keep_alive: KeepAlive,
    pub(super) features: Features,
    pub(super) events: Events,
    pub(super) changed: ChangedNamespaces,
    pub(super) notifications: NotificationLog,
    pub(super) errors: ErrorLog,
    pub(super) health: Health,
    /// Some group is not to be reached through this controller's portal as it should.
    pub(super) ana_restricted: bool,
}

impl Controller {
    /// The admin queue, while there is one.
    pub(super) fn admin_queue(&self) -> Option<Key> {
        self.queues.first().copied().flatten()
    }

    /// The I/O queues there are.
    pub(super) fn io_queues(&self) -> impl Iterator<Item = Key> {
        self.queues.iter().skip(1).flatten().copied()
    }

    /// Keeps the error of an I/O command; the queue may be gone.
    pub(super) fn note_io_error(
        &mut self,
        queues: &Slab<Queue>,
        outstanding: &Outstanding,
        command_id: u16,
        status: Status,
    ) {
        let queue_id = queues.get(outstanding.queue).map_or(0, |queue| queue.id);
        self.errors.note(Failure {
            queue_id,
            command_id,
            status,
            first_block: outstanding.first_block,
            namespace_id: outstanding.namespace_id,
        });
    }
}

/// A configuration with everything zero.
const fn no_configuration() -> Configuration {
    Configuration::from_bits(0)
}

/// A status with nothing ready.
const fn no_status() -> ControllerStatus {
    ControllerStatus {
        ready: false,
        fatal: false,
        shutdown: Some(ShutdownStatus::Normal),
        subsystem_reset_occurred: false,
        paused: false,
    }
}
