//! Nothing is allocated for a message once a stream has carried some.

mod support;

use sdp::sockets::{Config, Placed, Taken};
use stdx::env::Env;
use stdx::mem::{CountingAllocator, Kind};
use support::World;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn messages_allocate_nothing() {
    let mut world = World::narrow();
    let ends = world.pair();
    let mut place = [0; 2000];
    let mut exchange = |world: &mut World, rounds: usize| {
        for round in 0..rounds {
            let [from, to] = if round % 2 == 0 { ends } else { [ends[1], ends[0]] };
            let len = world.write(from, &[3; 480][..round % 480 + 1]).expect("room");
            let mut heard = 0;
            while heard < len {
                world.settle();
                heard += world.read(to, &mut place).unwrap_or(0);
            }
            while world.sockets.poll_changed().is_some() {}
            world.settle();
        }
    };
    exchange(&mut world, 2000);
    let before = CountingAllocator::allocations();
    exchange(&mut world, 2000);
    assert_eq!(CountingAllocator::allocations() - before, 0);
}

#[test]
fn lent_and_placed_bytes_allocate_nothing_each() {
    const LEN: usize = 100_000;
    let config = Config { zero_copy_min: 70_000, place_min: 70_000, ..Config::default() };
    let mut world = World::new(Config { streams_max: 4, frames_max: 64, ..config });
    let [client, server] = world.pair();
    let region = world.env.mem().map(Kind::Shared, 2 * LEN as u64).expect("memory");
    let whole = world.env.mem().whole(region);
    let (from, to) = (whole.slice(0, LEN), whole.slice(LEN, LEN));
    let exchange = |world: &mut World, rounds: usize| {
        for round in 0..rounds {
            let World { env, device, sockets } = world;
            // Memory that waits for bytes, and bytes that wait for memory.
            if round % 3 > 0 {
                sockets.queue_into(env, device, server, to, 1).expect("room");
            }
            if round % 2 > 0 {
                world.settle();
            }
            let World { env, device, sockets } = world;
            assert_eq!(sockets.write_from(env, device, client, from, 0), Ok(Taken::Lent));
            let mut heard = 0;
            while heard < LEN {
                world.settle();
                let World { env, device, sockets } = world;
                if let Ok(Placed::Bytes(len)) = sockets.read_into(env, device, server, to, 1) {
                    heard += len;
                }
            }
            world.settle();
            let World { env, device, sockets } = world;
            sockets.withdraw(env, device, server);
            world.settle();
            while world.sockets.poll_returned().is_some() {}
            while world.sockets.poll_changed().is_some() {}
        }
    };
    exchange(&mut world, 1000);
    let before = CountingAllocator::allocations();
    exchange(&mut world, 1000);
    let allocated = CountingAllocator::allocations() - before;
    assert!(allocated < 100, "nothing is for each of a thousand writes and reads: {allocated}");
}
