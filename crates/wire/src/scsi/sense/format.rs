//! The two forms of sense data: fixed (SPC-4, section 4.5.3) and descriptor (section 4.5.2).

use super::{Sense, SenseKey, Specific};

/// Bytes of the longest sense data there is here: the descriptor form with both of its descriptors.
const LEN_MAX: usize = 8 + 12 + 8;

/// Bytes of the fixed form.
const FIXED_LEN: usize = 18;

impl Sense {
    /// The longest that [`Sense::write`] makes.
    pub const LEN_MAX: usize = LEN_MAX;

    /// Lays the data out at the start of `out`; says how long it is.
    pub fn write(&self, out: &mut [u8; LEN_MAX]) -> usize {
        out.fill(0);
        if self.descriptor { self.write_descriptors(out) } else { self.write_fixed(out) }
    }

    /// INFORMATION that does not fit 32 bits is not told in this form.
    fn write_fixed(&self, out: &mut [u8; LEN_MAX]) -> usize {
        out[0] = 0x70 | u8::from(self.deferred);
        if let Some(information) = self.information.and_then(|lba| u32::try_from(lba).ok()) {
            out[0] |= VALID;
            out[3..7].copy_from_slice(&information.to_be_bytes());
        }
        out[2] = self.key as u8;
        out[7] = (FIXED_LEN - 8) as u8;
        (out[12], out[13]) = (self.code, self.qualifier);
        if let Some(specific) = self.specific {
            out[15..18].copy_from_slice(&specific.bytes());
        }
        FIXED_LEN
    }

    fn write_descriptors(&self, out: &mut [u8; LEN_MAX]) -> usize {
        out[0] = 0x72 | u8::from(self.deferred);
        (out[1], out[2], out[3]) = (self.key as u8, self.code, self.qualifier);
        let mut len = 8;
        if let Some(information) = self.information {
            out[len..len + 4].copy_from_slice(&[INFORMATION, 0x0a, VALID, 0]);
            out[len + 4..len + 12].copy_from_slice(&information.to_be_bytes());
            len += 12;
        }
        if let Some(specific) = self.specific {
            out[len..len + 2].copy_from_slice(&[SENSE_KEY_SPECIFIC, 0x06]);
            out[len + 4..len + 7].copy_from_slice(&specific.bytes());
            len += 8;
        }
        out[7] = (len - 8) as u8;
        len
    }

    /// Reads either form; `None` if it is neither, or too short to say what happened.
    pub fn read(data: &[u8]) -> Option<Self> {
        match data.first()? & 0x7f {
            code @ (0x70 | 0x71) => Self::read_fixed(data, code == 0x71),
            code @ (0x72 | 0x73) => Self::read_descriptors(data, code == 0x73),
            _ => None,
        }
    }

    fn read_fixed(data: &[u8], deferred: bool) -> Option<Self> {
        let key = SenseKey::from_code(data.get(2)? & 0x0f)?;
        let at = |place: usize| data.get(place).copied().unwrap_or(0);
        let information = (at(0) & VALID != 0)
            .then(|| data.get(3..7))
            .flatten()
            .and_then(|bytes| Some(u64::from(u32::from_be_bytes(bytes.try_into().ok()?))));
        let specific = data.get(15..18).and_then(|bytes| Specific::read(key, bytes));
        let sense = Self::new(key, at(12), at(13));
        Some(Self { information, specific, deferred, ..sense })
    }

    fn read_descriptors(data: &[u8], deferred: bool) -> Option<Self> {
        let &[_, key, code, qualifier, ..] = data else { return None };
        let key = SenseKey::from_code(key & 0x0f)?;
        let mut sense = Self { deferred, descriptor: true, ..Self::new(key, code, qualifier) };
        let end = 8 + usize::from(data.get(7).copied().unwrap_or(0));
        let mut rest = data.get(8..end.min(data.len())).unwrap_or(&[]);
        while let &[kind, len, ..] = rest {
            let Some((descriptor, behind)) = rest.split_at_checked(2 + usize::from(len)) else { break };
            match (kind, descriptor) {
                (INFORMATION, [_, _, flags, _, bytes @ ..]) if flags & VALID != 0 => {
                    sense.information = bytes.try_into().ok().map(u64::from_be_bytes);
                }
                (SENSE_KEY_SPECIFIC, [_, _, _, _, bytes @ ..]) => sense.specific = Specific::read(key, bytes),
                _ => {}
            }
            rest = behind;
        }
        Some(sense)
    }
}

