//! A transport that keeps buffers and answers in plain vectors.

use crate::target::{
    Arrival, Connected, NamespaceConfig, Options, Portal, QueueKey, Refusal, Request, Response,
    SubsystemConfig, Target, Transfer, Transport,
};
use block::device::{Geometry, Ram};
use block::{BlockDevice, Identity, Volume};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use stdx::mem::Span;
use stdx::slab::{Key, Slab};
use stdx::testing::TestEnv;
use stdx::time::Time;
use wire::nvme::fabrics::{Connect, ConnectAttributes, ConnectData, Property, PropertySet};
use wire::nvme::{Nqn, Sgl, Status, SubmissionQueueEntry};

/// A target and its only transport.
pub(super) struct World {
    pub(super) env: TestEnv,
    pub(super) target: Target,
    connections: Slab<()>,
    /// Buffers of requests under way, by slot.
    buffers: BTreeMap<u32, Span>,
    /// Answers not asked for yet: the response, and the data sent with it.
    answers: BTreeMap<u32, (Response, Vec<u8>)>,
    next_slot: u32,
    /// The device of the first namespace.
    pub(super) ram: Rc<Ram>,
}

/// A host's queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    pub(super) connection: Key,
    pub(super) queue: QueueKey,
    pub(super) controller_id: u16,
    pub(super) host: u8,
}

/// What a command came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    pub(super) status: Status,
    pub(super) result: u64,
    pub(super) data: Vec<u8>,
}

pub(super) const BLOCK: usize = 512;
pub(super) const BLOCKS: u64 = 4096;

impl World {
    /// A subsystem with one namespace of 4096 blocks of 512 bytes, on one portal.
    pub(super) fn new() -> Self {
        Self::with(Options::default(), SubsystemConfig::new(subsystem_nqn()))
    }

    pub(super) fn with(options: Options, config: SubsystemConfig) -> Self {
        let mut env = TestEnv::new(64 << 20);
        env.now = Time::from_nanos(1_000_000_000);
        let ram = Rc::new(Ram::new(&mut env, Geometry::new(BLOCK as u32, BLOCKS).unwrap()).unwrap());
        let mut world = Self {
            env,
            target: Target::new(options),
            connections: Slab::new(1000),
            buffers: BTreeMap::new(),
            answers: BTreeMap::new(),
            next_slot: 0,
            ram: ram.clone(),
        };
        world.target.create_subsystem(config).unwrap();
        world.target.add_listener(&subsystem_nqn(), portal()).unwrap();
        world.add_device(ram, 1);
        world
    }

    /// Adds a device as a namespace with a UUID of its own.
    pub(super) fn add_device(&mut self, device: Rc<dyn BlockDevice>, name: u8) -> u32 {
        let volume = Rc::new(Volume::new(device, Identity([name; 16])));
        let channel = volume.open();
        let config = NamespaceConfig { uuid: [name; 16], ..NamespaceConfig::default() };
        self.target.add_namespace(&subsystem_nqn(), config, volume, channel).unwrap()
    }

    /// A RAM volume as the next namespace, whose reservations can persist.
    pub(super) fn add_persistent(&mut self, name: u8) -> u32 {
        let ram = Rc::new(Ram::new(&mut self.env, Geometry::new(BLOCK as u32, BLOCKS).unwrap()).unwrap());
        let channel = ram.open();
        let config = NamespaceConfig { uuid: [name; 16], ptpl: true, ..NamespaceConfig::default() };
        self.target.add_namespace(&subsystem_nqn(), config, ram, channel).unwrap()
    }

    /// Another RAM volume as the next namespace.
    pub(super) fn add_ram(&mut self, blocks: u64, name: u8) -> u32 {
        let geometry = Geometry::new(BLOCK as u32, blocks).unwrap();
        let ram = Rc::new(Ram::new(&mut self.env, geometry).unwrap());
        self.add_device(ram, name)
    }

    /// Connect, with everything chosen.
    pub(super) fn connect(
        &mut self,
        connect: &Connect,
        data: &ConnectData,
    ) -> Result<(Key, Connected), Refusal> {
        let connection = self.connections.insert(()).unwrap();
        let command = connect.command(0);
        let connected = self.target.connect(&mut self.env, connection, &arrival(), &command, data);
        self.target.check();
        Ok((connection, connected.expect("nobody has to wait")?))
    }

    /// A ready controller's admin queue, for the host with this number.
    pub(super) fn admin(&mut self, host: u8) -> Client {
        self.admin_of(&subsystem_nqn(), host)
    }

    pub(super) fn admin_of(&mut self, subsystem: &Nqn, host: u8) -> Client {
        let data = ConnectData::new([host; 16], 0xffff, subsystem, &host_nqn(host));
        let (connection, connected) = self.connect(&connect(0), &data).unwrap();
        let Connected { queue, controller_id, .. } = connected;
        let client = Client { connection, queue, controller_id, host };
        assert_eq!(
            self.run(client, PropertySet::command(Property::Configuration, 0x0046_0001, 1), &[]).status,
            Status::SUCCESS
        );
        client
    }

