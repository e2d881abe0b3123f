//! `weft rdma` as a user has it: both ends on this machine's loopback, each at an address of its own.

use crate::support::{Folder, weft, weft_ok};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn loopback_can_be_a_device() {
    let devices: Value = serde_json::from_str(&weft_ok(&["rdma", "devices", "--json"])).unwrap();
    let loopback = devices.as_array().unwrap().iter().find(|device| device["address"] == "127.0.0.1");
    let loopback = loopback.expect("127.0.0.1 is listed");
    assert_eq!(loopback["payload_bytes"], 4096);
    assert_eq!(loopback["gid"], "::ffff:127.0.0.1");
    assert_eq!((&loopback["limits"]["qps"], &loopback["limits"]["read_depth"]), (&4096.into(), &128.into()));
    let told = weft_ok(&["rdma", "devices", "-v"]);
    assert!(
        told.contains("queue_entries") && !weft_ok(&["rdma", "devices"]).contains("queue_entries"),
        "{told}"
    );
}

#[test]
fn a_target_that_is_not_there_is_not_waited_for() {
    let _device = Server::start("127.90.0.9", &[]);
    let begun = Instant::now();
    let refused = weft(&["info", "srp://127.90.0.9:5999/00000000000000000000000000000001/0"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("nobody listens there"), "{said}");
    // Who does not hear the last words is waited for so long.
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[test]
fn pings_come_back_and_are_captured() {
    let (server, folder) = (Server::start("127.90.0.1", &[]), Folder::new("rdma-ping"));
    let capture = folder.path("ping.pcap");
    let words = ["rdma", "ping", "-c", "-a", "127.90.0.1", "-I", "127.90.0.2", "-C", "3", "-S", "5000", "-V"];
    let report = weft_ok(&[&words[..], &["--json", "--capture", &capture]].concat());
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["pings"], 3);
    assert!(report["latency_us"]["max"].as_f64() >= report["latency_us"]["min"].as_f64());
    assert_eq!(server.wait()["pings"], 3);

    let seen: Value = serde_json::from_str(&weft_ok(&["rdma", "capture", &capture, "--json"])).unwrap();
    assert_eq!((&seen["malformed"], &seen["wrong_crcs"]), (&0.into(), &0.into()), "{seen}");
    assert_eq!(seen["kinds"]["RcReadRequest"], 3);
    for message in ["REQ", "REP", "RTU", "DREQ", "DREP"] {
        assert!(seen["kinds"][message].as_u64() >= Some(1), "no {message} in {seen}");
    }
}

#[test]
fn a_server_without_a_listener_is_told() {
    let _server = Server::start("127.91.0.1", &["-p", "7000"]);
    let refused = weft(&["rdma", "ping", "-c", "-a", "127.91.0.1", "-I", "127.91.0.2", "-C", "1"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("nobody listens on this port"), "{said}");
}

#[test]
fn every_service_is_measured() {
    let services =
        [("rc", "send"), ("rc", "write"), ("rc", "read"), ("rc", "atomic"), ("uc", "write"), ("ud", "send")];
    for ((service, op), way) in services.into_iter().flat_map(|one| [(one, None), (one, Some("--packets"))]) {
        let size = if op == "atomic" { "8" } else { "1K" };
        let words = ["rdma", "bench", "--op", op, "--service", service, "--size", size, "--depth", "4"];
        let words = words.iter().copied().chain(way).chain(["--seconds", "0.1", "--json"]);
        let report: Value = serde_json::from_str(&weft_ok(&words.collect::<Vec<_>>())).unwrap();
        assert!(report["arrived"].as_u64() > Some(0), "{service} {op}: {report}");
    }
    for way in [None, Some("--packets")] {
        let words =
            ["rdma", "bench", "--op", "send", "--size", "8", "--latency", "--seconds", "0.2", "--json"];
        let words: Vec<_> = words.into_iter().chain(way).collect();
        let report: Value = serde_json::from_str(&weft_ok(&words)).unwrap();
        assert_eq!(report["echoed"], true);
        assert!(report["latency_us"]["p50"].as_f64() > Some(0.0), "{report}");
    }
}

#[test]
fn clients_are_served_right_after_each_other() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
    command.args(["rdma", "bench", "--server", "127.92.0.1", "--packets"]).stdout(Stdio::piped());
    let mut server = Server(command.spawn().expect("the binary starts"));
    let stdout = server.0.stdout.as_mut().expect("piped");
    BufReader::new(stdout).read_line(&mut String::new()).expect("it says that it serves");
    for op in ["send", "read", "write", "send"] {
        let words = ["rdma", "bench", "127.92.0.1", "--packets", "--op", op, "--seconds", "0.1", "--json"];
        let begun = Instant::now();
        weft_ok(&words);
        // Who comes while the last one's goodbye may be heard again waits for nothing.
        assert!(begun.elapsed() < Duration::from_secs(3), "{op}: {:?}", begun.elapsed());
    }
}

#[test]
fn what_no_service_can_do_is_wrong_usage() {
    for words in
        [&["--op", "read", "--service", "uc"][..], &["--op", "atomic", "--size", "16"], &["--size", "0"]]
    {
        let refused = weft(&[&["rdma", "bench"], words].concat());
        assert_eq!(refused.status.code(), Some(2), "{words:?}");
    }
}

/// `weft rdma ping -s`, or another that serves; killed when dropped.
struct Server(Child);

impl Server {
    fn start(address: &str, words: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
        command.args(["rdma", "ping", "-s", "-a", address, "--json"]).args(words).stdout(Stdio::piped());
        let mut server = Self(command.spawn().expect("the binary starts"));
        let line = server.line();
        assert!(line["listening"].as_str().is_some_and(|place| place.starts_with(address)), "{line}");
        server
    }

    /// The end of what it says, once it has ended well.
    fn wait(mut self) -> Value {
        let line = self.line();
        assert!(self.0.wait().expect("it was started").success());
        line
    }

    fn line(&mut self) -> Value {
        // Byte by byte: what a buffer would have read too much of is not there for the next line.
        let mut line = String::new();
        let stdout = self.0.stdout.as_mut().expect("piped");
        BufReader::with_capacity(1, stdout).read_line(&mut line).expect("it says something");
        serde_json::from_str(&line).expect("JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
