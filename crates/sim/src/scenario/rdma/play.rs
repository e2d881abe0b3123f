//! The acts of a run: load under faults, healing, load in a calm world, and the end that shows that nothing is left over.

use super::super::run::Outcome;
use super::link::{Link, State};
use super::machine::Machine;
use super::plan::Plan;
use super::side::{Drain, Side};
use super::{Check, requests, wrong};
use crate::capture::SharedCapture;
use crate::datagrams::DatagramFaults;
use crate::faults::Faults;
use crate::network::NodeId;
use crate::world::{SharedWorld, Step, World};
use core::time::Duration;
use stdx::conformance::links;
use stdx::prng::Prng;
use stdx::time::Time;
use verbs::{Completion, ConnectionWhat, Connections, Object, Provider, Transport, What};

/// A run under way.
pub(in super::super) struct Play {
    pub(in super::super) world: SharedWorld,
    plan: Plan,
    prng: Prng,
    machines: Vec<Machine>,
    links: Vec<Link>,
    /// Requests are made.
    loads: bool,
    /// None is wrong, and receives are always there.
    calm: bool,
    /// How often a machine lost its power.
    pub(in super::super) crashes: u32,
    /// Used again and again.
    done: Vec<Completion>,
}

impl Play {
    pub(in super::super) fn new(seed: u64, capture: Option<SharedCapture>) -> Self {
        let mut prng = Prng::new(seed);
        let plan = Plan::draw(&mut prng);
        let latency = [1, 20, 150][prng.below(3) as usize];
        let faults = Faults {
            latency: Duration::from_micros(latency),
            datagrams: DatagramFaults::draw(&mut prng),
            ..Faults::none()
        };
        let world = World::new(prng.next_u64(), faults);
        world.borrow_mut().capture = capture;
        world.borrow_mut().host = plan.is_one_host.then(links::Machine::default);
        let mut machines: Vec<_> =
            (0..plan.machines).map(|number| Machine::boot(&world, &plan, number, &mut prng)).collect();
        let links = plan.links.iter().enumerate();
        let is_lossless = world.borrow().faults.datagrams.loses_nothing();
        let links =
            links.map(|(number, link)| Link::new(&mut machines, number, *link, is_lossless)).collect();
        Self { world, plan, prng, machines, links, loads: true, calm: false, crashes: 0, done: Vec::new() }
    }

    /// Sends that completed.
    pub(in super::super) fn completed(&self) -> u64 {
        self.links.iter().map(|link| link.completed).sum()
    }

    /// All acts, one after the other.
    pub(in super::super) fn through(&mut self) -> Check {
        for _ in 0..self.plan.turns {
            self.step(Time::NEVER)?;
        }
        self.heal()?;
        self.load_in_calm()?;
        self.end()
    }

    /// Nothing breaks any more: what is under way comes to its end, and every link comes up.
    fn heal(&mut self) -> Check {
        self.world.borrow_mut().heal_datagrams();
        (self.loads, self.calm) = (false, true);
        // Who waits for a machine without power gives up of its own accord.
        self.keep_dark(2 * PATIENCE);
        self.settle("requests to a machine without power never came to their end", |link| {
            !link.is_bereft || link.sides.iter().all(Side::is_idle)
        })?;
        self.keep_dark(Duration::ZERO);
        self.settle("requests never came to their end, or links never up", |link| {
            link.state == State::Up && is_quiet(link)
        })
    }

    fn load_in_calm(&mut self) -> Check {
        // Some begin anew, with numbers that will go round.
        for link in &mut self.links {
            if self.prng.chance(1, 2) {
                link.fall(&mut self.machines, &mut self.prng);
            }
        }
        self.settle("links never came up again", |link| link.state == State::Up)?;
        self.links.iter_mut().for_each(|link| link.strict = true);
        self.loads = true;
        for _ in 0..CALM_TURNS {
            self.step(Time::NEVER)?;
        }
        self.loads = false;
        self.settle("requests of a calm world never came to their end", |link| {
            link.state == State::Up && is_quiet(link)
        })
    }

