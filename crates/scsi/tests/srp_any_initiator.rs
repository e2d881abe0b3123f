//! Initiators of SRP drawn from a seed: logins and units that our own encoders write, and what is left of them when bits are changed.
//! `srp_target` of the fuzz targets looks for what chance does not find.

mod any_srp;

use any_srp::srp::{command, login, manage, ranged};
use scsi::srp::target::Counters;
use stdx::prng::Prng;
use wire::srp::{
    Command, Descriptor, DescriptorTable, InitiatorLogout, LoginFlags, MemoryDescriptor, Opcode, Reply,
    TaskFunction,
};

#[test]
fn laws_hold_whatever_comes() {
    let mut reached = [0; 9];
    for seed in 0..SEEDS {
        let Ok(counters) = std::panic::catch_unwind(|| any_srp::play(&input(seed))) else {
            panic!("seed {seed}")
        };
        let Counters {
            logins,
            rejected,
            replaced,
            logged_out,
            broken,
            terminated,
            invalid,
            immediate,
            tables,
            ..
        } = counters;
        let these = [logins, rejected, replaced, logged_out, broken, terminated, invalid, immediate, tables];
        reached.iter_mut().zip(these).for_each(|(all, these)| *all += these);
    }
    assert!(reached.iter().all(|times| *times > 0), "no such thing ever happened: {reached:?}");
}

/// A step that asks for a channel does: by the RDMA connection manager, and by InfiniBand's with the whole login; the compact one
/// is a login of the first alone.
#[test]
fn logins_of_all_kinds_are_taken() {
    for ([what, argument], expected) in [([1, 0], (2, 0)), ([9, 0], (2, 0)), ([9, 16], (1, 1))] {
        let counted = any_srp::play(&[0, what, argument]);
        assert_eq!((counted.logins, counted.rejected), expected, "{what} {argument}");
    }
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

/// Logins in both forms.
fn requests() -> Vec<Vec<u8>> {
    let login = login(LoginFlags::IMMEDIATE.with(LoginFlags::MULTICHANNEL));
    vec![login.encode().to_vec(), login.encode_compact().to_vec()]
}

/// Units of all kinds that an initiator sends.
fn messages() -> Vec<Vec<u8>> {
    let memory = MemoryDescriptor { address: 0x10_0000, key: 0x100, len: 512 };
    let table = [memory.encode(), memory.encode()].concat();
    let first = DescriptorTable::new(&table);
    let described = [
        Descriptor::None,
        Descriptor::Direct(memory),
        Descriptor::Indirect { table: memory, len: 1024, first },
        Descriptor::Immediate { len: 100 },
    ];
    let mut all = Vec::new();
    for data_out in described {
        for data_in in &described[..3] {
            let mut unit = vec![0; 512];
            let asked = Command { data_out, data_in: *data_in, ..command(1, &ranged(0x2a, 0, 1)) };
            let len = asked.encode(&mut unit).unwrap();
            unit.truncate(len);
            all.push(unit);
        }
    }
    all.push(manage(2, 1, TaskFunction::LogicalUnitReset, 0).encode().to_vec());
    all.push(manage(3, 0, TaskFunction::AbortTask, 1).encode().to_vec());
    for opcode in [Opcode::CreditResponse, Opcode::AsynchronousEventResponse] {
        all.push(Reply { opcode, tag: 1 << 63 }.encode().to_vec());
    }
    all.push(InitiatorLogout { tag: 4 }.encode().to_vec());
    all
}

/// A second or two of them.
const SEEDS: u64 = 2000;
const STEPS: usize = 60;
