//! The target side of SAM-5: devices with their logical units, nexuses, task sets, and the commands of SPC-4 and SBC-3.
//!
//! What it is: one [`Target`] for each shard, sans-IO. Transports feed it commands through [`seam`](Command); the owner
//! configures it ([`registry`](ConfigError)) and gives it opened volumes; volumes complete through [`Target::poll`].
//!
//! What it is not: it sees no PDU, knows no iSCSI name rule, and holds no buffer but those a transport lends it for a task.
//!
//! Invariants, asserted by [`Target::check`]: every task begun has exactly one outcome; a task set counts the tasks that
//! are in it; what a logical unit's volume has under way is what the tasks say; a logical unit leaves only when its volume
//! holds no buffer.
//!
//! - `device`, `nexus`, `unit`, `task`, `task_set`, `attention`: what there is. `registry`: how it changes.
//! - `event`: what is told without being asked. `latency`: what is counted. `predecessor`: what a lost nexus left.
//! - `command`: the one table of commands. `begin`, `execute`, `end`: a task's way through the target. `management`: how it
//!   is cut short. `immediate`: the way of a command that needs no task.
//! - `spc`: the commands all devices have; `pages`, `reservation`: what they tell and change. `sbc`: the commands of disks.

mod attention;
mod begin;
mod call;
mod check;
mod command;
mod copy;
mod device;
mod end;
mod event;
mod execute;
mod executor;
mod groups;
mod immediate;
mod lanes;
mod latency;
mod management;
mod nexus;
pub mod options;
mod pages;
mod predecessor;
mod registry;
mod reservation;
mod sbc;
mod seam;
mod spc;
mod storing;
mod task;
mod task_set;
#[cfg(test)]
mod tests;
mod unit;

pub use attention::Attention;
pub use device::{DeviceConfig, DeviceKey, PortConfig, Protocol};
pub use event::Event;
pub use executor::Executor;
pub use lanes::{Lane, Lanes, tagged};
pub use registry::ConfigError;
pub use reservation::{NexusName, Registrant, ReservationState};
pub use seam::{
    Begun, Command, Function, Management, ManagementOutcome, NexusKey, Outcome, TaskAttribute, TaskKey,
    Transfer,
};
pub use unit::{SavedMode, UnitConfig};

use copy::Copy;
use device::Device;
use event::Events;
use management::Pending;
use nexus::Nexus;
use options::{DEVICES_MAX, NEXUSES_MAX, TASKS_MAX, UNITS_MAX};
use predecessor::Departed;
use std::collections::{BTreeMap, VecDeque};
use stdx::env::Env;
use stdx::slab::{Key, Slab};
use stdx::time::Time;
use storing::Parked;
use task::Task;
use unit::Unit;

/// Devices and everything behind them.
#[derive(Debug)]
pub struct Target {
    devices: Slab<Device>,
    units: Slab<Unit>,
    nexuses: Slab<Nexus>,
    tasks: Slab<Task>,
    /// What the next [`Executor::poll`] tells.
    outcomes: Vec<Outcome>,
    /// Task management requests that wait for tasks to end.
    pending: Vec<Pending>,
    managed: VecDeque<(NexusKey, u32, ManagementOutcome)>,
    /// Nexuses that transports are to end.
    lost: VecDeque<NexusKey>,
    /// Nexuses that are lost, and whose tasks are not over.
    departed: Vec<Departed>,
    /// What nexuses are told of without asking.
    events: Events,
    /// Logical units with I/O under way.
    busy: Vec<Key>,
    /// Logical units whose waiting tasks may begin.
    stirred: Vec<Key>,
    /// CHECK CONDITIONs that take other tasks with them (QERR): the logical unit, the nexus, and whether its tasks alone.
    faulted: Vec<(Key, Key, bool)>,
    /// Tasks that pause in their work, and until when: all pauses are of one length, so that these are in order.
    resting: VecDeque<(Time, Key)>,
    /// Reused by [`Executor::poll`].
    done: Vec<block::Done>,
    /// Copies under way, by their tasks.
    copies: BTreeMap<Key, Copy>,
    /// Commands that wait for what they caused: PERSISTENT RESERVE OUT, MODE SELECT that saves.
    parked: Vec<Parked>,
    /// Logical units of which something changed that is to be stored.
    reservation_changes: VecDeque<Key>,
    counters: Counters,
}

/// Counts for [`Target::check`].
#[derive(Clone, Copy, Default, Debug)]
struct Counters {
    begun: u64,
    told: u64,
}

impl Default for Target {
    fn default() -> Self {
        Self::new()
    }
}

