//! An initiator that says what a test wants.

use super::{INITIATOR, TARGET};
use crc32c::crc32c;
use stdx::env::StreamId;
use wire::iscsi::{
    Bhs, DataOut, Digests, HeaderRules, Isid, LoginRequest, LoginResponse, LoginStatus, LogoutReason,
    LogoutRequest, NopOut, Opcode, RESERVED_TAG, Receiver, ScsiCommand, Serial, Snack, SnackType, Stage,
    TaskAttributeCode, TaskFunction, TaskRequest, TextRequest, padding,
};
use wire::scsi::{Cdb, Lun};

/// One connection of it.
#[derive(Clone, Debug)]
pub struct Initiator {
    pub stream: StreamId,
    pub digests: Digests,
    pub isid: Isid,
    pub tsih: u16,
    pub connection_id: u16,
    /// The next command's number.
    pub cmd_sn: Serial,
    /// The next answer that is said to be expected.
    pub exp_stat_sn: Serial,
    /// Whether the login is over.
    pub logged_in: bool,
}

/// A PDU of the target's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub bhs: Bhs,
    pub data: Vec<u8>,
}

impl Answer {
    pub fn opcode(&self) -> Opcode {
        self.bhs.opcode().expect("the target knows its types")
    }
}

impl Initiator {
    pub fn new(stream: StreamId) -> Self {
        Self {
            stream,
            digests: Digests::default(),
            isid: Isid([0x80, 1, 2, 3, 4, 5]),
            tsih: 0,
            connection_id: 1,
            cmd_sn: Serial(u32::MAX - 2),
            exp_stat_sn: Serial(0),
            logged_in: false,
        }
    }

    /// Cuts what came into PDUs; digests must match.
    pub fn read(&self, mut bytes: &[u8]) -> Vec<Answer> {
        let mut answers = Vec::new();
        while !bytes.is_empty() {
            let bhs = *Bhs::view(bytes).expect("whole headers");
            let login = bhs.opcode() == Some(Opcode::LoginResponse);
            let digests = if login { Digests::default() } else { self.digests };
            let layout =
                bhs.check(&HeaderRules { receiver: Receiver::Initiator, digests, data_max: 1 << 24 });
            let layout = layout.expect("a PDU for an initiator");
            let (pdu, rest) = bytes.split_at(layout.pdu_len());
            layout.verify_header(pdu, crc32c(&pdu[..layout.header_len()])).expect("its digest");
            let data = &pdu[layout.header_span()..][..layout.data_len as usize];
            if layout.data_digest {
                let (covered, digest) = pdu.split_last_chunk::<4>().unwrap();
                assert_eq!(crc32c(&covered[layout.header_span()..]), u32::from_le_bytes(*digest));
            }
            answers.push(Answer { bhs, data: data.to_vec() });
            bytes = rest;
        }
        answers
    }

    /// A whole PDU.
    pub fn pdu(&self, bhs: &Bhs, data: &[u8]) -> Vec<u8> {
        let mut bytes = bhs.bytes().to_vec();
        if self.digests.header {
            bytes.extend(crc32c(&bytes).to_le_bytes());
        }
        let start = bytes.len();
        bytes.extend(data);
        bytes.resize(bytes.len() + padding(data.len() as u32), 0);
        if self.digests.data && !data.is_empty() {
            let digest = crc32c(&bytes[start..]);
            bytes.extend(digest.to_le_bytes());
        }
        bytes
    }

    /// A login that goes straight through the operational stage. Keys are parted by spaces.
    pub fn login(&self, keys: &str) -> Vec<u8> {
        let text = format!("InitiatorName={INITIATOR} TargetName={TARGET} SessionType=Normal {keys}");
        self.login_with(&text, Stage::Operational, Stage::FullFeature)
    }

    pub fn login_with(&self, keys: &str, current: Stage, next: Stage) -> Vec<u8> {
        let text: String = keys.split_whitespace().map(|pair| format!("{pair}\0")).collect();
        let request = LoginRequest {
            transit: next > current,
            continues: false,
            current,
            next,
            version_max: 0,
            version_min: 0,
            isid: self.isid,
            tsih: self.tsih,
            task_tag: 0x10,
            connection_id: self.connection_id,
            cmd_sn: self.cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
        };
        self.pdu(&request.encode(text.len() as u32), text.as_bytes())
    }

    /// The login came to its end.
    pub fn take_login(&mut self, answers: &[Answer]) {
        let [answer] = answers else { panic!("{answers:?}") };
        let response = LoginResponse::decode(&answer.bhs).unwrap();
        assert_eq!(response.status, LoginStatus::Success);
        assert!(response.transit && response.next == Stage::FullFeature && response.tsih != 0);
        self.tsih = response.tsih;
        self.logged_in = true;
        let says = |pair: &str| answer.data.split(|byte| *byte == 0).any(|text| text == pair.as_bytes());
        self.digests = Digests { header: says("HeaderDigest=CRC32C"), data: says("DataDigest=CRC32C") };
    }

    fn take_number(&mut self) -> Serial {
        let number = self.cmd_sn;
        self.cmd_sn = number.next();
        number
    }

