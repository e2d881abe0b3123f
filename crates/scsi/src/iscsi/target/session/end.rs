//! The end of a session, and of what is left of it.

use super::super::{Context, Order};
use crate::target::Outcome;
use stdx::slab::Key;

impl Context<'_> {
    /// A session ends: its nexus is lost, its tasks are given up, and its connections are to go.
    pub(crate) fn end_session(&mut self, key: Key) {
        let Some(session) = self.shard.sessions.get_mut(key) else { return };
        if core::mem::replace(&mut session.ended, true) {
            return;
        }
        for (_, connection) in session.connections.drain(..) {
            self.shard.orders.push_back(Order::End(connection));
        }
        self.shard.kept_bytes -= session.drop_stranded(self.env, None);
        session.give_up(self.env, &mut self.shard.solicited_bytes);
        if let Some(nexus) = session.nexus {
            self.executor.lose(self.env, nexus);
        }
        self.reap(key);
    }

    /// A task has ended whose connection is gone.
    pub(crate) fn drop_outcome(&mut self, key: Key, outcome: &Outcome) {
        if let Some(session) = self.shard.sessions.get_mut(key) {
            session.drop_outcome(self.env, &mut self.shard.solicited_bytes, outcome);
        }
        self.reap(key);
    }

    /// Forgets a session of which nothing is left.
    pub(crate) fn reap(&mut self, key: Key) {
        let Some(session) = self.shard.sessions.get(key) else { return };
        if session.ended && session.is_over() {
            if let Some(nexus) = session.nexus {
                self.shard.nexuses.remove(&nexus);
            }
            self.shard.sessions.remove(key);
        }
    }
    /// Whether commands of a session have to wait for what an earlier one of its name left (RFC 7143, section 4.4.3.2).
    pub(crate) fn awaits_predecessor(&mut self, session: Option<Key>) -> bool {
        let session = session.and_then(|key| self.shard.sessions.get(key));
        let nexus = session.and_then(|session| session.nexus);
        nexus.is_some_and(|nexus| self.executor.awaits_predecessor(nexus))
    }
}
