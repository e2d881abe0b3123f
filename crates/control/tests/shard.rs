//! Every method through the server, over a real Unix socket, on a real shard: the way in which it works, and how it
//! refuses.

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::fixture::Fixture;
use serde_json::{Value, json};

const NQN: &str = "nqn.2026-11.org.weft:tests";
const HOST: &str = "nqn.2026-11.org.weft:host";
const FINDER: &str = "nqn.2026-11.org.weft:finder";
const UUID: &str = "ceccf520-691e-4b46-9546-34af789907c5";

fn address(port: &str) -> Value {
    json!({ "trtype": "TCP", "adrfam": "IPv4", "traddr": "127.0.0.1", "trsvcid": port })
}

#[test]
fn every_method_works() {
    let mut it = Fixture::start("all");
    process(&mut it);
    logs(&mut it);
    volumes(&mut it);
    stacked_volumes(&mut it);
    encrypted_volumes(&mut it);
    let port = target(&mut it);
    controllers(&mut it, &port);
    iscsi(&mut it);
    srp(&mut it);
    configuration(&mut it);
    srp_taken_down(&mut it);
    iscsi_taken_down(&mut it);
    taking_down(&mut it, &port);
    it.call("spdk_kill_instance", json!({ "sig_name": "SIGTERM" }));
    let all = it.call("rpc_get_methods", json!({}));
    let all: BTreeSet<String> = serde_json::from_value(all).expect("names");
    let missed: Vec<_> = all.difference(&it.called).collect();
    assert!(missed.is_empty(), "not called: {missed:?}");
}

fn process(it: &mut Fixture) {
    assert!(
        it.call("spdk_get_version", json!({}))["version"].as_str().is_some_and(|v| v.starts_with("Weft v"))
    );
    assert_eq!(it.call("framework_start_init", json!({})), true);
    assert_eq!(it.call("framework_wait_init", json!({})), true);
    assert_eq!(
        it.call("framework_get_subsystems", json!({}))[1],
        json!({"subsystem": "nvmf", "depends_on": ["bdev"]})
    );
    assert_eq!(it.call("bdev_wait_for_examine", json!({})), true);
    assert_eq!(it.call("bdev_set_options", json!({ "bdev_io_pool_size": 65536 })), true);
    std::thread::sleep(Duration::from_millis(20));
    let threads = it.call("framework_get_reactors", json!({}));
    assert_eq!(threads["pid"], std::process::id());
    let shard = &threads["reactors"][0];
    let ticks = |value: &Value| value.as_u64().expect("ticks");
    assert_eq!(ticks(&shard["busy"]) + ticks(&shard["idle"]), ticks(&shard["lw_threads"][0]["elapsed"]));
    assert!(ticks(&shard["idle"]) >= 10_000_000, "nothing was asked of it for 20 ms: {shard}");
    let current = it.call("rpc_get_methods", json!({ "current": true }));
    assert!(!current.as_array().expect("names").contains(&json!("framework_start_init")));
}

fn logs(it: &mut Fixture) {
    assert_eq!(it.call("log_set_level", json!({ "level": "WARNING" })), true);
    assert_eq!(it.call("log_get_level", json!({})), "WARNING");
    assert_eq!(it.call("log_set_print_level", json!({ "level": "DEBUG" })), true);
    assert_eq!(it.call("log_get_print_level", json!({})), "DEBUG");
    it.call("log_set_flag", json!({ "flag": "all" }));
    assert_eq!(it.call("log_get_flags", json!({})), json!({ "control": true }));
    it.call("log_clear_flag", json!({ "flag": "control" }));
    assert_eq!(it.call("log_get_flags", json!({})), json!({ "control": false }));
    assert_eq!(it.call("log_enable_timestamps", json!({ "enabled": false })), true);
    assert_eq!(it.code("log_set_level", json!({ "level": "LOUD" })), -32602);
}

fn volumes(it: &mut Fixture) {
    let file = std::env::temp_dir().join(format!("weft-shard-{}.img", std::process::id()));
    std::fs::write(&file, vec![0; 1 << 20]).expect("a file");
    let file_name = file.to_str().expect("UTF-8");
    let ram = json!({ "name": "ram", "block_size": 4096, "num_blocks": 2048, "uuid": UUID, "md_interleave": false });
    assert_eq!(it.call("bdev_malloc_create", ram.clone()), "ram");
    assert_eq!(it.code("bdev_malloc_create", ram), -17);
    assert_eq!(it.call("bdev_malloc_create", json!({ "block_size": 512, "num_blocks": 8 })), "Malloc0");
    assert_eq!(it.code("bdev_malloc_create", json!({ "block_size": 520, "num_blocks": 8 })), -22);
    assert_eq!(
        it.code("bdev_malloc_create", json!({ "block_size": 512, "num_blocks": 8, "md_size": 8 })),
        -32602
    );
    assert_eq!(it.call("bdev_malloc_resize", json!({ "name": "Malloc0", "new_size": 1 })), true);
    assert_eq!(it.call("bdev_get_bdevs", json!({ "name": "Malloc0" }))[0]["num_blocks"], 2048);
    assert_eq!(
        it.call("bdev_null_create", json!({ "name": "null", "block_size": 512, "num_blocks": 2048 })),
        "null"
    );
    assert_eq!(it.call("bdev_null_resize", json!({ "name": "null", "new_size": 2 })), true);
    let aio = json!({ "name": "aio", "filename": file_name, "block_size": 512, "readonly": false });
    assert_eq!(it.call("bdev_aio_create", aio), "aio");
    assert_eq!(it.code("bdev_aio_create", json!({ "name": "gone", "filename": "/nowhere/at/all" })), -2);
    std::fs::write(&file, vec![0; 2 << 20]).expect("a longer file");
    assert_eq!(it.call("bdev_aio_rescan", json!({ "name": "aio" })), true);
    let bdev = it.call("bdev_get_bdevs", json!({ "name": "aio" }))[0].clone();
    assert_eq!(bdev["num_blocks"], 4096);
    assert_eq!(bdev["driver_specific"]["aio"]["filename"], file_name);
    assert_eq!(it.call("bdev_aio_delete", json!({ "name": "aio" })), true);
    assert_eq!(it.call("bdev_uring_create", json!({ "name": "uring", "filename": file_name })), "uring");
    assert_eq!(it.call("bdev_uring_rescan", json!({ "name": "uring" })), true);
    assert_eq!(it.call("bdev_uring_delete", json!({ "name": "uring" })), true);
    std::fs::remove_file(&file).expect("the file stays");
    assert_eq!(it.code("bdev_get_bdevs", json!({ "name": "aio", "timeout": 50 })), -19);
    assert_eq!(it.call("bdev_get_bdevs", json!({ "name": UUID }))[0]["name"], "ram");
}

