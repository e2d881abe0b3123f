//! The RDMA transport of the controller side, driven by a host that is played by hand over a loopback device.

mod rdma_world;

use nvme::target::rdma::Limits;
use rdma_world::{BLOCK, ENTRIES, MEMORY, TAG, World, block, pattern, request};
use stdx::env::Env;
use verbs::{Access, Data, Parameters, Provider, Work};
use wire::nvme::fabrics::ConnectAttributes;
use wire::nvme::rdma::{QueueRequest, RejectStatus};
use wire::nvme::{NvmOpcode, Sgl, Status};
use zerocopy::IntoBytes;

#[test]
fn data_goes_both_ways_by_capsule_and_by_memory() {
    let mut world = World::new();
    let [_, io] = world.ready();
    let bytes = pattern(4096, 1);
    let in_capsule = Sgl::InCapsule { offset: 0, length: 4096 };
    let write = block(NvmOpcode::Write, 1, 0, 8, in_capsule);
    assert_eq!(world.run(io.connection, &write, &bytes).status(), Status::SUCCESS);
    let large = pattern(256 << 10, 2);
    world.fill(0, &large);
    let write = block(NvmOpcode::Write, 2, 8, 512, world.keyed(0, large.len()));
    assert_eq!(world.run(io.connection, &write, &[]).status(), Status::SUCCESS);
    world.fill(0, &vec![0; large.len()]);
    let read = block(NvmOpcode::Read, 3, 0, 8, world.keyed(300_000, 4096));
    assert_eq!(world.run(io.connection, &read, &[]).status(), Status::SUCCESS);
    assert_eq!(world.bytes(300_000, 4096), bytes);
    let read = block(NvmOpcode::Read, 4, 8, 512, world.keyed(1, large.len()));
    assert_eq!(world.run(io.connection, &read, &[]).status(), Status::SUCCESS);
    assert_eq!(world.bytes(1, large.len()), large);
}

#[test]
fn a_host_learns_whether_to_follow_the_head() {
    assert_eq!(World::new().first_head(ConnectAttributes::NONE), 1);
    assert_eq!(World::new().first_head(ConnectAttributes::DISABLE_FLOW_CONTROL), u16::MAX);
}

#[test]
fn many_commands_at_once_are_all_answered() {
    let mut world = World::with(Limits { sends: 3, ..Limits::default() });
    let [_, io] = world.ready();
    for round in 0..4u8 {
        for id in 0..ENTRIES - 1 {
            let bytes = pattern(BLOCK, id as u8 ^ round);
            world.fill(usize::from(id) * BLOCK, &bytes);
            let sgl = world.keyed(usize::from(id) * BLOCK, BLOCK);
            world.send(io.connection, &block(NvmOpcode::Write, id, id.into(), 1, sgl), &[]);
            if id % 8 == 7 {
                world.turn();
            }
        }
        assert_eq!(world.completions(io.connection).len(), usize::from(ENTRIES) - 1);
        let sgl = world.keyed(100_000, 31 * BLOCK);
        world.run(io.connection, &block(NvmOpcode::Read, 99, 0, 31, sgl), &[]);
        for id in 0..ENTRIES - 1 {
            let bytes = world.bytes(100_000 + usize::from(id) * BLOCK, BLOCK);
            assert_eq!(bytes, pattern(BLOCK, id as u8 ^ round), "block {id}");
        }
    }
    assert!(world.server.counters().stalls > 0, "there was less room than commands");
}

#[test]
fn a_region_is_closed_with_the_response_if_the_host_asks() {
    let mut world = World::new();
    let [_, io] = world.ready();
    let key = world.device.alloc_region(world.host.pd(), 1).unwrap().with_life(3);
    let access = Access::LOCAL_WRITE.with(Access::REMOTE_WRITE);
    let pieces = [world.span.first(BLOCK)];
    let register = Work::Register { key, pieces: &pieces, address: 0, access };
    world.host.post(&mut world.device, io.connection, 2, register, Data::NONE, false).unwrap();
    let sgl = Sgl::Keyed { address: 0, length: BLOCK as u32, key: key.0, invalidate: true };
    world.send(io.connection, &block(NvmOpcode::Read, 5, 0, 1, sgl), &[]);
    let completions = world.completions(io.connection);
    assert_eq!((completions[0].0.status(), completions[0].1), (Status::SUCCESS, true));
    // The key opens nothing any more: the next command with it ends the connection.
    world.send(io.connection, &block(NvmOpcode::Read, 6, 0, 1, sgl), &[]);
    assert_eq!(world.completions(io.connection).len(), 0);
    assert!(!world.is_alive(io));
}

