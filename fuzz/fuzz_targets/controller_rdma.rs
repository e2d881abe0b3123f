//! A whole NVMe/RDMA target against hosts that do anything. What a step is, and what must hold, stands beside the test that draws
//! steps.
#![no_main]

#[path = "../../crates/nvme/tests/any_rdma/mod.rs"]
mod any_rdma;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    any_rdma::play(input);
});
