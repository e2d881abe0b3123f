//! What initiators ask of the SRP target, and what they get.

mod srp;

use core::time::Duration;
use scsi::srp::target::{Access, Limits};
use srp::*;
use verbs::Provider;
use wire::scsi::{Lun, Status};
use wire::srp::{
    AsynchronousEvent, ChannelResult, Command, CreditRequest, Descriptor, DescriptorTable, InitiatorLogout,
    LoginFlags, LoginRejectReason, LoginRequest, LogoutReason, MemoryDescriptor, Opcode, PortId, Reply,
    ResponseCode, ResponseFlags, TargetLogout, TaskFunction, peek,
};

/// A world with a channel that has been told of its power on.
fn ready() -> (World, stdx::slab::Key) {
    let mut world = World::new();
    let channel = world.log_in(LoginFlags::IMMEDIATE);
    world.clear_attentions(channel);
    (world, channel)
}

#[test]
fn a_login_says_what_was_agreed() {
    let mut world = World::new();
    let (_, response) = world.ask(&login(LoginFlags::IMMEDIATE).encode_compact()).unwrap();
    assert_eq!((response.tag, response.request_limit, response.is_immediate_taken), (0x77, 128, true));
    assert_eq!(response.channels, ChannelResult::NoOther);
    assert!(response.iu_len_to_target >= 0x2044 && response.iu_len_to_initiator >= 64);
    let (_, response) = world.ask(&login(LoginFlags::NONE).encode_compact()).unwrap();
    assert!(!response.is_immediate_taken);
}

#[test]
fn logins_that_cannot_be_had_are_refused_with_the_reason() {
    let mut world = World::with(Limits { channels_max: 2, channels_per_nexus: 1, ..Limits::default() });
    let usual = login(LoginFlags::MULTICHANNEL);
    let mut refused = |asked: LoginRequest| world.ask(&asked.encode_compact()).err();
    let other = PortId { extension: 1, guid: 2 };
    assert_eq!(refused(LoginRequest { target: other, ..usual }), Some(LoginRejectReason::NoNexus));
    let too_long = LoginRequest { iu_len: 1 << 20, ..usual };
    assert_eq!(refused(too_long), Some(LoginRejectReason::IuTooLong));
    assert_eq!(refused(LoginRequest { iu_len: 63, ..usual }), Some(LoginRejectReason::IuTooLong));
    let formats = wire::srp::BufferFormats(0x8);
    assert_eq!(refused(LoginRequest { formats, ..usual }), Some(LoginRejectReason::UnsupportedFormat));
    assert_eq!(refused(usual), None);
    assert_eq!(refused(usual), Some(LoginRejectReason::ChannelLimit));
    assert_eq!(refused(LoginRequest { initiator: other, ..usual }), None);
    let third = PortId { extension: 9, guid: 9 };
    assert_eq!(refused(LoginRequest { initiator: third, ..usual }), Some(LoginRejectReason::NoResources));
    assert_eq!(world.ask(&[5; 56]).err(), Some(LoginRejectReason::NoChannel));
}

#[test]
fn initiator_ports_are_let_in_by_name() {
    let mut world = World::new();
    let only = |port| Access::Only([port].into());
    let other = PortId { extension: 1, guid: 2 };
    world.server.registry_mut().set_access(PORT, only(other)).unwrap();
    let asked = login(LoginFlags::NONE).encode_compact();
    assert_eq!(world.ask(&asked).err(), Some(LoginRejectReason::NoNexus));
    world.server.registry_mut().set_access(PORT, only(INITIATOR)).unwrap();
    assert!(world.ask(&asked).is_ok());
}

