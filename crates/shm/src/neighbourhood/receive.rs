//! Records that neighbours wrote: taken one by one, checked, and handed to whom they are for.

use super::Neighbourhood;
use crate::distance::Found;
use crate::inbox::Taken;
use crate::lane::{self, HasLane, Path};
use crate::neighbour::Source;
use crate::record::{FIRST, Opcode, Record, UNRELIABLE};
use core::net::IpAddr;
use stdx::env::Env;
use stdx::slab::Key;
use verbs::parts::{QueuePair, Registry};
use verbs::{Event, QpId, QpState, Transport, What};

impl Neighbourhood {
    /// Takes what has come: links, then records, within the turn's limit.
    pub fn receive<E: HasLane>(&mut self, registry: &mut Registry<E>, env: &mut dyn Env) {
        if self.may_accept {
            self.accept(env);
        }
        if !self.readable.is_empty() {
            self.hear_all(registry, env);
        }
        if !self.undecided.is_empty() {
            self.decide(registry, env);
        }
        if !self.wanted.is_empty() {
            self.ask_wanted(env);
        }
        self.wake_waiting(registry, env);
        let mut found = false;
        for place in 0..self.neighbours.places() {
            if let Some(key) = self.neighbours.key_at(place) {
                let took = self.take_records(registry, env, key);
                found |= took;
                if !took && self.neighbours.get(key).is_some_and(|neighbour| neighbour.has_ended) {
                    self.lose_link(registry, env, key);
                }
            }
        }
        if found {
            self.busy_at = env.now();
            self.wake_up(env.mem());
        }
        if self.is_awake() {
            env.looked(found);
        }
    }

    /// Takes a neighbour's records; true if there were any.
    fn take_records<E: HasLane>(&mut self, registry: &mut Registry<E>, env: &mut dyn Env, key: Key) -> bool {
        let (mut count, mut copied) = (0, 0);
        // Who waits for the first of many long messages is told before the last is copied.
        while count < self.config.records_per_turn && copied < COPIED_PER_TURN {
            let Some(neighbour) = self.neighbours.get_mut(key) else { break };
            let Some(inbox) = neighbour.inbox.as_mut() else { break };
            // What cannot be refused is not looked at.
            if neighbour.strays.len() >= STRAYS_MAX && !neighbour.has_ended {
                break;
            }
            let Some(taken) = inbox.take(env.mem()) else { break };
            count += 1;
            self.counters.received_records += 1;
            let is_sane = match taken {
                Taken::Record(record) => {
                    copied += u64::from(record.len);
                    self.handle(registry, env, key, &record)
                }
                Taken::Malformed => false,
            };
            if !is_sane {
                self.counters.malformed += 1;
            }
            self.say_consumed(env, key, false);
        }
        // Before the line that it times is looked at for what it says.
        self.heed_distance(env, key);
        self.heed_consumed(registry, env, key);
        count > 0
    }

    /// Has what is copied for a neighbour go the way that is faster at its distance. Of several the last that was found counts.
    fn heed_distance(&mut self, env: &mut dyn Env, key: Key) {
        let now = env.now();
        let Some(neighbour) = self.neighbours.get_mut(key) else { return };
        let Some(inbox) = neighbour.inbox.as_mut() else { return };
        let mem = env.mem();
        if let Some(found) = inbox.find_distance(now, mem) {
            neighbour.outbox.say_distance(mem, found);
            mem.readers_are_far(found == Found::Far);
        }
    }

    /// Handles a record; false if it makes no sense.
    fn handle<E: HasLane>(
        &mut self,
        registry: &mut Registry<E>,
        env: &mut dyn Env,
        key: Key,
        record: &Record,
    ) -> bool {
        // Memory is named before a record speaks of it, but it may not have been heard yet.
        if self.neighbours.get(key).is_some_and(|neighbour| neighbour.is_unheard_of(record)) {
            self.hear(registry, env, key);
        }
        let Some(neighbour) = self.neighbours.get(key) else { return true };
        let (Some(source), Some(from)) = (neighbour.source(record), neighbour.address) else { return false };
        if record.opcode == Opcode::Datagram {
            if !lane::datagram::handle(self, registry, env.mem(), from, record, source) {
                self.counters.unroutable += 1;
            }
            return true;
        }
        let Some(qp) = self.route(registry, key, from, record) else {
            self.counters.unroutable += 1;
            if is_request(record) && record.has(FIRST) {
                let pair = registry.by_qpn(record.destination).and_then(|qp| registry.qps.get(qp.0));
                let stray = lane::refusal(record, pair.filter(|pair| is_of_peer(pair, from, record)));
                if let Some(neighbour) = self.neighbours.get_mut(key) {
                    neighbour.strays.push_back(stray);
                    self.has_errands = true;
                }
            }
            return true;
        };
        self.dispatch(registry, env, qp, record, source)
    }

