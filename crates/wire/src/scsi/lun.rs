//! The logical unit number.

/// A logical unit number (SAM-5, section 4.7): eight bytes, four levels of two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Lun(pub [u8; 8]);

impl Lun {
    /// The number, if this is a single level one in peripheral (bus 0) or flat space addressing.
    pub const fn single_level(self) -> Option<u16> {
        let Self([first, second, rest @ ..]) = self;
        if u16::from_be_bytes([rest[0], rest[1]]) != 0
            || u32::from_be_bytes([rest[2], rest[3], rest[4], rest[5]]) != 0
        {
            return None;
        }
        match first >> 6 {
            0 if first == 0 => Some(second as u16),
            1 => Some(((first & 0x3f) as u16) << 8 | second as u16),
            _ => None,
        }
    }

    /// The single level form of a number below 16,384: peripheral addressing up to 255, flat space above.
    pub const fn from_number(number: u16) -> Self {
        let [high, low] = number.to_be_bytes();
        let method = if number < 256 { 0 } else { 0x40 };
        Self([method | high & 0x3f, low, 0, 0, 0, 0, 0, 0])
    }
}
