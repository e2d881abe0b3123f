//! A controller that does what a test says: it brings a host up by itself, and then leaves the I/O to the script.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod answers;
pub mod pdu;

use answers::Controller;
use block::{BlockDevice, Channel, Done, Io, Op};
use nvme::host::{Host, HostEvent, HostOptions};
use pdu::Sent;
use stdx::env::{Env, Owner, StreamId};
use stdx::testing::TestEnv;
use wire::nvme::identify::NvmControllerData;
use wire::nvme::log::AnaState;
use wire::nvme::tcp::{Digests, IcResp};
use wire::nvme::{FABRICS_OPCODE, FabricsCommandType, Nqn, Status, SubmissionQueueEntry};

/// The host and the scripted controller.
pub struct Script {
    pub env: TestEnv,
    pub host: Host,
    pub digests: Digests,
    /// In the ICResp that the next queue gets.
    pub max_h2c_data: u32,
    /// The controller is one of Base 2.0, and has these limits.
    pub limits: Option<NvmControllerData>,
    /// The controller tells this access state of its only group of namespaces.
    pub access: Option<AnaState>,
    /// Everything the host sent and the controller did not answer by itself.
    pub seen: Vec<(StreamId, Sent)>,
    /// Requests for events from the way up, not answered.
    pub event_requests: Vec<(StreamId, Sent)>,
    /// The queues: stream and queue identifier.
    pub queues: Vec<(StreamId, u16)>,
    pub channel: Option<Box<dyn Channel>>,
    /// The controller answers nothing any more.
    pub mute: bool,
    /// What each stream sends is kept as bytes, too, in the order the streams came.
    pub keep_sent: bool,
    pub kept: Vec<(StreamId, Vec<u8>)>,
}

impl Script {
    /// A host that is connected, with one channel to its namespace: 65,536 blocks of 4 KiB.
    pub fn connected(options: HostOptions) -> Self {
        Self::begin(options).up()
    }

    /// The way up.
    pub fn up(self) -> Self {
        let mut script = self;
        script.run();
        assert_eq!(script.host.poll_event(), Some(HostEvent::NamespaceAdded(1)));
        assert_eq!(script.host.poll_event(), Some(HostEvent::Connected));
        script.channel = Some(script.host.namespace(1).unwrap().open());
        assert!(script.seen.is_empty() || script.seen.iter().all(|(_, sent)| sent.is_event_request()));
        script.event_requests = std::mem::take(&mut script.seen);
        script
    }

    /// A host that begins to connect.
    pub fn begin(options: HostOptions) -> Self {
        let mut env = TestEnv::new(40 << 20);
        let digests = options.digests;
        let host = Host::connect(&mut env, Owner(3), options).unwrap();
        let (seen, queues) = (Vec::new(), Vec::new());
        Self {
            env,
            host,
            digests,
            max_h2c_data: 16 << 10,
            limits: None,
            access: None,
            event_requests: Vec::new(),
            seen,
            queues,
            channel: None,
            mute: false,
            keep_sent: false,
            kept: Vec::new(),
        }
    }

    /// Host and controller go on until neither has anything to do.
    pub fn run(&mut self) {
        loop {
            while let Some(event) = self.env.next_event() {
                self.host.handle_event(&mut self.env, &event);
            }
            while self.host.deadline().is_some_and(|deadline| deadline <= self.env.now()) {
                self.host.handle_timeout(&mut self.env);
            }
            self.host.flush(&mut self.env);
            if !self.answer() && self.env.is_quiet() {
                return;
            }
        }
    }

    /// The stream of the newest I/O queue.
    pub fn io_stream(&self) -> StreamId {
        self.queues.iter().rev().find(|(_, id)| *id > 0).expect("an I/O queue").0
    }

    /// The stream of the newest admin queue.
    pub fn admin_stream(&self) -> StreamId {
        self.queues.iter().rev().find(|(_, id)| *id == 0).expect("an admin queue").0
    }

