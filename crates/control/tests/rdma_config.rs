//! Configuration of storage over RDMA: what was configured of NVMe/RDMA, iSER and SRP, targets and who uses them, is the same
//! after saving and loading. The process uses itself, at an address that no other process of this machine uses.

mod common;

use common::instance::Instance;
use control::config::{Config, Entry};
use serde_json::{Value, json};

const NQN: &str = "nqn.2026-11.org.weft:rdma";
const IQN: &str = "iqn.2026-11.org.weft:rdma";
const INITIATOR: &str = "0000000000000000000000000000001a";
const HALF: &str = "000000000000005e";

#[test]
fn storage_over_rdma_is_loaded_as_it_was_saved() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let first = Instance::start();
        let [there, here] = addresses();
        first
            .done("bdev_malloc_create", json!({ "name": "ram", "num_blocks": 2048, "block_size": 512 }))
            .await;
        nvme(&first, &there, &here).await;
        iser(&first, &there, &here).await;
        srp(&first, &there, &here).await;
        let (saved, before, attached) =
            (first.save().await, first.describe().await, controllers(&first).await);
        drop(first);

        let transports = transports(&saved);
        assert_eq!(transports, ["TCP", "RDMA"], "SPDK, which has none unasked, can load it as well");
        let second = Instance::start();
        second.done("load_config", serde_json::to_value(&saved).expect("JSON")).await;
        assert_eq!(second.save().await, saved);
        assert_eq!(second.describe().await, before);
        assert_eq!(controllers(&second).await, attached);
    });
}

async fn nvme(it: &Instance, there: &str, here: &str) {
    let portal = |port: &str| json!({ "trtype": "RDMA", "adrfam": "IPv4", "traddr": there, "trsvcid": port });
    it.done("nvmf_create_transport", json!({ "trtype": "RDMA", "max_queue_depth": 64 })).await;
    it.done("nvmf_create_subsystem", json!({ "nqn": NQN, "allow_any_host": true, "ana_reporting": true }))
        .await;
    it.done("nvmf_subsystem_add_ns", json!({ "nqn": NQN, "namespace": { "bdev_name": "ram" } })).await;
    let listener = json!({ "nqn": NQN, "listen_address": portal("4420"), "ana_state": "non_optimized" });
    it.done("nvmf_subsystem_add_listener", listener).await;
    let discovery =
        json!({ "nqn": "nqn.2014-08.org.nvmexpress.discovery", "listen_address": portal("8009") });
    it.done("nvmf_subsystem_add_listener", discovery).await;
    it.done("nvmf_discovery_add_referral", json!({ "address": portal("4421") })).await;
    let attach = json!({ "name": "nvme", "trtype": "RDMA", "adrfam": "IPv4", "traddr": there, "trsvcid": "4420",
        "subnqn": NQN, "hostnqn": "nqn.2026-11.org.weft:host", "hostaddr": here, "num_io_queues": 2,
        "fabrics_connect_timeout_us": 5_000_000, "ctrlr_loss_timeout_sec": 40, "reconnect_delay_sec": 3 });
    it.done("bdev_nvme_attach_controller", attach).await;
    let watch = json!({ "name": "watched", "trtype": "RDMA", "traddr": there, "trsvcid": "8009", "hostaddr": here,
        "hostnqn": "nqn.2026-11.org.weft:watching", "wait_for_attach": true, "attach_timeout_ms": 20_000 });
    it.done("bdev_nvme_start_discovery", watch).await;
}

/// A disk over iSER stands on the one over NVMe.
async fn iser(it: &Instance, there: &str, here: &str) {
    let portals = json!([{ "host": there, "port": "3260", "iser": true }, { "host": there, "port": "3261" }]);
    it.done("iscsi_create_portal_group", json!({ "tag": 1, "portals": portals })).await;
    let waits = json!([{ "host": there, "port": "3262", "iser": true }]);
    it.done("iscsi_create_portal_group", json!({ "tag": 2, "portals": waits, "wait": true })).await;
    it.done("iscsi_create_initiator_group", json!({ "tag": 1, "initiators": ["ANY"], "netmasks": ["ANY"] }))
        .await;
    let node = json!({ "name": IQN, "alias_name": "a disk", "queue_depth": 32, "disable_chap": true,
        "pg_ig_maps": [{ "pg_tag": 1, "ig_tag": 1 }], "luns": [{ "bdev_name": "nvmen1", "lun_id": 2 }] });
    it.done("iscsi_create_target_node", node).await;
    let disk = json!({ "name": "iser", "initiator_iqn": "iqn.2026-11.org.weft:initiator",
        "url": format!("iser://{there}:3260/{IQN}/2?from={here}&connect_timeout=5") });
    it.done("bdev_iscsi_create", disk).await;
}

/// A disk over SRP stands on the one over iSER.
async fn srp(it: &Instance, there: &str, here: &str) {
    let port = |more: Value| {
        let mut params = json!({ "id_ext": HALF, "ioc_guid": HALF });
        params.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
        params
    };
    it.done("srp_create_target", port(json!({ "initiators": [INITIATOR] }))).await;
    it.done("srp_create_target", json!({ "id_ext": HALF, "ioc_guid": "00000000000000aa" })).await;
    it.done("srp_add_listener", json!({ "traddr": there, "trsvcid": "5555" })).await;
    for (volume, number) in [("ram", 0), ("iser", 3)] {
        it.done("srp_target_add_lun", port(json!({ "bdev_name": volume, "lun_id": number }))).await;
    }
    let url = format!(
        "srp://{there}:5555/{HALF}{HALF}/3?initiator={INITIATOR}&channels=2&immediate=4096&from={here}&connect_timeout=5"
    );
    it.done("bdev_srp_create", json!({ "name": "srp", "url": url })).await;
    let delay = json!({ "name": "slow", "base_bdev_name": "srp", "avg_read_latency": 1, "p99_read_latency": 1,
        "avg_write_latency": 1, "p99_write_latency": 1 });
    it.done("bdev_delay_create", delay).await;
}

/// What controllers are attached, but for what each connection gets anew.
async fn controllers(it: &Instance) -> Value {
    let mut shown = it.done("bdev_nvme_get_controllers", json!({})).await;
    for path in
        shown.as_array_mut().into_iter().flatten().filter_map(|one| one["ctrlrs"].as_array_mut()).flatten()
    {
        path.as_object_mut().expect("fields").remove("cntlid");
    }
    shown
}

/// The transports that are created.
fn transports(saved: &Config) -> Vec<&str> {
    let entries = saved.subsystems.iter().flat_map(|subsystem| subsystem.config.iter().flatten());
    let calls = entries.filter_map(|entry| if let Entry::Call(call) = entry { Some(call) } else { None });
    let transports = calls.filter(|call| call.method == "nvmf_create_transport");
    transports.filter_map(|call| call.params["trtype"].as_str()).collect()
}

/// The targets' address and the initiators'.
fn addresses() -> [String; 2] {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    [0, 1].map(|end| format!("127.{}.{middle}.{low}", 224 | high & 7 | end << 4))
}
