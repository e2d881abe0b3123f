//! A RoCEv2 packet without its CRC, and the messages it may carry: what decodes is written again to the same meaning.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::cm::{IpAddresses, Message};
use wire::roce::{Grh, HEADERS_LEN_MAX, Headers, ICRC_LEN};

fuzz_target!(|input: &[u8]| {
    let _ = IpAddresses::decode(input);
    if let Some(header) = input.first_chunk().and_then(Grh::decode) {
        assert_eq!(Grh::decode(&header.encode()), Some(header));
    }
    if let Ok((transaction, message)) = Message::decode(input) {
        assert_eq!(Message::decode(&message.encode(transaction)), Ok((transaction, message)));
    }
    let datagram_len = input.len() + ICRC_LEN;
    let Ok(headers) = Headers::decode(input, datagram_len) else { return };
    let mut bytes = [0; HEADERS_LEN_MAX];
    let len = headers.encode(&mut bytes).expect("there is room for the longest headers");
    assert_eq!(len, headers.len());
    assert_eq!(Headers::decode(&bytes[..len], datagram_len), Ok(headers));
    let payload_len = headers.payload_len(datagram_len);
    assert_eq!(headers.datagram_len(payload_len), datagram_len);
    let Some(payload) = input.get(len..len + payload_len) else { panic!("payload beyond the packet") };
    if let Ok((transaction, message)) = Message::decode(payload) {
        assert_eq!(Message::decode(&message.encode(transaction)), Ok((transaction, message)));
    }
});
