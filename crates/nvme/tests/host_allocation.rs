//! In steady state the host allocates nothing for a request, and 127 reads take one send and one receive.

mod script;

use block::{Done, Io, Op, Status};
use nvme::host::HostOptions;
use script::pdu;
use script::{Script, options};
use wire::nvme::SubmissionQueueEntry;
use wire::nvme::tcp::Digests;

const DEPTH: u64 = 127;

/// Submits all, has the controller answer with `answer`, and takes the completions.
fn round(
    script: &mut Script,
    ios: &[Io],
    done: &mut Vec<Done>,
    answer: fn(&SubmissionQueueEntry, Digests) -> Vec<u8>,
) {
    let stream = script.io_stream();
    let mut channel = script.channel.take().unwrap();
    for io in ios {
        channel.submit(&mut script.env, *io).unwrap();
    }
    // The memory of what was sent is the test's.
    allocation_counter::opt_out(|| script.env.stream(stream).sent.reserve(2 << 20));
    channel.poll(&mut script.env, done);
    allocation_counter::opt_out(|| {
        let sent = std::mem::take(&mut script.env.stream(stream).sent);
        let commands = pdu::parse(&sent, script.digests);
        let answers: Vec<u8> = commands
            .iter()
            .flat_map(|sent| match sent {
                pdu::Sent::Command { command, .. } => answer(command, script.digests),
                other => panic!("{other:?}"),
            })
            .collect();
        script.env.deliver(stream, &answers);
    });
    while let Some(event) = script.env.next_event() {
        script.host.handle_event(&mut script.env, &event);
    }
    channel.poll(&mut script.env, done);
    assert_eq!(done.len(), ios.len());
    assert!(done.drain(..).all(|done| done.status == Status::Ok));
    script.channel = Some(channel);
}

#[test]
fn nothing_is_allocated_for_a_request() {
    for digests in [Digests::default(), Digests { header: true, data: true }] {
        let mut script = Script::connected(HostOptions { digests, ..options() });
        let reads: Vec<Io> = (0..DEPTH).map(|tag| script.io(tag, Op::Read, tag, 1)).collect();
        let writes: Vec<Io> = (0..DEPTH).map(|tag| script.io(tag, Op::Write, tag, 1)).collect();
        let mut done = Vec::new();
        let mut rounds = || {
            round(&mut script, &reads, &mut done, |command, digests| {
                pdu::data(command, 0, &[7; 4096], true, true, digests)
            });
            round(&mut script, &writes, &mut done, |command, digests| {
                pdu::response(command, wire::nvme::Status::SUCCESS, 0, digests)
            });
        };
        rounds();
        rounds();
        let counted = allocation_counter::measure(rounds);
        assert_eq!(counted.count_total, 0, "{digests:?}");
    }
}
