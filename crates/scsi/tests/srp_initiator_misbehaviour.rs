//! A target that lies to the SRP initiator ends its own channel and completes nothing; one that asks is answered.

mod srp_pair;
mod srp_script;

use block::{BlockDevice, Done, Op, Status};
use core::time::Duration;
use scsi::srp::initiator::{ChannelEnd, InitiatorEvent, InitiatorOptions};
use srp_pair::{io, options};
use srp_script::{Script, good, pieces, response, written};
use stdx::env::Env;
use stdx::slab::Key;
use verbs::{Data, Remote};
use wire::scsi::Lun;
use wire::srp::{
    AsynchronousEvent, ChannelResult, Command, CreditRequest, LogoutReason, Opcode, Response, ResponseCode,
    TargetLogout, TaskFunction, TaskRequest, peek,
};

fn one_disk() -> InitiatorOptions {
    InitiatorOptions { lun: Some(0), watch_interval: Duration::ZERO, ..options() }
}

/// How a lie ends the channel: it is told instead of the answer to the first command.
fn lie(tell: impl Fn(&mut Script, u64)) -> ChannelEnd {
    let mut script = Script::begin(one_disk());
    let (_, unit) = script.command();
    let tag = Command::decode(&unit).unwrap().tag;
    tell(&mut script, tag);
    script.failure()
}

fn say(unit: impl Fn(u64) -> Vec<u8>) -> ChannelEnd {
    lie(|script, tag| {
        let channel = script.channel();
        script.send(channel, &unit(tag));
    })
}

#[test]
fn responses_to_nothing_end_the_channel() {
    assert!(matches!(say(|tag| response(tag ^ 1, 0)), ChannelEnd::UnknownRequest(_)));
    assert!(matches!(say(|tag| response(tag ^ 1 << 40, 0)), ChannelEnd::UnknownRequest(_)));
    assert!(matches!(say(|_| response(u64::MAX, 0)), ChannelEnd::UnknownRequest(_)));
    let twice = lie(|script, tag| {
        let channel = script.channel();
        script.send(channel, &response(tag, 96));
        script.send(channel, &response(tag, 96));
    });
    assert!(matches!(twice, ChannelEnd::UnknownRequest(_)), "{twice:?}");
}

#[test]
fn units_that_are_none_end_the_channel() {
    for len in [0, 1, 15, 35] {
        assert_eq!(say(|tag| response(tag, 0)[..len].to_vec()), ChannelEnd::BadUnit { len: len as u32 });
    }
    let with_sense = |tag| written(&Response { status: 2, sense: &[0x70; 18], ..good(tag) });
    assert_eq!(say(|tag| with_sense(tag)[..50].to_vec()), ChannelEnd::BadUnit { len: 50 });
    let ours = [Opcode::Command, Opcode::CreditResponse, Opcode::LoginResponse, Opcode::InitiatorLogout];
    for code in ours.map(Opcode::code).into_iter().chain([0x7f]) {
        let mut unit = [0; 48];
        unit[0] = code;
        assert_eq!(say(|_| unit.to_vec()), ChannelEnd::BadUnit { len: 48 }, "{code:#x}");
    }
    // Longer than any unit of a target's: the connection breaks.
    let long = lie(|script, _| {
        let (channel, bytes) = (script.channel(), script.memory.first(4096));
        script.target.send(&mut script.device, channel, 1, Data::Own(&[bytes])).unwrap();
    });
    assert!(matches!(long, ChannelEnd::ByPeer | ChannelEnd::Broken(_)), "{long:?}");
}

#[test]
fn numbers_that_cannot_be_end_the_channel() {
    assert_eq!(say(|tag| response(tag, 97)), ChannelEnd::BadResidual);
    let credits = |delta| say(move |tag| written(&Response { request_limit_delta: delta, ..good(tag) }));
    assert_eq!(credits(-40), ChannelEnd::Credits);
    let many = lie(|script, tag| {
        let channel = script.channel();
        for _ in 0..2 {
            let unit = CreditRequest { request_limit_delta: i32::MAX, solicited: false, tag };
            script.send(channel, &unit.encode());
        }
        let unit = CreditRequest { request_limit_delta: i32::MAX, solicited: false, tag };
        script.send(channel, &unit.encode());
    });
    assert_eq!(many, ChannelEnd::Credits);
    let insistent = lie(|script, tag| {
        let channel = script.channel();
        for _ in 0..40 {
            let unit = CreditRequest { request_limit_delta: 0, solicited: false, tag };
            script.send(channel, &unit.encode());
        }
    });
    assert_eq!(insistent, ChannelEnd::Insistent);
}

#[test]
fn a_key_that_is_closed_by_the_target_ends_the_channel() {
    let mut script = Script::begin(one_disk());
    let (channel, unit) = script.command();
    let command = Command::decode(&unit).unwrap();
    let [(Remote { key, .. }, _)] = pieces(&command.data_in)[..] else { panic!("{command:?}") };
    let (device, bytes) = (&mut script.device, response(command.tag, 96));
    script.target.send_invalidate(device, channel, 1, key, Data::Inline(&bytes)).unwrap();
    assert_eq!(script.failure(), ChannelEnd::Invalidation);
}

