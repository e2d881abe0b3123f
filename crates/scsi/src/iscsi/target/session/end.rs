//! The end of a session, and of what is left of it.

use super::super::{Context, Order, Shard};
use super::SessionName;
use crate::target::Outcome;
use stdx::planted::{Bug, planted};
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
}

impl Shard {
    /// Whether commands of a session have to wait: tasks of an earlier one of the same name are still being executed, and
    /// what they write must not land on what this one writes.
    pub(crate) fn awaits_predecessor(&mut self, session: Option<Key>) -> bool {
        let Some(session) = session.and_then(|key| self.sessions.get(key)) else { return false };
        if !session.has_predecessor || planted(Bug::PredecessorNotAwaited) {
            return false;
        }
        let name = session.name.clone();
        let still = self.has_predecessor(&name);
        let named = self.sessions.iter_mut().filter(|(_, session)| session.name == name);
        named.for_each(|(_, session)| session.has_predecessor &= still);
        still
    }

    /// Whether tasks of a session of this name that has ended are still being executed.
    pub(crate) fn has_predecessor(&self, name: &SessionName) -> bool {
        self.sessions
            .iter()
            .any(|(_, session)| session.ended && session.tasks.len() > 0 && session.name == *name)
    }
}
