//! The using machine: an initiator, whose disks are volumes.

use super::super::disks::Disks;
use super::super::machine::Using;
use super::Terms;
use crate::env::NodeEnv;
use block::Channel;
use scsi::iscsi::initiator::{Initiator, InitiatorOptions};
use std::collections::BTreeMap;
use stdx::env::{Env, Event, Owner};
use stdx::time::Time;

/// See the module.
pub(in super::super) struct IscsiClient {
    options: InitiatorOptions,
    initiator: Option<Initiator>,
    disks: Disks,
    events: Vec<Event>,
}

impl IscsiClient {
    /// A machine that has attached nothing yet.
    pub(in super::super) fn new(terms: &Terms, number: u32) -> Self {
        let options = terms.options(number);
        Self { options, initiator: None, disks: Disks::default(), events: Vec::new() }
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
        let Some(initiator) = &self.initiator else { return };
        while let Some(event) = initiator.poll_event() {
            self.disks.handle(&event, |lun| initiator.disk(lun));
        }
    }

    fn deadline(&self) -> Option<Time> {
        // What was given up is to be attached anew, and no event tells of that.
        if self.disks.failed {
            return Some(Time::ZERO);
        }
        self.initiator.as_ref()?.deadline()
    }

    fn attach(&mut self, env: &mut NodeEnv) {
        let initiator = Initiator::connect(env, OWNER, self.options.clone()).expect("memory");
        self.initiator = Some(initiator);
    }

    fn detach(&mut self, env: &mut NodeEnv) {
        self.initiator.take().expect("it is attached").close(env);
        self.disks = Disks::default();
    }

    fn is_attached(&self) -> bool {
        self.initiator.is_some()
    }

    fn has_failed(&self) -> bool {
        self.disks.failed
    }

    fn is_live(&self) -> bool {
        self.initiator.as_ref().is_some_and(Initiator::is_live)
    }

    fn open(&self, number: u32) -> Option<Box<dyn Channel>> {
        self.disks.open(number)
    }

    fn seen(&self) -> BTreeMap<u32, u64> {
        self.disks.seen()
    }
}

/// Whom events of the initiator go to.
const OWNER: Owner = Owner(1);
