//! A method: its name, its parameters and result as types, and the function that does it, declared in one place.
//!
//! Everything else is derived from the declaration: dispatch, `rpc_get_methods`, command-line calls, the schema and the
//! documentation. The function works on a [`Target`] that another thread owns (a shard): the parameters are decoded and
//! the result is encoded here, and only the function itself travels there, through an [`Executor`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use crate::dispatch::Dispatcher;
use crate::error::{Errno, RpcError};

/// What methods work on.
pub trait Target: 'static {
    /// What a function gets, for the time it runs.
    type Access<'a>;
}

/// Work for the thread that owns a target.
pub type Job<T> = Box<dyn for<'a> FnOnce(<T as Target>::Access<'a>) + Send>;

/// The way to the thread that owns a target. Jobs run in the order they were given.
pub trait Executor<T: Target>: Send + Sync {
    /// Hands over a job, to be run soon.
    fn call(&self, job: Job<T>) -> Result<(), NotTaken>;
}

/// Why a job was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Too many jobs wait already.
    #[error("too many calls are under way")]
    Busy,
    /// The thread that owned the target is gone.
    #[error("shutting down")]
    Stopped,
}

impl From<NotTaken> for RpcError {
    fn from(reason: NotTaken) -> Self {
        match reason {
            NotTaken::Busy => Errno::Again.because(reason),
            NotTaken::Stopped => Self::internal(reason),
        }
    }
}

/// The outcome of a call that is under way.
pub type Outcome = Pin<Box<dyn Future<Output = Result<Value, RpcError>> + Send>>;

/// One method on a target.
pub struct Method<T> {
    /// The name on the wire.
    pub name: &'static str,
    /// One sentence that says what it does.
    pub summary: &'static str,
    /// Whether `rpc_get_methods` lists it among those that can be called now.
    pub current: bool,
    params: fn(&mut SchemaGenerator) -> Schema,
    result: fn(&mut SchemaGenerator) -> Schema,
    start: Start<T>,
}

type Start<T> = Box<dyn Fn(&Dispatcher<T>, Map<String, Value>) -> Result<Outcome, RpcError> + Send + Sync>;

/// Where a method's result goes; dropping it unanswered answers with an internal error.
#[derive(Debug)]
pub struct Reply<R>(oneshot::Sender<Result<R, RpcError>>);

impl<R> Reply<R> {
    /// Answers. A client that has gone away is not noticed.
    pub fn send(self, result: Result<R, RpcError>) {
        drop(self.0.send(result));
    }
}

/// For methods without parameters.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

impl<T: Target> Method<T> {
    /// A method that answers when its function returns.
    pub fn new<P, R>(
        name: &'static str,
        summary: &'static str,
        run: impl for<'a> Fn(T::Access<'a>, P) -> Result<R, RpcError> + Send + Sync + 'static,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + JsonSchema + Send + 'static,
    {
        Self::later(name, summary, move |access, params, reply| reply.send(run(access, params)))
    }

    /// A method that may keep its [`Reply`] and answer later.
    pub fn later<P, R>(
        name: &'static str,
        summary: &'static str,
        run: impl for<'a> Fn(T::Access<'a>, P, Reply<R>) + Send + Sync + 'static,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + JsonSchema + Send + 'static,
    {
        let run = Arc::new(run);
        let start = move |dispatcher: &Dispatcher<T>, params| {
            let params: P = decode(params)?;
            let (sender, receiver) = oneshot::channel();
            let run = Arc::clone(&run);
            dispatcher.executor().call(Box::new(move |access| run(access, params, Reply(sender))))?;
            Ok(Box::pin(async move { encode(receiver.await.map_err(|_| NotTaken::Stopped)??) }) as Outcome)
        };
        Self::declare::<P, R>(name, summary, Box::new(start))
    }

    /// A method that needs nothing of the target and answers where it was asked.
    pub fn local<P, R>(
        name: &'static str,
        summary: &'static str,
        run: impl Fn(P) -> Result<R, RpcError> + Send + Sync + 'static,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + JsonSchema + Send + 'static,
    {
        let start = move |_: &Dispatcher<T>, params| {
            let result = run(decode(params)?)?;
            Ok(Box::pin(std::future::ready(encode(result))) as Outcome)
        };
        Self::declare::<P, R>(name, summary, Box::new(start))
    }

    /// A method that calls others.
    pub fn composed<P, R, F>(
        name: &'static str,
        summary: &'static str,
        run: impl Fn(Dispatcher<T>, P) -> F + Send + Sync + 'static,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + JsonSchema + Send + 'static,
        F: Future<Output = Result<R, RpcError>> + Send + 'static,
    {
        let start = move |dispatcher: &Dispatcher<T>, params| {
            let result = run(dispatcher.clone(), decode(params)?);
            Ok(Box::pin(async move { encode(result.await?) }) as Outcome)
        };
        Self::declare::<P, R>(name, summary, Box::new(start))
    }

    /// The same method, callable only before the server is up, and so never listed as callable.
    pub fn at_startup(self) -> Self {
        Self { current: false, ..self }
    }

    /// Decodes the parameters and sets the call going.
    pub fn start(&self, dispatcher: &Dispatcher<T>, params: Map<String, Value>) -> Result<Outcome, RpcError> {
        (self.start)(dispatcher, params)
    }

    /// The JSON schema of the parameters.
    pub fn params_schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.params)(generator)
    }

    /// The JSON schema of the result.
    pub fn result_schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.result)(generator)
    }

    fn declare<P: JsonSchema, R: JsonSchema>(
        name: &'static str,
        summary: &'static str,
        start: Start<T>,
    ) -> Self {
        Self { name, summary, current: true, params: P::json_schema, result: R::json_schema, start }
    }
}

impl<T> std::fmt::Debug for Method<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Method").field("name", &self.name).finish_non_exhaustive()
    }
}

fn decode<P: DeserializeOwned>(params: Map<String, Value>) -> Result<P, RpcError> {
    serde_path_to_error::deserialize(Value::Object(params)).map_err(RpcError::invalid_params)
}

fn encode<R: Serialize>(result: R) -> Result<Value, RpcError> {
    serde_json::to_value(result).map_err(RpcError::internal)
}
