//! A node's environment: what the world is to the shard that runs there.

use crate::capture::Flags;
use crate::datagrams::{Datagram, Socket};
use crate::disk::Disk;
use crate::network::{Listener, NodeId};
use crate::world::{FinishedOp, Happening, SharedWorld, World};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use stdx::conformance::links::Process;
use stdx::env::{
    Accepted, DatagramSocket, DatagramsId, DatagramsInfo, Env, Event, FileExtent, FileId, FileInfo, FileOp,
    FileOpKind, IoError, LinkId, LinkListenerId, LinkMessage, LinkName, LinkPeer, ListenerId, OpenFile,
    Owner, ReceivedRun, Refused, Run, StreamId, Waker, What,
};
use stdx::mem::{Memory, MemoryLimits, RegionId, Span};
use stdx::time::Time;

/// The environment of one life of a node. Drop it (with its shard) when the node crashes.
#[derive(Debug)]
pub struct NodeEnv {
    world: SharedWorld,
    node: NodeId,
    memory: Memory,
    now: Time,
}

impl NodeEnv {
    /// Starts the node and gives its environment.
    pub fn boot(world: &SharedWorld, node: NodeId, limits: MemoryLimits) -> Self {
        world.borrow_mut().boot(node);
        let now = world.borrow().now;
        let memory = Memory::new(limits).expect("the simulator has memory");
        Self { world: world.clone(), node, memory, now }
    }

    /// After a turn: when the next is due though nothing happens. A shard that runs for itself would say so in its next
    /// [`Env::poll`]; here that comes only when there is something to do.
    pub fn rest(&mut self, deadline: Option<Time>) {
        let mut world = self.world.borrow_mut();
        let node = world.nodes.get_mut(&self.node).expect("our node");
        node.deadline = wake_up(self.now, deadline);
    }

    fn with_end<T>(&self, stream: StreamId, then: impl FnOnce(&mut World) -> T) -> Result<T, IoError> {
        let mut world = self.world.borrow_mut();
        let end = world.ends.get(&stream).expect("a stream that is open");
        assert_eq!(end.node, self.node, "a stream of this node");
        match end.broken {
            Some(error) => Err(error),
            None => Ok(then(&mut world)),
        }
    }

    /// Does something as the process that the node is of a machine; if it is none, that is the `otherwise`.
    fn with_process<T>(
        &mut self,
        otherwise: IoError,
        then: impl FnOnce(&Process, &mut Memory) -> Result<T, IoError>,
    ) -> Result<T, IoError> {
        let world = self.world.borrow();
        let process = world.nodes[&self.node].process.as_ref().ok_or(otherwise)?;
        then(process, &mut self.memory)
    }

    fn deliver(&mut self, finished: FinishedOp) -> Event {
        let FinishedOp { op, result, read } = finished;
        if let FileOpKind::Read(span) = op.kind {
            self.memory.write(span, &read);
        }
        Event { owner: op.owner, what: What::FileDone { tag: op.tag, result } }
    }
}

impl Env for NodeEnv {
    fn now(&self) -> Time {
        self.now
    }

    fn calendar_ms(&self) -> u64 {
        EPOCH_MS + self.now.as_nanos() / 1_000_000
    }

    fn entropy(&mut self) -> u64 {
        self.world.borrow_mut().prng.next_u64()
    }

    fn mem(&mut self) -> &mut Memory {
        &mut self.memory
    }

    fn listen(&mut self, owner: Owner, address: SocketAddr) -> Result<ListenerId, IoError> {
        let mut world = self.world.borrow_mut();
        let id = ListenerId(world.number());
        let node = world.nodes.get_mut(&self.node).expect("our node");
        if node.listeners.values().any(|listener| listener.port == address.port()) {
            return Err(IoError::AddressInUse);
        }
        let port = if address.port() == 0 { 20_000 + id.0 as u16 } else { address.port() };
        node.listeners.insert(id, Listener { owner, port, waiting: Default::default() });
        Ok(id)
    }

    fn listener_address(&self, listener: ListenerId) -> SocketAddr {
        let world = self.world.borrow();
        SocketAddr::new(World::address(self.node), world.nodes[&self.node].listeners[&listener].port)
    }

