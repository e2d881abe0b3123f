//! The relay: who comes to it, from this host and from others, and its turns.

use crate::claims::{Claims, Silent};
use crate::greeting::{Ends, Nonce};
use crate::key::Key;
use crate::session::{Common, Session, Turn};
use launch::Role;
use launch::claim::{Claim, relay_name};
use reactor::{Bell, BellListener, Doorbell, Heard, Watch};
use sdp::sockets::Config;
use sockets::{Fabric, OpenError, SdpListener, SdpStream};
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdx::env::IoError;
use thiserror::Error;

/// What a relay is made with.
#[derive(Clone, Debug)]
pub struct Options {
    /// This host's addresses whose connections it carries, one at least.
    pub addresses: Vec<IpAddr>,
    /// The key that it has in common with the relays of other hosts.
    pub key: Key,
    /// The user whose programs it serves: the one it runs as.
    pub user: u32,
}

/// Why there is no relay.
#[derive(Debug, Error)]
pub enum StartError {
    /// The user has one.
    #[error("a relay of this user runs already")]
    Taken,
    /// The system gives no socket for programs.
    #[error("no socket for programs: {0}")]
    Programs(IoError),
    /// There are no RDMA devices.
    #[error(transparent)]
    Fabric(#[from] OpenError),
    /// Nobody can be listened for at an address.
    #[error("cannot listen at {0}: {1}")]
    Listen(IpAddr, io::Error),
    /// The address is this host's to itself.
    #[error(
        "{0} is reached from this host alone, whose connections need no relay; name an address that others reach"
    )]
    Loopback(IpAddr),
    /// The address's UDP port for RoCE is somebody else's.
    #[error("{0} is no address of this host, or somebody else has its UDP port 4791")]
    Address(IpAddr),
    /// There is no randomness.
    #[error("no random numbers: {0}")]
    Random(io::Error),
}

/// See the crate.
pub struct Relay {
    options: Options,
    fabric: Fabric,
    listeners: Vec<SdpListener>,
    programs: BellListener,
    /// Programs that have not said what they want.
    newcomers: Vec<(Bell, Instant)>,
    claims: Claims,
    silent: Silent,
    sessions: Vec<Session>,
    random: File,
    watch: Watch,
    stop: Arc<Doorbell>,
}

impl Relay {
    /// Begins to serve.
    ///
    /// # Errors
    /// When somebody else has what it needs, or the system lacks something.
    pub fn start(options: Options) -> Result<Relay, StartError> {
        let programs = BellListener::listen(&relay_name(options.user)).map_err(|error| match error {
            IoError::AddressInUse => StartError::Taken,
            error => StartError::Programs(error),
        })?;
        let fabric = Fabric::new(sockets::Options { sockets: config(), ..sockets::Options::default() })?;
        let mut listeners = Vec::new();
        for &address in &options.addresses {
            if address.is_loopback() {
                return Err(StartError::Loopback(address));
            }
            let at = SocketAddr::new(address, PORT);
            let listener =
                SdpListener::bind_on(&fabric, at).map_err(|why| StartError::Listen(address, why))?;
            if !listener.is_on_network() {
                return Err(StartError::Address(address));
            }
            listener.set_nonblocking(true);
            listeners.push(listener);
        }
        let watch = Watch::new().map_err(StartError::Programs)?;
        let stop = Arc::new(Doorbell::new().map_err(StartError::Programs)?);
        for added in [watch.add(&fabric.descriptor()), watch.add(&programs), watch.add(&*stop)] {
            added.map_err(StartError::Programs)?;
        }
        let random = File::open("/dev/urandom").map_err(StartError::Random)?;
        let (newcomers, sessions) = (Vec::new(), Vec::new());
        let (claims, silent) = (Claims::default(), Silent::default());
        Ok(Relay {
            options,
            fabric,
            listeners,
            programs,
            newcomers,
            claims,
            silent,
            sessions,
            random,
            watch,
            stop,
        })
    }

    /// Rung, it wakes the relay.
    pub fn stopper(&self) -> Arc<Doorbell> {
        Arc::clone(&self.stop)
    }

    /// Carries until it is to stop.
    pub fn run(&mut self, mut is_to_stop: impl FnMut() -> bool) {
        while !is_to_stop() {
            if self.turn() {
                continue;
            }
            // Whoever finds nothing says so, and looks once more.
            self.sessions.iter().for_each(Session::rest);
            if !self.turn() {
                let timeout = self.timeout(Instant::now());
                if timeout == Some(Duration::ZERO) {
                    std::thread::yield_now();
                } else {
                    self.watch.wait(timeout);
                }
            }
        }
    }

    /// How long nothing is to be done; `None` is for ever.
    fn timeout(&self, now: Instant) -> Option<Duration> {
        let newcomers = self.newcomers.iter().map(|(_, until)| *until);
        let sessions = self.sessions.iter().filter_map(Session::deadline);
        let own = newcomers.chain(sessions).chain(self.claims.deadline()).min();
        let own = own.map(|until| until.saturating_duration_since(now));
        self.fabric.deadline().into_iter().chain(own).min()
    }

