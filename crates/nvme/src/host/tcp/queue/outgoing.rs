//! What the host sends: ICReq, command capsules, H2CData, and H2CTermReq when the controller broke the protocol.

use super::QueuePair;
use crate::host::queue::Data;
use stdx::mem::{Memory, Span};
use wire::nvme::tcp::{
    CapsuleCmd, DIGEST_LEN, DataAlignment, H2cData, HEADER_SPAN_MAX, HeaderError, IcReq, PduLayout, Receiver,
    TERMINATE_LEN_MAX, TermReq,
};
use wire::nvme::{Sgl, SubmissionQueueEntry};

impl QueuePair {
    /// ICReq: no alignment wanted, one R2T at a time for each command.
    pub(super) fn put_initialization(&mut self, memory: &mut Memory) {
        let request = IcReq {
            alignment: DataAlignment::default(),
            digests: self.digests_wanted,
            r2t_max_zero_based: 0,
        };
        let mut bytes = [0; IcReq::LEN];
        if let Ok(len) = request.encode(&mut bytes) {
            self.transmit.put_header(memory, &bytes[..len]);
        }
    }

    /// A command capsule, with its data if that fits into one.
    pub(super) fn put_command(
        &mut self,
        memory: &mut Memory,
        command: &SubmissionQueueEntry,
        slot: u16,
        id: u16,
    ) {
        let (sgl, payload) = self.describe(slot);
        let mut command = command.with_data(sgl);
        command.command_id = id.into();
        let digests = self.rules.digests;
        let payload_len = payload.map_or(0, |span| span.len);
        let mut bytes = [0; HEADER_SPAN_MAX];
        let layout = CapsuleCmd::encode(&command, digests, self.alignment, payload_len, &mut bytes);
        if let Ok(layout) = layout {
            self.put_pdu(memory, &layout, &mut bytes, payload, slot);
        }
    }

    /// The data pointer of the command at a place, and the data that goes along in its capsule.
    fn describe(&mut self, slot: u16) -> (Sgl, Option<Span>) {
        let Some(command) = self.commands.get_mut(slot) else { return (Sgl::Transport { length: 0 }, None) };
        match command.data {
            Data::None => (Sgl::Transport { length: 0 }, None),
            Data::ToController(span) if command.in_capsule => {
                (Sgl::InCapsule { offset: 0, length: span.len }, Some(span))
            }
            Data::ToController(span) | Data::FromController(span) => {
                (Sgl::Transport { length: span.len }, None)
            }
        }
    }

    /// Answers R2Ts, in the order they came, as far as there is room for headers.
    pub(super) fn put_requested_data(&mut self, memory: &mut Memory) {
        while let Some(&slot) = self.requested.front() {
            if self.transmit.room() < 2 * HEADER_SPAN_MAX {
                return;
            }
            if !self.put_next_data(memory, slot) {
                self.requested.pop_front();
            }
        }
    }

    /// The next H2CData of a command. False once its R2T is answered.
    fn put_next_data(&mut self, memory: &mut Memory, slot: u16) -> bool {
        let Some(command) = self.commands.get_mut(slot) else { return false };
        let (Some(requested), Some(span)) = (command.r2t, command.write_span()) else { return false };
        let length = requested.left.min(self.h2c_data_max);
        let last = length == requested.left;
        command.r2t = (!last).then_some(super::command::Requested {
            offset: requested.offset + length,
            left: requested.left - length,
            ..requested
        });
        let header = H2cData {
            command_id: self.commands.id(slot),
            transfer_tag: requested.transfer_tag,
            offset: requested.offset,
            length,
            last,
        };
        let mut bytes = [0; HEADER_SPAN_MAX];
        if let Ok(layout) = header.encode(self.rules.digests, self.alignment, &mut bytes) {
            let payload = span.slice(requested.offset as usize, length as usize);
            self.put_pdu(memory, &layout, &mut bytes, Some(payload), slot);
        }
        !last
    }

    fn put_pdu(
        &mut self,
        memory: &mut Memory,
        layout: &PduLayout,
        bytes: &mut [u8; HEADER_SPAN_MAX],
        payload: Option<Span>,
        slot: u16,
    ) {
        let Ok(len) = layout.seal(bytes, crc32c::crc32c) else { return };
        self.transmit.put_header(memory, &bytes[..len]);
        let Some(span) = payload else { return };
        if let Some(command) = self.commands.get_mut(slot) {
            command.unsent += 1;
        }
        self.transmit.put_data(span, slot);
        if layout.data_digest {
            let digest: [u8; DIGEST_LEN] = memory.crc32c(0, span).to_le_bytes();
            self.transmit.put_header(memory, &digest);
        }
    }

    /// H2CTermReq with the header that caused it.
    pub(super) fn put_termination(&mut self, memory: &mut Memory, error: HeaderError, offending: &[u8]) {
        let mut bytes = [0; TERMINATE_LEN_MAX];
        let request = TermReq::new(error.fatal_error());
        if let Ok(len) = request.encode(Receiver::Controller, offending, &mut bytes) {
            self.transmit.put_header(memory, &bytes[..len]);
        }
    }
}
