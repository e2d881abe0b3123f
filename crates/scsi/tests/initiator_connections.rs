//! Sessions of several connections at the initiator (RFC 7143, sections 4.2.1, 4.2.2 and 7.1.4): one order of commands, each
//! answered by the connection it went by, and what becomes of the others when one is lost.

mod script;

use block::{Op, Status as Outcome};
use script::{Script, Sent, options};
use scsi::iscsi::initiator::{InitiatorEvent, InitiatorOptions, InitiatorOptionsError};
use scsi::iscsi::login::Limits;
use std::collections::BTreeMap;
use stdx::env::StreamId;
use wire::iscsi::{
    AsyncEvent, AsyncMessage, LogoutReason, LogoutRequest, LogoutResponse, LogoutResult, Opcode, ScsiCommand,
    TaskFunction, TaskRequest, TaskResponse, TaskResult,
};
use wire::scsi::Lun;

/// An initiator that wants so many connections, and a target that allows four, at this error recovery level.
fn connected(connections: u16, level: u8) -> Script {
    let options = InitiatorOptions { connections, error_recovery_level: level, ..options() };
    let mut begun = Script::begin(options);
    begun.limits = Limits { max_connections: 4, error_recovery_level: 2, ..Limits::default() };
    begun.up()
}

/// Submits reads of one block, and gives the commands with the streams they went by, in the order of their numbers.
fn read(script: &mut Script, count: u64) -> Vec<(StreamId, ScsiCommand)> {
    for tag in 0..count {
        let io = script.io(tag, Op::Read, tag, 1);
        script.channel.as_mut().unwrap().submit(&mut script.env, io).unwrap();
    }
    take_commands(script)
}

fn take_commands(script: &mut Script) -> Vec<(StreamId, ScsiCommand)> {
    script.run();
    let (commands, others): (Vec<Sent>, Vec<Sent>) =
        script.seen.drain(..).partition(|sent| sent.opcode() == Opcode::ScsiCommand);
    script.seen = others;
    let mut commands: Vec<_> = commands.iter().map(|sent| (sent.stream, sent.command())).collect();
    commands.sort_by_key(|(_, command)| command.cmd_sn.0);
    commands
}

fn answer(script: &mut Script, (stream, command): &(StreamId, ScsiCommand)) {
    script.at = Some(*stream);
    let bytes = script.data(command, 0, 0, &[7; 4096], true);
    script.deliver(*stream, &bytes);
    script.at = None;
}

#[test]
fn further_connections_join_the_session() {
    let script = connected(3, 0);
    let names: Vec<_> = script.logins.iter().map(|login| (login.tsih, login.connection_id)).collect();
    assert_eq!(names, [(0, 0), (5, 1), (5, 2)]);
    assert!(script.logins.iter().all(|login| login.isid == script.logins[0].isid));
    assert_eq!(script.initiator.sessions().len(), 1);
}

#[test]
fn a_target_may_allow_fewer() {
    let mut begun = Script::begin(InitiatorOptions { connections: 8, ..options() });
    begun.limits = Limits { max_connections: 2, ..Limits::default() };
    assert_eq!(begun.up().connections.len(), 2);
    assert_eq!(Script::connected(InitiatorOptions { connections: 8, ..options() }).connections.len(), 1);
}

#[test]
fn each_of_several_sessions_has_its_connections() {
    let mut begun = Script::begin(InitiatorOptions { connections: 2, sessions: 2, ..options() });
    begun.limits = Limits { max_connections: 4, ..Limits::default() };
    let script = begun.up();
    let isids: Vec<_> = script.logins.iter().map(|login| (login.isid, login.connection_id)).collect();
    let (one, other) = (isids[0].0, isids[2].0);
    assert_ne!(one, other);
    assert_eq!(isids, [(one, 0), (one, 1), (other, 0), (other, 1)]);
}

#[test]
fn there_are_only_so_many() {
    for connections in [0, 9] {
        let wrong = InitiatorOptions { connections, ..options() }.check();
        assert_eq!(wrong, Err(InitiatorOptionsError::Connections(connections)));
    }
}

