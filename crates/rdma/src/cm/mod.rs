//! The connection manager: connections between queue pairs, made and ended by management datagrams (chapter 12). It has queue
//! pair 1, and hands datagrams of other classes to their agents.
//!
//! ```text
//!   asking:   Asking --REP--> Established --DREQ, or ours--> Disconnecting --DREP--> TimeWait -> gone
//!   answering: Asked --accept--> Replied --RTU, or a packet--> Established ...
//!   datagrams: Asking --SIDR_REP--> Ended          Asked --accept--> TimeWait (the answer is kept)
//! ```
//!
//! What it is not: it opens no socket and reads no clock. Messages come by [`Manager::handle_packet`], and go out by
//! [`Manager::transmit`].
//!
//! Invariants: a message is about a connection only if it names both ends' numbers for it and comes from the peer's address;
//! requests that wait for an answer are bounded, and more are dropped; what a peer does not answer is asked so many times,
//! and then given up.

mod agents;
mod commands;
mod incoming;
mod outgoing;

use crate::Config;
use crate::engine::Core;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use stdx::env::Owner;
use stdx::prng::Prng;
use stdx::slab::{Key, Slab};
use stdx::time::Time;
use verbs::parts::Agents;
use verbs::{ConnectionEvent, ConnectionId, ConnectionWhat, Parameters, PortSpace, QpId, Transition};
use wire::cm::Message;
use wire::roce::Psn;

/// Every listener and connection of a device.
#[derive(Debug)]
pub(crate) struct Manager {
    listeners: Slab<Listener>,
    connections: Slab<Connection>,
    /// Connections by the peer's address and number for them, so that what comes twice is known.
    by_peer: BTreeMap<(IpAddr, u32), Key>,
    /// Connections that are there, by the peer's queue pair: a peer that came back asks with one that it has in use.
    by_remote_pair: BTreeMap<(IpAddr, u32), Key>,
    /// The same, by our queue pair.
    by_pair: BTreeMap<QpId, Key>,
    events: VecDeque<ConnectionEvent>,
    /// Who sends and takes datagrams of other classes.
    agents: Agents,
    /// What is to be sent.
    out: VecDeque<Outgoing>,
    /// The number of the next management packet.
    psn: Psn,
    /// When connections have something to do, each at most once.
    dues: BTreeSet<(Time, Key)>,
    /// Requests that wait for our owner's answer.
    asked: u32,
    backlog: u32,
    /// Hides which of our connections a number stands for.
    secret: u32,
    numbers: Prng,
    next_port: u16,
    timeout: Duration,
    retries: u8,
    time_wait: Duration,
}

#[derive(Debug)]
struct Listener {
    owner: Owner,
    space: PortSpace,
    address: SocketAddr,
}

/// One end of a connection.
#[derive(Debug)]
struct Connection {
    owner: Owner,
    space: PortSpace,
    state: State,
    /// The peer's port.
    peer: IpAddr,
    /// The peer's number for the connection, once it is known.
    remote_id: u32,
    /// The peer's queue pair, once it is known.
    remote_qpn: u32,
    transaction: u64,
    qp: Option<QpId>,
    /// The number that the peer is to begin with: each end says what it expects (12.7.31).
    psn: Psn,
    parameters: Parameters,
    /// What is sent again until it is answered, or if it is asked for again.
    last: Option<Message>,
    /// How often it was sent.
    tries: u8,
    /// When the state ends, or `last` is sent (again).
    due: Option<Time>,
    /// Nothing more is told of it; it goes when it has ended.
    is_released: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Asking,
    Asked,
    Replied,
    Established,
    Disconnecting,
    TimeWait,
    Ended,
}

/// What is to be sent.
#[derive(Debug)]
struct Outgoing {
    to: IpAddr,
    content: outgoing::Content,
}