#[test]
fn data_goes_both_ways_in_every_format() {
    let (mut world, channel) = ready();
    let bytes = pattern(4096, 1);
    world.send_immediate(channel, &write(1, 0, 8, Descriptor::Immediate { len: 4096 }), &bytes);
    assert_eq!(world.unit(channel).response().status, Status::Good as u8);
    let large = pattern(256 << 10, 2);
    world.fill(0, &large);
    let from = world.direct(0, large.len());
    assert_eq!(world.run(channel, &write(2, 8, 512, from)).response().status, 0);
    world.fill(0, &vec![0; large.len()]);
    let to = world.direct(300_000, 4096);
    assert_eq!(world.run(channel, &read(3, 0, 8, to)).response().status, 0);
    assert_eq!(world.bytes(300_000, 4096), bytes);
    assert_eq!(world.server.counters().immediate, 1, "the others' data was fetched");
    // In pieces of odd lengths, with all descriptors in the unit, some of them, and none.
    let lens = [1usize, 511, 4096, 100_000, (256 << 10) - 104_608];
    let mut at = 7;
    let mut pieces = vec![];
    for len in lens {
        pieces.push(world.piece(at, len));
        at += len + 13;
    }
    let table: Vec<u8> = pieces.iter().flat_map(MemoryDescriptor::encode).collect();
    world.fill(2 << 20, &table);
    for (tag, here) in [(4, 5), (5, 2), (6, 0)] {
        let first = DescriptorTable::new(&table[..here * 16]);
        let to = Descriptor::Indirect { table: world.piece(2 << 20, 80), len: large.len() as u32, first };
        assert_eq!(world.run(channel, &read(tag, 8, 512, to)).response().status, 0);
        let mut got = vec![];
        let mut at = 7;
        for len in lens {
            got.extend(world.bytes(at, len));
            at += len + 13;
        }
        assert!(got == large, "{here} descriptors in the unit");
        let from = Descriptor::Indirect { table: world.piece(2 << 20, 80), len: large.len() as u32, first };
        assert_eq!(world.run(channel, &write(tag + 10, 1000, 512, from)).response().status, 0);
        world.fill(0, &vec![0; 300_000]);
        let to = world.direct(1 << 20, large.len());
        assert_eq!(world.run(channel, &read(tag + 20, 1000, 512, to)).response().status, 0);
        assert!(world.bytes(1 << 20, large.len()) == large, "{here} descriptors in the unit");
    }
    assert_eq!(world.server.counters().tables, 4, "those of which a part was left in memory");
}

#[test]
fn residuals_say_what_the_buffers_were_too_long_or_short_by() {
    let (mut world, channel) = ready();
    let residual = |world: &mut World, command: &Command<'_>| {
        let unit = world.run(channel, command);
        let response = unit.response();
        assert_eq!(response.status, 0);
        (response.flags, response.data_out_residual, response.data_in_residual)
    };
    let to = world.direct(0, 1024);
    assert_eq!(residual(&mut world, &read(1, 0, 2, to)), (ResponseFlags::NONE, 0, 0));
    assert_eq!(residual(&mut world, &read(2, 0, 1, to)), (ResponseFlags::DATA_IN_UNDERFLOW, 0, 512));
    world.fill(1024, &[0xee; 512]);
    assert_eq!(residual(&mut world, &read(3, 0, 3, to)), (ResponseFlags::DATA_IN_OVERFLOW, 0, 512));
    assert_eq!(world.bytes(1024, 512), [0xee; 512], "nothing is written past the buffer");
    assert_eq!(residual(&mut world, &write(4, 0, 1, to)), (ResponseFlags::DATA_OUT_UNDERFLOW, 512, 0));
    // Both buffers with a command that moves one way.
    let both = Command { data_out: to, ..read(5, 0, 2, to) };
    assert_eq!(residual(&mut world, &both), (ResponseFlags::DATA_OUT_UNDERFLOW, 1024, 0));
    let inquiry = Command { data_in: to, ..command(6, &[0x12, 0, 0, 0, 36, 0]) };
    assert_eq!(residual(&mut world, &inquiry), (ResponseFlags::DATA_IN_UNDERFLOW, 0, 1024 - 36));
}

#[test]
fn sense_data_comes_with_the_response() {
    let mut world = World::new();
    let channel = world.log_in(LoginFlags::NONE);
    let unit = world.run(channel, &command(1, &[0; 6]));
    let response = unit.response();
    assert_eq!(response.status, Status::CheckCondition as u8);
    assert_eq!((response.sense[2] & 0xf, response.sense[12]), (6, 0x29));
    assert_eq!(world.run(channel, &command(2, &[0; 6])).response().status, 0);
    let to = world.direct(0, 512);
    let unit = world.run(channel, &read(3, 1 << 24, 1, to));
    assert_eq!((unit.response().sense[12], unit.response().data_in_residual), (0x21, 512));
    // No such logical unit.
    let lost = Command { lun: Lun::from_number(9), ..command(4, &[0; 6]) };
    assert_eq!(world.run(channel, &lost).response().sense[12], 0x25);
}

#[test]
fn events_are_solicited_as_the_command_asks() {
    let (mut world, channel) = ready();
    let asks = Command { solicit_success: true, ..command(1, &[0; 6]) };
    assert!(world.run(channel, &asks).response().solicited);
    assert!(!world.run(channel, &command(2, &[0; 6])).response().solicited);
    let fails = Command { solicit_failure: true, ..command(3, &[0xff; 6]) };
    assert!(world.run(channel, &fails).response().solicited);
}

