//! Features and log pages.

use super::io::{command, read, write};
use super::world::{Answer, Client, World, reading};
use std::time::Duration;
use wire::nvme::admin::{FeatureSelect, GetFeatures, LogPageRequest, SetFeatures};
use wire::nvme::features::{Feature, FeatureCapabilities, HostBehavior, NumberOfQueues, Timestamp};
use wire::nvme::log::{CommandEffects, EffectsLog, ErrorEntry, HealthLog, LogPage, SupportedLogPages};
use wire::nvme::{NvmOpcode, Status};

fn get(world: &mut World, admin: Client, feature: Feature, select: FeatureSelect, len: usize) -> Answer {
    let dword11 = u32::from(feature == Feature::HostIdentifier);
    let command = GetFeatures::command(feature.code(), select, dword11, 1);
    world.run(admin, reading(command, len), &[])
}

fn set(world: &mut World, admin: Client, feature: Feature, dword11: u32, data: &[u8]) -> Answer {
    let set = SetFeatures { feature: feature.code(), save: false, dword11 };
    world.run(admin, set.command(1), data)
}

pub(super) fn log(world: &mut World, admin: Client, page: LogPage, offset: u64, len: usize) -> Answer {
    let request =
        LogPageRequest { page: page.code(), offset, length: len as u64, ..LogPageRequest::default() };
    world.run(admin, reading(request.command(1, 0), len), &[])
}

#[test]
fn values_are_kept_until_reset_and_defaults_do_not_change() {
    let mut world = World::new();
    let admin = world.admin(1);
    let current = FeatureSelect::Current;
    for (feature, value) in
        [(Feature::Arbitration, 3), (Feature::TemperatureThreshold, 300), (Feature::WriteAtomicity, 1)]
    {
        assert_eq!(set(&mut world, admin, feature, value, &[]).status, Status::SUCCESS);
        assert_eq!(get(&mut world, admin, feature, current, 0).result, u64::from(value));
        let default = get(&mut world, admin, feature, FeatureSelect::Default, 0).result;
        assert_ne!(default, u64::from(value));
        assert_eq!(get(&mut world, admin, feature, FeatureSelect::Saved, 0).result, default);
    }
    let supported = get(&mut world, admin, Feature::Arbitration, FeatureSelect::SupportedCapabilities, 0);
    assert_eq!(supported.result, u64::from(FeatureCapabilities::CHANGEABLE.bits()));
    let save = SetFeatures { feature: 1, save: true, dword11: 0 };
    let status = world.run(admin, save.command(1), &[]).status;
    assert_eq!(status.kind(), Status::FEATURE_NOT_SAVEABLE);
}

#[test]
fn features_that_are_not_there() {
    let mut world = World::new();
    let admin = world.admin(1);
    for feature in [Feature::InterruptCoalescing, Feature::HostMemoryBuffer, Feature::LbaRangeType] {
        let status = get(&mut world, admin, feature, FeatureSelect::Current, 0).status;
        assert_eq!(status.kind(), Status::INVALID_FIELD);
        assert_eq!(set(&mut world, admin, feature, 0, &[]).status.kind(), Status::INVALID_FIELD);
    }
    let reserved = GetFeatures::command(0xff, FeatureSelect::Current, 0, 1);
    assert_eq!(world.run(admin, reserved, &[]).status.kind(), Status::INVALID_FIELD);
}

#[test]
fn queues_are_granted_before_there_are_any() {
    let mut world = World::new();
    let admin = world.admin(1);
    let ask = |world: &mut World, count| {
        let dword = NumberOfQueues { submission: count, completion: count }.to_dword();
        set(world, admin, Feature::NumberOfQueues, dword, &[])
    };
    assert_eq!(ask(&mut world, 4).result, 0x0003_0003);
    assert_eq!(ask(&mut world, 1000).result, 126 << 16 | 126);
    let reserved = set(&mut world, admin, Feature::NumberOfQueues, 0xffff, &[]);
    assert_eq!(reserved.status.kind(), Status::INVALID_FIELD);
    world.io(admin, 1);
    assert_eq!(ask(&mut world, 4).status.kind(), Status::COMMAND_SEQUENCE_ERROR);
}

