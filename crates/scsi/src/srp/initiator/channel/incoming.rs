//! What comes of a connection: units, work that is done, the end.

use super::outgoing::{COPIED_TOKEN, LOGOUT_TOKEN, REPLY_TOKEN};
use super::{Channel, ChannelEnd, Context, REPLIES_MAX, State, Task, What};
use crate::initiator::{Data, Ending};
use stdx::planted::{Bug, planted};
use stdx::slab::Key;
use verbs::endpoint::Received;
use verbs::{CompletionKind, Status as Outcome};
use wire::scsi::{Lun, Sense, Status};
use wire::srp::{
    self, AsynchronousEvent, CreditRequest, Opcode, Reply, Response, ResponseCode, ResponseFlags,
    TargetLogout,
};

impl Channel {
    /// A unit came. Its receive is given back at once.
    pub fn handle_received(&mut self, cx: &mut Context<'_>, received: Received) {
        let mut unit = core::mem::take(cx.scratch);
        unit.clear();
        unit.resize(received.len as usize, 0);
        cx.env.mem().read(cx.endpoint.message(&received), &mut unit);
        let taken = match received.invalidated {
            Some(_) => Err(ChannelEnd::Invalidation),
            None if self.state == State::Open => self.take_unit(cx, &unit),
            None => Ok(()),
        };
        *cx.scratch = unit;
        if let Some(connection) = self.connection {
            cx.endpoint.release(cx.device, connection, received);
        }
        if let Err(why) = taken {
            self.end(why);
        }
    }

    fn take_unit(&mut self, cx: &mut Context<'_>, unit: &[u8]) -> Result<(), ChannelEnd> {
        let bad = ChannelEnd::BadUnit { len: unit.len() as u32 };
        let (opcode, _) = srp::peek(unit).map_err(|_| bad)?;
        match opcode {
            Some(Opcode::Response) => {
                let response = Response::decode(unit).map_err(|_| bad)?;
                self.take_credits(response.request_limit_delta)?;
                self.take_response(cx, &response)
            }
            Some(Opcode::CreditRequest) => {
                let request = CreditRequest::decode(unit).map_err(|_| bad)?;
                self.take_credits(request.request_limit_delta)?;
                self.reply(Reply { opcode: Opcode::CreditResponse, tag: request.tag })
            }
            Some(Opcode::AsynchronousEventRequest) => {
                let event = AsynchronousEvent::decode(unit).map_err(|_| bad)?;
                self.take_credits(event.request_limit_delta)?;
                self.has_news = true;
                self.reply(Reply { opcode: Opcode::AsynchronousEventResponse, tag: event.tag })
            }
            Some(Opcode::TargetLogout) => {
                let logout = TargetLogout::decode(unit).map_err(|_| bad)?;
                Err(ChannelEnd::LoggedOut(logout.reason))
            }
            Some(
                Opcode::LoginRequest
                | Opcode::TaskManagement
                | Opcode::Command
                | Opcode::InitiatorLogout
                | Opcode::CreditResponse
                | Opcode::AsynchronousEventResponse
                | Opcode::LoginResponse
                | Opcode::LoginReject,
            )
            | None => Err(bad),
        }
    }

    /// The request limit changes (section 5.2). Less than nothing may be taken back only as far as there is.
    fn take_credits(&mut self, delta: i32) -> Result<(), ChannelEnd> {
        self.credits = self.credits.checked_add_signed(delta).ok_or(ChannelEnd::Credits)?;
        Ok(())
    }

    fn reply(&mut self, reply: Reply) -> Result<(), ChannelEnd> {
        if self.replies.len() + self.replies_under_way >= REPLIES_MAX {
            return Err(ChannelEnd::Insistent);
        }
        self.replies.push_back(reply);
        Ok(())
    }

