//! What our initiator says beside what Linux's ib_srp said: the login, and commands by every way to move data, byte for byte but
//! for what an initiator chooses.

#[path = "../../wire/tests/support/frames.rs"]
mod frames;
mod srp_pair;
mod srp_script;

use block::{BlockDevice, Io, Op};
use frames::units;
use scsi::srp::initiator::InitiatorOptions;
use srp_pair::{io, options};
use srp_script::Script;
use stdx::env::Env;
use wire::scsi::Lun;
use wire::srp::{Command, Descriptor, LoginRequest, Opcode};

fn one_disk() -> InitiatorOptions {
    InitiatorOptions { lun: Some(0), ..options() }
}

/// The login of 56 bytes that a capture has: the private data of its first REQ.
fn login(capture: &str) -> Vec<u8> {
    let is_login = |bytes: &[u8]| matches!(LoginRequest::decode_compact(bytes), Ok(Some(_)));
    let requests = units(capture).into_iter().filter(|unit| unit.destination == 1);
    let private_data = |unit: frames::Unit| unit.bytes.get(REQ_DATA..REQ_DATA + 56).map(<[u8]>::to_vec);
    requests.filter_map(private_data).find(|bytes| is_login(bytes)).expect("a login")
}

#[test]
fn the_login_is_the_kernels() {
    for (capture, immediate_max) in [("srp", 8192), ("srp-noimm", 0)] {
        let theirs = login(capture);
        let read = LoginRequest::decode_compact(&theirs).unwrap().unwrap();
        let named =
            InitiatorOptions { target: read.target, initiator: read.initiator, immediate_max, ..one_disk() };
        let mut script = Script::begin(named);
        script.settle();
        let mut ours = script.logins[0][..56].to_vec();
        // Without immediate data the longest unit is one with as many descriptors as the initiator likes, and where data would
        // begin means nothing.
        if immediate_max == 0 {
            for at in (12..16).chain(48..50) {
                ours[at] = theirs[at];
            }
        }
        assert_eq!(ours, theirs, "{capture}");
    }
}

#[test]
fn commands_are_laid_out_as_the_kernels() {
    for (capture, options) in [
        ("srp", one_disk()),
        ("srp-noimm", InitiatorOptions { immediate_max: 0, ..one_disk() }),
        ("srp-indirect", InitiatorOptions { immediate_max: 0, piece_max: Some(4096), ..one_disk() }),
    ] {
        let mut compared = 0;
        for unit in units(capture).iter().filter(|unit| unit.bytes[0] == Opcode::Command.code()) {
            let theirs = Command::decode(&unit.bytes).unwrap();
            compared += usize::from(compare(&options, &theirs, &unit.bytes));
        }
        assert!(compared >= 4, "{capture}: {compared} commands compared");
    }
}

/// Has our initiator move as many bytes in the same direction; false if that is no command of a block device's, or if the
/// kernel's memory lay in pieces unlike ours.
fn compare(options: &InitiatorOptions, theirs: &Command<'_>, unit: &[u8]) -> bool {
    let (op, len) = match (theirs.cdb[0], theirs.data_out.data_len(), theirs.data_in.data_len()) {
        (0x28 | 0x88, 0, len) => (Op::Read, len),
        (0x2a | 0x8a, len, 0) => (Op::Write, len),
        _ => return false,
    };
    let is_whole = |descriptor: &Descriptor<'_>| match descriptor {
        Descriptor::Indirect { first, .. } => {
            first.count() <= 12 && first.iter().all(|piece| piece.len == 4096)
        }
        Descriptor::None | Descriptor::Direct(_) | Descriptor::Immediate { .. } => true,
    };
    if len == 0 || len > 48 << 10 || !is_whole(&theirs.data_out) || !is_whole(&theirs.data_in) {
        return false;
    }
    let mut script = Script::connected(options.clone());
    let mut channel = script.initiator.disk(0).unwrap().open();
    let data = script.env.mem().take(len as usize).unwrap();
    let request: Io = io(1, op, 0, data);
    channel.submit(&mut script.env, request).unwrap();
    let (_, ours) = script.command();
    let (theirs_plain, ours_plain) = (plain(unit), plain(&ours));
    assert_eq!(ours_plain, theirs_plain, "{op:?} of {len} bytes");
    let lun = Command::decode(&ours).unwrap().lun;
    assert_eq!(lun, Lun::from_number(0));
    true
}

/// A unit without what an initiator chooses: tag, logical unit, command descriptor block, addresses, keys, and the bytes that go
/// along.
fn plain(unit: &[u8]) -> Vec<u8> {
    let command = Command::decode(unit).unwrap();
    let mut plain = unit.to_vec();
    plain[8..16].fill(0);
    plain[20..28].fill(0);
    plain[32..48].fill(0);
    let is_table = |descriptor: &Descriptor<'_>| matches!(descriptor, Descriptor::Indirect { .. });
    match (&command.data_out, &command.data_in) {
        (Descriptor::Immediate { .. }, _) => plain[52..].fill(0),
        (out, into) if is_table(out) || is_table(into) => {
            // The table's own descriptor, then its length, then pieces.
            plain[48..60].fill(0);
            for piece in plain[68..].chunks_exact_mut(16) {
                piece[..12].fill(0);
            }
        }
        _ => plain[48..60].fill(0),
    }
    plain
}

/// Where the private data of a REQ begins: behind the header of a management datagram, the fields, and the address header.
const REQ_DATA: usize = 24 + 140 + 36;
