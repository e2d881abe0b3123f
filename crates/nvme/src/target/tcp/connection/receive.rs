//! Bytes come in: each receive is cut into PDUs, and each PDU goes to the state it is for.

use super::super::Context;
use super::established::Established;
use super::framer::{BadHeader, Landing, Piece};
use super::handshake::{Connecting, Initialize};
use super::hold::{Problem, Taken};
use super::{Connection, State};
use crate::target::{Connected, Refusal};
use stdx::mem::Span;
use stdx::stream::Session;
use wire::nvme::tcp::{HeaderError, HeaderRules, PduLayout, PduType};

/// Where the bytes being received were told to land.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ReceivingInto {
    /// Where the shard receives what it does not know yet.
    Scratch,
    /// The very place of the data.
    Place,
}

impl<'a> Session<Context<'a>> for Connection {
    fn receive_span(&mut self, cx: &mut Context<'a>) -> Option<Span> {
        if self.held.is_some() || self.draining {
            return None;
        }
        let place = self.framer.direct();
        self.receiving = if place.is_some() { ReceivingInto::Place } else { ReceivingInto::Scratch };
        let scratch = cx.shard.scratch;
        let expects_data = self.established().is_some_and(Established::expects_data);
        Some(place.unwrap_or(if expects_data { scratch.first(HEADERS_BYTES) } else { scratch }))
    }

    fn handle_received(&mut self, cx: &mut Context<'a>, len: usize) {
        if matches!(self.state, State::Terminating(_) | State::Leaving(_) | State::Ended(_)) {
            return;
        }
        match self.receiving {
            ReceivingInto::Scratch => self.process(cx, cx.shard.scratch.first(len)),
            ReceivingInto::Place => {
                self.framer.handle_direct(cx.env.mem(), len);
                self.process(cx, Span::EMPTY);
            }
        }
    }

    fn poll_transmit(&mut self, _cx: &mut Context<'a>, out: &mut Vec<Span>) {
        self.outgoing.transmit.poll(out);
    }

    fn handle_sent(&mut self, cx: &mut Context<'a>, len: usize) {
        self.outgoing.transmit.handle_sent(cx.env.mem(), &mut cx.shard.blocks, len);
    }
}

impl Connection {
    /// Uses up bytes, PDU by PDU.
    pub(super) fn process(&mut self, cx: &mut Context<'_>, mut bytes: Span) {
        loop {
            let (piece, used) = match self.framer.advance(cx.env.mem(), bytes) {
                Ok(advanced) => advanced,
                Err(bad) => return self.terminate(cx, bad),
            };
            bytes = bytes.from(used);
            match piece {
                Piece::Need => return,
                Piece::Data { owner, intact } => self.handle_landed(cx, owner, intact),
                Piece::Header(layout) => {
                    if let Some(used) = self.perform(cx, &layout, bytes) {
                        self.framer.accept(None);
                        bytes = bytes.from(used);
                        continue;
                    }
                    match self.handle_pdu(cx, &layout) {
                        Ok(Taken(incoming)) => self.framer.accept(incoming),
                        Err(Problem::Held(held)) => return self.hold(cx, held, bytes),
                        Err(Problem::Fatal(error)) => {
                            let len = usize::from(layout.header_len);
                            return self.terminate(cx, BadHeader { error, len });
                        }
                    }
                }
            }
            if matches!(self.state, State::Terminating(_) | State::Leaving(_) | State::Ended(_)) {
                return;
            }
        }
    }

    /// Has a command executed at once, if it is one that can be. Says how many bytes behind its header it took.
    fn perform(&mut self, cx: &mut Context<'_>, layout: &PduLayout, following: Span) -> Option<usize> {
        let State::Established(established) = &mut self.state else { return None };
        if layout.kind != PduType::CapsuleCmd {
            return None;
        }
        established.perform(cx, &mut self.outgoing, layout, self.framer.header(layout), following)
    }

