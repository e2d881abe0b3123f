//! The captures of a Linux host speaking to a Linux target: every PDU is read, written again to the same bytes, and its
//! digests computed anew.

mod support;

use std::collections::BTreeMap;

use crc32c::crc32c;
use support::{Connection, Pdu, connections, digests};
use wire::nvme::tcp::{
    C2hData, CapsuleCmd, CapsuleResp, DataAlignment, H2cData, IcReq, IcResp, PduType, R2t,
};

/// Capture, digests it negotiated.
const CAPTURES: [(&str, bool, bool); 5] = [
    ("nvme-tcp.pcap", false, false),
    ("nvme-tcp-hdgst.pcap", true, false),
    ("nvme-tcp-ddgst.pcap", false, true),
    ("nvme-tcp-hdgst-ddgst.pcap", true, true),
    ("nvme-tcp-discovery.pcap", false, false),
];

#[test]
fn digests_are_negotiated_as_asked() {
    for (capture, header, data) in CAPTURES {
        for connection in connections(capture) {
            assert_eq!(connection.request.digests, digests(header, data), "{capture}");
            assert_eq!(connection.response.digests, digests(header, data), "{capture}");
            assert_eq!(connection.request.r2t_max_zero_based, 0);
            assert_eq!(connection.request.alignment, DataAlignment::default());
            assert_eq!(connection.response.max_h2c_data, 0x40_0000);
        }
    }
}

#[test]
fn every_type_is_there_as_often_as_it_was_sent() {
    use PduType as T;
    let admin = [(T::IcReq, 1), (T::IcResp, 1), (T::CapsuleCmd, 25), (T::CapsuleResp, 25), (T::C2hData, 12)];
    let io = [
        (T::IcReq, 1),
        (T::IcResp, 1),
        (T::CapsuleCmd, 8),
        (T::CapsuleResp, 8),
        (T::H2cData, 1),
        (T::C2hData, 5),
        (T::R2t, 1),
    ];
    for capture in
        ["nvme-tcp.pcap", "nvme-tcp-hdgst.pcap", "nvme-tcp-ddgst.pcap", "nvme-tcp-hdgst-ddgst.pcap"]
    {
        let counts: Vec<_> = connections(capture).iter().map(count).collect();
        assert_eq!(counts, [BTreeMap::from(admin), BTreeMap::from(io)], "{capture}");
    }
    let discovery =
        [(T::IcReq, 1), (T::IcResp, 1), (T::CapsuleCmd, 16), (T::CapsuleResp, 16), (T::C2hData, 4)];
    let counts: Vec<_> = connections("nvme-tcp-discovery.pcap").iter().map(count).collect();
    assert_eq!(counts, [BTreeMap::from(discovery)]);
}

#[test]
fn every_digest_verifies() {
    let mut verified = 0;
    for (capture, header, data) in CAPTURES {
        for connection in connections(capture) {
            for pdu in &connection.pdus {
                let carries_header_digest = pdu.kind().has_header_digest() && header;
                assert_eq!(pdu.layout.header_digest, carries_header_digest);
                assert_eq!(pdu.layout.verify_header(&pdu.bytes, crc32c(pdu.header())), Ok(()));
                if let Some(digest) = pdu.header_digest() {
                    assert_eq!(digest, crc32c(pdu.header()), "{capture} {}", pdu.kind());
                    assert!(pdu.layout.verify_header(&pdu.bytes, !digest).is_err());
                    verified += 1;
                }
                assert_eq!(pdu.layout.data_digest, data && !pdu.data().is_empty());
                if let Some(digest) = pdu.data_digest() {
                    assert_eq!(digest, crc32c(pdu.data()), "{capture} {}", pdu.kind());
                    verified += 1;
                }
            }
        }
    }
    assert_eq!(verified, 2 * HEADERS_WITH_DIGEST + 2 * PDUS_WITH_DATA);
}

#[test]
fn every_pdu_is_written_again_to_the_same_bytes() {
    for (capture, _, _) in CAPTURES {
        for connection in connections(capture) {
            for (index, pdu) in connection.pdus.iter().enumerate() {
                assert_eq!(write_again(&connection, pdu), pdu.bytes, "{capture} {index} {}", pdu.kind());
            }
        }
    }
}

/// PDUs of one capture whose headers have a digest when digests are on: all but ICReq and ICResp.
const HEADERS_WITH_DIGEST: usize = 25 + 25 + 12 + 8 + 8 + 5 + 1 + 1;
/// PDUs of one capture with data: C2HData, H2CData, two Connects, one Write in its capsule.
const PDUS_WITH_DATA: usize = 12 + 5 + 1 + 2 + 1;

fn count(connection: &Connection) -> BTreeMap<PduType, usize> {
    let mut counts = BTreeMap::new();
    for pdu in &connection.pdus {
        *counts.entry(pdu.kind()).or_default() += 1;
    }
    counts
}

/// Reads the PDU into its meaning and writes that.
fn write_again(connection: &Connection, pdu: &Pdu) -> Vec<u8> {
    let digests = connection.response.digests;
    let (host, controller) = (connection.request.alignment, connection.response.alignment);
    let mut out = [0xee; 128];
    let (header, out_slice) = (pdu.header(), out.as_mut_slice());
    let layout = match pdu.kind() {
        PduType::IcReq => {
            IcReq::decode(header).unwrap().encode(out_slice).unwrap();
            pdu.layout
        }
        PduType::IcResp => {
            IcResp::decode(header).unwrap().encode(out_slice).unwrap();
            pdu.layout
        }
        PduType::CapsuleCmd => {
            let command = CapsuleCmd::view(header).unwrap().command;
            CapsuleCmd::encode(&command, digests, controller, pdu.layout.data_len, out_slice).unwrap()
        }
        PduType::CapsuleResp => {
            let completion = CapsuleResp::view(header).unwrap().completion;
            CapsuleResp::encode(&completion, digests, out_slice).unwrap()
        }
        PduType::H2cData => {
            H2cData::decode(&pdu.layout, header).unwrap().encode(digests, controller, out_slice).unwrap()
        }
        PduType::C2hData => {
            C2hData::decode(&pdu.layout, header).unwrap().encode(digests, host, out_slice).unwrap()
        }
        PduType::R2t => R2t::decode(header).unwrap().encode(digests, out_slice).unwrap(),
        PduType::H2cTermReq | PduType::C2hTermReq => panic!("no capture ends in a termination request"),
    };
    assert_eq!(layout, pdu.layout);
    let header_len = layout.seal(&mut out, crc32c).unwrap();
    let mut bytes = out[..header_len].to_vec();
    bytes.extend_from_slice(pdu.data());
    if layout.data_digest {
        bytes.extend_from_slice(&crc32c(pdu.data()).to_le_bytes());
    }
    bytes
}
