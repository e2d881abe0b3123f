//! The initiator's own bytes: as they were laid down, and, where the standard leaves no choice, as those of a Linux initiator.

#[allow(dead_code, reason = "a part of it is used")]
#[path = "../../wire/tests/support/pcap.rs"]
mod pcap;
mod script;

use block::Op;
use script::{Script, Sent, options};
use scsi::iscsi::initiator::InitiatorOptions;
use scsi::iscsi::login::{DigestPolicy, Limits};
use std::collections::{BTreeMap, BTreeSet};
use wire::iscsi::{Bhs, DataOut, Digests, HeaderRules, Isid, LogoutRequest, Opcode, PORT, Receiver, Serial};

/// Sessions of a Linux initiator: with unsolicited data, and without.
const PLAIN: &[u8] = include_bytes!("../../wire/tests/data/iscsi.pcap");
const SOLICITED: &[u8] = include_bytes!("../../wire/tests/data/iscsi-r2t.pcap");

/// What a Linux initiator sent.
fn theirs(capture: &[u8]) -> Vec<(Bhs, Vec<u8>)> {
    let segments = pcap::tcp_segments(capture);
    let opening = segments.iter().find(|segment| segment.opens && segment.to.1 == PORT).unwrap();
    let bytes = pcap::reassemble(&segments, opening.from, opening.to).bytes;
    let rules = HeaderRules { receiver: Receiver::Target, digests: Digests::default(), data_max: u32::MAX };
    let mut pdus = Vec::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let bhs = *Bhs::view(rest).unwrap();
        let layout = bhs.check(&rules).unwrap();
        pdus.push((bhs, rest[layout.header_span()..][..layout.data_len as usize].to_vec()));
        rest = &rest[layout.pdu_len()..];
    }
    pdus
}

fn of_kind(pdus: &[(Bhs, Vec<u8>)], opcode: Opcode) -> Vec<(Bhs, Vec<u8>)> {
    pdus.iter().filter(|(bhs, _)| bhs.opcode() == Some(opcode)).cloned().collect()
}

/// An initiator with nothing left to chance, and a target with these limits.
fn connected(limits: Limits) -> Script {
    let named = InitiatorOptions {
        isid: Some(Isid([0x80, 1, 2, 3, 0, 0])),
        cmd_sn: Some(Serial(0x1000)),
        header_digest: DigestPolicy::Never,
        data_digest: DigestPolicy::Never,
        ..options()
    };
    let mut begun = Script::begin(named);
    begun.limits = limits;
    begun.keeps = true;
    begun.up()
}

/// The header without what is chosen or counted: the length of data or text, the task's tag, and the numbers.
fn anonymous(bhs: &Bhs) -> Vec<u8> {
    let mut bytes = bhs.bytes().to_vec();
    for counted in [5..8, 16..20, 24..32] {
        bytes[counted].fill(0);
    }
    bytes
}

fn keys(text: &[u8]) -> BTreeMap<String, String> {
    let pairs = text.split(|byte| *byte == 0).filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| std::str::from_utf8(pair).unwrap().split_once('=').unwrap());
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_login_is_as_it_was_laid_down() {
    let script = connected(Limits::default());
    let [first, second, ..] = &script.kept[..] else { panic!("two requests") };
    // Login, immediate; security stage, on to the operational; version 0; TSIH 0, CID 0; CmdSN 1000h.
    let header = [0x43, 0x81, 0, 0, 0, 0, 0, first.data.len() as u8, 0x80, 1, 2, 3, 0, 0, 0, 0];
    assert_eq!(first.bhs.bytes()[..16], header);
    let numbers = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0x10, 0], [0, 0, 0, 0]].concat();
    assert_eq!(first.bhs.bytes()[16..32], numbers);
    assert_eq!(first.bhs.bytes()[32..], [0; 16]);
    let who = b"InitiatorName=iqn.2001-04.com.example:initiator\0SessionType=Normal\0\
        TargetName=iqn.2001-04.com.example:disk\0AuthMethod=None\0";
    assert_eq!(first.data, who);
    assert_eq!(second.bhs.bytes()[..4], [0x43, 0x87, 0, 0]);
    assert_eq!(second.bhs.bytes()[8..28], first.bhs.bytes()[8..28], "what names it stays");
}

#[test]
fn the_operational_stage_is_that_of_linux() {
    let script = connected(Limits::default());
    let ours = script.kept[1].clone();
    let (bhs, text) = of_kind(&theirs(PLAIN), Opcode::LoginRequest).remove(0);
    // The initiator's part of the session's name is drawn.
    let nameless = |bhs: &Bhs| {
        let mut bytes = anonymous(bhs);
        bytes[8..14].fill(0);
        bytes
    };
    assert_eq!(nameless(&ours.bhs), nameless(&bhs));
    let (ours, theirs) = (keys(&ours.data), keys(&text));
    // Markers are no more (RFC 7143, section 13.25), and each says what it is called in another stage.
    let elsewhere = ["InitiatorName", "InitiatorAlias", "TargetName", "SessionType", "IFMarker", "OFMarker"];
    let negotiated = |(key, _): &(&String, &String)| !elsewhere.contains(&key.as_str());
    let known: BTreeSet<&String> = theirs.iter().filter(negotiated).map(|(key, _)| key).collect();
    let missing: Vec<_> = known.iter().filter(|key| !ours.contains_key(**key)).collect();
    assert!(missing.is_empty(), "{missing:?} are not said");
    for key in ["HeaderDigest", "DataDigest", "DataPDUInOrder", "DataSequenceInOrder", "MaxConnections"] {
        assert_eq!(ours[key], theirs[key], "{key}");
    }
}

