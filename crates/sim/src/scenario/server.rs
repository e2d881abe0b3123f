//! A machine that serves a volume: killed and started again at will, its disk outlives it. Volumes in memory come, go and
//! change their size while it is used.

use super::machine::Serving;
use super::plan::Plan;
use super::rivals::Rivals;
use super::vault::Vault;
use crate::env::NodeEnv;
use crate::world::SharedWorld;
use std::collections::BTreeMap;
use stdx::env::Env;
use stdx::prng::Prng;

/// The serving node.
pub(super) struct Server {
    world: SharedWorld,
    plan: Plan,
    /// Volumes that nobody reads or writes, and their blocks: they only come and go.
    extras: BTreeMap<u32, u64>,
    vault: Vault,
    /// The orderly end has begun.
    draining: bool,
    /// `None` while the machine is down.
    life: Option<Life>,
}

struct Life {
    machine: Box<dyn Serving>,
    env: NodeEnv,
    rivals: Rivals,
}

impl Server {
    pub(super) fn new(world: &SharedWorld, plan: &Plan, seed: u64) -> Self {
        let vault = Vault::new(plan.block_size, seed);
        let mut server = Self {
            world: world.clone(),
            plan: plan.clone(),
            extras: BTreeMap::new(),
            vault,
            draining: false,
            life: None,
        };
        server.start();
        server
    }

    /// Starts the machine, and has it serve its volumes.
    pub(super) fn start(&mut self) {
        let (env, machine) = self.plan.boot_server(&self.world, &self.extras);
        let rivals = Rivals::new(machine.own().as_ref(), self.plan.block_size);
        self.life = Some(Life { machine, env, rivals });
    }

    /// Pulls the plug.
    pub(super) fn crash(&mut self) {
        self.world.borrow_mut().crash(Plan::SERVER);
        self.vault.power_cut();
        self.life = None;
    }

    pub(super) fn is_up(&self) -> bool {
        self.life.is_some()
    }

    /// Lets the machine do its work; `load` has the server's own users ask for more. Says what went wrong, if anything did.
    pub(super) fn turn(&mut self, load: bool) -> Option<String> {
        let Life { machine, env, rivals } = self.life.as_mut()?;
        machine.turn(env);
        rivals.turn(env, load);
        if !self.draining {
            self.vault.turn(env, machine.vault().as_deref(), load);
        } else if self.vault.ends(env) {
            machine.close_vault(env);
        }
        env.rest(machine.deadline());
        rivals.wrong.take().or_else(|| self.vault.wrong.take())
    }

    /// Adds, removes or resizes a volume.
    pub(super) fn reconfigure(&mut self, prng: &mut Prng) {
        let Some(Life { machine, env, .. }) = &mut self.life else { return };
        let number = EXTRA_FIRST + prng.below(3) as u32;
        let blocks = prng.between(1, 1000);
        match self.extras.get(&number) {
            None => {
                machine.serve(env, number, blocks);
                self.extras.insert(number, blocks);
            }
            Some(_) if prng.chance(1, 2) => {
                machine.withdraw(env, number);
                self.extras.remove(&number);
            }
            Some(_) => {
                machine.resize(env, number, blocks);
                self.extras.insert(number, blocks);
            }
        }
        env.rest(machine.deadline());
    }

    /// The volumes that a client must see, and their blocks.
    pub(super) fn volumes(&self) -> BTreeMap<u32, u64> {
        let fixed = (1..=self.plan.namespaces).map(|number| (number, self.plan.namespace_blocks()));
        fixed.chain(self.extras.iter().map(|(&number, &blocks)| (number, blocks))).collect()
    }

    /// Associations that a client has here.
    pub(super) fn associations_of(&self, client: u32) -> usize {
        self.life.as_ref().map_or(0, |life| life.machine.associations_of(client))
    }

    /// Nothing goes wrong from here on.
    pub(super) fn calm(&mut self) {
        if let Some(life) = &mut self.life {
            life.rivals.calm = true;
            self.vault.calm = true;
        }
    }

    /// Begins an orderly end.
    pub(super) fn drain(&mut self) {
        self.draining = true;
        if let Some(Life { machine, env, .. }) = &mut self.life {
            machine.drain(env);
            env.rest(machine.deadline());
        }
    }

    pub(super) fn is_drained(&self) -> bool {
        self.life
            .as_ref()
            .is_none_or(|life| life.machine.is_drained() && life.rivals.are_idle() && self.vault.is_idle())
    }

    /// I/O buffers that are out.
    pub(super) fn buffers_taken(&mut self) -> usize {
        self.life.as_mut().map_or(0, |life| life.env.mem().buffers_taken())
    }
}

/// The number of the first volume that comes and goes.
const EXTRA_FIRST: u32 = 10;
