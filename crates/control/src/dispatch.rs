//! From one request to its response, by way of the method table.
//!
//! Only the method's name and the code of an error are logged: parameters and results may hold secrets.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::oneshot;

use crate::error::RpcError;
use crate::method::{Executor, NotTaken, Target};
use crate::request::{Request, failure, success};
use crate::table::Table;

/// A method table and the target it works on.
pub struct Dispatcher<T> {
    table: Arc<Table<T>>,
    executor: Arc<dyn Executor<T>>,
}

impl<T> Clone for Dispatcher<T> {
    fn clone(&self) -> Self {
        Self { table: Arc::clone(&self.table), executor: Arc::clone(&self.executor) }
    }
}

impl<T> std::fmt::Debug for Dispatcher<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher").finish_non_exhaustive()
    }
}

/// What one value on the stream is.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// One request, or what should have been one.
    Single(Value),
    /// Several, to be answered in one array; never none.
    Batch(Vec<Value>),
}

impl Message {
    /// Parses one value as the framer cut it out.
    pub fn parse(bytes: &[u8]) -> Result<Self, RpcError> {
        match serde_json::from_slice(bytes).map_err(RpcError::parse)? {
            Value::Array(requests) if requests.is_empty() => Err(RpcError::invalid_request("an empty batch")),
            Value::Array(requests) => Ok(Self::Batch(requests)),
            request => Ok(Self::Single(request)),
        }
    }
}

impl<T: Target> Dispatcher<T> {
    /// A dispatcher of these methods on that target.
    pub fn new(table: Arc<Table<T>>, executor: Arc<dyn Executor<T>>) -> Self {
        Self { table, executor }
    }

    /// The methods.
    pub fn table(&self) -> &Table<T> {
        &self.table
    }

    /// The way to the target.
    pub fn executor(&self) -> &dyn Executor<T> {
        &*self.executor
    }

    /// Runs a function on the target.
    pub async fn run<R: Send + 'static>(
        &self,
        run: impl for<'a> FnOnce(T::Access<'a>) -> Result<R, RpcError> + Send + 'static,
    ) -> Result<R, RpcError> {
        let (sender, receiver) = oneshot::channel();
        self.executor.call(Box::new(move |access| drop(sender.send(run(access)))))?;
        receiver.await.map_err(|_| NotTaken::Stopped)?
    }

    /// Calls one method.
    pub async fn call(&self, method: &str, params: Option<Map<String, Value>>) -> Result<Value, RpcError> {
        let method = self.table.get(method).ok_or_else(RpcError::method_not_found)?;
        let result = match method.start(self, params.unwrap_or_default()) {
            Ok(outcome) => outcome.await,
            Err(error) => Err(error),
        };
        match &result {
            Ok(_) => tracing::debug!(method = method.name, "done"),
            Err(error) => tracing::debug!(method = method.name, code = error.code, "refused"),
        }
        result
    }

    /// The response to one request; none to a notification.
    pub async fn respond(&self, value: Value) -> Option<Value> {
        let request = match Request::from_value(value) {
            Ok(request) => request,
            Err(bad) => return Some(failure(bad.id, &bad.error)),
        };
        let result = self.call(&request.method, request.params).await;
        let id = request.id?;
        Some(match result {
            Ok(result) => success(id, result),
            Err(error) => failure(id, &error),
        })
    }
}