#[test]
fn every_request_gives_its_credit_back() {
    let (mut world, channel) = ready();
    for tag in 0..500 {
        let to = world.direct(0, 512);
        let unit = world.run(channel, &read(tag, 0, 1, to));
        assert_eq!(unit.response().request_limit_delta, 1);
    }
    let limit = 128;
    for tag in 0..limit {
        let to = world.direct(tag as usize * 512, 512);
        world.send_command(channel, &read(tag, tag as u32, 1, to));
    }
    let units = world.units(channel);
    assert_eq!(units.len(), limit as usize);
    assert_eq!(units.iter().map(|unit| unit.response().request_limit_delta).sum::<i32>(), limit as i32);
}

#[test]
fn who_sends_more_than_its_credits_loses_its_channel() {
    let mut world = World::with(Limits { requests: 8, ..Limits::default() });
    let channel = world.log_in(LoginFlags::NONE);
    let other = PortId { extension: 1, guid: 2 };
    let other = LoginRequest { initiator: other, ..login(LoginFlags::NONE) };
    let (other, _) = world.ask(&other.encode_compact()).unwrap();
    world.clear_attentions(channel);
    world.slow_down(Duration::from_secs(1));
    let slow = Command { lun: Lun::from_number(1), ..write(1, 0, 1, world.direct(0, 512)) };
    for tag in 0..8 {
        world.send_command(channel, &Command { tag, ..slow });
    }
    assert_eq!(world.units(channel), []);
    world.send_command(channel, &Command { tag: 8, ..slow });
    let unit = world.unit(channel);
    assert_eq!(TargetLogout::decode(&unit.0).unwrap().reason, LogoutReason::Unspecified);
    assert!(!world.is_alive(channel) && world.is_alive(other));
    world.pass(Duration::from_secs(2));
    assert_eq!(world.server.channels().count(), 1);
}

#[test]
fn channels_join_one_nexus_or_take_its_place() {
    let (mut world, first) = ready();
    let (second, response) = world.ask(&login(LoginFlags::MULTICHANNEL).encode_compact()).unwrap();
    assert_eq!(response.channels, ChannelResult::Maintained);
    // The same nexus: no power on is told again.
    assert_eq!(world.run(second, &command(1, &[0; 6])).response().status, 0);
    assert_eq!(world.run(first, &command(2, &[0; 6])).response().status, 0);
    let (third, response) = world.ask(&login(LoginFlags::NONE).encode_compact()).unwrap();
    assert_eq!(response.channels, ChannelResult::Terminated);
    for old in [first, second] {
        let unit = world.unit(old);
        assert_eq!(TargetLogout::decode(&unit.0).unwrap().reason, LogoutReason::NewLogin);
        assert!(!world.is_alive(old));
    }
    assert_eq!(world.run(third, &command(3, &[0; 6])).response().sense[12], 0x29);
}

#[test]
fn the_loss_of_one_channel_of_several_ends_its_tasks_alone() {
    let (mut world, first) = ready();
    let second = world.log_in(LoginFlags::MULTICHANNEL);
    world.slow_down(Duration::from_secs(1));
    let slow = Command { lun: Lun::from_number(1), ..write(1, 0, 1, world.direct(0, 512)) };
    world.send_command(first, &slow);
    world.send_command(second, &slow);
    world.settle();
    world.host.disconnect(&mut world.env, &mut world.device, first);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.unit(second).response().status, 0);
    assert_eq!(world.server.channels().count(), 1);
    assert_eq!(world.run(second, &command(2, &[0; 6])).response().status, 0, "the nexus lives");
}

#[test]
fn a_new_login_waits_for_what_the_old_one_writes() {
    let (mut world, first) = ready();
    world.slow_down(Duration::from_secs(10));
    let slow = Command { lun: Lun::from_number(1), ..write(1, 0, 1, world.direct(0, 512)) };
    world.send_command(first, &slow);
    world.settle();
    let second = world.log_in(LoginFlags::NONE);
    world.send_command(second, &command(5, &[0; 6]));
    world.send(second, &manage(6, 0, TaskFunction::AbortTask, 99).encode());
    assert_eq!(world.units(second), []);
    assert!(world.server.counters().holds > 0);
    world.pass(Duration::from_secs(11));
    let mut tags: Vec<u64> = world.units(second).iter().map(|unit| unit.response().tag).collect();
    tags.sort_unstable();
    assert_eq!(tags, [5, 6]);
}

