//! The acts of a run: load under faults, healing, load in a calm world, silence, and the drain that shows that nothing is
//! left over.

use super::client::{Client, SharedHistory};
use super::plan::{Plan, Storage};
use super::run::Outcome;
use super::server::Server;
use crate::capture::SharedCapture;
use crate::checker::Disorder;
use crate::world::{SharedWorld, Step, World};
use core::time::Duration;
use stdx::prng::Prng;
use stdx::time::Time;

/// A run under way.
pub(super) struct Play {
    pub(super) world: SharedWorld,
    plan: Plan,
    prng: Prng,
    server: Server,
    history: SharedHistory,
    pub(super) clients: Vec<Client>,
    pub(super) crashes: u32,
}

impl Play {
    pub(super) fn new(protocol: Storage, seed: u64, capture: Option<SharedCapture>) -> Self {
        let mut prng = Prng::new(seed);
        let (plan, faults) = Plan::draw(protocol, seed, &mut prng);
        let world = World::new(prng.next_u64(), faults);
        world.borrow_mut().capture = capture;
        let server = Server::new(&world, &plan, seed);
        let history = SharedHistory::default();
        let client = |number| Client::new(&world, &plan, number, prng.next_u64(), &history);
        let clients = (0..plan.clients).map(client).collect();
        Self { world, plan, prng, server, history, clients, crashes: 0 }
    }

    /// All acts, one after the other.
    pub(super) fn through(&mut self) -> Result<(), Outcome> {
        self.load_under_faults()?;
        self.heal()?;
        self.load_in_calm()?;
        if self.prng.chance(1, 3) {
            self.fall_silent()?;
        }
        self.read_back()?;
        self.drain()?;
        self.history.borrow().judge().map_err(out_of_order)
    }

    fn load_under_faults(&mut self) -> Result<(), Outcome> {
        for _ in 0..self.plan.turns {
            if self.plan.crashes && self.prng.chance(1, 400) {
                self.toggle_power()?;
            }
            // What changes while a client is on its way up finds more that is half done.
            let one_in = if self.somebody_comes_up() { 3 } else { 100 };
            if self.plan.reconfigures && self.prng.chance(1, one_in) {
                self.server.reconfigure(&mut self.prng);
            }
            self.step(true, Time::NEVER)?;
        }
        Ok(())
    }

    /// True if a client has an association, but not all that belongs to it.
    fn somebody_comes_up(&self) -> bool {
        let mut down = (0..).zip(&self.clients).filter(|(_, client)| !client.is_live());
        self.plan.reconfigures && down.any(|(number, _)| self.server.associations_of(number) > 0)
    }

    fn toggle_power(&mut self) -> Result<(), Outcome> {
        if self.server.is_up() {
            self.server.crash();
            self.history.borrow_mut().power_cut().map_err(out_of_order)?;
            self.clients.iter_mut().for_each(|client| client.shadow.power_cut());
            self.crashes += 1;
        } else {
            self.server.start();
        }
        Ok(())
    }

    /// Nothing breaks any more: requests are answered, connections come back, and clients see what there is.
    fn heal(&mut self) -> Result<(), Outcome> {
        self.world.borrow_mut().faults.heal();
        if !self.server.is_up() {
            self.server.start();
        }
        self.settle("requests under way were never answered", |play| {
            play.clients.iter().all(|client| client.under_way() == 0)
        })?;
        // A connection that is dead without a word is noticed only after its time-outs.
        self.pass(RECOVERY)?;
        let volumes = self.server.volumes();
        self.settle("a client never saw the volumes that there are", |play| {
            play.clients.iter().all(|client| client.sees(&volumes))
        })
    }

    fn load_in_calm(&mut self) -> Result<(), Outcome> {
        self.server.calm();
        self.clients.iter_mut().for_each(|client| client.calm = true);
        for _ in 0..CALM_TURNS {
            self.step(true, Time::NEVER)?;
        }
        self.settle("requests of a calm world were never answered", |play| {
            play.clients.iter().all(|client| client.under_way() == 0)
        })
    }

