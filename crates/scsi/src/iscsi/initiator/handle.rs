//! The owner's handle to an attached target.

use super::attachment::Attachment;
use super::event::InitiatorEvent;
use super::options::{InitiatorOptions, InitiatorOptionsError};
use crate::initiator::Disk;
use crate::iscsi::login::Parameters;
use std::cell::RefCell;
use std::rc::Rc;
use stdx::env::{Env, Event, Owner};
use stdx::mem::OutOfMemory;
use stdx::time::Time;
use thiserror::Error;
use verbs::{ConnectionEvent, Device};

/// An attached target. Dropping it leaves its streams open: [`Initiator::close`] it first.
#[derive(Debug)]
pub struct Initiator {
    attachment: Rc<RefCell<Attachment>>,
}

/// An initiator could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum InitiatorError {
    /// The options make no sense.
    #[error(transparent)]
    Options(#[from] InitiatorOptionsError),
    /// No memory for buffers.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

impl Initiator {
    /// Begins to connect; [`InitiatorEvent::Connected`] or [`InitiatorEvent::Failed`] follows. Events of all its streams go
    /// to `owner`, which is this initiator's alone. Over RDMA the low 32 bits of `owner` are clear, and all owners with these
    /// high 32 bits are this initiator's.
    pub fn connect(
        env: &mut dyn Env,
        owner: Owner,
        options: InitiatorOptions,
    ) -> Result<Self, InitiatorError> {
        options.check()?;
        let attachment = Attachment::connect(env, owner, options)?;
        Ok(Self { attachment: Rc::new(RefCell::new(attachment)) })
    }

    /// An event of this initiator's owner.
    pub fn handle_event(&self, env: &mut dyn Env, event: &Event) {
        self.attachment.borrow_mut().handle_event(env, event);
    }

    /// Over RDMA: takes in what the device has to tell, and has it do what is wanted. To be called in every turn, before the
    /// device's own; nothing moves otherwise. The device is one and the same from the first call to [`Initiator::free`].
    pub fn drive(&self, env: &mut dyn Env, device: &mut dyn Device) {
        self.attachment.borrow_mut().drive(env, device);
    }

    /// An event of the device for one of this initiator's owners.
    pub fn handle_device_event(&self, device: &mut dyn Device, event: &verbs::Event) {
        self.attachment.borrow_mut().handle_device_event(device, event);
    }

    /// Something happened to one of this initiator's connections of the device.
    pub fn handle_connection(&self, env: &mut dyn Env, device: &mut dyn Device, event: &ConnectionEvent) {
        self.attachment.borrow_mut().handle_connection(env, device, event);
    }

    /// True once nothing of a closed initiator is left at the device: its connections have ended in order. Over TCP at once.
    pub fn is_quiet(&self) -> bool {
        self.attachment.borrow().is_quiet()
    }

    /// Gives back what a closed initiator has of its device, also connections that have not ended yet.
    pub fn free(&self, env: &mut dyn Env, device: &mut dyn Device) {
        self.attachment.borrow_mut().free(env, device);
    }

    /// Sends what was submitted since the last call. Channels do it when polled; who polls none calls this.
    pub fn flush(&self, env: &mut dyn Env) {
        self.attachment.borrow_mut().flush(env);
    }

    /// When [`Initiator::handle_timeout`] wants to be called at the latest.
    pub fn deadline(&self) -> Option<Time> {
        self.attachment.borrow().deadline()
    }

    /// The deadline has come, or any time later.
    pub fn handle_timeout(&self, env: &mut dyn Env) {
        self.attachment.borrow_mut().handle_timeout(env);
    }

    /// The next thing that happened.
    pub fn poll_event(&self) -> Option<InitiatorEvent> {
        self.attachment.borrow_mut().poll_event()
    }

    /// True if [`Initiator::poll_event`] has something to tell.
    pub fn has_events(&self) -> bool {
        !self.attachment.borrow().events.is_empty()
    }

    /// True while there is a connection.
    pub fn is_live(&self) -> bool {
        self.attachment.borrow().is_live()
    }

    /// What it was told to be.
    pub fn options(&self) -> InitiatorOptions {
        self.attachment.borrow().options.clone()
    }

    /// What each session agreed on with the target.
    pub fn sessions(&self) -> Vec<Parameters> {
        self.attachment.borrow().session_parameters()
    }

    /// The disks there are, by logical unit number.
    pub fn disks(&self) -> Vec<Disk> {
        let luns = self.attachment.borrow().units.luns();
        luns.into_iter().filter_map(|lun| self.disk(lun)).collect()
    }

    /// The disk at a logical unit number, if there is one.
    pub fn disk(&self, lun: u16) -> Option<Disk> {
        Disk::new(self.attachment.clone(), lun)
    }

    /// Asserts what always holds. For tests and the simulation.
    pub fn check(&self) {
        self.attachment.borrow().check();
    }

    /// Logs out, ends the streams, and gives memory back. Requests complete as gone. Over RDMA the initiator is to be driven
    /// until it [is quiet](Initiator::is_quiet), and [freed](Initiator::free) then.
    pub fn close(&self, env: &mut dyn Env) {
        self.attachment.borrow_mut().close(env);
    }
}
