//! Where the standard leaves no choice, our bytes are those of a Linux host, as captured.

#[path = "../../wire/tests/support/mod.rs"]
mod captures;
mod script;

use block::{BlockDevice, Op};
use captures::{Connection, connections_of};
use nvme::host::HostOptions;
use script::{Script, options};
use stdx::env::{Env, StreamId};
use wire::nvme::fabrics::Connect;
use wire::nvme::tcp::{CapsuleCmd, Digests, PduType};
use wire::nvme::{AdminOpcode, FABRICS_OPCODE, FabricsCommandType, NvmOpcode, SubmissionQueueEntry};
use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32};

/// A session of a Linux host without digests.
const PLAIN: &[u8] = include_bytes!("../../wire/tests/data/nvme-tcp.pcap");

/// A host that is connected over this many digests, with everything its streams sent, in the order they were made.
fn sent_by_us(digests: Digests) -> (Script, Vec<(StreamId, Vec<u8>)>) {
    let mut script = Script::begin(HostOptions { digests, ..options() });
    script.keep_sent = true;
    script.run();
    script.channel = Some(script.host.namespace(1).unwrap().open());
    let sent = std::mem::take(&mut script.kept);
    (script, sent)
}

/// The commands of a kind a Linux host sent: on its admin queue, or on its first I/O queue.
fn theirs(session: &[Connection], queue: usize, is: impl Fn(&SubmissionQueueEntry) -> bool) -> Vec<Captured> {
    let capsules = session[queue].of_kind(PduType::CapsuleCmd);
    let commands = capsules.map(|pdu| (CapsuleCmd::view(&pdu.bytes).unwrap().command, pdu.bytes.clone()));
    commands.filter(|(command, _)| is(command)).collect()
}

type Captured = (SubmissionQueueEntry, Vec<u8>);

/// The same for what we sent on one stream without digests: PDUs follow each other.
fn ours(bytes: &[u8], is: impl Fn(&SubmissionQueueEntry) -> bool) -> Vec<Captured> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while rest.len() >= 8 {
        let len = u32::from_le_bytes(rest[4..8].try_into().unwrap()) as usize;
        let (pdu, behind) = rest.split_at(len);
        if pdu[0] == PduType::CapsuleCmd.code() {
            let command = CapsuleCmd::view(pdu).unwrap().command;
            if is(&command) {
                found.push((command, pdu.to_vec()));
            }
        }
        rest = behind;
    }
    found
}

fn fabrics(kind: FabricsCommandType) -> impl Fn(&SubmissionQueueEntry) -> bool {
    move |command| command.opcode == FABRICS_OPCODE && command.fabrics_type_code() == kind.code()
}

/// The command without what a host chooses: its identifier.
fn anonymous(command: &SubmissionQueueEntry) -> Vec<u8> {
    SubmissionQueueEntry { command_id: U16::new(0), ..*command }.as_bytes().to_vec()
}

#[test]
fn initialization_is_the_same_whatever_the_digests() {
    for (capture, header, data) in [
        (PLAIN, false, false),
        (include_bytes!("../../wire/tests/data/nvme-tcp-hdgst.pcap"), true, false),
        (include_bytes!("../../wire/tests/data/nvme-tcp-ddgst.pcap"), false, true),
        (include_bytes!("../../wire/tests/data/nvme-tcp-hdgst-ddgst.pcap"), true, true),
    ] {
        let digests = Digests { header, data };
        let mut script = Script::begin(HostOptions { digests, ..options() });
        script.mute = true;
        script.keep_sent = true;
        script.run();
        let theirs = connections_of(capture)[0].request;
        let mut expected = vec![0; 128];
        theirs.encode(&mut expected).unwrap();
        assert_eq!(script.kept[0].1, expected, "{digests:?}");
    }
}

#[test]
fn the_way_up_has_the_same_commands() {
    let session = connections_of(PLAIN);
    let (_, sent) = sent_by_us(Digests::default());
    let admin = &sent[0].1;
    for kind in [FabricsCommandType::PropertyGet, FabricsCommandType::PropertySet] {
        let known: Vec<_> = theirs(&session, 0, fabrics(kind)).iter().map(|(c, _)| anonymous(c)).collect();
        let said = ours(admin, fabrics(kind));
        assert!(!said.is_empty());
        for (command, _) in said {
            assert!(
                known.contains(&anonymous(&command)),
                "{kind}: {:02x?} is none of {known:02x?}",
                anonymous(&command)
            );
        }
    }
    let identify = |command: &SubmissionQueueEntry| command.opcode == AdminOpcode::Identify.code();
    let known: Vec<_> = theirs(&session, 0, identify).iter().map(|(c, _)| anonymous(c)).collect();
    let said = ours(admin, identify);
    assert_eq!(said.len(), 4);
    for (command, _) in said {
        assert!(known.contains(&anonymous(&command)), "Identify: {command:?}");
    }
}

#[test]
fn connect_differs_in_the_choices_alone() {
    let session = connections_of(PLAIN);
    let (_, sent) = sent_by_us(Digests::default());
    for queue in [0, 1] {
        let connect = fabrics(FabricsCommandType::Connect);
        let (theirs, their_bytes) = theirs(&session, queue, &connect).remove(0);
        let (ours, our_bytes) = ours(&sent[queue].1, &connect).remove(0);
        assert_eq!(our_bytes.len(), their_bytes.len());
        assert_eq!(our_bytes[..8], their_bytes[..8], "layout");
        assert_eq!(Connect::read(&ours).queue_id, Connect::read(&theirs).queue_id);
        // Queue size, attributes and keep alive timeout are chosen.
        let without = |command: SubmissionQueueEntry| {
            anonymous(&SubmissionQueueEntry { cdw11: U32::new(0), cdw12: U32::new(0), ..command })
        };
        assert_eq!(without(ours), without(theirs));
    }
}

#[test]
fn reads_and_writes_are_the_same() {
    let session = connections_of(PLAIN);
    let (mut script, _) = sent_by_us(Digests::default());
    for (opcode, op) in [(NvmOpcode::Read, Op::Read), (NvmOpcode::Write, Op::Write)] {
        let known = theirs(&session, 1, |command| command.opcode == opcode.code());
        assert!(!known.is_empty());
        for (command, bytes) in known {
            // The captured namespace has blocks of 512 bytes, ours of 4,096: the range is compared by itself.
            let length = command.data.decode().unwrap().data_length();
            if length % 4096 != 0 || command.cdw10.get() % 8 != 0 {
                continue;
            }
            script.seen.clear();
            let io = script.io(1, op, u64::from(command.cdw10.get() / 8), length / 4096);
            script.keep_sent = true;
            script.kept.clear();
            let said = script.submit(io);
            script.env.mem().give(io.data);
            assert_eq!(said.cdw10.get() * 8, command.cdw10.get());
            assert_eq!(((said.cdw12.get() & 0xffff) + 1) * 8, (command.cdw12.get() & 0xffff) + 1);
            if command.data != said.data {
                // Their controller takes 16 KiB in a capsule, ours 8.
                assert_eq!(length, 16_384);
                continue;
            }
            let hints = |command: &SubmissionQueueEntry| {
                let (cdw10, cdw12, cdw13) = (U32::new(0), U32::new(0), U32::new(0));
                anonymous(&SubmissionQueueEntry { cdw10, cdw12, cdw13, ..*command })
            };
            assert_eq!(hints(&said), hints(&command));
            assert_eq!(script.kept[0].1[..8], bytes[..8], "layout");
        }
    }
}
