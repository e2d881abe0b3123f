//! The two steps before a queue exists. Each is a state that its one message consumes.
//!
//! ```text
//!   Initialize -- ICReq / ICResp --> Connecting -- Connect / response --> Established
//! ```
//!
//! A Connect that is refused leaves the connection in `Connecting`: the host may try again until the handshake's time is
//! over. Sections: TCP transport 3.2.1 (initialization), Base 6.3 (Connect).

use super::super::Context;
use super::established::Established;
use super::framer::{Incoming, Landing};
use super::hold::{Held, Problem, Taken};
use super::outgoing::Outgoing;
use crate::target::{Arrival, Connected, Refusal};
use stdx::mem::Span;
use stdx::slab::Key;
use wire::nvme::fabrics::{CONNECT_DATA_LEN, ConnectData};
use wire::nvme::tcp::{
    ADMIN_IN_CAPSULE_MAX, CapsuleCmd, DataAlignment, HeaderError, HeaderRules, IcReq, IcResp, PduLayout,
    PduType, Phase, Receiver,
};
use wire::nvme::{
    CompletionQueueEntry, FABRICS_OPCODE, FabricsCommandType, Sgl, Status, SubmissionQueueEntry,
};

/// Nothing was exchanged yet: ICReq is due.
#[derive(Debug)]
pub(super) struct Initialize;

/// The form of the connection is agreed on: Connect is due.
#[derive(Debug, Default)]
pub(super) struct Connecting {
    /// A Connect whose data is coming, and the buffer it goes to; none any more once it is the target's, which answers
    /// later.
    pending: Option<(SubmissionQueueEntry, Span)>,
}

impl Initialize {
    /// What may come.
    pub(super) const RULES: HeaderRules = HeaderRules::initialization(Receiver::Controller);

    /// ICReq came (the rules let nothing else through but a termination). Says what may come next.
    pub(super) fn handle_request(
        self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
        header: &[u8],
    ) -> Result<(Connecting, HeaderRules), HeaderError> {
        let request = IcReq::decode(header)?;
        // MAXR2T is at least one, and this controller never has more than one R2T outstanding for a command.
        outgoing.alignment = request.alignment;
        outgoing.digests = request.digests;
        let limits = &cx.shard.limits;
        let rules = HeaderRules {
            receiver: Receiver::Controller,
            phase: Phase::Established,
            digests: request.digests,
            alignment: DataAlignment::default(),
            in_capsule_max: ADMIN_IN_CAPSULE_MAX,
            data_max: limits.h2c_data_bytes_max,
        };
        let response = IcResp {
            alignment: rules.alignment,
            digests: rules.digests,
            max_h2c_data: limits.h2c_data_bytes_max,
        };
        outgoing.initialize_response(cx, &response);
        Ok((Connecting::default(), rules))
    }
}

impl Connecting {
    /// A PDU came.
    pub(super) fn handle_pdu(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
        layout: &PduLayout,
        header: &[u8],
    ) -> Result<Taken, Problem> {
        if layout.kind != PduType::CapsuleCmd || self.pending.is_some() {
            return Err(Problem::Fatal(HeaderError::Sequence));
        }
        if outgoing.transmit.header_room() < Outgoing::RESPONSE_BYTES {
            return Err(Problem::Held(Held::Headers(Outgoing::RESPONSE_BYTES)));
        }
        let command = CapsuleCmd::view(header).map_err(Problem::Fatal)?.command;
        match check_connect(&command, layout.data_len) {
            Ok(offset) => {
                let buffer = cx.env.mem().take(CONNECT_DATA_LEN);
                let buffer = buffer.ok_or(Problem::Held(Held::Buffers(CONNECT_DATA_LEN)))?;
                self.pending = Some((command, buffer));
                Ok(Taken(Incoming::new(layout, Landing::Connect, offset, buffer)))
            }
            Err(status) => {
                refuse(cx, outgoing, &command, status, 0);
                Ok(Taken(Incoming::unwanted(layout)))
            }
        }
    }