fn stacked_volumes(it: &mut Fixture) {
    let delays = json!({ "name": "slow", "base_bdev_name": "ram", "avg_read_latency": 1, "p99_read_latency": 2,
        "avg_write_latency": 3, "p99_write_latency": 4 });
    assert_eq!(it.call("bdev_delay_create", delays), "slow");
    let update = json!({ "delay_bdev_name": "slow", "latency_type": "p99_write", "latency_us": 9 });
    assert_eq!(it.call("bdev_delay_update_latency", update), true);
    let slow = it.call("bdev_get_bdevs", json!({ "name": "slow" }))[0].clone();
    assert_eq!(slow["driver_specific"]["delay"]["p99_write_latency"], 9);
    assert_eq!(it.call("bdev_error_create", json!({ "base_name": "null" })), true);
    let inject = json!({ "name": "EE_null", "io_type": "read", "error_type": "failure", "num": 3 });
    assert_eq!(it.call("bdev_error_inject_error", inject), true);
    let corrupt = json!({ "name": "EE_null", "io_type": "read", "error_type": "corrupt_data" });
    assert_eq!(it.code("bdev_error_inject_error", corrupt), -22);
    assert_eq!(it.call("bdev_error_resume_pending", json!({ "name": "EE_null" })), true);
    assert_eq!(
        it.call("bdev_split_create", json!({ "base_bdev": "Malloc0", "split_count": 2 })),
        json!(["Malloc0p0", "Malloc0p1"])
    );
    let part = json!({ "name": "part", "base_bdev_name": "ram", "offset_blocks": 1024, "num_blocks": 16 });
    assert_eq!(it.call("bdev_partition_create", part), "part");
    assert_eq!(it.code("bdev_malloc_delete", json!({ "name": "ram" })), -16);
    assert_eq!(it.code("bdev_delay_delete", json!({ "name": "ram" })), -19);
    let limit = json!({ "name": "ram", "rw_ios_per_sec": 5000, "w_mbytes_per_sec": 7 });
    assert_eq!(it.call("bdev_set_qos_limit", limit), true);
    assert_eq!(it.code("bdev_set_qos_limit", json!({ "name": "ram", "rw_ios_per_sec": 1 })), -22);
    let ram = it.call("bdev_get_bdevs", json!({ "name": "ram" }))[0].clone();
    assert_eq!(ram["assigned_rate_limits"]["w_mbytes_per_sec"], 7);
    histogram(it);
    assert_eq!(ram["claimed"], true);
}

