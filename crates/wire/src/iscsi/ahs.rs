//! Additional header segments (RFC 7143, section 11.2.2): what does not fit a SCSI Command's basic header.

use super::HeaderError;

codes! {
    /// Types of additional headers.
    pub enum AhsType: u8 {
        ExtendedCdb = 0x01, "Extended CDB";
        BidirectionalReadLength = 0x02, "Expected Bidirectional Read Data Length";
    }
}

/// What the additional headers of a command say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AdditionalHeaders<'a> {
    /// The command descriptor block from its 17th byte on.
    pub extended_cdb: Option<&'a [u8]>,
    /// Bytes the initiator is ready to take, for a command that moves data both ways.
    pub bidirectional_read_length: Option<u32>,
}

impl<'a> AdditionalHeaders<'a> {
    /// Reads all segments in `bytes`. Types that are not known are passed over; each known one may be there once.
    pub fn decode(mut bytes: &'a [u8]) -> Result<Self, HeaderError> {
        let mut found = Self::default();
        while let Some((&[high, low, kind], rest)) = bytes.split_first_chunk::<3>() {
            // AHSLength counts what follows the type, its reserved byte included, without padding.
            let len = usize::from(u16::from_be_bytes([high, low]));
            let end = (3 + len).next_multiple_of(4) - 3;
            let (Some((_reserved, content)), Some(left)) =
                (rest.get(..len).and_then(<[u8]>::split_first), rest.get(end..))
            else {
                return Err(HeaderError::AdditionalHeaderLength);
            };
            match AhsType::from_code(kind) {
                Some(AhsType::ExtendedCdb) if content.is_empty() => {
                    return Err(HeaderError::AdditionalHeaderLength);
                }
                Some(AhsType::ExtendedCdb) => once(&mut found.extended_cdb, content)?,
                Some(AhsType::BidirectionalReadLength) => {
                    let length = content.try_into().map_err(|_| HeaderError::AdditionalHeaderLength)?;
                    once(&mut found.bidirectional_read_length, u32::from_be_bytes(length))?;
                }
                None => {}
            }
            bytes = left;
        }
        if bytes.is_empty() { Ok(found) } else { Err(HeaderError::AdditionalHeaderLength) }
    }
}

/// Takes a segment that may be there once.
fn once<T>(place: &mut Option<T>, value: T) -> Result<(), HeaderError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(HeaderError::AdditionalHeaderLength),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_types_are_found_in_any_order() {
        let bytes = [0, 5, 2, 0, 0, 0, 2, 0, 0, 3, 1, 0, 0xaa, 0xbb, 0, 0];
        let found = AdditionalHeaders::decode(&bytes).unwrap();
        assert_eq!(found.extended_cdb, Some(&[0xaa, 0xbb][..]));
        assert_eq!(found.bidirectional_read_length, Some(512));
        assert_eq!(AdditionalHeaders::decode(&[]), Ok(AdditionalHeaders::default()));
    }

    #[test]
    fn lengths_that_lie_are_told() {
        let wrong: [&[u8]; 6] = [
            &[0, 9, 2, 0, 0, 0, 2, 0],
            &[0, 0, 2, 0],
            &[0xff, 0xff, 1, 0],
            &[0, 6, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0],
            &[0, 1, 1, 0],
            &[0, 5],
        ];
        for bytes in wrong {
            assert_eq!(
                AdditionalHeaders::decode(bytes),
                Err(HeaderError::AdditionalHeaderLength),
                "{bytes:?}"
            );
        }
        let twice = [0, 5, 2, 0, 0, 0, 2, 0, 0, 5, 2, 0, 0, 0, 2, 0];
        assert_eq!(AdditionalHeaders::decode(&twice), Err(HeaderError::AdditionalHeaderLength));
    }

    #[test]
    fn unknown_types_are_passed_over() {
        let bytes = [0, 1, 0x3f, 0, 0, 5, 2, 0, 0, 0, 0, 9];
        assert_eq!(AdditionalHeaders::decode(&bytes).unwrap().bidirectional_read_length, Some(9));
    }
}
