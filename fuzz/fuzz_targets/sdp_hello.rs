//! The greetings of the Sockets Direct Protocol: what decodes is written again to the same meaning, and what two ends agree on of it is
//! something that a connection can be made with.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdp::{Connection, How, Options, Step, Terms};
use std::net::SocketAddr;
use stdx::time::Time;
use wire::sdp::{Hello, HelloAck, Version};

fuzz_target!(|input: &[u8]| {
    let options = Options::default();
    let address = SocketAddr::from(([10, 0, 0, 1], 80));
    let right = Terms::hello(&options, address, address);
    hear_hello(input);
    hear_hello(&changed(&right.encode(), input));
    hear_ack(input);
    hear_ack(&changed(&Terms::hello_ack(&options, &right).encode(), input));
});

/// A greeting of which the input says which bytes are other ones.
fn changed(right: &[u8], input: &[u8]) -> Vec<u8> {
    let mut bytes = right.to_vec();
    for change in input.chunks_exact(2) {
        let place = usize::from(change[0]) % bytes.len();
        bytes[place] = change[1];
    }
    bytes
}

fn hear_hello(bytes: &[u8]) {
    let Ok(hello) = Hello::decode(bytes) else { return };
    assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
    let Ok(terms) = Terms::of_hello(&hello) else { return };
    let ack = Terms::hello_ack(&Options::default(), &hello);
    assert!(ack.version <= hello.version && ack.version <= Version::CURRENT);
    assert!(HelloAck::decode(&ack.encode()).is_ok_and(|ack| Terms::of_hello_ack(&ack).is_ok()));
    begin(terms);
}

fn hear_ack(bytes: &[u8]) {
    let Ok(ack) = HelloAck::decode(bytes) else { return };
    assert_eq!(HelloAck::decode(&ack.encode()), Ok(ack));
    if let Ok(terms) = Terms::of_hello_ack(&ack) {
        begin(terms);
    }
}

/// A connection with such a peer keeps to what it said: its credits, and the length of its receives.
fn begin(terms: Terms) {
    assert!(terms.adverts_max > 0);
    let mut connection = Connection::new(Time::ZERO, Options::default(), terms);
    connection.write(100_000, How::Copied, false).expect("open");
    connection.write(100_000, How::Advertised { key: 1, address: 0 }, false).expect("open");
    let mut messages = 0;
    while let Some(step) = connection.poll(Time::ZERO) {
        let Step::Send(message) = step else { panic!("{step:?} of a peer that said nothing") };
        messages += 1;
        assert!(messages <= terms.credits, "a message without a credit");
        assert!(
            message.head().len() as u32 + message.payload.len <= terms.message_len,
            "longer than a receive"
        );
        connection.check();
    }
}