    /// An I/O queue of that controller.
    pub(super) fn io(&mut self, admin: Client, queue_id: u16) -> Client {
        let data =
            ConnectData::new([admin.host; 16], admin.controller_id, &subsystem_nqn(), &host_nqn(admin.host));
        let (connection, connected) = self.connect(&connect(queue_id), &data).unwrap();
        Client { connection, queue: connected.queue, ..admin }
    }

    /// A controller with one I/O queue: that queue.
    pub(super) fn host(&mut self, host: u8) -> Client {
        let admin = self.admin(host);
        self.io(admin, 1)
    }

    /// What `transfer` says of a command, without executing it.
    pub(super) fn transfer(
        &mut self,
        client: Client,
        command: &SubmissionQueueEntry,
    ) -> Result<Transfer, Status> {
        self.target.transfer(client.queue, command)
    }

    /// Brings a command and its data: its slot, or the status it was refused with.
    pub(super) fn send(
        &mut self,
        client: Client,
        command: SubmissionQueueEntry,
        data: &[u8],
    ) -> Result<u32, Status> {
        let transfer = self.target.transfer(client.queue, &command);
        // A refused command may answer another that waited for it.
        self.settle();
        let transfer = transfer?;
        Ok(self.submit(client, command, transfer, data))
    }

    /// The second half of [`World::send`].
    pub(super) fn submit(
        &mut self,
        client: Client,
        command: SubmissionQueueEntry,
        transfer: Transfer,
        data: &[u8],
    ) -> u32 {
        let slot = self.next_slot;
        self.next_slot += 1;
        let buffer = match transfer {
            Transfer::None | Transfer::FromController { lent: true, .. } => Span::EMPTY,
            Transfer::ToController { len } | Transfer::FromController { len, lent: false } => {
                self.env.memory.take(len as usize).unwrap()
            }
        };
        if let Transfer::ToController { .. } = transfer {
            self.env.memory.write(buffer, data);
        }
        if !buffer.is_empty() {
            self.buffers.insert(slot, buffer);
        }
        let request = Request { connection: client.connection, slot, command, data: buffer };
        self.target.submit(&mut self.env, client.queue, request);
        self.settle();
        slot
    }

    /// Collects answers.
    pub(super) fn settle(&mut self) {
        self.target.check();
        let mut responses = Vec::new();
        self.target.poll(&mut self.env, &mut responses);
        for response in responses {
            let mut data = vec![0; response.data.len()];
            self.env.memory.read(response.data, &mut data);
            if let Some(buffer) = self.buffers.remove(&response.slot) {
                self.env.memory.give(buffer);
            }
            let before = self.answers.insert(response.slot, (response, data));
            assert!(before.is_none(), "answered twice");
        }
        self.target.check();
    }

    /// The answer to a slot, if it is there.
    pub(super) fn answer(&mut self, slot: u32) -> Option<Answer> {
        let (response, data) = self.answers.remove(&slot)?;
        Some(Answer { status: response.status, result: response.result, data })
    }

    /// Brings a command and waits for its answer. Data from the controller is asked for with [`reading`].
    pub(super) fn run(&mut self, client: Client, command: SubmissionQueueEntry, data: &[u8]) -> Answer {
        let command = if data.is_empty() { command } else { writing(command, data.len()) };
        match self.send(client, command, data) {
            Err(status) => Answer { status, result: 0, data: Vec::new() },
            Ok(slot) => self.answer(slot).expect("an answer"),
        }
    }

    /// A connection ends.
    pub(super) fn disconnect(&mut self, client: Client) {
        self.target.disconnect(&mut self.env, client.queue);
        self.connections.remove(client.connection);
        self.settle();
    }

    /// Moves the clock and lets timers end.
    pub(super) fn advance(&mut self, by: Duration) {
        self.env.now += by;
        self.target.handle_timeout(&mut self.env);
        self.target.check();
    }

    /// Buffers the transport has out.
    pub(super) fn buffers_taken(&self) -> usize {
        self.env.memory.buffers_taken()
    }
}

/// The command with its data coming from the host.
pub(super) fn writing(command: SubmissionQueueEntry, len: usize) -> SubmissionQueueEntry {
    command.with_data(Sgl::Transport { length: len as u32 })
}

/// The command with its data going to the host.
pub(super) fn reading(command: SubmissionQueueEntry, len: usize) -> SubmissionQueueEntry {
    writing(command, len)
}

pub(super) fn subsystem_nqn() -> Nqn {
    Nqn::parse("nqn.2016-06.io.example:volumes").unwrap()
}

pub(super) fn host_nqn(host: u8) -> Nqn {
    Nqn::from_uuid(&[host; 16])
}

pub(super) fn portal() -> Portal {
    Portal { transport: Transport::Tcp, address: "0.0.0.0:4420".parse().unwrap() }
}

pub(super) fn arrival() -> Arrival {
    Arrival {
        portal: portal(),
        local: "10.0.0.1:4420".parse().unwrap(),
        peer: "10.0.0.2:51000".parse().unwrap(),
    }
}

/// A Connect for a queue with 32 entries.
pub(super) fn connect(queue_id: u16) -> Connect {
    Connect {
        record_format: 0,
        queue_id,
        queue_size_zero_based: 31,
        attributes: ConnectAttributes::NONE,
        keep_alive_ms: 0,
    }
}
