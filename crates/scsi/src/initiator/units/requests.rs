//! Requests of all channels: from submission through commands, possibly several each, to completion.
//!
//! ```text
//!   submit --> waiting ----room on its way, connected----> sent --last answer--> done
//!                 ^                                       |  |
//!                 +---------- connection lost ------------+  +-- "try again" --> parked (a moment) --> waiting
//! ```
//!
//! Invariant: a request is in the table from submission to completion, and completed by [`Units::finish`] alone.

use super::{LIST_LEN, Reach, Record, SCAN_TOKEN, Units};
use crate::initiator::command::Piece;
use crate::initiator::status::{Answer, answer_of};
use crate::initiator::{Carrier, Command, Ending};
use block::replay::Range;
use block::{Done, Info, Io, Op, Refused, Status};
use core::time::Duration;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::scsi::Lun;

/// A request of a channel.
#[derive(Debug)]
pub(super) struct Request {
    pub io: Io,
    pub lun: u16,
    pub channel: Key,
    /// The way its channel uses.
    way: usize,
    /// The order of submission.
    pub serial: u64,
    /// Blocks that commands were sent for.
    issued: u32,
    /// Commands outstanding.
    pub parts: u32,
    /// A command was sent since it was last known not to have run.
    pub sent: bool,
    /// Its last command was an UNMAP.
    unmaps: bool,
    /// All blocks are written; what remains is to make them durable.
    flushing: bool,
    /// The first failure of its commands.
    failed: Option<Answer>,
    /// How many writes were answered before it was submitted.
    pub answered_before: u64,
    pub aborted: bool,
    retries: u8,
}

/// A channel's completions.
#[derive(Debug)]
pub(super) struct ChannelState {
    way: usize,
    done: Vec<Done>,
}

impl Request {
    pub fn range(&self) -> Range {
        Range { volume: u64::from(self.lun), lba: self.io.lba, blocks: self.io.blocks }
    }

    /// It begins anew.
    pub fn rewind(&mut self) {
        (self.issued, self.parts) = (0, 0);
        self.flushing = false;
        self.failed = None;
        self.aborted = false;
    }

    /// How many blocks (for a flush: how many flushes) make it.
    fn total(&self) -> u32 {
        if self.flushing || self.io.op == Op::Flush { 1 } else { self.io.blocks }
    }
}

impl Units {
    /// A new channel, if there may be one more.
    pub fn open_channel(&mut self) -> Option<Key> {
        let way = self.next_way;
        self.next_way = self.next_way.wrapping_add(1);
        self.channels.insert(ChannelState { way, done: Vec::new() }).ok()
    }

    /// The channel's owner is gone; requests still under way complete to nobody.
    pub fn close_channel(&mut self, channel: Key) {
        self.channels.remove(channel);
    }

    /// The logical unit numbers of the disks there are.
    pub fn luns(&self) -> Vec<u16> {
        self.records.keys().copied().collect()
    }

    /// What is known of a disk.
    pub fn record(&self, lun: u16) -> Option<&Record> {
        self.records.get(&lun)
    }

    /// A disk is used (again).
    pub fn open_disk(&mut self, lun: u16) {
        if let Some(record) = self.records.get_mut(&lun) {
            record.closed = false;
        }
    }

    /// A disk is used no more: its requests complete as gone.
    pub fn close_disk(&mut self, lun: u16) {
        if let Some(record) = self.records.get_mut(&lun) {
            record.closed = true;
        }
        self.drop_requests_of(lun);
    }

    /// What a disk is now; `None` if it is gone.
    pub fn disk_info(&self, lun: u16) -> Option<Info> {
        let record = self.records.get(&lun).filter(|record| !record.closed)?;
        (self.reach != Reach::Never).then(|| Info { offline: !self.is_live(), ..record.info })
    }

