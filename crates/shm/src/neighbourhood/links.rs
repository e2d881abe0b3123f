//! Links: asked for, accepted, greeted, ended.

use super::{Neighbourhood, name};
use crate::config::Config;
use crate::hello::{Hello, LEN_MAX, Message};
use crate::inbox::Inbox;
use crate::lane::{HasLane, Path};
use crate::neighbour::{Foreign, Neighbour};
use crate::outbox::{Outbox, area_len};
use core::net::IpAddr;
use core::time::Duration;
use stdx::env::{Env, Event, IoError, LINK_MESSAGE_MAX, LinkId, What};
use stdx::mem::RegionId;
use stdx::planted::{Bug, planted};
use stdx::slab::Key;
use verbs::QpId;
use verbs::parts::Registry;

impl Neighbourhood {
    /// An event of the environment, if it is of a link.
    pub fn handle_event(&mut self, event: &Event) {
        match event.what {
            What::LinkAcceptable(listener) if Some(listener) == self.listener => self.may_accept = true,
            What::LinkReadable(link) => {
                let found = self.neighbours.iter().find(|(_, neighbour)| neighbour.link == link);
                if let Some((key, _)) = found
                    && !self.readable.contains(&key)
                {
                    self.readable.push(key);
                }
            }
            _ => {}
        }
    }

    /// Accepts links that wait.
    pub(super) fn accept(&mut self, env: &mut dyn Env) {
        let Some(listener) = self.listener else { return };
        for _ in 0..ACCEPTED_PER_TURN {
            match env.accept_link(listener, self.owner) {
                Ok(link) => {
                    if self.is_suspended || self.add(env, link, None).is_none() {
                        env.close_link(link);
                    }
                }
                Err(_) => {
                    self.may_accept = false;
                    return;
                }
            }
        }
    }

    /// Finds out how the peers of queue pairs are reached.
    pub(super) fn decide<E: HasLane>(&mut self, registry: &mut Registry<E>, env: &mut dyn Env) {
        while let Some(qp) = self.undecided.pop() {
            let Some(pair) = registry.qps.get(qp.0) else { continue };
            let Some(peer) = pair.peer.filter(|_| pair.engine.lane().path == Path::Undecided) else {
                continue;
            };
            if self.is_suspended {
                self.settle_path(registry, qp, Path::Network);
            } else if let Some(key) = self.linked_with(peer.address) {
                self.settle_path(registry, qp, Path::Local(key));
            } else if self.is_greeting(peer.address) || self.ask(env, peer.address) {
                self.greeting.push(qp);
            } else {
                self.settle_path(registry, qp, Path::Network);
            }
        }
    }

    pub(super) fn settle_path<E: HasLane>(&mut self, registry: &mut Registry<E>, qp: QpId, path: Path) {
        if let Some(pair) = registry.qps.get_mut(qp.0)
            && pair.engine.lane().path == Path::Undecided
        {
            pair.engine.lane_mut().path = path;
            self.woken.push(qp);
        }
    }

    /// A datagram is for a device that may be a neighbour: next turn it is asked.
    pub(super) fn want(&mut self, address: IpAddr) {
        let is_known = self.wanted.contains(&address)
            || self.strangers.iter().any(|(stranger, _)| *stranger == address)
            || self.is_greeting(address);
        if self.listener.is_some() && !self.is_suspended && !is_known && self.wanted.len() < STRANGERS_MAX {
            self.wanted.push(address);
        }
    }

    /// Asks devices that datagrams are for. One that is none is not asked again for a while.
    pub(super) fn ask_wanted(&mut self, env: &mut dyn Env) {
        let now = env.now();
        self.strangers.retain(|(_, until)| *until > now);
        while let Some(address) = self.wanted.pop() {
            if !self.ask(env, address) && self.strangers.len() < STRANGERS_MAX {
                self.strangers.push((address, now + STRANGE_FOR));
            }
        }
    }

    fn is_greeting(&self, address: IpAddr) -> bool {
        self.neighbours.iter().any(|(_, neighbour)| neighbour.address == Some(address))
    }

