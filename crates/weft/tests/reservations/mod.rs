//! Reservations that outlive the daemon: registered and held, the daemon killed as a power cut would, started again from
//! its saved configuration.

mod iscsi;
mod nvme;

use crate::support::{Daemon, Folder, weft_ok};
use std::io::{Read, Write};
use std::net::TcpStream;

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let folder = Folder::new("reservations");
    let daemon = Daemon::start(&["--ram", "4M", "--iscsi", "127.0.0.1:0"]);
    serve(&daemon, &folder);
    let saved = weft_ok(&["rpc", "-s", &daemon.socket, "save_config"]);
    std::fs::write(folder.path("weft.json"), saved).unwrap();

    let (address, portal) = (daemon.address.clone(), portal(&daemon));
    let mut host = nvme::Host::connect(&address, 1);
    host.register(KEY);
    host.acquire(KEY);
    assert!(host.may_read());
    let mut initiator = iscsi::Initiator::connect(&portal, 1);
    initiator.register(KEY);
    initiator.reserve(KEY);
    assert!(initiator.may_read());
    daemon.kill();

    let daemon = Daemon::start_bare(&["--config", &folder.path("weft.json")]);
    assert_eq!((&daemon.address, self::portal(&daemon)), (&address, portal.clone()));
    assert!(!nvme::Host::connect(&address, 2).may_read(), "another host holds the reservation");
    let mut host = nvme::Host::connect(&address, 1);
    assert_eq!(host.keys(), [KEY]);
    assert!(host.may_read());
    assert!(!iscsi::Initiator::connect(&portal, 2).may_read(), "another initiator holds the reservation");
    let mut initiator = iscsi::Initiator::connect(&portal, 1);
    assert_eq!(initiator.keys(), [KEY]);
    assert!(initiator.may_read());
    assert_eq!(daemon.stop(), Some(0));
}

/// Two more volumes, one for each protocol, with a file each for its reservations.
fn serve(daemon: &Daemon, folder: &Folder) {
    let call = |method: &str, params: String| weft_ok(&["rpc", "-s", &daemon.socket, method, &params]);
    for name in ["for-nvme", "for-iscsi"] {
        let params = format!(r#"{{"name": "{name}", "block_size": 512, "num_blocks": 2048}}"#);
        call("bdev_null_create", params);
    }
    let file = folder.path("nvme.ptpl");
    let namespace = format!(r#"{{"bdev_name": "for-nvme", "nsid": {NSID}, "ptpl_file": "{file}"}}"#);
    call("nvmf_subsystem_add_ns", format!(r#"{{"nqn": "{SUBSYSTEM}", "namespace": {namespace}}}"#));
    let file = folder.path("iscsi.ptpl");
    call(
        "iscsi_target_node_add_lun",
        format!(
            r#"{{"name": "{TARGET}", "bdev_name": "for-iscsi", "lun_id": {LUN}, "ptpl_file": "{file}"}}"#
        ),
    );
}

/// ADDR:PORT of the daemon's iSCSI portal.
fn portal(daemon: &Daemon) -> String {
    let disk = daemon.disk(0);
    disk.trim_start_matches("iscsi://").split('/').next().unwrap().to_owned()
}

/// Sends a PDU, and reads `len` bytes of what comes.
fn send(stream: &mut TcpStream, pdu: &[u8]) {
    stream.write_all(pdu).expect("a connection");
}

fn receive(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).expect("an answer");
    bytes
}

const KEY: u64 = 0x0123_4567_89ab_cdef;
const NSID: u32 = 2;
const LUN: u16 = 1;
const SUBSYSTEM: &str = "nqn.2026-01.org.weft:volume";
const TARGET: &str = "iqn.2026-01.org.weft:volume";
