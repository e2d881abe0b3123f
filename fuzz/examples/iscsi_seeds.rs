//! Writes the corpora of `iscsi_pdu` (the captured sessions of a Linux pair) and `iscsi_session` (a session of our own, as
//! steps: the target's name differs from the captured one).

#[allow(dead_code, reason = "a part of it is used")]
#[path = "../../crates/wire/tests/support/pcap.rs"]
mod pcap;
#[path = "../../crates/scsi/tests/world/mod.rs"]
mod world;

use std::path::{Path, PathBuf};
use wire::iscsi::{Digests, LogoutReason, PORT, RESERVED_TAG};
use world::{World, pattern};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = |name: &str| -> PathBuf {
        let directory = root.join("corpus").join(name);
        std::fs::create_dir_all(&directory).unwrap();
        directory
    };
    let directory = corpus("iscsi_pdu");
    for name in ["iscsi", "iscsi-r2t", "iscsi-digests", "iscsi-chap", "iscsi-discovery"] {
        let path = root.join("../crates/wire/tests/data").join(name).with_extension("pcap");
        let file = std::fs::read(path).unwrap();
        let segments = pcap::tcp_segments(&file);
        let opening = segments.iter().find(|segment| segment.opens && segment.to.1 == PORT).unwrap();
        let (initiator, target) = (opening.from, opening.to);
        for (side, from, to) in [(0, initiator, target), (1, target, initiator)] {
            let stream = pcap::reassemble(&segments, from, to);
            let input = [&[side, 255][..], &stream.bytes].concat();
            std::fs::write(directory.join(format!("{name}-{side}")), input).unwrap();
        }
    }
    let directory = corpus("iscsi_session");
    for digests in [false, true] {
        std::fs::write(directory.join(format!("digests-{digests}")), session(digests)).unwrap();
    }
}

/// Every kind of request there is, each a step.
fn session(digests: bool) -> Vec<u8> {
    let mut initiator = World::new().arrive();
    let digest = if digests { "HeaderDigest=CRC32C DataDigest=CRC32C" } else { "" };
    let login =
        initiator.login(&format!("InitialR2T=No FirstBurstLength=4096 MaxBurstLength=16384 {digest}"));
    initiator.digests = Digests { header: digests, data: digests };
    let data = pattern(20 << 10, 3);
    let steps = [
        login,
        initiator.test_unit_ready(1),
        initiator.write_blocks(2, 8, &data[..4096], 4096, true),
        initiator.write_blocks(3, 32, &data, 1000, false),
        initiator.data_out(3, RESERVED_TAG, 0, 1000, &data[1000..4096], true),
        initiator.data_out(3, 0, 0, 4096, &data[4096..], true),
        initiator.read_blocks(4, 32, 40),
        initiator.manage(5, 1, 4),
        initiator.ping(6, b"how are you?"),
        initiator.text(7, "SendTargets=\0"),
        initiator.logout(8, LogoutReason::CloseSession),
    ];
    let step = |bytes: &Vec<u8>| [&[0][..], &(bytes.len() as u16).to_le_bytes(), bytes].concat();
    steps.iter().flat_map(step).collect()
}
