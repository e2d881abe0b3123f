//! Bytes come in: each receive is cut into PDUs, and each PDU goes to the state it is for.

use super::super::Context;
use super::framer::{Incoming, Landing, Piece};
use super::hold::{Held, Problem, Taken};
use super::{Connection, State};
use stdx::mem::Span;
use stdx::stream::Session;
use wire::iscsi::{Bhs, HeaderError, Opcode, PduLayout, RejectReason};

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
        Some(place.unwrap_or(cx.shard.scratch))
    }

    fn handle_received(&mut self, cx: &mut Context<'a>, len: usize) {
        self.heard = true;
        if matches!(self.state, State::Leaving | State::Ended) {
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

    fn poll_transmit(&mut self, cx: &mut Context<'a>, out: &mut Vec<Span>) {
        let window = self.window(cx);
        self.outgoing.pump(cx.env, &mut cx.shard.blocks, window);
        self.outgoing.poll(out);
    }

    fn handle_sent(&mut self, cx: &mut Context<'a>, len: usize) {
        self.outgoing.handle_sent(cx.env, &mut cx.shard.blocks, len);
        self.account_kept(cx);
    }
}

impl Connection {
    /// Uses up bytes, PDU by PDU.
    pub(super) fn process(&mut self, cx: &mut Context<'_>, mut bytes: Span) {
        loop {
            let (piece, used) = match self.framer.advance(cx.env.mem(), bytes) {
                Ok(advanced) => advanced,
                Err(error) => return self.fail(cx, Problem::Header(error)),
            };
            bytes = bytes.from(used);
            let done = match piece {
                Piece::Need => return,
                Piece::Data { owner, intact } => self.handle_landed(cx, owner, intact),
                Piece::Header(layout, checked) => {
                    if checked.is_ok()
                        && let Some(used) = self.perform(cx, &layout, bytes)
                    {
                        self.framer.accept(None);
                        bytes = bytes.from(used);
                        continue;
                    }
                    match self.handle_pdu(cx, &layout, checked) {
                        Ok(Taken(incoming)) => {
                            self.framer.accept(incoming);
                            Ok(())
                        }
                        Err(Problem::Held(held)) => return self.hold(cx, held, bytes),
                        Err(problem) => Err(problem),
                    }
                }
            };
            if let Err(problem) = done {
                return self.fail(cx, problem);
            }
            if matches!(self.state, State::Leaving | State::Ended) {
                return self.framer.accept(None);
            }
        }
    }

    fn handle_pdu(
        &mut self,
        cx: &mut Context<'_>,
        layout: &PduLayout,
        checked: Result<(), HeaderError>,
    ) -> Result<Taken, Problem> {
        let bhs = self.framer.bhs();
        match self.state {
            State::LoggingIn(_) => self.handle_login(cx, layout, &bhs),
            State::FullFeature => self.handle_full(cx, layout, checked, &bhs),
            State::Leaving | State::Ended => Ok(Taken(None)),
        }
    }

    fn handle_full(
        &mut self,
        cx: &mut Context<'_>,
        layout: &PduLayout,
        checked: Result<(), HeaderError>,
        bhs: &Bhs,
    ) -> Result<Taken, Problem> {
        if self.outgoing.backlog() >= cx.shard.limits.backlog_max {
            return Err(Problem::Held(Held::Backlog));
        }
        if let Err(error) = checked {
            return Ok(self.refuse(cx, layout, bhs, error.reason()));
        }
        if layout.opcode == Opcode::ScsiCommand && cx.awaits_predecessor(self.session) {
            return Err(Problem::Held(Held::Predecessor));
        }
        self.coming.0 = *bhs;
        self.take_acknowledgement(cx, bhs);
        match layout.opcode {
            Opcode::ScsiCommand => self.handle_command(cx, layout, bhs),
            Opcode::DataOut => self.handle_data(cx, layout, bhs),
            Opcode::NopOut | Opcode::TaskRequest | Opcode::TextRequest | Opcode::LogoutRequest => {
                self.handle_numbered(cx, layout, bhs)
            }
            Opcode::Snack => Ok(self.handle_snack(cx, layout, bhs)),
            Opcode::LoginRequest => Err(Problem::Protocol("a login request after the login")),
            Opcode::NopIn
            | Opcode::ScsiResponse
            | Opcode::TaskResponse
            | Opcode::LoginResponse
            | Opcode::TextResponse
            | Opcode::DataIn
            | Opcode::LogoutResponse
            | Opcode::R2t
            | Opcode::AsyncMessage
            | Opcode::Reject => Err(Problem::Header(HeaderError::WrongDirection(layout.opcode))),
        }
    }

    /// Rejects a PDU and passes over its data. If it is its turn in the order of commands, the turn is over.
    pub(super) fn refuse(
        &mut self,
        cx: &mut Context<'_>,
        layout: &PduLayout,
        bhs: &Bhs,
        reason: RejectReason,
    ) -> Taken {
        self.reject(cx, reason, *bhs);
        self.pass_over(cx, layout, bhs);
        Taken(Incoming::unwanted(layout))
    }

    /// The data of a PDU has landed.
    fn handle_landed(&mut self, cx: &mut Context<'_>, owner: Landing, intact: bool) -> Result<(), Problem> {
        if !intact {
            cx.shard.counters.data_digest_errors += 1;
            self.reject(cx, RejectReason::DataDigestError, self.coming.0);
        }
        match owner {
            Landing::Nobody => {}
            Landing::Task(slot) => self.handle_task_data(cx, slot, intact)?,
            Landing::Pdu => {
                let (bhs, data) = (self.coming.0, core::mem::replace(&mut self.coming.1, Span::EMPTY));
                if !intact {
                    // It is as if it had not come; the initiator may send it again.
                    super::give(cx.env, data);
                } else if matches!(self.state, State::LoggingIn(_)) {
                    self.handle_login_text(cx, &bhs, data)?;
                } else {
                    self.take_numbered(cx, bhs, data)?;
                }
            }
        }
        Ok(())
    }

    /// The connection cannot go on. What the initiator did is told if that makes sense to it.
    pub(super) fn fail(&mut self, cx: &mut Context<'_>, problem: Problem) {
        let bhs = self.framer.bhs();
        self.fail_at(cx, problem, bhs);
    }

    /// The same for a PDU with this header (RFC 7143, section 11.17.3).
    pub(super) fn fail_at(&mut self, cx: &mut Context<'_>, problem: Problem, bhs: Bhs) {
        cx.shard.counters.protocol_errors += 1;
        let reason = match problem {
            Problem::Held(_) => RejectReason::ProtocolError,
            Problem::Header(error) => {
                if error == HeaderError::HeaderDigest {
                    cx.shard.counters.header_digest_errors += 1;
                }
                tracing::debug!(peer = %self.arrival.peer, %error, "an iSCSI connection fails");
                error.reason()
            }
            Problem::Protocol(what) => {
                tracing::debug!(peer = %self.arrival.peer, what, "an iSCSI connection fails");
                RejectReason::ProtocolError
            }
        };
        // Before the login is over there are no rejects, only refusals.
        if matches!(self.state, State::FullFeature) {
            self.reject(cx, reason, bhs);
        }
        self.leave(cx);
    }
}
