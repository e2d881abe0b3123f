//! Every message of SDP, byte for byte as annex A4 lays it out; no capture has any, since no kernel speaks it today.

use std::net::IpAddr;

use wire::sdp::{
    Advert, BASE_LEN, Base, Body, Capabilities, ControlError, Flags, HELLO_ACK_LEN, HELLO_LEN, Half, Hello,
    HelloAck, HelloError, MessageId, Mode, SinkAdvert, Version,
};

fn base(id: MessageId, len: usize) -> Base {
    Base { id, flags: Flags::NONE, buffers: 0x0102, len: len as u32, sequence: 0x1112_1314, acknowledged: 7 }
}

#[test]
fn the_base_header_comes_first() {
    let header = Base {
        flags: Flags::OUT_OF_BAND_PRESENT | Flags::OUT_OF_BAND_PENDING,
        ..base(MessageId::Data, BASE_LEN + 1)
    };
    let bytes = header.encode();
    assert_eq!(bytes, [0xff, 3, 1, 2, 0, 0, 0, 17, 0x11, 0x12, 0x13, 0x14, 0, 0, 0, 7]);
    assert_eq!(Base::decode(&bytes), Ok(Some(header)));
    assert_eq!(Base::decode(&[0x40; BASE_LEN]), Ok(None));
    assert!(Base::decode(&bytes[..BASE_LEN - 1]).is_err());
}

#[test]
fn greetings_fill_the_private_data() {
    let hello = Hello {
        base: base(MessageId::Hello, HELLO_LEN),
        version: Version::CURRENT,
        capabilities: Capabilities::INVALIDATE,
        adverts_max: 1,
        desired_remote_buffer: 0x0001_0000,
        local_buffer: 0x0000_8000,
        port: 0x1f90,
        source: "10.77.0.12".parse().unwrap(),
        destination: "10.77.0.11".parse().unwrap(),
    };
    let bytes = hello.encode();
    assert_eq!(bytes[..4], [0, 0, 1, 2]);
    assert_eq!(bytes[16..32], [0x22, 0x41, 0, 1, 0, 1, 0, 0, 0, 0, 0x80, 0, 0x1f, 0x90, 0, 0]);
    assert_eq!(bytes[32..64], [[0; 12].as_slice(), &[10, 77, 0, 12], &[0; 12], &[10, 77, 0, 11]].concat());
    assert_eq!(bytes[64..], [0; 28]);
    assert_eq!(Hello::decode(&bytes), Ok(hello));
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes;
        bytes[at] = byte;
        Hello::decode(&bytes).map(|_| ())
    };
    assert_eq!(with(19, 0), Err(HelloError::NoAdverts));
    assert_eq!(with(17, 0x50), Err(HelloError::IpVersion(5)));
    assert_eq!(with(0, 1), Err(HelloError::Type));
    assert_eq!(with(7, 91), Err(HelloError::Length));
    assert_eq!(Hello::decode(&bytes[..91]), Err(HelloError::Length));

    let v6: IpAddr = "fd77::12".parse().unwrap();
    let capabilities = Capabilities::EXTENDED_ADVERTS;
    let many = Hello { capabilities, adverts_max: 0x0123, source: v6, destination: v6, ..hello };
    let bytes = many.encode();
    assert_eq!((bytes[17], bytes[19], &bytes[66..68]), (0x62, 0xff, &[1, 0x23][..]));
    assert_eq!(Hello::decode(&bytes), Ok(many));
}

#[test]
fn older_stacks_are_understood() {
    let ack = HelloAck {
        base: base(MessageId::HelloAck, HELLO_ACK_LEN),
        version: Version::FIRST,
        capabilities: Capabilities::NONE,
        adverts_max: 5,
        buffer: 0x0000_4000,
    };
    let mut bytes = ack.encode();
    assert_eq!(bytes[16..24], [0x11, 0, 0, 5, 0, 0, 0x40, 0]);
    assert_eq!(HelloAck::decode(&bytes), Ok(ack));
    bytes[19] = 0;
    assert_eq!(HelloAck::decode(&bytes).unwrap().adverts_max, 1);
}

