//! What the target sends, as far as it is bytes: headers, digests, data put where it belongs.

use super::receive::Payload;
use super::tasks::Missing;
use super::{Connection, ConnectionEnd, Misbehaviour, State};
use stdx::env::Env;
use stdx::mem::{Memory, Span};
use stdx::planted::{Bug, planted};
use wire::iscsi::{Bhs, DIGEST_LEN, DataIn, Opcode, PduLayout};

impl Connection {
    /// Handles as much of what was received as is whole. An error ends the connection.
    pub(super) fn handle_buffered(&mut self, env: &mut dyn Env) -> Result<(), ConnectionEnd> {
        while self.handle_payload(env.mem())? || self.handle_next(env)? {}
        Ok(())
    }

    /// Moves the data on, if some is being received. True if something changed.
    fn handle_payload(&mut self, memory: &mut Memory) -> Result<bool, ConnectionEnd> {
        if self.receive.place(memory) {
            return Ok(true);
        }
        let Some(payload) = self.receive.payload else { return Ok(false) };
        let trailer = payload.padding + if payload.digest { DIGEST_LEN } else { 0 };
        let buffered = self.receive.buffered();
        if !payload.missing.is_empty() || buffered.len() < trailer {
            return Ok(false);
        }
        let (pad, digest) = memory.bytes(buffered.first(trailer)).split_at(payload.padding);
        let matches = || {
            let crc = memory.crc32c(0, payload.whole);
            crc32c::crc32c_append(crc, pad).to_le_bytes() == *digest
        };
        let intact = !payload.digest || matches();
        self.receive.consume(trailer);
        self.receive.payload = None;
        if !intact && !planted(Bug::DigestUnchecked) {
            self.miss_data(memory, &payload)?;
            return Ok(true);
        }
        self.handle_data_landed(memory, &payload);
        Ok(true)
    }

    /// Handles the next PDU, or the header of the next Data-In, if it is there whole. True if it was.
    fn handle_next(&mut self, env: &mut dyn Env) -> Result<bool, ConnectionEnd> {
        if self.receive.payload.is_some() || matches!(self.state, State::Ended(_)) {
            return Ok(false);
        }
        let buffered = self.receive.buffered();
        let bytes = env.mem().bytes(buffered);
        let Ok(&bhs) = Bhs::view(bytes) else { return Ok(false) };
        let layout = bhs.check(&self.rules)?;
        if bytes.len() < layout.header_span() {
            return Ok(false);
        }
        let computed = if layout.header_digest { crc32c::crc32c(&bytes[..layout.header_len()]) } else { 0 };
        layout.verify_header(bytes, computed)?;
        if layout.opcode == Opcode::DataIn {
            self.receive.consume(layout.header_span());
            self.handle_data(&layout, &DataIn::decode(&bhs)?)?;
            return Ok(true);
        }
        if layout.pdu_len() > self.receive.capacity() {
            return Err(ConnectionEnd::Misbehaved(Misbehaviour::TooLong));
        }
        if bytes.len() < layout.pdu_len() {
            return Ok(false);
        }
        let data = self.data_of(env.mem(), &layout, buffered);
        self.receive.consume(layout.pdu_len());
        if data == Err(ConnectionEnd::DataDigest) {
            self.miss_response(env.mem(), layout.opcode, &bhs)?;
            return Ok(true);
        }
        let data = data?;
        self.handle_pdu(env, layout.opcode, &bhs, &data)?;
        Ok(true)
    }

    /// The data of a whole PDU. Few have any: sense data, text.
    fn data_of(&self, memory: &mut Memory, layout: &PduLayout, pdu: Span) -> Result<Vec<u8>, ConnectionEnd> {
        let len = layout.data_len as usize;
        if len == 0 {
            return Ok(Vec::new());
        }
        let from_data =
            memory.bytes(pdu.slice(layout.header_span(), layout.pdu_len() - layout.header_span()));
        if layout.data_digest {
            let (padded, digest) = from_data.split_at(len + layout.padding_len());
            if crc32c::crc32c(padded).to_le_bytes() != *digest {
                return Err(ConnectionEnd::DataDigest);
            }
        }
        Ok(from_data[..len].to_vec())
    }

    /// Data for a command: in order, and within what the command expects.
    fn handle_data(&mut self, layout: &PduLayout, data: &DataIn) -> Result<(), ConnectionEnd> {
        let misbehaved = |what: Misbehaviour| Err(ConnectionEnd::Misbehaved(what));
        if self.state != State::FullFeature {
            return misbehaved(Misbehaviour::Phase);
        }
        self.window.update(&data.numbers);
        if data.status.is_some() && !self.order.advance(&data.numbers) {
            return misbehaved(Misbehaviour::StatusOrder);
        }
        let Some(slot) = self.tasks.find(data.task_tag) else { return misbehaved(Misbehaviour::UnknownTask) };
        let Some(task) = self.tasks.get_mut(slot) else { return misbehaved(Misbehaviour::UnknownTask) };
        let Some(span) = task.in_span() else { return misbehaved(Misbehaviour::UnknownTask) };
        let fits = u64::from(data.offset) + u64::from(layout.data_len) <= u64::from(span.len);
        let (data_sn, offset, len) = (data.data_sn, data.offset, layout.data_len);
        let again = task.missing.contains(&Missing { data_sn, offset, len });
        if again && fits {
            self.receive.payload = Some(payload_of(slot, span, layout, data, true));
            return Ok(());
        }
        let in_order = data.offset == task.moved && data.data_sn == task.next_sn;
        if !fits || !in_order || task.answer.is_some() {
            return misbehaved(Misbehaviour::DataOrder);
        }
        task.moved += layout.data_len;
        task.next_sn = task.next_sn.next();
        if data.acknowledge {
            task.acknowledge = Some((data.transfer_tag, data.lun));
        }
        if let Some(status) = &data.status {
            self.set_ending(slot, Some(status.status), None, status.residual, data.numbers.stat_sn)?;
        }
        self.receive.payload = Some(payload_of(slot, span, layout, data, false));
        Ok(())
    }
}

/// Where the data of a Data-In goes.
fn payload_of(slot: u16, span: Span, layout: &PduLayout, data: &DataIn, again: bool) -> Payload {
    let at = if planted(Bug::DataOffsetForgotten) { 0 } else { data.offset };
    let place = span.slice(at as usize, layout.data_len as usize);
    Payload {
        slot,
        whole: place,
        missing: place,
        padding: layout.padding_len(),
        digest: layout.data_digest,
        last: data.status.is_some(),
        data_sn: data.data_sn,
        offset: data.offset,
        again,
    }
}