    fn take_response(&mut self, cx: &mut Context<'_>, response: &Response<'_>) -> Result<(), ChannelEnd> {
        let unknown = ChannelEnd::UnknownRequest(response.tag);
        let key = Key::from_u64(response.tag);
        let task = self.tasks.get_mut(key).filter(|task| task.is_posted && task.ending.is_none());
        let task = task.ok_or(unknown)?;
        let ending = ending(response, task.data())?;
        task.ending = Some(ending);
        let (what, number) = (task.what, task.number);
        self.close(cx, key);
        self.settle(key);
        let is_complete = response.code == Some(ResponseCode::Complete);
        match what {
            What::Abort(of) if is_complete => self.take_aborted(cx, of),
            What::Reset(lun) if is_complete => self.take_reset(cx, lun, number),
            What::Command(_) | What::Abort(_) | What::Reset(_) => {}
        }
        Ok(())
    }

    /// A logical unit was reset: no response comes any more to what was sent to it before.
    fn take_reset(&mut self, cx: &mut Context<'_>, lun: Lun, number: u64) {
        for place in 0..self.keys.len() {
            let Some(key) = self.tasks.key_at(place) else { continue };
            let has_ended = |task: &Task| task.is_under_way_at(lun) && task.number < number;
            if self.tasks.get(key).is_some_and(has_ended) {
                self.take_aborted(cx, key);
            }
        }
    }

    /// A command was aborted: no response to it comes any more.
    fn take_aborted(&mut self, cx: &mut Context<'_>, of: Key) {
        let Some(task) = self.tasks.get_mut(of).filter(|task| task.ending.is_none()) else { return };
        let is_done = planted(Bug::AbortedTakenForDone);
        let status = if is_done { Status::Good } else { Status::TaskAborted } as u8;
        task.ending = Some(Ending { status: Some(status), sense: None, moved: 0, is_exact: is_done });
        self.close(cx, of);
        self.settle(of);
    }

    /// The device is done with work.
    pub fn handle_done(&mut self, token: u32, kind: CompletionKind, outcome: Outcome) {
        self.is_stalled = false;
        if outcome != Outcome::Success {
            self.failed.get_or_insert(outcome);
            return;
        }
        match token {
            REPLY_TOKEN => self.replies_under_way = self.replies_under_way.saturating_sub(1),
            LOGOUT_TOKEN | COPIED_TOKEN => {}
            _ => {
                let Some(key) = self.tasks.key_at(token as usize) else { return };
                let Some(task) = self.tasks.get_mut(key) else { return };
                match kind {
                    CompletionKind::Send => task.is_gone = true,
                    CompletionKind::Invalidate => task.key = None,
                    _ => return,
                }
                self.settle(key);
            }
        }
    }

    /// The connection ends.
    pub fn handle_broken(&mut self) {
        self.end(match self.failed {
            Some(outcome) if outcome != Outcome::Flushed => ChannelEnd::Broken(outcome),
            Some(_) | None => ChannelEnd::ByPeer,
        });
    }
}

/// How a command ended, by its response (section 6.9).
fn ending(response: &Response<'_>, data: Data) -> Result<Ending, ChannelEnd> {
    let (underflow, overflow, residual) = match data {
        Data::Out(_) => {
            (ResponseFlags::DATA_OUT_UNDERFLOW, ResponseFlags::DATA_OUT_OVERFLOW, response.data_out_residual)
        }
        Data::In(_) | Data::None => {
            (ResponseFlags::DATA_IN_UNDERFLOW, ResponseFlags::DATA_IN_OVERFLOW, response.data_in_residual)
        }
    };
    let is_under = response.flags.contains(underflow);
    let missing = if is_under { residual } else { 0 };
    let moved = data.len().checked_sub(missing).ok_or(ChannelEnd::BadResidual)?;
    // What the fields of the request were wrong for the target could not deal with.
    let is_understood = response.code.is_none_or(|code| code == ResponseCode::Complete);
    Ok(Ending {
        status: is_understood.then_some(response.status),
        sense: if response.sense.is_empty() { None } else { Sense::read(response.sense) },
        moved,
        is_exact: missing == 0 && !response.flags.contains(overflow),
    })
}
