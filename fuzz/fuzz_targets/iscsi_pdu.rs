//! A stream of iSCSI PDUs. The first two bytes choose the receiver's rules, the rest is what it receives. What decodes is
//! written again, and read from that to the same meaning.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::iscsi::{
    AdditionalHeaders, AsyncMessage, BHS_LEN, Bhs, DataIn, DataOut, Digests, HeaderError, HeaderRules,
    LoginRequest, LoginResponse, LogoutRequest, LogoutResponse, NopIn, NopOut, Opcode, PduLayout, R2t,
    Receiver, Reject, ScsiCommand, ScsiResponse, Snack, TaskRequest, TaskResponse, TextRequest, TextResponse,
};

fuzz_target!(|input: &[u8]| {
    let Some(([flags, data], mut stream)) = input.split_first_chunk::<2>() else { return };
    let rules = HeaderRules {
        receiver: if flags & 1 == 0 { Receiver::Target } else { Receiver::Initiator },
        digests: Digests { header: flags & 2 != 0, data: flags & 4 != 0 },
        data_max: u32::from(*data) * 64,
    };
    while let Ok(bhs) = Bhs::view(stream) {
        let layout = match bhs.check(&rules) {
            Ok(layout) => layout,
            Err(error) if error.is_fatal() => return,
            Err(_) => bhs.skip(&rules),
        };
        let Some((pdu, rest)) = stream.split_at_checked(layout.pdu_len()) else { return };
        let header = &pdu[..layout.header_len()];
        if layout.verify_header(pdu, crc32c::crc32c(header)).is_err() {
            return;
        }
        let _ = AdditionalHeaders::decode(&header[BHS_LEN..]);
        if bhs.check(&rules).is_ok() {
            let _ = again(bhs, &layout);
        }
        stream = rest;
    }
});

/// Decodes a header, writes its meaning, and reads that again.
macro_rules! again {
    ($type:ty, $bhs:expr $(, $len:expr)?) => {{
        let meaning = <$type>::decode($bhs)?;
        assert_eq!(<$type>::decode(&meaning.encode($($len)?)), Ok(meaning));
    }};
}

fn again(bhs: &Bhs, layout: &PduLayout) -> Result<(), HeaderError> {
    let len = layout.data_len;
    match layout.opcode {
        Opcode::NopOut => again!(NopOut, bhs, len),
        Opcode::ScsiCommand => again!(ScsiCommand, bhs, len),
        Opcode::TaskRequest => again!(TaskRequest, bhs),
        Opcode::LoginRequest => again!(LoginRequest, bhs, len),
        Opcode::TextRequest => again!(TextRequest, bhs, len),
        Opcode::DataOut => again!(DataOut, bhs, len),
        Opcode::LogoutRequest => again!(LogoutRequest, bhs),
        Opcode::Snack => again!(Snack, bhs),
        Opcode::NopIn => again!(NopIn, bhs, len),
        Opcode::ScsiResponse => again!(ScsiResponse, bhs, len),
        Opcode::TaskResponse => again!(TaskResponse, bhs),
        Opcode::LoginResponse => again!(LoginResponse, bhs, len),
        Opcode::TextResponse => again!(TextResponse, bhs, len),
        Opcode::DataIn => again!(DataIn, bhs, len),
        Opcode::LogoutResponse => again!(LogoutResponse, bhs),
        Opcode::R2t => again!(R2t, bhs),
        Opcode::AsyncMessage => again!(AsyncMessage, bhs, len),
        Opcode::Reject => again!(Reject, bhs, len),
    }
    Ok(())
}