#[test]
fn queues_that_cannot_be_had_are_refused_with_the_reason() {
    let mut world = World::with(Limits { connections_max: 1, ..Limits::default() });
    let with = |change: fn(&mut QueueRequest)| {
        let mut asked = request(0);
        change(&mut asked);
        asked.encode()
    };
    let deaf = Parameters { responder_resources: 0, ..Parameters::default() };
    let deaf = world.ask_with(deaf, &request(0).encode()).err();
    assert_eq!(deaf, Some(RejectStatus::InboundReadDepth), "its memory could not be read");
    let mut ask = |bytes: &[u8]| world.ask(bytes).map(|_| ());
    let mut format = request(0).encode();
    format[0] = 1;
    assert_eq!(ask(&format), Err(RejectStatus::RecordFormat));
    // What is too short comes filled up, since a REQ's private data has one length (`wire` tries it); and of how many reads a
    // host begins, nothing is asked, as it reads nothing of a controller's.
    assert_eq!(ask(&[]), Err(RejectStatus::HostSendSize));
    let stranger = with(|asked| (asked.queue_id, asked.controller_id) = (1, 77));
    assert_eq!(ask(&stranger), Err(RejectStatus::ControllerId));
    assert_eq!(ask(&with(|asked| asked.queue_id = 1000)), Err(RejectStatus::QueueId));
    assert_eq!(ask(&with(|asked| asked.host_send_size_zero_based = 0)), Err(RejectStatus::HostSendSize));
    assert_eq!(ask(&with(|asked| asked.host_send_size_zero_based = 200)), Err(RejectStatus::HostSendSize));
    assert_eq!(ask(&with(|asked| asked.host_receive_size = 3)), Err(RejectStatus::HostReceiveSize));
    assert_eq!(ask(&request(0).encode()), Ok(()));
    assert_eq!(ask(&request(0).encode()), Err(RejectStatus::NoResources));
}

#[test]
fn what_a_command_may_not_say_is_answered_and_harms_no_other() {
    let mut world = World::new();
    let [_, io] = world.ready();
    let bytes = pattern(BLOCK, 1);
    let mut status = |sgl: Sgl, data: &[u8]| {
        world.run(io.connection, &block(NvmOpcode::Write, 1, 0, 1, sgl), data).status().with_do_not_retry()
    };
    let length = BLOCK as u32;
    assert_eq!(
        status(Sgl::InCapsule { offset: 1, length }, &bytes),
        Status::SGL_OFFSET_INVALID.with_do_not_retry()
    );
    assert_eq!(
        status(Sgl::InCapsule { offset: u64::MAX, length }, &bytes),
        Status::SGL_OFFSET_INVALID.with_do_not_retry()
    );
    assert_eq!(
        status(Sgl::Transport { length }, &[]),
        Status::SGL_DESCRIPTOR_TYPE_INVALID.with_do_not_retry()
    );
    assert_eq!(
        status(Sgl::InCapsule { offset: 0, length: 3 }, &bytes),
        Status::DATA_SGL_LENGTH_INVALID.with_do_not_retry()
    );
    assert_eq!(status(Sgl::InCapsule { offset: 0, length }, &bytes), Status::SUCCESS.with_do_not_retry());
    let behind = [&[0xee; 16][..], &bytes].concat();
    assert_eq!(status(Sgl::InCapsule { offset: 16, length }, &behind), Status::SUCCESS.with_do_not_retry());
    assert!(world.is_alive(io));
}

#[test]
fn hosts_that_break_the_rules_lose_their_connection_and_no_other() {
    let mut world = World::new();
    let [admin, io] = world.ready();
    // Memory that is not theirs.
    let other = world.connect(2, admin.controller);
    let sgl = Sgl::Keyed { address: 5, length: BLOCK as u32, key: 77, invalidate: false };
    world.send(other.connection, &block(NvmOpcode::Write, 1, 0, 1, sgl), &[]);
    world.settle();
    assert!(!world.is_alive(other));
    // A capsule shorter than a command.
    for (queue, len) in [(3, 0), (4, 1), (5, 63)] {
        let short = world.connect(queue, admin.controller);
        world.host.send(&mut world.device, short.connection, 1, Data::Inline(&[0; 63][..len])).unwrap();
        world.settle();
        assert!(!world.is_alive(short), "{len} bytes");
    }
    // A command before Connect is answered, a queue that was never connected is ended in time.
    let early = world.open(6);
    let read = block(NvmOpcode::Read, 1, 0, 1, world.keyed(0, BLOCK));
    assert_eq!(
        world.run(early, &read, &[]).status().with_do_not_retry(),
        Status::COMMAND_SEQUENCE_ERROR.with_do_not_retry()
    );
    world.happened.clear();
    let late = world.env.now() + Limits::default().handshake_time;
    world.env.set_now(late);
    world.settle();
    assert_eq!(world.server.counters().handshakes_timed_out, 1);
    let read = block(NvmOpcode::Read, 1, 0, 1, world.keyed(0, BLOCK));
    world.happened.clear();
    assert_eq!(world.run(io.connection, &read, &[]).status(), Status::SUCCESS);
}

