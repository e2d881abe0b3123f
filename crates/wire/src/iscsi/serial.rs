//! Sequence numbers (RFC 7143, sections 4.2.2 and 11.2.1: 32 bits, compared as RFC 1982 says).

use super::bhs::{Bhs, Word};

/// A number that wraps: CmdSN, StatSN, DataSN, R2TSN and what is expected of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Serial(pub u32);

impl Serial {
    /// The one after it.
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The one `steps` after it.
    pub const fn plus(self, steps: u32) -> Self {
        Self(self.0.wrapping_add(steps))
    }

    /// Whether it comes before `other`: by less than half of all numbers.
    pub const fn precedes(self, other: Self) -> bool {
        other.0.wrapping_sub(self.0).wrapping_sub(1) < HALF - 1
    }

    /// How many steps it is after `earlier`.
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }
}

/// The three numbers nearly every PDU of a target carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Numbers {
    /// StatSN: of this response, or of the next if this PDU is none.
    pub stat_sn: Serial,
    /// The next command the target expects.
    pub exp_cmd_sn: Serial,
    /// The last command the target has room for.
    pub max_cmd_sn: Serial,
}

impl Numbers {
    /// Those of any PDU of a target's, which has them in the same place.
    pub const fn read(bhs: &Bhs) -> Self {
        Self {
            stat_sn: Serial(bhs.word(Word::At24)),
            exp_cmd_sn: Serial(bhs.word(Word::At28)),
            max_cmd_sn: Serial(bhs.word(Word::At32)),
        }
    }

    pub(super) const fn write(self, bhs: &mut Bhs) {
        bhs.set(Word::At24, self.stat_sn.0);
        bhs.set(Word::At28, self.exp_cmd_sn.0);
        bhs.set(Word::At32, self.max_cmd_sn.0);
    }
}

const HALF: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_goes_around() {
        let last = Serial(u32::MAX);
        assert_eq!(last.next(), Serial(0));
        assert!(last.precedes(Serial(0)) && !Serial(0).precedes(last));
        assert!(!last.precedes(last));
        assert!(Serial(5).precedes(Serial(5 + HALF - 1)));
        assert!(!Serial(5).precedes(Serial(5 + HALF)) && !Serial(5 + HALF).precedes(Serial(5)));
        assert_eq!(Serial(3).since(last), 4);
    }
}