    /// Everything goes, and every byte is what it should be.
    fn end(&mut self) -> Check {
        for link in &mut self.links {
            link.end(&mut self.machines, &mut self.prng);
        }
        self.settle("a link never came to its end", |link| link.state == State::Down)?;
        for machine in &mut self.machines {
            machine.calm_down();
            machine.check_memory(&[])?;
            let address = machine.cell_memory.address;
            let last = machine.bytes(address, 8).try_into().unwrap_or_default();
            machine.cell.check(u64::from_ne_bytes(last))?;
        }
        for link in &self.links {
            for side in &link.sides {
                let keys =
                    [side.source.key, side.written.key, side.fetched.memory.key, side.received.memory.key];
                let machine = &mut self.machines[side.machine];
                for key in side.openings.into_iter().chain(keys) {
                    destroy(machine, Object::Memory(key))?;
                }
            }
        }
        for mut machine in self.machines.drain(..) {
            let own = [machine.cell_memory.key, machine.shared_key()].map(Object::Memory);
            let rest = [Object::Srq(machine.srq), Object::Cq(machine.cq), Object::Pd(machine.pd)];
            for object in own.into_iter().chain(rest) {
                destroy(&mut machine, object)?;
            }
            machine.device.close(&mut machine.env);
        }
        match self.world.borrow().sockets() {
            0 => Ok(()),
            sockets => Err(Outcome::Leaked(format!("{sockets} sockets are still open"))),
        }
    }

    /// Lets the world go on until every link is as it should be.
    fn settle(&mut self, what: &str, is_settled: impl Fn(&Link) -> bool) -> Check {
        let until = self.world.borrow().now() + PATIENCE;
        for _ in 0..PATIENCE_TURNS {
            if self.links.iter().all(&is_settled) {
                return Ok(());
            }
            if self.world.borrow().now() >= until {
                break;
            }
            self.step(until)?;
        }
        let late = self.links.iter().find(|link| !is_settled(link));
        let how = late.map(|link| {
            let sides = link.sides.each_ref().map(|side| {
                let (pending, expected) = (side.pending.len(), side.expected.len());
                let front = side.pending.front().map(|posted| &posted.what);
                format!(
                    "machine {} up {} connection {:?} sends {pending} ({front:.300?}) receives {} to come {expected} {:?}",
                    side.machine,
                    side.is_up,
                    side.connection,
                    side.receives.len(),
                    side.drain
                )
            });
            format!("{:?} {:?} {sides:#?}", link.state, link.plan)
        });
        Err(Outcome::Stuck(format!("{what}: {}", how.unwrap_or_default())))
    }

    /// Gives the next machine its turn.
    fn step(&mut self, until: Time) -> Check {
        self.restore_power();
        let lit_at = self.machines.iter().filter_map(|machine| machine.dark_until).min();
        let step = self.world.borrow_mut().step(lit_at.map_or(until, |at| at.min(until)));
        match step {
            Step::Idle => Ok(()),
            Step::Turn(NodeId(number)) => self.turn(usize::from(number) - 1),
        }
    }

    fn turn(&mut self, number: usize) -> Check {
        let mut done = core::mem::take(&mut self.done);
        done.clear();
        self.machines[number].listen(&mut done);
        let mut did = !done.is_empty();
        for completion in &done {
            let found = self.machines[number].pairs.get(&completion.qp).copied();
            let Some((link, at)) = found else {
                return Err(wrong(format!("{completion:?} of a queue pair that is gone")));
            };
            self.links[link].complete(&mut self.machines, at, completion, &mut self.prng)?;
        }
        self.done = done;
        self.hear(number)?;
        if self.machines[number].is_awake() {
            did |= self.visit(number)?;
        }
        self.machines[number].work(&self.plan, did, &mut self.prng);
        if self.prng.chance(1, 100) {
            let moving: Vec<_> = self.links.iter().flat_map(|link| link.moving(number)).collect();
            self.machines[number].check_memory(&moving)?;
        }
        if !self.calm && self.prng.chance(self.plan.power_cuts, 10_000) {
            self.cut_power(number);
        }
        Ok(())
    }

