//! The initiator logs out (RFC 7143, sections 11.14 and 11.15).

use super::super::{Context, Order};
use super::hold::Problem;
use super::outgoing::Item;
use super::{Connection, State};
use crate::target::{Function, Management};
use stdx::slab::Key;
use wire::iscsi::{Bhs, LogoutReason, LogoutRequest, LogoutResult, RejectReason};

impl Connection {
    /// A logout's turn has come.
    pub(super) fn handle_logout(&mut self, cx: &mut Context<'_>, bhs: &Bhs) -> Result<(), Problem> {
        let Ok(request) = LogoutRequest::decode(bhs) else {
            self.reject(cx, RejectReason::InvalidPduField, *bhs);
            return Ok(());
        };
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else {
            return Ok(());
        };
        let found = session.connections.iter().find(|(id, _)| *id == request.connection_id);
        let (named, alone) = (found.map(|&(_, key)| key), session.connections.len() == 1);
        let (time_to_wait_s, time_to_retain_s) =
            (session.parameters.time_to_wait_s, session.parameters.time_to_retain_s);
        let say = |result| Item::Logout { tag: request.task_tag, result, time_to_wait_s, time_to_retain_s };
        match (request.reason, named) {
            (LogoutReason::CloseSession, _) => {
                self.outgoing.push(say(LogoutResult::Closed));
                self.leave(cx);
            }
            (LogoutReason::CloseConnection, None) => self.outgoing.push(say(LogoutResult::NoSuchConnection)),
            (LogoutReason::CloseConnection, Some(named)) => {
                self.outgoing.push(say(LogoutResult::Closed));
                if alone {
                    self.leave(cx);
                } else if named == self.key {
                    self.leave_others(cx);
                } else {
                    session.connections.retain(|(_, key)| *key != named);
                    cx.give_up_connection(named);
                    cx.shard.orders.push_back(Order::End(named));
                }
            }
            (LogoutReason::RemoveForRecovery, named) => {
                let was_lost = session.lost.iter().any(|(id, _)| *id == request.connection_id);
                let result = match named {
                    _ if session.parameters.error_recovery_level < 2 => LogoutResult::RecoveryNotSupported,
                    // A connection that can still say this is not to be recovered.
                    Some(named) if named == self.key => LogoutResult::CleanupFailed,
                    Some(named) => {
                        cx.shard.orders.push_back(Order::End(named));
                        LogoutResult::Closed
                    }
                    None if was_lost => LogoutResult::Closed,
                    None => LogoutResult::NoSuchConnection,
                };
                self.outgoing.push(say(result));
            }
        }
        Ok(())
    }

    /// This connection goes; its session stays with the others.
    fn leave_others(&mut self, cx: &mut Context<'_>) {
        cx.give_up_connection(self.key);
        self.forget_input(cx);
        self.last_window = self.window(cx);
        if let Some(session) = self.session.take().and_then(|key| cx.shard.sessions.get_mut(key)) {
            session.connections.retain(|(_, key)| *key != self.key);
        }
        self.state = State::Leaving;
    }
}

impl Context<'_> {
    /// The tasks of a connection that goes are ended (RFC 7143, section 11.14: implicitly terminated).
    pub(in super::super) fn give_up_connection(&mut self, connection: Key) {
        let sessions = self.shard.sessions.iter();
        let of = |session: &super::super::session::Session| {
            session.tasks.iter().any(|(_, task)| task.connection == connection)
        };
        let found = sessions.filter(|(_, session)| of(session)).map(|(key, _)| key).next();
        let Some(session) = found.and_then(|key| self.shard.sessions.get_mut(key)) else { return };
        for slot in session.tasks.slots(Some(connection)) {
            session.detach(self.env, slot, &mut self.shard.solicited_bytes);
            let (Some(nexus), Some(task)) = (session.nexus, session.tasks.get(slot)) else { continue };
            let (lun, tag) = (task.request.lun, u64::from(task.tag));
            let name = session.own_management();
            let request = Management { nexus, slot: name, lun, function: Function::AbortTask { tag } };
            self.executor.manage(self.env, &request);
        }
    }
}
