//! Information units of SRP that no capture holds, byte by byte as the standard's tables lay them out (T10 SRP, revision 16a,
//! section 6). Each is read and written.

use wire::scsi::Lun;
use wire::srp::{
    AsynchronousEvent, BufferFormats, CreditRequest, LoginFlags, LoginReject, LoginRejectReason,
    LoginRequest, LogoutReason, Opcode, PortId, Reply, TargetLogout,
};

/// A tag, as every unit carries it in bytes 8 to 15.
const TAG: u64 = 0x0102_0304_0506_0708;
const TAG_BYTES: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

/// A unit of these pieces.
fn unit<const LEN: usize>(pieces: &[&[u8]]) -> [u8; LEN] {
    pieces.concat().try_into().expect("the standard's length")
}

/// Section 6.2: the form that logins by InfiniBand's own connection manager take.
#[test]
fn a_login_request() {
    let initiator =
        [0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7];
    let target =
        [0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7];
    let bytes: [u8; 64] = unit(&[
        &[0x00, 0, 0, 0, 0, 0, 0, 0],
        &TAG_BYTES,
        // The length of its units, 8,260 bytes; then the formats, direct and indirect, and MULTICHANNEL with CRSOLNT.
        &[0, 0, 0x20, 0x44, 0, 0, 0, 0, 0x00, 0x06, 0x21, 0, 0, 0, 0, 0],
        &initiator,
        &target,
    ]);
    let request = LoginRequest {
        tag: TAG,
        iu_len: 8260,
        formats: BufferFormats::DIRECT.with(BufferFormats::INDIRECT),
        flags: LoginFlags::MULTICHANNEL.with(LoginFlags::SOLICIT_CREDIT),
        immediate_offset: 0,
        initiator: PortId { extension: 0xa0a1_a2a3_a4a5_a6a7, guid: 0xb0b1_b2b3_b4b5_b6b7 },
        target: PortId { extension: 0xc0c1_c2c3_c4c5_c6c7, guid: 0xd0d1_d2d3_d4d5_d6d7 },
    };
    assert_eq!(request.encode(), bytes);
    assert_eq!(LoginRequest::decode(&bytes), Ok(Some(request)));
}

/// Section 6.4.
#[test]
fn a_login_reject() {
    let reasons = [
        (LoginRejectReason::NoChannel, 0x00),
        (LoginRejectReason::NoResources, 0x01),
        (LoginRejectReason::IuTooLong, 0x02),
        (LoginRejectReason::NoNexus, 0x03),
        (LoginRejectReason::UnsupportedFormat, 0x04),
        (LoginRejectReason::NoMultichannel, 0x05),
        (LoginRejectReason::ChannelLimit, 0x06),
    ];
    for (reason, code) in reasons {
        let bytes: [u8; 32] = unit(&[
            &[0xc2, 0, 0, 0, 0x00, 0x01, 0x00, code],
            &TAG_BYTES,
            &[0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x06, 0, 0, 0, 0, 0, 0],
        ]);
        let formats = BufferFormats::DIRECT.with(BufferFormats::INDIRECT);
        let reject = LoginReject { tag: TAG, reason, formats };
        assert_eq!(reject.encode(), bytes);
        assert_eq!(LoginReject::decode(&bytes), Ok(Some(reject)));
    }
}

/// Section 6.6.
#[test]
fn a_target_s_logout() {
    let reasons = [
        (LogoutReason::Unspecified, 0),
        (LogoutReason::Inactive, 1),
        (LogoutReason::InvalidType, 2),
        (LogoutReason::SpuriousResponse, 3),
        (LogoutReason::NewLogin, 4),
        (LogoutReason::DataOutFormat, 6),
        (LogoutReason::DataInFormat, 7),
        (LogoutReason::DataOutCount, 8),
        (LogoutReason::DataInCount, 9),
    ];
    for (reason, code) in reasons {
        for solicited in [false, true] {
            let bytes: [u8; 16] = unit(&[&[0x80, u8::from(solicited), 0, 0, 0, 0, 0, code], &TAG_BYTES]);
            let logout = TargetLogout { reason, solicited, tag: TAG };
            assert_eq!(logout.encode(), bytes);
            assert_eq!(TargetLogout::decode(&bytes), Ok(logout));
        }
    }
}

/// Sections 6.10 and 6.11.
#[test]
fn credit_is_offered_and_taken() {
    for (delta, bytes) in [(5, [0, 0, 0, 5]), (-2, [0xff, 0xff, 0xff, 0xfe])] {
        let bytes: [u8; 16] = unit(&[&[0x81, 1, 0, 0], &bytes, &TAG_BYTES]);
        let request = CreditRequest { request_limit_delta: delta, solicited: true, tag: TAG };
        assert_eq!(request.encode(), bytes);
        assert_eq!(CreditRequest::decode(&bytes), Ok(request));
    }
    answered(Opcode::CreditResponse, 0x41);
}

/// Sections 6.12 and 6.13.
#[test]
fn an_event_is_told_and_heard() {
    let bytes: [u8; 40] = unit(&[
        &[0x82, 0, 0, 0, 0, 0, 0, 1],
        &TAG_BYTES,
        // Reserved, unit 7, and four bytes of sense behind four that are reserved.
        &[0, 0, 0, 0, 0x00, 0x07, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0],
        &[0x72, 0x06, 0x3f, 0x0e],
    ]);
    let event = AsynchronousEvent {
        request_limit_delta: 1,
        solicited: false,
        tag: TAG,
        lun: Lun::from_number(7),
        sense: &bytes[36..],
    };
    let mut out = [0xee; 40];
    assert_eq!(event.encode(&mut out), Ok(40));
    assert_eq!(out, bytes);
    assert_eq!(AsynchronousEvent::decode(&bytes), Ok(event));
    answered(Opcode::AsynchronousEventResponse, 0x42);
}

fn answered(opcode: Opcode, code: u8) {
    let bytes: [u8; 16] = unit(&[&[code, 0, 0, 0, 0, 0, 0, 0], &TAG_BYTES]);
    let reply = Reply { opcode, tag: TAG };
    assert_eq!(reply.encode(), bytes);
    assert_eq!(Reply::decode(&bytes), Ok(Some(reply)));
}
