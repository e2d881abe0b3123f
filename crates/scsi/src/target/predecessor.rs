//! What a lost nexus left: tasks that a volume still works on. A nexus of the same name that comes after it waits for them,
//! since what they write must not land on what it writes.
//!
//! What it is not: it holds no command back. A transport asks before it delivers one ([`Executor::awaits_predecessor`]), and
//! stops taking more.
//!
//! [`Executor::awaits_predecessor`]: super::Executor::awaits_predecessor

use super::Target;
use super::reservation::NexusName;
use super::seam::NexusKey;
use stdx::planted::{Bug, planted};
use stdx::slab::Key;

/// A nexus that was lost before its tasks were over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departed {
    device: Key,
    name: NexusName,
    nexus: Key,
}

impl Target {
    /// Notes what a nexus that is being lost leaves.
    pub(super) fn note_departure(&mut self, key: Key) {
        if !self.has_tasks(key) {
            return;
        }
        if let Some(nexus) = self.nexuses.get(key) {
            self.departed.push(Departed { device: nexus.device, name: nexus.name(), nexus: key });
        }
    }

    /// Whether tasks of a lost nexus of this name, on this device, are still under way.
    pub(super) fn has_predecessor(&mut self, device: Key, name: &NexusName) -> bool {
        let mut departed = core::mem::take(&mut self.departed);
        departed.retain(|of| self.has_tasks(of.nexus));
        self.departed = departed;
        self.departed.iter().any(|of| of.device == device && of.name == *name)
    }

    /// See [`super::Executor::awaits_predecessor`].
    pub(super) fn await_predecessor(&mut self, key: NexusKey) -> bool {
        let Some(nexus) = self.nexuses.get(key.0).filter(|nexus| nexus.has_predecessor) else { return false };
        if planted(Bug::PredecessorNotAwaited) {
            return false;
        }
        let (device, name) = (nexus.device, nexus.name());
        let still = self.has_predecessor(device, &name);
        if let Some(nexus) = self.nexuses.get_mut(key.0) {
            nexus.has_predecessor = still;
        }
        still
    }

    fn has_tasks(&self, nexus: Key) -> bool {
        self.tasks.iter().any(|(_, task)| task.nexus == nexus && !task.answered)
    }
}
