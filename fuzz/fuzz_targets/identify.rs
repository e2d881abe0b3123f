//! The structures of Identify. Inputs shorter than a structure are read as if zeros followed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::nvme::identify::{
    CommandSetCombinations, ControllerData, ControllerList, IDENTIFY_LEN, IndependentNamespaceData,
    NamespaceData, NamespaceDescriptor, NamespaceDescriptors, NamespaceList, NvmControllerData,
    NvmNamespaceData, read_text, write_descriptors,
};

fuzz_target!(|input: &[u8]| {
    let mut bytes = [0; IDENTIFY_LEN];
    let len = input.len().min(IDENTIFY_LEN);
    bytes[..len].copy_from_slice(&input[..len]);
    let controller = ControllerData::view(&bytes).unwrap();
    let _ =
        (controller.subsystem(), read_text(&controller.serial_number), read_text(&controller.model_number));
    let namespace = NamespaceData::view(&bytes).unwrap();
    assert!(namespace.format().block_size().is_none_or(|size| size.is_power_of_two() && size >= 512));
    assert!(NamespaceList::view(&bytes).unwrap().iter().all(|id| id != 0));
    assert!(ControllerList::view(&bytes).unwrap().iter().count() <= ControllerList::CAPACITY);
    NvmControllerData::view(&bytes).unwrap();
    NvmNamespaceData::view(&bytes).unwrap();
    IndependentNamespaceData::view(&bytes).unwrap();
    CommandSetCombinations::view(&bytes).unwrap();
    // The list exactly as long as the input, so that its end is met everywhere.
    let read: Vec<NamespaceDescriptor> = NamespaceDescriptors::new(input).flatten().collect();
    let mut written = [0; IDENTIFY_LEN];
    write_descriptors(&read, &mut written);
    let again: Vec<_> = NamespaceDescriptors::new(&written).map(Result::unwrap).collect();
    assert_eq!(again[..], read[..again.len()]);
});
