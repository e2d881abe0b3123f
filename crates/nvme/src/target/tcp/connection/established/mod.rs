//! A connection with a queue: commands in, data both ways, responses out.
//!
//! - [`command`]: a command capsule becomes a slot, or its answer.
//! - [`immediate`]: or it is executed at once.
//! - [`data`]: data of the host lands, by its capsule or after an R2T.
//! - [`answer`]: the target's response becomes data and a response capsule.
//!
//! Nothing here ever refuses for want of room: what finds no slot, no buffer or no place among the answers is
//! [`Held`](super::hold::Held), and reading stops until there is. A command that waits for data of its host is the exception:
//! that data lies behind it in the stream, so it waits for its buffer in `waiting` while reading goes on.

mod answer;
mod command;
mod data;
mod immediate;

use super::super::Context;
use super::slots::{Removed, Slots, Stage};
use crate::target::submission::SubmissionQueue;
use crate::target::{Connected, QueueKey, Transfer};
use std::collections::VecDeque;
use stdx::planted::{Bug, planted};
use stdx::slab::Key;

/// The queue and its commands.
#[derive(Debug)]
pub(crate) struct Established {
    connection: Key,
    queue: QueueKey,
    queue_id: u16,
    controller_id: u16,
    submission_queue: SubmissionQueue,
    slots: Slots,
    /// What the target said of the command that is held.
    decided: Option<Transfer>,
    /// Slots that wait for a buffer to ask their host for data.
    waiting: VecDeque<u16>,
    /// Data that R2Ts have asked for and whose PDU has not begun to come, in bytes.
    asked_bytes: usize,
    /// Read data that commands being executed may come back with, in bytes.
    promised_bytes: usize,
    /// Headers that the answers of commands under way may take, in bytes.
    reserved_bytes: usize,
}

impl Established {
    /// The queue that Connect made.
    pub(super) fn new(connection: Key, connected: &Connected) -> Self {
        Self {
            connection,
            queue: connected.queue,
            queue_id: connected.queue_id,
            controller_id: connected.controller_id,
            submission_queue: SubmissionQueue::new(connected),
            slots: Slots::new(connected.entries as usize),
            decided: None,
            waiting: VecDeque::new(),
            asked_bytes: 0,
            promised_bytes: 0,
            reserved_bytes: 0,
        }
    }

    /// The queue's identifier.
    pub(crate) const fn queue_id(&self) -> u16 {
        self.queue_id
    }

    /// The controller the queue belongs to.
    pub(crate) const fn controller_id(&self) -> u16 {
        self.controller_id
    }

    /// Entries of the submission queue.
    pub(crate) const fn entries(&self) -> u32 {
        self.submission_queue.entries()
    }

    /// Commands under way.
    pub(crate) const fn outstanding(&self) -> usize {
        self.slots.executing() + self.slots.receiving()
    }

    /// Commands the target has.
    pub(super) const fn executing(&self) -> usize {
        self.slots.executing()
    }

    /// Whether commands are under way that will complete by themselves: an Asynchronous Event Request may never.
    pub(super) fn is_busy(&self) -> bool {
        self.slots.iter().any(|slot| self.queue_id != 0 || !command::is_patient(&slot.command))
    }

    /// Whether another command fits.
    pub(super) fn has_slot(&self) -> bool {
        self.slots.has_room()
    }

    /// Whether a command waits for a buffer.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether much data is on its way here.
    pub(super) const fn expects_data(&self) -> bool {
        self.asked_bytes >= ASKED_BYTES_MUCH
    }

    /// Read data under way here, in bytes.
    pub(super) const fn promised_bytes(&self) -> usize {
        self.promised_bytes
    }

    /// Headers that answers under way may take, in bytes.
    pub(super) const fn reserved_bytes(&self) -> usize {
        self.reserved_bytes
    }

    /// The connection ends: commands whose data was coming are forgotten, the others come back from the target.
    pub(super) fn give_up(&mut self, cx: &mut Context<'_>) {
        self.waiting.clear();
        while let Some(slot) = self.slots.any_receiving() {
            if let Some(removed) = self.remove(cx, slot)
                && !planted(Bug::BufferLeaked)
            {
                give(cx, &removed);
            }
        }
        cx.target.disconnect(cx.env, self.queue);
    }

    /// Empties a slot and settles its accounts. Its buffer is the caller's.
    fn remove(&mut self, cx: &mut Context<'_>, slot: u16) -> Option<Removed> {
        let removed = self.slots.remove(slot)?;
        self.promised_bytes -= removed.promised_bytes as usize;
        self.reserved_bytes -= removed.header_bytes as usize;
        if removed.solicited {
            cx.shard.solicited_bytes -= removed.buffer.len();
            self.asked_bytes -= removed.buffer.len() - removed.received as usize;
        }
        Some(removed)
    }

    /// Asserts what always holds.
    pub(super) fn check(&self) {
        self.slots.check();
        let sum = |of: fn(&super::slots::Slot) -> u32| {
            self.slots.iter().map(|slot| of(slot) as usize).sum::<usize>()
        };
        assert_eq!(self.promised_bytes, sum(|slot| slot.promised_bytes));
        assert_eq!(self.reserved_bytes, sum(|slot| slot.header_bytes));
        let asked = self.slots.iter().filter(|slot| slot.solicited);
        let asked = asked.map(|slot| slot.buffer.len() - slot.received as usize);
        assert_eq!(self.asked_bytes, asked.sum());
        for &slot in &self.waiting {
            let slot = self.slots.get(slot).expect("what waits is there");
            assert!(slot.stage == Stage::Receiving && slot.buffer.is_empty());
        }
    }

    /// How many buffers it holds, and how many bytes of them hosts were asked to fill.
    pub(super) fn buffers(&self) -> (usize, usize) {
        let held = self.slots.iter().filter(|slot| !slot.buffer.is_empty());
        let solicited = self.slots.iter().filter(|slot| slot.solicited).map(|slot| slot.buffer.len());
        (held.count(), solicited.sum())
    }
}

/// From how much data on it is worth keeping receives short, so that most of it comes by receives of its own.
const ASKED_BYTES_MUCH: usize = 32 << 10;

/// Gives a slot's buffer back, if it has one.
fn give(cx: &mut Context<'_>, removed: &Removed) {
    if !removed.buffer.is_empty() {
        cx.env.mem().give(removed.buffer);
    }
}
