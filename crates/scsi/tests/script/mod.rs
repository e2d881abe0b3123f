//! A target that does what a test says: it lets an initiator in and tells what its disk is by itself, and then leaves the
//! commands to the script.
#![allow(dead_code, reason = "each test binary uses its part")]

#[path = "../disk_answer/mod.rs"]
mod disk_answer;

use block::{Channel, Done, Io, Op};
use disk_answer::disk_answer;
use scsi::iscsi::IscsiName;
use scsi::iscsi::initiator::{Initiator, InitiatorEvent, InitiatorOptions};
use scsi::iscsi::login::{Admission, Authentication, Limits, Parameters, Refusal, TargetLogin, Turn};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use stdx::env::{Env, Owner, StreamId};
use stdx::mem::Span;
use stdx::testing::TestEnv;
use wire::iscsi::{
    Bhs, DIGEST_LEN, DataIn, DataInStatus, Digests, HeaderRules, Isid, LoginRequest, LoginResponse,
    LoginStatus, NopIn, NopOut, Numbers, Opcode, R2t, RESERVED_TAG, Receiver, Residual, ScsiCommand,
    ScsiResponse, Serial, ServiceResponse, VERSION, padding,
};
use wire::scsi::{Lun, Sense, Status};

/// The initiator and the scripted target.
pub struct Script {
    pub env: TestEnv,
    pub initiator: Initiator,
    /// What the target wants of each connection's parameters.
    pub limits: Limits,
    pub authentication: Authentication,
    /// What the next logins are refused with.
    pub refuse: Option<Refusal>,
    pub connections: BTreeMap<StreamId, Connection>,
    /// Everything the initiator sent and the target did not answer by itself.
    pub seen: Vec<Sent>,
    pub channel: Option<Box<dyn Channel>>,
    /// The target answers nothing any more.
    pub mute: bool,
    /// What commands are answered with before they run.
    pub attentions: Vec<Sense>,
    /// How far the window is open beyond what has come.
    pub window: u32,
    /// What the last session agreed on, and the command that is expected when it is joined by another connection.
    pub agreed: Option<Parameters>,
    pub resume_at: Serial,
    /// The last request of each login that led to something.
    pub logins: Vec<LoginRequest>,
    /// The connection that answers go by; the newest if there is none.
    pub at: Option<StreamId>,
    /// Whether all that the initiator sends is kept, and what was.
    pub keeps: bool,
    /// Commands come in their order, and once: true unless the target asks for what it has.
    pub strict: bool,
    pub kept: Vec<Sent>,
    orders: BTreeMap<Isid, Rc<Order>>,
}

/// The target's half of a connection.
pub struct Connection {
    login: Option<TargetLogin>,
    pub digests: Digests,
    pub stat_sn: Serial,
    /// The next command of its session.
    pub exp_cmd_sn: Rc<Order>,
    buffer: Vec<u8>,
}

/// A PDU of the initiator's.
#[derive(Clone, Debug)]
pub struct Sent {
    pub stream: StreamId,
    pub bhs: Bhs,
    pub data: Vec<u8>,
}

impl Sent {
    pub fn opcode(&self) -> Opcode {
        self.bhs.opcode().expect("an operation code")
    }

    pub fn command(&self) -> ScsiCommand {
        ScsiCommand::decode(&self.bhs).expect("a command")
    }
}

impl Script {
    /// An initiator that is connected, with a channel to its disk: 65,536 blocks of 4 KiB.
    pub fn connected(options: InitiatorOptions) -> Self {
        Self::begin(options).up()
    }

    /// It is let in.
    pub fn up(mut self) -> Self {
        self.run();
        assert_eq!(self.initiator.poll_event(), Some(InitiatorEvent::DiskAdded(0)));
        assert_eq!(self.initiator.poll_event(), Some(InitiatorEvent::Connected));
        self.channel = Some(block::BlockDevice::open(&self.initiator.disk(0).expect("a disk")));
        assert!(self.seen.is_empty(), "{:?}", self.seen);
        self
    }

    /// An initiator that begins to connect.
    pub fn begin(options: InitiatorOptions) -> Self {
        let mut env = TestEnv::new(40 << 20);
        let initiator = Initiator::connect(&mut env, Owner(3), options).expect("an initiator");
        Self {
            env,
            initiator,
            limits: Limits::default(),
            authentication: Authentication::None,
            refuse: None,
            connections: BTreeMap::new(),
            seen: Vec::new(),
            channel: None,
            mute: false,
            attentions: Vec::new(),
            window: 64,
            agreed: None,
            resume_at: Serial(0),
            logins: Vec::new(),
            at: None,
            keeps: false,
            strict: true,
            kept: Vec::new(),
            orders: BTreeMap::new(),
        }
    }

