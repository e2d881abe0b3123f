//! Hosts of NVMe/RDMA drawn from a seed: requests and capsules that our own encoders write, and what is left of them when bits are
//! changed. `controller_rdma` of the fuzz targets looks for what chance does not find.

mod any_rdma;

use any_rdma::rdma_world::{block, connect, request};
use nvme::target::rdma::Counters;
use stdx::prng::Prng;
use wire::nvme::fabrics::{ConnectAttributes, Property, PropertySet};
use wire::nvme::{AdminOpcode, NvmOpcode, Sgl, SubmissionQueueEntry};
use zerocopy::IntoBytes;

#[test]
fn laws_hold_whatever_comes() {
    let mut reached = [0; 5];
    for seed in 0..SEEDS {
        let Ok(counters) = std::panic::catch_unwind(|| any_rdma::play(&input(seed))) else {
            panic!("seed {seed}")
        };
        let Counters { accepted, rejected, connects_refused, broken, terminated, .. } = counters;
        let these = [accepted, rejected, connects_refused, broken, terminated];
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

/// Requests for queues.
fn requests() -> Vec<Vec<u8>> {
    (0..3).map(|queue| request(queue).encode().to_vec()).collect()
}

/// Capsules of all kinds that a host sends.
fn messages() -> Vec<Vec<u8>> {
    let keyed = Sgl::Keyed { address: 0x10_0000, length: 512, key: 0x100, invalidate: true };
    let list = Sgl::Segment { address: 0, length: 32, in_capsule: true, last: true };
    let in_capsule = Sgl::InCapsule { offset: 0, length: 128 };
    let mut all = Vec::new();
    for opcode in [NvmOpcode::Read, NvmOpcode::Write, NvmOpcode::Compare, NvmOpcode::Flush] {
        for (sgl, along) in [(keyed, 0), (list, 32), (in_capsule, 128)] {
            let command = block(opcode, 1, 0, 1, sgl);
            all.push([command.as_bytes(), &vec![7; along]].concat());
        }
    }
    for opcode in [AdminOpcode::Identify, AdminOpcode::AsynchronousEventRequest, AdminOpcode::Abort] {
        all.push(SubmissionQueueEntry::new(opcode.code(), 2).with_data(keyed).as_bytes().to_vec());
    }
    all.push(connect(1, ConnectAttributes::NONE).command(3).as_bytes().to_vec());
    all.push(PropertySet::command(Property::Configuration, 0x0046_0001, 4).as_bytes().to_vec());
    all
}

/// A second or two of them.
const SEEDS: u64 = 2000;
const STEPS: usize = 60;
