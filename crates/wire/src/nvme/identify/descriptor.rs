//! The list of a namespace's identifiers (Identify 03h, Base 5.17.2.3, figure 277).

use super::IDENTIFY_LEN;

/// One identifier of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamespaceDescriptor {
    /// IEEE extended unique identifier, most significant byte first.
    Eui64([u8; 8]),
    /// Namespace globally unique identifier, most significant byte first.
    Nguid([u8; 16]),
    /// UUID in network byte order.
    Uuid([u8; 16]),
    /// Command Set Identifier.
    CommandSet(u8),
}

/// A descriptor that cannot be read; the list ends there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// The length is not that of the type.
    #[error("a namespace descriptor of type {kind} has {length} bytes")]
    Length {
        /// Identifier type (NIDT).
        kind: u8,
        /// Identifier length (NIDL).
        length: u8,
    },
    /// The identifier passes the end of the list.
    #[error("a namespace descriptor passes the end of its list")]
    Truncated,
}

impl NamespaceDescriptor {
    /// Identifier type (NIDT).
    const fn kind(&self) -> u8 {
        match self {
            Self::Eui64(_) => KIND_EUI64,
            Self::Nguid(_) => KIND_NGUID,
            Self::Uuid(_) => KIND_UUID,
            Self::CommandSet(_) => KIND_COMMAND_SET,
        }
    }

    /// The identifier's bytes.
    const fn bytes(&self) -> &[u8] {
        match self {
            Self::Eui64(bytes) => bytes.as_slice(),
            Self::Nguid(bytes) | Self::Uuid(bytes) => bytes.as_slice(),
            Self::CommandSet(code) => core::slice::from_ref(code),
        }
    }
}

/// Writes the list: the descriptors, then zeros. What does not fit is left out; four descriptors, one of each type,
/// take 57 bytes of the 4,096.
pub fn write_descriptors(descriptors: &[NamespaceDescriptor], out: &mut [u8; IDENTIFY_LEN]) {
    out.fill(0);
    let mut rest = out.as_mut_slice();
    for descriptor in descriptors {
        let bytes = descriptor.bytes();
        let Some((slot, behind)) = rest.split_at_mut_checked(HEADER_LEN + bytes.len()) else {
            return;
        };
        slot[0] = descriptor.kind();
        slot[1] = bytes.len() as u8;
        slot[HEADER_LEN..].copy_from_slice(bytes);
        rest = behind;
    }
}

/// Reads a list. Types that are not known are skipped; a malformed descriptor is the last item.
#[derive(Debug, Clone)]
pub struct NamespaceDescriptors<'a> {
    rest: &'a [u8],
}

impl<'a> NamespaceDescriptors<'a> {
    /// The descriptors in `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn advance(&mut self) -> Option<Result<Option<NamespaceDescriptor>, DescriptorError>> {
        let ([kind, length, _, _], behind) = self.rest.split_first_chunk::<HEADER_LEN>()?;
        if *length == 0 {
            return None;
        }
        let Some((bytes, behind)) = behind.split_at_checked(usize::from(*length)) else {
            return Some(Err(DescriptorError::Truncated));
        };
        self.rest = behind;
        Some(read(*kind, bytes).ok_or(DescriptorError::Length { kind: *kind, length: *length }))
    }
}

impl Iterator for NamespaceDescriptors<'_> {
    type Item = Result<NamespaceDescriptor, DescriptorError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.advance()? {
                Ok(Some(descriptor)) => return Some(Ok(descriptor)),
                Ok(None) => {}
                Err(error) => {
                    self.rest = &[];
                    return Some(Err(error));
                }
            }
        }
    }
}

/// The descriptor, `Some(None)` for an unknown type, `None` for a wrong length.
fn read(kind: u8, bytes: &[u8]) -> Option<Option<NamespaceDescriptor>> {
    let descriptor = match kind {
        KIND_EUI64 => NamespaceDescriptor::Eui64(bytes.try_into().ok()?),
        KIND_NGUID => NamespaceDescriptor::Nguid(bytes.try_into().ok()?),
        KIND_UUID => NamespaceDescriptor::Uuid(bytes.try_into().ok()?),
        KIND_COMMAND_SET => match bytes {
            [code] => NamespaceDescriptor::CommandSet(*code),
            _ => return None,
        },
        _ => return Some(None),
    };
    Some(Some(descriptor))
}

const HEADER_LEN: usize = 4;
const KIND_EUI64: u8 = 1;
const KIND_NGUID: u8 = 2;
const KIND_UUID: u8 = 3;
const KIND_COMMAND_SET: u8 = 4;

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    const ALL: [NamespaceDescriptor; 4] = [
        NamespaceDescriptor::Eui64([1, 2, 3, 4, 5, 6, 7, 8]),
        NamespaceDescriptor::Nguid([9; 16]),
        NamespaceDescriptor::Uuid([7; 16]),
        NamespaceDescriptor::CommandSet(0),
    ];

    #[test]
    fn a_list_survives_its_bytes() {
        let mut bytes = [0xee; IDENTIFY_LEN];
        write_descriptors(&ALL, &mut bytes);
        assert_eq!(bytes[..8], [1, 8, 0, 0, 1, 2, 3, 4]);
        assert_eq!(bytes[57..].iter().find(|byte| **byte != 0), None);
        let back: Vec<_> = NamespaceDescriptors::new(&bytes).map(Result::unwrap).collect();
        assert_eq!(back, ALL);
    }

    #[test]
    fn a_list_too_long_is_cut_at_a_descriptor() {
        let many = [NamespaceDescriptor::Uuid([1; 16]); 300];
        let mut bytes = [0; IDENTIFY_LEN];
        write_descriptors(&many, &mut bytes);
        assert_eq!(NamespaceDescriptors::new(&bytes).filter(Result::is_ok).count(), IDENTIFY_LEN / 20);
    }

    #[test]
    fn unknown_types_are_skipped_and_wrong_lengths_end_the_list() {
        let bytes = [9, 2, 0, 0, 1, 1, 4, 1, 0, 0, 2, 1, 4, 0, 0, 1, 2, 3, 4, 4, 1, 0, 0, 5];
        let read: Vec<_> = NamespaceDescriptors::new(&bytes).collect();
        let wrong = DescriptorError::Length { kind: 1, length: 4 };
        assert_eq!(read, [Ok(NamespaceDescriptor::CommandSet(2)), Err(wrong)]);
        let cut: Vec<_> = NamespaceDescriptors::new(&[3, 16, 0, 0, 1]).collect();
        assert_eq!(cut, [Err(DescriptorError::Truncated)]);
    }
}
