//! A request over RDMA is copied once by the two ends together: by the target, between its volume and where the device moves
//! it from or to. The host copies nothing, and what the device moves is the device's.

mod fabric;

use block::{BlockDevice, Op, Status};
use fabric::{World, io, options};
use stdx::env::Env;
use verbs::Provider;

/// Bytes that the two ends copy for one request; what the device moves is not counted.
fn copied(world: &mut World, op: Op, len: usize) -> u64 {
    let mut channel = world.namespace().open();
    let data = world.memory(len, 7);
    let mut copied = 0;
    let mut counted = |world: &mut World, act: &mut dyn FnMut(&mut World)| {
        let before = world.env.mem().bytes_copied();
        act(world);
        copied += world.env.mem().bytes_copied() - before;
    };
    let mut done = Vec::new();
    counted(world, &mut |world| channel.submit(&mut world.env, io(1, op, 0, data)).unwrap());
    for _ in 0..20 {
        world.device.turn(&mut world.env);
        counted(world, &mut |world| world.turn_ends());
        counted(world, &mut |world| channel.poll(&mut world.env, &mut done));
    }
    assert!(done.len() == 1 && done[0].status == Status::Ok);
    world.env.mem().give(data);
    copied
}

#[test]
fn a_request_is_copied_once() {
    let mut world = World::connected(options());
    // In the capsule, and by keys.
    for len in [4096, 32 << 10] {
        for op in [Op::Write, Op::Read] {
            let copied = copied(&mut world, op, len);
            let least = len as u64;
            assert!((least..least + CAPSULES_MAX).contains(&copied), "{op:?} of {len}: {copied}");
        }
    }
}

/// Bytes of the capsules of one request.
const CAPSULES_MAX: u64 = 256;
