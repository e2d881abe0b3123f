//! One queue: a connection of a host, and its commands.
//!
//! ```text
//!   Opening --> Connecting --> Established --> Ending
//!        \____________\_____________________^       the connection breaks, the host or the target ends it
//! ```
//!
//! ```text
//!                 data in the capsule, or none                       nothing is under way
//!   free --> Buffer ------------------------------> Executing --> Reply --> Replying --> free
//!               \--> Fetch --> Fetching --------------^
//!                    room to read the host's memory      room to write it and to send
//! ```
//!
//! Invariants: a command identifier is in use by at most one command that is not answered; a slot that is `Executing` is the
//! target's; one that is `Fetching` or `Replying` is the device's, though its response may wait for others to be written.

use super::super::identifiers::IdentifierSet;
use super::super::submission::SubmissionQueue;
use super::Context;
use super::list::List;
use crate::target::{Arrival, Connected, QueueKey, Request, Response};
use stdx::mem::Span;
use stdx::slab::Key;
use verbs::endpoint::Received;
use wire::nvme::rdma::QueueRequest;
use wire::nvme::{Status, SubmissionQueueEntry};

/// A host's queue, from the yes to its connection until nothing of it is left.
#[derive(Debug)]
pub(super) struct Queue {
    /// The target's name for the connection.
    pub(super) key: Key,
    /// The endpoint's.
    pub(super) connection: Key,
    pub(super) arrival: Arrival,
    pub(super) asked: QueueRequest,
    pub(super) phase: Phase,
    pub(super) established: Option<Established>,
    pub(super) slots: Vec<Slot>,
    /// The lists of slots that have one, by their places.
    pub(super) lists: Vec<Option<List>>,
    free: Vec<u16>,
    /// Slots that wait for a buffer or for room at the device, the longest first.
    stalled: Vec<u16>,
    pub(super) identifiers: IdentifierSet,
    /// Commands that are not answered.
    outstanding: usize,
    /// The endpoint has told that the connection is gone.
    pub(super) is_gone: bool,
}

/// The queue that a Connect made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Established {
    pub(super) queue: QueueKey,
    pub(super) controller_id: u16,
    pub(super) submission: SubmissionQueue,
}

/// What a queue is doing, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// The connection is being made.
    Opening,
    /// Connect is due.
    Connecting,
    /// It has a queue.
    Established,
    /// It is being ended.
    Ending,
}

/// A command under way.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) command: SubmissionQueueEntry,
    pub(super) stage: Stage,
    /// The message it came in, while its data is used from there.
    pub(super) received: Option<Received>,
    /// A buffer of the shard, or empty.
    pub(super) buffer: Span,
    /// Bytes that the buffer must have.
    pub(super) wanted: u32,
    /// The data comes from the host.
    pub(super) to_controller: bool,
    /// How it ended.
    pub(super) answer: Answer,
}

/// How far a command is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Nothing is there.
    Free,
    /// It waits for a buffer.
    Buffer,
    /// It waits for room to read the host's memory.
    Fetch,
    /// The host's memory is being read.
    Fetching,
    /// It is the target's.
    Executing,
    /// It waits for room to answer.
    Reply,
    /// The answer is on its way.
    Replying,
}

/// How a command ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) status: Status,
    pub(super) result: u64,
    /// Bytes of the buffer that are the host's.
    pub(super) len: u32,
    pub(super) queue_head: u16,
}

impl Queue {
    pub(super) fn new(key: Key, connection: Key, arrival: Arrival, asked: QueueRequest) -> Self {
        Self {
            key,
            connection,
            arrival,
            asked,
            phase: Phase::Opening,
            established: None,
            slots: Vec::new(),
            lists: Vec::new(),
            free: Vec::new(),
            stalled: Vec::new(),
            identifiers: IdentifierSet::default(),
            outstanding: 0,
            is_gone: false,
        }
    }

    /// Entries of the submission queue.
    pub(super) fn entries(&self) -> usize {
        usize::from(self.asked.host_send_size_zero_based) + 1
    }

