//! Configuration: the list of calls that rebuilds it, in SPDK's file format.
//!
//! ```json
//! {"subsystems": [{"subsystem": "bdev", "config": [{"method": "bdev_malloc_create", "params": {...}}]}]}
//! ```
//!
//! Loading is making the calls, in order; saving is asking the shard for them. A file saved by SPDK itself may configure
//! subsystems that Weft does not have (`sock`, `iobuf`, `accel`, ...): those are skipped with a warning, while an unknown
//! method in a subsystem that Weft does have is an error.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::dispatch::Dispatcher;
use crate::error::RpcError;
use crate::method::Target;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Config {
    /// The subsystems, in the order they are to be configured.
    pub subsystems: Vec<Subsystem>,
}

/// The configuration of one subsystem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Subsystem {
    /// Its name: `bdev`, `nvmf` or `iscsi`.
    pub subsystem: String,
    /// The calls; null where a subsystem has nothing to configure.
    pub config: Option<Vec<Entry>>,
}

/// A call, or a batch of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Entry {
    /// One call.
    Call(Call),
    /// Several calls, made in order.
    Batch(Vec<Call>),
}

/// One call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The method.
    pub method: String,
    /// Its parameters.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
}

/// The call that could not be made.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("call {index} of subsystem {subsystem}, {method}: {error}")]
pub struct LoadError {
    /// The subsystem it stands in.
    pub subsystem: String,
    /// Its place there, from 1, batches counted as one.
    pub index: usize,
    /// The method.
    pub method: String,
    /// What the method answered.
    pub error: RpcError,
}

impl Call {
    /// A call with these parameters.
    ///
    /// # Panics
    /// If `params` does not serialize to an object.
    pub fn new(method: &str, params: impl Serialize) -> Self {
        match serde_json::to_value(params) {
            Ok(Value::Object(mut params)) => {
                strip_nulls(&mut params);
                Self { method: method.to_owned(), params }
            }
            _ => panic!("the parameters of {method} are no object"),
        }
    }
}

impl Entry {
    fn calls(&self) -> &[Call] {
        match self {
            Entry::Call(call) => std::slice::from_ref(call),
            Entry::Batch(calls) => calls,
        }
    }
}

/// What is not set is not said.
fn strip_nulls(members: &mut Map<String, Value>) {
    members.retain(|_, value| !value.is_null());
    members.values_mut().filter_map(Value::as_object_mut).for_each(strip_nulls);
}

/// Makes the calls, up to the first that fails.
pub async fn load<T: Target>(dispatcher: &Dispatcher<T>, config: &Config) -> Result<(), LoadError> {
    for Subsystem { subsystem, config } in &config.subsystems {
        for (index, entry) in config.iter().flatten().enumerate() {
            for call in entry.calls() {
                make(dispatcher, subsystem, call).await.map_err(|error| LoadError {
                    subsystem: subsystem.clone(),
                    index: index + 1,
                    method: call.method.clone(),
                    error,
                })?;
            }
        }
    }
    Ok(())
}

async fn make<T: Target>(dispatcher: &Dispatcher<T>, subsystem: &str, call: &Call) -> Result<(), RpcError> {
    if dispatcher.table().get(&call.method).is_none() && !SUBSYSTEMS.contains(&subsystem) {
        tracing::warn!(subsystem, method = call.method, "skipped: Weft has no such subsystem");
        return Ok(());
    }
    dispatcher.call(&call.method, Some(call.params.clone())).await.map(|_| ())
}

/// The subsystems that may be in a saved configuration, in the order they are configured. Of SPDK's `accel` Weft has the keys
/// alone, and skips the rest.
pub const SAVED: [&str; 5] = ["accel", "bdev", "nvmf", "iscsi", "srp"];

/// The subsystems there are, in the order they are configured; each depends on those before it.
pub const SUBSYSTEMS: [&str; 3] = ["bdev", "nvmf", "iscsi"];
