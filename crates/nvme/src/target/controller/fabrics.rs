//! Fabrics commands on a queue that exists: properties (Base 6.5, 6.6).

use super::super::seam::Transfer;
use super::super::{Request, Target, sgl};
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::nvme::fabrics::{Capabilities, Property, PropertyGet, PropertySet, PropertySize, Version};
use wire::nvme::{FabricsCommandType, Status, SubmissionQueueEntry};

/// The data of a Fabrics command. Connect has its own way in, and comes too late here.
pub(in super::super) fn transfer(command: &SubmissionQueueEntry) -> Result<Transfer, Status> {
    match FabricsCommandType::from_code(command.fabrics_type_code()) {
        Some(FabricsCommandType::PropertyGet | FabricsCommandType::PropertySet) => sgl::none(command),
        Some(FabricsCommandType::Connect) => Err(Status::COMMAND_SEQUENCE_ERROR),
        Some(
            FabricsCommandType::AuthenticationSend
            | FabricsCommandType::AuthenticationReceive
            | FabricsCommandType::Disconnect,
        )
        | None => Err(Status::INVALID_OPCODE),
    }
}

impl Target {
    /// A Fabrics command.
    pub(in super::super) fn fabrics(&mut self, env: &mut dyn Env, key: Key, request: &Request) {
        let outcome = self.property(env, key, &request.command);
        let (status, result) = match outcome {
            Ok(value) => (Status::SUCCESS, value),
            Err(status) => (status, 0),
        };
        self.answer(key, request, status, result, Span::EMPTY);
    }

    /// Property Get and Set, on the admin queue only; the result is the property's value, or 0.
    fn property(
        &mut self,
        env: &mut dyn Env,
        key: Key,
        command: &SubmissionQueueEntry,
    ) -> Result<u64, Status> {
        let queue = self.queues.get(key).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        if !queue.is_admin() {
            return Err(Status::INVALID_OPCODE);
        }
        let controller = queue.controller;
        if let Some(controller) = self.controllers.get_mut(controller) {
            controller.keep_alive.heard = true;
        }
        match FabricsCommandType::from_code(command.fabrics_type_code()) {
            Some(FabricsCommandType::PropertyGet) => {
                let PropertyGet { offset, size } = PropertyGet::read(command);
                self.get_property(controller, property_of(offset, size)?)
            }
            Some(FabricsCommandType::PropertySet) => {
                let PropertySet { offset, size, value } = PropertySet::read(command);
                match property_of(offset, size)? {
                    Property::Configuration => self.configure(env, controller, value as u32),
                    Property::Capabilities
                    | Property::Version
                    | Property::Status
                    | Property::SubsystemReset
                    | Property::ReadyTimeouts => return Err(Status::INVALID_FIELD),
                }
                Ok(0)
            }
            Some(
                FabricsCommandType::Connect
                | FabricsCommandType::AuthenticationSend
                | FabricsCommandType::AuthenticationReceive
                | FabricsCommandType::Disconnect,
            )
            | None => Err(Status::INVALID_OPCODE),
        }
    }

    fn get_property(&self, controller: Key, property: Property) -> Result<u64, Status> {
        let controller = self.controllers.get(controller).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        Ok(match property {
            Property::Capabilities => self.capabilities().bits(),
            Property::Version => u64::from(Version::V2_0.bits()),
            Property::Configuration => u64::from(controller.configuration.bits()),
            Property::Status => u64::from(controller.status.bits()),
            Property::ReadyTimeouts => READY_TIMEOUTS,
            Property::SubsystemReset => return Err(Status::INVALID_FIELD),
        })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            queue_entries_max_zero_based: self.options.max_queue_depth - 1,
            contiguous_queues: true,
            ready_timeout: READY_TIMEOUT_500MS,
            subsystem_reset: false,
            command_sets: COMMAND_SET_NVM | COMMAND_SETS_ALL,
            page_size_min: 0,
            page_size_max: 0,
            ready_with_media: true,
        }
    }
}

/// A property that exists, asked for in its own width.
fn property_of(offset: u32, size: Option<PropertySize>) -> Result<Property, Status> {
    let property = Property::from_code(offset).ok_or(Status::INVALID_FIELD)?;
    if size == Some(property.size()) { Ok(property) } else { Err(Status::INVALID_FIELD) }
}

/// CAP.CSS: the NVM command set.
const COMMAND_SET_NVM: u8 = 1;
/// CAP.CSS: all that the I/O command set structure lists.
const COMMAND_SETS_ALL: u8 = 1 << 6;
/// CAP.TO: readiness takes no time, so the smallest value there is would do; hosts poll for at least this long.
const READY_TIMEOUT_500MS: u8 = 15;
/// CRTO: the same in CRWMT; there is no readiness without media.
const READY_TIMEOUTS: u64 = READY_TIMEOUT_500MS as u64;
