//! Packets by hand, with a CRC that is right.

use super::Packet;
use std::net::SocketAddr;
use wire::cm::Message;
use wire::roce::icrc::{Network, Prefix};
use wire::roce::{
    BTH_LEN, Bth, Deth, Extension, GENERAL_SERVICES_Q_KEY, GENERAL_SERVICES_QPN, Headers, ICRC_LEN, Opcode,
    Psn, pad_len,
};

/// A header with nothing special.
pub fn bth(opcode: Opcode, destination: u32, psn: Psn) -> Bth {
    Bth {
        opcode,
        solicited: false,
        migrated: false,
        pad_len: 0,
        partition_key: 0xffff,
        forward_congestion: false,
        backward_congestion: false,
        destination,
        ack_requested: true,
        psn,
    }
}

/// A whole datagram, both ends at the usual port.
pub fn seal(headers: &Headers, payload: &[u8], source: &str, destination: &str) -> Packet {
    let mut headers = *headers;
    headers.bth.pad_len = pad_len(payload.len());
    let mut bytes = vec![0; 64];
    let len = headers.encode(&mut bytes).unwrap();
    bytes.truncate(len);
    bytes.extend_from_slice(payload);
    bytes.resize(bytes.len() + usize::from(headers.bth.pad_len), 0);
    close(bytes, source, destination)
}

/// The CRC behind bytes that are to be a packet.
pub fn close(mut bytes: Vec<u8>, source: &str, destination: &str) -> Packet {
    let network = Network::V4 {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        identification: 0,
        dont_fragment: true,
    };
    let datagram_len = (bytes.len() + ICRC_LEN) as u16;
    let prefix = Prefix::new(network, 4791, 4791, datagram_len, bytes.first_chunk().unwrap());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(prefix.bytes());
    hasher.update(&bytes[BTH_LEN..]);
    bytes.extend_from_slice(&hasher.finalize().to_le_bytes());
    let address = |text: &str| SocketAddr::new(text.parse().unwrap(), 4791);
    Packet { from: address(source), to: address(destination), bytes }
}

/// Bytes for the queue pair of management.
pub fn management(bytes: &[u8], queue_key: u32, source: &str, destination: &str) -> Packet {
    management_of(0xffff, bytes, queue_key, source, destination)
}

/// The same in a partition.
pub fn management_of(
    partition_key: u16,
    bytes: &[u8],
    queue_key: u32,
    source: &str,
    destination: &str,
) -> Packet {
    let deth = Deth { queue_key, source: GENERAL_SERVICES_QPN };
    let bth = Bth { partition_key, ..bth(Opcode::UdSendOnly, GENERAL_SERVICES_QPN, Psn::new(0)) };
    seal(&Headers { bth, extension: Extension::Datagram(deth) }, bytes, source, destination)
}

/// A message of the connection manager.
pub fn message(message: &Message, source: &str, destination: &str) -> Packet {
    management(&message.encode(77), GENERAL_SERVICES_Q_KEY, source, destination)
}

/// The message in a packet, if there is one.
pub fn message_of(packet: &Packet) -> Option<Message> {
    let headers = Headers::decode(&packet.bytes, packet.bytes.len()).ok()?;
    let is_management = headers.bth.destination == GENERAL_SERVICES_QPN;
    let payload = packet.bytes.get(headers.len()..packet.bytes.len() - ICRC_LEN)?;
    if is_management { Message::decode(payload).ok().map(|(_, message)| message) } else { None }
}
