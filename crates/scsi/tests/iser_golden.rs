//! What Linux's ib_iser said to its own target, said to ours: each PDU is taken, and answered with PDUs of the same types for the
//! same tasks as Linux's ib_isert answered with, which say the same: statuses, sense data, residuals, results.

#[path = "../../wire/tests/support/frames.rs"]
mod frames;
mod world;

use block::device::{Geometry, Ram};
use block::{BlockDevice, Identity, Volume};
use frames::units;
use scsi::iscsi::login::RdmaLimits;
use scsi::iscsi::target::iser::Limits;
use scsi::target::UnitConfig;
use std::collections::BTreeMap;
use std::rc::Rc;
use wire::iscsi::{
    Bhs, LoginResponse, LogoutResponse, NopIn, Opcode, Receiver, Residual, ScsiCommand, ScsiResponse,
    TaskResponse, TextResponse,
};
use wire::iser::{Advertised, HEADER_LEN, Header, MESSAGE_LEN_MIN};
use wire::scsi::Sense;
use world::rdma::{PLAIN, RdmaWorld};
use world::{Settings, TARGET, World};

/// An answer without what a target counts and chooses.
#[derive(PartialEq, Eq, Debug)]
struct Answer {
    tag: u32,
    opcode: Opcode,
    /// What it says.
    said: String,
    /// Which of the data is missing.
    residual: Residual,
}

impl Answer {
    fn read(bhs: &Bhs, data: &[u8]) -> Self {
        let (tag, opcode) = (bhs.task_tag.get(), bhs.opcode().unwrap());
        let mut residual = Residual::None;
        let said = match opcode {
            Opcode::LoginResponse => {
                let LoginResponse { status, transit, current, next, continues, version_active, .. } =
                    LoginResponse::decode(bhs).unwrap();
                format!("{status:?} {transit} {current:?} {next:?} {continues} {version_active}")
            }
            Opcode::ScsiResponse => {
                let told = ScsiResponse::decode(bhs).unwrap();
                residual = told.residual;
                let ScsiResponse { response, status, bidirectional, exp_data_sn, .. } = told;
                format!("{response:?} {status} {bidirectional:?} {} {}", exp_data_sn.0, sense(data))
            }
            Opcode::NopIn => format!("{:x} {data:?}", NopIn::decode(bhs).unwrap().transfer_tag),
            Opcode::TaskResponse => format!("{:?}", TaskResponse::decode(bhs).unwrap().result),
            Opcode::LogoutResponse => format!("{:?}", LogoutResponse::decode(bhs).unwrap().result),
            Opcode::TextResponse => format!("{}", TextResponse::decode(bhs).unwrap().is_final),
            other => format!("{other:?}"),
        };
        Self { tag, opcode, said, residual }
    }

    /// Each target tells of its own history when it likes.
    fn is_attention(&self) -> bool {
        self.said.contains("UnitAttention")
    }
}

/// The sense data of a response: its key and additional codes.
fn sense(data: &[u8]) -> String {
    // Section 11.4.7 of RFC 7143: behind its length.
    data.get(2..).filter(|sense| !sense.is_empty()).map_or_else(
        || "no sense data".to_owned(),
        |sense| {
            let sense = Sense::read(sense).unwrap();
            format!("{:?} {:02x}/{:02x}", sense.key, sense.code, sense.qualifier)
        },
    )
}

/// What was asked, and what both targets answered.
#[derive(Default)]
struct Replay {
    commands: BTreeMap<u32, ScsiCommand>,
    theirs: Vec<Answer>,
    ours: Vec<Answer>,
}

