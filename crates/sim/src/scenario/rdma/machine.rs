//! A machine of the scenario: a device, its memory, and what every byte of that memory should be.
//!
//! Memory is given out in areas with bytes between them that belong to nobody: nothing may ever change those.

use super::atomics::Cell;
use super::plan::Plan;
use super::{Check, wrong};
use crate::env::NodeEnv;
use crate::network::NodeId;
use crate::world::SharedWorld;
use rdma::SoftDevice;
use std::collections::BTreeMap;
use std::net::IpAddr;
use stdx::env::{Env, Event, Owner};
use stdx::mem::{Kind, MemoryLimits, Span};
use stdx::prng::Prng;
use stdx::time::{Time, earliest};
use verbs::{
    Access, Completion, CqId, Key, PdId, Provider, QpId, ReceiveQueue, ReceiveRequest, Registered,
    Registration, Sge, SrqId,
};

/// See the module.
pub(super) struct Machine {
    /// Its place among all.
    number: usize,
    pub(super) env: NodeEnv,
    pub(super) device: SoftDevice,
    pub(super) pd: PdId,
    pub(super) cq: CqId,
    /// Eight bytes that peers change atomically.
    pub(super) cell: Cell,
    pub(super) cell_memory: Registered,
    /// Receives that queue pairs share.
    pub(super) srq: SrqId,
    shared: Slots,
    /// The window that was opened last, for a peer of which link, and where it begins.
    pub(super) window: Option<(usize, Key, u64)>,
    /// Whose queue pairs there are: the link, and its side.
    pub(super) pairs: BTreeMap<QpId, (usize, usize)>,
    /// What memory should be.
    pub(super) shadow: Vec<u8>,
    span: Span,
    claimed: usize,
    /// Every area that was registered, in order.
    claims: Vec<(Registered, Access)>,
    /// It has no power, and gets it back then.
    pub(super) dark_until: Option<Time>,
    /// Areas that are being written, and so are anything: where they begin, and how long they are.
    busy: BTreeMap<usize, usize>,
    /// How often it had a turn.
    pub(super) turns: u64,
    pub(super) thinks_until: Time,
    patience: u32,
}

/// Places of equal length for bytes that come.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    pub(super) memory: Registered,
    free: Vec<usize>,
}

impl Machine {
    /// A machine with random bytes in its memory.
    pub(super) fn boot(world: &SharedWorld, plan: &Plan, number: usize, prng: &mut Prng) -> Self {
        let sides = plan.links.iter().flat_map(|link| link.machines).filter(|of| *of == number).count();
        let mut bytes = vec![0; OWN_BYTES + sides * super::side::AREAS_BYTES];
        prng.fill(&mut bytes);
        let mut machine = Self::start(world, plan, number, bytes);
        machine.cell_memory = machine.claim(8, Access::LOCAL_WRITE.with(Access::REMOTE_ATOMIC));
        let at = offset(machine.cell_memory.address);
        let bytes = machine.shadow[at..at + 8].try_into().expect("eight bytes");
        machine.cell = Cell::new(u64::from_ne_bytes(bytes));
        machine.busy.insert(at, 8);
        machine.shared = machine.slots(SHARED);
        machine
    }

    /// A device, nothing of whose memory is registered yet.
    fn start(world: &SharedWorld, plan: &Plan, number: usize, bytes: Vec<u8>) -> Self {
        let mut env = NodeEnv::boot(world, node(number), MemoryLimits { buffer_bytes: 64 << 10 });
        let device = SoftDevice::open(&mut env, DEVICE, plan.config(number));
        let mut device = device.expect("the simulator has sockets and memory");
        let kind = if plan.publishes { Kind::Published } else { Kind::Shared };
        let region = env.mem().map(kind, bytes.len() as u64).expect("the simulator has memory");
        let span = env.mem().whole(region).first(bytes.len());
        env.mem().write(span, &bytes);
        let pd = device.alloc_pd().expect("a domain");
        let cq = device.create_cq(DEVICE, 4096).expect("a completion queue");
        let srq = device.create_srq(DEVICE, pd, SHARED as u32, 1).expect("a shared queue");
        let nothing = Registered { key: Key(0), address: 0, len: 0 };
        Self {
            number,
            env,
            device,
            pd,
            cq,
            cell: Cell::new(0),
            cell_memory: nothing,
            srq,
            shared: Slots { memory: nothing, free: Vec::new() },
            window: None,
            pairs: BTreeMap::new(),
            shadow: bytes,
            span,
            claimed: GUARD,
            claims: Vec::new(),
            dark_until: None,
            busy: BTreeMap::new(),
            turns: 0,
            thinks_until: Time::ZERO,
            patience: 0,
        }
    }

