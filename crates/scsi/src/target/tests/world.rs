//! A transport that keeps buffers and outcomes in plain maps.

use crate::target::{
    Command, DeviceConfig, DeviceKey, Executor, Function, Management, ManagementOutcome, NexusKey, Outcome,
    PortConfig, Protocol, Target, TaskAttribute, TaskKey, Transfer, UnitConfig,
};
use block::device::{Geometry, Ram};
use block::{BlockDevice, Identity, Volume};
use std::collections::BTreeMap;
use std::rc::Rc;
use stdx::mem::Span;
use stdx::testing::TestEnv;
use stdx::time::Time;
use wire::scsi::{Cdb, Lun, Sense, Status, TransportId};

/// A target with one device on two ports, and its only transport.
pub(in super::super) struct World {
    pub(in super::super) env: TestEnv,
    pub(in super::super) target: Target,
    pub(in super::super) device: DeviceKey,
    /// The volume behind LUN 0.
    pub(in super::super) ram: Rc<Ram>,
    /// Buffers of tasks under way, by slot.
    buffers: BTreeMap<u32, Span>,
    answers: BTreeMap<u32, Answer>,
    next_slot: u32,
    /// Logical units are added with reservations that can persist.
    persists: bool,
    /// Logical units are added with media that can be ejected.
    removable: bool,
}

/// What a command came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) struct Answer {
    pub(in super::super) status: Option<Status>,
    pub(in super::super) sense: Option<Sense>,
    pub(in super::super) data: Vec<u8>,
}

impl Answer {
    /// The data of a command that went well. Panics otherwise.
    pub(in super::super) fn good(self) -> Vec<u8> {
        assert_eq!((self.status, self.sense), (Some(Status::Good), None));
        self.data
    }

    /// The sense data of a command that did not, without particulars. Panics otherwise.
    pub(in super::super) fn fault(&self) -> Sense {
        assert_eq!(self.status, Some(Status::CheckCondition));
        let sense = self.sense.expect("sense data");
        Sense::new(sense.key, sense.code, sense.qualifier)
    }
}

/// A task begun and not submitted.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Opened {
    pub(in super::super) task: TaskKey,
    pub(in super::super) slot: u32,
    pub(in super::super) transfer: Transfer,
}

impl World {
    /// 4096 blocks of 512 bytes behind LUN 0.
    pub(in super::super) fn new() -> Self {
        Self::with_blocks(512, 4096)
    }

    pub(in super::super) fn with_blocks(block_size: u32, blocks: u64) -> Self {
        Self::of(Geometry::new(block_size, blocks).unwrap())
    }

    /// A volume of this geometry behind LUN 0.
    pub(in super::super) fn of(geometry: Geometry) -> Self {
        let mut env = TestEnv::new(64 << 20);
        env.now = Time::from_nanos(1_000_000_000);
        let ram = Rc::new(Ram::new(&mut env, geometry).unwrap());
        let mut target = Target::new();
        let config = DeviceConfig { name: "iqn.2016-06.io.example:disk".into(), protocol: Protocol::Iscsi };
        let device = target.add_device(config).unwrap();
        for relative_id in [1, 2] {
            let name = format!("iqn.2016-06.io.example:disk,t,0x{relative_id:04x}");
            target.add_port(device, PortConfig { relative_id, name, group: relative_id }).unwrap();
        }
        let (buffers, answers) = (BTreeMap::new(), BTreeMap::new());
        let mut world = Self {
            env,
            target,
            device,
            ram: ram.clone(),
            buffers,
            answers,
            next_slot: 0,
            persists: false,
            removable: false,
        };
        world.add_device(ram, 1);
        world
    }

    /// LUN 0's reservations can persist.
    pub(in super::super) fn persisting() -> Self {
        Self::again(|world| world.persists = true)
    }

    /// LUN 0's medium can be ejected.
    pub(in super::super) fn removable() -> Self {
        Self::again(|world| world.removable = true)
    }

    /// LUN 0 is added anew after a change of what logical units are added with.
    fn again(change: impl FnOnce(&mut Self)) -> Self {
        let mut world = Self::new();
        world.target.remove_unit(&mut world.env, world.device, 0).unwrap();
        change(&mut world);
        let ram = world.ram.clone();
        world.add_device(ram, 1);
        world
    }

    /// Adds a volume as the next logical unit.
    pub(in super::super) fn add_device(&mut self, device: Rc<dyn BlockDevice>, name: u8) -> u16 {
        let volume = Rc::new(Volume::new(device, Identity([name; 16])));
        let channel = volume.open();
        let config = UnitConfig {
            uuid: [name; 16],
            aptpl: self.persists,
            removable: self.removable,
            ..UnitConfig::default()
        };
        self.target.add_unit(self.device, config, volume, channel).unwrap()
    }

    /// Another volume in memory as the next logical unit.
    pub(in super::super) fn add_ram(&mut self, blocks: u64, name: u8) -> u16 {
        let ram = Rc::new(Ram::new(&mut self.env, Geometry::new(512, blocks).unwrap()).unwrap());
        self.add_device(ram, name)
    }

