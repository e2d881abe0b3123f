//! What a change of reservations brings with it: nexuses are told, tasks are aborted, and the owner stores what is to
//! outlive a power loss. The command that made the change is answered when that is done. Mode pages that are saved are stored
//! in the same way.

use super::device::DeviceKey;
use super::registry::ConfigError;
use super::reservation::{Effects, ReservationState};
use super::task::{Ending, Fault};
use super::unit::SavedMode;
use super::{Target, Task};
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::scsi::Sense;

/// A command that waits.
#[derive(Debug)]
pub(super) struct Parked {
    task: Key,
    unit: Key,
    /// Tasks of other nexuses it aborted, which still hold memory.
    waits: Vec<Key>,
    storing: Storing,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Storing {
    /// The owner does not know yet.
    Wanted,
    /// The owner stores a state with this change.
    Offered,
    /// It is stored, or need not be.
    Done,
    /// It could not be stored.
    Failed,
}

impl Target {
    /// The next logical unit whose reservations or saved mode pages changed and are to outlive a power loss. The owner stores
    /// its [`Target::reservation_state`] and [`Target::saved_mode`], and says so by [`Target::reservations_stored`]; the commands that changed it are
    /// answered then.
    pub fn poll_reservation_change(&mut self) -> Option<(DeviceKey, u16)> {
        while let Some(key) = self.reservation_changes.pop_front() {
            let Some(unit) = self.units.get(key).filter(|unit| !unit.removed) else { continue };
            let of_unit = self.parked.iter_mut().filter(|parked| parked.unit == key);
            for parked in of_unit.filter(|parked| parked.storing == Storing::Wanted) {
                parked.storing = Storing::Offered;
            }
            return Some((DeviceKey(unit.device), unit.lun));
        }
        None
    }

    /// The reservations of a logical unit.
    pub fn reservation_state(&self, device: DeviceKey, lun: u16) -> Result<&ReservationState, ConfigError> {
        let key = self.unit_of(device, lun)?;
        Ok(self.units.get(key).ok_or(ConfigError::UnknownUnit)?.reservations.state())
    }

    /// The saved mode pages of a logical unit, if they ever were.
    pub fn saved_mode(&self, device: DeviceKey, lun: u16) -> Result<Option<SavedMode>, ConfigError> {
        let key = self.unit_of(device, lun)?;
        Ok(self.units.get(key).ok_or(ConfigError::UnknownUnit)?.saved)
    }

    /// Gives a logical unit the saved mode pages it had before. To be called before initiators can log in.
    pub fn restore_mode(&mut self, device: DeviceKey, lun: u16, saved: SavedMode) -> Result<(), ConfigError> {
        let key = self.unit_of(device, lun)?;
        let unit = self.units.get_mut(key).ok_or(ConfigError::UnknownUnit)?;
        unit.saved = Some(saved);
        unit.settings = unit.first_settings();
        Ok(())
    }

    /// The settings of a logical unit are saved as they are now: the command waits until they are stored.
    pub(super) fn save_mode(&mut self, task: Key, unit: Key) {
        if let Some(unit) = self.units.get_mut(unit) {
            unit.saved = Some(SavedMode::of(&unit.settings));
        }
        self.store(unit);
        self.parked.push(Parked { task, unit, waits: Vec::new(), storing: Storing::Wanted });
    }

    /// The owner is to store what is kept of a logical unit.
    fn store(&mut self, unit: Key) {
        if !self.reservation_changes.contains(&unit) {
            self.reservation_changes.push_back(unit);
        }
    }

    /// Gives a logical unit the reservations it had before. To be called before initiators can log in.
    pub fn restore_reservations(
        &mut self,
        device: DeviceKey,
        lun: u16,
        state: ReservationState,
    ) -> Result<(), ConfigError> {
        let key = self.unit_of(device, lun)?;
        self.units.get_mut(key).ok_or(ConfigError::UnknownUnit)?.reservations.restore(state);
        Ok(())
    }

