//! A shard and the way to call its methods, and what of it must be the same once its configuration was saved and loaded.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::Arc;

use super::Running;
use control::config::Config;
use control::fabric::Fabric;
use control::methods::State;
use control::methods::log::LogState;
use control::{Dispatcher, RpcError};
use serde_json::{Value, json};

/// A shard and the way to call its methods.
pub struct Instance {
    pub dispatcher: Dispatcher<Fabric>,
    _shard: Running,
}

impl Instance {
    pub fn start() -> Self {
        let state = State::new(Arc::new(LogState::new(&[])));
        let shard = Running::start(&state);
        Self {
            dispatcher: Dispatcher::new(Arc::new(state.table()), Arc::new(shard.handle.clone())),
            _shard: shard,
        }
    }

    pub async fn call(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.dispatcher.call(method, params.as_object().cloned()).await
    }

    /// Makes a call that works.
    pub async fn done(&self, method: &str, params: Value) -> Value {
        self.call(method, params).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// All that can be seen from outside. A configuration that loses something must not be able to hide it.
    pub async fn describe(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for method in SHOWN {
            all.push(self.done(method, json!({})).await);
        }
        for subsystem in self.done("nvmf_get_subsystems", json!({})).await.as_array().into_iter().flatten() {
            all.push(self.done("nvmf_subsystem_get_listeners", json!({ "nqn": subsystem["nqn"] })).await);
        }
        all
    }

    pub async fn save(&self) -> Config {
        let saved = self.done("save_config", json!({})).await;
        serde_json::from_value(saved).expect("a configuration")
    }
}

/// What shows things that are configured, and nothing that is another with each connection.
const SHOWN: [&str; 11] = [
    "bdev_get_bdevs",
    "bdev_nvme_get_discovery_info",
    "nvmf_get_transports",
    "nvmf_get_subsystems",
    "nvmf_discovery_get_referrals",
    "iscsi_get_options",
    "iscsi_get_initiator_groups",
    "iscsi_get_portal_groups",
    "iscsi_get_target_nodes",
    "srp_get_targets",
    "srp_get_listeners",
];
