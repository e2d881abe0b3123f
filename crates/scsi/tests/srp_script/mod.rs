//! An SRP target that says what a test wants, to our initiator on one loopback device.
#![allow(dead_code, reason = "each test binary uses its part")]

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use scsi::srp::initiator::{ChannelEnd, Failure, Initiator, InitiatorEvent, InitiatorOptions};
use std::collections::VecDeque;
use stdx::conformance::still::StillEnv;
use stdx::env::{Env, Owner};
use stdx::mem::{Kind, Span};
use stdx::slab::Key;
use stdx::time::{Time, earliest};
use verbs::endpoint::{Endpoint, Happening, Options};
use verbs::loopback::Loopback;
use verbs::{Access, Connections, Data, Key as MemoryKey, PortSpace, Provider, Remote};
use wire::srp::{
    BufferFormats, ChannelResult, Command, Descriptor, LoginReject, LoginRejectReason, LoginResponse,
    Response, ResponseFlags,
};

pub const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5555);
const OURS: u64 = 1 << 32;
const THEIRS: u64 = 2 << 32;
/// Bytes of the target's memory.
const MEMORY: usize = 1 << 20;
/// Blocks of its disk.
pub const BLOCKS: u64 = 2048;

/// Both ends.
pub struct Script {
    pub env: StillEnv,
    pub device: Loopback,
    pub initiator: Initiator,
    pub target: Endpoint,
    /// What it answers logins with.
    pub login: LoginResponse,
    /// Or why it does not.
    pub refusal: Option<LoginRejectReason>,
    /// The bytes of logins.
    pub logins: Vec<Vec<u8>>,
    /// The target's ends of channels.
    pub channels: Vec<Key>,
    /// Units that came and are not answered.
    pub units: VecDeque<(Key, Vec<u8>)>,
    pub events: Vec<InitiatorEvent>,
    /// The target's memory.
    pub memory: Span,
    /// Work of the target's that failed.
    pub failed: u32,
}

impl Script {
    /// The initiator asks for a channel.
    pub fn begin(options: InitiatorOptions) -> Self {
        let mut env = StillEnv::with_buffers(1, 64 << 20);
        let mut device = Loopback::new(verbs::Limits::default(), ADDRESS.ip());
        let limits = Options {
            connections_max: 8,
            receives: 512,
            receive_len: 16 << 10,
            sends: 512,
            pieces: 1,
            inline_bytes: 300,
            access: Access::LOCAL_WRITE.with(Access::REMOTE_READ).with(Access::REMOTE_WRITE),
        };
        let mut target = Endpoint::new(&mut env, &mut device, THEIRS, limits).unwrap();
        target.listen(&mut device, PortSpace::Tcp, ADDRESS).unwrap();
        let region = env.mem().map(Kind::Shared, MEMORY as u64).unwrap();
        let memory = env.mem().whole(region);
        let initiator = Initiator::connect(&mut env, Owner(OURS), options).unwrap();
        Self {
            env,
            device,
            initiator,
            target,
            login: LoginResponse {
                tag: 0,
                request_limit: 32,
                iu_len_to_target: 8260,
                iu_len_to_initiator: 300,
                formats: BufferFormats::DIRECT.with(BufferFormats::INDIRECT),
                channels: ChannelResult::NoOther,
                is_immediate_taken: true,
            },
            refusal: None,
            logins: Vec::new(),
            channels: Vec::new(),
            units: VecDeque::new(),
            events: Vec::new(),
            memory,
            failed: 0,
        }
    }

    /// The initiator is let in, and knows its disk.
    pub fn connected(options: InitiatorOptions) -> Self {
        let mut script = Self::begin(options);
        script.settle();
        for _ in 0..100 {
            script.answer_all();
        }
        assert_eq!(script.events.pop(), Some(InitiatorEvent::Connected), "{:?}", script.events);
        script.events.clear();
        script
    }

    /// Lets happen what happens without time going by.
    pub fn settle(&mut self) {
        for _ in 0..20 {
            self.turn();
        }
    }

    /// Lets time go by.
    pub fn pass(&mut self, time: core::time::Duration) {
        let until = self.env.now() + time;
        for _ in 0..1000 {
            self.settle();
            let Some(next) = self.deadline().filter(|next| *next <= until) else { break };
            self.env.set_now(next.max(self.env.now()));
        }
        self.env.set_now(until);
        self.settle();
    }

    fn deadline(&self) -> Option<Time> {
        earliest(self.initiator.deadline(), self.device.deadline())
    }

    pub fn turn(&mut self) {
        self.device.turn(&mut self.env);
        let Self { env, device, initiator, target, .. } = self;
        while let Some(event) = device.poll_event() {
            match event.owner.0 >> 32 == OURS >> 32 {
                true => initiator.handle_device_event(device, &event),
                false => target.handle_event(device, &event),
            }
        }
        while let Some(event) = device.poll_connection() {
            match event.owner.0 >> 32 == OURS >> 32 {
                true => initiator.handle_connection(env, device, &event),
                false => target.handle_connection(env, device, &event),
            }
        }
        self.drive();
        while let Some(happening) = self.target.poll(&mut self.env, &mut self.device) {
            self.handle(happening);
        }
    }

    /// The initiator's part of a turn.
    pub fn drive(&mut self) {
        let Self { env, device, initiator, events, .. } = self;
        if initiator.deadline().is_some_and(|at| at <= env.now()) {
            initiator.handle_timeout(env);
        }
        initiator.drive(env, device);
        while let Some(event) = initiator.poll_event() {
            events.push(event);
        }
        initiator.check();
    }

