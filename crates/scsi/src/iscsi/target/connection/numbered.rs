//! PDUs that take their turn in the order of commands and are no commands of SCSI: pings, text, task management, logout.

use super::super::Context;
use super::super::session::{Parked, Turn, give};
use super::Connection;
use super::framer::{Incoming, Landing};
use super::hold::{Held, Problem, Taken};
use super::outgoing::Item;
use stdx::mem::Span;
use wire::iscsi::{Bhs, NopOut, Opcode, PduLayout, RESERVED_TAG, RejectReason, ScsiCommand, Serial};

impl Connection {
    /// The header of such a PDU is whole; its data, if any, follows.
    pub(super) fn handle_numbered(
        &mut self,
        cx: &mut Context<'_>,
        layout: &PduLayout,
        bhs: &Bhs,
    ) -> Result<Taken, Problem> {
        if self.turn(cx, bhs) == Turn::Never {
            cx.shard.counters.ignored += 1;
            return Ok(Taken(Incoming::unwanted(layout)));
        }
        if layout.data_len == 0 {
            self.take_numbered(cx, *bhs, Span::EMPTY)?;
            return Ok(Taken(None));
        }
        let len = layout.data_len as usize;
        let buffer = cx.env.mem().take(len).ok_or(Problem::Held(Held::Buffers(len)))?;
        self.coming.1 = buffer;
        Ok(Taken(Incoming::new(layout, Landing::Pdu, buffer)))
    }

    /// Such a PDU is whole.
    pub(super) fn take_numbered(
        &mut self,
        cx: &mut Context<'_>,
        bhs: Bhs,
        data: Span,
    ) -> Result<(), Problem> {
        if bhs.is_immediate() {
            return self.execute(cx, &bhs, data);
        }
        let turn = self.turn(cx, &bhs);
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else {
            give(cx.env, data);
            return Ok(());
        };
        match turn {
            Turn::Now => {
                session.window.advance(false);
                self.execute(cx, &bhs, data)?;
                self.deliver(cx)
            }
            Turn::Later => {
                session.window.park(cmd_sn(&bhs), Parked::Pdu { connection: self.key, bhs, data });
                Ok(())
            }
            Turn::Never => {
                give(cx.env, data);
                Ok(())
            }
        }
    }

    /// PDUs of this connection that another one made due.
    pub(in super::super) fn take_ready(&mut self, cx: &mut Context<'_>) {
        while let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) {
            let place = session.ready.iter().position(|(connection, _, _)| *connection == self.key);
            let Some((_, bhs, data)) = place.and_then(|place| session.ready.remove(place)) else { return };
            if self.execute(cx, &bhs, data).is_err() {
                return self.leave(cx);
            }
        }
    }

    /// Whether there are any.
    pub(in super::super) fn has_ready(&self, cx: &Context<'_>) -> bool {
        let session = self.session.and_then(|key| cx.shard.sessions.get(key));
        session.is_some_and(|session| session.ready.iter().any(|(connection, ..)| *connection == self.key))
    }

    /// Its turn has come.
    pub(super) fn execute(&mut self, cx: &mut Context<'_>, bhs: &Bhs, data: Span) -> Result<(), Problem> {
        match bhs.opcode() {
            Some(Opcode::NopOut) => self.handle_ping(cx, bhs, data),
            Some(Opcode::TextRequest) => self.handle_text(cx, bhs, data),
            Some(Opcode::TaskRequest) => {
                give(cx.env, data);
                self.handle_task_request(cx, bhs)
            }
            Some(Opcode::LogoutRequest) => {
                give(cx.env, data);
                self.handle_logout(cx, bhs)
            }
            _ => {
                debug_assert!(false, "nothing else comes here");
                give(cx.env, data);
                Ok(())
            }
        }
    }

    /// NOP-Out: a ping is answered with its own data (RFC 7143, section 11.18).
    fn handle_ping(&mut self, cx: &mut Context<'_>, bhs: &Bhs, data: Span) -> Result<(), Problem> {
        let Ok(ping) = NopOut::decode(bhs) else {
            give(cx.env, data);
            self.reject(cx, RejectReason::InvalidPduField, *bhs);
            return Ok(());
        };
        if ping.task_tag == RESERVED_TAG {
            // It answers ours, or tells no more than its numbers.
            give(cx.env, data);
            return Ok(());
        }
        // An answer no longer than the initiator takes; the front of a buffer gives the whole back.
        let data = data.first(data.len().min(self.outgoing.segment_max as usize));
        self.outgoing.push(Item::Nop { lun: ping.lun, tag: ping.task_tag, transfer_tag: RESERVED_TAG, data });
        Ok(())
    }

    /// A numbered PDU is not executed: if it is its turn, the turn is over.
    pub(super) fn pass_over(&mut self, cx: &mut Context<'_>, layout: &PduLayout, bhs: &Bhs) {
        if layout.immediate || !layout.opcode.is_numbered() || self.turn(cx, bhs) != Turn::Now {
            return;
        }
        if let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) {
            session.window.advance(false);
        }
        // What waited behind it can fail only by its own fault, and is then of another PDU.
        if self.deliver(cx).is_err() {
            self.leave(cx);
        }
    }

    /// Where the number of a PDU stands.
    fn turn(&self, cx: &Context<'_>, bhs: &Bhs) -> Turn {
        let session = self.session.and_then(|key| cx.shard.sessions.get(key));
        match session {
            _ if bhs.is_immediate() => Turn::Now,
            Some(session) => session.window.turn(cmd_sn(bhs)),
            None => Turn::Never,
        }
    }
}

/// CmdSN, which all numbered PDUs have in the same place.
fn cmd_sn(bhs: &Bhs) -> Serial {
    ScsiCommand::number(bhs)
}
