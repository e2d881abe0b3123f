//! What the tests of the SRP target share: a server over the real target with two volumes, and an initiator that is played by
//! hand, on a loopback device.
#![allow(dead_code, reason = "each test binary uses its part")]

use block::device::{Delay, Geometry, Latencies, Ram};
use block::{BlockDevice, Identity, Volume};
use scsi::srp::target::{Access as Admission, Limits, Server, TargetPort};
use scsi::target::{DeviceConfig, DeviceKey, PortConfig, Protocol, Target, UnitConfig};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use stdx::conformance::still::StillEnv;
use stdx::env::Env;
use stdx::mem::{Kind, Span};
use stdx::slab::Key;
use verbs::endpoint::{self, Endpoint, Happening};
use verbs::loopback::Loopback;
use verbs::{Access, Connections, Data, Parameters, PortSpace, Provider, Registered, Rejection};
use wire::scsi::Lun;
use wire::srp::{
    BufferFormats, Command, Descriptor, LoginFlags, LoginReject, LoginRejectReason, LoginRequest,
    LoginResponse, MemoryDescriptor, PortId, Response, TaskFunction, TaskRequest,
};

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Which of the target's servers it is.
const TAG: u8 = 3;
const BASES: [u64; 2] = [1 << 32, 2 << 32];
/// Bytes of the initiator's memory, all of it open to the target.
pub const MEMORY: usize = 4 << 20;
/// Bytes of a block.
pub const BLOCK: usize = 512;
/// Where immediate data begins.
pub const IMMEDIATE_AT: usize = 68;
/// Where the initiator puts what it sends.
const OUTBOX: usize = MEMORY - (64 << 10);

/// The target port. Its GUID is the service that InfiniBand's connection manager is asked for.
pub const PORT: PortId = PortId { extension: 0x0505, guid: 0x0002_c903_0001_0a0b };
/// The initiator port.
pub const INITIATOR: PortId = PortId { extension: 0, guid: 0x5054 };

/// An initiator (0) and a target (1).
pub struct World {
    pub env: StillEnv,
    pub device: Loopback,
    pub host: Endpoint,
    pub server: Server,
    pub target: Target,
    pub scsi_device: DeviceKey,
    /// What the second logical unit is slowed down with.
    pub delay: Rc<Delay>,
    pub address: SocketAddr,
    pub span: Span,
    pub memory: Registered,
    pub happened: Vec<Happening>,
}

/// What came by a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unit(pub Vec<u8>);

impl Unit {
    pub fn response(&self) -> Response<'_> {
        Response::decode(&self.0).unwrap()
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    /// Two volumes of 64 MiB, of which the second can be slow.
    pub fn with(limits: Limits) -> Self {
        let mut env = StillEnv::new(1);
        let mut device = Loopback::new(verbs::Limits::default(), HOST);
        let options = endpoint::Options {
            connections_max: 64,
            receives: 1024,
            receive_len: 512,
            sends: 256,
            pieces: 1,
            inline_bytes: 256,
            access: Access::LOCAL_WRITE.with(Access::REMOTE_READ).with(Access::REMOTE_WRITE),
        };
        let host = Endpoint::new(&mut env, &mut device, BASES[0], options).unwrap();
        let mut server = Server::new(&mut env, &mut device, BASES[1], TAG, limits).unwrap();
        let address = server.listen(&mut device, SocketAddr::new(HOST, 5555)).unwrap();
        let mut target = Target::new();
        let config = DeviceConfig { name: "srp.disk".to_owned(), protocol: Protocol::Srp };
        let scsi_device = target.add_device(config).unwrap();
        let port = PortConfig { relative_id: 1, name: PORT.to_string(), group: 1 };
        target.add_port(scsi_device, port).unwrap();
        let fast: Rc<dyn BlockDevice> = Rc::new(ram(&mut env));
        let delay = Rc::new(Delay::new(Rc::new(ram(&mut env)), Latencies::default(), 7));
        for (place, base) in [fast, Rc::clone(&delay) as Rc<dyn BlockDevice>].into_iter().enumerate() {
            let volume: Rc<dyn BlockDevice> = Rc::new(Volume::new(base, Identity([place as u8 + 1; 16])));
            let channel = volume.open();
            let config = UnitConfig { uuid: [place as u8 + 1; 16], ..UnitConfig::default() };
            target.add_unit(scsi_device, config, volume, channel).unwrap();
        }
        let port = TargetPort { id: PORT, device: scsi_device, relative_id: 1, access: Admission::Any };
        server.registry_mut().add_port(port).unwrap();
        let region = env.mem().map(Kind::Shared, MEMORY as u64).unwrap();
        let span = env.mem().whole(region).first(MEMORY);
        let registration =
            verbs::Registration { pieces: &[span], address: 0x10_0000, access: options.access };
        let memory = device.register(&mut env, host.pd(), &registration).unwrap();
        let happened = vec![];
        Self { env, device, host, server, target, scsi_device, delay, address, span, memory, happened }
    }

