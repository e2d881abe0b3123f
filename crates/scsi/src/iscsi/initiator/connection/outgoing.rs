//! What the initiator sends: commands, Data-Out, and what else there is, in the transmit queue.

use super::tasks::Sequence;
use super::{Carrier, Connection, Data, HEADER_ROOM};
use crate::iscsi::login::Turn;
use stdx::mem::{Memory, Span};
use stdx::planted::{Bug, planted};
use stdx::transmit::HEADER_MAX;
use wire::iscsi::{
    Bhs, DIGEST_LEN, DataOut, LoginRequest, LogoutReason, LogoutRequest, NopIn, NopOut, RESERVED_TAG,
    ScsiCommand, Serial, TaskAttributeCode, TaskFunction, TaskRequest, TextRequest, VERSION, padding,
};
use wire::scsi::Lun;

impl Connection {
    /// A command, with its immediate data; what else may go unasked follows in Data-Out (RFC 7143, section 4.2.5.2).
    pub(super) fn put_command(&mut self, memory: &mut Memory, slot: u16) {
        let (task_tag, exp_stat_sn) = (self.tasks.tag(slot), self.acknowledged());
        let (immediate_max, unasked_max) = self.unasked(slot);
        let Some(task) = self.tasks.get_mut(slot) else { return };
        let out = task.out_span();
        let out_len = out.map_or(0, |span| span.len);
        let immediate = out_len.min(immediate_max);
        let unasked = out_len.min(unasked_max).max(immediate);
        task.moved = unasked;
        if unasked > immediate {
            let (offset, left) = (immediate, unasked - immediate);
            task.sequence = Some(Sequence { transfer_tag: RESERVED_TAG, offset, left, data_sn: Serial(0) });
            if !self.sending.contains(&slot) {
                self.sending.push_back(slot);
            }
        }
        let header = ScsiCommand {
            immediate: false,
            is_final: unasked == immediate,
            read: matches!(task.data, Data::In(_)),
            write: out.is_some(),
            attribute: TaskAttributeCode::Simple,
            lun: task.lun,
            task_tag,
            expected_length: task.data.len(),
            cmd_sn: task.cmd_sn,
            exp_stat_sn,
            cdb: task.cdb,
        };
        let data = out.map(|span| span.first(immediate as usize)).filter(|span| !span.is_empty());
        self.put_pdu(memory, &header.encode(immediate), data, slot);
    }

    /// How much data goes with a command, and how much goes unasked in all.
    fn unasked(&mut self, slot: u16) -> (u32, u32) {
        if let Carrier::Rdma(_) = self.carrier {
            let out = self.tasks.get_mut(slot).and_then(|task| task.out_span());
            return self.unasked_over_rdma(out.map_or(0, |span| span.len));
        }
        let agreed = &self.parameters;
        let first = agreed.first_burst_len;
        let immediate = if agreed.immediate_data { first.min(agreed.max_send_data_segment_len) } else { 0 };
        (immediate, if agreed.initial_r2t { 0 } else { first })
    }

    /// Sends Data-Out, the sequences in the order they were asked for, as far as there is room for headers.
    pub(super) fn put_data(&mut self, memory: &mut Memory) {
        while let Some(&slot) = self.sending.front() {
            if !self.has_room() {
                return;
            }
            if !self.put_next_data(memory, slot) {
                self.sending.pop_front();
            }
        }
    }

    /// The next Data-Out of a task. False once there is no more to send.
    fn put_next_data(&mut self, memory: &mut Memory, slot: u16) -> bool {
        let (task_tag, exp_stat_sn) = (self.tasks.tag(slot), self.acknowledged());
        let segment_max = self.parameters.max_send_data_segment_len;
        let Some(task) = self.tasks.get_mut(slot) else { return false };
        let (Some(sequence), Some(span)) = (task.sequence, task.out_span()) else { return false };
        let length = sequence.left.min(segment_max);
        let is_final = length == sequence.left;
        task.sequence = if is_final {
            task.queued.take()
        } else {
            let (offset, left) = (sequence.offset + length, sequence.left - length);
            Some(Sequence { offset, left, data_sn: sequence.data_sn.next(), ..sequence })
        };
        let more = task.sequence.is_some();
        let header = DataOut {
            is_final,
            lun: task.lun,
            task_tag,
            transfer_tag: sequence.transfer_tag,
            exp_stat_sn,
            data_sn: sequence.data_sn,
            offset: sequence.offset,
        };
        let shifted = planted(Bug::SolicitedDataShifted) && sequence.transfer_tag != RESERVED_TAG;
        let data = span.slice(if shifted { 0 } else { sequence.offset as usize }, length as usize);
        self.put_pdu(memory, &header.encode(length), Some(data), slot);
        more
    }

