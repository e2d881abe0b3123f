//! What was acknowledged before a flush that completed, or written with `fua`, survives a crash.

use super::shadow::Shadow;
use super::user::{User, outcome, plain};
use super::{Fault, Setting};
use crate::{BlockDevice, Io, Op, Status};
use std::rc::Rc;
use stdx::prng::Prng;

pub(super) fn flushed_is_stable(
    setting: &mut dyn Setting,
    mut device: Rc<dyn BlockDevice>,
    seed: u64,
) -> Result<Rc<dyn BlockDevice>, Fault> {
    let mut prng = Prng::new(seed);
    for _ in 0..ROUNDS {
        let mut shadow = Shadow::new(device.info().block_size, SLOTS, true);
        write_some(setting, &device, &mut prng, &mut shadow)?;
        let Some(again) = setting.crash(device.clone()) else { return Ok(device) };
        device = again;
        compare(setting, &device, &shadow)?;
    }
    Ok(device)
}

/// Writes blocks, some with `fua` and some covered by a flush, all of them stable in the end by one or the other.
fn write_some(
    setting: &mut dyn Setting,
    device: &Rc<dyn BlockDevice>,
    prng: &mut Prng,
    shadow: &mut Shadow,
) -> Result<(), Fault> {
    let size = device.info().block_size as usize;
    let mut user = User::new(device);
    let mut buffers = Vec::new();
    for lba in 0..SLOTS {
        // The later half comes after the flush, and has only `fua` to keep it.
        if lba == SLOTS / 2 {
            finish(setting, &mut user)?;
            user.submit(setting, plain(Op::Flush, 0, 0))?;
        }
        let fua = lba >= SLOTS / 2 || prng.chance(1, 4);
        let op = if prng.chance(1, 4) { Op::Zero { deallocate: prng.chance(1, 2) } } else { Op::Write };
        let mut io = Io { fua, ..plain(op, lba, 1) };
        if op == Op::Write {
            let stamp = prng.next_u64() | 1;
            io.data = setting.env().mem().take(size).expect("a buffer for a block");
            shadow.render_stamp(setting.env().mem(), io.data, stamp);
            shadow.write(lba, 1, stamp);
            buffers.push(io.data);
        } else {
            shadow.zero(lba, 1);
        }
        user.submit(setting, io)?;
    }
    finish(setting, &mut user)?;
    buffers.into_iter().for_each(|buffer| setting.env().mem().give(buffer));
    Ok(())
}

fn finish(setting: &mut dyn Setting, user: &mut User) -> Result<(), Fault> {
    user.drain(setting)?.into_iter().try_for_each(|(io, done)| outcome(io, done, Status::Ok))
}

fn compare(setting: &mut dyn Setting, device: &Rc<dyn BlockDevice>, shadow: &Shadow) -> Result<(), Fault> {
    let mut user = User::new(device);
    let len = SLOTS as usize * device.info().block_size as usize;
    let data = setting.env().mem().take(len).expect("a buffer for some blocks");
    user.expect(setting, Io { data, ..plain(Op::Read, 0, SLOTS as u32) }, Status::Ok)?;
    let compared = shadow.compare(setting.env().mem(), 0, data).map_err(|fault| match fault {
        Fault::Content { lba } => Fault::Lost { lba },
        other => other,
    });
    setting.env().mem().give(data);
    compared
}

/// How many blocks are written a round.
const SLOTS: u64 = 32;

/// How often the power is cut.
const ROUNDS: usize = 8;
