//! One volume, used by all protocols at once: each client has a protocol, blocks of its own, and blocks that are everybody's,
//! whose reads must all fit one order ([`History`](crate::checker::History)).
//!
//! Another protocol that serves volumes is put in by an arm in each of [`Terms`]' methods, and one more of [`PROTOCOLS`].

use super::iscsi::IscsiExport;
use super::machine::Using;
use super::nvme::NvmeExport;
use super::plan::Plan;
use super::shard::Export;
use super::{iscsi, nvme, srp};
use crate::env::NodeEnv;
use ::nvme::Transport;
use core::net::SocketAddr;
use engine::Limits;
use stdx::prng::Prng;

/// What is drawn for a run: for each protocol what its own runs draw.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    streams: nvme::Terms,
    rdma: nvme::Terms,
    iscsi: iscsi::Terms,
    /// The same target as over streams.
    iser: iscsi::Terms,
    srp: srp::Terms,
}

/// A client's protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    NvmeTcp,
    NvmeRdma,
    Iscsi,
    Srp,
    Iser,
}

impl Terms {
    pub(super) fn draw(prng: &mut Prng) -> Self {
        let iscsi = iscsi::Terms::draw(prng).plainly(iscsi_address());
        let iser = iscsi.clone().over_rdma();
        let [streams, rdma] = [Transport::Tcp, Transport::Rdma].map(|way| nvme::Terms::draw(prng, way));
        Self { streams, rdma, iscsi, iser, srp: srp::Terms::draw(prng) }
    }

    pub(super) fn draw_limits(&mut self, prng: &mut Prng) {
        self.streams.draw_limits(prng);
        self.rdma.draw_limits(prng);
        self.iscsi.draw_limits(prng);
        self.iser.draw_limits(prng);
        self.srp.draw_limits(prng);
    }

    /// What the server's shard allows: of each protocol what that has drawn.
    pub(super) fn server_limits(&self) -> Limits {
        Limits {
            transport: self.streams.server_limits().transport,
            iscsi: self.iscsi.target_limits(),
            iser: self.iser.iser_limits(),
            srp: self.srp.target_limits(),
            ..self.rdma.server_limits()
        }
    }

    /// How the volume is served.
    pub(super) fn exports(&self, clients: u32) -> Vec<Box<dyn Export>> {
        let iscsi = IscsiExport::new(&self.iscsi, clients).by_both();
        vec![Box::new(NvmeExport::by_both()), Box::new(iscsi), Box::new(self.srp.export())]
    }

    /// True if a changed bit is noticed wherever it is.
    pub(super) fn are_guarded(&self) -> bool {
        self.streams.are_guarded() && self.iscsi.are_guarded()
    }

    pub(super) fn make_client(&self, env: &mut NodeEnv, number: u32) -> Box<dyn Using> {
        match way(number) {
            Way::NvmeTcp => Box::new(nvme::NvmeClient::new(env, &self.streams, number)),
            Way::NvmeRdma => Box::new(nvme::NvmeClient::new(env, &self.rdma, number)),
            Way::Iscsi => Box::new(iscsi::IscsiClient::new(&self.iscsi, number)),
            Way::Srp => Box::new(self.srp.make_client(number)),
            Way::Iser => Box::new(self.iser.make_remote_client(number)),
        }
    }
}

/// True if a client comes by SRP.
pub(super) fn is_srp(client: u32) -> bool {
    way(client) == Way::Srp
}

/// The protocol of a client.
const fn way(client: u32) -> Way {
    match client % PROTOCOLS {
        0 => Way::NvmeTcp,
        1 => Way::NvmeRdma,
        2 => Way::Iscsi,
        3 => Way::Srp,
        _ => Way::Iser,
    }
}

/// Where iSCSI is listened for: not where NVMe/TCP is.
fn iscsi_address() -> SocketAddr {
    SocketAddr::new(Plan::address().ip(), 3260)
}

/// How many protocols there are.
pub(super) const PROTOCOLS: u32 = 5;
