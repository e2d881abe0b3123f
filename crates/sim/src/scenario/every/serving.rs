//! The serving machine: one shard, on which all protocols find the volume.

use super::super::machine::Serving;
use super::super::plan::Plan;
use super::super::{iscsi, nvme};
use super::{Terms, Way, way};
use crate::env::NodeEnv;
use crate::world::SharedWorld;
use ::nvme::Transport;
use block::BlockDevice;
use std::collections::BTreeMap;
use std::rc::Rc;
use stdx::time::Time;

/// See the module: NVMe's machine, with more on its shard.
pub(in super::super) struct EveryServer(nvme::NvmeServer);

impl EveryServer {
    /// Starts the machine, and has it serve its volume.
    pub(in super::super) fn boot(world: &SharedWorld, plan: &Plan, terms: &Terms) -> (NodeEnv, Self) {
        let (mut env, mut machine) =
            nvme::NvmeServer::begin(world, plan, terms.server_limits(), &BTreeMap::new());
        machine.listen(&mut env, Transport::Tcp);
        machine.listen(&mut env, Transport::Rdma);
        let volume = nvme::volume_name(VOLUME);
        let unit = (volume.as_str(), VOLUME as u16);
        iscsi::export(&mut env, machine.shard_mut(), &terms.iscsi, plan.clients, unit);
        (env, Self(machine))
    }
}

impl Serving for EveryServer {
    fn turn(&mut self, env: &mut NodeEnv) {
        self.0.turn(env);
    }

    fn deadline(&self) -> Option<Time> {
        self.0.deadline()
    }

    fn own(&self) -> Rc<dyn BlockDevice> {
        self.0.own()
    }

    fn serve(&mut self, env: &mut NodeEnv, number: u32, blocks: u64) {
        self.0.serve(env, number, blocks);
    }

    fn withdraw(&mut self, env: &mut NodeEnv, number: u32) {
        self.0.withdraw(env, number);
    }

    fn resize(&mut self, env: &mut NodeEnv, number: u32, blocks: u64) {
        self.0.resize(env, number, blocks);
    }

    fn associations_of(&self, client: u32) -> usize {
        match way(client) {
            Way::NvmeTcp | Way::NvmeRdma => self.0.associations_of(client),
            Way::Iscsi => iscsi::sessions_of(self.0.shard(), client),
        }
    }

    fn vault(&self) -> Option<Rc<dyn BlockDevice>> {
        self.0.vault()
    }

    fn close_vault(&mut self, env: &mut NodeEnv) {
        self.0.close_vault(env);
    }

    fn drain(&mut self, env: &mut NodeEnv) {
        self.0.drain(env);
    }

    fn is_drained(&self) -> bool {
        self.0.is_drained()
    }
}

/// The number of the volume.
const VOLUME: u32 = 1;
