//! The binary as a user has it: a daemon, the commands that use it, what they print and how they end.

mod daemon;
mod encryption;
mod iscsi;
mod protocols;
mod rdma;
mod reservations;
mod support;

use serde_json::Value;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use support::{Daemon, Folder, weft, weft_ok};

#[test]
fn a_daemon_says_how_to_reach_it_and_serves() {
    let daemon = Daemon::start(&["--ram", "64M"]);
    let url = daemon.url(1);
    let info: Value = serde_json::from_str(&weft_ok(&["info", &url, "--json"])).unwrap();
    assert_eq!(info["bytes"], 64 << 20);
    assert_eq!(info["block_size"], 512);
    assert_eq!(info["controller"]["model"], "Weft");

    let found: Value = serde_json::from_str(&weft_ok(&["discover", &daemon.address, "--json"])).unwrap();
    let names: Vec<_> =
        found["entries"].as_array().unwrap().iter().map(|entry| entry["nqn"].clone()).collect();
    assert!(names.contains(&"nqn.2026-01.org.weft:volume".into()), "{names:?}");

    let bench = weft_ok(&["bench", &url, "--seconds", "0.2", "--depth", "4", "--json"]);
    let bench: Value = serde_json::from_str(&bench).unwrap();
    assert!(bench["requests"].as_u64().unwrap() > 0);
    assert!(bench["latency_us"]["p99"].as_f64().unwrap() >= bench["latency_us"]["p50"].as_f64().unwrap());
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn bytes_go_there_and_back_with_digests_and_many_queues() {
    let (daemon, folder) = (Daemon::start(&["--ram", "16M"]), Folder::new("bytes"));
    let (input, output) = (folder.random("in", 5_000_000), folder.path("out"));
    let url = daemon.url(1);
    weft_ok(&["write", &format!("{url}&hdgst&ddgst&queues=4"), &input]);
    weft_ok(&["read", &format!("{url}&ddgst"), &output, "--length", "5000192"]);
    let (input, output) = (std::fs::read(input).unwrap(), std::fs::read(output).unwrap());
    assert!(output[..input.len()] == input[..], "the bytes differ");
    assert!(output[input.len()..].iter().all(|byte| *byte == 0), "the last block is filled up with zeros");
}

#[test]
fn copies_are_equal_sparse_and_verified() {
    let (daemon, folder) = (Daemon::start(&["--ram", "32M"]), Folder::new("copy"));
    let input = folder.random("in", 1 << 20);
    weft_ok(&["write", &daemon.url(1), &input, "--offset", "8M"]);
    let copy = folder.path("copy");
    weft_ok(&["copy", &daemon.url(1), &format!("file://{copy}?size=32M"), "--verify"]);
    weft_ok(&["verify", &daemon.url(1), &format!("file://{copy}")]);
    let used = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&copy).unwrap()) * 512;
    assert!(used < 8 << 20, "{used} bytes for one mebibyte of data");

    weft_ok(&["write", &format!("file://{copy}"), &input, "--offset", "16M"]);
    let differ = weft(&["verify", &daemon.url(1), &format!("file://{copy}")]);
    assert_eq!(differ.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&differ.stderr).contains("differ at byte"), "{differ:?}");
}

#[test]
fn a_pattern_is_only_written_when_asked_for() {
    let daemon = Daemon::start(&["--ram", "4M"]);
    assert_eq!(weft(&["verify", &daemon.url(1)]).status.code(), Some(2));
    assert_eq!(weft(&["bench", &daemon.url(1), "--pattern", "randwrite"]).status.code(), Some(2));
    weft_ok(&["verify", &daemon.url(1), "--destroy"]);
}

#[test]
fn a_file_survives_the_daemon() {
    let folder = Folder::new("file");
    let (file, input, output) = (folder.path("disk"), folder.random("in", 1 << 20), folder.path("out"));
    let daemon = Daemon::start(&["--file", &format!("file://{file}?size=8M")]);
    weft_ok(&["write", &daemon.url(1), &input]);
    assert_eq!(daemon.stop(), Some(0));
    let daemon = Daemon::start(&["--file", &file]);
    weft_ok(&["read", &daemon.url(1), &output, "--length", "1M"]);
    assert!(std::fs::read(input).unwrap() == std::fs::read(output).unwrap());
}

