//! The captures of Linux machines speaking RoCEv2 to each other: every packet is read and written again to the same bytes,
//! its invariant CRC is found right, and every management datagram is read into its message.

#[path = "support/frames.rs"]
mod frames;

use std::collections::BTreeMap;
use std::net::IpAddr;

use frames::{Datagram, captures, datagrams};
use wire::cm::{Attribute, IpAddresses, Message, PortSpace, ResolutionStatus, Service};
use wire::roce::{
    Action, Extension, GENERAL_SERVICES_Q_KEY, GENERAL_SERVICES_QPN, Headers, ICRC_LEN, Nak, Opcode, Psn,
    Syndrome,
};

#[test]
fn every_packet_is_written_again_to_the_same_bytes() {
    for (capture, datagram) in all() {
        let len = datagram.bytes.len();
        let headers = headers(&datagram);
        let mut out = [0xee; 64];
        let header_len = headers.encode(&mut out).unwrap();
        assert_eq!(out[..header_len], datagram.bytes[..header_len], "{capture} {}", datagram.frame);
        let payload_len = headers.payload_len(len);
        assert_eq!(headers.datagram_len(payload_len), len, "{capture} {}", datagram.frame);
        let padding = &datagram.bytes[header_len + payload_len..len - ICRC_LEN];
        assert!(padding.iter().all(|byte| *byte == 0), "{capture} {}", datagram.frame);
    }
}

#[test]
fn every_invariant_crc_is_right() {
    let mut versions = [0, 0];
    for (capture, datagram) in all() {
        assert_eq!(datagram.icrc(), datagram.computed_icrc(), "{capture} {}", datagram.frame);
        versions[usize::from(matches!(datagram.network, wire::roce::icrc::Network::V6 { .. }))] += 1;
    }
    assert_eq!(versions[1], 29, "packets over IPv6");
    assert!(versions[0] > 1000, "packets over IPv4: {}", versions[0]);
}

#[test]
fn a_flipped_bit_is_noticed() {
    for mut datagram in datagrams("rping") {
        let (right, last) = (datagram.icrc(), datagram.bytes.len() - ICRC_LEN - 1);
        datagram.bytes[last] ^= 1;
        assert_ne!(datagram.computed_icrc(), right);
        datagram.bytes[last] ^= 1;
        datagram.bytes[4] ^= 0xff;
        assert_eq!(datagram.computed_icrc(), right, "routers may change the congestion bits");
    }
}

#[test]
fn the_captures_hold_every_kind_of_packet_that_the_kernel_sends() {
    let mut counts = BTreeMap::new();
    for (_, datagram) in all() {
        *counts.entry(headers(&datagram).bth.opcode).or_insert(0) += 1;
    }
    let absent: Vec<_> = Opcode::ALL.iter().filter(|opcode| !counts.contains_key(opcode)).collect();
    use Opcode as O;
    let expected = [
        O::RcSendLastImmediate,
        O::RcSendOnlyImmediate,
        O::RcWriteLastImmediate,
        O::RcSendLastInvalidate,
        O::UcSendLastImmediate,
        O::UcSendOnly,
        O::UcSendOnlyImmediate,
        O::UcWriteFirst,
        O::UcWriteMiddle,
        O::UcWriteLast,
        O::UcWriteLastImmediate,
        O::UcWriteOnly,
        O::UcWriteOnlyImmediate,
        O::CongestionNotification,
    ];
    assert_eq!(absent, expected.iter().collect::<Vec<_>>());
}

#[test]
fn every_management_datagram_is_written_again_to_the_same_bytes() {
    let mut counts = BTreeMap::new();
    for (capture, datagram) in all() {
        let Some(payload) = management(&datagram) else { continue };
        let (transaction, message) = Message::decode(payload).unwrap();
        assert_eq!(message.encode(transaction), payload, "{capture} {}", datagram.frame);
        *counts.entry(message.attribute()).or_insert(0) += 1;
    }
    use Attribute as A;
    let kinds: Vec<_> = counts.keys().copied().collect();
    assert_eq!(
        kinds,
        [
            A::ConnectRequest,
            A::ConnectReply,
            A::ReadyToUse,
            A::DisconnectRequest,
            A::DisconnectReply,
            A::ResolutionRequest,
            A::ResolutionReply
        ]
    );
}

