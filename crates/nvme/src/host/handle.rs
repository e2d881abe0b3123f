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
    /// `owner`, which is this host's alone.
    pub fn connect(env: &mut dyn Env, owner: Owner, options: HostOptions) -> Result<Self, HostError> {
        options.check()?;
        let controller = Controller::connect(env, owner, options)?;
        Ok(Self { controller: Rc::new(RefCell::new(controller)) })
    }

    /// An event of this host's owner.
    pub fn handle_event(&self, env: &mut dyn Env, event: &Event) {
        self.controller.borrow_mut().handle_event(env, event);
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
        self.controller.borrow_mut().events.pop_front()
    }

    /// True if [`Host::poll_event`] has something to tell.
    pub fn has_events(&self) -> bool {
        !self.controller.borrow().events.is_empty()
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

    /// Tells the controller that we go, ends the streams, and gives memory back. Requests complete as gone.
    pub fn close(&self, env: &mut dyn Env) {
        self.controller.borrow_mut().close(env);
    }
}