    /// The state that was there at the last [`Target::poll_reservation_change`] for this logical unit is stored, or could
    /// not be.
    pub fn reservations_stored(
        &mut self,
        device: DeviceKey,
        lun: u16,
        stored: bool,
    ) -> Result<(), ConfigError> {
        let key = self.unit_of(device, lun)?;
        let of_unit = self.parked.iter_mut().filter(|parked| parked.unit == key);
        for parked in of_unit.filter(|parked| parked.storing == Storing::Offered) {
            parked.storing = if stored { Storing::Done } else { Storing::Failed };
        }
        Ok(())
    }

    /// A command changed reservations: `persisted` says whether they were to persist before. The command is parked if
    /// there is something to wait for.
    pub(super) fn reservations_changed(
        &mut self,
        env: &mut dyn Env,
        key: Key,
        effects: &Effects,
        aborts: bool,
        persisted: bool,
    ) {
        let Some((task, unit)) = self.tasks.get(key).and_then(|task| Some((*task, task.unit?))) else {
            return;
        };
        let Some(device) = self.units.get(unit).map(|unit| unit.device) else { return };
        for (_, nexus) in self.nexuses.iter_mut().filter(|(_, nexus)| nexus.device == device) {
            let name = nexus.name();
            for (_, attention) in effects.attentions.iter().filter(|(told, _)| *told == name) {
                nexus.attend(unit, *attention);
            }
        }
        let mut waits = Vec::new();
        if aborts {
            let theirs = self.nexuses.iter().filter(|(_, nexus)| effects.aborted.contains(&nexus.name()));
            let theirs: Vec<Key> = theirs.map(|(key, _)| key).collect();
            let of =
                |at: Key, task: &Task| at != key && task.unit == Some(unit) && theirs.contains(&task.nexus);
            self.give_up_tasks(env, Some(task.nexus), &mut waits, of);
            self.end_allegiance_of(unit, &theirs);
        }
        let persists =
            persisted || self.units.get(unit).is_some_and(|unit| unit.reservations.state().persist);
        if persists {
            self.store(unit);
        }
        if persists || !waits.is_empty() {
            let storing = if persists { Storing::Wanted } else { Storing::Done };
            self.parked.push(Parked { task: key, unit, waits, storing });
        }
    }

    /// An auto contingent allegiance of a nexus that was preempted ends (SPC-4, section 5.13.11.3).
    fn end_allegiance_of(&mut self, at: Key, nexuses: &[Key]) {
        let Some(unit) = self.units.get_mut(at) else { return };
        if unit.allegiance.is_some_and(|faulted| nexuses.contains(&faulted)) {
            unit.allegiance = None;
            if !self.stirred.contains(&at) {
                self.stirred.push(at);
            }
        }
    }

    /// True if the command waits.
    pub(super) fn is_parked(&self, task: Key) -> bool {
        self.parked.iter().any(|parked| parked.task == task)
    }

    /// Answers the commands that need not wait any more; true if there were some.
    pub(super) fn settle_parked(&mut self, env: &mut dyn Env) -> bool {
        if self.parked.is_empty() {
            return false;
        }
        let mut ready = Vec::new();
        let tasks = &self.tasks;
        self.parked.retain_mut(|parked| {
            parked.waits.retain(|key| tasks.get(*key).is_some());
            let ending = match parked.storing {
                Storing::Wanted | Storing::Offered => return tasks.get(parked.task).is_some(),
                _ if !parked.waits.is_empty() => return tasks.get(parked.task).is_some(),
                Storing::Done => Ending::good(Span::EMPTY),
                Storing::Failed => Fault::Sense(Sense::INTERNAL_TARGET_FAILURE).into(),
            };
            ready.push((parked.task, ending));
            false
        });
        let any = !ready.is_empty();
        for (task, ending) in ready {
            self.end(env, task, ending);
        }
        any
    }

    fn unit_of(&self, device: DeviceKey, lun: u16) -> Result<Key, ConfigError> {
        let device = self.devices.get(device.0).ok_or(ConfigError::UnknownDevice)?;
        device.units.get(&lun).copied().ok_or(ConfigError::UnknownUnit)
    }
}
