//! The SCSI command set: any command with any data, by several nexuses at once, on units of several kinds. What a step is, and
//! what must hold, stands beside the test that draws steps.
#![no_main]

#[path = "../../crates/scsi/tests/any_command/mod.rs"]
mod any_command;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| any_command::play(input));
