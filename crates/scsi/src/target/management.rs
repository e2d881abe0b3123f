//! Task management (SAM-5, section 7), resets, and the loss of a nexus (section 6.3).

use super::nexus::Nexus;
use super::options::MANAGEMENT_MAX;
use super::seam::{Function, Management, ManagementOutcome, NexusKey, TaskAttribute};
use super::task::Task;
use super::{Attention, Target};
use stdx::env::Env;
use stdx::slab::Key;

/// A request that is done when these tasks have ended.
#[derive(Debug)]
pub(super) struct Pending {
    nexus: NexusKey,
    slot: u32,
    outcome: ManagementOutcome,
    waits: Vec<Key>,
}

impl Target {
    /// See [`super::Executor::manage`].
    pub(super) fn manage_tasks(&mut self, env: &mut dyn Env, request: &Management) {
        let Management { nexus, slot, .. } = *request;
        if self.pending.len() >= MANAGEMENT_MAX {
            return self.managed.push_back((nexus, slot, ManagementOutcome::Rejected));
        }
        let mut waits = Vec::new();
        let outcome = self.manage_now(env, request, &mut waits);
        self.pending.push(Pending { nexus, slot, outcome, waits });
    }

    fn manage_now(
        &mut self,
        env: &mut dyn Env,
        request: &Management,
        waits: &mut Vec<Key>,
    ) -> ManagementOutcome {
        let by = request.nexus.0;
        let Some(nexus) = self.nexuses.get(by) else { return ManagementOutcome::Rejected };
        let device = nexus.device;
        match request.function {
            Function::TargetReset => {
                self.reset_device(env, device, by, waits);
                return ManagementOutcome::Complete;
            }
            Function::NexusReset => {
                self.reset_nexus(env, by, waits);
                return ManagementOutcome::Complete;
            }
            _ => {}
        }
        let Some(unit) = self.unit_at(nexus, request.lun) else { return ManagementOutcome::IncorrectLun };
        let here = move |task: &Task| task.unit == Some(unit);
        let ours = move |task: &Task| here(task) && task.nexus == by;
        match request.function {
            Function::AbortTask { tag } => {
                let found = self.find(|task| ours(task) && task.tag == tag);
                let Some(found) = found else { return ManagementOutcome::NoSuchTask };
                self.give_up_tasks(env, Some(by), waits, |key, _| key == found);
            }
            Function::AbortTaskSet => self.give_up_tasks(env, Some(by), waits, |_, task| ours(task)),
            Function::ClearTaskSet => self.give_up_tasks(env, Some(by), waits, |_, task| here(task)),
            Function::ClearAca => self.clear_aca(env, unit, by, waits),
            Function::LogicalUnitReset => self.reset_unit(env, unit, Some(by), waits),
            Function::QueryTask { tag } => {
                return answer(self.find(|task| ours(task) && task.tag == tag).is_some());
            }
            Function::QueryTaskSet => return answer(self.find(ours).is_some()),
            Function::QueryAsynchronousEvent => return answer(nexus.attention(unit).is_some()),
            Function::TargetReset | Function::NexusReset => {}
        }
        ManagementOutcome::Complete
    }

    /// Tells the requests that are done: all tasks they ended have had their outcomes.
    pub(super) fn settle_pending(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let tasks = &self.tasks;
        let managed = &mut self.managed;
        self.pending.retain_mut(|pending| {
            pending.waits.retain(|key| tasks.get(*key).is_some());
            if pending.waits.is_empty() {
                managed.push_back((pending.nexus, pending.slot, pending.outcome));
            }
            !pending.waits.is_empty()
        });
    }

    /// The auto contingent allegiance ends, if it is this nexus's; tasks that belong to it are aborted.
    fn clear_aca(&mut self, env: &mut dyn Env, key: Key, by: Key, waits: &mut Vec<Key>) {
        let Some(unit) = self.units.get_mut(key).filter(|unit| unit.allegiance == Some(by)) else { return };
        unit.allegiance = None;
        self.stir(key);
        let aca = |_: Key, task: &Task| task.unit == Some(key) && task.attribute == TaskAttribute::Aca;
        self.give_up_tasks(env, Some(by), waits, aca);
    }

    /// A logical unit is as after power on (SAM-5, section 6.3.3); every nexus is told.
    fn reset_unit(&mut self, env: &mut dyn Env, key: Key, by: Option<Key>, waits: &mut Vec<Key>) {
        self.give_up_tasks(env, by, waits, |_, task| task.unit == Some(key));
        let Some(unit) = self.units.get_mut(key) else { return };
        unit.allegiance = None;
        unit.settings = unit.first_settings();
        unit.reservations.reset();
        unit.preventing.clear();
        self.attend(key, Attention::Reset, None);
        self.stir(key);
    }

    fn reset_device(&mut self, env: &mut dyn Env, device: Key, by: Key, waits: &mut Vec<Key>) {
        let units: Vec<Key> =
            self.devices.get(device).map_or_else(Vec::new, |device| device.units.values().copied().collect());
        for unit in units {
            self.reset_unit(env, unit, Some(by), waits);
        }
    }

    /// What a nexus had is given up, and it is told that it was lost.
    fn reset_nexus(&mut self, env: &mut dyn Env, key: Key, waits: &mut Vec<Key>) {
        self.abandon_nexus(env, key, waits);
        let units = self.nexuses.get(key).and_then(|nexus| self.devices.get(nexus.device));
        let units: Vec<Key> = units.map_or_else(Vec::new, |device| device.units.values().copied().collect());
        if let Some(nexus) = self.nexuses.get_mut(key) {
            for unit in units {
                nexus.attend(unit, Attention::NexusLoss);
            }
        }
    }

    /// See [`super::Executor::lose`].
    pub(super) fn lose_nexus(&mut self, env: &mut dyn Env, key: Key) {
        self.abandon_nexus(env, key, &mut Vec::new());
        self.note_departure(key);
        self.nexuses.remove(key);
        self.pending.retain(|pending| pending.nexus.0 != key);
        self.managed.retain(|(nexus, _, _)| nexus.0 != key);
        self.events.forget(NexusKey(key));
    }

    /// Gives up a nexus's tasks and what it holds of logical units.
    fn abandon_nexus(&mut self, env: &mut dyn Env, key: Key, waits: &mut Vec<Key>) {
        self.give_up_tasks(env, Some(key), waits, |_, task| task.nexus == key);
        if let Some(name) = self.nexuses.get(key).map(Nexus::name) {
            self.units.iter_mut().for_each(|(_, unit)| unit.reservations.lose(&name));
        }
        let held = self.units.iter_mut().filter(|(_, unit)| unit.allegiance == Some(key));
        let held: Vec<Key> = held.map(|(at, unit)| (unit.allegiance = None, at).1).collect();
        for unit in held {
            self.stir(unit);
        }
        for (_, unit) in self.units.iter_mut() {
            unit.preventing.remove(&key);
        }
    }

    /// Waiting tasks of a logical unit may begin.
    fn stir(&mut self, unit: Key) {
        if !self.stirred.contains(&unit) {
            self.stirred.push(unit);
        }
    }

    fn find(&self, of: impl Fn(&Task) -> bool) -> Option<Key> {
        self.tasks.iter().find(|(_, task)| !task.answered && of(task)).map(|(key, _)| key)
    }
}

const fn answer(yes: bool) -> ManagementOutcome {
    if yes { ManagementOutcome::Succeeded } else { ManagementOutcome::Complete }
}
