//! The end of a turn: neighbours are told what they wait to know, and woken; and we go to sleep if nothing comes.

use super::Neighbourhood;
use super::links::send;
use crate::hello::Message;
use crate::lane::{HasLane, Path};
use crate::neighbour::{Bytes, Named, Neighbour};
use crate::record::{Opcode, Record};
use core::sync::atomic::{Ordering, fence};
use core::time::Duration;
use stdx::env::{Env, IoError};
use stdx::mem::{Memory, RegionId};
use stdx::slab::Key;
use stdx::time::earliest;
use verbs::QpId;
use verbs::parts::Registry;

impl Neighbourhood {
    /// Ends a turn.
    pub fn finish<E: HasLane>(&mut self, registry: &mut Registry<E>, env: &mut dyn Env) {
        if !self.owing.is_empty() || !self.owing_longer.is_empty() {
            self.acknowledge(registry, env.mem());
        }
        if core::mem::take(&mut self.has_errands) {
            self.run_errands(env);
            // Whoever was written to may answer.
            self.busy_at = env.now();
        }
        if self.is_awake() && !self.is_owing() && env.now() >= self.busy_at + self.spin {
            self.fall_asleep(env);
        }
        let looks_again = !self.is_awake() && self.is_short_of_room();
        self.look_at = looks_again.then(|| env.now() + LOOK_AGAIN);
    }

    /// Writes what neighbours wait for besides records of queue pairs, and wakes those that were written to.
    fn run_errands(&mut self, env: &mut dyn Env) {
        let mut is_short = false;
        for place in 0..self.neighbours.places() {
            if let Some(key) = self.neighbours.key_at(place) {
                is_short |= !self.refuse_strays(env, key);
                self.name_memory(env, key);
            }
        }
        self.ring(env);
        self.has_errands = is_short;
    }

    /// True while neighbours are looked at without being told to.
    pub(super) const fn is_awake(&self) -> bool {
        self.epoch.is_multiple_of(2)
    }

    /// A neighbour waits for us.
    fn is_owing(&self) -> bool {
        !self.owing.is_empty() || !self.owing_longer.is_empty() || !self.woken.is_empty()
    }

    /// We wait for room in a ring: nobody rings for that.
    fn is_short_of_room(&self) -> bool {
        let waits = |neighbour: &Neighbour| !neighbour.stalled.is_empty() || !neighbour.strays.is_empty();
        self.neighbours.iter().any(|(_, neighbour)| waits(neighbour))
    }

    /// A bell wakes us. A sleep that was shorter than it takes to be woken was not worth it: then we look for longer before the next. Two ends
    /// that each take about as long as the other looks would else sleep in turn, for good.
    pub(super) fn heed_bell(&mut self, env: &mut dyn Env) {
        let now = env.now();
        if !self.is_awake() {
            let is_short = now.since(self.asleep_at) < self.config.spin * SHORT_SLEEP;
            let longer = (self.spin * 2).min(self.config.spin * LONGEST_SPIN);
            self.spin = if is_short { longer } else { self.config.spin };
        }
        self.busy_at = now;
        self.wake_up(env.mem());
    }

    /// We look by ourselves from now on.
    pub(super) fn wake_up(&mut self, mem: &mut Memory) {
        if self.is_awake() {
            return;
        }
        self.epoch = self.epoch.wrapping_add(1);
        for (_, neighbour) in self.neighbours.iter() {
            neighbour.outbox.say_asleep(mem, self.epoch);
        }
    }

    /// We wait for a bell from now on, unless something came before neighbours could see that.
    fn fall_asleep(&mut self, env: &mut dyn Env) {
        for place in 0..self.neighbours.places() {
            if let Some(key) = self.neighbours.key_at(place) {
                self.say_consumed(env, key, true);
            }
        }
        self.asleep_at = env.now();
        self.epoch = self.epoch.wrapping_add(1);
        for (_, neighbour) in self.neighbours.iter() {
            neighbour.outbox.say_asleep(env.mem(), self.epoch);
        }
        // Either we see what a neighbour wrote, or it sees that we sleep: both write first and look then.
        fence(Ordering::SeqCst);
        let mem = &*env.mem();
        let has_come =
            |neighbour: &Neighbour| neighbour.inbox.as_ref().is_some_and(|inbox| inbox.has_record(mem));
        if self.neighbours.iter().any(|(_, neighbour)| has_come(neighbour)) {
            self.busy_at = env.now();
            self.wake_up(env.mem());
        }
    }

    /// Wakes neighbours that sleep and were written to.
    fn ring(&mut self, env: &mut dyn Env) {
        let mut is_fenced = false;
        for (_, neighbour) in self.neighbours.iter_mut() {
            if !core::mem::take(&mut neighbour.outbox.is_fresh) {
                continue;
            }
            if !core::mem::replace(&mut is_fenced, true) {
                fence(Ordering::SeqCst);
            }
            let Some(inbox) = &neighbour.inbox else { continue };
            let asleep = inbox.asleep(env.mem());
            if asleep.is_multiple_of(2) || asleep == neighbour.rung {
                continue;
            }
            // A neighbour that has so many messages that there is no room for a bell is awake by them.
            if send(env, neighbour.link, Message::Bell, None) != Err(IoError::WouldBlock) {
                neighbour.rung = asleep;
                self.counters.bells += 1;
            }
        }
    }