#[test]
fn task_management_is_answered() {
    let (mut world, channel) = ready();
    let second = world.log_in(LoginFlags::MULTICHANNEL);
    world.slow_down(Duration::from_secs(1));
    let slow = Command { lun: Lun::from_number(1), ..write(40, 0, 1, world.direct(0, 512)) };
    world.send_command(channel, &slow);
    world.settle();
    // By the other channel of the nexus: the task ends silently, its credit comes with the next unit of its own channel.
    world.send(second, &manage(1, 1, TaskFunction::AbortTask, 40).encode());
    assert_eq!(world.units(second), []);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.unit(second).response().code, Some(ResponseCode::Complete));
    let unit = world.unit(channel);
    assert_eq!(CreditRequest::decode(&unit.0).unwrap().request_limit_delta, 1);
    let answer = Reply { opcode: Opcode::CreditResponse, tag: peek(&unit.0).unwrap().1 };
    world.send(channel, &answer.encode());
    let run = |world: &mut World, function: TaskFunction, lun| {
        world.send(channel, &manage(7, lun, function, 1234).encode());
        let unit = world.unit(channel);
        let response = unit.response();
        assert_eq!((response.tag, response.request_limit_delta), (7, 1));
        response.code
    };
    assert_eq!(run(&mut world, TaskFunction::AbortTask, 0), Some(ResponseCode::Complete));
    assert_eq!(run(&mut world, TaskFunction::AbortTaskSet, 0), Some(ResponseCode::Complete));
    assert_eq!(run(&mut world, TaskFunction::ClearTaskSet, 0), Some(ResponseCode::Complete));
    assert_eq!(run(&mut world, TaskFunction::ClearAca, 0), Some(ResponseCode::Complete));
    assert_eq!(run(&mut world, TaskFunction::LogicalUnitReset, 9), Some(ResponseCode::InvalidFields));
    assert_eq!(run(&mut world, TaskFunction::LogicalUnitReset, 0), Some(ResponseCode::Complete));
    assert_eq!(world.run(channel, &command(8, &[0; 6])).response().sense[12], 0x29);
    let mut unknown = manage(9, 0, TaskFunction::ClearAca, 0);
    unknown.function = 0x20;
    world.send(channel, &unknown.encode());
    assert_eq!(world.unit(channel).response().code, Some(ResponseCode::NotSupported));
}

#[test]
fn a_reset_takes_tasks_and_their_answers_with_it() {
    let (mut world, channel) = ready();
    world.slow_down(Duration::from_secs(1));
    for tag in 0..3 {
        let slow = Command { lun: Lun::from_number(1), ..write(tag, 0, 1, world.direct(0, 512)) };
        world.send_command(channel, &slow);
    }
    world.settle();
    world.send(channel, &manage(9, 1, TaskFunction::LogicalUnitReset, 0).encode());
    world.pass(Duration::from_secs(2));
    let unit = world.unit(channel);
    let response = unit.response();
    assert_eq!((response.tag, response.code), (9, Some(ResponseCode::Complete)));
    assert_eq!(response.request_limit_delta, 4, "those of the tasks, too");
}

/// SAM-5, section 7.7: a logical unit that is reset ends the tasks of all nexuses, and others learn of it by a unit attention; what
/// they have under way at other units goes on.
#[test]
fn a_reset_by_one_nexus_ends_the_tasks_of_another() {
    let (mut world, ours) = ready();
    let initiator = PortId { extension: 7, guid: 7 };
    let theirs = world.ask(&LoginRequest { initiator, ..login(LoginFlags::NONE) }.encode_compact());
    let (theirs, _) = theirs.unwrap();
    world.clear_attentions(theirs);
    world.slow_down(Duration::from_secs(1));
    let slow = |tag, world: &World| Command {
        lun: Lun::from_number(1),
        ..write(tag, 8 * tag as u32, 1, world.direct(0, 512))
    };
    for (channel, tags) in [(ours, 1..4), (theirs, 4..7)] {
        for tag in tags {
            let command = slow(tag, &world);
            world.send_command(channel, &command);
        }
    }
    world.settle();
    world.send(ours, &manage(9, 1, TaskFunction::LogicalUnitReset, 0).encode());
    assert_eq!(world.units(ours), [], "it waits for what the volume still does");
    let to = world.direct(4096, 512);
    assert_eq!(world.run(theirs, &read(10, 0, 1, to)).response().status, 0, "another unit is not touched");
    world.pass(Duration::from_secs(2));
    let unit = world.unit(ours);
    let response = unit.response();
    assert_eq!((response.tag, response.code), (9, Some(ResponseCode::Complete)));
    assert_eq!(response.request_limit_delta, 4, "those of its tasks, too");
    // TAS is zero: their tasks have no answers (SAM-5, section 5.6), but their credits come back.
    let unit = world.unit(theirs);
    assert_eq!(CreditRequest::decode(&unit.0).unwrap().request_limit_delta, 3);
    let heard = Reply { opcode: Opcode::CreditResponse, tag: peek(&unit.0).unwrap().1 };
    world.send(theirs, &heard.encode());
    for (tag, channel) in [(11, ours), (12, theirs)] {
        let test = Command { lun: Lun::from_number(1), ..command(tag, &[0; 6]) };
        let unit = world.run(channel, &test);
        let response = unit.response();
        assert_eq!(response.status, Status::CheckCondition as u8);
        let sense = wire::scsi::Sense::read(response.sense).unwrap();
        assert!(sense.is(&wire::scsi::Sense::BUS_DEVICE_RESET), "{sense:?}");
        assert_eq!(world.run(channel, &test).response().status, 0, "told once");
    }
    world.slow_down(Duration::ZERO);
    let again = slow(13, &world);
    assert_eq!(world.run(theirs, &again).response().status, 0);
    assert_eq!(world.server.channels().count(), 2);
}