/// Latencies are counted when asked for, and told in SPDK's layout.
fn encrypted_volumes(it: &mut Fixture) {
    let (data, tweak) = ("0123456789abcdef0123456789ABCDEF", "ffffffffffffffff0000000000000000");
    let key = json!({ "name": "key0", "cipher": "AES_XTS", "key": data, "key2": tweak });
    assert_eq!(it.call("accel_crypto_key_create", key.clone()), true);
    assert_eq!(it.code("accel_crypto_key_create", key), -17);
    for (key, key2) in [(data, data), (data, "00"), ("0g", "00"), ("012", "012")] {
        let wrong = json!({ "name": "key1", "cipher": "AES_XTS", "key": key, "key2": key2 });
        assert_eq!(it.code("accel_crypto_key_create", wrong), -22, "{key} {key2}");
    }
    let shown = it.call("accel_crypto_keys_get", json!({}));
    assert_eq!(shown, json!([{ "name": "key0", "cipher": "AES_XTS", "key_bits": 128 }]));
    assert_eq!(it.code("accel_crypto_keys_get", json!({ "key_name": "none" })), -2);

    let volume = json!({ "base_bdev_name": "Malloc0", "name": "crypt0", "key_name": "key0" });
    assert_eq!(it.call("bdev_crypto_create", volume.clone()), "crypt0");
    assert_eq!(it.code("bdev_crypto_create", volume), -17);
    let unknown = json!({ "base_bdev_name": "Malloc0", "name": "crypt1", "key_name": "none" });
    assert_eq!(it.code("bdev_crypto_create", unknown), -2);
    let neither = json!({ "base_bdev_name": "Malloc0", "name": "crypt1" });
    assert_eq!(it.code("bdev_crypto_create", neither), -22);
    let shown = it.call("bdev_get_bdevs", json!({ "name": "crypt0" }))[0].clone();
    assert_eq!(
        (&shown["product_name"], &shown["driver_specific"]["crypto"]["key_name"]),
        (&json!("crypto"), &json!("key0"))
    );
    assert_eq!(it.code("accel_crypto_key_destroy", json!({ "key_name": "key0" })), -16);

    let saved = it.call("save_config", json!({}));
    assert!(saved.to_string().contains("bdev_crypto_create") && !saved.to_string().contains("456789abcdef"));
    let asked = it.call("framework_get_config", json!({ "name": "accel", "with_secrets": true }));
    assert_eq!(asked[0]["params"]["key"], data.to_lowercase());

    let file = std::env::temp_dir().join(format!("weft-shard-{}.key", std::process::id()));
    let with_file = json!({ "base_bdev_name": "null", "name": "crypt1", "key_file": file.to_str() });
    assert_eq!(it.call("bdev_crypto_create", with_file), "crypt1");
    let again = json!({ "base_bdev_name": "null", "name": "crypt2", "key_file": file.to_str() });
    assert_eq!(it.code("bdev_crypto_create", again), -16);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).expect("a file").permissions());
    assert_eq!(mode & 0o777, 0o600, "nobody else may read it");
    for name in ["crypt0", "crypt1"] {
        assert_eq!(it.call("bdev_crypto_delete", json!({ "name": name })), true);
    }
    assert_eq!(it.call("accel_crypto_key_destroy", json!({ "key_name": "key0" })), true);
    std::fs::remove_file(&file).expect("the file stays");
}

fn histogram(it: &mut Fixture) {
    let ram = json!({ "name": "ram" });
    assert_eq!(it.code("bdev_get_histogram", ram.clone()), -22);
    let enable = |fields: Value| {
        let mut params = json!({ "name": "ram", "enable": true });
        params.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        params
    };
    assert_eq!(it.code("bdev_enable_histogram", enable(json!({ "granularity": 11 }))), -22);
    assert_eq!(it.code("bdev_enable_histogram", enable(json!({ "opc": "zcopy" }))), -32602);
    let narrow = json!({ "opc": "read", "granularity": 2, "min_nsec": 0, "max_nsec": 16 });
    assert_eq!(it.call("bdev_enable_histogram", enable(narrow)), true);
    let counts = it.call("bdev_get_histogram", ram.clone());
    // Three ranges of four buckets of eight bytes: 96 zeros.
    let expected = json!({ "histogram": "A".repeat(128), "granularity": 2, "min_range": 0, "max_range": 2,
        "tsc_rate": 1_000_000_000 });
    assert_eq!(counts, expected);
    let borders = it.call("bdev_get_histogram_borders", json!({ "name": "ram", "borders": [1, 100] }));
    assert_eq!(borders, json!({ "borders_count": [0, 0, 0] }));
    assert!(it.call("save_config", json!({})).to_string().contains("bdev_enable_histogram"));
    assert_eq!(it.call("bdev_enable_histogram", json!({ "name": "ram", "enable": false })), true);
    assert_eq!(it.code("bdev_get_histogram", ram), -22);
}

/// A namespace whose reservations are kept in a file, which no other can have meanwhile.
fn kept_namespace(it: &mut Fixture) {
    let file = std::env::temp_dir().join(format!("weft-shard-{}-nvme.ptpl", std::process::id()));
    let kept = |nsid: u32| {
        let namespace = json!({ "bdev_name": "part", "nsid": nsid, "ptpl_file": file,
            "uuid": format!("00000000-0000-4000-8000-00000000000{nsid}") });
        json!({ "nqn": NQN, "namespace": namespace })
    };
    assert_eq!(it.call("nvmf_subsystem_add_ns", kept(5)), 5);
    assert_eq!(it.code("nvmf_subsystem_add_ns", kept(6)), -16);
    let saved = it.call("framework_get_config", json!({ "name": "nvmf" })).to_string();
    assert!(saved.contains(file.to_str().expect("a plain path")), "{saved}");
    assert_eq!(it.call("nvmf_subsystem_remove_ns", json!({ "nqn": NQN, "nsid": 5 })), true);
    std::fs::remove_file(&file).expect("it was made");
}