    /// Asks for a link; false if nobody is there.
    fn ask(&mut self, env: &mut dyn Env, address: IpAddr) -> bool {
        let Ok(link) = env.connect_link(self.owner, &name(address, self.port)) else { return false };
        let key = self.add(env, link, Some(address));
        let is_greeted = key.is_some_and(|key| self.greet(env, key));
        if !is_greeted {
            match key {
                Some(key) => self.part(env, key),
                None => env.close_link(link),
            }
        }
        is_greeted
    }

    /// Takes a new link down, if its other end is of a user we let in.
    fn add(&mut self, env: &mut dyn Env, link: LinkId, address: Option<IpAddr>) -> Option<Key> {
        let peer = env.link_peer(link).ok();
        let is_allowed = |user: u32| self.config.other_users.contains(&Some(user));
        if !peer.is_some_and(|peer| peer.user == peer.our_user || is_allowed(peer.user)) {
            self.counters.refused += 1;
            return None;
        }
        if self.neighbours.is_full() {
            return None;
        }
        let outbox = Outbox::new(env.mem(), self.config.records, self.config.bytes).ok()?;
        let key = self.neighbours.insert(Neighbour::new(link, address, outbox)).ok()?;
        self.readable.push(key);
        Some(key)
    }

    /// Says who we are.
    fn greet(&mut self, env: &mut dyn Env, key: Key) -> bool {
        let Some(neighbour) = self.neighbours.get(key) else { return false };
        let Config { records, bytes, .. } = self.config;
        let hello = Hello { address: self.address, port: self.port, records, bytes };
        let area = neighbour.outbox.region();
        neighbour.outbox.say_asleep(env.mem(), self.epoch);
        send(env, neighbour.link, Message::Hello(hello), Some(area)).is_ok()
    }

    /// Takes what came over links.
    pub(super) fn hear_all<E: HasLane>(&mut self, registry: &mut Registry<E>, env: &mut dyn Env) {
        while let Some(key) = self.readable.pop() {
            self.hear(registry, env, key);
        }
    }

    /// Takes what came over a link; one that ended, or on which nonsense comes, is ended.
    pub(super) fn hear<E: HasLane>(&mut self, registry: &mut Registry<E>, env: &mut dyn Env, key: Key) {
        let mut bytes = [0; LINK_MESSAGE_MAX];
        loop {
            let Some(link) = self.neighbours.get(key).map(|neighbour| neighbour.link) else { return };
            match env.recv_link(link, &mut bytes) {
                Ok(message) => {
                    let understood = Message::decode(&bytes[..message.len.min(bytes.len())]);
                    let is_right =
                        understood.is_some_and(|understood| self.heed(env, key, understood, message.memory));
                    if !is_right {
                        self.counters.malformed += 1;
                        return self.lose_link(registry, env, key);
                    }
                }
                Err(IoError::WouldBlock) => return,
                Err(_) => {
                    // What it wrote before is still taken.
                    if let Some(neighbour) = self.neighbours.get_mut(key) {
                        neighbour.has_ended = true;
                    }
                    return;
                }
            }
        }
    }

    /// Does what a message says; false if it may not say so. Memory that is not kept is unmapped.
    fn heed(&mut self, env: &mut dyn Env, key: Key, message: Message, memory: Option<RegionId>) -> bool {
        let kept = match message {
            Message::Bell => {
                // Also if it rings for what was taken already: it rings once for each sleep, so this one is over.
                self.heed_bell(env);
                Some(false)
            }
            Message::Hello(hello) => self.link(env, key, hello, memory).then_some(true),
            Message::Memory(number) => self.learn(env, key, number, memory).then_some(true),
            Message::Forget(number) => {
                self.forget(env, key, number);
                Some(false)
            }
        };
        if kept != Some(true)
            && let Some(memory) = memory
        {
            env.mem().unmap(memory);
        }
        kept.is_some()
    }

    /// The neighbour says hello, once; we do, if it asked.
    fn link(&mut self, env: &mut dyn Env, key: Key, hello: Hello, memory: Option<RegionId>) -> bool {
        let Some(neighbour) = self.neighbours.get_mut(key) else { return false };
        let Some(region) = memory.filter(|_| neighbour.inbox.is_none()) else { return false };
        let len = env.mem().region_len(region);
        let is_asked = neighbour.address.is_none();
        let is_known = is_asked || neighbour.address == Some(hello.address);
        if len < area_len(hello.records, hello.bytes) || !is_known || hello.port != self.port {
            return false;
        }
        neighbour.address = Some(hello.address);
        neighbour.inbox = Some(Inbox::new(region, hello.records, hello.bytes));
        neighbour.theirs.push(Some(Foreign { region, len }));
        self.counters.linked += 1;
        self.undecided.append(&mut self.greeting);
        // Hello is the first that goes over the link, so there is room for it.
        if is_asked && !self.greet(env, key) {
            if let Some(neighbour) = self.neighbours.get_mut(key) {
                neighbour.inbox = None;
                neighbour.theirs.clear();
            }
            return false;
        }
        true
    }

