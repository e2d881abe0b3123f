//! In steady state the host allocates nothing for a request, and 127 reads take one send and one receive.

mod script;

use block::{Done, Io, Op, Status};
use nvme::host::HostOptions;
use script::pdu;
use script::{Script, options};
use stdx::mem::CountingAllocator;
use wire::nvme::SubmissionQueueEntry;
use wire::nvme::tcp::Digests;

const DEPTH: u64 = 127;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Submits all, has the controller answer with `answer`, and takes the completions. Says how often the host allocated; what
/// the controller's half does is not counted.
fn round(
    script: &mut Script,
    ios: &[Io],
    done: &mut Vec<Done>,
    answer: fn(&SubmissionQueueEntry, Digests) -> Vec<u8>,
) -> u64 {
    let stream = script.io_stream();
    let mut channel = script.channel.take().unwrap();
    script.env.stream(stream).sent.reserve(2 << 20);
    let before = CountingAllocator::allocations();
    for io in ios {
        channel.submit(&mut script.env, *io).unwrap();
    }
    channel.poll(&mut script.env, done);
    let submitting = CountingAllocator::allocations() - before;
    let sent = std::mem::take(&mut script.env.stream(stream).sent);
    let answers: Vec<u8> = pdu::parse(&sent, script.digests)
        .iter()
        .flat_map(|sent| match sent {
            pdu::Sent::Command { command, .. } => answer(command, script.digests),
            other => panic!("{other:?}"),
        })
        .collect();
    script.env.deliver(stream, &answers);
    let before = CountingAllocator::allocations();
    while let Some(event) = script.env.next_event() {
        script.host.handle_event(&mut script.env, &event);
    }
    channel.poll(&mut script.env, done);
    let completing = CountingAllocator::allocations() - before;
    assert_eq!(done.len(), ios.len());
    assert!(done.drain(..).all(|done| done.status == Status::Ok));
    script.channel = Some(channel);
    submitting + completing
}

#[test]
fn nothing_is_allocated_for_a_request() {
    for digests in [Digests::default(), Digests { header: true, data: true }] {
        let mut script = Script::connected(HostOptions { digests, ..options() });
        let reads: Vec<Io> = (0..DEPTH).map(|tag| script.io(tag, Op::Read, tag, 1)).collect();
        let writes: Vec<Io> = (0..DEPTH).map(|tag| script.io(tag, Op::Write, tag, 1)).collect();
        let mut done = Vec::new();
        let mut rounds = || {
            let reading = round(&mut script, &reads, &mut done, |command, digests| {
                pdu::data(command, 0, &[7; 4096], true, true, digests)
            });
            let writing = round(&mut script, &writes, &mut done, |command, digests| {
                pdu::response(command, wire::nvme::Status::SUCCESS, 0, digests)
            });
            reading + writing
        };
        // Tables grow to the load first.
        let _ = rounds() + rounds();
        assert_eq!(rounds(), 0, "{digests:?}");
    }
}