    /// The power goes: of the device nothing is left but what its memory holds.
    pub(super) fn lose_power(&mut self, world: &SharedWorld, until: Time) {
        self.take_back_shared();
        self.pairs.clear();
        self.dark_until = Some(until);
        world.borrow_mut().crash(node(self.number));
    }

    /// The power is back: every byte is where it was, and registered under a new key.
    pub(super) fn regain_power(&mut self, world: &SharedWorld, plan: &Plan) {
        let bytes = self.bytes(BASE, self.span.len());
        let fresh = Self::start(world, plan, self.number, bytes);
        let old = core::mem::replace(self, fresh);
        (self.shadow, self.busy, self.cell) = (old.shadow, old.busy, old.cell);
        (self.turns, self.shared.free) = (old.turns, old.shared.free);
        for (area, access) in old.claims {
            let again = self.claim(area.len as usize, access);
            assert_eq!(again.address, area.address, "areas are given out in order");
        }
        self.cell_memory = self.area(old.cell_memory.address);
        self.shared.memory = self.area(old.shared.memory.address);
    }

    /// The area that begins at an address, under its key of now.
    pub(super) fn area(&self, address: u64) -> Registered {
        let found = self.claims.iter().find(|(area, _)| area.address == address);
        found.expect("an area that was registered").0
    }

    /// A window opens nothing any more.
    pub(super) fn forget_window(&mut self, closed: Key) {
        self.window.take_if(|(_, key, _)| *key == closed);
    }

    /// Where its device is.
    pub(super) const fn address(&self) -> IpAddr {
        self.device.config().address
    }

    /// Registers an area of its own. Its addresses tell where it lies.
    pub(super) fn claim(&mut self, len: usize, access: Access) -> Registered {
        let at = self.claimed;
        self.claimed += len.next_multiple_of(8) + GUARD;
        let piece = self.span.slice(at, len);
        let registration = Registration { pieces: &[piece], address: BASE + at as u64, access };
        let area = self.device.register(&mut self.env, self.pd, &registration).expect("a region");
        self.claims.push((area, access));
        area
    }

    /// Registers places for bytes that come.
    pub(super) fn slots(&mut self, count: usize) -> Slots {
        let memory = self.claim(count * SLOT, Access::LOCAL_WRITE);
        Slots { memory, free: (0..count).collect() }
    }

    /// Where an area's bytes lie, for registering them once more.
    pub(super) fn span(&self, address: u64, len: usize) -> Span {
        self.span.slice(offset(address), len)
    }

    /// What has happened since the last turn.
    pub(super) fn listen(&mut self, done: &mut Vec<Completion>) {
        let mut events: Vec<Event> = Vec::new();
        self.env.poll(&mut events, Some(Time::ZERO));
        for event in &events {
            self.device.handle_event(&mut self.env, event);
        }
        self.device.poll_cq(self.cq, usize::MAX, done);
    }

    /// Does what there is to do, and rests; `did` says whether the scenario had something to do here.
    pub(super) fn work(&mut self, plan: &Plan, did: bool, prng: &mut Prng) {
        self.turns += 1;
        self.device.turn(&mut self.env);
        self.device.check();
        // One that has nothing to do looks around less and less often.
        self.patience = if did { 0 } else { (self.patience + 1).min(5) };
        let think = crate::network::draw(plan.think * (1 << self.patience), prng);
        if self.thinks_until <= self.env.now() || did {
            self.thinks_until = self.env.now() + think;
        }
        let next = earliest(self.device.deadline(), Some(self.thinks_until));
        self.env.rest(next);
    }

    /// The bytes at an address now.
    pub(super) fn bytes(&mut self, address: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.env.mem().read(self.span.slice(offset(address), len), &mut bytes);
        bytes
    }

    /// What the bytes at an address should be.
    pub(super) fn should(&self, address: u64, len: usize) -> &[u8] {
        let at = offset(address);
        &self.shadow[at..at + len]
    }

