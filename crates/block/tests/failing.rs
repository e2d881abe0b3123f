//! Devices that fail: what the error-injecting device does, and what a file volume makes of its file's failures.

use block::device::{Error, File, FileError, Geometry, Injection, Partition, Ram, Target};
use block::{BlockDevice, Channel, Done, Identity, Io, Op, Status, Volume};
use std::path::Path;
use std::rc::Rc;
use stdx::env::{Env, IoError, OpenFile, Owner};
use stdx::mem::Span;
use stdx::testing::TestEnv;

fn io(op: Op, lba: u64, data: Span) -> Io {
    Io { tag: lba, op, lba, blocks: 1, fua: false, lend: false, data }
}

/// One request to its end.
fn finish(world: &mut TestEnv, device: &dyn BlockDevice, channel: &mut dyn Channel, io: Io) -> Status {
    let (mut done, mut events): (Vec<Done>, _) = (Vec::new(), Vec::new());
    channel.submit(world, io).unwrap();
    loop {
        channel.poll(world, &mut done);
        if let Some(done) = done.pop() {
            return done.status;
        }
        world.poll(&mut events, device.deadline());
        events.drain(..).for_each(|event| device.handle_event(world, &event));
        device.handle_timeout(world);
    }
}

fn injected(world: &mut TestEnv) -> (Error, Box<dyn Channel>, Span) {
    let ram = Ram::new(world, Geometry::new(512, 100).unwrap()).unwrap();
    let device = Error::new(Rc::new(ram));
    let channel = device.open();
    let data = world.mem().take(512).unwrap();
    world.mem().fill(data, 1);
    (device, channel, data)
}

#[test]
fn failures_hit_their_kind_as_often_as_planned() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    let (device, mut channel, data) = injected(&mut world);
    device.inject(Target::Read, Injection::Failure, 2);
    let mut read = |op| finish(&mut world, &device, &mut *channel, io(op, 0, data));
    assert_eq!(read(Op::Write), Status::Ok);
    assert_eq!([(); 3].map(|()| read(Op::Read)), [Status::ReadError, Status::ReadError, Status::Ok]);
    device.inject(Target::All, Injection::Failure, 1);
    assert_eq!(read(Op::Write), Status::WriteError);
    assert_eq!(read(Op::Read), Status::ReadError);
}

#[test]
fn a_request_that_nothing_was_done_of_can_be_taken_back() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    let ram = Ram::new(&mut world, Geometry::new(512, 100).unwrap()).unwrap();
    let device = Rc::new(Error::new(Rc::new(ram)));
    let part = Partition::new(device.clone(), 10, 50).unwrap();
    let volume = Volume::new(Rc::new(part), Identity::default());
    let (mut mine, mut other) = (volume.open(), volume.open());
    let data = world.mem().take(512).unwrap();
    device.inject(Target::Write, Injection::Pending, u64::MAX);
    for channel in [&mut mine, &mut other] {
        channel.submit(&mut world, io(Op::Write, 7, data)).unwrap();
    }
    assert!(!mine.withdraw(8), "there is no such request");
    assert!(mine.withdraw(7));
    assert!(!mine.withdraw(7), "it is not there any more");
    assert_eq!(volume.under_way(), 1, "the other channel's request of the same tag is");
    device.clear(Target::Write);
    let mut done = Vec::new();
    mine.poll(&mut world, &mut done);
    assert_eq!(done, [], "what was taken back is never told");
    other.poll(&mut world, &mut done);
    assert_eq!(done.len(), 1);
    assert_eq!(finish(&mut world, &volume, &mut *mine, io(Op::Write, 7, data)), Status::Ok);
    assert!(!mine.withdraw(7), "it is done");
}

#[test]
fn corruption_reaches_the_data_and_not_the_writers_memory() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    let (device, mut channel, data) = injected(&mut world);
    device.inject(Target::Write, Injection::Corrupt { offset: 5, flip: 0x80 }, 1);
    assert_eq!(finish(&mut world, &device, &mut *channel, io(Op::Write, 3, data)), Status::Ok);
    let back = world.mem().take(512).unwrap();
    assert_eq!(finish(&mut world, &device, &mut *channel, io(Op::Read, 3, back)), Status::Ok);
    assert_eq!(world.mem().first_difference(data, back), Some(5));
    let mut bytes = [0; 512];
    world.mem().read(data, &mut bytes);
    assert_eq!(bytes, [1; 512]);
}

#[test]
fn what_hangs_is_let_go_when_cleared_or_closed() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    let (device, mut channel, data) = injected(&mut world);
    device.inject(Target::Write, Injection::Pending, 2);
    let mut done = Vec::new();
    channel.submit(&mut world, io(Op::Write, 1, data)).unwrap();
    channel.poll(&mut world, &mut done);
    assert!(done.is_empty());
    device.clear(Target::Write);
    channel.poll(&mut world, &mut done);
    assert_eq!(done.pop().unwrap().status, Status::Aborted);
    device.inject(Target::Write, Injection::Pending, 1);
    channel.submit(&mut world, io(Op::Write, 1, data)).unwrap();
    device.close(&mut world);
    channel.poll(&mut world, &mut done);
    assert_eq!(done.pop().unwrap().status, Status::Gone);
}

