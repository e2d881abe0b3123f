//! What a volume adds to its device: atomic compare-and-write, limits, statistics.

use block::device::{Delay, File, Geometry, Latencies, Ram};
use block::volume::QosLimits;
use block::{BlockDevice, Channel, Done, Identity, Io, Op, Status, Volume};
use core::time::Duration;
use std::path::Path;
use std::rc::Rc;
use stdx::env::{Env, OpenFile, Owner};
use stdx::mem::Span;
use stdx::testing::TestEnv;
use stdx::time::Time;

fn ram(world: &mut TestEnv) -> Volume {
    let ram = Ram::new(world, Geometry::new(512, 1000).unwrap()).unwrap();
    Volume::new(Rc::new(ram), Identity::default())
}

fn io(op: Op, lba: u64, blocks: u32, data: Span) -> Io {
    Io { tag: lba, op, lba, blocks, fua: false, lend: false, data }
}

fn buffer(world: &mut TestEnv, value: u8) -> Span {
    let buffer = world.mem().take(512).unwrap();
    world.mem().fill(buffer, value);
    buffer
}

/// Turns the world until the channels have completed `count` requests among them.
fn drive(world: &mut TestEnv, volume: &Volume, channels: &mut [Box<dyn Channel>], count: usize) -> Vec<Done> {
    let (mut done, mut events) = (Vec::new(), Vec::new());
    loop {
        channels.iter_mut().for_each(|channel| channel.poll(world, &mut done));
        if done.len() >= count {
            return done;
        }
        world.poll(&mut events, volume.deadline());
        events.drain(..).for_each(|event| volume.handle_event(world, &event));
        volume.handle_timeout(world);
    }
}

/// Every channel tries to take a lock that says 0; the disk answers late and in any order.
#[test]
fn one_of_many_compare_and_writes_wins() {
    for seed in 0..50 {
        let mut world = TestEnv::seeded(seed, 256 << 20);
        let open = OpenFile { create: Some(512 * 100), ..OpenFile::existing(Path::new("lock")) };
        let file = File::open(&mut world, Owner(1), &open, Some(512)).unwrap();
        let volume = Volume::new(Rc::new(file), Identity::default());
        let expected = buffer(&mut world, 0);
        let mut channels: Vec<_> = (0..8).map(|_| volume.open()).collect();
        for (index, channel) in channels.iter_mut().enumerate() {
            let data = buffer(&mut world, index as u8 + 1);
            channel.submit(&mut world, io(Op::CompareWrite { expected }, 5, 1, data)).unwrap();
        }
        let done = drive(&mut world, &volume, &mut channels, 8);
        let of = |status| done.iter().filter(|done| done.status == status).count();
        assert_eq!((of(Status::Ok), of(Status::Miscompare { at: 0 })), (1, 7), "seed {seed}");
    }
}

/// Blocks no volume has, beside a request that looks at what else is under way.
#[test]
fn a_request_at_the_end_of_numbers_is_harmless() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    let volume = ram(&mut world);
    let data = buffer(&mut world, 0);
    let mut channel = volume.open();
    channel.submit(&mut world, io(Op::Write, u64::MAX, 1, data)).unwrap();
    channel.submit(&mut world, io(Op::CompareWrite { expected: data }, u64::MAX - 1, 1, data)).unwrap();
    channel.submit(&mut world, io(Op::CompareWrite { expected: data }, 5, 1, data)).unwrap();
    let done = drive(&mut world, &volume, &mut [channel], 3);
    let status = |tag| done.iter().find(|done| done.tag == tag).map(|done| done.status);
    assert_eq!(status(u64::MAX), Some(Status::OutOfRange));
    assert_eq!(status(u64::MAX - 1), Some(Status::OutOfRange));
    assert_eq!(status(5), Some(Status::Ok));
}

#[test]
fn limits_hold_over_all_channels() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    let volume = ram(&mut world);
    let data = buffer(&mut world, 0);
    volume.set_qos(world.now(), QosLimits { rw_ios_per_sec: Some(1000), ..QosLimits::default() });
    let mut channels: Vec<_> = (0..4).map(|_| volume.open()).collect();
    for channel in &mut channels {
        (0..50).for_each(|lba| channel.submit(&mut world, io(Op::Read, lba, 1, data)).unwrap());
    }
    drive(&mut world, &volume, &mut channels, 200);
    let passed = world.now().since(Time::ZERO);
    assert!((Duration::from_millis(190)..Duration::from_millis(210)).contains(&passed), "{passed:?}");
}

