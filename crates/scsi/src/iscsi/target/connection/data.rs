//! Data-Out comes in (RFC 7143, section 11.7): unsolicited, or for an R2T.

use super::super::Context;
use super::super::session::{Arrival, Misplaced, Stage};
use super::Connection;
use super::framer::{Incoming, Landing};
use super::hold::{Problem, Taken};
use stdx::planted::{Bug, planted};
use wire::iscsi::{Bhs, DataOut, PduLayout, RESERVED_TAG, Serial};

impl Connection {
    /// The header of a Data-Out is whole. With both orders agreed on it goes on where the one before ended, and ends its
    /// sequence where the sequence ends. In iSER all of them are unsolicited (RFC 7145, section 7.3): what an R2T would ask for
    /// is read from the initiator's memory.
    pub(super) fn handle_data(
        &mut self,
        cx: &mut Context<'_>,
        layout: &PduLayout,
        bhs: &Bhs,
    ) -> Result<Taken, Problem> {
        let data = DataOut::decode(bhs).map_err(Problem::Header)?;
        if self.is_over_rdma() && data.transfer_tag != RESERVED_TAG {
            return Err(Problem::Protocol("solicited data where none is asked for by R2T"));
        }
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else {
            return Ok(Taken(None));
        };
        let solicited = data.transfer_tag != RESERVED_TAG;
        let slot = if solicited { Some(data.transfer_tag >> 16) } else { session.tasks.find(data.task_tag) };
        let slot = slot.unwrap_or(u32::MAX);
        let mine = session.tasks.get_mut(slot);
        let mine = mine.filter(|task| task.tag == data.task_tag && task.connection == self.key);
        let Some(task) = mine.filter(|task| task.owed()) else {
            // The task may have ended while its data was on its way.
            cx.shard.counters.ignored += 1;
            return Ok(Taken(Incoming::unwanted(layout)));
        };
        if task.pieces.is_some() {
            return self.handle_piece(cx, layout, slot, &data);
        }
        let burst = session.parameters.max_burst_len;
        let end = data.offset.checked_add(layout.data_len);
        let incoming = &mut task.incoming;
        if solicited == incoming.unsolicited {
            return Err(Problem::Protocol("solicited and unsolicited data mixed up"));
        }
        let sequence_end = incoming.sequence_end(burst);
        let Some(end) = end.filter(|end| *end <= sequence_end) else {
            return Err(Problem::Protocol("data that was not asked for"));
        };
        let has_memory = !self.is_over_rdma() || task.memory.write.is_some();
        if data.is_final && end < sequence_end && !has_memory {
            return Err(Problem::Protocol("unsolicited data that ends early, and no memory for the rest"));
        }
        // Section 7.9: a gap means that a PDU was lost, and the task fails once the rest has come.
        let follows = data.data_sn == incoming.data_sn && data.offset == incoming.received;
        // A solicited sequence ends where the R2T said; an unsolicited one may end early.
        let ends = data.is_final == (end == sequence_end) || data.is_final && !solicited;
        if !follows || !ends || task.damaged {
            task.damaged = true;
            return self.skip_data(cx, layout, slot, data.is_final);
        }
        let start = if planted(Bug::DataOffsetForgotten) { 0 } else { data.offset as usize };
        incoming.received = end;
        incoming.data_sn = if data.is_final { Serial(0) } else { data.data_sn.next() };
        incoming.unsolicited &= !data.is_final;
        incoming.landing = layout.data_len > 0;
        let window = task.landing_place(start, layout.data_len as usize);
        if layout.data_len == 0 {
            self.handle_task_data(cx, slot, true)?;
        }
        Ok(Taken(Incoming::new(layout, Landing::Task(slot), window)))
    }

    /// The same where data need not come in order, or may come again.
    fn handle_piece(
        &mut self,
        cx: &mut Context<'_>,
        layout: &PduLayout,
        slot: u32,
        data: &DataOut,
    ) -> Result<Taken, Problem> {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else {
            return Ok(Taken(None));
        };
        let in_order = session.parameters.data_pdu_in_order;
        let Some(task) = session.tasks.get_mut(slot) else { return Ok(Taken(None)) };
        let Some(pieces) = &mut task.pieces else { return Ok(Taken(None)) };
        let end = data.offset.checked_add(layout.data_len);
        let end = end.ok_or(Problem::Protocol("data that was not asked for"))?;
        let (transfer_tag, data_sn, is_final) = (data.transfer_tag, data.data_sn, data.is_final);
        let arrival = Arrival { transfer_tag, data_sn, range: data.offset..end, is_final };
        match pieces.arrive(arrival, in_order) {
            Ok(gap) => cx.shard.counters.sequence_errors += u64::from(gap),
            Err(Misplaced::Outside) => return Err(Problem::Protocol("data that was not asked for")),
            Err(Misplaced::Unknown) => {
                cx.shard.counters.ignored += 1;
                return Ok(Taken(Incoming::unwanted(layout)));
            }
        }
        task.incoming.landing = layout.data_len > 0;
        let window = task.landing_place(data.offset as usize, layout.data_len as usize);
        if layout.data_len == 0 {
            self.handle_task_data(cx, slot, true)?;
        }
        Ok(Taken(Incoming::new(layout, Landing::Task(slot), window)))
    }

    /// Data of a task that has failed: the end of its sequence is waited for.
    fn skip_data(
        &mut self,
        cx: &mut Context<'_>,
        layout: &PduLayout,
        slot: u32,
        is_final: bool,
    ) -> Result<Taken, Problem> {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else {
            return Ok(Taken(None));
        };
        let burst = session.parameters.max_burst_len;
        if let Some(task) = session.tasks.get_mut(slot)
            && is_final
        {
            let incoming = &mut task.incoming;
            if !incoming.unsolicited {
                incoming.received = incoming.sequence_end(burst);
            }
            incoming.unsolicited = false;
            incoming.data_sn = Serial(0);
            self.handle_task_data(cx, slot, false)?;
        }
        Ok(Taken(Incoming::unwanted(layout)))
    }

    /// Data of a task has landed.
    pub(super) fn handle_task_data(
        &mut self,
        cx: &mut Context<'_>,
        slot: u32,
        intact: bool,
    ) -> Result<(), Problem> {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else {
            return Ok(());
        };
        let recovers = session.parameters.error_recovery_level > 0;
        let Some(task) = session.tasks.get_mut(slot) else { return Ok(()) };
        task.incoming.landing = false;
        match &mut task.pieces {
            Some(pieces) => {
                // Section 7.8: what is missing at the end of its sequence is asked for again, if that was agreed on.
                let missing = pieces.land(intact);
                task.damaged |= missing && (!recovers || pieces.repairs() > REPAIRS_MAX);
            }
            // The task fails once all of its data has come.
            None => task.damaged |= !intact,
        }
        match task.stage {
            Stage::Arriving => self.admit(cx, slot, intact)?,
            Stage::Waiting => {
                let _started = self.feed(cx);
            }
            Stage::Receiving => self.progress(cx, slot),
            Stage::Settling if !task.owed() => {
                if let Some(outcome) = task.outcome.take() {
                    self.answer(cx, slot, &outcome);
                }
            }
            Stage::Free | Stage::Parked | Stage::Executing | Stage::Settling => {}
        }
        Ok(())
    }
}

/// How often data of one task is asked for again before it fails.
const REPAIRS_MAX: u32 = 64;