/// A last segment of these descriptors, so far into the capsule's data, and that data.
fn segment(list: &[Sgl], offset: usize) -> (Sgl, Vec<u8>) {
    let mut bytes = vec![0xee; offset];
    list.iter().for_each(|sgl| bytes.extend_from_slice(sgl.encode().as_bytes()));
    let length = (list.len() * 16) as u32;
    (Sgl::Segment { address: offset as u64, length, in_capsule: true, last: true }, bytes)
}

#[test]
fn memory_may_be_in_several_pieces() {
    let mut world = World::new();
    let [_, io] = world.ready();
    let data = pattern(4096, 9);
    let lens = [1, 511, 0, 2048, 1536];
    for (count, offset) in [(5, 0), (5, 48), (16, 16)] {
        let mut pieces = lens.to_vec();
        pieces.resize(count, 0);
        let mut list = vec![];
        let (mut at, mut from) = (100, 0);
        for len in pieces {
            list.push(world.keyed(at, len));
            world.fill(at, &data[from..from + len]);
            (at, from) = (at + len + 7, from + len);
        }
        let (sgl, bytes) = segment(&list, offset);
        let written = world.run(io.connection, &block(NvmOpcode::Write, 1, 8, 8, sgl), &bytes);
        assert_eq!(written.status(), Status::SUCCESS, "{count} pieces");
        let one = block(NvmOpcode::Read, 2, 8, 8, world.keyed(500_000, 4096));
        assert_eq!(world.run(io.connection, &one, &[]).status(), Status::SUCCESS);
        assert!(world.bytes(500_000, 4096) == data);
        world.fill(100, &vec![0; 8192]);
        let read = world.run(io.connection, &block(NvmOpcode::Read, 3, 8, 8, sgl), &bytes);
        assert_eq!(read.status(), Status::SUCCESS);
        let mut at = 100;
        let mut got = vec![];
        for len in lens {
            got.extend(world.bytes(at, len));
            assert_eq!(world.bytes(at + len, 7), [0; 7], "nothing between the pieces");
            at += len + 7;
        }
        assert!(got == data);
    }
}

#[test]
fn lists_that_are_none_are_answered_with_the_reason() {
    let mut world = World::new();
    let [_, io] = world.ready();
    let keyed = world.keyed(0, BLOCK);
    let mut status = |sgl: Sgl, bytes: &[u8]| {
        let completion = world.run(io.connection, &block(NvmOpcode::Write, 1, 0, 1, sgl), bytes);
        completion.status().with_do_not_retry()
    };
    let of = |status: Status| status.with_do_not_retry();
    let (sgl, bytes) = segment(&[keyed; 17], 0);
    assert_eq!(status(sgl, &bytes), of(Status::INVALID_SGL_DESCRIPTOR_COUNT));
    let (sgl, bytes) = segment(&[keyed, keyed], 0);
    assert_eq!(status(sgl, &bytes), of(Status::DATA_SGL_LENGTH_INVALID), "twice the block");
    assert_eq!(status(sgl, &bytes[..31]), of(Status::SGL_OFFSET_INVALID), "cut off");
    for length in [0, 15, 17, 31] {
        let part = Sgl::Segment { address: 0, length, in_capsule: true, last: true };
        assert_eq!(status(part, &bytes), of(Status::INVALID_SGL_SEGMENT_DESCRIPTOR), "{length} bytes");
    }
    let far = Sgl::Segment { address: u64::MAX - 15, length: 16, in_capsule: true, last: true };
    assert_eq!(status(far, &bytes), of(Status::SGL_OFFSET_INVALID));
    let (sgl, bytes) = segment(&[Sgl::InCapsule { offset: 16, length: BLOCK as u32 }], 0);
    assert_eq!(status(sgl, &bytes), of(Status::SGL_DESCRIPTOR_TYPE_INVALID));
    let more = Sgl::Segment { address: 0, length: 16, in_capsule: true, last: false };
    assert_eq!(status(more, &bytes), of(Status::INVALID_SGL_DESCRIPTOR_COUNT));
    let large = Sgl::Keyed { address: 0, length: (1 << 24) - 1, key: 1, invalidate: false };
    let (sgl, bytes) = segment(&[large, large], 0);
    assert_eq!(status(sgl, &bytes), of(Status::DATA_SGL_LENGTH_INVALID));
    let (sgl, bytes) = segment(&[keyed], 0);
    assert_eq!(status(sgl, &bytes), of(Status::SUCCESS));
}