    /// Submits a request and gives the command that was sent for it.
    pub fn submit(&mut self, io: Io) -> SubmissionQueueEntry {
        let channel = self.channel.as_mut().expect("connected");
        channel.submit(&mut self.env, io).unwrap();
        channel.poll(&mut self.env, &mut Vec::new());
        self.run();
        match self.seen.pop() {
            Some((_, Sent::Command { command, .. })) => command,
            other => panic!("{other:?} instead of a command"),
        }
    }

    /// A request over new memory.
    pub fn io(&mut self, tag: u64, op: Op, lba: u64, blocks: u32) -> Io {
        let data = self.env.mem().take(blocks as usize * 4096).unwrap();
        Io { tag, op, lba, blocks, fua: false, lend: false, data }
    }

    /// Bytes come from the controller.
    pub fn deliver(&mut self, stream: StreamId, bytes: &[u8]) {
        self.env.deliver(stream, bytes);
        self.run();
    }

    pub fn done(&mut self) -> Vec<Done> {
        let mut done = Vec::new();
        self.channel.as_mut().unwrap().poll(&mut self.env, &mut done);
        done
    }

    /// Takes what the host sent, and answers what needs no script. True if there was something.
    fn answer(&mut self) -> bool {
        let mut any = false;
        while let Some((stream, sent)) = self.env.take_sent() {
            any = true;
            self.keep(stream, &sent);
            let digests = self.digests;
            for pdu in pdu::parse(&sent, digests) {
                if self.mute || !self.answer_one(stream, &pdu) {
                    self.seen.push((stream, pdu));
                }
            }
        }
        any
    }

    fn keep(&mut self, stream: StreamId, sent: &[u8]) {
        if !self.keep_sent || sent.is_empty() {
            return;
        }
        match self.kept.iter_mut().find(|(of, _)| *of == stream) {
            Some((_, bytes)) => bytes.extend(sent),
            None => self.kept.push((stream, sent.to_vec())),
        }
    }

    fn answer_one(&mut self, stream: StreamId, pdu: &Sent) -> bool {
        match pdu {
            Sent::Initialization(_) => {
                let (digests, max_h2c_data) = (self.digests, self.max_h2c_data);
                let mut bytes = vec![0; IcResp::LEN];
                let response = IcResp { alignment: Default::default(), digests, max_h2c_data };
                response.encode(&mut bytes).unwrap();
                self.env.deliver(stream, &bytes);
                true
            }
            Sent::Command { command, .. } if command.opcode == FABRICS_OPCODE => {
                self.answer_fabrics(stream, command);
                true
            }
            Sent::Command { command, .. } if stream == self.admin_stream() => {
                self.answer_admin(stream, command)
            }
            Sent::Command { .. } | Sent::Data { .. } | Sent::Terminated(_) => false,
        }
    }

    fn answer_fabrics(&mut self, stream: StreamId, command: &SubmissionQueueEntry) {
        if command.fabrics_type_code() == FabricsCommandType::Connect.code() {
            self.queues.push((stream, (command.cdw10.get() >> 16) as u16));
        }
        let result = answers::fabrics(command);
        let response = pdu::response(command, Status::SUCCESS, result, self.digests);
        self.env.deliver(stream, &response);
    }

    fn answer_admin(&mut self, stream: StreamId, command: &SubmissionQueueEntry) -> bool {
        let controller = Controller { limits: self.limits, access: self.access };
        let Some(data) = controller.admin(command) else { return false };
        let mut bytes = Vec::new();
        if !data.is_empty() {
            bytes = pdu::data(command, 0, &data, true, false, self.digests);
        }
        bytes.extend(pdu::response(command, Status::SUCCESS, 0, self.digests));
        self.env.deliver(stream, &bytes);
        true
    }
}

pub fn options() -> HostOptions {
    let subsystem = Nqn::parse("nqn.2026-01.test.weft:script").unwrap();
    let address = "10.0.0.1:4420".parse().unwrap();
    HostOptions { io_queues: 1, ..HostOptions::new(address, subsystem, Nqn::from_uuid(&[9; 16]), [9; 16]) }
}
