//! SNACK: the initiator misses something, or acknowledges data (RFC 7143, section 11.16). At error recovery level 0 nothing is
//! sent twice.

use super::super::Context;
use super::Connection;
use super::framer::Incoming;
use super::hold::Taken;
use super::outgoing::{Item, Unsent};
use wire::iscsi::{Bhs, PduLayout, RejectReason, Serial, Snack, SnackType};

impl Connection {
    /// A SNACK came. It has no place in the order of commands, and no answer but what is asked for.
    pub(super) fn handle_snack(&mut self, cx: &mut Context<'_>, layout: &PduLayout, bhs: &Bhs) -> Taken {
        let reason = match Snack::decode(bhs) {
            Err(error) => Some(error.reason()),
            Ok(_) if !self.outgoing.keeps() => Some(RejectReason::SnackReject),
            Ok(snack) => self.repeat(cx, &snack).err(),
        };
        match reason {
            Some(reason) => self.reject(cx, reason, *bhs),
            None => cx.shard.counters.snacks += 1,
        }
        Taken(Incoming::unwanted(layout))
    }

    /// Queues what is asked for. "Any SNACK that requests a numbered-response, data, or R2T that was not sent by the target or
    /// was already acknowledged by the initiator MUST be rejected with a reason code of "Protocol Error"."
    fn repeat(&mut self, cx: &mut Context<'_>, snack: &Snack) -> Result<(), RejectReason> {
        let Snack { kind, task_tag, tag, begin, run_length, .. } = *snack;
        let repeated = match kind {
            SnackType::DataOrR2t if self.repeat_r2ts(cx, snack)? => Ok(()),
            SnackType::DataOrR2t => self.outgoing.repeat_data(task_tag, begin, run_length),
            SnackType::Status => self.outgoing.repeat_answers(begin, run_length),
            SnackType::DataAck if self.outgoing.acknowledge_data(tag, begin) => Ok(()),
            SnackType::DataAck => return Err(RejectReason::InvalidDataAck),
            SnackType::ResegmentedData => self.outgoing.repeat_anew(task_tag, tag),
        };
        repeated.map_err(|unsent| match unsent {
            Unsent::Impossible => RejectReason::ProtocolError,
            Unsent::Forgotten => RejectReason::SnackReject,
        })
    }

    /// Sends R2Ts of a write again, those of the run whose data has not come. False if the task is no write.
    fn repeat_r2ts(&mut self, cx: &mut Context<'_>, snack: &Snack) -> Result<bool, RejectReason> {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get(key)) else { return Ok(false) };
        let task = session.tasks.find(snack.task_tag).and_then(|slot| session.tasks.get(slot));
        let Some(task) = task.filter(|task| task.connection == self.key) else { return Ok(false) };
        let Some(pieces) = &task.pieces else { return Ok(false) };
        let end = if snack.run_length == 0 {
            Serial(task.incoming.r2ts)
        } else {
            snack.begin.plus(snack.run_length)
        };
        let mut any = false;
        for sequence in pieces.asked() {
            if sequence.r2t_sn.precedes(snack.begin) || !sequence.r2t_sn.precedes(end) {
                continue;
            }
            any = true;
            self.outgoing.push(Item::R2t {
                lun: task.request.lun,
                tag: task.tag,
                transfer_tag: sequence.transfer_tag,
                r2t_sn: sequence.r2t_sn,
                offset: sequence.range.start,
                length: sequence.range.end - sequence.range.start,
            });
        }
        if any { Ok(true) } else { Err(RejectReason::ProtocolError) }
    }

    /// What the initiator says it has of our answers: all its requests bear ExpStatSN.
    pub(super) fn take_acknowledgement(&mut self, cx: &mut Context<'_>, bhs: &Bhs) {
        if self.outgoing.keeps() {
            self.outgoing.acknowledge(cx.env, Snack::expected_status(bhs));
            self.account_kept(cx);
        }
    }

    /// Memory is short: what was sent is not kept any longer.
    pub(in super::super) fn release_kept(&mut self, cx: &mut Context<'_>) {
        if self.counted_kept > 0 {
            self.outgoing.release_kept(cx.env);
            self.account_kept(cx);
        }
    }

    /// The shard counts what is kept of all connections.
    pub(super) fn account_kept(&mut self, cx: &mut Context<'_>) {
        let now = self.outgoing.kept_bytes();
        cx.shard.kept_bytes = cx.shard.kept_bytes + now - core::mem::replace(&mut self.counted_kept, now);
    }
}