#[test]
fn logins_that_make_no_sense_are_none() {
    let refused = |change: fn(&mut Script)| {
        let mut script = Script::begin(one_disk());
        change(&mut script);
        script.failure()
    };
    assert_eq!(refused(|script| script.login.tag = 1), ChannelEnd::BadLogin);
    assert_eq!(refused(|script| script.login.request_limit = 0), ChannelEnd::BadLogin);
    assert_eq!(refused(|script| script.login.iu_len_to_target = 63), ChannelEnd::BadLogin);
    assert_eq!(
        refused(|script| script.login.formats = wire::srp::BufferFormats::INDIRECT),
        ChannelEnd::BadLogin
    );
}

#[test]
fn who_is_logged_out_hears_why() {
    let reason = LogoutReason::Inactive;
    let told = say(|tag| TargetLogout { reason, solicited: false, tag }.encode().to_vec());
    assert_eq!(told, ChannelEnd::LoggedOut(reason));
}

#[test]
fn what_the_target_asks_is_answered() {
    let mut script = Script::connected(one_disk());
    let channel = script.channel();
    let before = script.initiator.channels()[0].credits;
    script.send(channel, &CreditRequest { request_limit_delta: 7, solicited: true, tag: 99 }.encode());
    let (_, reply) = script.command();
    assert_eq!(peek(&reply), Ok((Some(Opcode::CreditResponse), 99)));
    assert_eq!(script.initiator.channels()[0].credits, before + 7);
    // An event has the initiator look at the disk again.
    let sense = [0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x2a, 0x09, 0, 0, 0, 0];
    let event = AsynchronousEvent {
        request_limit_delta: 0,
        solicited: false,
        tag: 5,
        lun: Lun::from_number(0),
        sense: &sense,
    };
    let mut unit = [0; 64];
    let len = event.encode(&mut unit).unwrap();
    script.send(channel, &unit[..len]);
    script.settle();
    let units: Vec<_> = script.units.drain(..).map(|(_, unit)| unit).collect();
    assert_eq!(units.len(), 2, "{units:02x?}");
    assert!(units.iter().any(|unit| peek(unit) == Ok((Some(Opcode::AsynchronousEventResponse), 5))));
    assert!(units.iter().any(|unit| unit[0] == Opcode::Command.code() && unit[32] == 0x12));
}

#[test]
fn no_more_is_sent_than_there_are_credits_for_and_one_is_kept() {
    let mut script = Script::begin(one_disk());
    script.login.request_limit = 4;
    script.settle();
    for _ in 0..100 {
        script.answer_all();
    }
    let mut channel = script.initiator.disk(0).unwrap().open();
    let place = script.env.mem().take(512).unwrap();
    for tag in 0..10 {
        channel.submit(&mut script.env, io(tag, Op::Read, tag, place)).unwrap();
    }
    script.settle();
    assert_eq!(script.units.len(), 3, "a credit is kept for task management");
    assert_eq!(script.initiator.channels()[0].credits, 1);
    // The kept one goes for an abortion, and is all there is.
    script.pass(Duration::from_secs(31));
    let aborts: Vec<_> = script.units.iter().skip(3).map(|(_, unit)| TaskRequest::decode(unit)).collect();
    assert_eq!(aborts.len(), 1, "{aborts:?}");
    let (channel_key, unit) = script.units.pop_back().unwrap();
    let abort = TaskRequest::decode(&unit).unwrap();
    let tag = |unit: &[u8]| peek(unit).unwrap().1;
    let aborted = script.units.iter().position(|(_, unit)| tag(unit) == abort.task_tag).unwrap();
    // No credit comes with it: the command begins anew when others bring some.
    let done = Response { request_limit_delta: 0, code: Some(ResponseCode::Complete), ..good(abort.tag) };
    script.send(channel_key, &written(&done));
    script.units.remove(aborted);
    for _ in 0..20 {
        script.answer_all();
        script.pass(Duration::from_millis(200));
    }
    let mut told = Vec::new();
    channel.poll(&mut script.env, &mut told);
    assert_eq!(told.len(), 10);
    assert!(told.iter().all(|done| done.status == Status::Ok), "{told:?}");
}

/// Lets seconds go by; gives what was asked of task management.
fn managed(script: &mut Script, seconds: u64) -> Vec<(Key, TaskRequest)> {
    script.pass(Duration::from_secs(seconds));
    let is_one = |(_, unit): &(_, Vec<u8>)| peek(unit).unwrap().0 == Some(Opcode::TaskManagement);
    let (managed, others): (Vec<_>, Vec<_>) = script.units.drain(..).partition(is_one);
    script.units.extend(others);
    managed.into_iter().map(|(channel, unit)| (channel, TaskRequest::decode(&unit).unwrap())).collect()
}

fn manage(script: &mut Script, (channel, request): &(Key, TaskRequest), code: ResponseCode) {
    script.send(*channel, &written(&Response { code: Some(code), ..good(request.tag) }));
    // What is tried again waits a little.
    script.pass(Duration::from_millis(500));
}

