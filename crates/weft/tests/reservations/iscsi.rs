//! As much of an iSCSI initiator as reservations need: no digests, one command at a time, data in its PDU.

use super::{LUN, TARGET, receive, send};
use std::net::TcpStream;
use wire::iscsi::{
    Bhs, Isid, LoginRequest, LoginResponse, LoginStatus, Opcode, ScsiCommand, Serial, Stage,
    TaskAttributeCode, padding,
};
use wire::scsi::reservation::{PersistentType, ReserveOutAction, ReserveOutFlags, ReserveOutParameters};
use wire::scsi::{Cdb, Lun};

/// An initiator with a session of one connection.
pub struct Initiator {
    stream: TcpStream,
    cmd_sn: Serial,
}

impl Initiator {
    pub fn connect(portal: &str, initiator: u8) -> Self {
        let mut stream = TcpStream::connect(portal).expect("the daemon listens");
        let name = format!("iqn.2026-01.org.example:initiator-{initiator}");
        let keys =
            [format!("InitiatorName={name}"), format!("TargetName={TARGET}"), "SessionType=Normal".into()];
        let text: String = keys.iter().map(|pair| format!("{pair}\0")).collect();
        let request = LoginRequest {
            transit: true,
            continues: false,
            current: Stage::Operational,
            next: Stage::FullFeature,
            version_max: 0,
            version_min: 0,
            isid: Isid([0x80, 1, 2, 3, 4, initiator]),
            tsih: 0,
            task_tag: 1,
            connection_id: 1,
            cmd_sn: Serial(1),
            exp_stat_sn: Serial(0),
        };
        send(&mut stream, &pdu(&request.encode(text.len() as u32), text.as_bytes()));
        let mut initiator = Self { stream, cmd_sn: Serial(1) };
        let (answer, _) = initiator.answer();
        let response = LoginResponse::decode(&answer).unwrap();
        assert_eq!((response.status, response.next), (LoginStatus::Success, Stage::FullFeature));
        // A nexus is told once of what happened before it (UNIT ATTENTION).
        initiator.run(&[0; 6], 0, &[]);
        initiator
    }

    /// Registers a key, over whatever was there, and wants it to persist.
    pub fn register(&mut self, key: u64) {
        let list = ReserveOutParameters::new(0, key, ReserveOutFlags::ACTIVATE_PERSISTENCE);
        self.reserve_out(ReserveOutAction::RegisterAndIgnoreExistingKey, &list);
    }

    /// Reserves the logical unit for itself alone.
    pub fn reserve(&mut self, key: u64) {
        let list = ReserveOutParameters::new(key, 0, ReserveOutFlags::NONE);
        self.reserve_out(ReserveOutAction::Reserve, &list);
    }

    fn reserve_out(&mut self, action: ReserveOutAction, list: &ReserveOutParameters) {
        let mut bytes = [0; ReserveOutParameters::LEN];
        list.encode(&mut bytes).unwrap();
        let kind = PersistentType::ExclusiveAccess.code();
        let cdb = [0x5f, action.code(), kind, 0, 0, 0, 0, 0, bytes.len() as u8, 0];
        assert_eq!(self.run(&cdb, 0, &bytes).0, GOOD);
    }

    /// The keys that are registered.
    pub fn keys(&mut self) -> Vec<u64> {
        let (status, data) = self.run(&[0x5e, 0, 0, 0, 0, 0, 0, 1, 0, 0], 256, &[]);
        assert_eq!(status, GOOD);
        let len = u32::from_be_bytes(data[4..8].try_into().unwrap()) as usize;
        data[8..8 + len].chunks(8).map(|key| u64::from_be_bytes(key.try_into().unwrap())).collect()
    }

    /// Whether a block can be read; the only reason why not is a reservation.
    pub fn may_read(&mut self) -> bool {
        let (status, _) = self.run(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512, &[]);
        assert!([GOOD, RESERVATION_CONFLICT].contains(&status), "status {status:#x}");
        status == GOOD
    }

    /// One command to its end: its status, and the data that came.
    fn run(&mut self, cdb: &[u8], read: u32, data: &[u8]) -> (u8, Vec<u8>) {
        let mut bytes = [0; 16];
        bytes[..cdb.len()].copy_from_slice(cdb);
        let length = data.len() as u32;
        let command = ScsiCommand {
            immediate: false,
            is_final: true,
            read: read > 0,
            write: length > 0,
            attribute: TaskAttributeCode::Simple,
            lun: Lun::from_number(LUN),
            task_tag: 7,
            expected_length: read.max(length),
            cmd_sn: self.cmd_sn,
            exp_stat_sn: Serial(0),
            cdb: Cdb(bytes),
        };
        self.cmd_sn = self.cmd_sn.next();
        send(&mut self.stream, &pdu(&command.encode(length), data));
        let mut received = Vec::new();
        loop {
            let (answer, data) = self.answer();
            let (flags, status) = (answer.bytes()[1], answer.bytes()[3]);
            match answer.opcode() {
                Some(Opcode::ScsiResponse) => return (status, received),
                Some(Opcode::DataIn) => received.extend(data),
                other => panic!("{other:?}"),
            }
            if flags & DATA_STATUS != 0 {
                return (status, received);
            }
        }
    }

    fn answer(&mut self) -> (Bhs, Vec<u8>) {
        let header = receive(&mut self.stream, 48);
        let len = u32::from_be_bytes([0, header[5], header[6], header[7]]) as usize;
        let mut data = receive(&mut self.stream, len + padding(len as u32));
        data.truncate(len);
        (*Bhs::view(&header).unwrap(), data)
    }
}

fn pdu(bhs: &Bhs, data: &[u8]) -> Vec<u8> {
    let mut bytes = [bhs.bytes(), data].concat();
    bytes.resize(bytes.len() + padding(data.len() as u32), 0);
    bytes
}

const GOOD: u8 = 0;
const RESERVATION_CONFLICT: u8 = 0x18;
/// S of a Data-In PDU: the status is in it (RFC 7143, section 11.7.1).
const DATA_STATUS: u8 = 0x01;
