//! What a run is about, drawn from its seed: how many machines there are, who is linked with whom and how, and the limits.

use crate::network::NodeId;
use crate::world::World;
use core::time::Duration;
use rdma::Config;
use std::net::IpAddr;
use stdx::prng::Prng;
use verbs::{Limits, Mtu, Transport};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Machines, each with one device.
    pub(super) machines: usize,
    pub(super) links: Vec<LinkPlan>,
    /// Turns of load under faults.
    pub(super) turns: u32,
    /// How long a machine does nothing of its own accord, at most.
    pub(super) think: Duration,
    /// The devices' largest payload.
    mtu: Mtu,
    window_packets: u32,
    ack_every_packets: u32,
    ack_delay_us: u64,
    burst_packets: u32,
    runs_per_turn: u32,
    credits: bool,
    /// The devices' addresses are of IPv6.
    is_v6: bool,
    /// All are processes of one machine, and the devices neighbours; else each is a machine.
    pub(super) is_one_host: bool,
    /// What devices move for neighbours lies in published memory.
    pub(super) publishes: bool,
    /// Records and bytes that a link of neighbours holds.
    ring: (u32, u32),
    /// How likely it is that a turn's machine loses its power: so many in 10,000.
    pub(super) power_cuts: u64,
}

/// Two queue pairs that are to talk with each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkPlan {
    pub(super) service: Transport,
    /// Whose queue pairs they are; the first asks for the connection.
    pub(super) machines: [usize; 2],
    /// The connection manager brings them together.
    pub(super) by_manager: bool,
    pub(super) mtu: Mtu,
    /// Reads and atomics at once.
    pub(super) depth: u8,
    pub(super) retry_count: u8,
    pub(super) rnr_retry_count: u8,
    pub(super) rnr_timer: u8,
    pub(super) ack_timeout: u8,
    /// Receives come from the queue that a machine's queue pairs share.
    pub(super) shared: bool,
    /// Now and then a request is wrong on purpose.
    pub(super) misdeeds: bool,
    /// Windows and regions are opened and closed.
    pub(super) grants: bool,
    /// A receive is posted one time in so many.
    pub(super) scarcity: u64,
    /// Requests in the send queue.
    pub(super) entries: u32,
}

impl Plan {
    pub(super) fn draw(prng: &mut Prng) -> Self {
        let machines = prng.between(2, 5) as usize;
        let mtu = Mtu::ALL[prng.below(5) as usize];
        let links = (0..prng.between(1, 5)).map(|_| LinkPlan::draw(machines, mtu, prng)).collect();
        let pick = |prng: &mut Prng, choices: &[u64]| choices[prng.below(choices.len() as u64) as usize];
        Self {
            machines,
            links,
            turns: prng.between(100, 900) as u32,
            think: Duration::from_micros(pick(prng, &[10, 50, 300])),
            mtu,
            window_packets: pick(prng, &[1, 3, 16, 512]) as u32,
            ack_every_packets: pick(prng, &[1, 4, 64]) as u32,
            ack_delay_us: pick(prng, &[0, 20, 300]),
            burst_packets: pick(prng, &[1, 5, 64]) as u32,
            runs_per_turn: pick(prng, &[1, 4, 32]) as u32,
            credits: prng.chance(2, 3),
            is_v6: prng.chance(1, 3),
            is_one_host: prng.chance(1, 4),
            publishes: prng.chance(1, 2),
            ring: (pick(prng, &[16, 64, 1024]) as u32, pick(prng, &[16 << 10, 64 << 10, 1 << 20]) as u32),
            power_cuts: pick(prng, &[0, 0, 5, 30]),
        }
    }

    /// Where a machine is.
    pub(super) fn address(&self, number: usize) -> IpAddr {
        let node = NodeId(number as u8 + 1);
        if self.is_v6 { World::address_v6(node) } else { World::address(node) }
    }

    /// What a machine's device is like.
    pub(super) fn config(&self, number: usize) -> Config {
        let usual = Config::new(self.address(number));
        let mut neighbours = usual.neighbours;
        neighbours.enabled = self.is_one_host;
        (neighbours.records, neighbours.bytes) = self.ring;
        Config {
            mtu: self.mtu,
            limits: Limits { qps: 64, connections: 64, backlog: 16, ..Limits::default() },
            window_packets: self.window_packets,
            ack_every_packets: self.ack_every_packets,
            ack_delay: Duration::from_micros(self.ack_delay_us),
            burst_packets: self.burst_packets,
            runs_per_turn: self.runs_per_turn,
            credits: self.credits,
            ack_timeout: 10,
            rnr_timer: 8,
            cm_timeout: Duration::from_millis(10),
            time_wait: Duration::from_millis(5),
            neighbours,
            ..usual
        }
    }
}

impl LinkPlan {
    fn draw(machines: usize, device_mtu: Mtu, prng: &mut Prng) -> Self {
        let pick = |prng: &mut Prng, choices: &[u64]| choices[prng.below(choices.len() as u64) as usize];
        let first = prng.below(machines as u64) as usize;
        // A device may well talk with itself.
        let second = prng.below(machines as u64) as usize;
        let service = match prng.below(6) {
            0 => Transport::UnreliableConnection,
            1 => Transport::UnreliableDatagram,
            _ => Transport::ReliableConnection,
        };
        let mtu = Mtu::ALL[prng.below(u64::from(device_mtu.code())) as usize];
        Self {
            service,
            machines: [first, second],
            by_manager: prng.chance(1, 2),
            mtu,
            depth: pick(prng, &[1, 2, 8]) as u8,
            retry_count: pick(prng, &[7, 7, 3]) as u8,
            rnr_retry_count: pick(prng, &[7, 7, 7, 3]) as u8,
            rnr_timer: pick(prng, &[1, 8, 14]) as u8,
            ack_timeout: pick(prng, &[9, 10, 11]) as u8,
            shared: prng.chance(1, 3),
            misdeeds: prng.chance(1, 2),
            grants: prng.chance(1, 2),
            scarcity: pick(prng, &[1, 3, 20]),
            entries: pick(prng, &[8, 3, 1]) as u32,
        }
    }
}
