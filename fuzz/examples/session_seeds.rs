//! Writes the corpus of `controller_session`: the captured sessions of Linux hosts, as steps.

#[path = "../../crates/nvme/tests/support/mod.rs"]
mod support;

use ::nvme::target::tcp::Limits;
use std::path::Path;
use support::World;
use support::captures::Connection;
use support::host::SUBSYSTEM;
use support::replay::{captures, connect, patch, play};
use wire::nvme::Nqn;
use wire::nvme::tcp::Receiver;

fn main() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/controller_session");
    std::fs::create_dir_all(&directory).unwrap();
    for (name, mut session) in captures() {
        std::fs::write(directory.join(name), seed(name, &mut session)).unwrap();
    }
}

/// A captured session in which the host asks for the fuzz target's subsystem, each PDU a step.
fn seed(name: &str, session: &mut [Connection]) -> Vec<u8> {
    let subsystem = Nqn::parse(SUBSYSTEM).unwrap();
    let mut world = World::nvme(&subsystem, 64 << 11, Limits::default());
    for pdu in session.iter_mut().flat_map(|connection| &mut connection.pdus) {
        if connect(pdu).is_some() && !name.contains("discovery") {
            let at = pdu.layout.data_offset as usize + 256;
            patch(pdu, at, &subsystem.to_field());
        }
    }
    play(&mut world, session);
    let mut sent: Vec<_> = session
        .iter()
        .enumerate()
        .flat_map(|(place, connection)| connection.pdus.iter().map(move |pdu| (place as u8, pdu)))
        .filter(|(_, pdu)| pdu.kind().receiver() == Receiver::Controller)
        .collect();
    sent.sort_by_key(|(_, pdu)| pdu.packet);
    let mut steps = Vec::new();
    for (place, pdu) in sent {
        for part in pdu.bytes.chunks(PART_BYTES) {
            steps.push(place);
            steps.extend((part.len() as u16).to_le_bytes());
            steps.extend(part);
        }
    }
    steps
}

const PART_BYTES: usize = 32 << 10;