/// Builds a target over the volumes, and returns its port.
fn target(it: &mut Fixture) -> String {
    assert_eq!(it.call("nvmf_set_max_subsystems", json!({ "max_subsystems": 2 })), true);
    assert_eq!(it.code("nvmf_set_max_subsystems", json!({ "max_subsystems": 5000 })), -12);
    assert_eq!(it.call("nvmf_set_config", json!({ "discovery_filter": "match_any" })), true);
    assert_eq!(it.code("nvmf_set_config", json!({ "discovery_filter": "transport" })), -32602);
    let transport = json!({ "trtype": "TCP", "max_queue_depth": 64, "no_srq": false, "c2h_success": true });
    assert_eq!(it.call("nvmf_create_transport", transport), true);
    assert_eq!(it.code("nvmf_create_transport", json!({ "trtype": "TCP", "max_queue_depth": 1 })), -22);
    assert_eq!(it.call("nvmf_get_transports", json!({ "trtype": "tcp" }))[0]["max_queue_depth"], 64);
    let subsystem = json!({ "nqn": NQN, "serial_number": "S1", "ana_reporting": true, "max_namespaces": 8 });
    assert_eq!(it.call("nvmf_create_subsystem", subsystem.clone()), true);
    assert_eq!(it.code("nvmf_create_subsystem", subsystem), -17);
    assert_eq!(it.code("nvmf_create_subsystem", json!({ "nqn": "no NQN" })), -22);
    let namespace = json!({ "bdev_name": "slow", "nsid": 2, "nguid": "00112233445566778899AABBCCDDEEFF" });
    assert_eq!(it.call("nvmf_subsystem_add_ns", json!({ "nqn": NQN, "namespace": namespace })), 2);
    assert_eq!(
        it.call("nvmf_subsystem_add_ns", json!({ "nqn": NQN, "namespace": { "bdev_name": "part" } })),
        1
    );
    assert_eq!(
        it.code("nvmf_subsystem_add_ns", json!({ "nqn": NQN, "namespace": { "bdev_name": "none" } })),
        -19
    );
    kept_namespace(it);
    it.call("nvmf_subsystem_add_listener", json!({ "nqn": NQN, "listen_address": address("0") }));
    let listeners = it.call("nvmf_subsystem_get_listeners", json!({ "nqn": NQN }));
    let port = listeners[0]["address"]["trsvcid"].as_str().expect("a port").to_owned();
    assert_ne!(port, "0");
    it.call("nvmf_subsystem_add_listener", json!({ "nqn": "discovery", "listen_address": address(&port) }));
    let state =
        json!({ "nqn": NQN, "listen_address": address(&port), "ana_state": "non_optimized", "anagrpid": 2 });
    assert_eq!(it.call("nvmf_subsystem_listener_set_ana_state", state), true);
    let listeners = it.call("nvmf_subsystem_get_listeners", json!({ "nqn": NQN }));
    assert_eq!(listeners[0]["ana_states"][1], json!({ "ana_group": 2, "ana_state": "non_optimized" }));
    assert_eq!(it.call("nvmf_subsystem_add_host", json!({ "nqn": NQN, "host": HOST })), true);
    portal_of_rdma(it, &port);
    let referral = json!({ "address": address("8009"), "subnqn": "discovery" });
    assert_eq!(it.call("nvmf_discovery_add_referral", referral), true);
    assert_eq!(it.call("nvmf_discovery_get_referrals", json!({}))[0]["address"], address("8009"));
    port
}

/// A portal of RDMA comes and goes, and its device with it.
fn portal_of_rdma(it: &mut Fixture, port: &str) {
    assert_eq!(it.call("nvmf_create_transport", json!({ "trtype": "RDMA" })), true);
    assert_eq!(it.call("nvmf_get_transports", json!({ "trtype": "rdma" }))[0]["max_queue_depth"], 64);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let ours = format!("127.{}.{middle}.{low}", 64 | high);
    let portal = |traddr: &str| {
        let address = json!({ "trtype": "RDMA", "adrfam": "IPv4", "traddr": traddr, "trsvcid": port });
        json!({ "nqn": NQN, "listen_address": address })
    };
    let shown = |it: &mut Fixture| it.call("nvmf_subsystem_get_listeners", json!({ "nqn": NQN }));
    for elsewhere in ["0.0.0.0", "192.0.2.1"] {
        assert_eq!(it.code("nvmf_subsystem_add_listener", portal(elsewhere)), -99, "{elsewhere}");
    }
    for _ in 0..2 {
        assert_eq!(it.call("nvmf_subsystem_add_listener", portal(&ours)), true);
        assert_eq!(it.code("nvmf_subsystem_add_listener", portal(&ours)), -17);
        assert_eq!(shown(it)[1]["address"], portal(&ours)["listen_address"]);
        let longer = json!({ "trtype": "RDMA", "in_capsule_data_size": 16384 });
        assert_eq!(it.code("nvmf_create_transport", longer), -16, "capsules have come to have their length");
        assert_eq!(it.call("nvmf_subsystem_remove_listener", portal(&ours)), true);
        assert_eq!(it.code("nvmf_subsystem_remove_listener", portal(&ours)), -19);
    }
    assert_eq!(shown(it).as_array().map(Vec::len), Some(1));
}

/// Attaches the target's own subsystem, so that it has a host and we have a remote volume.
fn controllers(it: &mut Fixture, port: &str) {
    assert_eq!(it.call("bdev_nvme_set_options", json!({ "keep_alive_timeout_ms": 5000 })), true);
    let attach = |name: &str, port: &str, host: &str| {
        json!({ "name": name, "trtype": "TCP", "traddr": "127.0.0.1", "trsvcid": port, "subnqn": NQN, "hostnqn": host,
            "hdgst": true, "ddgst": true, "prchk_reftag": false })
    };
    assert_eq!(
        it.code("bdev_nvme_attach_controller", attach("x", port, "nqn.2026-11.org.weft:stranger")),
        -5
    );
    assert_eq!(it.code("bdev_nvme_attach_controller", attach("x", "1", HOST)), -5);
    assert_eq!(
        it.call("bdev_nvme_get_controllers", json!({})),
        json!([]),
        "what cannot be reached is forgotten"
    );
    let volumes = it.call("bdev_nvme_attach_controller", attach("remote", port, HOST));
    assert_eq!(volumes, json!(["remoten1", "remoten2"]));
    discovery(it, port);
    let shown = it.call("bdev_nvme_get_controllers", json!({ "name": "remote" }));
    assert_eq!(shown[0]["ctrlrs"][0]["state"], "enabled");
    let controllers = it.call("nvmf_subsystem_get_controllers", json!({ "nqn": NQN }));
    assert_eq!(controllers[0]["hostnqn"], HOST);
    let queues = it.call("nvmf_subsystem_get_qpairs", json!({ "nqn": NQN }));
    assert_eq!(queues.as_array().map(Vec::len), Some(2));
    let stats = it.call("nvmf_get_stats", json!({}))["poll_groups"][0].clone();
    assert_eq!((&stats["current_admin_qpairs"], &stats["current_io_qpairs"]), (&json!(1), &json!(1)));
    let other = json!({ "trtype": "TCP", "max_queue_depth": 32 });
    assert_eq!(it.code("nvmf_create_transport", other), -16, "a host is connected");
    let counters = it.call("bdev_get_iostat", json!({ "names": ["part"], "reset_mode": "all" }));
    assert_eq!(counters["bdevs"][0]["name"], "part");
    assert_eq!(it.call("bdev_reset_iostat", json!({ "name": "part" })), true);
}

