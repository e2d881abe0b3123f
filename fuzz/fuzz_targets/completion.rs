//! Completions: their status, and dword 0 as everything it can mean.
#![no_main]

use std::fmt::Write;

use libfuzzer_sys::fuzz_target;
use wire::nvme::aer::AsyncEventResult;
use wire::nvme::fabrics::{Capabilities, Configuration, ConnectResult, ControllerStatus, Version};
use wire::nvme::features::NumberOfQueues;
use wire::nvme::{CompletionQueueEntry, Status};

fuzz_target!(|input: &[u8]| {
    let Ok(completion) = CompletionQueueEntry::view(input) else {
        return;
    };
    let status = completion.status();
    assert_eq!(Status::from_wire(status.to_wire()), status);
    assert_eq!(status.is_success(), status.kind() == Status::SUCCESS);
    let mut text = String::new();
    write!(text, "{status} {status:?} {:?}", status.fabrics_name()).unwrap();
    let dword = completion.dword0();
    let event = AsyncEventResult::from_dword(dword);
    assert_eq!(AsyncEventResult::from_dword(event.to_dword()), event);
    let configuration = Configuration::from_bits(dword);
    assert_eq!(Configuration::from_bits(configuration.bits()), configuration);
    let controller = ControllerStatus::from_bits(dword);
    assert_eq!(ControllerStatus::from_bits(controller.bits()), controller);
    let capabilities = Capabilities::from_bits(completion.result.get());
    assert_eq!(Capabilities::from_bits(capabilities.bits()), capabilities);
    assert_eq!(Version::from_bits(dword).bits(), dword);
    if let Some(queues) = NumberOfQueues::from_dword(dword) {
        assert_eq!(queues.to_dword(), dword);
    }
    let _ = ConnectResult::connected(dword);
});
