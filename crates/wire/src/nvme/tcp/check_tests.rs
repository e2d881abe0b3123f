//! One good header of each type, and for every rule a header that breaks only that rule.

use std::vec::Vec;

use zerocopy::little_endian::U32;

use super::*;
use crate::nvme::tcp::FatalErrorStatus;

const NONE: Digests = Digests { header: false, data: false };
const BOTH: Digests = Digests { header: true, data: true };

fn rules(receiver: Receiver, digests: Digests) -> HeaderRules {
    HeaderRules {
        phase: Phase::Established,
        digests,
        alignment: DataAlignment::from_code(1).unwrap(),
        in_capsule_max: 4096,
        data_max: 8192,
        ..HeaderRules::initialization(receiver)
    }
}

fn header(pdu_type: u8, flags: u8, header_length: u8, data_offset: u8, pdu_length: u32) -> CommonHeader {
    CommonHeader { pdu_type, flags, header_length, data_offset, pdu_length: U32::new(pdu_length) }
}

fn invalid(field: HeaderField) -> Result<PduLayout, HeaderError> {
    Err(HeaderError::InvalidField(field))
}

#[test]
fn what_is_planned_passes_the_check() {
    for digests in [NONE, BOTH, Digests { header: true, data: false }, Digests { header: false, data: true }]
    {
        for kind in PduType::ALL {
            let mut rules = rules(kind.receiver(), digests);
            let lengths: Vec<u32> = match kind {
                PduType::IcReq | PduType::IcResp => {
                    rules.phase = Phase::Initialization;
                    [0].into()
                }
                PduType::CapsuleResp | PduType::R2t => [0].into(),
                PduType::H2cTermReq | PduType::C2hTermReq => [0, 8, 128].into(),
                PduType::CapsuleCmd => [0, 1, 4096].into(),
                PduType::H2cData | PduType::C2hData => [1, 8192].into(),
            };
            for length in lengths {
                let layout = PduLayout::plan(*kind, Flags::NONE, digests, rules.alignment, length);
                assert_eq!(layout.common_header().check(&rules), Ok(layout), "{kind} {length}");
            }
        }
    }
}

#[test]
fn the_type_is_known_comes_from_the_other_side_and_is_due() {
    let controller = rules(Receiver::Controller, NONE);
    assert_eq!(header(0x08, 0, 24, 0, 24).check(&controller), invalid(HeaderField::PduType));
    assert_eq!(header(0x0a, 0, 24, 0, 24).check(&controller), invalid(HeaderField::PduType));
    assert_eq!(header(0x05, 0, 24, 0, 24).check(&controller), invalid(HeaderField::PduType));
    assert_eq!(
        header(0x06, 0, 24, 24, 32).check(&rules(Receiver::Host, NONE)),
        invalid(HeaderField::PduType)
    );
    assert_eq!(header(0x00, 0, 128, 0, 128).check(&controller), Err(HeaderError::Sequence));
    let early = HeaderRules::initialization(Receiver::Controller);
    assert_eq!(header(0x04, 0, 72, 0, 72).check(&early), Err(HeaderError::Sequence));
    assert!(header(0x00, 0, 128, 0, 128).check(&early).is_ok());
    assert!(header(0x02, 0, 24, 0, 24).check(&early).is_ok());
}

#[test]
fn the_header_length_is_that_of_the_type() {
    let controller = rules(Receiver::Controller, NONE);
    assert_eq!(header(0x04, 0, 71, 0, 72).check(&controller), invalid(HeaderField::HeaderLength));
    assert_eq!(header(0x06, 0, 72, 72, 80).check(&controller), invalid(HeaderField::HeaderLength));
    assert_eq!(header(0x04, 0, 0, 0, 72).check(&controller), invalid(HeaderField::HeaderLength));
}

#[test]
fn flags_exist_and_agree_with_the_digests() {
    let plain = rules(Receiver::Controller, NONE);
    let digests = rules(Receiver::Controller, BOTH);
    for flags in [0x04, 0x08, 0x10, 0x80, 0x01, 0x02] {
        assert_eq!(header(0x04, flags, 72, 0, 72).check(&plain), invalid(HeaderField::Flags), "{flags:#x}");
    }
    assert_eq!(header(0x04, 0x00, 72, 0, 76).check(&digests), invalid(HeaderField::Flags));
    assert_eq!(
        header(0x04, 0x03, 72, 0, 76).check(&digests),
        invalid(HeaderField::Flags),
        "no data to digest"
    );
    assert_eq!(header(0x04, 0x01, 72, 80, 96).check(&digests), invalid(HeaderField::Flags), "no data digest");
    assert_eq!(header(0x06, 0x02, 24, 24, 40).check(&plain), invalid(HeaderField::Flags));
    let host = rules(Receiver::Host, NONE);
    assert_eq!(
        header(0x07, 0x08, 24, 24, 40).check(&host),
        invalid(HeaderField::Flags),
        "success before the last"
    );
    assert!(header(0x07, 0x0c, 24, 24, 40).check(&host).is_ok());
    assert_eq!(header(0x03, 0x01, 24, 0, 24).check(&host), invalid(HeaderField::Flags));
}