    /// A client's machine is suspended: what it has at the server must end for want of a sign of life, and it comes back afterwards.
    fn fall_silent(&mut self) -> Result<(), Outcome> {
        let silent = self.prng.below(u64::from(self.plan.clients)) as u32;
        self.clients[silent as usize].calm = false;
        self.world.borrow_mut().freeze(Client::node(silent), true);
        self.pass(SILENCE)?;
        if self.plan.notices_silence(silent) && self.server.associations_of(silent) > 0 {
            return Err(Outcome::Leaked(format!("an association lives on after {SILENCE:?} of silence")));
        }
        self.world.borrow_mut().freeze(Client::node(silent), false);
        if !self.plan.notices_silence(silent) {
            // Its connection may be gone meanwhile, which it sees when it next has something to say.
            self.pass(RECOVERY)?;
        }
        self.settle("a client that was silent never came back", |play| {
            play.clients[silent as usize].is_live()
                && play.server.associations_of(silent) == play.plan.associations()
        })?;
        self.clients[silent as usize].calm = true;
        Ok(())
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

    /// Everybody leaves, the server sometimes first and under load; nothing may be left over.
    fn drain(&mut self) -> Result<(), Outcome> {
        if self.prng.chance(1, 2) {
            self.clients.iter_mut().for_each(|client| client.calm = false);
            for _ in 0..LAST_TURNS {
                self.step(true, Time::NEVER)?;
            }
            self.server.drain();
        }
        self.clients.iter_mut().for_each(Client::leave);
        self.settle("requests outlive their association", |play| {
            play.clients.iter().all(|client| client.under_way() == 0)
        })?;
        self.server.drain();
        self.settle("the server never came to its end", |play| play.server.is_drained())?;
        let of_server = self.server.buffers_taken();
        let of_clients: usize = self.clients.iter_mut().map(Client::buffers_taken).sum();
        if of_server + of_clients > 0 {
            let what = format!("{of_server} buffers of the server, {of_clients} of clients are not back");
            return Err(Outcome::Leaked(what));
        }
        self.settle("an RDMA device was never closed", |play| play.world.borrow().sockets() == 0)?;
        match self.world.borrow().streams() {
            0 => Ok(()),
            streams => Err(Outcome::Leaked(format!("{streams} ends of streams are still open"))),
        }
    }

    /// Gives the next node its turn; `Ok(false)` if nothing happens before `until`.
    fn step(&mut self, load: bool, until: Time) -> Result<bool, Outcome> {
        let step = self.world.borrow_mut().step(until);
        let Step::Turn(node) = step else { return Ok(false) };
        let wrong = if node == Plan::SERVER {
            self.server.turn(load)
        } else {
            let client = &mut self.clients[usize::from(node.0) - 2];
            client.turn(load);
            self.world.borrow_mut().may_flap(node);
            client.wrong.take()
        };
        wrong.map_or(Ok(true), |what| Err(Outcome::Unsafe(what)))
    }

    /// Lets time pass, without load.
    fn pass(&mut self, time: Duration) -> Result<(), Outcome> {
        let until = self.world.borrow().now() + time;
        self.settle_until("time stands still", until, |play| play.world.borrow().now() >= until)
    }

    /// Lets the healed world go on until `settled`; it must come to that in good time.
    fn settle(&mut self, what: &str, settled: impl FnMut(&mut Self) -> bool) -> Result<(), Outcome> {
        let until = self.world.borrow().now() + PATIENCE;
        self.settle_until(what, until, settled)
    }

    fn settle_until(
        &mut self,
        what: &str,
        until: Time,
        mut settled: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), Outcome> {
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
}

fn out_of_order(disorder: Disorder) -> Outcome {
    Outcome::Unsafe(format!("what clients were told has no order: {disorder:?}"))
}

/// How long a healed world may take for anything.
const PATIENCE: Duration = Duration::from_secs(600);

/// And how many turns: a shard that turns and turns to no end would use up a processor.
const PATIENCE_TURNS: u32 = 100_000;

/// The longest that any time-out of a client or a target can take to notice what died before.
const RECOVERY: Duration = Duration::from_secs(120);

/// Longer than any keep alive time-out.
const SILENCE: Duration = Duration::from_secs(45);

/// Turns of load in a calm world.
const CALM_TURNS: u32 = 400;

/// Turns of load before the server is drained.
const LAST_TURNS: u32 = 50;
