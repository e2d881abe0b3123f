//! Initiators of iSER drawn from a seed: messages that our own encoders write, and what is left of them when bits are changed.
//! `iser_target` of the fuzz targets looks for what chance does not find.

mod any_iser;

use any_iser::world::rdma::{LINUX, PLAIN, initiator};
use scsi::iscsi::target::Counters;
use stdx::prng::Prng;
use wire::iscsi::{LogoutReason, RESERVED_TAG};
use wire::iser::{Advertised, Header};

#[test]
fn laws_hold_whatever_comes() {
    let mut reached = [0; 6];
    for seed in 0..SEEDS {
        let Ok(counters) = std::panic::catch_unwind(|| any_iser::play(&input(seed))) else {
            panic!("seed {seed}")
        };
        let Counters { accepted, sessions, reinstated, protocol_errors, broken, rejected, .. } = counters;
        let these = [accepted, sessions, reinstated, protocol_errors, broken, rejected];
        reached.iter_mut().zip(these).for_each(|(all, these)| *all += these);
    }
    assert!(reached.iter().all(|times| *times > 0), "no such thing ever happened: {reached:?}");
}

/// A list of steps, drawn from a seed.
fn input(seed: u64) -> Vec<u8> {
    let mut prng = Prng::new(seed);
    let mut input = vec![prng.below(256) as u8];
    for _ in 0..STEPS {
        // What carries nothing makes sense more often than bytes that were spoiled.
        let what = prng.below(256) as u8;
        match what % 8 {
            step @ (0 | 2) => {
                let bytes = said(&mut prng, step == 0);
                input.extend([what, bytes.len() as u8]);
                input.extend(bytes);
            }
            5 => {
                input.extend([what, prng.below(256) as u8]);
                input.extend((0..4).map(|_| prng.below(256) as u8));
            }
            _ => input.extend([what, prng.below(256) as u8]),
        }
    }
    input
}

/// What our own encoders write, whole, spoiled or cut.
fn said(prng: &mut Prng, asks: bool) -> Vec<u8> {
    let all = if asks { requests() } else { messages() };
    let mut bytes = all[prng.below(all.len() as u64) as usize].clone();
    bytes.truncate(255);
    match prng.below(4) {
        0 => bytes.truncate(prng.below(bytes.len() as u64 + 1) as usize),
        1 if !bytes.is_empty() => {
            let place = prng.below(bytes.len() as u64) as usize;
            bytes[place] ^= 1 << prng.below(8);
        }
        _ => {}
    }
    bytes
}

/// What both kinds of initiator say of themselves.
fn requests() -> Vec<Vec<u8>> {
    [LINUX, PLAIN].iter().map(|said| said.encode().to_vec()).collect()
}

/// Messages of all kinds that an initiator sends.
fn messages() -> Vec<Vec<u8>> {
    let mut host = initiator(3);
    let memory = Some(Advertised { key: 0x100, offset: 0x10_0000 });
    let nothing = Header::default();
    let (read, write) = (Header { read: memory, write: None }, Header { read: None, write: memory });
    let pdus = [
        (nothing, host.login("")),
        (read, host.read_blocks(1, 0, 2)),
        (write, host.write_blocks(2, 0, &[7; 1024], 0, true)),
        (nothing, host.write_blocks(3, 0, &[7; 64], 64, true)),
        (nothing, host.data_out(3, RESERVED_TAG, 0, 0, &[7; 64], true)),
        (nothing, host.ping(4, &[1, 2, 3])),
        (nothing, host.text(5, "SendTargets=All\0")),
        (nothing, host.manage(6, 5, 1)),
        (nothing, host.test_unit_ready(7)),
        (nothing, host.logout(8, LogoutReason::CloseSession)),
    ];
    pdus.iter().map(|(header, pdu)| [&header.encode()[..], pdu].concat()).collect()
}

/// A second or two of them.
const SEEDS: u64 = 2000;
const STEPS: usize = 60;
