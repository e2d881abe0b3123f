//! What the controller sends: ICResp, responses, data, R2T, C2HTermReq; each checked before it changes anything.

use super::command::Requested;
use super::receive::{DIRECT_LEN_MIN, Payload};
use super::{QueueEnd, QueuePair, State};
use crate::host::queue::{Completed, Data};
use stdx::mem::Memory;
use stdx::planted::{Bug, planted};
use wire::nvme::tcp::{
    C2hData, CapsuleResp, CommonHeader, DIGEST_LEN, HeaderError, HeaderField, IcResp, PduLayout, PduType,
    Phase, R2t, TermReq,
};
use wire::nvme::{CompletionQueueEntry, Status};

/// A PDU's header, read whole.
enum Header {
    Initialized(IcResp),
    Response(CompletionQueueEntry),
    Data(C2hData),
    Request(R2t),
    Terminated(TermReq),
}

impl QueuePair {
    /// Handles as much of what was received as is whole. An error ends the queue.
    pub(super) fn handle_buffered(&mut self, memory: &mut Memory) -> Result<(), QueueEnd> {
        while self.handle_payload(memory) || self.handle_header(memory)? {}
        Ok(())
    }

    /// Moves the payload on, if one is being received. True if something changed.
    fn handle_payload(&mut self, memory: &mut Memory) -> bool {
        if self.receive.place(memory) {
            return true;
        }
        let Some(payload) = self.receive.payload else { return false };
        if !payload.missing.is_empty() {
            return false;
        }
        let mut intact = true;
        if payload.digest {
            let buffered = self.receive.buffered();
            if buffered.len() < DIGEST_LEN {
                return false;
            }
            let mut digest = [0; DIGEST_LEN];
            memory.read(buffered, &mut digest);
            intact = u32::from_le_bytes(digest) == memory.crc32c(0, payload.whole);
            self.receive.consume(DIGEST_LEN);
        }
        self.receive.payload = None;
        self.handle_data_landed(&payload, intact);
        true
    }

    fn handle_data_landed(&mut self, payload: &Payload, intact: bool) {
        let Some(command) = self.commands.get_mut(payload.slot) else { return };
        command.damaged |= !intact && !planted(Bug::DigestUnchecked);
        command.last_seen |= payload.last;
        if payload.success {
            self.complete(payload.slot, Status::SUCCESS, 0);
        }
    }

    /// Handles the next header, if it is there whole. True if it was.
    fn handle_header(&mut self, memory: &mut Memory) -> Result<bool, QueueEnd> {
        if self.receive.payload.is_some() {
            return Ok(false);
        }
        let buffered = self.receive.buffered();
        let bytes = memory.bytes(buffered);
        let Ok(common) = CommonHeader::view(bytes) else { return Ok(false) };
        let checked = common.check(&self.rules).and_then(|layout| read_header(&layout, bytes));
        match checked {
            Ok(None) => Ok(false),
            Ok(Some((layout, header))) => {
                self.receive.consume(front_len(&layout));
                let handled = self.handle_pdu(&layout, &header);
                if let Err(QueueEnd::Malformed(error)) = handled {
                    self.blame(memory, error, buffered.len().min(usize::from(layout.header_len)), buffered);
                }
                handled.map(|()| true)
            }
            Err(error) => {
                self.blame(memory, error, buffered.len().min(HEADER_COPY_LEN_MAX), buffered);
                Err(error.into())
            }
        }
    }

    /// Prepares the termination request that quotes the first `len` bytes of `buffered`.
    fn blame(&mut self, memory: &mut Memory, error: HeaderError, len: usize, buffered: stdx::mem::Span) {
        let mut offending = [0; HEADER_COPY_LEN_MAX];
        memory.read(buffered, &mut offending[..len]);
        self.put_termination(memory, error, &offending[..len]);
    }

    fn handle_pdu(&mut self, layout: &PduLayout, header: &Header) -> Result<(), QueueEnd> {
        match header {
            Header::Initialized(response) => self.handle_initialized(response),
            Header::Response(completion) => Ok(self.handle_response(completion)?),
            Header::Data(data) => Ok(self.handle_data(layout, data)?),
            Header::Request(r2t) => Ok(self.handle_r2t(r2t)?),
            Header::Terminated(TermReq { status_code, information }) => {
                Err(QueueEnd::Terminated { status: *status_code, information: *information })
            }
        }
    }

    fn handle_initialized(&mut self, response: &IcResp) -> Result<(), QueueEnd> {
        if response.digests != self.digests_wanted {
            return Err(QueueEnd::Digests);
        }
        self.alignment = response.alignment;
        self.h2c_data_max = response.max_h2c_data;
        self.rules.digests = response.digests;
        self.rules.data_max = u32::MAX;
        self.rules.phase = Phase::Established;
        self.state = State::Established;
        Ok(())
    }

