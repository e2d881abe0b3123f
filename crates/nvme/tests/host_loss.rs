//! The connection breaks: requests wait, and go on over the next one; or fail when the options say so.

mod pair;

use block::{BlockDevice, Channel, Done, Io, Op, Status};
use core::time::Duration;
use nvme::host::tcp::QueueEnd;
use nvme::host::{Failure, HostEvent, HostOptions};
use pair::{Pair, options};
use sim::faults::Faults;
use stdx::env::{Env, IoError};
use stdx::mem::Span;

fn connected(seed: u64, options: HostOptions) -> Pair {
    let mut pair = Pair::new(seed, Faults::none());
    pair.target.add_volume(4096, 1024, 1);
    pair.connect(options);
    pair
}

fn io(pair: &mut Pair, tag: u64, op: Op, lba: u64, fill: u8) -> Io {
    let data = pair.env.mem().take(4096).unwrap();
    pair.env.mem().fill(data, fill);
    Io { tag, op, lba, blocks: 1, fua: false, lend: false, data }
}

fn refused() -> Failure {
    Failure::Queue(QueueEnd::Stream(IoError::Refused))
}

/// Goes on until all of `count` requests are done.
fn finish(pair: &mut Pair, channel: &mut dyn Channel, count: usize) -> Vec<Done> {
    let limit = pair.env.now() + Duration::from_secs(1000);
    let mut done = Vec::new();
    loop {
        channel.poll(&mut pair.env, &mut done);
        if done.len() == count {
            return done;
        }
        assert!(pair.turn(limit), "{} of {count} done", done.len());
    }
}

fn byte_of(pair: &mut Pair, channel: &mut dyn Channel, lba: u64) -> u8 {
    let read = io(pair, 99, Op::Read, lba, 0xee);
    channel.submit(&mut pair.env, read).unwrap();
    assert_eq!(finish(pair, channel, 1)[0].status, Status::Ok);
    let mut byte = [0];
    pair.env.mem().read(read.data, &mut byte);
    byte[0]
}

#[test]
fn requests_outlive_their_connection() {
    for seed in 0..20 {
        let mut pair = connected(seed, options());
        let mut channel = pair.namespace().open();
        for tag in 0..100 {
            let write = io(&mut pair, tag, Op::Write, tag, tag as u8 + 1);
            channel.submit(&mut pair.env, write).unwrap();
        }
        let mut done = Vec::new();
        channel.poll(&mut pair.env, &mut done);
        // Somewhere between none of them and all of them has been executed.
        pair.run_for(Duration::from_micros(seed * 20));
        pair.target.stop();
        pair.run_for(Duration::from_secs(3));
        assert!(matches!(pair.run_until_event(), HostEvent::ConnectionLost(_)));
        assert!(pair.namespace().info().offline);
        for tag in 100..120 {
            let write = io(&mut pair, tag, Op::Write, tag, tag as u8 + 1);
            channel.submit(&mut pair.env, write).unwrap();
        }
        pair.target.start();
        let done = finish(&mut pair, &mut *channel, 120 - done.len());
        assert!(done.iter().all(|done| done.status == Status::Ok));
        assert_eq!(pair.run_until_event(), HostEvent::Reconnected);
        for lba in 0..120 {
            assert_eq!(byte_of(&mut pair, &mut *channel, lba), lba as u8 + 1);
        }
        pair.close();
    }
}

#[test]
fn a_controller_that_stays_away_is_given_up() {
    let patience = Duration::from_secs(60);
    let mut pair = connected(1, HostOptions { controller_loss_timeout: Some(patience), ..options() });
    let mut channel = pair.namespace().open();
    pair.target.stop();
    assert!(matches!(pair.run_until_event(), HostEvent::ConnectionLost(_)));
    let lost_at = pair.env.now();
    let read = io(&mut pair, 1, Op::Read, 0, 0);
    channel.submit(&mut pair.env, read).unwrap();
    assert_eq!(finish(&mut pair, &mut *channel, 1)[0].status, Status::Gone);
    let waited = pair.env.now() - lost_at;
    assert!(waited >= patience && waited < patience + Duration::from_secs(1), "{waited:?}");
    assert_eq!(pair.run_until_event(), HostEvent::Failed(refused()));
    channel.submit(&mut pair.env, read).unwrap();
    assert_eq!(finish(&mut pair, &mut *channel, 1)[0].status, Status::Gone);
}

#[test]
fn requests_fail_early_if_they_shall_and_later_ones_go_on() {
    let patience = Duration::from_secs(5);
    let mut pair = connected(1, HostOptions { fast_io_fail_timeout: Some(patience), ..options() });
    let mut channel = pair.namespace().open();
    pair.target.stop();
    assert!(matches!(pair.run_until_event(), HostEvent::ConnectionLost(_)));
    let read = io(&mut pair, 1, Op::Read, 0, 0);
    channel.submit(&mut pair.env, read).unwrap();
    assert_eq!(finish(&mut pair, &mut *channel, 1)[0].status, Status::TimedOut);
    channel.submit(&mut pair.env, read).unwrap();
    assert_eq!(finish(&mut pair, &mut *channel, 1)[0].status, Status::TimedOut);
    pair.target.start();
    assert_eq!(pair.run_until_event(), HostEvent::Reconnected);
    channel.submit(&mut pair.env, read).unwrap();
    assert_eq!(finish(&mut pair, &mut *channel, 1)[0].status, Status::Ok);
}

#[test]
fn a_first_connection_that_fails_is_told_at_once() {
    let mut pair = Pair::new(1, Faults::none());
    pair.target.stop();
    pair.host = Some(nvme::host::Host::connect(&mut pair.env, stdx::env::Owner(1), options()).unwrap());
    assert_eq!(pair.run_until_event(), HostEvent::Failed(refused()));
}

#[test]
fn a_closed_host_gives_everything_back() {
    let mut pair = connected(1, options());
    let mut channel = pair.namespace().open();
    let read = io(&mut pair, 1, Op::Read, 0, 0);
    channel.submit(&mut pair.env, read).unwrap();
    let flush = Io { op: Op::Flush, blocks: 0, data: Span::EMPTY, ..read };
    channel.submit(&mut pair.env, Io { tag: 2, ..flush }).unwrap();
    pair.close();
    let done = finish(&mut pair, &mut *channel, 2);
    assert!(done.iter().any(|done| done.tag == 1 && done.status == Status::Gone));
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.world.borrow().streams(), 0);
}
