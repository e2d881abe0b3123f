//! Records: one cache line each, in a ring that one process writes and another reads.
//!
//! ```text
//!  0 stamp   4 opcode  5 flags  6 memory   8 destination  12 source
//! 16 number 20 acknowledged    24 len     28 total
//! 32 immediate     36 key      40 address
//! 48 tail: sixteen bytes of the message, or where its bytes lie, or an atomic's two numbers
//! ```
//!
//! The stamp says which record of all that ever were it is, and is written last. Numbers are of the machine's byte order.

/// Bytes of a record, stamp and all.
pub(crate) const LEN: usize = 64;

/// Bytes of the stamp.
pub(crate) const STAMP_LEN: usize = 4;

/// Bytes of a message that fit into a record.
pub(crate) const TAIL_LEN: usize = 16;

/// A record, its stamp aside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) opcode: Opcode,
    pub(crate) flags: u8,
    /// Which memory the bytes lie in: 0 is the link's own area.
    pub(crate) memory: u16,
    /// The queue pair it is for.
    pub(crate) destination: u32,
    /// The queue pair it is from.
    pub(crate) source: u32,
    /// The request's number, counted from what both ends agreed on.
    pub(crate) number: u32,
    /// The sender expects this number next from the receiver: all before it are done.
    pub(crate) acknowledged: u32,
    /// Bytes that come with this record.
    pub(crate) len: u32,
    /// Bytes of the whole message.
    pub(crate) total: u32,
    /// Four bytes for the completion, the key to be closed, or the reason of a refusal.
    pub(crate) immediate: u32,
    /// What opens the receiver's memory, a datagram's key, or a refusal's timer.
    pub(crate) key: u32,
    /// Where in the receiver's memory.
    pub(crate) address: u64,
    pub(crate) tail: [u8; TAIL_LEN],
}

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Opcode {
    Send = 1,
    Write = 2,
    Read = 3,
    CompareSwap = 4,
    FetchAdd = 5,
    Datagram = 6,
    /// Nothing but what [`Record::acknowledged`] says.
    Acknowledge = 7,
    /// A request was not done; `immediate` says why.
    Refuse = 8,
    /// Bytes that were asked for.
    Answer = 9,
}

impl Opcode {
    const ALL: [Self; 9] = [
        Self::Send,
        Self::Write,
        Self::Read,
        Self::CompareSwap,
        Self::FetchAdd,
        Self::Datagram,
        Self::Acknowledge,
        Self::Refuse,
        Self::Answer,
    ];
}

/// The message begins with this record.
pub(crate) const FIRST: u8 = 0x01;
/// It ends with it.
pub(crate) const LAST: u8 = 0x02;
/// `immediate` is for the completion.
pub(crate) const IMMEDIATE: u8 = 0x04;
/// `immediate` is a key to be closed.
pub(crate) const INVALIDATE: u8 = 0x08;
/// Its completion wakes who waits for solicited ones.
pub(crate) const SOLICITED: u8 = 0x10;
/// The bytes are in the tail.
pub(crate) const WITHIN: u8 = 0x20;
/// The receiver's queue pair is not of a reliable connection, and neither is the sender's.
pub(crate) const UNRELIABLE: u8 = 0x40;

/// Why a request was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    /// The queue pair is not there, or answers nobody: try again.
    NotReady = 1,
    /// There is no receive: try again after `key`'s time.
    NoReceive = 2,
    /// What the standard calls an invalid request.
    InvalidRequest = 3,
    /// The memory may not be used so.
    Access = 4,
    /// The queue pair could not do it.
    Operation = 5,
}

impl Reason {
    const ALL: [Self; 5] =
        [Self::NotReady, Self::NoReceive, Self::InvalidRequest, Self::Access, Self::Operation];

    /// What the number means.
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| *reason as u32 == code)
    }
}

