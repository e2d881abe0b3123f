//! A Linux host's half of captured sessions, played into our target: each command gets the answer that the Linux target
//! gave it, and what is read from the volume is the same bytes.

mod support;

use nvme::target::Target;
use nvme::target::tcp::Limits;
use std::collections::BTreeMap;
use support::World;
use support::captures::Connection;
use support::host::Answer;
use support::replay::{captures, command, connect, form, play, subsystem};
use wire::nvme::tcp::Receiver;
use wire::nvme::{AdminOpcode, NvmOpcode, SubmissionQueueEntry};

/// Data and completions by command, in the order of the answers: identifiers are used again and again.
#[derive(Default)]
struct Transcript {
    data: BTreeMap<u16, Vec<Vec<u8>>>,
    completions: BTreeMap<u16, Vec<(u16, u32)>>,
}

impl Transcript {
    fn add(&mut self, answer: &Answer) {
        match answer {
            Answer::Data(header, data) => {
                let pieces = self.data.entry(header.command_id).or_default();
                match pieces.last_mut() {
                    Some(last) if header.offset > 0 => last.extend_from_slice(data),
                    _ => pieces.push(data.clone()),
                }
            }
            Answer::Response(completion) => {
                let status = completion.status().to_wire();
                let entry = (status, completion.dword0());
                self.completions.entry(completion.command_id.get()).or_default().push(entry);
            }
            Answer::Initialized(_) | Answer::Ready(_) => {}
            Answer::Terminated(..) => panic!("{answer:?}"),
        }
    }

    fn of(answers: &[Answer]) -> Self {
        let mut transcript = Self::default();
        answers.iter().for_each(|answer| transcript.add(answer));
        transcript
    }
}

/// What the captured controller answered.
fn captured_answers(connection: &Connection) -> Vec<Answer> {
    let answers = connection.pdus.iter().filter(|pdu| pdu.kind().receiver() == Receiver::Host);
    answers.flat_map(|pdu| form(connection).answers(&pdu.bytes)).collect()
}

fn is_parked(command: &SubmissionQueueEntry) -> bool {
    command.opcode == AdminOpcode::AsynchronousEventRequest.code()
}

fn id(command: SubmissionQueueEntry) -> u16 {
    command.command_id.get()
}

fn replay(world: &mut World<Target>, name: &str, captured: &mut [Connection]) {
    let mut reads = 0;
    let theirs: Vec<_> =
        captured.iter().map(|connection| Transcript::of(&captured_answers(connection))).collect();
    let ours = play(world, captured);
    for ((connection, theirs), ours) in captured.iter().zip(theirs).zip(&ours) {
        let ours = Transcript::of(ours);
        // Linux answers its parked event requests when their controller is reset; the standard has them just go.
        let parked: Vec<u16> = connection.pdus.iter().filter_map(command).filter(is_parked).map(id).collect();
        for (id, completions) in theirs.completions.iter().filter(|(id, _)| !parked.contains(id)) {
            let answered = ours.completions.get(id).map_or(&[][..], |completions| completions);
            let statuses = |all: &[(u16, u32)]| all.iter().map(|(status, _)| *status).collect::<Vec<_>>();
            assert_eq!(statuses(answered), statuses(completions), "{name}: command {id:#x}");
        }
        let lens = |transcript: &Transcript| {
            let lens = transcript.data.iter().map(|(id, all)| (*id, all.iter().map(Vec::len).collect()));
            lens.collect::<Vec<(u16, Vec<usize>)>>()
        };
        assert_eq!(lens(&ours), lens(&theirs), "{name}: as much data");
        if connection.pdus.iter().find_map(connect).is_some_and(|connect| connect.queue_id != 0) {
            assert!(ours.data == theirs.data, "{name}: the volume reads the same");
            let commands = connection.pdus.iter().filter_map(command);
            reads += commands.filter(|command| command.opcode == NvmOpcode::Read.code()).count();
        }
    }
    assert!(name.contains("discovery") || reads > 0, "{name} reads the volume");
    assert_eq!(world.server.connections().count(), 0);
}

/// Without digests, with header digests, with data digests, with both: the captures were made in this order on one volume,
/// and each reads what those before it wrote.
#[test]
fn a_linux_host_finds_what_a_linux_target_gave_it() {
    let mut sessions = captures();
    let (name, mut session) = sessions.next().expect("a capture");
    let mut world = World::nvme(&subsystem(&session[0].pdus), 64 << 11, Limits::default());
    replay(&mut world, name, &mut session);
    sessions.for_each(|(name, mut session)| replay(&mut world, name, &mut session));
}
