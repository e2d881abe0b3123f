//! A target that lies to the initiator over iSER ends its own session, and completes nothing; one that is late is helped.

mod iser_script;

use block::{BlockDevice, Done, Io, Op, Status};
use core::time::Duration;
use iser_script::{Script, bhs, options};
use scsi::iscsi::initiator::{ConnectionEnd, Failure, InitiatorEvent, InitiatorOptions, Misbehaviour};
use stdx::env::Env;
use stdx::slab::Key;
use verbs::{Data, Key as MemoryKey};
use wire::iscsi::{
    Bhs, Opcode, RESERVED_TAG, ScsiCommand, TaskFunction, TaskRequest, TaskResponse, TaskResult,
};
use wire::iser::{Advertised, HEADER_LEN, Header, MESSAGE_LEN_MIN};

/// How a lie ends the connection: it is told instead of the answer to a read.
fn lie(tell: impl FnOnce(&mut Script, Key, &[u8])) -> ConnectionEnd {
    let mut script = Script::connected(InitiatorOptions { watch_interval: Duration::ZERO, ..options() });
    let mut channel = script.initiator.disk(0).unwrap().open();
    let place = script.env.mem().take(16 << 10).unwrap();
    let read = Io { tag: 1, op: Op::Read, lba: 5, blocks: 4, fua: false, lend: false, data: place };
    channel.submit(&mut script.env, read).unwrap();
    script.settle();
    let (connection, message) = script.messages.pop_front().expect("a command");
    tell(&mut script, connection, &message);
    script.settle();
    let [InitiatorEvent::ConnectionLost(Failure::Connection(ref why))] = script.events[..] else {
        panic!("{:?}", script.events)
    };
    let why = why.clone();
    let mut done: Vec<Done> = Vec::new();
    channel.poll(&mut script.env, &mut done);
    assert!(done.is_empty(), "{done:?}");
    // It connects again, and is answered then.
    for _ in 0..20 {
        script.pass(Duration::from_secs(1));
        script.answer_all();
    }
    channel.poll(&mut script.env, &mut done);
    assert_eq!((done.len(), done[0].status), (1, Status::Ok));
    why
}

fn message() -> ConnectionEnd {
    ConnectionEnd::Misbehaved(Misbehaviour::Message)
}

/// The right answer to a read, as a message.
fn answer(script: &mut Script, connection: Key, message: &[u8]) -> Vec<u8> {
    let command = ScsiCommand::decode(bhs(message).unwrap()).unwrap();
    let bhs = script.response(connection, &command, 0, command.expected_length);
    [&Header::default().encode()[..], bhs.bytes()].concat()
}

#[test]
fn messages_that_are_not_one_pdu_end_the_connection() {
    for len in [0, 1, HEADER_LEN, MESSAGE_LEN_MIN - 1, MESSAGE_LEN_MIN + 1, MESSAGE_LEN_MIN + 4] {
        let why = lie(|script, connection, command| {
            let mut bytes = answer(script, connection, command);
            bytes.resize(len, 0);
            script.send_bytes(connection, &bytes);
        });
        assert_eq!(why, message(), "{len} bytes");
    }
    // Longer than any receive: the device itself refuses it.
    let why = lie(|script, connection, _| {
        let bytes = script.memory.first(300 << 10);
        script.target.send(&mut script.device, connection, 1, Data::Own(&[bytes])).unwrap();
    });
    assert!(matches!(why, ConnectionEnd::ByPeer | ConnectionEnd::Rdma(_)), "{why:?}");
}

#[test]
fn headers_that_no_target_sends_end_the_connection() {
    let memory = Some(Advertised { key: 1, offset: 0 });
    for header in [Header { read: memory, write: None }, Header { write: memory, read: None }] {
        let why = lie(|script, connection, command| {
            let bytes = answer(script, connection, command);
            script.send_bytes(connection, &[&header.encode()[..], &bytes[HEADER_LEN..]].concat());
        });
        assert_eq!(why, message());
    }
    // Hello, HelloReply, and what has no meaning (RFC 7145, section 9.1).
    for opcode in [0x00, 0x20, 0x30, 0x40, 0xf0] {
        let why = lie(|script, connection, command| {
            let mut bytes = answer(script, connection, command);
            bytes[0] = opcode;
            script.send_bytes(connection, &bytes);
        });
        assert_eq!(why, message(), "{opcode:#x}");
    }
}

