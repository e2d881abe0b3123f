//! The connection is lost, and its tasks go on by another (RFC 7143, sections 7.1.4.3, 7.2.2 and 11.5: connection recovery,
//! allegiance). Only at error recovery level 2.

use super::super::Context;
use super::super::session::Stage;
use super::Connection;
use super::outgoing::Item;
use wire::iscsi::{Serial, TaskRequest, TaskResult};

impl Connection {
    /// The stream is gone. Where connections can be recovered, the session stays, with what was under way.
    pub(super) fn lose_session(&mut self, cx: &mut Context<'_>) {
        let Some(key) = self.session else { return };
        let closing = cx.shard.closing;
        let recovers = |session: &super::super::session::Session| !closing && session.recovers(self.key);
        if !cx.shard.sessions.get(key).is_some_and(recovers) {
            return;
        }
        self.forget_input(cx);
        self.last_window = self.window(cx);
        self.session = None;
        let responses = self.outgoing.take_responses(cx.env, &mut cx.shard.blocks);
        self.account_kept(cx);
        cx.lose_connection(key, (self.connection_id, self.key), responses);
    }

    /// TASK REASSIGN: a task of a connection that is gone goes on by this one. The answer comes before anything else of it.
    pub(super) fn reassign(&mut self, cx: &mut Context<'_>, request: &TaskRequest) -> TaskResult {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else {
            return TaskResult::NoSuchTask;
        };
        if session.parameters.error_recovery_level < 2 {
            return TaskResult::ReassignmentNotSupported;
        }
        // "TASK REASSIGN MUST be issued as an immediate command."
        if !request.immediate {
            return TaskResult::Rejected;
        }
        if let Some(slot) = session.tasks.find(request.referenced_tag) {
            return self.adopt(cx, slot, request);
        }
        let place = session.stranded.iter().position(|stranded| stranded.tag() == request.referenced_tag);
        let Some(stranded) = place.map(|place| session.stranded.swap_remove(place)) else {
            return TaskResult::NoSuchTask;
        };
        cx.shard.kept_bytes -= stranded.bytes();
        cx.shard.counters.reassigned += 1;
        self.outgoing.push(Item::Task { tag: request.task_tag, result: TaskResult::Complete });
        self.outgoing.resume(stranded.response, stranded.read, request.exp_data_sn);
        self.account_kept(cx);
        TaskResult::Complete
    }

    /// A task that has not ended goes on by this connection.
    fn adopt(&mut self, cx: &mut Context<'_>, slot: u32, request: &TaskRequest) -> TaskResult {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else {
            return TaskResult::NoSuchTask;
        };
        let connections = &session.connections;
        let Some(task) = session.tasks.get_mut(slot) else { return TaskResult::NoSuchTask };
        if connections.iter().any(|(_, key)| *key == task.connection) {
            return TaskResult::StillAllegiant;
        }
        task.connection = self.key;
        // R2Ts go on behind those that came to the initiator.
        let Serial(numbers) = request.exp_data_sn;
        task.incoming.r2ts = task.incoming.r2ts.min(numbers);
        let (stage, promised) = (task.stage, task.promised_bytes);
        self.promised_bytes += promised;
        cx.shard.counters.reassigned += 1;
        self.outgoing.push(Item::Task { tag: request.task_tag, result: TaskResult::Complete });
        match stage {
            Stage::Waiting => {
                let _started = self.feed(cx);
            }
            Stage::Receiving => self.progress(cx, slot),
            Stage::Free | Stage::Arriving | Stage::Parked | Stage::Executing | Stage::Settling => {}
        }
        TaskResult::Complete
    }
}
