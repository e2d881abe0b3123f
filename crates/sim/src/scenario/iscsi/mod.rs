//! iSCSI between machines of ours.

mod export;
mod serving;
mod using;

pub(super) use export::IscsiExport;
pub(super) use serving::IscsiServer;
pub(super) use using::IscsiClient;

use super::client::Client;
use super::plan::{Plan, SERVER_BUFFER_BYTES};
use super::remote::{Options, RemoteClient};
use crate::world::World;
use core::net::SocketAddr;
use core::time::Duration;
use scsi::iscsi::IscsiName;
use scsi::iscsi::initiator::{InitiatorOptions, Transport};
use scsi::iscsi::login::chap::{ChapAccount, ChapAccounts, ChapAlgorithm, ChapOptions};
use scsi::iscsi::login::{DigestPolicy, Limits, RdmaLimits, Secret};
use scsi::iscsi::target;
use scsi::iscsi::target::iser;
use std::rc::Rc;
use stdx::prng::Prng;
use wire::iscsi::Serial;

/// What iSCSI draws for a run.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    options: InitiatorOptions,
    /// The target knows its initiators by CHAP.
    proven: bool,
    /// What the target wants of the parameters.
    limits: Limits,
    /// What the server's transport allows.
    transport: target::Limits,
    /// And on each RDMA device.
    rdma: iser::Limits,
    /// Commands of a session.
    queue_depth: u32,
}

impl Terms {
    /// Draws the initiators' options.
    pub(super) fn draw(prng: &mut Prng) -> Self {
        let mut pick = |choices: &[u64]| choices[prng.below(choices.len() as u64) as usize];
        let seconds = Duration::from_secs;
        let all = pick(&[0, 0, 1]) == 1;
        let mut digest = || match pick(&[0, 0, 1]) {
            _ if all => DigestPolicy::Required,
            0 => DigestPolicy::Allowed,
            _ => DigestPolicy::Preferred,
        };
        let (header_digest, data_digest) = (digest(), digest());
        let error_recovery_level = pick(&[0, 0, 1, 2, 2]) as u8;
        // Soon enough to come upon what is left of the session before.
        let reconnect_delay = Duration::from_millis(pick(&[1, 1, 20, 250]));
        let mut sessions = pick(&[1, 1, 1, 2, 4]) as u16;
        let connections = if sessions == 1 { pick(&[1, 1, 2, 3, 8]) } else { pick(&[1, 1, 1, 2]) };
        let mut connections = connections as u16;
        if comes_back_at_once(error_recovery_level, reconnect_delay) {
            // Several take long to come up, and what was left is gone by then.
            (sessions, connections) = (1, 1);
        }
        let options = InitiatorOptions {
            header_digest,
            data_digest,
            // A few commands before the wrap, or anywhere.
            cmd_sn: pick(&[0, 1]).checked_sub(1).map(|_| Serial(u32::MAX - 40)),
            sessions,
            connections,
            commands_max: pick(&[2, 4, 16, 64]) as u16,
            nop_interval: seconds(pick(&[2, 5])),
            nop_timeout: seconds(pick(&[2, 5])),
            watch_interval: seconds(pick(&[2, 5])),
            command_timeout: seconds(pick(&[5, 10, 30])),
            loss_timeout: pick(&[0, 60, 600]).checked_sub(1).map(seconds),
            error_recovery_level,
            reconnect_delay,
            ..InitiatorOptions::new(Plan::address(), node_name(), initiator(0))
        };
        let (limits, transport) = (Limits::default(), target::Limits::default());
        let (proven, rdma) = (pick(&[0, 1]) == 1, iser::Limits::default());
        Self { options, proven, limits, transport, rdma, queue_depth: 1 }
    }

    /// Draws what the target allows and wants.
    pub(super) fn draw_limits(&mut self, prng: &mut Prng) {
        let mut pick = |choices: &[u64]| choices[prng.below(choices.len() as u64) as usize];
        // Where damage is repaired there is to be much that can be damaged: reads of many PDUs.
        let repairs = self.are_guarded() && self.options.error_recovery_level > 0;
        let (bursts, levels) = match repairs {
            true => ([512, 1024, 4096], [1, 2, 2, 2]),
            false => ([4096, 8192, 1 << 20], [0, 1, 2, 2]),
        };
        self.limits = Limits {
            max_connections: pick(&[1, 2, 8]) as u16,
            initial_r2t: pick(&[0, 1]) == 1,
            immediate_data: pick(&[0, 1]) == 1,
            max_recv_data_segment_len: pick(&[1024, 4096, 256 << 10]) as u32,
            max_burst_len: pick(&bursts) as u32,
            first_burst_len: pick(&[512, 4096, 256 << 10]) as u32,
            time_to_wait_s: pick(&[0, 0, if self.come_back_at_once() { 0 } else { 1 }]) as u16,
            time_to_retain_s: pick(&[0, 5, 20]) as u16,
            error_recovery_level: pick(&levels) as u8,
            ..Limits::default()
        };
        self.queue_depth = pick(&[1, 2, 8, 128]) as u32;
        self.transport = target::Limits {
            heartbeat_interval: Duration::from_secs(pick(&[2, 5])),
            read_ahead_bytes_max: pick(&[16 << 10, 4 << 20]) as usize,
            lent_ahead_bytes_max: pick(&[16 << 10, 1 << 20]) as usize,
            solicited_bytes_max: pick(&[16 << 10, 4 << 20]) as usize,
            kept_bytes_max: pick(&[64 << 10, 4 << 20]) as usize,
            ..target::Limits::default()
        };
        if self.limits.max_burst_len < 1024 {
            // Writes that wait for each other, each for so many bursts, may take longer together than a command may.
            self.transport.solicited_bytes_max = 4 << 20;
        }
        if self.is_rdma() {
            self.draw_rdma_limits(prng);
        }
    }

