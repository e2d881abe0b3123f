//! A host over RDMA, and at the other end of the same device a controller that does what a test says: it brings the host up by
//! itself, and then leaves the I/O to the test.
#![allow(dead_code, reason = "each test binary uses its part")]

#[path = "../script/answers.rs"]
pub mod answers;

use block::{BlockDevice, Channel, Done, Io, Op};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use nvme::host::{Host, HostEvent, HostOptions, Transport};
use stdx::conformance::still::StillEnv;
use stdx::env::{Env, Owner};
use stdx::mem::{Kind, Span};
use stdx::slab::Key;
use stdx::time::{Time, earliest};
use verbs::endpoint::{Endpoint, Happening, Options};
use verbs::loopback::Loopback;
use verbs::{Access, Connections, Data, Key as MemoryKey, PortSpace, Provider, Remote};
use wire::nvme::rdma::{QueueAccept, QueueRequest};
use wire::nvme::{CompletionQueueEntry, FABRICS_OPCODE, Nqn, Sgl, Status, SubmissionQueueEntry};

const OURS: u64 = 1 << 32;
const THEIRS: u64 = 2 << 32;

/// Both ends.
pub struct Peer {
    pub env: StillEnv,
    pub device: Loopback,
    pub host: Host,
    pub channel: Option<Box<dyn Channel>>,
    /// What the host told.
    pub events: Vec<HostEvent>,
    pub theirs: Endpoint,
    pub controller: answers::Controller,
    /// The controller's connections that are open, each with the identifier of its queue.
    pub queues: Vec<(Key, u16)>,
    /// Commands that the controller did not answer by itself.
    pub seen: Vec<(Key, SubmissionQueueEntry)>,
    /// The controller answers nothing any more.
    pub mute: bool,
    /// Where the controller's data lies.
    data: Span,
}

impl Peer {
    /// A host that is connected, with a channel to its namespace: 65,536 blocks of 4 KiB.
    pub fn connected(options: HostOptions) -> Self {
        let mut peer = Self::begin(options);
        assert_eq!(peer.events, [HostEvent::NamespaceAdded(1), HostEvent::Connected]);
        peer.events.clear();
        peer.seen.clear();
        peer.channel = Some(peer.host.namespace(1).unwrap().open());
        peer
    }

    fn begin(options: HostOptions) -> Self {
        let mut env = StillEnv::with_buffers(1, 40 << 20);
        let mut device = Loopback::new(verbs::Limits::default(), address().ip());
        let theirs = Options {
            connections_max: 16,
            receives: 64,
            receive_len: 64 + 8192,
            sends: 64,
            pieces: 1,
            inline_bytes: 64,
            access: Access::NONE,
        };
        let mut theirs = Endpoint::new(&mut env, &mut device, THEIRS, theirs).unwrap();
        theirs.listen(&mut device, PortSpace::Tcp, address()).unwrap();
        let region = env.mem().map(Kind::Shared, 1 << 20).unwrap();
        let data = env.mem().whole(region);
        let mut peer = Self {
            host: Host::connect(&mut env, Owner(OURS), options).unwrap(),
            env,
            device,
            channel: None,
            events: Vec::new(),
            theirs,
            controller: answers::Controller::default(),
            queues: Vec::new(),
            seen: Vec::new(),
            mute: false,
            data,
        };
        peer.settle();
        peer
    }

    /// Lets happen what happens without time going by.
    pub fn settle(&mut self) {
        for _ in 0..1000 {
            self.turn();
            if self.deadline().is_none_or(|deadline| deadline > self.env.now()) {
                return;
            }
        }
        panic!("it never settles");
    }

