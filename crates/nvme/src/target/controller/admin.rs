//! Admin commands (Base 5): which data they move, and their execution.

use super::super::queue::Queue;
use super::super::seam::Transfer;
use super::super::{Request, Target, sgl};
use super::features;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::nvme::admin::LogPageRequest;
use wire::nvme::identify::IDENTIFY_LEN;
use wire::nvme::{AdminOpcode, Fuse, Status, SubmissionQueueEntry};

/// A command done, or parked.
pub(super) enum Outcome {
    /// Dwords 0 and 1, and the data for the host.
    Done(u64, Span),
    /// Answered elsewhere.
    Parked,
}

impl Outcome {
    /// Success with nothing more to say.
    pub(super) const NOTHING: Self = Self::Done(0, Span::EMPTY);
}

impl Target {
    /// The data of an admin command.
    pub(in super::super) fn admin_transfer(
        &self,
        queue: &Queue,
        command: &SubmissionQueueEntry,
    ) -> Result<Transfer, Status> {
        if command.fuse() != Some(Fuse::Normal) {
            return Err(Status::INVALID_FIELD);
        }
        let controller = self.controllers.get(queue.controller).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        let limits = self.limits(queue);
        match opcode_of(command, controller.discovery)? {
            Opcode::Identify => sgl::from_controller(command, IDENTIFY_LEN as u64, false, &limits),
            Opcode::GetLogPage => {
                sgl::from_controller(command, LogPageRequest::read(command).length, false, &limits)
            }
            Opcode::GetFeatures => features::get_transfer(command, &limits),
            Opcode::SetFeatures => features::set_transfer(command, &limits),
            Opcode::Abort | Opcode::KeepAlive | Opcode::AsynchronousEventRequest => sgl::none(command),
        }
    }

    /// An admin command, its data there.
    pub(in super::super) fn admin(&mut self, env: &mut dyn Env, key: Key, request: &Request) {
        match self.execute_admin(env, key, request) {
            Ok(Outcome::Done(result, data)) => self.answer(key, request, Status::SUCCESS, result, data),
            Ok(Outcome::Parked) => {}
            Err(status) => self.answer(key, request, status, 0, Span::EMPTY),
        }
    }

    fn execute_admin(&mut self, env: &mut dyn Env, key: Key, request: &Request) -> Result<Outcome, Status> {
        self.hear(key)?;
        let controller = self.queues.get(key).ok_or(Status::ABORTED_QUEUE_DELETION)?.controller;
        let entry = self.controllers.get_mut(controller).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        match opcode_of(&request.command, entry.discovery)? {
            Opcode::Identify => self.identify(env, controller, request),
            Opcode::GetLogPage => self.get_log_page(env, controller, request),
            Opcode::GetFeatures => self.get_features(env, controller, request),
            Opcode::SetFeatures => self.set_features(env, controller, request),
            Opcode::Abort => Ok(Outcome::Done(self.abort(controller, request)?, Span::EMPTY)),
            Opcode::KeepAlive => {
                entry.keep_alive.restart(env.now());
                Ok(Outcome::NOTHING)
            }
            Opcode::AsynchronousEventRequest => {
                self.park(key, controller, request)?;
                Ok(Outcome::Parked)
            }
        }
    }
}

/// Writes as much of a structure into the request's buffer as was asked for.
pub(super) fn give(env: &mut dyn Env, request: &Request, bytes: &[u8]) -> Outcome {
    let len = bytes.len().min(request.data.len());
    env.mem().write(request.data, &bytes[..len]);
    Outcome::Done(0, request.data.first(len))
}

/// The admin commands there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Opcode {
    Identify,
    GetLogPage,
    GetFeatures,
    SetFeatures,
    Abort,
    KeepAlive,
    AsynchronousEventRequest,
}

/// The command, if this kind of controller has it (Base figures 22 and 23: Abort is for I/O controllers).
fn opcode_of(command: &SubmissionQueueEntry, discovery: bool) -> Result<Opcode, Status> {
    match AdminOpcode::from_code(command.opcode) {
        Some(AdminOpcode::Identify) => Ok(Opcode::Identify),
        Some(AdminOpcode::GetLogPage) => Ok(Opcode::GetLogPage),
        Some(AdminOpcode::GetFeatures) => Ok(Opcode::GetFeatures),
        Some(AdminOpcode::SetFeatures) => Ok(Opcode::SetFeatures),
        Some(AdminOpcode::KeepAlive) => Ok(Opcode::KeepAlive),
        Some(AdminOpcode::AsynchronousEventRequest) => Ok(Opcode::AsynchronousEventRequest),
        Some(AdminOpcode::Abort) if !discovery => Ok(Opcode::Abort),
        Some(_) | None => Err(Status::INVALID_OPCODE),
    }
}

/// The admin commands an I/O controller has.
pub(super) const SUPPORTED: [AdminOpcode; 7] = [
    AdminOpcode::GetLogPage,
    AdminOpcode::Identify,
    AdminOpcode::Abort,
    AdminOpcode::SetFeatures,
    AdminOpcode::GetFeatures,
    AdminOpcode::AsynchronousEventRequest,
    AdminOpcode::KeepAlive,
];
