//! One user's way to a namespace. Commands are sent when it is polled: all of a turn in one go.

use super::Controller;
use block::{Channel, Done, Io, Refused};
use std::cell::RefCell;
use std::rc::Rc;
use stdx::env::Env;
use stdx::slab::Key;

/// See [`Channel`].
#[derive(Debug)]
pub(super) struct NamespaceChannel {
    controller: Rc<RefCell<Controller>>,
    namespace_id: u32,
    /// `None` if the controller has all the channels it can have: nothing is taken on.
    key: Option<Key>,
}

impl NamespaceChannel {
    pub fn open(controller: &Rc<RefCell<Controller>>, namespace_id: u32) -> Self {
        let key = controller.borrow_mut().open_channel();
        Self { controller: Rc::clone(controller), namespace_id, key }
    }
}

impl Channel for NamespaceChannel {
    fn submit(&mut self, env: &mut dyn Env, io: Io) -> Result<(), Refused> {
        let key = self.key.ok_or(Refused(io))?;
        self.controller.borrow_mut().submit(env, key, self.namespace_id, io)
    }

    fn withdraw(&mut self, tag: u64) -> bool {
        self.key.is_some_and(|key| self.controller.borrow_mut().withdraw(key, tag))
    }

    fn poll(&mut self, env: &mut dyn Env, done: &mut Vec<Done>) {
        if let Some(key) = self.key {
            self.controller.borrow_mut().poll_channel(env, key, done);
        }
    }
}

impl Drop for NamespaceChannel {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.controller.borrow_mut().close_channel(key);
        }
    }
}