#[test]
fn events_are_told_and_heard() {
    let (mut world, channel) = ready();
    world.remove_unit(1);
    let unit = world.unit(channel);
    let event = AsynchronousEvent::decode(&unit.0).unwrap();
    assert_eq!(peek(&unit.0).unwrap().0, Some(Opcode::AsynchronousEventRequest));
    assert_eq!((event.lun, event.solicited), (Lun::from_number(0), false));
    let told = wire::scsi::Sense::read(event.sense).unwrap();
    assert!(told.is(&wire::scsi::Sense::REPORTED_LUNS_CHANGED), "{told:?}");
    let heard = Reply { opcode: Opcode::AsynchronousEventResponse, tag: event.tag }.encode();
    world.send(channel, &heard);
    assert_eq!(world.units(channel), []);
    assert_eq!(world.server.counters().events, 1);
    // Who hears what was not said has lost count.
    world.send(channel, &heard);
    let logout = TargetLogout::decode(&world.unit(channel).0).unwrap();
    assert_eq!(logout.reason, LogoutReason::SpuriousResponse);
}

#[test]
fn an_initiator_logs_out() {
    let (mut world, channel) = ready();
    world.send(channel, &InitiatorLogout { tag: 3 }.encode());
    world.settle();
    assert!(!world.is_alive(channel));
    assert_eq!((world.server.channels().count(), world.server.counters().logged_out), (0, 1));
}

#[test]
fn credits_are_shared_and_given_back() {
    let mut world = World::with(Limits { receives: 64, requests: 32, ..Limits::default() });
    let ask = |world: &mut World, guid| {
        let initiator = PortId { extension: 0, guid };
        world.ask(&LoginRequest { initiator, ..login(LoginFlags::NONE) }.encode_compact())
    };
    let (first, response) = ask(&mut world, 1).unwrap();
    assert_eq!(response.request_limit, 29);
    let (second, response) = ask(&mut world, 2).unwrap();
    assert_eq!(response.request_limit, 13);
    let (_, response) = ask(&mut world, 3).unwrap();
    assert_eq!(response.request_limit, 5);
    assert_eq!(ask(&mut world, 4).err(), Some(LoginRejectReason::NoResources));
    world.send(first, &InitiatorLogout { tag: 3 }.encode());
    let unit = world.unit(second);
    assert_eq!(CreditRequest::decode(&unit.0).unwrap().request_limit_delta, 19);
}

#[test]
fn a_server_drains_and_gives_everything_back() {
    let (mut world, channel) = ready();
    let World { env, device, server, target, .. } = &mut world;
    server.drain(env, device, target);
    let unit = world.unit(channel);
    assert_eq!(TargetLogout::decode(&unit.0).unwrap().reason, LogoutReason::Unspecified);
    assert!(world.server.is_drained());
    assert_eq!(world.host.connections().count(), 0);
    world.server.free(&mut world.env, &mut world.device);
}

#[test]
fn a_device_that_is_removed_takes_its_channels_with_it() {
    let (mut world, channel) = ready();
    // It comes when the device is gone already: it is not answered as if its unit had never been.
    world.send_command(channel, &read(5, 0, 1, world.direct(0, BLOCK)));
    world.device.turn(&mut world.env);
    world.target.remove_device(&mut world.env, world.scsi_device).unwrap();
    let unit = world.unit(channel);
    assert_eq!(TargetLogout::decode(&unit.0).unwrap().reason, LogoutReason::Unspecified);
    world.settle();
    assert!(!world.is_alive(channel));
}