#[test]
fn the_data_offset_is_aligned_and_behind_the_header() {
    let controller = rules(Receiver::Controller, NONE);
    assert_eq!(header(0x04, 0, 72, 64, 200).check(&controller), invalid(HeaderField::DataOffset));
    assert_eq!(header(0x04, 0, 72, 76, 200).check(&controller), invalid(HeaderField::DataOffset));
    assert_eq!(header(0x04, 0, 72, 0, 200).check(&controller), invalid(HeaderField::DataOffset));
    let padded = header(0x04, 0, 72, 80, 200).check(&controller).unwrap();
    assert_eq!((padded.padding_len(), padded.data_len), (8, 120));
    let digests = rules(Receiver::Controller, BOTH);
    assert_eq!(
        header(0x06, 0x03, 24, 24, 200).check(&digests),
        invalid(HeaderField::DataOffset),
        "inside HDGST"
    );
}

#[test]
fn the_pdu_length_has_room_for_all_it_announces() {
    let controller = rules(Receiver::Controller, NONE);
    assert_eq!(header(0x04, 0, 72, 0, 71).check(&controller), invalid(HeaderField::PduLength));
    assert_eq!(header(0x04, 0, 72, 0, 0).check(&controller), invalid(HeaderField::PduLength));
    assert_eq!(header(0x04, 0, 72, 80, 80).check(&controller), invalid(HeaderField::PduLength));
    assert_eq!(header(0x06, 0, 24, 24, 24).check(&controller), invalid(HeaderField::PduLength), "no data");
    assert_eq!(header(0x02, 0, 24, 0, 153).check(&controller), invalid(HeaderField::PduLength));
    assert_eq!(header(0x02, 0, 24, 0, 23).check(&controller), invalid(HeaderField::PduLength));
    let host = rules(Receiver::Host, BOTH);
    assert_eq!(
        header(0x05, 0x01, 24, 0, 24).check(&host),
        invalid(HeaderField::PduLength),
        "no room for HDGST"
    );
    assert_eq!(header(0x09, 0x01, 24, 0, 29).check(&host), invalid(HeaderField::PduLength));
    assert_eq!(
        header(0x07, 0x03, 24, 32, 36).check(&host),
        invalid(HeaderField::PduLength),
        "only the digest"
    );
}

#[test]
fn data_is_held_to_the_limit_of_its_kind() {
    let controller = rules(Receiver::Controller, NONE);
    assert_eq!(header(0x04, 0, 72, 72, 72 + 4097).check(&controller), Err(HeaderError::DataLimitExceeded));
    assert_eq!(header(0x06, 0, 24, 24, u32::MAX).check(&controller), Err(HeaderError::DataLimitExceeded));
    assert!(header(0x06, 0, 24, 24, 24 + 8192).check(&controller).is_ok());
}

#[test]
fn every_error_has_its_status_and_the_field_its_offset() {
    let invalid = |field| HeaderError::InvalidField(field).fatal_error();
    assert_eq!(invalid(HeaderField::PduType).information, 0);
    assert_eq!(invalid(HeaderField::Flags).information, 1);
    assert_eq!(invalid(HeaderField::HeaderLength).information, 2);
    assert_eq!(invalid(HeaderField::DataOffset).information, 3);
    assert_eq!(invalid(HeaderField::PduLength).information, 4);
    assert_eq!(invalid(HeaderField::TransferTag).information, 10);
    assert_eq!(invalid(HeaderField::Sgl).information, 32);
    assert_eq!(invalid(HeaderField::Flags).status, FatalErrorStatus::InvalidHeaderField);
    let codes = [
        (HeaderError::Sequence, 2),
        (HeaderError::HeaderDigest, 3),
        (HeaderError::DataOutOfRange, 4),
        (HeaderError::DataLimitExceeded, 5),
        (HeaderError::R2tLimitExceeded, 5),
        (HeaderError::UnsupportedParameter(HeaderField::FormatVersion), 6),
    ];
    for (error, code) in codes {
        assert_eq!(error.fatal_error().status.code(), code, "{error}");
    }
}
