//! What a run is about, drawn from its seed: the protocol's terms, the server's volumes, the limits.

use super::iscsi::IscsiExport;
use super::machine::{Serving, Using};
use super::shard::{Export, ShardServer};
use super::vault::VAULT_BLOCKS;
use super::{every, iscsi, nvme, srp};
use crate::datagrams::DatagramFaults;
use crate::env::NodeEnv;
use crate::faults::Faults;
use crate::network::NodeId;
use crate::world::{SharedWorld, World};
use ::nvme::Transport;
use block::device::Key;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use stdx::prng::Prng;

/// A protocol that serves volumes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Storage {
    Nvme,
    NvmeRdma,
    Iscsi,
    Iser,
    Srp,
    /// All of them at once, for one volume.
    Every,
}

impl Storage {
    /// True if datagrams carry some of it.
    const fn has_rdma(self) -> bool {
        match self {
            Self::NvmeRdma | Self::Iser | Self::Srp | Self::Every => true,
            Self::Nvme | Self::Iscsi => false,
        }
    }

    /// True if it is played on encrypted volumes, too; the scenarios of RDMA alone are about how data moves.
    const fn has_encrypted(self) -> bool {
        matches!(self, Self::Every) || !self.has_rdma()
    }

    /// Bytes of each direction before digests are in use, at most.
    const fn bytes_before_digests(self) -> u64 {
        match self {
            // ICReq and ICResp.
            Self::Nvme => 128,
            // They have none: they are not on streams.
            Self::NvmeRdma | Self::Iser | Self::Srp => 0,
            // A login with proof of both ends.
            Self::Iscsi | Self::Every => 4096,
        }
    }
}

/// What the protocol draws for a run.
#[derive(Clone, Debug)]
enum Terms {
    Nvme(Box<nvme::Terms>),
    Iscsi(Box<iscsi::Terms>),
    Srp(Box<srp::Terms>),
    Every(Box<every::Terms>),
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The volume lies in a file that outlives the machine's crashes, not in memory.
    pub(super) file: bool,
    /// What the volume lies on keeps its blocks encrypted, and the server has a vault if its protocol is one of those that have.
    pub(super) encrypted: bool,
    /// The machine loses its power now and then.
    pub(super) crashes: bool,
    /// Bytes a block.
    pub(super) block_size: u32,
    /// Volumes served, each a partition of the one below: numbers (NVMe's namespace identifiers) from 1 on.
    pub(super) namespaces: u32,
    /// Clients; each has a share of one of them to itself.
    pub(super) clients: u32,
    /// Blocks of a share.
    pub(super) share: u64,
    /// Blocks behind the shares, which are everybody's.
    pub(super) common: u64,
    /// Other volumes come, go and change their size while the load runs.
    pub(super) reconfigures: bool,
    /// Turns of load under faults.
    pub(super) turns: u32,
    terms: Terms,
}

impl Plan {
    /// The node that serves.
    pub(super) const SERVER: NodeId = NodeId(1);

    /// Draws a plan, and the faults that suit it. Every fourth seed is played on encrypted volumes,
    /// but by RDMA alone.
    pub(super) fn draw(protocol: Storage, seed: u64, prng: &mut Prng) -> (Self, Faults) {
        let mut file = prng.chance(1, 2);
        let block_size = if prng.chance(1, 4) { 4096 } else { 512 };
        // A volume promises that a power cut tears no block, and its disk must promise that first.
        let (disk_sector, flip_spares) = (block_size as usize, protocol.bytes_before_digests());
        let mut faults = Faults { disk_sector, flip_spares, ..Faults::draw(prng) };
        let terms = match protocol {
            Storage::Nvme => Terms::Nvme(Box::new(nvme::Terms::draw(prng, Transport::Tcp))),
            Storage::NvmeRdma => Terms::Nvme(Box::new(nvme::Terms::draw(prng, Transport::Rdma))),
            Storage::Iscsi => Terms::Iscsi(Box::new(iscsi::Terms::draw(prng))),
            Storage::Iser => Terms::Iscsi(Box::new(iscsi::Terms::draw(prng).over_rdma())),
            Storage::Srp => Terms::Srp(Box::new(srp::Terms::draw(prng))),
            Storage::Every => Terms::Every(Box::new(every::Terms::draw(prng))),
        };
        if !terms.are_guarded() {
            faults.flip = 0;
        }
        if terms.come_back_at_once() {
            // What they left is to be there still: writes that their disk has not done, while it does others.
            file = true;
            faults.disk_stall_chance = faults.disk_stall_chance.max(30);
            faults.disk_stall = Duration::from_secs(5);
            faults.disk_depth = 128;
            faults.reset = faults.reset.max(5);
        }
        if protocol.has_rdma() {
            faults.datagrams = DatagramFaults::draw(prng);
        }
        let mut plan = Self {
            file,
            crashes: file && prng.chance(1, 2),
            block_size,
            namespaces: prng.between(1, 3) as u32,
            clients: prng.between(1, 3) as u32,
            share: prng.between(8, 64),
            common: 0,
            reconfigures: prng.chance(1, 2),
            turns: prng.between(200, 2500) as u32,
            encrypted: seed % 4 == 3 && protocol.has_encrypted(),
            terms,
        };
        match &mut plan.terms {
            Terms::Nvme(terms) => terms.draw_limits(prng),
            Terms::Iscsi(terms) => terms.draw_limits(prng),
            Terms::Srp(terms) => terms.draw_limits(prng),
            Terms::Every(terms) => {
                terms.draw_limits(prng);
                (plan.namespaces, plan.clients) = (1, every::PROTOCOLS + prng.below(2) as u32);
                (plan.common, plan.reconfigures) = (prng.between(2, 12), false);
            }
        }
        (plan, faults)
    }