    fn close_listener(&mut self, listener: ListenerId) {
        let mut world = self.world.borrow_mut();
        let closed = world.nodes.get_mut(&self.node).and_then(|node| node.listeners.remove(&listener));
        for stream in closed.into_iter().flat_map(|listener| listener.waiting) {
            world.sever(stream);
            world.ends.remove(&stream);
        }
    }

    fn accept(&mut self, listener: ListenerId, owner: Owner) -> Result<Accepted, IoError> {
        let mut world = self.world.borrow_mut();
        let waiting = world.nodes.get_mut(&self.node).and_then(|node| node.listeners.get_mut(&listener));
        let stream = waiting.and_then(|at| at.waiting.pop_front()).ok_or(IoError::WouldBlock)?;
        let end = world.ends.get_mut(&stream).expect("a waiting stream");
        end.owner = Some(owner);
        let (ports, peer, broken, readable) = (end.ports, end.peer, end.broken, end.inward.readable());
        let peer_node = world.ends.get(&peer).map_or(self.node, |end| end.node);
        if let Some(error) = broken {
            world.tell(stream, What::Broken(stream, error));
        } else if readable {
            world.tell(stream, What::Readable(stream));
        }
        Ok(Accepted {
            stream,
            peer: SocketAddr::new(World::address(peer_node), ports.1),
            local: SocketAddr::new(World::address(self.node), ports.0),
        })
    }

    fn connect(&mut self, owner: Owner, address: SocketAddr) -> Result<StreamId, IoError> {
        let mut world = self.world.borrow_mut();
        let port = 30_000 + (world.number() % 30_000) as u16;
        let stream = world.open_end(self.node, owner, (port, address.port()));
        let at = world.latency();
        world.schedule(at, Happening::Connect(stream, address.ip()));
        Ok(stream)
    }

    fn recv(&mut self, stream: StreamId, into: Span) -> Result<usize, IoError> {
        let bytes = self.with_end(stream, |world| {
            let World { ends, faults, prng, .. } = world;
            let end = ends.get_mut(&stream).expect("checked");
            let bytes = end.inward.receive(into.len(), faults, prng);
            let (peer, more) = (end.peer, end.inward.readable());
            if let Some(bytes) = bytes.as_ref().filter(|bytes| !bytes.is_empty()) {
                let at = world.latency();
                world.schedule(at, Happening::Room(peer));
                if more && bytes.len() < into.len() {
                    let at = world.latency();
                    world.schedule(at, Happening::Arrive(stream));
                }
            }
            bytes
        })?;
        let bytes = bytes.ok_or(IoError::WouldBlock)?;
        self.memory.write(into, &bytes);
        Ok(bytes.len())
    }

    fn send(&mut self, stream: StreamId, from: &[Span]) -> Result<usize, IoError> {
        let mut bytes = vec![0; from.iter().map(|span| span.len()).sum()];
        let mut at = 0;
        for span in from {
            self.memory.read(*span, &mut bytes[at..at + span.len()]);
            at += span.len();
        }
        self.with_end(stream, |world| {
            let end = &world.ends[&stream];
            if !end.connected {
                return Err(IoError::WouldBlock);
            }
            let peer = end.peer;
            if world.prng.chance(world.faults.reset, 1000) {
                world.sever(stream);
                return Err(IoError::Reset);
            }
            let World { ends, faults, prng, now, .. } = world;
            let Some(far) = ends.get_mut(&peer) else { return Ok(bytes.len()) };
            if prng.chance(faults.vanish, 1000) {
                far.vanished = true;
                ends.get_mut(&stream).expect("checked").vanished = true;
                return Ok(bytes.len());
            }
            if far.vanished {
                return Ok(bytes.len());
            }
            if prng.chance(faults.half_close, 1000) {
                let at = far.inward.finish(*now, faults, prng);
                world.schedule(at, Happening::Arrive(peer));
                world.note(stream, Flags::End, &[]);
                return Ok(bytes.len());
            }
            let sent = far.inward.send(*now, &bytes, faults, prng);
            if sent.is_none_or(|(len, _)| len < bytes.len()) {
                ends.get_mut(&stream).expect("checked").waits_for_room = true;
            }
            let Some((len, at)) = sent else { return Err(IoError::WouldBlock) };
            world.schedule(at, Happening::Arrive(peer));
            world.note(stream, Flags::Data, &bytes[..len]);
            if len < bytes.len() {
                let at = world.latency();
                world.schedule(at, Happening::Room(stream));
            }
            Ok(len)
        })?
    }

