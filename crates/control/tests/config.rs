//! Configuration: loading what was saved makes the same again.

mod common;

use common::instance::Instance;
use control::config::{Config, load};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Some call with names out of a few, so that many succeed, some clash and some build on others.
fn call() -> impl Strategy<Value = (&'static str, Value)> {
    let name = || "[a-d]";
    let block_size = || prop_oneof![Just(512_u32), Just(4096)];
    let volume = (name(), block_size(), 8_u64..64, any::<bool>(), option(any::<[u8; 16]>())).prop_map(
        |(name, block_size, blocks, null, uuid)| {
            let method = if null { "bdev_null_create" } else { "bdev_malloc_create" };
            let uuid = uuid.map(|bytes| bytes.map(|byte| format!("{byte:02x}")).concat());
            (method, json!({ "name": name, "block_size": block_size, "num_blocks": blocks, "uuid": uuid }))
        },
    );
    let delay = (name(), name(), 0_u64..1000).prop_map(|(name, base, us)| {
        (
            "bdev_delay_create",
            json!({ "name": format!("{name}{name}"), "base_bdev_name": base, "avg_read_latency": us,
            "p99_read_latency": us + 1, "avg_write_latency": us + 2, "p99_write_latency": us + 3 }),
        )
    });
    let error = name().prop_map(|base| ("bdev_error_create", json!({ "base_name": base })));
    let split = (name(), 1_u32..4)
        .prop_map(|(base, count)| ("bdev_split_create", json!({ "base_bdev": base, "split_count": count })));
    let limit = (name(), 0_u64..9).prop_map(|(name, rate)| {
        (
            "bdev_set_qos_limit",
            json!({ "name": name, "rw_ios_per_sec": rate * 1000, "r_mbytes_per_sec": rate }),
        )
    });
    let remove = name().prop_map(|name| ("bdev_malloc_delete", json!({ "name": name })));
    let bdev = prop_oneof![4 => volume, 1 => delay, 1 => error, 1 => split, 1 => limit, 1 => remove];
    prop_oneof![bdev, nvmf_call()]
}

fn nvmf_call() -> impl Strategy<Value = (&'static str, Value)> {
    let nqn = || "nqn\\.2026-11\\.org\\.weft:[xy]";
    let transport = (1_u16..5, any::<bool>()).prop_map(|(depth, success)| {
        (
            "nvmf_create_transport",
            json!({ "trtype": "TCP", "max_queue_depth": depth * 32, "c2h_success": success }),
        )
    });
    let subsystem =
        (nqn(), any::<bool>(), any::<bool>(), 1_u32..6).prop_map(|(nqn, any_host, ana, namespaces)| {
            (
                "nvmf_create_subsystem",
                json!({ "nqn": nqn, "allow_any_host": any_host, "ana_reporting": ana,
            "max_namespaces": namespaces, "serial_number": format!("S{namespaces}") }),
            )
        });
    let namespace =
        (nqn(), "[a-d]{1,2}", 0_u32..6, option(any::<[u8; 8]>())).prop_map(|(nqn, volume, nsid, eui64)| {
            let eui64 = eui64.map(|bytes| bytes.map(|byte| format!("{byte:02X}")).concat());
            (
                "nvmf_subsystem_add_ns",
                json!({ "nqn": nqn, "namespace": { "bdev_name": volume, "nsid": nsid, "eui64": eui64 } }),
            )
        });
    let host = (nqn(), nqn())
        .prop_map(|(nqn, host)| ("nvmf_subsystem_add_host", json!({ "nqn": nqn, "host": host })));
    let address = json!({ "trtype": "TCP", "traddr": "127.0.0.1", "trsvcid": "0" });
    let listener = (nqn(), any::<bool>()).prop_map(move |(nqn, optimized)| {
        let state = if optimized { "optimized" } else { "non_optimized" };
        ("nvmf_subsystem_add_listener", json!({ "nqn": nqn, "listen_address": address, "ana_state": state }))
    });
    let referral = (1_u16..4).prop_map(|port| {
        let address = json!({ "trtype": "TCP", "traddr": "::1", "trsvcid": port.to_string() });
        ("nvmf_discovery_add_referral", json!({ "address": address }))
    });
    prop_oneof![1 => transport, 3 => subsystem, 3 => namespace, 1 => host, 1 => listener, 1 => referral]
}

