//! Volumes as namespaces of a subsystem.

use super::super::plan::Plan;
use super::super::shard::Export;
use super::{host, nqn};
use crate::env::NodeEnv;
use engine::Shard;
use nvme::Transport;
use nvme::target::{NamespaceConfig, Portal, SubsystemConfig};

/// See the module.
pub(in super::super) struct NvmeExport {
    transports: [Option<Transport>; 2],
}

impl NvmeExport {
    /// By one transport.
    pub(in super::super) const fn new(transport: Transport) -> Self {
        Self { transports: [Some(transport), None] }
    }

    /// By both.
    pub(in super::super) const fn by_both() -> Self {
        Self { transports: [Some(Transport::Tcp), Some(Transport::Rdma)] }
    }
}

impl Export for NvmeExport {
    fn begin(&self, env: &mut NodeEnv, shard: &mut Shard) {
        shard.target_mut().create_subsystem(SubsystemConfig::new(nqn())).expect("a subsystem");
        for transport in self.transports.into_iter().flatten() {
            let portal = Portal { transport, address: Plan::address() };
            shard.add_listener(env, &nqn(), portal).expect("a listener");
        }
    }

    fn add(&self, shard: &mut Shard, volume: &str, number: u32) {
        let config = NamespaceConfig { nsid: Some(number), ..NamespaceConfig::default() };
        shard.add_namespace(&nqn(), volume, config).expect("a namespace");
    }

    fn associations_of(&self, shard: &Shard, client: u32) -> usize {
        let controllers = shard.target().controllers(&nqn()).expect("our subsystem");
        controllers.iter().filter(|controller| controller.host == host(client)).count()
    }
}