    fn close(&mut self, stream: StreamId, abort: bool) {
        let mut world = self.world.borrow_mut();
        let Some(end) = world.ends.get(&stream) else { return };
        let (peer, connected) = (end.peer, end.connected);
        if connected && peer != stream {
            world.note(stream, if abort { Flags::Reset } else { Flags::End }, &[]);
            let World { ends, faults, prng, now, .. } = &mut *world;
            if let Some(far) = ends.get_mut(&peer).filter(|far| !far.vanished) {
                let pipe = &mut far.inward;
                let at = match abort {
                    true => pipe.reset(*now, faults, prng),
                    false => pipe.finish(*now, faults, prng),
                };
                world.schedule(at, Happening::Arrive(peer));
            }
        }
        world.ends.remove(&stream);
        let node = world.nodes.get_mut(&self.node).expect("our node");
        node.events.retain(|event| !concerns(event.what, stream));
    }

    fn open_datagrams(&mut self, owner: Owner, socket: &DatagramSocket) -> Result<DatagramsId, IoError> {
        let mut world = self.world.borrow_mut();
        let id = DatagramsId(world.number());
        let mut address = socket.address;
        if address.ip().is_unspecified() {
            address.set_ip(World::address(self.node));
        }
        if !World::addresses(self.node).contains(&address.ip()) {
            return Err(IoError::AddressNotAvailable);
        }
        let node = world.nodes.get_mut(&self.node).expect("our node");
        if node.sockets.values().any(|socket| socket.address == address) {
            return Err(IoError::AddressInUse);
        }
        if address.port() == 0 {
            address.set_port(20_000 + id.0 as u16);
        }
        node.sockets.insert(id, Socket { owner, address, inbox: Default::default(), is_awaited: false });
        Ok(id)
    }

    fn open_group(&mut self, owner: Owner, group: SocketAddr, at: IpAddr) -> Result<DatagramsId, IoError> {
        let mut world = self.world.borrow_mut();
        let id = DatagramsId(world.number());
        if !World::addresses(self.node).contains(&at) {
            return Err(IoError::AddressNotAvailable);
        }
        let node = world.nodes.get_mut(&self.node).expect("our node");
        let inbox = Default::default();
        node.sockets.insert(id, Socket { owner, address: group, inbox, is_awaited: false });
        Ok(id)
    }

    fn datagrams_info(&self, socket: DatagramsId) -> DatagramsInfo {
        let world = self.world.borrow();
        let Some(found) = world.nodes[&self.node].sockets.get(&socket) else { return DatagramsInfo::NONE };
        let inbox_bytes = world.faults.datagrams.inbox_bytes.unwrap_or(u32::MAX);
        DatagramsInfo { address: found.address, run_max: RUN_MAX, run_bytes_max: RUN_BYTES_MAX, inbox_bytes }
    }

    fn close_datagrams(&mut self, socket: DatagramsId) {
        let mut world = self.world.borrow_mut();
        let node = world.nodes.get_mut(&self.node).expect("our node");
        node.sockets.remove(&socket);
        let is_of =
            |what| matches!(what, What::DatagramsReadable(of) | What::DatagramsWritable(of) if of == socket);
        node.events.retain(|event| !is_of(event.what));
    }