    /// Hands everything over, until nothing happens any more.
    pub fn settle(&mut self) {
        for _ in 0..60 {
            self.device.turn(&mut self.env);
            self.env.poll(&mut Vec::new(), self.device.deadline());
            self.turn();
        }
    }

    /// Hands everything over once.
    pub fn turn(&mut self) {
        let Self { env, device, host, server, target, .. } = self;
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
        server.poll(env, device, target);
        while let Some(happening) = host.poll(env, device) {
            self.happened.push(happening);
        }
        let buffers = server.check();
        // Commands that verify or copy have one of their own while they run.
        assert!(env.mem().buffers_taken() >= buffers);
        target.check();
    }

    pub fn happened(&mut self) -> Vec<Happening> {
        self.settle();
        core::mem::take(&mut self.happened)
    }

    /// Asks for a channel.
    pub fn ask(&mut self, private_data: &[u8]) -> Result<(Key, LoginResponse), LoginRejectReason> {
        let Self { env, device, host, address, .. } = self;
        let parameters = Parameters::default();
        let asked = host.connect(env, device, PortSpace::Tcp, *address, parameters, private_data).unwrap();
        self.settle();
        let is_it = |happening: &Happening| match happening {
            Happening::Established { connection, .. } | Happening::Refused { connection, .. } => {
                *connection == asked
            }
            _ => false,
        };
        let place = self.happened.iter().position(is_it).unwrap();
        match self.happened.remove(place) {
            Happening::Established { private_data, .. } => {
                Ok((asked, LoginResponse::decode(private_data.bytes()).unwrap().unwrap()))
            }
            Happening::Refused { why: Some((Rejection::Consumer, private_data)), .. } => {
                Err(LoginReject::decode(private_data.bytes()).unwrap().unwrap().reason)
            }
            ref other => panic!("{other:?}"),
        }
    }

    /// A channel of the usual initiator.
    pub fn log_in(&mut self, flags: LoginFlags) -> Key {
        self.ask(&login(flags).encode_compact()).unwrap().0
    }

    /// Sends bytes as a unit.
    pub fn send(&mut self, channel: Key, unit: &[u8]) {
        let at = self.span.slice(OUTBOX, unit.len());
        self.env.mem().write(at, unit);
        self.host.send(&mut self.device, channel, 1, Data::Own(&[at])).unwrap();
        self.device.turn(&mut self.env);
    }

    pub fn send_command(&mut self, channel: Key, command: &Command<'_>) {
        let mut unit = vec![0; 8192];
        let len = command.encode(&mut unit).unwrap();
        self.send(channel, &unit[..len]);
    }

    /// Sends a command with immediate data.
    pub fn send_immediate(&mut self, channel: Key, command: &Command<'_>, data: &[u8]) {
        let mut unit = vec![0; IMMEDIATE_AT];
        command.encode(&mut unit).unwrap();
        unit.extend_from_slice(data);
        self.send(channel, &unit);
    }

    /// The units that came by a channel since they were last asked for.
    pub fn units(&mut self, channel: Key) -> Vec<Unit> {
        self.settle();
        let mut found = vec![];
        let mut rest = vec![];
        for happening in core::mem::take(&mut self.happened) {
            match happening {
                Happening::Received { connection, received } if connection == channel => {
                    let mut bytes = vec![0; received.len as usize];
                    self.env.mem().read(self.host.message(&received), &mut bytes);
                    found.push(Unit(bytes));
                    self.host.release(&mut self.device, connection, received);
                }
                other => rest.push(other),
            }
        }
        self.happened = rest;
        found
    }

