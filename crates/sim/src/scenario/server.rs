//! A machine that serves a volume: killed and started again at will, its disk outlives it. Its namespaces come, go and
//! change their size while it is used.

use super::plan::Plan;
use super::rivals::Rivals;
use crate::env::NodeEnv;
use crate::world::SharedWorld;
use block::Identity;
use engine::{FileSpec, Limits, Shard, Spec};
use nvme::target::{NamespaceConfig, SubsystemConfig};
use std::collections::BTreeMap;
use std::path::PathBuf;
use stdx::env::Env;
use stdx::prng::Prng;

/// The serving node.
pub(super) struct Server {
    world: SharedWorld,
    plan: Plan,
    /// Namespaces that nobody reads or writes, and their blocks: they only come and go.
    extras: BTreeMap<u32, u64>,
    /// `None` while the machine is down.
    life: Option<Life>,
}

struct Life {
    shard: Shard,
    env: NodeEnv,
    rivals: Rivals,
}

impl Server {
    pub(super) fn new(world: &SharedWorld, plan: &Plan) -> Self {
        let mut server =
            Self { world: world.clone(), plan: plan.clone(), extras: BTreeMap::new(), life: None };
        server.start();
        server
    }

    /// Starts the machine, and has it serve its namespaces.
    pub(super) fn start(&mut self) {
        let Plan { file, block_size, transport, .. } = self.plan;
        let limits = Limits { buffer_bytes: BUFFER_BYTES, connections: 64, transport, ..Limits::default() };
        let mut env = NodeEnv::boot(&self.world, Plan::SERVER, limits.memory());
        let mut shard = Shard::new(&mut env, limits).expect("memory");
        let blocks = self.plan.blocks();
        let spec = if file {
            Spec::File(FileSpec {
                path: PathBuf::from("disk"),
                block_size: Some(block_size),
                direct: false,
                read_only: false,
                create: Some(blocks * u64::from(block_size)),
            })
        } else {
            Spec::Ram { blocks, block_size }
        };
        shard.add_volume(&mut env, "base", spec, Some(Identity([255; 16]))).expect("a volume");
        let place = Spec::Partition { base: "base".into(), offset_blocks: self.plan.own_place(), blocks: 1 };
        shard.add_volume(&mut env, "own", place, Some(Identity([254; 16]))).expect("a volume");
        shard.target_mut().create_subsystem(SubsystemConfig::new(Plan::nqn())).expect("a subsystem");
        for nsid in 1..=self.plan.namespaces {
            let blocks = self.plan.namespace_blocks();
            let offset_blocks = u64::from(nsid - 1) * blocks;
            serve(&mut shard, &mut env, nsid, Spec::Partition { base: "base".into(), offset_blocks, blocks });
        }
        for (&nsid, &blocks) in &self.extras {
            serve(&mut shard, &mut env, nsid, Spec::Ram { blocks, block_size });
        }
        shard.add_listener(&mut env, &Plan::nqn(), Plan::address()).expect("a listener");
        let own = &shard.volumes().get("own").expect("it was made").volume;
        let rivals = Rivals::new(own.as_ref(), block_size);
        self.life = Some(Life { shard, env, rivals });
    }

    /// Pulls the plug.
    pub(super) fn crash(&mut self) {
        self.world.borrow_mut().crash(Plan::SERVER);
        self.life = None;
    }

    pub(super) fn is_up(&self) -> bool {
        self.life.is_some()
    }

    /// Lets the shard do its work; `load` has the server's own users ask for more. Says what went wrong, if anything did.
    pub(super) fn turn(&mut self, load: bool) -> Option<String> {
        let Life { shard, env, rivals } = self.life.as_mut()?;
        shard.turn(env);
        shard.check();
        rivals.turn(env, load);
        env.rest(shard.deadline());
        rivals.wrong.take()
    }

    /// Adds, removes or resizes a namespace.
    pub(super) fn reconfigure(&mut self, prng: &mut Prng) {
        let Some(Life { shard, env, .. }) = &mut self.life else { return };
        let nsid = EXTRA_FIRST + prng.below(3) as u32;
        let blocks = prng.between(1, 1000);
        let name = volume_name(nsid);
        match self.extras.get(&nsid) {
            None => {
                let block_size = self.plan.block_size;
                serve(shard, env, nsid, Spec::Ram { blocks, block_size });
                self.extras.insert(nsid, blocks);
            }
            Some(_) if prng.chance(1, 2) => {
                shard.remove_volume(env, &name).expect("it is there");
                self.extras.remove(&nsid);
            }
            Some(_) => {
                shard.resize_volume(env, &name, blocks).expect("memory can be resized");
                self.extras.insert(nsid, blocks);
            }
        }
        env.rest(shard.deadline());
    }

    /// The namespaces that a host must see, and their blocks.
    pub(super) fn namespaces(&self) -> BTreeMap<u32, u64> {
        let fixed = (1..=self.plan.namespaces).map(|nsid| (nsid, self.plan.namespace_blocks()));
        fixed.chain(self.extras.iter().map(|(&nsid, &blocks)| (nsid, blocks))).collect()
    }

    /// Controllers that a client has here.
    pub(super) fn controllers_of(&self, client: u32) -> usize {
        let Some(Life { shard, .. }) = &self.life else { return 0 };
        let controllers = shard.target().controllers(&Plan::nqn()).expect("our subsystem");
        controllers.iter().filter(|controller| controller.host == Plan::host(client)).count()
    }

    /// Nothing goes wrong from here on.
    pub(super) fn calm(&mut self) {
        if let Some(life) = &mut self.life {
            life.rivals.calm = true;
        }
    }

    /// Begins an orderly end.
    pub(super) fn drain(&mut self) {
        if let Some(Life { shard, env, .. }) = &mut self.life {
            shard.drain(env);
            env.rest(shard.deadline());
        }
    }

    pub(super) fn is_drained(&self) -> bool {
        self.life.as_ref().is_none_or(|life| life.shard.is_drained() && life.rivals.are_idle())
    }

    /// I/O buffers that are out.
    pub(super) fn buffers_taken(&mut self) -> usize {
        self.life.as_mut().map_or(0, |life| life.env.mem().buffers_taken())
    }
}

/// Makes a volume and serves it.
fn serve(shard: &mut Shard, env: &mut NodeEnv, nsid: u32, spec: Spec) {
    let name = volume_name(nsid);
    shard.add_volume(env, &name, spec, Some(Identity([nsid as u8; 16]))).expect("a volume");
    let config = NamespaceConfig { nsid: Some(nsid), ..NamespaceConfig::default() };
    shard.add_namespace(&Plan::nqn(), &name, config).expect("a namespace");
}

fn volume_name(nsid: u32) -> String {
    format!("volume{nsid}")
}

/// Little enough that the load runs short of buffers now and then.
const BUFFER_BYTES: usize = 16 << 20;

/// The identifier of the first namespace that comes and goes.
const EXTRA_FIRST: u32 = 10;
