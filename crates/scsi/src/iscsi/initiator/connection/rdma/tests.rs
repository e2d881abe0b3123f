//! A connection against a target that answers as a test says, on one loopback device.

use super::super::{
    Answer, Completed, Connection, ConnectionEnd, ConnectionMemory, Data as Bytes, Misbehaviour, Settings,
    State, Window,
};
use super::{Context, PONGS_MAX};
use crate::iscsi::IscsiName;
use crate::iscsi::login::{InitiatorIdentity, Limits as Wishes, Parameters as Agreed};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use stdx::conformance::still::StillEnv;
use stdx::env::{Env, Owner};
use stdx::mem::{Kind as MemoryKind, Span};
use stdx::slab::Key;
use verbs::endpoint::{Endpoint, Happening, Options};
use verbs::loopback::Loopback;
use verbs::{Access, Connections, Data, Key as MemoryKey, PortSpace, Provider, Remote};
use wire::iscsi::{
    Bhs, Isid, NopIn, NopOut, Numbers, RESERVED_TAG, Residual, ScsiResponse, Serial, ServiceResponse,
};
use wire::iser::{Advertised, HEADER_LEN, Header, MESSAGE_LEN_MIN};
use wire::scsi::{Cdb, Lun};

const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3260);
const OURS: u64 = 1 << 32;
const THEIRS: u64 = 2 << 32;
const LEN: usize = 4096;

struct Bench {
    env: StillEnv,
    device: Loopback,
    ours: Endpoint,
    theirs: Endpoint,
    connection: Connection,
    memory: Span,
    /// The target's end.
    peer: Option<Key>,
    seen: Vec<Vec<u8>>,
    stat_sn: u32,
}

impl Bench {
    /// A connection whose login is over, to a target with room for so many unexpected PDUs.
    fn new(unexpected_pdus_max: u32) -> Self {
        let mut env = StillEnv::new(1);
        let mut device = Loopback::new(verbs::Limits::default(), ADDRESS.ip());
        let access = Access::LOCAL_WRITE.with(Access::REMOTE_READ).with(Access::REMOTE_WRITE);
        let options = Options {
            connections_max: 1,
            receives: 64,
            receive_len: 9000,
            sends: 128,
            pieces: 2,
            inline_bytes: 128,
            access,
        };
        let ours = Endpoint::new(&mut env, &mut device, OURS, options).unwrap();
        let mut theirs = Endpoint::new(&mut env, &mut device, THEIRS, options).unwrap();
        theirs.listen(&mut device, PortSpace::Tcp, ADDRESS).unwrap();
        let region = env.mem().map(MemoryKind::Shared, 1 << 16).unwrap();
        let memory = env.mem().whole(region);
        let connection = connection(&mut env);
        let (peer, seen, stat_sn) = (None, Vec::new(), 1);
        let mut bench = Self { env, device, ours, theirs, connection, memory, peer, seen, stat_sn };
        bench.with(Connection::ask);
        bench.settle();
        assert_eq!(bench.connection.state, State::LoggingIn);
        bench.seen.clear();
        bench.connection.parameters = Agreed {
            initial_r2t: false,
            immediate_data: true,
            first_burst_len: 4096,
            max_send_data_segment_len: 8192,
            unexpected_pdus_max,
            ..Agreed::unsaid()
        };
        bench.connection.state = State::FullFeature;
        bench.connection.order.exp_stat_sn = Serial(1);
        bench.connection.window.update(&Numbers { max_cmd_sn: Serial(100), ..bench.numbers() });
        bench
    }

    fn numbers(&self) -> Numbers {
        let next = self.connection.window.cmd_sn();
        Numbers { stat_sn: Serial(self.stat_sn), exp_cmd_sn: next, max_cmd_sn: Serial(100) }
    }

