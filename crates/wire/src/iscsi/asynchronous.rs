//! Asynchronous Message (RFC 7143, section 11.9).

use super::bhs::{Bhs, Word};
use super::{HeaderError, Numbers, Opcode, RESERVED_TAG};
use crate::scsi::Lun;
use zerocopy::big_endian::U32;

/// What the target tells of its own accord (section 11.9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsyncEvent {
    /// A SCSI event; the data segment has its sense data.
    Scsi,
    /// The initiator is to log this connection out within so many seconds.
    LogoutRequest {
        /// Seconds.
        within_s: u16,
    },
    /// The target is about to drop a connection.
    ConnectionDrop {
        /// Which one.
        connection_id: u16,
        /// Seconds to wait before connecting anew.
        time_to_wait_s: u16,
        /// Seconds after that during which tasks can still be taken over.
        time_to_retain_s: u16,
    },
    /// The target is about to drop all connections of the session.
    SessionDrop {
        /// Seconds to wait before connecting anew.
        time_to_wait_s: u16,
        /// Seconds after that during which tasks can still be taken over.
        time_to_retain_s: u16,
    },
    /// The initiator is to negotiate parameters within so many seconds.
    NegotiationRequest {
        /// Seconds.
        within_s: u16,
    },
    /// All tasks of this session on the logical unit are ended (SCSI: by another session).
    TasksTerminated,
    /// A vendor's event.
    Vendor {
        /// The vendor's code (AsyncVCode).
        code: u8,
    },
}

/// The target tells something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsyncMessage {
    /// The logical unit, where the event has one.
    pub lun: Lun,
    /// The sequence numbers.
    pub numbers: Numbers,
    /// What it tells.
    pub event: AsyncEvent,
}

impl AsyncMessage {
    /// Reads a header.
    pub fn decode(bhs: &Bhs) -> Result<Self, HeaderError> {
        let [code, vendor, ..] = bhs.word(Word::At36).to_be_bytes();
        let time_to_wait_s = (bhs.word(Word::At40) >> 16) as u16;
        let time_to_retain_s = bhs.word(Word::At40) as u16;
        let event = match code {
            0 => AsyncEvent::Scsi,
            1 => AsyncEvent::LogoutRequest { within_s: time_to_retain_s },
            2 => AsyncEvent::ConnectionDrop {
                connection_id: bhs.word(Word::At36) as u16,
                time_to_wait_s,
                time_to_retain_s,
            },
            3 => AsyncEvent::SessionDrop { time_to_wait_s, time_to_retain_s },
            4 => AsyncEvent::NegotiationRequest { within_s: time_to_retain_s },
            5 => AsyncEvent::TasksTerminated,
            255 => AsyncEvent::Vendor { code: vendor },
            _ => return Err(HeaderError::InvalidField),
        };
        Ok(Self { lun: bhs.logical_unit(), numbers: Numbers::read(bhs), event })
    }

    /// The header for so many bytes of sense data with their length.
    pub fn encode(&self, data_len: u32) -> Bhs {
        let mut bhs = Bhs::new(Opcode::AsyncMessage, data_len);
        bhs.lun = self.lun.0;
        bhs.task_tag = U32::new(RESERVED_TAG);
        self.numbers.write(&mut bhs);
        // Code, vendor's code, and the three parameters of 16 bits.
        let (code, vendor, parameters): (u8, u8, [u16; 3]) = match self.event {
            AsyncEvent::Scsi => (0, 0, [0; 3]),
            AsyncEvent::LogoutRequest { within_s } => (1, 0, [0, 0, within_s]),
            AsyncEvent::ConnectionDrop { connection_id, time_to_wait_s, time_to_retain_s } => {
                (2, 0, [connection_id, time_to_wait_s, time_to_retain_s])
            }
            AsyncEvent::SessionDrop { time_to_wait_s, time_to_retain_s } => {
                (3, 0, [0, time_to_wait_s, time_to_retain_s])
            }
            AsyncEvent::NegotiationRequest { within_s } => (4, 0, [0, 0, within_s]),
            AsyncEvent::TasksTerminated => (5, 0, [0; 3]),
            AsyncEvent::Vendor { code } => (255, code, [0; 3]),
        };
        let [first, second, third] = parameters.map(u32::from);
        bhs.set(Word::At36, u32::from(code) << 24 | u32::from(vendor) << 16 | first);
        bhs.set(Word::At40, second << 16 | third);
        bhs
    }
}