/// Plays the initiator of a capture.
fn replay(capture: &str) -> Replay {
    // As much unsolicited data as Linux's target takes.
    let login = RdmaLimits { target_recv_data_segment_len: 64 << 10, ..Limits::default().login };
    let limits = Limits { receives: 64, login, ..Limits::default() };
    let mut world = RdmaWorld::with(Settings::default(), limits);
    add_second_unit(&mut world.world);
    let (connection, _) = world.connect(PLAIN);
    let mut replay = Replay::default();
    for unit in units(capture).into_iter().filter(|unit| unit.destination != 1) {
        let header = Header::decode(&unit.bytes).unwrap();
        let bhs = *Bhs::view(&unit.bytes[HEADER_LEN..]).unwrap();
        let opcode = bhs.opcode().unwrap();
        if opcode.receiver() == Receiver::Initiator {
            let data = &unit.bytes[MESSAGE_LEN_MIN..][..bhs.data_len() as usize];
            replay.theirs.push(Answer::read(&bhs, data));
            continue;
        }
        // Their memory is not here: ours takes its place.
        let here = |there: Option<Advertised>| there.map(|_| world.at(0));
        let header = Header { write: here(header.write), read: here(header.read) };
        let pdu = match opcode {
            Opcode::LoginRequest => named(bhs, &unit.bytes[MESSAGE_LEN_MIN..]),
            _ => unit.bytes[HEADER_LEN..].to_vec(),
        };
        if let Ok(command) = ScsiCommand::decode(&bhs)
            && opcode == Opcode::ScsiCommand
        {
            assert!(replay.commands.insert(command.task_tag, command).is_none(), "each tag is used once");
        }
        let told = world.exchange(connection, header, &pdu);
        replay.ours.extend(told.iter().map(|told| Answer::read(&told.answer.bhs, &told.answer.data)));
    }
    assert_eq!(world.world.server.counters().protocol_errors, 0);
    replay
}

/// Linux's target had two disks.
fn add_second_unit(world: &mut World) {
    let World { env, target, device, .. } = world;
    let ram = Ram::new(env, Geometry::new(512, 8192).unwrap()).unwrap();
    let volume: Rc<dyn BlockDevice> = Rc::new(Volume::new(Rc::new(ram), Identity([2; 16])));
    let channel = volume.open();
    let config = UnitConfig { lun: Some(1), uuid: [2; 16], ..UnitConfig::default() };
    target.add_unit(*device, config, volume, channel).unwrap();
}

/// A login to our target instead of theirs.
fn named(mut bhs: Bhs, data: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(data[..bhs.data_len() as usize].to_vec()).unwrap();
    let text = text.replace("TargetName=iqn.2026-01.test.guest:ram\0", &format!("TargetName={TARGET}\0"));
    let [_, high, middle, low] = (text.len() as u32).to_be_bytes();
    bhs.data_length = [high, middle, low];
    [bhs.bytes(), text.as_bytes()].concat()
}

/// Codes of commands whose data is as long as a target likes: INQUIRY, MODE SENSE.
const OWN_LENGTHS: [u8; 2] = [0x12, 0x1a];
/// REPORT SUPPORTED OPERATION CODES, which this Linux has not.
const OURS_ALONE: u8 = 0xa3;

#[test]
fn linux_is_answered_as_by_linux() {
    for capture in ["iser", "iser-r2t"] {
        let Replay { commands, mut theirs, mut ours } = replay(capture);
        for answers in [&mut theirs, &mut ours] {
            answers.sort_by_key(|answer| (answer.tag, answer.opcode.code()));
        }
        assert!(theirs.len() > 40, "{capture}: {}", theirs.len());
        assert_eq!(ours.len(), theirs.len(), "{capture}");
        let (mut whole, mut attentions) = (0, 0);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!((ours.tag, ours.opcode), (theirs.tag, theirs.opcode), "{capture}");
            attentions += usize::from(ours.is_attention());
            if ours.is_attention() || theirs.is_attention() {
                continue;
            }
            let code = commands.get(&ours.tag).map(|command| command.cdb.0[0]);
            let context = format!("{capture}, task {:#x}, command {code:02x?}", ours.tag);
            if code == Some(OURS_ALONE) {
                assert!(ours.said.starts_with("Completed 0 "), "{context}: {ours:?}");
                continue;
            }
            assert_eq!(ours.said, theirs.said, "{context}");
            if code.is_none_or(|code| !OWN_LENGTHS.contains(&code)) {
                assert_eq!(ours.residual, theirs.residual, "{context}");
                whole += 1;
            }
        }
        assert!(whole > 10, "{capture}: {whole} answers were compared whole");
        assert_eq!(attentions, 2, "{capture}: each disk tells of its power on, once");
    }
}