impl Specific {
    fn bytes(self) -> [u8; 3] {
        match self {
            Self::Field { in_cdb, byte, bit } => {
                let [high, low] = byte.to_be_bytes();
                let bit = bit.map_or(0, |bit| BIT_VALID | bit & 7);
                [VALID | if in_cdb { IN_CDB } else { 0 } | bit, high, low]
            }
            Self::Progress(parts) => {
                let [high, low] = parts.to_be_bytes();
                [VALID, high, low]
            }
            Self::AttentionOverflow(overflow) => [VALID | u8::from(overflow), 0, 0],
        }
    }

    fn read(key: SenseKey, bytes: &[u8]) -> Option<Self> {
        let &[flags, high, low, ..] = bytes else { return None };
        if flags & VALID == 0 {
            return None;
        }
        let value = u16::from_be_bytes([high, low]);
        match key {
            SenseKey::IllegalRequest => {
                let bit = (flags & BIT_VALID != 0).then_some(flags & 7);
                Some(Self::Field { in_cdb: flags & IN_CDB != 0, byte: value, bit })
            }
            SenseKey::NoSense | SenseKey::NotReady => Some(Self::Progress(value)),
            SenseKey::UnitAttention => Some(Self::AttentionOverflow(flags & 1 != 0)),
            _ => None,
        }
    }
}

/// VALID of both forms, and SKSV.
const VALID: u8 = 0x80;
/// C/D.
const IN_CDB: u8 = 0x40;
/// BPV.
const BIT_VALID: u8 = 0x08;
/// Descriptor types.
const INFORMATION: u8 = 0x00;
const SENSE_KEY_SPECIFIC: u8 = 0x02;

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn written(sense: &Sense) -> Vec<u8> {
        let mut out = [0xff; LEN_MAX];
        let len = sense.write(&mut out);
        out[..len].to_vec()
    }

    #[test]
    fn the_fixed_form() {
        let sense = Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(1, 7);
        let bytes = [0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0, 0, 0xcf, 0, 1];
        assert_eq!(written(&sense), bytes);
        let long = Sense::UNRECOVERED_READ_ERROR.with_information(1 << 32);
        assert_eq!(written(&long)[0], 0x70, "a block that the form has no room for");
        let miscompare = Sense::MISCOMPARE_DURING_VERIFY.with_information(0x0102_0304);
        assert_eq!(written(&miscompare)[..7], [0xf0, 0, 0xe, 1, 2, 3, 4]);
    }

    #[test]
    fn the_descriptor_form() {
        let sense = Sense { descriptor: true, ..Sense::UNRECOVERED_READ_ERROR.with_information(1 << 32) };
        let bytes = [0x72, 3, 0x11, 0, 0, 0, 0, 12, 0, 10, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        assert_eq!(written(&sense), bytes);
    }

    #[test]
    fn what_is_written_is_read() {
        let all = [
            Sense::POWER_ON,
            Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(9),
            Sense::INVALID_FIELD_IN_PARAMETER_LIST.at_parameter_bit(300, 3),
            Sense::UNRECOVERED_READ_ERROR.with_information(77),
            Sense { specific: Some(Specific::Progress(9)), ..Sense::SANITIZE_IN_PROGRESS },
            Sense { deferred: true, ..Sense::WRITE_ERROR },
        ];
        for sense in all {
            for descriptor in [false, true] {
                let sense = Sense { descriptor, ..sense };
                assert_eq!(Sense::read(&written(&sense)), Some(sense));
            }
        }
    }

    #[test]
    fn no_bytes_confuse_the_reader() {
        let mut bytes = written(&Sense { descriptor: true, ..Sense::WRITE_ERROR.with_information(1) });
        for len in 0..bytes.len() {
            let _ = Sense::read(&bytes[..len]);
        }
        bytes[9] = 255;
        assert_eq!(Sense::read(&bytes).map(|sense| sense.information), Some(None));
        assert_eq!(Sense::read(&[0x7f, 0, 0]), None);
        assert_eq!(Sense::read(&[]), None);
    }
}
