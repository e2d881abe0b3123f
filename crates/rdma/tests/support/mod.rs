//! Two devices and a network between them, from a seed: datagrams are lost, doubled, put in another order and damaged as often
//! as asked. Time jumps to what is next.

#![allow(dead_code)] // Each test file uses only a part.

pub mod forge;
pub mod victim;

use rdma::{Config, SoftDevice};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use stdx::conformance::links::Machine;
use stdx::conformance::still::StillEnv;
use stdx::env::{
    Accepted, DatagramSocket, DatagramsId, DatagramsInfo, Env, Event, FileId, FileInfo, FileOp, IoError,
    LinkId, LinkListenerId, LinkMessage, LinkName, LinkPeer, ListenerId, OpenFile, Owner, ReceivedRun,
    Refused, Run, StreamId, Waker,
};
use stdx::mem::{CountingAllocator, Kind, Memory, RegionId, Span};
use stdx::prng::Prng;
use stdx::time::{Time, earliest};
use verbs::conformance::Setting;
use verbs::{Device, Provider};

/// How often what happens to a datagram, out of 1000.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub lost: u64,
    pub doubled: u64,
    pub delayed: u64,
    pub damaged: u64,
    /// Bytes that wait in a socket, as the devices are told.
    pub inbox_bytes: Option<u32>,
}

