//! A namespace of a controller, as a volume.

mod channel;
mod command;
mod status;

pub(super) use self::command::Piece;
pub(super) use self::status::{Answer, answer_of};

use self::channel::NamespaceChannel;
use super::controller::Controller;
use block::{BlockDevice, Channel, Identity, Info};
use std::cell::RefCell;
use std::rc::Rc;
use stdx::env::{Env, Event};
use stdx::time::Time;
use wire::nvme::identify::NamespaceData;
use wire::nvme::log::AnaState;

/// A namespace. It may be used as long as its host lives; when it goes away, its requests complete as gone.
#[derive(Clone, Debug)]
pub struct Namespace {
    controller: Rc<RefCell<Controller>>,
    id: u32,
    /// What it was when it was found, for when it is gone.
    found: Info,
}

impl Namespace {
    pub(super) fn new(controller: Rc<RefCell<Controller>>, id: u32) -> Option<Self> {
        controller.borrow_mut().open_namespace(id);
        let found = controller.borrow().namespace_info(id)?;
        Some(Self { controller, id, found })
    }

    /// Its namespace identifier.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its UUID, else NGUID, else EUI64 (followed by zeros); `None` if the controller gives none, or it is gone.
    pub fn identity(&self) -> Option<Identity> {
        self.controller.borrow().record(self.id)?.identity
    }

    /// How well it is reached through this controller; `None` if the controller does not tell, or it is gone.
    pub fn access_state(&self) -> Option<AnaState> {
        self.controller.borrow().access_state(self.id)
    }

    /// What Identify Namespace said last; `None` if it is gone.
    pub fn data(&self) -> Option<Box<NamespaceData>> {
        Some(self.controller.borrow().record(self.id)?.data.clone())
    }
}

impl BlockDevice for Namespace {
    fn info(&self) -> Info {
        self.controller.borrow().namespace_info(self.id).unwrap_or(self.found)
    }

    fn open(&self) -> Box<dyn Channel> {
        Box::new(NamespaceChannel::open(&self.controller, self.id))
    }

    fn handle_event(&self, env: &mut dyn Env, event: &Event) {
        self.controller.borrow_mut().handle_event(env, event);
    }

    fn deadline(&self) -> Option<Time> {
        self.controller.borrow().deadline()
    }

    fn handle_timeout(&self, env: &mut dyn Env) {
        self.controller.borrow_mut().handle_timeout(env);
    }

    fn close(&self, _env: &mut dyn Env) {
        self.controller.borrow_mut().close_namespace(self.id);
    }
}
