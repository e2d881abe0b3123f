//! NVMe/TCP and NVMe/RDMA between shards of ours.

mod export;
mod using;

pub(super) use export::NvmeExport;
pub(super) use using::NvmeClient;

use super::client::Client;
use super::plan::{Plan, SERVER_BUFFER_BYTES};
use crate::world::World;
use core::time::Duration;
use engine::Limits;
use nvme::Transport;
use nvme::host::HostOptions;
use nvme::target::{rdma, tcp};
use stdx::prng::Prng;
use wire::nvme::Nqn;
use wire::nvme::fabrics::HostId;
use wire::nvme::tcp::Digests;

/// What NVMe draws for a run.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    options: HostOptions,
    /// What the server allows on streams.
    transport: tcp::Limits,
    /// And on each RDMA device.
    rdma: rdma::Limits,
}

impl Terms {
    /// Draws the hosts' options.
    pub(super) fn draw(prng: &mut Prng, transport: Transport) -> Self {
        let mut pick = |choices: &[u64]| choices[prng.below(choices.len() as u64) as usize];
        let seconds = Duration::from_secs;
        let digests = Digests { header: pick(&[0, 0, 1]) == 1, data: pick(&[0, 0, 1]) == 1 };
        let digests = if pick(&[0, 0, 1]) == 1 { ALL_DIGESTS } else { digests };
        // What RDMA brings is checked by its devices.
        let digests = if transport == Transport::Tcp { digests } else { Digests::default() };
        let options = HostOptions {
            transport,
            digests,
            io_queues: pick(&[1, 2, 4]) as u16,
            queue_size: pick(&[2, 4, 16, 64]) as u16,
            flow_control: pick(&[0, 1]) == 1,
            keep_alive: seconds(pick(&[2, 5, 10])),
            command_timeout: seconds(pick(&[5, 10, 30])),
            admin_timeout: seconds(pick(&[5, 30])),
            controller_loss_timeout: pick(&[0, 60, 600]).checked_sub(1).map(seconds),
            ..HostOptions::new(Plan::address(), nqn(), host(0), HostId::from([1; 16]))
        };
        Self { options, transport: tcp::Limits::default(), rdma: rdma::Limits::default() }
    }

    /// Draws what the server allows.
    pub(super) fn draw_limits(&mut self, prng: &mut Prng) {
        let mut pick = |choices: &[u64]| choices[prng.below(choices.len() as u64) as usize];
        self.transport = tcp::Limits {
            h2c_data_bytes_max: pick(&[4096, 1 << 20]) as u32,
            c2h_data_bytes_max: pick(&[128, 4096, 1 << 20]) as u32,
            read_ahead_bytes_max: pick(&[16 << 10, 4 << 20]) as usize,
            lent_ahead_bytes_max: pick(&[16 << 10, 1 << 20]) as usize,
            solicited_bytes_max: pick(&[16 << 10, 4 << 20]) as usize,
            ..tcp::Limits::default()
        };
        if self.is_rdma() {
            self.rdma = rdma::Limits {
                receives: pick(&[64, 1024]) as u32,
                sends: pick(&[4, 16, 128]) as u32,
                read_depth: pick(&[1, 4, 16]) as u8,
                ..rdma::Limits::default()
            };
        }
    }

    /// How volumes are served.
    pub(super) const fn export(&self) -> NvmeExport {
        NvmeExport::new(self.options.transport)
    }

    /// True if the queues are connections of RDMA devices.
    pub(super) fn is_rdma(&self) -> bool {
        self.options.transport == Transport::Rdma
    }

    /// What the server's shard allows.
    pub(super) fn server_limits(&self) -> Limits {
        Limits {
            buffer_bytes: SERVER_BUFFER_BYTES,
            connections: 64,
            transport: self.transport,
            rdma: self.rdma,
            ..Limits::default()
        }
    }

    /// True if a changed bit is noticed wherever it is.
    pub(super) fn are_guarded(&self) -> bool {
        self.options.digests == ALL_DIGESTS
    }

    /// How a client connects.
    fn options(&self, client: u32) -> HostOptions {
        let host_id = HostId::from([client as u8 + 1; 16]);
        let local = Some(World::address(Client::node(client)));
        HostOptions { host: host(client), host_id, local, ..self.options.clone() }
    }
}

/// The subsystem that is served.
fn nqn() -> Nqn {
    "nqn.2026-01.org.weft:simulated".parse().expect("a name of ours")
}

/// The name of a client's host.
fn host(client: u32) -> Nqn {
    Nqn::from_uuid(&[client as u8 + 1; 16])
}

const ALL_DIGESTS: Digests = Digests { header: true, data: true };