    /// Asks for a sign of life. It is immediate: it takes no place in the order of commands.
    pub(super) fn put_ping(&mut self, memory: &mut Memory, slot: u16) {
        let exp_stat_sn = self.acknowledged();
        let header = NopOut {
            immediate: true,
            lun: Lun::default(),
            task_tag: self.tasks.tag(slot),
            transfer_tag: RESERVED_TAG,
            cmd_sn: self.window.cmd_sn(),
            exp_stat_sn,
        };
        self.put_pdu(memory, &header.encode(0), None, slot);
    }

    /// Gives a sign of life. There is no answer to it. False if there are more than can be given.
    pub(super) fn put_pong(&mut self, memory: &mut Memory, ping: &NopIn) -> bool {
        let exp_stat_sn = self.acknowledged();
        let header = NopOut {
            immediate: true,
            lun: ping.lun,
            task_tag: RESERVED_TAG,
            transfer_tag: ping.transfer_tag,
            cmd_sn: self.window.cmd_sn(),
            exp_stat_sn,
        };
        if let Carrier::Rdma(_) = self.carrier {
            return self.queue_pong(&header.encode(0));
        }
        let has_room = self.has_room();
        if has_room {
            self.put_bytes(memory, &header.encode(0), &[]);
        }
        has_room
    }

    pub(super) fn put_management(
        &mut self,
        memory: &mut Memory,
        slot: u16,
        function: TaskFunction,
        lun: Lun,
        referenced_tag: u32,
        referenced_cmd_sn: Serial,
    ) {
        let exp_stat_sn = self.acknowledged();
        let header = TaskRequest {
            immediate: true,
            function: function.code(),
            lun,
            task_tag: self.tasks.tag(slot),
            referenced_tag,
            cmd_sn: self.window.cmd_sn(),
            exp_stat_sn,
            referenced_cmd_sn,
            exp_data_sn: Serial(0),
        };
        self.put_bytes(memory, &header.encode(), &[]);
    }

    /// The task at a place is to go on by this connection; of its Data-In or R2Ts, those before `exp_data_sn` have come. The
    /// request bears the task's tag with a mark: it needs no place of its own.
    pub(super) fn put_reassign(&mut self, memory: &mut Memory, slot: u16, exp_data_sn: Serial) {
        let (tag, exp_stat_sn) = (self.tasks.tag(slot), self.acknowledged());
        let Some(task) = self.tasks.get_mut(slot) else { return };
        let header = TaskRequest {
            immediate: true,
            function: TaskFunction::TaskReassign.code(),
            lun: task.lun,
            task_tag: tag | REASSIGN_MARK,
            referenced_tag: tag,
            cmd_sn: self.window.cmd_sn(),
            exp_stat_sn,
            referenced_cmd_sn: Serial(0),
            exp_data_sn,
        };
        self.put_bytes(memory, &header.encode(), &[]);
    }

    /// The connection with the number `connection_id` is to end, or the session.
    pub(super) fn put_logout(
        &mut self,
        memory: &mut Memory,
        slot: u16,
        reason: LogoutReason,
        connection_id: u16,
    ) {
        let exp_stat_sn = self.acknowledged();
        let header = LogoutRequest {
            immediate: true,
            reason,
            task_tag: self.tasks.tag(slot),
            connection_id,
            cmd_sn: self.window.cmd_sn(),
            exp_stat_sn,
        };
        self.put_bytes(memory, &header.encode(), &[]);
    }

