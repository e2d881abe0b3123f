//! A device's counters, by name: those of packets as Linux's rdma_rxe names its own, those of shared memory with `shm_` before
//! them.

use crate::output::{Style, Table, say};
use rdma::SoftDevice;
use serde_json::{Map, Value};

/// Prints every counter.
pub fn print(style: &Style, device: &SoftDevice) {
    let all = device.counters().all().into_iter().chain(neighbours(device));
    if style.json {
        let all: Map<String, Value> = all.map(|(name, count)| (name.to_owned(), count.into())).collect();
        say!("{}", serde_json::json!({ "counters": all }));
        return;
    }
    let mut table = Table::new(["counter", ">count"]);
    for (name, count) in all {
        table.row([name.to_owned(), count.to_string()]);
    }
    say!("{}", table.render(style));
}

/// What went to devices of this machine through shared memory.
fn neighbours(device: &SoftDevice) -> [(&'static str, u64); 10] {
    let seen = device.neighbour_counters();
    [
        ("shm_sent_records", seen.sent_records),
        ("shm_received_records", seen.received_records),
        ("shm_direct_bytes", seen.direct_bytes),
        ("shm_ring_bytes", seen.ring_bytes),
        ("shm_malformed", seen.malformed),
        ("shm_unroutable", seen.unroutable),
        ("shm_linked", seen.linked),
        ("shm_refused", seen.refused),
        ("shm_broken", seen.broken),
        ("shm_bells", seen.bells),
    ]
}
