//! A client of the control server, as `weft rpc` uses it: one call at a time, waiting for its response.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::error::RpcError;

/// A connection to a control server.
pub struct Client {
    stream: Box<dyn ReadWrite>,
    next_id: u64,
}

trait ReadWrite: Read + Write {}

impl<S: Read + Write> ReadWrite for S {}

/// Why a call has no result.
#[derive(Debug, Error)]
pub enum CallError {
    /// The server cannot be reached, or does not answer in time.
    #[error("the control server does not answer")]
    Io(#[from] io::Error),
    /// What came back is no response to the request.
    #[error("the control server answers no JSON-RPC")]
    NoResponse,
    /// The server refused.
    #[error(transparent)]
    Refused(#[from] RpcError),
}

impl Client {
    /// Connects to a Unix socket. `timeout` bounds the wait for each part of a response.
    pub fn unix(path: &Path, timeout: Duration) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(timeout))?;
        Ok(Self { stream: Box::new(stream), next_id: 1 })
    }

    /// Connects to a TCP port. `timeout` bounds the wait for each part of a response.
    pub fn tcp(address: impl ToSocketAddrs, timeout: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(timeout))?;
        Ok(Self { stream: Box::new(stream), next_id: 1 })
    }

    /// Calls a method and waits for its result.
    pub fn call(&mut self, method: &str, params: Map<String, Value>) -> Result<Value, CallError> {
        let id = self.next_id;
        self.next_id += 1;
        let mut request = json!({ "jsonrpc": "2.0", "method": method, "id": id });
        if !params.is_empty() {
            request["params"] = Value::Object(params);
        }
        self.stream.write_all(&serde_json::to_vec(&request).map_err(io::Error::from)?)?;
        let mut values = serde_json::Deserializer::from_reader(&mut self.stream).into_iter::<Value>();
        let response = values.next().ok_or(CallError::NoResponse)?;
        let mut response = response.map_err(|error| match error.classify() {
            serde_json::error::Category::Io => CallError::Io(error.into()),
            _ => CallError::NoResponse,
        })?;
        if let Some(error) = response.get("error") {
            return Err(error_of(error).map_or(CallError::NoResponse, CallError::Refused));
        }
        if response.get("id") != Some(&json!(id)) {
            return Err(CallError::NoResponse);
        }
        response.get_mut("result").map(Value::take).ok_or(CallError::NoResponse)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("next_id", &self.next_id).finish_non_exhaustive()
    }
}

fn error_of(error: &Value) -> Option<RpcError> {
    let code = error.get("code")?.as_i64()?.try_into().ok()?;
    Some(RpcError { code, message: error.get("message")?.as_str()?.to_owned() })
}
