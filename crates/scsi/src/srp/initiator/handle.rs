//! The owner's handle to an attached target.

use super::attachment::Attachment;
use super::channel::ChannelInfo;
use super::event::InitiatorEvent;
use super::link::Link;
use super::options::{InitiatorOptions, InitiatorOptionsError};
use crate::initiator::{Attached, Disk};
use std::cell::RefCell;
use std::rc::Rc;
use stdx::env::{Env, Owner};
use stdx::mem::OutOfMemory;
use stdx::time::Time;
use thiserror::Error;
use verbs::{ConnectionEvent, Device};

/// An attached target. [`Initiator::close`] it and drive it until it [is quiet](Initiator::is_quiet), and
/// [free](Initiator::free) it then.
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
    /// Begins to connect; [`InitiatorEvent::Connected`](crate::initiator::InitiatorEvent::Connected) or
    /// [`Failed`](crate::initiator::InitiatorEvent::Failed) follows. The low 32 bits of `owner` are clear, and all owners with these
    /// high 32 bits are this initiator's.
    ///
    /// # Errors
    /// The options make no sense, or there is no memory.
    pub fn connect(
        env: &mut dyn Env,
        owner: Owner,
        options: InitiatorOptions,
    ) -> Result<Self, InitiatorError> {
        options.check()?;
        let attachment = Attachment::connect(env, owner, options)?;
        Ok(Self { attachment: Rc::new(RefCell::new(attachment)) })
    }

    /// Takes in what the device has to tell, and has it do what is wanted. To be called in every turn, before the device's own;
    /// nothing moves otherwise. The device is one and the same from the first call to [`Initiator::free`].
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

    /// When [`Initiator::handle_timeout`] and [`Initiator::drive`] want to be called at the latest.
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

    /// True if [`Initiator::poll_event`] has something to tell, now or once the device is done.
    pub fn has_events(&self) -> bool {
        self.attachment.borrow().has_events()
    }

    /// True while there is a connection.
    pub fn is_live(&self) -> bool {
        self.attachment.borrow().is_live()
    }

    /// What it was told to be.
    pub fn options(&self) -> InitiatorOptions {
        self.attachment.borrow().options.clone()
    }

    /// Its channels.
    pub fn channels(&self) -> Vec<ChannelInfo> {
        self.attachment.borrow().link().map(Link::infos).unwrap_or_default()
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

    /// Logs out and ends the connections. Requests complete as gone.
    pub fn close(&self) {
        self.attachment.borrow_mut().close();
    }

    /// True once nothing of a closed initiator is left at the device: its connections have ended in order.
    pub fn is_quiet(&self) -> bool {
        self.attachment.borrow().is_quiet()
    }

    /// Gives back what a closed initiator has of its device, also connections that have not ended yet, and its memory.
    pub fn free(&self, env: &mut dyn Env, device: &mut dyn Device) {
        self.attachment.borrow_mut().free(env, device);
    }
}