    /// Initiator and target go on until neither has anything to do.
    pub fn run(&mut self) {
        loop {
            while let Some(event) = self.env.next_event() {
                self.initiator.handle_event(&mut self.env, &event);
                self.initiator.check();
            }
            while self.initiator.deadline().is_some_and(|deadline| deadline <= self.env.now()) {
                self.initiator.handle_timeout(&mut self.env);
            }
            self.initiator.flush(&mut self.env);
            self.initiator.check();
            if !self.answer() && self.env.is_quiet() {
                return;
            }
        }
    }

    /// The stream that answers go by.
    pub fn stream(&self) -> StreamId {
        self.at.unwrap_or_else(|| self.newest())
    }

    fn newest(&self) -> StreamId {
        *self.connections.keys().next_back().expect("a connection")
    }

    /// Submits a request and gives the command that was sent for it.
    pub fn submit(&mut self, io: Io) -> ScsiCommand {
        let channel = self.channel.as_mut().expect("connected");
        channel.submit(&mut self.env, io).expect("room");
        channel.poll(&mut self.env, &mut Vec::new());
        self.run();
        let command =
            self.seen.iter().position(|sent| sent.opcode() == Opcode::ScsiCommand).expect("a command");
        self.seen.remove(command).command()
    }

    /// A request without memory.
    pub fn bare(&self, tag: u64, op: Op, lba: u64, blocks: u32) -> Io {
        Io { tag, op, lba, blocks, fua: false, lend: false, data: Span::EMPTY }
    }

    /// A request over new memory.
    pub fn io(&mut self, tag: u64, op: Op, lba: u64, blocks: u32) -> Io {
        let data = self.env.mem().take(blocks as usize * 4096).expect("a buffer");
        Io { tag, op, lba, blocks, fua: false, lend: false, data }
    }

    pub fn done(&mut self) -> Vec<Done> {
        let mut done = Vec::new();
        self.channel.as_mut().expect("connected").poll(&mut self.env, &mut done);
        done
    }

    /// Bytes come from the target.
    pub fn deliver(&mut self, stream: StreamId, bytes: &[u8]) {
        self.env.deliver(stream, bytes);
        self.run();
    }

    /// Numbers for a PDU that is no response.
    pub fn numbers(&self, stream: StreamId) -> Numbers {
        let connection = &self.connections[&stream];
        let (stat_sn, exp_cmd_sn) = (connection.stat_sn, connection.exp_cmd_sn.get());
        Numbers {
            stat_sn,
            exp_cmd_sn,
            max_cmd_sn: Serial(exp_cmd_sn.0.wrapping_add(self.window).wrapping_sub(1)),
        }
    }

    /// Numbers for a response.
    pub fn count(&mut self, stream: StreamId) -> Numbers {
        let numbers = self.numbers(stream);
        let connection = self.connections.get_mut(&stream).expect("a connection");
        connection.stat_sn = connection.stat_sn.next();
        numbers
    }

    /// The bytes of a PDU.
    pub fn pdu(&self, stream: StreamId, bhs: &Bhs, data: &[u8]) -> Vec<u8> {
        let digests = self.connections[&stream].digests;
        let mut bytes = bhs.bytes().to_vec();
        if digests.header {
            bytes.extend(crc32c::crc32c(bhs.bytes()).to_le_bytes());
        }
        if !data.is_empty() {
            let mut padded = data.to_vec();
            padded.resize(data.len() + padding(data.len() as u32), 0);
            bytes.extend(&padded);
            if digests.data {
                bytes.extend(crc32c::crc32c(&padded).to_le_bytes());
            }
        }
        bytes
    }

    /// The bytes of a response.
    pub fn response(
        &mut self,
        command: &ScsiCommand,
        status: Status,
        sense: Option<Sense>,
        residual: Residual,
    ) -> Vec<u8> {
        let stream = self.stream();
        let mut data = Vec::new();
        if let Some(sense) = sense {
            let mut bytes = [0; Sense::LEN_MAX];
            let len = sense.write(&mut bytes);
            data.extend((len as u16).to_be_bytes());
            data.extend(&bytes[..len]);
        }
        let response = ScsiResponse {
            response: ServiceResponse::Completed,
            status: status as u8,
            task_tag: command.task_tag,
            snack_tag: 0,
            numbers: self.count(stream),
            exp_data_sn: Serial(0),
            bidirectional: Residual::None,
            residual,
        };
        self.pdu(stream, &response.encode(data.len() as u32), &data)
    }

