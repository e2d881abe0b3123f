//! Asking a discovery controller where subsystems are (Base 5.16.1.23, Fabrics 4; TCP Transport 3.1).
//!
//! ```text
//!   Connecting --> Header --> Entries (four at a time) --> Check --same generation--> told
//!                    ^ ^                                     |                         |
//!                    | +---------- it has changed -----------+                         |
//!                    +------------ watched, and changed, or connected anew ------------+
//! ```
//!
//! A log that is watched is told again whenever the controller says that it changed (Base 5.2, asynchronous event F0h), and
//! after each loss of the connection.
//!
//! An entry may be a referral: another discovery controller, to be asked by another [`Discovery`] if the owner wants.

use super::AdminRequest;
use super::event::{Failure, HostEvent};
use super::handle::{Host, HostError};
use super::options::HostOptions;
use super::queue::Data;
use crate::Transport;
use core::time::Duration;
use std::net::SocketAddr;
use stdx::env::{Env, Event, Owner};
use stdx::mem::{Kind, Span};
use stdx::time::Time;
use thiserror::Error;
use verbs::Device;
use wire::nvme::admin::LogPageRequest;
use wire::nvme::identify::IDENTIFY_LEN;
use wire::nvme::log::{DiscoveryEntry, DiscoveryHeader, LogPage, SubsystemType, TransportType};
use wire::nvme::{Nqn, Status};

/// A discovery controller being asked.
#[derive(Debug)]
pub struct Discovery {
    host: Host,
    /// Private memory for a piece of the log.
    page: Span,
    stage: Stage,
    /// Generation and number of entries, as the header said.
    generation: u64,
    records: usize,
    entries: Vec<DiscoveryEntry>,
    rounds_left: u32,
    /// The log is told each time it changes.
    watched: bool,
    /// It changed while it was read.
    stale: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Connecting,
    Header,
    Entries,
    Check,
    Told,
}

/// The log, whole and of one generation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiscoveryLog {
    /// Changes since the discovery service started.
    pub generation: u64,
    /// The entries.
    pub entries: Vec<DiscoveryEntry>,
}

/// There is no log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum DiscoveryError {
    /// No connection.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The log cannot be read.
    #[error("the controller refused to tell its discovery log: {0}")]
    Refused(Status),
    /// More entries than anyone has subsystems.
    #[error("the discovery log claims {0} entries")]
    TooLong(u64),
    /// It changed each time while it was read.
    #[error("the discovery log does not stand still")]
    Restless,
}

/// What a step of reading came to: the end, or nothing yet.
type Told = Option<Result<DiscoveryLog, DiscoveryError>>;

impl Discovery {
    /// Begins to ask the discovery controller at the address in `options`; subsystem, queues and patience are set here.
    pub fn connect(env: &mut dyn Env, owner: Owner, options: &HostOptions) -> Result<Self, HostError> {
        let (keep_alive, loss) = (Duration::ZERO, Some(Duration::ZERO));
        let options = HostOptions { keep_alive, controller_loss_timeout: loss, ..options.clone() };
        Self::begin(env, owner, options, false)
    }

    /// The same, and stays connected to tell the log whenever it changes. A connection that is lost is made anew for as
    /// long as it takes; one that could not be made at first is an error.
    pub fn watch(env: &mut dyn Env, owner: Owner, options: &HostOptions) -> Result<Self, HostError> {
        let options = HostOptions { controller_loss_timeout: None, ..options.clone() };
        Self::begin(env, owner, options, true)
    }

    fn begin(
        env: &mut dyn Env,
        owner: Owner,
        options: HostOptions,
        watched: bool,
    ) -> Result<Self, HostError> {
        let options = HostOptions { subsystem: Nqn::discovery(), io_queues: 0, requests_max: 1, ..options };
        let region = env.mem().map(Kind::Private, IDENTIFY_LEN as u64)?;
        let page = env.mem().whole(region);
        let host = Host::connect(env, owner, options).inspect_err(|_| env.mem().unmap(region))?;
        let (stage, rounds_left) = (Stage::Connecting, ROUNDS_MAX);
        let (generation, records, entries) = (0, 0, Vec::new());
        Ok(Self { host, page, stage, generation, records, entries, rounds_left, watched, stale: false })
    }

    /// An event of the owner's.
    pub fn handle_event(&mut self, env: &mut dyn Env, event: &Event) {
        self.host.handle_event(env, event);
    }

    /// When [`Discovery::handle_timeout`] wants to be called at the latest.
    pub fn deadline(&self) -> Option<Time> {
        self.host.deadline()
    }

    /// The deadline has come, or any time later.
    pub fn handle_timeout(&mut self, env: &mut dyn Env) {
        self.host.handle_timeout(env);
    }

    /// Sends what was asked for; call this before waiting for events.
    pub fn flush(&self, env: &mut dyn Env) {
        self.host.flush(env);
    }

    /// True if [`Discovery::poll`] has something to do.
    pub fn has_events(&self) -> bool {
        self.host.has_events()
    }

    /// The log, once it is there; call this after each of the above. Then close, unless the log is watched.
    pub fn poll(&mut self, env: &mut dyn Env) -> Option<Result<DiscoveryLog, DiscoveryError>> {
        while let Some(event) = self.host.poll_event() {
            let told = match event {
                HostEvent::Connected | HostEvent::Reconnected => self.read_anew(env),
                HostEvent::Failed(why) => Some(Err(why.into())),
                // The connection was lost; when it is back the log is read anew.
                HostEvent::AdminDone { status: Status::ABORTED_BY_HOST, .. } if self.watched => None,
                HostEvent::AdminDone { status, .. } if !status.is_success() => {
                    Some(Err(DiscoveryError::Refused(status)))
                }
                HostEvent::AdminDone { .. } => self.handle_read(env),
                HostEvent::NamespaceAdded(_) | HostEvent::NamespaceRemoved(_) => None,
                HostEvent::DiscoveryLogChanged => self.handle_changed(env),
                HostEvent::NamespaceResized { .. } | HostEvent::ConnectionLost(_) => None,
            };
            if told.is_some() && self.stage != Stage::Told {
                self.stage = Stage::Told;
                if core::mem::take(&mut self.stale) {
                    self.read_anew(env);
                }
                return told;
            }
        }
        None
    }