#[test]
fn statistics_tell_what_was_done_and_how_long_it_took() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    let base = Rc::new(Ram::new(&mut world, Geometry::new(512, 1000).unwrap()).unwrap());
    let latencies = Latencies {
        read_average: Duration::from_micros(7),
        read_p99: Duration::from_micros(7),
        ..Latencies::default()
    };
    let volume = Volume::new(Rc::new(Delay::new(base, latencies, 1)), Identity::default());
    let data = buffer(&mut world, 0);
    let mut channel = volume.open();
    channel.submit(&mut world, io(Op::Read, 0, 1, data)).unwrap();
    channel.submit(&mut world, io(Op::Write, 1, 1, data)).unwrap();
    channel.submit(&mut world, io(Op::Write, 1000, 1, data)).unwrap();
    drive(&mut world, &volume, &mut [channel], 3);
    let stats = volume.stats();
    assert_eq!((stats.reads.requests, stats.reads.bytes, stats.reads.latency_ns), (1, 512, 7000));
    assert_eq!((stats.writes.requests, stats.errors), (2, 1));
    volume.reset_stats();
    assert_eq!(volume.stats().reads.requests, 0);
}

#[test]
fn at_once_is_only_what_nothing_stands_in_the_way_of() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    let volume = Rc::new(ram(&mut world));
    let (data, read) = (buffer(&mut world, 7), buffer(&mut world, 0));
    let mut channel = volume.open();
    assert!(channel.perform(&mut world, &io(Op::Write, 3, 1, data)).is_some());
    assert_eq!(channel.perform(&mut world, &io(Op::Read, 3, 1, read)), Some(read));
    assert_eq!(world.mem().first_difference(data, read), None);
    assert_eq!((volume.stats().writes.requests, volume.stats().reads.bytes), (1, 512));
    for refused in [io(Op::Write, 1000, 1, data), io(Op::Read, 0, 2, data), io(Op::Flush, 0, 0, Span::EMPTY)]
    {
        assert_eq!(channel.perform(&mut world, &refused), None, "{refused:?}");
    }
    channel.submit(&mut world, io(Op::MarkBad, 9, 1, Span::EMPTY)).unwrap();
    assert_eq!(channel.perform(&mut world, &io(Op::Read, 3, 1, read)), None, "some block is bad");
    channel.submit(&mut world, io(Op::Write, 9, 1, data)).unwrap();
    drive(&mut world, &volume, &mut [channel], 2);
    let mut channel = volume.open();
    assert!(channel.perform(&mut world, &io(Op::Read, 9, 1, read)).is_some());
    volume.set_qos(world.now(), QosLimits { rw_ios_per_sec: Some(1), ..QosLimits::default() });
    assert_eq!(channel.perform(&mut world, &io(Op::Read, 3, 1, read)), None, "there is a limit");
    volume.set_qos(world.now(), QosLimits::default());
    let claim = volume.claim("a test").unwrap();
    let mut channel = claim.open();
    assert!(channel.perform(&mut world, &io(Op::Read, 3, 1, read)).is_some());
    claim.close(&mut world);
    assert_eq!(channel.perform(&mut world, &io(Op::Read, 3, 1, read)), None, "the claim has ended");
}

#[test]
fn a_claim_is_one_users_until_it_ends() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    let volume = Rc::new(ram(&mut world));
    let claim = volume.claim("the first").unwrap();
    assert_eq!(volume.claim("the second").unwrap_err().by, "the first");
    claim.close(&mut world);
    let second = volume.claim("the second").unwrap();
    drop(claim);
    assert_eq!(volume.claimed_by(), Some("the second"));
    drop(second);
    assert_eq!(volume.claimed_by(), None);
    let data = buffer(&mut world, 0);
    let mut channel = volume.open();
    channel.submit(&mut world, io(Op::Read, 0, 1, data)).unwrap();
    assert_eq!(drive(&mut world, &volume, &mut [channel], 1)[0].status, Status::Ok);
}
