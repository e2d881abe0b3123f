//! A logical unit of a target, as a volume.

use super::Units;
use super::channel::DiskChannel;
use block::{BlockDevice, Channel, Done, Identity, Info, Io, Refused};
use std::cell::RefCell;
use std::rc::Rc;
use stdx::env::{Env, Event};
use stdx::slab::Key;
use stdx::time::Time;

/// A target with its logical units and whatever connects us with it.
pub(crate) trait Attached: core::fmt::Debug {
    /// Its logical units.
    fn units(&self) -> &Units;
    /// The same.
    fn units_mut(&mut self) -> &mut Units;
    /// A request of a channel.
    fn submit(&mut self, env: &mut dyn Env, channel: Key, lun: u16, io: Io) -> Result<(), Refused>;
    /// Sends what was submitted, and appends what of a channel is done.
    fn poll_channel(&mut self, env: &mut dyn Env, channel: Key, done: &mut Vec<Done>);
    /// An event of its owner.
    fn handle_event(&mut self, env: &mut dyn Env, event: &Event);
    /// When [`Attached::handle_timeout`] is due.
    fn deadline(&self) -> Option<Time>;
    /// The deadline has come, or any time later.
    fn handle_timeout(&mut self, env: &mut dyn Env);
}

/// A disk. It may be used as long as its initiator lives; when it goes away, its requests complete as gone.
#[derive(Clone, Debug)]
pub struct Disk {
    attachment: Rc<RefCell<dyn Attached>>,
    lun: u16,
    /// What it was when it was found, for when it is gone.
    found: Info,
}

impl Disk {
    pub(crate) fn new(attachment: Rc<RefCell<dyn Attached>>, lun: u16) -> Option<Self> {
        attachment.borrow_mut().units_mut().open_disk(lun);
        let found = attachment.borrow().units().disk_info(lun)?;
        Some(Self { attachment, lun, found })
    }

    /// Its logical unit number.
    pub fn lun(&self) -> u16 {
        self.lun
    }

    /// Its UUID, else NAA, else EUI-64 name (shorter ones followed by zeros); `None` if it has none, or is gone.
    pub fn identity(&self) -> Option<Identity> {
        self.attachment.borrow().units().record(self.lun)?.identity
    }
}

impl BlockDevice for Disk {
    fn info(&self) -> Info {
        self.attachment.borrow().units().disk_info(self.lun).unwrap_or(self.found)
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
        self.attachment.borrow_mut().units_mut().close_disk(self.lun);
    }
}
