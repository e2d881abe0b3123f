//! All neighbours of a device: finding them, looking for what they wrote, and telling queue pairs.
//!
//! A turn has three parts: [`Neighbourhood::receive`] takes what neighbours wrote, the provider lets its queue pairs write
//! ([`Neighbourhood::serve`]), and [`Neighbourhood::finish`] tells neighbours what they wait to know. While neighbours lately
//! wrote something, or were written to, the device looks again and again; then it says that it sleeps, looks once more, and is woken by a bell.

mod links;
mod receive;
mod rest;

use crate::lane::{self, HasLane, Path};
use crate::neighbour::{Bytes, Neighbour};
use crate::record::Record;
use crate::{Config, Counters};
use core::net::IpAddr;
use core::time::Duration;
use stdx::env::{Env, LinkListenerId, LinkName, Owner};
use stdx::mem::{Memory, Span};
use stdx::slab::{Key, Slab};
use stdx::time::{Time, earliest};
use verbs::parts::{Receive, Registry};
use verbs::{QpId, QpState, What};

pub use crate::lane::datagram::Datagram;

/// The links of a device.
#[derive(Debug)]
pub struct Neighbourhood {
    config: Config,
    address: IpAddr,
    port: u16,
    owner: Owner,
    listener: Option<LinkListenerId>,
    neighbours: Slab<Neighbour>,
    pub(crate) counters: Counters,
    /// Queue pairs whose peers are looked for.
    undecided: Vec<QpId>,
    /// Queue pairs whose peers' links wait for a hello.
    greeting: Vec<QpId>,
    /// Queue pairs that have something to do again, for the provider.
    woken: Vec<QpId>,
    /// Queue pairs whose first record has come, for the provider.
    heard: Vec<QpId>,
    /// Queue pairs whose connection broke, for the provider.
    lost: Vec<QpId>,
    /// Queue pairs that wait for a time.
    waiting: Vec<QpId>,
    retry_at: Option<Time>,
    /// When a full ring is looked at again.
    look_at: Option<Time>,
    /// Devices that datagrams are for and that may be neighbours, and those that lately were none.
    wanted: Vec<IpAddr>,
    strangers: Vec<(IpAddr, Time)>,
    /// Queue pairs that owe an acknowledgement: since this turn, and since the one before.
    owing: Vec<QpId>,
    owing_longer: Vec<QpId>,
    /// The end of the turn has something to do: neighbours were written to, refused something, or are to learn of memory.
    has_errands: bool,
    /// No more links are made.
    is_suspended: bool,
    /// Links may wait to be accepted.
    may_accept: bool,
    /// Links may have messages.
    readable: Vec<Key>,
    /// Odd while we sleep.
    epoch: u32,
    /// When something was last found or written.
    busy_at: Time,
    /// How long we look since then before we sleep.
    spin: Duration,
    /// When we last went to sleep.
    asleep_at: Time,
    /// Lists that are used again and again.
    pub(crate) spans: Vec<Span>,
    pub(crate) others: Vec<Span>,
    pub(crate) receive: Receive,
}

impl Neighbourhood {
    /// Waits for neighbours of the device at `address` and `port`. Where links cannot be had there are none.
    pub fn open(env: &mut dyn Env, owner: Owner, address: IpAddr, port: u16, config: Config) -> Self {
        let config = config.sane();
        let name = name(address, port);
        let listener = if config.enabled { env.listen_links(owner, &name).ok() } else { None };
        Self {
            config,
            address,
            port,
            owner,
            listener,
            neighbours: Slab::new(config.links as usize),
            counters: Counters::default(),
            undecided: Vec::new(),
            greeting: Vec::new(),
            woken: Vec::new(),
            heard: Vec::new(),
            lost: Vec::new(),
            waiting: Vec::new(),
            retry_at: None,
            look_at: None,
            wanted: Vec::new(),
            strangers: Vec::new(),
            owing: Vec::new(),
            owing_longer: Vec::new(),
            has_errands: false,
            is_suspended: false,
            may_accept: true,
            readable: Vec::new(),
            epoch: 1,
            busy_at: env.now(),
            spin: config.spin,
            asleep_at: env.now(),
            spans: Vec::with_capacity(SPANS),
            others: Vec::with_capacity(SPANS),
            receive: Receive::default(),
        }
    }