impl Record {
    /// A record that says nothing yet.
    pub(crate) const fn new(opcode: Opcode, destination: u32, source: u32, number: u32) -> Self {
        Self {
            opcode,
            flags: 0,
            memory: 0,
            destination,
            source,
            number,
            acknowledged: 0,
            len: 0,
            total: 0,
            immediate: 0,
            key: 0,
            address: 0,
            tail: [0; TAIL_LEN],
        }
    }

    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Where the bytes lie in their memory, unless they are within.
    pub(crate) fn offset(&self) -> u64 {
        self.tail_number(0)
    }

    /// One of the two numbers in the tail.
    pub(crate) fn tail_number(&self, which: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.tail[8 * which..][..8]);
        u64::from_ne_bytes(bytes)
    }

    /// Puts two numbers into the tail.
    pub(crate) fn set_tail(&mut self, numbers: [u64; 2]) {
        self.tail[..8].copy_from_slice(&numbers[0].to_ne_bytes());
        self.tail[8..].copy_from_slice(&numbers[1].to_ne_bytes());
    }

    /// Its bytes behind the stamp.
    #[inline]
    pub(crate) fn encode(&self) -> [u8; LEN - STAMP_LEN] {
        let mut out = [0; LEN - STAMP_LEN];
        out[0] = self.opcode as u8;
        out[1] = self.flags;
        out[2..4].copy_from_slice(&self.memory.to_ne_bytes());
        let words = [
            self.destination,
            self.source,
            self.number,
            self.acknowledged,
            self.len,
            self.total,
            self.immediate,
            self.key,
        ];
        for (place, word) in out[4..36].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        out[36..44].copy_from_slice(&self.address.to_ne_bytes());
        out[44..].copy_from_slice(&self.tail);
        out
    }

    /// What the bytes behind a stamp mean, if they mean anything.
    #[inline]
    pub(crate) fn decode(bytes: &[u8; LEN - STAMP_LEN]) -> Option<Self> {
        let word = |place: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[4 + 4 * place..][..4]);
            u32::from_ne_bytes(word)
        };
        let opcode = Opcode::ALL.into_iter().find(|opcode| *opcode as u8 == bytes[0])?;
        let mut address = [0; 8];
        address.copy_from_slice(&bytes[36..44]);
        let mut tail = [0; TAIL_LEN];
        tail.copy_from_slice(&bytes[44..]);
        let record = Self {
            opcode,
            flags: bytes[1],
            memory: u16::from_ne_bytes([bytes[2], bytes[3]]),
            destination: word(0),
            source: word(1),
            number: word(2),
            acknowledged: word(3),
            len: word(4),
            total: word(5),
            immediate: word(6),
            key: word(7),
            address: u64::from_ne_bytes(address),
            tail,
        };
        let is_sane = !record.has(WITHIN) || record.len as usize <= TAIL_LEN;
        is_sane.then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_what_was_written() {
        let mut record = Record::new(Opcode::CompareSwap, 1, 2, 3);
        record.set_tail([u64::MAX - 1, 7]);
        (record.memory, record.acknowledged, record.len, record.total) = (9, 4, 5, 6);
        (record.immediate, record.key, record.address, record.flags) = (10, 11, 12, FIRST | LAST);
        assert_eq!(Record::decode(&record.encode()), Some(record));
        assert_eq!((record.tail_number(0), record.tail_number(1)), (u64::MAX - 1, 7));
    }

    #[test]
    fn what_means_nothing_is_no_record() {
        let mut bytes = [0; LEN - STAMP_LEN];
        assert_eq!(Record::decode(&bytes), None);
        bytes[0] = 10;
        assert_eq!(Record::decode(&bytes), None);
        let mut record = Record::new(Opcode::Send, 1, 2, 3);
        (record.flags, record.len) = (WITHIN, 17);
        assert_eq!(Record::decode(&record.encode()), None);
        record.len = 16;
        assert!(Record::decode(&record.encode()).is_some());
        assert_eq!(Reason::from_code(0), None);
        assert_eq!(Reason::from_code(4), Some(Reason::Access));
    }
}
