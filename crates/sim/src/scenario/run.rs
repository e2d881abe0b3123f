//! One run: safety under faults, then heal, liveness, and the drain that shows that nothing is left over.

use super::client::Client;
use super::server::{Plan, Server};
use crate::faults::Faults;
use crate::network::NodeId;
use crate::world::{SharedWorld, Step, World};
use core::time::Duration;
use engine::url::{NvmeUrl, VolumeUrl};
use stdx::prng::Prng;
use stdx::time::Time;

/// How a run went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The seed that replays it.
    pub seed: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Requests that were answered.
    pub completed: u64,
    /// How often the server lost its power.
    pub crashes: u32,
    /// Simulated time.
    pub elapsed: Duration,
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// All was right.
    Passed,
    /// A client was told what cannot be.
    Unsafe(String),
    /// Something did not end although nothing was in its way.
    Stuck(String),
    /// Something was left over at the end.
    Leaked(String),
}

/// Plays NVMe/TCP between shards of ours, as the seed says.
pub fn run(seed: u64) -> Report {
    let mut play = Play::new(seed);
    let outcome = play.through().map_or_else(|outcome| outcome, |()| Outcome::Passed);
    let elapsed = play.world.borrow().now() - Time::ZERO;
    let completed = play.clients.iter().map(|client| client.completed).sum();
    Report { seed, outcome, completed, crashes: play.crashes, elapsed }
}

struct Play {
    world: SharedWorld,
    prng: Prng,
    server: Server,
    clients: Vec<Client>,
    crashes: u32,
    may_crash: bool,
    turns: u32,
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut prng = Prng::new(seed);
        let file = prng.chance(1, 2);
        let block_size = if prng.chance(1, 4) { 4096 } else { 512 };
        // A volume promises that a power cut tears no block, and its disk must promise that first.
        let faults = Faults { disk_sector: block_size as usize, ..Faults::draw(&mut prng) };
        let world = World::new(prng.next_u64(), faults);
        let count = prng.between(1, 3);
        let share = prng.between(8, 64);
        let server = Server::new(&world, Plan { file, blocks: share * count, block_size });
        let url = VolumeUrl::NvmeTcp(NvmeUrl {
            host: Server::address().ip().to_string(),
            port: Server::address().port(),
            nqn: Some(Server::NQN.into()),
            nsid: Some(1),
            hostnqn: None,
            header_digest: prng.chance(1, 3),
            data_digest: prng.chance(1, 3),
            queues: Some(prng.between(1, 4) as u16),
            depth: Some(prng.between(4, 64) as u16),
        });
        let client = |number: u64| {
            let node = NodeId(2 + number as u8);
            Client::new(&world, node, seed ^ number << 32, &url, number * share, share, block_size)
        };
        let clients = (0..count).map(client).collect();
        let turns = prng.between(200, 3000) as u32;
        Self { world, may_crash: file && prng.chance(1, 2), prng, server, clients, crashes: 0, turns }
    }

    fn through(&mut self) -> Result<(), Outcome> {
        for _ in 0..self.turns {
            if self.may_crash && self.prng.chance(1, 400) {
                self.toggle_power();
            }
            self.step(true, Time::NEVER)?;
        }
        self.world.borrow_mut().faults.heal();
        if !self.server.is_up() {
            self.server.start();
        }
        self.settle("requests under way were never answered", |play| {
            play.clients.iter().all(|client| client.under_way() == 0)
        })?;
        self.read_back()?;
        self.drain()
    }

    fn toggle_power(&mut self) {
        if self.server.is_up() {
            self.server.crash();
            self.clients.iter_mut().for_each(|client| client.shadow.power_cut());
            self.crashes += 1;
        } else {
            self.server.start();
        }
    }

    /// Gives the next node its turn; `Ok(false)` if nothing happens before `until`.
    fn step(&mut self, load: bool, until: Time) -> Result<bool, Outcome> {
        let step = self.world.borrow_mut().step(until);
        let Step::Turn(node) = step else { return Ok(false) };
        if node == Server::NODE {
            self.server.turn();
            return Ok(true);
        }
        let client = &mut self.clients[usize::from(node.0) - 2];
        client.turn(load);
        client.wrong.take().map_or(Ok(true), |what| Err(Outcome::Unsafe(what)))
    }

    /// Lets the healed world go on until `settled`; it must come to that in good time.
    fn settle(&mut self, what: &str, mut settled: impl FnMut(&mut Self) -> bool) -> Result<(), Outcome> {
        let until = self.world.borrow().now() + PATIENCE;
        for _ in 0..PATIENCE_TURNS {
            if settled(self) {
                return Ok(());
            }
            if self.world.borrow().now() >= until || !self.step(false, until)? && !settled(self) {
                return Err(Outcome::Stuck(what.into()));
            }
        }
        Err(Outcome::Stuck(format!("{what}: {PATIENCE_TURNS} turns, and no end")))
    }

    /// Every client reads all that is its own.
    fn read_back(&mut self) -> Result<(), Outcome> {
        for number in 0..self.clients.len() {
            let (mut at, end) = self.clients[number].range();
            self.settle("the last reads were never answered", |play| {
                let client = &mut play.clients[number];
                if at < end && client.under_way() == 0 {
                    at = client.read_next(at);
                }
                at == end && client.under_way() == 0
            })?;
        }
        Ok(())
    }

    /// Everybody leaves; nothing may be left over.
    fn drain(&mut self) -> Result<(), Outcome> {
        self.clients.iter_mut().for_each(Client::leave);
        self.server.drain();
        self.settle("the server never came to its end", |play| play.server.is_drained())?;
        let left =
            self.server.buffers_taken() + self.clients.iter_mut().map(Client::buffers_taken).sum::<usize>();
        if left > 0 {
            return Err(Outcome::Leaked(format!("{left} buffers were not given back")));
        }
        let streams = self.world.borrow().streams();
        if streams > 0 {
            Err(Outcome::Leaked(format!("{streams} ends of streams are still open")))
        } else {
            Ok(())
        }
    }
}

/// How long a healed world may take for anything.
const PATIENCE: Duration = Duration::from_secs(600);

/// And how many turns: a shard that turns and turns to no end would use up a processor.
const PATIENCE_TURNS: u32 = 100_000;