    pub(super) fn address() -> SocketAddr {
        (World::address(Self::SERVER), 4420).into()
    }

    /// Starts the serving machine, with these volumes besides.
    pub(super) fn boot_server(
        &self,
        world: &SharedWorld,
        extras: &BTreeMap<u32, u64>,
    ) -> (NodeEnv, Box<dyn Serving>) {
        let (limits, exports) = match &self.terms {
            Terms::Iscsi(terms) if !terms.is_rdma() => {
                let (env, server) = iscsi::IscsiServer::boot(world, self, terms, extras);
                return (env, Box::new(server));
            }
            Terms::Nvme(terms) => (terms.server_limits(), vec![Box::new(terms.export()) as Box<dyn Export>]),
            Terms::Iscsi(terms) => {
                (terms.server_limits(), vec![Box::new(IscsiExport::new(terms, self.clients)) as _])
            }
            Terms::Srp(terms) => (terms.server_limits(), vec![Box::new(terms.export()) as _]),
            Terms::Every(terms) => (terms.server_limits(), terms.exports(self.clients)),
        };
        let (env, server) = ShardServer::boot(world, self, limits, exports, extras);
        (env, Box::new(server))
    }

    /// A using machine that has attached nothing yet.
    pub(super) fn make_client(&self, env: &mut NodeEnv, number: u32) -> Box<dyn Using> {
        match &self.terms {
            Terms::Nvme(terms) => Box::new(nvme::NvmeClient::new(env, terms, number)),
            Terms::Iscsi(terms) if terms.is_rdma() => Box::new(terms.make_remote_client(number)),
            Terms::Iscsi(terms) => Box::new(iscsi::IscsiClient::new(terms, number)),
            Terms::Srp(terms) => Box::new(terms.make_client(number)),
            Terms::Every(terms) => terms.make_client(env, number),
        }
    }

    /// Associations that a client has when it is connected.
    pub(super) fn associations(&self) -> usize {
        match &self.terms {
            Terms::Nvme(_) | Terms::Srp(_) | Terms::Every(_) => 1,
            Terms::Iscsi(terms) => terms.sessions(),
        }
    }

    /// What a machine sent may arrive after its power failed. A stream that breaks takes it along.
    pub(super) fn answers_outlive_power(&self) -> bool {
        match &self.terms {
            Terms::Nvme(terms) => terms.is_rdma(),
            Terms::Iscsi(terms) => terms.is_rdma(),
            Terms::Srp(_) | Terms::Every(_) => true,
        }
    }

    /// A server notices that a client says nothing any more. SRP has no sign of life: only who has something to say to a client
    /// learns that it is gone.
    pub(super) fn notices_silence(&self, client: u32) -> bool {
        match &self.terms {
            Terms::Nvme(_) | Terms::Iscsi(_) => true,
            Terms::Srp(_) => false,
            Terms::Every(_) => !every::is_srp(client),
        }
    }

    /// The volume a client uses, and the first of its blocks there.
    pub(super) fn place(&self, client: u32) -> (u32, u64) {
        (client % self.namespaces + 1, u64::from(client / self.namespaces) * self.share)
    }

    /// Blocks of each volume served.
    pub(super) fn namespace_blocks(&self) -> u64 {
        self.common_place() + self.common
    }

    /// The first block that is everybody's.
    pub(super) fn common_place(&self) -> u64 {
        u64::from(self.clients.div_ceil(self.namespaces)) * self.share
    }

    /// Blocks of the whole volume: those served, and a place behind them that the server uses itself; then the
    /// vault, if there is one.
    pub(super) fn blocks(&self) -> u64 {
        self.vault_place() + if self.encrypted { VAULT_BLOCKS } else { 0 }
    }

    /// The first block of the server's own encrypted volume.
    pub(super) fn vault_place(&self) -> u64 {
        self.own_place() + 1
    }

    /// The block that the server uses itself.
    pub(super) fn own_place(&self) -> u64 {
        u64::from(self.namespaces) * self.namespace_blocks()
    }
}

impl Terms {
    /// True if clients that lose what they have are there again before it is over.
    fn come_back_at_once(&self) -> bool {
        match self {
            Terms::Nvme(_) | Terms::Srp(_) | Terms::Every(_) => false,
            Terms::Iscsi(terms) => terms.come_back_at_once(),
        }
    }

    /// True if a changed bit is noticed wherever it is.
    fn are_guarded(&self) -> bool {
        match self {
            Terms::Nvme(terms) => terms.are_guarded(),
            Terms::Iscsi(terms) => terms.are_guarded(),
            Terms::Srp(_) => false,
            Terms::Every(terms) => terms.are_guarded(),
        }
    }
}

/// Little enough that the load runs short of buffers now and then.
pub(super) const SERVER_BUFFER_BYTES: usize = 16 << 20;

/// What encrypted volumes are encrypted with.
pub(super) fn key() -> Key {
    Key::new(&[1; 32], &[2; 32]).expect("two halves that differ")
}