/// The answer of an end that takes one advert and has posted 64 receives of 32 KiB: the header, version 2.2, one advert, and the length.
#[test]
fn an_answer_fills_the_private_data() {
    let mut bytes = [0; 196];
    bytes[..16].copy_from_slice(&[0x01, 0, 0, 64, 0, 0, 0, 196, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes[16..24].copy_from_slice(&[0x22, 0, 0, 1, 0, 0, 0x80, 0]);
    let ack = HelloAck::decode(&bytes).unwrap();
    assert_eq!((ack.base.buffers, ack.base.sequence, ack.base.acknowledged), (64, 0, 0));
    assert_eq!((ack.version, ack.adverts_max, ack.buffer), (Version::CURRENT, 1, 32 << 10));
    assert_eq!(ack.capabilities, Capabilities::NONE);
    assert_eq!(ack.encode(), bytes);
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes;
        bytes[at] = byte;
        HelloAck::decode(&bytes)
    };
    // OFED's stack says which versions of IP it knows, which here has no meaning.
    assert_eq!(with(17, 0x40), Ok(ack));
    assert_eq!(with(17, 0x41).unwrap().capabilities, Capabilities::INVALIDATE);
    assert_eq!(with(0, 0), Err(HelloError::Type));
    assert_eq!(with(7, 195), Err(HelloError::Length));
    assert_eq!(HelloAck::decode(&bytes[..195]), Err(HelloError::Length));
}

#[test]
fn every_message_lies_where_the_standard_puts_it() {
    let advert = Advert { len: 0x0102_0304, key: 0x0506_0708, address: 0x1112_1314_1516_1718 };
    let advert_bytes = [1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18];
    let sink = SinkAdvert { advert, non_discards: 9 };
    let expected: [(u8, Body, Vec<u8>); 18] = [
        (0x02, Body::Disconnect, vec![]),
        (0x03, Body::Abort, vec![]),
        (0x04, Body::SendSmall, vec![]),
        (0x05, Body::RdmaWriteCompletion(0x0102_0304), vec![1, 2, 3, 4]),
        (0x06, Body::RdmaReadCompletion(5), vec![0, 0, 0, 5]),
        (0x07, Body::ModeChange(Half::Receive, Mode::Pipelined), vec![0x20, 0, 0, 0]),
        (0x07, Body::ModeChange(Half::Send, Mode::Combined), vec![0x90, 0, 0, 0]),
        (0x07, Body::ModeChange(Half::Send, Mode::Buffered), vec![0x80, 0, 0, 0]),
        (0x08, Body::SourceCancel, vec![]),
        (0x09, Body::SinkCancel, vec![]),
        (0x0a, Body::SinkCancelAck, vec![]),
        (0x0b, Body::ChangeReceiveBuffer(0x1_0000), vec![0, 1, 0, 0]),
        (0x0c, Body::ChangeReceiveBufferAck(0x1_0000), vec![0, 1, 0, 0]),
        (0x0d, Body::Suspend(0x0001_1f90), vec![0, 0, 0, 0, 0, 1, 0x1f, 0x90]),
        (0x0e, Body::SuspendAck, vec![]),
        (0xfd, Body::SinkAvailable(sink), [&advert_bytes[..], &[0, 0, 0, 9]].concat()),
        (0xfe, Body::SourceAvailable(advert), advert_bytes.to_vec()),
        (0xff, Body::Data, vec![]),
    ];
    for (code, body, bytes) in expected {
        let id = MessageId::from_code(code).unwrap();
        let mut out = [0xee; 32];
        assert_eq!(body.encode(&mut out), Ok(bytes.len()));
        assert_eq!((body.id(), &out[..body.len()]), (id, &bytes[..]));
        assert_eq!(Body::decode(id, &bytes), Ok((body, &[][..])));
        for short in 0..bytes.len() {
            assert_eq!(Body::decode(id, &bytes[..short]), Err(ControlError::TooShort), "{id}");
        }
        let longer = [&bytes[..], b"payload"].concat();
        let may_carry = matches!(body, Body::Data | Body::SinkAvailable(_) | Body::SourceAvailable(_));
        match Body::decode(id, &longer) {
            Ok((same, payload)) => assert!(may_carry && same == body && payload == b"payload"),
            Err(error) => assert!(!may_carry && error == ControlError::Payload(id)),
        }
    }
}

#[test]
fn contradictions_are_refused() {
    assert_eq!(Body::decode(MessageId::ModeChange, &[0x30, 0, 0, 0]), Err(ControlError::Mode(3)));
    assert_eq!(Body::decode(MessageId::Hello, &[]), Err(ControlError::Greeting(MessageId::Hello)));
    let advert = Advert { len: 2, key: 0, address: u64::MAX - 1 };
    let mut message = [0; 19];
    Body::SourceAvailable(advert).encode(&mut message).unwrap();
    let refused = Body::decode(MessageId::SourceAvailable, &message);
    assert_eq!(refused, Err(ControlError::AdvertShorterThanPayload));
    assert!(advert.end().is_err());
    assert_eq!(Advert { len: 1, ..advert }.end(), Ok(u64::MAX));
}
