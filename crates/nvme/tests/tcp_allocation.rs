//! In steady state a command allocates nothing in the transport or the target, and answering 128 reads takes one receive
//! and one send.

mod support;

use stdx::env::StreamId;
use support::host::{Answer, Form};
use support::{World, long_write, pattern, read, write};
use wire::nvme::tcp::{DataAlignment, Digests, H2cData};

fn turn(world: &mut World, stream: StreamId, bytes: &[u8]) {
    world.env.stream(stream).sent.clear();
    world.env.deliver(stream, bytes);
    while let Some(event) = world.env.next_event() {
        world.server.handle_event(&mut world.env, &mut world.target, &event);
    }
    world.server.poll(&mut world.env, &mut world.target);
    assert!(!world.env.stream(stream).sent.is_empty());
}

#[test]
fn nothing_is_allocated_for_a_command() {
    for digests in [Digests::default(), Digests { header: true, data: true }] {
        let form = Form { digests, alignment: DataAlignment::default() };
        let mut world = World::new();
        let (_, controller) = world.admin(&form);
        let stream = world.io(&form, controller, true);
        let reads: Vec<u8> = (0..127).flat_map(|id| form.capsule(&read(id, 8, 8), &[])).collect();
        let data = pattern(4096, 1);
        let writes: Vec<u8> = (0..127).flat_map(|id| form.capsule(&write(id, 8, 8), &data)).collect();
        let asking = form.capsule(&long_write(0, 0, 64), &[]);
        let data = pattern(32 << 10, 2);
        let mut round = || {
            turn(&mut world, stream, &reads);
            turn(&mut world, stream, &writes);
            turn(&mut world, stream, &asking);
            // The host's own work is not counted.
            let mut answer = Vec::new();
            allocation_counter::opt_out(|| {
                let answers = world.answers(stream, &form);
                let [Answer::Ready(ready)] = answers[..] else { panic!("{answers:?}") };
                world.env.stream(stream).sent.reserve(1 << 20);
                let transfer_tag = ready.transfer_tag;
                let header = H2cData { command_id: 0, transfer_tag, offset: 0, length: 32 << 10, last: true };
                answer = form.data(&header, &data);
            });
            turn(&mut world, stream, &answer);
            allocation_counter::opt_out(move || drop(answer));
        };
        (0..3).for_each(|_| round());
        let measured = allocation_counter::measure(|| (0..10).for_each(|_| round()));
        assert_eq!(measured.count_total, 0, "allocations for {} commands", 10 * 255);
    }
}