#[test]
fn commands_are_spread_in_one_order_and_answered_by_their_connection() {
    let mut script = connected(3, 0);
    let commands = read(&mut script, 6);
    let mut of_each: BTreeMap<StreamId, usize> = BTreeMap::new();
    commands.iter().for_each(|(stream, _)| *of_each.entry(*stream).or_default() += 1);
    assert_eq!(of_each.into_values().collect::<Vec<_>>(), [2, 2, 2]);
    for (one, next) in commands.iter().zip(&commands[1..]) {
        assert_eq!(next.1.cmd_sn, one.1.cmd_sn.next());
    }
    let mut tags: Vec<u32> = commands.iter().map(|(_, command)| command.task_tag).collect();
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), 6, "a tag names one task of the session");
    for command in commands.iter().rev() {
        answer(&mut script, command);
    }
    let done = script.done();
    assert!(done.len() == 6 && done.iter().all(|done| done.status == Outcome::Ok));
}

#[test]
fn an_answer_by_another_connection_is_none() {
    let mut script = connected(2, 0);
    let commands = read(&mut script, 2);
    let swapped = (commands[1].0, commands[0].1);
    answer(&mut script, &swapped);
    assert!(matches!(script.initiator.poll_event(), Some(InitiatorEvent::ConnectionLost(_))));
    assert!(script.done().is_empty(), "it is read again");
}

#[test]
fn the_window_is_that_of_the_session() {
    let mut script = connected(2, 0);
    script.window = 3;
    let first = read(&mut script, 1);
    answer(&mut script, &first[0]);
    // What was opened before stays open: use it up.
    let commands = read(&mut script, 100);
    assert!(commands.len() < 100 && commands.len() >= 60, "{}", commands.len());
    answer(&mut script, &commands[0]);
    let more = take_commands(&mut script);
    assert_eq!(more.len(), 3);
    assert_eq!(more[0].1.cmd_sn, commands.last().unwrap().1.cmd_sn.next());
}

#[test]
fn below_level_2_no_session_outlives_one_of_its_connections() {
    for level in [0, 1] {
        let mut script = connected(2, level);
        let commands = read(&mut script, 2);
        let streams: Vec<StreamId> = commands.iter().map(|(stream, _)| *stream).collect();
        script.env.finish(streams[1]);
        script.run();
        assert!(matches!(script.initiator.poll_event(), Some(InitiatorEvent::ConnectionLost(_))));
        for stream in streams {
            assert!(script.env.stream(stream).closed.is_some());
        }
        script.env.advance(core::time::Duration::from_secs(1));
        let again = take_commands(&mut script);
        assert_eq!(script.initiator.poll_event(), Some(InitiatorEvent::Reconnected));
        assert_eq!(script.logins[2].tsih, 0, "another session of the same name");
        assert_eq!(again.len(), 2);
        again.iter().for_each(|command| answer(&mut script, command));
        assert_eq!(script.done().len(), 2);
    }
}

/// The only request to let go of a connection: the stream it came by, and what it says.
fn take_logout(script: &mut Script) -> (StreamId, LogoutRequest) {
    let place = script.seen.iter().position(|sent| sent.opcode() == Opcode::LogoutRequest);
    let sent = script.seen.remove(place.expect("a logout"));
    (sent.stream, LogoutRequest::decode(&sent.bhs).unwrap())
}

fn answer_logout(script: &mut Script, (stream, request): (StreamId, LogoutRequest), result: LogoutResult) {
    let numbers = script.count(stream);
    let (task_tag, time_to_wait_s, time_to_retain_s) = (request.task_tag, 0, 20);
    let response = LogoutResponse { result, task_tag, numbers, time_to_wait_s, time_to_retain_s };
    let bytes = script.pdu(stream, &response.encode(), &[]);
    script.deliver(stream, &bytes);
}