    /// Does what there is to do; true if anything came of it.
    fn turn(&mut self) -> bool {
        let now = Instant::now();
        let mut has_moved = self.fabric.turn();
        has_moved |= self.let_programs_in(now);
        has_moved |= self.hear_newcomers(now);
        has_moved |= self.let_relays_in(now);
        self.claims.sweep(now);
        let mut place = 0;
        while place < self.sessions.len() {
            let mut common = Common { key: &self.options.key, claims: &mut self.claims, now };
            let session = &mut self.sessions[place];
            match session.turn(&mut common) {
                Ok(Turn::Idle) => {}
                Ok(Turn::Moved) => has_moved = true,
                Ok(Turn::Over) => {
                    self.sessions.swap_remove(place);
                    has_moved = true;
                    continue;
                }
                Err(why) => {
                    tracing::info!(%why, "a connection is not carried");
                    if let Some(host) = session.blamed(&why) {
                        self.silent.add(host, now);
                    }
                    self.sessions.swap_remove(place);
                    has_moved = true;
                    continue;
                }
            }
            place += 1;
        }
        has_moved
    }

    fn let_programs_in(&mut self, now: Instant) -> bool {
        let mut has_come = false;
        while self.newcomers.len() < NEWCOMERS_MAX
            && let Ok(bell) = self.programs.accept()
        {
            has_come = true;
            let is_ours = bell.peer().is_ok_and(|peer| peer.user == self.options.user);
            if is_ours && self.watch.add(&bell).is_ok() {
                self.newcomers.push((bell, now + WORD));
            }
        }
        has_come
    }

    fn hear_newcomers(&mut self, now: Instant) -> bool {
        let mut has_heard = false;
        for (bell, until) in core::mem::take(&mut self.newcomers) {
            let mut bytes = [0; Claim::LEN + 1];
            match bell.hear(&mut bytes) {
                Heard::Nothing if until > now => self.newcomers.push((bell, until)),
                Heard::Nothing | Heard::End => has_heard = true,
                Heard::Message(len) => {
                    has_heard = true;
                    if let Some(claim) = bytes.get(..len).and_then(Claim::from_bytes) {
                        self.take_claim(claim, bell, now);
                    }
                }
            }
        }
        has_heard
    }

    /// A program has said which end of which connection it has. What is not taken up is closed.
    fn take_claim(&mut self, claim: Claim, bell: Bell, now: Instant) {
        if !self.options.addresses.contains(&claim.local.ip()) {
            return;
        }
        match claim.role {
            Role::Server => {
                self.claims.add(Ends { client: claim.peer, server: claim.local }, bell, now);
            }
            Role::Client => {
                let host = claim.peer.ip();
                if self.sessions.len() >= SESSIONS_MAX || self.silent.has(host, now) {
                    return;
                }
                let Some(nonce) = self.nonce() else { return };
                let ends = Ends { client: claim.local, server: claim.peer };
                match SdpStream::begin(&self.fabric, SocketAddr::new(host, PORT)) {
                    Ok(stream) => self.sessions.push(Session::dial(stream, bell, ends, nonce, now)),
                    Err(_) => self.silent.add(host, now),
                }
            }
        }
    }

    fn let_relays_in(&mut self, now: Instant) -> bool {
        let mut has_come = false;
        for place in 0..self.listeners.len() {
            while self.listeners[place].is_ready()
                && let Ok((stream, _)) = self.listeners[place].accept()
            {
                has_come = true;
                if self.sessions.len() < SESSIONS_MAX
                    && let Some(nonce) = self.nonce()
                {
                    self.sessions.push(Session::accept(stream, nonce, now));
                }
            }
        }
        has_come
    }

    fn nonce(&mut self) -> Option<Nonce> {
        let mut nonce = Nonce::default();
        self.random.read_exact(&mut nonce).ok().map(|()| nonce)
    }
}

impl core::fmt::Debug for Relay {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Relay").field("sessions", &self.sessions.len()).finish_non_exhaustive()
    }
}

/// Streams between relays take less memory than the usual ones: the window is what bounds what is under way.
fn config() -> Config {
    let usual = Config::default();
    let connection = sdp::Options {
        receives: 8,
        // A relay whose host is gone does not say so.
        keep_alive: Some(Duration::from_secs(15)),
        ..usual.connection
    };
    Config { connection, streams_max: 2 * SESSIONS_MAX as u32, ..usual }
}

/// Where relays listen, in the ports of the Sockets Direct Protocol.
const PORT: u16 = 4792;
/// Connections that are carried, or about to be.
const SESSIONS_MAX: usize = 256;
const NEWCOMERS_MAX: usize = 64;
/// How long a program may take to say what it wants.
const WORD: Duration = Duration::from_secs(10);
