//! The SRP initiator against the target: what a volume promises, loss, refusals, late commands.

mod srp_pair;

use block::conformance::{self, Promises, Setting};
use block::{BlockDevice, Op, Status};
use core::time::Duration;
use scsi::srp::initiator::{ChannelEnd, Failure, InitiatorEvent, InitiatorOptions};
use scsi::srp::target::Limits;
use srp_pair::{ADDRESS, World, io, latencies, options};
use std::rc::Rc;
use stdx::env::Env;
use stdx::time::Time;
use wire::srp::{LoginRejectReason, PortId};

/// The disk of an initiator, to be examined.
struct Remote {
    world: World,
    options: InitiatorOptions,
    made: u32,
}

impl Setting for Remote {
    fn env(&mut self) -> &mut dyn Env {
        &mut self.world.env
    }

    fn make(&mut self) -> Rc<dyn BlockDevice> {
        if self.world.initiator.is_some() {
            self.world.close();
            self.world.target.remove_unit(&mut self.world.env, self.world.scsi_device, 0).unwrap();
            self.world.run_for(Duration::from_secs(1));
        }
        self.made += 1;
        let block_size = if self.made.is_multiple_of(2) { 512 } else { 4096 };
        self.world.add_volume(block_size, 4096, self.made as u8);
        self.world.connect(self.options.clone());
        Rc::new(self.world.disk())
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

fn examine(seed: u64, options: InitiatorOptions, limits: Limits) {
    let mut remote = Remote { world: World::new(limits), options, made: 0 };
    if let Err(fault) = conformance::run(&mut remote, seed) {
        panic!("seed {seed}: {fault}");
    }
}

#[test]
fn a_remote_disk_is_a_volume() {
    examine(1, options(), Limits::default());
}

#[test]
fn so_it_is_by_many_small_channels_without_data_in_commands() {
    let few = InitiatorOptions { channels: 4, commands_max: 3, immediate_max: 0, ..options() };
    examine(2, few, Limits::default());
}

#[test]
fn so_it_is_by_tables_of_small_pieces_and_a_single_credit() {
    let pieces = InitiatorOptions { piece_max: Some(4096), immediate_max: 512, ..options() };
    examine(3, pieces, Limits { requests: 1, ..Limits::default() });
}

#[test]
fn bytes_go_both_ways_along_and_by_keys() {
    for piece_max in [None, Some(4096)] {
        let mut world = World::connected(InitiatorOptions { piece_max, ..options() });
        let mut channel = world.disk().open();
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
}

#[test]
fn there_are_as_many_channels_as_the_target_has_room_for() {
    let mut world = World::connected(InitiatorOptions { channels: 3, ..options() });
    assert_eq!(world.initiator().channels().len(), 3);
    assert!(world.initiator().channels().iter().all(|channel| channel.immediate_max == 8192));
    world.close();
    let mut world = World::new(Limits { channels_per_nexus: 2, immediate_data: false, ..Limits::default() });
    world.add_volume(512, 4096, 1);
    world.connect(InitiatorOptions { channels: 3, ..options() });
    assert_eq!(world.initiator().channels().len(), 2);
    assert!(world.initiator().channels().iter().all(|channel| channel.immediate_max == 0));
}

#[test]
fn a_target_of_short_units_gets_no_data_along() {
    let mut world = World::new(Limits { iu_len: 512, ..Limits::default() });
    world.add_volume(512, 4096, 1);
    world.connect(options());
    assert_eq!(world.initiator().channels()[0].immediate_max, 0);
}

#[test]
fn every_logical_unit_is_a_disk() {
    let mut world = World::new(Limits::default());
    world.add_volume(512, 4096, 1);
    world.add_volume(4096, 1024, 2);
    world.connect(options());
    let sizes: Vec<_> = world.initiator().disks().iter().map(|disk| disk.info().block_size).collect();
    assert_eq!(sizes, [512, 4096]);
    world.close();
    world.connect(InitiatorOptions { lun: Some(1), ..options() });
    assert!(world.initiator().disk(0).is_none() && world.initiator().disk(1).is_some());
    // One more comes while we are there: the target tells, and no time goes by.
    world.close();
    world.connect(options());
    world.add_volume(512, 64, 3);
    world.settle();
    world.settle();
    assert_eq!(world.events, [InitiatorEvent::DiskAdded(2)]);
}

#[test]
fn requests_outlive_a_connection() {
    let mut world = World::connected(InitiatorOptions { channels: 2, ..options() });
    let mut channel = world.disk().open();
    let data = world.memory(8192, 7);
    assert_eq!(world.run(channel.as_mut(), io(1, Op::Write, 8, data)).status, Status::Ok);
    world.stop();
    let place = world.memory(8192, 0);
    channel.submit(&mut world.env, io(2, Op::Read, 8, place)).unwrap();
    world.run_for(Duration::from_secs(5));
    assert!(matches!(world.events[..], [InitiatorEvent::ConnectionLost(_)]), "{:?}", world.events);
    let mut done = Vec::new();
    channel.poll(&mut world.env, &mut done);
    assert!(done.is_empty(), "it waits for the connection");
    world.serve();
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.events.last(), Some(&InitiatorEvent::Reconnected));
    channel.poll(&mut world.env, &mut done);
    assert_eq!((done[0].status, world.bytes(done[0].data)), (Status::Ok, world.bytes(data)));
}

#[test]
fn patience_has_an_end() {
    let patience = Some(Duration::from_secs(60));
    let fast = Some(Duration::from_secs(3));
    let mut world = World::connected(InitiatorOptions {
        loss_timeout: patience,
        fast_io_fail_timeout: fast,
        ..options()
    });
    let mut channel = world.disk().open();
    world.stop();
    let place = world.memory(512, 0);
    channel.submit(&mut world.env, io(2, Op::Read, 8, place)).unwrap();
    world.run_for(Duration::from_secs(10));
    let mut done = Vec::new();
    channel.poll(&mut world.env, &mut done);
    assert_eq!(done[0].status, Status::TimedOut);
    world.run_for(Duration::from_secs(120));
    assert!(matches!(world.events.last(), Some(InitiatorEvent::Failed(_))), "{:?}", world.events);
    assert_eq!(world.run(channel.as_mut(), io(3, Op::Read, 8, place)).status, Status::Gone);
}

#[test]
fn who_refuses_says_why() {
    let refusal = |options: InitiatorOptions, limits: Limits| {
        let mut world = World::new(limits);
        world.begin(options);
        world.events.clone()
    };
    let failed = |why| [InitiatorEvent::Failed(Failure::Channel(why))];
    let nobody = InitiatorOptions { address: (ADDRESS.ip(), 5556).into(), ..options() };
    assert_eq!(refusal(nobody, Limits::default()), failed(ChannelEnd::NoListener));
    let stranger = InitiatorOptions { target: PortId { extension: 1, guid: 2 }, ..options() };
    let rejected = ChannelEnd::Rejected(LoginRejectReason::NoNexus);
    assert_eq!(refusal(stranger, Limits::default()), failed(rejected));
    let narrow = Limits { iu_len: 128, ..Limits::default() };
    let rejected = ChannelEnd::Rejected(LoginRejectReason::IuTooLong);
    assert_eq!(refusal(options(), narrow), failed(rejected));
}

#[test]
fn a_new_login_of_the_same_name_ends_the_old_channels() {
    let mut world = World::connected(options());
    let first = world.initiator.take();
    world.connect(options());
    world.initiator = first;
    world.settle();
    let told = world.events.clone();
    assert!(matches!(told[..], [InitiatorEvent::ConnectionLost(_)]), "{told:?}");
}

#[test]
fn a_late_command_is_aborted_and_tried_again() {
    let mut world = World::new(Limits::default());
    let delay = world.add_slow_volume(1);
    world.connect(InitiatorOptions { command_timeout: Duration::from_secs(2), ..options() });
    let mut channel = world.disk().open();
    delay.set_latencies(latencies(Duration::from_secs(3)));
    let place = world.memory(4096, 0);
    channel.submit(&mut world.env, io(2, Op::Read, 8, place)).unwrap();
    world.run_for(Duration::from_secs(3));
    delay.set_latencies(latencies(Duration::ZERO));
    world.run_for(Duration::from_secs(8));
    let mut done = Vec::new();
    channel.poll(&mut world.env, &mut done);
    assert_eq!((done.len(), done[0].status), (1, Status::Ok));
    assert!(world.events.is_empty(), "the channel goes on: {:?}", world.events);
}

#[test]
fn a_command_that_cannot_be_aborted_costs_the_connection() {
    let mut world = World::new(Limits::default());
    let delay = world.add_slow_volume(1);
    world.connect(InitiatorOptions { command_timeout: Duration::from_secs(2), ..options() });
    let mut channel = world.disk().open();
    delay.set_latencies(latencies(Duration::from_secs(60)));
    let place = world.memory(4096, 0);
    channel.submit(&mut world.env, io(2, Op::Read, 8, place)).unwrap();
    world.run_for(Duration::from_secs(7));
    assert_eq!(world.events, [InitiatorEvent::ConnectionLost(Failure::CommandTimedOut)]);
}

#[test]
fn a_closed_initiator_leaves_nothing_behind() {
    let mut world = World::connected(options());
    let before = world.env.mem().buffers_taken();
    let mut channel = world.disk().open();
    let data = world.memory(8192, 7);
    channel.submit(&mut world.env, io(1, Op::Read, 8, data)).unwrap();
    world.close();
    let mut done = Vec::new();
    channel.poll(&mut world.env, &mut done);
    assert_eq!(done[0].status, Status::Gone);
    // Whoever makes one request of several asks for the next part now.
    channel
        .submit(&mut world.env, io(2, Op::Write, 8, data))
        .expect("with nothing under way nothing is refused");
    done.clear();
    channel.poll(&mut world.env, &mut done);
    assert_eq!((done[0].tag, done[0].status), (2, Status::Gone));
    world.env.mem().give(data);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.env.mem().buffers_taken(), before);
    // Again, on the same device, as if nothing had been.
    world.connect(options());
}