    /// The neighbour names memory.
    fn learn(&mut self, env: &mut dyn Env, key: Key, number: u16, memory: Option<RegionId>) -> bool {
        let Some(neighbour) = self.neighbours.get_mut(key) else { return false };
        let Some(region) = memory else { return false };
        let place = usize::from(number);
        if neighbour.inbox.is_none() || number == 0 || number > self.config.memories {
            return false;
        }
        if neighbour.theirs.len() <= place {
            neighbour.theirs.resize(place + 1, None);
        }
        let len = env.mem().region_len(region);
        match neighbour.theirs.get_mut(place) {
            Some(free @ None) => *free = Some(Foreign { region, len }),
            _ => return false,
        }
        true
    }

    fn forget(&mut self, env: &mut dyn Env, key: Key, number: u16) {
        let Some(neighbour) = self.neighbours.get_mut(key) else { return };
        if number > 0
            && let Some(foreign) = neighbour.theirs.get_mut(usize::from(number)).and_then(Option::take)
        {
            env.mem().unmap(foreign.region);
        }
    }

    /// The link ended: its queue pairs have lost their peer.
    pub(super) fn lose_link<E: HasLane>(&mut self, registry: &mut Registry<E>, env: &mut dyn Env, key: Key) {
        let Some(neighbour) = self.neighbours.get(key) else { return };
        if neighbour.inbox.is_none() {
            let address = neighbour.address;
            self.part(env, key);
            return self.give_up(registry, env, address);
        }
        self.counters.broken += 1;
        self.part(env, key);
        for place in 0..registry.qps.places() {
            let Some(found) = registry.qps.key_at(place) else { continue };
            let is_lost =
                registry.qps.get(found).is_some_and(|pair| pair.engine.lane().path == Path::Local(key));
            if is_lost && !planted(Bug::NeighbourNotMissed) {
                self.lose(registry, QpId(found));
            }
        }
    }

    /// A device does not want to be a neighbour: it is reached over the network.
    fn give_up<E: HasLane>(
        &mut self,
        registry: &mut Registry<E>,
        env: &mut dyn Env,
        address: Option<IpAddr>,
    ) {
        self.counters.refused += 1;
        for qp in core::mem::take(&mut self.greeting) {
            let peer = registry.qps.get(qp.0).and_then(|pair| pair.peer);
            if peer.is_some_and(|peer| Some(peer.address) != address) {
                self.greeting.push(qp);
            } else {
                self.settle_path(registry, qp, Path::Network);
            }
        }
        if let Some(address) = address
            && self.strangers.len() < STRANGERS_MAX
        {
            self.strangers.push((address, env.now() + STRANGE_FOR));
        }
    }

    /// Ends a link and gives its memory back.
    pub(super) fn part(&mut self, env: &mut dyn Env, key: Key) {
        let Some(neighbour) = self.neighbours.remove(key) else { return };
        env.close_link(neighbour.link);
        for foreign in neighbour.theirs.into_iter().flatten() {
            env.mem().unmap(foreign.region);
        }
        neighbour.outbox.close(env.mem());
    }
}

/// Sends a message.
pub(super) fn send(
    env: &mut dyn Env,
    link: LinkId,
    message: Message,
    memory: Option<RegionId>,
) -> Result<(), IoError> {
    let mut bytes = [0; LEN_MAX];
    let len = message.encode(&mut bytes);
    env.send_link(link, &bytes[..len], memory)
}

/// Devices that are remembered not to be neighbours, and how long.
const STRANGERS_MAX: usize = 64;
const STRANGE_FOR: Duration = Duration::from_secs(1);

/// Links accepted in one turn, at most.
const ACCEPTED_PER_TURN: usize = 16;
