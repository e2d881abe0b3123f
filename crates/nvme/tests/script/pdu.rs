//! PDUs of a controller, and what a host sent taken apart.

use wire::nvme::tcp::{
    C2hData, CapsuleCmd, CapsuleResp, CommonHeader, DataAlignment, Digests, H2cData, HeaderRules, IcReq,
    PduType, Phase, R2t, Receiver, TermReq,
};
use wire::nvme::{AdminOpcode, CompletionQueueEntry, Status, SubmissionQueueEntry};

/// A PDU of the host's.
#[derive(Clone, PartialEq, Debug)]
pub enum Sent {
    Initialization(IcReq),
    Command { command: SubmissionQueueEntry, data: Vec<u8> },
    Data { header: H2cData, data: Vec<u8> },
    Terminated(TermReq),
}

impl Sent {
    pub fn is_event_request(&self) -> bool {
        let Sent::Command { command, .. } = self else { return false };
        command.opcode == AdminOpcode::AsynchronousEventRequest.code()
    }
}

/// Takes apart what a host sent, checking it as a controller does: layout, digests.
pub fn parse(mut bytes: &[u8], digests: Digests) -> Vec<Sent> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let common = CommonHeader::view(bytes).unwrap();
        let starts = common.pdu_type == PduType::IcReq.code();
        let phase = if starts { Phase::Initialization } else { Phase::Established };
        let rules = HeaderRules {
            phase,
            digests: if starts { Digests::default() } else { digests },
            in_capsule_max: 8192,
            data_max: u32::MAX,
            ..HeaderRules::initialization(Receiver::Controller)
        };
        let layout = common.check(&rules).unwrap();
        let (pdu, rest) = bytes.split_at(layout.pdu_len as usize);
        bytes = rest;
        layout.verify_header(pdu, crc32c::crc32c(&pdu[..usize::from(layout.header_len)])).unwrap();
        let start = layout.data_offset as usize;
        let data = pdu[start..start + layout.data_len as usize].to_vec();
        if layout.data_digest {
            let digest = &pdu[start + data.len()..];
            assert_eq!(digest, crc32c::crc32c(&data).to_le_bytes(), "data digest");
        }
        found.push(match layout.kind {
            PduType::IcReq => Sent::Initialization(IcReq::decode(pdu).unwrap()),
            PduType::CapsuleCmd => Sent::Command { command: CapsuleCmd::view(pdu).unwrap().command, data },
            PduType::H2cData => Sent::Data { header: H2cData::decode(&layout, pdu).unwrap(), data },
            PduType::H2cTermReq => Sent::Terminated(TermReq::decode(pdu).unwrap()),
            other => panic!("a host sends no {other}"),
        });
    }
    found
}

/// A response capsule.
pub fn response(command: &SubmissionQueueEntry, status: Status, result: u64, digests: Digests) -> Vec<u8> {
    let completion = CompletionQueueEntry::new(command.command_id.get(), status).with_result(result);
    let mut out = vec![0; 28];
    let layout = CapsuleResp::encode(&completion, digests, &mut out).unwrap();
    let len = layout.seal(&mut out, crc32c::crc32c).unwrap();
    out.truncate(len);
    out
}

/// C2HData for a command, whole, with its digest.
pub fn data(
    command: &SubmissionQueueEntry,
    offset: u32,
    data: &[u8],
    last: bool,
    success: bool,
    digests: Digests,
) -> Vec<u8> {
    let command_id = command.command_id.get();
    let header = C2hData { command_id, offset, length: data.len() as u32, last, success };
    let mut out = vec![0; 128];
    let layout = header.encode(digests, DataAlignment::default(), &mut out).unwrap();
    let len = layout.seal(&mut out, crc32c::crc32c).unwrap();
    out.truncate(len);
    out.extend_from_slice(data);
    if digests.data {
        out.extend(crc32c::crc32c(data).to_le_bytes());
    }
    out
}

/// R2T for a command.
pub fn r2t(command: &SubmissionQueueEntry, tag: u16, offset: u32, length: u32, digests: Digests) -> Vec<u8> {
    let header = R2t { command_id: command.command_id.get(), transfer_tag: tag, offset, length };
    let mut out = vec![0; 28];
    let layout = header.encode(digests, &mut out).unwrap();
    let len = layout.seal(&mut out, crc32c::crc32c).unwrap();
    out.truncate(len);
    out
}