    /// Ends all links and gives their memory back.
    pub fn close(mut self, env: &mut dyn Env) {
        if let Some(listener) = self.listener.take() {
            env.close_link_listener(listener);
        }
        for place in 0..self.neighbours.places() {
            if let Some(key) = self.neighbours.key_at(place) {
                self.part(env, key);
            }
        }
    }

    /// Makes no more links: who is not a neighbour yet is reached over the network.
    pub const fn suspend(&mut self) {
        self.is_suspended = true;
    }

    /// What it has seen.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The device's address.
    pub(crate) const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many devices are linked with this one.
    pub fn linked(&self) -> usize {
        self.neighbours.iter().filter(|(_, neighbour)| neighbour.inbox.is_some()).count()
    }

    /// A connected queue pair answers its peer from now on, whose first packet has this number: is the peer a neighbour?
    pub fn consider<E: HasLane>(&mut self, registry: &mut Registry<E>, qp: QpId, number: u32) {
        let Some(pair) = registry.qps.get_mut(qp.0) else { return };
        if self.listener.is_none() || pair.peer.is_none() {
            return;
        }
        let lane = pair.engine.lane_mut();
        lane.responder = lane::beginning(number);
        lane.path = Path::Undecided;
        self.undecided.push(qp);
    }

    /// A queue pair takes no more part, or is about to go: its peer learns what it will not get.
    pub fn abandon<E: HasLane>(&mut self, registry: &mut Registry<E>, qp: QpId) {
        let Some(pair) = registry.qps.get(qp.0) else { return };
        let Path::Local(key) = pair.engine.lane().path else { return };
        let (Some(peer), qpn) = (pair.peer, pair.qpn) else { return };
        if let Some(neighbour) = self.neighbours.get_mut(key) {
            for number in pair.engine.lane().responder.unanswered() {
                neighbour.strays.push_back(lane::not_ready(peer.qpn, qpn, number));
                self.has_errands = true;
            }
        }
        if let Some(pair) = registry.qps.get_mut(qp.0) {
            pair.engine.lane_mut().responder.replies.clear();
        }
    }

    /// Lets a queue pair write all it has for its neighbour.
    pub fn serve<E: HasLane>(&mut self, registry: &mut Registry<E>, mem: &mut Memory, now: Time, qp: QpId) {
        lane::serve(self, registry, mem, now, qp);
    }

    /// Sends the datagram at the front of a queue pair, if its destination is a neighbour; `None` if it is not. Its length
    /// was checked.
    pub fn send_datagram<E: HasLane>(
        &mut self,
        registry: &mut Registry<E>,
        mem: &mut Memory,
        qp: QpId,
        to: IpAddr,
    ) -> Option<Datagram> {
        let Some(key) = self.linked_with(to) else {
            self.want(to);
            return None;
        };
        Some(lane::datagram::send(self, registry, mem, qp, key))
    }

    /// The next queue pair that has something to do.
    pub fn poll_woken(&mut self) -> Option<QpId> {
        self.woken.pop()
    }

    /// The next queue pair whose peer was heard of for the first time.
    pub fn poll_heard(&mut self) -> Option<QpId> {
        self.heard.pop()
    }

    /// The next queue pair whose peer is no more.
    pub fn poll_lost(&mut self) -> Option<QpId> {
        self.lost.pop()
    }

    /// True if the next turn is due now.
    pub const fn is_busy(&self) -> bool {
        self.is_awake()
            || self.may_accept && self.listener.is_some()
            || !self.readable.is_empty()
            || !self.woken.is_empty()
            || !self.undecided.is_empty()
            || !self.wanted.is_empty()
    }

    /// When the next turn is due.
    pub fn deadline(&self) -> Option<Time> {
        if self.is_busy() { Some(Time::ZERO) } else { earliest(self.retry_at, self.look_at) }
    }

    /// Asserts what always holds between turns.
    pub fn check<E: HasLane>(&self, registry: &Registry<E>) {
        for (_, neighbour) in self.neighbours.iter() {
            neighbour.outbox.check();
        }
        for (_, pair) in registry.qps.iter() {
            pair.engine.lane().check(pair.sends.len());
        }
    }

