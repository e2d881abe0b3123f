//! A logical unit of a target, as a volume.

mod channel;
mod command;
mod status;

pub(super) use self::command::Piece;
pub(super) use self::status::{Answer, answer_of};

use self::channel::DiskChannel;
use super::attachment::Attachment;
use block::{BlockDevice, Channel, Identity, Info};
use std::cell::RefCell;
use std::rc::Rc;
use stdx::env::{Env, Event};
use stdx::time::Time;

/// A disk. It may be used as long as its initiator lives; when it goes away, its requests complete as gone.
#[derive(Clone, Debug)]
pub struct Disk {
    attachment: Rc<RefCell<Attachment>>,
    lun: u16,
    /// What it was when it was found, for when it is gone.
    found: Info,
}

impl Disk {
    pub(super) fn new(attachment: Rc<RefCell<Attachment>>, lun: u16) -> Option<Self> {
        attachment.borrow_mut().open_disk(lun);
        let found = attachment.borrow().disk_info(lun)?;
        Some(Self { attachment, lun, found })
    }

    /// Its logical unit number.
    pub fn lun(&self) -> u16 {
        self.lun
    }

    /// Its UUID, else NAA, else EUI-64 name (shorter ones followed by zeros); `None` if it has none, or is gone.
    pub fn identity(&self) -> Option<Identity> {
        self.attachment.borrow().record(self.lun)?.identity
    }
}

impl BlockDevice for Disk {
    fn info(&self) -> Info {
        self.attachment.borrow().disk_info(self.lun).unwrap_or(self.found)
    }

    fn open(&self) -> Box<dyn Channel> {
        Box::new(DiskChannel::open(&self.attachment, self.lun))
    }

    fn handle_event(&self, env: &mut dyn Env, event: &Event) {
        self.attachment.borrow_mut().handle_event(env, event);
    }

    fn deadline(&self) -> Option<Time> {
        self.attachment.borrow().deadline()
    }

    fn handle_timeout(&self, env: &mut dyn Env) {
        self.attachment.borrow_mut().handle_timeout(env);
    }

    fn close(&self, _env: &mut dyn Env) {
        self.attachment.borrow_mut().close_disk(self.lun);
    }
}
