//! What a client asks for, and what the answers say about the truth.

use super::{Client, PIECE};
use crate::checker::Content;
use block::{Io, Op, Status};
use stdx::env::Env;
use stdx::mem::Span;
use stdx::time::Time;

/// A request under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) io: Io,
    pub(super) since: Time,
    pub(super) content: Content,
    moment: u64,
    buffer: Span,
    expected: Span,
    /// What a compare has to find.
    equal: bool,
    pub(super) whose: Whose,
    /// When it was submitted, in the history of the common blocks.
    pub(super) begun: u64,
}

/// Whose blocks a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Whose {
    /// The client's, which nothing else under way touches.
    Own,
    /// The client's, whatever is under way on them.
    Racing,
    /// Everybody's.
    Common,
}

impl Client {
    /// Asks for something at random, on blocks that no request under way touches; false if there was nothing to ask.
    pub(super) fn ask(&mut self) -> bool {
        if self.plan.common > 0 && self.prng.chance(1, 2) {
            return self.ask_common();
        }
        let share = self.plan.share;
        let blocks = self.prng.between(1, PIECE.min(share));
        let lba = self.first + self.prng.below(share - blocks + 1);
        let op = match self.prng.below(20) {
            0..7 => Op::Read,
            7..14 => Op::Write,
            14 => Op::Zero { deallocate: self.prng.chance(1, 2) },
            15 => Op::Flush,
            16 => Op::Compare,
            17 => Op::CompareWrite { expected: Span::EMPTY },
            18 => Op::Verify,
            _ => Op::Discard,
        };
        let durable = self.prng.chance(1, 5);
        if op == Op::Read && self.prng.chance(1, 4) {
            return self.submit_racing(lba, blocks as u32);
        }
        self.submit(op, lba, blocks as u32, durable)
    }

    /// Submits a request, unless one under way touches its blocks or there is no memory for it.
    pub(super) fn submit(&mut self, op: Op, lba: u64, blocks: u32, fua: bool) -> bool {
        let touches = |other: &Request| {
            other.io.op != Op::Flush
                && other.whose == Whose::Own
                && other.io.lba < lba + u64::from(blocks)
                && lba < other.io.lba + u64::from(other.io.blocks)
        };
        if op != Op::Flush && self.under_way.values().any(touches) {
            return false;
        }
        self.start(op, lba, blocks, fua, Whose::Own)
    }

    /// Submits a read, whatever is under way on its blocks.
    fn submit_racing(&mut self, lba: u64, blocks: u32) -> bool {
        self.start(Op::Read, lba, blocks, false, Whose::Racing)
    }

    pub(super) fn start(&mut self, op: Op, lba: u64, blocks: u32, fua: bool, whose: Whose) -> bool {
        let size = blocks as usize * self.shadow.block_size();
        let taken = if op.moves_data() { self.env.mem().take(size) } else { Some(Span::EMPTY) };
        let Some(buffer) = taken else { return false };
        let fua = fua && op.is_write();
        let mut request = Request {
            io: Io { tag: self.next_tag, op, lba, blocks, fua, lend: false, data: buffer },
            since: self.env.now(),
            content: Content(0),
            moment: self.shadow.moment(),
            buffer,
            expected: Span::EMPTY,
            equal: true,
            whose,
            begun: self.history.borrow_mut().now(),
        };
        if !self.prepare(&mut request) {
            self.release(&request);
            return false;
        }
        if self.channels.is_empty() {
            self.release(&request);
            return false;
        }
        let channel = self.prng.below(self.channels.len() as u64) as usize;
        if self.channels[channel].submit(&mut self.env, request.io).is_err() {
            self.release(&request);
            return false;
        }
        if whose == Whose::Common {
            self.begun_common(&request);
        }
        self.next_tag += 1;
        self.under_way.insert(request.io.tag, request);
        true
    }

    /// Fills the request's memory as its operation needs it.
    fn prepare(&mut self, request: &mut Request) -> bool {
        match request.io.op {
            Op::Write => {
                request.content = self.shadow.next_content();
                self.fill(request.buffer, request.io.lba, |_| Some(request.content))
            }
            Op::Compare => {
                request.equal = self.prng.chance(2, 3);
                self.fill_known(request.buffer, request.io.lba, request.equal)
            }
            Op::CompareWrite { .. } => {
                let Some(expected) = self.env.mem().take(request.buffer.len()) else { return false };
                request.expected = expected;
                request.io.op = Op::CompareWrite { expected };
                request.equal = self.prng.chance(2, 3);
                request.content = self.shadow.next_content();
                let content = request.content;
                self.fill_known(expected, request.io.lba, request.equal)
                    && self.fill(request.buffer, request.io.lba, |_| Some(content))
            }
            Op::Read => {
                // A read that is answered without its data shows that: nobody ever wrote this.
                self.env.mem().fill(request.buffer, 0xa5);
                true
            }
            Op::Flush | Op::Zero { .. } | Op::Discard | Op::Verify => true,
            Op::OrWrite | Op::MarkBad | Op::Copy { .. } | Op::CryptoErase => true,
        }
    }

