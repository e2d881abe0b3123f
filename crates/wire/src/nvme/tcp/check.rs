//! The check that turns eight received bytes into a layout (TCP Transport 3.6.1).
//!
//! Lengths and offsets come from the peer, so nothing may be read or reserved by them before they passed here.

use super::error::{HeaderError, HeaderField};
use super::header::{CommonHeader, DataAlignment, Digests, Flags, PduLayout, PduType, digest_len};
use super::terminate::TERMINATE_LEN_MAX;

/// The side that reads a PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// The controller reads what the host sends.
    Controller,
    /// The host reads what the controller sends.
    Host,
}

/// Whether the connection is initialized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Only ICReq or ICResp is due, or a termination request instead.
    Initialization,
    /// Everything but ICReq and ICResp may come.
    Established,
}

/// What the receiver accepts at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderRules {
    /// Who reads.
    pub receiver: Receiver,
    /// Whether the connection is initialized.
    pub phase: Phase,
    /// The negotiated digests.
    pub digests: Digests,
    /// The alignment the receiver asked for: CPDA at the controller, HPDA at the host.
    pub alignment: DataAlignment,
    /// Most data bytes in a CapsuleCmd.
    pub in_capsule_max: u32,
    /// Most data bytes in an H2CData (MAXH2CDATA) or a C2HData.
    pub data_max: u32,
}

impl HeaderRules {
    /// The rules before ICReq and ICResp have been exchanged.
    pub const fn initialization(receiver: Receiver) -> Self {
        Self {
            receiver,
            phase: Phase::Initialization,
            digests: Digests { header: false, data: false },
            alignment: match DataAlignment::from_code(0) {
                Some(alignment) => alignment,
                None => unreachable!(),
            },
            in_capsule_max: 0,
            data_max: 0,
        }
    }
}

impl CommonHeader {
    /// Checks the header and says where the parts of its PDU are.
    pub fn check(&self, rules: &HeaderRules) -> Result<PduLayout, HeaderError> {
        let kind = check_type(self.pdu_type, rules)?;
        if self.header_length != kind.header_len() {
            return Err(HeaderError::InvalidField(HeaderField::HeaderLength));
        }
        let flags = Flags(self.flags);
        let header_digest = rules.digests.header && kind.has_header_digest();
        check_flags(kind, flags, header_digest)?;
        let data = self.check_data(kind, flags, header_digest, rules)?;
        Ok(PduLayout {
            kind,
            flags,
            header_len: self.header_length,
            header_digest,
            data_offset: data.offset,
            data_len: data.len,
            data_digest: data.digest,
            pdu_len: self.pdu_length.get(),
        })
    }

    /// Checks PDO, PLEN and the data digest flag, all of which hang together.
    fn check_data(
        &self,
        kind: PduType,
        flags: Flags,
        header_digest: bool,
        rules: &HeaderRules,
    ) -> Result<Data, HeaderError> {
        let pdu_len = self.pdu_length.get();
        let header_span = u32::from(self.header_length) + digest_len(header_digest);
        let Some(behind_header) = pdu_len.checked_sub(header_span) else {
            return Err(HeaderError::InvalidField(HeaderField::PduLength));
        };
        match kind {
            PduType::IcReq | PduType::IcResp | PduType::CapsuleResp | PduType::R2t => match behind_header {
                0 => Ok(Data { offset: header_span, len: 0, digest: false }),
                _ => Err(HeaderError::InvalidField(HeaderField::PduLength)),
            },
            // The header of the offending PDU follows without offset, padding or digest.
            PduType::H2cTermReq | PduType::C2hTermReq if pdu_len as usize <= TERMINATE_LEN_MAX => {
                Ok(Data { offset: header_span, len: behind_header, digest: false })
            }
            PduType::H2cTermReq | PduType::C2hTermReq => {
                Err(HeaderError::InvalidField(HeaderField::PduLength))
            }
            PduType::CapsuleCmd if behind_header == 0 => match flags.contains(Flags::DATA_DIGEST) {
                // PDO has no meaning without data and is not looked at.
                false => Ok(Data { offset: header_span, len: 0, digest: false }),
                true => Err(HeaderError::InvalidField(HeaderField::Flags)),
            },
            PduType::CapsuleCmd => self.check_payload(flags, header_span, rules.in_capsule_max, rules),
            PduType::H2cData | PduType::C2hData => {
                self.check_payload(flags, header_span, rules.data_max, rules)
            }
        }
    }

    /// Checks a PDU that has data: digest as negotiated, offset aligned and behind the header, at least one byte.
    fn check_payload(
        &self,
        flags: Flags,
        header_span: u32,
        data_max: u32,
        rules: &HeaderRules,
    ) -> Result<Data, HeaderError> {
        let digest = rules.digests.data;
        if flags.contains(Flags::DATA_DIGEST) != digest {
            return Err(HeaderError::InvalidField(HeaderField::Flags));
        }
        let offset = u32::from(self.data_offset);
        if offset < header_span || !offset.is_multiple_of(rules.alignment.bytes()) {
            return Err(HeaderError::InvalidField(HeaderField::DataOffset));
        }
        match self.pdu_length.get().checked_sub(offset + digest_len(digest)) {
            None | Some(0) => Err(HeaderError::InvalidField(HeaderField::PduLength)),
            Some(len) if len > data_max => Err(HeaderError::DataLimitExceeded),
            Some(len) => Ok(Data { offset, len, digest }),
        }
    }
}

/// Where the data of a PDU is.
struct Data {
    offset: u32,
    len: u32,
    digest: bool,
}

/// The type must be defined, come from the other side, and be due in this phase.
fn check_type(code: u8, rules: &HeaderRules) -> Result<PduType, HeaderError> {
    let invalid = HeaderError::InvalidField(HeaderField::PduType);
    let kind = PduType::from_code(code).ok_or(invalid)?;
    if kind.receiver() != rules.receiver {
        return Err(invalid);
    }
    let due = match kind {
        PduType::IcReq | PduType::IcResp => rules.phase == Phase::Initialization,
        PduType::H2cTermReq | PduType::C2hTermReq => true,
        PduType::CapsuleCmd | PduType::CapsuleResp | PduType::H2cData | PduType::C2hData | PduType::R2t => {
            rules.phase == Phase::Established
        }
    };
    if due { Ok(kind) } else { Err(HeaderError::Sequence) }
}

/// Only flags of this type, the header digest as negotiated, and SUCCESS only on the last data.
fn check_flags(kind: PduType, flags: Flags, header_digest: bool) -> Result<(), HeaderError> {
    let undefined = flags.without(kind.flags()) != Flags::NONE;
    let digest_differs = flags.contains(Flags::HEADER_DIGEST) != header_digest;
    let early_success = flags.contains(Flags::SUCCESS) && !flags.contains(Flags::LAST);
    if undefined || digest_differs || early_success {
        return Err(HeaderError::InvalidField(HeaderField::Flags));
    }
    Ok(())
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
