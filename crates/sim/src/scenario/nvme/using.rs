//! The using machine: a shard with the subsystem attached.

use super::super::machine::Using;
use super::Terms;
use crate::env::NodeEnv;
use block::{BlockDevice, Channel};
use engine::{Attached, Limits, Shard};
use nvme::host::HostOptions;
use std::collections::BTreeMap;
use stdx::time::Time;

/// See the module.
pub(in super::super) struct NvmeClient {
    shard: Shard,
    options: HostOptions,
}

impl NvmeClient {
    /// A machine that has attached nothing yet.
    pub(in super::super) fn new(env: &mut NodeEnv, terms: &Terms, number: u32) -> Self {
        let shard = Shard::new(env, Limits::default()).expect("memory");
        Self { shard, options: terms.options(number) }
    }

    fn attached(&self) -> Option<&Attached> {
        self.shard.hosts().get(NAME)
    }
}

impl Using for NvmeClient {
    fn turn(&mut self, env: &mut NodeEnv) {
        self.shard.turn(env);
        self.shard.check();
        if let Some(attached) = self.attached() {
            attached.host.check();
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.shard.deadline()
    }

    fn attach(&mut self, env: &mut NodeEnv) {
        self.shard.attach(env, NAME, self.options.clone(), |_| ());
    }

    fn detach(&mut self, env: &mut NodeEnv) {
        self.shard.detach(env, NAME).expect("it is attached");
    }

    fn is_attached(&self) -> bool {
        self.attached().is_some()
    }

    fn has_failed(&self) -> bool {
        self.attached().is_some_and(|attached| attached.failure().is_some())
    }

    fn is_live(&self) -> bool {
        self.attached().is_some_and(|attached| attached.host.is_live())
    }

    fn open(&self, number: u32) -> Option<Box<dyn Channel>> {
        let name = self.attached()?.volumes().get(&number)?;
        Some(self.shard.volumes().get(name)?.volume.open())
    }

    fn seen(&self) -> BTreeMap<u32, u64> {
        let Some(attached) = self.attached() else { return BTreeMap::new() };
        let blocks = |name: &String| self.shard.volumes().get(name).map(|entry| entry.volume.info().blocks);
        attached.volumes().iter().map(|(&nsid, name)| (nsid, blocks(name).unwrap_or(0))).collect()
    }
}

/// The controller's name on its client.
const NAME: &str = "remote";
