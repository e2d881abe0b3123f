//! The owner's handle to an association.

use super::controller::{AdminRequest, Controller};
use super::event::HostEvent;
use super::namespace::Namespace;
use super::options::{HostOptions, HostOptionsError};
use std::cell::RefCell;
use std::rc::Rc;
use stdx::env::{Env, Event, Owner};
use stdx::mem::OutOfMemory;
use stdx::time::Time;
use thiserror::Error;
use verbs::{ConnectionEvent, Device};
use wire::nvme::identify::ControllerData;

/// An association with a controller. Dropping it leaves its streams open: [`Host::close`] it first.
#[derive(Debug)]
pub struct Host {
    controller: Rc<RefCell<Controller>>,
}

/// A host could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum HostError {
    /// The options make no sense.
    #[error(transparent)]
    Options(#[from] HostOptionsError),
    /// No memory for buffers.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

/// The host takes no admin command now: it has no connection, or too many are outstanding.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("no connection, or too many admin commands outstanding")]
pub struct NotNow;

impl Host {
    /// Begins to connect; [`HostEvent::Connected`] or [`HostEvent::Failed`] follows. Events of all its streams go to
    /// `owner`, which is this host's alone. Over RDMA the low 32 bits of `owner` are clear, and all owners with these high 32
    /// bits are this host's.
    pub fn connect(env: &mut dyn Env, owner: Owner, options: HostOptions) -> Result<Self, HostError> {
        options.check()?;
        let controller = Controller::connect(env, owner, options)?;
        Ok(Self { controller: Rc::new(RefCell::new(controller)) })
    }

    /// An event of this host's owner.
    pub fn handle_event(&self, env: &mut dyn Env, event: &Event) {
        self.controller.borrow_mut().handle_event(env, event);
    }

    /// Over RDMA: takes in what the device has to tell, and has it do what is wanted. To be called in every turn, before the
    /// device's own; nothing moves otherwise. The device is one and the same from the first call to [`Host::free`].
    pub fn drive(&self, env: &mut dyn Env, device: &mut dyn Device) {
        self.controller.borrow_mut().drive(env, device);
    }

    /// An event of the device for one of this host's owners.
    pub fn handle_device_event(&self, device: &mut dyn Device, event: &verbs::Event) {
        self.controller.borrow_mut().handle_device_event(device, event);
    }

    /// Something happened to one of this host's connections of the device.
    pub fn handle_connection(&self, env: &mut dyn Env, device: &mut dyn Device, event: &ConnectionEvent) {
        self.controller.borrow_mut().handle_connection(env, device, event);
    }

    /// True once nothing of a closed host is left at the device: its connections have ended in order. Over TCP at once.
    pub fn is_quiet(&self) -> bool {
        self.controller.borrow().is_quiet()
    }

    /// Gives back what a closed host has of its device, also connections that have not ended yet.
    pub fn free(&self, env: &mut dyn Env, device: &mut dyn Device) {
        self.controller.borrow_mut().free(env, device);
    }

    /// Sends what was submitted since the last call. Channels do it when polled; who polls none calls this.
    pub fn flush(&self, env: &mut dyn Env) {
        self.controller.borrow_mut().flush(env);
    }

    /// When [`Host::handle_timeout`] wants to be called at the latest.
    pub fn deadline(&self) -> Option<Time> {
        self.controller.borrow().deadline()
    }

    /// The deadline has come, or any time later.
    pub fn handle_timeout(&self, env: &mut dyn Env) {
        self.controller.borrow_mut().handle_timeout(env);
    }

    /// The next thing that happened.
    pub fn poll_event(&self) -> Option<HostEvent> {
        self.controller.borrow_mut().poll_event()
    }

    /// True if [`Host::poll_event`] has something to tell.
    pub fn has_events(&self) -> bool {
        self.controller.borrow().has_events()
    }

    /// True while there is a connection.
    pub fn is_live(&self) -> bool {
        self.controller.borrow().is_live()
    }

    /// What it was told to be.
    pub fn options(&self) -> HostOptions {
        self.controller.borrow().options.clone()
    }

    /// What Identify Controller said last; `None` before.
    pub fn controller_data(&self) -> Option<Box<ControllerData>> {
        self.controller.borrow().data.clone()
    }

    /// The controller identifier (CNTLID) of this association.
    pub fn controller_id(&self) -> u16 {
        self.controller.borrow().controller_id()
    }

    /// The I/O queues there are now, and the entries of each.
    pub fn io_queues(&self) -> (usize, u16) {
        self.controller.borrow().io_queues()
    }

    /// The namespaces there are, by identifier.
    pub fn namespaces(&self) -> Vec<Namespace> {
        let ids = self.controller.borrow().namespace_ids();
        ids.into_iter().filter_map(|id| self.namespace(id)).collect()
    }

    /// The namespace of this identifier, if there is one.
    pub fn namespace(&self, id: u32) -> Option<Namespace> {
        Namespace::new(Rc::clone(&self.controller), id)
    }

    /// Passes a command on to the admin queue; [`HostEvent::AdminDone`] follows.
    pub fn admin(&self, env: &mut dyn Env, request: &AdminRequest) -> Result<(), NotNow> {
        self.controller.borrow_mut().pass(env, request).map_err(|_| NotNow)
    }

    /// Asserts what always holds.
    pub fn check(&self) {
        self.controller.borrow().check();
    }

    /// Tells the controller that we go, ends the streams, and gives memory back. Requests complete as gone. Over RDMA the
    /// host is to be driven until it [is quiet](Host::is_quiet), and [freed](Host::free) then.
    pub fn close(&self, env: &mut dyn Env) {
        self.controller.borrow_mut().close(env);
    }
}