    fn with(&mut self, act: impl FnOnce(&mut Connection, &mut Context<'_>)) {
        let Self { env, device, ours, connection, .. } = self;
        act(connection, &mut Context { env, device, endpoint: ours });
    }

    /// Lets happen what happens.
    fn settle(&mut self) {
        for _ in 0..20 {
            self.with(Connection::post_waiting);
            self.device.turn(&mut self.env);
            while let Some(event) = self.device.poll_event() {
                let is_ours = event.owner.0 & !0xffff_ffff == OURS;
                let end = if is_ours { &mut self.ours } else { &mut self.theirs };
                end.handle_event(&mut self.device, &event);
            }
            while let Some(event) = self.device.poll_connection() {
                let is_ours = event.owner.0 & !0xffff_ffff == OURS;
                let end = if is_ours { &mut self.ours } else { &mut self.theirs };
                end.handle_connection(&mut self.env, &mut self.device, &event);
            }
            while let Some(happening) = self.theirs.poll(&mut self.env, &mut self.device) {
                self.handle_theirs(happening);
            }
            while let Some(happening) = self.ours.poll(&mut self.env, &mut self.device) {
                self.handle_ours(happening);
            }
        }
    }

    fn handle_theirs(&mut self, happening: Happening) {
        let Self { env, device, theirs, .. } = self;
        match happening {
            Happening::Requested(requested) => {
                assert_eq!(requested.private_data.bytes()[..4], [0x80, 0, 0, 0], "as Linux says it");
                let accepted = theirs.accept(env, device, requested.request, requested.parameters, &[]);
                self.peer = Some(accepted.unwrap());
            }
            Happening::Received { connection, received } => {
                let message = theirs.message(&received);
                let mut bytes = vec![0; message.len()];
                env.mem().read(message, &mut bytes);
                self.seen.push(bytes);
                theirs.release(device, connection, received);
            }
            _ => {}
        }
    }

    fn handle_ours(&mut self, happening: Happening) {
        match happening {
            Happening::Established { .. } => self.connection.handle_established(&mut self.env),
            Happening::Done { token, kind, status, .. } => self.connection.handle_done(token, kind, status),
            Happening::Broken { .. } | Happening::Gone { .. } => self.connection.handle_broken(&mut self.env),
            Happening::Received { received, .. } => {
                self.with(|connection, cx| connection.handle_received(cx, received));
            }
            Happening::Refused { .. } | Happening::Requested(_) => unreachable!(),
        }
    }

    /// A command is under way: its message, as the target got it.
    fn submit(&mut self, data: Bytes) -> Sent {
        self.connection.submit(&mut self.env, Lun::default(), &Cdb([0x88; 16]), data, 5).unwrap();
        self.settle();
        Sent::of(&self.seen.pop().unwrap())
    }

    fn read(&mut self) -> Sent {
        self.submit(Bytes::In(self.memory.first(LEN)))
    }

    fn answer(&mut self, bytes: &[u8], invalidate: Option<u32>) {
        let peer = self.peer.unwrap();
        let (device, data) = (&mut self.device, Data::Inline(bytes));
        match invalidate {
            Some(key) => self.theirs.send_invalidate(device, peer, 1, MemoryKey(key), data).unwrap(),
            None => self.theirs.send(device, peer, 1, data).unwrap(),
        }
        self.settle();
    }

    /// A good answer to a task.
    fn good(&mut self, task_tag: u32, residual: Residual) -> Vec<u8> {
        let response = ScsiResponse {
            response: ServiceResponse::Completed,
            status: 0,
            residual,
            bidirectional: Residual::None,
            task_tag,
            snack_tag: 0,
            numbers: self.numbers(),
            exp_data_sn: Serial(0),
        };
        self.stat_sn += 1;
        message(&response.encode(0))
    }

    /// A sign of life that is to be answered.
    fn ping(&mut self, transfer_tag: u32) {
        let (lun, task_tag) = (Lun::default(), RESERVED_TAG);
        let ping = NopIn { lun, task_tag, transfer_tag, numbers: self.numbers() };
        self.answer(&message(&ping.encode(0)), None);
    }

    fn completed(&mut self) -> Vec<Completed> {
        let mut completed = Vec::new();
        self.connection.take_completed(&mut completed);
        completed
    }
}

/// What of a message matters.
#[derive(Debug)]
struct Sent {
    header: Header,
    tag: u32,
    len: usize,
}

impl Sent {
    fn of(bytes: &[u8]) -> Self {
        let bhs = Bhs::view(&bytes[HEADER_LEN..]).unwrap();
        Self { header: Header::decode(bytes).unwrap(), tag: bhs.task_tag.get(), len: bytes.len() }
    }