    /// The one unit that came.
    pub fn unit(&mut self, channel: Key) -> Unit {
        let mut units = self.units(channel);
        assert_eq!(units.len(), 1, "{units:?}");
        units.remove(0)
    }

    pub fn run(&mut self, channel: Key, command: &Command<'_>) -> Unit {
        self.send_command(channel, command);
        let unit = self.unit(channel);
        assert_eq!(unit.response().tag, command.tag);
        unit
    }

    /// Takes the unit attentions of both logical units away.
    pub fn clear_attentions(&mut self, channel: Key) {
        for lun in 0..2 {
            self.run(channel, &Command { lun: Lun::from_number(lun), ..command(0, &[0; 6]) });
        }
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

    /// So many bytes of the initiator's memory.
    pub fn piece(&self, offset: usize, len: usize) -> MemoryDescriptor {
        let address = self.memory.address + offset as u64;
        MemoryDescriptor { address, key: self.memory.key.0, len: len as u32 }
    }

    pub fn direct(&self, offset: usize, len: usize) -> Descriptor<'static> {
        Descriptor::Direct(self.piece(offset, len))
    }

    /// Takes a logical unit away.
    pub fn remove_unit(&mut self, lun: u16) {
        self.target.remove_unit(&mut self.env, self.scsi_device, lun).unwrap();
    }

    /// Whether a channel is still there.
    pub fn is_alive(&self, channel: Key) -> bool {
        self.host.connections().any(|info| info.connection == channel)
    }

    /// Everything the second volume does takes so long from now on.
    pub fn slow_down(&mut self, latency: core::time::Duration) {
        self.delay.set_latencies(Latencies {
            read_average: latency,
            read_p99: latency,
            write_average: latency,
            write_p99: latency,
        });
    }

    pub fn pass(&mut self, time: core::time::Duration) {
        let later = self.env.now() + time;
        self.env.set_now(later);
        self.settle();
    }
}

fn ram(env: &mut dyn Env) -> Ram {
    Ram::new(env, Geometry::new(BLOCK as u32, 131_072).unwrap()).unwrap()
}

/// A login of the usual initiator.
pub fn login(flags: LoginFlags) -> LoginRequest {
    LoginRequest {
        tag: 0x77,
        iu_len: 0x2044,
        formats: BufferFormats::DIRECT.with(BufferFormats::INDIRECT),
        flags,
        immediate_offset: IMMEDIATE_AT as u16,
        initiator: INITIATOR,
        target: PORT,
    }
}

/// A command of the first logical unit.
pub fn command(tag: u64, cdb: &[u8]) -> Command<'static> {
    let mut padded = [0; 16];
    padded[..cdb.len()].copy_from_slice(cdb);
    Command {
        tag,
        lun: Lun::from_number(0),
        attribute: 0,
        cdb: padded,
        additional_cdb: &[],
        data_out: Descriptor::None,
        data_in: Descriptor::None,
        solicit_success: false,
        solicit_failure: false,
    }
}

/// READ (10) or WRITE (10).
pub fn ranged(code: u8, first: u32, blocks: u16) -> [u8; 10] {
    let mut cdb = [code, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    cdb[2..6].copy_from_slice(&first.to_be_bytes());
    cdb[7..9].copy_from_slice(&blocks.to_be_bytes());
    cdb
}

pub fn read<'a>(tag: u64, first: u32, blocks: u16, to: Descriptor<'a>) -> Command<'a> {
    Command { data_in: to, ..command(tag, &ranged(0x28, first, blocks)) }
}

pub fn write<'a>(tag: u64, first: u32, blocks: u16, from: Descriptor<'a>) -> Command<'a> {
    Command { data_out: from, ..command(tag, &ranged(0x2a, first, blocks)) }
}

pub fn manage(tag: u64, lun: u16, function: TaskFunction, task_tag: u64) -> TaskRequest {
    TaskRequest { tag, lun: Lun::from_number(lun), function: function.code(), task_tag }
}

/// So many bytes that differ from their neighbours.
pub fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add((at >> 8) as u8).wrapping_add(seed)).collect()
}
