//! The using machine: an initiator, whose disks are volumes.

use super::super::machine::Using;
use super::Terms;
use crate::env::NodeEnv;
use block::{BlockDevice, Channel, Identity, Volume};
use scsi::iscsi::initiator::{Initiator, InitiatorEvent, InitiatorOptions};
use std::collections::BTreeMap;
use std::rc::Rc;
use stdx::env::{Env, Event, Owner};
use stdx::time::Time;

/// See the module.
pub(in super::super) struct IscsiClient {
    options: InitiatorOptions,
    initiator: Option<Initiator>,
    failed: bool,
    volumes: BTreeMap<u32, Rc<Volume>>,
    events: Vec<Event>,
}

impl IscsiClient {
    /// A machine that has attached nothing yet.
    pub(in super::super) fn new(terms: &Terms, number: u32) -> Self {
        let options = terms.options(number);
        Self { options, initiator: None, failed: false, volumes: BTreeMap::new(), events: Vec::new() }
    }

    fn handle(&mut self, event: &InitiatorEvent) {
        match event {
            InitiatorEvent::DiskAdded(lun) => {
                let disk = self.initiator.as_ref().and_then(|initiator| initiator.disk(*lun));
                if let Some(disk) = disk {
                    let volume = Volume::new(Rc::new(disk), Identity([*lun as u8; 16]));
                    self.volumes.insert(u32::from(*lun), Rc::new(volume));
                }
            }
            InitiatorEvent::DiskRemoved(lun) => {
                self.volumes.remove(&u32::from(*lun));
            }
            InitiatorEvent::Failed(_) => self.failed = true,
            InitiatorEvent::Connected | InitiatorEvent::DiskResized { .. } => {}
            InitiatorEvent::ConnectionLost(_) | InitiatorEvent::Reconnected => {}
        }
    }
}

impl Using for IscsiClient {
    fn turn(&mut self, env: &mut NodeEnv) {
        if let Some(initiator) = &self.initiator {
            initiator.flush(env);
        }
        let mut events = core::mem::take(&mut self.events);
        env.poll(&mut events, self.deadline());
        if let Some(initiator) = &self.initiator {
            events.iter().for_each(|event| initiator.handle_event(env, event));
            if initiator.deadline().is_some_and(|deadline| deadline <= env.now()) {
                initiator.handle_timeout(env);
            }
            initiator.flush(env);
            initiator.check();
        }
        events.clear();
        self.events = events;
        while let Some(event) = self.initiator.as_ref().and_then(Initiator::poll_event) {
            self.handle(&event);
        }
    }

    fn deadline(&self) -> Option<Time> {
        // What was given up is to be attached anew, and no event tells of that.
        if self.failed {
            return Some(Time::ZERO);
        }
        self.initiator.as_ref()?.deadline()
    }

    fn attach(&mut self, env: &mut NodeEnv) {
        let initiator = Initiator::connect(env, OWNER, self.options.clone()).expect("memory");
        (self.initiator, self.failed) = (Some(initiator), false);
    }

    fn detach(&mut self, env: &mut NodeEnv) {
        self.initiator.take().expect("it is attached").close(env);
        self.volumes.clear();
        self.failed = false;
    }

    fn is_attached(&self) -> bool {
        self.initiator.is_some()
    }

    fn has_failed(&self) -> bool {
        self.failed
    }

    fn is_live(&self) -> bool {
        self.initiator.as_ref().is_some_and(Initiator::is_live)
    }

    fn open(&self, number: u32) -> Option<Box<dyn Channel>> {
        Some(self.volumes.get(&number)?.open())
    }

    fn seen(&self) -> BTreeMap<u32, u64> {
        self.volumes.iter().map(|(&number, volume)| (number, volume.info().blocks)).collect()
    }
}

/// Whom events of the initiator go to.
const OWNER: Owner = Owner(1);