/// The narrowest place of the way: datagrams leave it one by one, and few find room in the line before it.
#[derive(Clone, Copy, Debug)]
pub struct Bottleneck {
    /// How long each takes.
    pub each: Duration,
    /// How many may wait.
    pub room: u32,
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub struct Packet {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

/// The network: datagrams by when they arrive.
pub struct Net {
    under_way: BTreeMap<(Time, u64), Packet>,
    count: u64,
    prng: Prng,
    pub faults: Faults,
    pub run_max: u16,
    /// What every datagram carries when it arrives.
    pub traffic_class: u8,
    /// Every datagram passes it, of each direction one.
    pub bottleneck: Option<Bottleneck>,
    /// When the bottleneck towards each address is free.
    pub free_at: [Time; 2],
    allocations: u64,
    /// Who is there; what is for others goes nowhere.
    addresses: [SocketAddr; 2],
    /// Groups that somebody is a member of. Only one is: a datagram is taken once.
    members: Vec<SocketAddr>,
    /// Everything that was sent, if it is to be kept.
    pub record: Option<Vec<Packet>>,
}

/// The environment of one end.
pub struct NetEnv {
    still: StillEnv,
    net: Rc<RefCell<Net>>,
    address: SocketAddr,
    /// Groups whose datagrams it gets, by their sockets from 1 on; those that were left have no port.
    groups: Vec<SocketAddr>,
}

/// Two devices.
pub struct World {
    pub devices: [SoftDevice; 2],
    pub envs: [NetEnv; 2],
    pub net: Rc<RefCell<Net>>,
    /// Both are processes of one machine, with memory of this kind.
    pub machine: Option<Kind>,
    events: Vec<Event>,
}

impl World {
    pub fn new(seed: u64, faults: Faults, configure: impl Fn(Config) -> Config) -> Self {
        Self::at(["10.0.0.1", "10.0.0.2"], seed, faults, configure)
    }

    /// Two processes of one machine, which run as these users, with memory of a kind.
    pub fn on_one_machine(kind: Kind, users: [u32; 2], configure: impl Fn(Config) -> Config) -> Self {
        let machine = Machine::default();
        let mut users = users.into_iter();
        Self::made(["10.0.0.1", "10.0.0.2"], 1, Faults::default(), configure, Some(kind), |seed| {
            StillEnv::on(&machine, users.next().unwrap(), seed)
        })
    }

    pub fn at(addresses: [&str; 2], seed: u64, faults: Faults, configure: impl Fn(Config) -> Config) -> Self {
        Self::made(addresses, seed, faults, configure, None, StillEnv::new)
    }

    fn made(
        addresses: [&str; 2],
        seed: u64,
        faults: Faults,
        configure: impl Fn(Config) -> Config,
        machine: Option<Kind>,
        mut still: impl FnMut(u64) -> StillEnv,
    ) -> Self {
        let net = Net {
            under_way: BTreeMap::new(),
            count: 0,
            prng: Prng::new(seed),
            faults,
            run_max: 16,
            traffic_class: 0,
            bottleneck: None,
            free_at: [Time::ZERO; 2],
            allocations: 0,
            addresses: addresses.map(|address| SocketAddr::new(address.parse().unwrap(), 4791)),
            members: Vec::new(),
            record: None,
        };
        let net = Rc::new(RefCell::new(net));
        let mut envs = addresses.map(|address| NetEnv {
            still: still(seed ^ address.len() as u64),
            net: net.clone(),
            address: SocketAddr::new(address.parse().unwrap(), 4791),
            groups: Vec::new(),
        });
        let devices = [0, 1].map(|end: usize| {
            let config = configure(Config::new(addresses[end].parse().unwrap()));
            SoftDevice::open(&mut envs[end], Owner(1), config).unwrap()
        });
        Self { devices, envs, net, machine, events: Vec::with_capacity(64) }
    }

    /// What the network has allocated.
    pub fn allocations(&self) -> u64 {
        self.net.borrow().allocations
    }

    /// Makes it `now`.
    pub fn set_now(&mut self, now: Time) {
        for env in &mut self.envs {
            env.still.set_now(now);
        }
    }

    /// Has both devices do what there is to do now.
    pub fn work(&mut self) {
        for (device, env) in self.devices.iter_mut().zip(&mut self.envs) {
            self.events.clear();
            env.still.poll(&mut self.events, None);
            self.events.iter().for_each(|event| device.handle_event(env, event));
            for socket in 0..=env.groups.len() {
                let what = stdx::env::What::DatagramsReadable(DatagramsId(socket as u64));
                device.handle_event(env, &Event { owner: Owner(1), what });
            }
            device.turn(env);
            device.check();
        }
    }

    /// Lets a little time pass at one end alone.
    pub fn turn_alone(&mut self, end: usize) {
        let now = self.envs[0].now() + LOOK;
        self.set_now(now);
        let (device, env) = (&mut self.devices[end], &mut self.envs[end]);
        self.events.clear();
        env.still.poll(&mut self.events, None);
        self.events.iter().for_each(|event| device.handle_event(env, event));
        device.turn(env);
        device.check();
    }

    /// When something happens next.
    fn next(&self) -> Option<Time> {
        let arrival = self.net.borrow().under_way.keys().next().map(|(at, _)| *at);
        let dues = self.devices.iter().map(|device| device.deadline()).fold(None, earliest);
        earliest(arrival, dues)
    }
}

impl Setting for World {
    fn end(&mut self, end: usize) -> (&mut dyn Device, &mut dyn Env) {
        (&mut self.devices[end], &mut self.envs[end])
    }

    fn memory_kind(&self) -> Kind {
        self.machine.unwrap_or(Kind::Shared)
    }

    fn address(&self, end: usize) -> IpAddr {
        self.envs[end].address.ip()
    }

    fn turn(&mut self) {
        if let Some(next) = self.next() {
            // Whoever looks into memory does so while time goes on.
            let now = self.envs[0].now();
            let looks = self.machine.is_some() && next <= now;
            self.set_now(if looks { now + LOOK } else { next });
        }
        self.work();
    }
}

impl Net {
    fn send(&mut self, now: Time, packet: Packet) {
        if let Some(record) = &mut self.record {
            record.push(packet.clone());
        }
        if !self.addresses.contains(&packet.to) && !self.members.contains(&packet.to) {
            return;
        }
        let faults = self.faults;
        let copies = 1 + u64::from(self.prng.chance(faults.doubled, 1000));
        for _ in 0..copies {
            if self.prng.chance(faults.lost, 1000) {
                continue;
            }
            let mut packet = packet.clone();
            if self.prng.chance(faults.damaged, 1000) {
                let bit = self.prng.below(packet.bytes.len() as u64 * 8) as usize;
                packet.bytes[bit / 8] ^= 1 << (bit % 8);
            }
            let Some(mut delay) = self.pass(now, packet.to) else { continue };
            if self.prng.chance(faults.delayed, 1000) {
                delay += Duration::from_micros(self.prng.below(200));
            }
            self.count += 1;
            self.under_way.insert((now + delay, self.count), packet);
        }
    }

    /// How long a datagram takes to its address; `None` if it finds no room on its way.
    fn pass(&mut self, now: Time, to: SocketAddr) -> Option<Duration> {
        let Some(Bottleneck { each, room }) = self.bottleneck else { return Some(LATENCY) };
        let free_at = self.free_at.iter_mut().zip(self.addresses).find(|(_, address)| *address == to)?.0;
        let waits = (*free_at).max(now).since(now);
        if waits >= each * room {
            return None;
        }
        *free_at = now + waits + each;
        Some(waits + each + LATENCY)
    }

    /// Puts a datagram on its way.
    pub fn inject(&mut self, now: Time, packet: Packet) {
        self.count += 1;
        self.under_way.insert((now + LATENCY, self.count), packet);
    }
}

impl NetEnv {
    /// The process is killed.
    pub fn die(&mut self) {
        self.still.die();
    }

    fn take_run(&mut self, _socket: DatagramsId, run: &Run<'_>) -> Result<(), IoError> {
        let mut bytes = Vec::new();
        for piece in run.pieces {
            let start = bytes.len();
            bytes.resize(start + piece.len(), 0);
            self.still.mem().read(*piece, &mut bytes[start..]);
        }
        let now = self.still.now();
        for chunk in bytes.chunks(usize::from(run.datagram_len)) {
            let packet = Packet { from: self.address, to: run.to, bytes: chunk.to_vec() };
            self.net.borrow_mut().send(now, packet);
        }
        Ok(())
    }

    fn give_run(&mut self, socket: DatagramsId, into: Span) -> Result<ReceivedRun, IoError> {
        let mut net = self.net.borrow_mut();
        let now = self.still.now();
        let local = match (socket.0 as usize).checked_sub(1) {
            Some(group) => self.groups[group],
            None => self.address,
        };
        let ours =
            |(key, packet): (&(Time, u64), &Packet)| (key.0 <= now && packet.to == local).then_some(*key);
        let first = net.under_way.iter().find_map(ours).ok_or(IoError::WouldBlock)?;
        let packet = net.under_way.remove(&first).unwrap();
        let (from, datagram_len) = (packet.from, packet.bytes.len());
        let mut all = packet.bytes;
        // What came together from one sender is handed over together.
        while let Some(next) = net.under_way.iter().find_map(ours) {
            let follows = &net.under_way[&next];
            let fits = follows.from == from && follows.bytes.len() <= datagram_len;
            if !fits || all.len() + follows.bytes.len() > into.len() {
                break;
            }
            let is_last = follows.bytes.len() < datagram_len;
            all.extend_from_slice(&net.under_way.remove(&next).unwrap().bytes);
            if is_last {
                break;
            }
        }
        self.still.mem().write(into, &all);
        Ok(ReceivedRun {
            from,
            to: local.ip(),
            len: all.len() as u32,
            datagram_len: datagram_len as u16,
            traffic_class: net.traffic_class,
        })
    }
}

impl Env for NetEnv {
    fn open_datagrams(&mut self, _owner: Owner, socket: &DatagramSocket) -> Result<DatagramsId, IoError> {
        assert_eq!(socket.address, self.address);
        Ok(DatagramsId(0))
    }

    fn open_group(&mut self, _owner: Owner, group: SocketAddr, at: IpAddr) -> Result<DatagramsId, IoError> {
        assert_eq!(at, self.address.ip());
        self.groups.push(group);
        self.net.borrow_mut().members.push(group);
        Ok(DatagramsId(self.groups.len() as u64))
    }

    fn close_datagrams(&mut self, socket: DatagramsId) {
        if let Some(group) = (socket.0 as usize).checked_sub(1).and_then(|at| self.groups.get_mut(at)) {
            self.net.borrow_mut().members.retain(|member| member != group);
            group.set_port(0);
        }
    }

    fn datagrams_info(&self, _socket: DatagramsId) -> DatagramsInfo {
        let run_max = self.net.borrow().run_max;
        let inbox_bytes = self.net.borrow().faults.inbox_bytes.unwrap_or(u32::MAX);
        DatagramsInfo { address: self.address, run_max, run_bytes_max: 65_000, inbox_bytes }
    }

    fn send_run(&mut self, socket: DatagramsId, run: &Run<'_>) -> Result<(), IoError> {
        let before = CountingAllocator::allocations();
        let sent = self.take_run(socket, run);
        self.net.borrow_mut().allocations += CountingAllocator::allocations() - before;
        sent
    }

    fn recv_run(&mut self, socket: DatagramsId, into: Span) -> Result<ReceivedRun, IoError> {
        let before = CountingAllocator::allocations();
        let received = self.give_run(socket, into);
        self.net.borrow_mut().allocations += CountingAllocator::allocations() - before;
        received
    }
    fn listen_links(&mut self, owner: Owner, name: &LinkName) -> Result<LinkListenerId, IoError> {
        self.still.listen_links(owner, name)
    }

    fn accept_link(&mut self, listener: LinkListenerId, owner: Owner) -> Result<LinkId, IoError> {
        self.still.accept_link(listener, owner)
    }

    fn connect_link(&mut self, owner: Owner, name: &LinkName) -> Result<LinkId, IoError> {
        self.still.connect_link(owner, name)
    }

    fn link_peer(&self, link: LinkId) -> Result<LinkPeer, IoError> {
        self.still.link_peer(link)
    }

    fn send_link(&mut self, link: LinkId, message: &[u8], memory: Option<RegionId>) -> Result<(), IoError> {
        self.still.send_link(link, message, memory)
    }

    fn recv_link(&mut self, link: LinkId, into: &mut [u8]) -> Result<LinkMessage, IoError> {
        self.still.recv_link(link, into)
    }

    fn close_link(&mut self, link: LinkId) {
        self.still.close_link(link);
    }

    fn now(&self) -> Time {
        self.still.now()
    }

    fn calendar_ms(&self) -> u64 {
        self.still.calendar_ms()
    }

    fn entropy(&mut self) -> u64 {
        self.still.entropy()
    }

    fn mem(&mut self) -> &mut Memory {
        self.still.mem()
    }

    fn listen(&mut self, owner: Owner, address: SocketAddr) -> Result<ListenerId, IoError> {
        self.still.listen(owner, address)
    }

    fn listener_address(&self, listener: ListenerId) -> SocketAddr {
        self.still.listener_address(listener)
    }

    fn close_listener(&mut self, listener: ListenerId) {
        self.still.close_listener(listener);
    }

    fn accept(&mut self, listener: ListenerId, owner: Owner) -> Result<Accepted, IoError> {
        self.still.accept(listener, owner)
    }

    fn connect(&mut self, owner: Owner, address: SocketAddr) -> Result<StreamId, IoError> {
        self.still.connect(owner, address)
    }

    fn recv(&mut self, stream: StreamId, into: Span) -> Result<usize, IoError> {
        self.still.recv(stream, into)
    }

    fn send(&mut self, stream: StreamId, from: &[Span]) -> Result<usize, IoError> {
        self.still.send(stream, from)
    }

    fn close(&mut self, stream: StreamId, abort: bool) {
        self.still.close(stream, abort);
    }

    fn open_file(&mut self, open: &OpenFile) -> Result<FileId, IoError> {
        self.still.open_file(open)
    }

    fn file_info(&mut self, file: FileId) -> Result<FileInfo, IoError> {
        self.still.file_info(file)
    }

    fn resize_file(&mut self, file: FileId, len: u64) -> Result<(), IoError> {
        self.still.resize_file(file, len)
    }

    fn close_file(&mut self, file: FileId) {
        self.still.close_file(file);
    }

    fn submit(&mut self, op: FileOp) -> Result<(), Refused<FileOp>> {
        self.still.submit(op)
    }

    fn poll(&mut self, events: &mut Vec<Event>, deadline: Option<Time>) {
        self.still.poll(events, deadline);
    }

    fn waker(&self) -> Waker {
        self.still.waker()
    }
}

/// From one end to the other.
const LATENCY: Duration = Duration::from_micros(10);
/// Between two looks into memory.
const LOOK: Duration = Duration::from_micros(1);