#[test]
fn what_cannot_be_aborted_ends_with_its_unit_and_is_tried_again() {
    let mut script = Script::connected(InitiatorOptions { channels: 2, ..one_disk() });
    script.settle();
    let mut users: Vec<_> = (0..2).map(|_| script.initiator.disk(0).unwrap().open()).collect();
    let place = script.env.mem().take(512).unwrap();
    for (tag, user) in users.iter_mut().enumerate() {
        user.submit(&mut script.env, io(tag as u64, Op::Read, 5, place)).unwrap();
    }
    script.settle();
    let old: Vec<_> = script.units.drain(..).collect();
    assert_eq!(old.len(), 2);
    let by: std::collections::BTreeSet<_> = old.iter().map(|(channel, _)| channel.index()).collect();
    let aborts = managed(&mut script, 31);
    assert_eq!(aborts.len(), 2);
    for abort in &aborts {
        assert_eq!(abort.1.function, TaskFunction::AbortTask.code());
        manage(&mut script, abort, ResponseCode::NotSupported);
    }
    assert!(script.units.is_empty(), "not tried again yet");
    let resets = managed(&mut script, 15);
    assert_eq!(resets.len(), by.len(), "one for each channel that has commands: {resets:?}");
    // What is sent behind the reset is not ended by it.
    users[0].submit(&mut script.env, io(7, Op::Read, 9, place)).unwrap();
    script.settle();
    let (_, behind) = script.units.pop_front().expect("a command");
    for reset in &resets {
        assert_eq!(
            (reset.1.function, reset.1.lun),
            (TaskFunction::LogicalUnitReset.code(), Lun::from_number(0))
        );
        manage(&mut script, reset, ResponseCode::Complete);
    }
    let again: Vec<_> = script.units.iter().map(|(_, unit)| Command::decode(unit).unwrap().cdb).collect();
    let cdb = |unit: &[u8]| Command::decode(unit).unwrap().cdb;
    assert_eq!(again, [cdb(&old[0].1), cdb(&old[1].1)]);
    assert_ne!(cdb(&behind), again[0]);
    // Keys that were open then are so no more.
    let (channel, unit) = &old[0];
    script.write(*channel, &Command::decode(unit).unwrap(), &[0xee; 512]);
    script.settle();
    let mut bytes = [0; 512];
    script.env.mem().read(place, &mut bytes);
    assert_eq!((script.failed, bytes), (1, [0; 512]));
}

#[test]
fn a_key_opens_nothing_once_its_command_has_ended() {
    let mut script = Script::connected(one_disk());
    let mut channel = script.initiator.disk(0).unwrap().open();
    let place = script.env.mem().take(512).unwrap();
    channel.submit(&mut script.env, io(1, Op::Read, 5, place)).unwrap();
    let (peer, unit) = script.command();
    let command = Command::decode(&unit).unwrap();
    script.answer(peer, &command);
    script.settle();
    let mut done: Vec<Done> = Vec::new();
    channel.poll(&mut script.env, &mut done);
    assert_eq!((done.len(), done[0].status), (1, Status::Ok));
    script.write(peer, &command, &[0xee; 512]);
    script.settle();
    assert_eq!(script.failed, 1, "the write was refused");
    let mut bytes = [0; 512];
    script.env.mem().read(place, &mut bytes);
    assert_eq!(bytes, [5; 512]);
    assert!(matches!(script.events[..], [InitiatorEvent::ConnectionLost(_)]), "{:?}", script.events);
}

#[test]
fn nothing_is_told_while_memory_is_open() {
    let mut script =
        Script::connected(InitiatorOptions { fast_io_fail_timeout: Some(Duration::ZERO), ..one_disk() });
    let mut channel = script.initiator.disk(0).unwrap().open();
    let place = script.env.mem().take(512).unwrap();
    channel.submit(&mut script.env, io(1, Op::Read, 5, place)).unwrap();
    let (peer, unit) = script.command();
    let command = Command::decode(&unit).unwrap();
    let channel_key = script.channel();
    let reason = LogoutReason::Unspecified;
    script.send(channel_key, &TargetLogout { reason, solicited: false, tag: 1 }.encode());
    let mut done: Vec<Done> = Vec::new();
    for _ in 0..30 {
        script.turn();
        channel.poll(&mut script.env, &mut done);
        if !done.is_empty() {
            break;
        }
    }
    assert_eq!(done[0].status, Status::TimedOut);
    script.write(peer, &command, &[0xee; 512]);
    script.settle();
    let mut bytes = [0; 512];
    script.env.mem().read(place, &mut bytes);
    assert_eq!(bytes, [0; 512]);
}

#[test]
fn further_channels_say_that_they_join() {
    let mut script = Script::begin(InitiatorOptions { channels: 2, ..one_disk() });
    script.settle();
    script.login.channels = ChannelResult::Maintained;
    for _ in 0..100 {
        script.answer_all();
    }
    let flags: Vec<u8> = script.logins.iter().map(|login| login[10]).collect();
    assert_eq!(flags, [0x80, 0x81]);
    assert_eq!(script.initiator.channels().len(), 2);
}