    /// Ends the connection and gives memory back; over RDMA as [`Host::close`] does, and [`Discovery::free`] follows.
    pub fn close(&mut self, env: &mut dyn Env) {
        self.stage = Stage::Told;
        self.host.close(env);
        if self.host.options().transport == Transport::Tcp {
            env.mem().unmap(self.page.region);
        }
    }

    /// The association, for what it needs of an RDMA device.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Gives back what was closed over RDMA.
    pub fn free(self, env: &mut dyn Env, device: &mut dyn Device) {
        self.host.free(env, device);
        env.mem().unmap(self.page.region);
    }

    /// How many entries the next read of some brings.
    fn next_count(&self) -> usize {
        (self.records - self.entries.len()).min(ENTRIES_A_READ)
    }

    /// Begins to read the log from its beginning.
    fn read_anew(&mut self, env: &mut dyn Env) -> Told {
        (self.rounds_left, self.stale) = (ROUNDS_MAX, false);
        self.read(env, Stage::Header)
    }

    fn handle_changed(&mut self, env: &mut dyn Env) -> Told {
        match self.stage {
            Stage::Told if self.watched => self.read_anew(env),
            Stage::Told | Stage::Connecting => None,
            Stage::Header | Stage::Entries | Stage::Check => {
                self.stale = self.watched;
                None
            }
        }
    }

    /// Asks for the next piece of the log.
    fn read(&mut self, env: &mut dyn Env, stage: Stage) -> Told {
        self.stage = stage;
        let (offset, length) = match stage {
            Stage::Entries => {
                let offset = DiscoveryHeader::LEN + self.entries.len() * DiscoveryEntry::LEN;
                (offset, self.next_count() * DiscoveryEntry::LEN)
            }
            Stage::Connecting | Stage::Header | Stage::Check | Stage::Told => (0, DiscoveryHeader::LEN),
        };
        let page = LogPage::Discovery.code();
        let request =
            LogPageRequest { page, length: length as u64, offset: offset as u64, ..Default::default() };
        let data = Data::FromController(self.page.first(length));
        let request = AdminRequest { tag: 0, command: request.command(0, 0), data };
        // There is a connection and nothing else is outstanding; if not, the loss of it is told next.
        let _ = self.host.admin(env, &request);
        None
    }

    fn handle_read(&mut self, env: &mut dyn Env) -> Told {
        match self.stage {
            Stage::Header => self.handle_header(env),
            Stage::Entries => {
                let bytes = env.mem().bytes(self.page.first(self.next_count() * DiscoveryEntry::LEN));
                let pieces = bytes.chunks_exact(DiscoveryEntry::LEN);
                self.entries.extend(pieces.filter_map(|piece| DiscoveryEntry::view(piece).ok()));
                let next = if self.entries.len() < self.records { Stage::Entries } else { Stage::Check };
                self.read(env, next)
            }
            Stage::Check if self.header(env).0 == self.generation => {
                let entries = core::mem::take(&mut self.entries);
                Some(Ok(DiscoveryLog { generation: self.generation, entries }))
            }
            Stage::Check => self.handle_header(env),
            Stage::Connecting | Stage::Told => None,
        }
    }

    fn handle_header(&mut self, env: &mut dyn Env) -> Told {
        let (generation, records) = self.header(env);
        if records > ENTRIES_MAX {
            return Some(Err(DiscoveryError::TooLong(records)));
        }
        if self.rounds_left == 0 {
            return Some(Err(DiscoveryError::Restless));
        }
        self.rounds_left -= 1;
        self.generation = generation;
        self.records = records as usize;
        self.entries.clear();
        self.read(env, if records == 0 { Stage::Check } else { Stage::Entries })
    }

    fn header(&self, env: &mut dyn Env) -> (u64, u64) {
        let bytes = env.mem().bytes(self.page);
        DiscoveryHeader::view(bytes).map_or((0, 0), |header| (header.generation.get(), header.records.get()))
    }
}

/// Where an entry leads and over what, if we speak that and its address is a number.
pub fn address(entry: &DiscoveryEntry) -> Option<(Transport, SocketAddr)> {
    let transport = match TransportType::from_code(entry.transport)? {
        TransportType::Tcp => Transport::Tcp,
        TransportType::Rdma => Transport::Rdma,
        _ => return None,
    };
    let address = entry.address()?.parse().ok()?;
    let port = entry.service_id()?.parse().ok()?;
    Some((transport, SocketAddr::new(address, port)))
}

/// True if an entry leads to a subsystem with namespaces.
pub fn is_subsystem(entry: &DiscoveryEntry) -> bool {
    SubsystemType::from_code(entry.subsystem_type) == Some(SubsystemType::Nvm)
}

/// True if an entry leads to another discovery controller.
pub fn is_referral(entry: &DiscoveryEntry) -> bool {
    SubsystemType::from_code(entry.subsystem_type) == Some(SubsystemType::Referral)
}

/// Entries in one read: a page of memory.
const ENTRIES_A_READ: usize = IDENTIFY_LEN / DiscoveryEntry::LEN;
/// The most entries we take.
const ENTRIES_MAX: u64 = 4096;
/// How often a log that changed is read anew.
const ROUNDS_MAX: u32 = 8;