    fn key(&self) -> u32 {
        let memory = self.header.read.or(self.header.write).expect("memory is advertised");
        assert_eq!(memory.offset, 0);
        memory.key
    }
}

fn connection(env: &mut StillEnv) -> Connection {
    let name = IscsiName::parse("iqn.2026-01.io.weft:tester").unwrap();
    let identity =
        InitiatorIdentity { initiator: name.clone(), alias: String::new(), target: Some(name), chap: None };
    let settings = Settings {
        address: ADDRESS,
        identity: Rc::new(identity),
        limits: Wishes::default(),
        isid: Isid([0; 6]),
        window: Window::new(Serial(1)),
        connection_id: 0,
        commands_max: 8,
        receive_len: 0,
        text_max: 0,
        is_rdma: true,
    };
    let memory = ConnectionMemory::map(env.mem(), &settings).unwrap();
    Connection::connect(env, Owner(OURS), &settings, memory).unwrap()
}

fn message(bhs: &Bhs) -> Vec<u8> {
    [&Header::default().encode()[..], bhs.bytes()].concat()
}

#[test]
fn memory_is_closed_before_its_command_is_told_whoever_closes_it() {
    for by_target in [true, false] {
        let mut bench = Bench::new(0);
        let sent = bench.read();
        let key = sent.key();
        let answer = bench.good(sent.tag, Residual::None);
        bench.answer(&answer, by_target.then_some(key));
        assert_eq!(bench.completed().len(), 1);
        // The key opens nothing any more, and the memory's next opening has another.
        let (peer, to) = (bench.peer.unwrap(), Remote { address: 0, key: MemoryKey(key) });
        assert_ne!(bench.read().key(), key);
        let from = [bench.memory.slice(8192, 8)];
        bench.theirs.write(&mut bench.device, peer, 2, to, &from).unwrap();
        bench.settle();
        assert!(matches!(bench.connection.state, State::Ended(_)), "{:?}", bench.connection.state);
    }
}

#[test]
fn a_write_goes_along_whole_or_not_at_all() {
    let mut bench = Bench::new(0);
    let small = bench.submit(Bytes::Out(bench.memory.first(4096)));
    assert_eq!((small.header, small.len), (Header::default(), MESSAGE_LEN_MIN + 4096));
    let large = bench.submit(Bytes::Out(bench.memory.first(4608)));
    assert!(large.header.write.is_some() && large.header.read.is_none());
    assert_eq!(large.len, MESSAGE_LEN_MIN);
    for sent in [small, large] {
        let answer = bench.good(sent.tag, Residual::None);
        bench.answer(&answer, None);
    }
    assert_eq!(bench.completed().len(), 2);
}

#[test]
fn what_is_missing_is_told() {
    let mut bench = Bench::new(0);
    let sent = bench.read();
    let answer = bench.good(sent.tag, Residual::Underflow(1000));
    bench.answer(&answer, None);
    let completed = bench.completed();
    let [Completed { answer: Answer::Command(ending), .. }] = &completed[..] else { panic!("{completed:?}") };
    assert_eq!((ending.moved, ending.is_exact), (LEN as u32 - 1000, false));
}

#[test]
fn answers_that_lie_end_the_connection_and_complete_nothing() {
    let lie = |tell: fn(&mut Bench, &Sent)| {
        let mut bench = Bench::new(0);
        let sent = bench.read();
        tell(&mut bench, &sent);
        let completed = bench.completed().len();
        match bench.connection.state.clone() {
            State::Ended(ConnectionEnd::Misbehaved(what)) => (what, completed),
            other => panic!("{other:?}"),
        }
    };
    let unknown = lie(|bench, sent| {
        let answer = bench.good(sent.tag ^ 1, Residual::None);
        bench.answer(&answer, None);
    });
    assert_eq!(unknown, (Misbehaviour::UnknownTask, 0));
    let short = lie(|bench, sent| {
        let answer = bench.good(sent.tag, Residual::None);
        bench.answer(&answer[..MESSAGE_LEN_MIN - 1], None);
    });
    assert_eq!(short, (Misbehaviour::Message, 0));
    let long = lie(|bench, sent| {
        let answer = bench.good(sent.tag, Residual::None);
        bench.answer(&[&answer[..], &[0; 4]].concat(), None);
    });
    assert_eq!(long, (Misbehaviour::Message, 0));
    let advertising = lie(|bench, sent| {
        let mut answer = bench.good(sent.tag, Residual::None);
        let header = Header { read: Some(Advertised { key: 1, offset: 0 }), write: None };
        answer[..HEADER_LEN].copy_from_slice(&header.encode());
        bench.answer(&answer, None);
    });
    assert_eq!(advertising, (Misbehaviour::Message, 0));
    let twice = lie(|bench, sent| {
        let answer = bench.good(sent.tag, Residual::None);
        bench.answer(&answer, Some(sent.key()));
        let again = bench.good(sent.tag, Residual::None);
        bench.answer(&again, None);
    });
    assert_eq!(twice, (Misbehaviour::UnknownTask, 1));
    // The key of another command that is under way.
    let other = lie(|bench, sent| {
        let other = bench.read().key();
        let answer = bench.good(sent.tag, Residual::None);
        bench.answer(&answer, Some(other));
    });
    assert_eq!(other, (Misbehaviour::Invalidation, 0));
    // Of a PDU that answers no command.
    let pinged = lie(|bench, sent| {
        let (lun, task_tag) = (Lun::default(), RESERVED_TAG);
        let ping = NopIn { lun, task_tag, transfer_tag: RESERVED_TAG, numbers: bench.numbers() };
        bench.answer(&message(&ping.encode(0)), Some(sent.key()));
    });
    assert_eq!(pinged, (Misbehaviour::Invalidation, 0));
    let solicited = lie(|bench, sent| {
        let header = wire::iscsi::R2t {
            lun: Lun::default(),
            task_tag: sent.tag,
            transfer_tag: 1,
            numbers: bench.numbers(),
            r2t_sn: Serial(0),
            offset: 0,
            length: 512,
        };
        bench.answer(&message(&header.encode()), None);
    });
    assert_eq!(solicited, (Misbehaviour::Phase, 0));
}

#[test]
fn no_more_is_unexpected_than_the_target_has_room_for() {
    let mut bench = Bench::new(2);
    bench.connection.ping(&mut bench.env, 7).unwrap();
    for tag in 1..=3 {
        bench.ping(tag);
    }
    assert_eq!(bench.seen.len(), 2, "a sign of life is asked for, and one of three is given");
    assert!(bench.connection.ping(&mut bench.env, 8).is_err());
    bench.seen.clear();
    // What is answered was sent behind what was given: that has been taken.
    let sent = bench.read();
    let answer = bench.good(sent.tag, Residual::None);
    bench.answer(&answer, None);
    assert_eq!(bench.seen.len(), 1, "the second is given");
    let idle = &mut Bench::new(2);
    for tag in 1..=2 {
        idle.ping(tag);
    }
    assert_eq!((idle.seen.len(), idle.connection.owes_pongs()), (1, true), "the last credit is kept");
    idle.connection.ping(&mut idle.env, 7).unwrap();
    idle.settle();
    assert_eq!(idle.seen.len(), 2, "for a sign of life of the target's");
    let asked = Bhs::view(&idle.seen[1][HEADER_LEN..]).unwrap();
    let task_tag = NopOut::decode(asked).unwrap().task_tag;
    let (lun, transfer_tag, numbers) = (Lun::default(), RESERVED_TAG, idle.numbers());
    idle.stat_sn += 1;
    idle.answer(&message(&NopIn { lun, task_tag, transfer_tag, numbers }.encode(0)), None);
    assert_eq!(
        (idle.seen.len(), idle.connection.owes_pongs()),
        (3, false),
        "what was before it has been taken"
    );
    // A target that asks faster than it answers is no target.
    (0..PONGS_MAX as u32 + 1).for_each(|tag| bench.ping(tag + 9));
    assert_eq!(bench.connection.state, State::Ended(ConnectionEnd::Misbehaved(Misbehaviour::Flood)));
}
