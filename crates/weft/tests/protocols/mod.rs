//! One volume by all five protocols, each in every command, and served on by another daemon.

use crate::support::{Daemon, Folder, loopback, spawn, weft_ok};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

#[test]
fn every_protocol_does_for_every_command() {
    let (daemon, folder) = (Daemon::start_everywhere(&["--ram", "16M"]), Folder::new("protocols"));
    let (copy, from) = (folder.path("copy"), loopback());
    for url in urls(&daemon, from) {
        let info: serde_json::Value = serde_json::from_str(&weft_ok(&["info", &url, "--json"])).unwrap();
        assert_eq!(info["bytes"], 16 << 20, "{url}");
        let (input, output) = (folder.random("in", 300_000), folder.path("out"));
        weft_ok(&["write", &url, &input, "--offset", "1M"]);
        weft_ok(&["read", &url, &output, "--offset", "1M", "--length", "300032"]);
        let (input, output) = (std::fs::read(input).unwrap(), std::fs::read(output).unwrap());
        assert!(output[..input.len()] == input[..], "the bytes differ: {url}");
        weft_ok(&["verify", &url, "--destroy"]);
        weft_ok(&["copy", &url, &format!("file://{copy}?size=16M"), "--verify"]);
        let bench = weft_ok(&["bench", &url, "--seconds", "0.1", "--json"]);
        let bench: serde_json::Value = serde_json::from_str(&bench).unwrap();
        assert!(bench["requests"].as_u64() > Some(0), "{url}: {bench}");
    }
    for (kind, port) in [("nvme+rdma", 4420), ("iser", 3260), ("srp", 5555)] {
        let url = format!("{kind}://{}:{port}?from={from}", daemon.host());
        let found = weft_ok(&["discover", &url, "--json"]);
        assert!(found.contains("org.weft") || found.contains("ioc_guid"), "{url}: {found}");
    }
}

#[test]
fn what_was_agreed_on_with_the_target_is_told() {
    let daemon = Daemon::start_everywhere(&["--ram", "4M"]);
    let urls = urls(&daemon, loopback());
    let url = |scheme: &str| urls.iter().find(|url| url.starts_with(scheme)).unwrap();
    let info = |url: &str| -> serde_json::Value {
        serde_json::from_str(&weft_ok(&["info", url, "--json"])).unwrap()
    };
    for (scheme, is_rdma) in [("iscsi://", false), ("iser://", true)] {
        let session = info(url(scheme))["iscsi"].clone();
        assert_eq!((&session["rdma"], &session["error_recovery_level"]), (&is_rdma.into(), &0.into()));
        assert!(session["max_burst_bytes"].as_u64() >= session["first_burst_bytes"].as_u64(), "{session}");
    }
    for (asked, channels, immediate) in [("&channels=3&immediate=4096", 3, 4096), ("&immediate=0", 1, 0)] {
        let port = info(&format!("{}{asked}", url("srp://")))["srp"].clone();
        let told = port["channels"].as_array().unwrap();
        assert_eq!(told.len(), channels, "{port}");
        assert!(told.iter().all(|channel| channel["immediate_bytes"] == immediate), "{port}");
        assert!(told.iter().all(|channel| channel["requests"].as_u64() > Some(0)), "{port}");
    }
    let said = weft_ok(&["info", url("srp://")]);
    assert!(said.contains("of data with a command"), "{said}");
}

#[test]
fn every_protocol_s_volume_is_served_on() {
    let back = Daemon::start_everywhere(&["--ram", "4M"]);
    // One after the other, at the same addresses.
    let [from, place, beyond] = [loopback(), loopback(), loopback()];
    for url in urls(&back, from) {
        let front = Daemon::start_bare(&["--listen", &place.to_string(), "--volume", &url]);
        for way in urls(&front, beyond) {
            weft_ok(&["verify", &way, "--destroy", "--length", "1M"]);
            weft_ok(&["verify", &way, &back.url(1)]);
        }
    }
}

#[test]
fn neighbours_share_memory_by_themselves() {
    let daemon = Daemon::start_everywhere(&["--ram", "4M"]);
    let shared = |url: &str, words: &[&str]| {
        let mut bench = spawn(&[&["bench", url, "--seconds", "0.5"], words].concat());
        let (mut most, begun) = (0, Instant::now());
        while begun.elapsed() < Duration::from_secs(20) && bench.try_wait().expect("it was started").is_none()
        {
            most = most.max(pieces_of_memory(daemon.pid()));
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(bench.wait().expect("it was started").success());
        most
    };
    for url in urls(&daemon, loopback()).iter().filter(|url| url.contains("from=")) {
        let (by_packets, by_memory) = (shared(url, &["--packets"]), shared(url, &[]));
        assert!(by_memory > by_packets, "{url}: {by_memory} pieces of memory, as many as by packets");
    }
}

/// The volume by each protocol.
fn urls(daemon: &Daemon, from: Ipv4Addr) -> Vec<String> {
    let iscsi = daemon.disk(0);
    let by_rdma = [daemon.rdma_url(1), iscsi.replacen("iscsi:", "iser:", 1), daemon.srp_url(0)];
    [daemon.url(1), iscsi].into_iter().chain(by_rdma.iter().map(|url| from_elsewhere(url, from))).collect()
}

/// Two devices cannot share an address.
fn from_elsewhere(url: &str, from: Ipv4Addr) -> String {
    format!("{url}{}from={from}", if url.contains('?') { '&' } else { '?' })
}

/// Memory that a process maps and that can be passed to others.
fn pieces_of_memory(pid: u32) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("it runs");
    maps.lines().filter(|line| line.contains("/memfd:")).count()
}
