//! The acts of a run: one step of one end at a time, in an order that the seed says.

use super::end::{End, Posted};
use super::plan::Plan;
use super::{Check, wrong};
use crate::scenario::Outcome;
use core::time::Duration;
use sdp::Terms;
use std::net::SocketAddr;
use stdx::prng::Prng;
use stdx::time::Time;
use wire::sdp::{Hello, HelloAck};

/// A run.
#[derive(Debug)]
pub(in crate::scenario) struct Play {
    prng: Prng,
    now: Time,
    ends: [End; 2],
}

impl Play {
    pub(in crate::scenario) fn new(seed: u64) -> Self {
        let mut prng = Prng::new(seed);
        let plans = [Plan::new(&mut prng), Plan::new(&mut prng)];
        let terms = greet(&plans);
        let [first, second] = [0, 1].map(|index| {
            let peer_terms = terms[index];
            End::new(index as u64, Time::ZERO, plans[index], peer_terms)
        });
        Self { prng, now: Time::ZERO, ends: [first, second] }
    }

    /// Messages that were looked at.
    pub(in crate::scenario) fn completed(&self) -> u64 {
        self.ends.iter().map(|end| end.messages).sum()
    }

    /// Simulated time.
    pub(in crate::scenario) fn elapsed(&self) -> Duration {
        self.now - Time::ZERO
    }

    /// Plays it.
    pub(in crate::scenario) fn through(&mut self) -> Check {
        for _ in 0..STEPS_MAX {
            let index = self.prng.below(2) as usize;
            if self.step(index)? {
                return self.finish(index);
            }
        }
        let [first, second] = &self.ends;
        Err(Outcome::Stuck(format!(
            "after {STEPS_MAX} steps {} and {} bytes have arrived: {:?}, {:?}",
            first.received, second.received, first.connection, second.connection
        )))
    }

    /// One step of an end; whether it ends the connection.
    fn step(&mut self, index: usize) -> Result<bool, Outcome> {
        self.now += Duration::from_micros(self.prng.below(500));
        if self.ends[index].is_dead {
            return Ok(false);
        }
        let act = self.prng.below(8);
        if act == CARRY && self.is_peer_found_dead(index) {
            return Ok(true);
        }
        let end = &mut self.ends[index];
        match act {
            0 => end.write(&mut self.prng)?,
            1 => end.read(&mut self.prng),
            2 => end.hear(self.now)?,
            3 => end.release(),
            4 => end.complete()?,
            5 => {
                end.have_a_whim(self.now, &mut self.prng);
                self.perhaps_die(index);
                let end = &mut self.ends[index];
                if end.connection.deadline().is_some_and(|deadline| deadline <= self.now) {
                    let timeout = end.connection.handle_timeout(self.now);
                    timeout.map_err(|why| wrong(format!("the connection ends: {why}")))?;
                }
            }
            CARRY => self.carry(index)?,
            _ => {
                if end.post(self.now)? {
                    return Ok(true);
                }
            }
        }
        self.ends[index].connection.check();
        self.resume()?;
        Ok(self.ends[index].is_over)
    }

    /// An end is gone, if its plan says so: while the other has nothing that it can say, but looks after it.
    fn perhaps_die(&mut self, index: usize) {
        let peer = &self.ends[1 - index];
        let is_done = peer.connection.written() >= peer.plan.bytes;
        let is_silent = peer.posted.is_empty() && (is_done || peer.connection.window() == 0);
        let is_looked_at = peer.plan.options.keep_alive.is_some() && is_silent;
        let end = &mut self.ends[index];
        end.is_dead = end.plan.dies && is_looked_at && self.prng.chance(1, 8);
    }

    /// Whether an end has something to carry to one that is gone: the queue pair says so.
    fn is_peer_found_dead(&self, index: usize) -> bool {
        self.ends[1 - index].is_dead && !self.ends[index].posted.is_empty()
    }

    /// The queue pair does one request of an end.
    fn carry(&mut self, index: usize) -> Check {
        let [first, second] = &mut self.ends;
        let (end, peer) = if index == 0 { (first, second) } else { (second, first) };
        let Some(posted) = end.posted.front().copied() else { return Ok(()) };
        let released = end.connection.released();
        let read = match posted {
            Posted::Send(message) => {
                if peer.receives() == 0 {
                    return Err(wrong("a message comes that no receive is posted for".into()));
                }
                let piece = message.payload;
                if piece.len > 0 && piece.at < released {
                    return Err(wrong(format!("{} is sent after it was released", piece.at)));
                }
                let bytes = [message.head(), &end.bytes(piece.at, piece.len)].concat();
                if bytes.len() > peer.connection.receive_len() as usize {
                    return Err(wrong(format!("a message of {} bytes is too long", bytes.len())));
                }
                peer.inbox.push_back(bytes);
                None
            }
            Posted::Write { piece, key, address } => {
                peer.memory.write(key, address, &end.bytes(piece.at, piece.len))?;
                None
            }
            Posted::Read { key, address, len } => {
                let at = peer.memory.read(key, address, len, peer.connection.released())?;
                Some(peer.bytes(at, len))
            }
            Posted::Probe => None,
        };
        end.posted.pop_front();
        end.done.push_back(read);
        Ok(())
    }

    /// Two ends that pause go on once nothing is under way.
    fn resume(&mut self) -> Check {
        let is_quiet =
            |end: &End| end.is_paused && end.posted.is_empty() && end.done.is_empty() && end.inbox.is_empty();
        if !self.ends.iter().all(is_quiet) {
            return Ok(());
        }
        let terms = greet(&[self.ends[0].plan, self.ends[1].plan]);
        let [first, second] = &mut self.ends;
        first.resume(self.now, terms[0])?;
        second.resume(self.now, terms[1])
    }

    /// An end had the connection ended.
    fn finish(&mut self, index: usize) -> Check {
        if self.ends.iter().any(|end| end.plan.aborts || end.is_dead) {
            return Ok(());
        }
        for end in &mut self.ends {
            while !(end.inbox.is_empty() && end.done.is_empty()) {
                end.complete()?;
                end.hear(self.now)?;
            }
        }
        let [first, second] = &self.ends;
        for (end, peer) in [(first, second), (second, first)] {
            if end.received != peer.plan.bytes || !end.peer_has_closed {
                let (received, sent) = (end.received, peer.plan.bytes);
                return Err(wrong(format!("end {index} ends it: {received} of {sent} bytes have arrived")));
            }
            end.check_urgent(peer)?;
        }
        Ok(())
    }
}

/// What each end learns of the other by their greetings.
fn greet(plans: &[Plan; 2]) -> [Terms; 2] {
    let address = |last| SocketAddr::from(([10, 0, 0, last], 5001));
    let hello = Terms::hello(&plans[0].options, address(1), address(2));
    let hello = Hello::decode(&hello.encode()).expect("our own greeting");
    let ack = Terms::hello_ack(&plans[1].options, &hello);
    let ack = HelloAck::decode(&ack.encode()).expect("our own answer");
    let of_first = Terms::of_hello(&hello).expect("terms");
    let of_second = Terms::of_hello_ack(&ack).expect("terms");
    [of_second, of_first]
}

/// The act of an end's queue pair.
const CARRY: u64 = 6;
/// Steps in which every run ends, if nothing is wrong.
const STEPS_MAX: u32 = 400_000;
