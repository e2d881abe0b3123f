//! The captures of a Linux initiator speaking iSCSI to a Linux target: every PDU is read, written again to the same bytes,
//! and its digests computed anew.

#[path = "support/pcap.rs"]
mod pcap;

use std::collections::BTreeMap;
use std::path::Path;

use crc32c::crc32c;
use wire::iscsi::{
    AsyncMessage, BHS_LEN, Bhs, DataIn, DataOut, Digests, HeaderError, HeaderRules, LOGIN_DATA_MAX,
    LoginRequest, LoginResponse, LogoutReason, LogoutRequest, LogoutResponse, LogoutResult, NopIn, NopOut,
    Opcode, PORT, PduLayout, R2t, RESERVED_TAG, Receiver, Reject, ScsiCommand, ScsiResponse, Snack, Stage,
    TaskRequest, TaskResponse, TextRequest, TextResponse,
};
use wire::scsi::Lun;

/// Capture, whether digests were negotiated in it.
const CAPTURES: [(&str, bool); 5] = [
    ("iscsi.pcap", false),
    ("iscsi-r2t.pcap", false),
    ("iscsi-digests.pcap", true),
    ("iscsi-chap.pcap", false),
    ("iscsi-discovery.pcap", false),
];

struct Pdu {
    layout: PduLayout,
    bytes: Vec<u8>,
    packet: usize,
}

impl Pdu {
    fn bhs(&self) -> &Bhs {
        Bhs::view(&self.bytes).unwrap()
    }

    fn data(&self) -> &[u8] {
        &self.bytes[self.layout.header_span()..][..self.layout.data_len as usize]
    }
}

/// The PDUs of a capture's one connection, both directions, in the order of the packets.
fn pdus(capture: &str, digests: bool) -> Vec<Pdu> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(capture);
    let file = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let segments = pcap::tcp_segments(&file);
    let opening = segments.iter().find(|segment| segment.opens && segment.to.1 == PORT).unwrap();
    let (initiator, target) = (opening.from, opening.to);
    let mut pdus = split(&pcap::reassemble(&segments, initiator, target), Receiver::Target, digests);
    pdus.extend(split(&pcap::reassemble(&segments, target, initiator), Receiver::Initiator, digests));
    pdus.sort_by_key(|pdu| pdu.packet);
    pdus
}

/// Cuts a stream into PDUs; every byte must belong to one.
fn split(stream: &pcap::Stream, receiver: Receiver, digests: bool) -> Vec<Pdu> {
    let mut pdus = Vec::new();
    let mut at = 0;
    while at < stream.bytes.len() {
        let bhs = Bhs::view(&stream.bytes[at..]).unwrap();
        let in_login = matches!(bhs.opcode(), Some(Opcode::LoginRequest | Opcode::LoginResponse));
        let digests = Digests { header: digests && !in_login, data: digests && !in_login };
        let data_max = if in_login { LOGIN_DATA_MAX } else { 256 << 10 };
        let layout = bhs.check(&HeaderRules { receiver, digests, data_max });
        let layout = layout.unwrap_or_else(|error| panic!("at {at}: {error}"));
        let end = at + layout.pdu_len();
        let packet = stream.packet_of(end - 1);
        pdus.push(Pdu { layout, bytes: stream.bytes[at..end].to_vec(), packet });
        at = end;
    }
    pdus
}

#[test]
fn every_type_is_there_as_often_as_it_was_sent() {
    use Opcode as O;
    let count = |capture, digests| {
        let mut counts = BTreeMap::new();
        for pdu in pdus(capture, digests) {
            *counts.entry(pdu.layout.opcode).or_insert(0) += 1;
        }
        counts
    };
    let r2t = count("iscsi-r2t.pcap", false);
    assert_eq!((r2t[&O::R2t], r2t[&O::DataOut]), (2, 2));
    let plain = [
        (O::LoginRequest, 1),
        (O::LoginResponse, 1),
        (O::ScsiCommand, 78),
        (O::DataIn, 69),
        (O::ScsiResponse, 9),
        (O::LogoutRequest, 1),
        (O::LogoutResponse, 1),
    ];
    assert_eq!(count("iscsi.pcap", false), BTreeMap::from(plain));
    let discovery = [(O::LoginRequest, 1), (O::LoginResponse, 1), (O::TextRequest, 1), (O::TextResponse, 1)];
    assert_eq!(count("iscsi-discovery.pcap", false), BTreeMap::from(discovery));
}

#[test]
fn every_digest_verifies() {
    let mut verified = 0;
    for pdu in pdus("iscsi-digests.pcap", true) {
        let header = &pdu.bytes[..pdu.layout.header_len()];
        assert_eq!(pdu.layout.verify_header(&pdu.bytes, crc32c(header)), Ok(()));
        if pdu.layout.header_digest {
            let wrong = pdu.layout.verify_header(&pdu.bytes, crc32c(header) ^ 1);
            assert_eq!(wrong, Err(HeaderError::HeaderDigest));
            verified += 1;
        }
        if pdu.layout.data_digest {
            let (covered, digest) = pdu.bytes.split_last_chunk::<4>().unwrap();
            let covered = &covered[pdu.layout.header_span()..];
            assert_eq!(crc32c(covered), u32::from_le_bytes(*digest), "{}", pdu.layout.opcode);
            verified += 1;
        }
    }
    assert_eq!(verified, 229);
}

