//! An iSER target that says what a test wants, to our initiator on one loopback device.
#![allow(dead_code, reason = "each test binary uses its part")]

#[path = "../disk_answer/mod.rs"]
mod disk_answer;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use disk_answer::disk_answer;
use scsi::iscsi::IscsiName;
use scsi::iscsi::initiator::{Initiator, InitiatorEvent, InitiatorOptions, Transport};
use scsi::iscsi::login::{Admission, Authentication, Limits, RdmaLimits, TargetLogin, Turn};
use std::collections::{BTreeMap, VecDeque};
use stdx::conformance::still::StillEnv;
use stdx::env::{Env, Owner};
use stdx::mem::{Kind, Span};
use stdx::slab::Key;
use stdx::time::{Time, earliest};
use verbs::endpoint::{Endpoint, Happening, Options};
use verbs::loopback::Loopback;
use verbs::{Access, Connections, Data, Key as MemoryKey, PortSpace, Provider, Remote};
use wire::iscsi::{
    Bhs, LoginRequest, LoginResponse, LoginStatus, LogoutRequest, LogoutResponse, LogoutResult, NopIn,
    NopOut, Numbers, Opcode, RESERVED_TAG, Residual, ScsiCommand, ScsiResponse, Serial, ServiceResponse,
    VERSION, padding,
};
use wire::iser::{Advertised, HEADER_LEN, Header, MESSAGE_LEN_MIN, PrivateData};

pub const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3260);
/// The number of the first command.
pub const CMD_SN: u32 = 0x1000;
const OURS: u64 = 1 << 32;
const THEIRS: u64 = 2 << 32;
/// Bytes of the target's memory.
const MEMORY: u64 = 1 << 20;
/// Bytes of the longest message either way.
const MESSAGE_MAX: u32 = 9000;

/// Both ends.
pub struct Script {
    pub env: StillEnv,
    pub device: Loopback,
    pub initiator: Initiator,
    pub target: Endpoint,
    /// The target's ends of connections, and what each has come to.
    pub connections: BTreeMap<Key, Conversation>,
    /// What came with each request for a connection.
    pub asked_with: Vec<Vec<u8>>,
    /// What it answers them with; none where it rejects them.
    pub answers_with: Option<PrivateData>,
    /// All messages that came.
    pub seen: Vec<Vec<u8>>,
    /// Those that are not answered.
    pub messages: VecDeque<(Key, Vec<u8>)>,
    pub events: Vec<InitiatorEvent>,
    /// The target's memory.
    pub memory: Span,
    /// How many commands after the next are taken.
    pub window: u32,
}

/// A session's only connection as the target has it.
pub struct Conversation {
    login: TargetLogin,
    stat_sn: u32,
    /// The next command that is expected.
    exp_cmd_sn: Serial,
}

impl Script {
    /// The initiator asks for a connection.
    pub fn begin(options: InitiatorOptions) -> Self {
        let mut env = StillEnv::with_buffers(1, 64 << 20);
        let limits = verbs::Limits { inline_bytes: MESSAGE_MAX, ..verbs::Limits::default() };
        let mut device = Loopback::new(limits, ADDRESS.ip());
        let limits = Options {
            connections_max: 8,
            receives: 512,
            receive_len: MESSAGE_MAX,
            sends: 256,
            pieces: 1,
            inline_bytes: MESSAGE_MAX,
            access: Access::LOCAL_WRITE.with(Access::REMOTE_READ).with(Access::REMOTE_WRITE),
        };
        let mut target = Endpoint::new(&mut env, &mut device, THEIRS, limits).unwrap();
        target.listen(&mut device, PortSpace::Tcp, ADDRESS).unwrap();
        let region = env.mem().map(Kind::Shared, MEMORY).unwrap();
        let memory = env.mem().whole(region);
        let initiator = Initiator::connect(&mut env, Owner(OURS), options).unwrap();
        Self {
            env,
            device,
            initiator,
            target,
            connections: BTreeMap::new(),
            asked_with: Vec::new(),
            answers_with: Some(PrivateData { no_zero_based: true, no_remote_invalidate: false }),
            seen: Vec::new(),
            messages: VecDeque::new(),
            events: Vec::new(),
            memory,
            window: 16,
        }
    }

