//! The daemon as a process: how soon it is ready, how little it needs, and how it ends. Figures are the best of several
//! attempts, so that a machine with other work to do does not decide.

use crate::support::{Daemon, Folder, signal, spawn, weft, weft_ok};
use std::path::Path;
use std::time::{Duration, Instant};

#[test]
fn it_is_ready_soon_and_small() {
    let attempt = |_| {
        let began = Instant::now();
        let daemon = Daemon::start(&[]);
        let ready = began.elapsed();
        let memory = resident_bytes(daemon.pid());
        assert_eq!(daemon.stop(), Some(0));
        (ready, memory)
    };
    let attempts: Vec<_> = (0..ATTEMPTS).map(attempt).collect();
    let ready = attempts.iter().map(|(ready, _)| *ready).min().unwrap();
    let memory = attempts.iter().map(|(_, memory)| *memory).min().unwrap();
    assert!(ready < Duration::from_millis(50), "ready after {ready:?}");
    assert!(memory < 20 << 20, "{memory} bytes of memory with nothing to do");
}

#[test]
fn with_nothing_to_do_it_does_nothing() {
    let daemon = Daemon::start(&[]);
    let used = |_| {
        let before = processor_ticks(daemon.pid());
        std::thread::sleep(Duration::from_millis(400));
        processor_ticks(daemon.pid()) - before
    };
    let least = (0..ATTEMPTS).map(used).min().unwrap();
    assert_eq!(least, 0, "hundredths of a second of processor time in 0.4 s");
}

#[test]
fn its_socket_goes_with_it() {
    let folder = Folder::new("socket");
    let socket = folder.path("weft.sock");
    let daemon = Daemon::start(&["--ram", "4M", "--rpc-socket", &socket]);
    assert!(Path::new(&socket).exists());
    assert_eq!(daemon.stop(), Some(0));
    assert!(!Path::new(&socket).exists(), "the socket is left behind");
}

#[test]
fn a_second_one_on_its_socket_says_whose_it_is() {
    let daemon = Daemon::start(&["--ram", "4M"]);
    let second = weft(&["serve", "--ram", "4M", "--listen", "127.0.0.1:0", "--rpc-socket", &daemon.socket]);
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("process {}", daemon.pid())) && said.contains("--rpc-socket"), "{said}");
    assert!(Path::new(&daemon.socket).exists(), "the first one's socket is still there");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let daemon = Daemon::start(&["--ram", "4M"]);
    let call = |method: &str, params: &str| weft_ok(&["rpc", "-s", &daemon.socket, method, params]);
    call("bdev_null_create", r#"{"name": "null", "block_size": 512, "num_blocks": 8192}"#);
    call("bdev_error_create", r#"{"base_name": "null"}"#);
    call(
        "nvmf_subsystem_add_ns",
        r#"{"nqn": "nqn.2026-01.org.weft:volume", "namespace": {"bdev_name": "EE_null"}}"#,
    );
    call(
        "bdev_error_inject_error",
        r#"{"name": "EE_null", "io_type": "write", "error_type": "pending", "num": 1000}"#,
    );
    let url = daemon.url(1).replace("ns=1", "ns=2");
    let mut client = spawn(&["verify", &url, "--destroy"]);
    wait_for("a request hangs", || {
        call("bdev_get_iostat", r#"{"names": ["EE_null"]}"#).contains("\"queue_depth\": 8")
    });

    signal(daemon.pid(), "TERM");
    wait_for("it no longer listens", || std::net::TcpStream::connect(&daemon.address).is_err());
    assert!(Path::new(&format!("/proc/{}/exe", daemon.pid())).exists(), "it waits for the request");
    let code = daemon.stop();
    assert_eq!(code, Some(128 + 15), "the second signal");
    client.kill().unwrap();
    client.wait().unwrap();
}

/// Stopped processes keep their connections, and neither take nor acknowledge anything.
#[test]
fn clients_that_stand_still_hold_its_end_up_for_a_while_alone() {
    let daemon = Daemon::start_everywhere(&["--ram", "64MiB"]);
    let iscsi = daemon.disk(0);
    let over = [
        daemon.url(1),
        daemon.rdma_url(1),
        iscsi.clone(),
        iscsi.replace("iscsi:", "iser:"),
        daemon.srp_url(0),
    ];
    let read = ["--pattern", "read", "--size", "128K", "--depth", "32", "--seconds", "60"];
    let mut clients: Vec<_> = over.iter().map(|url| spawn(&[&["bench", url][..], &read].concat())).collect();
    std::thread::sleep(Duration::from_millis(500));
    let is_there = |client: &mut std::process::Child| client.try_wait().unwrap().is_none();
    assert!(clients.iter_mut().all(is_there), "each has come in");
    clients.iter().for_each(|client| signal(client.id(), "STOP"));

    let began = Instant::now();
    assert_eq!(daemon.stop(), Some(0));
    let took = began.elapsed();
    clients.iter_mut().for_each(|client| client.kill().unwrap());
    clients.iter_mut().for_each(|client| assert!(!client.wait().unwrap().success()));
    assert!(took > Duration::from_secs(5), "peers have five seconds to take their answers, not {took:?}");
    assert!(took < Duration::from_secs(13), "it ended after {took:?}");
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The memory that a process has and nobody else uses for it (VmRSS of proc_pid_status(5)), in bytes.
fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// The processor time that a process has used, in ticks of 10 ms (utime and stime of proc_pid_stat(5)).
fn processor_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<_> = after_name.split(' ').collect();
    fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum()
}

const ATTEMPTS: usize = 5;

/// By packets nothing but its last words tells a target that a host's process has ended.
#[test]
fn a_command_that_ends_lets_go_of_its_target() {
    let daemon = Daemon::start(&["--ram", "16MiB"]);
    let url = daemon.rdma_url(1);
    weft_ok(&["bench", &url, "--packets", "--pattern", "randread", "--seconds", "0.1"]);
    let params = r#"{"nqn": "nqn.2026-01.org.weft:volume"}"#;
    let left = weft_ok(&["rpc", "-s", &daemon.socket, "nvmf_subsystem_get_controllers", params]);
    assert_eq!(left.trim(), "[]");
}