    fn send_run(&mut self, socket: DatagramsId, run: &Run<'_>) -> Result<(), IoError> {
        let from = self.datagrams_info(socket).address;
        let mut world = self.world.borrow_mut();
        let blocked = world.faults.datagrams.blocked;
        if world.prng.chance(blocked, 1000) {
            let at = world.latency();
            world.schedule(at, Happening::Unblock(self.node, socket));
            return Err(IoError::WouldBlock);
        }
        let mut bytes = vec![0; run.pieces.iter().map(|piece| piece.len()).sum()];
        let mut at = 0;
        for piece in run.pieces {
            self.memory.read(*piece, &mut bytes[at..at + piece.len()]);
            at += piece.len();
        }
        let chunks = bytes.chunks(usize::from(run.datagram_len));
        assert!(
            chunks.len() <= usize::from(RUN_MAX) && bytes.len() <= RUN_BYTES_MAX as usize,
            "a run too long"
        );
        for (index, chunk) in chunks.enumerate() {
            world.send_datagram(Datagram {
                from,
                to: run.to,
                traffic_class: run.traffic_class,
                identification: index as u16,
                bytes: chunk.to_vec(),
            });
        }
        Ok(())
    }

    fn recv_run(&mut self, socket: DatagramsId, into: Span) -> Result<ReceivedRun, IoError> {
        let mut world = self.world.borrow_mut();
        let World { nodes, prng, .. } = &mut *world;
        let node = nodes.get_mut(&self.node).expect("our node");
        let found = node.sockets.get_mut(&socket).ok_or(IoError::Os(EBADF))?;
        let Some(first) = found.inbox.pop_front() else {
            found.is_awaited = true;
            return Err(IoError::WouldBlock);
        };
        let (datagram_len, mut bytes) = (first.bytes.len(), first.bytes);
        bytes.truncate(into.len());
        // Those that came after it from the same sender may come along, as long as the last is the only shorter one.
        while let Some(next) = found.inbox.front() {
            let is_alike = next.from == first.from && next.traffic_class == first.traffic_class;
            let fits = next.bytes.len() <= datagram_len && bytes.len() + next.bytes.len() <= into.len();
            if !is_alike || !fits || next.bytes.is_empty() || prng.chance(1, 8) {
                break;
            }
            let is_last = next.bytes.len() < datagram_len;
            bytes.append(&mut found.inbox.pop_front().expect("it was there").bytes);
            if is_last {
                break;
            }
        }
        self.memory.write(into, &bytes);
        Ok(ReceivedRun {
            from: first.from,
            to: first.to.ip(),
            len: bytes.len() as u32,
            datagram_len: datagram_len as u16,
            traffic_class: first.traffic_class,
        })
    }

    fn listen_links(&mut self, owner: Owner, name: &LinkName) -> Result<LinkListenerId, IoError> {
        self.with_process(IoError::Unsupported, |process, _| process.listen(owner, name))
    }

    fn close_link_listener(&mut self, listener: LinkListenerId) {
        let closed = |process: &Process, _: &mut Memory| {
            process.close_listener(listener);
            Ok(())
        };
        // Without a machine there is none to close.
        let _ = self.with_process(IoError::Unsupported, closed);
    }

    fn accept_link(&mut self, listener: LinkListenerId, owner: Owner) -> Result<LinkId, IoError> {
        self.with_process(IoError::WouldBlock, |process, _| process.accept(listener, owner))
    }

    fn connect_link(&mut self, owner: Owner, name: &LinkName) -> Result<LinkId, IoError> {
        self.with_process(IoError::Refused, |process, _| process.connect(owner, name))
    }

    fn link_peer(&self, link: LinkId) -> Result<LinkPeer, IoError> {
        let world = self.world.borrow();
        world.nodes[&self.node].process.as_ref().ok_or(IoError::Reset)?.peer(link)
    }

    fn send_link(&mut self, link: LinkId, message: &[u8], memory: Option<RegionId>) -> Result<(), IoError> {
        self.with_process(IoError::Reset, |process, mem| process.send(mem, link, message, memory))
    }

    fn recv_link(&mut self, link: LinkId, into: &mut [u8]) -> Result<LinkMessage, IoError> {
        self.with_process(IoError::Reset, |process, mem| process.recv(mem, link, into))
    }

    fn close_link(&mut self, link: LinkId) {
        let closed = |process: &Process, _: &mut Memory| {
            process.close(link);
            Ok(())
        };
        let _ = self.with_process(IoError::Unsupported, closed);
    }

