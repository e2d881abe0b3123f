//! A request ends: its residuals, its response (section 6.9), and the credits that go back with it.

use super::Context;
use super::channel::{Channel, Phase};
use super::limits::IU_LEN_TO_INITIATOR;
use super::task::{Answer, Stage, Task};
use crate::target::{ManagementOutcome, Outcome};
use stdx::planted::{Bug, planted};
use verbs::endpoint::Answer as Sent;
use wire::scsi::{Sense, Status};
use wire::srp::{Response, ResponseCode, ResponseFlags};

impl Channel {
    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// The executor is done with a task.
    pub(super) fn handle_outcome(&mut self, cx: &mut Context<'_>, index: u16, outcome: &Outcome) {
        let is_open = self.is_open();
        let Some(task) = self.tasks.get_mut(index) else {
            debug_assert!(false, "a request lives until the executor is done with it");
            return;
        };
        (task.is_executors, task.key) = (false, None);
        let fault = task.fault;
        self.unstall(index);
        match (outcome.status, fault) {
            _ if !is_open => self.drop_task(cx, index),
            (None, Some(code)) => self.answer(cx, index, Answer::of(code)),
            (None, None) => self.drop_task(cx, index),
            (Some(_), _) if planted(Bug::ResponseForgotten) && outcome.data.len > 0 => {
                self.drop_task(cx, index);
            }
            (Some(status), _) => {
                let (code, sense, in_len) = (None, outcome.sense, outcome.data.len);
                self.answer(cx, index, Answer { code, status, sense, in_len });
            }
        }
    }

    /// The executor is done with a task management request.
    pub(super) fn handle_managed(&mut self, cx: &mut Context<'_>, index: u16, outcome: ManagementOutcome) {
        let Some(task) = self.tasks.get_mut(index).filter(|task| task.is_management) else { return };
        task.is_executors = false;
        match self.is_open() {
            true => self.answer(cx, index, Answer::of(code(outcome))),
            false => self.drop_task(cx, index),
        }
    }

    /// Answers a request.
    pub(super) fn answer(&mut self, cx: &mut Context<'_>, index: u16, answer: Answer) {
        self.release_message(cx, index);
        let Some(task) = self.tasks.get_mut(index) else { return };
        task.answer = answer;
        if task.is_both {
            core::mem::swap(&mut task.pieces, &mut task.answer_pieces);
        }
        task.stage = if answer.in_len > 0 { Stage::Write } else { Stage::Reply };
        self.advance(cx, index);
    }

    /// Sends the response. False if there is no room for it.
    pub(super) fn reply(&mut self, cx: &mut Context<'_>, index: u16) -> bool {
        if cx.endpoint.room(self.connection) == 0 {
            return false;
        }
        let Some(task) = self.tasks.get_mut(index) else { return true };
        let mut sense = [0; Sense::LEN_MAX];
        let sense_len = task.answer.sense.map_or(0, |told| told.write(&mut sense));
        let solicited = if task.answer.is_success() { task.solicit.0 } else { task.solicit.1 };
        if task.answer.is_success() || !planted(Bug::CreditLost) {
            self.credits.earn();
        }
        let mut response = residuals(task);
        response.request_limit_delta = self.credits.give();
        response.solicited = solicited;
        response.sense = &sense[..sense_len];
        let mut unit = [0; IU_LEN_TO_INITIATOR];
        let written = response.encode(&mut unit);
        debug_assert!(written.is_ok(), "the longest response fits");
        let unit = &unit[..written.unwrap_or(0)];
        task.stage = Stage::Replying;
        task.under_way += 1;
        let sent = Sent { token: index.into(), invalidate: None, solicited };
        let posted = cx.endpoint.answer(cx.device, self.connection, sent, unit);
        debug_assert!(posted.is_ok(), "{posted:?}");
        posted.is_ok()
    }
}

/// A response with its status and residuals: how much more or less data there was than the initiator's buffers take.
fn residuals<'a>(task: &Task) -> Response<'a> {
    let Answer { code, status, in_len, .. } = task.answer;
    let mut response = Response {
        tag: task.tag,
        request_limit_delta: 0,
        solicited: false,
        flags: ResponseFlags::default(),
        status: status as u8,
        data_out_residual: 0,
        data_in_residual: 0,
        code,
        sense: &[],
    };
    if code.is_some() {
        return response;
    }
    let used_out = if status == Status::Good || task.is_out { task.out_wanted } else { 0 };
    let (over, under) = (ResponseFlags::DATA_OUT_OVERFLOW, ResponseFlags::DATA_OUT_UNDERFLOW);
    let (flags, residual) = difference(task.out_len, used_out, over, under);
    response.flags = response.flags | flags;
    response.data_out_residual = residual;
    let (over, under) = (ResponseFlags::DATA_IN_OVERFLOW, ResponseFlags::DATA_IN_UNDERFLOW);
    let (flags, residual) = difference(task.in_len, in_len, over, under);
    response.flags = response.flags | flags;
    response.data_in_residual = residual;
    response
}

fn difference(there: u32, used: u32, over: ResponseFlags, under: ResponseFlags) -> (ResponseFlags, u32) {
    match used.cmp(&there) {
        core::cmp::Ordering::Equal => (ResponseFlags::default(), 0),
        core::cmp::Ordering::Greater => (over, used - there),
        core::cmp::Ordering::Less => (under, there - used),
    }
}

/// How a task management request ended. That no such task is there (any more) is what ABORT TASK was to bring about (SAM-5,
/// section 7.2).
const fn code(outcome: ManagementOutcome) -> ResponseCode {
    match outcome {
        ManagementOutcome::Complete | ManagementOutcome::Succeeded | ManagementOutcome::NoSuchTask => {
            ResponseCode::Complete
        }
        ManagementOutcome::IncorrectLun => ResponseCode::InvalidFields,
        ManagementOutcome::Rejected => ResponseCode::Failed,
    }
}
