//! Logout Request and Response (RFC 7143, sections 11.14 and 11.15).

use super::bhs::{Bhs, FINAL, Word};
use super::{HeaderError, Numbers, Opcode, Serial};
use zerocopy::big_endian::U32;

codes! {
    /// What is to end, and why (section 11.14.1).
    pub enum LogoutReason: u8 {
        CloseSession = 0, "Close the session";
        CloseConnection = 1, "Close the connection";
        RemoveForRecovery = 2, "Remove the connection for recovery";
    }
}

codes! {
    /// What came of it (section 11.15.1).
    pub enum LogoutResult: u8 {
        Closed = 0, "Closed successfully";
        NoSuchConnection = 1, "CID not found";
        RecoveryNotSupported = 2, "Connection recovery not supported";
        CleanupFailed = 3, "Cleanup failed";
    }
}

/// The initiator ends a connection or its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogoutRequest {
    /// Outside of the order of commands.
    pub immediate: bool,
    /// What is to end, and why.
    pub reason: LogoutReason,
    /// The initiator's name for the request.
    pub task_tag: u32,
    /// The connection it is about, unless it is the session.
    pub connection_id: u16,
    /// Its place in the order of commands.
    pub cmd_sn: Serial,
    /// The next response expected.
    pub exp_stat_sn: Serial,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogoutResponse {
    /// What came of it.
    pub result: LogoutResult,
    /// The request's tag.
    pub task_tag: u32,
    /// The sequence numbers.
    pub numbers: Numbers,
    /// Seconds to wait before connecting anew.
    pub time_to_wait_s: u16,
    /// Seconds after that during which tasks can still be taken over.
    pub time_to_retain_s: u16,
}

impl LogoutRequest {
    /// Reads a header.
    pub fn decode(bhs: &Bhs) -> Result<Self, HeaderError> {
        if !bhs.is_final() || bhs.data_len() > 0 {
            return Err(HeaderError::InvalidField);
        }
        Ok(Self {
            immediate: bhs.is_immediate(),
            reason: LogoutReason::from_code(bhs.flags & !FINAL).ok_or(HeaderError::InvalidField)?,
            task_tag: bhs.task_tag.get(),
            connection_id: (bhs.word(Word::At20) >> 16) as u16,
            cmd_sn: Serial(bhs.word(Word::At24)),
            exp_stat_sn: Serial(bhs.word(Word::At28)),
        })
    }

    /// The header; there is no data.
    pub fn encode(&self) -> Bhs {
        let mut bhs = Bhs::new(Opcode::LogoutRequest, 0).with_immediate(self.immediate);
        bhs.flags |= self.reason.code();
        bhs.task_tag = U32::new(self.task_tag);
        bhs.set(Word::At20, u32::from(self.connection_id) << 16);
        bhs.set(Word::At24, self.cmd_sn.0);
        bhs.set(Word::At28, self.exp_stat_sn.0);
        bhs
    }
}

impl LogoutResponse {
    /// Reads a header.
    pub fn decode(bhs: &Bhs) -> Result<Self, HeaderError> {
        let times = bhs.word(Word::At40);
        Ok(Self {
            result: LogoutResult::from_code(bhs.specific[0]).ok_or(HeaderError::InvalidField)?,
            task_tag: bhs.task_tag.get(),
            numbers: Numbers::read(bhs),
            time_to_wait_s: (times >> 16) as u16,
            time_to_retain_s: times as u16,
        })
    }

    /// The header; there is no data.
    pub fn encode(&self) -> Bhs {
        let mut bhs = Bhs::new(Opcode::LogoutResponse, 0);
        bhs.specific[0] = self.result.code();
        bhs.task_tag = U32::new(self.task_tag);
        self.numbers.write(&mut bhs);
        bhs.set(Word::At40, u32::from(self.time_to_wait_s) << 16 | u32::from(self.time_to_retain_s));
        bhs
    }
}
