//! The world: who is in it, what is on its way, and what happens next.

use crate::capture::{Flags, SharedCapture};
use crate::datagrams::{Datagram, Socket, Weather};
use crate::disk::Disk;
use crate::faults::Faults;
use crate::network::{End, Listener, NodeId, Pipe, draw};
use core::cell::RefCell;
use core::time::Duration;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::rc::Rc;
use stdx::conformance::links::{self, Process};
use stdx::env::{DatagramsId, Event, FileId, FileOp, FileOpKind, IoError, ListenerId, Owner, StreamId, What};
use stdx::prng::Prng;
use stdx::time::Time;

/// The world as its nodes' environments share it.
pub type SharedWorld = Rc<RefCell<World>>;

/// Everything outside the shards.
#[derive(Debug)]
pub struct World {
    pub(crate) now: Time,
    pub(crate) prng: Prng,
    /// What goes wrong, and how often. A scenario may change it at any time.
    pub faults: Faults,
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    pub(crate) ends: BTreeMap<StreamId, End>,
    agenda: BTreeMap<(Time, u64), Happening>,
    counter: u64,
    pub(crate) weather: Weather,
    /// All nodes that start from now on are processes of this machine, and can have links with each other.
    pub host: Option<links::Machine>,
    /// Where what is sent is written down, if anywhere.
    pub capture: Option<SharedCapture>,
}

/// A machine.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// How often it has started; what an earlier life began is void.
    pub(crate) life: u32,
    pub(crate) up: bool,
    pub(crate) events: Vec<Event>,
    pub(crate) finished: Vec<FinishedOp>,
    pub(crate) deadline: Option<Time>,
    pub(crate) listeners: BTreeMap<ListenerId, Listener>,
    pub(crate) sockets: BTreeMap<DatagramsId, Socket>,
    pub(crate) disks: BTreeMap<PathBuf, Disk>,
    pub(crate) files: BTreeMap<FileId, PathBuf>,
    pub(crate) ops_under_way: usize,
    /// What it is of the machine that it shares with others, if it does.
    pub(crate) process: Option<Process>,
    /// It gets no turn, as a machine that is suspended.
    pub(crate) frozen: bool,
    /// Its network is down until then: no datagram comes to it or leaves it.
    pub(crate) cut_off_until: Time,
}

/// A file operation that is done; its data still has to reach the node's memory.
#[derive(Debug)]
pub(crate) struct FinishedOp {
    pub(crate) op: FileOp,
    pub(crate) result: Result<u32, IoError>,
    pub(crate) read: Vec<u8>,
}

#[derive(Debug)]
pub(crate) enum Happening {
    /// Bytes or the end reach this end of a stream.
    Arrive(StreamId),
    /// There is room again for the sender at this end.
    Room(StreamId),
    /// A connection attempt reaches its address.
    Connect(StreamId, IpAddr),
    /// A datagram reaches its address.
    Datagram(Datagram),
    /// A node's socket takes datagrams again.
    Unblock(NodeId, DatagramsId),
    /// A file operation is carried out and done.
    File { node: NodeId, life: u32, op: FileOp, written: Vec<u8> },
}

/// What [`World::step`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// This node has something to do: give its shard a turn.
    Turn(NodeId),
    /// Nothing will ever happen again.
    Idle,
}

impl World {
    /// A world without nodes.
    pub fn new(seed: u64, faults: Faults) -> SharedWorld {
        Rc::new(RefCell::new(Self {
            now: Time::ZERO,
            prng: Prng::new(seed),
            faults,
            nodes: BTreeMap::new(),
            ends: BTreeMap::new(),
            agenda: BTreeMap::new(),
            counter: 0,
            weather: Weather::default(),
            host: None,
            capture: None,
        }))
    }

