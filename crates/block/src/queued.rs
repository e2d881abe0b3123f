//! A channel that refuses nothing: what it has no room for waits here, in order.
//!
//! What it is not: it sets no limit on what waits. Its user does, by what it takes on from its own peers.
//!
//! Invariants: nothing waits while nothing is under way; what waits is given to the channel in the order it came.

use crate::{Channel, Done, Io, Refused};
use std::collections::VecDeque;
use stdx::env::Env;
use stdx::mem::Span;

/// A channel, the requests it has, and those that wait for it.
#[derive(Debug)]
pub struct QueuedChannel {
    channel: Box<dyn Channel>,
    /// Requests the channel had no room for, in order.
    waiting: VecDeque<Io>,
    /// Requests given to the channel and not done.
    under_way: usize,
}

impl QueuedChannel {
    /// A channel that was given nothing yet.
    pub const fn new(channel: Box<dyn Channel>) -> Self {
        Self { channel, waiting: VecDeque::new(), under_way: 0 }
    }

    /// Gives the channel a request, now or when it has room.
    pub fn start(&mut self, env: &mut dyn Env, io: Io) {
        if !self.waiting.is_empty() {
            self.waiting.push_back(io);
            return;
        }
        match self.channel.submit(env, io) {
            Ok(()) => self.under_way += 1,
            Err(Refused(io)) => self.waiting.push_back(io),
        }
    }

    /// Has a request done now, if the channel can ([`Channel::perform`]) and nothing waits for it.
    pub fn perform(&mut self, env: &mut dyn Env, io: &Io) -> Option<Span> {
        if self.waiting.is_empty() { self.channel.perform(env, io) } else { None }
    }

    /// Collects what is done, and gives the channel what waits for room.
    pub fn poll(&mut self, env: &mut dyn Env, done: &mut Vec<Done>) {
        let before = done.len();
        self.channel.poll(env, done);
        self.under_way -= done.len() - before;
        while let Some(&io) = self.waiting.front() {
            if self.channel.submit(env, io).is_err() {
                break;
            }
            self.under_way += 1;
            self.waiting.pop_front();
        }
    }

    /// Takes a request back that waits, or that the channel gives back ([`Channel::withdraw`]); false if it goes on, or is
    /// done.
    pub fn withdraw(&mut self, tag: u64) -> bool {
        if let Some(place) = self.waiting.iter().position(|io| io.tag == tag) {
            self.waiting.remove(place);
            return true;
        }
        let withdrawn = self.channel.withdraw(tag);
        self.under_way -= usize::from(withdrawn);
        withdrawn
    }

    /// True if no request is under way or waits.
    pub fn is_idle(&self) -> bool {
        self.load() == 0
    }

    /// Requests given to the channel or waiting for it.
    pub fn load(&self) -> usize {
        self.under_way + self.waiting.len()
    }
}
