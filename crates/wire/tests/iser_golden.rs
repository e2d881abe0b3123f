//! The messages of iSER that Linux's ib_iser and ib_isert send each other, and the private data they connect with.

#[path = "support/frames.rs"]
mod frames;

use frames::{Unit, units};
use wire::cm::{IpAddresses, Message};
use wire::iscsi::{Bhs, Opcode};
use wire::iser::{HEADER_LEN, Header, HeaderError, MESSAGE_LEN_MIN, PRIVATE_DATA_LEN, PrivateData};

fn messages(capture: &str) -> Vec<Unit> {
    units(capture).into_iter().filter(|unit| unit.destination != 1).collect()
}

fn opcode(message: &[u8]) -> Option<Opcode> {
    Bhs::view(&message[HEADER_LEN..]).unwrap().opcode()
}

#[test]
fn every_header_is_written_again_to_the_same_bytes() {
    for capture in ["iser", "iser-r2t"] {
        let messages = messages(capture);
        assert!(messages.len() > 100, "{capture}");
        for unit in &messages {
            let header = Header::decode(&unit.bytes).unwrap();
            assert_eq!(header.encode(), unit.bytes[..HEADER_LEN], "{capture} {}", unit.frame);
        }
    }
}

#[test]
fn only_commands_advertise_memory() {
    let (mut reads, mut writes) = (0, 0);
    for unit in messages("iser-r2t") {
        let header = Header::decode(&unit.bytes).unwrap();
        reads += usize::from(header.read.is_some());
        writes += usize::from(header.write.is_some());
        if header != Header::default() {
            assert_eq!(opcode(&unit.bytes), Some(Opcode::ScsiCommand), "{}", unit.frame);
        }
    }
    assert!(reads > 0 && writes > 0, "{reads} reads, {writes} writes");
}

#[test]
fn connections_open_with_what_each_end_cannot_do() {
    let mut seen = [0; 2];
    for unit in units("iser").iter().filter(|unit| unit.destination == 1) {
        let (from, private_data) = match Message::decode(&unit.bytes).unwrap().1 {
            Message::ConnectRequest(request) => (0, request.private_data[IpAddresses::LEN..].to_vec()),
            Message::ConnectReply(reply) => (1, reply.private_data.to_vec()),
            _ => continue,
        };
        seen[from] += 1;
        let said = PrivateData::decode(&private_data);
        assert!(said.no_zero_based, "Linux has no zero-based addressing");
        assert_eq!(said.encode(), private_data[..PRIVATE_DATA_LEN]);
    }
    assert_eq!(seen, [1, 1]);
    assert_eq!(PrivateData::decode(&[]), PrivateData::default());
}

#[test]
fn short_messages_and_greetings_are_refused() {
    let message = &messages("iser")[0].bytes;
    assert_eq!(Header::decode(&message[..MESSAGE_LEN_MIN - 1]), Err(HeaderError::TooShort));
    assert_eq!(Header::decode(&[]), Err(HeaderError::TooShort));
    let mut hello = message.clone();
    hello[0] = 0x20;
    assert_eq!(Header::decode(&hello), Err(HeaderError::Opcode(2)));
}
