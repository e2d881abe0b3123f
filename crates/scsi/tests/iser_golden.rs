//! What Linux's ib_iser said to its own target, said to ours: each PDU is taken, and answered with PDUs of the same types for the
//! same tasks as Linux's ib_isert answered with.

#[path = "../../wire/tests/support/frames.rs"]
mod frames;
mod world;

use frames::units;
use scsi::iscsi::login::RdmaLimits;
use scsi::iscsi::target::iser::Limits;
use wire::iscsi::{Bhs, Opcode, Receiver};
use wire::iser::{Advertised, HEADER_LEN, Header, MESSAGE_LEN_MIN};
use world::rdma::{PLAIN, RdmaWorld};
use world::{Settings, TARGET};

/// Plays the initiator of a capture; says what the target of the capture answered, and what ours did.
fn replay(capture: &str) -> [Vec<(Opcode, u32)>; 2] {
    // As much unsolicited data as Linux's target takes.
    let login = RdmaLimits { target_recv_data_segment_len: 64 << 10, ..Limits::default().login };
    let limits = Limits { receives: 64, login, ..Limits::default() };
    let mut world = RdmaWorld::with(Settings::default(), limits);
    let (connection, _) = world.connect(PLAIN);
    let (mut theirs, mut ours) = (vec![], vec![]);
    for unit in units(capture).into_iter().filter(|unit| unit.destination != 1) {
        let header = Header::decode(&unit.bytes).unwrap();
        let bhs = *Bhs::view(&unit.bytes[HEADER_LEN..]).unwrap();
        let opcode = bhs.opcode().unwrap();
        if opcode.receiver() == Receiver::Initiator {
            theirs.push((opcode, bhs.task_tag.get()));
            continue;
        }
        // Their memory is not here: ours takes its place.
        let here = |there: Option<Advertised>| there.map(|_| world.at(0));
        let header = Header { write: here(header.write), read: here(header.read) };
        let pdu = match opcode {
            Opcode::LoginRequest => named(bhs, &unit.bytes[MESSAGE_LEN_MIN..]),
            _ => unit.bytes[HEADER_LEN..].to_vec(),
        };
        let told = world.exchange(connection, header, &pdu);
        ours.extend(told.iter().map(|told| (told.answer.opcode(), told.answer.bhs.task_tag.get())));
    }
    assert_eq!(world.world.server.counters().protocol_errors, 0);
    [theirs, ours]
}

/// A login to our target instead of theirs.
fn named(mut bhs: Bhs, data: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(data[..bhs.data_len() as usize].to_vec()).unwrap();
    let text = text.replace("TargetName=iqn.2026-01.test.guest:ram\0", &format!("TargetName={TARGET}\0"));
    let [_, high, middle, low] = (text.len() as u32).to_be_bytes();
    bhs.data_length = [high, middle, low];
    [bhs.bytes(), text.as_bytes()].concat()
}

#[test]
fn linux_is_answered_as_by_linux() {
    for capture in ["iser", "iser-r2t"] {
        let [theirs, ours] = replay(capture);
        assert!(theirs.len() > 40, "{capture}: {}", theirs.len());
        let sorted = |mut answers: Vec<(Opcode, u32)>| {
            answers.sort_by_key(|(opcode, tag)| (*tag, opcode.code()));
            answers
        };
        assert_eq!(sorted(ours), sorted(theirs), "{capture}");
    }
}