    /// Acknowledges what nothing else has acknowledged since the turn before.
    fn acknowledge<E: HasLane>(&mut self, registry: &mut Registry<E>, mem: &mut Memory) {
        for _ in 0..self.owing_longer.len() {
            let Some(qp) = self.owing_longer.pop() else { break };
            if self.acknowledge_now(registry, mem, qp) {
                if let Some(pair) = registry.qps.get_mut(qp.0) {
                    pair.engine.lane_mut().responder.is_owing = false;
                }
            } else {
                self.owing.push(qp);
            }
        }
        core::mem::swap(&mut self.owing, &mut self.owing_longer);
    }

    /// Acknowledges what a queue pair owes; false if there is no room for it.
    fn acknowledge_now<E: HasLane>(
        &mut self,
        registry: &mut Registry<E>,
        mem: &mut Memory,
        qp: QpId,
    ) -> bool {
        let Some(pair) = registry.qps.get_mut(qp.0) else { return true };
        let (qpn, destination) = (pair.qpn, pair.peer.map_or(0, |peer| peer.qpn));
        let lane = pair.engine.lane_mut();
        let Path::Local(key) = lane.path else { return true };
        if !lane.responder.owes {
            return true;
        }
        let mut record = Record::new(Opcode::Acknowledge, destination, qpn, 0);
        record.acknowledged = lane.responder.expected;
        if self.neighbours.get(key).is_some() && self.emit_bare(mem, key, record).is_none() {
            return false;
        }
        lane.responder.owes = false;
        true
    }

    /// Writes the refusals for queue pairs that are not there; false if there is no room for one.
    fn refuse_strays(&mut self, env: &mut dyn Env, key: Key) -> bool {
        while let Some(neighbour) = self.neighbours.get_mut(key) {
            let Some(stray) = neighbour.strays.front().copied() else { break };
            if neighbour.emit(env.mem(), stray, Bytes::Inline(&[]), &mut self.counters).is_none() {
                return false;
            }
            neighbour.strays.pop_front();
        }
        true
    }

    /// Names published memory to a neighbour, which copies from there next time.
    fn name_memory(&mut self, env: &mut dyn Env, key: Key) {
        let limit = usize::from(self.config.memories);
        while let Some(neighbour) = self.neighbours.get_mut(key) {
            let Some(region) = neighbour.to_name.pop() else { return };
            name_one(neighbour, env, region, limit);
        }
    }

    /// Says what we have consumed: when the neighbour waits for it, or everything.
    pub(super) fn say_consumed(&mut self, env: &mut dyn Env, key: Key, is_all: bool) {
        let Some(neighbour) = self.neighbours.get_mut(key) else { return };
        if let Some(consumed) = neighbour.inbox.as_mut().and_then(|inbox| inbox.unsaid(is_all)) {
            neighbour.outbox.say_consumed(env.mem(), consumed);
        }
    }

    /// Takes down what the neighbour has consumed, and wakes who waits for room: those who waited longest, and no more than may find
    /// some, so that a full ring costs the same whether ten queue pairs wait for it or ten thousand.
    pub(super) fn heed_consumed<E: HasLane>(
        &mut self,
        registry: &mut Registry<E>,
        env: &mut dyn Env,
        key: Key,
    ) {
        let Some(neighbour) = self.neighbours.get_mut(key) else { return };
        let Some(inbox) = &neighbour.inbox else { return };
        if neighbour.outbox.has_plenty() && neighbour.stalled.is_empty() {
            return;
        }
        if neighbour.outbox.heed_consumed(inbox.consumed(env.mem())).is_err() {
            self.counters.malformed += 1;
            return self.lose_link(registry, env, key);
        }
        for _ in 0..neighbour.outbox.writers() {
            let Some(qp) = neighbour.stalled.pop_front() else { return };
            if let Some(pair) = registry.qps.get_mut(qp.0) {
                pair.engine.lane_mut().is_stalled = false;
                self.woken.push(qp);
            }
        }
    }

    /// Wakes queue pairs whose time to try again has come.
    pub(super) fn wake_waiting<E: HasLane>(&mut self, registry: &Registry<E>, env: &mut dyn Env) {
        if self.waiting.is_empty() {
            return;
        }
        let (now, woken) = (env.now(), &mut self.woken);
        let mut next = None;
        self.waiting.retain(|qp| {
            let retry_at = registry.qps.get(qp.0).and_then(|pair| pair.engine.lane().retry_at());
            match retry_at {
                Some(at) if at > now => {
                    next = earliest(next, Some(at));
                    true
                }
                _ => {
                    woken.push(*qp);
                    false
                }
            }
        });
        self.retry_at = next;
    }
}

fn name_one(neighbour: &mut Neighbour, env: &mut dyn Env, region: RegionId, limit: usize) {
    let Some(serial) = env.mem().serial(region).filter(|_| env.mem().share(region).is_some()) else { return };
    let mem = env.mem();
    let is_gone = |named: &Named| mem.serial(named.region) != Some(named.serial);
    let place = match neighbour.ours.iter().position(|ours| ours.as_ref().is_none_or(is_gone)) {
        Some(place) => place,
        None if neighbour.ours.len() < limit => {
            neighbour.ours.push(None);
            neighbour.ours.len() - 1
        }
        None => return,
    };
    let number = place as u16 + 1;
    if neighbour.ours[place].is_some() {
        if send(env, neighbour.link, Message::Forget(number), None).is_err() {
            return;
        }
        neighbour.ours[place] = None;
    }
    if send(env, neighbour.link, Message::Memory(number), Some(region)).is_ok() {
        neighbour.ours[place] = Some(Named { region, serial });
    }
}

/// How often a ring that is full is looked at while its reader does nothing.
const LOOK_AGAIN: Duration = Duration::from_micros(100);
/// A sleep of fewer spins, and the longest spin, as many times the usual one.
const SHORT_SLEEP: u32 = 4;
const LONGEST_SPIN: u32 = 8;