/// Agrees to all requests to reassign, and gives the tags with the streams they came by.
fn reassign_all(script: &mut Script) -> Vec<(StreamId, u32)> {
    let is_one = |sent: &mut Sent| sent.opcode() == Opcode::TaskRequest;
    let requests: Vec<Sent> = script.seen.extract_if(.., is_one).collect();
    let mut tags = Vec::new();
    for sent in requests {
        let request = TaskRequest::decode(&sent.bhs).unwrap();
        assert_eq!(request.function, TaskFunction::TaskReassign.code());
        assert!(request.immediate);
        let numbers = script.count(sent.stream);
        let response = TaskResponse { result: TaskResult::Complete, task_tag: request.task_tag, numbers };
        let bytes = script.pdu(sent.stream, &response.encode(), &[]);
        script.deliver(sent.stream, &bytes);
        tags.push((sent.stream, request.referenced_tag));
    }
    tags
}

#[test]
fn at_level_2_the_others_take_over_what_a_lost_connection_had() {
    let mut script = connected(3, 2);
    let commands = read(&mut script, 6);
    let lost = commands[1].0;
    let of_lost: Vec<_> = commands.iter().filter(|(stream, _)| *stream == lost).collect();
    // The target has taken all of them.
    script.resume_at = commands.last().unwrap().1.cmd_sn.next();
    script.env.finish(lost);
    script.run();
    let logout = take_logout(&mut script);
    assert_eq!((logout.1.reason, logout.1.connection_id), (LogoutReason::RemoveForRecovery, 1));
    assert!(logout.1.immediate && logout.0 != lost && script.seen.is_empty(), "and then it waits");
    answer_logout(&mut script, logout, LogoutResult::Closed);
    let reassigned = reassign_all(&mut script);
    let streams: Vec<StreamId> = reassigned.iter().map(|(stream, _)| *stream).collect();
    assert_ne!(streams[0], streams[1], "they are spread");
    let mut done = 0;
    for (_, command) in &of_lost {
        let (stream, _) = reassigned.iter().find(|(_, tag)| *tag == command.task_tag).expect("its tag stays");
        answer(&mut script, &(*stream, *command));
        done += script.done().len();
    }
    assert_eq!((of_lost.len(), done), (2, 2));
    // The lost connection comes up again, with nothing to take up.
    script.env.advance(core::time::Duration::from_millis(1));
    script.run();
    let login = script.logins.last().unwrap();
    assert_eq!((login.tsih, login.connection_id, script.logins.len()), (5, 1, 4));
    assert!(script.initiator.is_live() && script.initiator.poll_event().is_none(), "nobody is told");
    let more = read(&mut script, 3);
    let new = script.stream();
    assert!(more.iter().any(|(stream, _)| *stream == new), "it is used");
    let others = commands.iter().filter(|(stream, _)| *stream != lost).chain(&more);
    others.for_each(|command| answer(&mut script, command));
    assert_eq!(script.done().len(), 7);
}

#[test]
fn tasks_go_on_by_whatever_connection_is_left_each_time() {
    let mut script = connected(2, 2);
    let commands = read(&mut script, 2);
    let (first, second) = (commands[0].0, commands[1].0);
    script.resume_at = commands[1].1.cmd_sn.next();
    script.env.finish(first);
    script.run();
    let logout = take_logout(&mut script);
    answer_logout(&mut script, logout, LogoutResult::Closed);
    assert_eq!(reassign_all(&mut script), [(second, commands[0].1.task_tag)]);
    script.env.advance(core::time::Duration::from_millis(1));
    script.run();
    // Now both are at the second, and that is lost, too.
    script.env.finish(second);
    script.run();
    let logout = take_logout(&mut script);
    assert_eq!(logout.1.connection_id, 1);
    answer_logout(&mut script, logout, LogoutResult::Closed);
    let new = logout.0;
    let mut tags: Vec<_> = reassign_all(&mut script);
    tags.sort_unstable_by_key(|(_, tag)| *tag);
    let mut expected: Vec<_> = commands.iter().map(|(_, command)| (new, command.task_tag)).collect();
    expected.sort_unstable_by_key(|(_, tag)| *tag);
    assert_eq!(tags, expected);
    commands.iter().for_each(|(_, command)| answer(&mut script, &(new, *command)));
    assert_eq!(script.done().len(), 2);
}