    /// A request of a channel.
    pub fn submit(
        &mut self,
        env: &mut dyn Env,
        carrier: &mut dyn Carrier,
        channel: Key,
        lun: u16,
        io: Io,
    ) -> Result<(), Refused> {
        let Some(state) = self.channels.get(channel) else { return Err(Refused(io)) };
        let way = state.way;
        if let Some(status) = self.answer_at_once(env, lun, &io) {
            self.tell(channel, Done { tag: io.tag, status, data: io.data });
            return Ok(());
        }
        let request = Request {
            io,
            lun,
            channel,
            way,
            serial: self.next_serial,
            issued: 0,
            parts: 0,
            sent: false,
            unmaps: false,
            flushing: false,
            failed: None,
            answered_before: self.acknowledged.count(),
            aborted: false,
            retries: 0,
        };
        let key = self.requests.insert(request).map_err(|request| Refused(request.io))?;
        self.next_serial += 1;
        // Those that wait were tried when there was room last; other ways need not wait with them.
        let behind = carrier.ways() == 1 && !self.waiting.is_empty();
        if !self.is_live() || behind || !self.issue(env, carrier, key) {
            self.waiting.push_back(key);
        }
        Ok(())
    }

    /// A request of a channel whose target was freed: there is nothing to wait for, so it is not refused.
    pub fn answer_gone(&mut self, channel: Key, io: &Io) {
        self.tell(channel, Done { tag: io.tag, status: Status::Gone, data: Span::EMPTY });
    }

