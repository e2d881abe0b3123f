//! How long the commands of a device take, counted while somebody wants to know: from the delivery of each to its outcome,
//! whatever that is.
//!
//! What it is not: commands that were aborted are not counted, since nobody hears how they ended; nor are those that never
//! became tasks.

use super::device::DeviceKey;
use super::{ConfigError, Target};
use block::volume::Histogram;
use stdx::env::Env;
use stdx::slab::Key;
use stdx::time::Time;

impl Target {
    /// Has the latencies of a device's commands counted from now on, from zero; `None` counts none.
    pub fn set_histogram(
        &mut self,
        device: DeviceKey,
        histogram: Option<Histogram>,
    ) -> Result<(), ConfigError> {
        let device = self.devices.get_mut(device.0).ok_or(ConfigError::UnknownDevice)?;
        device.histogram = histogram;
        Ok(())
    }

    /// The latencies counted of a device, if they are.
    pub fn histogram(&self, device: DeviceKey) -> Option<&Histogram> {
        self.devices.get(device.0)?.histogram.as_ref()
    }

    /// When a command of this nexus was delivered, if that is of interest: now.
    pub(super) fn delivered(&self, env: &dyn Env, nexus: Key) -> Option<Time> {
        let device = self.devices.get(self.nexuses.get(nexus)?.device)?;
        device.histogram.is_some().then(|| env.now())
    }

    /// A command has its outcome.
    pub(super) fn count_latency(&mut self, env: &dyn Env, nexus: Key, delivered: Option<Time>) {
        let Some(delivered) = delivered else { return };
        let Some(nexus) = self.nexuses.get(nexus) else { return };
        let device = self.devices.get_mut(nexus.device);
        if let Some(histogram) = device.and_then(|device| device.histogram.as_mut()) {
            histogram.add(env.now() - delivered);
        }
    }
}
