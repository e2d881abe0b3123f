//! One user's way to a disk. Commands are sent when it is polled: all of a turn in one go.

use super::Attached;
use block::{Channel, Done, Io, Refused};
use std::cell::RefCell;
use std::rc::Rc;
use stdx::env::Env;
use stdx::slab::Key;

/// See [`Channel`].
#[derive(Debug)]
pub(super) struct DiskChannel {
    attachment: Rc<RefCell<dyn Attached>>,
    lun: u16,
    /// `None` if the attachment has all the channels it can have: nothing is taken on.
    key: Option<Key>,
}

impl DiskChannel {
    pub fn open(attachment: &Rc<RefCell<dyn Attached>>, lun: u16) -> Self {
        let key = attachment.borrow_mut().units_mut().open_channel();
        Self { attachment: Rc::clone(attachment), lun, key }
    }
}

impl Channel for DiskChannel {
    fn submit(&mut self, env: &mut dyn Env, io: Io) -> Result<(), Refused> {
        let key = self.key.ok_or(Refused(io))?;
        self.attachment.borrow_mut().submit(env, key, self.lun, io)
    }

    fn poll(&mut self, env: &mut dyn Env, done: &mut Vec<Done>) {
        if let Some(key) = self.key {
            self.attachment.borrow_mut().poll_channel(env, key, done);
        }
    }
}

impl Drop for DiskChannel {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.attachment.borrow_mut().units_mut().close_channel(key);
        }
    }
}
