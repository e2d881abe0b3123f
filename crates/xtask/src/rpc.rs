//! A JSON-RPC client of our own, small and independent of Weft's: one call, one answer, no frame around either.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// A connection to a daemon.
pub struct RpcClient {
    stream: UnixStream,
    next_id: u64,
}

impl RpcClient {
    /// Connects to this socket.
    pub fn connect(socket: &Path) -> Result<RpcClient> {
        let stream =
            UnixStream::connect(socket).with_context(|| format!("cannot reach {}", socket.display()))?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        Ok(RpcClient { stream, next_id: 1 })
    }

    /// Calls a method; the answer is its result.
    ///
    /// # Errors
    /// When the daemon answers with an error, or not at all.
    pub fn call(&mut self, method: &str, parameters: Option<Value>) -> Result<Value> {
        let mut request = json!({"jsonrpc": "2.0", "id": self.next_id, "method": method});
        self.next_id += 1;
        if let Some(parameters) = parameters {
            request["params"] = parameters;
        }
        self.stream.write_all(request.to_string().as_bytes())?;
        let mut answers = serde_json::Deserializer::from_reader(&self.stream).into_iter::<Value>();
        let mut answer = answers.next().with_context(|| format!("{method}: no answer"))??;
        if let Some(error) = answer.get("error") {
            bail!("{method}: {error}");
        }
        Ok(answer["result"].take())
    }
}
