//! Reads the captures: packets, TCP streams, PDUs. For tests alone; it panics where a capture is not what it should be.

#![allow(dead_code)] // Each test file uses only a part.

mod pcap;

use std::path::Path;

use wire::nvme::tcp::{
    CommonHeader, Digests, HeaderRules, IcReq, IcResp, PduLayout, PduType, Phase, Receiver,
};

use pcap::Segment;

/// One PDU as it was on the wire.
pub struct Pdu {
    /// Where its parts are.
    pub layout: PduLayout,
    /// All of its bytes.
    pub bytes: Vec<u8>,
    /// The packet in which it ended.
    pub packet: usize,
}

/// The PDUs of one TCP connection, both directions, in the order of the packets.
pub struct Connection {
    pub request: IcReq,
    pub response: IcResp,
    pub pdus: Vec<Pdu>,
}

impl Pdu {
    pub fn kind(&self) -> PduType {
        self.layout.kind
    }

    pub fn header(&self) -> &[u8] {
        &self.bytes[..usize::from(self.layout.header_len)]
    }

    pub fn header_digest(&self) -> Option<u32> {
        self.layout.header_digest.then(|| digest_at(&self.bytes, usize::from(self.layout.header_len)))
    }

    pub fn data(&self) -> &[u8] {
        let start = self.layout.data_offset as usize;
        &self.bytes[start..start + self.layout.data_len as usize]
    }

    pub fn data_digest(&self) -> Option<u32> {
        self.layout.data_digest.then(|| digest_at(&self.bytes, self.bytes.len() - 4))
    }
}

impl Connection {
    pub fn of_kind(&self, kind: PduType) -> impl Iterator<Item = &Pdu> {
        self.pdus.iter().filter(move |pdu| pdu.kind() == kind)
    }
}

/// Reads every connection of a capture in `tests/data`, in the order they were opened.
pub fn connections(capture: &str) -> Vec<Connection> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(capture);
    let file = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    connections_of(&file)
}

/// Reads every connection of a capture, in the order they were opened.
pub fn connections_of(capture: &[u8]) -> Vec<Connection> {
    let segments = pcap::tcp_segments(capture);
    let mut openings: Vec<_> =
        segments.iter().filter(|segment| segment.opens && segment.to.1 == 4420).collect();
    openings.dedup_by_key(|segment| segment.from);
    openings.iter().map(|opening| connection(&segments, opening)).collect()
}

fn connection(segments: &[Segment<'_>], opening: &Segment<'_>) -> Connection {
    let (host, controller) = (opening.from, opening.to);
    let to_controller = pcap::reassemble(segments, host, controller);
    let to_host = pcap::reassemble(segments, controller, host);
    let request = IcReq::decode(&to_controller.bytes).unwrap();
    let response = IcResp::decode(&to_host.bytes).unwrap();
    let rules = |receiver, alignment| HeaderRules {
        receiver,
        phase: Phase::Established,
        digests: response.digests,
        alignment,
        in_capsule_max: 16_384,
        data_max: 1 << 20,
    };
    let mut pdus = split(&to_controller, rules(Receiver::Controller, response.alignment));
    pdus.extend(split(&to_host, rules(Receiver::Host, request.alignment)));
    pdus.sort_by_key(|pdu| pdu.packet);
    Connection { request, response, pdus }
}

/// Cuts a stream into PDUs; every byte must belong to one.
fn split(stream: &pcap::Stream, rules: HeaderRules) -> Vec<Pdu> {
    let mut pdus = Vec::new();
    let mut at = 0;
    while at < stream.bytes.len() {
        let mut rules = rules;
        if at == 0 {
            rules = HeaderRules::initialization(rules.receiver);
        }
        let common = CommonHeader::view(&stream.bytes[at..]).unwrap();
        let layout = common.check(&rules).unwrap_or_else(|error| panic!("at {at}: {error}"));
        let end = at + layout.pdu_len as usize;
        let packet = stream.packet_of(end - 1);
        pdus.push(Pdu { layout, bytes: stream.bytes[at..end].to_vec(), packet });
        at = end;
    }
    pdus
}

fn digest_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap())
}

/// The digests a capture is named after.
pub fn digests(header: bool, data: bool) -> Digests {
    Digests { header, data }
}
