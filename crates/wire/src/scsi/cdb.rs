//! The command descriptor block, before it is understood.

/// A command descriptor block (SAM-5, section 5.2): up to 16 bytes. Longer ones (variable length, operation code 7Fh) are
/// cut here: no device of ours takes them, and the operation code is enough to say so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cdb(pub [u8; 16]);

impl Cdb {
    /// The operation code.
    pub const fn operation_code(&self) -> u8 {
        self.0[0]
    }

    /// A byte. Panics past the sixteenth.
    pub const fn byte(&self, at: usize) -> u8 {
        self.0[at]
    }

    /// True if this bit of this byte is set.
    pub const fn bit(&self, at: usize, bit: u8) -> bool {
        self.0[at] >> bit & 1 != 0
    }

    /// Two bytes from `at` on.
    pub const fn u16(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.0[at], self.0[at + 1]])
    }

    /// Three bytes from `at` on.
    pub const fn u24(&self, at: usize) -> u32 {
        u32::from_be_bytes([0, self.0[at], self.0[at + 1], self.0[at + 2]])
    }

    /// Four bytes from `at` on.
    pub const fn u32(&self, at: usize) -> u32 {
        (self.u16(at) as u32) << 16 | self.u16(at + 2) as u32
    }

    /// Eight bytes from `at` on.
    pub const fn u64(&self, at: usize) -> u64 {
        (self.u32(at) as u64) << 32 | self.u32(at + 4) as u64
    }

    /// The length that the group code in the operation code gives (SPC-4, section 4.2.5.1); `None` for variable length and
    /// vendor specific ones.
    pub const fn group_len(&self) -> Option<usize> {
        match self.0[0] >> 5 {
            0 => Some(6),
            1 | 2 => Some(10),
            4 => Some(16),
            5 => Some(12),
            _ => None,
        }
    }

    /// NACA in the CONTROL byte (SAM-5, section 5.2): a CHECK CONDITION is to establish an auto contingent allegiance.
    pub const fn naca(&self) -> bool {
        match self.group_len() {
            Some(len) => self.0[len - 1] & 0x04 != 0,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_big_endian() {
        let cdb = Cdb([0x88, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0x04]);
        assert_eq!(
            (cdb.u64(2), cdb.u32(10), cdb.u24(3), cdb.u16(2)),
            (0x0102_0304_0506_0708, 0x090a_0b0c, 0x02_0304, 0x0102)
        );
        assert_eq!(
            (cdb.group_len(), cdb.naca(), cdb.bit(15, 2), cdb.bit(15, 1)),
            (Some(16), true, true, false)
        );
    }
}