    fn dispatch<E: HasLane>(
        &mut self,
        registry: &mut Registry<E>,
        env: &mut dyn Env,
        qp: QpId,
        record: &Record,
        source: Source,
    ) -> bool {
        self.note_first(registry, qp);
        lane::acknowledge(registry, qp, record.acknowledged);
        let is_sane = match record.opcode {
            Opcode::Acknowledge => true,
            Opcode::Refuse => lane::refuse(registry, env.now(), qp, record),
            Opcode::Answer => lane::answer(self, registry, env.mem(), qp, record, source),
            Opcode::Send | Opcode::Write | Opcode::Read | Opcode::CompareSwap | Opcode::FetchAdd => {
                lane::handle_request(self, registry, env.mem(), qp, record, source)
            }
            Opcode::Datagram => false,
        };
        let has_work = registry.qps.get(qp.0).is_some_and(|pair| {
            let has_replies = !pair.engine.lane().responder.replies.is_empty();
            has_replies || !pair.sends.is_empty() || pair.state != QpState::ReadyToSend
        });
        if has_work && self.woken.last() != Some(&qp) {
            self.woken.push(qp);
        }
        is_sane
    }

    /// The queue pair a record is for, if it is of its peer and comes at a time for records.
    fn route<E: HasLane>(
        &mut self,
        registry: &mut Registry<E>,
        key: Key,
        from: IpAddr,
        record: &Record,
    ) -> Option<QpId> {
        let qp = registry.by_qpn(record.destination)?;
        let pair = registry.qps.get_mut(qp.0)?;
        let is_reliable = match pair.init.transport {
            Transport::ReliableConnection => true,
            Transport::UnreliableConnection => false,
            Transport::UnreliableDatagram => return None,
        };
        let is_same_service = !is_request(record) || record.has(UNRELIABLE) != is_reliable;
        if !is_of_peer(pair, from, record) || !is_same_service || !pair.state.responds() {
            return None;
        }
        match pair.engine.lane().path {
            Path::Network => None,
            Path::Local(_) => Some(qp),
            Path::Undecided => {
                // The peer found us first.
                self.settle_path(registry, qp, Path::Local(key));
                Some(qp)
            }
        }
    }

    /// A peer that sends knows that the connection is there; our owner may not know yet (10.3.1.3).
    fn note_first<E: HasLane>(&mut self, registry: &mut Registry<E>, qp: QpId) {
        let Some(pair) = registry.qps.get_mut(qp.0) else { return };
        if core::mem::replace(&mut pair.engine.lane_mut().responder.has_heard, true) {
            return;
        }
        let (state, owner) = (pair.state, pair.owner);
        self.heard.push(qp);
        if state == QpState::ReadyToReceive {
            registry.events.push_back(Event { owner, what: What::Established(qp) });
        }
    }
}

fn is_of_peer<E>(pair: &QueuePair<E>, from: IpAddr, record: &Record) -> bool {
    pair.peer.is_some_and(|peer| peer.address == from && peer.qpn == record.source)
}

const fn is_request(record: &Record) -> bool {
    match record.opcode {
        Opcode::Send | Opcode::Write | Opcode::Read | Opcode::CompareSwap | Opcode::FetchAdd => true,
        Opcode::Datagram | Opcode::Acknowledge | Opcode::Refuse | Opcode::Answer => false,
    }
}

/// Bytes copied in one turn, and one record more.
const COPIED_PER_TURN: u64 = 256 << 10;

/// Refusals that wait for room, at most.
const STRAYS_MAX: usize = 4096;
