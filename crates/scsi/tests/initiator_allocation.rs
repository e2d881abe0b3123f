//! In steady state a request allocates nothing in the initiator.

mod script;

use block::{Done, Io, Op};
use script::{Script, options};
use stdx::mem::CountingAllocator;
use wire::iscsi::Opcode;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// A round of requests, and how often the initiator allocated for them; what the target and the test do is not counted.
fn round(script: &mut Script, ios: &[Io], done: &mut Vec<Done>) -> u64 {
    let stream = script.stream();
    // What is sent is gathered in a queue of the test's.
    script.env.stream(stream).sent.reserve(1 << 20);
    let mut channel = script.channel.take().expect("connected");
    let before = CountingAllocator::allocations();
    for io in ios {
        channel.submit(&mut script.env, *io).expect("room");
    }
    channel.poll(&mut script.env, done);
    let mut allocations = CountingAllocator::allocations() - before;
    script.channel = Some(channel);
    script.run();
    let commands: Vec<_> =
        script.seen.drain(..).filter(|sent| sent.opcode() == Opcode::ScsiCommand).collect();
    assert_eq!(commands.len(), ios.len());
    let mut answers = Vec::new();
    for sent in &commands {
        let command = sent.command();
        answers.extend(if command.read {
            script.data(&command, 0, 0, &[7; 4096], true)
        } else {
            script.good(&command)
        });
    }
    script.env.stream(stream).sent.reserve(1 << 20);
    script.env.deliver(stream, &answers);
    let before = CountingAllocator::allocations();
    while let Some(event) = script.env.next_event() {
        script.initiator.handle_event(&mut script.env, &event);
    }
    script.initiator.flush(&mut script.env);
    script.channel.as_mut().expect("connected").poll(&mut script.env, done);
    allocations += CountingAllocator::allocations() - before;
    assert_eq!(done.drain(..).filter(|done| done.status == block::Status::Ok).count(), ios.len());
    allocations
}

#[test]
fn nothing_is_allocated_for_a_request() {
    let mut script = Script::connected(options());
    let ops = [Op::Read, Op::Write];
    let ios: Vec<Io> = (0..64).map(|tag| script.io(tag, ops[tag as usize % 2], tag * 8, 1)).collect();
    let mut done = Vec::new();
    // Tables grow to the load first.
    let _: u64 = (0..4).map(|_| round(&mut script, &ios, &mut done)).sum();
    let allocations: u64 = (0..10).map(|_| round(&mut script, &ios, &mut done)).sum();
    assert_eq!(allocations, 0, "for {} requests", 10 * ios.len());
}
