//! What a target with a RAM volume costs per command, without a kernel: 127 commands arrive at once, their answers
//! leave by one send that copies nothing. Run with `cargo bench -p nvme --bench tcp_session`.

#[path = "../tests/support/mod.rs"]
mod support;

use ::nvme::target::Target;
use ::nvme::target::tcp::Limits;
use std::time::Instant;
use stdx::env::StreamId;
use support::host::{Form, SUBSYSTEM};
use support::{World, pattern, read, write};
use wire::nvme::Nqn;
use wire::nvme::tcp::{DataAlignment, Digests};

fn main() {
    for digests in [Digests::default(), Digests { header: true, data: true }] {
        let form = Form { digests, alignment: DataAlignment::default() };
        let name = if digests.header { "both digests" } else { "no digests" };
        let mut world = World::nvme(&Nqn::parse(SUBSYSTEM).unwrap(), 64 << 11, Limits::default());
        let stream = world.enabled_io(&form);
        world.env.stream(stream).sink = true;
        let reads: Vec<u8> =
            (0..127).flat_map(|id| form.capsule(&read(id, u32::from(id) * 8, 8), &[])).collect();
        let writes: Vec<u8> = (0..127)
            .flat_map(|id| form.capsule(&write(id, u32::from(id) * 8, 8), &pattern(4096, 1)))
            .collect();
        report(&mut world, stream, name, "4 KiB reads", &reads);
        report(&mut world, stream, name, "4 KiB writes in the capsule", &writes);
        let one = form.capsule(&read(0, 0, 8), &[]);
        let nanoseconds = measure(&mut world, stream, &one);
        println!("{name}: one 4 KiB read alone: {nanoseconds:.0} ns");
    }
}

fn report(world: &mut World<Target>, stream: StreamId, form: &str, what: &str, bytes: &[u8]) {
    let nanoseconds = measure(world, stream, bytes) / 127.0;
    println!("{form}: {what}, 127 at a time: {nanoseconds:.0} ns each");
}

/// The best of many short runs, in nanoseconds a turn: whoever else uses the machine disturbs some, not all.
fn measure(world: &mut World<Target>, stream: StreamId, bytes: &[u8]) -> f64 {
    const TURNS: u32 = 16;
    let run = |world: &mut World<Target>| {
        let start = Instant::now();
        for _ in 0..TURNS {
            world.env.deliver(stream, bytes);
            while let Some(event) = world.env.next_event() {
                world.server.handle_event(&mut world.env, &mut world.target, &event);
            }
            world.server.poll(&mut world.env, &mut world.target);
        }
        start.elapsed().as_nanos() as f64 / f64::from(TURNS)
    };
    (0..2000).map(|_| run(world)).fold(f64::INFINITY, f64::min)
}
