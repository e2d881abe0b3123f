//! A target with four units, several nexuses, and a transport that loses count of nothing.

use block::device::{Crypt, Delay, Geometry, Keeping, Key, Latencies, Null, Ram};
use block::{BlockDevice, Identity, Volume};
use scsi::target::{
    Command, DeviceConfig, DeviceKey, Executor, Function, Management, NexusKey, PortConfig, Protocol, Target,
    TaskAttribute, TaskKey, Transfer, UnitConfig,
};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::testing::TestEnv;
use wire::scsi::{Cdb, Lun, TransportId};

pub struct Bench {
    env: TestEnv,
    target: Target,
    device: DeviceKey,
    nexuses: [Option<NexusKey>; NEXUSES],
    volumes: Vec<Rc<Volume>>,
    crypt: Rc<Crypt>,
    /// Commands without an outcome: their buffers, once they have one.
    open: BTreeMap<u32, Span>,
    /// Tasks whose data has not come yet, in the order they began.
    waiting: Vec<Waiting>,
    next_slot: u32,
}

/// A task that waits for its data.
struct Waiting {
    slot: u32,
    task: TaskKey,
    transfer: Transfer,
    data: Vec<u8>,
    offered: u32,
}

impl Bench {
    pub fn new() -> Self {
        let mut env = TestEnv::new(64 << 20);
        let mut target = Target::new();
        let config = DeviceConfig { name: "iqn.2016-06.io.example:disk".into(), protocol: Protocol::Iscsi };
        let device = target.add_device(config).expect("a device");
        for relative_id in [1, 2] {
            let port = PortConfig {
                relative_id,
                name: format!("iqn.2016-06.io.example:disk,t,{relative_id}"),
                group: relative_id,
            };
            target.add_port(device, port).expect("a port");
        }
        let mut ram = |block_size| {
            let geometry = Geometry::new(block_size, BLOCKS).expect("a size");
            Rc::new(Ram::new(&mut env, geometry).expect("memory"))
        };
        let key = Key::new(&[1; 32], &[2; 32]).expect("a key");
        let crypt = Rc::new(Crypt::new(ram(512), &key, Keeping::Owner));
        let slow = Latencies {
            read_average: Duration::from_millis(3),
            write_average: Duration::from_millis(5),
            ..Latencies::default()
        };
        let devices: [Rc<dyn BlockDevice>; UNITS] = [
            ram(512),
            crypt.clone(),
            Rc::new(Delay::new(ram(4096), slow, 1)),
            Rc::new(Null::new(Geometry::new(512, 64 * BLOCKS).expect("a size"))),
        ];
        let volume = |(place, device): (usize, Rc<dyn BlockDevice>)| {
            Rc::new(Volume::new(device, Identity([place as u8 + 1; 16])))
        };
        let volumes: Vec<_> = devices.into_iter().enumerate().map(volume).collect();
        let mut bench = Self {
            env,
            target,
            device,
            nexuses: [None; NEXUSES],
            volumes,
            crypt,
            open: BTreeMap::new(),
            waiting: Vec::new(),
            next_slot: 0,
        };
        (0..UNITS).for_each(|place| bench.add_unit(place));
        for place in 0..NEXUSES {
            bench.nexus(place);
        }
        bench
    }

    fn add_unit(&mut self, place: usize) {
        let volume = &self.volumes[place];
        let config = UnitConfig {
            lun: Some(place as u16),
            uuid: volume.identity().0,
            removable: place == 0,
            aptpl: place != 2,
            ..UnitConfig::default()
        };
        // It may be there.
        let _ = self.target.add_unit(self.device, config, volume.clone(), volume.open());
    }

    /// The nexus at a place, opened if it was lost.
    fn nexus(&mut self, place: usize) -> NexusKey {
        let id = TransportId::iscsi("iqn.2016-06.io.example:host", [place as u8; 6]);
        let (target, device) = (&mut self.target, self.device);
        let open = || target.open_nexus(device, id, place as u16 % 2 + 1).expect("a nexus");
        *self.nexuses[place].get_or_insert_with(open)
    }

    /// Delivers a command; its data comes at once, or later.
    pub fn begin(
        &mut self,
        (nexus, lun): (usize, u16),
        attribute: TaskAttribute,
        cdb: [u8; 16],
        data: &[u8],
        offered: u32,
        at_once: bool,
    ) {
        if self.open.len() >= OPEN_MAX {
            return;
        }
        let (slot, nexus) = (self.next_slot, self.nexus(nexus));
        self.next_slot += 1;
        let command = Command {
            nexus,
            slot,
            lun: Lun::from_number(lun),
            tag: u64::from(slot % 256),
            attribute,
            cdb: Cdb(cdb),
            data_out_len: offered,
            data_in_len: 0,
        };
        self.open.insert(slot, Span::EMPTY);
        let begun = self.target.begin(&mut self.env, &command);
        let (task, transfer, data) = (begun.task, begun.transfer, data.to_vec());
        self.waiting.push(Waiting { slot, task, transfer, data, offered });
        self.settle();
        if at_once {
            self.submit_waiting(self.waiting.len().saturating_sub(1));
        }
    }