    /// Commands that are not answered.
    pub(super) const fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Whether commands are under way that will complete by themselves: an Asynchronous Event Request may never.
    pub(super) fn is_busy(&self) -> bool {
        let is_admin = self.asked.queue_id == 0;
        let waits = |slot: &Slot| is_admin && slot.stage == Stage::Executing && is_patient(&slot.command);
        self.slots.iter().any(|slot| slot.stage != Stage::Free && !waits(slot))
    }

    /// Nothing is left of it.
    pub(super) fn is_over(&self) -> bool {
        self.is_gone && self.free.len() == self.slots.len()
    }

    pub(super) fn slot(&mut self, index: u16) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(index)).filter(|slot| slot.stage != Stage::Free)
    }

    /// Puts a command into a slot.
    pub(super) fn insert(&mut self, slot: Slot) -> u16 {
        self.outstanding += 1;
        match self.free.pop() {
            Some(index) => {
                self.slots[usize::from(index)] = slot;
                if let Some(list) = self.lists.get_mut(usize::from(index)) {
                    *list = None;
                }
                index
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u16
            }
        }
    }

    /// Answers a command: it is not outstanding any more, and its identifier may be used again.
    pub(super) fn answer(&mut self, cx: &mut Context<'_>, index: u16, status: Status, result: u64, len: u32) {
        let queue_head = self.queue_head();
        self.reply_with(cx, index, Answer { status, result, len, queue_head });
    }

    fn reply_with(&mut self, cx: &mut Context<'_>, index: u16, answer: Answer) {
        let Some(slot) = self.slot(index) else { return };
        slot.answer = answer;
        slot.stage = Stage::Reply;
        let (id, received) = (slot.command.command_id.get(), slot.received.take());
        self.give_up_identifier(id);
        if let Some(received) = received {
            cx.endpoint.release(cx.device, self.connection, received);
        }
        self.advance(cx, index);
    }

    fn give_up_identifier(&mut self, id: u16) {
        self.outstanding -= 1;
        self.identifiers.remove(id);
    }

    /// Empties a slot; its buffer is the shard's again.
    pub(super) fn free(&mut self, cx: &mut Context<'_>, index: u16) {
        let Some(slot) = self.slot(index) else { return };
        let is_answered = matches!(slot.stage, Stage::Reply | Stage::Replying);
        slot.stage = Stage::Free;
        let (buffer, received) = (core::mem::replace(&mut slot.buffer, Span::EMPTY), slot.received.take());
        let id = slot.command.command_id.get();
        if !buffer.is_empty() {
            cx.env.mem().give(buffer);
        }
        if let Some(received) = received {
            cx.endpoint.release(cx.device, self.connection, received);
        }
        if !is_answered {
            self.give_up_identifier(id);
        }
        self.free.push(index);
    }

    /// Takes a slot as far as it goes now.
    pub(super) fn advance(&mut self, cx: &mut Context<'_>, index: u16) {
        if !self.step(cx, index) {
            cx.counters.stalls += 1;
            self.stalled.push(index);
        }
    }

    /// Whether something waits for a buffer or for room.
    pub(super) fn is_stalled(&self) -> bool {
        !self.stalled.is_empty()
    }

    /// The connection is gone, and with it all that was under way.
    pub(super) fn handle_gone(&mut self, cx: &mut Context<'_>) {
        self.end(cx);
        self.is_gone = true;
    }

    /// Buffers or room may have come back.
    pub(super) fn retry(&mut self, cx: &mut Context<'_>) {
        let mut stalled = core::mem::take(&mut self.stalled);
        stalled.retain(|&index| !self.step(cx, index));
        debug_assert!(self.stalled.is_empty(), "a step does not stall others");
        self.stalled = stalled;
    }

    /// The target is done with a command.
    pub(super) fn handle_response(&mut self, cx: &mut Context<'_>, response: &Response) {
        let index = response.slot as u16;
        debug_assert!(self.slot(index).is_some_and(|slot| slot.stage == Stage::Executing));
        if self.phase == Phase::Ending {
            return self.free(cx, index);
        }
        self.answer(cx, index, response.status, response.result, response.data.len);
    }

    /// The answer to Connect has come.
    pub(super) fn handle_connected(
        &mut self,
        cx: &mut Context<'_>,
        outcome: &Result<Connected, crate::target::Refusal>,
    ) -> bool {
        let connecting = self.slots.iter().position(|slot| slot.stage == Stage::Executing);
        let Some(index) = connecting.filter(|_| self.phase == Phase::Connecting) else { return false };
        self.finish_connect(cx, index as u16, outcome);
        true
    }

    pub(super) fn finish_connect(
        &mut self,
        cx: &mut Context<'_>,
        index: u16,
        outcome: &Result<Connected, crate::target::Refusal>,
    ) {
        match outcome {
            Ok(connected) => {
                let submission = SubmissionQueue::new(connected);
                // A host learns by an SQHD of FFFFh that it need not follow the head (Base 6.3).
                let queue_head = if connected.flow_control_disabled { u16::MAX } else { submission.head() };
                self.established = Some(Established {
                    queue: connected.queue,
                    controller_id: connected.controller_id,
                    submission,
                });
                self.phase = Phase::Established;
                let (status, result) = (Status::SUCCESS, connected.result);
                self.reply_with(cx, index, Answer { status, result, len: 0, queue_head });
            }
            Err(refusal) => {
                cx.counters.connects_refused += 1;
                self.answer(cx, index, refusal.status, refusal.result, 0);
            }
        }
    }

    /// Gives a command to the target.
    pub(super) fn submit(&mut self, cx: &mut Context<'_>, index: u16, data: Span) {
        let (connection, established) = (self.key, self.established);
        let Some(slot) = self.slot(index) else { return };
        slot.stage = Stage::Executing;
        let command = slot.command;
        match established {
            Some(established) => {
                let request = Request { connection, slot: index.into(), command, data };
                cx.target.submit(cx.env, established.queue, request);
            }
            None => self.connect(cx, index, data),
        }
    }

    /// The connection ends: what waits is given up, and the target is told.
    pub(super) fn end(&mut self, cx: &mut Context<'_>) {
        if core::mem::replace(&mut self.phase, Phase::Ending) == Phase::Ending {
            return;
        }
        self.stalled.clear();
        let established = self.established.take();
        for index in 0..self.slots.len() as u16 {
            match self.slots[usize::from(index)].stage {
                Stage::Buffer | Stage::Fetch | Stage::Reply => self.free(cx, index),
                // Only Connect is the target's while there is no queue, and it is forgotten with the connection.
                Stage::Executing if established.is_none() => {
                    cx.target.forget_connect(self.key);
                    self.free(cx, index);
                }
                Stage::Free | Stage::Fetching | Stage::Executing | Stage::Replying => {}
            }
        }
        if let Some(established) = established {
            cx.target.disconnect(cx.env, established.queue);
        }
    }

    fn queue_head(&self) -> u16 {
        self.established.map_or(0, |established| established.submission.head())
    }

    /// Asserts what always holds; says how many buffers it holds.
    pub(super) fn check(&self) -> usize {
        let used = |slot: &&Slot| slot.stage != Stage::Free;
        assert_eq!(self.slots.iter().filter(used).count() + self.free.len(), self.slots.len());
        let answered = |slot: &&Slot| matches!(slot.stage, Stage::Reply | Stage::Replying);
        let outstanding = self.slots.iter().filter(used).filter(|slot| !answered(slot)).count();
        assert_eq!(outstanding, self.outstanding);
        assert_eq!(self.identifiers.len(), self.outstanding);
        for &index in &self.stalled {
            let stage = self.slots[usize::from(index)].stage;
            assert!(matches!(stage, Stage::Buffer | Stage::Fetch | Stage::Reply), "{stage:?}");
        }
        self.slots.iter().filter(|slot| !slot.buffer.is_empty()).count()
    }
}

/// Whether a command waits for something that may never happen.
fn is_patient(command: &SubmissionQueueEntry) -> bool {
    command.opcode == wire::nvme::AdminOpcode::AsynchronousEventRequest.code()
}