    /// A nexus of the initiator with this number on port 1, its power on told.
    pub(in super::super) fn nexus(&mut self, initiator: u8) -> NexusKey {
        let nexus = self.new_nexus(initiator, 1);
        let told = self.run(nexus, &[0; 6], &[]);
        assert_eq!(told.fault(), Sense::POWER_ON);
        nexus
    }

    /// A nexus that has not heard anything yet.
    pub(in super::super) fn new_nexus(&mut self, initiator: u8, port: u16) -> NexusKey {
        let id = TransportId::iscsi("iqn.2016-06.io.example:host", [initiator; 6]);
        self.target.open_nexus(self.device, id, port).unwrap()
    }

    /// Delivers a command to LUN 0.
    pub(in super::super) fn begin(&mut self, nexus: NexusKey, cdb: &[u8], data_len: usize) -> Opened {
        self.begin_as(nexus, 0, TaskAttribute::Simple, cdb, data_len)
    }

    /// Delivers a command with everything chosen. Its tag is its slot.
    pub(in super::super) fn begin_as(
        &mut self,
        nexus: NexusKey,
        lun: u16,
        attribute: TaskAttribute,
        cdb: &[u8],
        data_out_len: usize,
    ) -> Opened {
        let slot = self.next_slot;
        self.next_slot += 1;
        let mut bytes = [0; 16];
        bytes[..cdb.len()].copy_from_slice(cdb);
        let command = Command {
            nexus,
            slot,
            lun: Lun::from_number(lun),
            tag: u64::from(slot),
            attribute,
            cdb: Cdb(bytes),
            data_out_len: data_out_len as u32,
            data_in_len: 0,
        };
        let begun = self.target.begin(&mut self.env, &command);
        self.target.check();
        Opened { task: begun.task, slot, transfer: begun.transfer }
    }

    /// Brings a task's data, or its buffer.
    pub(in super::super) fn submit(&mut self, opened: Opened, data: &[u8]) {
        let buffer = match opened.transfer {
            Transfer::None | Transfer::In { lent: true, .. } => Span::EMPTY,
            Transfer::In { len, lent: false } => self.env.memory.take(len as usize).unwrap(),
            Transfer::Out { len } | Transfer::Both { len } => {
                let len = data.len().min(len as usize);
                let buffer = if len > 0 { self.env.memory.take(len).unwrap() } else { Span::EMPTY };
                self.env.memory.write(buffer, &data[..len]);
                buffer
            }
        };
        if !buffer.is_empty() {
            self.buffers.insert(opened.slot, buffer);
        }
        self.target.submit(&mut self.env, opened.task, buffer);
        self.target.check();
    }

    /// Collects outcomes.
    pub(in super::super) fn settle(&mut self) {
        let mut outcomes = Vec::new();
        self.target.poll(&mut self.env, &mut outcomes);
        while let Some(deadline) = self.target.deadline() {
            self.env.now = deadline;
            self.target.poll(&mut self.env, &mut outcomes);
        }
        for Outcome { slot, status, sense, data, .. } in outcomes {
            let mut bytes = vec![0; data.len()];
            self.env.memory.read(data, &mut bytes);
            if let Some(buffer) = self.buffers.remove(&slot) {
                self.env.memory.give(buffer);
            }
            let before = self.answers.insert(slot, Answer { status, sense, data: bytes });
            assert!(before.is_none(), "told twice");
        }
        self.target.check();
    }

    /// The answer to a task, if it is there.
    pub(in super::super) fn answer(&mut self, opened: Opened) -> Option<Answer> {
        self.settle();
        self.answers.remove(&opened.slot)
    }

    /// Brings a command to LUN 0 with its data, and waits for its answer.
    pub(in super::super) fn run(&mut self, nexus: NexusKey, cdb: &[u8], data: &[u8]) -> Answer {
        self.run_at(nexus, 0, cdb, data)
    }

    /// The same for any LUN.
    pub(in super::super) fn run_at(&mut self, nexus: NexusKey, lun: u16, cdb: &[u8], data: &[u8]) -> Answer {
        let opened = self.begin_as(nexus, lun, TaskAttribute::Simple, cdb, data.len());
        // A task that ended at once is answered already: its data would be dropped.
        match self.answer(opened) {
            Some(answer) => answer,
            None => {
                self.submit(opened, data);
                self.answer(opened).expect("an answer")
            }
        }
    }

    /// A task management request for LUN 0: its outcome, if it is there.
    pub(in super::super) fn manage(
        &mut self,
        nexus: NexusKey,
        function: Function,
    ) -> Option<ManagementOutcome> {
        let request = Management { nexus, slot: 7, lun: Lun::from_number(0), function };
        self.target.manage(&mut self.env, &request);
        self.settle();
        self.target.poll_management().map(|(of, slot, outcome)| {
            assert_eq!((of, slot), (nexus, 7));
            outcome
        })
    }
}