/// RFC 7145, section 7.3: no Data-In and no R2T travels as a message.
#[test]
fn what_the_device_does_is_not_said() {
    for opcode in [0x25, 0x31] {
        let why = lie(|script, connection, command| {
            let mut bytes = answer(script, connection, command);
            bytes[HEADER_LEN] = opcode;
            script.send_bytes(connection, &bytes);
        });
        assert_eq!(why, ConnectionEnd::Misbehaved(Misbehaviour::Phase), "{opcode:#x}");
    }
}

#[test]
fn a_response_to_nothing_ends_the_connection() {
    for tag in [RESERVED_TAG, 0, 77] {
        let why = lie(|script, connection, command| {
            let mut bytes = answer(script, connection, command);
            let mut bhs: Bhs = *bhs(&bytes).unwrap();
            bhs.task_tag.set(bhs.task_tag.get() ^ tag.max(1 << 30));
            bytes[HEADER_LEN..].copy_from_slice(bhs.bytes());
            script.send_bytes(connection, &bytes);
        });
        assert_eq!(why, ConnectionEnd::Misbehaved(Misbehaviour::UnknownTask), "{tag:#x}");
    }
}

/// A key that a response closes is its command's own (RFC 7145, section 7.3.2).
#[test]
fn a_key_of_another_is_not_closed() {
    let why = lie(|script, connection, command| {
        let bytes = answer(script, connection, command);
        let key = Header::decode(command).unwrap().read.unwrap().key;
        let other = MemoryKey(key ^ 1 << 8);
        let Script { target, device, .. } = script;
        target.send_invalidate(device, connection, 1, other, Data::Inline(&bytes)).unwrap();
    });
    let broken = matches!(why, ConnectionEnd::Rdma(_) | ConnectionEnd::ByPeer);
    assert!(broken || why == ConnectionEnd::Misbehaved(Misbehaviour::Invalidation), "{why:?}");
}

/// A command that is aborted, or whose unit is reset, is tried again, and the memory that was open for it is so no more.
#[test]
fn memory_of_what_was_aborted_is_closed() {
    for (function, wait) in [(TaskFunction::AbortTask, 31), (TaskFunction::LogicalUnitReset, 46)] {
        let mut script = Script::connected(InitiatorOptions { watch_interval: Duration::ZERO, ..options() });
        let mut channel = script.initiator.disk(0).unwrap().open();
        let place = script.env.mem().take(4096).unwrap();
        let read = Io { tag: 1, op: Op::Read, lba: 5, blocks: 1, fua: false, lend: false, data: place };
        channel.submit(&mut script.env, read).unwrap();
        script.settle();
        let (connection, command) = script.messages.pop_front().expect("a command");
        let mut managed = None;
        for _ in 0..wait {
            script.pass(Duration::from_secs(1));
            while let Some((connection, message)) = script.messages.pop_front() {
                match bhs(&message).unwrap().opcode() {
                    Some(Opcode::TaskRequest) => managed = TaskRequest::decode(bhs(&message).unwrap()).ok(),
                    _ => script.answer(connection, &message),
                }
            }
        }
        let managed = managed.expect("task management");
        assert_eq!(managed.function, function.code());
        let numbers = script.count(connection);
        let response =
            TaskResponse { result: TaskResult::Complete, task_tag: managed.task_tag, numbers }.encode();
        script.send(connection, &response, &[]);
        // What is tried again waits a little.
        script.pass(Duration::from_secs(1));
        let (_, again) = script.messages.pop_front().expect("it is tried again");
        let of = |message: &[u8]| Header::decode(message).unwrap().read.unwrap().key;
        assert_ne!(of(&again), of(&command), "{function:?}");
        assert_eq!(
            ScsiCommand::decode(bhs(&again).unwrap()).unwrap().cdb,
            ScsiCommand::decode(bhs(&command).unwrap()).unwrap().cdb
        );
        assert!(script.events.is_empty(), "the connection goes on: {:?}", script.events);
        // What the target writes late goes nowhere, and ends the connection.
        script.write(connection, &command, &[0xee; 4096]);
        script.settle();
        let mut bytes = [0; 4096];
        script.env.mem().read(place, &mut bytes);
        assert!(!bytes.contains(&0xee), "{function:?}");
        assert!(matches!(script.events[..], [InitiatorEvent::ConnectionLost(_)]), "{:?}", script.events);
    }
}
