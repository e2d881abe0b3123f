//! A command whose turn it is, whose data is at hand, and whose volume does it at once: it is answered before the next PDU is
//! looked at, and takes neither a place among the tasks nor a buffer.

use super::super::Context;
use super::super::session::{Session, Turn, give};
use super::answer::Ended;
use super::command::attribute;
use super::{Connection, State};
use crate::target::Command;
use stdx::mem::Span;
use wire::iscsi::{Opcode, PduLayout, RESERVED_TAG, Residual, ScsiCommand};
use wire::scsi::Status;

impl Connection {
    /// A PDU's header is whole, and `following` is what came behind it. Says how many bytes of that the command took; `None`
    /// if nothing was done, because it is not one of this kind.
    pub(super) fn perform(
        &mut self,
        cx: &mut Context<'_>,
        layout: &PduLayout,
        following: Span,
    ) -> Option<usize> {
        let used = layout.data_len as usize + layout.padding_len();
        let plain = layout.opcode == Opcode::ScsiCommand && layout.ahs_len == 0 && following.len() >= used;
        if !plain || !(self.lends() || self.rdma.is_some()) || !matches!(self.state, State::FullFeature) {
            return None;
        }
        let command = ScsiCommand::decode(&self.framer.bhs()).ok()?;
        let key = self.session?;
        if !self.has_room_for(cx, &command) || cx.awaits_predecessor(self.session) {
            return None;
        }
        let session = cx.shard.sessions.get_mut(key)?;
        if !is_next(session, &command) || !brings_all(session, layout, &command) {
            return None;
        }
        let request = Command {
            nexus: session.nexus?,
            slot: u32::MAX,
            lun: command.lun,
            tag: u64::from(command.task_tag),
            attribute: attribute(command.attribute),
            cdb: command.cdb,
            data_out_len: if command.write { command.expected_length } else { 0 },
            data_in_len: if command.read { command.expected_length } else { 0 },
        };
        let brought = following.first(layout.data_len as usize);
        let memory = self.advertised();
        let buffer = match self.rdma {
            // A device takes data where it lies, and until it has told that it did: no volume lends for so long.
            Some(_) if command.read && command.expected_length > 0 => {
                memory.read?;
                self.take_buffer(cx, command.expected_length)?
            }
            Some(_) | None => Span::EMPTY,
        };
        let Some(lent) = cx.executor.perform(cx.env, &request, brought) else {
            give(cx.env, buffer);
            return None;
        };
        // It is answered, so that it takes no room in the window.
        if let Some(session) = cx.shard.sessions.get_mut(key) {
            session.window.advance(false);
        }
        let moved = if command.write { brought.len } else { lent.len };
        let data = self.keep_lent(cx, lent.first(lent.len().min(request.data_in_len as usize)), buffer);
        let ended = Ended {
            tag: command.task_tag,
            lun: command.lun,
            status: Status::Good,
            sense: None,
            data,
            buffer,
            residual: Residual::between(command.expected_length, moved),
            r2ts: 0,
            memory,
        };
        self.tell(cx, &ended);
        Some(used)
    }

    /// Where data that a volume lends is sent from: the buffer, if there is one.
    fn keep_lent(&self, cx: &mut Context<'_>, lent: Span, buffer: Span) -> Span {
        if self.rdma.is_none() {
            return lent;
        }
        let data = buffer.first(lent.len());
        cx.env.mem().copy(data, lent);
        data
    }

    /// Whether the answer may be queued, and as much read data as it may bring be under way.
    fn has_room_for(&self, cx: &Context<'_>, command: &ScsiCommand) -> bool {
        let limits = &cx.shard.limits;
        let brings = if command.read { command.expected_length as usize } else { 0 };
        self.outgoing.backlog() < limits.backlog_max
            && self.outgoing.bytes() + self.promised_bytes + brings <= limits.lent_ahead_bytes_max
    }
}

/// Whether it is the command's turn, nothing waits behind it for its own, its tag is its alone, and so is the session its
/// connection's: what one lends is not to be changed by an ordered command of another.
fn is_next(session: &Session, command: &ScsiCommand) -> bool {
    !command.immediate
        && command.task_tag != RESERVED_TAG
        && session.window.turn(command.cmd_sn) == Turn::Now
        && !session.window.has_parked()
        && session.connections.len() == 1
        && session.tasks.find(command.task_tag).is_none()
}

/// Whether the command moves data one way alone, and has brought all of what it brings.
fn brings_all(session: &Session, layout: &PduLayout, command: &ScsiCommand) -> bool {
    if !command.is_final || command.read == command.write {
        return false;
    }
    let parameters = &session.parameters;
    let agreed = parameters.immediate_data && layout.data_len <= parameters.first_burst_len;
    layout.data_len == if command.write { command.expected_length } else { 0 } && (command.read || agreed)
}
