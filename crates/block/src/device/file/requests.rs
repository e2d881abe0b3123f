//! The requests under way on a file: at the environment, or waiting for it to take them.

use super::super::Geometry;
use super::step::{Next, Step, status};
use super::{FileError, GeometryError, examine};
use crate::{Done, Extent, Info, Io, Op, Status};
use core::time::Duration;
use std::collections::VecDeque;
use stdx::env::{Env, FileExtent, FileId, FileInfo, FileOp, IoError, Owner};
use stdx::mem::Span;
use stdx::planted::{Bug, planted};
use stdx::slab::{Key, Slab};
use stdx::time::Time;

/// All requests of one file.
#[derive(Debug)]
pub(super) struct Requests {
    owner: Owner,
    /// `None` once closed.
    file: Option<FileId>,
    geometry: Geometry,
    info: FileInfo,
    read_only: bool,
    requests: Slab<Request>,
    channels: Slab<Outbox>,
    /// Requests whose next operation the environment has not taken, in order.
    waiting: VecDeque<Key>,
    /// How many operations are at the environment.
    at_env: usize,
    /// When to offer what waits again, if no operation's end will do that.
    retry_at: Option<Time>,
    /// The buffer that zeros are written from, once one was needed.
    zeros: Span,
}

#[derive(Debug)]
struct Request {
    io: Io,
    channel: Key,
    step: Step,
    /// An aligned buffer in place of the request's own memory; empty if that will do.
    bounce: Span,
}

/// What a channel has under way, and what of it is done.
#[derive(Debug, Default)]
struct Outbox {
    done: Vec<Done>,
    under_way: usize,
}

impl Requests {
    pub(super) fn new(
        owner: Owner,
        file: FileId,
        geometry: Geometry,
        info: FileInfo,
        read_only: bool,
    ) -> Self {
        Self {
            owner,
            file: Some(file),
            geometry,
            info,
            read_only,
            requests: Slab::new(usize::MAX),
            channels: Slab::new(usize::MAX),
            waiting: VecDeque::new(),
            at_env: 0,
            retry_at: None,
            zeros: Span::EMPTY,
        }
    }

    pub(super) fn info(&self) -> Info {
        let (thin, read_only) = (self.info.can_punch, self.read_only);
        Info { thin, read_only, volatile_cache: true, ..self.geometry.info() }
    }

    /// Blocks of which a part has space have it; of a file that is closed, nothing is known.
    pub(super) fn extent(&self, env: &mut dyn Env, lba: u64) -> Extent {
        let size = u64::from(self.geometry.block_size());
        let left = self.geometry.blocks().saturating_sub(lba);
        let found = self.file.and_then(|file| env.file_extent(file, lba * size).ok());
        match found {
            Some(FileExtent { len, mapped: false }) if len >= size => {
                Extent { blocks: (len / size).min(left), mapped: false }
            }
            Some(FileExtent { len, .. }) => {
                Extent { blocks: len.div_ceil(size).clamp(1, left.max(1)), mapped: true }
            }
            None => Extent { blocks: left, mapped: true },
        }
    }

    pub(super) fn add_channel(&mut self) -> Key {
        self.channels.insert(Outbox::default()).expect("the table has no limit")
    }

    pub(super) fn remove_channel(&mut self, channel: Key) {
        self.channels.remove(channel);
    }

    /// How many requests of the channel are taken on and not yet polled.
    pub(super) fn under_way(&self, channel: Key) -> usize {
        self.channels.get(channel).map_or(0, |outbox| outbox.under_way)
    }

    pub(super) fn poll(&mut self, channel: Key, done: &mut Vec<Done>) {
        if let Some(outbox) = self.channels.get_mut(channel) {
            outbox.under_way -= outbox.done.len();
            done.append(&mut outbox.done);
        }
    }

