//! The host's half, as far as a test plays it: PDUs to send, answers taken apart.

use wire::nvme::fabrics::{Connect, ConnectAttributes, ConnectData};
use wire::nvme::tcp::{
    C2hData, CapsuleCmd, CapsuleResp, CommonHeader, DataAlignment, Digests, H2cData, HeaderRules, IcReq,
    IcResp, Phase, R2t, Receiver, TermReq,
};
use wire::nvme::{CompletionQueueEntry, Nqn, SubmissionQueueEntry};

/// What the two ends agreed on, as the host knows it.
#[derive(Clone, Copy, Default)]
pub struct Form {
    pub digests: Digests,
    pub alignment: DataAlignment,
}

/// An answer of the controller.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    Initialized(IcResp),
    Response(CompletionQueueEntry),
    Data(C2hData, Vec<u8>),
    Ready(R2t),
    Terminated(TermReq, Vec<u8>),
}

impl Form {
    pub fn initialize(&self) -> Vec<u8> {
        let mut out = vec![0; IcReq::LEN];
        let request = IcReq { alignment: self.alignment, digests: self.digests, r2t_max_zero_based: 0 };
        request.encode(&mut out).unwrap();
        out
    }

    /// A command capsule with data.
    pub fn capsule(&self, command: &SubmissionQueueEntry, data: &[u8]) -> Vec<u8> {
        let mut out = vec![0; 128];
        let none = DataAlignment::default();
        let layout = CapsuleCmd::encode(command, self.digests, none, data.len() as u32, &mut out).unwrap();
        let len = layout.seal(&mut out, crc32c::crc32c).unwrap();
        out.truncate(len);
        self.append(&mut out, data);
        out
    }

    /// Data for an R2T.
    pub fn data(&self, header: &H2cData, data: &[u8]) -> Vec<u8> {
        let mut out = vec![0; 128];
        let layout = header.encode(self.digests, DataAlignment::default(), &mut out).unwrap();
        let len = layout.seal(&mut out, crc32c::crc32c).unwrap();
        out.truncate(len);
        self.append(&mut out, data);
        out
    }

    fn append(&self, out: &mut Vec<u8>, data: &[u8]) {
        out.extend_from_slice(data);
        if self.digests.data && !data.is_empty() {
            out.extend_from_slice(&crc32c::crc32c(data).to_le_bytes());
        }
    }

    /// A Connect for a queue.
    pub fn connect(&self, queue_id: u16, controller_id: u16, entries: u16, flow_control: bool) -> Vec<u8> {
        let attributes =
            if flow_control { ConnectAttributes::NONE } else { ConnectAttributes::DISABLE_FLOW_CONTROL };
        let connect = Connect {
            record_format: 0,
            queue_id,
            queue_size_zero_based: entries - 1,
            attributes,
            keep_alive_ms: if queue_id == 0 { 120_000 } else { 0 },
        };
        let (subsystem, host) = (Nqn::parse(SUBSYSTEM).unwrap(), Nqn::parse(HOST).unwrap());
        let data = ConnectData::new([7; 16], controller_id, &subsystem, &host);
        let mut bytes = [0; 1024];
        data.encode(&mut bytes).unwrap();
        self.capsule(&connect.command(0xc000), &bytes)
    }

    /// Takes apart what the controller sent. Every byte must belong to a PDU that is right.
    pub fn answers(&self, mut bytes: &[u8]) -> Vec<Answer> {
        let mut answers = Vec::new();
        while !bytes.is_empty() {
            let (answer, len) = self.answer(bytes);
            answers.push(answer);
            bytes = &bytes[len..];
        }
        answers
    }

    fn answer(&self, bytes: &[u8]) -> (Answer, usize) {
        let first = bytes[0] == 1;
        let rules = HeaderRules {
            receiver: Receiver::Host,
            phase: if first { Phase::Initialization } else { Phase::Established },
            digests: self.digests,
            alignment: self.alignment,
            in_capsule_max: 0,
            data_max: u32::MAX,
        };
        let layout = CommonHeader::view(bytes).unwrap().check(&rules).expect("a right header");
        let header = &bytes[..usize::from(layout.header_len)];
        layout.verify_header(bytes, crc32c::crc32c(header)).expect("a right header digest");
        let data = &bytes[layout.data_offset as usize..][..layout.data_len as usize];
        if layout.data_digest {
            let digest = &bytes[layout.pdu_len as usize - 4..][..4];
            assert_eq!(digest, crc32c::crc32c(data).to_le_bytes(), "a right data digest");
        }
        let answer = match bytes[0] {
            1 => Answer::Initialized(IcResp::decode(header).unwrap()),
            3 => Answer::Terminated(TermReq::decode(header).unwrap(), data.to_vec()),
            5 => Answer::Response(CapsuleResp::view(header).unwrap().completion),
            7 => Answer::Data(C2hData::decode(&layout, header).unwrap(), data.to_vec()),
            9 => Answer::Ready(R2t::decode(header).unwrap()),
            other => panic!("PDU type {other}"),
        };
        (answer, layout.pdu_len as usize)
    }
}

/// The subsystem every test serves.
pub const SUBSYSTEM: &str = "nqn.2024-01.example:tcp";
/// The host every test is.
pub const HOST: &str = "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-000000000001";