#[test]
fn features_with_data() {
    let mut world = World::new();
    let admin = world.admin(1);
    let current = FeatureSelect::Current;
    let mut stamp = [0; 8];
    Timestamp::new(1_700_000_000_000, false).encode(&mut stamp).unwrap();
    assert_eq!(set(&mut world, admin, Feature::Timestamp, 0, &stamp).status, Status::SUCCESS);
    world.advance(Duration::from_millis(250));
    let data = get(&mut world, admin, Feature::Timestamp, current, 8).data;
    let now = Timestamp::view(&data).unwrap();
    assert_eq!((now.milliseconds(), now.set_by_host()), (1_700_000_000_250, true));
    assert_eq!(get(&mut world, admin, Feature::HostIdentifier, current, 16).data, [1; 16]);
    let short = GetFeatures::command(Feature::HostIdentifier.code(), current, 0, 1);
    assert_eq!(world.run(admin, reading(short, 16), &[]).status.kind(), Status::INVALID_FIELD);
    let id = set(&mut world, admin, Feature::HostIdentifier, 1, &[0; 16]);
    assert_eq!(id.status.kind(), Status::COMMAND_SEQUENCE_ERROR);
    let mut behavior = [0; HostBehavior::LEN];
    behavior[0] = 1;
    assert_eq!(set(&mut world, admin, Feature::HostBehavior, 0, &behavior).status, Status::SUCCESS);
    assert_eq!(get(&mut world, admin, Feature::HostBehavior, current, 512).data, behavior);
    behavior[0] = 2;
    assert_eq!(
        set(&mut world, admin, Feature::HostBehavior, 0, &behavior).status.kind(),
        Status::INVALID_FIELD
    );
}

#[test]
fn health_counts_what_was_done() {
    let mut world = World::new();
    let admin = world.admin(1);
    let client = world.io(admin, 1);
    for _ in 0..3 {
        write(&mut world, client, 0, 1, 8);
        read(&mut world, client, 0, 8);
    }
    read(&mut world, client, 1 << 40, 8);
    let data = log(&mut world, admin, LogPage::Health, 0, 512).data;
    let health = HealthLog::view(&data).unwrap();
    assert_eq!((health.host_reads.get(), health.host_writes.get()), (3, 3));
    assert_eq!((health.data_units_read.get(), health.data_units_written.get()), (1, 1));
    assert_eq!((health.critical_warning, health.error_log_entries.get()), (0, 1));
}

#[test]
fn errors_are_logged_newest_first() {
    let mut world = World::new();
    let admin = world.admin(1);
    let client = world.io(admin, 1);
    for first_block in [1 << 40, 1 << 41] {
        let mut bad = command(NvmOpcode::Verify, first_block, 1);
        bad.command_id = 77.into();
        assert!(!world.run(client, bad, &[]).status.is_success());
    }
    let data = log(&mut world, admin, LogPage::ErrorInformation, 0, 128).data;
    let entries: Vec<_> = data.chunks(64).map(|bytes| *ErrorEntry::view(bytes).unwrap()).collect();
    assert_eq!(entries.iter().map(|entry| entry.error_count.get()).collect::<Vec<_>>(), [2, 1]);
    let entry = entries[0];
    assert_eq!((entry.queue_id.get(), entry.command_id.get(), entry.namespace_id.get()), (1, 77, 1));
    assert_eq!(Status::from_wire(entry.status.get()).kind(), Status::LBA_OUT_OF_RANGE);
}

#[test]
fn pages_are_read_in_parts() {
    let mut world = World::new();
    let admin = world.admin(1);
    let whole = log(&mut world, admin, LogPage::CommandEffects, 0, 4096).data;
    let effects = EffectsLog::view(&whole).unwrap();
    assert_eq!(
        effects.io[1].get(),
        CommandEffects::SUPPORTED.with(CommandEffects::BLOCK_CONTENT_CHANGE).bits()
    );
    assert_eq!((effects.admin[0x06].get(), effects.admin[0x0d].get()), (1, 0));
    let part = log(&mut world, admin, LogPage::CommandEffects, 1020, 16).data;
    assert_eq!(part, whole[1020..1036]);
    let past = log(&mut world, admin, LogPage::CommandEffects, 4080, 32);
    assert_eq!((&past.data[..16], &past.data[16..]), (&whole[4080..], &[0; 16][..]));
    for offset in [4100, 3, 1 << 40] {
        let status = log(&mut world, admin, LogPage::CommandEffects, offset, 16).status;
        assert_eq!(status.kind(), Status::INVALID_FIELD, "offset {offset}");
    }
    let pages = log(&mut world, admin, LogPage::SupportedLogPages, 0, 1024).data;
    let pages = SupportedLogPages::view(&pages).unwrap();
    for page in LogPage::ALL {
        let supported = pages.pages[usize::from(page.code())].get() & 1 == 1;
        let status = log(&mut world, admin, *page, 0, 64).status.kind();
        let expected = if supported { Status::SUCCESS } else { Status::INVALID_LOG_PAGE };
        assert_eq!(status, expected, "{page}");
    }
}
