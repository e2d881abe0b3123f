//! A machine that serves a volume: killed and started again at will, its disk outlives it.

use crate::env::NodeEnv;
use crate::network::NodeId;
use crate::world::{SharedWorld, World};
use core::net::SocketAddr;
use engine::{FileSpec, Limits, Shard, Spec};
use nvme::target::{NamespaceConfig, SubsystemConfig};
use std::path::PathBuf;
use wire::nvme::Nqn;

/// The serving node.
pub(super) struct Server {
    world: SharedWorld,
    plan: Plan,
    /// `None` while the machine is down.
    life: Option<(Shard, NodeEnv)>,
}

/// What it serves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// In a file that outlives the machine's crashes, not in memory.
    pub(super) file: bool,
    /// Blocks of the volume.
    pub(super) blocks: u64,
    /// Bytes a block.
    pub(super) block_size: u32,
}

impl Server {
    pub(super) const NODE: NodeId = NodeId(1);
    pub(super) const NQN: &'static str = "nqn.2026-01.org.weft:simulated";

    pub(super) fn address() -> SocketAddr {
        (World::address(Self::NODE), 4420).into()
    }

    pub(super) fn new(world: &SharedWorld, plan: Plan) -> Self {
        let mut server = Self { world: world.clone(), plan, life: None };
        server.start();
        server
    }

    /// Starts the machine, and has it serve its volume.
    pub(super) fn start(&mut self) {
        let limits = Limits { buffer_bytes: BUFFER_BYTES, connections: 64, ..Limits::default() };
        let mut env = NodeEnv::boot(&self.world, Self::NODE, limits.memory());
        let mut shard = Shard::new(&mut env, limits).expect("memory");
        let Plan { file, blocks, block_size } = self.plan;
        let spec = if file {
            let (path, create) = (PathBuf::from("disk"), Some(blocks * u64::from(block_size)));
            Spec::File(FileSpec {
                path,
                block_size: Some(block_size),
                direct: false,
                read_only: false,
                create,
            })
        } else {
            Spec::Ram { blocks, block_size }
        };
        let nqn: Nqn = Self::NQN.parse().expect("a name of ours");
        shard.add_volume(&mut env, "volume", spec, Some(block::Identity([7; 16]))).expect("a volume");
        shard.target_mut().create_subsystem(SubsystemConfig::new(nqn)).expect("a subsystem");
        shard.add_namespace(&nqn, "volume", NamespaceConfig::default()).expect("a namespace");
        shard.add_listener(&mut env, &nqn, Self::address()).expect("a listener");
        self.life = Some((shard, env));
    }

    /// Pulls the plug.
    pub(super) fn crash(&mut self) {
        self.world.borrow_mut().crash(Self::NODE);
        self.life = None;
    }

    pub(super) fn is_up(&self) -> bool {
        self.life.is_some()
    }

    pub(super) fn turn(&mut self) {
        if let Some((shard, env)) = &mut self.life {
            shard.turn(env);
            shard.check();
            env.rest(shard.deadline());
        }
    }

    /// Begins an orderly end.
    pub(super) fn drain(&mut self) {
        if let Some((shard, env)) = &mut self.life {
            shard.drain(env);
        }
    }

    pub(super) fn is_drained(&self) -> bool {
        self.life.as_ref().is_none_or(|(shard, _)| shard.is_drained())
    }

    /// I/O buffers that are out.
    pub(super) fn buffers_taken(&mut self) -> usize {
        use stdx::env::Env;
        self.life.as_mut().map_or(0, |(_, env)| env.mem().buffers_taken())
    }
}

/// Little enough that the load runs short of buffers now and then.
const BUFFER_BYTES: usize = 16 << 20;