/// Watches the target's own discovery service, as another host: one host has one association by one path.
fn discovery(it: &mut Fixture, port: &str) {
    assert_eq!(it.call("nvmf_subsystem_add_host", json!({ "nqn": NQN, "host": FINDER })), true);
    let start = json!({ "name": "found", "trtype": "tcp", "traddr": "127.0.0.1", "trsvcid": port, "hostnqn": FINDER,
        "wait_for_attach": true });
    assert_eq!(it.call("bdev_nvme_start_discovery", start.clone()), true);
    assert_eq!(it.code("bdev_nvme_start_discovery", start), -17);
    let info = it.call("bdev_nvme_get_discovery_info", json!({}));
    assert_eq!(info[0]["trid"]["trsvcid"], port);
    assert_eq!(
        (&info[0]["referrals"][0]["name"], &info[0]["referrals"][0]["trid"]["subnqn"]),
        (&json!("found0"), &json!(NQN))
    );
    assert_eq!(it.call("bdev_get_bdevs", json!({ "name": "found0n1" }))[0]["name"], "found0n1");
    let nowhere = json!({ "name": "nowhere", "trtype": "tcp", "traddr": "127.0.0.1", "trsvcid": "1", "attach_timeout_ms": 50 });
    assert_eq!(it.code("bdev_nvme_start_discovery", nowhere), -110);
    assert_eq!(it.call("bdev_nvme_stop_discovery", json!({ "name": "found" })), true);
    assert_eq!(it.code("bdev_nvme_stop_discovery", json!({ "name": "nowhere" })), -19);
    assert_eq!(it.code("bdev_get_bdevs", json!({ "name": "found0n1" })), -19, "it goes with its service");
    assert_eq!(it.call("nvmf_subsystem_remove_host", json!({ "nqn": NQN, "host": FINDER })), true);
}

const IQN: &str = "iqn.2026-01.org.weft:tests";