#[test]
fn a_connection_is_made_as_rping_makes_it() {
    let messages = messages("rping");
    let Message::ConnectRequest(request) = messages[0] else { panic!("{:?}", messages[0]) };
    assert_eq!(request.service_id.port(), Some((PortSpace::Tcp, 7174)));
    assert_eq!((request.qpn, request.starting_psn), (0x11, Psn::new(0x31_af7f)));
    assert_eq!((request.service, request.path_mtu, request.retry_count), (Service::ReliableConnection, 3, 7));
    assert_eq!((request.responder_resources, request.initiator_depth), (1, 1));
    assert_eq!((request.rnr_retry_count, request.cm_retries_max), (7, 15));
    assert_eq!((request.local_response_timeout, request.remote_response_timeout), (20, 20));
    assert_eq!(request.primary.local.to_ip(), address("10.77.0.12"));
    assert_eq!(request.primary.remote.to_ip(), address("10.77.0.11"));
    assert_eq!((request.primary.hop_limit, request.primary.ack_timeout), (64, 19));
    assert_eq!((request.primary.local_lid, request.primary.flow_label), (0xffff, 0xc_5325));
    let addresses = IpAddresses::decode(&request.private_data).unwrap();
    assert_eq!(addresses.source, address("10.77.0.12"));
    assert_eq!(addresses.destination, address("10.77.0.11"));
    assert_eq!(addresses.source_port, 0xe901);
    let Message::ConnectReply(reply) = messages[1] else { panic!("{:?}", messages[1]) };
    assert_eq!(reply.remote_id, request.local_id);
    let Message::ReadyToUse(ready) = messages[2] else { panic!("{:?}", messages[2]) };
    assert_eq!((ready.local_id, ready.remote_id), (request.local_id, reply.local_id));
    let Message::DisconnectRequest(request) = messages[3] else { panic!("{:?}", messages[3]) };
    assert!([0x11, reply.qpn].contains(&request.remote_qpn));
}

#[test]
fn a_connection_over_ipv6_names_ipv6_addresses() {
    let Message::ConnectRequest(request) = messages("rping-ipv6")[0] else { panic!("a request comes first") };
    assert_eq!(request.primary.remote.to_ip(), address("fd77::11"));
    assert_eq!(IpAddresses::decode(&request.private_data).unwrap().source, address("fd77::12"));
}

#[test]
fn a_datagram_service_is_resolved_as_udaddy_does_it() {
    let messages = messages("udaddy");
    let Message::ResolutionRequest(request) = messages[0] else { panic!("{:?}", messages[0]) };
    assert_eq!(request.service_id.port(), Some((PortSpace::Udp, 7174)));
    let Message::ResolutionReply(reply) = messages[1] else { panic!("{:?}", messages[1]) };
    assert_eq!((reply.request_id, reply.status), (request.request_id, ResolutionStatus::Valid));
    assert_eq!(reply.queue_key, 0x0123_4567);
    let sends = datagrams("udaddy").into_iter().map(|datagram| headers(&datagram));
    let to_peer: Vec<_> = sends.filter(|headers| headers.bth.destination == reply.qpn).collect();
    assert!(!to_peer.is_empty());
    for headers in to_peer {
        let Extension::DatagramImmediate(deth, _) = headers.extension else { panic!("{headers:?}") };
        assert_eq!(deth.queue_key, reply.queue_key);
    }
}

#[test]
fn the_captures_of_trouble_hold_what_they_are_named_after() {
    let said = |capture| {
        let packets = datagrams(capture).into_iter();
        packets
            .filter_map(|datagram| match headers(&datagram).extension {
                Extension::Acknowledge(acknowledge) => Some(acknowledge.syndrome),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    assert!(said("loss-write").contains(&Syndrome::Nak(Nak::PsnSequence)));
    assert!(said("rnr-send").iter().any(|syndrome| matches!(syndrome, Syndrome::Rnr(_))));
}

fn all() -> impl Iterator<Item = (String, Datagram)> {
    captures().into_iter().flat_map(|capture| {
        let datagrams = datagrams(&capture);
        assert!(!datagrams.is_empty(), "{capture}");
        datagrams.into_iter().map(move |datagram| (capture.clone(), datagram))
    })
}

fn headers(datagram: &Datagram) -> Headers {
    Headers::decode(&datagram.bytes, datagram.bytes.len()).unwrap()
}

/// The payload of a packet for the queue pair of management.
fn management(datagram: &Datagram) -> Option<&[u8]> {
    let headers = headers(datagram);
    if headers.bth.destination != GENERAL_SERVICES_QPN || headers.bth.opcode.action() != Action::Send {
        return None;
    }
    let Extension::Datagram(deth) = headers.extension else { panic!("{headers:?}") };
    assert_eq!(deth.queue_key, GENERAL_SERVICES_Q_KEY);
    let len = headers.payload_len(datagram.bytes.len());
    Some(&datagram.bytes[headers.len()..headers.len() + len])
}

fn messages(capture: &str) -> Vec<Message> {
    let datagrams = datagrams(capture);
    datagrams.iter().filter_map(management).map(|payload| Message::decode(payload).unwrap().1).collect()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}