impl Manager {
    /// A manager without connections.
    pub(crate) fn new(config: &Config, seed: u64) -> Self {
        let mut numbers = Prng::new(seed);
        Self {
            listeners: Slab::new(config.limits.connections as usize),
            connections: Slab::new(config.limits.connections.min(CONNECTIONS_MAX) as usize),
            by_peer: BTreeMap::new(),
            by_remote_pair: BTreeMap::new(),
            by_pair: BTreeMap::new(),
            events: VecDeque::new(),
            agents: Agents::new(),
            out: VecDeque::new(),
            psn: Psn::new(0),
            dues: BTreeSet::new(),
            asked: 0,
            backlog: config.limits.backlog,
            secret: numbers.next_u64() as u32,
            numbers,
            next_port: FREE_PORTS,
            timeout: config.cm_timeout,
            retries: config.cm_retries,
            time_wait: config.time_wait,
        }
    }

    /// The next thing that happened.
    pub(crate) fn poll_event(&mut self) -> Option<ConnectionEvent> {
        self.events.pop_front()
    }

    /// When [`Manager::handle_timeouts`] is due.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.dues.first().map(|(due, _)| *due)
    }

    /// True if there are messages to be sent.
    pub(crate) fn is_active(&self) -> bool {
        !self.out.is_empty()
    }

    /// Asserts what always holds.
    pub(crate) fn check(&self) {
        let asked =
            self.connections.iter().filter(|(_, connection)| connection.state == State::Asked).count();
        assert_eq!(asked, self.asked as usize, "requests are counted");
        assert!(self.asked <= self.backlog);
        let dues: BTreeSet<_> =
            self.connections.iter().filter_map(|(key, found)| Some((found.due?, key))).collect();
        assert_eq!(dues, self.dues, "each is due when it says, and once");
        let tables = [self.by_peer.len(), self.by_remote_pair.len(), self.by_pair.len()];
        assert!(tables.into_iter().all(|len| len <= self.connections.len()), "tables hold connections alone");
    }

    /// Has every connection whose time has come do what it waits for.
    pub(crate) fn handle_timeouts(&mut self, core: &mut Core, now: Time) {
        self.notice_packets(core);
        // Whatever is done makes the next time a later one, so each has its turn once.
        while let Some(&(due, key)) = self.dues.first()
            && due <= now
        {
            self.set_due(key, None);
            self.handle_timeout(core, key, now);
        }
    }

    fn handle_timeout(&mut self, core: &mut Core, key: Key, now: Time) {
        let (timeout, retries) = (self.timeout, self.retries);
        let Some(connection) = self.connections.get_mut(key) else { return };
        match connection.state {
            State::Asking | State::Replied | State::Disconnecting if connection.tries <= retries => {
                connection.tries += 1;
                self.set_due(key, Some(now + timeout));
                self.send_last(key);
            }
            State::Asked if connection.tries < retries => {
                connection.tries += 1;
                self.set_due(key, Some(now + outgoing::SERVICE_INTERVAL));
                self.send_receipt(key);
            }
            State::Asking => self.end(key, Some(ConnectionWhat::Unreachable)),
            State::Replied => {
                self.break_pair(core, key);
                self.end(key, Some(ConnectionWhat::Unreachable));
            }
            State::Disconnecting => self.wait(key, now, Some(ConnectionWhat::Disconnected)),
            State::TimeWait => self.end(key, None),
            State::Asked | State::Established | State::Ended => {}
        }
    }

    /// A peer that sends packets knows that its connection is there, though its RTU is lost (12.9.7.2).
    fn notice_packets(&mut self, core: &mut Core) {
        while let Some(qp) = core.heard.pop() {
            let Some(key) = self.by_pair.get(&qp).copied() else { continue };
            if self.connections.get(key).is_some_and(|found| found.state == State::Replied) {
                self.establish(key, verbs::PrivateData::EMPTY);
            }
        }
    }

    /// The peer of a queue pair is no more, and will answer nothing.
    pub(crate) fn handle_loss(&mut self, core: &mut Core, now: Time, qp: QpId) {
        let Some(key) = self.by_pair.get(&qp).copied() else { return };
        self.break_pair(core, key);
        self.wait(key, now, Some(ConnectionWhat::Disconnected));
    }

    /// The connection is there.
    fn establish(&mut self, key: Key, private_data: verbs::PrivateData) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.state = State::Established;
        let parameters = connection.parameters;
        self.set_due(key, None);
        self.tell(key, ConnectionWhat::Established { parameters, private_data });
    }

    /// The connection has ended; it is remembered for a while.
    fn wait(&mut self, key: Key, now: Time, what: Option<ConnectionWhat>) {
        let until = now + self.time_wait;
        self.set_due(key, Some(until));
        self.leave_tables(key);
        if let Some(connection) = self.connections.get_mut(key) {
            connection.state = State::TimeWait;
        }
        if let Some(what) = what {
            self.tell(key, what);
        }
    }

    /// The connection is over; it goes once its owner has released it.
    fn end(&mut self, key: Key, what: Option<ConnectionWhat>) {
        if let Some(what) = what {
            self.tell(key, what);
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.state == State::Asked {
            self.asked -= 1;
        }
        (connection.state, connection.last) = (State::Ended, None);
        let (named, is_released) = ((connection.peer, connection.remote_id), connection.is_released);
        self.set_due(key, None);
        self.by_peer.remove(&named);
        self.leave_tables(key);
        if is_released {
            self.connections.remove(key);
        }
    }

    /// The connection is there: it is found by both queue pairs.
    fn enter_tables(&mut self, key: Key) {
        let Some(connection) = self.connections.get(key) else { return };
        self.by_remote_pair.insert((connection.peer, connection.remote_qpn), key);
        if let Some(qp) = connection.qp {
            self.by_pair.insert(qp, key);
        }
    }

    /// The connection's queue pairs are free for others.
    fn leave_tables(&mut self, key: Key) {
        let Some(connection) = self.connections.get(key) else { return };
        let remote = (connection.peer, connection.remote_qpn);
        if self.by_remote_pair.get(&remote) == Some(&key) {
            self.by_remote_pair.remove(&remote);
        }
        if let Some(qp) = connection.qp
            && self.by_pair.get(&qp) == Some(&key)
        {
            self.by_pair.remove(&qp);
        }
    }

    fn tell(&mut self, key: Key, what: ConnectionWhat) {
        if let Some(connection) = self.connections.get(key)
            && !connection.is_released
        {
            let owner = connection.owner;
            self.events.push_back(ConnectionEvent { owner, connection: ConnectionId(key), what });
        }
    }

    fn set_due(&mut self, key: Key, due: Option<Time>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if let Some(before) = core::mem::replace(&mut connection.due, due) {
            self.dues.remove(&(before, key));
        }
        if let Some(due) = due {
            self.dues.insert((due, key));
        }
    }

    /// The connection's queue pair takes no more part.
    fn break_pair(&mut self, core: &mut Core, key: Key) {
        if let Some(qp) = self.connections.get(key).and_then(|connection| connection.qp) {
            // It may be gone, or in error already.
            let _ = core.modify(qp, &Transition::Error);
        }
    }

    /// Our number for a connection.
    fn local_id(&self, key: Key) -> u32 {
        let generation = (key.as_u64() >> 32) as u32;
        (generation << 16 | key.index() as u32) ^ self.secret
    }

    /// The connection that we have this number for.
    fn by_local_id(&self, id: u32) -> Option<Key> {
        let place = ((id ^ self.secret) & PLACE) as usize;
        let key = self.connections.key_at(place)?;
        (self.local_id(key) == id).then_some(key)
    }

    fn listener(&self, space: PortSpace, port: u16) -> Option<(Key, &Listener)> {
        self.listeners.iter().find(|(_, found)| found.space == space && found.address.port() == port)
    }
}

/// Which bits of a number are the connection's place.
const PLACE: u32 = 0xffff;
const CONNECTIONS_MAX: u32 = PLACE + 1;
/// Ports that nobody asks for by number begin here.
const FREE_PORTS: u16 = 49_152;