/// Groups, a target node that demands CHAP both ways, and a disk of it that is a volume here.
fn iscsi(it: &mut Fixture) {
    let options =
        json!({ "max_queue_depth": 64, "nop_in_interval": 20, "nop_timeout": 60, "error_recovery_level": 0 });
    assert_eq!(it.call("iscsi_set_options", options), true);
    assert_eq!(it.code("iscsi_set_options", json!({ "error_recovery_level": 3 })), -22);
    let options = it.call("iscsi_get_options", json!({}));
    assert_eq!((&options["max_queue_depth"], &options["nop_timeout"]), (&json!(64), &json!(60)));
    let secrets = json!([{ "user": "us", "secret": "s3cr3t-of-ours" }]);
    assert_eq!(it.call("iscsi_create_auth_group", json!({ "tag": 1, "secrets": secrets })), true);
    let mutual = json!({ "tag": 1, "user": "me", "secret": "s3cr3t-of-mine", "muser": "it", "msecret": "s3cr3t-of-its" });
    assert_eq!(it.call("iscsi_auth_group_add_secret", mutual), true);
    assert_eq!(it.call("iscsi_auth_group_remove_secret", json!({ "tag": 1, "user": "us" })), true);
    assert_eq!(it.code("iscsi_auth_group_remove_secret", json!({ "tag": 1, "user": "us" })), -2);
    let shown = it.call("iscsi_get_auth_groups", json!({}));
    assert_eq!(shown, json!([{ "tag": 1, "secrets": [{ "user": "me", "muser": "it" }] }]));
    assert_eq!(it.call("iscsi_set_discovery_auth", json!({ "disable_chap": true })), true);
    assert_eq!(it.code("iscsi_set_discovery_auth", json!({ "require_chap": true, "chap_group": 9 })), -2);
    let group = json!({ "tag": 1, "initiators": ["!iqn.2026-01.org.weft:bad"], "netmasks": ["127.0.0.0/8"] });
    assert_eq!(it.call("iscsi_create_initiator_group", group), true);
    assert_eq!(
        it.call("iscsi_initiator_group_add_initiators", json!({ "tag": 1, "initiators": ["ANY"] })),
        true
    );
    let bad = json!({ "tag": 1, "initiators": ["!iqn.2026-01.org.weft:bad"] });
    assert_eq!(it.call("iscsi_initiator_group_remove_initiators", bad), true);
    let groups = it.call("iscsi_get_initiator_groups", json!({}));
    assert_eq!(groups, json!([{ "tag": 1, "initiators": ["ANY"], "netmasks": ["127.0.0.0/8"] }]));
    let portals = json!({ "tag": 1, "portals": [{ "host": "127.0.0.1", "port": "0" }], "wait": true });
    assert_eq!(it.call("iscsi_create_portal_group", portals), true);
    assert_eq!(it.call("iscsi_start_portal_group", json!({ "tag": 1 })), true);
    let groups = it.call("iscsi_get_portal_groups", json!({}));
    let port = groups[0]["portals"][0]["port"].as_str().expect("a port").to_owned();
    assert_ne!(port, "0");
    let discovery = json!({ "tag": 1, "require_chap": true, "chap_group": 1 });
    assert_eq!(it.call("iscsi_portal_group_set_auth", discovery), true);
    assert_eq!(it.code("iscsi_portal_group_set_auth", json!({ "tag": 2 })), -2);
    let node = json!({ "name": "tests", "alias_name": "a disk", "queue_depth": 32, "disable_chap": true,
        "pg_ig_maps": [{ "pg_tag": 1, "ig_tag": 1 }], "luns": [{ "bdev_name": "ram", "lun_id": 0 }] });
    assert_eq!(it.call("iscsi_create_target_node", node.clone()), true);
    assert_eq!(it.code("iscsi_create_target_node", node), -17);
    assert_eq!(it.call("scsi_get_devices", json!({})), json!([{ "id": 0, "device_name": IQN }]));
    let ejected = json!({ "name": IQN, "bdev_name": "null", "removable": true });
    assert_eq!(it.call("iscsi_target_node_add_lun", ejected), true);
    let file = std::env::temp_dir().join(format!("weft-shard-{}.ptpl", std::process::id()));
    let kept = |lun: u32| json!({ "name": IQN, "bdev_name": "null", "lun_id": lun, "ptpl_file": file });
    assert_eq!(it.call("iscsi_target_node_add_lun", kept(2)), true);
    assert_eq!(it.code("iscsi_target_node_add_lun", kept(3)), -16);
    std::fs::remove_file(&file).expect("it was made");
    let set = json!({ "name": IQN, "require_chap": true, "mutual_chap": true, "chap_group": 1 });
    assert_eq!(it.call("iscsi_target_node_set_auth", set), true);
    let nodes = it.call("iscsi_get_target_nodes", json!({}));
    assert_eq!(nodes[0]["luns"][1], json!({ "bdev_name": "null", "lun_id": 1, "removable": true }));
    assert_eq!((&nodes[0]["chap_group"], &nodes[0]["mutual_chap"]), (&json!(1), &json!(true)));
    disk(it, &port);
}

/// The node's disk as a volume, with the secret and without.
fn disk(it: &mut Fixture, port: &str) {
    assert_eq!(it.call("bdev_iscsi_set_options", json!({ "timeout_sec": 20 })), true);
    let create = |user: &str, query: &str| {
        json!({ "name": "disk", "initiator_iqn": "iqn.2026-01.org.weft:tester",
            "url": format!("iscsi://{user}127.0.0.1:{port}/{IQN}/0{query}") })
    };
    assert_eq!(it.code("bdev_iscsi_create", create("", "")), -5);
    assert_eq!(it.code("bdev_iscsi_create", create("me%wrong-s3cr3t@", "")), -5);
    assert_eq!(it.call("iscsi_enable_histogram", json!({ "name": IQN, "enable": true })), true);
    assert_eq!(
        it.code("iscsi_enable_histogram", json!({ "name": "iqn.2026-01.org.weft:nobody", "enable": true })),
        -2
    );
    let both = "?target_user=it&target_password=s3cr3t-of-its";
    assert_eq!(it.call("bdev_iscsi_create", create("me%s3cr3t-of-mine@", both)), "disk");
    assert_eq!(it.code("bdev_iscsi_create", create("me%s3cr3t-of-mine@", both)), -17);
    // What the session asked of the disk until now was counted: there is more than zeros in it.
    let counts = it.call("iscsi_get_histogram", json!({ "name": IQN }));
    assert_eq!((&counts["granularity"], &counts["tsc_rate"]), (&json!(7), &json!(1_000_000_000)));
    let is_zeros = |text: &str| text.trim_matches(['A', '=']).is_empty();
    assert!(counts["histogram"].as_str().is_some_and(|text| !is_zeros(text)), "{counts}");
    assert!(it.call("save_config", json!({})).to_string().contains("iscsi_enable_histogram"));
    assert_eq!(it.call("iscsi_enable_histogram", json!({ "name": IQN, "enable": false })), true);
    assert_eq!(it.code("iscsi_get_histogram", json!({ "name": IQN })), -22);
    let bdev = it.call("bdev_get_bdevs", json!({ "name": "disk" }))[0].clone();
    assert_eq!((&bdev["product_name"], &bdev["num_blocks"]), (&json!("iSCSI LUN"), &json!(2048)));
    let connections = it.call("iscsi_get_connections", json!({}));
    assert_eq!(connections[0]["target_node_name"], IQN);
    assert_eq!(it.call("iscsi_get_stats", json!({}))["running"], 1);
    for (method, params) in [("save_config", json!({})), ("framework_get_config", json!({ "name": "iscsi" }))]
    {
        assert!(!it.call(method, params).to_string().contains("s3cr3t"), "{method} tells a secret");
    }
    let asked = it.call("save_config", json!({ "with_secrets": true })).to_string();
    assert!(asked.contains("s3cr3t-of-mine") && asked.contains("s3cr3t-of-its"));
}

