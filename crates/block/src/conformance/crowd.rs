//! Many requests at once: refused ones come back unharmed, the others complete exactly once; channels do not see each
//! other's completions.

use super::user::{User, outcome, plain};
use super::{Fault, Setting};
use crate::{BlockDevice, Io, Op, Status};
use std::rc::Rc;
use stdx::prng::Prng;

pub(super) fn many_at_once(
    setting: &mut dyn Setting,
    device: Rc<dyn BlockDevice>,
    seed: u64,
) -> Result<Rc<dyn BlockDevice>, Fault> {
    let info = device.info();
    let mut prng = Prng::new(seed);
    let buffer = setting.env().mem().take(info.block_size as usize).expect("a buffer for a block");
    let mut user = User::new(&device);
    for _ in 0..2 {
        for _ in 0..CROWD {
            let io = Io { data: buffer, ..plain(Op::Read, prng.below(info.blocks), 1) };
            if !user.submit(setting, io)? {
                break;
            }
        }
        for (io, done) in user.drain(setting)? {
            outcome(io, done, Status::Ok)?;
        }
    }
    setting.env().mem().give(buffer);
    Ok(device)
}

/// Two channels, equal tags: each gets its own, and what one wrote the other reads.
pub(super) fn channels_of_their_own(
    setting: &mut dyn Setting,
    device: Rc<dyn BlockDevice>,
    _: u64,
) -> Result<Rc<dyn BlockDevice>, Fault> {
    let size = device.info().block_size as usize;
    let buffers: Vec<_> = (0..2).map(|_| setting.env().mem().take(size).expect("a buffer")).collect();
    let mut users: Vec<_> = buffers.iter().map(|_| User::new(&device)).collect();
    for (index, user) in users.iter_mut().enumerate() {
        setting.env().mem().fill(buffers[index], index as u8 + 1);
        user.submit(setting, Io { data: buffers[index], ..plain(Op::Write, index as u64, 1) })?;
    }
    for user in users.iter_mut().rev() {
        for (io, done) in user.drain(setting)? {
            outcome(io, done, Status::Ok)?;
        }
    }
    let keeps = setting.promises().keeps;
    for (index, user) in users.iter_mut().enumerate() {
        let (other, data) = (1 - index, buffers[index]);
        user.expect(setting, Io { data, ..plain(Op::Read, other as u64, 1) }, Status::Ok)?;
        let mut bytes = vec![0; size];
        setting.env().mem().read(data, &mut bytes);
        let expected = if keeps { other as u8 + 1 } else { 0 };
        if bytes.iter().any(|&byte| byte != expected) {
            return Err(Fault::Content { lba: other as u64 });
        }
    }
    buffers.into_iter().for_each(|buffer| setting.env().mem().give(buffer));
    Ok(device)
}

/// More requests than any device should take on at once.
const CROWD: usize = 5000;
