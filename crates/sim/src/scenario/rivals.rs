//! Two users of one block on the server itself, who know of each other only by compare-and-write: both expect the same
//! value and write another, at once. Exactly one may succeed, whatever the device below takes its time for.

use crate::checker::Content;
use crate::env::NodeEnv;
use block::{BlockDevice, Channel, Done, Io, Op, Status};
use stdx::env::Env;
use stdx::mem::Span;

/// See the module.
pub(super) struct Rivals {
    channels: [Box<dyn Channel>; 2],
    block_size: usize,
    /// What the block holds; unknown at first, and after an error.
    value: Option<Content>,
    next: u64,
    round: Option<Round>,
    /// Nothing is in the way any more: every request is to succeed, or to find another value.
    pub(super) calm: bool,
    /// What went wrong, in words.
    pub(super) wrong: Option<String>,
    done: Vec<Done>,
}

/// A race, or a plain write by the first of them, under way.
struct Round {
    contents: [Content; 2],
    buffers: Vec<Span>,
    /// How each ended; the second takes no part in a plain write.
    ended: [Option<Status>; 2],
}

impl Rivals {
    pub(super) fn new(device: &dyn BlockDevice, block_size: u32) -> Self {
        Self {
            channels: [device.open(), device.open()],
            block_size: block_size as usize,
            value: None,
            next: 0,
            round: None,
            calm: false,
            wrong: None,
            done: Vec::new(),
        }
    }

    /// Sees how a race ended, and begins another if `load` says so.
    pub(super) fn turn(&mut self, env: &mut NodeEnv, load: bool) {
        if load && self.round.is_none() {
            self.begin(env);
        }
        for (place, channel) in self.channels.iter_mut().enumerate() {
            channel.poll(env, &mut self.done);
            for done in self.done.drain(..) {
                match &mut self.round {
                    Some(round) if round.ended[place].is_none() => round.ended[place] = Some(done.status),
                    Some(_) | None => {
                        self.wrong = Some(format!("rival {place}: {done:?} was never asked for"))
                    }
                }
            }
        }
        if let Some(round) = self.round.take_if(|round| round.ended.iter().all(Option::is_some)) {
            self.judge(&round);
            round.buffers.into_iter().for_each(|buffer| env.mem().give(buffer));
        }
    }

    /// True if nothing is under way.
    pub(super) const fn are_idle(&self) -> bool {
        self.round.is_none()
    }

    fn begin(&mut self, env: &mut NodeEnv) {
        let buffers: Vec<Span> = (0..4).map_while(|_| env.mem().take(self.block_size)).collect();
        if buffers.len() < 4 {
            return buffers.into_iter().for_each(|buffer| env.mem().give(buffer));
        }
        self.next += 2;
        let contents = [Content(self.next - 1), Content(self.next)];
        let mut ended = [None, None];
        match self.value {
            None => {
                self.fill(env, buffers[0], contents[0]);
                self.submit(env, 0, Op::Write, buffers[0]);
                ended[1] = Some(Status::Aborted);
            }
            Some(value) => {
                for place in 0..2 {
                    let (expected, data) = (buffers[place + 2], buffers[place]);
                    self.fill(env, expected, value);
                    self.fill(env, data, contents[place]);
                    self.submit(env, place, Op::CompareWrite { expected }, data);
                }
            }
        }
        self.round = Some(Round { contents, buffers, ended });
    }

    fn fill(&self, env: &mut NodeEnv, into: Span, content: Content) {
        let mut bytes = vec![0; self.block_size];
        content.fill(0, &mut bytes);
        env.mem().write(into, &bytes);
    }

    fn submit(&mut self, env: &mut NodeEnv, place: usize, op: Op, data: Span) {
        let io = Io { tag: place as u64, op, lba: 0, blocks: 1, fua: false, lend: false, data };
        if self.channels[place].submit(env, io).is_err() {
            self.wrong = Some(format!("rival {place}: refused with nothing under way"));
        }
    }

    fn judge(&mut self, round: &Round) {
        let [first, second] = round.contents;
        self.value = match round.ended {
            [Some(Status::Ok), Some(Status::Aborted)] => Some(first),
            [Some(Status::Ok), Some(Status::Miscompare { .. })] => Some(first),
            [Some(Status::Miscompare { .. }), Some(Status::Ok)] => Some(second),
            [Some(Status::Ok | Status::Miscompare { .. }), Some(Status::Ok | Status::Miscompare { .. })] => {
                self.wrong = Some(format!("two compare-and-writes of one value ended as {:?}", round.ended));
                None
            }
            failed => {
                if self.calm {
                    self.wrong = Some(format!("the server's own users ended as {failed:?} in a calm world"));
                }
                None
            }
        };
    }
}
