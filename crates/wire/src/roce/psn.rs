//! Packet sequence numbers: 24 bits that wrap (9.7.1).

use core::fmt;

/// A packet sequence number.
///
/// There is no order between two of them, only a distance: half of the space is ahead, half behind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Psn(u32);

impl Psn {
    /// The number with the low 24 bits of `value`.
    pub const fn new(value: u32) -> Self {
        Self(value & MASK)
    }

    /// The number, below 2^24.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// The number `count` packets on.
    #[must_use]
    pub const fn plus(self, count: u32) -> Self {
        Self(self.0.wrapping_add(count) & MASK)
    }

    /// The number `count` packets back.
    #[must_use]
    pub const fn minus(self, count: u32) -> Self {
        Self(self.0.wrapping_sub(count) & MASK)
    }

    /// The next number.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// How many packets this one is ahead of `other`: negative if behind, from -2^23 to 2^23 - 1.
    pub const fn since(self, other: Self) -> i32 {
        (self.0.wrapping_sub(other.0) << 8) as i32 >> 8
    }

    /// True if this one comes before `other`.
    pub const fn is_before(self, other: Self) -> bool {
        self.since(other) < 0
    }
}

impl fmt::Debug for Psn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#08x}", self.0)
    }
}

const MASK: u32 = 0xff_ffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_wraps() {
        let last = Psn::new(0xff_ffff);
        assert_eq!(last.next(), Psn::new(0));
        assert_eq!(Psn::new(2).since(last), 3);
        assert_eq!(last.since(Psn::new(2)), -3);
        assert_eq!(Psn::new(2).minus(3), last);
        assert!(last.is_before(Psn::new(0)));
        assert!(!last.is_before(last));
    }

    #[test]
    fn half_the_space_is_ahead() {
        let zero = Psn::new(0);
        assert_eq!(zero.plus(0x7f_ffff).since(zero), 0x7f_ffff);
        assert_eq!(zero.plus(0x80_0000).since(zero), -0x80_0000);
    }
}
