//! A session: an I_T nexus with its order of commands and its tasks, whichever connections carry them.
//!
//! What it is not: it has no stream. Connections look it up by its key, and the server ends it.
//!
//! Invariants: it lives as long as the executor has a task of it; a session without connections takes nothing more.

mod end;
mod pieces;
mod recovery;
mod tasks;
mod window;

pub(crate) use pieces::{Arrival, Misplaced, Pieces};
pub(crate) use recovery::Stranded;
pub(crate) use tasks::{Incoming, Request, Stage, Task, Tasks};
pub(crate) use window::{Parked, Turn, Window};

use crate::iscsi::IscsiName;
use crate::iscsi::login::Parameters;
use crate::target::{NexusKey, Outcome};
use std::collections::VecDeque;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::iscsi::{Bhs, Isid};

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Who has it, and where.
    pub name: SessionName,
    /// The target's part of its name.
    pub tsih: u16,
    /// What was agreed on.
    pub parameters: Parameters,
    /// Its nexus; a discovery session has none.
    pub nexus: Option<NexusKey>,
    /// Its connections, with their CIDs.
    pub connections: Vec<(u16, Key)>,
    /// The order of its commands.
    pub window: Window,
    /// Its tasks.
    pub tasks: Tasks,
    /// Tasks that wait for a buffer, in the order they are to get one.
    pub waiting: VecDeque<u32>,
    /// PDUs that became due by what another connection received.
    pub ready: VecDeque<(Key, Bhs, Span)>,
    /// Task management requests that wait for commands before them, with the connections they came by.
    pub postponed: VecDeque<(Key, Bhs)>,
    /// CIDs and connections that were lost, and whose tasks wait for another.
    pub lost: Vec<(u16, Key)>,
    /// Outcomes of such tasks.
    pub stranded: Vec<Stranded>,
    /// Task management requests the executor has.
    pub managements: Vec<ManagementUnderway>,
    /// The name of the next of them.
    pub next_management: u32,
    /// It has ended; tasks of it may still be the executor's.
    pub ended: bool,
}

/// What tells sessions apart (RFC 7143, section 4.4.3.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SessionName {
    /// The initiator's name.
    pub initiator: IscsiName,
    /// The initiator's part of the session's name.
    pub isid: Isid,
    /// The target's name; `None` for discovery.
    pub target: Option<IscsiName>,
    /// The portal group.
    pub portal_group: u16,
}

/// A task management request that the executor has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ManagementUnderway {
    /// What the executor calls it.
    pub slot: u32,
    /// Whom to tell, and the tag of the request; `None`: it was our own.
    pub asked: Option<(Key, u32)>,
    /// It was a TARGET COLD RESET.
    pub cold: bool,
}

impl Session {
    /// Whether nothing is left of it.
    pub(crate) fn is_over(&self) -> bool {
        self.connections.is_empty() && self.tasks.len() == 0
    }

    /// A task is answered, or will not be: its slot is free, its accounts are settled. What comes back is its buffer.
    pub(crate) fn remove(&mut self, slot: u32, solicited_bytes: &mut usize) -> Option<Span> {
        let task = self.tasks.get_mut(slot)?;
        let buffer = task.buffer;
        if task.solicited {
            *solicited_bytes -= task.buffer.len();
        }
        if task.is_numbered() {
            self.window.answered();
        }
        if task.stage == Stage::Waiting {
            self.waiting.retain(|waiting| *waiting != slot);
        }
        self.tasks.remove(slot);
        Some(buffer)
    }

    /// The name of a task management request of our own.
    pub(crate) fn own_management(&mut self) -> u32 {
        let slot = self.next_management;
        self.next_management = slot.wrapping_add(1);
        self.managements.push(ManagementUnderway { slot, asked: None, cold: false });
        slot
    }

    /// The connection of a task is gone. A task the executor does not have is gone with it; its number is not waited for.
    /// Of the others, the buffer is given up unless the executor has it.
    pub(crate) fn detach(&mut self, env: &mut dyn Env, slot: u32, solicited_bytes: &mut usize) {
        let Some(task) = self.tasks.get_mut(slot) else { return };
        if task.key.is_some() {
            if task.stage != Stage::Executing {
                if core::mem::take(&mut task.solicited) {
                    *solicited_bytes -= task.buffer.len();
                }
                give(env, core::mem::replace(&mut task.buffer, Span::EMPTY));
            }
            return;
        }
        if task.stage == Stage::Parked {
            let number = task.request.cmd_sn;
            self.window.forget_task(number);
        }
        if let Some(buffer) = self.remove(slot, solicited_bytes) {
            give(env, buffer);
        }
    }

    /// The session has ended: what the executor does not have is given up.
    pub(crate) fn give_up(&mut self, env: &mut dyn Env, solicited_bytes: &mut usize) {
        for parked in self.window.clear() {
            if let Parked::Pdu { data, .. } = parked {
                give(env, data);
            }
        }
        for (_, _, data) in self.ready.drain(..) {
            give(env, data);
        }
        self.managements.clear();
        self.postponed.clear();
        self.lost.clear();
        for slot in self.tasks.slots(None) {
            self.detach(env, slot, solicited_bytes);
        }
    }

    /// The outcome of a task that nobody is to be told of.
    pub(crate) fn drop_outcome(&mut self, env: &mut dyn Env, solicited_bytes: &mut usize, outcome: &Outcome) {
        if let Some(buffer) = self.remove(outcome.slot, solicited_bytes) {
            give(env, buffer);
        }
    }

    /// How many buffers it holds, and how many bytes of them initiators were asked to fill.
    pub(crate) fn buffers(&self) -> (usize, usize) {
        let tasks = self.tasks.iter().filter(|(_, task)| !task.buffer.is_empty()).count();
        let tasks = tasks + self.stranded.iter().filter(|stranded| stranded.read.is_some()).count();
        let ready = self.ready.iter().filter(|(_, _, data)| !data.is_empty()).count();
        let solicited = self.tasks.iter().filter(|(_, task)| task.solicited);
        let solicited = solicited.map(|(_, task)| task.buffer.len()).sum();
        (tasks + ready + self.window.buffers(), solicited)
    }

    /// Bytes of read data that is kept for lost connections.
    pub(crate) fn stranded_bytes(&self) -> usize {
        self.stranded.iter().map(Stranded::bytes).sum()
    }

    /// Asserts what always holds.
    pub(crate) fn check(&self) {
        let is_lost = |connection: Key| self.lost.iter().any(|(_, of)| *of == connection);
        assert!(self.stranded.iter().all(|stranded| is_lost(stranded.connection)));
        self.tasks.check();
        let numbered = |(_, task): &(u32, &Task)| task.is_numbered();
        self.window.check(self.tasks.iter().filter(numbered).count());
        for &slot in &self.waiting {
            assert_eq!(self.tasks.get(slot).map(|task| task.stage), Some(Stage::Waiting));
        }
    }
}

/// Gives a buffer back, if there is one.
pub(crate) fn give(env: &mut dyn Env, buffer: Span) {
    if !buffer.is_empty() {
        env.mem().give(buffer);
    }
}
