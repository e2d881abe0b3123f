//! The same server, target and initiator with iSER between them: a loopback device, and memory of the initiator's.

use super::initiator::{Answer, Initiator};
use super::{Settings, World};
use scsi::iscsi::target::iser::{Limits, Transport};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use stdx::env::Env;
use stdx::mem::{Kind, Span};
use stdx::slab::Key;
use verbs::endpoint::{self, Endpoint, Happening};
use verbs::loopback::Loopback;
use verbs::{Access, Connections, Data, Key as MemoryKey, Parameters, PortSpace, Provider, Registered, Work};
use wire::iscsi::Bhs;
use wire::iser::{Advertised, HEADER_LEN, Header, MESSAGE_LEN_MIN, PrivateData};

/// Bytes of the initiator's memory.
pub const MEMORY: usize = 1 << 20;
/// The address of its first byte.
pub const BASE: u64 = 0x10_0000;
const BASES: [u64; 2] = [7 << 32, 8 << 32];

pub struct RdmaWorld {
    pub world: World,
    pub device: Loopback,
    pub transport: Transport,
    /// The initiators' end.
    pub host: Endpoint,
    pub span: Span,
    pub memory: Registered,
    address: SocketAddr,
    /// What happened to the initiators.
    pub happened: Vec<Happening>,
}

/// A message of the target's, and the key it closed.
#[derive(Debug)]
pub struct Told {
    pub answer: Answer,
    pub invalidated: Option<MemoryKey>,
}

impl RdmaWorld {
    pub fn new() -> Self {
        Self::with(Settings::default(), Limits::default())
    }