#[test]
fn a_piece_past_the_end_ends_the_queue() {
    for opcode in [NvmOpcode::Read, NvmOpcode::Write] {
        let mut world = World::new();
        let [admin, io] = world.ready();
        let other = world.connect(2, admin.controller);
        let list = [world.keyed(0, 256), world.keyed(MEMORY - 128, 256)];
        let (sgl, bytes) = segment(&list, 0);
        world.send(other.connection, &block(opcode, 1, 0, 1, sgl), &bytes);
        world.settle();
        world.happened.clear();
        assert!(!world.is_alive(other) && world.is_alive(io));
    }
}

/// A command over this memory costs its own queue alone.
fn lost(opcode: NvmOpcode, sgl: impl FnOnce(&World) -> Sgl) {
    let mut world = World::new();
    let [admin, io] = world.ready();
    let other = world.connect(2, admin.controller);
    let sgl = sgl(&world);
    world.send(other.connection, &block(opcode, 1, 0, 1, sgl), &[]);
    world.settle();
    world.happened.clear();
    assert!(!world.is_alive(other) && world.is_alive(io));
    let read = block(NvmOpcode::Read, 2, 0, 1, world.keyed(0, BLOCK));
    assert_eq!(world.run(io.connection, &read, &[]).status(), Status::SUCCESS);
}

#[test]
fn keys_of_zero_end_the_queue() {
    let zero = |world: &World| match world.keyed(0, BLOCK) {
        Sgl::Keyed { address, length, .. } => Sgl::Keyed { address, length, key: 0, invalidate: false },
        other => other,
    };
    lost(NvmOpcode::Read, zero);
    lost(NvmOpcode::Write, zero);
}

#[test]
fn keyed_descriptors_past_the_end_end_the_queue() {
    lost(NvmOpcode::Read, |world| world.keyed(MEMORY - BLOCK / 2, BLOCK));
    lost(NvmOpcode::Write, |world| world.keyed(MEMORY - BLOCK / 2, BLOCK));
    let wrapping = |world: &World| match world.keyed(0, BLOCK) {
        Sgl::Keyed { length, key, .. } => {
            Sgl::Keyed { address: u64::MAX - 100, length, key, invalidate: false }
        }
        other => other,
    };
    lost(NvmOpcode::Write, wrapping);
}

/// Bytes behind a command that no descriptor speaks of are nobody's.
#[test]
fn what_follows_a_command_unasked_is_ignored() {
    let mut world = World::new();
    let [_, io] = world.ready();
    let bytes = pattern(BLOCK, 7);
    world.fill(0, &bytes);
    let write = block(NvmOpcode::Write, 1, 0, 1, world.keyed(0, BLOCK));
    assert_eq!(world.run(io.connection, &write, &[0xee; 100]).status(), Status::SUCCESS);
    let read = block(NvmOpcode::Read, 2, 0, 1, world.keyed(BLOCK, BLOCK));
    assert_eq!(world.run(io.connection, &read, &[]).status(), Status::SUCCESS);
    assert_eq!(world.bytes(BLOCK, BLOCK), bytes);
}

/// RDMA Transport 3.5: a queue takes as many commands as it has entries, and each takes long here.
#[test]
fn one_command_more_than_a_queue_has_entries_ends_it_alone() {
    for more in [0, 1] {
        let mut world = World::new();
        let [admin, io] = world.ready();
        let greedy = world.connect(2, admin.controller);
        for id in 0..ENTRIES + more {
            let write = block(NvmOpcode::Write, id, id.into(), 1, world.keyed(0, BLOCK));
            world.send(greedy.connection, &write, &[]);
        }
        world.settle();
        world.happened.clear();
        assert_eq!(world.is_alive(greedy), more == 0);
        let read = block(NvmOpcode::Read, 2, 0, 1, world.keyed(0, BLOCK));
        assert_eq!(world.run(io.connection, &read, &[]).status(), Status::SUCCESS);
    }
}

#[test]
fn a_capsule_longer_than_was_agreed_ends_the_queue() {
    let mut world = World::new();
    let [admin, io] = world.ready();
    let long = world.connect(2, admin.controller);
    let bytes = vec![0; 12 << 10];
    let write = block(NvmOpcode::Write, 1, 0, 1, Sgl::InCapsule { offset: 0, length: BLOCK as u32 });
    world.send(long.connection, &write, &bytes);
    world.settle();
    world.happened.clear();
    assert!(!world.is_alive(long) && world.is_alive(io), "no receive has room for it");
}

#[test]
fn a_server_drains_and_gives_everything_back() {
    let mut world = World::new();
    world.ready();
    let World { env, device, server, target, lanes, .. } = &mut world;
    server.drain(env, device, &mut lanes.of(target, TAG));
    world.settle();
    assert!(world.server.is_drained());
    assert_eq!(world.host.connections().count(), 0);
    world.server.free(&mut world.env, &mut world.device);
}
