//! Task management (section 6.7). A task may have come by another channel of its nexus.

use super::Context;
use super::channel::Channel;
use super::task::{Answer, Stage};
use crate::target::{Function, Management};
use wire::srp::{ResponseCode, TaskFunction, TaskRequest};

impl Channel {
    /// A task management request came.
    pub(super) fn take_management(&mut self, cx: &mut Context<'_>, request: &TaskRequest) {
        let (index, task) = self.tasks.insert(request.tag);
        (task.is_management, task.lun, task.stage) = (true, request.lun, Stage::Executing);
        let function = match TaskFunction::from_code(request.function) {
            Some(TaskFunction::AbortTask) => match self.tasks.find(request.task_tag) {
                Some(found) => Function::AbortTask { tag: self.slot(found).into() },
                None => {
                    self.seek(cx, index, request.task_tag);
                    return;
                }
            },
            Some(TaskFunction::AbortTaskSet) => Function::AbortTaskSet,
            Some(TaskFunction::ClearTaskSet) => Function::ClearTaskSet,
            Some(TaskFunction::LogicalUnitReset) => Function::LogicalUnitReset,
            Some(TaskFunction::ClearAca) => Function::ClearAca,
            None => return self.answer(cx, index, Answer::of(ResponseCode::NotSupported)),
        };
        self.manage(cx, index, function);
    }

    /// The task is none of this channel's: the server looks at the others.
    fn seek(&mut self, cx: &mut Context<'_>, index: u16, tag: u64) {
        if let Some(task) = self.tasks.get_mut(index) {
            task.sought = tag;
        }
        cx.seeking.push((self.key, index));
    }

    /// A task that was sought was found under this name, or not at all: then it has ended.
    pub(super) fn found(&mut self, cx: &mut Context<'_>, index: u16, slot: Option<u32>) {
        match slot {
            Some(slot) => self.manage(cx, index, Function::AbortTask { tag: slot.into() }),
            None => self.answer(cx, index, Answer::of(ResponseCode::Complete)),
        }
    }

    fn manage(&mut self, cx: &mut Context<'_>, index: u16, function: Function) {
        let (nexus, slot) = (self.login.executor_nexus, self.slot(index));
        let Some(task) = self.tasks.get_mut(index) else { return };
        task.is_executors = true;
        let lun = task.lun;
        cx.executor.manage(cx.env, &Management { nexus, slot, lun, function });
    }
}