    /// The initiator is let in, and knows its disk.
    pub fn connected(options: InitiatorOptions) -> Self {
        let mut script = Self::begin(options);
        for _ in 0..100 {
            script.answer_all();
        }
        assert_eq!(script.events, [InitiatorEvent::DiskAdded(0), InitiatorEvent::Connected]);
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
    pub fn pass(&mut self, time: Duration) {
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
        let Self { env, device, initiator, target, events, .. } = self;
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
        if initiator.deadline().is_some_and(|at| at <= env.now()) {
            initiator.handle_timeout(env);
        }
        initiator.drive(env, device);
        while let Some(event) = initiator.poll_event() {
            events.push(event);
        }
        initiator.check();
        while let Some(happening) = self.target.poll(&mut self.env, &mut self.device) {
            self.handle(happening);
        }
    }

    fn handle(&mut self, happening: Happening) {
        let Self { env, device, target, .. } = self;
        match happening {
            Happening::Requested(requested) => {
                let asked = requested.private_data.bytes();
                self.asked_with.push(asked[..asked.len().min(4)].to_vec());
                let Some(answer) = self.answers_with else {
                    return target.reject(device, requested.request, &[]);
                };
                let (request, parameters) = (requested.request, requested.parameters);
                if let Ok(connection) = target.accept(env, device, request, parameters, &answer.encode()) {
                    let begun =
                        Conversation { login: TargetLogin::new(), stat_sn: 1, exp_cmd_sn: Serial(CMD_SN) };
                    self.connections.insert(connection, begun);
                }
            }
            Happening::Received { connection, received } => {
                let mut bytes = vec![0; received.len as usize];
                env.mem().read(target.message(&received), &mut bytes);
                target.release(device, connection, received);
                self.seen.push(bytes.clone());
                self.count_command(connection, &bytes);
                if !self.log_in(connection, &bytes) {
                    self.messages.push_back((connection, bytes));
                }
            }
            Happening::Gone { connection } => drop(self.connections.remove(&connection)),
            Happening::Done { .. } | Happening::Established { .. } => {}
            Happening::Refused { .. } | Happening::Broken { .. } => {}
        }
    }

    /// Commands count in the order in which they come, which is that of their numbers.
    fn count_command(&mut self, connection: Key, message: &[u8]) {
        let Some(bhs) = bhs(message).filter(|bhs| !bhs.is_immediate()) else { return };
        let Some(conversation) = self.connections.get_mut(&connection) else { return };
        let is_counted = matches!(
            bhs.opcode(),
            Some(Opcode::ScsiCommand | Opcode::NopOut | Opcode::TaskRequest | Opcode::LogoutRequest)
        );
        if is_counted && ScsiCommand::number(bhs) == conversation.exp_cmd_sn {
            conversation.exp_cmd_sn = conversation.exp_cmd_sn.next();
        }
    }

    /// Answers a login. False if it is none.
    fn log_in(&mut self, connection: Key, message: &[u8]) -> bool {
        let is_login = |bhs: &&Bhs| bhs.opcode() == Some(Opcode::LoginRequest);
        let Some(bhs) = bhs(message).filter(is_login) else { return false };
        let Ok(request) = LoginRequest::decode(bhs) else { return false };
        let rdma = RdmaLimits {
            initiator_recv_data_segment_len: 1 << 18,
            target_recv_data_segment_len: 8192,
            unexpected_pdus_max: 0,
        };
        let admission = Admission {
            authentication: Authentication::None,
            limits: Limits::default().over_rdma(rdma),
            joins: None,
            portal_group_tag: 1,
            target_alias: String::new(),
        };
        let Some(conversation) = self.connections.get_mut(&connection) else { return true };
        conversation.exp_cmd_sn = request.cmd_sn;
        let text = &message[MESSAGE_LEN_MIN..][..bhs.data_len() as usize];
        let handled = conversation
            .login
            .handle(&mut || 7, Turn::of_request(&request), text, &mut |_| Ok(admission.clone()));
        let (turn, text) = handled.expect("an initiator of ours");
        let response = LoginResponse {
            transit: turn.next.is_some(),
            continues: turn.more,
            current: turn.stage,
            next: turn.next.unwrap_or(turn.stage),
            version_max: VERSION,
            version_active: VERSION,
            isid: request.isid,
            tsih: 5,
            task_tag: request.task_tag,
            numbers: self.count(connection),
            status: LoginStatus::Success,
        };
        self.send(connection, &response.encode(text.len() as u32), &text);
        true
    }

    /// The sequence numbers of the next response.
    pub fn count(&mut self, connection: Key) -> Numbers {
        let Some(conversation) = self.connections.get_mut(&connection) else { return Numbers::default() };
        let stat_sn = Serial(conversation.stat_sn);
        conversation.stat_sn = conversation.stat_sn.wrapping_add(1);
        let exp_cmd_sn = conversation.exp_cmd_sn;
        Numbers { stat_sn, exp_cmd_sn, max_cmd_sn: Serial(exp_cmd_sn.0.wrapping_add(self.window)) }
    }

    /// Sends a PDU.
    pub fn send(&mut self, connection: Key, bhs: &Bhs, data: &[u8]) {
        let mut message = [&Header::default().encode()[..], bhs.bytes(), data].concat();
        message.resize(message.len() + padding(data.len() as u32), 0);
        self.send_bytes(connection, &message);
    }

    /// Sends bytes as a message.
    pub fn send_bytes(&mut self, connection: Key, message: &[u8]) {
        // Who is gone hears nothing.
        let _ = self.target.send(&mut self.device, connection, 1, Data::Inline(message));
    }

    /// Answers all that came as a disk would.
    pub fn answer_all(&mut self) {
        self.settle();
        while let Some((connection, message)) = self.messages.pop_front() {
            self.answer(connection, &message);
        }
        self.settle();
    }

    /// Answers a message as a disk would.
    pub fn answer(&mut self, connection: Key, message: &[u8]) {
        let Some(bhs) = bhs(message) else { return };
        match bhs.opcode() {
            Some(Opcode::ScsiCommand) => {
                let Ok(command) = ScsiCommand::decode(bhs) else { return };
                let wanted = if command.read { command.expected_length as usize } else { 0 };
                let mut data = disk_answer(&command.cdb).unwrap_or_else(|| vec![command.cdb.0[9]; wanted]);
                data.truncate(wanted);
                self.write(connection, message, &data);
                let moved = if command.read { data.len() as u32 } else { command.expected_length };
                self.respond(connection, &command, 0, moved);
            }
            Some(Opcode::NopOut) => {
                let Ok(nop) = NopOut::decode(bhs) else { return };
                if nop.task_tag != RESERVED_TAG {
                    let (numbers, transfer_tag) = (self.count(connection), RESERVED_TAG);
                    let answer = NopIn { lun: nop.lun, task_tag: nop.task_tag, transfer_tag, numbers };
                    self.send(connection, &answer.encode(0), &[]);
                }
            }
            Some(Opcode::LogoutRequest) => {
                let Ok(logout) = LogoutRequest::decode(bhs) else { return };
                let answer = LogoutResponse {
                    result: LogoutResult::Closed,
                    task_tag: logout.task_tag,
                    numbers: self.count(connection),
                    time_to_wait_s: 0,
                    time_to_retain_s: 0,
                };
                self.send(connection, &answer.encode(), &[]);
            }
            _ => {}
        }
    }

    /// The response to a command of which so many bytes were moved.
    pub fn respond(&mut self, connection: Key, command: &ScsiCommand, status: u8, moved: u32) {
        let response = self.response(connection, command, status, moved);
        self.send(connection, &response, &[]);
    }

    /// The same, not sent.
    pub fn response(&mut self, connection: Key, command: &ScsiCommand, status: u8, moved: u32) -> Bhs {
        let response = ScsiResponse {
            response: ServiceResponse::Completed,
            status,
            task_tag: command.task_tag,
            snack_tag: 0,
            numbers: self.count(connection),
            exp_data_sn: Serial(0),
            bidirectional: Residual::None,
            residual: Residual::between(command.expected_length, moved),
        };
        response.encode(0)
    }

    /// Writes to the memory that a message advertises for it.
    pub fn write(&mut self, connection: Key, message: &[u8], data: &[u8]) {
        let advertised = Header::decode(message).ok().and_then(|header| header.read);
        let Some(Advertised { key, offset }) = advertised.filter(|_| !data.is_empty()) else { return };
        let from = self.memory.first(data.len());
        self.env.mem().write(from, data);
        let to = Remote { address: offset, key: MemoryKey(key) };
        let _ = self.target.write(&mut self.device, connection, 2, to, &[from]);
    }
}

/// The basic header of a message.
pub fn bhs(message: &[u8]) -> Option<&Bhs> {
    Bhs::view(message.get(HEADER_LEN..)?).ok()
}

pub fn options() -> InitiatorOptions {
    let name = |text| IscsiName::parse(text).unwrap();
    let options = InitiatorOptions::new(
        ADDRESS,
        name("iqn.2001-04.com.example:disk"),
        name("iqn.2001-04.com.example:us"),
    );
    InitiatorOptions { transport: Transport::Rdma, cmd_sn: Some(Serial(CMD_SN)), ..options }
}