#[test]
fn a_target_that_does_not_let_go_gets_another_stream() {
    for result in [LogoutResult::CleanupFailed, LogoutResult::NoSuchConnection] {
        let mut script = connected(2, 2);
        let commands = read(&mut script, 2);
        script.resume_at = commands[1].1.cmd_sn.next();
        script.env.finish(commands[0].0);
        script.run();
        let logout = take_logout(&mut script);
        answer_logout(&mut script, logout, result);
        let new = script.stream();
        assert_eq!((script.logins.len(), script.logins[2].connection_id), (3, 0));
        assert_eq!(reassign_all(&mut script), [(new, commands[0].1.task_tag)]);
    }
}

#[test]
fn at_level_2_the_others_go_on_while_one_is_made_anew() {
    let mut script = connected(3, 2);
    let commands = read(&mut script, 6);
    let lost = commands[1].0;
    let (of_lost, of_others): (Vec<_>, Vec<_>) = commands.iter().partition(|(stream, _)| *stream == lost);
    // The target has taken all of them.
    script.resume_at = commands.last().unwrap().1.cmd_sn.next();
    script.mute = true;
    script.env.finish(lost);
    script.run();
    of_others.iter().for_each(|command| answer(&mut script, command));
    assert_eq!(script.done().len(), 4, "they do not wait");
    script.mute = false;
    assert_eq!(take_logout(&mut script).1.connection_id, 1);
    assert!(script.seen.is_empty(), "nothing before it is answered");
    // That it was not heard: another stream, then.
    script.env.advance(core::time::Duration::from_secs(11));
    script.run();
    script.env.advance(core::time::Duration::from_secs(1));
    script.run();
    let login = script.logins.last().unwrap();
    assert_eq!((login.tsih, login.connection_id), (5, 1));
    assert!(script.initiator.is_live() && script.initiator.poll_event().is_none(), "nobody is told");
    let new = script.stream();
    let expected: Vec<_> = of_lost.iter().map(|(_, command)| (new, command.task_tag)).collect();
    assert_eq!(reassign_all(&mut script), expected);
    of_lost.iter().for_each(|(_, command)| answer(&mut script, &(new, *command)));
    assert_eq!(script.done().len(), 2);
}

#[test]
fn a_connection_may_be_dropped_by_word_of_another() {
    for (level, is_live) in [(2, true), (0, false)] {
        let mut script = connected(3, level);
        let streams: Vec<StreamId> = script.connections.keys().copied().collect();
        let event = AsyncEvent::ConnectionDrop { connection_id: 1, time_to_wait_s: 0, time_to_retain_s: 20 };
        script.resume_at = script.connections[&streams[0]].exp_cmd_sn.get();
        let numbers = script.count(streams[0]);
        let message = AsyncMessage { lun: Lun::default(), numbers, event };
        let bytes = script.pdu(streams[0], &message.encode(0), &[]);
        script.deliver(streams[0], &bytes);
        assert!(script.env.stream(streams[1]).closed.is_some());
        assert_eq!(script.env.stream(streams[2]).closed.is_none(), is_live);
        assert_eq!(script.initiator.is_live(), is_live);
        if is_live {
            let login = script.logins.last().unwrap();
            assert_eq!((login.tsih, login.connection_id), (5, 1));
        }
    }
}

#[test]
fn what_the_target_had_not_taken_keeps_its_place_in_the_order() {
    let mut script = connected(2, 2);
    let commands = read(&mut script, 2);
    let (lost, missing) = commands[0];
    // The first never came: the target waits with the second for it.
    script.resume_at = missing.cmd_sn;
    script.connections.get(&commands[1].0).unwrap().exp_cmd_sn.set(missing.cmd_sn);
    script.env.finish(lost);
    script.run();
    let logout = take_logout(&mut script);
    answer_logout(&mut script, logout, LogoutResult::Closed);
    let again = take_commands(&mut script);
    assert_eq!(again[0].0, commands[1].0, "by the connection that is left");
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].1.cmd_sn, again[0].1.task_tag), (missing.cmd_sn, missing.task_tag));
    script.connections.get(&again[0].0).unwrap().exp_cmd_sn.set(commands[1].1.cmd_sn.next());
    answer(&mut script, &again[0]);
    answer(&mut script, &commands[1]);
    assert_eq!(script.done().len(), 2);
    let next = read(&mut script, 1);
    assert_eq!(next[0].1.cmd_sn, commands[1].1.cmd_sn.next());
}
