//! What the host's side costs for a request, without a kernel: 127 requests are submitted, leave in one send that copies
//! nothing, and are answered at once. Run with `cargo bench -p nvme --bench host_session`.

#[path = "../tests/script/mod.rs"]
mod script;

use block::{Done, Io, Op};
use nvme::host::HostOptions;
use script::{Script, options, pdu};
use std::time::{Duration, Instant};
use wire::nvme::tcp::Digests;
use wire::nvme::{Status, SubmissionQueueEntry};

const DEPTH: u64 = 127;

fn main() {
    for digests in [Digests::default(), Digests { header: true, data: true }] {
        let name = if digests.header { "both digests" } else { "no digests" };
        let mut script = Script::connected(HostOptions { digests, ..options() });
        let reads: Vec<Io> = (0..DEPTH).map(|tag| script.io(tag, Op::Read, tag, 1)).collect();
        let writes: Vec<Io> = (0..DEPTH).map(|tag| script.io(tag, Op::Write, tag, 1)).collect();
        let read = measure(&mut script, &reads, |command, digests| {
            pdu::data(command, 0, &[7; 4096], true, true, digests)
        });
        let write = measure(&mut script, &writes, |command, digests| {
            pdu::response(command, Status::SUCCESS, 0, digests)
        });
        println!("{name}: 4 KiB reads, {DEPTH} at a time: {read:.0} ns each");
        println!("{name}: 4 KiB writes, {DEPTH} at a time: {write:.0} ns each");
    }
}

/// The best of several rounds, in nanoseconds a request; the controller's part is not counted.
fn measure(script: &mut Script, ios: &[Io], answer: fn(&SubmissionQueueEntry, Digests) -> Vec<u8>) -> f64 {
    let stream = script.io_stream();
    let mut channel = script.channel.take().unwrap();
    let mut done: Vec<Done> = Vec::new();
    let mut best = Duration::MAX;
    for _ in 0..300 {
        script.env.stream(stream).sent.reserve(2 << 20);
        let begin = Instant::now();
        for io in ios {
            channel.submit(&mut script.env, *io).unwrap();
        }
        channel.poll(&mut script.env, &mut done);
        let submitting = begin.elapsed();
        let sent = std::mem::take(&mut script.env.stream(stream).sent);
        let answers: Vec<u8> = pdu::parse(&sent, script.digests)
            .iter()
            .flat_map(|sent| match sent {
                pdu::Sent::Command { command, .. } => answer(command, script.digests),
                other => panic!("{other:?}"),
            })
            .collect();
        script.env.deliver(stream, &answers);
        let begin = Instant::now();
        while let Some(event) = script.env.next_event() {
            script.host.handle_event(&mut script.env, &event);
        }
        channel.poll(&mut script.env, &mut done);
        best = best.min(submitting + begin.elapsed());
        assert_eq!(done.drain(..).count(), ios.len());
    }
    script.channel = Some(channel);
    best.as_secs_f64() * 1e9 / ios.len() as f64
}