    /// The address of a node, of IPv4.
    pub fn address(node: NodeId) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, node.0))
    }

    /// The address that a node has besides, of IPv6. Datagrams alone go to it.
    pub fn address_v6(node: NodeId) -> IpAddr {
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, node.0.into()))
    }

    /// Every address of a node.
    pub(crate) fn addresses(node: NodeId) -> [IpAddr; 2] {
        [Self::address(node), Self::address_v6(node)]
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The world's own randomness, for the scenario's choices.
    pub fn prng(&mut self) -> &mut Prng {
        &mut self.prng
    }

    /// Starts a node, or starts it again; its disks are as its last life left them.
    pub(crate) fn boot(&mut self, id: NodeId) {
        let node = self.nodes.entry(id).or_default();
        assert!(!node.up, "{id:?} is up");
        node.up = true;
        node.process = self.host.as_ref().map(|host| host.process(USER));
        node.life += 1;
        // Its shard's first turn comes of itself.
        node.deadline = Some(Time::ZERO);
    }

    /// Kills a node: its streams break at the other ends, and its disks keep what a power cut leaves.
    pub fn crash(&mut self, id: NodeId) {
        let Self { nodes, prng, .. } = self;
        let node = nodes.get_mut(&id).expect("a node of this world");
        let (life, disks) = (node.life, core::mem::take(&mut node.disks));
        node.process.iter().for_each(Process::die);
        *node = Node { life, disks, ..Node::default() };
        node.disks.values_mut().for_each(|disk| disk.power_cut(prng));
        let broken: Vec<_> =
            self.ends.iter().filter(|(_, end)| end.node == id).map(|(&stream, _)| stream).collect();
        for stream in broken {
            self.sever(stream);
        }
        self.ends.retain(|_, end| end.node != id);
    }

    /// Suspends a node, or lets it go on: its streams stay, and what comes to it waits.
    pub fn freeze(&mut self, id: NodeId, frozen: bool) {
        self.nodes.get_mut(&id).expect("a node of this world").frozen = frozen;
    }

    /// True while the node runs.
    pub fn is_up(&self, id: NodeId) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.up)
    }

    /// Lets time pass until some node has something to do, but not beyond `until`.
    pub fn step(&mut self, until: Time) -> Step {
        loop {
            let now = self.now;
            let ready = |node: &Node| {
                let due = node.deadline.is_some_and(|deadline| deadline <= now);
                let has_news = !node.events.is_empty() || !node.finished.is_empty();
                let is_told = node.process.as_ref().is_some_and(Process::has_events);
                node.up && !node.frozen && (due || has_news || is_told)
            };
            let ready: Vec<_> =
                self.nodes.iter().filter(|(_, node)| ready(node)).map(|(&id, _)| id).collect();
            if !ready.is_empty() {
                return Step::Turn(ready[self.prng.below(ready.len() as u64) as usize]);
            }
            let happening = self.agenda.keys().next().map(|(at, _)| *at);
            let deadlines =
                self.nodes.values().filter(|node| node.up && !node.frozen).filter_map(|node| node.deadline);
            let Some(next) = deadlines.chain(happening).min().filter(|next| *next <= until) else {
                self.now = self.now.max(if until == Time::NEVER { self.now } else { until });
                return Step::Idle;
            };
            self.now = self.now.max(next);
            while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let happening = entry.remove();
                self.happen(happening);
            }
        }
    }

    pub(crate) fn schedule(&mut self, at: Time, happening: Happening) {
        let number = self.number();
        self.agenda.insert((at, number), happening);
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub(crate) fn latency(&mut self) -> Time {
        self.now + draw(self.faults.latency, &mut self.prng)
    }

    pub(crate) fn disk_latency(&mut self) -> Time {
        let mut latency = draw(self.faults.disk_latency, &mut self.prng);
        if self.prng.chance(self.faults.disk_stall_chance, 1000) {
            latency += draw(self.faults.disk_stall, &mut self.prng);
        }
        self.now + latency
    }

    /// Tells the owner of this end.
    pub(crate) fn tell(&mut self, stream: StreamId, what: What) {
        let Some(End { node, owner: Some(owner), .. }) = self.ends.get(&stream) else { return };
        let event = Event { owner: *owner, what };
        let events = &mut self.nodes.get_mut(node).expect("an end's node").events;
        if !events.contains(&event) {
            events.push(event);
        }
    }

    /// Writes down what this end sends.
    pub(crate) fn note(&self, stream: StreamId, flags: Flags, bytes: &[u8]) {
        let (Some(capture), Some(end)) = (&self.capture, self.ends.get(&stream)) else { return };
        let Some(peer) = self.ends.get(&end.peer).filter(|_| end.peer != stream) else { return };
        let (from, to) = ((end.node, end.ports.0), (peer.node, end.ports.1));
        capture.borrow_mut().sent(self.now, from, to, flags, bytes);
    }

    /// Breaks a stream: both ends learn of it.
    pub(crate) fn sever(&mut self, stream: StreamId) {
        let Some(peer) = self.ends.get(&stream).map(|end| end.peer) else { return };
        self.note(stream, Flags::Reset, &[]);
        for side in [stream, peer] {
            // What vanishes on the way is not told to the far end either.
            if let Some(end) = self.ends.get_mut(&side).filter(|end| side == stream || !end.vanished) {
                end.broken = Some(IoError::Reset);
                self.tell(side, What::Broken(side, IoError::Reset));
            }
        }
    }

    /// Has a node's network flap, if that is among the faults and its time has come.
    pub fn may_flap(&mut self, node: NodeId) {
        if self.prng.chance(self.faults.flap, 1000) {
            let by = draw(self.faults.flap_time, &mut self.prng);
            self.flap(node, by);
        }
    }

    /// A node's network flaps: its streams break for it at once. The others learn of that only after `by`, and what the
    /// node had sent may still reach them before. Its datagrams are lost for so long, both ways.
    pub fn flap(&mut self, node: NodeId, by: Duration) {
        if let Some(found) = self.nodes.get_mut(&node) {
            found.cut_off_until = self.now + by;
        }
        let of_node = |end: &End| end.node == node && end.connected && end.broken.is_none();
        let streams: Vec<_> = self
            .ends
            .iter()
            .filter(|(_, end)| of_node(end))
            .map(|(&stream, end)| (stream, end.peer))
            .collect();
        for (stream, peer) in streams {
            self.note(stream, Flags::Reset, &[]);
            let Self { ends, faults, prng, now, .. } = self;
            if let Some(far) = ends.get_mut(&peer).filter(|far| !far.vanished) {
                far.inward.reset(*now, faults, prng);
                let times = far.inward.delay(by);
                times.into_iter().for_each(|at| self.schedule(at, Happening::Arrive(peer)));
            }
            if let Some(end) = self.ends.get_mut(&stream) {
                end.broken = Some(IoError::Reset);
            }
            self.tell(stream, What::Broken(stream, IoError::Reset));
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrive(stream) => {
                let now = self.now;
                let Some(end) = self.ends.get_mut(&stream) else { return };
                end.inward.arrive(now);
                if end.inward.is_reset() {
                    end.broken = Some(IoError::Reset);
                    self.tell(stream, What::Broken(stream, IoError::Reset));
                } else if end.inward.readable() {
                    self.tell(stream, What::Readable(stream));
                }
            }
            Happening::Room(stream) => {
                if let Some(end) = self.ends.get_mut(&stream).filter(|end| end.waits_for_room) {
                    end.waits_for_room = false;
                    self.tell(stream, What::Writable(stream));
                }
            }
            Happening::Connect(stream, address) => self.connect(stream, address),
            Happening::Datagram(datagram) => self.deliver_datagram(datagram),
            Happening::Unblock(node, socket) => self.unblock(node, socket),
            Happening::File { node, life, op, written } => self.finish_op(node, life, op, &written),
        }
    }

    fn connect(&mut self, stream: StreamId, address: IpAddr) {
        let Some(end) = self.ends.get(&stream) else { return };
        let (client, ports) = (end.node, end.ports);
        let refused = self.prng.chance(self.faults.refuse, 1000);
        let found = self.nodes.iter().find(|(id, node)| node.up && Self::address(**id) == address);
        let listener = found.and_then(|(&id, node)| {
            node.listeners
                .iter()
                .find(|(_, listener)| listener.port == ports.1)
                .map(|(&listener, _)| (id, listener))
        });
        let Some((server, listener)) = listener.filter(|_| !refused) else {
            self.ends.get_mut(&stream).expect("it was there").broken = Some(IoError::Refused);
            return self.tell(stream, What::Broken(stream, IoError::Refused));
        };
        let accepted = StreamId(self.number());
        self.ends.insert(
            accepted,
            End {
                node: server,
                owner: None,
                peer: stream,
                ports: (ports.1, ports.0),
                connected: true,
                vanished: false,
                broken: None,
                inward: Pipe::default(),
                waits_for_room: false,
                listener: Some(listener),
            },
        );
        let end = self.ends.get_mut(&stream).expect("it was there");
        (end.peer, end.connected) = (accepted, true);
        debug_assert_eq!(end.node, client);
        self.note(stream, Flags::Begin, &[]);
        self.tell(stream, What::Writable(stream));
        let node = self.nodes.get_mut(&server).expect("it was there");
        let at = node.listeners.get_mut(&listener).expect("it was there");
        at.waiting.push_back(accepted);
        node.events.push(Event { owner: at.owner, what: What::Acceptable(listener) });
    }

    fn finish_op(&mut self, id: NodeId, life: u32, op: FileOp, written: &[u8]) {
        let fails = self.prng.chance(self.faults.disk_error, 1000);
        let node = self.nodes.get_mut(&id).expect("a node of this world");
        if node.life != life || !node.up {
            return;
        }
        node.ops_under_way -= 1;
        let disk = node.files.get(&op.file).and_then(|path| node.disks.get_mut(path));
        let mut read = Vec::new();
        let result = match disk {
            None => Err(IoError::Os(EBADF)),
            Some(_) if fails => Err(IoError::Media),
            Some(disk) => Ok(carry_out(disk, &op, written, &mut read)),
        };
        node.finished.push(FinishedOp { op, result, read });
    }

    /// Makes a file on a node's disk, for scenarios that start with one.
    pub fn put_disk(&mut self, node: NodeId, path: PathBuf, disk: Disk) {
        self.nodes.entry(node).or_default().disks.insert(path, disk);
    }

    /// A look at a node's disk, for checkers.
    pub fn disk(&self, node: NodeId, path: &std::path::Path) -> Option<&Disk> {
        self.nodes.get(&node)?.disks.get(path)
    }

    /// How many streams' ends there are, for checkers of leaks.
    pub fn streams(&self) -> usize {
        self.ends.len()
    }

    /// How many datagram sockets there are, for checkers of leaks.
    pub fn sockets(&self) -> usize {
        self.nodes.values().map(|node| node.sockets.len()).sum()
    }

    pub(crate) fn open_end(&mut self, node: NodeId, owner: Owner, ports: (u16, u16)) -> StreamId {
        let stream = StreamId(self.number());
        self.ends.insert(
            stream,
            End {
                node,
                owner: Some(owner),
                peer: stream,
                ports,
                connected: false,
                vanished: false,
                broken: None,
                inward: Pipe::default(),
                waits_for_room: false,
                listener: None,
            },
        );
        stream
    }
}

/// Does the operation on the disk; says how many bytes it moved.
fn carry_out(disk: &mut Disk, op: &FileOp, written: &[u8], read: &mut Vec<u8>) -> u32 {
    match op.kind {
        FileOpKind::Read(span) => {
            read.resize(span.len(), 0);
            let len = disk.read(op.offset, read);
            read.truncate(len);
            len as u32
        }
        FileOpKind::Write { durable, .. } => {
            disk.write(op.offset, written);
            if durable {
                disk.sync_range(op.offset, written.len());
            }
            written.len() as u32
        }
        FileOpKind::Sync => {
            disk.sync();
            0
        }
        FileOpKind::Punch { len } | FileOpKind::Zero { len } => {
            disk.zero(op.offset, len);
            0
        }
    }
}

const EBADF: i32 = 9;

/// As whom the processes of one machine run.
const USER: u32 = 1000;
