//! One turn of the shard: receive, execute, answer, send.

use super::{Link, Peer, Ready, Server, messages};
use crate::iscsi::target::{Context, Phase};
use crate::target::{Event, Executor};
use stdx::env::Env;
use stdx::planted::{Bug, planted};
use stdx::slab::Key;
use stdx::stream;

impl Server {
    /// Drives everything as far as it goes now: called once after the events of a turn were handled. Each connection
    /// sends at most once a round, all its answers together.
    pub fn poll(&mut self, env: &mut dyn Env, executor: &mut dyn Executor) {
        self.feed_starved(env, executor);
        for _ in 0..ROUNDS_MAX {
            core::mem::swap(&mut self.active, &mut self.visiting);
            for at in 0..self.visiting.len() {
                self.receive(env, executor, self.visiting[at]);
                self.obey(env, executor);
            }
            // What a command makes due on another connection is looked at in this round.
            self.visiting.append(&mut self.active);
            self.collect(env, executor);
            for at in 0..self.visiting.len() {
                self.transmit(env, executor, self.visiting[at]);
            }
            self.visiting.clear();
            self.obey(env, executor);
            self.feed_starved(env, executor);
            if self.active.is_empty() {
                return;
            }
        }
    }

    /// Buffers may have come back: those who wait for one try again, the longest wait first.
    fn feed_starved(&mut self, env: &mut dyn Env, executor: &mut dyn Executor) {
        self.release_kept(env, executor);
        for _ in 0..self.starved.len() {
            let Some(key) = self.starved.pop_front() else { return };
            let Some(peer) = self.connections.get_mut(key) else { continue };
            let cx = &mut Context { env, executor, shard: &mut self.shard };
            // What a task that was fed leads to is looked at in this turn.
            let has_work = peer.connection.feed(cx) || peer.connection.may_resume(cx);
            peer.starved = peer.connection.is_starved(cx);
            if peer.starved {
                self.starved.push_back(key);
            }
            if has_work {
                self.list(key);
            }
        }
    }

    /// Those who wait for buffers have them before those who might want something again.
    fn release_kept(&mut self, env: &mut dyn Env, executor: &mut dyn Executor) {
        if self.starved.is_empty() || self.shard.kept_bytes == 0 {
            return;
        }
        for (_, peer) in self.connections.iter_mut() {
            peer.connection.release_kept(&mut Context { env, executor, shard: &mut self.shard });
        }
        for (_, session) in self.shard.sessions.iter_mut() {
            self.shard.kept_bytes -= session.release_stranded(env);
        }
    }

    /// Goes on with what was held or waits for its turn, then takes what has come.
    fn receive(&mut self, env: &mut dyn Env, executor: &mut dyn Executor, key: Key) {
        let Some(peer) = self.connections.get_mut(key) else { return };
        if peer.closed {
            return;
        }
        let cx = &mut Context { env, executor, shard: &mut self.shard };
        peer.connection.take_ready(cx);
        let _started = peer.connection.feed(cx);
        if peer.connection.may_resume(cx) {
            peer.connection.resume(cx);
        }
        if !peer.readable || peer.connection.held().is_some() || peer.connection.is_leaving() {
            return;
        }
        // One receive: what it brought is answered before more is taken, so that the initiator has something to do meanwhile,
        // and no other initiator waits for this one.
        let Link::Stream(stream) = peer.link else { return };
        match stream::receive(cx, &mut peer.connection, stream, 1) {
            Ok(more) => peer.readable = more || peer.connection.held().is_some(),
            Err(how) => {
                self.shard.counters.broken += u64::from(peer.connection.phase() == Phase::FullFeature);
                self.end(env, executor, key, matches!(how, stream::Ended::Broken(_)));
            }
        }
    }

