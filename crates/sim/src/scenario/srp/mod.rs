//! SRP between machines of ours.

mod export;

pub(super) use export::SrpExport;

use super::client::Client;
use super::plan::{Plan, SERVER_BUFFER_BYTES};
use super::remote::{Options, RemoteClient};
use crate::world::World;
use core::net::SocketAddr;
use core::time::Duration;
use engine::Limits;
use scsi::srp::initiator::InitiatorOptions;
use scsi::srp::target::{self, Access};
use stdx::prng::Prng;
use wire::srp::PortId;

/// What SRP draws for a run.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    options: InitiatorOptions,
    /// What the server allows on each device.
    limits: target::Limits,
    /// The target port lets in those on a list alone.
    is_listed: bool,
}

impl Terms {
    /// Draws the initiators' options.
    pub(super) fn draw(prng: &mut Prng) -> Self {
        let mut pick = |choices: &[u64]| choices[prng.below(choices.len() as u64) as usize];
        let seconds = Duration::from_secs;
        let options = InitiatorOptions {
            channels: pick(&[1, 1, 2, 4]) as u16,
            commands_max: pick(&[1, 2, 4, 16, 64]) as u16,
            immediate_max: pick(&[0, 512, 4096, 8192]) as u32,
            piece_max: pick(&[0, 4096, 8192]).checked_sub(1).map(|least| least as u32 + 1),
            watch_interval: seconds(pick(&[2, 5])),
            command_timeout: Duration::from_millis(pick(&[1_500, 5_000, 30_000])),
            reconnect_delay: Duration::from_millis(pick(&[1, 20, 250])),
            loss_timeout: pick(&[0, 60, 600]).checked_sub(1).map(seconds),
            fast_io_fail_timeout: pick(&[0, 0, 5]).checked_sub(1).map(seconds),
            ..InitiatorOptions::new(address(), PORT, port_of(0))
        };
        Self { options, limits: target::Limits::default(), is_listed: false }
    }

    /// Draws what the server allows.
    pub(super) fn draw_limits(&mut self, prng: &mut Prng) {
        let mut pick = |choices: &[u64]| choices[prng.below(choices.len() as u64) as usize];
        let requests = pick(&[1, 2, 8, 128]) as u32;
        // Just enough that the last channel of all comes up, with fewer credits than the others.
        let scarce = CLIENTS_MAX * u32::from(self.options.channels) * (requests + UNCOUNTED) + CREDITS_FREE;
        self.limits = target::Limits {
            channels_per_nexus: pick(&[1, 2, 64]) as u32,
            receives: if pick(&[0, 1]) == 1 { scarce } else { 4096 },
            requests,
            iu_len: pick(&[300, 1024, 8 * 1024 + 256]) as u32,
            immediate_data: pick(&[0, 1, 1]) == 1,
            sends: pick(&[4, 16, 256]) as u32,
            read_depth: pick(&[1, 4, 16]) as u8,
            ..target::Limits::default()
        };
        self.is_listed = pick(&[0, 1]) == 1;
        // By InfiniBand's own connection manager, or by the one that goes by ports.
        self.options.service = pick(&[0, 0, 1]).checked_sub(1).map(|_| PORT.guid);
    }

    /// How volumes are served.
    pub(super) fn export(&self) -> SrpExport {
        let listed = (0..CLIENTS_MAX).map(port_of).collect();
        SrpExport::new(if self.is_listed { Access::Only(listed) } else { Access::Any })
    }

    /// What the server allows on each device.
    pub(super) const fn target_limits(&self) -> target::Limits {
        self.limits
    }

    /// What the server's shard allows.
    pub(super) fn server_limits(&self) -> Limits {
        Limits { buffer_bytes: SERVER_BUFFER_BYTES, connections: 64, srp: self.limits, ..Limits::default() }
    }

    /// A using machine that has attached nothing yet.
    pub(super) fn make_client(&self, number: u32) -> RemoteClient {
        let local = World::address(Client::node(number));
        let options = self.options.clone();
        let options = InitiatorOptions { initiator: port_of(number), local: Some(local), ..options };
        let stranger = InitiatorOptions { initiator: port_of(CLIENTS_MAX + number), ..options.clone() };
        let client = RemoteClient::new(local, Options::Srp(Box::new(options)));
        if self.is_listed { client.first_as(Options::Srp(Box::new(stranger))) } else { client }
    }
}

/// Where SRP is listened for.
fn address() -> SocketAddr {
    SocketAddr::new(Plan::address().ip(), 5555)
}

/// The initiator port of a client.
fn port_of(client: u32) -> PortId {
    PortId { extension: u64::from(client) + 1, guid: 0x5054 }
}

/// The target port. Its GUID is what InfiniBand's connection manager is asked for.
const PORT: PortId = PortId { extension: 0x0505, guid: 0x0002_c903_0001_0203 };
/// The most clients.
const CLIENTS_MAX: u32 = 6;
/// What a target keeps of a channel's receives for units that need no credit, and what it wants to be free to open one.
const UNCOUNTED: u32 = 3;
const CREDITS_FREE: u32 = 16;
