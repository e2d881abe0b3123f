//! Streams between nodes: two pipes each, whose bytes take time, come in any pieces, and may stop coming.

use crate::faults::Faults;
use core::time::Duration;
use std::collections::VecDeque;
use stdx::env::{IoError, ListenerId, Owner, StreamId};
use stdx::prng::Prng;
use stdx::time::Time;

/// A node of the world.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NodeId(pub u8);

/// A listener of a node.
#[derive(Debug)]
pub struct Listener {
    /// Where its events go.
    pub owner: Owner,
    /// Its port.
    pub port: u16,
    /// Streams that wait to be accepted: our end.
    pub waiting: VecDeque<StreamId>,
}

/// One end of a stream.
#[derive(Debug)]
pub struct End {
    /// Whose it is.
    pub node: NodeId,
    /// Where its events go; none until accepted.
    pub owner: Option<Owner>,
    /// The other end.
    pub peer: StreamId,
    /// The local port, and the port at the other end.
    pub ports: (u16, u16),
    /// The connection is made.
    pub connected: bool,
    /// It is dead without a word: what is sent here never arrives.
    pub vanished: bool,
    /// It broke.
    pub broken: Option<IoError>,
    /// What comes in.
    pub inward: Pipe,
    /// The sender here was told that there is no room and waits for some.
    pub waits_for_room: bool,
    /// The listener that it waits at, if not accepted yet.
    pub listener: Option<ListenerId>,
}

/// One direction of a stream.
#[derive(Debug, Default)]
pub struct Pipe {
    /// On the way: when it arrives, and what.
    flight: VecDeque<(Time, Flying)>,
    arrived: VecDeque<u8>,
    ended: bool,
    /// The other end's reset has come.
    reset: bool,
    held: usize,
    /// Bytes that were ever sent.
    sent: u64,
}

/// What is on its way.
#[derive(Debug)]
enum Flying {
    Bytes(Vec<u8>),
    End,
    Reset,
}

impl Pipe {
    /// Takes bytes on their way; says how many, and when they arrive. `None`: there is no room.
    pub fn send(
        &mut self,
        now: Time,
        bytes: &[u8],
        faults: &Faults,
        prng: &mut Prng,
    ) -> Option<(usize, Time)> {
        let room = faults.pipe_capacity.saturating_sub(self.held).min(bytes.len());
        if room == 0 {
            return None;
        }
        let cut = prng.chance(faults.short_send, 1000);
        let len = if cut { prng.between(1, room as u64) as usize } else { room };
        let at = self.arrival(now, faults, prng);
        let mut bytes = bytes[..len].to_vec();
        if prng.chance(faults.flip, 1000) && self.sent >= faults.flip_spares {
            bytes[prng.below(len as u64) as usize] ^= 1 << prng.below(8);
        }
        self.flight.push_back((at, Flying::Bytes(bytes)));
        self.held += len;
        self.sent += len as u64;
        Some((len, at))
    }

    /// Puts the end behind what is on its way; says when it arrives.
    pub fn finish(&mut self, now: Time, faults: &Faults, prng: &mut Prng) -> Time {
        let at = self.arrival(now, faults, prng);
        self.flight.push_back((at, Flying::End));
        at
    }

    /// Puts a reset behind what is on its way: what the sender had not sent yet is lost, but not what left. Says when it
    /// arrives.
    pub fn reset(&mut self, now: Time, faults: &Faults, prng: &mut Prng) -> Time {
        let at = self.arrival(now, faults, prng);
        self.flight.push_back((at, Flying::Reset));
        at
    }

    fn arrival(&self, now: Time, faults: &Faults, prng: &mut Prng) -> Time {
        let mut delay = draw(faults.latency, prng);
        if prng.chance(faults.stall_chance, 1000) {
            delay += draw(faults.stall, prng);
        }
        self.flight.back().map_or(Time::ZERO, |(last, _)| *last).max(now + delay)
    }

    /// Holds up what is on its way, bytes by half of `by`, the end behind them by all of it; says when each arrives now.
    pub fn delay(&mut self, by: Duration) -> Vec<Time> {
        for (at, what) in &mut self.flight {
            *at += if let Flying::Bytes(_) = what { by / 2 } else { by };
        }
        self.flight.iter().map(|(at, _)| *at).collect()
    }

    /// Moves what has arrived by now within reach.
    pub fn arrive(&mut self, now: Time) {
        while self.flight.front().is_some_and(|(at, _)| *at <= now) {
            match self.flight.pop_front() {
                Some((_, Flying::Bytes(bytes))) if !self.ended => self.arrived.extend(bytes),
                Some((_, Flying::Bytes(bytes))) => self.held -= bytes.len(),
                Some((_, Flying::End)) => self.ended = true,
                Some((_, Flying::Reset)) => self.reset = true,
                None => unreachable!("front was there"),
            }
        }
    }

    /// Takes at most `max` arrived bytes, perhaps fewer; `Some` and empty is the end, `None` nothing yet.
    pub fn receive(&mut self, max: usize, faults: &Faults, prng: &mut Prng) -> Option<Vec<u8>> {
        let there = self.arrived.len().min(max);
        if there == 0 {
            return (self.ended && self.arrived.is_empty()).then(Vec::new);
        }
        let cut = prng.chance(faults.short_receive, 1000);
        let len = if cut { prng.between(1, there as u64) as usize } else { there };
        self.held -= len;
        Some(self.arrived.drain(..len).collect())
    }

    /// True once the other end's reset has come.
    pub fn is_reset(&self) -> bool {
        self.reset
    }

    /// True if a receive would give something, were it the end.
    pub fn readable(&self) -> bool {
        self.ended || !self.arrived.is_empty()
    }
}

/// Up to `most`, at least a nanosecond.
pub fn draw(most: Duration, prng: &mut Prng) -> Duration {
    Duration::from_nanos(prng.between(1, (most.as_nanos() as u64).max(1)))
}
