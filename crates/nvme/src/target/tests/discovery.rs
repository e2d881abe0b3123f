//! The discovery log: who sees what, and when it changes.

use super::settings::log;
use super::world::{Client, World, host_nqn, subsystem_nqn};
use crate::target::{Portal, Referral, SubsystemConfig, Transport};
use std::time::Duration;
use wire::nvme::admin::SetFeatures;
use wire::nvme::features::Feature;
use wire::nvme::identify::AsyncEvents;
use wire::nvme::log::{DiscoveryEntry, DiscoveryHeader, LogPage, SubsystemType};
use wire::nvme::{AdminOpcode, Nqn, Status, SubmissionQueueEntry};

/// Generation, and for each entry its type, name, address and port.
fn records(world: &mut World, admin: Client) -> (u64, Vec<(u8, Nqn, String)>) {
    let header = log(world, admin, LogPage::Discovery, 0, 1024).data;
    let header = *DiscoveryHeader::view(&header).unwrap();
    let mut records = Vec::new();
    for index in 1..=header.records.get() {
        let data = log(world, admin, LogPage::Discovery, index * 1024, 1024).data;
        let entry = DiscoveryEntry::view(&data).unwrap();
        let place = format!("{}:{}", entry.address().unwrap(), entry.service_id().unwrap());
        records.push((entry.subsystem_type, entry.subsystem().unwrap(), place));
    }
    (header.generation.get(), records)
}

fn port(port: u16) -> Portal {
    Portal { transport: Transport::Tcp, address: ([10, 9, 9, 9], port).into() }
}

const HERE: &str = "10.0.0.1:4420";

#[test]
fn a_host_sees_what_it_may_reach() {
    let mut world = World::new();
    let private = Nqn::from_uuid(&[7; 16]);
    let config = SubsystemConfig { allow_any_host: false, ..SubsystemConfig::new(private) };
    world.target.create_subsystem(config).unwrap();
    world.target.add_listener(&private, port(1)).unwrap();
    world.target.add_host(&private, host_nqn(1)).unwrap();
    let referral = Referral { portal: port(8009), nqn: Nqn::discovery() };
    world.target.add_referral(referral).unwrap();
    let [friend, stranger] = [1, 2].map(|host| world.admin_of(&Nqn::discovery(), host));
    let own = (SubsystemType::CurrentDiscovery.code(), Nqn::discovery(), HERE.to_string());
    let open = (SubsystemType::Nvm.code(), subsystem_nqn(), HERE.to_string());
    let listed = (SubsystemType::Nvm.code(), private, "10.9.9.9:1".to_string());
    let elsewhere = (SubsystemType::Referral.code(), Nqn::discovery(), "10.9.9.9:8009".to_string());
    assert_eq!(records(&mut world, friend).1, [own.clone(), open.clone(), listed, elsewhere.clone()]);
    assert_eq!(records(&mut world, stranger).1, [own, open, elsewhere]);
}

#[test]
fn a_change_is_told_to_hosts_that_stay() {
    let mut world = World::new();
    let admin = world.admin_of(&Nqn::discovery(), 1);
    let feature = Feature::AsynchronousEventConfiguration.code();
    let set = SetFeatures { feature, save: false, dword11: AsyncEvents::DISCOVERY_LOG_CHANGE.bits() };
    assert_eq!(world.run(admin, set.command(1), &[]).status, Status::SUCCESS);
    let request = SubmissionQueueEntry::new(AdminOpcode::AsynchronousEventRequest.code(), 1);
    let slot = world.send(admin, request, &[]).unwrap();
    let before = records(&mut world, admin).0;
    world.target.add_listener(&subsystem_nqn(), port(2)).unwrap();
    world.settle();
    assert_eq!(world.answer(slot).unwrap().result, 0x0070_f002);
    let (after, entries) = records(&mut world, admin);
    assert!(after > before);
    assert_eq!(entries.len(), 3);
    world.target.remove_listener(&subsystem_nqn(), &port(2)).unwrap();
    assert!(records(&mut world, admin).0 > after);
}

#[test]
fn a_discovery_controller_does_little_and_may_be_forgotten() {
    let mut world = World::new();
    let admin = world.admin_of(&Nqn::discovery(), 1);
    for page in [LogPage::Health, LogPage::ErrorInformation, LogPage::CommandEffects] {
        assert_eq!(log(&mut world, admin, page, 0, 64).status.kind(), Status::INVALID_LOG_PAGE);
    }
    let set = SetFeatures { feature: Feature::NumberOfQueues.code(), save: false, dword11: 0 };
    assert_eq!(world.run(admin, set.command(1), &[]).status.kind(), Status::INVALID_FIELD);
    world.advance(Duration::from_secs(119));
    assert_eq!(world.target.poll_disconnect(), None);
    world.advance(Duration::from_secs(240));
    world.advance(Duration::from_secs(240));
    assert_eq!(world.target.poll_disconnect(), Some(admin.connection));
}