    /// The bytes there should be these from now on.
    pub(super) fn expect(&mut self, address: u64, bytes: &[u8]) {
        let at = offset(address);
        self.shadow[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// A place that something will be written to, with bytes that are unlikely to come.
    pub(super) fn take_slot(&mut self, slots: &mut Slots) -> Option<u64> {
        let slot = slots.free.pop()?;
        let address = slots.memory.address + (slot * SLOT) as u64;
        let at = offset(address);
        let fill = self.shadow[at].wrapping_add(0x5b);
        self.env.mem().fill(self.span.slice(at, SLOT), fill);
        self.shadow[at..at + SLOT].fill(fill);
        self.busy.insert(at, SLOT);
        Some(address)
    }

    /// A place in which something has come: these bytes, and nothing behind them.
    pub(super) fn check_slot(&mut self, slots: &mut Slots, address: u64, bytes: &[u8]) -> Check {
        self.expect(address, bytes);
        let found = self.bytes(address, SLOT);
        let at = found.iter().zip(self.should(address, SLOT)).position(|(is, should)| is != should);
        self.give_slot(slots, address);
        match at {
            None => Ok(()),
            Some(at) => Err(wrong(format!("byte {at} of {} that came is another", bytes.len()))),
        }
    }

    /// A place in which anything may have come.
    pub(super) fn give_slot(&mut self, slots: &mut Slots, address: u64) {
        let found = self.bytes(address, SLOT);
        self.expect(address, &found);
        self.busy.remove(&offset(address));
        slots.free.push((address - slots.memory.address) as usize / SLOT);
    }

    /// Posts a receive to the shared queue, if there is a place for its bytes.
    pub(super) fn post_shared(&mut self) -> bool {
        let mut slots = self.shared.clone();
        let Some(address) = self.take_slot(&mut slots) else { return false };
        let scatter = [Sge { key: slots.memory.key, address, len: SLOT as u32 }];
        let request = ReceiveRequest { id: address, scatter: &scatter };
        self.device
            .post_receive(ReceiveQueue::Shared(self.srq), request)
            .expect("there is room for all slots");
        self.shared = slots;
        true
    }

    /// A receive of the shared queue is done, with these bytes or with anything.
    pub(super) fn finish_shared(&mut self, address: u64, bytes: Option<&[u8]>) -> Check {
        let mut slots = self.shared.clone();
        if !self.busy.contains_key(&offset(address)) {
            return Err(wrong(format!("the shared receive {address:#x} is done, and was not posted")));
        }
        let checked = match bytes {
            Some(bytes) => self.check_slot(&mut slots, address, bytes),
            None => {
                self.give_slot(&mut slots, address);
                Ok(())
            }
        };
        self.shared = slots;
        checked
    }

    /// Every byte that is not being written is what it should be; `moving` are areas besides that are.
    pub(super) fn check_memory(&mut self, moving: &[Registered]) -> Check {
        let mut found = vec![0; self.span.len()];
        self.env.mem().read(self.span, &mut found);
        let mut busy = self.busy.clone();
        busy.extend(moving.iter().map(|area| (offset(area.address), area.len as usize)));
        busy.insert(found.len(), 0);
        let mut from = 0;
        for (at, len) in busy {
            let (is, should) = (&found[from..at], &self.shadow[from..at]);
            if is != should {
                let byte = is.iter().zip(should).position(|(is, should)| is != should);
                let byte = from + byte.unwrap_or(0);
                return Err(wrong(format!("byte {byte:#x} of a machine's memory changed")));
            }
            from = at + len;
        }
        Ok(())
    }

    /// Nothing is being written any more.
    pub(super) fn calm_down(&mut self) {
        let at = offset(self.cell_memory.address);
        self.busy.remove(&at);
        let bytes = self.bytes(self.cell_memory.address, 8);
        self.expect(self.cell_memory.address, &bytes);
        self.take_back_shared();
    }

    /// What was posted to the shared queue will not come back.
    fn take_back_shared(&mut self) {
        let mut slots = self.shared.clone();
        for address in self.shared_posted() {
            self.give_slot(&mut slots, address);
        }
        self.shared = slots;
    }

    /// True if the scenario may do something here.
    pub(super) fn is_awake(&self) -> bool {
        self.thinks_until <= self.env.now()
    }

    /// The key of the shared receives' memory.
    pub(super) const fn shared_key(&self) -> Key {
        self.shared.memory.key
    }

    fn shared_posted(&self) -> Vec<u64> {
        let memory = self.shared.memory;
        let range = offset(memory.address)..offset(memory.address) + memory.len as usize;
        self.busy.range(range).map(|(at, _)| BASE + *at as u64).collect()
    }
}

/// The node that a machine is.
const fn node(number: usize) -> NodeId {
    NodeId(number as u8 + 1)
}

/// Where in a machine's memory an address is.
pub(super) const fn offset(address: u64) -> usize {
    (address - BASE) as usize
}

/// Whose events the device's are.
pub(super) const DEVICE: Owner = Owner(1);
/// Bytes of a place for what comes.
pub(super) const SLOT: usize = 4224;
/// Bytes between areas.
pub(super) const GUARD: usize = 64;
/// The address of a machine's first byte.
const BASE: u64 = 0x7000_0000;
/// Receives of the shared queue.
const SHARED: usize = 6;
const OWN_BYTES: usize = GUARD + 8 + GUARD + SHARED * SLOT + GUARD;
