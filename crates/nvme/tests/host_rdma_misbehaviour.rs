//! A controller that breaks the rules over RDMA loses its association; the requests outlive it, and the host goes on over the
//! next one.

mod peer;

use block::{Op, Status as Outcome};
use core::time::Duration;
use nvme::host::rdma::QueueEnd;
use nvme::host::{Failure, HostEvent, HostOptions};
use peer::{Peer, options};
use stdx::env::Env;
use wire::nvme::{CompletionQueueEntry, Sgl, Status, SubmissionQueueEntry};

/// A read of 8 KiB and a write of 64 KiB are under way, and the controller does this; how the host lost the connection.
fn lost(act: impl FnOnce(&mut Peer, &SubmissionQueueEntry, &SubmissionQueueEntry)) -> QueueEnd {
    let mut peer = Peer::connected(options());
    for (tag, op, blocks) in [(0, Op::Read, 2), (1, Op::Write, 16)] {
        let io = peer.io(tag, op, 0, blocks);
        let mut channel = peer.channel.take().unwrap();
        channel.submit(&mut peer.env, io).unwrap();
        peer.channel = Some(channel);
        peer.settle();
    }
    let [(_, read), (_, write)] = peer.seen[..] else { panic!("{:?}", peer.seen) };
    act(&mut peer, &read, &write);
    peer.settle();
    assert_eq!(peer.done(), [], "nothing is told to be done");
    let [HostEvent::ConnectionLost(Failure::Rdma(why))] = peer.events[..] else {
        panic!("{:?}", peer.events)
    };
    peer.seen.clear();
    peer.run_for(Duration::from_secs(5));
    assert_eq!(peer.events[1..], [HostEvent::Reconnected]);
    for (connection, command) in core::mem::take(&mut peer.seen) {
        if peer.queues.contains(&(connection, 1)) {
            peer.answer(connection, &command, Status::SUCCESS, 0);
        }
    }
    peer.settle();
    let done = peer.done();
    assert!(done.len() == 2 && done.iter().all(|done| done.status == Outcome::Ok), "{done:?}");
    why
}

fn io_queue(peer: &Peer) -> stdx::slab::Key {
    peer.queues.iter().find(|(_, id)| *id == 1).unwrap().0
}

fn key_of(command: &SubmissionQueueEntry) -> u32 {
    match command.data.decode() {
        Ok(Sgl::Keyed { key, .. }) => key,
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_that_are_no_responses_end_the_association() {
    for len in [0, 1, 15] {
        let why = lost(|peer, _, _| peer.say(io_queue(peer), &[7; 16][..len], None));
        assert_eq!(why, QueueEnd::Length(len as u32));
    }
    // A longer one than there is room for is the device's to refuse.
    let why = lost(|peer, _, _| peer.say(io_queue(peer), &[7; 17], None));
    assert!(matches!(why, QueueEnd::Length(_) | QueueEnd::Broken(_) | QueueEnd::ByPeer), "{why:?}");
}

#[test]
fn responses_to_nothing_end_the_association() {
    let why = lost(|peer, read, _| {
        let mut stranger = *read;
        stranger.command_id = (read.command_id.get() ^ 0x5500).into();
        peer.answer(io_queue(peer), &stranger, Status::SUCCESS, 0);
    });
    assert!(matches!(why, QueueEnd::UnknownCommand(_)), "{why:?}");
    // Of the other queue: a command of the same number may be outstanding here, and is not there.
    let why = lost(|peer, read, _| {
        let admin = peer.queues.iter().find(|(_, id)| *id == 0).unwrap().0;
        peer.answer(admin, read, Status::SUCCESS, 0);
    });
    assert!(matches!(why, QueueEnd::UnknownCommand(_) | QueueEnd::Invalidation), "{why:?}");
}

#[test]
fn keys_that_are_not_the_commands_end_the_association() {
    let response = |command: &SubmissionQueueEntry| {
        let mut bytes = [0; CompletionQueueEntry::LEN];
        CompletionQueueEntry::new(command.command_id.get(), Status::SUCCESS).encode(&mut bytes).unwrap();
        bytes
    };
    let why = lost(|peer, read, write| peer.say(io_queue(peer), &response(read), Some(key_of(write))));
    assert_eq!(why, QueueEnd::Invalidation);
    // What opens nothing cannot be closed: the device refuses the message.
    let why = lost(|peer, read, _| peer.say(io_queue(peer), &response(read), Some(key_of(read) ^ 0x80)));
    assert!(matches!(why, QueueEnd::Broken(_) | QueueEnd::ByPeer), "{why:?}");
}

#[test]
fn writes_where_they_do_not_belong_end_the_association() {
    let past_the_end = lost(|peer, read, _| peer.write(io_queue(peer), read, 8192 - 4, &[1; 8]));
    let from_before = lost(|peer, read, _| peer.write(io_queue(peer), read, u64::MAX, &[1; 8]));
    let to_what_is_read = lost(|peer, _, write| peer.write(io_queue(peer), write, 0, &[1; 8]));
    for why in [past_the_end, from_before, to_what_is_read] {
        assert!(matches!(why, QueueEnd::Broken(_) | QueueEnd::ByPeer), "{why:?}");
    }
}

#[test]
fn a_controller_that_says_nothing_is_left() {
    let mut peer = Peer::connected(HostOptions { command_timeout: Duration::from_secs(2), ..options() });
    peer.mute = true;
    let io = peer.io(0, Op::Read, 0, 1);
    let mut channel = peer.channel.take().unwrap();
    channel.submit(&mut peer.env, io).unwrap();
    peer.channel = Some(channel);
    peer.run_for(Duration::from_secs(60));
    assert!(matches!(peer.events[0], HostEvent::ConnectionLost(_)), "{:?}", peer.events);
    assert_eq!(peer.done(), []);
    peer.host.close(&mut peer.env);
    peer.settle();
    assert_eq!(peer.done()[0].status, Outcome::Gone);
    peer.env.mem().give(io.data);
}