    /// The data of a waiting task, or the buffer for it, comes, if there is memory for it.
    pub fn submit_waiting(&mut self, which: usize) {
        if self.waiting.is_empty() {
            return;
        }
        let waiting = self.waiting.remove(which % self.waiting.len());
        let len = match waiting.transfer {
            Transfer::None | Transfer::In { lent: true, .. } => 0,
            Transfer::In { len, lent: false } => len,
            Transfer::Out { len } | Transfer::Both { len } => len.min(waiting.offered),
        };
        let mut buffer = Span::EMPTY;
        if len > 0 {
            let Some(taken) = self.env.memory.take(len as usize) else { return self.waiting.push(waiting) };
            buffer = taken;
            self.env.memory.fill(buffer, 0);
            if let Transfer::Out { .. } = waiting.transfer {
                let there = waiting.data.len().min(buffer.len());
                self.env.memory.write(buffer, &waiting.data[..there]);
            }
        }
        self.open.insert(waiting.slot, buffer);
        self.target.submit(&mut self.env, waiting.task, buffer);
    }

    pub fn manage(&mut self, nexus: usize, lun: u16, function: Function) {
        let nexus = self.nexus(nexus);
        let request = Management { nexus, slot: 7, lun: Lun::from_number(lun), function };
        self.target.manage(&mut self.env, &request);
    }

    pub fn lose(&mut self, place: usize) {
        if let Some(nexus) = self.nexuses[place].take() {
            self.target.lose(&mut self.env, nexus);
        }
    }

    /// The owner stores what is to be stored, or cannot.
    pub fn store(&mut self, state: bool, key: bool) {
        while let Some((device, lun)) = self.target.poll_reservation_change() {
            // The unit may have gone meanwhile.
            let _ = self.target.reservations_stored(device, lun, state);
        }
        if self.crypt.poll_new_key().is_some() {
            self.crypt.key_stored(key);
        }
    }

    pub fn pass_time(&mut self, ms: u64) {
        self.env.now += Duration::from_millis(ms);
        for volume in &self.volumes {
            if volume.deadline().is_some_and(|deadline| deadline <= self.env.now) {
                volume.handle_timeout(&mut self.env);
            }
        }
    }

    /// A unit goes or comes, or another volume is longer.
    pub fn change_units(&mut self, who: u8) {
        let place = usize::from(who) % UNITS;
        match who >> 4 & 3 {
            0 => drop(self.target.remove_unit(&mut self.env, self.device, place as u16)),
            1 | 2 => self.add_unit(place),
            _ => {
                let blocks = BLOCKS + u64::from(who);
                if place < 3 && self.volumes[place].resize(&mut self.env, blocks).is_ok() {
                    let _ = self.target.unit_changed(self.device, place as u16);
                }
            }
        }
    }

    /// Collects outcomes: one for each command.
    pub fn settle(&mut self) {
        let mut outcomes = Vec::new();
        self.target.poll(&mut self.env, &mut outcomes);
        for outcome in outcomes {
            let buffer = self.open.remove(&outcome.slot).expect("one outcome, of a command that was begun");
            self.waiting.retain(|waiting| waiting.slot != outcome.slot);
            if !buffer.is_empty() {
                self.env.memory.give(buffer);
            }
        }
        while self.target.poll_management().is_some() {}
        self.target.check();
    }

    /// All that was begun is brought to its end.
    pub fn finish(&mut self) {
        for _ in 0..ROUNDS_MAX {
            (0..self.waiting.len()).for_each(|_| self.submit_waiting(0));
            self.store(true, true);
            self.pass_time(10);
            self.settle();
            if self.open.is_empty() && self.target.deadline().is_none() {
                break;
            }
            // An auto contingent allegiance would hold tasks back for ever.
            for place in 0..NEXUSES {
                (0..UNITS).for_each(|lun| self.manage(place, lun as u16, Function::ClearAca));
            }
        }
        (0..NEXUSES).for_each(|place| self.lose(place));
        self.settle();
        assert!(self.open.is_empty(), "commands without an outcome: {:?}", self.open.keys());
        assert_eq!(self.env.mem().buffers_taken(), 0);
    }
}

pub const NEXUSES: usize = 4;
const UNITS: usize = 4;
/// Blocks of a volume in RAM.
const BLOCKS: u64 = 1024;
/// Commands without an outcome.
const OPEN_MAX: usize = 24;
/// Rounds of 10 ms until everything must have ended.
const ROUNDS_MAX: usize = 10_000;
