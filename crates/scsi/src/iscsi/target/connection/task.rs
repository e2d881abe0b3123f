//! Task management (RFC 7143, sections 11.5 and 11.6; RFC 7144).

use super::super::session::{ManagementUnderway, Session, Stage};
use super::super::{Context, Order};
use super::Connection;
use super::hold::Problem;
use super::outgoing::Item;
use crate::target::{Function, Management, ManagementOutcome};
use wire::iscsi::{Bhs, RejectReason, TaskFunction, TaskRequest, TaskResult};

impl Connection {
    /// A request's turn has come.
    pub(super) fn handle_task_request(&mut self, cx: &mut Context<'_>, bhs: &Bhs) -> Result<(), Problem> {
        let Ok(request) = TaskRequest::decode(bhs) else {
            self.reject(cx, RejectReason::InvalidPduField, *bhs);
            return Ok(());
        };
        let managements_max = cx.shard.limits.immediates_max;
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get(key)) else { return Ok(()) };
        if session.nexus.is_none() {
            self.reject(cx, RejectReason::CommandNotSupported, *bhs);
            return Ok(());
        }
        if session.managements.len() + session.postponed.len() >= managements_max {
            self.reject(cx, RejectReason::ImmediateCommandReject, *bhs);
            return Ok(());
        }
        if waits_for_others(session, &request) {
            // Section 11.5.1: it may be postponed until all commands it is about have come.
            let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else {
                return Ok(());
            };
            session.postponed.push_back((self.key, *bhs));
            return Ok(());
        }
        let tag = u64::from(request.referenced_tag);
        let function = match TaskFunction::from_code(request.function) {
            Some(TaskFunction::AbortTask) => match self.abort_unbegun(cx, &request)? {
                Some(result) => {
                    self.outgoing.push(Item::Task { tag: request.task_tag, result });
                    return Ok(());
                }
                None => Function::AbortTask { tag },
            },
            Some(TaskFunction::AbortTaskSet) => Function::AbortTaskSet,
            Some(TaskFunction::ClearAca) => Function::ClearAca,
            Some(TaskFunction::ClearTaskSet) => Function::ClearTaskSet,
            Some(TaskFunction::LogicalUnitReset) => Function::LogicalUnitReset,
            Some(TaskFunction::TargetWarmReset | TaskFunction::TargetColdReset) => Function::TargetReset,
            Some(TaskFunction::QueryTask) => Function::QueryTask { tag },
            Some(TaskFunction::QueryTaskSet) => Function::QueryTaskSet,
            Some(TaskFunction::NexusReset) => Function::NexusReset,
            Some(TaskFunction::QueryAsynchronousEvent) => Function::QueryAsynchronousEvent,
            Some(TaskFunction::TaskReassign) => {
                let result = self.reassign(cx, &request);
                if result != TaskResult::Complete {
                    self.outgoing.push(Item::Task { tag: request.task_tag, result });
                }
                return Ok(());
            }
            None => {
                self.outgoing.push(Item::Task { tag: request.task_tag, result: TaskResult::NotSupported });
                return Ok(());
            }
        };
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else {
            return Ok(());
        };
        let Some(nexus) = session.nexus else { return Ok(()) };
        let slot = session.next_management;
        session.next_management = slot.wrapping_add(1);
        session.managements.push(ManagementUnderway {
            slot,
            asked: Some((self.key, request.task_tag)),
            cold: request.function == TaskFunction::TargetColdReset.code(),
        });
        cx.executor.manage(cx.env, &Management { nexus, slot, lun: request.lun, function });
        Ok(())
    }

    /// ABORT TASK for what the executor does not have. `None`: it has it.
    fn abort_unbegun(
        &mut self,
        cx: &mut Context<'_>,
        request: &TaskRequest,
    ) -> Result<Option<TaskResult>, Problem> {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else {
            return Ok(Some(TaskResult::NoSuchTask));
        };
        let Some(slot) = session.tasks.find(request.referenced_tag) else {
            // Section 11.5.5: a command that has not come yet will be taken for aborted when it does.
            let number = request.referenced_cmd_sn;
            let given_up = number.precedes(request.cmd_sn) && session.window.give_up(number);
            if given_up {
                self.deliver(cx)?;
            }
            return Ok(Some(if given_up { TaskResult::Complete } else { TaskResult::NoSuchTask }));
        };
        let Some(task) = session.tasks.get(slot) else { return Ok(None) };
        match task.stage {
            Stage::Parked if task.connection == self.key => {
                session.window.forget_task(task.request.cmd_sn);
                self.forget_task(cx, slot);
                Ok(Some(TaskResult::Complete))
            }
            // Its data may be landing by another connection, which is told before it receives more.
            Stage::Parked => {
                session.window.forget_task(task.request.cmd_sn);
                cx.shard.orders.push_back(Order::Forget(task.connection, slot));
                Ok(Some(TaskResult::Complete))
            }
            // It has not come yet: it counts with its data only.
            Stage::Arriving => Ok(Some(TaskResult::Rejected)),
            Stage::Free | Stage::Settling => Ok(Some(TaskResult::NoSuchTask)),
            Stage::Waiting | Stage::Receiving | Stage::Executing => Ok(None),
        }
    }

    /// The executor is done with a request of this connection's.
    pub(in super::super) fn handle_managed(
        &mut self,
        cx: &mut Context<'_>,
        underway: &ManagementUnderway,
        tag: u32,
        outcome: ManagementOutcome,
    ) {
        self.outgoing.push(Item::Task { tag, result: result(outcome) });
        // Section 11.5.1: after a cold reset all connections to the target go.
        if underway.cold && outcome == ManagementOutcome::Complete {
            let target = self.session.and_then(|key| cx.shard.sessions.get(key));
            let Some(target) = target.map(|session| session.name.target.clone()) else { return };
            let of_target = cx.shard.sessions.iter().filter(|(_, session)| session.name.target == target);
            let connections = of_target.flat_map(|(_, session)| session.connections.iter());
            let orders: Vec<Order> = connections.map(|&(_, key)| Order::Dismiss(key)).collect();
            cx.shard.orders.extend(orders);
        }
    }
}

/// Whether commands that a request is about, those numbered before it, are still missing.
fn waits_for_others(session: &Session, request: &TaskRequest) -> bool {
    let covers = match TaskFunction::from_code(request.function) {
        Some(
            TaskFunction::AbortTaskSet
            | TaskFunction::ClearTaskSet
            | TaskFunction::LogicalUnitReset
            | TaskFunction::TargetWarmReset
            | TaskFunction::TargetColdReset
            | TaskFunction::NexusReset,
        ) => true,
        Some(
            TaskFunction::AbortTask
            | TaskFunction::ClearAca
            | TaskFunction::TaskReassign
            | TaskFunction::QueryTask
            | TaskFunction::QueryTaskSet
            | TaskFunction::QueryAsynchronousEvent,
        )
        | None => false,
    };
    covers && request.immediate && session.window.has_missing_before(request.cmd_sn)
}

const fn result(outcome: ManagementOutcome) -> TaskResult {
    match outcome {
        ManagementOutcome::Complete => TaskResult::Complete,
        ManagementOutcome::Succeeded => TaskResult::Succeeded,
        ManagementOutcome::NoSuchTask => TaskResult::NoSuchTask,
        ManagementOutcome::IncorrectLun => TaskResult::NoSuchLun,
        ManagementOutcome::Rejected => TaskResult::Rejected,
    }
}
