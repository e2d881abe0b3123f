//! Nothing is allocated for a message once a stream has carried some.

mod support;

use stdx::mem::CountingAllocator;
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
