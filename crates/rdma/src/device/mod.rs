//! The soft device: queue pairs on a datagram socket of an [`Env`].
//!
//! What it is: a [`verbs::Provider`] whose peers are anywhere on the network. Each turn takes what has arrived, does what is
//! due, and sends what there is, a run of datagrams a call.
//!
//! What it is not: it decides nothing about packets; that is the [`engine`](crate::engine)'s.

mod connections;
mod groups;
mod management;
mod provider;
mod receive;

use crate::cm::Manager;
use crate::engine::{Core, Room};
use crate::icrc::Checker;
use crate::transmit::Transmitter;
use crate::{Config, Counters, Tap};
use core::net::SocketAddr;
use groups::Group;
use shm::Neighbourhood;
use stdx::env::{DatagramSocket, DatagramsId, Env, IoError, Owner, ReceivedRun};
use stdx::mem::{Kind, OutOfMemory, RegionId};
use stdx::time::{Time, earliest};
use thiserror::Error;

/// A device.
#[derive(Debug)]
pub struct SoftDevice {
    core: Core,
    manager: Manager,
    transmitter: Transmitter,
    checker: Checker,
    socket: DatagramsId,
    /// Where datagrams arrive.
    inbox: RegionId,
    /// There may be datagrams to take.
    is_readable: bool,
    /// What was taken last.
    runs: Vec<ReceivedRun>,
    /// The socket takes datagrams.
    is_writable: bool,
    /// Multicast groups with members here.
    groups: Vec<Group>,
    /// Whose events the sockets' are.
    owner: Owner,
    /// Who sees every datagram.
    tap: Option<Box<dyn Tap>>,
}

/// There is no device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum OpenError {
    /// The socket cannot be had.
    #[error("the device's socket cannot be opened")]
    Socket(#[source] IoError),
    /// There is no memory for datagrams.
    #[error("no memory for the device's datagrams")]
    Memory(#[from] OutOfMemory),
}

impl SoftDevice {
    /// Opens the device's socket. Its events go to `owner`, who hands them to
    /// [`Provider::handle_event`](verbs::Provider::handle_event).
    pub fn open(env: &mut dyn Env, owner: Owner, config: Config) -> Result<Self, OpenError> {
        let address = SocketAddr::new(config.address, config.port);
        let socket = env.open_datagrams(owner, &DatagramSocket { address }).map_err(OpenError::Socket)?;
        let info = env.datagrams_info(socket);
        let config = Config { port: info.address.port(), ..config };
        let mut transmitter = Transmitter::new(env.mem(), config.address, config.port)?;
        transmitter.set_limits(info.run_max, info.run_bytes_max);
        let inbox = env.mem().map(Kind::Private, (PLACES * PLACE_LEN) as u64)?;
        let (seed, numbering) = (env.entropy(), env.entropy() as u32);
        let neighbours = Neighbourhood::open(env, owner, config.address, config.port, config.neighbours);
        Ok(Self {
            core: Core::new(config, neighbours, Room::new(info.inbox_bytes, config.mtu), numbering),
            manager: Manager::new(&config, seed),
            transmitter,
            checker: Checker::new(),
            socket,
            inbox,
            is_readable: true,
            runs: Vec::with_capacity(PLACES),
            is_writable: true,
            groups: Vec::new(),
            owner,
            tap: None,
        })
    }

    /// Gives the socket and the memory back. Nothing is sent any more.
    pub fn close(self, env: &mut dyn Env) {
        env.close_datagrams(self.socket);
        self.groups.iter().for_each(|group| env.close_datagrams(group.socket));
        self.transmitter.close(env.mem());
        env.mem().unmap(self.inbox);
        self.core.neighbours.close(env);
    }

    /// What it was made with.
    pub const fn config(&self) -> &Config {
        &self.core.config
    }

    /// What it has seen.
    pub const fn counters(&self) -> &Counters {
        &self.core.counters
    }

    /// Has someone see every datagram from now on, until [`SoftDevice::take_tap`]. Connections with devices of this machine that
    /// are made from now on go over the network, too, so that there is something to be seen.
    pub fn set_tap(&mut self, tap: Box<dyn Tap>) {
        self.core.neighbours.suspend();
        self.tap = Some(tap);
    }

    /// Ends [`SoftDevice::set_tap`].
    pub fn take_tap(&mut self) -> Option<Box<dyn Tap>> {
        self.tap.take()
    }

    /// What it has seen of neighbours.
    pub const fn neighbour_counters(&self) -> &shm::Counters {
        self.core.neighbours.counters()
    }

    /// How many devices of other processes of this machine are reached through shared memory.
    pub fn neighbours(&self) -> usize {
        self.core.neighbours.linked()
    }

    /// Asserts what always holds between turns.
    pub fn check(&self) {
        self.core.check();
        self.manager.check();
    }

    fn handle_timeouts(&mut self, now: Time) {
        self.core.handle_timeouts(now);
        self.manager.handle_timeouts(&mut self.core, now);
    }

    /// Takes what neighbours wrote, and ends connections with those that are gone.
    fn hear_neighbours(&mut self, env: &mut dyn Env) {
        self.core.neighbours.receive(&mut self.core.registry, env);
        while let Some(qp) = self.core.neighbours.poll_lost() {
            self.manager.handle_loss(&mut self.core, env.now(), qp);
        }
        self.core.heed_neighbours();
    }

    /// Sends everything that may be sent, as far as the socket takes it.
    fn transmit(&mut self, env: &mut dyn Env, defers: bool) {
        while self.may_send() {
            match self.transmitter.flush(env, self.socket, self.tap.as_deref_mut()) {
                Ok(()) => {}
                Err(IoError::WouldBlock) => {
                    self.is_writable = false;
                    return;
                }
                Err(_) => self.core.counters.send_err += 1,
            }
            let now = env.now();
            let is_all = self.core.transmit_last_words(env.mem(), &mut self.transmitter)
                && self.manager.transmit(env.mem(), &mut self.core, &mut self.transmitter)
                && self.core.transmit(env.mem(), now, defers, &mut self.transmitter);
            if is_all && self.transmitter.is_empty() {
                return;
            }
        }
    }

    /// True if there may be something to send, and the socket takes it.
    fn may_send(&self) -> bool {
        self.is_writable
            && (self.core.is_active() || self.manager.is_active() || !self.transmitter.is_empty())
    }

    fn next_deadline(&self) -> Option<Time> {
        let is_readable = self.is_readable || self.groups.iter().any(|group| group.is_readable);
        if self.core.neighbours.is_busy() || is_readable || self.may_send() {
            return Some(Time::ZERO);
        }
        let own = earliest(self.core.timers_deadline(), self.manager.deadline());
        earliest(own, self.core.neighbours.deadline())
    }
}

/// Bytes of the largest run of datagrams.
const PLACE_LEN: usize = 64 << 10;
/// Runs that one call takes, at most: more places would be more memory than a processor has near.
const PLACES: usize = 4;
