//! Commands on the admin queue: ours, each with its purpose, and those passed through for the owner.

use super::{Controller, HostEvent};
use crate::host::event::{Failure, Step};
use crate::host::queue::{Completed, Data, Refused, State};
use stdx::env::Env;
use stdx::slab::Key;
use wire::nvme::{Status, SubmissionQueueEntry};

/// What an outstanding admin command is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AdminCommand {
    /// A step of the way up.
    Rising(Step),
    /// A step of looking at the namespaces.
    Scan,
    /// A sign of life.
    KeepAlive,
    /// It is answered when something happens.
    AsyncEvent,
    /// The log page that an event told of is read, so that the next event may come.
    EventLog,
    /// So many bytes of the log of access states are read.
    AccessLog { length: usize },
    /// A command took too long.
    Abort,
    /// The owner's.
    Passed { tag: u64 },
}

/// A command of the owner's for the admin queue.
#[derive(Clone, Copy, Debug)]
pub struct AdminRequest {
    /// What [`HostEvent::AdminDone`] is to say it is of.
    pub tag: u64,
    /// The command; identifier and data pointer are filled in.
    pub command: SubmissionQueueEntry,
    /// Its data, which is the host's until the command is done.
    pub data: Data,
}

impl Controller {
    /// Sends a command of ours.
    pub(super) fn send_admin(
        &mut self,
        env: &mut dyn Env,
        purpose: AdminCommand,
        command: &SubmissionQueueEntry,
        data: Data,
    ) -> Result<(), Refused> {
        let queue = self.admin.as_mut().ok_or(Refused)?;
        let key = self.admin_commands.insert(purpose).map_err(|_| Refused)?;
        if let Err(refused) = queue.submit(env, command, data, key.as_u64()) {
            self.admin_commands.remove(key);
            return Err(refused);
        }
        queue.flush(env);
        Ok(())
    }

    /// Passes a command of the owner's on.
    pub fn pass(&mut self, env: &mut dyn Env, request: &AdminRequest) -> Result<(), Refused> {
        let ready = self.admin.as_ref().is_some_and(|queue| queue.state() == State::Established);
        if !ready || !self.is_live() {
            return Err(Refused);
        }
        let purpose = AdminCommand::Passed { tag: request.tag };
        self.send_admin(env, purpose, &request.command, request.data)
    }

    pub(super) fn handle_admin_done(&mut self, env: &mut dyn Env, done: &Completed) {
        let Some(purpose) = self.admin_commands.remove(Key::from_u64(done.token)) else { return };
        match purpose {
            AdminCommand::Rising(step) => self.handle_step_done(env, step, done.status, done.result),
            AdminCommand::Scan => self.handle_scan_done(env, done.status),
            AdminCommand::KeepAlive => self.handle_keep_alive_done(env, done.status),
            AdminCommand::AsyncEvent => self.handle_async_event(env, done.status, done.result),
            AdminCommand::EventLog => self.begin_scan(env),
            AdminCommand::AccessLog { length } => self.handle_access_log(env, done.status, length),
            AdminCommand::Abort => {}
            AdminCommand::Passed { tag } => {
                let (status, result) = (done.status, done.result);
                self.events.push_back(HostEvent::AdminDone { tag, status, result });
            }
        }
    }

    /// The connection is gone, and with it every admin command.
    pub(super) fn drop_admin_commands(&mut self) {
        let keys: Vec<Key> = self.admin_commands.iter().map(|(key, _)| key).collect();
        for key in keys {
            if let Some(AdminCommand::Passed { tag }) = self.admin_commands.remove(key) {
                let status = Status::ABORTED_BY_HOST;
                self.events.push_back(HostEvent::AdminDone { tag, status, result: 0 });
            }
        }
    }

    /// A command of ours found no room in the admin queue, which is larger than all of ours: something is wrong with it.
    pub(super) fn admin_or_lose(&mut self, env: &mut dyn Env, sent: Result<(), Refused>) {
        if sent.is_err() {
            self.lose(env, Failure::CommandTimedOut);
        }
    }
}
