//! A command's turn has come: it enters its task set, gets a buffer, and is submitted when its data is there.

use super::super::session::{Parked, Stage, Task, give};
use super::super::{Context, Order};
use super::Connection;
use super::hold::Problem;
use super::outgoing::Item;
use crate::target::{Command, Function, Management, TaskAttribute, Transfer};
use stdx::mem::Span;
use stdx::planted::{Bug, planted};
use wire::iscsi::{Bhs, ScsiCommand, Serial};

impl Connection {
    /// What became due by what has come: commands of any connection, PDUs of this one.
    pub(super) fn deliver(&mut self, cx: &mut Context<'_>) -> Result<(), Problem> {
        while let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) {
            let Some(parked) = session.window.due() else { break };
            session.window.advance(matches!(parked, Parked::Task(_)));
            match parked {
                Parked::Gone => {}
                Parked::Task(slot) => self.begin(cx, slot),
                Parked::Pdu { connection, bhs, data } if connection == self.key => {
                    self.execute(cx, &bhs, data)?;
                }
                Parked::Pdu { connection, bhs, data } => {
                    session.ready.push_back((connection, bhs, data));
                    cx.shard.orders.push_back(Order::Visit(connection));
                }
            }
        }
        self.deliver_postponed(cx)
    }

    /// Task management that waited for the commands it is about.
    fn deliver_postponed(&mut self, cx: &mut Context<'_>) -> Result<(), Problem> {
        while let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) {
            let window = &session.window;
            let is_due = |(_, bhs): &(_, Bhs)| !window.has_missing_before(ScsiCommand::number(bhs));
            let Some(place) = session.postponed.iter().position(is_due) else { return Ok(()) };
            let Some((connection, bhs)) = session.postponed.remove(place) else { return Ok(()) };
            if connection == self.key {
                self.execute(cx, &bhs, Span::EMPTY)?;
            } else {
                session.ready.push_back((connection, bhs, Span::EMPTY));
                cx.shard.orders.push_back(Order::Visit(connection));
            }
        }
        Ok(())
    }

    /// A task enters its task set.
    pub(super) fn begin(&mut self, cx: &mut Context<'_>, slot: u32) {
        let key = self.session;
        let ordered = key.and_then(|key| cx.shard.sessions.get(key)?.tasks.get(slot));
        let ordered = ordered.is_some_and(|task| task.request.attribute != TaskAttribute::Simple);
        // What was read before an ordered command is what was there before it.
        if ordered && !self.settle(cx) {
            return self.leave(cx);
        }
        let Some(session) = key.and_then(|key| cx.shard.sessions.get_mut(key)) else { return };
        let (Some(nexus), Some(task)) = (session.nexus, session.tasks.get_mut(slot)) else { return };
        let request = task.request;
        let command = Command {
            nexus,
            slot,
            lun: request.lun,
            tag: u64::from(task.tag),
            attribute: request.attribute,
            cdb: request.cdb,
            data_out_len: request.out_len,
            data_in_len: request.in_len,
        };
        let begun = cx.executor.begin(cx.env, &command);
        task.key = Some(begun.task);
        task.transfer = begun.transfer;
        task.stage = Stage::Waiting;
        task.incoming.wanted = match begun.transfer {
            Transfer::None | Transfer::In { .. } => 0,
            Transfer::Out { len } | Transfer::Both { len } => len.min(request.out_len),
        };
        let connection = task.connection;
        session.waiting.push_back(slot);
        if connection == self.key {
            let _started = self.feed(cx);
        } else {
            cx.shard.orders.push_back(Order::Visit(connection));
        }
    }

    /// Gives tasks of this connection the buffers they wait for, in their order, as far as there are any. What has all it
    /// needs goes past those who wait: they may be waiting for just what it holds. True if any task went on.
    pub(in super::super) fn feed(&mut self, cx: &mut Context<'_>) -> bool {
        let (mut place, mut any, mut short) = (0, false, false);
        while let Some(session) = self.session.and_then(|key| cx.shard.sessions.get(key)) {
            let Some(&slot) = session.waiting.get(place) else { break };
            let mine = session.tasks.get(slot).filter(|task| task.connection == self.key);
            let is_mine = mine.is_some();
            let goes_past = |task: &Task| task.has_all_it_needs() && !planted(Bug::BuffersInOrder);
            if mine.is_some_and(|task| !short || goes_past(task)) && self.start(cx, slot) {
                any = true;
            } else {
                short |= is_mine;
                place += 1;
            }
        }
        any
    }

    /// Whether tasks of this connection wait for buffers.
    pub(super) fn is_waiting(&self, cx: &Context<'_>) -> bool {
        let session = self.session.and_then(|key| cx.shard.sessions.get(key));
        session.is_some_and(|session| {
            let mine = |slot: &u32| session.tasks.get(*slot).is_some_and(|task| task.connection == self.key);
            session.waiting.iter().any(mine)
        })
    }

    /// A waiting task goes on, if what it needs is there.
    fn start(&mut self, cx: &mut Context<'_>, slot: u32) -> bool {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else { return false };
        let Some(task) = session.tasks.get_mut(slot) else { return false };
        let buffer = match task.transfer {
            Transfer::Out { .. } | Transfer::Both { .. } if task.incoming.wanted > 0 => {
                return self.start_write(cx, slot);
            }
            Transfer::In { len, lent } if len > 0 => {
                let len = len as usize;
                let lent = lent && self.lends();
                let limits = &cx.shard.limits;
                let ahead_max = if lent { limits.lent_ahead_bytes_max } else { limits.read_ahead_bytes_max };
                let ahead = self.outgoing.bytes() + self.promised_bytes;
                if ahead > 0 && ahead + len > ahead_max {
                    return false;
                }
                let buffer = if lent { Some(Span::EMPTY) } else { cx.env.mem().take(len) };
                let Some(buffer) = buffer else { return false };
                task.promised_bytes = len;
                self.promised_bytes += len;
                buffer
            }
            Transfer::None | Transfer::Out { .. } | Transfer::Both { .. } | Transfer::In { .. } => {
                Span::EMPTY
            }
        };
        // Data that comes although it is not wanted is not kept.
        if core::mem::take(&mut task.solicited) {
            cx.shard.solicited_bytes -= task.buffer.len();
        }
        give(cx.env, core::mem::replace(&mut task.buffer, buffer));
        task.stage = Stage::Executing;
        let key = task.key;
        session.waiting.retain(|waiting| *waiting != slot);
        self.framer.forget(slot, true);
        if let Some(key) = key {
            cx.executor.submit(cx.env, key, buffer);
        }
        true
    }

    /// A task that takes data of the initiator's gets the buffer for all of it.
    fn start_write(&mut self, cx: &mut Context<'_>, slot: u32) -> bool {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else { return false };
        let Some(task) = session.tasks.get_mut(slot) else { return false };
        let wanted = task.incoming.wanted as usize;
        if task.buffer.len() < wanted {
            // What is landing in the small buffer is waited for.
            let taken = cx.shard.solicited_bytes;
            let over = taken > 0 && taken + wanted > cx.shard.limits.solicited_bytes_max;
            if over || task.incoming.landing {
                return false;
            }
            let Some(buffer) = cx.env.mem().take(wanted) else { return false };
            let early = task.early_len().min(wanted);
            if early > 0 {
                cx.env.mem().copy(buffer.first(early), task.buffer.first(early));
            }
            give(cx.env, core::mem::replace(&mut task.buffer, buffer));
            cx.shard.solicited_bytes += wanted;
            task.solicited = true;
        }
        task.stage = Stage::Receiving;
        session.waiting.retain(|waiting| *waiting != slot);
        self.progress(cx, slot);
        true
    }

    /// Data of a task has come, or can: asks for more of it, or submits the task.
    pub(super) fn progress(&mut self, cx: &mut Context<'_>, slot: u32) {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else { return };
        let Some(task) = session.tasks.get_mut(slot).filter(|task| task.stage == Stage::Receiving) else {
            return;
        };
        if task.damaged && !task.owed() {
            return self.abort(cx, slot);
        }
        if task.is_complete() {
            if core::mem::take(&mut task.solicited) {
                cx.shard.solicited_bytes -= task.buffer.len();
            }
            task.stage = Stage::Executing;
            let data = task.buffer.first(task.incoming.wanted as usize);
            if let Some(key) = task.key {
                cx.executor.submit(cx.env, key, data);
            }
            return;
        }
        if task.pieces.is_some() {
            return self.ask_for_pieces(cx, slot);
        }
        let incoming = &mut task.incoming;
        if incoming.unsolicited || task.damaged {
            return;
        }
        if self.rdma.is_some() {
            return self.ask_for_all(cx, slot);
        }
        if incoming.asked == 0 {
            (incoming.solicited_start, incoming.asked) = (incoming.received, incoming.received);
        }
        let burst = session.parameters.max_burst_len;
        let open_max = u32::from(session.parameters.max_outstanding_r2t);
        while incoming.asked < incoming.wanted && incoming.outstanding(burst) < open_max {
            let length = burst.min(incoming.wanted - incoming.asked);
            self.outgoing.push(Item::R2t {
                lun: task.request.lun,
                tag: task.tag,
                transfer_tag: slot << 16 | incoming.r2ts & 0xffff,
                r2t_sn: Serial(incoming.r2ts),
                offset: incoming.asked,
                length,
            });
            incoming.asked += length;
            incoming.r2ts += 1;
        }
    }

    /// Asks for what has not come, or was damaged: a recovery R2T is like any other (section 11.8), and takes the next number.
    fn ask_for_pieces(&mut self, cx: &mut Context<'_>, slot: u32) {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else { return };
        let burst = session.parameters.max_burst_len;
        let open_max = usize::from(session.parameters.max_outstanding_r2t);
        let Some(task) = session.tasks.get_mut(slot) else { return };
        let Some(pieces) = task.pieces.as_mut().filter(|pieces| !pieces.is_unsolicited()) else { return };
        let incoming = &mut task.incoming;
        while !task.damaged
            && pieces.outstanding() < open_max
            && let Some(range) = pieces.next_to_ask(incoming.wanted, burst)
        {
            let r2t_sn = Serial(incoming.r2ts);
            let transfer_tag = slot << 16 | incoming.r2ts & 0xffff;
            incoming.r2ts += 1;
            cx.shard.counters.recovery_r2ts += u64::from(range.start < incoming.asked);
            incoming.asked = incoming.asked.max(range.end);
            let (offset, length) = (range.start, range.end - range.start);
            pieces.expect(transfer_tag, r2t_sn, range);
            let (lun, tag) = (task.request.lun, task.tag);
            self.outgoing.push(Item::R2t { lun, tag, transfer_tag, r2t_sn, offset, length });
        }
    }

    /// Has the executor end a task of ours.
    pub(super) fn abort(&mut self, cx: &mut Context<'_>, slot: u32) {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else { return };
        let (Some(nexus), Some(task)) = (session.nexus, session.tasks.get(slot)) else { return };
        let (lun, tag) = (task.request.lun, u64::from(task.tag));
        let name = session.own_management();
        let request = Management { nexus, slot: name, lun, function: Function::AbortTask { tag } };
        cx.executor.manage(cx.env, &request);
    }
}