    /// Lets time go by.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.env.now() + time;
        while let Some(deadline) = self.deadline().filter(|deadline| *deadline <= until) {
            self.env.set_now(deadline.max(self.env.now()));
            self.settle();
        }
        self.env.set_now(until);
        self.settle();
    }

    fn deadline(&self) -> Option<Time> {
        let ready = self.theirs.is_ready().then_some(Time::ZERO);
        earliest(ready, earliest(self.host.deadline(), self.device.deadline()))
    }

    fn turn(&mut self) {
        self.device.turn(&mut self.env);
        let Self { env, device, host, theirs, .. } = self;
        while let Some(event) = device.poll_event() {
            match event.owner.0 & !0xffff_ffff {
                OURS => host.handle_device_event(device, &event),
                _ => theirs.handle_event(device, &event),
            }
        }
        while let Some(event) = device.poll_connection() {
            match event.owner.0 & !0xffff_ffff {
                OURS => host.handle_connection(env, device, &event),
                _ => theirs.handle_connection(env, device, &event),
            }
        }
        while let Some(happening) = self.theirs.poll(&mut self.env, &mut self.device) {
            self.handle(happening);
        }
        if self.host.deadline().is_some_and(|deadline| deadline <= self.env.now()) {
            self.host.handle_timeout(&mut self.env);
        }
        self.host.drive(&mut self.env, &mut self.device);
        while let Some(event) = self.host.poll_event() {
            self.events.push(event);
        }
        self.host.check();
    }

    fn handle(&mut self, happening: Happening) {
        let Self { env, device, theirs, .. } = self;
        match happening {
            Happening::Requested(requested) => {
                let asked = QueueRequest::decode(requested.private_data.bytes()).unwrap();
                let receives = asked.host_send_size_zero_based + 1;
                let answer = QueueAccept { controller_receive_size: receives }.encode();
                let accepted = theirs.accept(env, device, requested.request, requested.parameters, &answer);
                self.queues.extend(accepted.ok().map(|connection| (connection, asked.queue_id)));
            }
            Happening::Received { connection, received } => {
                let mut bytes = [0; SubmissionQueueEntry::LEN];
                env.mem().read(theirs.message(&received).first(bytes.len()), &mut bytes);
                theirs.release(device, connection, received);
                let command = *SubmissionQueueEntry::view(&bytes).unwrap();
                if self.mute || !self.answer_by_itself(connection, &command) {
                    self.seen.push((connection, command));
                }
            }
            Happening::Broken { connection } | Happening::Gone { connection } => {
                self.queues.retain(|(open, _)| *open != connection);
            }
            Happening::Established { .. } | Happening::Refused { .. } | Happening::Done { .. } => {}
        }
    }

    fn answer_by_itself(&mut self, connection: Key, command: &SubmissionQueueEntry) -> bool {
        if command.opcode == FABRICS_OPCODE {
            self.answer(connection, command, Status::SUCCESS, answers::fabrics(command));
            return true;
        }
        let is_admin = self.queues.contains(&(connection, 0));
        let Some(data) = self.controller.admin(command).filter(|_| is_admin) else { return false };
        self.write(connection, command, 0, &data);
        self.answer(connection, command, Status::SUCCESS, 0);
        true
    }

    /// The controller writes to the memory of a command, that many bytes behind where it begins.
    pub fn write(&mut self, connection: Key, command: &SubmissionQueueEntry, offset: u64, data: &[u8]) {
        let Ok(Sgl::Keyed { address, key, .. }) = command.data.decode() else { return };
        if !data.is_empty() {
            let from = self.data.first(data.len());
            self.env.mem().write(from, data);
            let to = Remote { address: address.wrapping_add(offset), key: MemoryKey(key) };
            // A connection that has ended takes nothing.
            let _ = self.theirs.write(&mut self.device, connection, u32::MAX, to, &[from]);
        }
    }

    /// The controller answers a command, and closes its memory as it was asked to.
    pub fn answer(&mut self, connection: Key, command: &SubmissionQueueEntry, status: Status, result: u64) {
        let mut bytes = [0; CompletionQueueEntry::LEN];
        let completion = CompletionQueueEntry::new(command.command_id.get(), status).with_result(result);
        completion.encode(&mut bytes).unwrap();
        let key = match command.data.decode() {
            Ok(Sgl::Keyed { key, invalidate: true, .. }) => Some(key),
            _ => None,
        };
        self.say(connection, &bytes, key);
    }

    /// The controller sends a message, and closes some memory with it.
    pub fn say(&mut self, connection: Key, bytes: &[u8], invalidate: Option<u32>) {
        let (device, data) = (&mut self.device, Data::Inline(bytes));
        // A connection that has ended takes nothing.
        let _ = match invalidate {
            Some(key) => self.theirs.send_invalidate(device, connection, 1, MemoryKey(key), data),
            None => self.theirs.send(device, connection, 1, data),
        };
    }

    /// The controller ends a connection.
    pub fn hang_up(&mut self, connection: Key) {
        self.theirs.disconnect(&mut self.env, &mut self.device, connection);
        self.queues.retain(|(open, _)| *open != connection);
    }

    /// A request over new memory.
    pub fn io(&mut self, tag: u64, op: Op, lba: u64, blocks: u32) -> Io {
        let data = self.env.mem().take(blocks as usize * 4096).unwrap();
        Io { tag, op, lba, blocks, fua: false, lend: false, data }
    }

    pub fn done(&mut self) -> Vec<Done> {
        let mut done = Vec::new();
        if let Some(channel) = &mut self.channel {
            channel.poll(&mut self.env, &mut done);
        }
        done
    }
}

pub fn address() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4420)
}

pub fn options() -> HostOptions {
    let subsystem = Nqn::parse("nqn.2026-01.test.weft:script").unwrap();
    let options = HostOptions::new(address(), subsystem, Nqn::from_uuid(&[9; 16]), [9; 16]);
    HostOptions { transport: Transport::Rdma, ..options }
}
