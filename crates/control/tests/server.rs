//! The server over a real Unix socket, with a toy state: framing, error codes, batches, limits.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use control::method::Job;
use control::{
    Dispatcher, Errno, Executor, Method, NoParams, NotTaken, RpcError, Server, ServerLimits, Table, Target,
    UnixSocket,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

struct Sum;

impl Target for Sum {
    type Access<'a> = &'a mut i64;
}

/// The toy: a sum, on a thread of its own.
struct Toy {
    jobs: Mutex<mpsc::Sender<Job<Sum>>>,
}

impl Executor<Sum> for Toy {
    fn call(&self, job: Job<Sum>) -> Result<(), NotTaken> {
        self.jobs.lock().expect("no panic").send(job).map_err(|_| NotTaken::Stopped)
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Add {
    n: i64,
}

fn table() -> Table<Sum> {
    Table::new(vec![
        Method::new("add", "Adds.", |sum: &mut i64, add: Add| {
            *sum = sum.checked_add(add.n).ok_or_else(|| Errno::Invalid.because("too large"))?;
            Ok(*sum)
        }),
        Method::local("long", "Answers at length.", |_: NoParams| Ok("x".repeat(100_000))),
        Method::later("never", "Drops its reply.", |_: &mut i64, _: NoParams, _: control::Reply<i64>| {}),
        Method::local("early", "Only at startup.", |_: NoParams| Ok(true)).at_startup(),
    ])
}

/// A server with its runtime and its toy on threads of their own, for the length of a test.
struct Fixture {
    path: PathBuf,
}

impl Fixture {
    fn new(name: &str, limits: ServerLimits) -> Self {
        let path = std::env::temp_dir().join(format!("weft-control-{name}-{}.sock", std::process::id()));
        let (sender, jobs) = mpsc::channel::<Job<Sum>>();
        std::thread::spawn(move || {
            let mut sum = 0;
            jobs.into_iter().for_each(|job| job(&mut sum));
        });
        let toy = Arc::new(Toy { jobs: Mutex::new(sender) });
        let (ready, is_ready) = mpsc::channel();
        let at = path.clone();
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let server = Server::new(Dispatcher::new(Arc::new(table()), toy), limits);
                let socket = UnixSocket::bind(&at).expect("a socket");
                ready.send(()).expect("the test waits");
                server.serve_unix(socket).await
            })
        });
        is_ready.recv().expect("the server starts");
        Self { path }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
        stream
    }

    /// Sends `bytes`, hands in nothing more, and returns all that comes back.
    fn exchange(&self, bytes: &[u8]) -> Vec<Value> {
        let mut stream = self.connect();
        stream.write_all(bytes).expect("the server reads");
        stream.shutdown(std::net::Shutdown::Write).expect("half-close");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("the server closes");
        serde_json::Deserializer::from_str(&text).into_iter().map(|value| value.expect("JSON")).collect()
    }

    fn code(&self, bytes: &[u8]) -> i32 {
        let responses = self.exchange(bytes);
        assert_eq!(responses.len(), 1, "{responses:?}");
        responses[0]["error"]["code"].as_i64().and_then(|code| code.try_into().ok()).expect("an error")
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

#[test]
fn requests_back_to_back_are_answered_in_order_with_their_ids() {
    let server = Fixture::new("order", ServerLimits::default());
    let responses = server.exchange(
        b"{\"jsonrpc\": \"2.0\",\n \"method\": \"add\", \"id\": 1, \"params\": {\"n\": 2}}{\"method\":\"add\",\"id\":\"b\",\"params\":{\"n\":3}}",
    );
    assert_eq!(
        responses,
        [json!({"jsonrpc": "2.0", "id": 1, "result": 2}), json!({"jsonrpc": "2.0", "id": "b", "result": 5})]
    );
}

#[test]
fn a_request_in_pieces_is_one_request() {
    let server = Fixture::new("pieces", ServerLimits::default());
    let mut stream = server.connect();
    for byte in br#"{"method":"add","id":1,"params":{"n":2}}"# {
        stream.write_all(&[*byte]).expect("the server reads");
    }
    let mut response = [0; 256];
    let length = stream.read(&mut response).expect("a response without a half-close");
    let response: Value = serde_json::from_slice(&response[..length]).expect("JSON");
    assert_eq!(response["result"], 2);
}

