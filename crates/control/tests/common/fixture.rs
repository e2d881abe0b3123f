//! A shard behind a server, over a real Unix socket.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::Running;
use control::client::{CallError, Client};
use control::methods::State;
use control::methods::log::LogState;
use control::{Dispatcher, Server, ServerLimits, UnixSocket};
use serde_json::Value;

/// A shard, a server before it, and a client that remembers what it called.
pub struct Fixture {
    pub client: Client,
    /// The methods that worked.
    pub called: BTreeSet<String>,
    pub path: PathBuf,
    _shard: Running,
}

impl Fixture {
    pub fn start(name: &str) -> Self {
        let state = State::new(Arc::new(LogState::new(&["control"])));
        let shard = Running::start(&state);
        let dispatcher = Dispatcher::new(Arc::new(state.table()), Arc::new(shard.handle.clone()));
        let path = std::env::temp_dir().join(format!("weft-shard-{name}-{}.sock", std::process::id()));
        let (ready, is_ready) = mpsc::channel();
        let at = path.clone();
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let socket = UnixSocket::bind(&at).expect("a socket");
                ready.send(()).expect("the test waits");
                Server::new(dispatcher, ServerLimits::default()).serve_unix(socket).await
            })
        });
        is_ready.recv().expect("the server starts");
        let client = Client::unix(&path, Duration::from_secs(20)).expect("the server listens");
        Self { client, called: BTreeSet::new(), path, _shard: shard }
    }

    pub fn try_call(&mut self, method: &str, params: Value) -> Result<Value, CallError> {
        self.client.call(method, params.as_object().cloned().unwrap_or_default())
    }

    /// Calls a method that works.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.called.insert(method.to_owned());
        self.try_call(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Calls a method that refuses, and returns its code.
    pub fn code(&mut self, method: &str, params: Value) -> i32 {
        match self.try_call(method, params) {
            Err(CallError::Refused(error)) => error.code,
            other => panic!("{method}: {other:?}"),
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}