#[test]
fn every_pdu_is_written_again_to_the_same_bytes() {
    for (capture, digests) in CAPTURES {
        for (index, pdu) in pdus(capture, digests).iter().enumerate() {
            let written = write_again(pdu);
            let plan = PduLayout::plan(
                &written,
                pdu.layout.opcode,
                Digests {
                    header: pdu.layout.header_digest,
                    data: digests && pdu.layout.data_len > 0 && pdu.layout.header_digest,
                },
            );
            assert_eq!(plan, pdu.layout, "{capture} {index}");
            assert_eq!(written.bytes(), &pdu.bytes[..BHS_LEN], "{capture} {index} {}", pdu.layout.opcode);
        }
    }
}

#[test]
fn a_session_begins_and_ends_as_it_did() {
    let pdus = pdus("iscsi-r2t.pcap", false);
    let login = LoginRequest::decode(pdus[0].bhs()).unwrap();
    assert_eq!((login.current, login.tsih, login.version_max), (Stage::Operational, 0, 0));
    assert!(pdus[0].data().starts_with(b"InitiatorName=iqn.2026-01.test.guest:b\0"));
    let of = |opcode| pdus.iter().filter(move |pdu| pdu.layout.opcode == opcode);
    let last_login = of(Opcode::LoginResponse).next_back().unwrap();
    let last_login = LoginResponse::decode(last_login.bhs()).unwrap();
    assert!(last_login.transit && last_login.next == Stage::FullFeature && last_login.tsih != 0);
    assert_eq!(last_login.isid, login.isid);
    let request = R2t::decode(of(Opcode::R2t).next().unwrap().bhs()).unwrap();
    assert_eq!((request.offset, request.lun), (0, Lun::from_number(0)));
    let data = of(Opcode::DataOut).next().unwrap();
    let answer = DataOut::decode(data.bhs()).unwrap();
    assert_eq!((answer.transfer_tag, answer.task_tag), (request.transfer_tag, request.task_tag));
    assert_eq!((data.layout.data_len, answer.is_final), (request.length, true));
    let command = of(Opcode::ScsiCommand).map(|pdu| ScsiCommand::decode(pdu.bhs()).unwrap());
    let command = command.filter(|command| command.task_tag == request.task_tag && command.write);
    assert!(command.clone().any(|command| command.cdb.operation_code() == 0x2a));
    let logout = LogoutRequest::decode(of(Opcode::LogoutRequest).next().unwrap().bhs()).unwrap();
    assert_eq!(logout.reason, LogoutReason::CloseSession);
    let logout = LogoutResponse::decode(of(Opcode::LogoutResponse).next().unwrap().bhs()).unwrap();
    assert_eq!(logout.result, LogoutResult::Closed);
    assert!(logout.task_tag != RESERVED_TAG);
}

/// Reads the PDU into its meaning and writes that.
fn write_again(pdu: &Pdu) -> Bhs {
    let (bhs, len) = (pdu.bhs(), pdu.layout.data_len);
    match pdu.layout.opcode {
        Opcode::NopOut => NopOut::decode(bhs).unwrap().encode(len),
        Opcode::ScsiCommand => ScsiCommand::decode(bhs).unwrap().encode(len),
        Opcode::TaskRequest => TaskRequest::decode(bhs).unwrap().encode(),
        Opcode::LoginRequest => LoginRequest::decode(bhs).unwrap().encode(len),
        Opcode::TextRequest => TextRequest::decode(bhs).unwrap().encode(len),
        Opcode::DataOut => DataOut::decode(bhs).unwrap().encode(len),
        Opcode::LogoutRequest => LogoutRequest::decode(bhs).unwrap().encode(),
        Opcode::Snack => Snack::decode(bhs).unwrap().encode(),
        Opcode::NopIn => NopIn::decode(bhs).unwrap().encode(len),
        Opcode::ScsiResponse => ScsiResponse::decode(bhs).unwrap().encode(len),
        Opcode::TaskResponse => TaskResponse::decode(bhs).unwrap().encode(),
        Opcode::LoginResponse => LoginResponse::decode(bhs).unwrap().encode(len),
        Opcode::TextResponse => TextResponse::decode(bhs).unwrap().encode(len),
        Opcode::DataIn => DataIn::decode(bhs).unwrap().encode(len),
        Opcode::LogoutResponse => LogoutResponse::decode(bhs).unwrap().encode(),
        Opcode::R2t => R2t::decode(bhs).unwrap().encode(),
        Opcode::AsyncMessage => AsyncMessage::decode(bhs).unwrap().encode(len),
        Opcode::Reject => Reject::decode(bhs).unwrap().encode(len),
    }
}
