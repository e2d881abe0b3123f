//! What was damaged is asked for again, and what the target has not taken is sent again (RFC 7143, sections 7.1.4.1, 7.8 and
//! 11.16). Only at error recovery levels 1 and 2; at level 0 it ends the connection.

use super::receive::Payload;
use super::tasks::Missing;
use super::{Connection, ConnectionEnd, Misbehaviour};
use stdx::mem::Memory;
use wire::iscsi::{Bhs, Numbers, Opcode, RESERVED_TAG, Reject, RejectReason, Serial, Snack, SnackType};
use wire::scsi::Lun;

impl Connection {
    /// The data of a Data-In is damaged.
    pub(super) fn miss_data(&mut self, memory: &mut Memory, payload: &Payload) -> Result<(), ConnectionEnd> {
        let recovers = self.recovers_damage();
        let tag = self.tasks.tag(payload.slot);
        let Some(task) = self.tasks.get_mut(payload.slot) else { return Ok(()) };
        task.repairs += 1;
        if !recovers || task.repairs > REPAIRS_MAX {
            return Err(ConnectionEnd::DataDigest);
        }
        if !payload.again {
            let (data_sn, offset, len) = (payload.data_sn, payload.offset, payload.whole.len);
            task.missing.push(Missing { data_sn, offset, len });
            // The status that came along is not acknowledged before the data is there.
            if task.answer.is_some() && task.answer_sn.is_none() {
                task.answer_sn = Some(Serial(self.order.exp_stat_sn.0.wrapping_sub(1)));
                self.holding += 1;
            }
        }
        self.put_snack(memory, SnackType::DataOrR2t, (tag, RESERVED_TAG), Lun::default(), payload.data_sn, 1);
        Ok(())
    }

    /// The data of a Data-In is where it belongs.
    pub(super) fn handle_data_landed(&mut self, memory: &mut Memory, payload: &Payload) {
        let has_room = self.recovers_damage();
        let Some(task) = self.tasks.get_mut(payload.slot) else { return };
        if payload.again {
            task.missing.retain(|missing| missing.data_sn != payload.data_sn);
        }
        // Section 11.16.2: an acknowledgement waits until nothing is missing, and is left out rather than waited with.
        if task.missing.is_empty()
            && let Some((tag, lun)) = task.acknowledge.take()
            && has_room
        {
            let next = task.next_sn;
            self.put_snack(memory, SnackType::DataAck, (RESERVED_TAG, tag), lun, next, 0);
        }
        if payload.last || payload.again {
            self.finish(payload.slot);
        }
    }

    /// The data of another PDU is damaged. Of a response the number is known, and it is asked for again.
    pub(super) fn miss_response(
        &mut self,
        memory: &mut Memory,
        opcode: Opcode,
        bhs: &Bhs,
    ) -> Result<(), ConnectionEnd> {
        if !self.recovers_damage() {
            return Err(ConnectionEnd::DataDigest);
        }
        if opcode == Opcode::NopIn && bhs.task_tag.get() == RESERVED_TAG {
            // A ping: there will be another.
            return Ok(());
        }
        let numbers = Numbers::read(bhs);
        self.window.update(&numbers);
        if !self.order.miss(&numbers) {
            return Err(ConnectionEnd::Misbehaved(Misbehaviour::StatusOrder));
        }
        let tags = (RESERVED_TAG, RESERVED_TAG);
        self.put_snack(memory, SnackType::Status, tags, Lun::default(), numbers.stat_sn, 1);
        Ok(())
    }

    /// The target has not taken something. If it was damaged, a command is sent again, with its number; data the target asks
    /// for itself.
    pub(super) fn handle_reject(
        &mut self,
        memory: &mut Memory,
        reject: &Reject,
        data: &[u8],
    ) -> Result<(), ConnectionEnd> {
        self.count(&reject.numbers)?;
        let ended = Err(ConnectionEnd::Rejected(reject.reason));
        if reject.reason == RejectReason::InvalidDataAck {
            // The target needed no acknowledgement, then.
            return Ok(());
        }
        if reject.reason != RejectReason::DataDigestError || !self.recovers_damage() {
            return ended;
        }
        let Ok(rejected) = Bhs::view(data) else { return ended };
        match (rejected.opcode(), self.tasks.find(rejected.task_tag.get())) {
            (Some(Opcode::ScsiCommand), Some(slot)) => {
                let Some(task) = self.tasks.get_mut(slot) else { return ended };
                task.repairs += 1;
                if task.repairs > REPAIRS_MAX || task.answer.is_some() {
                    return ended;
                }
                (task.moved, task.next_sn) = (0, Serial(0));
                (task.sequence, task.queued) = (None, None);
                self.put_command(memory, slot);
                Ok(())
            }
            (Some(Opcode::ScsiCommand | Opcode::DataOut), _) => Ok(()),
            _another => ended,
        }
    }

    /// What is said to have come of the target's responses.
    pub(super) fn acknowledged(&self) -> Serial {
        let whole = self.order.acknowledged();
        if self.holding == 0 {
            return whole;
        }
        let held = self.tasks.iter().filter_map(|(_, task)| task.answer_sn);
        held.fold(whole, |first, next| if next.precedes(first) { next } else { first })
    }

    /// Whether there is a way to ask again, and room for it.
    fn recovers_damage(&self) -> bool {
        self.parameters.error_recovery_level > 0 && self.has_room()
    }

    fn put_snack(
        &mut self,
        memory: &mut Memory,
        kind: SnackType,
        (task_tag, tag): (u32, u32),
        lun: Lun,
        begin: Serial,
        run_length: u32,
    ) {
        let exp_stat_sn = self.acknowledged();
        let header = Snack { kind, lun, task_tag, tag, exp_stat_sn, begin, run_length };
        self.put_bytes(memory, &header.encode(), &[]);
    }
}

/// How often something of one task is asked for again before the connection counts as broken.
const REPAIRS_MAX: u32 = 32;