    pub(super) fn submit(&mut self, env: &mut dyn Env, channel: Key, io: Io) {
        if let Some(outbox) = self.channels.get_mut(channel) {
            outbox.under_way += 1;
        }
        if let Some(status) = self.settled(&io) {
            return self.complete(channel, &io, status);
        }
        let step = Step::first(io.op, self.info.can_punch);
        let request = Request { io, channel, step, bounce: Span::EMPTY };
        let key = self.requests.insert(request).expect("the table has no limit but the channels'");
        if !self.waiting.is_empty() || !self.start(env, key) {
            self.waiting.push_back(key);
            self.retry_if_idle(env);
        }
    }

    /// Takes a request back that the environment has seen nothing of.
    pub(super) fn withdraw(&mut self, channel: Key, tag: u64) -> bool {
        let can_punch = self.info.can_punch;
        let is_it = |request: &Request| {
            let begun = request.step != Step::first(request.io.op, can_punch) || !request.bounce.is_empty();
            request.channel == channel && request.io.tag == tag && !begun
        };
        let place = self.waiting.iter().position(|key| self.requests.get(*key).is_some_and(is_it));
        let Some(key) = place.and_then(|place| self.waiting.remove(place)) else { return false };
        self.requests.remove(key);
        if let Some(outbox) = self.channels.get_mut(channel) {
            outbox.under_way -= 1;
        }
        true
    }

    /// How the request ends without any operation, if it does.
    fn settled(&self, io: &Io) -> Option<Status> {
        if self.file.is_none() {
            return Some(Status::Gone);
        }
        let status = io.check(&self.info());
        let nothing_to_do = match io.op {
            Op::Flush => planted(Bug::FlushForgotten),
            Op::Discard => io.blocks == 0 || !self.info.can_punch,
            Op::Read | Op::Write | Op::Zero { .. } => io.blocks == 0,
            Op::Compare
            | Op::CompareWrite { .. }
            | Op::OrWrite
            | Op::Verify
            | Op::MarkBad
            | Op::Copy { .. }
            | Op::CryptoErase => false,
        };
        (status != Status::Ok || nothing_to_do).then_some(status)
    }

    /// Offers the request's next operation to the environment; false if it has to wait.
    fn start(&mut self, env: &mut dyn Env, key: Key) -> bool {
        let Some(request) = self.requests.get(key) else { return true };
        let (io, step) = (request.io, request.step);
        let Some(file) = self.file else {
            self.finish(env, key, Status::Gone);
            return true;
        };
        let Some(data) = self.memory(env, key) else { return false };
        let (offset, len) = self.geometry.range(io.lba, io.blocks);
        let Some((kind, offset)) = step.operation(&io, offset, len, data, self.zeros) else {
            self.finish(env, key, Status::Unsupported);
            return true;
        };
        let op = FileOp { owner: self.owner, tag: key.as_u64(), file, kind, offset };
        let taken = env.submit(op).is_ok();
        self.at_env += usize::from(taken);
        taken
    }

    /// The memory that the request's operation moves, with a write's bytes in it; `None` while there is no buffer.
    fn memory(&mut self, env: &mut dyn Env, key: Key) -> Option<Span> {
        let request = self.requests.get_mut(key)?;
        if matches!(request.step, Step::Pieces { .. }) && self.zeros.is_empty() {
            self.zeros = env.mem().take(PIECE_BYTES)?;
            env.mem().fill(self.zeros, 0);
        }
        let data = request.io.data;
        let aligned = data.offset.is_multiple_of(u64::from(self.info.alignment.max(1)));
        if aligned || !request.io.op.moves_data() {
            return Some(data);
        }
        if request.bounce.is_empty() {
            request.bounce = env.mem().take(data.len())?;
            if request.io.op == Op::Write {
                env.mem().copy(request.bounce, data);
            }
        }
        Some(request.bounce)
    }

