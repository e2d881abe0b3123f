//! Commands drawn from a seed: most of them ones that there are, with few bits set. `scsi_unit` of the fuzz targets looks for
//! what chance does not find.

mod any_command;

use stdx::prng::Prng;

#[test]
fn laws_hold_whatever_comes() {
    for seed in 0..SEEDS {
        any_command::play(&input(seed));
    }
}

/// A list of steps, drawn from a seed.
fn input(seed: u64) -> Vec<u8> {
    let mut prng = Prng::new(seed);
    let mut input = Vec::new();
    for _ in 0..STEPS {
        let what = prng.below(256) as u8;
        input.extend([what, prng.below(256) as u8]);
        if what % 16 > 9 {
            continue;
        }
        let count = any_command::COMMANDS.len() as u64;
        input.push(if prng.chance(1, 20) { 255 } else { prng.below(count) as u8 });
        input.extend((0..16).map(|_| field(&mut prng)));
        let offered = [0, 4, 8, 16, 24, 512, 1024][prng.below(7) as usize] as u16;
        input.extend(offered.to_le_bytes());
        input.extend((0..offered).map(|_| field(&mut prng)));
    }
    input
}

/// A byte as commands and parameter lists have them: mostly none, or a small number.
fn field(prng: &mut Prng) -> u8 {
    match prng.below(10) {
        0..=6 => 0,
        7 => prng.below(9) as u8,
        8 => 1 << prng.below(8),
        _ => prng.below(256) as u8,
    }
}

const SEEDS: u64 = 200;
const STEPS: usize = 100;