    fn handle_response(&mut self, completion: &CompletionQueueEntry) -> Result<(), HeaderError> {
        let unknown = HeaderError::InvalidField(HeaderField::CompletionCommandId);
        let slot = self.commands.find(completion.command_id.get()).ok_or(unknown)?;
        let command = self.commands.get_mut(slot).ok_or(unknown)?;
        let status = completion.status();
        let answered_twice = command.response.is_some();
        if answered_twice || (status.is_success() && !command.has_all()) {
            return Err(HeaderError::Sequence);
        }
        command.r2t = None;
        self.submission.handle_head(completion.submission_queue_head.get());
        if command.unsent > 0 {
            command.response = Some((status, completion.result.get()));
        } else {
            self.complete(slot, status, completion.result.get());
        }
        Ok(())
    }

    fn handle_data(&mut self, layout: &PduLayout, data: &C2hData) -> Result<(), HeaderError> {
        let unknown = HeaderError::InvalidField(HeaderField::CommandId);
        let slot = self.commands.find(data.command_id).ok_or(unknown)?;
        let command = self.commands.get_mut(slot).ok_or(unknown)?;
        let span = command.read_span().ok_or(unknown)?;
        if command.last_seen {
            return Err(HeaderError::Sequence);
        }
        data.check_within(span.len)?;
        if data.offset != command.moved {
            return Err(HeaderError::InvalidField(HeaderField::TransferOffset));
        }
        command.moved += data.length;
        if data.success && command.moved != span.len {
            return Err(HeaderError::Sequence);
        }
        let place = span.slice(data.offset as usize, data.length as usize);
        self.receive.payload = Some(Payload {
            slot,
            whole: place,
            missing: place,
            digest: layout.data_digest,
            last: data.last,
            success: data.success,
        });
        Ok(())
    }

    fn handle_r2t(&mut self, r2t: &R2t) -> Result<(), HeaderError> {
        let unknown = HeaderError::InvalidField(HeaderField::CommandId);
        let slot = self.commands.find(r2t.command_id).ok_or(unknown)?;
        let command = self.commands.get_mut(slot).ok_or(unknown)?;
        let span = command.write_span().ok_or(unknown)?;
        if command.r2t.is_some() {
            return Err(HeaderError::R2tLimitExceeded);
        }
        r2t.check_within(span.len)?;
        if r2t.offset != command.moved {
            return Err(HeaderError::InvalidField(HeaderField::TransferOffset));
        }
        if r2t.length == 0 {
            return Err(HeaderError::InvalidField(HeaderField::TransferLength));
        }
        command.moved += r2t.length;
        command.r2t =
            Some(Requested { transfer_tag: r2t.transfer_tag, offset: r2t.offset, left: r2t.length });
        self.requested.push_back(slot);
        Ok(())
    }

    /// A segment of the data of the command at a place is gone.
    pub(super) fn handle_data_gone(&mut self, slot: u16) {
        let Some(command) = self.commands.get_mut(slot) else { return };
        command.unsent = command.unsent.saturating_sub(1);
        if command.unsent == 0
            && let Some((status, result)) = command.response
        {
            self.complete(slot, status, result);
        }
    }

    /// Tells the owner. A read whose data came damaged failed, whatever the controller says (TCP Transport 3.5).
    fn complete(&mut self, slot: u16, status: Status, result: u64) {
        let Some(command) = self.commands.remove(slot) else { return };
        if let Data::FromController(span) = command.data
            && span.len() >= DIRECT_LEN_MIN
        {
            self.large_reads -= 1;
        }
        if self.commands.len() == 0 {
            self.submission.handle_idle();
        }
        let damaged = command.damaged && status.is_success();
        let status = if damaged { Status::TRANSIENT_TRANSPORT_ERROR } else { status };
        self.completed.push(Completed { token: command.token, status, result });
    }
}

/// Reads a header and compares its digest; `None` while it is not there whole.
fn read_header(layout: &PduLayout, bytes: &[u8]) -> Result<Option<(PduLayout, Header)>, HeaderError> {
    let Some(front) = bytes.get(..front_len(layout)) else { return Ok(None) };
    let header_len = usize::from(layout.header_len);
    if layout.header_digest {
        layout.verify_header(front, crc32c::crc32c(&front[..header_len]))?;
    }
    let header = match layout.kind {
        PduType::IcResp => Header::Initialized(IcResp::decode(front)?),
        PduType::CapsuleResp => Header::Response(CapsuleResp::view(front)?.completion),
        PduType::C2hData => Header::Data(C2hData::decode(layout, front)?),
        PduType::R2t => Header::Request(R2t::decode(front)?),
        PduType::C2hTermReq => Header::Terminated(TermReq::decode(front)?),
        PduType::IcReq | PduType::H2cTermReq | PduType::CapsuleCmd | PduType::H2cData => {
            return Err(HeaderError::InvalidField(HeaderField::PduType));
        }
    };
    Ok(Some((*layout, header)))
}

/// Bytes before the data: header, digest, padding. A termination request is taken whole.
fn front_len(layout: &PduLayout) -> usize {
    match layout.kind {
        PduType::C2hTermReq => layout.pdu_len as usize,
        _ => layout.data_offset as usize,
    }
}

/// How much of an offending PDU a termination request quotes, in bytes.
const HEADER_COPY_LEN_MAX: usize = 128;
