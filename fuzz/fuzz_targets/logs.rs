//! Log pages, reservation reports, ranges: the first byte chooses what the rest is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::nvme::copy::CopyRange;
use wire::nvme::dsm::DatasetRange;
use wire::nvme::features::{HostBehavior, Timestamp};
use wire::nvme::log::{
    AnaGroups, DiscoveryEntry, DiscoveryHeader, EffectsLog, ErrorEntry, FirmwareSlots, HealthLog,
    ReservationNotification, SupportedLogPages,
};
use wire::nvme::reservation::{ExtendedRegistrant, Registrant, ReservationKeys, ReservationStatus};

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else {
        return;
    };
    match choice % 6 {
        0 => ana(bytes),
        1 => discovery(bytes),
        2 => fixed(bytes),
        3 => reservations(bytes),
        4 => assert_eq!(DatasetRange::all(bytes).count(), bytes.len() / DatasetRange::LEN),
        _ => {
            assert!(CopyRange::all(bytes).all(|range| (1..=65_536).contains(&range.blocks())));
            assert_eq!(CopyRange::all(bytes).count(), bytes.len() / CopyRange::LEN);
        }
    }
});

fn ana(bytes: &[u8]) {
    let Ok(groups) = AnaGroups::new(bytes) else {
        return;
    };
    let mut read = 16;
    for group in groups.flatten() {
        let _ = group.header.state();
        assert_eq!(group.namespaces().count(), group.header.namespaces.get() as usize);
        read += 32 + group.namespaces().count() * 4;
    }
    assert!(read <= bytes.len());
}

fn discovery(bytes: &[u8]) {
    let Ok(header) = DiscoveryHeader::view(bytes) else {
        return;
    };
    let entries = bytes[DiscoveryHeader::LEN..].chunks(DiscoveryEntry::LEN);
    for entry in entries.take(header.records.get().min(16) as usize) {
        if let Ok(entry) = DiscoveryEntry::view(entry) {
            let _ = (entry.subsystem(), entry.address(), entry.service_id());
            let mut again = [0; DiscoveryEntry::LEN];
            entry.encode(&mut again).unwrap();
            assert_eq!(DiscoveryEntry::view(&again), Ok(entry));
        }
    }
}

fn fixed(bytes: &[u8]) {
    let _ = ErrorEntry::view(bytes);
    let _ = HealthLog::view(bytes);
    let _ = FirmwareSlots::view(bytes);
    let _ = EffectsLog::view(bytes);
    let _ = SupportedLogPages::view(bytes);
    let _ = ReservationNotification::view(bytes);
    let _ = HostBehavior::view(bytes);
    if let Ok(timestamp) = Timestamp::view(bytes) {
        let again = Timestamp::new(timestamp.milliseconds(), timestamp.set_by_host());
        assert_eq!(again.milliseconds(), timestamp.milliseconds());
    }
}

fn reservations(bytes: &[u8]) {
    let _ = ReservationKeys::view(bytes);
    if ReservationStatus::view(bytes).is_ok() {
        let plain = &bytes[ReservationStatus::LEN..];
        assert_eq!(Registrant::all(plain).count(), plain.len() / Registrant::LEN);
    }
    if let Some(extended) = bytes.get(ReservationStatus::EXTENDED_LEN..) {
        assert_eq!(ExtendedRegistrant::all(extended).count(), extended.len() / ExtendedRegistrant::LEN);
    }
}
