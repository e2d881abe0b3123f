//! Requests of all channels: from submission through commands, possibly several each, to completion.
//!
//! ```text
//!   submit --> waiting --room in a queue, connected--> sent --last answer--> done
//!                 ^                                     |  |
//!                 +--------- connection lost -----------+  +-- "try again" --> parked (a moment) --> waiting
//! ```
//!
//! Invariant: a request is in the table from submission to completion, and completed by [`Controller::finish`] alone.

use super::access::Reach;
use super::rising::CONNECT_TOKEN;
use super::{Controller, Phase};
use crate::host::namespace::{Answer, Piece, answer_of};
use crate::host::queue::{Completed, State};
use block::replay::Range;
use block::{Done, Info, Io, Op, Refused, Status};
use core::time::Duration;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;

/// A request of a channel.
#[derive(Debug)]
pub(super) struct Request {
    pub io: Io,
    pub namespace_id: u32,
    pub channel: Key,
    /// The I/O queue its channel uses.
    queue: usize,
    /// The order of submission.
    pub serial: u64,
    /// Blocks that commands were sent for.
    issued: u32,
    /// Commands outstanding.
    pub parts: u32,
    /// A command was sent since it was last known not to have run.
    pub sent: bool,
    /// The first failure of its commands.
    failed: Option<Answer>,
    /// How many writes were answered before it was submitted.
    pub answered_before: u64,
    pub aborted: bool,
    retries: u8,
    /// A flush follows its last block: a discard that is to be durable.
    flush_follows: bool,
}

/// A channel's completions.
#[derive(Debug)]
pub(super) struct ChannelState {
    queue: usize,
    done: Vec<Done>,
}

impl Request {
    pub fn range(&self) -> Range {
        Range { volume: u64::from(self.namespace_id), lba: self.io.lba, blocks: self.io.blocks }
    }

    /// It begins anew.
    pub fn rewind(&mut self) {
        (self.issued, self.parts) = (0, 0);
        self.failed = None;
        self.aborted = false;
    }

    /// It did not fail by itself: its retries count anew.
    pub fn forgive(&mut self) {
        self.retries = 0;
    }

    /// How many blocks and flushes make it.
    fn total(&self) -> u32 {
        let blocks = if self.io.op == Op::Flush { 1 } else { self.io.blocks };
        blocks.saturating_add(self.flush_follows.into())
    }

    /// Its commands go one after the other: they use the same memory, or one needs what the other did.
    fn is_in_turn(&self) -> bool {
        self.io.op == Op::Discard
    }
}

impl Controller {
    pub fn open_channel(&mut self) -> Option<Key> {
        let queue = self.next_queue;
        self.next_queue = self.next_queue.wrapping_add(1);
        self.channels.insert(ChannelState { queue, done: Vec::new() }).ok()
    }

    /// The channel's owner is gone; requests still under way complete to nobody.
    pub fn close_channel(&mut self, channel: Key) {
        self.channels.remove(channel);
    }

    /// What a namespace is now; `None` if it is gone.
    pub fn namespace_info(&self, namespace_id: u32) -> Option<Info> {
        let reach = self.reach(namespace_id);
        let offline = !self.is_live() || reach == Reach::Later;
        let record = self.records.get(&namespace_id).filter(|record| !record.closed)?;
        if matches!(self.phase, Phase::Failed(_)) || reach == Reach::Never {
            return None;
        }
        Some(Info { offline, ..record.info })
    }

    pub fn submit(
        &mut self,
        env: &mut dyn Env,
        channel: Key,
        namespace_id: u32,
        io: Io,
    ) -> Result<(), Refused> {
        let Some(state) = self.channels.get(channel) else { return Err(Refused(io)) };
        let queue = state.queue;
        if let Some(status) = self.answer_at_once(env, namespace_id, &io) {
            self.tell(channel, Done { tag: io.tag, status, data: io.data });
            return Ok(());
        }
        let serial = self.next_serial;
        let request = Request {
            io,
            namespace_id,
            channel,
            queue,
            serial,
            issued: 0,
            parts: 0,
            sent: false,
            failed: None,
            answered_before: self.acknowledged.count(),
            aborted: false,
            retries: 0,
            flush_follows: io.op == Op::Discard && io.fua && self.has_cache(namespace_id),
        };
        let key = self.requests.insert(request).map_err(|request| Refused(request.io))?;
        self.next_serial += 1;
        if !self.is_live() {
            self.waiting.push_back(key);
        } else if self.reach(namespace_id) != Reach::Now {
            self.access.held.push(key);
        } else if !self.waiting.is_empty() || !self.issue(env, key) {
            self.waiting.push_back(key);
        }
        Ok(())
    }

    fn has_cache(&self, namespace_id: u32) -> bool {
        self.records.get(&namespace_id).is_some_and(|record| record.info.volatile_cache)
    }

    /// The answer to requests that need no command.
    fn answer_at_once(&self, env: &dyn Env, namespace_id: u32, io: &Io) -> Option<Status> {
        let Some(info) = self.namespace_info(namespace_id) else { return Some(Status::Gone) };
        if self.fails_fast(env.now()) {
            return Some(Status::TimedOut);
        }
        match io.op {
            Op::Read | Op::Write | Op::Zero { .. } => {}
            Op::Flush if !info.volatile_cache => return Some(Status::Ok),
            Op::Discard if !info.thin => return Some(io.check(&info)),
            Op::Flush | Op::Discard => {}
            Op::Compare
            | Op::CompareWrite { .. }
            | Op::OrWrite
            | Op::Verify
            | Op::MarkBad
            | Op::Copy { .. }
            | Op::CryptoErase => {
                return Some(Status::Unsupported);
            }
        }
        let nothing = io.op != Op::Flush && io.blocks == 0;
        match io.check(&info) {
            Status::Ok if nothing => Some(Status::Ok),
            Status::Ok => None,
            wrong => Some(wrong),
        }
    }

