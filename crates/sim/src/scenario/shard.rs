//! A machine that serves: a shard, whose volumes are reached by one protocol or by several at once.

use super::machine::Serving;
use super::plan::{Plan, key};
use super::vault::VAULT_BLOCKS;
use crate::env::NodeEnv;
use crate::world::SharedWorld;
use block::{BlockDevice, Identity};
use engine::{Encrypted, FileSpec, Limits, Shard, Spec};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use stdx::time::Time;

/// A protocol that serves volumes of a shard.
pub(super) trait Export {
    /// Makes what volumes are served from, and lets clients in.
    fn begin(&self, env: &mut NodeEnv, shard: &mut Shard);

    /// Serves a volume under a number.
    fn add(&self, shard: &mut Shard, volume: &str, number: u32);

    /// Associations that a client has by this protocol.
    fn associations_of(&self, shard: &Shard, client: u32) -> usize;
}

/// See the module.
pub(super) struct ShardServer {
    shard: Shard,
    exports: Vec<Box<dyn Export>>,
    block_size: u32,
    has_vault: bool,
    /// Whether the vault could be opened; `None` while nobody knows.
    opened: Arc<Mutex<Option<bool>>>,
    /// The vault is not to be opened (again).
    is_closing: bool,
}

impl ShardServer {
    /// Starts the machine, and has it serve its volumes.
    pub(super) fn boot(
        world: &SharedWorld,
        plan: &Plan,
        limits: Limits,
        exports: Vec<Box<dyn Export>>,
        extras: &BTreeMap<u32, u64>,
    ) -> (NodeEnv, Self) {
        let (block_size, has_vault) = (plan.block_size, plan.encrypted);
        let mut env = NodeEnv::boot(world, Plan::SERVER, limits.memory());
        let shard = Shard::new(&mut env, limits).expect("memory");
        let (opened, is_closing) = (Arc::default(), false);
        let mut server = Self { shard, exports, block_size, has_vault, opened, is_closing };
        server.add_volumes(&mut env, plan);
        for export in &server.exports {
            export.begin(&mut env, &mut server.shard);
        }
        for number in 1..=plan.namespaces {
            let blocks = plan.namespace_blocks();
            let offset_blocks = u64::from(number - 1) * blocks;
            server.add(&mut env, number, Spec::Partition { base: "base".into(), offset_blocks, blocks });
        }
        for (&number, &blocks) in extras {
            server.serve(&mut env, number, blocks);
        }
        (env, server)
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
    fn add(&mut self, env: &mut NodeEnv, number: u32, spec: Spec) {
        let name = volume_name(number);
        self.shard.add_volume(env, &name, spec, Some(Identity([number as u8; 16]))).expect("a volume");
        for export in &self.exports {
            export.add(&mut self.shard, &name, number);
        }
    }
}

impl Serving for ShardServer {
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
        self.exports.iter().map(|export| export.associations_of(&self.shard, client)).sum()
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

/// The name of the volume with that number.
fn volume_name(number: u32) -> String {
    format!("volume{number}")
}
