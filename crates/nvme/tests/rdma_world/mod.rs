//! A host that is played by hand, over a loopback device, before the RDMA transport of the controller side.
#![allow(dead_code, reason = "each test binary uses its part")]

use block::device::{Geometry, Ram};
use block::{BlockDevice, Identity, Volume};
use nvme::target::rdma::{Limits, Server};
use nvme::target::{Lanes, NamespaceConfig, Options, Portal, SubsystemConfig, Target, Transport};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use stdx::conformance::still::StillEnv;
use stdx::env::Env;
use stdx::mem::{Kind, Span};
use stdx::slab::Key;
use verbs::endpoint::{self, Endpoint, Happening};
use verbs::loopback::Loopback;
use verbs::{Access, Connections, Data, Parameters, PortSpace, Provider, Registered, Rejection};
use wire::nvme::fabrics::{Connect, ConnectAttributes, ConnectData, Property, PropertySet};
use wire::nvme::nvm::{BlockCommand, Control};
use wire::nvme::rdma::{QueueAccept, QueueRequest, RejectStatus};
use wire::nvme::{CompletionQueueEntry, Nqn, NvmOpcode, Sgl, Status, SubmissionQueueEntry};
use zerocopy::IntoBytes;

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const BASES: [u64; 2] = [1 << 32, 2 << 32];
/// The tag of the server's keys.
pub const TAG: u8 = 1;
pub const BLOCK: usize = 512;
pub const ENTRIES: u16 = 32;
/// Bytes of the host's memory, all of it open to the controller.
pub const MEMORY: usize = 1 << 20;

/// A host (0) and a target (1).
pub struct World {
    pub env: StillEnv,
    pub device: Loopback,
    pub host: Endpoint,
    pub server: Server,
    pub target: Target,
    pub lanes: Lanes,
    pub address: SocketAddr,
    pub span: Span,
    pub memory: Registered,
    pub happened: Vec<Happening>,
}

/// A queue of the host's.
#[derive(Clone, Copy)]
pub struct Queue {
    pub connection: Key,
    pub controller: u16,
}

