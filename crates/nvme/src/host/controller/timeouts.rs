//! Commands that take too long: an I/O command is aborted, and if that does not help the connection counts as lost; an
//! admin command of ours that gets no answer counts as a lost connection at once.

use super::Controller;
use super::admin::AdminCommand;
use crate::host::event::Failure;
use crate::host::queue::Data;
use core::time::Duration;
use stdx::env::Env;
use stdx::slab::Key;
use wire::nvme::admin::AbortRequest;

impl Controller {
    /// When to look for late commands next.
    pub(super) fn watch_overdue(&mut self, env: &mut dyn Env) {
        let shortest = self.options.command_timeout.min(self.options.admin_timeout);
        self.overdue_at = Some(env.now() + (shortest / LOOKS_A_TIMEOUT).max(Duration::from_millis(1)));
    }

    /// Looks for late commands if it is time.
    pub(super) fn handle_overdue(&mut self, env: &mut dyn Env) {
        let now = env.now();
        if self.overdue_at.is_none_or(|at| now < at) {
            return;
        }
        self.watch_overdue(env);
        let timeout = self.options.command_timeout;
        let oldest = |queue: &crate::host::queue::Queue| queue.unanswered().map(|(_, _, since)| since).min();
        let lost = self.io.iter().filter_map(oldest).any(|since| now >= since + timeout * 2);
        if lost || self.admin_is_overdue(env) {
            return self.lose(env, Failure::CommandTimedOut);
        }
        for (queue_id, command_id) in self.late_commands(env) {
            let command = AbortRequest { queue_id, command_id }.command(0);
            // Without room for it, the second time-out decides.
            let _ = self.send_admin(env, AdminCommand::Abort, &command, Data::None);
        }
    }

    fn admin_is_overdue(&self, env: &dyn Env) -> bool {
        let timeout = self.options.admin_timeout;
        let Some(queue) = &self.admin else { return false };
        queue.unanswered().any(|(_, token, since)| {
            let purpose = self.admin_commands.get(Key::from_u64(token));
            purpose != Some(&AdminCommand::AsyncEvent) && env.now() >= since + timeout
        })
    }

    /// Queue and command identifiers of late commands not yet aborted, as many as the controller aborts at once (ACL).
    fn late_commands(&mut self, env: &dyn Env) -> Vec<(u16, u16)> {
        let (now, timeout) = (env.now(), self.options.command_timeout);
        let limit = self.data.as_ref().map_or(1, |data| usize::from(data.abort_limit_zero_based) + 1);
        let is_abort = |(_, command): &(Key, &AdminCommand)| **command == AdminCommand::Abort;
        let room = limit.min(ABORTS_MAX).saturating_sub(self.admin_commands.iter().filter(is_abort).count());
        let mut late = Vec::new();
        for (index, queue) in self.io.iter().enumerate() {
            for (command_id, token, since) in queue.unanswered() {
                let Some(request) = self.requests.get_mut(Key::from_u64(token)) else { continue };
                if late.len() < room && !request.aborted && now >= since + timeout {
                    request.aborted = true;
                    late.push((index as u16 + 1, command_id));
                }
            }
        }
        late
    }
}

/// How often late commands are looked for within the shortest time-out.
const LOOKS_A_TIMEOUT: u32 = 4;
/// The most Abort commands outstanding.
const ABORTS_MAX: usize = 8;
