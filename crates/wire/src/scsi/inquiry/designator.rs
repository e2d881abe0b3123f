//! Designators: names of logical units, ports and devices, in the page Device Identification and in copy commands (SPC-4,
//! section 7.8.6).

use crate::BufferTooSmall;

codes! {
    /// What the bytes of a designator are.
    pub enum CodeSet: u8 {
        Binary = 1, "binary";
        Ascii = 2, "ASCII";
        Utf8 = 3, "UTF-8";
    }
}

codes! {
    /// Whom a designator names.
    pub enum Association: u8 {
        LogicalUnit = 0, "logical unit";
        TargetPort = 1, "target port";
        TargetDevice = 2, "target device";
    }
}

codes! {
    /// How a designator is formed (SPC-4, table 548; UUIDs: SPC-5).
    pub enum DesignatorKind: u8 {
        VendorSpecific = 0x0, "vendor specific";
        T10VendorId = 0x1, "T10 vendor ID based";
        Eui64 = 0x2, "EUI-64 based";
        Naa = 0x3, "NAA";
        RelativeTargetPort = 0x4, "relative target port identifier";
        TargetPortGroup = 0x5, "target port group";
        LogicalUnitGroup = 0x6, "logical unit group";
        Md5 = 0x7, "MD5 logical unit identifier";
        ScsiName = 0x8, "SCSI name string";
        ProtocolPort = 0x9, "protocol specific port identifier";
        Uuid = 0xa, "UUID";
    }
}

/// A designator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Designator<'a> {
    /// PROTOCOL IDENTIFIER, if it is told (PIV).
    pub protocol: Option<u8>,
    /// What the bytes are.
    pub code_set: CodeSet,
    /// Whom it names.
    pub association: Association,
    /// How it is formed.
    pub kind: DesignatorKind,
    /// The bytes: up to 255.
    pub identifier: &'a [u8],
}

/// The designators of a list, in order; those with reserved codes are passed over, and a last piece too short is left out.
#[derive(Clone, Copy, Debug)]
pub struct Designators<'a>(pub &'a [u8]);

impl<'a> Designator<'a> {
    /// Bytes before the identifier.
    pub const HEADER_LEN: usize = 4;

    /// A designator of the logical unit.
    pub const fn of_unit(code_set: CodeSet, kind: DesignatorKind, identifier: &'a [u8]) -> Self {
        Self { protocol: None, code_set, association: Association::LogicalUnit, kind, identifier }
    }

    /// Reads the designator at the front of `bytes`. `None` if it is cut off, or a code is reserved.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let &[set, form, _, len, ref rest @ ..] = bytes else { return None };
        Some(Self {
            protocol: (form & PIV != 0).then_some(set >> 4),
            code_set: CodeSet::from_code(set & 0x0f)?,
            association: Association::from_code(form >> 4 & 3)?,
            kind: DesignatorKind::from_code(form & 0x0f)?,
            identifier: rest.get(..usize::from(len))?,
        })
    }

    /// True if the two are the same name.
    pub fn names_the_same(&self, other: &Designator<'_>) -> bool {
        self.kind == other.kind
            && self.association == other.association
            && self.identifier == other.identifier
    }

    /// Bytes it takes.
    pub const fn encoded_len(&self) -> usize {
        Self::HEADER_LEN + self.identifier.len()
    }

    /// Writes it to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let needed = self.encoded_len();
        let available = out.len();
        let Some((header, identifier)) = out.get_mut(..needed).and_then(|out| out.split_at_mut_checked(4))
        else {
            return Err(BufferTooSmall { needed, available });
        };
        let piv = if self.protocol.is_some() { PIV } else { 0 };
        let form = piv | self.association.code() << 4 | self.kind.code();
        let set = self.protocol.unwrap_or(0) << 4 | self.code_set.code();
        header.copy_from_slice(&[set, form, 0, self.identifier.len() as u8]);
        identifier.copy_from_slice(self.identifier);
        Ok(needed)
    }
}

impl<'a> Iterator for Designators<'a> {
    type Item = Designator<'a>;

    fn next(&mut self) -> Option<Designator<'a>> {
        loop {
            let len = Designator::HEADER_LEN + usize::from(*self.0.get(3)?);
            let (designator, rest) = self.0.split_at_checked(len)?;
            self.0 = rest;
            if let Some(designator) = Designator::read(designator) {
                return Some(designator);
            }
        }
    }
}

/// PIV: the protocol identifier is valid.
const PIV: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back() {
        let unit = Designator::of_unit(CodeSet::Binary, DesignatorKind::Naa, &[0x31, 2, 3, 4, 5, 6, 7, 8]);
        let port = Designator {
            protocol: Some(5),
            code_set: CodeSet::Utf8,
            association: Association::TargetPort,
            kind: DesignatorKind::ScsiName,
            identifier: b"iqn.a,t,0x0001\0\0",
        };
        let mut out = [0; 64];
        let first = unit.encode(&mut out).unwrap();
        assert_eq!(out[..5], [1, 3, 0, 8, 0x31]);
        let second = first + port.encode(&mut out[first..]).unwrap();
        assert_eq!(out[first..first + 4], [0x53, 0x98, 0, 16]);
        // A reserved type, and a last one cut off.
        out[second..second + 10].copy_from_slice(&[1, 0x0f, 0, 2, 9, 9, 1, 3, 0, 8]);
        let mut list = Designators(&out[..second + 12]);
        assert_eq!((list.next(), list.next(), list.next()), (Some(unit), Some(port), None));
        assert!(port.encode(&mut [0; 19]).is_err());
        assert!(unit.names_the_same(&Designator { protocol: Some(4), ..unit }));
    }
}