fn option<T: std::fmt::Debug + Clone>(some: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(some)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn loading_what_was_saved_makes_the_same_again(calls in vec(call(), 0..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let first = Instance::start();
            for (method, params) in calls {
                // Calls that clash are part of the test: what they leave behind is saved, too.
                let _ = first.call(method, params).await;
            }
            let (saved, before) = (first.save().await, first.describe().await);
            drop(first);
            let second = Instance::start();
            let loaded = load(&second.dispatcher, &saved).await;
            prop_assert!(loaded.is_ok(), "{:?}", loaded);
            prop_assert_eq!(second.save().await, saved);
            prop_assert_eq!(second.describe().await, before);
            Ok(())
        })?;
    }
}

#[test]
fn the_call_to_blame_is_named() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let instance = Instance::start();
        let config = json!({ "subsystems": [{ "subsystem": "iobuf", "config": null }, { "subsystem": "bdev", "config": [
            { "method": "bdev_null_create", "params": { "name": "a", "block_size": 512, "num_blocks": 8 } },
            { "method": "bdev_delay_delete", "params": { "name": "a" } },
        ] }] });
        let config: Config = serde_json::from_value(config).expect("a configuration");
        let error = load(&instance.dispatcher, &config).await.expect_err("the second call fails");
        assert_eq!((error.subsystem.as_str(), error.index), ("bdev", 2));
        assert_eq!((error.method.as_str(), error.error.code), ("bdev_delay_delete", -19));
    });
}

/// Volumes that this process attaches from itself, two deep, and what stands on them.
#[test]
fn a_process_that_uses_itself_is_loaded_in_rounds() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let first = Instance::start();
        let call = async |method: &str, params: Value| {
            first.call(method, params).await.unwrap_or_else(|error| panic!("{method}: {error}"))
        };
        call("bdev_malloc_create", json!({ "name": "ram", "block_size": 512, "num_blocks": 64 })).await;
        let nqn = |number: u32| format!("nqn.2026-11.org.weft:{number}");
        for number in 1..3 {
            call("nvmf_create_subsystem", json!({ "nqn": nqn(number), "allow_any_host": true })).await;
            let address = json!({ "trtype": "TCP", "traddr": "127.0.0.1", "trsvcid": "0" });
            let listener = json!({ "nqn": nqn(number), "listen_address": address });
            call("nvmf_subsystem_add_listener", listener).await;
        }
        for (number, volume) in [(1, "ram"), (2, "slow")] {
            let namespace = json!({ "nqn": nqn(number), "namespace": { "bdev_name": volume } });
            call("nvmf_subsystem_add_ns", namespace).await;
            let listeners = call("nvmf_subsystem_get_listeners", json!({ "nqn": nqn(number) })).await;
            let port = &listeners[0]["address"]["trsvcid"];
            let attach = json!({ "name": format!("own{number}"), "trtype": "TCP", "traddr": "127.0.0.1",
                "trsvcid": port, "subnqn": nqn(number), "hostnqn": "nqn.2026-11.org.weft:self" });
            call("bdev_nvme_attach_controller", attach).await;
            let delay = json!({ "name": if number == 1 { "slow" } else { "slower" }, "avg_read_latency": 1,
                "base_bdev_name": format!("own{number}n1"), "p99_read_latency": 1, "avg_write_latency": 1,
                "p99_write_latency": 1 });
            call("bdev_delay_create", delay).await;
        }
        let (saved, before) = (first.save().await, first.describe().await);
        drop(first);
        let second = Instance::start();
        load(&second.dispatcher, &saved).await.expect("it can be loaded");
        assert_eq!(second.save().await, saved);
        assert_eq!(second.describe().await, before);
    });
}
