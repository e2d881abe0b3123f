//! ICReq and ICResp: what the two ends agree on before the first capsule (TCP Transport 3.6.2.1, 3.6.2.2).

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::{HeaderError, HeaderField};
use super::header::{CommonHeader, DataAlignment, Digests, Flags, PduLayout, PduType};
use crate::BufferTooSmall;

/// Initialize Connection Request: what the host wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IcReq {
    /// The alignment the host wants data to have in the PDUs it receives (HPDA).
    pub alignment: DataAlignment,
    /// The digests the host wants.
    pub digests: Digests,
    /// R2Ts a command may have outstanding, less one (MAXR2T).
    pub r2t_max_zero_based: u32,
}

/// Initialize Connection Response: what the controller wants and grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcResp {
    /// The alignment the controller wants data to have in the PDUs it receives (CPDA).
    pub alignment: DataAlignment,
    /// The digests of this connection.
    pub digests: Digests,
    /// Most data bytes in one H2CData (MAXH2CDATA): a multiple of 4, at least [`MAX_H2C_DATA_MIN`].
    pub max_h2c_data: u32,
}

/// The least a controller may announce as MAXH2CDATA, in bytes.
pub const MAX_H2C_DATA_MIN: u32 = 4096;

/// The 128 bytes both PDUs have.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Raw {
    common: CommonHeader,
    format_version: U16,
    alignment: u8,
    digests: u8,
    /// MAXR2T in the request, MAXH2CDATA in the response.
    limit: U32,
    reserved: [u8; 112],
}

impl IcReq {
    /// Bytes of the PDU.
    pub const LEN: usize = 128;

    /// Reads a header that passed [`CommonHeader::check`].
    pub fn decode(header: &[u8]) -> Result<Self, HeaderError> {
        let (raw, alignment, digests) = decode(header)?;
        Ok(Self { alignment, digests, r2t_max_zero_based: raw.limit.get() })
    }

    /// Writes the PDU to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        encode(PduType::IcReq, self.alignment, self.digests, self.r2t_max_zero_based, out)
    }
}

impl IcResp {
    /// Bytes of the PDU.
    pub const LEN: usize = 128;

    /// Reads a header that passed [`CommonHeader::check`].
    pub fn decode(header: &[u8]) -> Result<Self, HeaderError> {
        let (raw, alignment, digests) = decode(header)?;
        let max_h2c_data = raw.limit.get();
        if max_h2c_data < MAX_H2C_DATA_MIN || !max_h2c_data.is_multiple_of(4) {
            return Err(HeaderError::InvalidField(HeaderField::MaxH2cData));
        }
        Ok(Self { alignment, digests, max_h2c_data })
    }

    /// Writes the PDU to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        encode(PduType::IcResp, self.alignment, self.digests, self.max_h2c_data, out)
    }
}

fn decode(header: &[u8]) -> Result<(&Raw, DataAlignment, Digests), HeaderError> {
    let raw: &Raw = crate::view(header).map_err(|_| HeaderError::InvalidField(HeaderField::HeaderLength))?;
    if raw.format_version.get() != FORMAT_VERSION {
        return Err(HeaderError::UnsupportedParameter(HeaderField::FormatVersion));
    }
    let alignment = DataAlignment::from_code(raw.alignment)
        .ok_or(HeaderError::InvalidField(HeaderField::DataAlignment))?;
    if raw.digests & !(DIGEST_HEADER | DIGEST_DATA) != 0 {
        return Err(HeaderError::InvalidField(HeaderField::Digest));
    }
    let digests = Digests { header: raw.digests & DIGEST_HEADER != 0, data: raw.digests & DIGEST_DATA != 0 };
    Ok((raw, alignment, digests))
}

fn encode(
    kind: PduType,
    alignment: DataAlignment,
    digests: Digests,
    limit: u32,
    out: &mut [u8],
) -> Result<usize, BufferTooSmall> {
    // These two PDUs have no digest of their own, whatever they agree on.
    let layout = PduLayout::plan(kind, Flags::NONE, Digests::default(), DataAlignment::default(), 0);
    let header = if digests.header { DIGEST_HEADER } else { 0 };
    let data = if digests.data { DIGEST_DATA } else { 0 };
    let raw = Raw {
        common: layout.common_header(),
        format_version: U16::new(FORMAT_VERSION),
        alignment: alignment.code(),
        digests: header | data,
        limit: U32::new(limit),
        reserved: [0; 112],
    };
    crate::put(&raw, out)
}

const FORMAT_VERSION: u16 = 0;
const DIGEST_HEADER: u8 = 0x01;
const DIGEST_DATA: u8 = 0x02;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_survive_their_bytes() {
        let digests = Digests { header: true, data: false };
        let alignment = DataAlignment::from_code(3).unwrap();
        let request = IcReq { alignment, digests, r2t_max_zero_based: 15 };
        let mut bytes = [0xee; 128];
        assert_eq!(request.encode(&mut bytes), Ok(128));
        assert_eq!(IcReq::decode(&bytes), Ok(request));
        let response = IcResp { alignment, digests, max_h2c_data: 131_072 };
        assert_eq!(response.encode(&mut bytes), Ok(128));
        assert_eq!(IcResp::decode(&bytes), Ok(response));
    }

    #[test]
    fn each_bad_field_is_blamed() {
        let mut good = [0; 128];
        let response = IcResp {
            alignment: DataAlignment::default(),
            digests: Digests::default(),
            max_h2c_data: MAX_H2C_DATA_MIN,
        };
        response.encode(&mut good).unwrap();
        let cases = [
            (8, 1, HeaderError::UnsupportedParameter(HeaderField::FormatVersion)),
            (10, 32, HeaderError::InvalidField(HeaderField::DataAlignment)),
            (11, 4, HeaderError::InvalidField(HeaderField::Digest)),
            (12, 1, HeaderError::InvalidField(HeaderField::MaxH2cData)),
            (13, 0x0f, HeaderError::InvalidField(HeaderField::MaxH2cData)),
        ];
        for (offset, value, error) in cases {
            let mut bad = good;
            bad[offset] = value;
            assert_eq!(IcResp::decode(&bad), Err(error));
            let blamed = error.fatal_error().information;
            assert!((1..=offset as u32).contains(&blamed));
        }
        assert_eq!(IcReq::decode(&good[..127]), Err(HeaderError::InvalidField(HeaderField::HeaderLength)));
    }
}