    /// Text, or the wish for more of the target's.
    pub(super) fn put_text(
        &mut self,
        memory: &mut Memory,
        slot: u16,
        text: &[u8],
        transfer_tag: u32,
        lun: Lun,
    ) {
        let exp_stat_sn = self.acknowledged();
        let header = TextRequest {
            immediate: true,
            is_final: true,
            continues: false,
            lun,
            task_tag: self.tasks.tag(slot),
            transfer_tag,
            cmd_sn: self.window.cmd_sn(),
            exp_stat_sn,
        };
        self.put_bytes(memory, &header.encode(text.len() as u32), text);
    }

    pub(super) fn put_login(&mut self, memory: &mut Memory, turn: Turn, text: &[u8]) {
        let exp_stat_sn = self.acknowledged();
        let header = LoginRequest {
            transit: turn.next.is_some(),
            continues: turn.more,
            current: turn.stage,
            next: turn.next.unwrap_or(turn.stage),
            version_max: VERSION,
            version_min: VERSION,
            isid: self.isid,
            tsih: self.tsih,
            task_tag: LOGIN_TAG,
            connection_id: self.connection_id,
            cmd_sn: self.window.cmd_sn(),
            exp_stat_sn,
        };
        self.put_bytes(memory, &header.encode(text.len() as u32), text);
    }

    /// A PDU whose data lies in memory of the task at a place.
    fn put_pdu(&mut self, memory: &mut Memory, bhs: &Bhs, data: Option<Span>, slot: u16) {
        if let Carrier::Rdma(rdma) = &mut self.carrier {
            rdma.put_pdu(bhs, data.unwrap_or(Span::EMPTY), slot);
            if let Some(task) = self.tasks.get_mut(slot) {
                task.unsent += 1;
            }
            return;
        }
        self.put_header(memory, bhs);
        let Some(data) = data else { return };
        if let Some(task) = self.tasks.get_mut(slot) {
            task.unsent += 1;
        }
        self.transmit.put_data(data, slot);
        let pad = &[0; 3][..padding(data.len)];
        let crc =
            if self.rules.digests.data { crc32c::crc32c_append(memory.crc32c(0, data), pad) } else { 0 };
        self.put_trailer(memory, pad, crc);
    }

    /// A PDU whose data is at hand.
    pub(super) fn put_bytes(&mut self, memory: &mut Memory, bhs: &Bhs, data: &[u8]) {
        if let Carrier::Rdma(rdma) = &mut self.carrier {
            return rdma.put_bytes(bhs, data);
        }
        self.put_header(memory, bhs);
        if data.is_empty() {
            return;
        }
        for piece in data.chunks(HEADER_MAX) {
            self.transmit.put_header(memory, piece);
        }
        let pad = &[0; 3][..padding(data.len() as u32)];
        let crc = crc32c::crc32c_append(crc32c::crc32c(data), pad);
        self.put_trailer(memory, pad, crc);
    }

    fn put_header(&mut self, memory: &mut Memory, bhs: &Bhs) {
        let mut bytes = [0; HEADER_ROOM];
        let len = bhs.bytes().len();
        bytes[..len].copy_from_slice(bhs.bytes());
        let mut whole = len;
        if self.rules.digests.header {
            bytes[len..len + DIGEST_LEN].copy_from_slice(&crc32c::crc32c(bhs.bytes()).to_le_bytes());
            whole += DIGEST_LEN;
        }
        self.transmit.put_header(memory, &bytes[..whole]);
    }

    fn put_trailer(&mut self, memory: &mut Memory, pad: &[u8], crc: u32) {
        if !pad.is_empty() {
            self.transmit.put_header(memory, pad);
        }
        if self.rules.digests.data {
            self.transmit.put_header(memory, &crc.to_le_bytes());
        }
    }
}

/// Set in the tags of requests to reassign, and in no tag of a task.
pub(super) const REASSIGN_MARK: u32 = 1 << 31;
/// The tag of login requests: the table of tasks is not in use yet.
pub(super) const LOGIN_TAG: u32 = 0;
