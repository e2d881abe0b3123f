//! One turn of the shard: receive, execute, answer, send.

use super::{Peer, Server};
use crate::target::Executor;
use crate::target::tcp::Context;
use stdx::env::Env;
use stdx::slab::Key;
use stdx::stream;

impl Server {
    /// Drives everything as far as it goes now: called once after the events of a turn were handled. Each connection
    /// sends at most once a round, all its answers together.
    pub fn poll(&mut self, env: &mut dyn Env, target: &mut dyn Executor) {
        self.feed_starved(env, target);
        for _ in 0..ROUNDS_MAX {
            core::mem::swap(&mut self.active, &mut self.visiting);
            for at in 0..self.visiting.len() {
                self.receive(env, target, self.visiting[at]);
            }
            self.collect(env, target);
            for at in 0..self.visiting.len() {
                self.transmit(env, target, self.visiting[at]);
            }
            self.visiting.clear();
            self.feed_starved(env, target);
            if self.active.is_empty() {
                return;
            }
        }
    }

    /// Buffers may have come back: those who wait for one try again, the longest wait first.
    fn feed_starved(&mut self, env: &mut dyn Env, target: &mut dyn Executor) {
        for _ in 0..self.starved.len() {
            let Some(key) = self.starved.pop_front() else { return };
            let Some(peer) = self.connections.get_mut(key) else { continue };
            peer.starved = false;
            let cx = &mut Context { env, target, shard: &mut self.shard };
            // What was unsent before waits for its stream, not for buffers.
            let before = peer.connection.unsent();
            peer.connection.solicit(cx);
            let has_work = peer.connection.unsent() > before || peer.connection.may_resume(cx);
            if peer.connection.is_starved() {
                peer.starved = true;
                self.starved.push_back(key);
            }
            if has_work {
                self.list(key);
            }
        }
    }

    /// Goes on with what was held, then takes what has come.
    fn receive(&mut self, env: &mut dyn Env, target: &mut dyn Executor, key: Key) {
        let Some(peer) = self.connections.get_mut(key) else { return };
        if peer.closed {
            return;
        }
        let cx = &mut Context { env, target, shard: &mut self.shard };
        if peer.connection.may_resume(cx) {
            peer.connection.resume(cx);
        }
        if !peer.readable || peer.connection.held().is_some() || peer.connection.is_leaving() {
            return;
        }
        // One receive: what it brought is answered before more is taken, so that the host has something to do meanwhile,
        // and no other host waits for this one.
        match stream::receive(cx, &mut peer.connection, peer.stream, 1) {
            Ok(more) => peer.readable = more || peer.connection.held().is_some(),
            Err(stream::Ended::ByPeer) => self.end(env, target, key, false),
            Err(stream::Ended::Broken(_)) => {
                self.shard.counters.broken += 1;
                self.end(env, target, key, true);
            }
        }
    }

    /// Takes the target's responses to their connections, and lets those go that the target wants ended.
    fn collect(&mut self, env: &mut dyn Env, target: &mut dyn Executor) {
        let mut responses = core::mem::take(&mut self.responses);
        target.poll(env, &mut responses);
        for response in responses.drain(..) {
            let Some(peer) = self.connections.get_mut(response.connection) else {
                debug_assert!(false, "a connection lives until all its commands are back");
                continue;
            };
            let cx = &mut Context { env, target, shard: &mut self.shard };
            peer.connection.handle_response(cx, &response);
            if peer.closed && peer.connection.is_over() {
                self.connections.remove(response.connection);
            } else if !core::mem::replace(&mut peer.listed, true) {
                self.visiting.push(response.connection);
            }
        }
        self.responses = responses;
        while let Some(key) = target.poll_disconnect() {
            let Some(peer) = self.connections.get_mut(key) else { continue };
            peer.connection.dismiss(&mut Context { env, target, shard: &mut self.shard });
            if !core::mem::replace(&mut peer.listed, true) {
                self.visiting.push(key);
            }
        }
        self.collect_connected(env, target);
    }

    /// Takes the answers to Connects that had to wait to their connections.
    fn collect_connected(&mut self, env: &mut dyn Env, target: &mut dyn Executor) {
        while let Some((key, outcome)) = target.poll_connected(env) {
            let peer = self.connections.get_mut(key);
            let cx = &mut Context { env, target, shard: &mut self.shard };
            let taken = peer.is_some_and(|peer| peer.connection.handle_connected(cx, &outcome));
            match outcome {
                Ok(connected) if !taken => target.disconnect(env, connected.queue),
                Ok(_) | Err(_) => self.visit(key),
            }
        }
    }

    /// Has a connection looked at in the second half of this round.
    fn visit(&mut self, key: Key) {
        if let Some(peer) = self.connections.get_mut(key)
            && !core::mem::replace(&mut peer.listed, true)
        {
            self.visiting.push(key);
        }
    }

    /// Sends what there is to send, and decides how the connection goes on.
    fn transmit(&mut self, env: &mut dyn Env, target: &mut dyn Executor, key: Key) {
        let Some(peer) = self.connections.get_mut(key) else { return };
        peer.listed = false;
        if peer.closed {
            return;
        }
        let cx = &mut Context { env, target, shard: &mut self.shard };
        let sent = stream::transmit(cx, &mut peer.connection, peer.stream, &mut self.spans);
        let settled = peer.connection.settle(cx);
        if sent.is_err() || !settled {
            self.shard.counters.broken += 1;
            return self.end(env, target, key, true);
        }
        let drained = self.draining && peer.connection.is_drained();
        if peer.connection.is_leaving() || drained && (!peer.is_admin() || !self.has_io_connections()) {
            return self.end(env, target, key, false);
        }
        let Some(peer) = self.connections.get_mut(key) else { return };
        let cx = &mut Context { env, target, shard: &mut self.shard };
        let again = peer.wants_turn(cx);
        if peer.connection.is_starved() && !core::mem::replace(&mut peer.starved, true) {
            self.starved.push_back(key);
        }
        if peer.connection.is_terminating() && !core::mem::replace(&mut peer.timed, true) {
            self.terminations.push_back((env.now() + self.shard.limits.termination_time, key));
        }
        if again {
            self.list(key);
        }
    }
}

impl Peer {
    /// Whether it is the connection of an admin queue, whose end is that of its controller and all its queues.
    pub(super) fn is_admin(&self) -> bool {
        self.connection.established().is_some_and(|established| established.queue_id() == 0)
    }

    /// Whether it is the connection of an I/O queue.
    pub(super) fn is_io(&self) -> bool {
        self.connection.established().is_some_and(|established| established.queue_id() != 0)
    }

    /// Whether something can go on without another event.
    fn wants_turn(&self, cx: &mut Context<'_>) -> bool {
        match self.connection.held() {
            Some(_) => self.connection.may_resume(cx),
            None => self.readable,
        }
    }
}

/// Rounds of one poll: with the responses of one, the next may receive what was held.
const ROUNDS_MAX: usize = 32;