    /// See [`Neighbour::emit`].
    pub(crate) fn emit(
        &mut self,
        mem: &mut Memory,
        key: Key,
        record: Record,
        bytes: Bytes<'_>,
    ) -> Option<u32> {
        let neighbour = self.neighbours.get_mut(key)?;
        self.has_errands = true;
        neighbour.emit(mem, record, bytes, &mut self.counters)
    }

    /// The same for a record that carries nothing, whatever its tail is for.
    pub(crate) fn emit_bare(&mut self, mem: &mut Memory, key: Key, record: Record) -> Option<()> {
        let neighbour = self.neighbours.get_mut(key)?;
        if !neighbour.outbox.has_room() {
            return None;
        }
        self.has_errands = true;
        neighbour.outbox.push(mem, &record);
        self.counters.sent_records += 1;
        Some(())
    }

    /// The same for bytes that may change once this returns: all of them, or nothing.
    pub(crate) fn emit_copied(
        &mut self,
        mem: &mut Memory,
        key: Key,
        record: Record,
        bytes: Bytes<'_>,
    ) -> Option<u32> {
        let neighbour = self.neighbours.get_mut(key)?;
        self.has_errands = true;
        neighbour.emit_copied(mem, record, bytes, &mut self.counters)
    }

    /// The queue pair waits until there is room in a ring.
    pub(crate) fn stall<E: HasLane>(&mut self, registry: &mut Registry<E>, qp: QpId, key: Key) {
        let Some(neighbour) = self.neighbours.get_mut(key) else { return };
        if let Some(pair) = registry.qps.get_mut(qp.0)
            && !core::mem::replace(&mut pair.engine.lane_mut().is_stalled, true)
        {
            neighbour.stalled.push_back(qp);
        }
    }

    /// The queue pair waits for its time to try again.
    pub(crate) fn wait(&mut self, qp: QpId, until: Time) {
        self.retry_at = earliest(self.retry_at, Some(until));
        if !self.waiting.contains(&qp) {
            self.waiting.push(qp);
        }
    }

    /// The queue pair is to acknowledge a message of `len` bytes, if nothing it writes does so before: a long one at the end of
    /// this turn, for its sender to go on.
    pub(crate) fn owe<E: HasLane>(&mut self, registry: &mut Registry<E>, qp: QpId, len: u32) {
        let Some(pair) = registry.qps.get_mut(qp.0) else { return };
        let responder = &mut pair.engine.lane_mut().responder;
        if responder.owes && !core::mem::replace(&mut responder.is_owing, true) {
            let line = if len < LONG { &mut self.owing } else { &mut self.owing_longer };
            line.push(qp);
        }
    }

    /// The link with the device at an address, if there is one.
    fn linked_with(&self, address: IpAddr) -> Option<Key> {
        let is_linked =
            |neighbour: &Neighbour| neighbour.inbox.is_some() && neighbour.address == Some(address);
        self.neighbours.iter().find(|(_, neighbour)| is_linked(neighbour)).map(|(key, _)| key)
    }

    /// Puts a local queue pair into error because its peer is no more.
    fn lose<E: HasLane>(&mut self, registry: &mut Registry<E>, qp: QpId) {
        let Some(pair) = registry.qps.get_mut(qp.0) else { return };
        let lane = pair.engine.lane_mut();
        lane.responder.replies.clear();
        lane.is_stalled = false;
        let in_flight = !lane.requester.is_idle();
        lane.requester.clear();
        if pair.state == QpState::Error || pair.state == QpState::Reset {
            return;
        }
        if in_flight && let Some(send) = pair.sends.pop() {
            let (id, kind) = (send.id, send.task.kind());
            let failed = verbs::Completion::failed(qp, id, kind, verbs::Status::RetryExceeded);
            registry.complete(failed, false, false);
        }
        registry.fail(qp, What::QueuePairError(qp));
        self.lost.push(qp);
        self.woken.push(qp);
    }
}

/// The name that a device is found under.
fn name(address: IpAddr, port: u16) -> LinkName {
    LinkName::new(&format!("weft-rdma/{port}/{address}"))
}

/// Bytes of a message that is acknowledged soon.
const LONG: u32 = 16 << 10;

/// Pieces of a request that are worth room from the start.
const SPANS: usize = 64;