#[test]
fn a_remote_volume_is_served_on() {
    let back = Daemon::start(&["--ram", "8M"]);
    let front = Daemon::start(&["--volume", &back.url(1)]);
    weft_ok(&["verify", &front.url(1), "--destroy"]);
    weft_ok(&["verify", &front.url(1), &back.url(1)]);
}

#[test]
fn a_configuration_is_saved_and_loaded() {
    let folder = Folder::new("config");
    let daemon = Daemon::start(&["--ram", "8M"]);
    let nqn = "nqn.2026-01.org.weft:volume";
    weft_ok(&[
        "rpc",
        "-s",
        &daemon.socket,
        "bdev_malloc_create",
        "--name",
        "more",
        "--num-blocks",
        "4096",
        "--block-size",
        "4096",
    ]);
    weft_ok(&["rpc", "-s", &daemon.socket, "nvmf_subsystem_add_ns", "--nqn", nqn, "--bdev-name", "more"]);
    let saved = weft_ok(&["rpc", "-s", &daemon.socket, "save_config"]);
    assert_eq!(daemon.stop(), Some(0));
    std::fs::write(folder.path("weft.json"), &saved).unwrap();
    let daemon = Daemon::start_bare(&["--config", &folder.path("weft.json")]);
    assert_eq!(weft_ok(&["rpc", "-s", &daemon.socket, "save_config"]), saved);
    weft_ok(&["verify", &daemon.url(2), "--destroy"]);
}

#[test]
fn only_hosts_on_the_list_are_let_in() {
    let daemon = Daemon::start(&["--ram", "4M", "--host", "nqn.2026-01.org.example:friend"]);
    let stranger = weft(&["info", &daemon.url(1)]);
    assert_eq!(stranger.status.code(), Some(1), "{stranger:?}");
    weft_ok(&["info", &format!("{}&hostnqn=nqn.2026-01.org.example:friend", daemon.url(1))]);
}

#[test]
fn mistakes_are_explained() {
    let refused = weft(&["info", "nvme+tcp://127.0.0.1:1/nqn.2026-01.org.example:none"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nothing listens there"), "{refused:?}");
    for wrong in
        [["info", "disk"], ["info", "mem://"], ["info", "mem://?size=1G&block=513"], ["bench", "ftp://x"]]
    {
        assert_eq!(weft(&wrong).status.code(), Some(2), "{wrong:?}");
    }
    let absent = weft(&["rpc", "-s", "/nonexistent/weft.sock", "bdev_get_bdevs"]);
    assert!(String::from_utf8_lossy(&absent.stderr).contains("weft serve"), "{absent:?}");
    let missing = weft(&["read", "file:///nonexistent/disk"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no such file"), "{missing:?}");
}

#[test]
fn a_relay_wants_a_key_of_its_own_and_an_address_that_others_reach() {
    let folder = Folder::new("relay");
    let key = folder.random("key", 32);
    let refused = || String::from_utf8(weft(&["relay", "127.0.0.1", "--key", &key]).stderr).unwrap();
    let open_to = |mode| std::fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
    open_to(0o644);
    assert!(refused().contains("chmod 600"), "{}", refused());
    open_to(0o600);
    assert!(refused().contains("name an address that others reach"), "{}", refused());
}

#[test]
fn a_signal_ends_it_in_order_and_work_at_once() {
    let daemon = Daemon::start(&["--ram", "64M"]);
    let mut bench = support::spawn(&["bench", &daemon.url(1), "--seconds", "30"]);
    std::thread::sleep(Duration::from_millis(300));
    support::signal(bench.id(), "INT");
    assert_eq!(bench.wait().unwrap().code(), Some(130));
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn pages_are_made() {
    let folder = Folder::new("man");
    weft_ok(&["man", &folder.path("man")]);
    let page = std::fs::read_to_string(folder.path("man/weft-serve.1")).unwrap();
    assert!(page.contains("RAM volume"), "the page shows the options");
    assert!(weft_ok(&["completions", "bash"]).contains("_weft"));
}
