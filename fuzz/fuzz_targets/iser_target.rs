//! Whole connections of an iSER target, by initiators that do anything. What a step is, and what must hold, stands beside the test
//! that draws steps.
#![no_main]

#[path = "../../crates/scsi/tests/any_iser/mod.rs"]
mod any_iser;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    any_iser::play(input);
});
