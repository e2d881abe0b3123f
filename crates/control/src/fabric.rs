//! The target of Weft's own methods: a shard, with its environment.

use std::sync::Arc;

use engine::{CallError, Handle, Shard};
use stdx::env::Env;

use crate::method::{Executor, Job, Method, NotTaken, Target};
use crate::methods::State;
use crate::methods::log::LogState;
use crate::table::Table;

/// A shard as a [`Target`].
#[derive(Debug, Clone, Copy)]
pub struct Fabric;

/// A method on a shard.
pub type FabricMethod = Method<Fabric>;

/// All methods, to be described rather than called: what the command line and the documentation are made from.
pub fn table() -> Table<Fabric> {
    State::new(Arc::new(LogState::new(&[]))).table()
}

/// What a method gets of a shard, between two of its turns.
pub struct At<'a> {
    /// The shard.
    pub shard: &'a mut Shard,
    /// Its environment.
    pub env: &'a mut dyn Env,
}

impl Target for Fabric {
    type Access<'a> = At<'a>;
}

impl Executor<Fabric> for Handle {
    fn call(&self, job: Job<Fabric>) -> Result<(), NotTaken> {
        Handle::call(self, Box::new(move |shard, env| job(At { shard, env }))).map_err(|error| match error {
            CallError::Busy => NotTaken::Busy,
            CallError::Ended => NotTaken::Stopped,
        })
    }
}

impl std::fmt::Debug for At<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("At").field("shard", &self.shard).finish_non_exhaustive()
    }
}