impl Target {
    /// A target without devices.
    pub const fn new() -> Self {
        Self {
            devices: Slab::new(DEVICES_MAX),
            units: Slab::new(UNITS_MAX),
            nexuses: Slab::new(NEXUSES_MAX),
            tasks: Slab::new(TASKS_MAX),
            outcomes: Vec::new(),
            pending: Vec::new(),
            managed: VecDeque::new(),
            lost: VecDeque::new(),
            departed: Vec::new(),
            events: Events::new(),
            busy: Vec::new(),
            stirred: Vec::new(),
            faulted: Vec::new(),
            resting: VecDeque::new(),
            done: Vec::new(),
            copies: BTreeMap::new(),
            parked: Vec::new(),
            reservation_changes: VecDeque::new(),
            counters: Counters { begun: 0, told: 0 },
        }
    }

    /// When [`Executor::poll`] wants to be called at the latest.
    pub fn deadline(&self) -> Option<Time> {
        self.resting.front().map(|&(until, _)| until)
    }

    /// One round over the volumes with I/O under way; true if something was done, so that another is worth it.
    fn poll_volumes(&mut self, env: &mut dyn Env) -> bool {
        let mut any = false;
        let mut place = 0;
        while let Some(&key) = self.busy.get(place) {
            let mut done = core::mem::take(&mut self.done);
            if let Some(unit) = self.units.get_mut(key) {
                unit.channel.poll(env, &mut done);
            }
            any |= !done.is_empty();
            for completion in done.drain(..) {
                self.complete(env, &completion);
            }
            self.done = done;
            if self.retire_if_idle(key) {
                self.busy.swap_remove(place);
            } else {
                place += 1;
            }
        }
        any
    }

    /// Takes an idle logical unit off the list of busy ones, and out of the table if it was removed.
    fn retire_if_idle(&mut self, key: Key) -> bool {
        let Some(unit) = self.units.get_mut(key) else { return true };
        if !unit.channel.is_idle() {
            return false;
        }
        unit.busy = false;
        self.remove_if_unused(key);
        true
    }

    /// Lets tasks begin that waited for others; true if there were logical units to look at.
    fn wake(&mut self, env: &mut dyn Env) -> bool {
        let any = !self.stirred.is_empty();
        while let Some(unit) = self.stirred.pop() {
            self.enable_waiting(env, unit);
        }
        any
    }

    /// The logical unit behind a number, as a nexus sees it.
    fn unit_at(&self, nexus: &Nexus, lun: wire::scsi::Lun) -> Option<Key> {
        let device = self.devices.get(nexus.device)?;
        device.units.get(&lun.single_level()?).copied()
    }

    /// A condition is to be told to every nexus of the logical unit, but to `except`.
    fn attend(&mut self, unit: Key, attention: Attention, except: Option<Key>) {
        let Some((device, lun)) = self.units.get(unit).map(|unit| (unit.device, unit.lun)) else { return };
        for (key, nexus) in self.nexuses.iter_mut() {
            if nexus.device == device && Some(key) != except {
                nexus.attend(unit, attention);
                self.events.add(NexusKey(key), lun, attention);
            }
        }
    }
}

impl Executor for Target {
    fn open_nexus(
        &mut self,
        device: DeviceKey,
        initiator: wire::scsi::TransportId,
        port: u16,
    ) -> Result<NexusKey, ConfigError> {
        Self::open_nexus(self, device, initiator, port)
    }

    fn begin(&mut self, env: &mut dyn Env, command: &Command) -> Begun {
        self.begin_task(env, command)
    }

    fn perform(
        &mut self,
        env: &mut dyn Env,
        command: &Command,
        data: stdx::mem::Span,
    ) -> Option<stdx::mem::Span> {
        self.perform_command(env, command, data)
    }

    fn submit(&mut self, env: &mut dyn Env, task: TaskKey, data: stdx::mem::Span) {
        self.submit_task(env, task.0, data);
    }

    fn manage(&mut self, env: &mut dyn Env, request: &Management) {
        self.manage_tasks(env, request);
    }

    fn poll(&mut self, env: &mut dyn Env, outcomes: &mut Vec<Outcome>) {
        self.end_rests(env);
        while self.end_faulted(env) || self.wake(env) || self.poll_volumes(env) || self.settle_parked(env) {}
        self.settle_pending();
        outcomes.append(&mut self.outcomes);
    }

    fn poll_management(&mut self) -> Option<(NexusKey, u32, ManagementOutcome)> {
        self.managed.pop_front()
    }

    fn lose(&mut self, env: &mut dyn Env, nexus: NexusKey) {
        self.lose_nexus(env, nexus.0);
    }

    fn awaits_predecessor(&mut self, nexus: NexusKey) -> bool {
        self.await_predecessor(nexus)
    }

    fn poll_lost(&mut self) -> Option<NexusKey> {
        self.lost.pop_front()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.events.take()
    }
}
