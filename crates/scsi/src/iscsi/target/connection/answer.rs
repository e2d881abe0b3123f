//! The executor is done with a task, or with a task management request: the initiator is told.

use super::super::Context;
use super::super::session::{Stage, Task, give};
use super::Connection;
use super::outgoing::{Item, Owner, Reading, Response};
use crate::target::{Outcome, Transfer};
use stdx::mem::Span;
use stdx::planted::{Bug, planted};
use wire::iscsi::{DataInStatus, Residual, Serial, ServiceResponse};
use wire::iser::Header;
use wire::scsi::{Lun, Sense, SenseKey, Status};

impl Connection {
    /// A task has ended.
    pub(in super::super) fn handle_outcome(&mut self, cx: &mut Context<'_>, outcome: &Outcome) {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else { return };
        let Some(task) = session.tasks.get_mut(outcome.slot) else {
            debug_assert!(false, "the executor answers what it was given");
            return;
        };
        task.key = None;
        self.promised_bytes -= core::mem::take(&mut task.promised_bytes);
        let mut outcome = *outcome;
        match outcome.status {
            None if !task.damaged => return self.forget_task(cx, outcome.slot),
            None => {
                outcome.status = Some(Status::CheckCondition);
                outcome.sense = Some(CRC_ERROR);
            }
            Some(_) => {}
        }
        if !task.owed() {
            return self.answer(cx, outcome.slot, &outcome);
        }
        // Section 11.3.1: the initiator sends what it announced; the status comes after that.
        if task.stage == Stage::Waiting {
            session.waiting.retain(|waiting| *waiting != outcome.slot);
        }
        task.stage = Stage::Settling;
        // Data read is not sent while data is still owed: only commands that fail come here.
        outcome.data = Span::EMPTY;
        task.outcome = Some(outcome);
        if core::mem::take(&mut task.solicited) {
            cx.shard.solicited_bytes -= task.buffer.len();
        }
        give(cx.env, core::mem::replace(&mut task.buffer, Span::EMPTY));
        self.framer.forget(outcome.slot, true);
    }

    /// Tells the initiator how a task ended.
    pub(super) fn answer(&mut self, cx: &mut Context<'_>, slot: u32, outcome: &Outcome) {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else { return };
        let (Some(task), Some(status)) = (session.tasks.get(slot), outcome.status) else { return };
        let (tag, residual, r2ts) = (task.tag, residual(task, outcome), task.incoming.r2ts);
        let (lun, memory) = (task.request.lun, task.memory);
        let data = outcome.data.first(outcome.data.len().min(task.request.in_len as usize));
        let Some(buffer) = session.remove(slot, &mut cx.shard.solicited_bytes) else { return };
        let sense = outcome.sense;
        self.tell(cx, &Ended { tag, lun, status, sense, data, buffer, residual, r2ts, memory });
    }

    /// Says how a command ended.
    pub(super) fn tell(&mut self, cx: &mut Context<'_>, ended: &Ended) {
        let &Ended { tag, lun, status, sense, data, buffer, residual, r2ts, memory } = ended;
        if planted(Bug::CompletionLost) && self.outgoing.bytes() > 0 {
            return give(cx.env, buffer);
        }
        let own = !buffer.is_empty() && data.region == buffer.region && !data.is_empty();
        if !own {
            give(cx.env, buffer);
        }
        // What may be asked for again is kept apart from the status: as much of it as the limits allow.
        let kept_max = cx.shard.limits.kept_bytes_max;
        let is_kept = own
            && cx.shard.kept_bytes + buffer.len() <= kept_max
            && self.outgoing.push_kept_read(tag, lun, data, buffer);
        self.account_kept(cx);
        // Section 11.4.2: a status without sense data may come with the last data.
        let collapsed = sense.is_none() && status == Status::Good && !data.is_empty();
        let collapsed = collapsed && !self.outgoing.keeps() && self.rdma.is_none();
        let exp_data_sn = match self.rdma {
            // There are no Data-In and R2T PDUs to count (RFC 7145, section 7.3).
            Some(_) => 0,
            None if data.is_empty() => r2ts,
            None => self.outgoing.data_pdus(data.len),
        };
        if !data.is_empty() && !is_kept {
            self.outgoing.push(Item::Read(Reading {
                tag,
                data,
                owner: if own { Owner::Buffer(buffer) } else { Owner::Lent },
                offset: 0,
                end: data.len,
                data_sn: Serial(0),
                status: collapsed.then_some(DataInStatus { status: status as u8, residual }),
                memory: memory.read,
            }));
        }
        if !collapsed {
            self.outgoing.push(Item::Response(Response {
                tag,
                response: ServiceResponse::Completed,
                status,
                residual,
                exp_data_sn: Serial(exp_data_sn),
                sense,
                read_bytes: data.len,
                invalidate: self.invalidates(&memory),
            }));
        }
    }

    /// A task is gone, and nobody is told.
    pub(in super::super) fn forget_task(&mut self, cx: &mut Context<'_>, slot: u32) {
        self.framer.forget(slot, false);
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else { return };
        if let Some(buffer) = session.remove(slot, &mut cx.shard.solicited_bytes)
            && !planted(Bug::BufferLeaked)
        {
            give(cx.env, buffer);
        }
    }
}

/// How a command ended.
pub(super) struct Ended {
    pub(super) tag: u32,
    pub(super) lun: Lun,
    pub(super) status: Status,
    pub(super) sense: Option<Sense>,
    /// What it read, no longer than the initiator takes.
    pub(super) data: Span,
    /// The task's own buffer, if it has one: it goes back now, or when the data in it is sent.
    pub(super) buffer: Span,
    pub(super) residual: Residual,
    /// R2Ts that were sent for it.
    pub(super) r2ts: u32,
    /// The initiator's memory for its data.
    pub(super) memory: Header,
}

/// The difference between the data the initiator expected and what the command has (section 11.4.5).
pub(crate) fn residual(task: &Task, outcome: &Outcome) -> Residual {
    let request = &task.request;
    match task.transfer {
        Transfer::Out { len } | Transfer::Both { len } => Residual::between(request.out_len, len),
        Transfer::In { .. } => Residual::between(request.in_len, outcome.data.len),
        Transfer::None => Residual::between(request.out_len.max(request.in_len), 0),
    }
}

/// Protocol service CRC error (section 11.4.7.2).
const CRC_ERROR: Sense = Sense::new(SenseKey::AbortedCommand, 0x47, 0x05);
