//! Signs of life: Keep Alive every half of KATO, and the connection is lost when none was answered for all of it
//! (Base 3.9, 5.20).

use super::Controller;
use super::admin::AdminCommand;
use crate::host::event::Failure;
use crate::host::queue::Data;
use stdx::env::Env;
use wire::nvme::{AdminOpcode, Status, SubmissionQueueEntry};

impl Controller {
    pub(super) fn start_keep_alive(&mut self, env: &mut dyn Env) {
        let interval = self.options.keep_alive / 2;
        self.keep_alive_at = (!interval.is_zero()).then(|| env.now() + interval);
    }

    /// Sends a sign of life if it is time. If the last two have no answer the controller is silent.
    pub(super) fn handle_keep_alive(&mut self, env: &mut dyn Env) {
        let now = env.now();
        if !self.is_live() || self.keep_alive_at.is_none_or(|at| now < at) {
            return;
        }
        let unanswered =
            self.admin_commands.iter().filter(|(_, command)| **command == AdminCommand::KeepAlive).count();
        if unanswered >= UNANSWERED_MAX {
            return self.lose(env, Failure::CommandTimedOut);
        }
        self.start_keep_alive(env);
        let command = SubmissionQueueEntry::new(AdminOpcode::KeepAlive.code(), 0);
        let sent = self.send_admin(env, AdminCommand::KeepAlive, &command, Data::None);
        self.admin_or_lose(env, sent);
    }

    /// A controller that does not know Keep Alive is not sent any more.
    pub(super) fn handle_keep_alive_done(&mut self, env: &mut dyn Env, status: Status) {
        if status.kind() == Status::INVALID_OPCODE {
            self.keep_alive_at = None;
        } else if !status.is_success() {
            self.lose(env, Failure::CommandTimedOut);
        }
    }
}

/// How many signs of life may be without an answer.
const UNANSWERED_MAX: usize = 2;