#[test]
fn what_hangs_is_carried_out_when_resumed() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    let (device, mut channel, data) = injected(&mut world);
    device.inject(Target::Write, Injection::Pending, 5);
    device.inject(Target::Read, Injection::Failure, 1);
    let mut done = Vec::new();
    channel.submit(&mut world, io(Op::Write, 1, data)).unwrap();
    channel.poll(&mut world, &mut done);
    assert!(done.is_empty());
    device.resume();
    channel.poll(&mut world, &mut done);
    assert_eq!(done.pop().unwrap().status, Status::Ok);
    let back = world.mem().take(512).unwrap();
    assert_eq!(finish(&mut world, &device, &mut *channel, io(Op::Read, 1, back)), Status::ReadError);
    assert_eq!(finish(&mut world, &device, &mut *channel, io(Op::Read, 1, back)), Status::Ok);
    assert_eq!(world.mem().first_difference(data, back), None, "it was written");
    assert_eq!(finish(&mut world, &device, &mut *channel, io(Op::Write, 1, data)), Status::Ok);
}

#[test]
fn refusal_spares_an_idle_channel() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    let (device, mut channel, data) = injected(&mut world);
    device.inject(Target::Read, Injection::Refusal, 1);
    channel.submit(&mut world, io(Op::Read, 0, data)).unwrap();
    device.inject(Target::Write, Injection::Pending, 1);
    channel.submit(&mut world, io(Op::Write, 1, data)).unwrap();
    assert_eq!(channel.submit(&mut world, io(Op::Read, 2, data)).unwrap_err().0, io(Op::Read, 2, data));
    channel.submit(&mut world, io(Op::Read, 2, data)).unwrap();
}

fn file(world: &mut TestEnv, block_size: Option<u32>) -> Result<File, FileError> {
    let open = OpenFile { create: Some(512 * 100), ..OpenFile::existing(Path::new("volume")) };
    File::open(world, Owner(1), &open, block_size)
}

#[test]
fn a_files_failures_become_statuses() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    let file = file(&mut world, None).unwrap();
    let mut channel = file.open();
    let data = world.mem().take(512).unwrap();
    let cases = [
        (IoError::Media, Op::Read, Status::ReadError),
        (IoError::Media, Op::Write, Status::WriteError),
        (IoError::Media, Op::Flush, Status::WriteError),
        (IoError::NoSpace, Op::Write, Status::NoSpace),
        (IoError::Permission, Op::Write, Status::ReadOnly),
        (IoError::Os(5), Op::Zero { deallocate: true }, Status::WriteError),
    ];
    for (error, op, expected) in cases {
        world.files.fail = Some(error);
        let data = if op.moves_data() { data } else { Span::EMPTY };
        assert_eq!(finish(&mut world, &file, &mut *channel, io(op, 0, data)), expected, "{error:?} {op:?}");
    }
    world.files.fail = None;
    assert_eq!(finish(&mut world, &file, &mut *channel, io(Op::Read, 0, data)), Status::Ok);
}

#[test]
fn a_file_that_shrank_fails_reads_until_it_is_looked_at_again() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    let file = file(&mut world, Some(512)).unwrap();
    let mut channel = file.open();
    let data = world.mem().take(512).unwrap();
    world.files.truncate("volume", 512 * 50 + 100);
    assert_eq!(finish(&mut world, &file, &mut *channel, io(Op::Read, 50, data)), Status::ReadError);
    file.rescan(&mut world).unwrap();
    assert_eq!(file.info().blocks, 50);
    assert_eq!(finish(&mut world, &file, &mut *channel, io(Op::Read, 50, data)), Status::OutOfRange);
    assert_eq!(file.resize(&mut world, 49), Err(Status::Unsupported));
}

/// The system said that it can punch, and then it cannot.
#[test]
fn a_file_that_turns_out_not_to_punch_is_zeroed_by_writing() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    let file = file(&mut world, Some(512)).unwrap();
    world.files.can_punch = false;
    let mut channel = file.open();
    let data = world.mem().take(512).unwrap();
    world.mem().fill(data, 9);
    assert_eq!(finish(&mut world, &file, &mut *channel, io(Op::Write, 7, data)), Status::Ok);
    assert_eq!(finish(&mut world, &file, &mut *channel, io(Op::Discard, 7, Span::EMPTY)), Status::Ok);
    let zero = io(Op::Zero { deallocate: true }, 7, Span::EMPTY);
    assert_eq!(finish(&mut world, &file, &mut *channel, zero), Status::Ok);
    assert_eq!(finish(&mut world, &file, &mut *channel, io(Op::Read, 7, data)), Status::Ok);
    assert!(world.mem().is_zero(data));
    assert!(!file.info().thin);
}

#[test]
fn a_file_of_no_volumes_size_is_refused() {
    let mut world = TestEnv::seeded(1, 256 << 20);
    assert!(matches!(file(&mut world, Some(520)), Err(FileError::Geometry(_))));
    world.files.truncate("volume", 100);
    assert!(matches!(file(&mut world, None), Err(FileError::Geometry(_))));
    world.files.alignment = 4096;
    let open = OpenFile { direct: true, ..OpenFile::existing(Path::new("volume")) };
    let refused = File::open(&mut world, Owner(1), &open, Some(512));
    assert!(matches!(refused, Err(FileError::Alignment { block_size: 512, alignment: 4096 })));
}