fn iscsi_taken_down(it: &mut Fixture) {
    assert_eq!(it.call("bdev_iscsi_delete", json!({ "name": "disk" })), true);
    assert_eq!(it.code("bdev_iscsi_delete", json!({ "name": "disk" })), -19);
    let redirect = json!({ "name": IQN, "pg_tag": 1, "redirect_host": "127.0.0.1", "redirect_port": "3261" });
    assert_eq!(it.call("iscsi_target_node_set_redirect", redirect), true);
    assert_eq!(it.call("iscsi_target_node_request_logout", json!({ "name": IQN })), true);
    let maps = json!({ "name": IQN, "pg_ig_maps": [{ "pg_tag": 1, "ig_tag": 1 }] });
    assert_eq!(it.code("iscsi_delete_portal_group", json!({ "tag": 1 })), -16);
    assert_eq!(it.call("iscsi_target_node_remove_pg_ig_maps", maps.clone()), true);
    assert_eq!(it.code("iscsi_target_node_remove_pg_ig_maps", maps.clone()), -2);
    assert_eq!(it.call("iscsi_target_node_add_pg_ig_maps", maps), true);
    assert_eq!(it.call("iscsi_delete_target_node", json!({ "name": IQN })), true);
    assert_eq!(it.call("iscsi_delete_portal_group", json!({ "tag": 1 })), true);
    assert_eq!(it.call("iscsi_delete_initiator_group", json!({ "tag": 1 })), true);
    assert_eq!(it.call("iscsi_delete_auth_group", json!({ "tag": 1 })), true);
}

/// A target port of SRP.
fn srp_port() -> Value {
    json!({ "id_ext": "0000000000005eed", "ioc_guid": "0002c90300a0b0c0" })
}

/// With what a call says besides the port.
fn of_srp_port(more: Value) -> Value {
    let mut params = srp_port();
    if let (Some(params), Value::Object(more)) = (params.as_object_mut(), more) {
        params.extend(more);
    }
    params
}

/// An address that no other process of this machine has a device at.
fn srp_listener() -> Value {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    json!({ "traddr": format!("127.{}.{middle}.{low}", 128 | high & 63), "trsvcid": "5555" })
}

fn srp(it: &mut Fixture) {
    assert_eq!(it.call("srp_create_target", srp_port()), true);
    assert_eq!(it.code("srp_create_target", srp_port()), -17);
    assert_eq!(it.code("srp_create_target", json!({ "id_ext": "5eed", "ioc_guid": "1" })), -22);
    assert_eq!(it.call("srp_target_add_lun", of_srp_port(json!({ "bdev_name": "null" }))), 0);
    let third = json!({ "bdev_name": "ram", "lun_id": 3 });
    assert_eq!(it.call("srp_target_add_lun", of_srp_port(third)), 3);
    assert_eq!(it.code("srp_target_add_lun", of_srp_port(json!({ "bdev_name": "none" }))), -19);
    let initiators = json!({ "initiators": ["0000000000000001505400fffe123456"] });
    assert_eq!(it.call("srp_target_set_initiators", of_srp_port(initiators.clone())), true);
    assert_eq!(it.code("srp_target_set_initiators", of_srp_port(json!({ "initiators": ["me"] }))), -22);
    let luns = json!([{ "lun_id": 0, "bdev_name": "null" }, { "lun_id": 3, "bdev_name": "ram" }]);
    let mut shown = of_srp_port(initiators);
    shown["luns"] = luns;
    assert_eq!(it.call("srp_get_targets", json!({})), json!([shown]));
    assert_eq!(it.call("srp_add_listener", srp_listener()), true);
    assert_eq!(it.call("srp_get_listeners", json!({})), json!([srp_listener()]));
    assert_eq!(it.call("srp_get_channels", json!({})), json!([]));
    let saved = it.call("framework_get_config", json!({ "name": "srp" }));
    let calls = ["srp_create_target", "srp_add_listener", "srp_target_add_lun"];
    assert!(calls.iter().all(|call| saved.to_string().contains(call)), "{saved:#}");
    srp_disk(it);
}

/// The port's disk as a volume, with the name that may log in and with another.
fn srp_disk(it: &mut Fixture) {
    let host = srp_listener()["traddr"].as_str().expect("text").to_owned();
    let create = |initiator: &str, lun: u32| {
        let target = "0000000000005eed0002c90300a0b0c0";
        let url = format!("srp://{host}:5555/{target}/{lun}?initiator={initiator}&from={host}");
        json!({ "name": "srp", "url": url })
    };
    let welcome = "0000000000000001505400fffe123456";
    assert_eq!(it.code("bdev_srp_create", create("00000000000000020000000000000002", 3)), -5);
    assert_eq!(it.code("bdev_srp_create", create(welcome, 4)), -19);
    assert_eq!(it.call("bdev_srp_create", create(welcome, 3)), "srp");
    assert_eq!(it.code("bdev_srp_create", create(welcome, 3)), -17);
    let bdev = it.call("bdev_get_bdevs", json!({ "name": "srp" }))[0].clone();
    assert_eq!(
        (&bdev["product_name"], &bdev["driver_specific"]["srp"]["url"]),
        (&json!("SRP LUN"), &create(welcome, 3)["url"])
    );
    let saved = it.call("framework_get_config", json!({ "name": "bdev" })).to_string();
    assert!(saved.contains("bdev_srp_create"), "{saved}");
    assert_eq!(it.call("srp_get_channels", json!({})).as_array().map(Vec::len), Some(1));
    let stats = it.call("srp_get_stats", json!({}));
    // The stranger was refused; who asked for a unit that is not there had been let in.
    assert_eq!((&stats["logins"], &stats["rejected"]), (&json!(2), &json!(1)), "{stats}");
    assert_eq!(it.code("bdev_srp_create", json!({ "name": "x", "url": "mem://?size=1M" })), -22);
    assert_eq!(it.call("bdev_srp_delete", json!({ "name": "srp" })), true);
    assert_eq!(it.code("bdev_srp_delete", json!({ "name": "srp" })), -19);
}

