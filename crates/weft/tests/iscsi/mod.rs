//! iSCSI as a user has it: a target served, its disk used by every command, and secrets that stay secret.

use crate::support::{Daemon, Folder, weft, weft_ok};
use serde_json::Value;

fn start() -> Daemon {
    Daemon::start(&["--iscsi", "127.0.0.1:0", "--ram", "16M"])
}

#[test]
fn a_disk_is_found_and_used_like_any_volume() {
    let (daemon, folder) = (start(), Folder::new("disk"));
    let disk = daemon.disk(0);
    let portal = disk.split("/iqn").next().unwrap();
    let found: Value = serde_json::from_str(&weft_ok(&["discover", portal, "--json"])).unwrap();
    assert_eq!(found["targets"][0]["target"], "iqn.2026-01.org.weft:volume");
    let info: Value = serde_json::from_str(&weft_ok(&["info", &disk, "--json"])).unwrap();
    assert_eq!((&info["bytes"], &info["block_size"]), (&(16 << 20).into(), &512.into()));

    let input = folder.random("in", 3_000_000);
    weft_ok(&["write", &format!("{disk}?hdgst&ddgst&sessions=2"), &input]);
    weft_ok(&["verify", &disk, &daemon.url(1)]);
    let copy = format!("file://{}?size=16M", folder.path("copy"));
    weft_ok(&["copy", &disk, &copy, "--verify"]);
    let bench = weft_ok(&["bench", &disk, "--seconds", "0.2", "--depth", "4", "--json"]);
    let bench: Value = serde_json::from_str(&bench).unwrap();
    assert!(bench["requests"].as_u64().unwrap() > 0);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_disk_is_served_on_over_the_other_protocol() {
    let back = start();
    let front = Daemon::start(&["--volume", &back.disk(0)]);
    weft_ok(&["verify", &front.url(1), "--destroy"]);
    weft_ok(&["verify", &front.url(1), &back.disk(0)]);
}

#[test]
fn only_initiators_on_the_list_are_let_in() {
    let friend = "iqn.2026-01.org.example:friend";
    let daemon = Daemon::start(&["--iscsi", "127.0.0.1:0", "--ram", "4M", "--initiator", friend]);
    assert_eq!(weft(&["info", &daemon.disk(0)]).status.code(), Some(1));
    weft_ok(&["info", &format!("{}?initiator={friend}", daemon.disk(0))]);
}

#[test]
fn a_secret_opens_the_door_and_is_never_shown() {
    let daemon = start();
    let call = |method: &str, params: &str| weft_ok(&["rpc", "-s", &daemon.socket, method, params]);
    call("iscsi_create_auth_group", r#"{"tag": 1, "secrets": [{"user": "me", "secret": "s3cr3t-of-mine"}]}"#);
    call(
        "iscsi_target_node_set_auth",
        r#"{"name": "iqn.2026-01.org.weft:volume", "require_chap": true, "chap_group": 1}"#,
    );
    let with = |user: &str| daemon.disk(0).replace("iscsi://", &format!("iscsi://{user}@"));
    assert!(!weft_ok(&["-vv", "info", &with("me%s3cr3t-of-mine")]).contains("s3cr3t"));
    for wrong in [daemon.disk(0), with("me%s3cr3t-of-others"), with("you%s3cr3t-of-mine")] {
        let refused = weft(&["-vv", "info", &wrong]);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let shown = [refused.stdout, refused.stderr].concat();
        assert!(!String::from_utf8_lossy(&shown).contains("s3cr3t"));
    }
    assert!(!call("save_config", "{}").contains("s3cr3t"));
    assert!(call("save_config", r#"{"with_secrets": true}"#).contains("s3cr3t-of-mine"));
}