    fn handle(&mut self, happening: Happening) {
        let Self { env, device, target, .. } = self;
        match happening {
            Happening::Requested(requested) => {
                self.logins.push(requested.private_data.bytes().to_vec());
                if let Some(reason) = self.refusal {
                    let reject = LoginReject { tag: 0, reason, formats: self.login.formats };
                    return target.reject(device, requested.request, &reject.encode());
                }
                let answer = self.login.encode();
                let (request, parameters) = (requested.request, requested.parameters);
                if let Ok(channel) = target.accept(env, device, request, parameters, &answer) {
                    self.channels.push(channel);
                }
            }
            Happening::Received { connection, received } => {
                let mut bytes = vec![0; received.len as usize];
                env.mem().read(target.message(&received), &mut bytes);
                self.units.push_back((connection, bytes));
                target.release(device, connection, received);
            }
            Happening::Done { status, .. } => {
                self.failed += u32::from(status != verbs::Status::Success);
            }
            Happening::Gone { connection } => self.channels.retain(|channel| *channel != connection),
            Happening::Established { .. } | Happening::Refused { .. } | Happening::Broken { .. } => {}
        }
    }

    /// Sends bytes as a unit.
    pub fn send(&mut self, channel: Key, unit: &[u8]) {
        // Who is gone hears nothing.
        let _ = self.target.send(&mut self.device, channel, 1, Data::Inline(unit));
    }

    /// The first channel.
    pub fn channel(&self) -> Key {
        self.channels[0]
    }

    /// The next command that is not answered.
    pub fn command(&mut self) -> (Key, Vec<u8>) {
        self.settle();
        self.units.pop_front().expect("a unit came")
    }

    /// Answers all commands as a disk would.
    pub fn answer_all(&mut self) {
        self.settle();
        while let Some((channel, unit)) = self.units.pop_front() {
            if let Ok(command) = Command::decode(&unit)
                && wire::srp::peek(&unit).is_ok_and(|(opcode, _)| opcode == Some(wire::srp::Opcode::Command))
            {
                self.answer(channel, &command);
            }
        }
        self.settle();
    }

    /// Answers a command as a disk would.
    pub fn answer(&mut self, channel: Key, command: &Command<'_>) {
        let wanted = command.data_in.data_len() as usize;
        let data = data_of(&command.cdb, wanted);
        self.write(channel, command, &data);
        let missing = (wanted - data.len()) as u32;
        self.send(channel, &response(command.tag, missing));
    }

    /// Writes to the memory that a command names.
    pub fn write(&mut self, channel: Key, command: &Command<'_>, data: &[u8]) {
        let from = self.memory.first(data.len());
        self.env.mem().write(from, data);
        let mut at = 0;
        for (to, len) in pieces(&command.data_in) {
            let len = len.min(data.len() - at);
            if len > 0 {
                let _ = self.target.write(&mut self.device, channel, 2, to, &[from.slice(at, len)]);
            }
            at += len;
        }
    }

    /// Why the initiator has failed, if need be after the answer that it was waiting for.
    pub fn failure(&mut self) -> ChannelEnd {
        self.settle();
        match self.events[..] {
            [InitiatorEvent::Failed(Failure::Channel(why))]
            | [InitiatorEvent::Connected, InitiatorEvent::ConnectionLost(Failure::Channel(why))] => why,
            ref other => panic!("{other:?}"),
        }
    }
}

/// The memory that a descriptor names.
pub fn pieces(descriptor: &Descriptor<'_>) -> Vec<(Remote, usize)> {
    let remote = |memory: &wire::srp::MemoryDescriptor| {
        (Remote { address: memory.address, key: MemoryKey(memory.key) }, memory.len as usize)
    };
    match descriptor {
        Descriptor::None | Descriptor::Immediate { .. } => Vec::new(),
        Descriptor::Direct(memory) => vec![remote(memory)],
        Descriptor::Indirect { first, .. } => first.iter().map(|memory| remote(&memory)).collect(),
    }
}

/// Good status, so many bytes missing, and a credit.
pub fn response(tag: u64, missing: u32) -> Vec<u8> {
    let flags = if missing > 0 { ResponseFlags::DATA_IN_UNDERFLOW } else { ResponseFlags::default() };
    written(&Response { flags, data_in_residual: missing, ..good(tag) })
}

/// Good status and a credit.
pub const fn good(tag: u64) -> Response<'static> {
    Response {
        tag,
        request_limit_delta: 1,
        solicited: false,
        flags: ResponseFlags::NONE,
        status: 0,
        data_out_residual: 0,
        data_in_residual: 0,
        code: None,
        sense: &[],
    }
}

pub fn written(response: &Response<'_>) -> Vec<u8> {
    let mut unit = vec![0; response.len()];
    response.encode(&mut unit).unwrap();
    unit
}

/// What a disk of [`BLOCKS`] blocks of 512 bytes answers with, `wanted` bytes at most.
fn data_of(cdb: &[u8; 16], wanted: usize) -> Vec<u8> {
    let mut data = match cdb[0] {
        0x12 if cdb[1] & 1 != 0 => vec![0, cdb[2], 0, 0],
        0x12 => vec![0; 36],
        0x9e => [&(BLOCKS - 1).to_be_bytes()[..], &512u32.to_be_bytes(), &[0; 20]].concat(),
        0x1a => vec![3, 0, 0, 0],
        0x28 | 0x88 => vec![cdb[9]; wanted],
        _ => Vec::new(),
    };
    data.truncate(wanted);
    data
}