    /// A command, before anything is changed about it.
    pub fn command(&mut self, tag: u32, cdb: &[u8], read: u32, write: u32) -> ScsiCommand {
        let mut bytes = [0; 16];
        bytes[..cdb.len()].copy_from_slice(cdb);
        ScsiCommand {
            immediate: false,
            is_final: true,
            read: read > 0,
            write: write > 0,
            attribute: TaskAttributeCode::Simple,
            lun: Lun::from_number(0),
            task_tag: tag,
            expected_length: read.max(write),
            cmd_sn: self.take_number(),
            exp_stat_sn: self.exp_stat_sn,
            cdb: Cdb(bytes),
        }
    }

    pub fn test_unit_ready(&mut self, tag: u32) -> Vec<u8> {
        let command = self.command(tag, &[0; 6], 0, 0);
        self.pdu(&command.encode(0), &[])
    }

    pub fn read_blocks(&mut self, tag: u32, lba: u32, blocks: u16) -> Vec<u8> {
        let command = self.command(tag, &cdb(0x28, lba, blocks), u32::from(blocks) * 512, 0);
        self.pdu(&command.encode(0), &[])
    }

    /// A write with so much of its data in its own PDU.
    pub fn write_blocks(
        &mut self,
        tag: u32,
        lba: u32,
        data: &[u8],
        immediate: usize,
        is_final: bool,
    ) -> Vec<u8> {
        let mut command = self.command(tag, &cdb(0x2a, lba, (data.len() / 512) as u16), 0, data.len() as u32);
        command.is_final = is_final;
        self.pdu(&command.encode(immediate as u32), &data[..immediate])
    }

    pub fn data_out(
        &self,
        tag: u32,
        transfer_tag: u32,
        number: u32,
        offset: u32,
        data: &[u8],
        is_final: bool,
    ) -> Vec<u8> {
        let header = DataOut {
            is_final,
            lun: Lun::from_number(0),
            task_tag: tag,
            transfer_tag,
            exp_stat_sn: self.exp_stat_sn,
            data_sn: Serial(number),
            offset,
        };
        self.pdu(&header.encode(data.len() as u32), data)
    }

    pub fn ping(&mut self, tag: u32, data: &[u8]) -> Vec<u8> {
        let cmd_sn = self.take_number();
        let header = NopOut {
            immediate: false,
            lun: Lun::default(),
            task_tag: tag,
            transfer_tag: RESERVED_TAG,
            cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
        };
        self.pdu(&header.encode(data.len() as u32), data)
    }

    pub fn text(&mut self, tag: u32, text: &str) -> Vec<u8> {
        let cmd_sn = self.take_number();
        let header = TextRequest {
            immediate: false,
            is_final: true,
            continues: false,
            lun: Lun::default(),
            task_tag: tag,
            transfer_tag: RESERVED_TAG,
            cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
        };
        self.pdu(&header.encode(text.len() as u32), text.as_bytes())
    }

    pub fn manage(&self, tag: u32, function: u8, referenced_tag: u32) -> Vec<u8> {
        let header = TaskRequest {
            immediate: true,
            function,
            lun: Lun::from_number(0),
            task_tag: tag,
            referenced_tag,
            cmd_sn: self.cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
            referenced_cmd_sn: Serial(self.cmd_sn.0.wrapping_sub(1)),
            exp_data_sn: Serial(0),
        };
        self.pdu(&header.encode(), &[])
    }

    pub fn snack(&self, kind: SnackType, task_tag: u32, tag: u32, begin: u32, run_length: u32) -> Vec<u8> {
        let (lun, exp_stat_sn) = (Lun::from_number(0), self.exp_stat_sn);
        let header = Snack { kind, lun, task_tag, tag, exp_stat_sn, begin: Serial(begin), run_length };
        self.pdu(&header.encode(), &[])
    }

    pub fn reassign(&self, tag: u32, referenced_tag: u32, exp_data_sn: u32) -> Vec<u8> {
        let header = TaskRequest {
            immediate: true,
            function: TaskFunction::TaskReassign.code(),
            lun: Lun::from_number(0),
            task_tag: tag,
            referenced_tag,
            cmd_sn: self.cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
            referenced_cmd_sn: Serial(0),
            exp_data_sn: Serial(exp_data_sn),
        };
        self.pdu(&header.encode(), &[])
    }

    pub fn logout(&mut self, tag: u32, reason: LogoutReason) -> Vec<u8> {
        let cmd_sn = self.take_number();
        let connection_id = self.connection_id;
        let header = LogoutRequest {
            immediate: false,
            reason,
            task_tag: tag,
            connection_id,
            cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
        };
        self.pdu(&header.encode(), &[])
    }
}

/// READ (10) or WRITE (10).
pub fn cdb(operation_code: u8, lba: u32, blocks: u16) -> [u8; 10] {
    let ([a, b, c, d], [high, low]) = (lba.to_be_bytes(), blocks.to_be_bytes());
    [operation_code, 0, a, b, c, d, 0, high, low, 0]
}