    /// Connect's data has come. The state after it, and what may come in it, or this state again if Connect was refused.
    pub(super) fn handle_data(
        mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
        arrival: &Arrival,
        key: Key,
        intact: bool,
    ) -> Result<Established, Self> {
        let Some((command, buffer)) = self.pending.take() else { return Err(self) };
        let mut bytes = [0; CONNECT_DATA_LEN];
        cx.env.mem().read(buffer, &mut bytes);
        cx.env.mem().give(buffer);
        if !intact {
            refuse(cx, outgoing, &command, Status::TRANSIENT_TRANSPORT_ERROR, 0);
            return Err(self);
        }
        let data = ConnectData::view(&bytes).expect("as long as it is");
        self.pending = Some((command, Span::EMPTY));
        match cx.target.connect(cx.env, key, arrival, &command, data) {
            Some(outcome) => self.handle_outcome(cx, outgoing, key, &outcome),
            None => Err(self),
        }
    }

    /// The target's answer to Connect. The state after it, or this one again if Connect was refused.
    pub(super) fn handle_outcome(
        mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
        key: Key,
        outcome: &Result<Connected, Refusal>,
    ) -> Result<Established, Self> {
        let Some((command, _)) = self.pending.take() else { return Err(self) };
        match outcome {
            Ok(connected) => {
                accept(cx, outgoing, &command, connected);
                Ok(Established::new(key, connected))
            }
            Err(refusal) => {
                refuse(cx, outgoing, &command, refusal.status, refusal.result);
                Err(self)
            }
        }
    }

    /// Whether the target has Connect, and will answer it.
    pub(super) fn is_waiting(&self) -> bool {
        self.pending.is_some_and(|(_, buffer)| buffer.is_empty())
    }

    /// The connection ends: what is held goes back.
    pub(super) fn give_up(self, cx: &mut Context<'_>, key: Key) {
        match self.pending {
            Some((_, buffer)) if buffer.is_empty() => cx.target.forget_connect(key),
            Some((_, buffer)) => cx.env.mem().give(buffer),
            None => {}
        }
    }

    /// How many buffers it holds.
    pub(super) fn buffers(&self) -> usize {
        usize::from(self.pending.is_some_and(|(_, buffer)| !buffer.is_empty()))
    }
}

/// Where in the capsule Connect's data begins, if the command is a Connect that brings its data along.
fn check_connect(command: &SubmissionQueueEntry, data_len: u32) -> Result<usize, Status> {
    let is_connect =
        command.opcode == FABRICS_OPCODE && command.fabrics_type_code() == FabricsCommandType::Connect.code();
    if !is_connect {
        return Err(Status::COMMAND_SEQUENCE_ERROR.with_do_not_retry());
    }
    let Ok(Sgl::InCapsule { offset, length }) = command.data.decode() else {
        return Err(Status::SGL_DESCRIPTOR_TYPE_INVALID.with_do_not_retry());
    };
    if length as usize != CONNECT_DATA_LEN {
        return Err(Status::DATA_SGL_LENGTH_INVALID.with_do_not_retry());
    }
    match offset.checked_add(u64::from(length)) {
        Some(end) if end <= u64::from(data_len) => Ok(offset as usize),
        _ => Err(Status::SGL_OFFSET_INVALID.with_do_not_retry()),
    }
}

fn accept(
    cx: &mut Context<'_>,
    outgoing: &mut Outgoing,
    command: &SubmissionQueueEntry,
    connected: &Connected,
) {
    // A host learns by an SQHD of FFFFh that it need not follow the head (Base 6.3); else Connect took the first entry.
    let head = if connected.flow_control_disabled { u16::MAX } else { 1 };
    let completion = CompletionQueueEntry::new(command.command_id.get(), Status::SUCCESS)
        .with_result(connected.result)
        .with_submission_queue_head(head);
    outgoing.response(cx, &completion);
}

fn refuse(
    cx: &mut Context<'_>,
    outgoing: &mut Outgoing,
    command: &SubmissionQueueEntry,
    status: Status,
    result: u64,
) {
    cx.shard.counters.connects_refused += 1;
    let completion = CompletionQueueEntry::new(command.command_id.get(), status).with_result(result);
    outgoing.response(cx, &completion);
}