#[test]
fn each_error_has_its_code() {
    let server = Fixture::new("codes", ServerLimits::default());
    assert_eq!(server.code(b"{\"method\" 1}"), RpcError::PARSE_ERROR);
    assert_eq!(server.code(b"GET / HTTP/1.1\r\n\r\n"), RpcError::PARSE_ERROR);
    assert_eq!(server.code(b"{\"id\":1}"), RpcError::INVALID_REQUEST);
    assert_eq!(server.code(b"[]"), RpcError::INVALID_REQUEST);
    assert_eq!(server.code(b"{\"id\":1,\"method\":\"sub\"}"), RpcError::METHOD_NOT_FOUND);
    assert_eq!(server.code(b"{\"id\":1,\"method\":\"add\"}"), RpcError::INVALID_PARAMS);
    assert_eq!(
        server.code(b"{\"id\":1,\"method\":\"add\",\"params\":{\"n\":1,\"m\":1}}"),
        RpcError::INVALID_PARAMS
    );
    assert_eq!(server.code(b"{\"id\":1,\"method\":\"add\",\"params\":[1]}"), RpcError::INVALID_PARAMS);
    assert_eq!(server.code(b"{\"id\":1,\"method\":\"never\"}"), RpcError::INTERNAL_ERROR);
    let most = format!("{{\"method\":\"add\",\"params\":{{\"n\":{}}}}}", i64::MAX);
    let over = format!("{most}{{\"id\":1,\"method\":\"add\",\"params\":{{\"n\":1}}}}");
    assert_eq!(server.code(over.as_bytes()), -22);
}

#[test]
fn a_batch_is_answered_by_an_array_without_its_notifications() {
    let server = Fixture::new("batch", ServerLimits::default());
    let responses = server.exchange(
        br#"[{"method":"add","id":1,"params":{"n":1}},{"method":"add","params":{"n":10}},{"id":2},{"method":"add","id":3,"params":{"n":100}}]"#,
    );
    let [Value::Array(batch)] = &responses[..] else { panic!("{responses:?}") };
    assert_eq!(batch.len(), 3);
    assert_eq!(batch[0]["result"], 1);
    assert_eq!(batch[1]["error"]["code"], RpcError::INVALID_REQUEST);
    assert_eq!(batch[2]["result"], 111);
    assert_eq!(server.exchange(br#"[{"method":"add","params":{"n":1}}]"#), Vec::<Value>::new());
}

#[test]
fn only_what_can_be_called_now_is_listed_as_such() {
    let server = Fixture::new("list", ServerLimits::default());
    let list = |params: &str| {
        let request = format!("{{\"method\":\"rpc_get_methods\",\"id\":1,\"params\":{params}}}");
        server.exchange(request.as_bytes())[0]["result"].clone()
    };
    assert_eq!(list("{}"), json!(["add", "early", "long", "never", "rpc_get_methods"]));
    assert_eq!(list("{\"current\":true}"), json!(["add", "long", "never", "rpc_get_methods"]));
}

#[test]
fn one_client_too_many_is_told_and_a_place_comes_free() {
    let server = Fixture::new("places", ServerLimits { clients_max: 1, ..ServerLimits::default() });
    let mut first = server.connect();
    first.write_all(br#"{"method":"add","id":1,"params":{"n":2}}"#).expect("the server reads");
    first.read_exact(&mut [0; 1]).expect("the first has a place");
    assert_eq!(server.code(b""), -11);
    drop(first);
    let request = br#"{"method":"add","id":1,"params":{"n":2}}"#;
    let served = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        server.exchange(request)[0]["result"] == 4
    });
    assert!(served);
}

#[test]
fn a_client_that_stalls_in_a_request_or_does_not_read_is_dropped() {
    let limits = ServerLimits { stall_max: Duration::from_millis(50), ..ServerLimits::default() };
    let server = Fixture::new("stall", limits);
    let mut stream = server.connect();
    stream.write_all(b"{\"method\"").expect("the server reads");
    assert_eq!(stream.read(&mut [0; 16]).expect("closed, not timed out"), 0);

    let mut stream = server.connect();
    let batch: Vec<_> = (0..100).map(|id| json!({"method": "long", "id": id})).collect();
    stream.write_all(json!(batch).to_string().as_bytes()).expect("the server reads");
    std::thread::sleep(Duration::from_millis(300));
    let mut text = Vec::new();
    drop(stream.read_to_end(&mut text));
    assert!(text.len() < 5_000_000, "all 10 MB came although nobody read: {}", text.len());
}

#[test]
fn too_large_and_too_deep_are_refused_early() {
    let server = Fixture::new("large", ServerLimits::default());
    assert_eq!(server.code(&b"[".repeat(33)), RpcError::INVALID_REQUEST);
    let mut stream = server.connect();
    let flood = [b'"'; 1].into_iter().chain(std::iter::repeat_n(b'x', 10 << 20));
    let mut bytes = vec![b'['];
    bytes.extend(flood);
    drop(stream.write_all(&bytes));
    let mut text = Vec::new();
    drop(stream.read_to_end(&mut text));
    assert!(
        text.is_empty() || text.starts_with(b"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600")
    );
}