impl World {
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        Self::of_blocks(limits, 4096)
    }

    /// With a volume of so many blocks.
    pub fn of_blocks(limits: Limits, blocks: u64) -> Self {
        let mut env = StillEnv::new(1);
        let mut device = Loopback::new(verbs::Limits::default(), HOST);
        let options = endpoint::Options {
            connections_max: 8,
            receives: 256,
            receive_len: CompletionQueueEntry::LEN as u32,
            sends: 64,
            pieces: 1,
            inline_bytes: 64,
            access: Access::LOCAL_WRITE.with(Access::REMOTE_READ).with(Access::REMOTE_WRITE),
        };
        let host = Endpoint::new(&mut env, &mut device, BASES[0], options).unwrap();
        let mut target = Target::new(Options::default());
        let mut server = Server::new(&mut env, &mut device, BASES[1], TAG, &target, limits).unwrap();
        let address = server.listen(&mut device, SocketAddr::new(HOST, 4420)).unwrap();
        let ram = Rc::new(Ram::new(&mut env, Geometry::new(BLOCK as u32, blocks).unwrap()).unwrap());
        target.create_subsystem(SubsystemConfig::new(subsystem())).unwrap();
        target.add_listener(&subsystem(), Portal { transport: Transport::Rdma, address }).unwrap();
        let volume = Rc::new(Volume::new(ram, Identity([1; 16])));
        let channel = volume.open();
        let config = NamespaceConfig { uuid: [1; 16], ..NamespaceConfig::default() };
        target.add_namespace(&subsystem(), config, volume, channel).unwrap();
        let region = env.mem().map(Kind::Shared, MEMORY as u64).unwrap();
        let span = env.mem().whole(region).first(MEMORY);
        let registration =
            verbs::Registration { pieces: &[span], address: 0x10_0000, access: options.access };
        let memory = device.register(&mut env, host.pd(), &registration).unwrap();
        let (lanes, happened) = (Lanes::default(), vec![]);
        Self { env, device, host, server, target, lanes, address, span, memory, happened }
    }

    pub fn settle(&mut self) {
        for _ in 0..50 {
            self.device.turn(&mut self.env);
            self.env.poll(&mut Vec::new(), self.device.deadline());
            self.turn();
        }
    }

    /// Hands everything over once.
    pub fn turn(&mut self) {
        let Self { env, device, host, server, target, lanes, .. } = self;
        while let Some(event) = device.poll_event() {
            match event.owner.0 & !0xffff_ffff == BASES[0] {
                true => host.handle_event(device, &event),
                false => server.handle_event(device, &event),
            }
        }
        while let Some(event) = device.poll_connection() {
            match event.owner.0 & !0xffff_ffff == BASES[0] {
                true => host.handle_connection(env, device, &event),
                false => server.handle_connection(env, device, &event),
            }
        }
        let lane = &mut lanes.of(target, TAG);
        server.handle_timeout(env, device, lane);
        server.poll(env, device, lane);
        while let Some(happening) = host.poll(env, device) {
            self.happened.push(happening);
        }
        let buffers = server.check();
        assert_eq!(env.mem().buffers_taken(), buffers);
        target.check();
    }

    pub fn happened(&mut self) -> Vec<Happening> {
        self.settle();
        core::mem::take(&mut self.happened)
    }

    /// Asks for a connection with these words.
    pub fn ask(&mut self, private_data: &[u8]) -> Result<(Key, QueueAccept), RejectStatus> {
        self.ask_with(Parameters::default(), private_data)
    }

    pub fn ask_with(
        &mut self,
        parameters: Parameters,
        private_data: &[u8],
    ) -> Result<(Key, QueueAccept), RejectStatus> {
        let Self { env, device, host, address, .. } = self;
        self.happened.clear();
        let asked = host.connect(env, device, PortSpace::Tcp, *address, parameters, private_data).unwrap();
        match self.happened()[..] {
            [Happening::Established { connection, private_data, .. }] if connection == asked => {
                Ok((connection, QueueAccept::decode(private_data.bytes()).unwrap().unwrap()))
            }
            [Happening::Refused { why: Some((Rejection::Consumer, private_data)), .. }] => {
                Err(RejectStatus::decode(private_data.bytes()).unwrap().unwrap())
            }
            ref other => panic!("{other:?}"),
        }
    }

    pub fn open(&mut self, queue_id: u16) -> Key {
        let (connection, accept) = self.ask(&request(queue_id).encode()).unwrap();
        assert_eq!(accept.controller_receive_size, ENTRIES);
        connection
    }

    /// What a Connect of an admin queue is answered with.
    pub fn first_head(&mut self, attributes: ConnectAttributes) -> u16 {
        let connection = self.open(0);
        let data = ConnectData::new([9; 16], 0xffff, &subsystem(), &Nqn::from_uuid(&[9; 16]));
        let connect = connect(0, attributes);
        self.run(connection, &connect.command(7), data.as_bytes()).submission_queue_head.get()
    }

    /// A queue after its Connect. The data of an admin queue's is fetched, of another's it is in the capsule.
    pub fn connect(&mut self, queue_id: u16, controller: u16) -> Queue {
        let connection = self.open(queue_id);
        let data = ConnectData::new([9; 16], controller, &subsystem(), &Nqn::from_uuid(&[9; 16]));
        let connect = connect(queue_id, ConnectAttributes::NONE);
        let completion = if queue_id == 0 {
            self.fill(0, data.as_bytes());
            let command = connect.command(7).with_data(self.keyed(0, data.as_bytes().len()));
            self.run(connection, &command, &[])
        } else {
            self.run(connection, &connect.command(7), data.as_bytes())
        };
        assert_eq!(completion.status(), Status::SUCCESS);
        Queue { connection, controller: completion.dword0() as u16 }
    }

    /// An I/O queue of a controller that is ready.
    pub fn ready(&mut self) -> [Queue; 2] {
        let admin = self.connect(0, 0xffff);
        let enable = PropertySet::command(Property::Configuration, 0x0046_0001, 1);
        assert_eq!(self.run(admin.connection, &enable, &[]).status(), Status::SUCCESS);
        [admin, self.connect(1, admin.controller)]
    }

    pub fn send(&mut self, connection: Key, command: &SubmissionQueueEntry, in_capsule: &[u8]) {
        if in_capsule.is_empty() {
            return self
                .host
                .send(&mut self.device, connection, 1, Data::Inline(command.as_bytes()))
                .unwrap();
        }
        let capsule = [command.as_bytes(), in_capsule].concat();
        let at = self.span.slice(MEMORY - 16384, capsule.len());
        self.env.mem().write(at, &capsule);
        let list = [at];
        self.host.send(&mut self.device, connection, 1, Data::Own(&list)).unwrap();
    }

    /// The completions that came for a connection, and which keys were closed with them.
    pub fn completions(&mut self, connection: Key) -> Vec<(CompletionQueueEntry, bool)> {
        let mut found = vec![];
        for happening in self.happened() {
            let Happening::Received { connection: on, received } = happening else { continue };
            assert_eq!(on, connection);
            let mut bytes = [0; CompletionQueueEntry::LEN];
            self.env.mem().read(self.host.message(&received), &mut bytes);
            found.push((*CompletionQueueEntry::view(&bytes).unwrap(), received.invalidated.is_some()));
            self.host.release(&mut self.device, on, received);
        }
        found
    }

    pub fn run(
        &mut self,
        connection: Key,
        command: &SubmissionQueueEntry,
        in_capsule: &[u8],
    ) -> CompletionQueueEntry {
        self.send(connection, command, in_capsule);
        let completions = self.completions(connection);
        assert_eq!(completions.len(), 1, "{completions:?}");
        assert_eq!(completions[0].0.command_id, command.command_id);
        completions[0].0
    }

    pub fn fill(&mut self, offset: usize, bytes: &[u8]) {
        let at = self.span.slice(offset, bytes.len());
        self.env.mem().write(at, bytes);
    }

    pub fn bytes(&mut self, offset: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.env.mem().read(self.span.slice(offset, len), &mut bytes);
        bytes
    }

    pub fn keyed(&self, offset: usize, len: usize) -> Sgl {
        let address = self.memory.address + offset as u64;
        Sgl::Keyed { address, length: len as u32, key: self.memory.key.0, invalidate: false }
    }

    pub fn is_alive(&self, queue: Queue) -> bool {
        self.host.connections().any(|info| info.connection == queue.connection)
    }
}

pub fn subsystem() -> Nqn {
    Nqn::parse("nqn.2016-06.io.example:volumes").unwrap()
}

pub fn request(queue_id: u16) -> QueueRequest {
    QueueRequest {
        queue_id,
        host_receive_size: ENTRIES,
        host_send_size_zero_based: ENTRIES - 1,
        controller_id: 0,
    }
}

pub fn connect(queue_id: u16, attributes: ConnectAttributes) -> Connect {
    let queue_size_zero_based = ENTRIES - 1;
    Connect { record_format: 0, queue_id, queue_size_zero_based, attributes, keep_alive_ms: 0 }
}

pub fn block(opcode: NvmOpcode, id: u16, first: u64, blocks: u32, sgl: Sgl) -> SubmissionQueueEntry {
    let mut command = SubmissionQueueEntry::new(opcode.code(), id).with_namespace(1).with_data(sgl);
    BlockCommand { first_block: first, blocks, control: Control::NONE }.write(&mut command);
    command
}

pub fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add((at >> 8) as u8).wrapping_add(seed)).collect()
}