    /// Fills with what the blocks hold, where that is known, or with what they cannot hold.
    fn fill_known(&mut self, into: Span, lba: u64, equal: bool) -> bool {
        let wrong = self.shadow.next_content();
        let known: Vec<_> = (0..into.len() / self.shadow.block_size())
            .map(|place| if equal { self.shadow.known(lba + place as u64) } else { Some(wrong) })
            .collect();
        self.fill(into, lba, |place| known[place])
    }

    fn fill(&mut self, into: Span, lba: u64, content: impl Fn(usize) -> Option<Content>) -> bool {
        let size = self.shadow.block_size();
        let mut bytes = vec![0; size];
        for place in 0..into.len() / size {
            let Some(content) = content(place) else { return false };
            content.fill(lba + place as u64, &mut bytes);
            self.env.mem().write(into.slice(place * size, size), &bytes);
        }
        true
    }

    fn release(&mut self, request: &Request) {
        for span in [request.buffer, request.expected].into_iter().filter(|span| !span.is_empty()) {
            self.env.mem().give(span);
        }
    }

    /// Takes the answers that are there.
    pub(super) fn collect(&mut self) {
        let mut done = core::mem::take(&mut self.done);
        for channel in &mut self.channels {
            channel.poll(&mut self.env, &mut done);
        }
        for done in done.drain(..) {
            match self.under_way.remove(&done.tag) {
                Some(request) => {
                    self.judge(&request, done.status);
                    self.release(&request);
                    self.completed += 1;
                }
                None => self.complain(format!("{done:?} was completed twice, or never asked for")),
            }
        }
        self.done = done;
    }

    /// Holds an answer against the truth.
    fn judge(&mut self, request: &Request, status: Status) {
        let Request { io, content, moment, equal, whose, .. } = *request;
        if self.calm && !matches!(status, Status::Ok | Status::Miscompare { .. }) {
            self.complain(format!("{io:?} ended as {status:?} in a calm world"));
        }
        // The answer may be of before the power cut: what a read shows may be gone, and what was written may not have survived.
        let is_old = self.plan.answers_outlive_power() && self.shadow.had_power_cut_since(moment);
        match (io.op, status) {
            _ if whose == Whose::Common => self.judge_common(request, status),
            (op, Status::Ok) if is_old && op.is_write() && equal && !io.fua => {
                self.shadow.may_have_written(io.lba, io.blocks, content);
            }
            (Op::Read, Status::Ok) => {
                let mut bytes = vec![0; io.data.len()];
                self.env.mem().read(io.data, &mut bytes);
                let seen = match whose {
                    _ if is_old => self.shadow.read_racing(io.lba, &bytes),
                    Whose::Racing => self.shadow.read_racing(io.lba, &bytes),
                    Whose::Own | Whose::Common => self.shadow.read(io.lba, &bytes),
                };
                if let Err(violation) = seen {
                    self.complain(format!("{io:?} gave what cannot be there: {violation:?}"));
                }
            }
            (Op::Flush, Status::Ok) => self.shadow.flushed(moment),
            (Op::Write | Op::Zero { .. }, Status::Ok) => {
                self.shadow.wrote(io.lba, io.blocks, content, io.fua)
            }
            (Op::CompareWrite { .. }, Status::Ok) if equal => {
                self.shadow.wrote(io.lba, io.blocks, content, io.fua);
            }
            // What was known when it was asked may have been taken back by a power cut since.
            (Op::Compare | Op::CompareWrite { .. }, Status::Miscompare { .. })
                if !equal || self.shadow.had_power_cut_since(moment) => {}
            (Op::Compare, Status::Ok) if equal => {}
            (Op::Compare | Op::CompareWrite { .. }, Status::Ok | Status::Miscompare { .. }) => {
                self.complain(format!("{io:?} ended as {status:?}, which is wrong"));
            }
            (Op::Discard, _) => self.shadow.may_have_written(io.lba, io.blocks, Content(0)),
            (op, _) if op.is_write() => self.shadow.may_have_written(io.lba, io.blocks, content),
            _ => {}
        }
    }
}
