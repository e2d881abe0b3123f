//! Storage over RDMA as the methods have it: portals with their devices, and volumes of targets elsewhere, which are this
//! process's own. Each end has a device of its own, at an address that no other process of this machine uses.

mod common;

use common::fixture::Fixture;
use serde_json::{Value, json};

const NQN: &str = "nqn.2026-11.org.weft:rdma";
const HOST: &str = "nqn.2026-11.org.weft:rdma-host";
const IQN: &str = "iqn.2026-11.org.weft:rdma";

/// The target's address and the initiator's.
fn addresses(test: u8) -> [String; 2] {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    [0, 1].map(|end| format!("127.{}.{middle}.{low}", 192 | high & 7 | test << 3 | end << 4))
}

fn with_volume(name: &str) -> Fixture {
    let mut it = Fixture::start(name);
    it.call("bdev_malloc_create", json!({ "name": "ram", "num_blocks": 2048, "block_size": 512 }));
    it
}

fn config(it: &mut Fixture, subsystem: &str) -> String {
    it.call("framework_get_config", json!({ "name": subsystem })).to_string()
}

#[test]
fn a_controller_is_attached_over_rdma() {
    let mut it = with_volume("rdma-nvme");
    let [there, here] = addresses(0);
    it.call("nvmf_create_transport", json!({ "trtype": "RDMA" }));
    it.call("nvmf_create_subsystem", json!({ "nqn": NQN, "allow_any_host": true }));
    it.call("nvmf_subsystem_add_ns", json!({ "nqn": NQN, "namespace": { "bdev_name": "ram" } }));
    let portal = json!({ "trtype": "RDMA", "adrfam": "IPv4", "traddr": there, "trsvcid": "4420" });
    it.call("nvmf_subsystem_add_listener", json!({ "nqn": NQN, "listen_address": portal }));

    let attach = |port: &str, more: Value| {
        let mut params = json!({ "name": "far", "trtype": "RDMA", "adrfam": "IPv4", "traddr": there, "trsvcid": port,
            "subnqn": NQN, "hostnqn": HOST, "hostaddr": here, "num_io_queues": 2, "fabrics_connect_timeout_us": 2_000_000 });
        params.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
        params
    };
    let method = "bdev_nvme_attach_controller";
    for (more, code) in [
        (json!({ "hostaddr": "here" }), -22),
        (json!({ "trtype": "TCP" }), -22),
        (json!({ "hostaddr": "192.0.2.1" }), -5),
        (json!({ "subnqn": "nqn.2026-11.org.weft:none" }), -5),
    ] {
        assert_eq!(it.code(method, attach("4420", more.clone())), code, "{more}");
    }
    assert_eq!(it.code(method, attach("4421", json!({}))), -5, "nobody listens there");
    assert_eq!(it.call("bdev_nvme_get_controllers", json!({})), json!([]));

    assert_eq!(it.call(method, attach("4420", json!({}))), json!(["farn1"]));
    let shown = it.call("bdev_nvme_get_controllers", json!({ "name": "far" }))[0]["ctrlrs"][0].clone();
    assert_eq!((&shown["state"], &shown["trid"]["trtype"]), (&json!("enabled"), &json!("RDMA")), "{shown}");
    assert_eq!((&shown["trid"]["traddr"], &shown["trid"]["trsvcid"]), (&json!(there), &json!("4420")));
    let volume = it.call("bdev_get_bdevs", json!({ "name": "farn1" }))[0].clone();
    assert_eq!((&volume["num_blocks"], &volume["block_size"]), (&json!(2048), &json!(512)), "{volume}");
    let queues = it.call("nvmf_subsystem_get_qpairs", json!({ "nqn": NQN }));
    assert_eq!(queues.as_array().map(Vec::len), Some(3), "the admin queue and two of I/O: {queues}");
    let saved = config(&mut it, "bdev");
    assert!(
        saved.contains(&format!(r#""hostaddr":"{here}""#)) && saved.contains(r#""trtype":"RDMA""#),
        "{saved}"
    );

    assert_eq!(it.call("bdev_nvme_detach_controller", json!({ "name": "far" })), true);
    assert_eq!(it.code("bdev_get_bdevs", json!({ "name": "farn1" })), -19);
}

#[test]
fn a_portal_takes_iser_and_its_disk_is_a_volume() {
    let mut it = with_volume("rdma-iscsi");
    let [there, here] = addresses(1);
    let portal = json!({ "host": there, "port": "3260", "iser": true });
    let nowhere = json!({ "tag": 2, "portals": [{ "host": "192.0.2.1", "port": "3260", "iser": true }] });
    assert_eq!(it.code("iscsi_create_portal_group", nowhere), -99);
    let plain = json!({ "host": there, "port": "3261" });
    it.call("iscsi_create_portal_group", json!({ "tag": 1, "portals": [portal, plain] }));
    assert_eq!(it.call("iscsi_get_portal_groups", json!({}))[0]["portals"], json!([portal, plain]));
    assert!(config(&mut it, "iscsi").contains(r#""iser":true"#));
    it.call("iscsi_create_initiator_group", json!({ "tag": 1, "initiators": ["ANY"], "netmasks": ["ANY"] }));
    let node = json!({ "name": IQN, "alias_name": "a disk", "queue_depth": 32, "disable_chap": true,
        "pg_ig_maps": [{ "pg_tag": 1, "ig_tag": 1 }], "luns": [{ "bdev_name": "ram", "lun_id": 0 }] });
    it.call("iscsi_create_target_node", node);

    let method = "bdev_iscsi_create";
    let create = |scheme: &str, port: u16, target: &str, from: &str| {
        let url = format!("{scheme}://{there}:{port}/{target}/0{from}");
        json!({ "name": "far", "initiator_iqn": "iqn.2026-11.org.weft:rdma-initiator", "url": url })
    };
    let from = format!("?from={here}&connect_timeout=2");
    assert_eq!(it.code(method, create("iser", 3260, "iqn.2026-11.org.weft:none", &from)), -5);
    assert_eq!(it.code(method, create("iser", 3261, IQN, &from)), -5, "there are streams alone");
    assert_eq!(it.code(method, create("iscsi", 3260, IQN, &from)), -22, "streams come from where they like");
    assert_eq!(it.code(method, create("iser", 3260, IQN, "?from=192.0.2.1")), -19);

    assert_eq!(it.call(method, create("iser", 3260, IQN, &from)), "far");
    let volume = it.call("bdev_get_bdevs", json!({ "name": "far" }))[0].clone();
    assert_eq!((&volume["num_blocks"], &volume["block_size"]), (&json!(2048), &json!(512)), "{volume}");
    let connections = it.call("iscsi_get_connections", json!({}));
    assert_eq!(connections.as_array().map(Vec::len), Some(1), "{connections}");
    let connection = &connections[0];
    assert_eq!(
        (&connection["target_node_name"], &connection["initiator_addr"], &connection["target_addr"]),
        (&json!(IQN), &json!(here), &json!(there)),
    );
    let saved = config(&mut it, "bdev");
    assert!(saved.contains("iser://") && saved.contains(&format!("from={here}")), "{saved}");

    assert_eq!(it.call("bdev_iscsi_delete", json!({ "name": "far" })), true);
    it.call("iscsi_delete_target_node", json!({ "name": IQN }));
    assert_eq!(it.call("iscsi_delete_portal_group", json!({ "tag": 1 })), true);
}