fn srp_taken_down(it: &mut Fixture) {
    assert_eq!(it.call("srp_remove_listener", srp_listener()), true);
    assert_eq!(it.code("srp_remove_listener", srp_listener()), -2);
    assert_eq!(it.call("srp_target_remove_lun", of_srp_port(json!({ "lun_id": 3 }))), true);
    assert_eq!(it.code("srp_target_remove_lun", of_srp_port(json!({ "lun_id": 3 }))), -19);
    assert_eq!(it.call("srp_delete_target", srp_port()), true);
    assert_eq!(it.code("srp_delete_target", srp_port()), -2);
    assert_eq!(it.call("srp_get_targets", json!({})), json!([]));
}

fn configuration(it: &mut Fixture) {
    let bdev = it.call("framework_get_config", json!({ "name": "bdev", "with_batches": false }));
    let saved = it.call("save_config", json!({}));
    let subsystems = saved["subsystems"].as_array().expect("a list");
    let volumes = subsystems.iter().filter(|subsystem| subsystem["subsystem"] == "bdev");
    let all: Vec<_> =
        volumes.flat_map(|subsystem| subsystem["config"].as_array().expect("calls").clone()).collect();
    assert_eq!(json!(all), bdev);
    let first =
        |call: &str| subsystems.iter().position(|subsystem| subsystem["config"].to_string().contains(call));
    let (attached, listener) = (first("bdev_nvme_attach_controller"), first("nvmf_subsystem_add_listener"));
    assert!(attached > listener && listener.is_some(), "after its listener: {saved:#}");
    assert_eq!(it.code("framework_get_config", json!({ "name": "none" })), -22);
    let batch = json!([{ "method": "bdev_null_create", "params": { "name": "late", "block_size": 512, "num_blocks": 8 } },
        { "method": "bdev_null_delete", "params": { "name": "late" } }]);
    let foreign =
        json!({ "subsystem": "sock", "config": [{ "method": "sock_set_default_impl", "params": {} }] });
    let config = json!({ "subsystems": [foreign, { "subsystem": "bdev", "config": [batch] }] });
    assert_eq!(it.call("load_config", config), true);
    let wrong =
        json!({ "subsystems": [{ "subsystem": "bdev", "config": [{ "method": "bdev_raid_create" }] }] });
    assert_eq!(it.code("load_config", wrong), -32601);
}

fn taking_down(it: &mut Fixture, port: &str) {
    assert_eq!(it.call("bdev_nvme_detach_controller", json!({ "name": "remote" })), true);
    assert_eq!(it.call("nvmf_discovery_remove_referral", json!({ "address": address("8009") })), true);
    assert_eq!(it.call("nvmf_subsystem_allow_any_host", json!({ "nqn": NQN, "allow_any_host": true })), true);
    assert_eq!(it.call("nvmf_subsystem_remove_host", json!({ "nqn": NQN, "host": HOST })), true);
    assert_eq!(it.code("nvmf_subsystem_remove_host", json!({ "nqn": NQN, "host": HOST })), -2);
    assert_eq!(it.call("nvmf_subsystem_remove_ns", json!({ "nqn": NQN, "nsid": 2 })), true);
    let shown = it.call("nvmf_get_subsystems", json!({ "nqn": NQN }));
    assert_eq!(shown[0]["namespaces"].as_array().map(Vec::len), Some(1));
    it.call("nvmf_subsystem_remove_listener", json!({ "nqn": NQN, "listen_address": address(port) }));
    assert_eq!(it.call("nvmf_delete_subsystem", json!({ "nqn": NQN })), true);
    assert_eq!(it.code("nvmf_delete_subsystem", json!({ "nqn": NQN })), -19);
    assert_eq!(it.call("bdev_partition_delete", json!({ "name": "part" })), true);
    assert_eq!(it.call("bdev_delay_delete", json!({ "name": "slow" })), true);
    assert_eq!(it.call("bdev_error_delete", json!({ "name": "EE_null" })), true);
    assert_eq!(it.call("bdev_split_delete", json!({ "base_bdev": "Malloc0" })), true);
    assert_eq!(it.call("bdev_null_delete", json!({ "name": "null" })), true);
    assert_eq!(it.call("bdev_malloc_delete", json!({ "name": "ram" })), true);
    let types = it.call("notify_get_types", json!({}));
    assert_eq!(types, json!(["bdev_register", "bdev_unregister"]));
    let events = it.call("notify_get_notifications", json!({ "id": 0 }));
    assert_eq!(events[0], json!({ "type": "bdev_register", "ctx": "ram", "id": 0 }));
    let last = events.as_array().and_then(|events| events.last()).expect("events");
    assert_eq!((&last["type"], &last["ctx"]), (&json!("bdev_unregister"), &json!("ram")));
}