    /// An operation of the environment is done.
    pub(super) fn handle_done(&mut self, env: &mut dyn Env, key: Key, result: Result<u32, IoError>) {
        let Some(request) = self.requests.get_mut(key) else { return };
        self.at_env -= 1;
        let (_, len) = self.geometry.range(request.io.lba, request.io.blocks);
        if request.step == Step::Whole && result == Err(IoError::Unsupported) && is_punch(request.io.op) {
            self.info.can_punch = false;
        }
        match request.step.next(&request.io, len, self.zeros, result) {
            Next::Finish(status) => self.finish(env, key, status),
            Next::Step(step) => {
                request.step = step;
                self.waiting.push_back(key);
            }
        }
        self.start_waiting(env);
        self.release_zeros(env);
    }

    fn start_waiting(&mut self, env: &mut dyn Env) {
        while let Some(&key) = self.waiting.front() {
            if !self.start(env, key) {
                break;
            }
            self.waiting.pop_front();
        }
        self.retry_if_idle(env);
    }

    fn retry_if_idle(&mut self, env: &dyn Env) {
        let nobody_tells = self.at_env == 0 && !self.waiting.is_empty();
        self.retry_at = nobody_tells.then(|| env.now() + RETRY);
    }

    pub(super) const fn deadline(&self) -> Option<Time> {
        self.retry_at
    }

    pub(super) fn handle_timeout(&mut self, env: &mut dyn Env) {
        if self.retry_at.is_some_and(|at| at <= env.now()) {
            self.start_waiting(env);
        }
    }

    /// The request is over: gives back what it took, and tells its channel.
    fn finish(&mut self, env: &mut dyn Env, key: Key, status: Status) {
        let Some(request) = self.requests.remove(key) else { return };
        let Request { io, channel, bounce, .. } = request;
        if !bounce.is_empty() {
            if io.op == Op::Read && status == Status::Ok {
                env.mem().copy(io.data, bounce);
            }
            env.mem().give(bounce);
        }
        self.complete(channel, &io, status);
    }

    fn complete(&mut self, channel: Key, io: &Io, status: Status) {
        let data = if io.op == Op::Read && status == Status::Ok { io.data } else { Span::EMPTY };
        // A channel that is gone does not want to know.
        if let Some(outbox) = self.channels.get_mut(channel) {
            outbox.done.push(Done { tag: io.tag, status, data });
        }
    }

    pub(super) fn rescan(&mut self, env: &mut dyn Env) -> Result<(), FileError> {
        let file = self.file.ok_or(IoError::NotFound)?;
        (self.geometry, self.info) = examine(env, file, Some(self.geometry.block_size()))?;
        Ok(())
    }

    pub(super) fn grow(&mut self, env: &mut dyn Env, blocks: u64) -> Result<(), Status> {
        let file = self.file.ok_or(Status::Gone)?;
        let grown = self.geometry.resized(blocks).map_err(|error| match error {
            GeometryError::TooLarge(_) => Status::NoSpace,
            GeometryError::BlockSize(_) | GeometryError::PhysicalBlockSize(_) | GeometryError::Empty => {
                Status::Unsupported
            }
        })?;
        if blocks < self.geometry.blocks() || self.info.is_device || self.read_only {
            return Err(Status::Unsupported);
        }
        if blocks > self.geometry.blocks() {
            env.resize_file(file, grown.bytes()).map_err(|error| status(error, Op::Write))?;
        }
        self.geometry = grown;
        Ok(())
    }

    /// Operations at the environment are let finish; what waits for it is gone.
    pub(super) fn close(&mut self, env: &mut dyn Env) {
        if let Some(file) = self.file.take() {
            self.start_waiting(env);
            env.close_file(file);
            self.release_zeros(env);
        }
    }

    fn release_zeros(&mut self, env: &mut dyn Env) {
        if self.file.is_none() && self.at_env == 0 && !self.zeros.is_empty() {
            env.mem().give(core::mem::replace(&mut self.zeros, Span::EMPTY));
        }
    }
}

const fn is_punch(op: Op) -> bool {
    matches!(op, Op::Zero { deallocate: true } | Op::Discard)
}

/// How many zeros are written at a time, in bytes.
const PIECE_BYTES: usize = 256 << 10;

/// When to offer an operation again that the environment, or the memory, had no room for while this file used none.
const RETRY: Duration = Duration::from_micros(200);