    /// A machine loses its power. Its peers are not told.
    fn cut_power(&mut self, number: usize) {
        for link in &mut self.links {
            for at in link.sides_on(number) {
                link.lose_power(&mut self.machines, at);
            }
        }
        let dark = MOMENT + Duration::from_micros(self.prng.below(40_000));
        let until = self.world.borrow().now() + dark;
        self.machines[number].lose_power(&self.world, until);
        self.crashes += 1;
    }

    /// Machines without power get it back so much later.
    fn keep_dark(&mut self, time: Duration) {
        let until = self.world.borrow().now() + time;
        let dark = self.machines.iter_mut().filter_map(|machine| machine.dark_until.as_mut());
        dark.for_each(|at| *at = until);
    }

    /// Machines whose time has come start again.
    fn restore_power(&mut self) {
        let now = self.world.borrow().now();
        for number in 0..self.machines.len() {
            if self.machines[number].dark_until.is_none_or(|until| until > now) {
                continue;
            }
            self.machines[number].regain_power(&self.world, &self.plan);
            for link in &mut self.links {
                for at in link.sides_on(number) {
                    link.regain_power(&mut self.machines, at, &mut self.prng);
                }
            }
        }
    }

    /// What the device has to tell besides completions.
    fn hear(&mut self, number: usize) -> Check {
        while let Some(event) = self.machines[number].device.poll_event() {
            if let What::SendQueueDrained(qp) = event.what
                && let Some((link, at)) = self.machines[number].pairs.get(&qp).copied()
            {
                let side = &mut self.links[link].sides[at];
                if side.drain != Drain::Draining {
                    return Err(wrong(format!("link {link}: drained, and nobody asked for that")));
                }
                side.drain = requests::drained(&self.machines[number], &mut self.prng);
            }
        }
        while let Some(event) = self.machines[number].device.poll_connection() {
            let found = match event.what {
                ConnectionWhat::Requested { listener, .. } => {
                    self.links.iter().position(|link| link.listens(number, listener)).map(|link| (link, 1))
                }
                _ => self.links.iter().enumerate().find_map(|(link, found)| {
                    let is_its = |at: &usize| {
                        let side = &found.sides[*at];
                        side.machine == number && side.connection == Some(event.connection)
                    };
                    [0, 1].into_iter().find(is_its).map(|at| (link, at))
                }),
            };
            let Some((link, at)) = found else {
                return Err(wrong(format!("{:?} of an unknown connection", event.what)));
            };
            self.links[link].handle_connection(&mut self.machines, at, &event, &mut self.prng)?;
        }
        Ok(())
    }

    /// The scenario does what it likes on a machine. True if that was anything.
    fn visit(&mut self, number: usize) -> Result<bool, Outcome> {
        let mut did = false;
        for link in &mut self.links {
            for at in [0, 1] {
                if link.sides[at].machine != number {
                    continue;
                }
                did |= link.finish_silent(&mut self.machines, at)?;
                did |= link.go_on(&mut self.machines, at, &mut self.prng)?;
                did |= requests::act(link, &mut self.machines, at, self.loads, self.calm, &mut self.prng);
            }
        }
        Ok(did)
    }
}

/// Nothing is under way on the link.
fn is_quiet(link: &Link) -> bool {
    let is_reliable = link.plan.service == Transport::ReliableConnection;
    link.sides
        .iter()
        .all(|side| side.is_idle() && side.drain == Drain::No && (!is_reliable || side.expected.is_empty()))
}

fn destroy(machine: &mut Machine, object: Object) -> Check {
    let destroyed = machine.device.destroy(&mut machine.env, object);
    destroyed.map_err(|why| Outcome::Leaked(format!("{object:?}: {why}")))
}

/// How long a healed world may take for anything: twice what whoever asked for a connection waits for, once it was asked for
/// patience and the answer was lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// And how many turns.
const PATIENCE_TURNS: u32 = 400_000;
/// How long a machine is without power, at least: what was on its way to it is gone then.
const MOMENT: Duration = Duration::from_millis(6);
/// Turns of load in a calm world.
const CALM_TURNS: u32 = 200;