    /// Good status, and nothing else to say.
    pub fn good(&mut self, command: &ScsiCommand) -> Vec<u8> {
        self.response(command, Status::Good, None, Residual::None)
    }

    /// The bytes of a Data-In; with `last` it has the good status of its command.
    pub fn data(
        &mut self,
        command: &ScsiCommand,
        data_sn: u32,
        offset: u32,
        data: &[u8],
        last: bool,
    ) -> Vec<u8> {
        let stream = self.stream();
        let expected = command.expected_length;
        let residual = Residual::between(expected, offset.saturating_add(data.len() as u32).min(expected));
        let numbers = if last { self.count(stream) } else { self.numbers(stream) };
        let header = DataIn {
            is_final: last,
            acknowledge: false,
            lun: Lun::default(),
            task_tag: command.task_tag,
            transfer_tag: RESERVED_TAG,
            numbers,
            data_sn: Serial(data_sn),
            offset,
            status: last.then_some(DataInStatus { status: 0, residual }),
        };
        self.pdu(stream, &header.encode(data.len() as u32), data)
    }

    /// The bytes of an R2T.
    pub fn r2t(&mut self, command: &ScsiCommand, r2t_sn: u32, offset: u32, length: u32) -> Vec<u8> {
        let stream = self.stream();
        let header = R2t {
            lun: command.lun,
            task_tag: command.task_tag,
            transfer_tag: 77 + r2t_sn,
            numbers: self.numbers(stream),
            r2t_sn: Serial(r2t_sn),
            offset,
            length,
        };
        self.pdu(stream, &header.encode(), &[])
    }

    /// Takes what the initiator sent, and answers what needs no script. True if there was something.
    fn answer(&mut self) -> bool {
        let mut any = false;
        for stream in self.env.streams() {
            let sent = std::mem::take(&mut self.env.stream(stream).sent);
            any |= !sent.is_empty();
            let connection = self.connections.entry(stream).or_insert_with(Connection::new);
            connection.buffer.extend(sent);
            while let Some((bhs, data)) = self.connections.get_mut(&stream).and_then(Connection::next_pdu) {
                let sent = Sent { stream, bhs, data };
                if self.keeps {
                    self.kept.push(sent.clone());
                }
                if self.mute || !self.answer_one(&sent) {
                    self.seen.push(sent);
                }
            }
        }
        any
    }

    fn answer_one(&mut self, sent: &Sent) -> bool {
        match sent.opcode() {
            Opcode::LoginRequest => self.log_in(sent),
            Opcode::ScsiCommand => return self.execute(sent),
            Opcode::NopOut => {
                let nop = NopOut::decode(&sent.bhs).expect("a NOP-Out");
                if nop.task_tag == RESERVED_TAG {
                    return false;
                }
                let numbers = self.count(sent.stream);
                let header =
                    NopIn { lun: nop.lun, task_tag: nop.task_tag, transfer_tag: RESERVED_TAG, numbers };
                let bytes = self.pdu(sent.stream, &header.encode(0), &[]);
                self.env.deliver(sent.stream, &bytes);
            }
            _script => return false,
        }
        true
    }

