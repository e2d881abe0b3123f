//! Commands that take too long: a late command is aborted; if that does not help its logical unit is reset, and if that does not
//! help the connection counts as lost.

use super::Attachment;
use crate::srp::initiator::event::Failure;
use core::time::Duration;
use stdx::env::Env;

impl Attachment {
    /// When to look next.
    pub(super) fn watch(&mut self, env: &mut dyn Env) {
        let options = &self.options;
        let watch = options.watch_interval;
        let shortest =
            if watch.is_zero() { options.command_timeout } else { watch.min(options.command_timeout) };
        self.look_at = Some(env.now() + (shortest / LOOKS_A_TIMEOUT).max(Duration::from_millis(1)));
    }

    /// Looks, if it is time.
    pub(super) fn look(&mut self, env: &mut dyn Env) {
        let (now, timeout) = (env.now(), self.options.command_timeout);
        if self.look_at.is_none_or(|at| now < at) {
            return;
        }
        self.watch(env);
        let Self { units, link: Some(link), .. } = self else { return };
        let oldest = link.channels().iter().filter_map(|channel| channel.oldest()).min();
        if oldest.is_some_and(|since| now >= since + timeout * 2) {
            return self.lose(env, Failure::CommandTimedOut);
        }
        for channel in link.channels_mut() {
            let mut late = [None; ABORTS_A_LOOK];
            let mut places = late.iter_mut();
            for (task, token) in channel.late(now, timeout) {
                if places.len() > 0 && units.note_abort(token) {
                    places.next().into_iter().for_each(|place| *place = Some(task));
                }
            }
            for task in late.into_iter().flatten() {
                // Without room for it, the second time-out decides.
                let _ = channel.abort(now, task);
            }
        }
        let stuck = link.channels().iter().find_map(|channel| channel.stuck(now, timeout + timeout / 2));
        if let Some(lun) = stuck {
            // Each channel for itself: what answers a reset comes behind all that the channel's own commands were answered with.
            for channel in link.channels_mut() {
                let _ = channel.reset(now, lun);
            }
        }
        units.ask_next_disk(env, link);
    }
}

/// How often late commands are looked for within the shortest time-out.
const LOOKS_A_TIMEOUT: u32 = 4;
/// The most commands of a channel aborted at one look.
const ABORTS_A_LOOK: usize = 8;
