//! The serving machine: a shard whose volumes are namespaces of a subsystem.

use super::super::machine::Serving;
use super::super::plan::{Plan, key};
use super::super::vault::VAULT_BLOCKS;
use super::{Terms, host, nqn};
use crate::env::NodeEnv;
use crate::world::SharedWorld;
use block::{BlockDevice, Identity};
use engine::{Encrypted, FileSpec, Limits, Shard, Spec};
use nvme::Transport;
use nvme::target::{NamespaceConfig, Portal, SubsystemConfig};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use stdx::time::Time;

/// See the module.
pub(in super::super) struct NvmeServer {
    shard: Shard,
    block_size: u32,
    has_vault: bool,
    /// Whether the vault could be opened; `None` while nobody knows.
    opened: Arc<Mutex<Option<bool>>>,
    /// The vault is not to be opened (again).
    is_closing: bool,
}

impl NvmeServer {
    /// Starts the machine, and has it serve its namespaces.
    pub(in super::super) fn boot(
        world: &SharedWorld,
        plan: &Plan,
        terms: &Terms,
        extras: &BTreeMap<u32, u64>,
    ) -> (NodeEnv, Self) {
        let (mut env, mut server) = Self::begin(world, plan, terms.server_limits(), extras);
        server.listen(&mut env, terms.options.transport);
        (env, server)
    }

    /// The same with other limits, and nobody is let in yet.
    pub(in super::super) fn begin(
        world: &SharedWorld,
        plan: &Plan,
        limits: Limits,
        extras: &BTreeMap<u32, u64>,
    ) -> (NodeEnv, Self) {
        let block_size = plan.block_size;
        let mut env = NodeEnv::boot(world, Plan::SERVER, limits.memory());
        let shard = Shard::new(&mut env, limits).expect("memory");
        let mut server =
            Self { shard, block_size, has_vault: plan.encrypted, opened: Arc::default(), is_closing: false };
        server.add_volumes(&mut env, plan);
        server.shard.target_mut().create_subsystem(SubsystemConfig::new(nqn())).expect("a subsystem");
        for nsid in 1..=plan.namespaces {
            let blocks = plan.namespace_blocks();
            let offset_blocks = u64::from(nsid - 1) * blocks;
            server.add(&mut env, nsid, Spec::Partition { base: "base".into(), offset_blocks, blocks });
        }
        for (&nsid, &blocks) in extras {
            server.serve(&mut env, nsid, blocks);
        }
        (env, server)
    }

    /// Lets hosts in by a transport.
    pub(in super::super) fn listen(&mut self, env: &mut NodeEnv, transport: Transport) {
        let portal = Portal { transport, address: Plan::address() };
        self.shard.add_listener(env, &nqn(), portal).expect("a listener");
    }

    /// The machine's shard, for what other protocols serve of it.
    pub(in super::super) const fn shard(&self) -> &Shard {
        &self.shard
    }

    /// The same, to add to.
    pub(in super::super) const fn shard_mut(&mut self) -> &mut Shard {
        &mut self.shard
    }

    fn add_volumes(&mut self, env: &mut NodeEnv, plan: &Plan) {
        let (block_size, blocks) = (plan.block_size, plan.blocks());
        let below = if plan.encrypted { "disk" } else { "base" };
        let spec = if plan.file {
            Spec::File(FileSpec {
                path: PathBuf::from("disk"),
                block_size: Some(block_size),
                direct: false,
                read_only: false,
                create: Some(blocks * u64::from(block_size)),
            })
        } else {
            Spec::Ram { blocks, block_size, physical_block_size: None }
        };
        self.shard.add_volume(env, below, spec, Some(Identity([255; 16]))).expect("a volume");
        if plan.encrypted {
            self.shard.add_key("key", key()).expect("a key");
            let identity = Some(Identity([253; 16]));
            let base = Encrypted { name: "base".into(), base: below.into(), identity };
            self.shard.add_encrypted_volume(env, &base, "key").expect("a volume");
        }
        let place = Spec::Partition { base: "base".into(), offset_blocks: plan.own_place(), blocks: 1 };
        self.shard.add_volume(env, "own", place, Some(Identity([254; 16]))).expect("a volume");
        if plan.encrypted {
            self.add_vault(env, plan);
        }
    }