    fn open_file(&mut self, open: &OpenFile) -> Result<FileId, IoError> {
        let mut world = self.world.borrow_mut();
        let id = FileId(world.number());
        let sector = world.faults.disk_sector;
        let node = world.nodes.get_mut(&self.node).expect("our node");
        if !node.disks.contains_key(&open.path) {
            let len = open.create.ok_or(IoError::NotFound)?;
            node.disks.insert(open.path.clone(), Disk::new(len, sector));
        }
        node.files.insert(id, open.path.clone());
        Ok(id)
    }

    fn file_info(&mut self, file: FileId) -> Result<FileInfo, IoError> {
        let world = self.world.borrow();
        let node = &world.nodes[&self.node];
        let len = node.disks[&node.files[&file]].len();
        Ok(FileInfo { len, block_size: 512, alignment: 1, is_device: false, can_punch: true })
    }

    fn file_extent(&mut self, file: FileId, offset: u64) -> Result<FileExtent, IoError> {
        let world = self.world.borrow();
        let node = &world.nodes[&self.node];
        Ok(node.disks[&node.files[&file]].extent(offset))
    }

    fn resize_file(&mut self, file: FileId, len: u64) -> Result<(), IoError> {
        let mut world = self.world.borrow_mut();
        let node = world.nodes.get_mut(&self.node).expect("our node");
        let path = node.files[&file].clone();
        node.disks.get_mut(&path).expect("an open file's disk").resize(len);
        Ok(())
    }

    /// Operations under way still find the disk: the file's name is forgotten only with the node's life.
    fn close_file(&mut self, _file: FileId) {}

    fn submit(&mut self, op: FileOp) -> Result<(), Refused<FileOp>> {
        let written = match op.kind {
            FileOpKind::Write { data, .. } => {
                let mut bytes = vec![0; data.len()];
                self.memory.read(data, &mut bytes);
                bytes
            }
            FileOpKind::Read(_) | FileOpKind::Sync | FileOpKind::Punch { .. } | FileOpKind::Zero { .. } => {
                Vec::new()
            }
        };
        let mut world = self.world.borrow_mut();
        let depth = world.faults.disk_depth;
        let at = world.disk_latency();
        let node = world.nodes.get_mut(&self.node).expect("our node");
        if node.ops_under_way >= depth {
            return Err(Refused(op));
        }
        node.ops_under_way += 1;
        let life = node.life;
        world.schedule(at, Happening::File { node: self.node, life, op, written });
        Ok(())
    }

    fn poll(&mut self, events: &mut Vec<Event>, deadline: Option<Time>) {
        let mut world = self.world.borrow_mut();
        self.now = world.now;
        let node = world.nodes.get_mut(&self.node).expect("our node");
        events.append(&mut node.events);
        node.process.iter().for_each(|process| process.poll(events));
        node.deadline = wake_up(self.now, deadline);
        let finished = core::mem::take(&mut node.finished);
        drop(world);
        events.extend(finished.into_iter().map(|op| self.deliver(op)));
    }

    /// Nobody outside a simulated shard calls it, so there is nothing to wake.
    fn waker(&self) -> Waker {
        Arc::new(|| ())
    }
}

/// A shard that asks to be woken at once is woken a little later, or time would stand still.
fn wake_up(now: Time, deadline: Option<Time>) -> Option<Time> {
    deadline.map(|deadline| deadline.max(now + TURN))
}

/// True if `what` is of this stream.
fn concerns(what: What, stream: StreamId) -> bool {
    match what {
        What::Readable(of) | What::Writable(of) | What::Broken(of, _) => of == stream,
        What::Acceptable(_) | What::FileDone { .. } | What::Woken => false,
        What::DatagramsReadable(_) | What::DatagramsWritable(_) => false,
        What::LinkAcceptable(_) | What::LinkReadable(_) => false,
    }
}

/// Datagrams in a run, and their bytes.
const RUN_MAX: u16 = 16;
const RUN_BYTES_MAX: u32 = 65_000;
const EBADF: i32 = 9;

/// What a turn takes at least.
const TURN: core::time::Duration = core::time::Duration::from_micros(1);

/// The calendar when a world begins.
const EPOCH_MS: u64 = 1_767_225_600_000;
