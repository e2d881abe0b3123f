//! What a run is about, drawn from its seed: the server's volumes, the hosts' options, the limits.

use crate::faults::Faults;
use crate::network::NodeId;
use crate::world::World;
use core::net::SocketAddr;
use core::time::Duration;
use nvme::host::HostOptions;
use nvme::target::tcp;
use stdx::prng::Prng;
use wire::nvme::Nqn;
use wire::nvme::fabrics::HostId;
use wire::nvme::tcp::Digests;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The volume lies in a file that outlives the machine's crashes, not in memory.
    pub(super) file: bool,
    /// The machine loses its power now and then.
    pub(super) crashes: bool,
    /// Bytes a block.
    pub(super) block_size: u32,
    /// Namespaces, each a partition of the volume: identifiers from 1 on.
    pub(super) namespaces: u32,
    /// Clients; each has a share of one namespace to itself.
    pub(super) clients: u32,
    /// Blocks of a share.
    pub(super) share: u64,
    /// Namespaces come, go and change their size while the load runs.
    pub(super) reconfigures: bool,
    /// Turns of load under faults.
    pub(super) turns: u32,
    /// What the server's transport allows.
    pub(super) transport: tcp::Limits,
    options: HostOptions,
}

impl Plan {
    /// The node that serves.
    pub(super) const SERVER: NodeId = NodeId(1);
    /// The subsystem it serves.
    pub(super) const NQN: &'static str = "nqn.2026-01.org.weft:simulated";

    /// Draws a plan, and the faults that suit it.
    pub(super) fn draw(prng: &mut Prng) -> (Self, Faults) {
        let file = prng.chance(1, 2);
        let block_size = if prng.chance(1, 4) { 4096 } else { 512 };
        // A volume promises that a power cut tears no block, and its disk must promise that first.
        let mut faults = Faults { disk_sector: block_size as usize, ..Faults::draw(prng) };
        let options = draw_options(prng);
        if options.digests != ALL_DIGESTS {
            faults.flip = 0;
        }
        let plan = Self {
            file,
            crashes: file && prng.chance(1, 2),
            block_size,
            namespaces: prng.between(1, 3) as u32,
            clients: prng.between(1, 3) as u32,
            share: prng.between(8, 64),
            reconfigures: prng.chance(1, 2),
            turns: prng.between(200, 2500) as u32,
            transport: draw_limits(prng),
            options,
        };
        (plan, faults)
    }

    pub(super) fn address() -> SocketAddr {
        (World::address(Self::SERVER), 4420).into()
    }

    pub(super) fn nqn() -> Nqn {
        Self::NQN.parse().expect("a name of ours")
    }

    /// The name of a client's host.
    pub(super) fn host(client: u32) -> Nqn {
        Nqn::from_uuid(&[client as u8 + 1; 16])
    }

    /// How a client connects.
    pub(super) fn options(&self, client: u32) -> HostOptions {
        let host_id = HostId::from([client as u8 + 1; 16]);
        HostOptions { host: Self::host(client), host_id, ..self.options.clone() }
    }

    /// The namespace a client uses, and the first of its blocks there.
    pub(super) fn place(&self, client: u32) -> (u32, u64) {
        (client % self.namespaces + 1, u64::from(client / self.namespaces) * self.share)
    }

    /// Blocks of each namespace.
    pub(super) fn namespace_blocks(&self) -> u64 {
        u64::from(self.clients.div_ceil(self.namespaces)) * self.share
    }

    /// Blocks of the whole volume: the namespaces, and a place behind them that the server uses itself.
    pub(super) fn blocks(&self) -> u64 {
        self.own_place() + 1
    }

    /// The block that the server uses itself.
    pub(super) fn own_place(&self) -> u64 {
        u64::from(self.namespaces) * self.namespace_blocks()
    }
}

fn draw_options(prng: &mut Prng) -> HostOptions {
    let mut pick = |choices: &[u64]| choices[prng.below(choices.len() as u64) as usize];
    let seconds = Duration::from_secs;
    let digests = Digests { header: pick(&[0, 0, 1]) == 1, data: pick(&[0, 0, 1]) == 1 };
    let digests = if pick(&[0, 0, 1]) == 1 { ALL_DIGESTS } else { digests };
    HostOptions {
        digests,
        io_queues: pick(&[1, 2, 4]) as u16,
        queue_size: pick(&[2, 4, 16, 64]) as u16,
        flow_control: pick(&[0, 1]) == 1,
        keep_alive: seconds(pick(&[2, 5, 10])),
        command_timeout: seconds(pick(&[5, 10, 30])),
        admin_timeout: seconds(pick(&[5, 30])),
        controller_loss_timeout: pick(&[0, 60, 600]).checked_sub(1).map(seconds),
        ..HostOptions::new(Plan::address(), Plan::nqn(), Plan::host(0), HostId::from([1; 16]))
    }
}

fn draw_limits(prng: &mut Prng) -> tcp::Limits {
    let mut pick = |choices: &[u64]| choices[prng.below(choices.len() as u64) as usize];
    tcp::Limits {
        h2c_data_bytes_max: pick(&[4096, 1 << 20]) as u32,
        c2h_data_bytes_max: pick(&[128, 4096, 1 << 20]) as u32,
        read_ahead_bytes_max: pick(&[16 << 10, 4 << 20]) as usize,
        lent_ahead_bytes_max: pick(&[16 << 10, 1 << 20]) as usize,
        solicited_bytes_max: pick(&[16 << 10, 4 << 20]) as usize,
        ..tcp::Limits::default()
    }
}

const ALL_DIGESTS: Digests = Digests { header: true, data: true };