    /// The answer to requests that need no command.
    fn answer_at_once(&self, env: &dyn Env, lun: u16, io: &Io) -> Option<Status> {
        let Some(info) = self.disk_info(lun) else { return Some(Status::Gone) };
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

    /// Sends the commands of a request, as far as there is room. True once all are sent.
    fn issue(&mut self, env: &mut dyn Env, carrier: &mut dyn Carrier, key: Key) -> bool {
        let ways = carrier.ways();
        let Some(request) = self.requests.get_mut(key) else { return true };
        let Some(record) = self.records.get(&request.lun) else {
            if request.parts == 0 {
                self.finish(key, Status::Gone);
            }
            return true;
        };
        if gives_nothing_back(request.io.op, record) {
            if request.parts == 0 {
                self.finish(key, Status::Ok);
            }
            return true;
        }
        if ways == 0 {
            return false;
        }
        let way = request.way % ways;
        let list = self.lists.slice(key.index() * LIST_LEN, LIST_LEN);
        while request.issued < request.total() && request.failed.is_none() {
            let piece = match request.flushing {
                true => Piece::flush(),
                false => Piece::of(&request.io, request.issued, record, list, self.zeros),
            };
            if let Some(bytes) = piece.list {
                // The list is in use until its command is answered: one at a time.
                if request.parts > 0 {
                    return true;
                }
                env.mem().write(list, &bytes);
            }
            let lun = Lun::from_number(request.lun);
            let command = Command { lun, cdb: piece.cdb, data: piece.data, token: key.as_u64() };
            if carrier.submit(env, way, &command).is_err() {
                return false;
            }
            request.sent = true;
            request.unmaps = piece.list.is_some();
            request.issued += piece.blocks;
            request.parts += 1;
        }
        true
    }

    /// Sends what waits, each way's in its order. One without room does not hold back the others.
    pub fn issue_waiting(&mut self, env: &mut dyn Env, carrier: &mut dyn Carrier) {
        let ways = carrier.ways().max(1);
        let (mut place, mut full) = (0, 0u64);
        while self.is_live() && place < self.waiting.len() && (full.count_ones() as usize) < ways {
            let Some(&key) = self.waiting.get(place) else { break };
            let way = self.requests.get(key).map_or(0, |request| request.way % ways);
            if full & 1 << way != 0 {
                place += 1;
                continue;
            }
            self.waiting.remove(place);
            if !self.issue(env, carrier, key) {
                full |= 1 << way;
                self.waiting.insert(place, key);
                place += 1;
            }
        }
        carrier.flush(env);
    }

    /// A command of a request has ended.
    pub(super) fn handle_part_done(
        &mut self,
        env: &mut dyn Env,
        carrier: &mut dyn Carrier,
        token: u64,
        ending: &Ending,
    ) {
        let key = Key::from_u64(token);
        let mut answer = answer_of(ending);
        let Some(request) = self.requests.get_mut(key) else { return };
        request.parts = request.parts.saturating_sub(1);
        // Blocks of which less moved than was to are not read, or not written, whatever the status says.
        if answer == Answer::Done(Status::Ok) && !ending.is_exact && !request.flushing {
            match request.io.op {
                Op::Read => answer = Answer::Done(Status::ReadError),
                Op::Write => answer = Answer::Done(Status::WriteError),
                // How much these move is seen in more ways than one: tgt says that of an UNMAP's list nothing does.
                _without_blocks => {}
            }
        }
        if answer == Answer::Done(Status::Unsupported)
            && let Some(record) = self.records.get_mut(&request.lun)
        {
            answer = other_way(request, record).unwrap_or(answer);
        }
        if answer != Answer::Done(Status::Ok) {
            request.failed.get_or_insert(answer);
        }
        if request.parts == 0 {
            self.handle_parts_done(env, carrier, key);
        }
    }

    /// No command of the request is outstanding: it goes on, is done, or is tried again.
    fn handle_parts_done(&mut self, env: &mut dyn Env, carrier: &mut dyn Carrier, key: Key) {
        let Some(request) = self.requests.get_mut(key) else { return };
        match request.failed {
            None if request.issued < request.total() => {
                // It waits for room already, or for this very answer.
                if !self.waiting.contains(&key) {
                    self.waiting.push_back(key);
                }
            }
            None => {
                let record = self.records.get(&request.lun);
                let durable = record.is_none_or(|record| Piece::is_durable(&request.io, record));
                if request.flushing || durable {
                    return self.finish(key, Status::Ok);
                }
                (request.flushing, request.issued) = (true, 0);
                self.waiting.push_back(key);
            }
            Some(Answer::Done(status)) => self.finish(key, status),
            Some(Answer::Again(status)) if request.retries >= RETRIES_MAX => self.finish(key, status),
            Some(Answer::Attention(_)) if request.retries >= RETRIES_MAX => self.finish(key, Status::Aborted),
            Some(Answer::Again(_)) => {
                request.rewind();
                request.retries += 1;
                self.waiting.retain(|waiting| *waiting != key);
                self.parked.push(key);
                self.parked_until.get_or_insert(env.now() + RETRY_DELAY);
            }
            Some(Answer::Attention(look)) => {
                request.rewind();
                request.retries += 1;
                if !self.waiting.contains(&key) {
                    self.waiting.push_back(key);
                }
                if look && self.is_live() {
                    self.begin_look(env, carrier);
                }
            }
        }
    }

    /// The moment is over: parked requests are tried again.
    pub(super) fn unpark(&mut self) {
        self.parked_until = None;
        self.waiting.extend(self.parked.drain(..));
    }

    /// Completes a request. Only its channel still knows of it afterwards.
    pub(super) fn finish(&mut self, key: Key, status: Status) {
        let Some(request) = self.requests.remove(key) else { return };
        if self.waiting.front() == Some(&key) {
            self.waiting.pop_front();
        } else if request.issued < request.total() {
            self.waiting.retain(|waiting| *waiting != key);
        }
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

    /// Appends what of a channel is done.
    pub fn take_done(&mut self, channel: Key, done: &mut Vec<Done>) {
        if let Some(state) = self.channels.get_mut(channel) {
            done.append(&mut state.done);
        }
    }
}

/// A disk has not the command for this, whatever its pages say: is there another way?
fn other_way(request: &Request, record: &mut Record) -> Option<Answer> {
    match request.io.op {
        Op::Zero { .. } if record.write_same_blocks_max > 0 => record.write_same_blocks_max = 0,
        Op::Discard if request.unmaps => record.unmap_blocks_max = 0,
        Op::Discard => record.write_same_blocks_max = 0,
        _only_way => return None,
    }
    Some(Answer::Attention(false))
}

/// True if there is no command by which the disk would give space back. It need not.
fn gives_nothing_back(op: Op, record: &Record) -> bool {
    op == Op::Discard && record.unmap_blocks_max == 0 && record.write_same_blocks_max == 0
}

const _: () = assert!(SCAN_TOKEN as u32 == u32::MAX, "no request has a place like that");

/// How often a command is tried again that the target says may succeed later.
const RETRIES_MAX: u8 = 20;
/// How long to wait before it is.
const RETRY_DELAY: Duration = Duration::from_millis(100);
