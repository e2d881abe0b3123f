//! A task ends: its outcome is told, its task set is one smaller, and a CHECK CONDITION has its consequences.

use super::sbc::Work;
use super::seam::{NexusKey, Outcome, TaskAttribute};
use super::task::{Ending, State, Task};
use super::unit::QueueError;
use super::{Attention, Target};
use stdx::env::Env;
use stdx::slab::Key;
use wire::scsi::{Cdb, Sense, Status};

impl Target {
    /// Ends a task that no volume works on.
    pub(super) fn end(&mut self, env: &mut dyn Env, key: Key, ending: Ending) {
        let Some(task) = self.tasks.remove(key) else { return };
        if task.work == Work::Copy {
            self.finish_copy(env, key, &task, &ending);
        }
        if !task.pattern.is_empty() {
            env.mem().give(task.pattern);
        }
        if !task.answered {
            self.tell_task(env, &task, ending);
            self.withdraw(key, &task);
            if ending.is_check_condition() {
                self.after_check_condition(task.unit, task.nexus, &task.cdb);
            }
        }
        if let Some(unit) = task.unit {
            self.remove_if_unused(unit);
        }
    }

    /// Tells a task's outcome while its work goes on (IMMED). It leaves its task set.
    pub(super) fn answer_early(&mut self, env: &dyn Env, key: Key, ending: Ending) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        task.answered = true;
        let task = *task;
        self.tell_task(env, &task, ending);
        self.withdraw(key, &task);
    }

    /// Gives a task up. It ends now, or when its volume lets go of its memory: then the answer is true.
    pub(super) fn give_up(&mut self, env: &mut dyn Env, key: Key, ending: Ending) -> bool {
        let Some(task) = self.tasks.get_mut(key) else { return false };
        if let Work::Sanitize(_) = task.work {
            self.answer_early(env, key, ending);
            return false;
        }
        let unit = task.at_volume.and_then(|unit| self.units.get_mut(unit));
        if unit.is_some_and(|unit| !unit.channel.withdraw(key.as_u64())) {
            task.given_up.get_or_insert(ending);
            return true;
        }
        self.end(env, key, ending);
        false
    }

    /// Gives up the tasks that `of` chooses, on behalf of `by`; appends those that still hold memory to `waits`.
    pub(super) fn give_up_tasks(
        &mut self,
        env: &mut dyn Env,
        by: Option<Key>,
        waits: &mut Vec<Key>,
        of: impl Fn(Key, &Task) -> bool,
    ) {
        let chosen = self.tasks.iter().filter(|(key, task)| !task.answered && of(*key, task));
        let chosen: Vec<(Key, Task)> = chosen.map(|(key, task)| (key, *task)).collect();
        for (key, task) in chosen {
            let ending = if Some(task.nexus) == by { Ending::ABORTED } else { self.cleared(&task) };
            if self.give_up(env, key, ending) {
                waits.push(key);
            }
        }
    }

    /// How a task ends that another nexus cleared: with TASK ABORTED if TAS is set, else silently, and its nexus is told
    /// by a unit attention (SAM-5, section 5.6).
    fn cleared(&mut self, task: &Task) -> Ending {
        let Some((key, unit)) = task.unit.and_then(|key| Some((key, self.units.get(key)?))) else {
            return Ending::ABORTED;
        };
        if unit.settings.task_aborted_status {
            return Ending::of(Status::TaskAborted);
        }
        if let Some(nexus) = self.nexuses.get_mut(task.nexus) {
            nexus.attend(key, Attention::CommandsCleared);
        }
        Ending::ABORTED
    }

    /// The task set is one smaller.
    pub(super) fn leave(&mut self, task: &Task) {
        let Some((key, unit)) = task.unit.and_then(|key| Some((key, self.units.get_mut(key)?))) else {
            return;
        };
        if unit.tasks.leave(task.attribute) && !self.stirred.contains(&key) {
            self.stirred.push(key);
        }
    }

    /// A task leaves its task set, whether it had begun or not.
    fn withdraw(&mut self, key: Key, task: &Task) {
        let State::Dormant { .. } = task.state else { return self.leave(task) };
        let Some((at, unit)) = task.unit.and_then(|key| Some((key, self.units.get_mut(key)?))) else {
            return;
        };
        if unit.tasks.withdraw(key) && !self.stirred.contains(&at) {
            self.stirred.push(at);
        }
    }

    /// An auto contingent allegiance, if NACA asks for one, or what QERR says (SAM-5, sections 5.9 and 5.10).
    pub(super) fn after_check_condition(&mut self, unit: Option<Key>, nexus: Key, cdb: &Cdb) {
        let Some((key, unit)) = unit.and_then(|key| Some((key, self.units.get_mut(key)?))) else { return };
        if cdb.naca() {
            unit.allegiance.get_or_insert(nexus);
            return;
        }
        match unit.settings.queue_error {
            QueueError::GoOn => {}
            QueueError::AbortAll => self.faulted.push((key, nexus, false)),
            QueueError::AbortNexus => self.faulted.push((key, nexus, true)),
        }
    }

    /// Ends the tasks that a CHECK CONDITION took with it.
    pub(super) fn end_faulted(&mut self, env: &mut dyn Env) -> bool {
        let faulted = core::mem::take(&mut self.faulted);
        let any = !faulted.is_empty();
        for (unit, nexus, of_nexus_alone) in faulted {
            let of = |_: Key, task: &Task| {
                task.unit == Some(unit)
                    && task.attribute != TaskAttribute::Aca
                    && (!of_nexus_alone || task.nexus == nexus)
            };
            self.give_up_tasks(env, Some(nexus), &mut Vec::new(), of);
        }
        any
    }

    fn tell_task(&mut self, env: &dyn Env, task: &Task, ending: Ending) {
        if ending.status.is_some() {
            self.count_latency(env, task.nexus, task.delivered);
        }
        let sense = self.formed(task.unit, ending.sense);
        let Ending { status, data, .. } = ending;
        self.tell(Outcome { nexus: NexusKey(task.nexus), slot: task.slot, status, sense, data });
    }

    pub(super) fn tell(&mut self, outcome: Outcome) {
        self.counters.told += 1;
        self.outcomes.push(outcome);
    }

    /// Sense data in the form that the logical unit's settings say.
    pub(super) fn formed(&self, unit: Option<Key>, sense: Option<Sense>) -> Option<Sense> {
        let unit = unit.and_then(|key| self.units.get(key));
        let descriptor = unit.is_some_and(|unit| unit.settings.descriptor_sense);
        sense.map(|sense| Sense { descriptor, ..sense })
    }
}