    fn handle_pdu(&mut self, cx: &mut Context<'_>, layout: &PduLayout) -> Result<Taken, Problem> {
        if layout.kind == PduType::H2cTermReq {
            self.dismiss(cx);
            return Ok(Taken(None));
        }
        let header = self.framer.header(layout);
        match &mut self.state {
            State::Initialize(_) => {
                let answered = Initialize.handle_request(cx, &mut self.outgoing, header);
                let (connecting, rules) = answered.map_err(Problem::Fatal)?;
                self.state = State::Connecting(connecting);
                self.framer.set_rules(rules);
                Ok(Taken(None))
            }
            State::Connecting(connecting) => connecting.handle_pdu(cx, &mut self.outgoing, layout, header),
            State::Established(established) => match layout.kind {
                PduType::CapsuleCmd => established.handle_capsule(cx, &mut self.outgoing, layout, header),
                PduType::H2cData => established.handle_data(layout, header),
                PduType::IcReq
                | PduType::IcResp
                | PduType::H2cTermReq
                | PduType::C2hTermReq
                | PduType::CapsuleResp
                | PduType::C2hData
                | PduType::R2t => Err(Problem::Fatal(HeaderError::Sequence)),
            },
            State::Terminating(_) | State::Leaving(_) | State::Ended(_) => Ok(Taken(None)),
        }
    }

    fn handle_landed(&mut self, cx: &mut Context<'_>, owner: Landing, intact: bool) {
        match owner {
            Landing::Nobody => {}
            Landing::Connect => self.handle_connect_data(cx, intact),
            Landing::Slot(slot) => {
                if let State::Established(established) = &mut self.state {
                    established.handle_landed(cx, &mut self.outgoing, slot, intact);
                }
            }
        }
    }

    fn handle_connect_data(&mut self, cx: &mut Context<'_>, intact: bool) {
        let State::Connecting(connecting) = &mut self.state else { return };
        let connecting = core::mem::take(connecting);
        let connected = connecting.handle_data(cx, &mut self.outgoing, &self.arrival, self.key, intact);
        self.go_on(cx, connected);
    }

    /// The target's answer to a Connect that had to wait. False if nobody waits for it any more.
    pub(in super::super) fn handle_connected(
        &mut self,
        cx: &mut Context<'_>,
        outcome: &Result<Connected, Refusal>,
    ) -> bool {
        let State::Connecting(connecting) = &mut self.state else { return false };
        if !connecting.is_waiting() {
            return false;
        }
        let connecting = core::mem::take(connecting);
        let connected = connecting.handle_outcome(cx, &mut self.outgoing, self.key, outcome);
        self.go_on(cx, connected);
        true
    }

    fn go_on(&mut self, cx: &mut Context<'_>, connected: Result<Established, Connecting>) {
        self.state = match connected {
            Ok(established) => {
                if established.queue_id() != 0 {
                    let in_capsule_max = cx.target.options().in_capsule_data_size;
                    self.framer.set_rules(HeaderRules { in_capsule_max, ..*self.framer.rules() });
                }
                State::Established(established)
            }
            Err(again) => State::Connecting(again),
        };
    }

    /// Tells the host what it did wrong; nothing of it is listened to any more (TCP transport 3.5).
    fn terminate(&mut self, cx: &mut Context<'_>, bad: BadHeader) {
        tracing::debug!(peer = %self.arrival.peer, error = %bad.error, "terminating a connection");
        cx.shard.counters.terminated += 1;
        let offending = self.framer.offending(&bad);
        self.outgoing.terminate(cx, bad.error.fatal_error(), offending);
        let left = self.give_up_queue(cx);
        self.state = State::Terminating(left);
    }
}

/// How much is received at once while much data is expected, in bytes: little, so that most of it comes by receives of
/// its own, right to its place.
const HEADERS_BYTES: usize = 4096;
