//! An SRP target against initiators that do anything. What a step is, and what must hold, stands beside the test that draws
//! steps.
#![no_main]

#[path = "../../crates/scsi/tests/any_srp/mod.rs"]
mod any_srp;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    any_srp::play(input);
});