    /// Sends the commands of a request, as far as there is room. True once all are sent that can be sent now.
    fn issue(&mut self, env: &mut dyn Env, key: Key) -> bool {
        let queues = self.io.len();
        let Some(request) = self.requests.get_mut(key) else { return true };
        let Some(record) = self.records.get(&request.namespace_id) else {
            if request.parts == 0 {
                self.finish(key, Status::Gone);
            }
            return true;
        };
        if queues == 0 {
            return false;
        }
        let queue = &mut self.io[request.queue % queues];
        let range = self.ranges.slice(key.index() * super::RANGE_LEN, super::RANGE_LEN);
        while request.issued < request.total() && request.failed.is_none() {
            if request.is_in_turn() && request.parts > 0 {
                break;
            }
            let piece =
                Piece::of(request.namespace_id, &request.io, request.issued, record, range, self.zeros);
            if let Some(bytes) = piece.range {
                env.mem().write(range, &bytes);
            }
            if queue.submit(env, &piece.command, piece.data, key.as_u64()).is_err() {
                return false;
            }
            request.sent = true;
            request.issued += piece.blocks;
            request.parts += 1;
        }
        true
    }

    pub(super) fn issue_waiting(&mut self, env: &mut dyn Env) {
        while let Some(&key) = self.waiting.front() {
            let namespace = self.requests.get(key).map(|request| request.namespace_id);
            if namespace.is_some_and(|id| self.reach(id) == Reach::Later) {
                self.access.held.push(key);
            } else if !self.issue(env, key) {
                break;
            }
            self.waiting.pop_front();
        }
        for queue in &mut self.io {
            queue.flush(env);
        }
    }

    pub(super) fn handle_io_completions(&mut self, env: &mut dyn Env) {
        let mut completed = core::mem::take(&mut self.completed);
        for index in 0..self.io.len() {
            let Some(queue) = self.io.get_mut(index) else { break };
            queue.take_completed(&mut completed);
            for done in completed.drain(..) {
                if done.token == CONNECT_TOKEN {
                    self.handle_io_connected(env, done.status, done.result);
                } else {
                    self.handle_part_done(env, &done);
                }
            }
        }
        self.completed = completed;
    }

    fn handle_part_done(&mut self, env: &mut dyn Env, done: &Completed) {
        let key = Key::from_u64(done.token);
        let Some(request) = self.requests.get_mut(key) else { return };
        request.parts = request.parts.saturating_sub(1);
        let answer = answer_of(done.status);
        if answer != Answer::Done(Status::Ok) {
            request.failed.get_or_insert(answer);
        }
        let goes_on = request.issued < request.total() && request.failed.is_none();
        if request.parts > 0 || goes_on {
            if goes_on && request.is_in_turn() && !self.waiting.contains(&key) && !self.issue(env, key) {
                self.waiting.push_front(key);
            }
            return;
        }
        match request.failed {
            None => self.finish(key, Status::Ok),
            Some(Answer::Done(status)) => self.finish(key, status),
            Some(Answer::Again(status)) if request.retries >= RETRIES_MAX => self.finish(key, status),
            Some(Answer::Again(_)) => {
                request.rewind();
                request.retries += 1;
                self.parked.push(key);
                self.parked_until.get_or_insert(env.now() + RETRY_DELAY);
                self.refused_for_access(env, done.status);
            }
        }
    }

    /// Takes a request back that no command was sent for.
    pub fn withdraw(&mut self, channel: Key, tag: u64) -> bool {
        let is_it = |request: &Request| {
            request.channel == channel && request.io.tag == tag && !request.sent && request.issued == 0
        };
        let Some(key) = self.requests.iter().find(|(_, request)| is_it(request)).map(|(key, _)| key) else {
            return false;
        };
        self.waiting.retain(|other| *other != key);
        self.access.held.retain(|other| *other != key);
        self.parked.retain(|other| *other != key);
        self.requests.remove(key).is_some()
    }

    /// The moment is over: parked requests are tried again.
    pub(super) fn unpark(&mut self) {
        self.parked_until = None;
        self.waiting.extend(self.parked.drain(..));
    }

    /// Completes a request. Only its channel still knows of it afterwards.
    pub(super) fn finish(&mut self, key: Key, status: Status) {
        let Some(request) = self.requests.remove(key) else { return };
        if status == Status::Ok && request.io.op.is_write() {
            self.acknowledged.record(request.range());
        }
        let Io { tag, data, .. } = request.io;
        self.tell(request.channel, Done { tag, status, data });
    }

    fn tell(&mut self, channel: Key, done: Done) {
        let Some(state) = self.channels.get_mut(channel) else { return };
        let data = if done.status == Status::Ok { done.data } else { Span::EMPTY };
        state.done.push(Done { data, ..done });
    }

    pub fn poll_channel(&mut self, env: &mut dyn Env, channel: Key, done: &mut Vec<Done>) {
        let mut ended = false;
        for queue in &mut self.io {
            queue.flush(env);
            ended |= matches!(queue.state(), State::Ended(_));
        }
        if ended {
            self.turn(env);
        }
        if self.is_exposed() {
            return;
        }
        if let Some(state) = self.channels.get_mut(channel) {
            done.append(&mut state.done);
        }
    }
}

/// How often a command is tried again that the controller says may succeed later.
const RETRIES_MAX: u8 = 20;
/// How long to wait before it is.
const RETRY_DELAY: Duration = Duration::from_millis(100);