#[test]
fn a_read_and_a_write_are_as_they_were_laid_down() {
    let mut script = connected(Limits::default());
    script.kept.clear();
    let io = script.io(1, Op::Read, 10, 3);
    let read = script.submit(io);
    let io = script.io(2, Op::Write, 11, 1);
    let write = script.submit(io);
    assert_eq!(write.cmd_sn, read.cmd_sn.next());
    let be = |number: u32| number.to_be_bytes();
    for (flags, data_len, len, command, cdb) in [
        (0xc1, 0, 12_288, read, [0x88, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 3, 0, 0]),
        (0xa1, 4096, 4096, write, [0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0, 1, 0, 0]),
    ] {
        let sent = script.kept.remove(0);
        let tags = [be(command.task_tag), be(len), be(command.cmd_sn.0), be(command.exp_stat_sn.0)].concat();
        let header = [&[0x01, flags, 0, 0][..], &be(data_len), &[0; 8], &tags, &cdb].concat();
        assert_eq!(sent.bhs.bytes(), &header[..]);
        assert_eq!(sent.data.len(), data_len as usize);
    }
}

#[test]
fn commands_have_the_headers_of_linux() {
    let mut script = connected(Limits::default());
    for (tag, op) in [(1, Op::Read), (2, Op::Write)] {
        let io = script.io(tag, op, 8, 1);
        script.submit(io);
    }
    let known = of_kind(&theirs(PLAIN), Opcode::ScsiCommand);
    let mut compared = BTreeSet::new();
    for Sent { bhs, data, .. } in script.kept.iter().filter(|sent| sent.opcode() == Opcode::ScsiCommand) {
        // Reads and writes have a longer form here: their operation codes differ by 60h.
        let operation = |bhs: &Bhs| match bhs.bytes()[32] {
            code @ (0x88 | 0x8a) => code - 0x60,
            code => code,
        };
        let same = |(other, _): &&(Bhs, Vec<u8>)| operation(other) == operation(bhs);
        let Some((other, with)) = known.iter().find(same) else { continue };
        assert_eq!(bhs.bytes()[..4], other.bytes()[..4], "flags of {:#04x}", operation(bhs));
        assert_eq!(bhs.bytes()[8..16], other.bytes()[8..16], "logical unit");
        assert_eq!(data.is_empty(), with.is_empty());
        compared.insert(operation(bhs));
    }
    let expected = [0x12, 0x1a, 0x28, 0x2a, 0x9e, 0xa0];
    assert!(expected.iter().all(|code| compared.contains(code)), "{compared:02x?}");
}

#[test]
fn data_that_was_asked_for_has_the_header_of_linux() {
    let mut script = connected(Limits { initial_r2t: true, immediate_data: false, ..Limits::default() });
    let io = script.io(1, Op::Write, 8, 1);
    let command = script.submit(io);
    let known = theirs(SOLICITED);
    let write = of_kind(&known, Opcode::ScsiCommand)
        .into_iter()
        .find(|(bhs, _)| bhs.bytes()[32] == 0x2a)
        .expect("a write");
    let ours = script.kept.last().expect("the write").clone();
    assert_eq!(anonymous(&ours.bhs)[..32], anonymous(&write.0)[..32]);
    let stream = script.stream();
    let r2t = script.r2t(&command, 0, 0, 4096);
    script.deliver(stream, &r2t);
    let ours = script.kept.last().expect("data").clone();
    let (bhs, data) = of_kind(&known, Opcode::DataOut).remove(0);
    // The target's tag comes back as it was said.
    let tagless = |bhs: &Bhs| {
        let mut bytes = anonymous(bhs);
        bytes[20..24].fill(0);
        bytes
    };
    assert_eq!(DataOut::decode(&ours.bhs).unwrap().transfer_tag, 77);
    assert_eq!(tagless(&ours.bhs), tagless(&bhs));
    assert_eq!((ours.data.len(), ours.bhs.bytes()[5..8].to_vec()), (data.len(), bhs.bytes()[5..8].to_vec()));
}

#[test]
fn the_logout_is_that_of_linux() {
    let mut script = connected(Limits::default());
    script.initiator.close(&mut script.env);
    let stream = script.stream();
    let sent = std::mem::take(&mut script.env.stream(stream).sent);
    let ours = Bhs::view(&sent[sent.len() - 48..]).unwrap();
    let (theirs, _) = of_kind(&theirs(PLAIN), Opcode::LogoutRequest).remove(0);
    let connection = |bhs: &Bhs| LogoutRequest::decode(bhs).unwrap();
    assert_eq!(connection(ours).reason, connection(&theirs).reason);
    // For a whole session no connection is named (section 11.14.3).
    assert_eq!(anonymous(ours), anonymous(&theirs));
}
