//! What a fuzzed initiator is asked, and the account of it: each request is completed once, whatever its target does.

use block::{Channel, Done, Io, Op};
use stdx::env::Env;
use stdx::mem::Span;

/// Does what an input says, step by step: `step` takes the first bytes and gives the others.
pub fn play<'a>(input: &'a [u8], mut step: impl FnMut(&'a [u8]) -> Option<&'a [u8]>) {
    let mut rest = input;
    for _ in 0..STEPS_MAX {
        let Some(left) = step(rest) else { break };
        rest = left;
    }
}

/// Requests to a disk.
pub struct Requests {
    block_len: usize,
    blocks_max: u32,
    buffers: Vec<Span>,
    done: Vec<Done>,
    submitted: u8,
    completed: [u32; 256],
}

impl Requests {
    /// None yet; each to be of so many blocks of so many bytes at most.
    pub fn new(block_len: usize, blocks_max: u32) -> Requests {
        let (buffers, done) = (Vec::new(), Vec::new());
        Requests { block_len, blocks_max, buffers, done, submitted: 0, completed: [0; 256] }
    }

    /// One more, of the kind and length that a byte says, if there is memory for it.
    pub fn submit(&mut self, env: &mut dyn Env, channel: &mut dyn Channel, argument: u8) {
        if self.submitted == u8::MAX {
            return;
        }
        let blocks = u32::from(argument >> 3) % (self.blocks_max + 1);
        let op = match argument % 5 {
            0 => Op::Read,
            1 => Op::Write,
            2 => Op::Flush,
            3 => Op::Zero { deallocate: false },
            _ => Op::Discard,
        };
        let len = if op.moves_data() { blocks as usize * self.block_len } else { 0 };
        let taken = if len == 0 { Some(Span::EMPTY) } else { env.mem().take(len) };
        let Some(data) = taken else { return };
        self.buffers.extend((len > 0).then_some(data));
        let (tag, lba) = (u64::from(self.submitted), u64::from(argument));
        let io = Io { tag, op, lba, blocks, fua: false, lend: false, data };
        if channel.submit(env, io).is_ok() {
            self.submitted += 1;
        }
        self.take_done(env, channel);
    }

    /// Notes what is completed.
    pub fn take_done(&mut self, env: &mut dyn Env, channel: &mut dyn Channel) {
        channel.poll(env, &mut self.done);
        for done in self.done.drain(..) {
            self.completed[done.tag as usize] += 1;
        }
    }

    /// Balances the account, and gives all buffers back.
    pub fn finish(self, env: &mut dyn Env) {
        let (submitted, rest) = self.completed.split_at(usize::from(self.submitted));
        assert!(submitted.iter().all(|&times| times == 1), "each request is completed once");
        assert!(rest.iter().all(|&times| times == 0), "nothing else is");
        self.buffers.into_iter().for_each(|buffer| env.mem().give(buffer));
    }
}

/// Steps of one run: longer ones find no more, and there are fewer of them.
const STEPS_MAX: usize = 64;
