//! A request over iSER is copied once by the two ends together: by the target, between its volume and where the device moves
//! it from or to. The initiator copies nothing, and what the device moves is the device's.

mod fabric;
mod world;

use block::{BlockDevice, Op, Status};
use fabric::{Fabric, io, options};
use stdx::env::Env;
use verbs::Provider;

/// Bytes that the two ends copy for one request; what the device moves is not counted.
fn copied(fabric: &mut Fabric, op: Op, len: usize) -> u64 {
    let mut channel = fabric.disk().open();
    let data = fabric.memory(len, 7);
    let mut copied = 0;
    let mut counted = |fabric: &mut Fabric, act: &mut dyn FnMut(&mut Fabric)| {
        let before = fabric.world.env.mem().bytes_copied();
        act(fabric);
        copied += fabric.world.env.mem().bytes_copied() - before;
    };
    let mut done = Vec::new();
    counted(fabric, &mut |fabric| channel.submit(&mut fabric.world.env, io(1, op, 0, data)).unwrap());
    for _ in 0..20 {
        fabric.device.turn(&mut fabric.world.env);
        counted(fabric, &mut |fabric| {
            fabric.dispatch();
            let initiator = fabric.initiator.as_ref().expect("connected");
            initiator.drive(&mut fabric.world.env, &mut fabric.device);
            channel.poll(&mut fabric.world.env, &mut done);
            fabric.turn_target();
        });
    }
    assert!(done.len() == 1 && done[0].status == Status::Ok);
    fabric.world.env.mem().give(data);
    copied
}

#[test]
fn a_request_is_copied_once() {
    let mut fabric = Fabric::connected(options());
    // What goes along, and what is fetched or brought.
    for len in [4096, 32 << 10] {
        for op in [Op::Write, Op::Read] {
            let copied = copied(&mut fabric, op, len);
            let least = len as u64;
            assert!((least..least + MESSAGES_MAX).contains(&copied), "{op:?} of {len}: {copied}");
        }
    }
}

/// Bytes of the messages of one request.
const MESSAGES_MAX: u64 = 512;
