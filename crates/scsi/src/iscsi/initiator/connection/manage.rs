//! Task management (RFC 7143, sections 11.5 and 11.6): a command that is late is aborted, or its logical unit reset, and ends with
//! the answer to that.

use super::outgoing::REASSIGN_MARK;
use super::responses::Handled;
use super::tasks::{Ends, Kind, Task};
use super::{Answer, Connection, Ending, Refused};
use core::time::Duration;
use stdx::env::Env;
use stdx::planted::{Bug, planted};
use stdx::time::Time;
use wire::iscsi::{RESERVED_TAG, Serial, TaskFunction, TaskResponse, TaskResult};
use wire::scsi::{Lun, Status};

impl Connection {
    /// Asks the target to abort the task at a place (see [`Connection::unanswered`]).
    pub fn abort(&mut self, env: &mut dyn Env, place: u16, token: u64) -> Result<(), Refused> {
        let tag = self.tasks.tag(place);
        let (lun, cmd_sn) = self.tasks.get_mut(place).map(|task| (task.lun, task.cmd_sn)).ok_or(Refused)?;
        let slot = self.insert_management(env, token, lun, Ends::Task(tag))?;
        self.put_management(env.mem(), slot, TaskFunction::AbortTask, lun, tag, cmd_sn);
        Ok(())
    }

    /// The logical unit of a command that is without an answer for so long.
    pub fn stuck(&self, now: Time, patience: Duration) -> Option<Lun> {
        let is_late = |task: &Task| is_unanswered_command(task) && now >= task.since + patience;
        self.tasks.iter().find(|(_, task)| is_late(task)).map(|(_, task)| task.lun)
    }

    /// Asks the target to reset a logical unit, unless it is asked already or has no command of ours.
    pub fn reset_unit(&mut self, env: &mut dyn Env, lun: Lun, token: u64) -> Result<(), Refused> {
        let is_asked = self.tasks.iter().any(|(_, task)| task.ends == Ends::Unit && task.lun == lun);
        let has_command = self.tasks.iter().any(|(_, task)| is_unanswered_command(task) && task.lun == lun);
        if is_asked || !has_command {
            return Ok(());
        }
        let slot = self.insert_management(env, token, lun, Ends::Unit)?;
        let (function, tag) = (TaskFunction::LogicalUnitReset, RESERVED_TAG);
        self.put_management(env.mem(), slot, function, lun, tag, Serial(0));
        Ok(())
    }

    pub(super) fn handle_management(&mut self, response: &TaskResponse) -> Handled {
        self.count(&response.numbers)?;
        if response.task_tag & REASSIGN_MARK != 0 {
            return self.handle_reassigned(response);
        }
        let slot = self.task_of(response.task_tag, Kind::Management)?;
        for ended in self.ended_by(response) {
            self.set_aborted(ended);
            self.finish(ended);
        }
        self.answer(slot, Answer::Management(response.result))
    }

    /// The places of commands to which no response comes any more, by the answer to a task management function (RFC 7143, section
    /// 11.6.1). A task that the target does not have is one whose response would have come before.
    pub(super) fn ended_by(&self, response: &TaskResponse) -> Vec<u16> {
        let slot = self.tasks.find(response.task_tag).and_then(|slot| self.tasks.get(slot));
        let Some(by) = slot.filter(|task| task.kind == Kind::Management) else { return Vec::new() };
        let is_ended = |slot: u16, task: &Task| match (by.ends, response.result) {
            (Ends::Task(tag), TaskResult::Complete | TaskResult::NoSuchTask) => self.tasks.tag(slot) == tag,
            (Ends::Unit, TaskResult::Complete) => task.lun == by.lun && task.cmd_sn.precedes(by.cmd_sn),
            _ => false,
        };
        let commands = self.tasks.iter().filter(|(_, task)| is_unanswered_command(task));
        commands.filter(|(slot, task)| is_ended(*slot, task)).map(|(slot, _)| slot).collect()
    }

    /// A command ends without a response.
    fn set_aborted(&mut self, slot: u16) {
        let Some(task) = self.tasks.get_mut(slot) else { return };
        (task.sequence, task.queued) = (None, None);
        task.missing.clear();
        let is_done = planted(Bug::AbortedTakenForDone);
        let status = Some(if is_done { Status::Good } else { Status::TaskAborted } as u8);
        task.answer = Some(Answer::Command(Ending { status, sense: None, moved: 0, is_exact: is_done }));
    }

    fn insert_management(&mut self, env: &dyn Env, token: u64, lun: Lun, ends: Ends) -> Result<u16, Refused> {
        let slot = self.insert_own(env, Kind::Management, token, lun)?;
        if let Some(task) = self.tasks.get_mut(slot) {
            task.ends = ends;
        }
        Ok(slot)
    }
}

fn is_unanswered_command(task: &Task) -> bool {
    task.kind == Kind::Command && task.answer.is_none()
}