    pub fn with(settings: Settings, limits: Limits) -> Self {
        let mut world = World::with(settings);
        let env = &mut world.env;
        let mut device = Loopback::new(verbs::Limits::default(), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
        let access = Access::LOCAL_WRITE.with(Access::REMOTE_READ).with(Access::REMOTE_WRITE);
        let options = endpoint::Options {
            connections_max: 16,
            receives: 256,
            receive_len: 9000,
            sends: 192,
            pieces: 1,
            inline_bytes: 96,
            access,
        };
        let host = Endpoint::new(env, &mut device, BASES[0], options).unwrap();
        let mut transport = Transport::new(env, &mut device, BASES[1], 1, limits).unwrap();
        let address = transport.listen(&mut device, super::address()).unwrap();
        let region = env.mem().map(Kind::Shared, MEMORY as u64).unwrap();
        let span = env.mem().whole(region).first(MEMORY);
        let registration = verbs::Registration { pieces: &[span.first(MEMORY / 2)], address: BASE, access };
        let memory = device.register(env, host.pd(), &registration).unwrap();
        Self { world, device, transport, host, span, memory, address, happened: vec![] }
    }

    /// Turns until nothing is left to do.
    pub fn run(&mut self) {
        for _ in 0..60 {
            self.device.turn(&mut self.world.env);
            self.turn();
        }
    }

    /// Hands everything over once.
    pub fn turn(&mut self) {
        let Self { world, device, transport, host, .. } = self;
        let World { env, server, target, .. } = world;
        while let Some(event) = device.poll_event() {
            match event.owner.0 & !0xffff_ffff == BASES[0] {
                true => host.handle_event(device, &event),
                false => transport.handle_event(device, &event),
            }
        }
        while let Some(event) = device.poll_connection() {
            match event.owner.0 & !0xffff_ffff == BASES[0] {
                true => host.handle_connection(env, device, &event),
                false => transport.handle_connection(env, device, &event),
            }
        }
        while let Some(event) = env.next_event() {
            server.handle_event(env, target, &event);
        }
        server.handle_timeout(env, target);
        transport.poll(env, device, server, target);
        server.check(env, transport.check());
        while let Some(happening) = host.poll(env, device) {
            self.happened.push(happening);
        }
    }

    /// A connection that has not said anything.
    pub fn connect(&mut self, said: PrivateData) -> (Key, PrivateData) {
        let Self { world, device, host, address, .. } = self;
        let parameters = Parameters::default();
        self.happened.clear();
        let asked = host
            .connect(&mut world.env, device, PortSpace::Tcp, *address, parameters, &said.encode())
            .unwrap();
        self.run();
        match std::mem::take(&mut self.happened)[..] {
            [Happening::Established { connection, private_data, .. }] if connection == asked => {
                (connection, PrivateData::decode(private_data.bytes()))
            }
            ref other => panic!("{other:?}"),
        }
    }

    /// A session.
    pub fn log_in(&mut self, isid: u8) -> (Key, Initiator) {
        self.log_in_as(isid, PLAIN)
    }

    /// A session of an initiator that says this of itself.
    pub fn log_in_as(&mut self, isid: u8, said: PrivateData) -> (Key, Initiator) {
        let (connection, _) = self.connect(said);
        let mut initiator = initiator(isid);
        let login = initiator.login(KEYS);
        let told = self.exchange(connection, Header::default(), &login);
        initiator.take_login(&told.into_iter().map(|told| told.answer).collect::<Vec<_>>());
        (connection, initiator)
    }

    /// A session on a stream, which asks for what only RDMA has.
    pub fn log_in_by_stream(&mut self) -> Initiator {
        let mut initiator = Initiator::new(self.world.env.arrive());
        self.run();
        let login = initiator.login("RDMAExtensions=Yes TargetRecvDataSegmentLength=512");
        self.world.env.deliver(initiator.stream, &login);
        self.run();
        let answers = self.world.answers(&mut initiator);
        initiator.take_login(&answers);
        initiator
    }

    /// A session that has heard of its power on.
    pub fn ready(&mut self, isid: u8) -> (Key, Initiator) {
        let (connection, mut initiator) = self.log_in(isid);
        let bytes = initiator.test_unit_ready(0xfff0);
        assert_eq!(self.status(connection, Header::default(), &bytes), 2, "a unit attention");
        (connection, initiator)
    }

    /// Memory of the initiator's from so far on.
    pub fn at(&self, offset: u64) -> Advertised {
        Advertised { key: self.memory.key.0, offset: BASE + offset }
    }

    pub fn fill(&mut self, offset: usize, bytes: &[u8]) {
        let place = self.span.slice(offset, bytes.len());
        self.world.env.mem().write(place, bytes);
    }

    pub fn bytes(&mut self, offset: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let place = self.span.slice(offset, len);
        self.world.env.mem().read(place, &mut bytes);
        bytes
    }

    /// Sends a PDU behind a header.
    pub fn send(&mut self, connection: Key, header: Header, pdu: &[u8]) {
        let message = [&header.encode()[..], pdu].concat();
        self.send_bytes(connection, &message);
    }

    pub fn send_bytes(&mut self, connection: Key, message: &[u8]) {
        // Behind what is registered, one place for each tenth of it in turn.
        let at = MEMORY / 2 + self.next_place();
        self.fill(at, message);
        let list = [self.span.slice(at, message.len())];
        self.host.send(&mut self.device, connection, 1, Data::Own(&list)).unwrap();
    }

    fn next_place(&self) -> usize {
        let under_way: u32 = self.host.connections().map(|connection| connection.sends).sum();
        under_way as usize % 40 * 9216
    }

    /// Sends a PDU, and says what came back.
    pub fn exchange(&mut self, connection: Key, header: Header, pdu: &[u8]) -> Vec<Told> {
        self.send(connection, header, pdu);
        self.run();
        self.told(connection)
    }

    /// The messages that have come to a connection.
    pub fn told(&mut self, connection: Key) -> Vec<Told> {
        let mut found = vec![];
        for happening in std::mem::take(&mut self.happened) {
            let Happening::Received { connection: on, received } = happening else { continue };
            assert_eq!(on, connection);
            let message = self.host.message(&received);
            let mut bytes = vec![0; message.len()];
            self.world.env.mem().read(message, &mut bytes);
            self.host.release(&mut self.device, on, received);
            assert_eq!(Header::decode(&bytes), Ok(Header::default()), "a target advertises nothing");
            let bhs = *Bhs::view(&bytes[HEADER_LEN..]).unwrap();
            let data = bytes.split_off(MESSAGE_LEN_MIN);
            assert_eq!(bhs.data_len() as usize, data.len(), "no digests, and no padding");
            found.push(Told { answer: Answer { bhs, data }, invalidated: received.invalidated });
        }
        found
    }

    /// The status of the only answer.
    pub fn status(&mut self, connection: Key, header: Header, pdu: &[u8]) -> u8 {
        let told = self.exchange(connection, header, pdu);
        let [told] = &told[..] else { panic!("{told:?}") };
        let response = wire::iscsi::ScsiResponse::decode(&told.answer.bhs).unwrap();
        assert_eq!(response.exp_data_sn.0, 0, "no Data-In, no R2T");
        response.status
    }

    pub fn is_alive(&self, connection: Key) -> bool {
        self.host.connections().any(|info| info.connection == connection)
    }

    /// Memory that can be closed by who is told its key.
    pub fn alloc(&mut self, connection: Key, life: u8, len: usize) -> MemoryKey {
        let key = self.device.alloc_region(self.host.pd(), 1).unwrap().with_life(life);
        let access = Access::LOCAL_WRITE.with(Access::REMOTE_WRITE).with(Access::REMOTE_READ);
        let pieces = [self.span.first(len)];
        let register = Work::Register { key, pieces: &pieces, address: BASE, access };
        self.host.post(&mut self.device, connection, 2, register, Data::NONE, false).unwrap();
        self.run();
        key
    }
}

/// What Linux's initiator connects with.
pub const LINUX: PrivateData = PrivateData { no_zero_based: true, no_remote_invalidate: false };

/// What an initiator connects with whose memory stays registered.
pub const PLAIN: PrivateData = PrivateData { no_zero_based: true, no_remote_invalidate: true };

/// What it says in its logins beside names.
pub const KEYS: &str = "DefaultTime2Wait=2 DefaultTime2Retain=0 IFMarker=No OFMarker=No ErrorRecoveryLevel=0 \
    InitialR2T=No ImmediateData=Yes MaxBurstLength=16776192 FirstBurstLength=262144 MaxOutstandingR2T=1 \
    MaxConnections=1 DataPDUInOrder=Yes DataSequenceInOrder=Yes InitiatorRecvDataSegmentLength=262144 \
    TargetRecvDataSegmentLength=8192 RDMAExtensions=Yes";

pub fn initiator(isid: u8) -> Initiator {
    let mut initiator = Initiator::new(stdx::env::StreamId(0));
    initiator.isid.0[5] = isid;
    initiator
}
