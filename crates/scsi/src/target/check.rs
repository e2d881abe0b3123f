//! The laws of a target, asserted (for the simulator after each step, and for tests).

use super::Target;
use super::task::State;

impl Target {
    /// Panics if a law is broken: a bug of this crate, never of a peer.
    pub fn check(&self) {
        let untold = self.tasks.iter().filter(|(_, task)| !task.answered).count();
        assert_eq!(self.counters.begun - self.counters.told, untold as u64, "tasks without an outcome");
        self.check_task_sets();
        self.check_volumes();
        for (_, nexus) in self.nexuses.iter() {
            assert!(self.devices.get(nexus.device).is_some() || !self.lost.is_empty(), "a nexus's device");
        }
    }

    fn check_task_sets(&self) {
        for (key, unit) in self.units.iter() {
            let here = || self.tasks.iter().filter(|(_, task)| task.unit == Some(key) && !task.answered);
            let enabled = here().filter(|(_, task)| !matches!(task.state, State::Dormant { .. })).count();
            assert_eq!(enabled, unit.tasks.enabled() as usize, "tasks that have begun");
            assert_eq!(here().count(), unit.tasks.len() as usize, "tasks in the set");
        }
    }

    fn check_volumes(&self) {
        for (key, unit) in self.units.iter() {
            let load = self.tasks.iter().filter(|(_, task)| task.at_volume == Some(key)).count();
            assert_eq!(load, unit.channel.load(), "requests of logical unit {}", unit.lun);
            assert!(unit.channel.is_idle() || unit.busy, "a logical unit with requests is polled");
            assert_eq!(unit.busy, self.busy.contains(&key), "the list of busy logical units");
            let device = self.devices.get(unit.device);
            let known = device.and_then(|device| device.units.get(&unit.lun)) == Some(&key);
            assert!(unit.removed || known, "a logical unit that its device knows");
        }
    }
}
