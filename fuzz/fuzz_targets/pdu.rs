//! A stream of PDUs. The first four bytes choose the receiver's rules, the rest is what it receives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::nvme::tcp::{
    C2hData, CapsuleCmd, CapsuleResp, CommonHeader, DataAlignment, Digests, H2cData, HeaderError,
    HeaderRules, IcReq, IcResp, PduLayout, PduType, Phase, R2t, Receiver, TERMINATE_LEN_MAX, TermReq,
};

fuzz_target!(|input: &[u8]| {
    let Some(([flags, alignment, in_capsule, data], mut stream)) = input.split_first_chunk::<4>() else {
        return;
    };
    let mut rules = HeaderRules {
        receiver: if flags & 1 == 0 { Receiver::Controller } else { Receiver::Host },
        phase: if flags & 2 == 0 { Phase::Established } else { Phase::Initialization },
        digests: Digests { header: flags & 4 != 0, data: flags & 8 != 0 },
        alignment: DataAlignment::from_code(alignment & 31).unwrap_or_default(),
        in_capsule_max: u32::from(*in_capsule) * 64,
        data_max: u32::from(*data) * 512,
    };
    // An early end is what a connection does with its first error.
    while let Ok(common) = CommonHeader::view(stream) {
        let layout = match common.check(&rules) {
            Ok(layout) => layout,
            Err(error) => return report(error, stream),
        };
        let Some((pdu, rest)) = stream.split_at_checked(layout.pdu_len as usize) else {
            return;
        };
        if let Err(error) = read(&layout, pdu, &rules) {
            return report(error, pdu);
        }
        rules.phase = Phase::Established;
        stream = rest;
    }
});

/// Decodes a PDU, writes its meaning again and compares all but reserved bytes.
fn read(layout: &PduLayout, pdu: &[u8], rules: &HeaderRules) -> Result<(), HeaderError> {
    let header = &pdu[..usize::from(layout.header_len)];
    let data = &pdu[layout.data_offset as usize..][..layout.data_len as usize];
    layout.verify_header(pdu, crc32c::crc32c(header))?;
    let mut out = [0; 128];
    match layout.kind {
        PduType::IcReq => {
            let request = IcReq::decode(header)?;
            assert_eq!(request.encode(&mut out), Ok(IcReq::LEN));
            assert_eq!(out[8..16], header[8..16]);
        }
        PduType::IcResp => {
            let response = IcResp::decode(header)?;
            assert_eq!(response.encode(&mut out), Ok(IcResp::LEN));
            assert_eq!(out[8..16], header[8..16]);
        }
        PduType::H2cTermReq | PduType::C2hTermReq => {
            let mut copy = [0; TERMINATE_LEN_MAX];
            let len = TermReq::decode(header)?.encode(rules.receiver, data, &mut copy);
            assert_eq!(len, Ok(pdu.len()));
            assert_eq!(copy[24..pdu.len()], *data);
        }
        PduType::CapsuleCmd => {
            let view = CapsuleCmd::view(header)?;
            let _ = view.command.data.decode();
            CapsuleCmd::encode(&view.command, rules.digests, rules.alignment, layout.data_len, &mut out)
                .unwrap();
            assert_eq!(out[8..72], header[8..]);
        }
        PduType::CapsuleResp => {
            let view = CapsuleResp::view(header)?;
            CapsuleResp::encode(&view.completion, rules.digests, &mut out).unwrap();
            assert_eq!(out[8..24], header[8..]);
        }
        PduType::H2cData => {
            let decoded = H2cData::decode(layout, header)?;
            decoded.check_within(decoded.offset, decoded.length)?;
            decoded.encode(rules.digests, rules.alignment, &mut out).unwrap();
            assert_eq!(out[8..20], header[8..20]);
        }
        PduType::C2hData => {
            let decoded = C2hData::decode(layout, header)?;
            decoded.check_within(rules.data_max)?;
            decoded.encode(rules.digests, rules.alignment, &mut out).unwrap();
            assert_eq!(out[12..20], header[12..20]);
        }
        PduType::R2t => {
            let decoded = R2t::decode(header)?;
            decoded.encode(rules.digests, &mut out).unwrap();
            assert_eq!(out[8..20], header[8..20]);
        }
    }
    Ok(())
}

/// Every error makes a termination request that its receiver accepts.
fn report(error: HeaderError, offending: &[u8]) {
    let mut out = [0; TERMINATE_LEN_MAX];
    let request = TermReq::new(error.fatal_error());
    let len = request.encode(Receiver::Host, offending, &mut out).unwrap();
    let layout =
        CommonHeader::view(&out).unwrap().check(&HeaderRules::initialization(Receiver::Host)).unwrap();
    assert_eq!(layout.pdu_len as usize, len);
    assert_eq!(TermReq::decode(&out), Ok(request));
}