    fn log_in(&mut self, sent: &Sent) {
        let request = LoginRequest::decode(&sent.bhs).expect("a login request");
        let (limits, authentication) = (self.limits.clone(), self.authentication.clone());
        let refuse = self.refuse.clone();
        let joins = self.agreed.filter(|_| request.tsih != 0);
        let of_session = self.logins.iter().rev().filter(|login| login.isid == request.isid);
        let begun = of_session.clone().take_while(|login| login.tsih != 0).count() + 1;
        let resumes = of_session.take(begun).any(|login| login.connection_id == request.connection_id);
        let order = self.orders.entry(request.isid).or_default();
        match (joins, resumes) {
            (None, _) => *order = Rc::new(Order::from(request.cmd_sn)),
            (Some(_), true) => order.set(self.resume_at),
            (Some(_), false) => {}
        }
        let connection = self.connections.get_mut(&sent.stream).expect("a connection");
        connection.exp_cmd_sn = Rc::clone(order);
        let login = connection.login.as_mut().expect("a login under way");
        let handled =
            login.handle(&mut || 7, Turn::of_request(&request), &sent.data, &mut |_| match &refuse {
                Some(refusal) => Err(refusal.clone()),
                None => Ok(Admission {
                    authentication: authentication.clone(),
                    limits: limits.clone(),
                    joins,
                    portal_group_tag: 1,
                    target_alias: String::new(),
                }),
            });
        let (turn, text, status) = match handled {
            Ok((turn, text)) => (turn, text, LoginStatus::Success),
            Err(refusal) => (Turn::stay(request.current), refusal.text(), refusal.status()),
        };
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
            numbers: self.count(sent.stream),
            status,
        };
        let bytes = self.pdu(sent.stream, &response.encode(text.len() as u32), &text);
        let connection = self.connections.get_mut(&sent.stream).expect("a connection");
        if turn.next == Some(wire::iscsi::Stage::FullFeature) {
            self.logins.push(request);
            let login = connection.login.take().expect("a login under way");
            let agreed = login.parameters().expect("parameters");
            connection.digests = Digests { header: agreed.header_digest, data: agreed.data_digest };
            self.agreed = Some(agreed);
        }
        self.env.deliver(sent.stream, &bytes);
    }

    /// Answers what tells of the disk. True if it did.
    fn execute(&mut self, sent: &Sent) -> bool {
        let command = sent.command();
        let connection = self.connections.get_mut(&sent.stream).expect("a connection");
        let order = &connection.exp_cmd_sn;
        assert!(!self.strict || order.takes(command.cmd_sn), "a command that is not expected");
        order.take(command.cmd_sn);
        let Some(answer) = disk_answer(&command.cdb) else { return false };
        let at = self.at.replace(sent.stream);
        let bytes = match self.attentions.pop() {
            Some(sense) => {
                let residual = Residual::Underflow(command.expected_length);
                self.response(&command, Status::CheckCondition, Some(sense), residual)
            }
            None if answer.is_empty() => self.good(&command),
            None => {
                self.data(&command, 0, 0, &answer[..answer.len().min(command.expected_length as usize)], true)
            }
        };
        self.at = at;
        self.env.deliver(sent.stream, &bytes);
        true
    }
}

/// The order of a session's commands, which may come by several connections.
#[derive(Default)]
pub struct Order {
    expected: Cell<Serial>,
    early: RefCell<Vec<Serial>>,
}

impl Order {
    fn from(first: Serial) -> Self {
        Self { expected: Cell::new(first), ..Self::default() }
    }

    /// The command that is expected.
    pub fn get(&self) -> Serial {
        self.expected.get()
    }

    /// Another one is: what came early has to come again.
    pub fn set(&self, expected: Serial) {
        self.expected.set(expected);
        self.early.borrow_mut().clear();
    }

    fn takes(&self, number: Serial) -> bool {
        !number.precedes(self.get()) && !self.early.borrow().contains(&number)
    }

    fn take(&self, number: Serial) {
        let mut early = self.early.borrow_mut();
        early.push(number);
        while let Some(place) = early.iter().position(|early| *early == self.get()) {
            early.swap_remove(place);
            self.expected.set(self.get().next());
        }
    }
}

impl Connection {
    fn new() -> Self {
        Self {
            login: Some(TargetLogin::new()),
            digests: Digests::default(),
            stat_sn: Serial(u32::MAX - 3),
            exp_cmd_sn: Rc::default(),
            buffer: Vec::new(),
        }
    }

    fn next_pdu(&mut self) -> Option<(Bhs, Vec<u8>)> {
        let bhs = *Bhs::view(&self.buffer).ok()?;
        let rules = HeaderRules { receiver: Receiver::Target, digests: self.digests, data_max: u32::MAX };
        let layout = bhs.check(&rules).expect("a PDU for a target");
        if self.buffer.len() < layout.pdu_len() {
            return None;
        }
        let crc = crc32c::crc32c(&self.buffer[..layout.header_len()]);
        layout
            .verify_header(&self.buffer, if layout.header_digest { crc } else { 0 })
            .expect("a header digest");
        let from = layout.header_span();
        let data = self.buffer[from..from + layout.data_len as usize].to_vec();
        if layout.data_digest {
            let end = from + data.len() + layout.padding_len();
            let digest = crc32c::crc32c(&self.buffer[from..end]).to_le_bytes();
            assert_eq!(self.buffer[end..end + DIGEST_LEN], digest, "a data digest");
        }
        self.buffer.drain(..layout.pdu_len());
        Some((bhs, data))
    }
}

pub fn options() -> InitiatorOptions {
    let name = |text: &str| IscsiName::parse(text).expect("a name");
    let address = "10.0.0.1:3260".parse().expect("an address");
    let target = name("iqn.2001-04.com.example:disk");
    InitiatorOptions::new(address, target, name("iqn.2001-04.com.example:initiator"))
}
