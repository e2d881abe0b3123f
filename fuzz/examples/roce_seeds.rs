//! Writes the corpora of `roce_packet`, `rc_responder`, `rc_requester` and `connection_manager` from the captures in
//! `crates/wire/tests/data/rdma`.

#[path = "../../crates/wire/tests/support/frames.rs"]
mod frames;

use std::path::{Path, PathBuf};
use wire::cm::MAD_LEN;
use wire::roce::{GENERAL_SERVICES_QPN, Headers, ICRC_LEN, Transport};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = |name: &str| -> PathBuf {
        let directory = root.join("corpus").join(name);
        std::fs::create_dir_all(&directory).unwrap();
        directory
    };
    let packets = corpus("roce_packet");
    for name in frames::captures() {
        let (mut requests, mut answers, mut messages) = (vec![0], posts(), Vec::new());
        let (mut request, mut answer) = (0_u8, 0_u8);
        for datagram in frames::datagrams(&name) {
            let bytes = &datagram.bytes[..datagram.bytes.len() - ICRC_LEN];
            let Ok(headers) = Headers::decode(bytes, datagram.bytes.len()) else { continue };
            if bytes.len() < 600 {
                std::fs::write(packets.join(format!("{name}-{}", datagram.frame)), bytes).unwrap();
            }
            if headers.bth.destination == GENERAL_SERVICES_QPN {
                messages.extend([0b0000_1010, 0x10]);
                messages.extend(&bytes[headers.len()..headers.len() + MAD_LEN]);
                // And then the owner accepts.
                messages.extend([0x81, 0x20]);
            } else if headers.bth.opcode.transport() != Transport::UnreliableDatagram {
                let is_answer = headers.bth.opcode.is_response();
                let (list, number, mend) = match is_answer {
                    true => (&mut answers, &mut answer, 0x80 | 0b1011),
                    false => (&mut requests, &mut request, 0b10_0111),
                };
                list.extend([mend, *number]);
                list.extend((bytes.len() as u16).to_le_bytes());
                list.extend(bytes);
                *number = number.wrapping_add(1);
            }
        }
        for (target, input) in
            [("rc_responder", requests), ("rc_requester", answers), ("connection_manager", messages)]
        {
            let input = &input[..input.len().min(INPUT_MAX)];
            std::fs::write(corpus(target).join(&name), input).unwrap();
        }
    }
}

/// A request of each kind.
fn posts() -> Vec<u8> {
    (0..8).flat_map(|kind| [kind, kind, 0x00, 0x08]).collect()
}

/// Bytes of an input.
const INPUT_MAX: usize = 16 << 10;