    /// Takes the executor's outcomes to their connections, and ends sessions the executor wants ended.
    fn collect(&mut self, env: &mut dyn Env, executor: &mut dyn Executor) {
        let mut outcomes = core::mem::take(&mut self.outcomes);
        executor.poll(env, &mut outcomes);
        for outcome in outcomes.drain(..) {
            let Some(&session) = self.shard.nexuses.get(&outcome.nexus) else {
                debug_assert!(false, "a session lives until all its tasks are back");
                continue;
            };
            let of = self.shard.sessions.get(session);
            let task = of.and_then(|session| session.tasks.get(outcome.slot));
            let mut connection = task.map(|task| task.connection);
            if planted(Bug::AnsweredElsewhere) {
                connection = of.and_then(|session| session.connections.last()).map(|(_, key)| *key);
            }
            let peer = connection.and_then(|key| self.connections.get_mut(key));
            let cx = &mut Context { env, executor, shard: &mut self.shard };
            match peer.filter(|peer| peer.connection.session() == Some(session)) {
                Some(peer) => {
                    peer.connection.handle_outcome(cx, &outcome);
                    if let (Some(key), false) = (connection, core::mem::replace(&mut peer.listed, true)) {
                        self.visiting.push(key);
                    }
                }
                None => cx.settle_outcome(session, &outcome),
            }
        }
        self.outcomes = outcomes;
        self.collect_managed(env, executor);
        while let Some(nexus) = executor.poll_lost() {
            if let Some(&session) = self.shard.nexuses.get(&nexus) {
                Context { env, executor, shard: &mut self.shard }.end_session(session);
            }
        }
        while let Some(event) = executor.poll_event() {
            self.tell_event(&event);
        }
    }

    /// An initiator is told of an event by the first connection of its session.
    fn tell_event(&mut self, event: &Event) {
        let session = self.shard.nexuses.get(&event.nexus).and_then(|key| self.shard.sessions.get(*key));
        let Some(&(_, connection)) = session.and_then(|session| session.connections.first()) else { return };
        let Some(peer) = self.connections.get_mut(connection) else { return };
        peer.connection.tell_event(event.lun, event.sense, &self.shard.limits);
        if !core::mem::replace(&mut peer.listed, true) {
            self.visiting.push(connection);
        }
    }

    fn collect_managed(&mut self, env: &mut dyn Env, executor: &mut dyn Executor) {
        while let Some((nexus, slot, outcome)) = executor.poll_management() {
            let Some(&key) = self.shard.nexuses.get(&nexus) else { continue };
            let Some(session) = self.shard.sessions.get_mut(key) else { continue };
            let place = session.managements.iter().position(|underway| underway.slot == slot);
            let Some(underway) = place.map(|place| session.managements.swap_remove(place)) else { continue };
            let Some((connection, tag)) = underway.asked else { continue };
            let Some(peer) = self.connections.get_mut(connection) else { continue };
            let cx = &mut Context { env, executor, shard: &mut self.shard };
            peer.connection.handle_managed(cx, &underway, tag, outcome);
            if !core::mem::replace(&mut peer.listed, true) {
                self.visiting.push(connection);
            }
        }
    }

    /// Sends what there is to send, and decides how the connection goes on.
    fn transmit(&mut self, env: &mut dyn Env, executor: &mut dyn Executor, key: Key) {
        let Some(peer) = self.connections.get_mut(key) else { return };
        peer.listed = false;
        if peer.closed {
            return;
        }
        let cx = &mut Context { env, executor, shard: &mut self.shard };
        let is_carried = match peer.link {
            Link::Stream(stream) => {
                let sent = stream::transmit(cx, &mut peer.connection, stream, &mut self.spans);
                sent.is_ok() && peer.connection.settle(cx)
            }
            Link::Rdma { carrier, .. } => {
                messages::push(&mut self.ready, carrier, Ready::Look(key));
                true
            }
        };
        if !is_carried {
            self.shard.counters.broken += 1;
            return self.end(env, executor, key, true);
        }
        let leaves = peer.connection.is_leaving() && peer.connection.is_silent();
        if leaves || self.draining && peer.connection.is_drained(cx) {
            return self.end(env, executor, key, false);
        }
        let again = peer.wants_turn(cx);
        if peer.connection.is_starved(cx) && !core::mem::replace(&mut peer.starved, true) {
            self.starved.push_back(key);
        }
        if peer.connection.is_leaving() && !core::mem::replace(&mut peer.timed, true) {
            let time = env.now() + self.shard.limits.leave_time;
            let place = self.departures.partition_point(|(other, _)| *other <= time);
            self.departures.insert(place, (time, key));
        }
        if again {
            self.list(key);
        }
    }
}

impl Peer {
    /// Whether something can go on without another event.
    fn wants_turn(&self, cx: &mut Context<'_>) -> bool {
        match self.connection.held() {
            Some(_) => self.connection.may_resume(cx),
            None => self.connection.has_ready(cx) || self.readable && !self.connection.is_leaving(),
        }
    }
}

/// Rounds of one poll: with the outcomes of one, the next may receive what was held.
const ROUNDS_MAX: usize = 32;
