//! A host over RDMA against a target over RDMA: what a volume promises, loss, refusals, discovery.

mod fabric;

use block::conformance::{self, Promises, Setting};
use block::{BlockDevice, Op, Status};
use core::time::Duration;
use fabric::{World, io, options, subsystem};
use nvme::host::rdma::QueueEnd;
use nvme::host::{Failure, HostEvent, HostOptions};
use nvme::target;
use std::rc::Rc;
use stdx::env::Env;
use stdx::time::Time;
use wire::nvme::rdma::RejectStatus;

/// The volume of a host, to be examined.
struct Remote {
    world: World,
    options: HostOptions,
    made: u32,
}

impl Setting for Remote {
    fn env(&mut self) -> &mut dyn Env {
        &mut self.world.env
    }

    fn make(&mut self) -> Rc<dyn BlockDevice> {
        if self.world.host.is_some() {
            self.world.close();
            self.world.target.remove_namespace(&subsystem(), 1).unwrap();
            self.world.run_for(Duration::from_secs(1));
        }
        self.made += 1;
        let block_size = if self.made.is_multiple_of(2) { 512 } else { 4096 };
        self.world.add_volume(block_size, 4096, self.made as u8);
        self.world.connect(self.options.clone());
        Rc::new(self.world.namespace())
    }

    fn promises(&self) -> Promises {
        Promises { keeps: true, grows: false, composes: false }
    }

    fn turn(&mut self, _device: &dyn BlockDevice, until: Time) {
        let next = self.world.deadline().map_or(until, |deadline| deadline.min(until));
        self.world.env.set_now(next);
        self.world.turn();
    }
}

fn examine(seed: u64, options: HostOptions, target: target::Options) {
    let mut remote = Remote { world: World::new(target), options, made: 0 };
    if let Err(fault) = conformance::run(&mut remote, seed) {
        panic!("seed {seed}: {fault}");
    }
}

#[test]
fn a_remote_namespace_is_a_volume() {
    examine(1, options(), target::Options::default());
}

#[test]
fn so_it_is_with_flow_control_and_many_small_queues_and_nothing_in_capsules() {
    let target = target::Options { in_capsule_data_size: 0, ..Default::default() };
    examine(2, HostOptions { flow_control: true, io_queues: 4, queue_size: 4, ..options() }, target);
}

#[test]
fn bytes_go_both_ways_in_capsules_and_by_keys() {
    let mut world = World::connected(options());
    let mut channel = world.namespace().open();
    for (tag, len) in [512, 4096, 8192, 64 << 10, 512 << 10].into_iter().enumerate() {
        let data = world.memory(len, tag as u8);
        let wrote = world.run(channel.as_mut(), io(1, Op::Write, 0, data));
        assert_eq!(wrote.status, Status::Ok);
        let place = world.memory(len, 200);
        let read = world.run(channel.as_mut(), io(2, Op::Read, 0, place));
        assert_eq!((read.status, world.bytes(read.data)), (Status::Ok, world.bytes(data)));
        world.env.mem().give(data);
        world.env.mem().give(place);
    }
}

#[test]
fn requests_outlive_a_connection() {
    let mut world = World::connected(options());
    let mut channel = world.namespace().open();
    let data = world.memory(8192, 7);
    assert_eq!(world.run(channel.as_mut(), io(1, Op::Write, 8, data)).status, Status::Ok);
    world.stop();
    let place = world.memory(8192, 0);
    channel.submit(&mut world.env, io(2, Op::Read, 8, place)).unwrap();
    world.run_for(Duration::from_secs(5));
    let lost = HostEvent::ConnectionLost(Failure::Rdma(QueueEnd::ByPeer));
    assert_eq!(world.events, [lost]);
    let mut done = Vec::new();
    channel.poll(&mut world.env, &mut done);
    assert!(done.is_empty(), "it waits for the connection");
    world.serve();
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.events, [lost, HostEvent::Reconnected]);
    channel.poll(&mut world.env, &mut done);
    assert_eq!((done[0].status, world.bytes(done[0].data)), (Status::Ok, world.bytes(data)));
}

#[test]
fn who_refuses_says_why() {
    let refusal = |options: HostOptions, target: target::Options| {
        let mut world = World::new(target);
        world.begin(options);
        world.events.clone()
    };
    let nobody = HostOptions { address: (fabric::ADDRESS, 4421).into(), ..options() };
    let failed = |why| [HostEvent::Failed(Failure::Rdma(why))];
    assert_eq!(refusal(nobody, target::Options::default()), failed(QueueEnd::NoListener));
    let small = target::Options { max_aq_depth: 31, ..Default::default() };
    let rejected = QueueEnd::Rejected(RejectStatus::HostSendSize);
    assert_eq!(refusal(options(), small), failed(rejected));
}

#[test]
fn a_closed_host_leaves_nothing_behind() {
    let mut world = World::connected(options());
    let before = world.env.mem().buffers_taken();
    let mut channel = world.namespace().open();
    let data = world.memory(8192, 7);
    channel.submit(&mut world.env, io(1, Op::Read, 8, data)).unwrap();
    world.close();
    let mut done = Vec::new();
    channel.poll(&mut world.env, &mut done);
    assert_eq!(done[0].status, Status::Gone);
    world.env.mem().give(data);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.env.mem().buffers_taken(), before);
    // Again, on the same device, as if nothing had been.
    world.connect(options());
}

#[test]
fn signs_of_life_keep_an_idle_association() {
    let mut world = World::connected(options());
    world.run_for(Duration::from_secs(60));
    assert!(world.events.is_empty(), "{:?}", world.events);
    assert!(world.host().is_live());
}