    fn add_vault(&mut self, env: &mut NodeEnv, plan: &Plan) {
        let offset_blocks = plan.vault_place();
        let place = Spec::Partition { base: "base".into(), offset_blocks, blocks: VAULT_BLOCKS };
        self.shard.add_volume(env, "below the vault", place, Some(Identity([252; 16]))).expect("a volume");
        self.open_vault(env);
    }

    /// Begins to read the vault's key; the disk may refuse that, and is asked again.
    fn open_vault(&mut self, env: &mut NodeEnv) {
        let volume = Encrypted {
            name: VAULT.into(),
            base: "below the vault".into(),
            identity: Some(Identity([251; 16])),
        };
        *self.opened.lock().expect("nobody panicked") = None;
        let opened = Arc::clone(&self.opened);
        self.shard.add_volume_with_key_file(env, volume, Path::new("key"), move |made| {
            *opened.lock().expect("nobody panicked") = Some(made.is_ok());
        });
    }

    fn opened(&self) -> Option<bool> {
        *self.opened.lock().expect("nobody panicked")
    }

    /// Makes a volume and serves it.
    fn add(&mut self, env: &mut NodeEnv, nsid: u32, spec: Spec) {
        let name = volume_name(nsid);
        self.shard.add_volume(env, &name, spec, Some(Identity([nsid as u8; 16]))).expect("a volume");
        let config = NamespaceConfig { nsid: Some(nsid), ..NamespaceConfig::default() };
        self.shard.add_namespace(&nqn(), &name, config).expect("a namespace");
    }
}

impl Serving for NvmeServer {
    fn turn(&mut self, env: &mut NodeEnv) {
        if self.opened() == Some(false) && !self.is_closing {
            self.open_vault(env);
        }
        self.shard.turn(env);
        self.shard.check();
    }

    fn deadline(&self) -> Option<Time> {
        self.shard.deadline()
    }

    fn own(&self) -> Rc<dyn BlockDevice> {
        let own = &self.shard.volumes().get("own").expect("it was made").volume;
        Rc::<block::Volume>::clone(own)
    }

    fn vault(&self) -> Option<Rc<dyn BlockDevice>> {
        let vault = &self.shard.volumes().get(VAULT)?.volume;
        Some(Rc::<block::Volume>::clone(vault))
    }

    fn close_vault(&mut self, env: &mut NodeEnv) {
        self.is_closing = true;
        if self.shard.remove_volume(env, VAULT).is_ok() {
            // The file of its key is closed in the next turn.
            self.shard.turn(env);
        }
    }

    fn serve(&mut self, env: &mut NodeEnv, number: u32, blocks: u64) {
        self.add(env, number, Spec::Ram { blocks, block_size: self.block_size, physical_block_size: None });
    }

    fn withdraw(&mut self, env: &mut NodeEnv, number: u32) {
        self.shard.remove_volume(env, &volume_name(number)).expect("it is there");
    }

    fn resize(&mut self, env: &mut NodeEnv, number: u32, blocks: u64) {
        self.shard.resize_volume(env, &volume_name(number), blocks).expect("memory can be resized");
    }

    fn associations_of(&self, client: u32) -> usize {
        let controllers = self.shard.target().controllers(&nqn()).expect("our subsystem");
        controllers.iter().filter(|controller| controller.host == host(client)).count()
    }

    fn drain(&mut self, env: &mut NodeEnv) {
        self.shard.drain(env);
    }

    fn is_drained(&self) -> bool {
        self.shard.is_drained() && (!self.has_vault || self.opened().is_some() && self.vault().is_none())
    }
}

/// The name of the vault's volume.
const VAULT: &str = "vault";

/// The volume that a namespace is served from.
pub(in super::super) fn volume_name(nsid: u32) -> String {
    format!("volume{nsid}")
}