    fn draw_rdma_limits(&mut self, prng: &mut Prng) {
        let mut pick = |choices: &[u64]| choices[prng.below(choices.len() as u64) as usize];
        let usual = iser::Limits::default();
        self.rdma = iser::Limits {
            sends: pick(&[4, 16, 128]) as u32,
            read_depth: pick(&[1, 4, 16]) as u8,
            login: RdmaLimits {
                target_recv_data_segment_len: pick(&[512, 4096, 8192]) as u32,
                unexpected_pdus_max: pick(&[2, 8, 32]) as u32,
                ..usual.login
            },
            ..usual
        };
    }

    /// What the server's transport allows.
    pub(super) const fn target_limits(&self) -> target::Limits {
        self.transport
    }

    /// The same of iSER.
    pub(super) const fn iser_limits(&self) -> iser::Limits {
        self.rdma
    }

    /// What a serving shard allows.
    pub(super) fn server_limits(&self) -> engine::Limits {
        engine::Limits {
            buffer_bytes: SERVER_BUFFER_BYTES,
            connections: 64,
            iscsi: self.transport,
            iser: self.rdma,
            ..engine::Limits::default()
        }
    }

    /// The same by RDMA, which needs no digests.
    pub(super) fn over_rdma(mut self) -> Self {
        self.options.transport = Transport::Rdma;
        let none = DigestPolicy::Allowed;
        (self.options.header_digest, self.options.data_digest) = (none, none);
        self
    }

    /// True if connections are queue pairs.
    pub(super) fn is_rdma(&self) -> bool {
        self.options.transport == Transport::Rdma
    }

    /// A machine that uses volumes by RDMA, and has attached nothing yet.
    pub(super) fn make_remote_client(&self, number: u32) -> RemoteClient {
        let local = World::address(Client::node(number));
        let options = InitiatorOptions { local: Some(local), ..self.options(number) };
        RemoteClient::new(local, Options::Iser(Box::new(options)))
    }

    /// The same at another address, with one connection of a client's at a time.
    pub(super) fn plainly(mut self, address: SocketAddr) -> Self {
        self.options.address = address;
        (self.options.sessions, self.options.connections) = (1, 1);
        self
    }

    /// True if a changed bit is noticed wherever it is.
    pub(super) fn are_guarded(&self) -> bool {
        self.options.header_digest == DigestPolicy::Required
            && self.options.data_digest == DigestPolicy::Required
    }

    /// True if clients whose sessions end are there again before their tasks are over.
    pub(super) fn come_back_at_once(&self) -> bool {
        comes_back_at_once(self.options.error_recovery_level, self.options.reconnect_delay)
    }

    /// Sessions of a client.
    pub(super) fn sessions(&self) -> usize {
        usize::from(self.options.sessions)
    }

    /// How a client connects.
    fn options(&self, client: u32) -> InitiatorOptions {
        let chap = self.proven.then(|| {
            let mutual = Some((Some("target".to_owned()), secret("what the target knows")));
            let one_way = ChapOptions::one_way(format!("client{client}"), client_secret(client));
            ChapOptions { mutual, ..one_way }
        });
        InitiatorOptions { initiator: initiator(client), chap, ..self.options.clone() }
    }

    /// Who may prove itself, and how.
    fn accounts(&self, clients: u32) -> Option<Rc<ChapAccounts>> {
        let account = |client: u32| ChapAccount {
            name: format!("client{client}"),
            secret: client_secret(client),
            mutual: Some(("target".to_owned(), secret("what the target knows"))),
        };
        let accounts = (0..clients).map(account).collect();
        let algorithms = ChapAlgorithm::ALL.to_vec();
        self.proven.then(|| Rc::new(ChapAccounts { accounts, algorithms, mutual_required: true }))
    }
}

/// True if a client whose session ends has another before the tasks of the first are over.
fn comes_back_at_once(error_recovery_level: u8, reconnect_delay: Duration) -> bool {
    error_recovery_level == 0 && reconnect_delay <= Duration::from_millis(1)
}

/// The target that is served.
fn node_name() -> IscsiName {
    IscsiName::parse("iqn.2026-01.org.weft:simulated").expect("a name of ours")
}

/// The name of a client's initiator.
fn initiator(client: u32) -> IscsiName {
    IscsiName::parse(&format!("iqn.2026-01.org.weft:client{client}")).expect("a name of ours")
}

fn client_secret(client: u32) -> Secret {
    secret(&format!("what client {client} knows"))
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes()).expect("a length that secrets have")
}
