//! The initiator's own messages over iSER beside those of Linux's ib_iser, where the standard leaves no choice.

#[path = "../../wire/tests/support/frames.rs"]
mod frames;
mod iser_script;

use frames::units;
use iser_script::{Script, options};
use scsi::iscsi::initiator::InitiatorOptions;
use std::collections::BTreeMap;
use wire::iscsi::{Bhs, Isid, Opcode, padding};
use wire::iser::{HEADER_LEN, Header, MESSAGE_LEN_MIN};

/// What ours sends on its way in, and what came with its request for the connection.
fn ours() -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut script = Script::begin(InitiatorOptions { isid: Some(Isid([0x80, 1, 2, 3, 0, 0])), ..options() });
    script.settle();
    (script.seen, script.asked_with.remove(0))
}

fn opcode(message: &[u8]) -> Opcode {
    Bhs::view(&message[HEADER_LEN..]).unwrap().opcode().unwrap()
}

/// The last message of a login, and the first command, as Linux sent them.
fn theirs(wanted: Opcode) -> Vec<u8> {
    let units = units("iser").into_iter().filter(|unit| unit.destination != 1);
    units.map(|unit| unit.bytes).find(|bytes| opcode(bytes) == wanted).unwrap()
}

fn keys(message: &[u8]) -> BTreeMap<String, String> {
    let len = Bhs::view(&message[HEADER_LEN..]).unwrap().data_len() as usize;
    let pairs = message[MESSAGE_LEN_MIN..][..len].split(|byte| *byte == 0).filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| std::str::from_utf8(pair).unwrap().split_once('=').unwrap());
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_login_says_what_that_of_linux_says() {
    let (sent, asked_with) = ours();
    assert_eq!(asked_with, [0x80, 0, 0, 0]);
    let logins: Vec<_> = sent.iter().filter(|bytes| opcode(bytes) == Opcode::LoginRequest).collect();
    let [security, operational] = logins[..] else { panic!("{}", logins.len()) };
    let linux = theirs(Opcode::LoginRequest);
    // No memory is advertised, and text is padded.
    for message in [security, operational, &linux] {
        assert_eq!(message[..HEADER_LEN], Header::default().encode());
        let len = Bhs::view(&message[HEADER_LEN..]).unwrap().data_len();
        assert_eq!(message.len(), MESSAGE_LEN_MIN + len as usize + padding(len));
    }
    assert_eq!(operational[HEADER_LEN..][..4], linux[HEADER_LEN..][..4], "immediate, the same stages");
    let (ours, theirs) = (keys(operational), keys(&linux));
    let elsewhere = ["InitiatorName", "InitiatorAlias", "TargetName", "SessionType", "IFMarker", "OFMarker"];
    let missing: Vec<_> = theirs.keys().filter(|key| !ours.contains_key(*key)).collect();
    assert!(missing.iter().all(|key| elsewhere.contains(&key.as_str())), "{missing:?} are not said");
    for key in ["RDMAExtensions", "DataPDUInOrder", "DataSequenceInOrder", "ErrorRecoveryLevel"] {
        assert_eq!(ours[key], theirs[key], "{key}");
    }
    assert!(!ours.contains_key("MaxRecvDataSegmentLength"), "RFC 7145, section 6.2");
}

#[test]
fn a_command_that_brings_data_is_as_that_of_linux() {
    let (sent, _) = ours();
    let first = sent.iter().find(|bytes| opcode(bytes) == Opcode::ScsiCommand).unwrap();
    let linux = theirs(Opcode::ScsiCommand);
    assert_eq!(first.len(), linux.len());
    let nameless = |message: &[u8]| {
        let mut bytes = message[..HEADER_LEN].to_vec();
        // Key and address of its memory.
        assert!(bytes[16..].iter().any(|byte| *byte != 0));
        bytes[16..].fill(0);
        bytes
    };
    assert_eq!(nameless(first), nameless(&linux), "only memory to be written is advertised");
    let opening = |message: &[u8]| message[HEADER_LEN..][..16].to_vec();
    assert_eq!(opening(first), opening(&linux), "final, a read, a simple task of unit 0");
}
